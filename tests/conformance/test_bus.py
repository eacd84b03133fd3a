"""What every bus promises (engine/ports.py, Bus)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

import pytest

from sendwright.engine.ports import Delivery
from sendwright.engine.shortcut import BUNDLES_MAX
from sendwright.engine.worker import PLANS_AT_ONCE
from sendwright.model.notification import Priority
from sendwright.model.parcel import PARCELS_MAX, intake_lane, split
from tests.conformance.backends import UnderTest, every_bus

backend = every_bus()

LANE = "sms.normal"


def numbered(*numbers: int) -> list[bytes]:
    return [json.dumps(number).encode() for number in numbers]


def numbers_in(*deliveries: Delivery) -> list[int]:
    return [int(raw) for delivery in deliveries for raw in split(delivery.body)]


async def take_all(backend: UnderTest, lane: str, count: int) -> list[Delivery]:
    """Bundles until that many parcels are in hand."""
    taken: list[Delivery] = []
    while sum(delivery.count for delivery in taken) < count:
        taken.append(await asyncio.wait_for(backend.bus.take(lane), 10))
    return taken


async def assert_depth(backend: UnderTest, lane: str, count: int) -> None:
    """A broker's own count may for a moment hold what we counted as well."""
    async with asyncio.timeout(10):
        while backend.bus.depth(lane) != count:
            await asyncio.sleep(0.05)


async def assert_nothing_to_take(backend: UnderTest, lane: str) -> None:
    await assert_depth(backend, lane, 0)
    taker = asyncio.ensure_future(backend.bus.take(lane))
    done, _ = await asyncio.wait({taker}, timeout=0.05)
    taker.cancel()
    await asyncio.gather(taker, return_exceptions=True)
    assert not done


async def test_parcels_come_out_in_the_order_of_their_publishing(backend: UnderTest) -> None:
    # given
    for number in range(0, 30, 3):
        await backend.bus.publish(LANE, numbered(number, number + 1, number + 2))
    # when
    taken = await take_all(backend, LANE, 30)
    # then
    assert numbers_in(*taken) == list(range(30))
    assert [delivery.lane for delivery in taken] == [LANE] * len(taken)
    assert not any(delivery.redelivered for delivery in taken)


async def test_a_delivery_counts_the_parcels_in_its_body(backend: UnderTest) -> None:
    await backend.bus.publish(LANE, numbered(1, 2, 3))
    delivery = await backend.bus.take(LANE)
    assert delivery.count == len(split(delivery.body)) == 3


async def test_a_parcel_travels_byte_for_byte(backend: UnderTest) -> None:
    raw = '{"text":"Grüße, 世界 \\ud83d\\ude00 \\u0000","nested":[1,2.50,{"a":null}]}'.encode()
    await backend.bus.publish(LANE, [raw])
    assert split((await backend.bus.take(LANE)).body) == [raw]


async def test_lanes_do_not_mix(backend: UnderTest) -> None:
    await backend.bus.publish("sms.bulk", numbered(1))
    await backend.bus.publish("sms.critical", numbered(2))
    assert numbers_in(await backend.bus.take("sms.critical")) == [2]
    await assert_depth(backend, "sms.bulk", 1)
    await assert_nothing_to_take(backend, "email.bulk")


async def test_what_is_done_never_comes_again(backend: UnderTest) -> None:
    # given
    await backend.bus.publish(LANE, numbered(1))
    delivery = await backend.bus.take(LANE)
    # when
    await backend.bus.done(delivery)
    # then
    await assert_nothing_to_take(backend, LANE)
    await assert_nothing_to_take(await backend.restart(), LANE)


async def test_done_twice_is_harmless(backend: UnderTest) -> None:
    await backend.bus.publish(LANE, numbered(1))
    first = await backend.bus.take(LANE)
    await backend.bus.publish(LANE, numbered(2))
    await backend.bus.done(first)
    await backend.bus.done(first)
    assert numbers_in(await backend.bus.take(LANE)) == [2]


