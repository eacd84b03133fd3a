"""The directory of recipients over PostgreSQL.

Whoever writes a recipient, or erases one, holds that recipient's row: one that is not there yet is put there first, empty. So two
who write one at the same time lose nothing of each other, and nobody is written whom somebody else has just erased.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Any

from sendwright.drivers.store.erasing import SLICE, blanked, stopped
from sendwright.drivers.store.postgres.batcher import Batcher
from sendwright.drivers.store.postgres.connections import Connections, Db
from sendwright.drivers.store.postgres.folio import locked, save
from sendwright.drivers.store.postgres.rows import columns, text_of
from sendwright.drivers.store.postgres.sql import SQL
from sendwright.engine.people import Key
from sendwright.model.ids import notification_of
from sendwright.model.people import Change, Erased, Known
from sendwright.policy.directory import body_of, known_of, members_of, merged, overtaken, says_nothing_new

Row = tuple[str, int, int]
"""body, created_at, updated_at."""


class PostgresDirectory:
    """engine.people.Directory."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._write: Batcher[Sequence[Change], list[Known | None]] = Batcher(self._write_all, weight=len, repeatable=True)

    async def close(self) -> None:
        await self._write.close()

    async def known(self, wanted: Collection[Key]) -> Mapping[Key, Known]:
        rows = await self._connections.read("recipients_of", *columns(sorted(wanted), 2))
        return {(row[0], row[1]): known_of(*row[1:]) for row in rows}

    def write(self, changes: Sequence[Change]) -> Awaitable[Sequence[Known | None]]:
        return self._write.submit(changes)

    async def page(self, tenant: str, limit: int, after: str | None) -> Sequence[Known]:
        return [known_of(*row) for row in await self._connections.read("recipients_page", tenant, after or "", limit)]

    async def erase(self, tenant: str, id_: str, mark: str, now: int, marks: Collection[str] = ()) -> Erased:
        messages = cancelled = 0
        while True:
            done = await self._connections.transaction("erase", lambda db: _erased(db, tenant, id_, mark, now, marks))
            messages, cancelled = messages + done.messages, cancelled + done.cancelled
            if done.messages < SLICE:
                return Erased(messages, cancelled)
            await asyncio.sleep(0)

    async def _write_all(self, items: list[Sequence[Change]]) -> list[list[Known | None]]:
        changes = [change for item in items for change in item]
        known = await self.known({(change.tenant, change.id) for change in changes})
        if all(says_nothing_new(known.get((change.tenant, change.id)), change) for change in changes):
            return [[known[change.tenant, change.id] for change in item] for item in items]
        return await self._connections.transaction("write", lambda db: _written(db, items))


async def _written(db: Db, items: list[Sequence[Change]]) -> list[list[Known | None]]:
    changes = [change for item in items for change in item]
    rows = await _held(db, {(change.tenant, change.id) for change in changes})
    marks = sorted({(change.tenant, change.mark) for change in changes})
    erased = {(row[0], row[1]): row[2] for row in await db.fetch(SQL["erasures_of"], *columns(marks, 2))}
    answers = [[_one(change, rows, erased) for change in item] for item in items]
    empty = [key for key, row in rows.items() if row[2] == 0]
    if empty:
        await db.execute(SQL["recipients_delete"], *columns(sorted(empty), 2))
    saved = sorted((*key, *row) for key, row in rows.items() if row[2])
    await db.execute(SQL["recipients_save"], *columns(saved, 5))
    return answers


async def _held(db: Db, keys: Collection[Key]) -> dict[Key, Row]:
    """Their rows, locked; `updated_at` is 0 where there was none."""
    arrays = columns(sorted(keys), 2)
    await db.execute(SQL["recipients_reserve"], *arrays)
    return {(row[0], row[1]): (row[2], row[3], row[4]) for row in await db.fetch(SQL["recipients_lock"], *arrays)}


def _one(change: Change, rows: dict[Key, Row], erased: Mapping[Key, int]) -> Known | None:
    key = (change.tenant, change.id)
    if erased.get((change.tenant, change.mark), -1) >= change.at:
        return None
    before = known_of(change.id, *rows[key]) if rows[key][2] else None
    if before is not None and (overtaken(before.updated_at, change) or says_nothing_new(before, change)):
        return before
    body = body_of(merged(None if before is None else members_of(before.recipient), change))
    rows[key] = (body, change.at if before is None else before.created_at, change.at)
    return known_of(change.id, *rows[key])


async def _erased(db: Db, tenant: str, id_: str, mark: str, now: int, marks: Collection[str]) -> Erased:
    """A slice of the person's messages; all is done when it is not full."""
    await _held(db, [(tenant, id_)])
    await db.execute(SQL["recipients_delete"], [tenant], [id_])
    await db.execute(SQL["erasure_insert"], tenant, mark, now)
    if marks:
        await db.execute(SQL["erase_replies"], tenant, list(marks))
    theirs: list[str] = [row[0] for row in await db.fetch(SQL["messages_of_recipient"], tenant, id_, SLICE)]
    told = [*theirs, *{notification_of(message) for message in theirs}]
    await db.execute(SQL["erase_drafts"], tenant)
    await db.execute(SQL["erase_postings"], told, tenant, list(marks))
    folio = await locked(db, theirs)
    await db.execute(SQL["erase_inbox"], tenant, id_)  # with the messages held: what is being put there has been by now
    if not theirs:
        return Erased()
    found = list(folio.messages)
    cancelled = stopped(folio, found, now)
    await save(db, folio, now)
    blank: list[tuple[Any, ...]] = sorted((m.id, text_of(blanked(m))) for m in folio.messages.values())
    await db.execute(SQL["erase_messages"], *columns(blank, 2))
    attempts = sorted(attempt.id for of_message in folio.attempts.values() for attempt in of_message)
    await db.execute(SQL["erase_attempts"], attempts)
    await db.execute(SQL["erase_contents"], sorted({notification_of(message) for message in found}))
    return Erased(len(theirs), cancelled)
