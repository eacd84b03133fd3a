"""Tenants take turns: however many messages one of them posts, the few of another wait behind a few of them."""

from __future__ import annotations

import asyncio

import pytest

from sendwright.engine.aside import CROWDED, FEW, LATELY_MS, Aside
from sendwright.engine.deliver import HAND_MAX
from sendwright.engine.schedule import LANE_MIN, LANE_S
from sendwright.model.notification import Priority
from sendwright.model.parcel import PARCELS_MAX, intake_lane
from sendwright.model.states import MessageState
from sendwright.policy.breaker import BreakerSettings

from .engine_world import OK, UNWELL, Vendor, World, in_virtual_time, number

QUIET = ("quiet-1", "quiet-2", "quiet-3")
EACH = 5
"""Messages of each quiet tenant."""
FIRST_QUIET = 900_000


async def blast(world: World, count: int, first: int = 0, **fields: str) -> None:
    """One tenant's: a hundred recipients to a notification."""
    for start in range(first, first + count, 100):
        to = [{"phone": number(start + place)} for place in range(min(100, first + count - start))]
        await world.post(to, tenant="noisy", priority="bulk", **fields)


async def few(world: World) -> list[str]:
    """Those of the others, posted one after the other; their addresses."""
    addresses = [number(FIRST_QUIET + place) for place in range(len(QUIET) * EACH)]
    for place, address in enumerate(addresses):
        await world.post({"phone": address}, tenant=QUIET[place // EACH], priority="bulk")
    return addresses


async def noisy_before_the_last_of(world: World, vendor: Vendor, addresses: list[str], within_s: float = 120) -> int:
    """How many of the blast are called from now on until each of these has been."""
    before = len(vendor.calls)
    await world.until(lambda: set(addresses) <= set(vendor.addresses), within_s)
    since = vendor.addresses[before:]
    last = max(place for place, address in enumerate(since) if address in addresses)
    assert sorted(address for address in since[: last + 1] if address in addresses) == sorted(addresses)
    return last + 1 - len(addresses)


@in_virtual_time
async def test_behind_a_blast_that_waits_the_few_of_others_go_in_turn() -> None:
    one = Vendor(concurrency=20, latency_s=0.5)
    places = 14  # those for bulk
    async with World(one) as world:
        await world.settled([await world.post(tenant="noisy", priority="bulk")], MessageState.SENT)
        await blast(world, 1500)
        await world.pass_time(20)
        assert (await world.waiting.parked())[("route:sms", Priority.BULK)] > 500
        noisy = await noisy_before_the_last_of(world, one, await few(world))
        # then: what stands in line for a place, and one for each round of the three
        assert noisy <= 2 * places + EACH


@in_virtual_time
async def test_at_a_providers_rate_the_few_of_others_go_in_turn() -> None:
    one = Vendor(rate="20/s")
    async with World(one) as world:
        await blast(world, 1500)
        await world.pass_time(10)
        noisy = await noisy_before_the_last_of(world, one, await few(world))
        # then: half a second of the rate in line, a quarter in the lane, and one for each round
        assert noisy <= 10 + 5 + 2 * EACH


@pytest.mark.slow
@in_virtual_time
async def test_what_goes_before_those_who_come_right_after_a_blast_is_a_lane_and_a_hand() -> None:
    one = Vendor(concurrency=100, latency_s=0.2)
    async with World(one) as world:
        await world.settled([await world.post(tenant="noisy", priority="bulk")], MessageState.SENT)
        pace = world.fleet.pace("sms", Priority.BULK, world.clock.monotonic())
        assert pace * LANE_S < LANE_MIN
        await blast(world, 3000)
        addresses = await few(world)
        noisy = await noisy_before_the_last_of(world, one, addresses)
        assert noisy <= LANE_MIN + 2 * PARCELS_MAX + HAND_MAX + 70  # planned meanwhile, and under way


@pytest.mark.slow
@in_virtual_time
async def test_retries_of_a_blast_that_come_due_do_not_stand_before_the_few_of_others() -> None:
    one = Vendor(concurrency=20, latency_s=0.1)
    one.always(UNWELL)
    async with World(one, breaker=BreakerSettings(failures=10**6, share=2.0)) as world:
        await blast(world, 700)
        await world.pass_time(20)
        one.always(OK)
        noisy = await noisy_before_the_last_of(world, one, await few(world))
        assert noisy <= 100
        await world.pass_time(200)
        assert len({address for address in one.addresses if address < number(FIRST_QUIET)}) == 700


@pytest.mark.slow
@in_virtual_time
async def test_with_several_schedulers_tenants_take_turns_as_well() -> None:
    one = Vendor(concurrency=20, latency_s=0.5)
    async with World(one) as world:
        others = [asyncio.create_task(world.another_promoter().run()) for _ in range(2)]
        await blast(world, 1000)
        await world.pass_time(20)
        noisy = await noisy_before_the_last_of(world, one, await few(world))
        assert noisy <= 2 * 3 * 14 + EACH
        for other in others:
            other.cancel()


@in_virtual_time
async def test_a_look_at_the_table_costs_the_same_for_many_tenants_as_for_one() -> None:
    one = Vendor()
    async with World(one) as world:
        await world.switch("one", enabled=False)
        for place in range(60):
            await world.post({"phone": number(place)}, tenant=f"tenant-{place:02}", priority="bulk")
        await world.pass_time(2)
        before = world.faults.calls.copy()
        await world.switch("one", enabled=True)
        await world.until(lambda: len(one.calls) == 60, within_s=2)
        spent = world.faults.calls - before
        assert spent["tenants"] <= 3
        assert spent["pull"] <= 3


# On the way to be planned


@in_virtual_time
async def test_the_few_of_others_are_planned_past_a_crowd_on_the_intake() -> None:
    one = Vendor()
    async with World(one) as world:
        world.faults.slow_answers["plan"] = 1.0
        for place in range(1200):
            await world.post({"phone": number(place)}, tenant="noisy", priority="bulk")
        addresses = await few(world)
        # then: there are a few of the blast beside it, two are planned at a time, and that goes on as it did
        await world.until(lambda: set(addresses) <= set(one.addresses), within_s=(FEW + len(addresses)) / 2 + 2)
        assert world.bus.depth(intake_lane(Priority.BULK)) > CROWDED
        assert world.bus.depth(intake_lane(Priority.BULK, aside=True)) == 0
        world.faults.slow_answers.clear()
        await world.until(lambda: len(one.calls) == 1200 + len(addresses))


def asked(aside: Aside, tenants: list[str], at: int = 0) -> list[bool]:
    return [aside(tenant, Priority.BULK, at) for tenant in tenants]


def test_nobody_is_let_past_a_lane_that_is_short() -> None:
    depths = {intake_lane(Priority.BULK): CROWDED - 1, intake_lane(Priority.NORMAL): 10**6}
    assert not any(asked(Aside(lambda lane: depths.get(lane, 0)), ["a", "b"] * 100))


def test_past_a_crowd_go_a_few_of_each_and_then_those_who_are_not_the_crowd() -> None:
    aside = Aside(lambda _: CROWDED)
    assert asked(aside, ["a"] * (FEW + 5)) == [True] * FEW + [False] * 5
    assert not any(asked(aside, ["a"] * 1000))
    assert all(asked(aside, ["b"] * 110))
    # and when it is as many as a quarter of the mean, it is the crowd as well
    assert not all(asked(aside, ["b"] * 200))


def test_what_was_long_ago_counts_for_nothing() -> None:
    aside = Aside(lambda _: CROWDED)
    asked(aside, ["a"] * (2 * FEW))
    assert asked(aside, ["a"]) == [False]
    for turn in range(1, 3):
        assert asked(aside, [], turn * LATELY_MS) == []
        aside("b", Priority.BULK, turn * LATELY_MS)
    assert asked(aside, ["a"], 2 * LATELY_MS) == [True]


def test_priorities_are_crowds_of_their_own() -> None:
    aside = Aside(lambda _: CROWDED)
    asked(aside, ["a"] * 1000)
    assert aside("a", Priority.HIGH, 0)
