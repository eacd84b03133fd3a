"""Past the lane: what a worker has just planned it delivers itself, where nothing waits before it.

Over its lane a parcel is published, confirmed, delivered and acknowledged, to come to a worker of the same kind. Where the lane's
own taker asks in vain, and its hand has room, that is spared. The bundle of the intake is then done when each of its parcels is
handled, as a bundle of a lane is. Does the worker die before, it comes again, and what is planned and not yet claimed goes over
the lanes.

A bus hands out only so many bundles of an intake lane that are not done. Those whose parcels a slow provider holds up must leave
room to plan the others: `BUNDLES_MAX`, and a bus hands out that many and twice `PLANS_AT_ONCE` of worker.py beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from sendwright.engine.hands import Hand, Handful
from sendwright.engine.ports import Delivery
from sendwright.model.parcel import Parcel

BUNDLES_MAX = 8
"""Bundles of one intake lane whose parcels are on the short way at the same time."""

Begin = Callable[[Sequence[Parcel], Handful], None]
"""Sets about the parcels of one lane."""
End = Callable[[Delivery], None]
"""Sees to it that a bundle is done, or goes back."""


class Shortcut:
    """The short way of one intake lane's bundles."""

    def __init__(self, hands: Mapping[str, Hand], begin: Begin, done: End, back: End) -> None:
        """`hands`: those of the lanes that are taken from here."""
        self._hands = hands
        self._begin = begin
        self._done = done
        self._back = back
        self._bundles = 0

    def fits(self, lane: str, count: int) -> bool:
        """Whether so many parcels of the lane would go the short way now."""
        hand = self._hands.get(lane)
        return hand is not None and hand.idle and self._bundles < BUNDLES_MAX and hand.fits(count)

    def take(self, lanes: Mapping[str, Sequence[Parcel]], delivery: Delivery) -> bool:
        """All of them or, where they don't fit any more, none. The bundle that they came from is done when each of them is
        handled; it goes back where one can't be."""
        if not lanes or not all(self.fits(lane, len(parcels)) for lane, parcels in lanes.items()):
            return False
        self._bundles += 1
        bundle = Handful(len(lanes), _nothing, partial(self._end, self._done, delivery), partial(self._end, self._back, delivery))
        for lane, parcels in lanes.items():
            hand = self._hands[lane]
            hand.take(len(parcels))
            self._begin(parcels, Handful(len(parcels), hand.drop, bundle.handled, bundle.broken))
        return True

    def _end(self, end: End, delivery: Delivery) -> None:
        self._bundles -= 1
        end(delivery)


def _nothing() -> None:
    """The intake's takers count bundles, not parcels."""
