"""Locks, loads and writes back the rows of a `Folio` over PostgreSQL.

Messages are locked in the order of their ids, and read as they are then; what belongs to them is read afterwards, since nobody
else changes it while its message is locked. Everything is written back by one statement.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from sendwright.drivers.store.folio import Folio
from sendwright.drivers.store.postgres.connections import Db
from sendwright.drivers.store.postgres.rows import (
    attempt_from,
    bounds,
    clean,
    columns,
    day_of,
    message_from,
    text_of,
    wait_from,
)
from sendwright.drivers.store.postgres.sql import SQL
from sendwright.drivers.store.postgres.suppressions import put
from sendwright.model import ids
from sendwright.model.happenings import ONCE
from sendwright.model.records import MessageRecord, Wait

EVENTS_MAX = 4096
"""Most events of one transaction: their numbers are its own number and their place in it."""


class TooManyEvents(Exception):
    """A flush would write more events than a transaction has numbers for: smaller ones will not."""


async def locked(db: Db, wanted: Iterable[str], *, contents: bool = False) -> Folio:
    """The rows of these messages, which stay as they are until the commit. `contents`: ask too whether what they said is gone."""
    messages = [message_from(row) for row in await db.fetch(SQL["lock_messages"], sorted(set(wanted)))]
    if not messages:
        return Folio([], [], lambda _: False)
    names = [message.id for message in messages]
    tried = [message.id for message in messages if message.number > 0]
    lows, highs = bounds(ids.ATTEMPT, tried)
    attempts = [attempt_from(row) for row in await db.fetch(SQL["attempts_of"], lows, highs)] if tried else []
    unsettled = [message.id for message in messages if not message.state.settled]
    waits = {row[0]: wait_from(row[1:]) for row in await db.fetch(SQL["waits_of"], unsettled)} if unsettled else {}
    gone: set[str] = set()
    if contents:
        rows = await db.fetch(SQL["content_gone"], [ids.notification_of(name) for name in names])
        gone = {row[0] for row in rows}
    return Folio(
        (_waiting(message, waits.get(message.id)) for message in messages),
        attempts,
        lambda message: ids.notification_of(message) in gone,
    )


async def know_what_happened(db: Db, folio: Folio) -> None:
    """Reads what has been told of these messages that is told once. They are locked, so nobody else tells of them meanwhile."""
    names = list(folio.messages)
    rows = await db.fetch(SQL["happened_before"], names, [day_of(name) for name in names], sorted(ONCE))
    folio.known |= {(row[0], row[1]) for row in rows}


async def save(db: Db, folio: Folio, now: int, *, events_before: int = 0) -> int:
    """Writes everything back. `events_before`: how many this transaction has written. Returns how many it has written then."""
    changed = folio.changed
    attempts = sorted(folio.changed_attempts.values(), key=lambda attempt: attempt.id)
    waits = sorted(folio.new_waits, key=lambda pair: pair[0].id)
    await put(db, folio.suppressions)
    if not (changed or attempts or folio.waits or folio.events):
        return events_before
    after = events_before + len(folio.events)
    if after > EVENTS_MAX:
        raise TooManyEvents
    await db.execute(
        SQL["save"],
        *columns([_message_row(m) for m in changed], 16),
        *columns([(a.id, a.state, a.finished_at, clean(a.ref), clean(a.reason), clean(a.detail), a.twice) for a in attempts], 7),
        sorted(folio.gone_waits),
        *columns([(m.id, m.tenant, w.key, m.priority, w.due_at, w.kind, w.name, w.until, now) for m, w in waits], 9),
        events_before,
        *columns([(day_of(e[3]), e[0], e[1], e[2], e[3], clean(e[4])) for e in folio.events], 6),
    )
    return after


def _waiting(message: MessageRecord, wait: Wait | None) -> MessageRecord:
    return message if wait is None else replace(message, wait=wait)


def _message_row(m: MessageRecord) -> tuple[object, ...]:
    return (
        m.id,
        m.state,
        m.step,
        m.calls,
        m.token,
        m.updated_at,
        clean(m.reason),
        clean(m.detail),
        m.doubled,
        m.dead,
        m.backoff_s,
        text_of(m.round),
        m.since,
        clean(m.channel),
        clean(m.address),
        clean(m.provider),
    )
