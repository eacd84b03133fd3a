"""repair: attempts whose sender is gone are put in doubt, and go on from there. Level-triggered, each second.

It judges by what it reads now, never by having witnessed a death: a claim that commits after its owner died is found as
well. It counts only time in which it could read the store itself, so an outage of the store puts nothing in doubt
that was not open before; and it judges no deadline by a wall clock that has just been stepped (drift.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sendwright.engine.crash import crashpoint
from sendwright.engine.drift import DRIFT_S, Held, never
from sendwright.engine.ports import Clock, Ledger
from sendwright.engine.telling import Settled, Tell, Trouble
from sendwright.errors import Unavailable
from sendwright.model.parcel import APART_MS
from sendwright.model.records import Patience
from sendwright.model.states import MessageState
from sendwright.policy.fold import CALM_MS, unknown

EVERY_S = 1.0
GAP_S = 5.0
"""A longer silence than this was an outage: whoever lives gets a full lease again."""
LEASE_S = 10.0
"""Whoever lives reports to the store again within it (roll.py). More would keep a dead worker's attempts open for longer than the
fifteen seconds, counted from when the store answers, within which they are to be settled."""


class Repairer:
    """`alive` tells whether an owner's incarnation still runs; `patience` how a provider's doubts are settled."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        alive: Callable[[str], bool],
        patience: Callable[[str], Patience],
        attempts_max: int,
        tell: Tell,
        poke: Callable[[], None],
        held: Held = never,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._alive = alive
        self._patience = patience
        self._attempts_max = attempts_max
        self._tell = tell
        self._poke = poke
        self._held = held
        self._last: float | None = None
        self._blind = False
        self._grace_until = 0.0
        self._calm_at: float | None = None
        """From when on this process is sure that another was ahead: it may have begun with a wrong time itself."""
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True

    async def run(self) -> None:
        while not self._stopped:
            crashpoint("repair.turn")
            await self.turn()
            crashpoint("repair.turned")
            await self._clock.sleep(EVERY_S)

    async def turn(self) -> int:
        """Repairs what can be seen now; returns how many messages it moved."""
        now, wall_ms = self._clock.monotonic(), self._clock.now_ms()
        blind = self._blind or (self._last is not None and now - self._last > GAP_S)
        judges = now >= self._grace_until and not blind and not self._held()
        self._calm_at = now + CALM_MS / 1000 if self._calm_at is None else self._calm_at
        try:
            crashpoint("repair.repairing")
            # With nobody's deadline passed and everybody alive it moves nothing, and shows that the store can be read.
            alive = self._alive if judges else _anybody
            future = partial(self._future, wall_ms, now) if judges else unknown
            moved = await self._ledger.repair(wall_ms if judges else 0, alive, self._patience, self._attempts_max, future)
            crashpoint("repair.repaired")
        except Unavailable as error:
            self._blind = True
            self._tell(Trouble("repair", str(error)))
            return 0
        self._blind = False
        self._last = self._clock.monotonic()
        if blind:
            self._grace_until = self._last + LEASE_S
        for message in moved:
            self._tell(Settled(message, MessageState.IN_DOUBT))
        if moved:
            self._poke()
        return len(moved)

    def _future(self, wall_ms: int, began: float) -> int | None:
        """Asked in the middle of a turn, on whichever thread the store works. A step since the turn began is seen here."""
        wall_now, now = self._clock.now_ms(), self._clock.monotonic()
        stepped = abs((wall_now - wall_ms) / 1000 - (now - began)) > DRIFT_S
        return None if stepped or self._calm_at is None or now < self._calm_at else wall_now + APART_MS


def _anybody(_owner: str) -> bool:
    return True
