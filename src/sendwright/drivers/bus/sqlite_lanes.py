"""The lanes of the embedded bus: bundles as rows of the file, their heads in memory.

One process owns the file, so a bundle that was just committed is handed to a waiting taker without being read again.
Each lane keeps at most `HEAD_BYTES` in memory; what comes after stays on disk and is read in pages, in order, when the
head has been taken: a million queued parcels cost rows, not memory.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Sequence

import apsw
from msgspec import Struct

from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.model.parcel import INBOUND, PARCELS_MAX, bundle

HEAD_BYTES = 1024 * 1024
PAGE = 16
"""Bundles read at once."""
SUSPECT = 201
"""Bundles of a channel's lane that may have been in hand when the process before this one died: what a worker holds of it, where
each is of one parcel, and the one that its taker was just given."""
SUSPECT_STORIES = 32
"""The same for the other lanes (intake, receipts), of which fewer are in hand, and what is suspect is set about all at once."""


def suspects_of(lane: str) -> int:
    return SUSPECT_STORIES if lane.startswith("intake.") or lane == INBOUND else SUSPECT


class Bundle(Struct, frozen=True):
    """A bundle as the file has it."""

    lane: str
    seq: int
    count: int
    at: int
    body: bytes
    redelivered: bool = False


def put_bundles(db: apsw.Connection, lanes: Lanes, by_lane: dict[str, list[bytes]], at: int) -> list[Bundle]:
    """Writes parcels as bundles of at most `PARCELS_MAX`; returns them in order."""
    bundles = []
    for lane, parcels in by_lane.items():
        for start in range(0, len(parcels), PARCELS_MAX):
            part = parcels[start : start + PARCELS_MAX]
            body = bundle(part)
            seq = lanes.next_seq()
            db.execute(SQL["bundle_insert"], (seq, lane, len(part), at, body))
            bundles.append(Bundle(lane, seq, len(part), at, body))
    return bundles


class Lane:
    """One lane's head and what is known of its rest. Used on the event loop only."""

    def __init__(self, name: str, *, stopped: bool) -> None:
        self.name = name
        self.stopped = stopped
        """Nobody takes from it any more."""
        self.head: deque[Bundle] = deque()
        self.takers: deque[asyncio.Future[Bundle]] = deque()
        self.head_bytes = 0
        self.depth = 0
        """Parcels that nobody has taken."""
        self.cursor = 0
        """Every bundle up to this seq is in the head, taken or done."""
        self.tail = 0
        """The greatest seq of the lane."""
        self.suspects = 0
        """Bundles still to be handed out that may have been in somebody's hand before, up to `restored`."""
        self.restored = 0
        """The greatest seq that was there at the start."""
        self.reading = False

    @property
    def spilled(self) -> bool:
        return self.tail > self.cursor

    def add(self, new: Bundle) -> None:
        fits = not self.spilled and self.head_bytes < HEAD_BYTES
        self.tail = new.seq
        self.depth += new.count
        if fits:
            self.cursor = new.seq
            self.push(new)

    def push(self, new: Bundle, *, front: bool = False) -> None:
        """Hands a bundle to whoever waits longest, or keeps it in the head."""
        while self.takers and not self.stopped:
            taker = self.takers.popleft()
            if not taker.done():
                self.depth -= new.count
                taker.set_result(new)
                return
        (self.head.appendleft if front else self.head.append)(new)
        self.head_bytes += len(new.body)

    def pop(self) -> Bundle | None:
        if not self.head or self.stopped:
            return None
        first = self.head.popleft()
        self.head_bytes -= len(first.body)
        self.depth -= first.count
        return first

    def put_back(self, bundle: Bundle) -> None:
        self.depth += bundle.count
        self.push(bundle, front=True)


class Lanes:
    """All lanes of the file."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._stopped = False
        self._seqs = itertools.count(1)

    def __getitem__(self, name: str) -> Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name, stopped=self._stopped)
        return lane

    def __iter__(self) -> object:
        return iter(self._lanes.values())

    def stop(self) -> None:
        """Nobody takes any more; who waits waits on."""
        self._stopped = True
        for lane in self._lanes.values():
            lane.stopped = True

    def next_seq(self) -> int:
        """A number that no bundle has had since this process began: SQLite itself gives those of deleted rows again, and a
        bundle that is done twice must not take another with it."""
        return next(self._seqs)

    def add(self, bundles: Sequence[Bundle]) -> None:
        for new in bundles:
            self[new.lane].add(new)

    def restore(self, rows: Sequence[tuple[str, int, int, int]]) -> None:
        """What the file holds at start: (lane, parcels, oldest, greatest seq)."""
        for name, parcels, _, tail in rows:
            lane = self[name]
            lane.depth, lane.tail, lane.restored, lane.suspects = parcels, tail, tail, suspects_of(name)
        self._seqs = itertools.count(max((tail for _, _, _, tail in rows), default=0) + 1)
