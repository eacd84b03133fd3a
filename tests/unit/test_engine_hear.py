"""Replies: each becomes an event, once; a stop takes effect on what waits, and a start takes it back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sendwright.model.parcel import INBOUND, Sighting, pack
from sendwright.model.people import REPLIED, Spoken
from sendwright.model.states import MessageState

from .engine_world import EMAIL, MARKER, PHONE, TENANT, Vendor, World, in_virtual_time


def sighted(text: str, ref: str | None = "SM1", at: int = 7, **members: Any) -> bytes:
    said = Spoken(members.pop("channel", "sms"), members.pop("address", PHONE), text, **members)
    return pack(Sighting("one", 0, ref=ref, at=at, said=said))


async def say(world: World, text: str, ref: str | None = "SM1", **members: Any) -> None:
    await world.bus.publish(INBOUND, [sighted(text, ref, **members)])
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
                "review": False, "payload": "", "how": "said", "said_at": "1970-01-01T00:00:00.007Z",
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


@in_virtual_time
async def test_of_a_stop_and_a_start_the_one_that_was_said_later_counts_whichever_comes_first() -> None:
    async with World(Vendor()) as world:
        await say(world, "START", "SM2", at=2000)
        await say(world, "STOP", "SM1", at=1000)
        await world.settled(await world.post({"phone": PHONE}), MessageState.SENT)
        await say(world, "STOP", "SM4", at=4000)
        await say(world, "START", "SM3", at=3000)
        await world.settled(await world.post({"phone": PHONE}), MessageState.SUPPRESSED)
        assert [each["word"] for each in await told(world)] == ["start", "stop", "stop", "start"]


@in_virtual_time
async def test_a_vendors_clock_that_is_ahead_orders_nothing() -> None:
    async with World(Vendor()) as world:
        await say(world, "STOP", "SM1", at=world.clock.now_ms() + 3_600_000)
        await say(world, "START", "SM2", at=world.clock.now_ms())
        await world.settled(await world.post({"phone": PHONE}), MessageState.SENT)


@in_virtual_time
async def test_a_stop_holds_for_every_address_of_the_person_and_so_does_a_start() -> None:
    async with World(Vendor()) as world:
        await say(world, "STOP", aliases=("+5215512345678",))
        await world.settled(await world.post({"phone": "+5215512345678"}), MessageState.SUPPRESSED)
        await say(world, "START", "SM2", at=8, aliases=("+5215512345678",))
        await world.settled([await world.post({"phone": phone}) for phone in (PHONE, "+5215512345678")], MessageState.SENT)


@in_virtual_time
async def test_a_button_is_judged_by_what_stood_behind_it_where_its_label_says_nothing() -> None:
    async with World(Vendor()) as world:
        await say(world, "Keine Nachrichten mehr", payload="STOP")
        await world.settled(await world.post({"phone": PHONE}), MessageState.SUPPRESSED)
        assert [(each["word"], each["payload"]) for each in await told(world)] == [("stop", "STOP")]


@in_virtual_time
async def test_marketing_is_stopped_by_the_vendors_switch_and_everything_by_blocking() -> None:
    async with World(Vendor()) as world:
        await say(world, "stop", word="stop", how="preference")
        await world.settled(await world.post({"phone": PHONE}), MessageState.SENT)
        await world.settled(await world.post({"phone": PHONE}, category="marketing"), MessageState.SUPPRESSED)
        await say(world, "resume", "SM2", at=8, word="start", how="preference")
        await world.settled(await world.post({"phone": PHONE}, category="marketing"), MessageState.SENT)

        await say(world, "", "SM3", at=9, word="stop", how="blocked")
        blocked = await world.post({"phone": PHONE})
        await world.settled(blocked, MessageState.SUPPRESSED)
        assert world.message(blocked).reason == "blocked"
        await say(world, "START", "SM4", at=10)  # in words: a block is taken back by no word
        await world.settled(await world.post({"phone": PHONE}), MessageState.SUPPRESSED)
        await say(world, "", "SM5", at=11, word="start", how="blocked")
        await world.settled(await world.post({"phone": PHONE}), MessageState.SENT)
