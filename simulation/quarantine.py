"""ports.DeadParcels, in memory. Nothing that the simulation makes is unreadable: what lands here is a finding."""

from __future__ import annotations

from collections.abc import Sequence

from sendwright.model.ids import parcel_id
from sendwright.model.records import DeadParcel


class Quarantine:
    """What was kept, by id."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[DeadParcel, bytes]] = {}
        self.versions: dict[str, int | None] = {}
        self.trials: dict[str, list[str]] = {}
        """Who has set about it, one after the other."""

    async def keep(self, lane: str, body: bytes, problem: str, now: int, version: int | None = None) -> None:
        id_ = parcel_id(lane, body)
        self.kept[id_] = (DeadParcel(id_, lane, now, problem, len(body)), body)
        self.versions[id_] = version

    async def legible(self, version: int, limit: int) -> list[tuple[DeadParcel, bytes]]:
        fit = [self.kept[id_] for id_, its in self.versions.items() if id_ in self.kept and its is not None and its <= version]
        return sorted(fit, key=lambda found: (found[0].at, found[0].id))[:limit]

    async def tried(self, lane: str, body: bytes, by: str, now: int) -> int:
        found = self.trials.setdefault(parcel_id(lane, body), [])
        if found[-1:] != [by]:
            found.append(by)
        return len(found) - 1

    async def cleared(self, lane: str, body: bytes) -> None:
        self.trials.pop(parcel_id(lane, body), None)

    async def newest(self, limit: int) -> Sequence[DeadParcel]:
        return [row for row, _ in self.kept.values()][:limit]

    async def found(self, id_: str) -> tuple[DeadParcel, bytes] | None:
        return self.kept.get(id_)

    async def drop(self, id_: str, at: int | None = None) -> bool:
        self.trials.pop(id_, None)
        return self.kept.pop(id_, None) is not None
