"""Everything that chance decides. One seed, and one stream of numbers per purpose: what is drawn for one part of the world
does not move what is drawn for another, so that a mended bug changes as little as possible of its seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

HOUR_S = 3600.0

STORE_FAULTS = ("store_down", "store_cut", "commit_unknown", "commit_refused", "commit_late", "store_slow")
BUS_FAULTS = ("bus_down", "confirm_lost", "confirm_refused", "ack_lost", "delivered_twice", "reordered")
STORE_CLOCK = "store_clock"
LIFE_FAULTS = ("crash", "crash_all", "drain", "pause", "pause_before_write", "clock_ahead", "clock_back", STORE_CLOCK)
VENDOR_FAULTS = (
    "says_503", "says_503_after", "says_500_taken", "says_500_lost", "says_429", "says_429_odd", "says_401", "says_400",
    "hangs_taken", "hangs_lost", "reset_before_write", "reset_taken", "reset_lost", "malformed", "slow", "refuses_connection",
    "throttles_recipient", "takes_twice", "flaps", "refuses_one", "forgets_one",
)  # fmt: skip
RECEIPT_FAULTS = ("receipt_early", "receipt_late", "receipt_twice", "receipt_disordered", "receipt_lost", "receipt_failed")
CLOCK_WRONG = "clock_wrong"
"""Machines whose wall clocks are wrong from the beginning."""
ASK_TO_WAIT = frozenset({"says_503_after", "says_429", "says_429_odd", "throttles_recipient"})
"""Not in one seed with steps of the store's clock: how long a provider asked to be left alone is kept as a time of that clock, and
is void when it was told by one that was ahead (docs/simulation.md)."""
FAULTS = (*STORE_FAULTS, *BUS_FAULTS, *LIFE_FAULTS, CLOCK_WRONG, *VENDOR_FAULTS, *RECEIPT_FAULTS)


class Draw:
    """The chances of one seed. `has` says which kinds of faults it knows at all: half of them, others for each seed, so that
    rare ones meet without the common ones in between; one seed in twenty has none."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        chooser = self.stream("faults")
        calm = chooser.random() < 0.05
        known = frozenset() if calm else frozenset(fault for fault in FAULTS if chooser.random() < 0.5)
        self.has = known - ASK_TO_WAIT if STORE_CLOCK in known else known

    def stream(self, purpose: str) -> random.Random:
        return random.Random(f"{self.seed}:{purpose}")


def chance(rng: random.Random, share: float) -> bool:
    return rng.random() < share


def pick(rng: random.Random, among: Sequence[T]) -> T:
    return among[int(rng.random() * len(among))]
