"""What is switched at run time, over PostgreSQL, with the epoch that claims must hold.

Claims only read the epoch, and so never wait for one another. Who raises it takes the table's lock, which waits for the claims
that have read the old one, and lets no other read it until the commit: once a switch is answered, nothing is claimed that
was decided before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Sequence

import msgspec
from msgspec.structs import replace

from sendwright.drivers.store.postgres.batcher import Batcher
from sendwright.drivers.store.postgres.connections import Connections, Db
from sendwright.model.records import SWITCHED, Order, Switch

_READ = "select provider, enabled, weight, rate, concurrency from switches order by provider"


class PostgresSwitchboard:
    """ports.Switchboard."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._set: Batcher[tuple[Switch, Collection[str]], int] = Batcher(self._set_all)
        self._reorder: Batcher[Order, int] = Batcher(self._reorder_all)

    async def close(self) -> None:
        await asyncio.gather(self._set.close(), self._reorder.close())

    async def read(self) -> tuple[int, Sequence[Switch]]:
        # The epoch first: it may be older than the switches, and then claims are refused and everybody reads again.
        async def both(db: Db) -> tuple[int, list[Switch]]:
            epoch: int = await db.fetchval("select value from epoch")
            return epoch, [Switch(*row) for row in await db.fetch(_READ)]

        return await self._connections.reading(both)

    def set(self, switch: Switch, members: Collection[str] = SWITCHED) -> Awaitable[int]:
        return self._set.submit((switch, members), urgent=True)

    async def _set_all(self, items: list[tuple[Switch, Collection[str]]]) -> list[int]:
        """Items: (switch, members of it that are set). Each raises the epoch."""
        return await self._connections.transaction("set", lambda db: _set(db, items))

    async def orders(self) -> Sequence[Order]:
        rows = await self._connections.reading(lambda db: db.fetch("select channel, providers from routes order by channel"))
        return [Order(channel, msgspec.json.decode(text, type=tuple[str, ...])) for channel, text in rows]

    def reorder(self, order: Order) -> Awaitable[int]:
        return self._reorder.submit(order, urgent=True)

    async def _reorder_all(self, items: list[Order]) -> list[int]:
        """Items: orders. Each raises the epoch."""
        return await self._connections.transaction("reorder", lambda db: _reorder(db, items))


async def _locked(db: Db) -> None:
    """Waits for the claims that have read the epoch; none reads it before the commit."""
    await db.execute("lock table epoch in access exclusive mode")


async def _raised(db: Db) -> int:
    epoch: int = await db.fetchval("update epoch set value = value + 1 returning value")
    return epoch


async def _reorder(db: Db, items: list[Order]) -> list[int]:
    await _locked(db)
    epochs = []
    for order in items:
        if order.providers is None:
            await db.execute("delete from routes where channel = $1", order.channel)
        else:
            await db.execute(
                "insert into routes (channel, providers) values ($1, $2) on conflict (channel) do update set providers = $2",
                order.channel,
                msgspec.json.encode(order.providers).decode(),
            )
        epochs.append(await _raised(db))
    return epochs


async def _set(db: Db, items: list[tuple[Switch, Collection[str]]]) -> list[int]:
    await _locked(db)
    current = {row[0]: Switch(*row) for row in await db.fetch(_READ)}
    epochs = []
    for asked, members in items:
        before = current.get(asked.provider, Switch(asked.provider))
        s = current[asked.provider] = replace(before, **{name: getattr(asked, name) for name in members})
        await db.execute(
            "insert into switches (provider, enabled, weight, rate, concurrency) values ($1, $2, $3, $4, $5)"
            " on conflict (provider) do update set enabled = $2, weight = $3, rate = $4, concurrency = $5",
            s.provider,
            s.enabled,
            s.weight,
            s.rate,
            s.concurrency,
        )
        epochs.append(await _raised(db))
    return epochs
