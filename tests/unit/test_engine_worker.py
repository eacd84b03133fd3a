"""The worker's loop: what is taken is bounded, acknowledged when it is safe, and nobody's trouble is another's."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from msgspec.structs import replace

from sendwright.engine.deliver import HAND_MAX
from sendwright.engine.hands import Flight, Hand, Handful
from sendwright.engine.settle import RetrySettings
from sendwright.engine.telling import Trouble
from sendwright.errors import BusDown
from sendwright.model.notification import Priority
from sendwright.model.parcel import INBOUND, Parcel, pack, unbundle
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.limit import Reserve

from .engine_world import (
    PHONE,
    UNWELL,
    Vendor,
    World,
    in_virtual_time,
    number,
)

SMS = "sms.normal"


def _undone(world: World) -> list[str]:
    return [lane for lane, _ in world.bus.undone()]


# When a bundle is done


@in_virtual_time
async def test_a_bundle_is_done_when_its_parcels_are_claimed_though_their_calls_hang() -> None:
    one = Vendor(timeout_s=10)
    one.hangs = True
    async with World(one) as world:
        notification = await world.post([{"phone": number(place)} for place in range(50)], on_doubt="hold")
        await world.pass_time(1)
        assert one.in_flight == 50
        assert _undone(world) == []
        await world.pass_time(20)
        assert world.state(notification, 49) == MessageState.IN_DOUBT


@in_virtual_time
async def test_a_bundle_is_not_done_while_one_of_its_parcels_is_neither_claimed_nor_parked() -> None:
    one = Vendor()
    async with World(one) as world:
        one.connect_s = 3
        await world.post([{"phone": number(place)} for place in range(5)])
        await world.pass_time(2.9)
        assert _undone(world) == ["intake.normal"]
        await world.pass_time(0.2)
        assert _undone(world) == []


@in_virtual_time
async def test_a_bundle_of_a_lane_is_not_done_while_one_of_its_parcels_is_neither_claimed_nor_parked() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        one.connect_s = 3
        await world.post([{"phone": number(place)} for place in range(5)])
        await world.planner.plan(await world.bus.take("intake.normal"))
        await world.start()
        await world.pass_time(2.9)
        assert _undone(world) == [SMS]
        await world.pass_time(0.2)
        assert _undone(world) == []


def test_a_bundle_is_done_with_its_last_parcel_and_not_with_its_first() -> None:
    done: list[str] = []
    held = Handful(3, lambda: None, lambda: done.append("done"), lambda: done.append("back"))
    held.handled()
    held.handled()
    assert done == []
    held.handled()
    assert done == ["done"]


@in_virtual_time
async def test_a_bundle_is_done_when_its_parcels_are_parked() -> None:
    one = Vendor()
    async with World(one) as world:
        await world.switch("one", enabled=False)
        await world.post([{"phone": number(place)} for place in range(50)])
        await world.pass_time(1)
        assert _undone(world) == []
        assert await world.waiting.parked() == {("route:sms", Priority.NORMAL): 50}


@in_virtual_time
async def test_a_bundle_is_done_when_its_parcels_were_dropped() -> None:
    one = Vendor()
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        again = world.parcel_of(notification)
        await world.bus.publish(SMS, [pack(replace(again, number=0)), pack(replace(again, id="msg_nobody"))])
        await world.pass_time(1)
        assert _undone(world) == []
        assert len(one.calls) == 1


@in_virtual_time
async def test_killed_before_the_claim_the_next_process_takes_the_bundle_again() -> None:
    one = Vendor()
    async with World(one) as world:
        one.connect_s = 3
        notification = await world.post()
        await world.pass_time(1)
        await world.kill()
        await world.settled(notification, MessageState.SENT)
        assert len(one.calls) == 1
        assert not world.message(notification).doubled


@in_virtual_time
async def test_while_the_store_is_down_bundles_are_kept_and_nothing_is_written() -> None:
    one = Vendor()
    async with World(one) as world:
        one.connect_s = 1
        notifications = await world.post_many(20)
        await world.pass_time(0.5)
        world.faults.down = True
        await world.pass_time(600)
        assert one.calls == []
        assert SMS in _undone(world)
        world.faults.down = False
        await world.settled(notifications, MessageState.SENT, within_s=10)
        assert len(one.calls) == 20


@in_virtual_time
async def test_what_could_not_be_parked_while_the_store_was_down_is_parked_when_it_is_back() -> None:
    one = Vendor(concurrency=1, latency_s=5)
    async with World(one) as world:
        notifications = await world.post_many(5)
        await world.pass_time(0.3)
        world.faults.down = True
        await world.pass_time(60)
        assert _undone(world)
        world.faults.down = False
        await world.settled(notifications, MessageState.SENT, within_s=60)
        assert len(one.calls) == 5


# What can't be read, and what breaks


@in_virtual_time
async def test_a_parcel_that_nobody_can_read_is_kept_aside_and_takes_nobody_with_it() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        notifications = await world.post_many(3)
        await world.planner.plan(await world.bus.take("intake.normal"))
        await world.planner.plan(await world.bus.take("intake.normal"))
        await world.planner.plan(await world.bus.take("intake.normal"))
        good = []
        for _ in notifications:
            bundle = await world.bus.take(SMS)
            good.append(bundle.body[1:-1])
            await world.bus.done(bundle)
        await world.bus.publish(SMS, [good[0], b'{"id":"msg_1"}', good[1], b"7", good[2]])
        await world.start()
        await world.settled(notifications, MessageState.SENT)
        await world.pass_time(1)
        assert world.quarantined() == [b'{"id":"msg_1"}', b"7"]
        assert _undone(world) == []


@in_virtual_time
async def test_a_bundle_of_which_nothing_can_be_read_is_kept_aside_and_the_lane_goes_on() -> None:
    one = Vendor()
    async with World(one) as world:
        await world.bus.publish(SMS, [b"\x00\xff"])
        await world.bus.publish(INBOUND, [b'"\xff', b"7"])
        await world.pass_time(1)
        assert sorted(world.quarantined()) == [b"\x00\xff", b'["\xff,7]']
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=5)
        assert _undone(world) == []


@in_virtual_time
async def test_what_nobody_can_read_waits_for_the_store_to_be_kept_aside() -> None:
    one = Vendor()
    async with World(one) as world:
        world.faults.down = True
        await world.bus.publish(SMS, [b"7"])
        await world.pass_time(60)
        assert _undone(world) == [SMS]
        world.faults.down = False
        await world.pass_time(5)
        assert (world.quarantined(), _undone(world)) == ([b"7"], [])
        await world.settled(await world.post(), MessageState.SENT)


@pytest.mark.parametrize("story", ["plan", "observe"])
@in_virtual_time
async def test_a_story_that_breaks_gives_its_bundle_back_and_tells(story: str) -> None:
    one = Vendor(receipts=True)
    async with World(one) as world:
        broken = 0

        def breaks(method: str) -> None:
            nonlocal broken
            if method == story and broken < 3:
                broken += 1
                raise RuntimeError("nobody foresaw this")

        world.faults.on_call = breaks
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=10)
        await world.report(AttemptState.DELIVERED, ref="one-1")
        await world.settled(notification, MessageState.DELIVERED, within_s=10)
        assert broken == 3
        told = [trouble.what.partition(" at ") for trouble in world.told_of(Trouble)]
        assert {what for what, _, _ in told} == {"RuntimeError", "it broke its story: RuntimeError"}
        assert all("test_engine_worker.py:" in place for _, _, place in told)
        assert world.quarantined() == []
        assert len(one.calls) == 1


@in_virtual_time
async def test_a_bus_that_is_down_for_a_while_kills_no_taker() -> None:
    one = Vendor(receipts=True)
    async with World(one, started=False) as world:
        take, give_back, down = world.bus.take, world.bus.give_back, [100, 2]

        async def taking(lane: str) -> object:
            if down[0] > 0:
                down[0] -= 1
                raise BusDown("the bus is down")
            return await take(lane)

        async def giving_back(delivery: object) -> None:
            if down[1] > 0:
                down[1] -= 1
                raise BusDown("the bus is down")
            await give_back(delivery)

        world.bus.take, world.bus.give_back = taking, giving_back
        broken = False

        def breaks(method: str) -> None:
            nonlocal broken
            if method == "plan" and not broken:
                broken = True
                raise RuntimeError("nobody foresaw this")

        world.faults.on_call = breaks
        await world.start()
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=30)
        assert down == [0, 0]
        await world.report(AttemptState.DELIVERED, ref="one-1")
        await world.settled(notification, MessageState.DELIVERED, within_s=10)


# How much is in hand, and whose


@pytest.mark.parametrize(("bundle", "most", "taken"), [(1, 30, 30), (10, 30, 3), (50, 30, 1), (50, 120, 2), (1, 1, 1)])
async def test_a_hand_takes_what_will_fit_by_the_size_of_the_last_bundle(bundle: int, most: int, taken: int) -> None:
    hand, count = Hand(lambda: most), 0
    with contextlib.suppress(TimeoutError):
        while True:
            await asyncio.wait_for(hand.room(), 0.01)
            hand.take(bundle)
            count += 1
    assert count == taken


@pytest.mark.slow
@in_virtual_time
async def test_a_lane_takes_no_more_than_its_hand_holds() -> None:
    one = Vendor(concurrency=10)
    async with World(one) as world:
        one.connect_s = 5
        await world.post_many(HAND_MAX * 4)
        await world.pass_time(0.3)
        assert world.bus.depth(SMS) >= HAND_MAX * 2
        one.connect_s = 0
        await world.until(lambda: len(one.calls) == HAND_MAX * 4, within_s=300)
        await world.pass_time(1)


@pytest.mark.slow
@in_virtual_time
async def test_a_channel_whose_provider_hangs_holds_no_other_channel_up() -> None:
    one, two = Vendor("one", latency_s=9), Vendor("two", channels=("email",))
    async with World(one, two) as world:
        await world.post_many(300)
        await world.pass_time(1)
        mails = [await world.post({"email": f"p{place}@example.org"}) for place in range(100)]
        await world.settled(mails, MessageState.SENT, within_s=1)
        await world.pass_time(60)


@in_virtual_time
async def test_a_worker_full_of_slow_bulk_still_has_a_place_for_what_is_critical() -> None:
    one = Vendor(concurrency=200, latency_s=9)
    async with World(one, concurrency=20) as world:
        await world.post_many(100, priority="bulk")
        await world.pass_time(2)
        assert one.in_flight == 14
        asked = world.at()
        await world.post({"phone": PHONE}, priority="critical")
        await world.until(lambda: PHONE in one.addresses, within_s=1)
        assert one.times[one.addresses.index(PHONE)] - asked < 0.1
        await world.pass_time(100)


@in_virtual_time
async def test_places_in_the_works_are_used_in_full_and_given_to_the_urgent_first() -> None:
    async with World(Vendor(), started=False):
        flight = Flight(10, Reserve(critical=0.2, high=0.1))
        entered: list[Priority] = []

        async def enter(priority: Priority) -> None:
            await flight.enter(priority)
            entered.append(priority)

        tasks = [asyncio.create_task(enter(Priority.BULK)) for _ in range(12)]
        await asyncio.sleep(0)
        assert len(entered) == 7
        tasks += [asyncio.create_task(enter(Priority.CRITICAL)) for _ in range(5)]
        await asyncio.sleep(0.1)
        assert entered[7:] == [Priority.CRITICAL] * 3
        # when: all leave, one after the other
        for left in range(17):
            await asyncio.sleep(0.1)
            assert left < 10 or len(entered) == 17, "a place stays empty though somebody waits for it"
            flight.leave()
        assert entered[10:12] == [Priority.CRITICAL] * 2
        await asyncio.gather(*tasks)


@pytest.mark.slow
@in_virtual_time
async def test_a_flood_of_what_is_critical_slows_the_others_and_does_not_starve_them() -> None:
    one = Vendor(latency_s=0.01)
    async with World(one) as world:
        bulk = await world.post_many(20, priority="bulk")

        async def flood() -> None:
            for place in range(800):
                await world.post({"phone": number(1000 + place)}, priority="critical")
                await asyncio.sleep(0.002)

        flooding = asyncio.create_task(flood())
        await world.settled(bulk, MessageState.SENT, within_s=5)
        await flooding
        await world.pass_time(5)


# The end


@in_virtual_time
async def test_draining_finishes_what_is_in_flight_and_takes_nothing_more() -> None:
    one = Vendor(latency_s=3)
    async with World(one) as world:
        under_way = await world.post_many(20)
        await world.pass_time(1)
        draining = asyncio.create_task(world.worker.drain(25))
        await world.pass_time(0.1)
        late = await world.post({"phone": PHONE})
        assert await draining is True
        assert world.at() == pytest.approx(3, abs=0.1)
        assert world.states(under_way) == {"sent": 20}
        await world.pass_time(60)
        assert world.state(late) == MessageState.ACCEPTED
        assert PHONE not in one.addresses
        assert _undone(world) == ["intake.normal"]


@in_virtual_time
async def test_draining_tells_the_bus_before_anything_else() -> None:
    one = Vendor()
    async with World(one) as world:
        await world.pass_time(0.1)
        stop_taking, taking = world.bus.stop_taking, list[bool]()

        def stopping() -> None:
            taking.append(any(taker.cancelling() for taker in world.worker._takers))
            stop_taking()

        world.bus.stop_taking = stopping
        assert await world.worker.drain(5) is True
        assert taking == [False]


@in_virtual_time
async def test_draining_acknowledges_what_is_parked_at_the_last_moment() -> None:
    one = Vendor(concurrency=1, latency_s=3)
    async with World(one, recount=False) as world:
        await world.post_many(5)
        await world.pass_time(0.1)
        # given: the bus takes its time to forget a bundle
        done = world.bus.done

        async def slowly(delivery: object) -> None:
            await asyncio.sleep(4)
            await done(delivery)

        world.bus.done = slowly
        world.promoter.stop()
        held = 5 - world.bus.depth(SMS)
        assert held > 0
        assert await world.worker.drain(25) is True
        left = [unbundle(Parcel, body) for _, body in world.bus.undone()]
        assert sum(map(len, left)) == world.bus.depth(SMS) == 5 - held


@in_virtual_time
async def test_draining_ends_at_its_time_and_says_that_something_was_left() -> None:
    one = Vendor(timeout_s=30)
    one.hangs = True
    async with World(one) as world:
        notification = await world.post(on_doubt="hold")
        await world.pass_time(1)
        assert await world.worker.drain(5) is False
        assert world.at() == pytest.approx(6, abs=0.1)
        # and: nothing is lost by it, the next process doubts it
        await world.kill()
        assert world.state(notification) == MessageState.IN_DOUBT


@in_virtual_time
async def test_draining_while_the_store_is_down_loses_nothing() -> None:
    one = Vendor()
    async with World(one) as world:
        one.connect_s = 1
        notifications = await world.post_many(20)
        await world.pass_time(0.5)
        world.faults.down = True
        assert await world.worker.drain(5) is False
        world.faults.down = False
        one.connect_s = 0
        await world.kill()
        await world.settled(notifications, MessageState.SENT)
        assert len(one.calls) == 20


# All together


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@in_virtual_time
async def test_killed_again_and_again_nothing_is_lost_and_only_what_is_listed_is_doubled(seed: int) -> None:
    one, two = Vendor("one", concurrency=20, latency_s=0.4), Vendor("two", concurrency=10, latency_s=0.8)
    async with World(one, two, retry=RetrySettings(attempts_max=30)) as world:  # more than it is killed
        chance = world.chance(seed)
        one.always(lambda call: UNWELL if chance.random() < 0.2 else one.ok())
        held: list[str] = []
        again: list[str] = []
        for round_ in range(12):
            held += await world.post_many(5, first=100 * round_, on_doubt="hold")
            again += await world.post_many(5, first=100 * round_ + 50, on_doubt="resend", priority="bulk")
            await world.pass_time(chance.uniform(0, 1.5))
            await world.kill()
        await world.until(lambda: set(world.states([*held, *again])) <= {"sent", "in_doubt"}, within_s=600)
        await world.pass_time(60)
        taken = [*one.taken, *two.taken]
        assert world.states(again) == {"sent": 60}
        assert set(world.states(held)) <= {"sent", "in_doubt"}
        for notification in [*held, *again]:
            times = taken.count(world.message(notification).id)
            listed = world.message(notification).doubled or world.state(notification) == MessageState.IN_DOUBT
            assert times >= 1 or listed
            assert times <= 1 or world.message(notification).doubled
        assert all(taken.count(world.message(notification).id) <= 1 for notification in held)
