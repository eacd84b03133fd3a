"""The breaker: when it opens, how one probe goes out, and how it closes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.policy.breaker import (
    Breaker,
    BreakerSettings,
    Health,
    Permit,
    State,
    answered,
    began_probe,
    failed,
    lost_probe,
    may_call,
    misconfigured,
    next_probe_at,
    ramp,
    reported,
    succeeded,
)

T = 1_000.0


def opened(at: float = T) -> Breaker:
    b = Breaker()
    for _ in range(5):
        b = failed(b, at)
    assert b.state == State.OPEN
    return b


def half_open(at: float = T) -> Breaker:
    """Opened at `at`; its first probe went out a second later and has ten."""
    b = began_probe(opened(at), at + 1, at + 11)
    assert b.state == State.HALF_OPEN
    return b


def closed_again(at: float = T) -> Breaker:
    b = half_open(at - 1)
    return succeeded(b, at, probe=b.probe)


class TestOpening:
    def test_a_new_one_lets_everything_out(self) -> None:
        assert (may_call(Breaker(), T), next_probe_at(Breaker()), ramp(Breaker(), T)) == (Permit.YES, None, 1)

    def test_it_opens_after_five_failures_in_a_row_and_not_before(self) -> None:
        b = Breaker()
        for _ in range(4):
            b = failed(b, T)
        assert b.state == State.CLOSED

        b = failed(b, T)
        assert (b.state, b.why, may_call(b, T)) == (State.OPEN, "5 failures in a row", Permit.NO)

    def test_a_success_between_them_begins_the_row_anew(self) -> None:
        b = Breaker()
        for _ in range(4):
            b = failed(b, T)
        b = succeeded(b, T)
        for _ in range(4):
            b = failed(b, T)

        assert b.state == State.CLOSED

    def test_it_opens_when_half_of_twenty_calls_failed_though_never_five_in_a_row(self) -> None:
        b = Breaker()
        for i in range(9):
            b = succeeded(failed(b, T + i / 10), T + i / 10)
        b = succeeded(b, T + 1)
        assert b.state == State.CLOSED

        b = failed(b, T + 1)  # 10 of 20
        assert (b.state, b.why) == (State.OPEN, "10 of 20 calls failed")

    def test_calls_that_left_the_window_do_not_count(self) -> None:
        b = Breaker()
        for _ in range(9):
            b = succeeded(failed(b, T), T)
        b = succeeded(b, T)

        b = failed(b, T + 10)

        assert b.state == State.CLOSED

    def test_few_calls_have_no_share(self) -> None:
        b = Breaker()
        for _ in range(9):
            b = failed(succeeded(b, T), T)

        assert b.state == State.CLOSED  # 9 of 18

    def test_a_limit_reached_counts_neither_way(self) -> None:
        b = Breaker()
        for _ in range(4):
            b = answered(failed(b, T), T)
        assert b.state == State.CLOSED

        assert failed(b, T).state == State.OPEN

    def test_a_refused_account_opens_it_at_once_and_says_why(self) -> None:
        b = misconfigured(Breaker(), T, why="401: key revoked")

        assert (b.state, b.why, b.misconfigured, b.probe_at) == (State.OPEN, "401: key revoked", True, T + 1)

    def test_a_clock_that_steps_back_neither_raises_nor_forgets(self) -> None:
        b = Breaker()
        for i in range(9):
            b = succeeded(failed(b, T - i), T - i)
        b = succeeded(b, T - 20)

        assert [(bucket.good, bucket.bad) for bucket in b.buckets] == [(10, 9)]
        assert failed(b, T - 30).state == State.OPEN

    @given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=200))
    def test_it_keeps_no_more_than_a_window_of_calls_whatever_comes(self, calls: list[tuple[float, bool]]) -> None:
        b, now = Breaker(settings=BreakerSettings(failures=10_000, calls_min=10_000)), 0.0
        log: list[float] = []
        for after, good in calls:
            now += after
            log.append(now)
            b = succeeded(b, now) if good else failed(b, now)

        counted = sum(bucket.good + bucket.bad for bucket in b.buckets)
        assert sum(at > now - 9 for at in log) <= counted <= sum(at > now - 10 - 1e-6 for at in log)
        assert len(b.buckets) <= 10


class TestProbing:
    def test_nothing_goes_out_until_the_first_probe_is_due(self) -> None:
        b = opened()

        assert [may_call(b, T + s) for s in (0, 0.99, 1, 500)] == [Permit.NO, Permit.NO, Permit.PROBE, Permit.PROBE]
        assert next_probe_at(b) == T + 1

    def test_one_probe_at_a_time(self) -> None:
        b = half_open()

        assert may_call(b, T + 5) == Permit.NO
        assert began_probe(b, T + 5, T + 15) == b

    def test_a_probe_can_not_begin_before_it_is_due_or_while_it_is_closed(self) -> None:
        assert began_probe(opened(), T, T + 10).probe == 0
        assert began_probe(Breaker(), T, T + 10) == Breaker()

    def test_its_success_closes(self) -> None:
        b = closed_again()

        assert (b.state, b.why, may_call(b, T), b.failed_in_row) == (State.CLOSED, "", Permit.YES, 0)

    def test_an_answer_of_no_health_closes_too(self) -> None:
        b = half_open()

        assert answered(b, T + 2, probe=b.probe).state == State.CLOSED

    def test_each_failed_probe_doubles_the_interval_to_thirty_seconds(self) -> None:
        b, now, intervals = opened(), T, []
        for _ in range(8):
            intervals.append(b.probe_at - now)
            now = b.probe_at
            b = began_probe(b, now, now + 10)
            b = failed(b, now, probe=b.probe, why="503")

        assert intervals == [1, 2, 4, 8, 16, 30, 30, 30]
        assert b.why == "503"

    def test_a_probe_that_never_reports_is_lost_at_its_deadline(self) -> None:
        b = half_open()

        assert lost_probe(b, T + 10.9) == b
        assert (lost_probe(b, T + 11).state, next_probe_at(b)) == (State.OPEN, T + 13)
        assert [may_call(b, T + s) for s in (11, 12.9, 13)] == [Permit.NO, Permit.NO, Permit.PROBE]

    def test_nobody_need_tell_that_a_probe_was_lost(self) -> None:
        b = began_probe(half_open(), T + 13, T + 23)

        assert (b.state, b.probe, b.interval_s, b.probe_until) == (State.HALF_OPEN, 2, 2, T + 23)

    def test_a_lost_probe_that_succeeds_after_all_closes(self) -> None:
        b = began_probe(half_open(), T + 13, T + 23)

        assert succeeded(b, T + 14, probe=1).state == State.CLOSED

    def test_a_lost_probe_that_fails_after_all_does_not_speak_for_the_present_one(self) -> None:
        b = began_probe(half_open(), T + 13, T + 23)

        assert failed(b, T + 14, probe=1) == b
        assert misconfigured(b, T + 14, probe=1, why="401").state == State.HALF_OPEN

    def test_a_probe_from_before_the_latest_opening_is_old_news(self) -> None:
        b = closed_again()
        for _ in range(5):
            b = failed(b, T + 1)

        assert succeeded(b, T + 2, probe=1) == b

    @pytest.mark.parametrize("health", Health)
    def test_calls_that_began_before_it_opened_neither_close_it_nor_end_its_probe(self, health: Health) -> None:
        for b in (opened(), half_open()):
            after = reported(b, health, T + 0.5, why="late")
            assert (after.state, after.probe_at, after.interval_s, after.probe) == (b.state, b.probe_at, 1, b.probe)

    def test_a_misconfigured_probe_opens_it_again_and_says_why(self) -> None:
        b = half_open()
        b = misconfigured(b, T + 2, probe=b.probe, why="403: sender not allowed")

        assert (b.state, b.misconfigured, b.why, b.probe_at) == (State.OPEN, True, "403: sender not allowed", T + 4)

    def test_after_closing_it_is_misconfigured_no_longer(self) -> None:
        b = began_probe(misconfigured(Breaker(), T, why="401"), T + 1, T + 11)
        b = succeeded(b, T + 2, probe=b.probe)
        assert not b.misconfigured

        for _ in range(5):
            b = failed(b, T + 3)
        assert (b.state, b.misconfigured) == (State.OPEN, False)

    @given(st.lists(st.tuples(st.floats(0, 20), st.sampled_from([*Health, None])), max_size=60))
    def test_two_probes_are_never_on_their_way_at_once(self, steps: list[tuple[float, Health | None]]) -> None:
        b, now, busy_until = opened(0.0), 0.0, 0.0
        for after, outcome in steps:
            now += after
            if b.state == State.CLOSED:
                break
            if may_call(b, now) == Permit.PROBE:
                assert now >= busy_until
                b = began_probe(b, now, now + 10)
                assert may_call(b, now) == Permit.NO
                busy_until = now + 10
            elif outcome is not None and now < busy_until:
                b, busy_until = reported(b, outcome, now, probe=b.probe), now
                assert b.state == (State.CLOSED if outcome in {Health.GOOD, Health.NEUTRAL} else State.OPEN)


class TestComingBack:
    def test_it_is_loaded_with_a_tenth_and_twice_that_after_each_good_window(self) -> None:
        b, shares = closed_again(), []
        for tenths in range(50):
            shares.append(ramp(b, T + tenths / 10))
            b = succeeded(b, T + tenths / 10)

        assert shares[::10] == [0.1, 0.2, 0.4, 0.8, 1.0]
        assert all(0 < share <= 1 for share in shares)

    def test_a_failure_begins_the_window_anew(self) -> None:
        b = failed(succeeded(closed_again(), T), T + 0.5)
        b = succeeded(b, T + 0.6)

        assert [ramp(b, T + s) for s in (1, 1.4, 1.5)] == [0.1, 0.1, 0.2]

    def test_silence_is_no_good_window(self) -> None:
        assert ramp(closed_again(), T + 20) == 0.1

    def test_one_that_flaps_goes_on_growing_its_interval(self) -> None:
        b = closed_again()
        for _ in range(5):
            b = failed(b, T + 1)

        assert b.probe_at == T + 1 + 2

    @pytest.mark.parametrize("calm_s", [5, 30])
    def test_one_that_was_well_for_a_while_is_probed_soon(self, calm_s: int) -> None:
        b = closed_again()
        if calm_s == 5:
            for s in range(5):
                b = succeeded(b, T + s)
        for _ in range(5):
            b = failed(b, T + calm_s)

        assert b.probe_at == T + calm_s + 1

    def test_old_failures_are_forgotten(self) -> None:
        b = closed_again()
        for _ in range(4):
            b = failed(b, T)

        assert b.state == State.CLOSED


@pytest.mark.parametrize(
    ("health", "state"),
    [
        (Health.GOOD, State.CLOSED),
        (Health.NEUTRAL, State.CLOSED),
        (Health.BAD, State.OPEN),
        (Health.MISCONFIGURED, State.OPEN),
    ],
)
def test_each_report_of_a_probe_settles_it(health: Health, state: State) -> None:
    b = half_open()

    assert reported(b, health, T + 2, probe=b.probe).state == state


def test_a_report_leaves_the_value_it_was_given_as_it_was() -> None:
    b = opened()
    began_probe(b, T + 1, T + 11)

    assert b == opened()
