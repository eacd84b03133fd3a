"""The wall clock, watched: due times and expiry hang on it, so a step of it must not send early or expire in masses.

It is compared with the monotonic clock, which nobody sets. When the two come apart by more than `DRIFT_S`, an operator
is told, and for `HOLD_S` nothing is promoted by time, no deadline is judged and no expiry is decided: a step that is
taken back within that time has done no harm, and one that stays is believed when it is over.
"""

from __future__ import annotations

from collections.abc import Callable

from sendwright.engine.ports import Clock
from sendwright.engine.telling import Tell, Trouble
from sendwright.policy.fold import CALM_MS

DRIFT_S = 5.0
HOLD_S = CALM_MS / 1000

Held = Callable[[], bool]
"""True while nothing may be decided by the wall clock."""


def never() -> bool:
    """For a clock that can't be stepped."""
    return False


class Drift:
    """One per process: everybody who decides by the wall clock asks the same `held`, after having read the time."""

    def __init__(self, clock: Clock, tell: Tell) -> None:
        self._clock = clock
        self._tell = tell
        self._wall_ms, self._at = clock.now_ms(), clock.monotonic()
        self._until: float | None = None

    def held(self) -> bool:
        """Looks at both clocks; true from a step until `HOLD_S` after the last one."""
        wall_ms, now = self._clock.now_ms(), self._clock.monotonic()
        drift_s = (wall_ms - self._wall_ms) / 1000 - (now - self._at)
        if abs(drift_s) > DRIFT_S:
            self._wall_ms, self._at = wall_ms, now
            self._until = now + HOLD_S
            self._tell(Trouble("clock", f"the wall clock moved by {drift_s:+.0f} s; due times and expiry rest for {HOLD_S:.0f} s"))
        return self._until is not None and now < self._until
