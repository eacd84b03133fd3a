"""What people ask to see, over the reader's connection.

Lists are pages over ids, new to old. A page is searched for stretch by stretch, until it is full, the rows are at their
end, or so many were looked at that the caller should ask again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast

import apsw
import msgspec

from sendwright.drivers.store.sampling import strip_of, together
from sendwright.drivers.store.sqlite.audit import recount
from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.sql import MESSAGE_COLUMNS, SQL
from sendwright.drivers.store.sqlite.writer import fetch, rows_of
from sendwright.model import ids
from sendwright.model.notification import OnDoubt, Priority, state_of
from sendwright.model.records import AttemptRecord, Audit, Event, Listed, MessageRecord, NotificationRecord, Page
from sendwright.model.said import Said
from sendwright.model.states import MessageState
from sendwright.model.stats import COUNTED_MAX, UNIT_MAX, Backlog, Strip

SCAN_MAX = 50_000
"""Most rows that one page looks at: a filter that matches almost nothing takes several pages over much history."""
STRETCH = 2_000
"""Rows that are looked at in one go, a few milliseconds' worth: lanes are fed over the same connection."""
SPANS_AT_ONCE = 10
"""Spans that are sampled in one go."""

_UNUSUAL = (10, 11, 30, 50, 51, 52, 53)
"""The states that have an index: messages_unusual of schema.sql, which SQLite takes where its own condition is repeated."""

_MESSAGES = msgspec.json.Decoder(list[MessageRecord], strict=False)
_ATTEMPTS = msgspec.json.Decoder(list[AttemptRecord], strict=False)

_METADATA = msgspec.json.Decoder(dict[str, dict[str, str]])


class _Row(msgspec.Struct, array_like=True):
    id: str
    tenant: str
    at: int
    priority: Priority
    category: str
    on_doubt: OnDoubt
    content: Said | None
    messages: int
    counts: dict[str, int]
    send_at: int | None
    expires_at: int | None
    metadata: dict[str, str] | None
    key: str | None
    cancelled_at: int | None
    type: str | None


class _Search(msgspec.Struct, frozen=True):
    """Where a list is searched: the ids from `low` on and below `high`, in rows for which `base` holds, which is at most
    one filter and has an index. `filters` is asked of each of them. `weight` is how many rows that means."""

    table: str
    low: str
    high: str
    base: str
    filters: str
    args: dict[str, Any]
    weight: str = "1"


_Found = tuple[list[Any], str | None, int]
"""Records out of one stretch, where the next one ends (None: nowhere), and how many rows were looked at."""

_NOTIFICATIONS = msgspec.json.Decoder(list[_Row], strict=False)

_NOTIFICATION = """json_array(n.id, n.tenant, n.at, n.priority, n.category, n.on_doubt, json(n.content), n.messages,
 json((select coalesce(json_group_object(state, total), '{}') from (select state, count(*) as total from messages
   where id >= 'msg_' || substr(n.id, 5) and id < 'msg_' || substr(n.id, 5) || '~' group by state))),
 n.send_at, n.expires_at, json(n.metadata), n.key, n.cancelled_at, n.type)"""


