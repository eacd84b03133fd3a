"""Whose work is let in, and how much of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.policy.pacing import DeficitRoundRobin, interleaved, is_crowd, lane_room, share_out

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


class TestInterleaving:
    def test_one_of_each_in_turn_and_the_rest_behind(self) -> None:
        assert interleaved(["a1", "a2", "a3", "a4", "b1", "b2", "c1"], lambda item: item[0]) == [
            "a1", "b1", "c1", "a2", "b2", "a3", "a4",
        ]  # fmt: skip

    @given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers())))
    def test_nothing_is_lost_each_keys_order_is_kept_and_nobody_is_two_ahead(self, items: list[tuple[str, int]]) -> None:
        found = interleaved(items, lambda item: item[0])
        counts = dict.fromkeys("abcd", 0)
        left = {key: sum(item[0] == key for item in items) for key in counts}
        for key, _ in found:
            counts[key] += 1
            left[key] -= 1
            assert all(counts[key] <= counts[other] + 1 for other in counts if left[other] > 0)
        for key in counts:
            assert [item for item in found if item[0] == key] == [item for item in items if item[0] == key]

    @pytest.mark.slow
    @given(st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(1, 60), min_size=1, max_size=20), st.data())
    def test_of_a_ring_that_is_seen_in_part_everybody_has_a_turn_before_anybody_has_two(
        self, waiting: dict[str, int], data: st.DataObject
    ) -> None:
        """As the promoter looks at it: one tenant more than there is room for, from the one whose turn it is."""
        state, left, since = DeficitRoundRobin(), dict(waiting), dict.fromkeys(waiting, 0)
        while left:
            room = data.draw(st.integers(1, 6))
            ring = sorted(left, key=lambda key: (key < state.turn, key))[: room + 1]
            shares = share_out(state, {key: left[key] for key in ring}, {}, 1, room)
            state = shares.state
            assert sum(shares.pulls.values()) == min(room, sum(left[key] for key in ring))
            for key in left:
                pulled = shares.pulls.get(key, 0)
                left[key] -= pulled
                since[key] = 0 if pulled else since[key] + sum(shares.pulls.values())
            left = {key: count for key, count in left.items() if count}
            # then nobody waits while others have more than a turn each, and the last pull
            assert all(since[key] <= len(waiting) + 6 for key in left)


class TestCrowds:
    @pytest.mark.parametrize(
        ("own", "total", "keys", "crowd"),
        [
            (0, 1, 1, False),
            (9, 10_000, 2, False),
            (10, 11, 1, True),
            (10_000, 10_001, 1, True),
            (1249, 10_000, 2, False),
            (1250, 10_000, 2, True),
            (5000, 10_000, 2, True),
            (25, 10_000, 100, True),
            (24, 10_000, 100, False),
        ],
    )
    def test_the_crowd_is_who_comes_often_more_than_a_few_times(self, own: int, total: int, keys: int, crowd: bool) -> None:
        assert is_crowd(own, total, keys, few=10) == crowd

    @given(st.lists(st.integers(1, 5000), min_size=1, max_size=30))
    def test_those_who_are_not_are_less_than_a_quarter_beside_a_few_of_each(self, counts: list[int]) -> None:
        total = sum(counts)
        past = sum(own for own in counts if own >= 10 and not is_crowd(own, total, len(counts), 10))
        assert 4 * past < total or past == 0

    @given(st.lists(st.integers(1, 5000), min_size=1, max_size=30))
    def test_who_comes_most_often_is_the_crowd(self, counts: list[int]) -> None:
        assert is_crowd(max(counts), sum(counts), len(counts), few=1)
