"""The order of a route, set while messages are on their way: who is taken out gets nothing more, who joins gets what waits."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sendwright.app.upkeep import keep_switches
from sendwright.engine.telling import Duplicate
from sendwright.model.records import Order
from sendwright.model.states import MessageState

from .engine_world import UNWELL, Vendor, World, in_virtual_time


@in_virtual_time
async def test_an_order_holds_until_it_is_reset() -> None:
    one, two, three = Vendor("one"), Vendor("two"), Vendor("three")
    async with World(one, two, three) as world:
        for order, called in ((("three", "one"), three), ((), one), (("two",), two)):
            await world.reorder("sms", *order)
            before = len(called.calls)
            await world.settled(await world.post(), MessageState.SENT)
            assert len(called.calls) == before + 1
        assert [len(vendor.calls) for vendor in (one, two, three)] == [1, 1, 1]


@in_virtual_time
async def test_who_is_left_out_gets_nothing_though_nobody_else_can_be_called() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.always(UNWELL)
    async with World(one, two) as world:
        await world.reorder("sms", "one")
        notification = await world.post()
        await world.pass_time(300)
        assert world.state(notification) == MessageState.QUEUED
        assert two.calls == []


@in_virtual_time
async def test_what_is_parked_for_a_route_wakes_when_somebody_joins_it() -> None:
    one, two = Vendor("one"), Vendor("two")
    async with World(one, two) as world:
        # given
        await world.reorder("sms", "one")
        await world.switch("one", enabled=False)
        notifications = await world.post_many(5)
        await world.pass_time(60)
        assert world.states(notifications) == {"queued": 5}
        # when
        await world.reorder("sms", "one", "two")
        await world.settled(notifications, MessageState.SENT, within_s=1)
        assert (len(one.calls), len(two.calls)) == (0, 5)


@in_virtual_time
async def test_taken_out_between_claim_and_write_nothing_is_written_to_it() -> None:
    one, two = Vendor("one"), Vendor("two")
    async with World(one, two) as world:
        # given: the order is read while the claim is on its way back
        world.faults.slow_answers["claim"] = 0.2
        notification = await world.post()
        await world.pass_time(0.1)
        await world.reorder("sms", "two")
        await world.settled(notification, MessageState.SENT, within_s=1)
        assert (len(one.calls), len(two.calls)) == (0, 1)


@in_virtual_time
async def test_a_claim_of_before_an_order_that_another_process_set_is_refused_and_routed_again() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.connect_s = 1
    async with World(one, two) as world:
        notification = await world.post()
        await world.pass_time(0.5)
        await world.backend.switchboard.reorder(Order("sms", ("two",)))
        assert [account.name for account in world.fleet.route("sms")] == ["one", "two"]  # nobody has told it
        await world.settled(notification, MessageState.SENT, within_s=2)
        assert (len(one.calls), len(two.calls)) == (0, 1)
        assert world.told_of(Duplicate) == [Duplicate("epoch")]


@in_virtual_time
async def test_an_order_that_another_process_set_is_heard_of_within_a_second_though_nothing_is_under_way() -> None:
    one, two = Vendor("one"), Vendor("two")
    async with World(one, two) as world:
        # given
        await world.reorder("sms", "one")
        await world.switch("one", enabled=False)
        notifications = await world.post_many(5)
        await world.pass_time(60)
        parts: Any = SimpleNamespace(
            concord=None, backend=world.backend, fleet=world.fleet, promoter=world.promoter, tell=world.tell
        )
        keeping = asyncio.create_task(keep_switches(parts))
        # when
        await world.backend.switchboard.reorder(Order("sms", ("two",)))
        try:
            await world.settled(notifications, MessageState.SENT, within_s=1)
        finally:
            keeping.cancel()
        assert (len(one.calls), len(two.calls)) == (0, 5)


@in_virtual_time
async def test_a_flood_under_way_is_never_written_to_whom_the_answer_has_taken_out() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.latency_s = two.latency_s = 0.02
    async with World(one, two, concurrency=20) as world:
        notifications = await world.post_many(400)
        await world.pass_time(0.1)
        assert one.calls
        await world.reorder("sms", "two")
        answered_at, before = world.at(), len(one.calls)
        await world.settled(notifications, MessageState.SENT, within_s=60)
        assert before < 400
        assert [at for at in one.times[before:] if at > answered_at] == []
        assert len(one.calls) + len(two.calls) == 400


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ((Order("sms", ("gone", "two")),), ["two"]),
        ((Order("sms", ("gone",)),), ["one", "two"]),
        ((Order("email", ("mail", "one")),), ["one", "two"]),
        ((Order("fax", ("one",)),), ["one", "two"]),
    ],
    ids=["one is gone", "all are gone", "another channel", "a channel that nobody serves"],
)
@in_virtual_time
async def test_names_that_the_settings_have_lost_are_passed_over(stored: tuple[Order, ...], asked: list[str]) -> None:
    async with World(Vendor("one"), Vendor("two"), Vendor("mail", channels=("email",))) as world:
        for order in stored:
            await world.board.reorder(order)
        await world.fleet.reload()
        assert [account.name for account in world.fleet.route("sms")] == asked
        assert ("sms" in world.fleet.reordered) == (asked == ["two"])
        assert [account.name for account in world.fleet.route("email")] == ["mail"]