async def test_what_is_done_again_takes_nothing_newer_with_it(backend: UnderTest) -> None:
    # given: the lane is empty between them
    await backend.bus.publish(LANE, numbered(1))
    first = await backend.bus.take(LANE)
    await backend.bus.done(first)
    await backend.bus.publish(LANE, numbered(2))
    # when
    await backend.bus.done(first)
    # then
    assert numbers_in(await (await backend.restart()).bus.take(LANE)) == [2]


async def test_what_was_taken_and_not_done_comes_again_after_a_crash(backend: UnderTest) -> None:
    # given
    await backend.bus.publish(LANE, numbered(1))
    await backend.bus.publish(LANE, numbered(2))
    await backend.bus.publish(LANE, numbered(3))
    first, second = await backend.bus.take(LANE), await backend.bus.take(LANE)
    await backend.bus.done(first)
    # when
    again = await backend.restart()
    # then
    back = await asyncio.wait_for(again.bus.take(LANE), 10)
    assert numbers_in(back) == numbers_in(second) == [2]
    assert back.redelivered
    assert numbers_in(await asyncio.wait_for(again.bus.take(LANE), 10)) == [3]
    await assert_nothing_to_take(again, LANE)


async def test_done_with_a_later_one_leaves_the_earlier_to_come_again(backend: UnderTest) -> None:
    # given
    for number in (1, 2, 3):
        await backend.bus.publish(LANE, numbered(number))
    taken = [await backend.bus.take(LANE) for _ in range(3)]
    # when
    await backend.bus.done(taken[1])
    # then
    again = await backend.restart()
    assert sorted(numbers_in(*await take_all(again, LANE, 2))) == [1, 3]
    await assert_nothing_to_take(again, LANE)


async def test_what_nobody_had_taken_survives_a_crash(backend: UnderTest) -> None:
    await backend.bus.publish(LANE, numbered(*range(250)))
    again = await backend.restart()
    assert again.bus.depth(LANE) == 250
    assert numbers_in(*await take_all(again, LANE, 250)) == list(range(250))


async def test_what_is_given_back_comes_again_first_and_redelivered(backend: UnderTest) -> None:
    # given
    await backend.bus.publish(LANE, numbered(1))
    await backend.bus.publish(LANE, numbered(2))
    first = await backend.bus.take(LANE)
    # when
    await backend.bus.give_back(first)
    # then
    again = await backend.bus.take(LANE)
    assert numbers_in(again) == [1]
    assert again.redelivered
    assert numbers_in(await backend.bus.take(LANE)) == [2]


async def test_what_is_given_back_wakes_a_taker(backend: UnderTest) -> None:
    await backend.bus.publish(LANE, numbered(1))
    first = await backend.bus.take(LANE)
    taker = asyncio.ensure_future(backend.bus.take(LANE))
    await asyncio.sleep(0)
    await backend.bus.give_back(first)
    assert numbers_in(await asyncio.wait_for(taker, 10)) == [1]


async def test_giving_back_twice_makes_no_second_bundle(backend: UnderTest) -> None:
    await backend.bus.publish(LANE, numbered(1))
    first = await backend.bus.take(LANE)
    await backend.bus.give_back(first)
    await backend.bus.give_back(first)
    assert backend.bus.depth(LANE) == 1
    await backend.bus.done(await backend.bus.take(LANE))
    await assert_nothing_to_take(backend, LANE)


async def test_depth_counts_the_parcels_that_nobody_has_taken(backend: UnderTest) -> None:
    assert backend.bus.depth(LANE) == 0
    await backend.bus.publish(LANE, numbered(1, 2, 3))
    await backend.bus.publish(LANE, numbered(4))
    assert backend.bus.depth(LANE) == 4
    first = await backend.bus.take(LANE)
    assert backend.bus.depth(LANE) == 1
    await backend.bus.give_back(first)
    assert backend.bus.depth(LANE) == 4
    for delivery in await take_all(backend, LANE, 4):
        await backend.bus.done(delivery)
    assert backend.bus.depth(LANE) == 0


