"""What is switched at run time, over PostgreSQL, with the epoch that claims must hold.

Claims only read the epoch, and so never wait for one another. Who raises it takes the table's lock, which waits for the claims
that have read the old one, and lets no other read it until the commit: once a switch is answered, nothing is claimed that
was decided before it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence

from msgspec.structs import replace

from sendwright.drivers.store.postgres.batcher import Batcher
from sendwright.drivers.store.postgres.connections import Connections, Db
from sendwright.model.records import SWITCHED, Switch

_READ = "select provider, enabled, weight, rate, concurrency from switches order by provider"


class PostgresSwitchboard:
    """ports.Switchboard."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._set: Batcher[tuple[Switch, Collection[str]], int] = Batcher(self._set_all)

    async def close(self) -> None:
        await self._set.close()

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


async def _set(db: Db, items: list[tuple[Switch, Collection[str]]]) -> list[int]:
    await db.execute("lock table epoch in access exclusive mode")
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
        epochs.append(await db.fetchval("update epoch set value = value + 1 returning value"))
    return epochs
