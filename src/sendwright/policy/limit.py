"""Rates and reserves: how often a provider is called, and who may use the last of what is left.

The rate is the generic cell rate algorithm (ITU-T I.371): its whole state is one time, the *theoretical arrival time*,
so that one row, compared and set, limits a whole fleet. With `n` calls per unit a burst of 1 + 3 % of n is let
through, and the calls are spaced so that never more than `n` fall in *any* half-open window of one unit, wherever it
starts; what remains usable under saturation is about 97 %. Times are seconds on one clock. Every sum is rounded up, since
at a Unix time a float's last digit is 0.24 µs, and thousands of them would let a call too many through; a burst is
forgiven that rounding, and the interval is longer by what is forgiven.

Priority costs the others nothing while it is not used: the lower ones have the full sustained rate, only a part of the
burst (and of the concurrency) is not theirs, so that a one-time password finds a free place in front of a blast.

A fleet shares a rate as *cells*: points in time, one for each call, a little further apart than n to the unit. Who wants to call
has some of them cut for itself (`cut`), always the next that nobody holds, and uses each at its time or at most `late_s` after
it. Then no window of a unit sees more than n calls, whoever makes them: the n + 1st cell is further away than that.
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

_STRETCH = 1.04
"""Cells are so much further apart than the rate would allow: 96 % of it can be used."""
_LATE_SHARE = 0.03
"""Of a unit: so late may a cell be used. What is left of the stretch is for clocks and for the way to the wire."""
BLOCK_S = 0.25
"""The cells of at most so many seconds are cut at once, or one."""
AHEAD_S = 0.15
"""So far ahead may a block begin: long enough to ask for the next one while the last is used, short enough to be waited for."""
URGENT_AHEAD_S = AHEAD_S + BLOCK_S
"""The same for the upper priorities: beyond every block that the lower ones may hold, so only a slow rate refuses them."""
REACH_MAX_S = 0.25
"""So long, at most, is an answer of the store taken to be on its way: cells begin when it has arrived."""
KEPT_S = 0.5
"""A cell that was refused to somebody urgent is kept for it so much longer than until it may ask again."""


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

    @property
    def cell_s(self) -> float:
        """From one cell to the next."""
        return self.unit_s / self.n * _STRETCH

    @property
    def late_s(self) -> float:
        """So long after its time a cell may still be used: (unit + late) / cell is less than n."""
        return _LATE_SHARE * self.unit_s


class Admission(NamedTuple):
    """Whether it may go now; the arrival time to keep from now on; when it may go (now, if it may)."""

    allowed: bool
    tat: float
    retry_at: float


class Cut(Struct, frozen=True):
    """`count` cells from `first` on, and the row as it is from now on."""

    first: float
    count: int
    tat: float
    kept_until: float


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


def block_of(rate: Rate, sharers: int) -> int:
    """How many cells one of so many sharers may have cut at once; at least 1."""
    return max(1, math.ceil(BLOCK_S / rate.cell_s / max(1, sharers) - 1e-9))


def ahead_s(*, urgent: bool) -> float:
    return URGENT_AHEAD_S if urgent else AHEAD_S


def lead_s(cell_s: float) -> float:
    """Further ahead than this nobody can have had cells cut: who finds it so, finds the debt of another rate, or another clock."""
    return REACH_MAX_S + URGENT_AHEAD_S + BLOCK_S + cell_s


def cut(tat: float, kept_until: float, now: float, want: int, cell_s: float, reach_s: float, *, urgent: bool) -> Cut:
    """The next `want` cells that nobody holds, unless those are too far ahead, or kept for somebody urgent.

    `tat`: from when on nobody holds them. `reach_s`: until the answer has arrived. Refused, who is urgent finds the next one kept
    for it. (The statement `rate_lease` of the PostgreSQL store is the same arithmetic.)"""
    first = max(now + reach_s, min(tat, now + lead_s(cell_s)))
    if first <= now + reach_s + ahead_s(urgent=urgent) and (urgent or kept_until <= now):
        return Cut(first, want, first + want * cell_s, 0.0 if urgent else kept_until)
    return Cut(first, 0, tat, first - URGENT_AHEAD_S + KEPT_S if urgent else kept_until)


def again_at(first: float, kept_until: float, *, urgent: bool) -> float:
    """When to ask again who was refused cells from `first` on."""
    return first - ahead_s(urgent=urgent) if urgent else max(first - AHEAD_S, kept_until)


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
