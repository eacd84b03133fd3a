"""ports.DeadParcels, in memory. Nothing that the simulation makes is unreadable: what lands here is a finding."""

from __future__ import annotations

from collections.abc import Sequence

from sendwright.model.ids import parcel_id
from sendwright.model.records import DeadParcel


class Quarantine:
    """What was kept, by id."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[DeadParcel, bytes]] = {}

    async def keep(self, lane: str, body: bytes, problem: str, now: int) -> None:
        id_ = parcel_id(lane, body)
        self.kept[id_] = (DeadParcel(id_, lane, now, problem, len(body)), body)

    async def newest(self, limit: int) -> Sequence[DeadParcel]:
        return [row for row, _ in self.kept.values()][:limit]

    async def found(self, id_: str) -> tuple[DeadParcel, bytes] | None:
        return self.kept.get(id_)

    async def drop(self, id_: str, at: int | None = None) -> bool:
        return self.kept.pop(id_, None) is not None
