"""A store that was restored: what waits in it is held in doubt, wherever the holding was killed in between."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from sendwright.app import restoring
from sendwright.drivers.bus.memory import MemoryBus
from sendwright.drivers.clustered import open_postgres
from sendwright.drivers.embedded import open_sqlite
from sendwright.drivers.restore import doubting
from sendwright.drivers.restore.database import open_database
from sendwright.drivers.restore.doubting import Restored
from sendwright.drivers.restore.file import known_for_a_copy, open_file
from sendwright.errors import OperatorError, StoreUnusable
from sendwright.model.ids import attempt_id
from sendwright.model.records import Wait
from sendwright.model.states import AttemptState, MessageState
from sendwright.settings import load
from tests.conformance.builders import (
    EMAIL,
    MINUTE,
    NOW,
    SMS,
    TENANT,
    ManualClock,
    accepted,
    claimed,
    later,
    lost,
    message_of,
    plan,
    planned,
    receipt,
    refused,
    scheduled,
    sent,
)
from tests.conformance.builders import claim as claim_of
from tests.conformance.postgres_server import UNSYNCED, empty_postgres, make_postgres, postgres_url

pytestmark = pytest.mark.slow

ALONE = {"sms": "twilio-main"}
DETAIL = "may have been sent after the copy was made that was restored"


class House(Struct):
    """One store, opened as its processes do, and as a restoration does."""

    working: Callable[[], AbstractAsyncContextManager[Any]]
    restoring: Callable[[], AbstractAsyncContextManager[Restored]]


@pytest.fixture(params=["sqlite", "postgres"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    path = tmp_path / "sendwright.db"
    if request.param == "postgres":
        await make_postgres()

    @asynccontextmanager
    async def working() -> AsyncIterator[Any]:
        if request.param == "sqlite":
            async with open_sqlite(path) as backend:
                yield backend
        else:
            async with open_postgres(postgres_url(), bus=MemoryBus(ManualClock()), settings=UNSYNCED) as backend:
                yield backend

    @asynccontextmanager
    async def opened() -> AsyncIterator[Restored]:
        if request.param == "sqlite":
            with open_file(path) as file:
                yield file
        else:
            async with open_database(postgres_url()) as database:
                yield database

    if request.param == "postgres":
        async with open_postgres(postgres_url(), bus=MemoryBus(ManualClock())) as backend:
            await backend.connections.writing(empty_postgres)
    return House(working, opened)


async def held(restored: Restored) -> int:
    """Holds what waits, as of `NOW`."""
    rows, after, count = [], "", 0
    while True:
        rows, last = await restored.page(after, NOW)
        await restored.hold(rows, NOW, ALONE)
        count += len(rows)
        if last is None:
            return count
        after = last


async def restore(house: House) -> int:
    async with house.restoring() as restored:
        await restored.begin()
        count = await held(restored)
        await restored.release(NOW)
        return count


async def test_all_that_may_have_been_sent_since_is_in_doubt_and_nothing_else(house: House) -> None:
    # given something of every kind
    async with house.working() as there:
        ledger = there.ledger
        lying = await planned(ledger)
        parked = await planned(ledger)
        assert await ledger.park(parked, Wait("provider", None, key="route:sms"), NOW)
        retried = await planned(ledger, steps=(EMAIL, SMS))
        await ledger.settle(later(retried, await claimed(ledger, retried)))
        open_ = await planned(ledger)
        await claimed(ledger, open_, "token-2")
        waiting = await planned(ledger)
        await ledger.settle(lost(waiting, await claimed(ledger, waiting)))
        due = await scheduled(ledger, NOW - MINUTE)
        to_come = await scheduled(ledger, NOW + MINUTE)
        done, _ = await sent(ledger)
    # when
    assert await restore(house) == 6
    # then
    async with house.working() as there:
        for parcel in (lying, parked, retried, open_, waiting):
            row = await message_of(there, parcel)
            assert (row.state, row.reason, row.detail) == (MessageState.IN_DOUBT, "lost_answer", DETAIL)
            assert row.wait is None
            assert refused(await there.ledger.claim(claim_of(parcel))) != "expired"
            [last] = [attempt for attempt in await there.records.attempts(parcel.id) if attempt.number == row.number]
            assert last.state == AttemptState.IN_DOUBT
            events = [event.type for event in await there.records.timeline(parcel.id)]
            assert events.count("message.in_doubt") == 1
        assert (await there.records.message(TENANT, due)).state == MessageState.IN_DOUBT
        assert (await there.records.message(TENANT, to_come)).state == MessageState.SCHEDULED
        assert (await message_of(there, done)).state == MessageState.SENT
        # and of a channel with one provider, that one may have sent it; of another nobody knows who
        assert [a.provider for a in await there.records.attempts(lying.id)] == ["twilio-main"]
        assert [a.provider for a in await there.records.attempts(retried.id)] == ["twilio-main", "unknown"]
        assert [a.provider for a in await there.records.attempts(open_.id)] == ["twilio-main"]
        assert await there.waiting.parked() == {}
        # and nothing is missed: these five lay on no lane and were not in doubt before
        assert (await there.records.audit()).violations == ()


async def test_what_is_held_is_settled_by_a_late_receipt_or_by_a_person(house: House) -> None:
    async with house.working() as there:
        heard, believed, given_up, again = [await planned(there.ledger) for _ in range(4)]
    await restore(house)
    async with house.working() as there:
        # its provider was told this id, if it was sent
        sighted = await there.ledger.observe(receipt(AttemptState.DELIVERED, attempt_id(heard.id, 1)), NOW)
        assert sighted.after == MessageState.DELIVERED
        assert await there.ledger.resolve(TENANT, believed.id, "sent", NOW) == MessageState.SENT
        assert await there.ledger.resolve(TENANT, given_up.id, "failed", NOW) == MessageState.FAILED
        assert await there.ledger.resolve(TENANT, again.id, "resend", NOW) == MessageState.QUEUED
        [parcel] = await there.waiting.due(NOW + 1, 10)
        assert parcel.id == again.id
        await there.ledger.settle(accepted(parcel, await claimed(there.ledger, parcel)))
        row = await message_of(there, again)
        assert row.state == MessageState.SENT
        assert row.doubled, "that it may have been sent twice is known"


async def test_killed_in_between_nobody_starts_before_it_was_begun_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house.working() as there:
        parcels = [await planned(there.ledger) for _ in range(10)]
    monkeypatch.setattr(doubting, "SEEN", 3)
    monkeypatch.setattr("sendwright.drivers.restore.file.SEEN", 3)
    monkeypatch.setattr("sendwright.drivers.restore.database.SEEN", 3)
    async with house.restoring() as restored:
        await restored.begin()
        rows, _ = await restored.page("", NOW)
        assert len(rows) == 3
        await restored.hold(rows, NOW, ALONE)
    # when it is begun again
    assert await restore(house) == 7
    # then each is held once
    async with house.working() as there:
        for parcel in parcels:
            assert (await message_of(there, parcel)).number == 1
            assert [event.type for event in await there.records.timeline(parcel.id)].count("message.in_doubt") == 1


async def test_while_somebody_works_with_it_nothing_is_held(house: House) -> None:
    async with house.working() as there:
        parcel = await planned(there.ledger)
        with pytest.raises(StoreUnusable):
            await restore(house)
        assert (await message_of(there, parcel)).state == MessageState.QUEUED
    async with house.working():
        pass  # and others may start


async def test_what_was_accepted_before_is_known_to_whoever_plans_it(house: House) -> None:
    async with house.working() as there:
        assert there.fence_at == 0
    await restore(house)
    async with house.working() as there:
        assert there.fence_at == NOW


async def test_a_database_that_is_being_restored_is_opened_by_nobody() -> None:
    await make_postgres()
    async with open_postgres(postgres_url(), bus=MemoryBus(ManualClock())) as backend:
        await backend.connections.writing(empty_postgres)
    async with open_database(postgres_url()) as restored:
        await restored.begin()
        with pytest.raises(StoreUnusable, match="sendwright restore"):
            async with open_postgres(postgres_url(), bus=MemoryBus(ManualClock())):
                pass
        await restored.release(None)
    async with open_postgres(postgres_url(), bus=MemoryBus(ManualClock())) as backend:
        assert backend.fence_at == 0


async def test_a_file_is_known_for_a_copy(tmp_path: Path) -> None:
    path, copy, old = tmp_path / "sendwright.db", tmp_path / "copy.db", tmp_path / "old.db"
    async with open_sqlite(path) as there:
        await planned(there.ledger)
        await there.copied(copy)
        await there.beat()
    old.write_bytes(path.read_bytes())
    assert not known_for_a_copy(path)
    assert known_for_a_copy(copy), "its maker marked it"
    # when the one that works goes on, and is replaced by what it was
    async with open_sqlite(path) as there:
        await there.beat()
    assert not known_for_a_copy(path)
    path.write_bytes(old.read_bytes())
    assert known_for_a_copy(path), "it had been further"
    # when what waits in it is held
    with open_file(path) as file:
        assert await restoring._hold(file, ALONE, lambda _: None) == 1
    assert not known_for_a_copy(path)


async def test_what_is_told_of_a_restored_database_comes_after_all_that_was_told_before() -> None:
    # given a server that counts its transactions anew, so that its events had far greater numbers before
    await make_postgres()
    async with open_postgres(postgres_url(), bus=MemoryBus(ManualClock()), settings=UNSYNCED) as backend:
        await backend.connections.writing(empty_postgres)
        parcel = await planned(backend.ledger)
        await backend.connections.writing(lambda db: db.execute("update events set seq = seq + (1::bigint << 40)"))
        told = (await backend.records.timeline(parcel.id))[-1:] or await backend.records.events(TENANT, 0, 10)
        last = max(event.seq for event in told)
    # when
    async with open_database(postgres_url()) as restored:
        await restored.begin()
        assert await held(restored) == 1
        await restored.release(NOW)
    # then
    async with open_postgres(postgres_url(), bus=MemoryBus(ManualClock())) as backend:
        [doubt] = [event for event in await backend.records.timeline(parcel.id) if event.type == "message.in_doubt"]
        assert doubt.seq > last


def test_killed_by_force_in_the_middle_it_is_still_known_for_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "sendwright.db"

    async def filled() -> None:
        async with open_sqlite(path) as there:
            await planned(there.ledger)

    asyncio.run(filled())
    # when whoever holds what waits is killed with its log not written back
    script = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from sendwright.drivers.restore.file import open_file\n"
        "with open_file(Path(sys.argv[1])) as file:\n"
        "    asyncio.run(file.begin())\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 9
    for kept in ("-shm",):
        path.with_name(path.name + kept).unlink(missing_ok=True)  # as a copy of file and log alone is
    # then
    assert path.with_name(path.name + "-wal").stat().st_size > 0
    assert known_for_a_copy(path)


async def test_what_a_clock_that_is_behind_would_let_through_is_held(tmp_path: Path) -> None:
    path = tmp_path / "sendwright.db"
    ahead = time.time_ns() // 1_000_000 + 3_600_000
    async with open_sqlite(path):
        pass
    with sqlite3.connect(path) as db:
        db.execute("insert into meta (name, value) values ('copied', ?)", (ahead,))
    db.close()
    with open_file(path) as file:
        assert await file.begin() == ahead


async def test_what_is_no_database_is_not_put_in_its_place(tmp_path: Path) -> None:
    settings = load(None, {}, tmp_path / "data").settings
    nonsense, halved, logged = tmp_path / "nonsense.db", tmp_path / "halved.db", tmp_path / "logged.db"
    nonsense.write_bytes(b"not a database" * 500)
    async with open_sqlite(halved) as there:
        for _ in range(200):
            await planned(there.ledger)
    halved.write_bytes(halved.read_bytes()[: halved.stat().st_size // 2])
    async with open_sqlite(logged):
        pass
    logged.with_name("logged.db-wal").write_bytes(b"commits")
    for copy in (nonsense, halved, logged, tmp_path / "none.db", tmp_path):
        with pytest.raises(OperatorError):
            await restoring.restore(settings, copy, lambda _: None)
        assert not settings.store.url.path.exists()
        assert not list(settings.store.url.path.parent.glob("*.part*"))


async def test_a_full_disk_is_a_clear_error_and_what_is_held_stays_held(tmp_path: Path) -> None:
    path = tmp_path / "sendwright.db"
    async with open_sqlite(path) as there:
        for _ in range(50):
            await there.ledger.plan([plan() for _ in range(50)])

    # when
    async def held_on_a_full_disk() -> None:
        with open_file(path) as file:
            file._db.pragma("max_page_count", file._db.pragma("page_count") + 5)
            await restoring._hold(file, ALONE, lambda _: None)

    with pytest.raises(StoreUnusable, match="make room"):
        await held_on_a_full_disk()
    # then nobody works with it before the rest is held, too
    assert known_for_a_copy(path)
    with open_file(path) as file:
        assert await restoring._hold(file, ALONE, lambda _: None) > 0
    async with open_sqlite(path) as there:
        assert (await there.records.figures())[1] == 2500
