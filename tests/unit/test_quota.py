"""A key's rate: a whole window's calls at once after a rest, then evenly, and true words about what is left."""

from __future__ import annotations

import math

import pytest

from sendwright.policy.limit import Rate, parse_rate
from sendwright.policy.quota import UNUSED, draw

RATES = [parse_rate(text) for text in ("1/s", "3/s", "100/s", "7/min", "5000/h", "1000/day")]


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("now", [0.0, 1_795_000_000.123])
def test_a_whole_window_goes_at_once_and_no_more(rate: Rate, now: float) -> None:
    tat, left = UNUSED, []
    for _ in range(rate.n):
        quota = draw(tat, now, rate)
        assert quota.allowed
        tat = quota.tat
        left.append(quota.left)
    assert left == list(range(rate.n - 1, -1, -1))
    refused = draw(tat, now, rate)
    assert (refused.allowed, refused.left, refused.tat) == (False, 0, tat)
    assert refused.more_s == pytest.approx(rate.unit_s / rate.n, rel=1e-3)


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_who_waits_as_long_as_he_was_told_is_let_through_once(rate: Rate) -> None:
    now, tat = 1_795_000_000.0, UNUSED
    for _ in range(rate.n):
        tat = draw(tat, now, rate).tat
    for _ in range(20):
        refused = draw(tat, now, rate)
        assert not refused.allowed
        assert not draw(tat, now + refused.more_s * 0.9, rate).allowed
        now += refused.more_s
        taken = draw(tat, now, rate)
        assert taken.allowed
        tat = taken.tat


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_no_window_sees_twice_the_rate_however_hard_it_is_tried(rate: Rate) -> None:
    tat, taken = UNUSED, []
    step = rate.unit_s / rate.n / 3
    for tick in range(rate.n * 9 if rate.n < 2000 else 20_000):
        now = 1000.0 + tick * step
        quota = draw(tat, now, rate)
        tat = quota.tat
        if quota.allowed:
            taken.append(now)
    for first, at in enumerate(taken):
        assert sum(at <= other < at + rate.unit_s for other in taken[first : first + 2 * rate.n + 1]) < 2 * rate.n + 1
        if first > 200:
            break


def test_a_refusal_costs_nothing() -> None:
    rate = parse_rate("2/s")
    tat = draw(draw(UNUSED, 0.0, rate).tat, 0.0, rate).tat
    for _ in range(1000):
        tat = draw(tat, 0.1, rate).tat
    assert draw(tat, 0.51, rate).allowed


def test_what_is_left_comes_back_while_nobody_calls() -> None:
    rate = parse_rate("10/s")
    quota = draw(UNUSED, 0.0, rate)
    assert (quota.left, math.ceil(quota.more_s)) == (9, 1)
    quota = draw(quota.tat, 5.0, rate)
    assert quota.left == 9
