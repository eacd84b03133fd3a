"""Providers in bad weather, over minutes and hours: flapping, long outages, brown-outs, silence, and a single narrow door."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from sendwright.engine.telling import BreakerMoved
from sendwright.model.states import MessageState
from sendwright.policy.breaker import BreakerSettings

from .engine_world import OK, UNWELL, Vendor, World, in_virtual_time, number

# Flapping: ten seconds up, ten seconds down

pytestmark = pytest.mark.slow

FLAP_S = 20
FLAPS = 12
A_MINUTE = 60 // FLAP_S
"""Flaps."""


def _is_down(at: float) -> bool:
    return at % FLAP_S >= FLAP_S / 2


def _flapping() -> Vendor:
    one = Vendor(concurrency=10)
    one.always(lambda call: UNWELL if _is_down(call.at) else OK)
    return one


async def _flap(world: World) -> tuple[list[str], list[list[str]]]:
    """Five messages a second through all of it: they, and where the breaker went in each flap."""
    notifications: list[str] = []
    moves: list[list[str]] = []
    for _ in range(FLAPS):
        told = len(world.told)
        for _ in range(5 * FLAP_S):
            notifications += await world.post_many(1, first=len(notifications))
            await world.pass_time(0.2)
        moves.append([moved.state for moved in world.told[told:] if isinstance(moved, BreakerMoved)])
    return notifications, moves


@in_virtual_time
async def test_through_a_flapping_provider_everything_is_delivered_in_the_end_and_nothing_twice() -> None:
    one = _flapping()
    async with World(one) as world:
        notifications, _ = await _flap(world)
        await world.settled(notifications, MessageState.SENT, within_s=120)
        taken = Counter(one.taken)
        assert len(taken) == len(notifications)
        assert set(taken.values()) == {1}


@in_virtual_time
async def test_the_breaker_of_a_flapping_provider_moves_seldom_and_closes_more_seldom_than_it_flaps() -> None:
    one = _flapping()
    async with World(one) as world:
        _, moves = await _flap(world)
        counts = [len(flap) for flap in moves]
        assert max(sum(counts[first : first + A_MINUTE]) for first in range(FLAPS - A_MINUTE + 1)) <= 10
        closings = sum(flap.count("closed") for flap in moves)
        assert 3 <= closings <= FLAPS * 3 / 4


@in_virtual_time
async def test_a_flapping_provider_is_hardly_called_while_it_is_down() -> None:
    one = _flapping()
    async with World(one) as world:
        await _flap(world)
        in_vain = Counter(call.at // FLAP_S for call in one.calls if _is_down(call.at))
        # then: what it takes to see that it is down (and one in flight), and the probes of ten seconds, at 1, 2 and 4 s
        assert max(in_vain.values()) <= BreakerSettings().failures + 1 + 3
        assert sum(in_vain.values()) < 0.1 * len(one.calls)


# An hour's outage, and what comes after

HOUR_S = 3600


async def _after_an_hour(world: World, one: Vendor, count: int) -> list[str]:
    """Bulk messages that wait for a provider which was down for an hour, at the moment when its breaker closes.

    Most come in its last minute: the store in memory counts what waits at each look. Those before are so many that the
    probes of an hour, about 130, cost none of them all its attempts."""
    one.always(UNWELL)
    waiting = await world.post_many(100, priority="bulk", ttl="24h")
    await world.pass_time(HOUR_S - 60)
    waiting += await world.post_many(count - 100, first=100, priority="bulk", ttl="24h")
    await world.pass_time(60)
    assert world.states(waiting)["queued"] >= count - 1
    one.always(OK)
    one.calls.clear()
    await world.until(lambda: world.breaker() == "closed")
    return waiting


@in_virtual_time
async def test_after_an_hours_outage_the_parked_go_within_the_rate_use_it_and_all_are_delivered_once() -> None:
    n, count = 100, 1000
    one = Vendor(concurrency=100, rate=f"{n}/s", latency_s=0.2)
    async with World(one) as world:
        await _after_an_hour(world, one, count)
        closed = world.at()
        await world.until(lambda: len(one.taken) >= count, within_s=2 * count / n)
        # then: never more than the rate and a twentieth in any second, wherever it begins
        most = int(n * 1.05)
        assert all(later - earlier >= 1 for earlier, later in zip(one.times, one.times[most:], strict=False))
        # and: once the ramp is over it is used
        assert sum(closed + 4 <= at < closed + 9 for at in one.times) > 0.9 * 5 * n
        # and
        assert max(Counter(one.taken).values()) == 1
        await world.pass_time(1)
        assert len(one.calls) == count


@in_virtual_time
async def test_after_an_hours_outage_the_calls_in_flight_at_most_double_each_second_from_a_tenth() -> None:
    one = Vendor(concurrency=100, latency_s=0.5)
    async with World(one) as world:
        await _after_an_hour(world, one, 1000)
        closed = world.at()
        await world.until(lambda: len(one.taken) >= 1000)
        since = [(call.at - closed, call.in_flight) for call in one.calls[1:]]
        assert all(in_flight <= min(100, 10 * 2 ** int(after)) for after, in_flight in since)
        # and: it does grow, to all that bulk may have
        assert max(in_flight for _, in_flight in since) == 70


@in_virtual_time
async def test_what_is_critical_and_posted_at_recovery_goes_before_the_parked() -> None:
    one = Vendor(concurrency=100, rate="50/s", latency_s=0.2)
    async with World(one) as world:
        parked = await _after_an_hour(world, one, 1000)
        posted = world.at()
        critical = await world.post_many(30, first=5000, priority="critical")
        await world.settled(critical, MessageState.SENT, within_s=5)
        # then: in not much more than the time that the rate gives them
        assert world.at() - posted < 30 / 50 + 1
        # and: hardly any of the parked went meanwhile
        assert world.states(parked)["queued"] > 950


# Brown-out: one call in twenty is answered, the others take three times as long as anybody waits

TIMEOUT_S = 10
PATIENCE_S = 1
"""After which a lost answer is taken for none, where no receipts come."""


async def _brown_out(world: World, one: Vendor) -> tuple[list[str], list[tuple[float, str]]]:
    """Ten messages a second for a minute: all of them, and when those that are critical were posted."""

    def weather() -> None:
        one.latency_s = 0.05 if one.dials % 20 == 0 else 30

    one.on_open = weather
    notifications: list[str] = []
    critical: list[tuple[float, str]] = []
    for place in range(600):
        priority = "normal" if place % 4 else "critical"
        notifications += await world.post_many(1, first=place, priority=priority)
        if priority == "critical":
            critical.append((world.at(), number(place)))
        await world.pass_time(0.1)
    return notifications, critical


def _browned() -> tuple[Vendor, Vendor]:
    return Vendor("one", concurrency=50, timeout_s=TIMEOUT_S), Vendor("two")


@in_virtual_time
async def test_in_a_brown_out_what_is_critical_reaches_the_second_provider_soon() -> None:
    one, two = _browned()
    async with World(one, two) as world:
        notifications, critical = await _brown_out(world, one)
        await world.settled(notifications, MessageState.SENT, within_s=30)
        reached = dict(zip(two.addresses, two.times, strict=True))
        late = {address: reached[address] - at for at, address in critical if address in reached}
        assert len(late) >= 0.95 * len(critical)
        # then: at worst its answer was lost twice, the second time as a probe
        assert max(late.values()) < 2 * (TIMEOUT_S + PATIENCE_S) + 1
        # and: once that is known, only a probe is late
        known = [late[address] for at, address in critical if at > TIMEOUT_S + 1 and address in late]
        probes = [at for at in one.times if at > TIMEOUT_S + 1]
        assert sum(seconds > 0.1 for seconds in known) <= len(probes) <= 6


@in_virtual_time
async def test_in_a_brown_out_the_calls_in_flight_to_the_sick_provider_fall_to_a_single_probe() -> None:
    one, two = _browned()
    async with World(one, two) as world:
        await _brown_out(world, one)
        assert max(call.in_flight for call in one.calls) > 30, "it was not sick enough"
        # then: the breaker opens at the first timeouts, and what was begun before that is over one time limit later
        assert len([at for at in one.times if at > TIMEOUT_S + 1]) <= 6
        assert all(call.in_flight == 1 for call in one.calls if call.at > 2 * TIMEOUT_S + 1)
        assert one.in_flight <= 1


@in_virtual_time
async def test_in_a_brown_out_nobody_is_called_twice_who_is_not_marked_doubled() -> None:
    one, two = _browned()
    async with World(one, two) as world:
        held = await world.post_many(10, first=5000, on_doubt="hold")
        notifications, _ = await _brown_out(world, one)
        await world.settled(notifications, MessageState.SENT, within_s=30)
        # then: not one of those that must be held, and the others not before a receipt could have come
        calls: dict[str, list[float]] = {}
        for at, message in sorted((call.at, call.message) for vendor in (one, two) for call in vendor.calls):
            calls.setdefault(message, []).append(at)
        assert all(len(calls[world.message(notification).id]) == 1 for notification in held)
        assert all(later - earlier >= TIMEOUT_S + PATIENCE_S for times in calls.values() for earlier, later in pairwise(times))
        # and: they are marked, and few
        shown = [world.message(notification) for notification in notifications]
        assert {row.id for row in shown if row.doubled} == {message for message, times in calls.items() if len(times) > 1}
        assert 0 < sum(row.doubled for row in shown) < 0.12 * len(shown)


# Silence


@pytest.mark.parametrize("silent", ["when called", "when dialled"])
@in_virtual_time
async def test_a_provider_that_hangs_for_ever_keeps_no_place(silent: str) -> None:
    one = Vendor(concurrency=10)
    one.hangs = silent == "when called"
    one.connect_s = 1e9 if silent == "when dialled" else 0
    async with World(one, concurrency=50) as world:
        for place, priority in enumerate(("critical", "high", "normal", "bulk")):
            await world.post_many(15, first=100 * place, priority=priority, ttl="10m")
        await world.post_many(15, first=900, ttl="10m", on_doubt="hold")
        most = 0
        for _ in range(200):
            await world.pass_time(3.7)
            most = max(most, world.account().in_flight)
        # then: it was full, is empty, and so is the worker
        assert 0 < most <= 10
        assert world.account().in_flight == one.in_flight == world.egress.leased == 0
        assert world.worker._works == set()
        # and: all places can be used again
        one.hangs, one.connect_s, one.latency_s = False, 0, 0.3
        await world.settled(await world.post_many(30, first=2000), MessageState.SENT, within_s=60)
        await world.pass_time(10)
        began = len(one.calls)
        await world.settled(await world.post_many(60, first=3000, priority="critical"), MessageState.SENT, within_s=5)
        assert max(call.in_flight for call in one.calls[began:]) == 10


# A provider that takes one call at a time


@in_virtual_time
async def test_one_at_a_time_they_go_by_priority() -> None:
    one = Vendor(concurrency=1, latency_s=0.2)
    async with World(one) as world:
        notifications: list[str] = []
        for rank, priority in reversed(list(enumerate(("critical", "high", "normal", "bulk")))):
            notifications += await world.post_many(30, first=100 * rank, priority=priority)
        await world.settled(notifications, MessageState.SENT, within_s=120 * (0.2 + 0.06))
        assert all(call.in_flight == 1 for call in one.calls)
        assert number(0) in one.addresses[:2], "the urgent waited for one that was there before"
        # then: strictly, once those who came first have waited their half second and are parked
        ranks = [int(call.address[-3:]) // 100 for call in one.calls if call.at > 1]
        assert len(ranks) > 110
        assert all(earlier <= later for earlier, later in pairwise(ranks))


@in_virtual_time
async def test_one_at_a_time_under_a_stream_of_the_urgent_nobody_starves_and_the_urgent_hardly_wait() -> None:
    one = Vendor(concurrency=1, latency_s=0.2)
    async with World(one) as world:
        waiting: list[str] = []
        for place, priority in enumerate(("high", "normal", "bulk")):
            waiting += await world.post_many(10, first=1000 * (place + 1), priority=priority)
        posted: dict[str, float] = {}
        # when: four fifths of all that it can take are critical
        for place in range(300):
            posted[number(place)] = world.at()
            await world.post_many(1, first=place, priority="critical")
            await world.pass_time(0.25)
        assert world.states(waiting) == {"sent": 30}
        begun = dict(zip(one.addresses, one.times, strict=True))
        assert max(begun[address] - at for address, at in posted.items()) < 1
