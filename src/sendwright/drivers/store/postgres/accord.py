"""What workers agree on, over PostgreSQL: one row for each rate and breaker, compared and set by the server's clock."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sendwright.drivers.store.postgres.connections import Connections, Db
from sendwright.drivers.store.postgres.notices import told
from sendwright.drivers.store.postgres.partitions import Partitions
from sendwright.drivers.store.postgres.sql import SQL
from sendwright.model.accord import Bar, Block, Change, Picture, Standing, Total
from sendwright.model.notices import Notice
from sendwright.policy.limit import KEPT_S, URGENT_AHEAD_S, again_at, ahead_s, lead_s

_BARS = msgspec.json.Decoder(tuple[Bar, ...])
_RATES = msgspec.json.Decoder(tuple[tuple[str, float], ...])
_TOTALS = msgspec.json.Decoder(tuple[Total, ...])


class PostgresAccord:
    """ports.Accord."""

    def __init__(self, connections: Connections, partitions: Partitions) -> None:
        self._connections = connections
        self._partitions = partitions

    async def lease(self, provider: str, want: int, cell_s: float, reach_s: float, *, urgent: bool) -> Block:
        asked = (provider, want, cell_s, urgent, ahead_s(urgent=urgent), lead_s(cell_s), URGENT_AHEAD_S - KEPT_S, reach_s)
        rows = await self._connections.statement("lease", "rate_lease", *asked)
        while not rows:
            await self._connections.statement("lease", "rate_first", provider)
            rows = await self._connections.statement("lease", "rate_lease", *asked)
        now, first, count, kept_until = rows[0]
        return Block(now, first, count, 0.0 if count else again_at(first, kept_until, urgent=urgent))

    async def move(
        self, provider: str, version: int, change: Change, *, when_due: bool = False, notices: Sequence[Notice] = ()
    ) -> Bar | None:
        c = change
        stated = (provider, version, c.shut, c.why, c.misconfigured, c.interval_s, c.probe_in_s, c.probing_s, when_due)
        rows = await told(self._connections, self._partitions, "move", "breaker_move", stated, notices)
        return Bar(*rows[0]) if rows else None

    async def exchange(self, process: str, news: Sequence[Standing], lease_s: float) -> Picture:
        async def exchanged(db: Db) -> Picture:
            if news:
                columns = zip(*((s.provider, s.in_flight, s.waiting, s.calls, s.good, s.latency_ms) for s in news), strict=True)
                await db.execute(SQL["accord_report"], process, *(list(column) for column in columns))
            now, epoch, bars, rates, totals = (await db.fetch(SQL["accord_picture"], lease_s))[0]
            return Picture(now, epoch, _BARS.decode(bars), _RATES.decode(rates), _TOTALS.decode(totals))

        return await (self._connections.writing if news else self._connections.reading)(exchanged)