class SqliteRecords:
    """ports.Records."""

    def __init__(self, reader: Reader, slow: Reader) -> None:
        self._reader = reader
        self._slow = slow

    async def notification(self, tenant: str, notification: str) -> NotificationRecord | None:
        sql = f"select json_group_array({_NOTIFICATION}) from notifications n where n.id = ?1 and n.tenant = ?2"  # noqa: S608
        rows = await self._reader.run(lambda db: _NOTIFICATIONS.decode(db.execute(sql, (notification, tenant)).get))
        return _record(rows[0]) if rows else None

    async def metadata_of(self, notifications: Collection[str]) -> Mapping[str, dict[str, str]]:
        sql = (
            "select json_group_object(n.id, json(coalesce(n.metadata, '{}')))"
            " from json_each(?1) j cross join notifications n on n.id = j.value"
        )
        return await self._reader.run(lambda db: _METADATA.decode(db.execute(sql, (rows_of(list(notifications)),)).get))

    async def messages_of(self, notification: str, limit: int, after: str | None) -> Sequence[MessageRecord]:
        if not ids.looks_like(ids.NOTIFICATION, notification):
            return []
        low = ids.MESSAGE + notification[4:]
        sql = _list_sql("m.id > ?1 and m.id < ?2", "m.id", "?3")
        return await self._reader.run(lambda db: _MESSAGES.decode(db.execute(sql, (after or low, low + "~", limit)).get))

    async def message(self, tenant: str, message: str) -> MessageRecord | None:
        rows = await self._reader.run(lambda db: _MESSAGES.decode(db.execute(SQL["load_messages"], (rows_of([message]),)).get))
        return rows[0] if rows and rows[0].tenant == tenant else None

    async def attempts(self, message: str) -> Sequence[AttemptRecord]:
        return await self._reader.run(lambda db: _ATTEMPTS.decode(db.execute(SQL["load_attempts"], (rows_of([message]),)).get))

    async def timeline(self, message: str) -> Sequence[Event]:
        subjects = (message, ids.notification_of(message))
        sql = "select seq, at, tenant, type, subject, detail from events where subject in (?1, ?2) order by seq"
        return await self._reader.run(lambda db: [_event(row) for row in db.execute(sql, subjects)])

    async def said_back(self, tenant: str, marks: Collection[str], limit: int, before: int | None = None) -> Sequence[Event]:
        wanted = (tenant, rows_of(list(marks)), before if before is not None else (1 << 63) - 1, limit)
        return await self._reader.run(lambda db: [_event(row) for row in db.execute(SQL["said_back"], wanted)])

    async def list_messages(self, page: Page) -> Listed[MessageRecord]:
        if page.notification is not None and not ids.looks_like(ids.NOTIFICATION, page.notification):
            return Listed((), None)  # a range of ids made from anything else holds what nobody asked for, or all there is
        search = _message_search(page)
        return await self._listed(search, page.limit, lambda db, high, room: _messages_in(db, search, high, room))

    async def list_notifications(self, page: Page) -> Listed[NotificationRecord]:
        search = _notification_search(page)
        return await self._listed(search, page.limit, lambda db, high, room: _notifications_in(db, search, high, room, page.state))

    async def _listed(self, search: _Search, limit: int, look: Callable[[apsw.Connection, str, int], _Found]) -> Listed[Any]:
        """One page: as many as `limit`, where that many are within `SCAN_MAX` rows."""
        found: list[Any] = []
        edge: str | None = search.high
        looked = 0
        while edge is not None and len(found) <= limit and looked < SCAN_MAX:
            high, room = edge, limit + 1 - len(found)
            more, edge, weight = await self._reader.run(lambda db, high=high, room=room: look(db, high, room))  # type: ignore[misc]
            found += more
            looked += weight
        return Listed(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else edge)

    async def dead_causes(self, tenant: str) -> Sequence[tuple[str, str, str, int]]:
        sql = (
            "select coalesce(channel, ''), coalesce(reason, 'unknown'), coalesce(provider, ''), count(*)"
            " from messages where dead = 1 and tenant = ?1 group by 1, 2, 3 order by 4 desc"
        )
        return await self._slow.run(lambda db: [tuple(row) for row in db.execute(sql, (tenant,))])

    async def events(self, tenant: str, after: int, limit: int) -> Sequence[Event]:
        sql = "select seq, at, tenant, type, subject, detail from events where seq > ?1 and tenant = ?2 order by seq limit ?3"
        return await self._reader.run(lambda db: [_event(row) for row in db.execute(sql, (after, tenant, limit))])

    async def figures(self) -> tuple[Any, Any]:
        """How many dead letters there are, and how many messages are held in doubt."""
        doubted = f"select count(*) from messages where {_in_state(MessageState.IN_DOUBT)}"  # noqa: S608
        sql = f"select (select count(*) from messages where dead = 1), ({doubted})"  # noqa: S608
        dead, doubts = await self._slow.run(lambda db: db.execute(sql).fetchall()[0])
        return dead, doubts

    async def sampled(self, tenant: str, spans: Sequence[tuple[int, int]], most: int) -> Sequence[Strip]:
        """Some spans after others, so that nobody else who looks waits long."""
        strips: list[Strip] = []
        for begin in range(0, len(spans), SPANS_AT_ONCE):
            some = spans[begin : begin + SPANS_AT_ONCE]
            strips += await self._slow.run(lambda db, some=some: [_strip(db, tenant, span, most) for span in some])  # type: ignore[misc]
        return strips

    async def accepted_within(self, tenant: str, spans: Sequence[tuple[int, int]], most: int = UNIT_MAX) -> Sequence[int]:
        def count(db: apsw.Connection) -> list[int]:
            bounds = ((ids.floor(ids.MESSAGE, since), ids.floor(ids.MESSAGE, until)) for since, until in spans)
            return [int(db.execute(SQL["accepted_within"], (*bound, most, tenant)).get) for bound in bounds]

        return await self._slow.run(count)

    async def backlog(self, tenant: str) -> Backlog:
        def look(db: apsw.Connection) -> Backlog:
            dead, in_doubt = cast("tuple[int, int]", db.execute(SQL["backlog_counts"], (tenant, COUNTED_MAX)).fetchall()[0])
            return Backlog(dead, in_doubt, together(db.execute(SQL["backlog_parked"], (tenant, COUNTED_MAX)).fetchall()))

        return await self._slow.run(look)

    async def last_event(self) -> int:
        """The greatest `seq` so far."""
        return await self._reader.run(lambda db: db.execute("select coalesce(max(seq), 0) from events").get)

    async def audit(self) -> Audit:
        return await self._slow.run(recount)


