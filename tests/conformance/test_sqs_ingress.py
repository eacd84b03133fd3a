"""What producers send to the SQS intake queue: taken, acknowledged, rejected."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from sendwright.drivers.bus.sqs.address import SqsAddress
from sendwright.drivers.bus.sqs.calls import Calls, open_calls
from sendwright.drivers.bus.sqs.ingress import Ingress, Posted, SqsIngress, open_ingress
from tests.conformance.sqs_backends import address_for, credentials, moto_url
from tests.conformance.sqs_fake import SqsFake
from tests.conformance.sqs_fake_queues import Faults
from tests.conformance.steady_time import steady_time

pytestmark = pytest.mark.slow

PAYLOAD = json.dumps({"to": "+491511", "content": {"body": "Grüße, 世界"}, "idempotency_key": "k1"}, ensure_ascii=False)


class Producer:
    """Somebody else's program, with a client of its own."""

    def __init__(self, calls: Calls, address: SqsAddress) -> None:
        self._calls = calls
        self._address = address

    async def send(self, body: str, **attributes: Any) -> str:
        found = await self._calls.patiently("get_queue_url", QueueName=self._address.prefix + "intake")
        sent = await self._calls.patiently(
            "send_message", QueueUrl=found["QueueUrl"], MessageBody=body, MessageAttributes=attributes
        )
        return str(sent["MessageId"])


@asynccontextmanager
async def opened(address: SqsAddress) -> AsyncIterator[tuple[SqsIngress, Producer]]:
    async with open_ingress(address) as ingress, open_calls(address) as calls:
        await ingress.declare()
        yield ingress, Producer(calls, address)


@pytest.fixture(params=["fake", "moto"])
async def both(request: pytest.FixtureRequest) -> AsyncIterator[tuple[SqsIngress, Producer]]:
    async with AsyncExitStack() as stack:
        stack.enter_context(credentials())
        if request.param == "fake":
            url = (await stack.enter_async_context(SqsFake())).url
        else:
            url = await asyncio.to_thread(moto_url)
        yield await stack.enter_async_context(opened(address_for(url)))


@pytest.fixture
async def fake() -> AsyncIterator[SqsFake]:
    """In whose tests a machine that stalls makes nobody late."""
    with credentials():
        async with steady_time(), SqsFake(seed=1) as fake:
            yield fake


async def take(ingress: Ingress) -> Posted:
    return await asyncio.wait_for(ingress.take(), 10)


async def assert_none_within(ingress: Ingress, seconds: float) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ingress.take(), seconds)


async def test_a_payload_comes_as_it_was_sent_with_its_attributes(both: tuple[SqsIngress, Producer]) -> None:
    ingress, producer = both
    id_ = await producer.send(
        PAYLOAD,
        **{
            "content-type": {"DataType": "String", "StringValue": "application/cloudevents+json"},
            "try": {"DataType": "Number", "StringValue": "3"},
            "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        },
    )
    posted = await take(ingress)
    assert (posted.id, posted.body, posted.received) == (id_, PAYLOAD.encode(), 1)
    assert posted.attributes == {"content-type": "application/cloudevents+json", "try": "3", "raw": b"\x00\xff"}
    assert posted.sent_at > 1_700_000_000_000
    assert repr(posted) == f"Posted({id_})"
    await ingress.ack(posted)
    await ingress.ack(posted)


async def test_what_is_acknowledged_never_comes_again_and_what_is_not_does(fake: SqsFake) -> None:
    address = address_for(fake.url, visibility_s=1)
    async with opened(address) as (ingress, producer):
        for body in ("1", "2"):
            await producer.send(body)
        first, second = await take(ingress), await take(ingress)
        assert {first.body, second.body} == {b"1", b"2"}
        await ingress.ack(first)
    async with opened(address) as (again, _):  # closed without a word: given back
        back = await take(again)
        assert (back.id, back.body, back.received) == (second.id, second.body, 2)
        await again.ack(back)
        await assert_none_within(again, 1.5)


async def test_what_is_rejected_comes_again_after_its_time(both: tuple[SqsIngress, Producer]) -> None:
    ingress, producer = both
    await producer.send(PAYLOAD)
    first = await take(ingress)
    await ingress.reject(first, after_s=3)
    await assert_none_within(ingress, 0.5)
    again = await take(ingress)
    assert (again.id, again.received) == (first.id, 2)
    await ingress.reject(again)
    await ingress.ack(await take(ingress))


async def test_what_is_put_off_often_does_not_die_of_it(fake: SqsFake) -> None:
    async with opened(address_for(fake.url, receives_max=1)) as (ingress, producer):
        await producer.send(PAYLOAD)
        for received in range(1, 6):
            posted = await take(ingress)
            assert posted.received == received
            await ingress.reject(posted)


async def test_heart_beats_keep_what_is_worked_on(fake: SqsFake) -> None:
    async with opened(address_for(fake.url, visibility_s=2)) as (ingress, producer):
        await producer.send(PAYLOAD)
        posted = await take(ingress)
        await assert_none_within(ingress, 3)
        await ingress.ack(posted)
    assert all(not queue.messages for queue in fake.queues.values())
    assert fake.asked["ChangeMessageVisibilityBatch"] >= 2


async def test_the_queue_is_taken_as_the_producers_have_it(fake: SqsFake) -> None:
    address = address_for(fake.url)
    async with opened(address):
        pass
    fake.queues[address.prefix + "intake"].attributes["MessageRetentionPeriod"] = "345600"
    async with opened(address) as (ingress, producer):
        await producer.send(PAYLOAD)
        await ingress.ack(await take(ingress))


@pytest.mark.parametrize("seed", [1, 2])
async def test_two_hundred_under_every_fault_come_and_go(seed: int) -> None:
    faults = Faults(
        duplicate=0.1, ghost=0.05, reorder=0.5, short=0.3, entry=0.1, unmentioned=0.05, throttle=0.1, error=0.1, drop=0.1
    )
    with credentials():
        async with (
            SqsFake(seed=seed, faults=faults) as fake,
            opened(address_for(fake.url, visibility_s=1, call_s=1)) as (ingress, producer),
        ):
            got: set[bytes] = set()

            async def work() -> None:
                while True:
                    posted = await ingress.take()
                    got.add(posted.body)
                    await ingress.ack(posted)

            workers = [asyncio.ensure_future(work()) for _ in range(8)]
            await asyncio.gather(*(producer.send(str(number)) for number in range(200)))
            (queue,) = fake.queues.values()
            for _ in range(400):
                if len(got) == 200 and not queue.messages:
                    break
                await asyncio.sleep(0.05)
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            assert got == {str(number).encode() for number in range(200)}
            assert not queue.messages
