"""Cells of a rate that a fleet shares: whoever uses them, no window sees more than the rate, and nobody is kept out for long."""

from __future__ import annotations

import random
from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from sendwright.model.accord import Bar, Change
from sendwright.policy.breaker import Breaker, Permit, State, adopted, began_probe, change, failed, may_call, ramp, succeeded
from sendwright.policy.limit import (
    AHEAD_S,
    BLOCK_S,
    KEPT_S,
    URGENT_AHEAD_S,
    Cut,
    Rate,
    again_at,
    block_of,
    cut,
    lead_s,
)

rates = st.builds(Rate, st.integers(1, 3000), st.sampled_from([1, 60, 3600, 86_400]))
asked = st.lists(st.tuples(st.floats(0, 0.3), st.integers(1, 20), st.booleans(), st.floats(0, 0.25)), min_size=1, max_size=25)


@given(rates, asked, st.randoms(use_true_random=False))
def test_no_window_sees_more_than_the_rate_however_late_cells_are_used(
    rate: Rate, asks: list[tuple[float, int, bool, float]], draw: random.Random
) -> None:
    # Given: cells that many have cut, each a little later than the one before
    now, tat, kept, cells = 1_795_000_000.0, 0.0, 0.0, []
    for pause, want, urgent, reach in asks:
        now += pause * max(1, rate.cell_s)
        found = cut(tat, kept, now, want, rate.cell_s, reach, urgent=urgent)
        tat, kept = found.tat, found.kept_until
        cells += [found.first + index * rate.cell_s for index in range(found.count)]

    # When: each is used at some time that it is good for
    used = sorted(at + draw.random() * rate.late_s for at in cells)

    # Then
    most = max((bisect_left(used, at + rate.unit_s) - index for index, at in enumerate(used)), default=0)
    assert most <= rate.n


@given(rates, st.floats(0, 0.25), st.booleans())
def test_nobody_is_refused_for_longer_than_the_cells_that_others_can_hold(rate: Rate, reach: float, urgent: bool) -> None:
    now, tat = 1000.0, 0.0
    while (found := cut(tat, 0.0, now, block_of(rate, 1), rate.cell_s, reach, urgent=False)).count:
        tat = found.tat
    refused = cut(tat, 0.0, now, 1, rate.cell_s, 0, urgent=urgent)
    if refused.count == 0:
        at = again_at(refused.first, 0.0, urgent=urgent)
        assert now < at <= now + lead_s(rate.cell_s)
        assert cut(tat, 0.0, at + 1e-6, 1, rate.cell_s, 0, urgent=urgent).count == 1


def test_who_is_urgent_is_refused_by_a_slow_rate_only_and_has_its_next_cell_kept() -> None:
    quick, slow = Rate(50, 1), Rate(10, 60)
    tat = cut(0, 0, 1000, 1, quick.cell_s, 0, urgent=False).tat
    while (found := cut(tat, 0, 1000, block_of(quick, 1), quick.cell_s, 0, urgent=False)).count:
        tat = found.tat
    assert cut(tat, 0, 1000, 1, quick.cell_s, 0, urgent=True).count == 1

    first = cut(0, 0, 1000, 1, slow.cell_s, 0, urgent=False)
    refused = cut(first.tat, 0, 1000, 1, slow.cell_s, 0, urgent=True)
    assert refused == Cut(first.tat, 0, first.tat, first.tat - URGENT_AHEAD_S + KEPT_S)
    due = first.tat - AHEAD_S
    assert cut(refused.tat, refused.kept_until, due, 1, slow.cell_s, 0, urgent=False).count == 0
    assert cut(refused.tat, refused.kept_until, due, 1, slow.cell_s, 0, urgent=True).count == 1
    assert cut(refused.tat, refused.kept_until, refused.kept_until, 1, slow.cell_s, 0, urgent=False).count == 1


def test_blocks_are_a_quarter_of_a_second_shared_and_one_at_the_least() -> None:
    assert block_of(Rate(100, 1), 1) == round(BLOCK_S / Rate(100, 1).cell_s + 0.5)
    assert block_of(Rate(100, 1), 4) == 7
    assert block_of(Rate(10, 60), 3) == 1


# What the fleet is told of a breaker, and takes over


def shared(b: Breaker, now: float, version: int = 1) -> Bar:
    """As the store would keep it."""
    c: Change = change(b, now)
    return Bar("p", version, c.shut, c.why, c.misconfigured, c.interval_s, now + c.probe_in_s, now + c.probing_s)


def opened(at: float) -> Breaker:
    b = Breaker()
    for _ in range(5):
        b = failed(b, at, why="unreachable")
    return b


def test_what_opened_elsewhere_is_open_here_until_the_same_probe() -> None:
    there = opened(100)
    here = adopted(Breaker(), shared(there, 100.3), 100.3)
    assert (here.state, here.why) == (State.OPEN, "unreachable")
    assert [may_call(here, at) for at in (100.9, 101.0)] == [may_call(there, at) for at in (100.9, 101.0)]


def test_a_probe_elsewhere_keeps_everybody_off_and_its_silence_opens_at_the_same_growing_interval() -> None:
    there = began_probe(opened(100), 101, 106)
    here = adopted(opened(100), shared(there, 101), 101)
    assert here.state == State.HALF_OPEN
    for at in (101.0, 105.9, 106.0, 107.9, 108.1):
        assert may_call(here, at) == may_call(there, at)
    assert may_call(here, 108.1) == Permit.PROBE


def test_what_closed_elsewhere_is_loaded_gently_here() -> None:
    probing = began_probe(opened(100), 101, 106)
    closed = succeeded(probing, 102, probe=1)
    here = adopted(opened(100), shared(closed, 102), 102.2)
    assert here.state == State.CLOSED
    assert ramp(here, 102.2) == 0.1
    assert adopted(Breaker(), shared(closed, 102), 102.2) == Breaker()
