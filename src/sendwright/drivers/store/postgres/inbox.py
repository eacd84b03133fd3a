"""The inboxes, over PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from sendwright.drivers.store.postgres.connections import Connections, Db
from sendwright.drivers.store.postgres.sql import SQL
from sendwright.model.inbox import Counts, Item, ItemContent, Mark, Place, View, marked

_SAID = msgspec.json.Decoder(ItemContent)
_TIMES = ("delivered_at", "read_at", "archived_at", "snoozed_until")


class PostgresInbox:
    """ports.Inbox."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def add(self, item: Item) -> None:
        said = msgspec.json.encode(item.said).decode()
        args = (item.id, item.tenant, item.recipient, item.at, item.provider, item.attempt, said)
        await self._connections.statement("add", "inbox_add", *args)

    async def page(
        self, tenant: str, recipient: str, view: View, now: int, limit: int, after: Place | None = None
    ) -> Sequence[Item]:
        return _items(await self._connections.read(f"inbox_{view}", tenant, recipient, now, *(after or (None, None)), limit))

    async def counts(self, tenant: str, recipient: str, now: int) -> Counts:
        ((unread, total, every, changed_at),) = await self._connections.read("inbox_counts", tenant, recipient, now)
        return Counts(unread, total, f"{unread}.{total}.{every}.{changed_at}")

    async def mark(
        self, tenant: str, recipient: str, ids: Collection[str] | None, mark: Mark, now: int, until: int | None = None
    ) -> Sequence[Item]:
        wanted = None if ids is None else list(ids)

        async def work(db: Db) -> list[Item]:
            found = _items(await db.fetch(SQL["inbox_named"], tenant, recipient, wanted, now))
            changed = [after for item in found if (after := marked(item, mark, now, until)) is not item]
            if changed:
                values = [[getattr(item, name) for item in changed] for name in ("id", *_TIMES, "owed")]
                await db.execute(SQL["inbox_mark"], *values, now)
            return changed

        return await self._connections.transaction("mark", work)

    async def owed(self, limit: int) -> Sequence[Item]:
        return _items(await self._connections.read("inbox_owed", limit))

    async def reported(self, items: Sequence[Item]) -> None:
        args = [item.id for item in items], [item.owed for item in items]
        await self._connections.statement("reported", "inbox_reported", *args)

    async def forget(self, before: int, limit: int) -> int:
        return len(await self._connections.statement("forget", "inbox_forget", before, limit))


def _items(rows: Sequence[Any]) -> list[Item]:
    found = []
    for id_, tenant, recipient, at, provider, attempt, said, *times in rows:
        found.append(Item(id_, tenant, recipient, at, provider, attempt, _SAID.decode(said), *times))
    return found
