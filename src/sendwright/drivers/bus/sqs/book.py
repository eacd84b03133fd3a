"""How many parcels a lane has that nobody has taken, and how old the oldest is: as far as one process can know.

SQS counts messages, not parcels, some seconds late, and knows the age of the oldest only in CloudWatch. So each process
keeps a book of what it did itself, which is exact, and a survey every few seconds corrects it by what others did: a message
more or less in the queue than the book has counts as many parcels as a bundle of this lane had lately (before any was seen,
as many as fit: rather too deep a lane than too shallow a one).

The age is that of the oldest bundle that is here, or was sent from here and is still in the queue by the count. Where only
others send, it is the time for which the lane has not been seen empty, at most that of the last bundle that was taken: what
is left came about then, or later.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
"""

from __future__ import annotations

from collections import OrderedDict

from sendwright.model.parcel import PARCELS_MAX

SENT_MAX = 1024
"""Bundles of one lane whose sending is remembered."""
WEIGHT = 0.2
"""Of the newest bundle in the mean of their parcels."""
OVERTAKEN_MAX = 5
"""Surveys in a row that are dropped because the book went on meanwhile; the next one counts all the same."""


class Book:
    """One lane's. Times are ms since 1970."""

    def __init__(self) -> None:
        self.version = 0
        """Grows with every entry: a survey that began at another version has missed something."""
        self._bundles = 0
        self._parcels = 0
        self._mean: float | None = None
        self._sent: OrderedDict[str, int] = OrderedDict()
        self._seen_at = 0
        """Since when others' bundles are there, about; 0 when there are none."""
        self._overtaken = 0

    @property
    def depth(self) -> int:
        return max(0, self._parcels)

    def oldest_at(self) -> int:
        """When the oldest bundle that is not here was sent; 0 when there is none."""
        if self._bundles <= 0:
            return 0
        known = min(self._sent.values(), default=0)
        if self._bundles > len(self._sent) and self._seen_at:
            return min(known or self._seen_at, self._seen_at)
        return known

    def published(self, key: str, at: int, count: int) -> None:
        self._learn(count)
        self._enter(1, count)
        self._remember(key, at)

    def taken(self, key: str, at: int, count: int) -> None:
        self._learn(count)
        self._enter(-1, -count)
        self._sent.pop(key, None)
        if self._seen_at:
            self._seen_at = max(self._seen_at, at)

    def given_back(self, key: str, at: int, count: int) -> None:
        self._enter(1, count)
        self._remember(key, at)

    def moved(self) -> None:
        """What lay in the queue lies here now: a survey on its way may have counted it there and would count it here again."""
        self.version += 1

    def surveyed(self, began: int, messages: int, now: int) -> None:
        """`messages` nobody has taken, here and in the queue, by a survey that began at that version."""
        if began != self.version and self._overtaken < OVERTAKEN_MAX:
            self._overtaken += 1
            return
        self._overtaken = 0
        difference = messages - self._bundles
        if difference:
            mean = self._mean if self._mean is not None else PARCELS_MAX
            self._bundles = messages
            self._parcels = max(messages, self._parcels + round(difference * mean)) if messages else 0
        while len(self._sent) > messages:
            self._sent.popitem(last=False)  # others took them, the oldest first
        if messages <= len(self._sent):
            self._seen_at = 0
        elif not self._seen_at:
            self._seen_at = now

    def _enter(self, bundles: int, parcels: int) -> None:
        self.version += 1
        self._bundles += bundles
        self._parcels = self._parcels + parcels if self._bundles else 0

    def _learn(self, count: int) -> None:
        if self._mean is None:
            self._mean = count
            self._parcels = self._bundles * count  # it was a guess until now
        else:
            self._mean += WEIGHT * (count - self._mean)

    def _remember(self, key: str, at: int) -> None:
        self._sent[key] = at
        if len(self._sent) > SENT_MAX:
            self._sent.popitem(last=False)