async def test_the_oldest_age_is_that_of_the_oldest_bundle_that_nobody_has_taken(backend: UnderTest) -> None:
    # given
    assert backend.bus.oldest_s(LANE) == 0
    await backend.bus.publish(LANE, numbered(1))
    await backend.pass_time(0.2)
    await backend.bus.publish(LANE, numbered(2))
    await backend.pass_time(0.01)
    seen, before = time.monotonic(), backend.bus.oldest_s(LANE)
    # when
    await backend.bus.take(LANE)
    # then
    after, later_s = backend.bus.oldest_s(LANE), time.monotonic() - seen
    assert before >= 0.2
    assert 0 < after <= before - 0.1 + later_s
    await backend.bus.take(LANE)
    async with asyncio.timeout(10):  # a broker's word about it may be late
        while backend.bus.oldest_s(LANE) != 0:
            await asyncio.sleep(0.01)


async def test_who_stops_taking_leaves_what_lies_there_to_the_others(backend: UnderTest) -> None:
    # given one in hand, and who waits for more than there is
    await backend.bus.publish(LANE, numbered(1))
    first = await backend.bus.take(LANE)
    for number in range(2, 8):
        await backend.bus.publish(LANE, numbered(number))
    # when
    backend.bus.stop_taking()
    taker = asyncio.ensure_future(backend.bus.take(LANE))
    late = asyncio.ensure_future(backend.bus.take("email.normal"))
    await backend.bus.publish("email.normal", numbered(8))
    await backend.bus.done(first)
    # then
    other = await backend.beside()
    taken = await take_all(other, LANE, 6) + await take_all(other, "email.normal", 1)
    assert sorted(numbers_in(*taken)) == [2, 3, 4, 5, 6, 7, 8]
    for delivery in taken:
        await other.bus.done(delivery)
    await assert_nothing_to_take(other, LANE)
    assert not taker.done()
    assert not late.done()
    for one in (taker, late):
        one.cancel()
    await asyncio.gather(taker, late, return_exceptions=True)


async def test_who_waits_while_it_stops_gets_nothing_more(backend: UnderTest) -> None:
    taker = asyncio.ensure_future(backend.bus.take(LANE))
    await assert_nothing_to_take(backend, "email.normal")
    backend.bus.stop_taking()
    backend.bus.stop_taking()
    await backend.bus.publish(LANE, numbered(1))
    other = await backend.beside()
    assert numbers_in(*await take_all(other, LANE, 1)) == [1]
    assert not taker.done()
    taker.cancel()
    await asyncio.gather(taker, return_exceptions=True)


async def test_what_is_given_back_by_who_stopped_taking_is_the_others(backend: UnderTest) -> None:
    await backend.bus.publish(LANE, numbered(1))
    first = await backend.bus.take(LANE)
    backend.bus.stop_taking()
    await backend.bus.give_back(first)
    other = await backend.beside()
    assert numbers_in(*await take_all(other, LANE, 1)) == [1]


async def test_publishing_nothing_makes_no_bundle(backend: UnderTest) -> None:
    await backend.bus.publish(LANE, [])
    await assert_nothing_to_take(backend, LANE)


@pytest.mark.parametrize("count", [PARCELS_MAX, PARCELS_MAX + 1, 3 * PARCELS_MAX])
async def test_one_large_publish_is_cut_into_bundles(backend: UnderTest, count: int) -> None:
    await backend.bus.publish(LANE, numbered(*range(count)))
    taken = await take_all(backend, LANE, count)
    assert max(delivery.count for delivery in taken) <= PARCELS_MAX
    assert numbers_in(*taken) == list(range(count))


