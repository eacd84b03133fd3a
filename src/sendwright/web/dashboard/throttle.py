"""How often somebody may try to sign in: a few times at once, then one every few seconds. Pure but for what it remembers.

Keys can't be guessed in any time; this keeps a guesser from costing us anything. It locks nobody out: whoever waits may try
again.
"""

from __future__ import annotations

from collections import OrderedDict

AT_ONCE = 10
EVERY_S = 6.0
REMEMBERED = 1000
"""Addresses. Of more, those that were quiet longest are forgotten."""


class Throttle:
    """A bucket for each address."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """When each bucket will be full again, by a monotonic clock."""

    def wait_s(self, address: str, now: float) -> float:
        """How long this one must wait before it may try; 0: not at all."""
        return max(0.0, self._full_at.get(address, now) - now - (AT_ONCE - 1) * EVERY_S)

    def failed(self, address: str, now: float) -> None:
        self._full_at[address] = max(self._full_at.get(address, now), now) + EVERY_S
        self._full_at.move_to_end(address)
        while len(self._full_at) > REMEMBERED:
            self._full_at.popitem(last=False)

    def __repr__(self) -> str:
        return f"Throttle({len(self._full_at)})"
