"""Places and rates of a provider: never exceeded, used in full, and the urgent before the others."""

from __future__ import annotations

import asyncio

import pytest

from sendwright.engine.account import Slot
from sendwright.model.notification import Priority
from sendwright.model.records import Switch
from sendwright.model.states import MessageState

from .engine_world import (
    PHONE,
    Vendor,
    World,
    in_virtual_time,
    number,
)

# Concurrency and rate


@in_virtual_time
async def test_never_more_calls_in_flight_than_the_provider_has_places() -> None:
    one = Vendor(concurrency=7, latency_s=0.3)
    async with World(one) as world:
        notifications = await world.post_many(60, priority="critical")
        await world.settled(notifications, MessageState.SENT)
        assert max(call.in_flight for call in one.calls) == 7


@pytest.mark.parametrize(("priority", "places"), [("critical", 10), ("high", 8), ("normal", 7), ("bulk", 7)])
@in_virtual_time
async def test_each_priority_leaves_places_to_those_above(priority: str, places: int) -> None:
    one = Vendor(concurrency=10, latency_s=0.3)
    async with World(one) as world:
        notifications = await world.post_many(60, priority=priority)
        await world.settled(notifications, MessageState.SENT)
        assert max(call.in_flight for call in one.calls) == places


@pytest.mark.slow
@in_virtual_time
async def test_with_bulk_filling_a_provider_a_critical_message_is_called_at_once() -> None:
    one = Vendor(concurrency=10, latency_s=8)
    async with World(one) as world:
        await world.post_many(100, priority="bulk")
        await world.pass_time(3)
        asked = world.at()
        await world.post({"phone": PHONE}, priority="critical")
        await world.until(lambda: PHONE in one.addresses, within_s=1)
        assert one.times[one.addresses.index(PHONE)] - asked < 0.01
        await world.pass_time(130)


