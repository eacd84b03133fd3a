"""Parcels that nobody can read, kept raw with what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence

from sendwright.drivers.store.postgres.connections import Connections
from sendwright.drivers.store.postgres.rows import clean
from sendwright.model.ids import parcel_id
from sendwright.model.records import DeadParcel


class PostgresQuarantine:
    """ports.DeadParcels. They are few: each is written by itself."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def keep(self, lane: str, body: bytes, problem: str, now: int, version: int | None = None) -> None:
        await self._connections.statement("keep", "parcel_keep", parcel_id(lane, body), lane, now, clean(problem), body, version)

    async def newest(self, limit: int) -> Sequence[DeadParcel]:
        return [DeadParcel(*row) for row in await self._connections.read("parcels_newest", limit)]

    async def found(self, id_: str) -> tuple[DeadParcel, bytes] | None:
        for *shown, body in await self._connections.read("parcel_found", id_):
            return DeadParcel(*shown), body
        return None

    async def drop(self, id_: str, at: int | None = None) -> bool:
        return bool(await self._connections.statement("drop", "parcel_drop", id_, at))

    async def legible(self, version: int, limit: int) -> Sequence[tuple[DeadParcel, bytes]]:
        rows = await self._connections.read("parcels_legible", version, limit)
        return [(DeadParcel(*shown), body) for *shown, body in rows]

    async def tried(self, lane: str, body: bytes, by: str, now: int) -> int:
        rows = await self._connections.statement("tried", "parcel_tried", parcel_id(lane, body), by, now)
        return int(rows[0][0])

    async def cleared(self, lane: str, body: bytes) -> None:
        await self._connections.statement("cleared", "parcel_cleared", parcel_id(lane, body))