def _strip(db: apsw.Connection, tenant: str, span: tuple[int, int], most: int) -> Strip:
    low, high = (ids.floor(ids.MESSAGE, at) for at in span)
    return strip_of(fetch(db, SQL["strip_samples"], low, high, most, tenant), most)


def _record(row: _Row) -> NotificationRecord:
    return NotificationRecord(
        id=row.id,
        tenant=row.tenant,
        at=row.at,
        priority=row.priority,
        category=row.category,
        on_doubt=row.on_doubt,
        content=row.content,
        messages=row.messages,
        counts={MessageState(int(code)): count for code, count in row.counts.items()},
        send_at=row.send_at,
        expires_at=row.expires_at,
        metadata=row.metadata or {},
        key=row.key,
        cancelled_at=row.cancelled_at,
        type=row.type,
    )


def _event(row: tuple[Any, ...]) -> Event:
    seq, at, tenant, type_, subject, detail = row
    message = subject if subject.startswith(ids.MESSAGE) else None
    return Event(seq, at, tenant, type_, ids.subject_of(subject), message, detail)


def _list_sql(where: str, order: str, limit: str) -> str:
    inner = f"select * from messages m where {where} order by {order} limit {limit}"  # noqa: S608
    return f"select json_group_array(json_array({MESSAGE_COLUMNS})) from ({inner}) m"  # noqa: S608


def _message_search(page: Page) -> _Search:
    bases: list[str] = []
    filters = ["tenant = :tenant"]
    for name in ("recipient", "channel", "provider", "reason"):
        if getattr(page, name) is not None:
            (bases if name == "recipient" else filters).append(f"{name} = :{name}")
    for name in ("doubled", "dead"):
        flag = getattr(page, name)
        if flag is not None:
            (bases if flag else filters).append(f"{name} = {int(flag)}")
    if page.state is not None:
        (bases if page.state in _UNUSUAL else filters).append(_in_state(page.state))
    base, *others = [*bases, "true"]
    low, high = _between(page, ids.MESSAGE)
    args = {name: getattr(page, name) for name in ("tenant", "recipient", "channel", "provider", "reason")}
    return _Search("messages", low, high, base, " and ".join([*filters, *others]), args)


