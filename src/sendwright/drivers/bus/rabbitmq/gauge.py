"""How much waits in one lane, and for how long: what this process knows, put right by the broker's count.

A broker is not asked in a request, so the port's two figures are an account that is kept here. It is exact for what this
process published or was sent. What others published is known by its number of bundles only, as of the last look (once a
second): its parcels are taken to be as many per bundle as in the bundles seen of late, and *full* before any was seen, so
that nobody heaps more onto a lane that he knows nothing of.
"""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct

from sendwright.model.parcel import PARCELS_MAX

KNOWN_MAX = 10_000
"""Bundles of one lane that are known by name; of more, only the number is kept."""
OVERRULED_AFTER = 3
"""So many looks in a row may be void for having crossed with something moving."""
WEIGHT = 0.1
"""How much the newest bundle counts in the mean of parcels."""


class Seen(Struct, frozen=True):
    """A bundle: parcels, and when it was published, in ms since 1970."""

    count: int
    at: int


class Gauge:
    """One lane's account. `moves` counts everything that happened to it: a look during which it changed is void."""

    def __init__(self) -> None:
        self._broker: OrderedDict[str, Seen] = OrderedDict()
        """Bundles that the broker has, as far as we know, oldest first."""
        self._known = 0
        """Their parcels."""
        self._foreign = 0
        """Bundles that it has beside them."""
        self._foreign_at = 0
        self._mean = float(PARCELS_MAX)
        self._any = False
        self._early: set[str] = set()
        self._publishing: set[str] = set()
        self._void = 0
        self.moves = 0

    def publishing(self, name: str) -> None:
        self.moves += 1
        self._publishing.add(name)

    def published(self, name: str, seen: Seen) -> None:
        """Confirmed. It may have been handed out before the confirm came."""
        self.moves += 1
        self._publishing.discard(name)
        self._mean_of(seen.count)
        if name in self._early:
            self._early.discard(name)
            return
        self._put(name, seen)
        if len(self._broker) > KNOWN_MAX:
            self._foreign, self._foreign_at = self._foreign + 1, self._drop_first().at

    def unpublished(self, name: str) -> None:
        """It failed, or nobody knows."""
        self.moves += 1
        self._publishing.discard(name)
        self._early.discard(name)

    def came(self, name: str, seen: Seen) -> None:
        """The broker handed it to this process."""
        self.moves += 1
        self._mean_of(seen.count)
        known = self._broker.pop(name, None)
        if known is not None:
            self._known -= known.count
            return
        if name in self._publishing:
            self._early.add(name)
        elif self._foreign:
            self._foreign -= 1
            self._foreign_at = max(self._foreign_at, seen.at)

    def went_back(self, name: str, seen: Seen) -> None:
        """This process gave it back, or lost it with its channel."""
        self.moves += 1
        self._put(name, seen)
        self._broker.move_to_end(name, last=False)

    def counted(self, ready: int, moves: int, now_ms: int) -> None:
        """The broker's own count, for which it was asked when `moves` was what it was."""
        if (self.moves != moves or self._publishing) and self._void < OVERRULED_AFTER:
            self._void += 1
            return
        self._void = 0
        while len(self._broker) > ready:
            self._drop_first()  # others took the oldest
        foreign = ready - len(self._broker)
        if foreign and not self._foreign:
            self._foreign_at = max(self._foreign_at, now_ms)
        self._foreign = foreign

    def parcels(self) -> int:
        """Parcels that the broker has and has handed to nobody."""
        return self._known + round(self._foreign * self._mean)

    def oldest(self) -> int | None:
        """When the oldest of them was published, in ms since 1970; what others published counts from when it was first
        seen there, or from the newest of it that came here since."""
        times = [next(iter(self._broker.values())).at] if self._broker else []
        return min([*times, self._foreign_at]) if self._foreign else min(times, default=None)

    def _put(self, name: str, seen: Seen) -> None:
        if name not in self._broker:
            self._broker[name] = seen
            self._known += seen.count

    def _drop_first(self) -> Seen:
        _, first = self._broker.popitem(last=False)
        self._known -= first.count
        return first

    def _mean_of(self, count: int) -> None:
        self._mean = self._mean + WEIGHT * (count - self._mean) if self._any else float(count)
        self._any = True
