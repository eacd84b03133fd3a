"""Rates and reserves: how often a provider is called, and who may use the last of what is left.

The rate is the generic cell rate algorithm (ITU-T I.371): its whole state is one time, the *theoretical arrival time*,
so that one row, compared and set, limits a whole fleet. With `n` calls per unit a burst of 1 + 3 % of n is let
through, and the calls are spaced so that never more than `n` fall in *any* half-open window of one unit, wherever it
starts; what remains usable under saturation is about 97 %. Times are seconds on one clock. Every sum is rounded up, since
at a Unix time a float's last digit is 0.24 µs, and thousands of them would let a call too many through; a burst is
forgiven that rounding, and the interval is longer by what is forgiven.

Priority costs the others nothing while it is not used: the lower ones have the full sustained rate, only a part of the
burst (and of the concurrency) is not theirs, so that a one-time password finds a free place in front of a blast.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from msgspec import Struct

from sendwright.model.notification import Priority

IDLE = -math.inf
"""The theoretical arrival time of what was never used."""

_UNITS_S = {"s": 1, "min": 60, "h": 3600, "day": 86_400}
_RATE = re.compile(r"([0-9]{1,9})/(s|min|h|day)")
_BURST_SHARE = 0.03
_MARGIN = 1 + 1e-9
_FORGIVEN_S = 1e-6
"""Per call of a burst: more than two sums, rounded up at a Unix time, add."""


class Rate(Struct, frozen=True):
    """At most `n` in any window of `unit_s` seconds."""

    n: int
    unit_s: float

    @property
    def burst(self) -> int:
        """How many may go at once after a rest."""
        return 1 + math.floor(_BURST_SHARE * self.n)

    @property
    def interval_s(self) -> float:
        """Between two calls, under saturation: n of them, less those that the burst may be ahead, fill a window."""
        spaced = self.n - (self.burst - 1)
        return self.unit_s / spaced * _MARGIN + _FORGIVEN_S * (self.burst - 1) / spaced


class Admission(NamedTuple):
    """Whether it may go now; the arrival time to keep from now on; when it may go (now, if it may)."""

    allowed: bool
    tat: float
    retry_at: float


class Reserve(Struct, frozen=True):
    """The shares (0 to 1) of a provider's concurrency and rate that are kept for the upper priorities."""

    critical: float = 0.2
    high: float = 0.1


def parse_rate(text: str) -> Rate:
    """`100/s`, `60/min`, `5000/h`, `1000/day`. Raises `ValueError` for everything else."""
    parts = _RATE.fullmatch(text.replace(" ", ""))
    if parts is None or int(parts[1]) < 1:
        raise ValueError("a rate is a whole number of 1 or more per s, min, h or day, as in 100/s")
    return Rate(int(parts[1]), _UNITS_S[parts[2]])


def admit(tat: float, now: float, rate: Rate, cost: int = 1, leave_share: float = 0.0) -> Admission:
    """Takes `cost` (1 to n) out of the rate at `now`, or says when that may be asked again.

    `leave_share` of the burst is left for higher priorities, rounded up to whole calls, but never the last one: a rate
    too small for a burst has nothing to reserve. A cost above the burst needs a rest before it, which a crowd of smaller
    ones may never leave it. Raises `ValueError` for a cost above n, which could never be kept.
    """
    if not 1 <= cost <= rate.n:
        raise ValueError("a call can't cost more than its rate allows in a whole window")
    burst = rate.burst
    usable = max(1, burst - _rounded_up(leave_share * burst))
    interval_s = rate.interval_s
    rest = cost - usable
    free_at = _next_up(tat + rest * (interval_s if rest > 0 else interval_s + _FORGIVEN_S))
    if now < free_at:
        return Admission(allowed=False, tat=tat, retry_at=free_at)
    return Admission(allowed=True, tat=_next_up(max(now, tat) + cost * interval_s), retry_at=now)


def leave_share(priority: Priority, reserve: Reserve) -> float:
    """The share of the burst, and of the concurrency, that this priority leaves to those above it."""
    match priority:
        case Priority.CRITICAL:
            return 0.0
        case Priority.HIGH:
            return reserve.critical
        case _:
            return min(1.0, reserve.critical + reserve.high)


def ceiling(concurrency: int, priority: Priority, reserve: Reserve) -> int:
    """How many calls may be in flight, all priorities together, after this one joined; at least 1.

    Critical may fill all places, high all but critical's, normal and bulk all but both's. Reserves are rounded up.
    """
    left = _rounded_up(reserve.critical * concurrency) if priority > Priority.CRITICAL else 0
    left += _rounded_up(reserve.high * concurrency) if priority > Priority.HIGH else 0
    return max(1, concurrency - left)


def _rounded_up(share: float) -> int:
    """To whole ones, without taking 0.1 × 30 = 3.0000000000000004 for four."""
    return math.ceil(share - 1e-9)


def _next_up(at: float) -> float:
    return math.nextafter(at, math.inf)
