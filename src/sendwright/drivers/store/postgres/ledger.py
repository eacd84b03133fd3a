"""The ledger over PostgreSQL: the rows that decide.

The straight path (plan, claim, accepted) is one statement per flush, which is its own transaction. Everything else locks the
rows of its messages, loads them into a `Folio`, lets `policy.fold` decide, and writes them back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from sendwright.drivers.store import changes
from sendwright.drivers.store.postgres.batcher import Batcher
from sendwright.drivers.store.postgres.changing import CancelAll, ChangeAll, Repair, RepairAll, UnheardAll
from sendwright.drivers.store.postgres.connections import Connections
from sendwright.drivers.store.postgres.outcomes import ClaimAll, ObserveAll, SettleAll
from sendwright.drivers.store.postgres.partitions import Partitions
from sendwright.drivers.store.postgres.plans import PlanAll, weight_of
from sendwright.model.ids import MESSAGE
from sendwright.model.notification import Priority
from sendwright.model.parcel import PARCELS_MAX, Parcel, Sighting
from sendwright.model.records import (
    Cancelled,
    Claim,
    Claimed,
    MessageRecord,
    Patience,
    Plan,
    Refused,
    Settlement,
    Sighted,
    Unheard,
    Wait,
)
from sendwright.model.states import MessageState
from sendwright.policy.fold import Future, unknown
from sendwright.policy.suppression import Marker

CANCELLED_WHOLE = 64
"""How many messages a notification that is cancelled is taken for, in the weight of a flush."""


class PostgresLedger:
    """ports.Ledger."""

    def __init__(self, connections: Connections, partitions: Partitions, marker: Marker) -> None:
        def needed(names: Callable[[Any], str]) -> Callable[[list[Any]], Awaitable[None]]:
            return lambda items: partitions.make(names(item) for item in items)

        self._plan: Batcher[Plan, list[Parcel]] = Batcher(
            PlanAll(connections),
            mend=needed(lambda plan: plan.id),
            weight=weight_of,
            key=lambda plan: plan.id,
            repeatable=True,
            worthwhile=PARCELS_MAX,
        )
        self._claim: Batcher[Claim, Claimed | Refused] = Batcher(
            ClaimAll(connections),
            mend=needed(lambda claim: claim.parcel.id),
            key=lambda claim: claim.parcel.id,
            repeatable=True,
        )
        of_message = needed(lambda settlement: settlement.message)
        self._settle: Batcher[Settlement, MessageState] = Batcher(SettleAll(connections, marker), mend=of_message, repeatable=True)
        self._observe: Batcher[tuple[Sighting, int], Sighted] = Batcher(
            ObserveAll(connections, marker), mend=needed(lambda item: item[0].attempt or "")
        )
        self._change: Batcher[tuple[str, changes.Change], Any] = Batcher(
            ChangeAll(connections), mend=needed(lambda item: item[1].message)
        )
        self._cancel: Batcher[tuple[str, str, int], Cancelled] = Batcher(
            CancelAll(connections),
            mend=needed(lambda item: item[1]),
            weight=lambda item: 1 if item[1].startswith(MESSAGE) else CANCELLED_WHOLE,
        )
        self._repair: Batcher[Repair, list[str]] = Batcher(RepairAll(connections), key=lambda _: "")
        self._unheard: Batcher[tuple[int, int], list[Unheard]] = Batcher(UnheardAll(connections), key=lambda _: "")

    def _all(self) -> Iterator[Batcher[Any, Any]]:
        yield from (self._plan, self._claim, self._settle, self._observe, self._change, self._cancel, self._repair, self._unheard)

    async def close(self) -> None:
        """Flushes what was submitted."""
        await asyncio.gather(*(batcher.close() for batcher in self._all()))

    async def plan(self, plans: Sequence[Plan]) -> Sequence[Sequence[Parcel]]:
        """Each plan by itself is all or nothing; of several some may be written when this fails, and repeating it is safe."""
        return await asyncio.gather(*(self._plan.submit(plan, urgent=_urgent(plan.priority)) for plan in plans))

    def claim(self, claim: Claim) -> Awaitable[Claimed | Refused]:
        return self._claim.submit(claim, urgent=_urgent(claim.parcel.priority))

    def settle(self, settlement: Settlement) -> Awaitable[MessageState]:
        return self._settle.submit(settlement)

    def observe(self, sighting: Sighting, now: int) -> Awaitable[Sighted]:
        return self._observe.submit((sighting, now))

    def park(self, parcel: Parcel, wait: Wait, now: int, reason: str | None = None, detail: str = "") -> Awaitable[bool]:
        return self._change.submit(("park", changes.Park(parcel, wait, now, reason, detail)))

    def end(self, parcel: Parcel, state: MessageState, reason: str, detail: str, now: int) -> Awaitable[bool]:
        return self._change.submit(("end", changes.End(parcel, state, reason, detail, now)))

    def advance(self, parcel: Parcel, step: int, reason: str, detail: str, now: int) -> Awaitable[bool]:
        return self._change.submit(("advance", changes.Advance(parcel, step, reason, detail, now)))

    def cancel(self, tenant: str, target: str, now: int) -> Awaitable[Cancelled]:
        return self._cancel.submit((tenant, target, now), urgent=True)

    def resolve(self, tenant: str, message: str, verdict: str, now: int) -> Awaitable[MessageState | None]:
        return self._change.submit(("resolve", changes.Resolve(tenant, message, verdict, now)))

    def revive(self, tenant: str, message: str, now: int, seen: MessageRecord | None = None) -> Awaitable[bool]:
        return self._change.submit(("revive", changes.Revive(tenant, message, now, seen)))

    def drop(self, tenant: str, message: str, now: int) -> Awaitable[bool]:
        return self._change.submit(("drop", changes.Drop(tenant, message, now)))

    def repair(
        self,
        now: int,
        alive: Callable[[str], bool],
        patience: Callable[[str], Patience],
        attempts_max: int,
        future: Future = unknown,
    ) -> Awaitable[Sequence[str]]:
        return self._repair.submit((now, alive, patience, attempts_max, future))

    def unheard(self, now: int, limit: int) -> Awaitable[Sequence[Unheard]]:
        return self._unheard.submit((now, limit))


def _urgent(priority: Priority) -> bool:
    return priority <= Priority.HIGH
