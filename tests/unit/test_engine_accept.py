"""accept: durable first, told afterwards; once per key; nobody is called."""

from __future__ import annotations

import json

import msgspec
import pytest

from sendwright.engine.telling import Accepted
from sendwright.errors import StoreDown, Unavailable
from sendwright.model.notification import PRIORITIES, Payload
from sendwright.model.parcel import INBOUND, Intake, intake_lane, unbundle
from sendwright.model.records import Conflict, Offer, Taken

from .engine_world import EMAIL, PHONE, TENANT, Vendor, World, in_virtual_time


@in_virtual_time
async def test_an_accepted_notification_lies_on_its_intake_lane_word_for_word() -> None:
    async with World(Vendor(), started=False, recount=False) as world:
        notification = await world.post(metadata={"order": "7"})
        bundle = await world.bus.take(intake_lane(PRIORITIES["normal"]))
        (intake,) = unbundle(Intake, bundle.body)
        assert intake.id == notification
        assert msgspec.json.decode(intake.body)["metadata"] == {"order": "7"}
        assert world.mint.minted_for(TENANT, notification)


@pytest.mark.parametrize("priority", ["critical", "high", "normal", "bulk"])
@in_virtual_time
async def test_each_priority_has_an_intake_of_its_own(priority: str) -> None:
    async with World(Vendor(), started=False, recount=False) as world:
        await world.post(priority=priority)
        depths = {name: world.bus.depth(intake_lane(lane)) for name, lane in PRIORITIES.items()}
        assert depths == {**dict.fromkeys(PRIORITIES, 0), priority: 1}


@in_virtual_time
async def test_nobody_is_called_and_nothing_planned_before_the_caller_has_the_answer() -> None:
    one = Vendor()
    async with World(one, started=False, recount=False) as world:
        await world.post()
        await world.pass_time(60)
        assert one.dials == 0
        assert world.faults.calls["plan"] == 0
        assert world.bus.depth(INBOUND) == 0


@in_virtual_time
async def test_the_same_key_and_payload_is_the_first_notification_again() -> None:
    one = Vendor()
    async with World(one) as world:
        first = await world.post(key="order-7")
        # when: the same words, written differently
        raw = json.dumps({"content": {"body": "Hello"}, "to": {"phone": PHONE}}, indent=4).encode()
        again = await world.accepting.accept(TENANT, msgspec.json.decode(raw, type=Payload), raw, "order-7")
        # then
        assert again == Taken(first, replayed=True)
        await world.pass_time(5)
        assert len(one.calls) == 1
        assert world.told_of(Accepted) == [Accepted(replayed=False), Accepted(replayed=True)]


@in_virtual_time
async def test_the_same_key_with_another_payload_is_a_conflict_and_sends_nothing() -> None:
    one = Vendor(channels=("sms", "email"))
    async with World(one) as world:
        await world.post(key="order-7")
        assert await world.accept({"email": EMAIL}, key="order-7") == Conflict()
        await world.pass_time(5)
        assert one.addresses == [PHONE]
        assert world.told_of(Accepted) == [Accepted(replayed=False)]


@in_virtual_time
async def test_the_same_key_of_another_tenant_is_another_key() -> None:
    one = Vendor()
    async with World(one) as world:
        await world.post(key="order-7")
        raw = json.dumps({"to": {"phone": PHONE}, "content": {"body": "Hello"}}).encode()
        other = await world.accepting.accept("globex", msgspec.json.decode(raw, type=Payload), raw, "order-7")
        assert isinstance(other, Taken)
        assert not other.replayed
        await world.pass_time(5)
        assert len(one.calls) == 2


@in_virtual_time
async def test_without_a_key_the_same_words_are_two_notifications() -> None:
    one = Vendor()
    async with World(one) as world:
        assert await world.post() != await world.post()
        await world.pass_time(5)
        assert len(one.calls) == 2


@in_virtual_time
async def test_what_could_not_be_made_durable_is_never_told_as_accepted() -> None:
    async with World(Vendor(), started=False) as world:

        async def down(offer: Offer) -> Taken:
            raise StoreDown("the store is down")

        world.backend.desk.offer = down  # type: ignore[method-assign]
        with pytest.raises(Unavailable):
            await world.post(key="order-7")
        assert world.told_of(Accepted) == []


@in_virtual_time
async def test_what_was_accepted_survives_a_kill_before_it_is_planned() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        notification = await world.post()
        await world.kill()
        await world.pass_time(5)
        assert [call.message[4:36] for call in one.calls] == [notification[4:]]
