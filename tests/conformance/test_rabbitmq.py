"""What the RabbitMQ bus promises beyond the port: over what brokers, operators and networks do to it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiormq
import pytest

from sendwright.drivers.bus.rabbitmq import RabbitBus, open_rabbitmq, publisher, topology
from sendwright.drivers.bus.rabbitmq.dead import bury
from sendwright.drivers.embedded import open_sqlite
from sendwright.engine.telling import Telling, Trouble
from sendwright.errors import BusDown, BusUnusable
from sendwright.model.notification import Priority
from sendwright.model.parcel import split
from tests.conformance.builders import ManualClock
from tests.conformance.rabbit import Place, place
from tests.conformance.rabbit_broker import Broker, Proxy, own_broker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

LANE = "sms.normal"
URGENT = "sms.critical"


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with own_broker() as running:
        yield running


@pytest.fixture
async def there() -> AsyncIterator[Place]:
    """A place on the broker that is there."""
    async with place() as made:
        yield made


@pytest.fixture
async def own(broker: Broker) -> AsyncIterator[Place]:
    """A place on the tests' own broker."""
    async with place(broker.url) as made:
        yield made


async def take(bus: RabbitBus, lane: str = LANE, within_s: float = 30) -> Any:
    return await asyncio.wait_for(bus.take(lane), within_s)


async def until(condition: Any, within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.05)


def parcel(number: int) -> bytes:
    return json.dumps(number).encode()


# -- what brokers do ---------------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_a_broker_killed_while_all_is_moving_loses_nothing(own: Place, broker: Broker) -> None:
    # given
    confirmed: set[int] = set()
    seen: set[int] = set()
    stopped = asyncio.Event()

    async def produce(first: int) -> None:
        for number in range(first, first + 100_000):
            if stopped.is_set():
                return
            while True:
                try:
                    await bus.publish(LANE, [parcel(number)])
                except BusDown:
                    await asyncio.sleep(0.05)
                else:
                    confirmed.add(number)
                    break
            await asyncio.sleep(0.002)

    async def consume() -> None:
        while True:
            delivery = await bus.take(LANE)
            seen.update(int(raw) for raw in split(delivery.body))
            await asyncio.sleep(0)
            await bus.done(delivery)

    async with own.open() as bus:
        producers = [asyncio.create_task(produce(n * 1_000_000)) for n in range(8)]
        consumers = [asyncio.create_task(consume()) for _ in range(4)]
        # when
        await asyncio.sleep(1)
        for _ in range(2):
            before = len(confirmed)
            await broker.restart()

            async def goes_on(before: int = before) -> bool:
                return len(confirmed) > before + 50

            await until(goes_on, 40)
        stopped.set()
        await asyncio.gather(*producers)

        # then
        async def all_seen() -> bool:
            return confirmed <= seen

        await until(all_seen)
        for consumer in consumers:
            consumer.cancel()
        await asyncio.gather(*consumers, return_exceptions=True)

        async def one_consumer() -> bool:
            return await own.consumers(LANE) == 1

        await until(one_consumer)


async def test_an_alarm_refuses_what_is_urgent_at_once_and_lets_the_rest_wait_its_time(own: Place, broker: Broker) -> None:
    limits = {Priority.CRITICAL: 20.0, Priority.NORMAL: 1.0, Priority.BULK: 30.0}
    async with own.open([LANE, URGENT, "sms.bulk"], limits_s=limits) as bus:
        await bus.publish(LANE, [parcel(1)])
        held = await take(bus)
        await broker.actl("set_vm_memory_high_watermark", "0.00001")
        try:
            # when: the broker says so at the first publish
            started = time.monotonic()
            with pytest.raises(BusDown) as first:
                await bus.publish(URGENT, [parcel(2)])
            assert first.value.maybe  # it lies in a socket
            assert time.monotonic() - started < 5
            # then: from now on it is known
            assert not bus.writable
            started = time.monotonic()
            with pytest.raises(BusDown) as second:
                await bus.publish(URGENT, [parcel(3)])
            assert not second.value.maybe
            assert time.monotonic() - started < 5
            with pytest.raises(BusDown) as third:
                await bus.publish(LANE, [parcel(4)])
            assert not third.value.maybe
            assert 0.9 < time.monotonic() - started < 3
            patient = asyncio.ensure_future(bus.publish("sms.bulk", [parcel(5)]))
            await bus.done(held)  # what is taken is done all the same
            await asyncio.sleep(0.3)
            assert not patient.done()
        finally:
            await broker.actl("set_vm_memory_high_watermark", "0.4")
        await asyncio.wait_for(patient, 20)
        assert (await take(bus, "sms.bulk")).body == b"[5]"
        await bus.publish(URGENT, [parcel(6)])
        assert bus.writable


