"""How often a key may call: the generic cell rate algorithm (ITU-T I.371), with a whole window's calls as its burst.

Other than a provider, which must never see more than n in any window (limit.py), we bear it when somebody comes with a whole
window's calls at once: after a rest n go through together, and from then on one every n-th part of the window. So never more than
2n fall into any window. The state is one time, the theoretical arrival time; times are seconds on one clock. Pure.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from sendwright.policy.limit import Rate

UNUSED = -math.inf
"""The theoretical arrival time of what was never used."""
_FORGIVEN = 0.01
"""Of a call: more than the sums of a window are off by. The arrival time moves on by a whole call all the same."""


class Quota(NamedTuple):
    """Whether a call may go, and what is left afterwards."""

    allowed: bool
    tat: float
    """The arrival time to keep from now on."""
    left: int
    """How many more may go at once."""
    more_s: float
    """Until there is one more than that."""


def draw(tat: float, now: float, rate: Rate) -> Quota:
    """Takes one call out of the rate at `now`, or says when there will be one."""
    interval_s = rate.unit_s / rate.n
    room = (now + rate.unit_s - max(now, tat)) / interval_s
    allowed = room >= 1 - _FORGIVEN
    after = max(now, tat) + interval_s if allowed else tat
    rest = (now + rate.unit_s - after) / interval_s
    left = max(0, math.floor(rest + _FORGIVEN))
    return Quota(allowed, after, left, max(0.0, (left + 1 - rest) * interval_s))
