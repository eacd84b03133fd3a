"""What people ask to see, over the reader's connection. Lists are pages over ids, new to old, with a bounded scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import msgspec

from sendwright.drivers.store.sqlite.audit import recount
from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.sql import MESSAGE_COLUMNS, SQL
from sendwright.drivers.store.sqlite.writer import rows_of
from sendwright.model import ids
from sendwright.model.content import Content
from sendwright.model.notification import OnDoubt, Priority
from sendwright.model.records import AttemptRecord, Audit, Event, Listed, MessageRecord, NotificationRecord, Page
from sendwright.model.states import MessageState, notification_state

SCAN_MAX = 2000
"""Most rows that one page looks at: a rare filter over much history takes several pages."""

_MESSAGES = msgspec.json.Decoder(list[MessageRecord], strict=False)
_ATTEMPTS = msgspec.json.Decoder(list[AttemptRecord], strict=False)


class _Row(msgspec.Struct, array_like=True):
    id: str
    tenant: str
    at: int
    priority: Priority
    category: str
    on_doubt: OnDoubt
    content: Content | None
    messages: int
    counts: dict[str, int]
    send_at: int | None
    expires_at: int | None
    metadata: dict[str, str] | None
    key: str | None
    cancelled_at: int | None


_NOTIFICATIONS = msgspec.json.Decoder(list[_Row], strict=False)

_NOTIFICATION = """json_array(n.id, n.tenant, n.at, n.priority, n.category, n.on_doubt, json(n.content), n.messages,
 json((select coalesce(json_group_object(state, total), '{}') from (select state, count(*) as total from messages
   where id >= 'msg_' || substr(n.id, 5) and id < 'msg_' || substr(n.id, 5) || '~' group by state))),
 n.send_at, n.expires_at, json(n.metadata), n.key, n.cancelled_at)"""


class SqliteRecords:
    """ports.Records."""

    def __init__(self, reader: Reader, slow: Reader) -> None:
        self._reader = reader
        self._slow = slow

    async def notification(self, tenant: str, notification: str) -> NotificationRecord | None:
        sql = f"select json_group_array({_NOTIFICATION}) from notifications n where n.id = ?1 and n.tenant = ?2"  # noqa: S608
        rows = await self._reader.run(lambda db: _NOTIFICATIONS.decode(db.execute(sql, (notification, tenant)).get))
        return _record(rows[0]) if rows else None

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

    async def list_messages(self, page: Page) -> Listed[MessageRecord]:
        if page.notification is not None and not ids.looks_like(ids.NOTIFICATION, page.notification):
            return Listed((), None)  # a range of ids made from anything else holds what nobody asked for, or all there is
        where, args = _message_filters(page)
        rows, last = await self._reader.run(lambda db: _scan(db, "messages", where, args, page))
        wanted = rows_of(rows)
        found = await self._reader.run(lambda db: _MESSAGES.decode(db.execute(SQL["load_messages"], (wanted,)).get or "[]"))
        by_id = {m.id: m for m in found}
        return Listed(tuple(by_id[id_] for id_ in rows if id_ in by_id), last)

    async def list_notifications(self, page: Page) -> Listed[NotificationRecord]:
        where, args = _notification_filters(page)
        rows, last = await self._reader.run(lambda db: _scan(db, "notifications", where, args, page))
        sql = f"select json_group_array({_NOTIFICATION}) from json_each(?1) j join notifications n on n.id = j.value"  # noqa: S608
        found = await self._reader.run(lambda db: _NOTIFICATIONS.decode(db.execute(sql, (rows_of(rows),)).get or "[]"))
        by_id = {row.id: _record(row) for row in found}
        records = (by_id[id_] for id_ in rows if id_ in by_id)
        if page.state is not None:
            records = (record for record in records if state_of(record) == page.state)
        return Listed(tuple(records), last)

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
        sql = "select (select count(*) from messages where dead = 1), (select count(*) from messages where state = 30)"
        dead, doubts = await self._slow.run(lambda db: db.execute(sql).fetchall()[0])
        return dead, doubts

    async def last_event(self) -> int:
        """The greatest `seq` so far."""
        return await self._reader.run(lambda db: db.execute("select coalesce(max(seq), 0) from events").get)

    async def audit(self) -> Audit:
        return await self._slow.run(recount)


def state_of(record: NotificationRecord) -> MessageState:
    """A notification's state, from its counts."""
    if record.cancelled_at is not None and not record.counts:
        return MessageState.ACCEPTED
    return notification_state(list(record.counts))


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
    )