async def test_while_the_broker_is_away_what_is_urgent_fails_soon_and_the_rest_goes_when_it_is_back(
    own: Place, broker: Broker
) -> None:
    limits = {Priority.CRITICAL: 0.5, Priority.NORMAL: 60.0}
    async with own.open([LANE, URGENT], limits_s=limits) as bus:
        await asyncio.to_thread(broker.kill)
        patient = asyncio.ensure_future(bus.publish(LANE, [parcel(1)]))
        try:
            with pytest.raises(BusDown) as failed:
                await bus.publish(URGENT, [parcel(2)])
            assert not failed.value.maybe
            assert not patient.done()  # though it has waited for as long
        finally:
            await asyncio.to_thread(broker.start)
        try:
            await asyncio.wait_for(patient, 60)
        except BusDown as error:  # it was just being sent
            assert error.maybe  # noqa: PT017
            await bus.publish(LANE, [parcel(1)])
        assert (await take(bus)).body == b"[1]"


# -- what operators do -------------------------------------------------------------------------------------------------


async def test_what_no_queue_takes_is_an_error_and_the_next_try_mends_it(there: Place) -> None:
    async with there.open([LANE]) as bus, there.channel() as channel:
        await channel.queue_delete(there.names.queue(LANE))
        with pytest.raises(BusDown) as failed:
            await bus.publish(LANE, [parcel(1)])
        assert not failed.value.maybe
        assert LANE in str(failed.value)
        await bus.publish(LANE, [parcel(1)])
        assert (await take(bus)).body == b"[1]"


async def test_a_queue_that_is_deleted_under_its_consumer_is_made_and_consumed_again(there: Place) -> None:
    async with there.open() as bus, there.channel() as channel:
        await bus.publish(LANE, [parcel(1)])
        await bus.done(await take(bus))
        waiting = asyncio.ensure_future(bus.take(LANE))
        await channel.queue_delete(there.names.queue(LANE))

        async def consumed_again() -> bool:
            return await there.consumers(LANE) == 1

        await until(consumed_again)
        await bus.publish(LANE, [parcel(2)])
        assert (await asyncio.wait_for(waiting, 10)).body == b"[2]"


async def test_exchanges_that_are_deleted_are_made_again(there: Place) -> None:
    async with there.open([LANE]) as bus, there.channel() as channel:
        await channel.exchange_delete(there.names.lanes)
        with pytest.raises(BusDown):
            await bus.publish(LANE, [parcel(1)])
        await bus.publish(LANE, [parcel(1)])


async def test_a_queue_with_other_arguments_is_named_to_the_operator(there: Place) -> None:
    queue = there.names.queue(LANE)
    async with there.channel() as channel:
        await channel.queue_declare(queue, durable=True)
    there.lanes.add(LANE)
    with pytest.raises(BusUnusable, match=queue.replace(".", r"\.")):
        async with there.open([LANE]):
            pass
    async with there.open() as bus:
        with pytest.raises(BusDown, match=queue):
            await bus.publish(LANE, [parcel(1)])
        with pytest.raises(BusDown, match=queue):
            await take(bus)
        await bus.publish(URGENT, [parcel(1)])  # the others work


async def test_a_wrong_password_is_the_operators_a_missing_broker_is_not(broker: Broker) -> None:
    with pytest.raises(BusUnusable) as refused:
        async with open_rabbitmq(broker.url.replace("guest:guest", "guest:wrong-secret")):
            pass
    assert "wrong-secret" not in str(refused.value)
    with pytest.raises(BusDown):
        async with open_rabbitmq("amqp://guest:guest@127.0.0.1:1/"):
            pass


async def test_topology_is_declared_as_often_as_wanted(there: Place) -> None:
    async with there.open([LANE]) as one, there.open([LANE]) as other:
        await one.publish(LANE, [parcel(1)])
        assert (await take(other)).body == b"[1]"


# -- what networks do --------------------------------------------------------------------------------------------------


