"""The roll of those who work: each process says now and then that it lives, and hears who else does.

Repair asks it whose attempts to leave alone. It errs on the side of the living: whoever has just come up, or could not reach
the store for a while, takes everybody for alive until all have had the time of a lease to speak again (repair.py does the
same for the deadlines). The store's clock decides, so that nobody's own does.
"""

from __future__ import annotations

from collections.abc import Callable

from sendwright.engine.ports import Clock, Registry
from sendwright.engine.telling import Tell, Trouble
from sendwright.errors import Unavailable
from sendwright.model.parcel import FIRST

BEAT_S = 2.0
LEASE_S = 10.0
"""Who was silent for so long is dead. With a turn of repair a second, his attempts are settled within fifteen."""


class Roll:
    """`process` is this incarnation's name. Run `run` beside the work; `alive` may be asked at any time."""

    def __init__(self, registry: Registry, process: str, clock: Clock, tell: Tell) -> None:
        self._registry = registry
        self._process = process
        self._clock = clock
        self._tell = tell
        self._living: frozenset[str] = frozenset()
        self._heard_at: float | None = None
        self._trusted_from = 0.0
        self._stopped = False
        self._reads = FIRST

    def reads(self) -> int:
        """The newest version of parcels that all read who live, as it was heard last."""
        return self._reads

    def alive(self, owner: str) -> bool:
        now = self._clock.monotonic()
        deaf = self._heard_at is None or now - self._heard_at > LEASE_S or now < self._trusted_from
        return deaf or owner == self._process or owner in self._living

    def stop(self) -> None:
        self._stopped = True

    async def run(self) -> None:
        while not self._stopped:
            await self.beat()
            await self._clock.sleep(BEAT_S)

    async def beat(self) -> None:
        """Says that we live, and hears who else does."""
        try:
            living = await self._registry.beat(self._process, LEASE_S)
            self._reads = await self._registry.readers(LEASE_S)
        except Unavailable as error:
            self._tell(Trouble("roll", str(error)))
            return
        now = self._clock.monotonic()
        if self._heard_at is None or now - self._heard_at > LEASE_S:
            self._trusted_from = now + LEASE_S
        self._living, self._heard_at = living, now

    async def leave(self) -> None:
        """Goes in order: nobody has to wait for our silence."""
        self._stopped = True
        try:
            await self._registry.leave(self._process)
        except Unavailable:
            return


def only(process: str) -> Callable[[str], bool]:
    """`alive` of an engine that one process holds: everybody else is of the past."""
    return process.__eq__
