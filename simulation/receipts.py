"""What vendors report: early, late, twice, out of order, not at all, and by whichever process takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sendwright.errors import Unavailable
from sendwright.model.outcomes import Reason
from sendwright.model.parcel import INBOUND, Sighting, pack
from sendwright.model.states import AttemptState
from simulation.draw import chance, pick

if TYPE_CHECKING:
    from simulation.process import Life
    from simulation.vendors import SimVendor
    from simulation.world import World

TRIES = 12
AGAIN_S = 15.0
LATE_S = (20.0, 45.0, 300.0)


class Receipts:
    """Draws what a vendor will report of what it took, and brings it to the inbound lane."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.draw.stream("receipts")
        self._has = world.draw.has

    def calm(self) -> None:
        """From here on vendors report as they should."""
        self._has = frozenset()

    def of(self, vendor: SimVendor, attempt: str, ref: str, delay_s: float) -> list[tuple[float, Sighting]]:
        """(in how many seconds, what)."""
        rng, name = self._rng, vendor.name
        if self._happens("receipt_lost", 0.1):
            return []
        states = [AttemptState.DELIVERED]
        if chance(rng, 0.3):
            states = [AttemptState.SENT, AttemptState.DELIVERED, AttemptState.READ]
        failed = self._happens("receipt_failed", 0.15)
        if failed:
            states = [AttemptState.FAILED]
            self._world.oracle.will_fail(name, attempt)
        if len(states) > 1 and self._happens("receipt_disordered", 0.5):
            states.reverse()
        if self._happens("receipt_early", 0.2):
            delay_s = 0.0
        elif self._happens("receipt_late", 0.2):
            delay_s = pick(rng, LATE_S)
        told = [self._sighting(vendor, state, attempt, ref) for state in states]
        due = [(delay_s + 0.1 * place, sighting) for place, sighting in enumerate(told)]
        if self._happens("receipt_twice", 0.2):
            due.append((delay_s + pick(rng, (0.0, 0.5, 60.0)), told[-1]))
        return due

    def arrive(self, sighting: Sighting, tries: int) -> None:
        """The callback reaches a process, which puts it on the lane and answers; a vendor that hears no 2xx comes again."""
        life = self._world.some_life(self._rng)
        if life is not None and not life.stopped:
            life.spawn(self._hook(life, sighting, tries))
        elif tries < TRIES:
            self._world.later(AGAIN_S, self.arrive, sighting, tries + 1)

    async def _hook(self, life: Life, sighting: Sighting, tries: int) -> None:
        try:
            await life.bus.publish(INBOUND, [pack(sighting)])
        except Unavailable:
            if tries < TRIES:
                self._world.later(AGAIN_S, self.arrive, sighting, tries + 1)

    def _happens(self, fault: str, share: float) -> bool:
        happens = fault in self._has and chance(self._rng, share)
        if happens:
            self._world.note("receipts", fault)
        return happens

    def _sighting(self, vendor: SimVendor, state: AttemptState, attempt: str, ref: str) -> Sighting:
        failed = state == AttemptState.FAILED
        return Sighting(
            vendor.name,
            int(state),
            attempt if vendor.kind.echoes else None,
            ref,
            reason=Reason.UNREACHABLE.value if failed and chance(self._rng, 0.5) else Reason.BLOCKED.value if failed else None,
        )