async def test_a_connection_cut_before_the_confirm_is_a_maybe(own: Place, broker: Broker) -> None:
    async with Proxy(broker.port) as proxy, own.open([LANE], proxy.url) as bus:
        await bus.publish(LANE, [parcel(1)])
        proxy.answers.clear()
        publishing = asyncio.ensure_future(bus.publish(LANE, [parcel(2)]))

        async def it_is_there() -> bool:
            async with own.channel() as channel:
                return bool((await channel.queue_declare(own.names.queue(LANE), passive=True)).message_count == 2)

        await until(it_is_there)
        assert not publishing.done()
        proxy.cut()
        proxy.answers.set()
        with pytest.raises(BusDown) as failed:
            await asyncio.wait_for(publishing, 10)
        assert failed.value.maybe
        await asyncio.wait_for(bus.publish(LANE, [parcel(3)]), 20)


async def test_a_confirm_that_does_not_come_is_a_maybe_when_the_time_is_over(own: Place, broker: Broker) -> None:
    async with Proxy(broker.port) as proxy, own.open([LANE], proxy.url, limits_s={Priority.NORMAL: 0.5}) as bus:
        await bus.publish(LANE, [parcel(1)])
        proxy.answers.clear()
        started = time.monotonic()
        first = asyncio.ensure_future(bus.publish(LANE, [parcel(2)]))
        await asyncio.sleep(0.1)
        second = asyncio.ensure_future(bus.publish(LANE, [parcel(3)]))
        failures = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(one) for one in failures] == [BusDown, BusDown]
        assert isinstance(failures[0], BusDown)
        assert failures[0].maybe
        assert time.monotonic() - started < 3
        proxy.answers.set()


