"""The directory of recipients over SQLite. There is one writer, so rows are read, merged and written in its transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence

import apsw

from sendwright.drivers.store.erasing import SLICE, blanked, stopped
from sendwright.drivers.store.sqlite.folio import Serials, loaded, save
from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import Operation, Writer, fetch, rows_of
from sendwright.engine.people import Key
from sendwright.model.ids import notification_of
from sendwright.model.people import Change, Erased, Known
from sendwright.policy.directory import body_of, known_of, members_of, merged, overtaken, says_nothing_new


class SqliteDirectory:
    """engine.people.Directory."""

    def __init__(self, writer: Writer, reader: Reader, serials: Serials) -> None:
        self._writer = writer
        self._reader = reader
        self._write = _WriteAll()
        self._erase = _EraseAll(serials)

    async def known(self, wanted: Collection[Key]) -> Mapping[Key, Known]:
        return await self._reader.run(lambda db: _known(db, wanted))

    def write(self, changes: Sequence[Change]) -> Awaitable[Sequence[Known | None]]:
        return self._writer.submit(self._write, changes)

    async def page(self, tenant: str, limit: int, after: str | None) -> Sequence[Known]:
        rows = await self._reader.run(lambda db: fetch(db, SQL["recipients_page"], tenant, after or "", limit))
        return [known_of(*row) for row in rows or ()]

    async def erase(self, tenant: str, id_: str, mark: str, now: int, marks: Collection[str] = ()) -> Erased:
        messages = cancelled = 0
        while True:
            done: Erased = await self._writer.submit(self._erase, (tenant, id_, mark, now, marks))
            messages, cancelled = messages + done.messages, cancelled + done.cancelled
            if done.messages < SLICE:
                return Erased(messages, cancelled)


def _known(db: apsw.Connection, wanted: Collection[Key]) -> dict[Key, Known]:
    rows = fetch(db, SQL["recipients_of"], rows_of([list(key) for key in wanted])) or ()
    return {(tenant, id_): known_of(id_, body, created_at, updated_at) for tenant, id_, body, created_at, updated_at in rows}


class _WriteAll(Operation):
    """Items: sequences of changes."""

    def weight(self, item: Sequence[Change]) -> int:
        return len(item)

    def apply(self, db: apsw.Connection, items: list[Sequence[Change]]) -> list[list[Known | None]]:
        changes = [change for item in items for change in item]
        known = _known(db, {(change.tenant, change.id) for change in changes})
        erased = _erasures(db, {(change.tenant, change.mark) for change in changes})
        written: dict[Key, tuple[str, int, int]] = {}
        answers = [[_written(change, known, erased, written) for change in item] for item in items]
        if written:
            db.execute(SQL["recipients_save"], (rows_of([(*key, *row) for key, row in written.items()]),))
        return answers


def _erasures(db: apsw.Connection, wanted: Collection[Key]) -> dict[Key, int]:
    rows = fetch(db, SQL["erasures_of"], rows_of([list(key) for key in wanted])) or ()
    return {(tenant, mark): at for tenant, mark, at in rows}


def _written(
    change: Change, known: dict[Key, Known], erased: Mapping[Key, int], written: dict[Key, tuple[str, int, int]]
) -> Known | None:
    key = (change.tenant, change.id)
    if erased.get((change.tenant, change.mark), -1) >= change.at:
        return None
    before = known.get(key)
    if before is not None and (overtaken(before.updated_at, change) or says_nothing_new(before, change)):
        return before
    body = body_of(merged(None if before is None else members_of(before.recipient), change))
    created_at = change.at if before is None else before.created_at
    written[key] = (body, created_at, change.at)
    known[key] = known_of(change.id, body, created_at, change.at)
    return known[key]


class _EraseAll(Operation):
    """Items: (tenant, id, mark, now, marks). A slice of the person's messages each time; all is done when a slice is not full."""

    def __init__(self, serials: Serials) -> None:
        self._serials = serials

    def weight(self, item: tuple[str, str, str, int, Collection[str]]) -> int:
        return SLICE

    def apply(self, db: apsw.Connection, items: list[tuple[str, str, str, int, Collection[str]]]) -> list[Erased]:
        return [self._one(db, *item) for item in items]

    def _one(self, db: apsw.Connection, tenant: str, id_: str, mark: str, now: int, marks: Collection[str]) -> Erased:
        db.execute(SQL["recipient_delete"], (tenant, id_))
        db.execute(SQL["erasure_insert"], (tenant, mark, now))
        db.execute(SQL["erase_replies"], (tenant, rows_of(list(marks))))
        db.execute(SQL["erase_inbox"], (tenant, id_))
        theirs: list[str] = fetch(db, SQL["messages_of_recipient"], tenant, id_, SLICE) or []
        told = rows_of([*theirs, *{notification_of(message) for message in theirs}])
        db.execute(SQL["erase_drafts"], (tenant,))
        db.execute(SQL["erase_postings"], (told, tenant, rows_of(list(marks))))
        if not theirs:
            return Erased()
        folio = loaded(db, theirs)
        cancelled = stopped(folio, theirs, now)
        save(db, self._serials, folio, now)
        db.execute(SQL["erase_messages"], (rows_of([(m.id, blanked(m)) for m in folio.messages.values()]),))
        attempts = [attempt.id for of_message in folio.attempts.values() for attempt in of_message]
        db.execute(SQL["erase_attempts"], (rows_of(attempts),))
        db.execute(SQL["erase_contents"], (rows_of(list({notification_of(message) for message in theirs})),))
        return Erased(len(theirs), cancelled)
