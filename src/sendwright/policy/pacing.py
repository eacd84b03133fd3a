"""How much waiting work is let into the lanes, and whose.

Four rules. Lanes are short: a lane holds no more than a horizon of work at the pace at which it drains, so that what is
urgent or switched waits behind a second of work, not hours. Keys share by deficit round robin (Shreedhar and Varghese,
1995): each turn a key gains `quantum` × its weight and spends it; a key with a million waiting delays one with ten
by one turn. What was shared out goes into a lane one by one, each key in its turn. And before anything is planned, and
could be shared out, who is not the crowd on a lane is let past it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeVar

from msgspec import Struct

T = TypeVar("T")


class DeficitRoundRobin(Struct, frozen=True):
    """Where the round stands: what keys have gained and not spent, and whose turn it is. A new one owes nobody."""

    deficits: dict[str, float] = {}
    turn: str = ""
    """The round goes on with this key, or the first after it that has something waiting."""
    gained: bool = False
    """That key has had this turn's gain: the room ran out while it was spending it."""


class Shares(Struct, frozen=True):
    """How many to pull from each key (none: not listed), and where the round stands afterwards."""

    pulls: dict[str, int]
    state: DeficitRoundRobin


def share_out(
    state: DeficitRoundRobin, waiting: Mapping[str, int], weights: Mapping[str, float], quantum: float, room: int
) -> Shares:
    """Shares `room` among the keys that have something waiting; all of it is used while anything waits.

    A key without a weight weighs 1. `quantum` and all weights are above 0. A key with nothing (more) waiting loses
    what it has not spent: nobody saves up for a burst.
    """
    left = {key: count for key, count in waiting.items() if count > 0}
    ring = _from(state.turn, sorted(left))
    gains = {key: quantum * weights.get(key, 1.0) for key in ring}
    deficits = {key: state.deficits.get(key, 0.0) for key in ring}
    pulls = dict.fromkeys(ring, 0)
    turn, gained = state.turn, state.gained
    while room > 0 and left:
        _skip_idle_rounds(ring, gains, deficits)
        for place, key in enumerate(ring):
            deficits[key] += 0.0 if gained and key == turn else gains[key]
            gained = False
            count = min(left[key], int(deficits[key]), room)
            room -= count
            pulls[key] += count
            left[key] -= count
            deficits[key] -= count
            if room == 0:
                gained = left[key] > 0 and deficits[key] >= 1
                turn = key if gained else ring[(place + 1) % len(ring)]
                break
        left = {key: count for key, count in left.items() if count > 0}
        ring = [key for key in ring if key in left]
    kept = {key: deficits[key] for key in left}
    return Shares({key: count for key, count in pulls.items() if count}, DeficitRoundRobin(kept, turn, gained))


def _from(turn: str, keys: list[str]) -> list[str]:
    start = bisect_left(keys, turn)
    return keys[start:] + keys[:start]


def _skip_idle_rounds(ring: list[str], gains: Mapping[str, float], deficits: dict[str, float]) -> None:
    """Small weights need many turns for one whole parcel: those in which nobody could pull are taken at once."""
    rounds = min(math.ceil((1 - deficits[key]) / gains[key]) for key in ring) - 1
    if rounds > 0:
        for key in ring:
            deficits[key] += rounds * gains[key]


def interleaved(items: Iterable[T], key: Callable[[T], Hashable]) -> list[T]:
    """The first of each key, then the second of each, and so on. Each key's keep their order, and keys that of their firsts."""
    came: Counter[Hashable] = Counter()
    placed: list[tuple[int, T]] = []
    for item in items:
        whose = key(item)
        placed.append((came[whose], item))
        came[whose] += 1
    return [item for _, item in sorted(placed, key=lambda pair: pair[0])]


def is_crowd(own: int, total: int, keys: int, few: int) -> bool:
    """Whether a key that came `own` times of late, this one not counted, of `total` times in which `keys` different ones came, is
    part of the crowd: it came more than a few times, and at least a quarter as often as they did on average.

    Those who are not make up less than a quarter of all, beside a few of each, so that whoever is let past the crowd
    does not find another there. A key alone is the crowd, lest it be one beside it as well.
    """
    return own >= few and 4 * own * keys >= total


def lane_room(drained_per_s: float, depth: int, horizon_s: float, floor: int) -> int:
    """How many parcels may be added to a lane that holds `depth` and drained at this pace of late.

    `floor` parcels may always lie there: a lane that stood still starts with them, and grows with the pace that this shows.
    """
    return max(0, max(floor, math.floor(max(0.0, drained_per_s) * horizon_s)) - depth)
