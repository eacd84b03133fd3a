"""What people ask to see, over connections that only read.

Lists are pages over ids, new to old. A page is searched for stretch by stretch, until it is full, the rows are at their
end, or so many were looked at that the caller should ask again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from sendwright.drivers.queue_desk import LOST_MS
from sendwright.drivers.store.postgres.audit import InFlight, recount
from sendwright.drivers.store.postgres.connections import Connections, first
from sendwright.drivers.store.postgres.rows import (
    MESSAGE_WIDTH,
    attempt_from,
    bounds,
    content_from,
    day_of,
    event_from,
    message_from,
    wait_from,
)
from sendwright.drivers.store.postgres.sql import MESSAGE_COLUMNS
from sendwright.drivers.store.sampling import strip_of, together
from sendwright.model import ids
from sendwright.model.notification import Priority, state_of
from sendwright.model.records import AttemptRecord, Audit, Event, Listed, MessageRecord, NotificationRecord, Page
from sendwright.model.states import MessageState
from sendwright.model.stats import COUNTED_MAX, UNIT_MAX, Backlog, Strip

SCAN_MAX = 50_000
"""Most rows that one page looks at: a filter that matches almost nothing takes several pages over much history."""
STRETCH = 5_000
"""Rows that are looked at by one statement."""
HORIZON_TURNS = 200
HORIZON_EVERY_S = 0.005
"""So often, and at such distances, does a reader of events look whether older transactions have ended, where it would miss what is
committed already: for a second, about. A long transaction of anybody in this database holds the feed back, but loses nothing."""
PATIENT_TURNS = 20
"""After so many it looks closer, for those of other databases on the server hold nobody back."""

_UNUSUAL = (10, 11, 30, 50, 51, 52, 53)
"""The states that have an index: `listed` in the schema."""

_WAIT_COLUMNS = "w.kind, w.due_at, w.key, w.name, w.until, w.serial"
_MESSAGE = f"select {MESSAGE_COLUMNS}, {_WAIT_COLUMNS} from messages m left join waits w on w.message = m.id"  # noqa: S608
_COUNTS = (
    "(select json_object_agg(c.state, c.n) from (select m.state, count(*) as n from messages m"
    " where m.id > 'msg_' || substr(n.id, 5) and m.id < 'msg_' || substr(n.id, 5) || '~' group by m.state) c)::text"
)
_NOTIFICATION = (
    "select n.id, n.tenant, n.at, n.priority, n.category, n.on_doubt, n.content, n.messages,"  # noqa: S608 — names of ours
    f" {_COUNTS}, n.send_at, n.expires_at, n.metadata, n.key, n.cancelled_at, n.type from notifications n"
)
_METADATA = msgspec.json.Decoder(dict[str, str])


class _Search:
    """Where a list is searched: conditions that have an index (`base`), and those that are asked of each row (`filters`)."""

    def __init__(self, page: Page, prefix: str) -> None:
        self.args: list[Any] = []
        self.low, self.high = _between(page, prefix)
        self.base: list[str] = []
        self.filters: list[str] = [f"tenant = {self.bound(page.tenant)}"]
        self.extra: list[str] = []
        """Conditions that name their table themselves."""

    def bound(self, value: Any) -> str:
        self.args.append(value)
        return f"${len(self.args)}"

    def sql(self, select: str, alias: str, low: str, high: str, limit: int) -> tuple[str, list[Any]]:
        """The rows of one stretch, and their arguments."""
        n = len(self.args)
        where = " and ".join([*(f"{alias}.{each}" for each in [*self.base, *self.filters]), *self.extra])
        text = (
            f"{select} where {where} and {alias}.id >= ${n + 1} and {alias}.id < ${n + 2} order by {alias}.id desc limit ${n + 3}"
        )
        return text, [*self.args, low, high, limit]


class PostgresRecords:
    """ports.Records. `in_flight`: what is on the lanes, where the bus lets us look into them; where it does not, `lost_ms` is how
    long something may be there."""

    def __init__(self, connections: Connections, in_flight: InFlight | None, lost_ms: int = LOST_MS) -> None:
        self._connections = connections
        self._in_flight = in_flight
        self._lost_ms = lost_ms

    async def notification(self, tenant: str, notification: str) -> NotificationRecord | None:
        rows = await self._connections.query(f"{_NOTIFICATION} where n.id = $1 and n.tenant = $2", notification, tenant)
        return _notification_from(rows[0]) if rows else None

    async def metadata_of(self, notifications: Collection[str]) -> Mapping[str, dict[str, str]]:
        sql = "select id, metadata from notifications where id = any($1::text[]) and metadata is not null"
        return {row[0]: _METADATA.decode(row[1]) for row in await self._connections.query(sql, list(notifications))}

    async def messages_of(self, notification: str, limit: int, after: str | None) -> Sequence[MessageRecord]:
        if not ids.looks_like(ids.NOTIFICATION, notification):
            return []
        low = ids.MESSAGE + notification[4:]
        sql = f"{_MESSAGE} where m.id > $1 and m.id < $2 order by m.id limit $3"
        return [_message_from(row) for row in await self._connections.query(sql, after or low, low + "~", limit)]

    async def message(self, tenant: str, message: str) -> MessageRecord | None:
        rows = await self._connections.query(f"{_MESSAGE} where m.id = $1 and m.tenant = $2", message, tenant)
        return _message_from(rows[0]) if rows else None

    async def attempts(self, message: str) -> Sequence[AttemptRecord]:
        lows, highs = bounds(ids.ATTEMPT, [message])
        return [attempt_from(row) for row in await self._connections.read("attempts_of", lows, highs)]

    async def timeline(self, message: str) -> Sequence[Event]:
        subjects = [message, ids.notification_of(message)]
        return [event_from(row) for row in await self._connections.read("timeline", subjects, day_of(message))]

    async def said_back(self, tenant: str, marks: Collection[str], limit: int, before: int | None = None) -> Sequence[Event]:
        below = before if before is not None else (1 << 63) - 1
        return [event_from(row) for row in await self._connections.read("said_back", tenant, list(marks), below, limit)]

    async def list_messages(self, page: Page) -> Listed[MessageRecord]:
        if page.notification is not None and not ids.looks_like(ids.NOTIFICATION, page.notification):
            return Listed((), None)  # a range of ids made from anything else holds what nobody asked for, or all there is
        search = _Search(page, ids.MESSAGE)
        for name in ("recipient", "channel", "provider", "reason"):
            if (wanted := getattr(page, name)) is not None:
                (search.base if name == "recipient" else search.filters).append(f"{name} = {search.bound(wanted)}")
        for name in ("doubled", "dead"):
            if (flag := getattr(page, name)) is not None:
                (search.base if flag else search.filters).append(f"{name} is {str(flag).lower()}" if not flag else name)
        if page.state is not None and page.state in _UNUSUAL:
            search.base.append(f"listed = {page.state.value}")
        elif page.state is not None:
            search.filters.append(f"state = {page.state.value}")
        return await self._listed(search, page.limit, lambda low, high, room: self._messages_in(search, low, high, room))

    async def list_notifications(self, page: Page) -> Listed[NotificationRecord]:
        search = _Search(page, ids.NOTIFICATION)
        if page.key is not None:
            search.base += ["tenant = $1", f"key = {search.bound(page.key)}"]
        if page.type is not None:
            wanted = search.bound(page.type)
            search.extra.append(f"(n.type = {wanted} or split_part(n.type, '@', 1) = {wanted})")
        if page.state is not None:
            search.extra.append(_lowest(page.state))
        return await self._listed(
            search, page.limit, lambda low, high, room: self._notifications_in(search, low, high, room, page.state), "notifications"
        )

    async def _listed(
        self,
        search: _Search,
        limit: int,
        look: Callable[[str, str, int], Awaitable[tuple[list[Any], str | None]]],
        table: str = "messages",
    ) -> Listed[Any]:
        """One page: as many as `limit`, where that many are within `SCAN_MAX` rows."""
        found: list[Any] = []
        high: str | None = search.high
        looked = 0
        while high is not None and len(found) <= limit and looked < SCAN_MAX:
            edge = await self._edge(search, table, high)
            more, stopped = await look(edge or search.low, high, limit + 1 - len(found))
            found += more
            high = stopped or edge
            looked += STRETCH
        return Listed(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else high)

    async def _edge(self, search: _Search, table: str, high: str) -> str | None:
        """The lowest id of the stretch below `high`; None where it is the last."""
        n = len(search.args)
        conditions = [f"(${number}::text is null or true)" for number in range(1, n + 1)]
        where = " and ".join([*search.base, *conditions, f"id >= ${n + 1} and id < ${n + 2}"])
        sql = f"select id from {table} where {where} order by id desc offset {STRETCH - 1} limit 1"  # noqa: S608
        edge: str | None = first(await self._connections.query(sql, *search.args, search.low, high))
        return edge

    async def _messages_in(self, search: _Search, low: str, high: str, room: int) -> tuple[list[MessageRecord], str | None]:
        sql, args = search.sql(_MESSAGE, "m", low, high, room)
        return [_message_from(row) for row in await self._connections.query(sql, *args)], None

    async def _notifications_in(
        self, search: _Search, low: str, high: str, room: int, state: MessageState | None
    ) -> tuple[list[NotificationRecord], str | None]:
        """With a state, those that have messages in it and none below, or none at all: `state_of` has the last word."""
        sql, args = search.sql(_NOTIFICATION, "n", low, high, room)
        found = [_notification_from(row) for row in await self._connections.query(sql, *args)]
        if state is None:
            return found, None
        fitting = [r for r in found if state_of(r.counts, cancelled=r.cancelled_at is not None) == state]
        return fitting, found[-1].id if len(found) == room else None

    async def dead_causes(self, tenant: str) -> Sequence[tuple[str, str, str, int]]:
        sql = (
            "select coalesce(channel, ''), coalesce(reason, 'unknown'), coalesce(provider, ''), count(*)"
            " from messages where dead and tenant = $1 group by 1, 2, 3 order by 4 desc"
        )
        return [tuple(row) for row in await self._connections.query(sql, tenant)]

    async def events(self, tenant: str, after: int, limit: int) -> Sequence[Event]:
        """Below the horizon of the oldest transaction that writes, since a number may yet be inserted above it. What was committed
        when this was called is shown, though: for that it waits, where it must, until those before it have ended."""
        horizon = await self._horizon()
        rows = await self._connections.read("events_between", after, horizon, tenant, limit)
        goal: int | None = None
        if len(rows) < limit:
            goal = first(await self._connections.read("events_beyond", horizon, after, tenant))
        if goal is not None:
            for turn in range(HORIZON_TURNS):
                horizon = await self._horizon("horizon" if turn < PATIENT_TURNS else "horizon_here")
                if horizon > goal:
                    break
                await asyncio.sleep(HORIZON_EVERY_S)
            rows = await self._connections.read("events_between", after, horizon, tenant, limit)
        return [event_from(row) for row in rows]

    async def _horizon(self, by: str = "horizon") -> int:
        return int(first(await self._connections.read(by)))

    async def figures(self) -> tuple[int, int]:
        """How many dead letters there are, and how many messages are held in doubt."""
        doubt = MessageState.IN_DOUBT.value
        sql = f"select (select count(*) from messages where dead), (select count(*) from messages where listed = {doubt})"  # noqa: S608
        ((dead, doubts),) = await self._connections.query(sql)
        return dead, doubts

    async def sampled(self, tenant: str, spans: Sequence[tuple[int, int]], most: int) -> Sequence[Strip]:
        found: list[list[Sequence[Any]]] = [[] for _ in spans]
        for place, *row in await self._connections.read("strip_samples", *_edges(spans), most, tenant):
            found[place - 1].append(row)
        return [strip_of(rows, most) for rows in found]

    async def accepted_within(self, tenant: str, spans: Sequence[tuple[int, int]], most: int = UNIT_MAX) -> Sequence[int]:
        return [row[0] for row in await self._connections.read("accepted_within", *_edges(spans), most, tenant)]

    async def backlog(self, tenant: str) -> Backlog:
        ((dead, in_doubt),) = await self._connections.read("backlog_counts", tenant, COUNTED_MAX)
        return Backlog(dead, in_doubt, together(await self._connections.read("backlog_parked", tenant, COUNTED_MAX)))

    async def last_event(self) -> int:
        """The greatest `seq` that is shown so far."""
        horizon = await self._horizon()
        return int(first(await self._connections.query("select coalesce(max(seq), 0) from events where seq < $1", horizon)))

    async def audit(self) -> Audit:
        return await self._connections.reading(lambda db: recount(db, self._in_flight, self._lost_ms))


def _edges(spans: Sequence[tuple[int, int]]) -> tuple[list[str], list[str]]:
    """Spans of time as spans of ids: where each begins, and where it ends."""
    lows, highs = ([ids.floor(ids.MESSAGE, at) for at in edges] for edges in zip(*spans, strict=True))
    return lows, highs


def _message_from(row: Sequence[Any]) -> MessageRecord:
    return message_from(row, wait_from(row[MESSAGE_WIDTH:]))


def _notification_from(row: Sequence[Any]) -> NotificationRecord:
    counts = {} if row[8] is None else msgspec.json.decode(row[8], type=dict[str, int])
    return NotificationRecord(
        id=row[0],
        tenant=row[1],
        at=row[2],
        priority=Priority(row[3]),
        category=row[4],
        on_doubt=row[5],
        content=None if row[6] is None else content_from(row[6]),
        messages=row[7],
        counts={MessageState(int(code)): count for code, count in counts.items()},
        send_at=row[9],
        expires_at=row[10],
        metadata={} if row[11] is None else _METADATA.decode(row[11]),
        key=row[12],
        cancelled_at=row[13],
        type=row[14],
    )


def _lowest(state: MessageState) -> str:
    """Notifications that have messages in a state and none below, or none at all: only those can be in it."""
    own = "select from messages x where x.id > 'msg_' || substr(n.id, 5) and x.id < 'msg_' || substr(n.id, 5) || '~'"
    inside = f"x.listed = {state.value}" if state in _UNUSUAL else f"x.state = {state.value}"
    return f"(n.messages = 0 or (exists ({own} and {inside}) and not exists ({own} and x.state < {state.value})))"


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
