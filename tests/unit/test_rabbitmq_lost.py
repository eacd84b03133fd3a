"""What the library says of connections to RabbitMQ that are lost, and what comes of it here; no broker in sight."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sendwright.drivers.bus.rabbitmq import bus as rabbitmq_bus
from sendwright.drivers.bus.rabbitmq.bus import RabbitBus
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
