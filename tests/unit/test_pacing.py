"""Whose work is let in, and how much of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.policy.pacing import DeficitRoundRobin, lane_room, share_out

waitings = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(0, 60), max_size=8)


def ticks(waiting: dict[str, int], weights: dict[str, float], quantum: float, room: int, count: int) -> list[dict[str, int]]:
    """Tick after tick over keys that never run dry."""
    state, pulls = DeficitRoundRobin(), []
    for _ in range(count):
        shares = share_out(state, waiting, weights, quantum, room)
        state = shares.state
        pulls.append(shares.pulls)
    return pulls


def total(pulls: list[dict[str, int]], key: str) -> int:
    return sum(pull.get(key, 0) for pull in pulls)


class TestSharing:
    @given(waitings, st.floats(0.05, 20), st.lists(st.integers(0, 80), min_size=1, max_size=6), st.data())
    def test_all_room_is_used_while_anything_waits_and_nobody_gets_more_than_it_has(
        self, waiting: dict[str, int], quantum: float, rooms: list[int], data: st.DataObject
    ) -> None:
        weights = {key: data.draw(st.floats(0.1, 5)) for key in list(waiting)[::2]}
        state, left = DeficitRoundRobin(), dict(waiting)
        for room in rooms:
            shares = share_out(state, left, weights, quantum, room)

            assert sum(shares.pulls.values()) == min(room, sum(left.values()))
            assert all(0 < count <= left[key] for key, count in shares.pulls.items())
            state = shares.state
            left = {key: count - shares.pulls.get(key, 0) for key, count in left.items()}

    @pytest.mark.slow
    @given(st.integers(1, 40), st.floats(0.5, 10), st.floats(0.2, 5), st.floats(0.2, 5))
    def test_in_the_long_run_keys_share_by_weight(self, room: int, quantum: float, a: float, b: float) -> None:
        pulls = ticks({"a": 10**6, "b": 10**6}, {"a": a, "b": b}, quantum, room, 200)

        # then neither is ahead of the other by more than two turns and a parcel each
        assert abs(total(pulls, "a") / a - total(pulls, "b") / b) <= 2 * quantum + 2 / a + 2 / b

    def test_a_million_of_one_delay_ten_of_another_by_one_turn(self) -> None:
        pulls = ticks({"blast": 10**6, "small": 10}, {}, 10, 20, 1)

        assert pulls == [{"blast": 10, "small": 10}]

    def test_room_for_one_goes_round(self) -> None:
        pulls = ticks({"a": 99, "b": 99, "c": 99}, {}, 1, 1, 6)

        assert [list(pull) for pull in pulls] == [["a"], ["b"], ["c"], ["a"], ["b"], ["c"]]

    def test_a_turn_that_the_room_cut_short_goes_on_in_the_next_tick(self) -> None:
        pulls = ticks({"a": 99, "b": 99}, {}, 5, 3, 4)

        assert pulls == [{"a": 3}, {"a": 2, "b": 1}, {"b": 3}, {"b": 1, "a": 2}]

    def test_a_small_weight_is_served_too(self) -> None:
        pulls = ticks({"a": 10**6, "b": 10**6}, {"b": 0.01}, 1, 10, 101)

        assert total(pulls, "b") == 10

    def test_tiny_weights_alone_still_use_all_room(self) -> None:
        assert ticks({"a": 10**6, "b": 10**6}, {"a": 1e-9, "b": 1e-9}, 1, 10, 1) == [{"a": 5, "b": 5}]

    def test_who_has_nothing_waiting_saves_nothing_up(self) -> None:
        state = DeficitRoundRobin()
        for _ in range(50):
            state = share_out(state, {"a": 1, "b": 1000}, {}, 10, 11).state

        assert "a" not in state.deficits
        assert share_out(state, {"a": 1000, "b": 1000}, {}, 10, 20).pulls == {"a": 10, "b": 10}

    def test_a_key_that_left_during_its_turn_is_followed_by_the_next(self) -> None:
        state = share_out(DeficitRoundRobin(), {"a": 9, "b": 9, "c": 9}, {}, 5, 7).state
        assert (state.turn, state.gained) == ("b", True)

        assert share_out(state, {"a": 9, "c": 9}, {}, 5, 5).pulls == {"c": 5}

    def test_a_newcomer_is_not_taken_for_the_one_whose_turn_it_was(self) -> None:
        state = share_out(DeficitRoundRobin(), {"b": 9, "d": 9}, {}, 5, 3).state

        assert share_out(state, {"c": 9, "d": 9}, {}, 5, 20).pulls == {"c": 9, "d": 9}

    @pytest.mark.parametrize(("waiting", "room"), [({}, 10), ({"a": 0}, 10), ({"a": 5}, 0)])
    def test_nothing_is_pulled_from_nothing_or_into_nothing(self, waiting: dict[str, int], room: int) -> None:
        assert share_out(DeficitRoundRobin(), waiting, {}, 1, room).pulls == {}


class TestLanes:
    @pytest.mark.parametrize(
        ("drained_per_s", "depth", "room"),
        [
            (0, 0, 100),
            (0, 60, 40),
            (0, 100, 0),
            (50, 0, 500),
            (50, 480, 20),
            (50, 900, 0),
            (5, 0, 100),
            (-3, 0, 100),
            (0.99, 0, 100),
        ],
    )
    def test_a_lane_holds_a_horizon_of_work_or_the_floor(self, drained_per_s: float, depth: int, room: int) -> None:
        assert lane_room(drained_per_s, depth, horizon_s=10, floor=100) == room

    def test_a_lane_that_drains_ramps_up_from_the_floor(self) -> None:
        drained_per_s, fed = 0.0, []
        for _ in range(5):  # consumers take all they are given, each second, up to 5,000
            fed.append(min(5000, lane_room(drained_per_s, 0, horizon_s=10, floor=10)))
            drained_per_s = fed[-1]

        assert fed == [10, 100, 1000, 5000, 5000]