def _event(row: tuple[Any, ...]) -> Event:
    seq, at, tenant, type_, subject, detail = row
    message = subject if subject.startswith(ids.MESSAGE) else None
    return Event(seq, at, tenant, type_, ids.notification_of(subject), message, detail)


def _list_sql(where: str, order: str, limit: str) -> str:
    inner = f"select * from messages m where {where} order by {order} limit {limit}"  # noqa: S608
    return f"select json_group_array(json_array({MESSAGE_COLUMNS})) from ({inner}) m"  # noqa: S608


def _message_filters(page: Page) -> tuple[list[str], dict[str, Any]]:
    where, args = _common(page, ids.MESSAGE)
    if page.notification is not None:
        low = ids.MESSAGE + page.notification[4:]
        where += ["id >= :low", "id < :high"]
        args |= {"low": low, "high": low + "~"}
    for name in ("channel", "provider", "recipient"):
        value = getattr(page, name)
        if value is not None:
            where.append(f"{name} = :{name}")
            args[name] = value
    if page.state is not None:
        where.append(f"state = {page.state.value}")
    if page.doubled is not None:
        where.append(f"doubled = {int(page.doubled)}")
    if page.dead is not None:
        where.append(f"dead = {int(page.dead)}")
    return where, args


def _notification_filters(page: Page) -> tuple[list[str], dict[str, Any]]:
    where, args = _common(page, ids.NOTIFICATION)
    if page.key is not None:
        where.append("key = :key")
        args["key"] = page.key
    return where, args


def _common(page: Page, prefix: str) -> tuple[list[str], dict[str, Any]]:
    where: list[str] = ["tenant = :tenant"]
    args: dict[str, Any] = {"tenant": page.tenant}
    if page.since is not None:
        where.append("id >= :since")
        args["since"] = ids.floor(prefix, page.since)
    if page.until is not None:
        where.append("id < :until")
        args["until"] = ids.floor(prefix, page.until)
    return where, args


_INDEXED = ("state = ", "doubled = 1", "dead = 1", "recipient = ", "key = ", "id >= :low")


def _scan(db: apsw.Connection, table: str, where: list[str], args: dict[str, Any], page: Page) -> tuple[list[str], str | None]:
    """Ids of one page and where the next goes on. A filter without an index looks at no more than `SCAN_MAX` rows."""
    cursor = ["id < :before"] if page.before is not None else []
    args = args | {"before": page.before, "limit": page.limit + 1, "scan": SCAN_MAX}
    narrow = any(clause.startswith(_INDEXED) for clause in where) and "state = 20" not in where
    if narrow or len(where) == 1:
        sql = f"select id from {table} where {' and '.join(where + cursor)} order by id desc limit :limit"  # noqa: S608
        found = [row[0] for row in db.execute(sql, args)]
        more = len(found) > page.limit
        return found[: page.limit], found[page.limit - 1] if more else None
    horizon = f"select min(id) from (select id from {table} {_where(cursor)} order by id desc limit :scan)"  # noqa: S608
    edge = db.execute(horizon, args).get
    if edge is None:
        return [], None
    args["edge"] = edge
    sql = f"select id from {table} where {' and '.join([*where, *cursor, 'id >= :edge'])} order by id desc limit :limit"  # noqa: S608
    found = [row[0] for row in db.execute(sql, args)]
    if len(found) > page.limit:
        return found[: page.limit], found[page.limit - 1]
    older = db.execute(f"select 1 from {table} where id < ?1 limit 1", (edge,)).get  # noqa: S608
    return found, edge if older else None


def _where(clauses: list[str]) -> str:
    return f"where {' and '.join(clauses)}" if clauses else ""
