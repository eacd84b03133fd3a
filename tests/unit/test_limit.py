"""Rates that no window exceeds, and what is kept for the upper priorities."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendwright.model.notification import Priority
from sendwright.policy.limit import IDLE, Admission, Rate, Reserve, admit, ceiling, leave_share, parse_rate

rates = st.builds(Rate, st.integers(1, 300), st.sampled_from([1, 60, 3600, 86_400]))
epochs = st.sampled_from([0.0, 1_795_000_000.0])


def most_in_a_window(times: list[float], costs: list[int], unit_s: float) -> int:
    """The greatest cost in any [t, t + unit): it begins at one of the times."""
    sums = [0]
    for cost in costs:
        sums.append(sums[-1] + cost)
    return max((sums[bisect_left(times, at + unit_s)] - sums[i] for i, at in enumerate(times)), default=0)


def saturate(rate: Rate, start: float, until: float, cost: int = 1, leave: float = 0.0) -> list[float]:
    """Every time at which a caller who asks again as soon as it is told to gets through."""
    tat, now, times = IDLE, start, []
    while now < until:
        allowed, tat, retry_at = admit(tat, now, rate, cost, leave)
        if allowed:
            times.append(now)
        else:
            assert retry_at > now
            now = retry_at
    return times


class TestRates:
    @pytest.mark.parametrize(
        ("text", "rate"),
        [
            ("100/s", Rate(100, 1)),
            ("60/min", Rate(60, 60)),
            ("5000/h", Rate(5000, 3600)),
            ("1000/day", Rate(1000, 86_400)),
            (" 3 / min ", Rate(3, 60)),
        ],
    )
    def test_a_rate_is_a_number_per_unit(self, text: str, rate: Rate) -> None:
        assert parse_rate(text) == rate

    @pytest.mark.parametrize(
        "text", ["", "100", "/s", "0/s", "-1/s", "1.5/s", "100/sec", "100/d", "1e3/s", "٣/s", "1/s/s", "9" * 40 + "/s"]
    )
    def test_everything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="a rate is"):
            parse_rate(text)

    @pytest.mark.parametrize(("n", "burst"), [(1, 1), (20, 1), (33, 1), (34, 2), (100, 4), (1000, 31)])
    def test_a_burst_is_three_in_a_hundred_and_at_least_one(self, n: int, burst: int) -> None:
        assert Rate(n, 1).burst == burst


class TestAdmission:
    @pytest.mark.slow
    @settings(max_examples=300)
    @given(rates, epochs, st.floats(0, 1), st.data())
    def test_no_window_ever_holds_more_than_the_rate(self, rate: Rate, start: float, leave: float, data: st.DataObject) -> None:
        # given arrivals as they come, from storms to rests, some of them asking again exactly when they may
        gaps = data.draw(st.lists(st.floats(0, 1.2).map(lambda g: g**6 * rate.unit_s) | st.none(), max_size=400))
        cost = st.integers(1, rate.n)
        tat, now, retry_at, times, costs = IDLE, start, start, [], []

        # when
        for gap in gaps:
            now = max(now, retry_at) if gap is None else now + gap
            wanted = data.draw(cost) if gap is not None and gap > 0.1 * rate.unit_s else 1
            allowed, tat, retry_at = admit(tat, now, rate, wanted, leave)
            if allowed:
                times.append(now)
                costs.append(wanted)

        # then
        assert most_in_a_window(times, costs, rate.unit_s) <= rate.n

    @pytest.mark.parametrize("start", [0.0, 1_795_000_000.123])
    @pytest.mark.parametrize(
        "rate", [Rate(1, 1), Rate(7, 60), Rate(20, 1), Rate(34, 1), Rate(100, 60), Rate(999, 3600), Rate(10_000, 1)], ids=str
    )
    def test_saturated_it_uses_at_least_95_in_100_and_never_too_many(self, rate: Rate, start: float) -> None:
        times = saturate(rate, start, start + 3 * rate.unit_s)

        assert most_in_a_window(times, [1] * len(times), rate.unit_s) <= rate.n
        assert len(times) >= 0.95 * 3 * rate.n

    @given(rates, st.integers(1, 9), epochs, st.floats(0, 1))
    def test_who_comes_back_when_told_is_let_through(self, rate: Rate, cost: int, now: float, leave: float) -> None:
        cost = min(cost, rate.n)
        tat = IDLE
        while (refused := admit(tat, now, rate, cost, leave)).allowed:
            tat = refused.tat

        assert refused.tat == tat
        assert admit(tat, refused.retry_at, rate, cost, leave).allowed

    def test_an_admission_moves_the_arrival_time_and_a_refusal_does_not(self) -> None:
        rate = Rate(1, 60)

        first = admit(IDLE, 100.0, rate)
        second = admit(first.tat, 130.0, rate)

        assert first == Admission(allowed=True, tat=pytest.approx(160), retry_at=100.0)
        assert second == Admission(allowed=False, tat=first.tat, retry_at=pytest.approx(160))

    @pytest.mark.parametrize("now", [50.0, 1_795_000_000.123])
    @pytest.mark.parametrize("n", [20, 34, 100, 1000])
    def test_after_a_rest_a_burst_goes_at_once_and_no_more(self, n: int, now: float) -> None:
        rate, tat, taken = Rate(n, 1), IDLE, 0
        while (answer := admit(tat, now, rate)).allowed:
            tat, taken = answer.tat, taken + 1

        assert taken == rate.burst

    def test_a_cost_above_the_burst_waits_for_a_rest(self) -> None:
        rate = Rate(10, 10)
        tat = admit(IDLE, 0.0, rate).tat

        assert admit(IDLE, 0.0, rate, 5).allowed
        assert admit(tat, 1.5, rate, 5).retry_at == pytest.approx(5)

    @pytest.mark.parametrize("cost", [0, -1, 11])
    def test_a_cost_that_no_window_holds_is_an_error(self, cost: int) -> None:
        with pytest.raises(ValueError, match="cost"):
            admit(IDLE, 0.0, Rate(10, 1), cost)


class TestReserves:
    def test_the_lower_ones_leave_room_in_the_burst_for_those_above(self) -> None:
        # given bulk that has taken all that it may
        rate, tat, taken = Rate(100, 1), IDLE, 0
        while (answer := admit(tat, 0.0, rate, leave_share=0.3)).allowed:
            tat, taken = answer.tat, taken + 1

        # then
        assert taken == 2
        assert admit(tat, 0.0, rate).allowed

    @pytest.mark.parametrize("leave", [0.0, 0.3, 1.0])
    def test_the_lower_ones_have_the_full_sustained_rate(self, leave: float) -> None:
        times = saturate(Rate(100, 1), 0.0, 10.0, leave=leave)

        assert len(times) >= 970

    def test_a_rate_without_a_burst_has_nothing_to_reserve(self) -> None:
        assert admit(IDLE, 0.0, Rate(20, 1), leave_share=1.0).allowed

    def test_each_priority_leaves_what_belongs_to_those_above_it(self) -> None:
        reserve = Reserve(critical=0.2, high=0.1)

        assert [leave_share(p, reserve) for p in Priority] == pytest.approx([0, 0.2, 0.3, 0.3])
        assert leave_share(Priority.BULK, Reserve(critical=0.9, high=0.9)) == 1

    @pytest.mark.parametrize(
        ("concurrency", "expected"),
        [(200, [200, 160, 140, 140]), (10, [10, 8, 7, 7]), (4, [4, 3, 2, 2]), (2, [2, 1, 1, 1]), (1, [1, 1, 1, 1])],
    )
    def test_places_are_kept_for_the_upper_priorities_and_everybody_has_one(self, concurrency: int, expected: list[int]) -> None:
        assert [ceiling(concurrency, p, Reserve()) for p in Priority] == expected

    @pytest.mark.slow
    @given(st.integers(1, 5000), st.floats(0, 0.5), st.floats(0, 0.5))
    def test_a_higher_priority_never_has_fewer_places(self, concurrency: int, critical: float, high: float) -> None:
        places = [ceiling(concurrency, p, Reserve(critical=critical, high=high)) for p in Priority]

        assert places == sorted(places, reverse=True)
        assert (places[0], min(places) >= 1) == (concurrency, True)

    def test_without_reserves_all_are_equal(self) -> None:
        assert {ceiling(30, p, Reserve(critical=0, high=0)) for p in Priority} == {30}

    def test_a_share_that_is_whole_but_for_the_float_is_taken_as_whole(self) -> None:
        assert ceiling(30, Priority.HIGH, Reserve(critical=0.1)) == 27
