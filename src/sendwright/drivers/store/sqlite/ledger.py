"""The ledger over SQLite: the rows that decide.

The straight path (plan, claim, accepted) is a handful of statements per flush, whatever its size. Everything else loads
the rows into a `Folio`, lets `policy.fold` decide, and writes them back in the same transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from sendwright.drivers.store import changes
from sendwright.drivers.store.sqlite import operations as ops
from sendwright.drivers.store.sqlite.folio import Serials
from sendwright.drivers.store.sqlite.writer import Writer
from sendwright.model.notification import Priority
from sendwright.model.parcel import Parcel, Sighting
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
from sendwright.policy.suppression import UNKEYED, Marker


class SqliteLedger:
    """ports.Ledger."""

    def __init__(self, writer: Writer, serials: Serials, marker: Marker = UNKEYED) -> None:
        self._writer = writer
        self._plan = ops.PlanAll(serials)
        self._claim = ops.ClaimAll()
        self._settle = ops.SettleAll(serials, marker)
        self._observe = ops.ObserveAll(serials, marker)
        self._change = ops.ChangeAll(serials)
        self._cancel = ops.CancelAll(serials)
        self._repair = ops.RepairAll(serials)
        self._unheard = ops.UnheardAll()

    def plan(self, plans: Sequence[Plan]) -> Awaitable[Sequence[Sequence[Parcel]]]:
        return self._writer.submit(self._plan, plans, urgent=bool(plans) and _urgent(plans[0].priority))

    def claim(self, claim: Claim) -> Awaitable[Claimed | Refused]:
        return self._writer.submit(self._claim, claim, urgent=_urgent(claim.parcel.priority))

    def settle(self, settlement: Settlement) -> Awaitable[MessageState]:
        return self._writer.submit(self._settle, settlement)

    def observe(self, sighting: Sighting, now: int) -> Awaitable[Sighted]:
        return self._writer.submit(self._observe, (sighting, now))

    def park(self, parcel: Parcel, wait: Wait, now: int, reason: str | None = None, detail: str = "") -> Awaitable[bool]:
        return self._writer.submit(self._change, changes.Park(parcel, wait, now, reason, detail))

    def end(self, parcel: Parcel, state: MessageState, reason: str, detail: str, now: int) -> Awaitable[bool]:
        return self._writer.submit(self._change, changes.End(parcel, state, reason, detail, now))

    def advance(self, parcel: Parcel, step: int, reason: str, detail: str, now: int) -> Awaitable[bool]:
        return self._writer.submit(self._change, changes.Advance(parcel, step, reason, detail, now))

    def cancel(self, tenant: str, target: str, now: int) -> Awaitable[Cancelled]:
        return self._writer.submit(self._cancel, (tenant, target, now), soon=True)

    def resolve(self, tenant: str, message: str, verdict: str, now: int) -> Awaitable[MessageState | None]:
        return self._writer.submit(self._change, changes.Resolve(tenant, message, verdict, now))

    def revive(self, tenant: str, message: str, now: int, seen: MessageRecord | None = None) -> Awaitable[bool]:
        return self._writer.submit(self._change, changes.Revive(tenant, message, now, seen))

    def drop(self, tenant: str, message: str, now: int) -> Awaitable[bool]:
        return self._writer.submit(self._change, changes.Drop(tenant, message, now))

    def repair(
        self,
        now: int,
        alive: Callable[[str], bool],
        patience: Callable[[str], Patience],
        attempts_max: int,
        future: Future = unknown,
    ) -> Awaitable[Sequence[str]]:
        return self._writer.submit(self._repair, (now, alive, patience, attempts_max, future))

    def unheard(self, now: int, limit: int) -> Awaitable[Sequence[Unheard]]:
        return self._writer.submit(self._unheard, (now, limit))


def _urgent(priority: Priority) -> bool:
    return priority <= Priority.HIGH
