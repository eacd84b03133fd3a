"""inquire: a message whose receipt never comes is asked about; asking disturbs nobody."""

from __future__ import annotations

from sendwright.engine.inquire import EVERY_S, MOST
from sendwright.model.records import UNCONFIRMED
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.lookup import FIRST_MS

from .engine_world import LOST, UNWELL, Vendor, World, in_virtual_time

FIRST_S = FIRST_MS / 1000


@in_virtual_time
async def test_what_was_never_reported_is_looked_up() -> None:
    one = Vendor(receipts=True, lookups=True)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        one.became["one-1"] = "delivered"
        await world.pass_time(FIRST_S - 1)
        assert (one.asked, world.state(notification)) == ([], MessageState.SENT)
        await world.settled(notification, MessageState.DELIVERED, within_s=EVERY_S + 2)
        assert one.asked == ["one-1"]
        assert world.events(notification)[-2:] == [UNCONFIRMED, "message.delivered"]
        await world.pass_time(4 * FIRST_S)
        assert one.asked == ["one-1"]
        assert len(one.calls) == 1


@in_virtual_time
async def test_what_was_reported_is_not_asked_about() -> None:
    one = Vendor(receipts=True, lookups=True)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        await world.report(AttemptState.DELIVERED, attempt=world.attempts(notification)[0].id)
        await world.pass_time(2 * FIRST_S)
        assert one.asked == []
        assert UNCONFIRMED not in world.events(notification)


@in_virtual_time
async def test_a_provider_that_knows_no_more_than_we_is_asked_ever_more_seldom_and_then_left_alone() -> None:
    one = Vendor(lookups=True)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        await world._stop()
        for _ in range(4 * 24):
            await world.pass_time(3600)
            await world.inquirer.turn()
        assert world.state(notification) == MessageState.SENT
        assert len(one.asked) == 6, "in steps of an hour: after 1, 3, 7, 15, 31 and 63 of them"
        assert world.events(notification).count(UNCONFIRMED) == 1


@in_virtual_time
async def test_a_failure_that_a_look_up_finds_goes_on_as_a_reported_one_does() -> None:
    one, two = Vendor(lookups=True), Vendor("two", channels=("email",))
    async with World(one, two) as world:
        notification = await world.post({"phone": "+15550100001", "email": "someone@example.org"}, channels=["sms", "email"])
        await world.settled(notification, MessageState.SENT)
        one.became["one-1"] = "failed"
        await world.until(lambda: len(two.calls) == 1, within_s=FIRST_S + EVERY_S + 2)
        assert world.attempts(notification)[0].state == AttemptState.FAILED


@in_virtual_time
async def test_a_kind_that_can_not_be_asked_is_not() -> None:
    one = Vendor(receipts=True)
    async with World(one) as world:
        notification = await world.post()
        await world.pass_time(2 * FIRST_S)
        assert one.dials == 1
        assert UNCONFIRMED not in world.events(notification)


@in_virtual_time
async def test_answers_that_say_nothing_change_nothing_and_say_nothing_of_health() -> None:
    one = Vendor(lookups=True)
    async with World(one) as world:
        many = await world.post_many(7)
        await world.settled(many, MessageState.SENT)
        one.says(*[UNWELL] * 6, LOST)
        await world.pass_time(FIRST_S + EVERY_S + 2)
        assert len(one.asked) == 7
        assert world.breaker() == "closed"
        assert world.states(many) == {"sent": 7}


@in_virtual_time
async def test_a_provider_that_is_unwell_or_has_no_room_is_not_asked() -> None:
    one = Vendor(lookups=True, rate="1/h")
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        await world.pass_time(FIRST_S + EVERY_S + 2)
        assert one.asked == []
        assert UNCONFIRMED in world.events(notification)


@in_virtual_time
async def test_a_rate_delays_a_look_up_and_does_not_cost_it_its_turn() -> None:
    one = Vendor(lookups=True, rate="1/s")
    async with World(one) as world:
        many = await world.post_many(5)
        await world.settled(many, MessageState.SENT)
        await world.pass_time(FIRST_S + EVERY_S + 10)
        assert len(one.asked) == 5


@in_virtual_time
async def test_many_are_asked_about_one_after_the_other() -> None:
    one = Vendor(lookups=True)
    async with World(one) as world:
        many = await world.post_many(MOST + 10)
        await world.settled(many, MessageState.SENT)
        one.became.update({f"one-{place}": "delivered" for place in range(1, MOST + 11)})
        await world.settled(many, MessageState.DELIVERED, within_s=FIRST_S + 60)
        assert sorted(one.asked) == sorted(one.became)