async def test_publishes_at_the_same_time_keep_each_calls_order_and_the_size_of_bundles(backend: UnderTest) -> None:
    # given
    calls = [numbered(*range(start, start + 7)) for start in range(0, 700, 7)]
    # when
    await asyncio.gather(*(backend.bus.publish(LANE, parcels) for parcels in calls))
    # then
    taken = await take_all(backend, LANE, 700)
    found = numbers_in(*taken)
    assert max(delivery.count for delivery in taken) <= PARCELS_MAX
    assert sorted(found) == list(range(700))
    lists = [found] if getattr(backend, "ordered", True) else [numbers_in(delivery) for delivery in taken]
    for numbers in lists:
        for start in range(0, 700, 7):
            mine = [number for number in numbers if start <= number < start + 7]
            assert mine == sorted(mine)


async def test_more_of_an_intake_lane_may_be_in_hand_than_the_short_way_holds_up(backend: UnderTest) -> None:
    """Room to plan the others, see engine/shortcut.py."""
    intake, most = intake_lane(Priority.BULK), BUNDLES_MAX + 2 * PLANS_AT_ONCE
    for number in range(most):
        await backend.bus.publish(intake, numbered(number))
    taken = [await asyncio.wait_for(backend.bus.take(intake), 10) for _ in range(most)]
    assert sorted(numbers_in(*taken)) == list(range(most))


async def test_take_waits_until_something_is_published(backend: UnderTest) -> None:
    # given
    taker = asyncio.ensure_future(backend.bus.take(LANE))
    await asyncio.sleep(0)
    assert not taker.done()
    # when
    await backend.bus.publish(LANE, numbered(1))
    # then
    assert numbers_in(await asyncio.wait_for(taker, 10)) == [1]


@pytest.mark.parametrize("turns", range(5))
async def test_cancelling_a_take_loses_nothing_whenever_it_happens(backend: UnderTest, turns: int) -> None:
    # given
    taker = asyncio.ensure_future(backend.bus.take(LANE))
    await asyncio.sleep(0)
    publishing = asyncio.ensure_future(backend.bus.publish(LANE, numbered(1)))
    if turns:
        await publishing
    for _ in range(turns - 1):
        await asyncio.sleep(0)
    # when
    taker.cancel()
    (got,) = await asyncio.gather(taker, return_exceptions=True)
    await publishing
    # then
    if isinstance(got, Delivery):
        assert numbers_in(got) == [1]
    else:
        assert numbers_in(await asyncio.wait_for(backend.bus.take(LANE), 10)) == [1]


@pytest.mark.parametrize("turns", range(6))
async def test_cancelling_the_taker_that_was_woken_wakes_the_next(backend: UnderTest, turns: int) -> None:
    # given
    loop = asyncio.get_running_loop()
    first, second = asyncio.ensure_future(backend.bus.take(LANE)), asyncio.ensure_future(backend.bus.take(LANE))
    await asyncio.sleep(0)

    def cancel_after(turns_left: int) -> None:
        if turns_left:
            loop.call_soon(cancel_after, turns_left - 1)
        else:
            first.cancel()

    # when
    publishing = asyncio.ensure_future(backend.bus.publish(LANE, numbered(1)))
    loop.call_soon(cancel_after, turns)
    await publishing
    # then
    await asyncio.wait({first}, timeout=10)
    if not first.cancelled():
        assert numbers_in(first.result()) == [1]
        await backend.bus.publish(LANE, numbered(2))
    assert numbers_in(await asyncio.wait_for(second, 10)) == [1 if first.cancelled() else 2]


async def test_many_takers_get_every_bundle_once(backend: UnderTest) -> None:
    # given
    got: list[int] = []

    async def taker() -> None:
        while True:
            delivery = await backend.bus.take(LANE)
            got.extend(numbers_in(delivery))
            await backend.bus.done(delivery)

    takers = [asyncio.ensure_future(taker()) for _ in range(20)]
    # when
    await asyncio.gather(*(backend.bus.publish(LANE, numbered(number)) for number in range(500)))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            while len(got) < 500:
                await asyncio.sleep(0.001)
    # then
    for one in takers:
        one.cancel()
    await asyncio.gather(*takers, return_exceptions=True)
    assert sorted(got) == list(range(500))
    await assert_nothing_to_take(backend, LANE)
