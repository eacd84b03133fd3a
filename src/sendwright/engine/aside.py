"""Who is let past a crowd on its way to be planned.

What is planned waits in the store, where tenants take turns (schedule.py). What is not planned yet lies in the intake lane of
its priority, first come first served. As long as that lane is short nothing is counted here. Where one tenant's blast stands
on it, the others' notifications go to the lane beside it, which has takers of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from sendwright.model.notification import Priority
from sendwright.model.parcel import intake_lane
from sendwright.policy.pacing import is_crowd

CROWDED = 500
"""Notifications on an intake lane beyond which it is a crowd."""
FEW = 50
"""So many of a tenant's are never one."""
LATELY_MS = 10_000
"""After so long what was counted counts half."""


class Aside:
    """Ask once for each notification that is to be accepted. `depth` tells how much lies in a lane."""

    def __init__(self, depth: Callable[[str], int]) -> None:
        self._depth = depth
        self._lanes = {priority: intake_lane(priority) for priority in Priority}
        self._came: dict[Priority, Counter[str]] = {priority: Counter() for priority in Priority}
        self._total = dict.fromkeys(Priority, 0)
        self._halved_at = dict.fromkeys(Priority, 0)

    def __call__(self, tenant: str, priority: Priority, now: int) -> bool:
        """Whether this notification goes past the crowd. `now` in ms."""
        if self._depth(self._lanes[priority]) < CROWDED:
            return False
        if abs(now - self._halved_at[priority]) >= LATELY_MS:
            self._halve(priority, now)
        came = self._came[priority]
        own = came[tenant]
        came[tenant] = own + 1
        self._total[priority] += 1
        return not is_crowd(own, self._total[priority], len(came), FEW)

    def _halve(self, priority: Priority, now: int) -> None:
        """What was counted long ago counts for nothing, and its tenant is forgotten."""
        self._came[priority] = Counter({tenant: count // 2 for tenant, count in self._came[priority].items() if count > 1})
        self._total[priority] = self._came[priority].total()
        self._halved_at[priority] = now