@pytest.mark.slow
@in_virtual_time
async def test_with_bulk_using_up_a_rate_a_critical_message_has_the_next_call() -> None:
    one = Vendor(rate="5/s", latency_s=0.05)
    async with World(one) as world:
        await world.post_many(300, priority="bulk")
        await world.pass_time(10.01)
        for place in range(20):
            asked = world.at()
            await world.post({"phone": number(1000 + place)}, priority="critical")
            await world.until(lambda place=place: number(1000 + place) in one.addresses, within_s=2)  # type: ignore[misc]
            assert one.times[one.addresses.index(number(1000 + place))] - asked < 0.25
            await world.pass_time(0.63)
        await world.pass_time(60)


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "n", "window_s"), [("5/s", 5, 1), ("100/s", 100, 1), ("60/min", 60, 60), ("1/s", 1, 1)])
@in_virtual_time
async def test_a_rate_is_never_exceeded_in_any_window_and_is_used(rate: str, n: int, window_s: float) -> None:
    one = Vendor(rate=rate, latency_s=0.02)
    async with World(one) as world:
        count = min(3 * n, 250)
        notifications = [
            *await world.post_many(count, priority="bulk"),
            *await world.post_many(count // 4, first=1000, priority="critical"),
        ]
        await world.settled(notifications, MessageState.SENT, within_s=400)
        times = sorted(one.times)
        for place, at in enumerate(times[:-n]):
            assert times[place + n] - at >= window_s
        assert times[-1] < 1.3 * len(times) * window_s / n + 2


@in_virtual_time
async def test_waiting_for_a_rate_does_not_keep_the_processor_busy() -> None:
    one = Vendor(rate="100/s", latency_s=0.01)
    async with World(one) as world:
        asked = 0
        account = world.account()
        try_take = account.try_take

        def counted(priority: Priority, now: float) -> Slot | None:
            nonlocal asked
            asked += 1
            return try_take(priority, now)

        account.try_take = counted  # type: ignore[method-assign]
        notifications = await world.post_many(200, priority="bulk")
        await world.settled(notifications, MessageState.SENT, within_s=10)
        assert asked < 40 * 200


@in_virtual_time
async def test_a_slot_is_waited_for_by_priority_and_given_back_by_the_timeout() -> None:
    one = Vendor(concurrency=1)
    async with World(one, started=False) as world:
        account = world.account()
        held = account.try_take(Priority.BULK, world.clock.monotonic())
        assert held is not None
        bulk = asyncio.create_task(account.take(Priority.BULK, world.clock, 5))
        critical = asyncio.create_task(account.take(Priority.CRITICAL, world.clock, 5))
        gone = asyncio.create_task(account.take(Priority.HIGH, world.clock, 0.1))
        await world.pass_time(1)
        assert await gone is None
        held.release()
        held.release()
        first = await critical
        assert first is not None
        assert not bulk.done()
        first.release()
        assert await bulk is not None
        assert account.in_flight == 1


@in_virtual_time
async def test_a_slot_that_somebody_urgent_waits_for_is_not_taken_by_one_who_comes_by() -> None:
    one = Vendor(concurrency=1)
    async with World(one, started=False) as world:
        account = world.account()
        held = account.try_take(Priority.BULK, world.clock.monotonic())
        assert held is not None
        urgent = asyncio.create_task(account.take(Priority.HIGH, world.clock, 5))
        await world.pass_time(0.1)
        held.release()
        assert account.try_take(Priority.NORMAL, world.clock.monotonic()) is None
        slot = await urgent
        assert slot is not None
        slot.release()
        assert account.try_take(Priority.NORMAL, world.clock.monotonic()) is not None


@in_virtual_time
async def test_a_switch_is_taken_over_whole_and_its_end_goes_back_to_the_settings() -> None:
    one = Vendor(concurrency=7, rate="5/s")
    async with World(one, started=False) as world:
        account = world.account()
        await world.board.set(Switch("one", enabled=False, weight=3, rate="9/min", concurrency=2))
        await world.fleet.reload()
        assert (account.enabled, account.weight, account.rate_text, account.concurrency) == (False, 3, "9/min", 2)
        assert world.fleet.epoch == 2
        await world.board.set(Switch("one"))
        await world.fleet.reload()
        assert (account.enabled, account.weight, account.rate_text, account.concurrency) == (True, 1, "5/s", 7)


@in_virtual_time
async def test_whenever_the_switches_are_read_the_lines_are_told_how_many_there_may_be() -> None:
    """At the start, and when another process has switched: deliver reads anew before its next claim."""
    one, two = Vendor("one", concurrency=7), Vendor("two", channels=("email",), concurrency=5)
    async with World(one, two) as world:
        assert world.lines == {"one": 7, "two": 5}
        await world.board.set(Switch("one", concurrency=3))
        await world.settled(await world.post(), MessageState.SENT)
        assert world.lines == {"one": 3, "two": 5}
        await world.kill()
        assert world.lines == {"one": 3, "two": 5}
        await world.board.set(Switch("one"))
        await world.settled(await world.post(), MessageState.SENT)
        assert world.lines == {"one": 7, "two": 5}


@in_virtual_time
async def test_the_first_provider_of_the_route_is_called_as_long_as_it_is_well() -> None:
    one, two = Vendor("one"), Vendor("two")
    async with World(one, two, routes={"sms": ["two", "one"]}) as world:
        notifications = await world.post_many(20)
        await world.settled(notifications, MessageState.SENT)
        assert (len(one.calls), len(two.calls)) == (0, 20)


@in_virtual_time
async def test_no_connection_counts_as_illness_but_a_shortage_of_our_own_does_not() -> None:
    one, two = Vendor("one"), Vendor("two", channels=("email",))
    one.unreachable, two.unreachable = "connect", "pool"
    async with World(one, two) as world:
        await world.post_many(10)
        for place in range(10):
            await world.post({"email": f"p{place}@example.org"})
        await world.pass_time(3)
        assert world.breaker("one") == "open"
        assert world.breaker("two") == "closed"
        one.unreachable = two.unreachable = None
        await world.pass_time(60)
        assert (len(one.calls), len(two.calls)) == (10, 10)
