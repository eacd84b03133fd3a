"""What the library says of connections to RabbitMQ that are lost, and what comes of it here; no broker in sight."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sendwright.drivers.bus.rabbitmq import bus as rabbitmq_bus
from sendwright.drivers.bus.rabbitmq.bus import RabbitBus
from sendwright.drivers.bus.rabbitmq.consumer import Arrived, Hands
from sendwright.drivers.bus.rabbitmq.gauge import Seen
from sendwright.drivers.bus.rabbitmq.topology import Names, Topology, lost_is_down, said
from sendwright.engine.telling import Telling
from sendwright.errors import BusDown

LANE = "sms.normal"


class _Channel:
    """Of a connection that is closed while whoever calls it waits for the answer."""

    is_closed = False

    async def queue_declare(self, *_: object, **__: object) -> None:
        raise asyncio.CancelledError

    async def close(self) -> None:
        raise asyncio.CancelledError


class _Mute(_Channel):
    """Of one on which no answer comes."""

    async def queue_declare(self, *_: object, **__: object) -> None:
        await asyncio.get_running_loop().create_future()


def _topology(channel: _Channel) -> Topology:
    async def opened(**_: object) -> _Channel:
        return channel

    async def connected() -> Any:
        return SimpleNamespace(channel=opened)

    return Topology(Names(), connected)


async def test_a_cancellation_of_nobodys_is_a_bus_that_is_down() -> None:
    with pytest.raises(BusDown, match="lost") as raised:
        await _topology(_Channel()).ready(LANE)
    assert said(raised.value) == str(raised.value)


async def test_who_is_cancelled_is_cancelled() -> None:
    asking = asyncio.ensure_future(_topology(_Mute()).ready(LANE))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait({asking})
    assert asking.cancelled()


async def test_a_time_that_is_over_is_no_lost_connection() -> None:
    async def waits() -> None:
        async with asyncio.timeout(0.01):
            with lost_is_down():
                await asyncio.get_running_loop().create_future()

    with pytest.raises(TimeoutError):
        await waits()


async def test_lanes_are_counted_on_whatever_became_of_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbitmq_bus, "LOOK_S", 0.0)
    told: list[Telling] = []
    bus = RabbitBus("amqp://127.0.0.1:1/", "", told.append, {})
    failures = [asyncio.CancelledError(), RuntimeError(), BusDown("away")]

    async def ready(_lane: str) -> int:
        if failures:
            raise failures.pop(0)
        return 3

    monkeypatch.setattr(bus._topology, "ready", ready)
    looking = asyncio.create_task(bus._look_again_and_again())
    async with asyncio.timeout(20):
        while not bus.depth(LANE) and not looking.done():
            await asyncio.sleep(0.001)
    assert bus.depth(LANE) > 0
    assert len(told) == 3
    looking.cancel()
    await asyncio.wait({looking})
    assert looking.cancelled()


# Answers


class _Answered(_Channel):
    """Takes answers while its queue has room, as the library does."""

    def __init__(self) -> None:
        self.write_queue: asyncio.Queue[str] = asyncio.Queue(1)
        self.connection = self  # whose queue it is
        self.closed = asyncio.get_running_loop().create_future()

    @property
    def closing(self) -> asyncio.Future[None]:
        return asyncio.ensure_future(asyncio.shield(self.closed))

    async def basic_ack(self, delivery_tag: int, *, wait: bool) -> None:
        assert not wait
        await self.write_queue.put(f"ack {delivery_tag}")

    async def basic_nack(self, delivery_tag: int, *, requeue: bool, wait: bool) -> None:
        assert requeue
        assert not wait
        await self.write_queue.put(f"nack {delivery_tag}")

    async def basic_reject(self, delivery_tag: int, *, requeue: bool, wait: bool) -> None:
        assert not requeue
        assert not wait
        await self.write_queue.put(f"reject {delivery_tag}")


def _held(channel: Any) -> Hands:
    """Three messages in hand."""
    hands, consumer = Hands(), SimpleNamespace(gave_back=lambda _: None)
    for number in range(3):
        hands.put(Arrived(cast("Any", consumer), channel, number, hands.next_tag(), "", Seen(1, 0), None, redelivered=False))
    return hands


def _answers(hands: Hands) -> list[asyncio.Task[None]]:
    return [asyncio.ensure_future(answer) for answer in (hands.done(1), hands.give_back(2), hands.reject(3))]


async def test_answers_wait_for_room_and_go_in_order() -> None:
    channel = _Answered()
    answers = _answers(_held(channel))
    said = [await channel.write_queue.get() for _ in range(3)]
    await asyncio.gather(*answers)
    assert said == ["ack 0", "nack 1", "reject 2"]


async def test_answers_end_with_their_channel() -> None:
    channel = _Answered()
    channel.write_queue.put_nowait("what nobody takes out any more")
    answers = _answers(_held(channel))
    await asyncio.wait(answers, timeout=0.01)
    assert not any(answer.done() for answer in answers)
    channel.closed.set_exception(ConnectionError())
    await asyncio.wait_for(asyncio.gather(*answers), 20)
    assert channel.write_queue.qsize() == 1


async def test_an_answer_that_is_cancelled_is_not_given_later() -> None:
    channel = _Answered()
    channel.write_queue.put_nowait("what was said before")
    answer = asyncio.ensure_future(_held(channel).done(1))
    await asyncio.wait({answer}, timeout=0.01)
    answer.cancel()
    await asyncio.wait({answer})
    assert answer.cancelled()
    channel.write_queue.get_nowait()
    await asyncio.sleep(0)
    assert channel.write_queue.empty()
