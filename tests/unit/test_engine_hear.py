"""Replies: each becomes an event, once; a stop takes effect on what waits, and a start takes it back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sendwright.model.parcel import INBOUND, Sighting, pack
from sendwright.model.people import REPLIED, Spoken
from sendwright.model.states import MessageState

from .engine_world import EMAIL, MARKER, PHONE, TENANT, Vendor, World, in_virtual_time


async def say(world: World, text: str, ref: str | None = "SM1", **members: Any) -> None:
    said = Spoken(members.pop("channel", "sms"), members.pop("address", PHONE), text, **members)
    await world.bus.publish(INBOUND, [pack(Sighting("one", 0, ref=ref, at=7, said=said))])
    await world.pass_time(0.5)


async def told(world: World) -> list[dict[str, Any]]:
    events = await world.backend.records.events(TENANT, 0, 100)
    return [json.loads(event.detail) for event in events if event.type == REPLIED]


@in_virtual_time
async def test_a_reply_is_told_with_its_words_and_without_the_address() -> None:
    async with World(Vendor()) as world:
        await say(world, "Where is my order?")
        assert await told(world) == [
            {
                "provider": "one", "channel": "sms", "address": "+1•••0001", "text": "Where is my order?", "word": None,
                "review": False,
            }
        ]  # fmt: skip
        assert await world.backend.suppressions.page("", 10, None, 0) == []


@in_virtual_time
async def test_after_a_stop_nothing_is_sent_on_that_channel_until_a_start() -> None:
    one, two = Vendor("one", channels=("sms",)), Vendor("two", channels=("email",))
    async with World(one, two) as world:
        await say(world, " Stop. ")
        notification = await world.post({"phone": PHONE})
        await world.settled(notification, MessageState.SUPPRESSED)
        assert world.message(notification).reason == "opted_out"
        await world.settled(await world.post({"email": EMAIL}), MessageState.SENT)
        await say(world, "START", "SM2")
        await world.settled(await world.post({"phone": PHONE}), MessageState.SENT)
        assert [each["word"] for each in await told(world)] == ["stop", "start"]


@in_virtual_time
async def test_the_providers_own_word_counts_and_help_changes_nothing() -> None:
    one = Vendor()
    async with World(one) as world:
        await say(world, "arretez!", word="stop")
        await say(world, "help", "SM2")
        await world.settled(await world.post({"phone": PHONE}), MessageState.SUPPRESSED)
        assert [(each["word"], each["review"]) for each in await told(world)] == [("stop", False), ("help", False)]


@in_virtual_time
async def test_what_merely_sounds_like_a_stop_is_told_for_review() -> None:
    async with World(Vendor()) as world:
        await say(world, "please stop writing")
        assert [(each["word"], each["review"]) for each in await told(world)] == [(None, True)]
        await world.settled(await world.post({"phone": PHONE}), MessageState.SENT)


@in_virtual_time
@pytest.mark.parametrize("ref", ["SM1", None])
async def test_a_reply_that_comes_twice_is_heard_once(ref: str | None) -> None:
    async with World(Vendor()) as world:
        await say(world, "STOP", ref)
        await say(world, "START", "SM2")
        await say(world, "STOP", ref)
        assert [each["word"] for each in await told(world)] == ["stop", "start"]
        assert await world.backend.suppressions.find(["", TENANT], MARKER.addresses(PHONE), 0) == []


@in_virtual_time
async def test_what_an_erased_person_said_is_told_to_nobody_any_more() -> None:
    async with World(Vendor()) as world:
        await say(world, "It is Ada, STOP")
        await say(world, "STOP", "SM2")
        marks = MARKER.addresses(PHONE)
        await world.backend.directory.erase(TENANT, "ada", MARKER.person(TENANT, "ada"), world.clock.now_ms(), marks)
        assert await told(world) == []
        assert len(await world.backend.suppressions.find([""], marks, 0)) == 1
        await say(world, "STOP", "SM2")
        assert await told(world) == []
