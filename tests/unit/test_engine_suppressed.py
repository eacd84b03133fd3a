"""Who must not be sent to is not called: the next step, or the end; and an address that was erased is called by nobody."""

from __future__ import annotations

from typing import Any

from sendwright.engine.telling import Settled
from sendwright.model.outcomes import Reason, Rejected, Scope
from sendwright.model.people import EVERY
from sendwright.model.states import MessageState
from sendwright.policy.suppression import suppression

from .engine_world import EMAIL, LOST, MARKER, NOW, OK, PHONE, TENANT, UNWELL, Vendor, World, in_virtual_time, number


async def stop(world: World, address: str = PHONE, channel: str = EVERY, **changed: Any) -> str:
    row = suppression(MARKER, TENANT, channel, address, "opted_out", "manual", NOW, **changed)
    return (await world.backend.suppressions.add(row)).id


@in_virtual_time
async def test_a_message_to_a_suppressed_address_ends_suppressed_and_nobody_is_called() -> None:
    one = Vendor()
    async with World(one) as world:
        await stop(world)
        notification = await world.post()
        await world.settled(notification, MessageState.SUPPRESSED)
        row = world.message(notification)
        assert (row.reason, row.number, row.dead) == ("opted_out", 0, False)
        assert one.calls == []
        assert Settled(row.id, MessageState.SUPPRESSED) in world.told_of(Settled)


@in_virtual_time
async def test_a_suppressed_step_gives_way_to_the_next_channel() -> None:
    one, two = Vendor("one", channels=("sms",)), Vendor("two", channels=("email",))
    async with World(one, two) as world:
        await stop(world)
        notification = await world.post({"phone": PHONE, "email": EMAIL}, channels=["sms", "email"])
        await world.settled(notification, MessageState.SENT)
        assert (one.calls, two.addresses) == ([], [EMAIL])


@in_virtual_time
async def test_what_is_suppressed_while_it_waits_for_a_retry_is_not_sent_again() -> None:
    one = Vendor()
    async with World(one) as world:
        one.says(UNWELL)
        notification = await world.post()
        await world.until(lambda: len(one.calls) == 1)
        await stop(world)
        await world.settled(notification, MessageState.SUPPRESSED)
        assert len(one.calls) == 1


@in_virtual_time
async def test_what_holds_for_marketing_alone_leaves_the_one_time_password_alone() -> None:
    one = Vendor()
    async with World(one) as world:
        await stop(world, category="marketing")
        await world.settled(await world.post(), MessageState.SENT)
        await world.settled(await world.post(category="marketing"), MessageState.SUPPRESSED)
        assert len(one.calls) == 1


@in_virtual_time
async def test_a_lifted_suppression_lets_a_person_send_it_again() -> None:
    one = Vendor()
    async with World(one) as world:
        listed = await stop(world)
        notification = await world.post()
        await world.settled(notification, MessageState.SUPPRESSED)
        await world.backend.suppressions.lift(TENANT, listed)
        assert await world.ledger.revive(TENANT, world.message(notification).id, world.clock.now_ms())
        world.promoter.poke()
        await world.settled(notification, MessageState.SENT)


@in_virtual_time
async def test_a_doubt_that_waits_to_be_sent_again_to_a_suppressed_address_stays_a_doubt() -> None:
    one = Vendor()
    async with World(one) as world:
        one.says(LOST)
        notification = await world.post()
        await world.until(lambda: len(one.calls) == 1)
        await stop(world)
        await world.settled(notification, MessageState.IN_DOUBT)
        assert len(one.calls) == 1


@in_virtual_time
async def test_an_address_that_was_erased_while_a_call_was_under_way_is_not_called_again() -> None:
    one = Vendor(latency_s=1.0)
    async with World(one) as world:
        one.always(lambda call: UNWELL if call.address == PHONE else OK)
        notification = await world.post([{"id": "ada", "phone": PHONE}, {"phone": number(2)}])
        await world.until(lambda: len(one.calls) == 2)
        await world.backend.directory.erase(TENANT, "ada", MARKER.person(TENANT, "ada"), world.clock.now_ms())
        await world.settled(notification, MessageState.FAILED)
        row = world.message(notification)
        assert (row.reason, row.address, row.recipient) == ("unknown_recipient", None, None)
        assert sorted(one.addresses) == sorted([PHONE, number(2)])


@in_virtual_time
async def test_a_refusal_of_the_sender_alone_says_nothing_of_the_address() -> None:
    for scope, listed in ((Scope.SENDER, 0), (Scope.RECIPIENT, 1)):
        one = Vendor(channels=("email",))
        async with World(one, recount=False) as world:
            account = world.fleet.accounts["one"]
            account.provider.parse = lambda _, scope=scope: Rejected(Reason.INVALID_ADDRESS, "no", scope)  # type: ignore[method-assign]
            await world.settled(await world.post({"email": EMAIL}), MessageState.FAILED)
            found = await world.backend.suppressions.page(TENANT, 10, None, NOW)
            assert len(found) == listed
