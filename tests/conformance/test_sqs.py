"""The SQS bus where the world is unkind: over the strict fake, fault by fault and all at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sendwright.drivers.bus.sqs.address import SIZE_LIMIT
from sendwright.drivers.bus.sqs.bus import SqsBus, open_sqs
from sendwright.drivers.bus.sqs.checkroom import MemoryCheckroom
from sendwright.engine.ports import Delivery
from sendwright.engine.telling import Telling, Trouble
from sendwright.errors import BusDown, OperatorError, StoreDown
from sendwright.model.parcel import bundle, split
from tests.conformance.sqs_backends import address_for, credentials
from tests.conformance.sqs_fake import SqsFake
from tests.conformance.sqs_fake_queues import FakeQueue, Faults
from tests.conformance.steady_time import steady_time
from tests.conformance.test_bus import numbered, numbers_in

pytestmark = pytest.mark.slow

LANE = "sms.normal"


class Under:
    """A fake, a bus over it, and what the bus told."""

    def __init__(self, fake: SqsFake) -> None:
        self.fake = fake
        self.room = MemoryCheckroom()
        self.told: list[Telling] = []
        self.address = address_for(fake.url)

    @asynccontextmanager
    async def bus(self, **changed: Any) -> AsyncIterator[SqsBus]:
        address = address_for(self.fake.url, **{"prefix": self.address.prefix, **changed})
        async with open_sqs(address, self.room, self.told.append) as bus:
            yield bus

    def queue(self, name: str = "sms-normal") -> FakeQueue:
        return self.fake.queues[self.address.prefix + name]

    def fail_next(self, action: str, *faults: str) -> None:
        """The next requests of this action get these, in order."""
        left = list(faults)

        def fault(asked: str, _: dict[str, Any]) -> str | None:
            return left.pop(0) if asked == action and left else None

        self.fake.on_request = fault


@pytest.fixture(autouse=True)
async def steady() -> AsyncIterator[None]:
    """Bus, fake and test share one loop: a machine that stalls makes nobody late."""
    async with steady_time():
        yield


@pytest.fixture
async def under(steady: None) -> AsyncIterator[Under]:
    with credentials():
        async with SqsFake(seed=1) as fake:
            yield Under(fake)


async def take(bus: SqsBus, lane: str = LANE) -> Delivery:
    return await asyncio.wait_for(bus.take(lane), 10)


async def assert_none_within(bus: SqsBus, seconds: float, lane: str = LANE) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bus.take(lane), seconds)


# who stops taking


async def test_who_stops_taking_gives_back_what_lies_here_at_once(under: Under) -> None:
    async with under.bus(visibility_s=600) as bus, under.bus() as other:
        for number in range(12):
            await other.publish(LANE, numbered(number))
        held = [await take(bus) for _ in range(4)]  # more of them are asked for each time
        assert bus._lanes[LANE].source.ready
        bus.stop_taking()
        taken = [await take(other) for _ in range(8)]
        assert sorted(numbers_in(*held, *taken)) == list(range(12))


async def test_who_stops_taking_asks_for_nothing_more_and_gives_back_what_it_had_asked_for(under: Under) -> None:
    async with under.bus(visibility_s=600, wait_s=5) as bus, under.bus() as other:
        takers = [asyncio.ensure_future(bus.take(name)) for name in (LANE, "sms.high")]
        while under.fake.asked["ReceiveMessage"] < 2:
            await asyncio.sleep(0.01)
        bus.stop_taking()
        await other.publish(LANE, numbered(1))
        while under.fake.asked["ChangeMessageVisibilityBatch"] < 1:
            await asyncio.sleep(0.01)
        asked = under.fake.asked["ReceiveMessage"]
        late = asyncio.ensure_future(bus.take(LANE))
        await asyncio.sleep(0.1)
        assert under.fake.asked["ReceiveMessage"] == asked == 2
        assert numbers_in(await take(other)) == [1]
        waiting = [*takers, late]
        assert not any(one.done() for one in waiting)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


# sending


async def test_an_entry_that_failed_by_nobodys_fault_is_sent_again_alone(under: Under) -> None:
    failed: list[str] = []

    def fail_once(action: str, entry: dict[str, Any]) -> dict[str, Any] | None:
        if action == "SendMessageBatch" and "[60" in entry["MessageBody"] and not failed:
            failed.append(entry["Id"])
            return {"SenderFault": False, "Code": "InternalError"}
        return None

    under.fake.on_entry = fail_once
    async with under.bus() as bus:
        await bus.publish(LANE, numbered(*range(10, 160)))
        assert len(failed) == 1
        assert len(under.queue().messages) == 3
        assert sorted(numbers_in(*[await take(bus) for _ in range(3)])) == list(range(10, 160))


async def test_an_entry_that_is_refused_as_the_senders_fault_is_raised_and_the_others_are_sent(under: Under) -> None:
    def refuse(action: str, entry: dict[str, Any]) -> dict[str, Any] | None:
        wrong = action == "SendMessageBatch" and "[7]" in entry["MessageBody"]
        return {"SenderFault": True, "Code": "InvalidMessageContents"} if wrong else None

    under.fake.on_entry = refuse
    async with under.bus() as bus:
        await bus.publish(LANE, numbered(1))
        with pytest.raises(BusDown, match="InvalidMessageContents") as raised:
            await bus.publish(LANE, numbered(7))
        assert not raised.value.maybe
        assert numbers_in(await take(bus)) == [1]
        assert under.fake.asked["SendMessageBatch"] == 2


async def test_a_publish_of_several_bundles_is_durable_with_the_last_of_them(under: Under) -> None:
    def refuse(action: str, entry: dict[str, Any]) -> dict[str, Any] | None:
        wrong = action == "SendMessageBatch" and "149]" in entry["MessageBody"]
        return {"SenderFault": True, "Code": "InvalidMessageContents"} if wrong else None

    under.fake.on_entry = refuse
    async with under.bus() as bus:
        with pytest.raises(BusDown, match="InvalidMessageContents") as raised:
            await bus.publish(LANE, numbered(*range(150)))
        assert raised.value.maybe, "the others are there"


async def test_an_entry_that_no_list_mentions_is_sent_again_and_comes_once(under: Under) -> None:
    under.fake.faults = Faults(unmentioned=1)
    async with under.bus() as bus:
        publishing = asyncio.ensure_future(bus.publish(LANE, numbered(1)))
        while under.fake.done_to["unmentioned"] < 3:
            await asyncio.sleep(0.01)
        under.fake.faults = Faults()
        await publishing
        await bus.done(await take(bus))
        await assert_none_within(bus, 0.3)


@pytest.mark.parametrize("fault", ["drop-after", "error-after", "hang-after"])
async def test_a_send_whose_answers_are_lost_until_the_time_is_over_may_have_happened(under: Under, fault: str) -> None:
    async with under.bus(within_s=1.5, call_s=1) as bus:
        await bus.publish(LANE, numbered(0))
        under.fail_next("SendMessageBatch", *[fault] * 50)
        with pytest.raises(BusDown) as raised:
            await bus.publish(LANE, numbered(1))
        assert raised.value.maybe


async def test_a_send_that_was_throttled_until_the_time_is_over_has_not_happened(under: Under) -> None:
    async with under.bus(within_s=1) as bus:
        await bus.publish(LANE, numbered(0))
        under.fail_next("SendMessageBatch", *["throttle"] * 50)
        with pytest.raises(BusDown) as raised:
            await bus.publish(LANE, numbered(1))
        assert not raised.value.maybe
        assert len(under.queue().messages) == 1


async def test_a_bus_that_is_not_there_has_taken_nothing(under: Under) -> None:
    with credentials():
        async with open_sqs(address_for("http://127.0.0.1:9", within_s=0.3), under.room) as bus:
            with pytest.raises(BusDown) as raised:
                await bus.publish(LANE, numbered(1))
            assert not raised.value.maybe
            with pytest.raises(BusDown):
                await bus.take(LANE)


@pytest.mark.parametrize("fault", ["throttle", "error", "error-after", "drop", "drop-after", "hang", "hang-after"])
async def test_what_passes_is_not_noticed_and_a_doubled_send_comes_once(under: Under, fault: str) -> None:
    under.fail_next("SendMessageBatch", fault, fault)
    async with under.bus(call_s=0.5) as bus:
        await bus.publish(LANE, numbered(1))
        delivery = await take(bus)
        await bus.done(delivery)
        await assert_none_within(bus, 0.3)
        async with asyncio.timeout(30):
            while under.queue().messages:
                await asyncio.sleep(0.05)


async def test_what_was_sent_twice_and_has_come_twice_is_deleted_with_the_first_done(under: Under) -> None:
    """Else another process finds what is left of it, and does it again."""
    under.fail_next("SendMessageBatch", "error-after")
    async with under.bus() as bus:
        await bus.publish(LANE, numbered(1))
        await bus.publish(LANE, numbered(2))
        assert len(under.queue().messages) == 3
        # given: the second copy came before what was sent after it
        deliveries = [await take(bus), await take(bus)]
        assert sorted(numbers_in(*deliveries)) == [1, 2]
        # when
        for delivery in deliveries:
            await bus.done(delivery)
        # then
        assert not under.queue().messages


async def test_a_send_that_hangs_does_not_hold_up_the_next(under: Under) -> None:
    async with under.bus(call_s=3) as bus:
        await bus.publish(LANE, numbered(0))
        under.fail_next("SendMessageBatch", "hang")
        hanging = asyncio.ensure_future(bus.publish(LANE, numbered(1)))
        while not under.fake.done_to["hang"]:
            await asyncio.sleep(0.01)
        await asyncio.wait_for(bus.publish(LANE, numbered(2)), 2)
        assert not hanging.done()
        await hanging
        assert sorted(numbers_in(*[await take(bus) for _ in range(3)])) == [0, 1, 2]


async def test_a_queue_that_somebody_deleted_is_made_again(under: Under) -> None:
    async with under.bus() as bus:
        await bus.publish(LANE, numbered(1))
        del under.fake.queues[under.address.prefix + "sms-normal"]
        await bus.publish(LANE, numbered(2))
        assert numbers_in(await take(bus)) == [2]


# bodies


STRANGE = ["Grüße, 世界 😀", "\\u0000\\u0001\\ufffe\\ud83d", "\u007f\u0085\ufeff", "tab\\tnewline\\n"]


@pytest.mark.parametrize("text", STRANGE)
async def test_every_character_travels_and_the_body_is_printable_ascii(under: Under, text: str) -> None:
    raw = f'{{"text":"{text}"}}'.encode()
    async with under.bus() as bus:
        await bus.publish(LANE, [raw, b"1"])
        assert (await take(bus)).body == bundle([raw, b"1"])
    (message,) = under.queue().messages.values()
    assert all(sign == "\n" or " " <= sign <= "~" for sign in message.body)


async def test_what_is_no_utf_8_at_all_travels_byte_for_byte(under: Under) -> None:
    async with under.bus() as bus:
        await bus.publish(LANE, [b"\x00\xff\xfe\x01"])
        assert (await take(bus)).body == b"[\x00\xff\xfe\x01]"


async def test_bundles_are_cut_by_weight_and_batches_too(under: Under) -> None:
    parcels = [json.dumps(f"{number}:" + "ü" * 900, ensure_ascii=False).encode() for number in range(40)]
    async with under.bus(size_max=8192) as bus:
        await bus.publish(LANE, parcels)
        bodies = [message.body for message in under.queue().messages.values()]
        assert 1 < len(bodies) < len(parcels)
        assert max(map(len, bodies)) <= 8192
        assert not under.room.kept
        assert [raw for _ in bodies for raw in split((await take(bus)).body)] == parcels


async def test_a_parcel_that_is_too_large_is_kept_aside_and_dropped_when_it_is_done(under: Under) -> None:
    large = json.dumps("x" * 10_000).encode()
    async with under.bus(size_max=4096) as bus:
        await bus.publish(LANE, [b"1", large, b"2"])
        assert [body[1:-1] for body in under.room.kept.values()] == [large]
        assert max(len(message.body) for message in under.queue().messages.values()) < 4096
        taken = [await take(bus) for _ in range(3)]
        assert sorted(raw for one in taken for raw in split(one.body)) == sorted([b"1", large, b"2"])
        for one in taken:
            await bus.done(one)
    assert not under.room.kept
    assert not under.queue().messages


async def test_a_parcel_of_the_greatest_size_needs_no_checkroom_at_the_greatest_limit(under: Under) -> None:
    large = b'"' + b"x" * 1_000_000 + b'"'
    async with under.bus(size_max=SIZE_LIMIT) as bus:
        await bus.publish(LANE, [large])
        assert split((await take(bus)).body) == [large]
    assert not under.room.kept


async def test_a_checkroom_that_is_down_holds_the_bundle_until_it_is_back(under: Under, monkeypatch: pytest.MonkeyPatch) -> None:
    large = json.dumps("x" * 10_000).encode()
    down = True
    fetch = under.room.fetch

    async def fetch_later(key: str) -> bytes | None:
        if down:
            raise StoreDown("not now")
        return await fetch(key)

    monkeypatch.setattr(under.room, "fetch", fetch_later)
    async with under.bus(size_max=4096, visibility_s=2) as bus:
        await bus.publish(LANE, [large])
        taker = asyncio.ensure_future(bus.take(LANE))
        await asyncio.sleep(2.5)
        assert not taker.done()
        down = False
        delivery = await asyncio.wait_for(taker, 10)
        assert split(delivery.body) == [large]
        assert not delivery.redelivered


@pytest.mark.parametrize(("broken", "raised"), [(StoreDown("not now"), BusDown), (ValueError("a bug"), ValueError)])
async def test_a_parcel_that_can_not_be_kept_aside_is_not_sent_and_the_lane_goes_on(
    under: Under, monkeypatch: pytest.MonkeyPatch, broken: Exception, raised: type[Exception]
) -> None:
    async def refuse(_: bytes) -> str:
        raise broken

    monkeypatch.setattr(under.room, "keep", refuse)
    async with under.bus(size_max=4096) as bus:
        with pytest.raises(raised) as error:
            await asyncio.wait_for(bus.publish(LANE, [json.dumps("x" * 10_000).encode()]), 10)
        assert not getattr(error.value, "maybe", False)
        await bus.publish(LANE, numbered(1))
        assert numbers_in(await take(bus)) == [1]


async def test_a_body_that_is_gone_ends_in_the_dead_queue_and_not_nowhere(under: Under) -> None:
    async with under.bus(size_max=4096, visibility_s=1, receives_max=1) as bus:
        await bus.publish(LANE, [json.dumps("x" * 10_000).encode()])
        under.room.kept.clear()
        taker = asyncio.ensure_future(bus.take(LANE))
        async with asyncio.timeout(20):
            while not under.fake.queues[under.address.prefix + "dead"].messages:
                await asyncio.sleep(0.01)
        assert not taker.done()
        taker.cancel()
    assert any(isinstance(one, Trouble) and "not there any more" in one.what for one in under.told)


async def test_a_body_of_somebody_else_is_handed_out_as_it_is(under: Under) -> None:
    async with under.bus() as bus:
        await bus.declare([LANE])
        for body in ("not ours", "sw1 x sms-normal one plain\n[1]", "sw1 x sms-normal 1 base64\n%%%", "[1,2]"):
            under.queue().send({"MessageBody": body})
            delivery = await take(bus)
            assert delivery.body == body.encode()
            assert delivery.count == len(split(delivery.body))
            await bus.done(delivery)


# in hand


async def test_heart_beats_keep_what_is_worked_on_from_others(under: Under) -> None:
    async with under.bus(visibility_s=2) as one, under.bus(visibility_s=2) as other:
        await one.publish(LANE, numbered(1))
        delivery = await take(one)
        await assert_none_within(other, 3.5)
        await one.done(delivery)
        await assert_none_within(other, 0.5)
    assert not under.queue().messages
    assert under.fake.asked["ChangeMessageVisibilityBatch"] >= 2


async def test_without_heart_beats_it_comes_again_elsewhere(under: Under) -> None:
    async with under.bus(visibility_s=1) as one, under.bus(visibility_s=1) as other:
        await one.publish(LANE, numbered(1))
        delivery = await take(one)
        under.fail_next("ChangeMessageVisibilityBatch", *["drop"] * 1000)
        again = await take(other)
        assert numbers_in(again) == [1]
        assert again.redelivered
        await one.done(delivery)  # its handle is over: harmless, and the other one's work stands
        assert len(under.queue().messages) == 1
        under.fake.on_request = None
        await other.done(again)
    assert not under.queue().messages


async def test_a_heart_beat_that_came_too_late_is_told_and_the_bundle_is_not_handed_out_twice_here(under: Under) -> None:
    async with under.bus(visibility_s=1) as bus:
        await bus.publish(LANE, numbered(1))
        delivery = await take(bus)
        (message,) = under.queue().messages.values()
        message.visible_at = 0  # over before its time
        async with asyncio.timeout(20):
            while not any(isinstance(one, Trouble) for one in under.told):
                await asyncio.sleep(0.01)
        await assert_none_within(bus, 0.5)
        await bus.done(delivery)
    assert not under.queue().messages


async def test_a_duplicate_of_what_is_in_hand_is_dropped_and_deleted_with_it(under: Under) -> None:
    under.fake.faults = Faults(duplicate=1)
    async with under.bus() as bus:
        await bus.publish(LANE, numbered(1))
        delivery = await take(bus)
        await assert_none_within(bus, 1)
        under.fake.faults = Faults()
        await bus.done(delivery)
        async with asyncio.timeout(10):  # a last duplicate may have been on its way
            while under.queue().messages:
                await asyncio.sleep(0.01)


async def test_a_ghost_of_what_was_done_is_deleted_quietly(under: Under) -> None:
    under.fake.faults = Faults(ghost=1)
    async with under.bus() as bus:
        await bus.publish(LANE, numbered(1))
        await bus.done(await take(bus))
        await assert_none_within(bus, 0.5)
    assert not under.queue().messages


async def test_what_is_given_back_is_anybodys_at_once(under: Under) -> None:
    async with under.bus(visibility_s=30) as one, under.bus(visibility_s=30) as other:
        await one.publish(LANE, numbered(1))
        await one.give_back(await take(one))
        again = await take(other)
        assert again.redelivered


async def test_what_was_fetched_ahead_and_nobody_takes_goes_back(under: Under) -> None:
    async with under.bus(visibility_s=1) as one, under.bus(visibility_s=1) as other:
        for number in range(8):
            await one.publish(LANE, numbered(number))
        for _ in range(3):
            await take(one)
        there = [numbers_in(await take(other))[0] for _ in range(5)]
        assert sorted(there) == [3, 4, 5, 6, 7]


async def test_closing_gives_back_what_is_not_done(under: Under) -> None:
    async with under.bus(visibility_s=30) as one:
        await one.publish(LANE, numbered(1))
        await take(one)
    async with under.bus(visibility_s=30) as other:
        assert numbers_in(await take(other)) == [1]


async def test_done_is_repeated_while_deletes_fail(under: Under) -> None:
    async with under.bus() as bus:
        await bus.publish(LANE, numbered(1))
        delivery = await take(bus)
        under.fail_next("DeleteMessageBatch", "throttle", "error", "drop", "drop-after")
        await bus.done(delivery)
        assert not under.queue().messages


async def test_done_that_failed_can_be_repeated(under: Under) -> None:
    async with under.bus(within_s=0.2) as bus:
        await bus.publish(LANE, numbered(1))
        delivery = await take(bus)
        under.fail_next("DeleteMessageBatch", *["throttle"] * 50)
        with pytest.raises(BusDown):
            await bus.done(delivery)
        under.fake.on_request = None
        await bus.done(delivery)
        assert not under.queue().messages


async def test_ten_that_are_done_together_cost_one_call(under: Under) -> None:
    async with under.bus() as bus:
        for number in range(10):
            await bus.publish(LANE, numbered(number))
        taken = [await take(bus) for _ in range(10)]
        await asyncio.gather(*(bus.done(one) for one in taken))
        assert under.fake.asked["DeleteMessageBatch"] == 1


async def test_polls_that_fail_for_long_tell_their_takers(under: Under) -> None:
    async with under.bus(within_s=0.3) as bus:
        await bus.declare([LANE])
        under.fail_next("ReceiveMessage", *["throttle"] * 100)
        with pytest.raises(BusDown, match="receive_message"):
            await take(bus)
        under.fake.on_request = None
        await bus.publish(LANE, numbered(1))
        assert numbers_in(await take(bus)) == [1]


# queues


async def test_lanes_are_made_with_a_redrive_policy_to_the_dead_queue(under: Under) -> None:
    async with under.bus(receives_max=7) as bus:
        await bus.declare(["sms.high", "email.bulk"])
    assert sorted(under.fake.queues) == [under.address.prefix + name for name in ("dead", "email-bulk", "sms-high")]
    queue = under.queue("sms-high")
    assert queue.redrive == (under.queue("dead").arn, 7)
    assert queue.attributes["MessageRetentionPeriod"] == "1209600"
    async with under.bus(receives_max=7) as again:
        await again.declare(["sms.high", "email.bulk"])  # as they are


@pytest.mark.parametrize("attribute", ["MessageRetentionPeriod", "MaximumMessageSize", "DelaySeconds", "RedrivePolicy"])
async def test_a_queue_that_is_otherwise_is_the_operators_to_mend(under: Under, attribute: str) -> None:
    async with under.bus() as bus:
        await bus.declare([LANE])
    under.queue().attributes[attribute] = {"RedrivePolicy": "", "DelaySeconds": "5"}.get(attribute, "1024")
    async with under.bus() as bus:
        for call in (bus.declare([LANE]), bus.publish(LANE, numbered(1)), bus.take(LANE)):
            with pytest.raises(OperatorError, match=f"sms-normal is not as it must be: {attribute} is .*, expected"):
                await call


async def test_many_that_start_at_once_make_one_queue(under: Under) -> None:
    async with under.bus() as one, under.bus() as other, under.bus() as third:
        await asyncio.gather(*(bus.publish(LANE, numbered(1)) for bus in (one, other, third)))
        assert len(under.queue().messages) == 3


async def test_what_is_handed_out_too_often_is_found_in_the_dead_queue(under: Under) -> None:
    async with under.bus(receives_max=3) as bus:
        await bus.publish(LANE, numbered(1, 2))
        for _ in range(3):
            await bus.give_back(await take(bus))
        await assert_none_within(bus, 0.3)
        dead = await asyncio.wait_for(bus.take_dead(), 10)
        assert (dead.lane, numbers_in(dead), dead.redelivered) == (LANE, [1, 2], True)
        await bus.done(dead)
        assert not under.queue("dead").messages


async def test_depth_is_exact_for_what_one_does_and_follows_what_others_do(under: Under) -> None:
    async with under.bus() as one, under.bus() as other:
        await one.publish(LANE, numbered(1, 2, 3))
        assert one.depth(LANE) == 3
        await other.survey([LANE])
        assert other.depth(LANE) > 0
        assert other.oldest_s(LANE) >= 0
        await other.done(await take(other))
        await one.survey()
        assert (one.depth(LANE), other.depth(LANE)) == (0, 0)
        assert (one.oldest_s(LANE), other.oldest_s(LANE)) == (0, 0)
        assert one.depth("push.bulk") == 0
    assert under.address.prefix + "push-bulk" not in under.fake.queues


# all at once


HEAVY = Faults(
    duplicate=0.1,
    expire=0.05,
    ghost=0.05,
    reorder=0.5,
    short=0.3,
    entry=0.1,
    unmentioned=0.05,
    throttle=0.1,
    error=0.05,
    drop=0.05,
    hang=0.01,
)


EVERY_FAULT = ("throttle", "error", "drop", "entry", "unmentioned", "drop-after")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_thousand_parcels_under_every_fault_come_at_least_once_and_are_all_done_in_the_end(seed: int) -> None:
    got: Counter[int] = Counter()
    chance = random.Random(seed)
    with credentials():
        async with SqsFake(seed=seed, faults=HEAVY) as fake:
            under = Under(fake)
            patient: dict[str, Any] = {"visibility_s": 1, "within_s": 20, "receives_max": 1000, "call_s": 1}
            async with under.bus(**patient) as one, under.bus(**patient) as other:
                in_hand: list[set[int]] = [set(), set()]

                async def work(bus: SqsBus, mine: set[int]) -> None:
                    while True:
                        delivery = await bus.take(LANE)
                        numbers = numbers_in(delivery)
                        assert not mine.intersection(numbers), "in hand twice at the same time"
                        mine.update(numbers)
                        await asyncio.sleep(0.01)
                        mine.difference_update(numbers)
                        if chance.random() < 0.1:
                            await bus.give_back(delivery)
                        else:
                            got.update(numbers)
                            await bus.done(delivery)

                async def publish(*numbers: int) -> None:
                    while True:
                        with contextlib.suppress(BusDown):
                            await one.publish(LANE, numbered(*numbers))
                            break

                async def produce(start: int) -> None:
                    for number in range(start, 1000, 20):
                        await publish(number, 1000 + number)

                workers = [
                    asyncio.ensure_future(work(bus, mine))
                    for bus, mine in ((one, in_hand[0]), (other, in_hand[1]))
                    for _ in range(3)
                ]
                await asyncio.gather(*map(produce, range(20)))
                total = 2000
                while total < 4000 and not all(fake.done_to[fault] for fault in EVERY_FAULT):  # which of them come is chance
                    await publish(total)
                    total += 1
                for _ in range(1600):
                    if len(got) == total and not under.queue().messages:
                        break
                    await asyncio.sleep(0.05)
                broken = [worker.exception() for worker in workers if worker.done()]
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
                assert not broken
                assert set(got) == set(range(total))
                assert not under.queue().messages
                assert not under.fake.queues[under.address.prefix + "dead"].messages
            assert all(fake.done_to[fault] for fault in EVERY_FAULT)


@pytest.fixture(autouse=True)
def no_noise(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No task and no future of the bus ends unheard."""
    yield
    assert not [record.message for record in caplog.records if "never retrieved" in record.message or "exception" in record.message]
