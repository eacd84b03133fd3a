"""From samples to figures (policy/stats.py), and GET /v1/stats."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sendwright.model.states import MessageState
from sendwright.model.stats import Parked, Sample, Strip
from sendwright.policy.stats import WINDOWS, Tally, Window, figures, quantile, spans
from sendwright.web.api import stats
from sendwright.web.api.services import COUNTS_KEPT_S, COUNTS_MAX, Counts
from sendwright.web.api.stats import OVER_MS, SAMPLES, UNIT_MS

from .api_world import NOW, World

M = MessageState
SPAN = [(0, 1000)]


def sample(
    state: MessageState = M.SENT, latency_ms: int | None = 10, provider: str | None = "a", channel: str | None = "sms"
) -> Sample:
    return Sample(0, state, channel, provider, latency_ms)


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("now", [NOW, NOW + 1, 1_795_000_020_000 - 1, 1_795_000_020_000])
def test_the_spans_of_a_window_follow_one_another_and_the_last_holds_now(name: str, now: int) -> None:
    window = WINDOWS[name]
    found = spans(window, now)
    assert len(found) == window.length // window.span
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert found[-1][0] <= now < found[-1][1]
    assert all((until - since, since % window.span) == (window.span, 0) for since, until in found)


def test_nothing_has_no_success_and_no_latency() -> None:
    found = figures([Strip()], {}, SPAN, 500)
    assert found.total == Tally()
    assert (found.by_state, found.channels, found.providers, found.estimated) == ({}, {}, {}, False)


def test_success_is_among_what_came_to_an_end() -> None:
    of_each_state_one = tuple(sample(state) for state in M)
    found = figures([Strip(of_each_state_one)], {}, SPAN, 500)
    assert (found.total.accepted, found.total.failed, found.total.success) == (13, 2, pytest.approx(3 / 5))


def test_each_sample_stands_for_as_many_as_its_span_has() -> None:
    """A span of a thousand weighs a hundred times one of ten, though as many were looked at of both."""
    busy, calm = Strip((sample(latency_ms=100),) * 10, 1990), Strip((sample(M.FAILED, 1, "b"),) * 10)
    found = figures([calm, busy], {(1000, 2000): 1000}, [(0, 1000), (1000, 2000)], 2000)
    assert not found.estimated
    assert found.total == Tally(1010, 10, pytest.approx(1000 / 1010), 100, 100)
    assert [(at, tally.accepted) for at, tally in found.series] == [(0, 10), (1000, 1000)]
    assert [(name, tally.accepted) for name, tally in found.providers.items()] == [("a", 1000), ("b", 10)]
    assert found.by_state == {M.SENT: 1000, M.FAILED: 10}


def test_what_nobody_took_yet_has_no_provider_and_no_latency() -> None:
    found = figures([Strip((sample(M.QUEUED, None, None),))], {}, SPAN, 500)
    assert found.providers == {}
    assert found.channels == {"sms": Tally(1, 0, None, None, None)}


@pytest.mark.parametrize(
    ("reached", "now", "total"),
    [
        (500, 5000, 200),  # half of the span was looked at
        (900, 5000, 1000),  # a tenth
        (0, 5000, 100),
        (250, 500, 200),  # the span is under way: half of what has passed of it
        (1000, 5000, 100_000),  # all in one moment: bounded, not infinite
    ],
)
def test_what_is_not_counted_yet_goes_by_the_pace_of_the_newest(reached: int, now: int, total: int) -> None:
    found = figures([Strip((sample(),) * 100, reached)], {}, SPAN, now)
    assert (found.total.accepted, found.estimated) == (total, True)


@pytest.mark.parametrize(("share", "value"), [(0.5, 2.0), (0.95, 9.0), (0.0, 1.0), (1.0, 9.0)])
def test_a_quantile_goes_by_weight(share: float, value: float) -> None:
    assert quantile([(1.0, 1.0), (2.0, 7.0), (9.0, 2.0)], share) == value


def test_a_quantile_of_nothing_is_none() -> None:
    assert quantile([], 0.5) is None


def test_every_window_has_a_handful_of_spans() -> None:
    assert all(40 <= window.length // window.span <= 60 for window in WINDOWS.values())
    assert Window(60, 1).span == 1


# GET /v1/stats


async def test_the_call_answers_for_its_tenant_and_window() -> None:
    world = World()
    world.born(3, state=M.DELIVERED)
    world.born(1, number=1, state=M.FAILED, dead=True)
    world.born(2, number=2, state=M.IN_DOUBT)
    world.rows.parked = (Parked("provider", "twilio-main", 7, NOW - 30_000),)
    found = (await world.client.get("/v1/stats?window=15m")).json()
    assert found["window"] == "15m"
    assert found["total"] == {"accepted": 6, "failed": 1, "success_rate": 0.75, "p50_ms": 40, "p95_ms": 40}
    assert found["by_state"] == {"in_doubt": 2, "failed": 1, "delivered": 3}
    assert (found["dead"], found["in_doubt"], found["oldest_waiting_s"]) == (1, 2, 30)
    assert found["waiting"] == [{"kind": "provider", "name": "twilio-main", "count": 7, "oldest_s": 30}]
    assert [each["name"] for each in found["channels"]] == ["sms"]
    assert sum(point["figures"]["accepted"] for point in found["series"]) == 6
    assert (await world.neighbour.get("/v1/stats")).json()["total"]["accepted"] == 0


async def test_the_oldest_on_any_lane_counts_too() -> None:
    world = World()
    world.bus.waits_s = {"sms.high": 4.5, "intake.critical": 2.0}
    assert (await world.client.get("/v1/stats")).json()["oldest_waiting_s"] == 4.5


async def test_another_window_is_refused() -> None:
    answer = await World().client.get("/v1/stats?window=7d")
    assert answer.faults() == {("window", "invalid_parameter")}


async def test_what_is_over_is_counted_once_and_what_is_under_way_each_time() -> None:
    world = World()
    for number in range(SAMPLES + 50):
        world.born(number=number)  # all within a second, a second ago
    first = (await world.client.get("/v1/stats")).json()
    assert (first["total"]["accepted"], first["estimated"]) == (SAMPLES + 50, False)
    asked = len(world.rows.counted)
    assert asked == 1
    world.clock.ms += OVER_MS
    await world.client.get("/v1/stats")
    assert len(world.rows.counted) == asked + 1
    world.clock.ms += UNIT_MS
    for _ in range(3):
        assert (await world.client.get("/v1/stats")).json()["total"]["accepted"] == SAMPLES + 50
    assert len(world.rows.counted) == asked + 2
    world.clock.ms += round(COUNTS_KEPT_S * 1000)
    await world.client.get("/v1/stats")
    assert len(world.rows.counted) == asked + 3  # what was planned late is found


async def test_what_cannot_be_counted_in_time_goes_by_its_pace_until_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    for number in range(SAMPLES):
        world.born(number=number)
    monkeypatch.setattr(stats, "COUNT_S", 0.0)
    assert (await world.client.get("/v1/stats")).json()["estimated"] is True
    assert world.rows.counted == []


def test_counts_have_a_bound() -> None:
    counts = Counts()
    for number in range(COUNTS_MAX + 1):
        counts.learn("default", (number, number + 1), 7, 0.0)
    assert counts.known("default", (0, 1), 0.0) is None
    assert counts.known("default", (1, 2), 0.0) == 7
    assert counts.known("other", (1, 2), 0.0) is None
    assert counts.known("default", (1, 2), COUNTS_KEPT_S) is None
