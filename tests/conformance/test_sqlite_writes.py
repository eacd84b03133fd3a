"""Whose writes the embedded store lets overtake. Small flushes, which is what follows urgent work, are for messages alone."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from sendwright.drivers.embedded import SqliteBackend, open_sqlite
from sendwright.drivers.store.sqlite.backlog import Backlog
from sendwright.model.notification import Priority
from sendwright.model.records import Switch
from tests.conformance.builders import NOW, TENANT, offer, planned
from tests.conformance.test_sessions import session


async def by_people(backend: SqliteBackend) -> None:
    """What somebody does at a dashboard."""
    await backend.sessions.add(session())
    await backend.sessions.seen(session().id, NOW)
    await backend.switchboard.set(Switch("twilio-main", enabled=False))
    await backend.ledger.cancel(TENANT, (await planned(backend.ledger)).id, NOW)
    await backend.sessions.end(TENANT)


async def by_messages(backend: SqliteBackend) -> None:
    await backend.desk.offer(offer(priority=Priority.CRITICAL))


@pytest.mark.parametrize(("done", "overtakes"), [(by_people, False), (by_messages, True)])
async def test_what_people_do_makes_no_blast_wait(
    done: Any, overtakes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[bool] = []
    add = Backlog.add

    def seen(self: Backlog[Any], item: Any, *, urgent: bool, soon: bool = False) -> None:
        added.append(urgent)
        add(self, item, urgent=urgent, soon=soon)

    monkeypatch.setattr(Backlog, "add", seen)
    async with open_sqlite(tmp_path / "one.db") as backend:
        await done(backend)
    assert any(added) is overtakes
    assert added


async def test_what_is_submitted_right_before_a_stop_is_written_however_the_thread_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer's thread has looked, has found nothing, and has not asked yet whether it is to stop."""
    looked, goes_on = threading.Event(), threading.Event()
    take = Backlog.take

    def slowly(self: Backlog[Any], now: float) -> list[Any]:
        jobs = take(self, now)
        if not jobs and armed:
            looked.set()
            goes_on.wait(5)
        return jobs

    monkeypatch.setattr(Backlog, "take", slowly)
    armed = False
    async with asyncio.timeout(10):
        async with open_sqlite(tmp_path / "one.db") as backend:
            armed = True
            await backend.sessions.add(session())
            await asyncio.to_thread(looked.wait, 5)
            ended = asyncio.create_task(backend.sessions.end(TENANT))
            asyncio.get_running_loop().call_later(0.05, goes_on.set)
            await asyncio.sleep(0)
        assert await asyncio.wait_for(ended, 1) == 1
