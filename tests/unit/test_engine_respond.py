"""Answers: who asks for help, stops or starts is answered once, by the provider that brought it, and nobody else is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sendwright.model.parcel import INBOUND
from sendwright.model.states import MessageState
from sendwright.policy.replying import Texts

from .engine_world import LOST, OK, PHONE, TENANT, THROTTLED, Vendor, World, in_virtual_time
from .test_engine_hear import say, sighted

HELP, STOPPED, STARTED = "Write to help@example.com.", "You get no more messages.", "You get messages again."
BOOK = {"sms": Texts(HELP, STOPPED, STARTED)}


def world_of(*vendors: Vendor, answers: Any = BOOK) -> World:
    return World(*(vendors or (Vendor(),)), answers=answers)


async def ask(world: World, text: str, ref: str, **members: Any) -> None:
    """Now, by the vendor's clock."""
    await say(world, text, ref, at=world.clock.now_ms(), **members)


def said(world: World, name: str = "one") -> list[str]:
    return [call.body for call in world.vendors[name].calls]


@in_virtual_time
async def test_each_word_is_answered_and_a_stop_is_confirmed_through_what_it_has_just_put_there() -> None:
    async with world_of() as world:
        await ask(world, "Hello?", "SM0")
        assert said(world) == []
        await ask(world, "Help!", "SM1")
        assert said(world) == [HELP]
        await ask(world, "stop", "SM2")
        assert said(world) == [HELP, STOPPED]
        await world.settled(await world.post({"phone": PHONE}), MessageState.SUPPRESSED)
        await world.pass_time(60)
        await ask(world, "help", "SM3")  # asked for, so it is let through too
        assert said(world) == [HELP, STOPPED, HELP]
        await ask(world, "START", "SM4")
        assert said(world) == [HELP, STOPPED, HELP, STARTED]
        await world.settled(await world.post({"phone": PHONE}), MessageState.SENT)


@in_virtual_time
async def test_a_reply_that_is_told_46_times_is_one_event_and_one_answer() -> None:
    async with world_of() as world:
        for words in ("HELP", "STOP"):
            at = world.clock.now_ms()
            for turn in range(2):
                await world.bus.publish(INBOUND, [sighted(words, words, at=at)] * 23)
                await world.pass_time(0.5 + 70 * turn)
        assert said(world) == [HELP, STOPPED]
        assert len([event for event in await world.backend.records.events(TENANT, 0, 100) if event.type == "reply.received"]) == 2


@in_virtual_time
async def test_an_answer_is_not_lost_with_the_process_that_was_to_accept_it_and_not_said_twice_after_it() -> None:
    async with world_of() as world:
        world.accepting.accept = _never  # type: ignore[method-assign]
        await ask(world, "HELP", "SM1")
        assert (len(await world.backend.records.events(TENANT, 0, 100)), said(world)) == (1, [])  # heard, and not answered yet
        await world.kill()
        await world.pass_time(5)
        assert said(world) == [HELP]

    async with world_of() as world:
        world.backend.bus.done = _never  # type: ignore[method-assign]
        await ask(world, "HELP", "SM1")
        assert said(world) == [HELP]
        await world.kill()
        await world.pass_time(5)
        assert said(world) == [HELP]


async def _never(*_: Any) -> Any:
    """The process ends before it has said so."""
    await asyncio.Event().wait()


@in_virtual_time
async def test_of_one_word_from_one_address_a_minute_is_answered_once() -> None:
    async with world_of() as world:
        await world.pass_time(60 - world.clock.now_ms() / 1000 % 60)
        for place in range(10):
            await ask(world, "HELP", f"SM{place}")
            await ask(world, "HELP", f"XX{place}", address="+15550100002")
        assert [call.address for call in world.vendors["one"].calls] == [PHONE, "+15550100002"]
        await world.pass_time(60)
        await ask(world, "HELP", "SM10")
        assert len(said(world)) == 3


@in_virtual_time
@pytest.mark.parametrize(
    "members",
    [{"answered": True}, {"how": "blocked", "word": "stop"}, {"how": "preference", "word": "stop"}, {"text": "Yes!"}, {"at": 0}],
    ids=["the vendor answers", "a block", "a switch", "yes", "long ago"],
)
async def test_what_is_not_for_us_to_answer_takes_effect_without_a_word(members: dict[str, Any]) -> None:
    async with world_of() as world:
        await say(world, **{"text": "STOP", "ref": "SM1", "at": world.clock.now_ms(), **members})
        assert said(world) == []
        assert len(await world.backend.records.events(TENANT, 0, 100)) == 1


@in_virtual_time
async def test_a_stop_is_confirmed_once_however_often_it_is_said() -> None:
    async with world_of() as world:
        for place in range(3):
            await ask(world, "STOP", f"SM{place}")
            await world.pass_time(100)
        assert said(world) == [STOPPED]


@in_virtual_time
async def test_a_confirmation_is_let_through_at_its_first_call_alone() -> None:
    for answer, state in ((THROTTLED, MessageState.SUPPRESSED), (LOST, MessageState.IN_DOUBT)):
        one = Vendor()
        one.script.append(answer)
        async with world_of(one) as world:
            await ask(world, "STOP", "SM1")
            await world.pass_time(200)
            assert said(world) == [STOPPED]
            (message,) = world.backend.store.tables.messages.rows.values()
            assert message.state == state
            await world.ledger.revive(TENANT, message.id, world.clock.now_ms())
            await world.ledger.resolve(TENANT, message.id, "resend", world.clock.now_ms())
            await world.pass_time(5)
            assert said(world) == [STOPPED]


@in_virtual_time
async def test_an_answer_goes_by_the_provider_that_brought_the_reply_and_waits_for_it() -> None:
    two, one = Vendor("two"), Vendor("one")
    one.script.extend([THROTTLED, OK])
    async with world_of(two, one) as world:
        await ask(world, "HELP", "SM1")
        await world.pass_time(60)
        assert (said(world, "one"), said(world, "two")) == ([HELP, HELP], [])
        await world.switch("one", enabled=False)
        await ask(world, "HELP", "SM2")
        await world.pass_time(5)
        assert said(world, "two") == []


@in_virtual_time
async def test_a_provider_has_words_of_its_own_and_where_there_are_none_nothing_is_said() -> None:
    async with world_of(answers={"one": Texts(start="Welcome back."), "sms": Texts(help=HELP)}) as world:
        for word in ("HELP", "START", "STOP"):
            await ask(world, word, word)
        assert said(world) == [HELP, "Welcome back."]
