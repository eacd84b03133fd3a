"""The short way: what was planned just now is delivered past its lane, where nothing waits before it; and it is as safe."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import pytest

from sendwright.drivers.bus.rabbitmq.topology import prefetch_of
from sendwright.engine.hands import Hand, Handful
from sendwright.engine.ports import Delivery
from sendwright.engine.shortcut import BUNDLES_MAX, Shortcut
from sendwright.model.content import Content
from sendwright.model.notification import Priority
from sendwright.model.parcel import Parcel
from sendwright.model.states import MessageState

from .engine_world import PHONE, Vendor, World, in_virtual_time, number

INTAKE = "intake.normal"
SMS = "sms.normal"
EMAIL = "email.normal"


def _undone(world: World) -> list[str]:
    return [lane for lane, _ in world.bus.undone()]


def _watched(world: World) -> list[str]:
    """The lanes that parcels are published on from here on, one for each parcel."""
    publish, lanes = world.bus.publish, list[str]()

    def publishing(lane: str, parcels: Sequence[bytes]) -> object:
        lanes.extend([lane] * len(parcels))
        return publish(lane, parcels)

    world.bus.publish = publishing
    return lanes


# When it is gone


@in_virtual_time
async def test_where_nothing_waits_before_it_a_message_goes_past_its_lane() -> None:
    one, two = Vendor("one"), Vendor("two", channels=("email",))
    async with World(one, two) as world:
        lanes = _watched(world)
        to = [{"phone": number(place), "email": f"p{place}@example.org"} for place in range(20)]
        notifications = [
            await world.post(to, channels=["sms"]),
            await world.post(to, channels=["email"], priority="critical"),
        ]
        await world.settled(notifications, MessageState.SENT, within_s=1)
        assert (len(one.calls), len(two.calls)) == (20, 20)
        assert lanes == []
        assert _undone(world) == []


@in_virtual_time
async def test_behind_what_waits_on_its_lane_a_message_goes_over_it() -> None:
    # given a hand that is full, and more on the lane
    one = Vendor(concurrency=1000)
    async with World(one) as world:
        one.connect_s = 1
        first = await world.post([{"phone": number(place)} for place in range(600)])
        await world.pass_time(0.4)
        assert world.bus.depth(SMS) > 0
        lanes = _watched(world)
        await world.post({"phone": PHONE})
        await world.pass_time(0.1)
        assert lanes == [SMS]
        one.connect_s = 0
        await world.until(lambda: len(one.calls) == 601, within_s=30)
        assert one.addresses.index(PHONE) > 200
        await world.settled(first, MessageState.SENT, within_s=1)


@in_virtual_time
async def test_a_lane_that_nobody_here_takes_is_published_on() -> None:
    async with World(Vendor(), started=False) as world:
        lanes = _watched(world)
        await world.post()
        shortcut = Shortcut({}, _nobody, _nothing, _nothing)
        await world.planner.plan(await world.bus.take(INTAKE), shortcut)
        assert lanes == [SMS]
        assert _undone(world) == [SMS]


@in_virtual_time
async def test_a_worker_that_stops_takes_nothing_on() -> None:
    one = Vendor()
    async with World(one) as world:
        await world.pass_time(0.1)
        await world.worker.drain(1)
        lanes = _watched(world)
        await world.post()
        shortcut = world.worker._shortcut(Priority.NORMAL)
        ((name, body),) = world.bus.undone()
        await world.planner.plan(Delivery(name, 1, body, 1), shortcut)
        assert lanes == [SMS]
        assert one.calls == []


@in_virtual_time
async def test_a_bundle_of_several_lanes_parts() -> None:
    # given email's provider, before which more waits than a hand holds
    one, two = Vendor("one"), Vendor("two", channels=("email",), concurrency=1000)
    async with World(one, two) as world:
        two.connect_s = 1
        mails = await world.post([{"email": f"p{place}@example.org"} for place in range(600)])
        await world.pass_time(0.4)
        assert world.bus.depth(EMAIL) > 0
        lanes = _watched(world)
        both = await world.post([{"phone": PHONE}, {"email": "last@example.org"}])
        await world.settled(both, MessageState.SENT, within_s=0.2)
        assert lanes == [EMAIL]
        await world.settled(mails, MessageState.SENT, within_s=30)
        await world.until(lambda: world.state(both, 1) == MessageState.SENT, within_s=30)
        assert _undone(world) == []


# What it costs others


@in_virtual_time
async def test_those_that_a_slow_provider_holds_up_leave_room_to_plan_the_others() -> None:
    one, two = Vendor("one"), Vendor("two", channels=("email",))
    async with World(one, two) as world:
        one.connect_s = 3
        for place in range(40):
            await world.post({"phone": number(place)})
            await world.pass_time(0.01)
        assert _undone(world).count(INTAKE) == BUNDLES_MAX
        lanes = _watched(world)
        mail = await world.post({"email": "p@example.org"})
        await world.settled(mail, MessageState.SENT, within_s=0.2)
        assert lanes == [EMAIL]
        await world.pass_time(30)
        assert _undone(world) == []
        # and afterwards the way is free again
        one.connect_s = 0
        again = await world.post({"phone": PHONE})
        await world.settled(again, MessageState.SENT, within_s=0.2)
        assert lanes == [EMAIL]


def _handing_out(world: World, most: Callable[[str], int]) -> None:
    """From here on the bus hands out no more of a lane than that many bundles which are not done."""
    bus, out, freed = world.bus, defaultdict[str, set[int]](set), asyncio.Event()
    take, done, give_back = bus.take, bus.done, bus.give_back

    async def taking(lane: str) -> Delivery:
        while len(out[lane]) >= most(lane):
            freed.clear()
            await freed.wait()
        place = object()
        out[lane].add(id(place))
        try:
            delivery = await take(lane)
        finally:
            out[lane].discard(id(place))
        out[lane].add(delivery.tag)
        return delivery

    async def forgetting(how: Callable[[Delivery], Awaitable[None]], delivery: Delivery) -> None:
        await how(delivery)
        out[delivery.lane].discard(delivery.tag)
        freed.set()

    bus.take, bus.done, bus.give_back = taking, partial(forgetting, done), partial(forgetting, give_back)


@pytest.mark.parametrize("priority", Priority, ids=lambda priority: priority.label)
@in_virtual_time
async def test_they_leave_room_where_the_bus_hands_out_no_more_than_rabbitmq(priority: Priority) -> None:
    one, two = Vendor("one"), Vendor("two", channels=("email",))
    async with World(one, two, started=False) as world:
        _handing_out(world, prefetch_of)
        await world.start()
        one.connect_s = 3
        for place in range(40):
            await world.post({"phone": number(place)}, priority=priority.label)
            await world.pass_time(0.01)
        mail = await world.post({"email": "p@example.org"}, priority=priority.label)
        await world.settled(mail, MessageState.SENT, within_s=0.2)
        one.connect_s = 0
        await world.pass_time(30)
        assert _undone(world) == []


# What is left of it


@in_virtual_time
async def test_the_bundle_is_done_when_its_parcels_are_claimed_and_not_before() -> None:
    one = Vendor()
    async with World(one) as world:
        one.connect_s = 3
        await world.post([{"phone": number(place)} for place in range(5)])
        await world.pass_time(2.9)
        assert _undone(world) == [INTAKE]
        one.hangs = True
        await world.pass_time(0.2)
        assert one.in_flight == 5
        assert _undone(world) == []


@in_virtual_time
async def test_killed_on_the_way_what_is_not_claimed_goes_over_its_lane() -> None:
    one = Vendor()
    async with World(one) as world:
        one.connect_s = 3
        notification = await world.post([{"phone": number(place)} for place in range(5)])
        await world.pass_time(1)
        one.connect_s = 0
        lanes = _watched(world)
        await world.kill()
        lanes = _watched(world)
        await world.until(lambda: len(one.calls) == 5, within_s=5)
        await world.pass_time(1)
        assert lanes == [SMS] * 5
        assert [world.state(notification, ordinal) for ordinal in range(5)] == [MessageState.SENT] * 5
        assert sorted(one.addresses) == [number(place) for place in range(5)]
        assert _undone(world) == []


@in_virtual_time
async def test_killed_in_the_middle_nobody_is_called_twice() -> None:
    one = Vendor(concurrency=4, latency_s=0.3)
    async with World(one) as world:
        lanes = _watched(world)
        notification = await world.post([{"phone": number(place)} for place in range(5)], on_doubt="hold")
        await world.pass_time(0.2)
        assert lanes == []
        called = one.in_flight
        assert 0 < called < 5
        await world.kill()
        await world.pass_time(60)
        assert sorted(one.addresses) == [number(place) for place in range(5)]
        states = [world.state(notification, ordinal) for ordinal in range(5)]
        assert sorted(states) == [MessageState.IN_DOUBT] * called + [MessageState.SENT] * (5 - called)
        assert _undone(world) == []


@in_virtual_time
async def test_where_a_parcel_can_neither_be_delivered_nor_put_aside_its_bundle_comes_again() -> None:
    one = Vendor()
    async with World(one) as world:
        broken = []

        def breaks(method: str) -> None:
            if method in ("claim", "park") and len(broken) < 2:
                broken.append(method)
                raise RuntimeError("nobody foresaw this")

        world.faults.on_call = breaks
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=10)
        assert broken == ["claim", "park"]
        assert len(one.calls) == 1
        await world.pass_time(1)
        assert _undone(world) == []


# The arithmetic


def _nobody(_parcels: Sequence[Parcel], _held: Handful) -> None:
    raise AssertionError("nobody was to be set about")


def _nothing(_delivery: Delivery) -> None:
    raise AssertionError("nothing was taken")


def _delivery() -> Delivery:
    return Delivery(INTAKE, 1, b"[]", 1)


def _hand(most: int = 10, *, idle: bool = True) -> Hand:
    hand = Hand(lambda: most)
    hand.idle = idle
    return hand


def _parcels(count: int) -> list[Parcel]:
    return [Parcel(f"msg_{n}", "acme", Priority.NORMAL, "sms", PHONE, Content(body="Hi"), 0) for n in range(count)]


class _Way:
    """A shortcut over scripted hands, and what became of what it took."""

    def __init__(self, hands: Mapping[str, Hand]) -> None:
        self.held: list[tuple[int, Handful]] = []
        self.done: list[int] = []
        self.back: list[int] = []
        self.shortcut = Shortcut(
            hands,
            lambda parcels, held: self.held.append((len(parcels), held)),
            lambda delivery: self.done.append(delivery.tag),
            lambda delivery: self.back.append(delivery.tag),
        )


@pytest.mark.parametrize(
    ("hand", "count", "fits"),
    [
        (_hand(10), 9, True),  # and one that the taker may bring
        (_hand(10), 10, False),
        (_hand(10, idle=False), 1, False),
        (_hand(1), 1, False),
        (None, 1, False),
    ],
    ids=["room", "full", "something before it", "a hand of one", "not taken here"],
)
def test_it_fits_where_the_hand_has_room_beside_what_its_taker_may_bring(hand: Hand | None, count: int, fits: bool) -> None:
    way = _Way({} if hand is None else {SMS: hand})
    assert way.shortcut.fits(SMS, count) is fits
    assert way.shortcut.take({SMS: _parcels(count)}, _delivery()) is fits
    assert bool(way.held) is fits


def test_of_several_lanes_it_takes_all_or_none() -> None:
    way = _Way({SMS: _hand(), EMAIL: _hand(3)})
    assert not way.shortcut.take({SMS: _parcels(2), EMAIL: _parcels(3)}, _delivery())
    assert way.held == []
    assert way.shortcut.take({SMS: _parcels(2), EMAIL: _parcels(2)}, _delivery())
    assert [count for count, _ in way.held] == [2, 2]
    assert not way.shortcut.take({}, _delivery())


def test_the_bundle_is_done_with_the_last_parcel_of_the_last_lane() -> None:
    hands = {SMS: _hand(5), EMAIL: _hand(5)}
    way = _Way(hands)
    assert way.shortcut.take({SMS: _parcels(2), EMAIL: _parcels(1)}, _delivery())
    (_, sms), (_, email) = way.held
    sms.handled()
    sms.handled()
    assert way.done == []
    assert hands[SMS].fits(3)
    assert not hands[EMAIL].fits(4)
    email.handled()
    assert (way.done, way.back) == ([1], [])
    assert hands[EMAIL].fits(4)


def test_a_bundle_of_which_a_parcel_is_left_goes_back_once_and_is_never_done() -> None:
    way = _Way({SMS: _hand(), EMAIL: _hand()})
    assert way.shortcut.take({SMS: _parcels(3), EMAIL: _parcels(1)}, _delivery())
    (_, sms), (_, email) = way.held
    sms.broken()
    sms.broken()
    email.broken()
    sms.handled()
    assert (way.done, way.back) == ([], [1])


def test_so_many_bundles_at_a_time_and_another_when_one_is_over() -> None:
    way = _Way({SMS: _hand(1000)})
    for _ in range(BUNDLES_MAX):
        assert way.shortcut.take({SMS: _parcels(1)}, _delivery())
    assert not way.shortcut.fits(SMS, 1)
    assert not way.shortcut.take({SMS: _parcels(1)}, _delivery())
    way.held[0][1].handled()
    assert way.shortcut.take({SMS: _parcels(1)}, _delivery())
    way.held[1][1].broken()
    assert way.shortcut.take({SMS: _parcels(1)}, _delivery())
    assert not way.shortcut.fits(SMS, 1)