def _notification_search(page: Page) -> _Search:
    """With a state, those that have messages in it and none below, or none at all: `state_of` has the last word."""
    low, high = _between(page, ids.NOTIFICATION)
    base = "true" if page.key is None else "tenant = :tenant and key = :key"
    args = {"tenant": page.tenant, "key": page.key, "type": page.type}
    own_type = "true" if page.type is None else "(type = :type or substr(type, 1, instr(type, '@') - 1) = :type)"
    if page.state is None:
        return _Search("notifications", low, high, base, f"tenant = :tenant and {own_type}", args)
    own = "select 1 from messages where id >= 'msg_' || substr(n.id, 5) and id < 'msg_' || substr(n.id, 5) || '~'"
    lowest = f"exists ({own} and {_in_state(page.state)}) and not exists ({own} and state < {page.state.value})"
    fitting = f"({lowest} or n.messages = 0)"
    weight = "1" if page.state in _UNUSUAL else "1 + messages"
    return _Search("notifications", low, high, base, f"tenant = :tenant and {own_type} and {fitting}", args, weight)


def _in_state(state: MessageState) -> str:
    return f"state in {_UNUSUAL} and state = {state.value}" if state in _UNUSUAL else f"state = {state.value}"


def _between(page: Page, prefix: str) -> tuple[str, str]:
    """The ids that a page may hold: from the first one on, and below the second."""
    lows, highs = [prefix], [prefix + "~"]
    if page.notification is not None:
        of_all = ids.MESSAGE + page.notification[4:]
        lows, highs = [of_all], [of_all + "~"]
    if page.since is not None:
        lows.append(ids.floor(prefix, page.since))
    if page.until is not None:
        highs.append(ids.floor(prefix, page.until))
    if page.before is not None:
        highs.append(page.before)
    return max(lows), min(highs)


def _messages_in(db: apsw.Connection, search: _Search, high: str, room: int) -> _Found:
    edge, weight = _stretch(db, search, high)
    sql = _list_sql(f"{search.base} and {search.filters} and id >= :low and id < :high", "id desc", ":room")
    found = _MESSAGES.decode(db.execute(sql, {**search.args, "low": edge or search.low, "high": high, "room": room}).get)
    return found, edge, weight


def _notifications_in(db: apsw.Connection, search: _Search, high: str, room: int, state: MessageState | None) -> _Found:
    edge, weight = _stretch(db, search, high)
    where = f"{search.base} and {search.filters} and n.id >= :low and n.id < :high"
    inner = f"select * from notifications n where {where} order by n.id desc limit :room"  # noqa: S608
    sql = f"select json_group_array({_NOTIFICATION}) from ({inner}) n"  # noqa: S608
    rows = _NOTIFICATIONS.decode(db.execute(sql, {**search.args, "low": edge or search.low, "high": high, "room": room}).get)
    found = [_record(row) for row in rows]
    fitting = [r for r in found if state is None or state_of(r.counts, cancelled=r.cancelled_at is not None) == state]
    return fitting, found[-1].id if len(found) == room else edge, weight


def _stretch(db: apsw.Connection, search: _Search, high: str) -> tuple[str | None, int]:
    """The lowest id of the next stretch, None where it is the last; and how many rows that is."""
    rows = f"select id, {search.weight} as weight from {search.table} where {search.base} and id >= :low and id < :high"  # noqa: S608
    heaped = f"select *, sum(weight) over (order by id desc) - weight as heap from ({rows} order by id desc limit {STRETCH})"  # noqa: S608
    sql = f"select min(id), coalesce(sum(weight), 0) from ({heaped}) where heap < {STRETCH}"  # noqa: S608
    edge, weight = cast("tuple[Any, int]", db.execute(sql, {**search.args, "low": search.low, "high": high}).fetchall()[0])
    return edge if weight >= STRETCH else None, weight