async def test_a_confirm_that_does_not_come_is_a_maybe_though_nobody_looks_before_its_own_time_is_over(
    own: Place, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle's time and the look at all that wait end within moments of each other; whichever is first says the same."""
    monkeypatch.setattr(publisher.Publisher, "_look_at_those_that_wait", lambda _: None)
    async with Proxy(broker.port) as proxy, own.open([LANE], proxy.url, limits_s={Priority.NORMAL: 0.5}) as bus:
        await bus.publish(LANE, [parcel(1)])
        proxy.answers.clear()
        together = [asyncio.ensure_future(bus.publish(LANE, [parcel(number)])) for number in (2, 3)]
        failures = await asyncio.wait_for(asyncio.gather(*together, return_exceptions=True), 20)
        assert [isinstance(one, BusDown) and one.maybe for one in failures] == [True, True]
        proxy.answers.set()


async def test_a_line_on_which_nothing_is_heard_is_made_anew(own: Place, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "SILENT_S", 0.2)
    async with Proxy(broker.port) as proxy, own.open([LANE], proxy.url, limits_s={Priority.NORMAL: 0.5}) as bus:
        await bus.publish(LANE, [parcel(0)])
        before = bus._publishing.connection
        proxy.answers.clear()
        with pytest.raises(BusDown):
            await bus.publish(LANE, [parcel(1)])

        async def hung_up() -> bool:
            return bus._publishing.connection is not before

        await until(hung_up, 5)
        proxy.answers.set()

        async def publishes() -> bool:
            try:
                await bus.publish(LANE, [parcel(2)])
            except BusDown:
                return False
            return True

        await until(publishes)


async def test_lanes_are_counted_again_after_the_broker_was_silent(
    own: Place, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a line that is closed for its silence the library tells whoever waits for an answer that he is cancelled."""
    monkeypatch.setattr(aiormq.Connection, "HEARTBEAT_GRACE_MULTIPLIER", 1)
    async with Proxy(broker.port) as proxy, own.open([LANE], f"{proxy.url}?heartbeat=1") as bus, own.open() as other:
        before = bus._taking.connection
        proxy.answers.clear()

        async def hung_up() -> bool:
            bus.depth(LANE)  # so that it is asked for when the line is given up
            return bus._taking.connection is not before

        await until(hung_up)
        proxy.answers.set()
        await other.publish(LANE, [parcel(number) for number in range(3)])

        async def counted() -> bool:
            return bus.depth(LANE) > 0 and await bus.exists(LANE)

        await until(counted)


async def test_an_acknowledgement_from_before_a_lost_connection_touches_nothing(own: Place, broker: Broker) -> None:
    # given: the same delivery tag on the connection before and on the one after
    async with Proxy(broker.port) as proxy, own.open([LANE], proxy.url) as bus:
        await bus.publish(LANE, [parcel(1)])
        await bus.publish(LANE, [parcel(2)])
        old = [await take(bus), await take(bus)]
        proxy.cut()
        new = [await take(bus), await take(bus)]
        assert sorted(one.body for one in new) == [b"[1]", b"[2]"]
        assert all(one.redelivered for one in new)
        # when
        for one in old:
            await bus.done(one)
            await bus.give_back(one)
        # then: the broker still has them as taken, and gives them to the next
        await own.kill(bus)
        async with own.open() as again:
            assert sorted([(await take(again)).body, (await take(again)).body]) == [b"[1]", b"[2]"]


@pytest.mark.parametrize("turns", range(4))
async def test_acknowledgements_end_though_the_connection_is_lost(there: Place, turns: int) -> None:
    """More of them than the library keeps for its writer, which has ended."""
    async with there.open([LANE]) as bus:
        for number in range(30):
            await bus.publish(LANE, [parcel(number)])
        taken = [await take(bus) for _ in range(30)]
        bus._taking.cut()
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.gather(*(bus.done(one) for one in taken)), 30)


async def test_a_connection_lost_again_and_again_leaves_one_consumer(own: Place, broker: Broker) -> None:
    async with Proxy(broker.port) as proxy, own.open([LANE], proxy.url) as bus:
        takers = [asyncio.ensure_future(bus.take(LANE)) for _ in range(5)]
        for number in range(5):
            proxy.cut()

            async def publishes(number: int = number) -> bool:
                try:
                    await bus.publish(LANE, [parcel(number)])
                except BusDown:
                    return False
                return True

            await until(publishes)
        await asyncio.wait_for(asyncio.gather(*takers), 20)

        async def one_consumer() -> bool:
            return await own.consumers(LANE) == 1

        await until(one_consumer)
        await asyncio.sleep(0.5)
        assert await one_consumer()


# -- who stops taking ---------------------------------------------------------------------------------------------------


async def test_who_stopped_taking_keeps_its_channel_for_what_is_in_hand(there: Place) -> None:
    async with there.open([LANE]) as bus:
        for number in range(3):
            await bus.publish(LANE, [parcel(number)])
        held = [await take(bus), await take(bus)]
        bus.stop_taking()
        async with there.open([LANE]) as other:
            assert (await take(other)).body == b"[2]"
            await bus.done(held[0])
            await bus.give_back(held[1])
            assert (await take(other)).body == b"[1]"
            await asyncio.sleep(0.2)  # what was done just now does not come either
            assert other.depth(LANE) == 0


async def test_a_taker_that_is_cancelled_after_that_keeps_nothing_back(there: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with there.open([LANE]) as bus, there.open([LANE]) as other:
        taker = asyncio.ensure_future(bus.take(LANE))

        async def consumed() -> bool:
            return await there.consumers(LANE) == 1

        await until(consumed)
        # when: it is handed over, and its taker has not gone on yet
        consumer = bus._consumers[LANE]
        handed, wake = asyncio.Event(), consumer._wake

        def waking() -> None:
            wake()
            if not handed.is_set():
                handed.set()
                bus.stop_taking()
                taker.cancel()

        monkeypatch.setattr(consumer, "_wake", waking)
        await other.publish(LANE, [parcel(1)])
        await asyncio.wait_for(handed.wait(), 20)
        # then
        assert (await take(other)).body == b"[1]"
        assert taker.cancelled()


async def test_who_stopped_taking_begins_no_more_when_the_connection_is_made_again(own: Place, broker: Broker) -> None:
    async with Proxy(broker.port) as proxy, own.open([LANE], proxy.url) as bus:
        await bus.publish(LANE, [parcel(1)])
        await take(bus)
        bus.stop_taking()
        before = bus._taking.connection
        proxy.cut()

        async def connected_again() -> bool:
            return bus._taking.connection not in (None, before) and await bus.exists(LANE)

        await until(connected_again)
        async with own.open([LANE]) as other:
            assert (await take(other)).body == b"[1]"
            assert await own.consumers(LANE) == 1


async def test_who_stopped_taking_still_takes_the_dead_and_what_producers_publish(there: Place) -> None:
    async with there.open([topology.INGRESS]) as bus:
        ingress = bus.ingress()
        first, dead = asyncio.ensure_future(ingress.take()), asyncio.ensure_future(bus.take_dead())
        bus.stop_taking()
        await post(there, b"[1]")
        await ingress.reject(await asyncio.wait_for(first, 20))
        assert (await asyncio.wait_for(dead, 20)).parcels() == [b"[1]"]


# -- the dead lane -----------------------------------------------------------------------------------------------------


async def test_what_is_given_back_too_often_ends_in_the_quarantine(
    there: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given
    monkeypatch.setattr(topology, "DELIVERIES_MAX", 2)
    told: list[Telling] = []
    async with there.open([LANE]) as bus, open_sqlite(tmp_path / "a.db") as store:
        quarantine = store.quarantine
        burying = asyncio.create_task(bury(bus, quarantine, ManualClock(), told.append))
        await bus.publish(LANE, [parcel(1), parcel(2)])
        # when: a bundle of two, and then each of them alone, in whatever order
        for _ in range(3 * 3):
            await bus.give_back(await take(bus))

        # then
        async def kept() -> bool:
            return len(await quarantine.newest(10)) == 2

        await until(kept)
        assert {one.lane for one in await quarantine.newest(10)} == {LANE}
        assert all("too often" in one.problem for one in await quarantine.newest(10))
        assert [one.what for one in told if isinstance(one, Trouble) and "alone" in one.what] == [
            f"{LANE}: 2 parcels are tried alone: it was delivered too often and never done"
        ]

        async def nothing_left() -> bool:
            return bus.depth(topology.DEAD) == 0 and bus.depth(LANE) == 0

        await until(nothing_left)
        # what is published again is a new message, which has never died
        await bus.publish(LANE, [parcel(1)])
        assert not (await take(bus)).redelivered
        burying.cancel()
        await asyncio.gather(burying, return_exceptions=True)


# -- ingress -----------------------------------------------------------------------------------------------------------


async def post(there: Place, body: bytes, key: str = "intake", **properties: Any) -> None:
    async with there.channel() as channel:
        await channel.basic_publish(
            body,
            exchange=there.names.public,
            routing_key=key,
            mandatory=True,
            properties=aiormq.spec.Basic.Properties(delivery_mode=2, **properties),
        )


async def test_what_a_producer_publishes_comes_raw_with_its_properties(there: Place) -> None:
    async with there.open([topology.INGRESS]) as bus:
        ingress = bus.ingress()
        await post(
            there,
            b'{"to": []}',
            message_id="order-1",
            content_type="application/cloudevents+json",
            message_type="order.shipped",
            headers={"tenant": "acme", "x-death": "forged"},
        )
        posted = await asyncio.wait_for(anext(ingress), 10)
        assert posted.body == b'{"to": []}'
        assert posted.message_id == "order-1"
        assert posted.content_type == "application/cloudevents+json"
        assert posted.type == "order.shipped"
        assert posted.headers == {"tenant": "acme"}
        assert not posted.redelivered
        assert "to" not in repr(posted)
        await ingress.give_back(posted)
        again = await asyncio.wait_for(ingress.take(), 10)
        assert again.redelivered
        assert again.message_id == "order-1"
        await ingress.ack(again)
        await ingress.ack(again)


async def test_a_rejected_message_lies_on_the_dead_lane_whole(there: Place) -> None:
    async with there.open([topology.INGRESS]) as bus:
        await post(there, b'["not", "a bundle"]')
        ingress = bus.ingress()
        await ingress.reject(await asyncio.wait_for(ingress.take(), 10))
        dead = await asyncio.wait_for(bus.take_dead(), 10)
        assert dead.delivery.lane == topology.INGRESS
        assert dead.parcels() == [b'["not", "a bundle"]']
        await bus.done(dead.delivery)


async def test_a_producer_can_not_reach_a_lane(there: Place) -> None:
    async with there.open([topology.INGRESS, LANE]):
        with pytest.raises(aiormq.PublishError):
            await post(there, b"[]", key=LANE)


# -- figures -----------------------------------------------------------------------------------------------------------


async def test_what_others_published_is_seen_within_seconds(there: Place) -> None:
    async with there.open([LANE]) as one, there.open([LANE]) as other:
        assert other.depth(LANE) == 0
        await one.publish(LANE, [parcel(number) for number in range(100)])

        async def seen() -> bool:
            return other.depth(LANE) == 100 and other.oldest_s(LANE) > 0

        await until(seen, 5)
        first = await take(other)
        assert one.depth(LANE) >= other.depth(LANE) == 50
        await other.done(first)

        async def seen_by_the_first() -> bool:  # the other holds both bundles, one of them in front of its takers
            return one.depth(LANE) == 0

        await until(seen_by_the_first, 5)


async def test_a_lane_that_nobody_made_is_empty_and_stays_unmade(there: Place) -> None:
    async with there.open() as bus:
        assert bus.depth("push.bulk") == 0
        assert bus.oldest_s("push.bulk") == 0
        await asyncio.sleep(0.2)
        async with there.channel() as channel:
            with pytest.raises(aiormq.ChannelNotFoundEntity):
                await channel.queue_declare(there.names.queue("push.bulk"), passive=True)
