"""Loads and writes back the rows of a `Folio` over SQLite: one statement per table, whatever the number of messages."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import apsw
import msgspec

from sendwright.drivers.store.folio import Folio
from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.suppressions import put
from sendwright.drivers.store.sqlite.writer import fetch, rows_of
from sendwright.model.happenings import ONCE
from sendwright.model.ids import notification_of
from sendwright.model.records import AttemptRecord, MessageRecord, Wait

_MESSAGES = msgspec.json.Decoder(list[MessageRecord], strict=False)
_ATTEMPTS = msgspec.json.Decoder(list[AttemptRecord], strict=False)


class Serials:
    """Numbers that no two waits of this file share."""

    def __init__(self, db: apsw.Connection) -> None:
        self._next = itertools.count(int(db.execute("select coalesce(max(serial), 0) + 1 from waits").get or 1))

    def __call__(self) -> int:
        return next(self._next)


def loaded(db: apsw.Connection, ids: Iterable[str]) -> Folio:
    """The rows of these messages, as this transaction sees them."""
    wanted = rows_of(list(dict.fromkeys(ids)))
    messages = _MESSAGES.decode(db.execute(SQL["load_messages"], (wanted,)).get or "[]")
    attempts = _ATTEMPTS.decode(db.execute(SQL["load_attempts"], (wanted,)).get or "[]")
    return Folio(messages, attempts, lambda message: bool(db.execute(SQL["content_gone"], (notification_of(message),)).get))


def know_what_happened(db: apsw.Connection, folio: Folio) -> None:
    """Reads what has been told of these messages that is told once."""
    asked = (rows_of(list(folio.messages)), rows_of(sorted(ONCE)))
    folio.known |= {(subject, type_) for subject, type_ in fetch(db, SQL["happened_before"], *asked) or ()}


def save(db: apsw.Connection, serials: Serials, folio: Folio, now: int) -> None:
    """Writes everything back."""
    if folio.changed_attempts:
        rows = [(a.id, a.state, a.finished_at, a.ref, a.reason, a.detail, int(a.twice)) for a in folio.changed_attempts.values()]
        db.execute(SQL["save_attempts"], (rows_of(rows),))
    if folio.changed:
        db.execute(SQL["save_messages"], (rows_of([_saved(message) for message in folio.changed]),))
    if folio.gone_waits:
        db.execute(SQL["delete_waits"], (rows_of(folio.gone_waits),))
    _put_waits(db, serials, folio.new_waits, now)
    if folio.events:
        db.execute(SQL["insert_events"], (rows_of(folio.events),))
    put(db, folio.suppressions)


def _put_waits(db: apsw.Connection, serials: Serials, waits: list[tuple[MessageRecord, Wait]], now: int) -> None:
    if waits:
        rows = [(m.id, m.tenant, w.key, m.priority, w.due_at, w.kind, w.name, w.until, now, serials()) for m, w in waits]
        db.execute(SQL["insert_waits"], (rows_of(rows),))


def _saved(m: MessageRecord) -> tuple[object, ...]:
    return (
        m.id,
        m.state,
        m.step,
        m.calls,
        m.token,
        m.updated_at,
        m.reason,
        m.detail,
        int(m.doubled),
        int(m.dead),
        m.backoff_s,
        m.round,
        m.since,
        m.channel,
        m.address,
        m.provider,
    )
