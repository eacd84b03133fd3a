"""Recipients by id: looked up when a notification is planned, once per bundle, and kept from what notifications say of them."""

from __future__ import annotations

from typing import Any

from sendwright.model.notification import Recipient
from sendwright.model.people import Change
from sendwright.model.states import MessageState

from .engine_world import EMAIL, MARKER, NOW, PHONE, TENANT, Vendor, World, in_virtual_time, number


async def keep(world: World, id_: str = "ada", at: int = NOW - 1, **members: Any) -> None:
    await world.backend.directory.write([Change(TENANT, id_, members, at, MARKER.person(TENANT, id_))])


async def known(world: World, id_: str = "ada") -> Recipient | None:
    found = await world.backend.directory.known([(TENANT, id_)])
    return found[TENANT, id_].recipient if found else None


@in_virtual_time
async def test_a_bare_id_is_sent_to_the_addresses_that_the_directory_knows() -> None:
    one = Vendor()
    async with World(one) as world:
        await keep(world, phone=PHONE)
        for to in ("ada", {"id": "ada"}, {"id": "ada", "locale": "de"}):
            notification = await world.post(to)
            await world.settled(notification, MessageState.SENT)
            assert world.message(notification).recipient == "ada"
        assert one.addresses == [PHONE, PHONE, PHONE]
        assert await known(world) == Recipient(id="ada", phone=PHONE, locale="de")


@in_virtual_time
async def test_the_steps_of_one_that_is_known_follow_the_order_of_channels() -> None:
    async with World(Vendor("one", channels=("email",)), Vendor("two", channels=("sms",))) as world:
        await keep(world, phone=PHONE, email=EMAIL)
        notification = await world.post("ada")
        await world.settled(notification, MessageState.SENT)
        assert [step.channel for step in world.message(notification).steps] == ["sms", "email"]


@in_virtual_time
async def test_one_that_is_known_without_an_address_on_the_channels_has_no_address() -> None:
    async with World(Vendor()) as world:
        await keep(world, email=EMAIL)
        notification = await world.post("ada", channels=["sms"])
        await world.settled(notification, MessageState.FAILED)
        assert (world.message(notification).reason, world.message(notification).recipient) == ("no_address", "ada")


@in_virtual_time
async def test_one_that_is_known_without_any_address_has_none_and_is_not_unknown() -> None:
    one = Vendor()
    async with World(one) as world:
        await keep(world, locale="de")
        for to in ("ada", {"id": "ada"}, {"id": "ada", "timezone": "Europe/Berlin"}):
            notification = await world.post(to)
            await world.settled(notification, MessageState.FAILED)
            assert (world.message(notification).reason, world.message(notification).recipient) == ("no_address", "ada")
        stranger = await world.post("bob")
        await world.settled(stranger, MessageState.FAILED)
        assert world.message(stranger).reason == "unknown_recipient"
        assert one.calls == []


@in_virtual_time
async def test_who_is_known_by_the_id_alone_is_reached_in_the_app() -> None:
    one = Vendor(channels=("inapp",))
    async with World(one) as world:
        await keep(world, locale="de")
        notification = await world.post("ada", channels=["inapp"])
        await world.settled(notification, MessageState.SENT)
        assert one.addresses == ["ada"]


@in_virtual_time
async def test_what_an_inline_recipient_with_an_id_says_is_kept_and_it_is_sent_to_that_alone() -> None:
    one, two = Vendor("one", channels=("sms",)), Vendor("two", channels=("email",))
    async with World(one, two) as world:
        await keep(world, phone=PHONE, locale="pt")
        notification = await world.post({"id": "ada", "email": EMAIL, "locale": "de"})
        await world.settled(notification, MessageState.SENT)
        assert (one.addresses, two.addresses) == ([], [EMAIL])
        assert await known(world) == Recipient(id="ada", phone=PHONE, email=EMAIL, locale="de")


@in_virtual_time
async def test_what_was_accepted_before_the_directory_was_written_changes_nothing_there() -> None:
    one = Vendor()
    async with World(one) as world:
        await keep(world, at=NOW + 60_000, phone=number(1))
        notification = await world.post({"id": "ada", "phone": number(2)})
        await world.settled(notification, MessageState.SENT)
        assert one.addresses == [number(2)]
        assert await known(world) == Recipient(id="ada", phone=number(1))


@in_virtual_time
async def test_a_bundle_is_looked_up_at_once_and_one_without_ids_not_at_all() -> None:
    async with World(Vendor(), started=False) as world:
        for place in range(5):
            await keep(world, f"user-{place}", phone=number(place))
        named = [await world.post([f"user-{place}", {"phone": number(place + 50)}]) for place in range(5)]
        nameless = [await world.post({"phone": number(90 + place)}) for place in range(3)]
        await world.start()
        for notification in (*named, *nameless):
            await world.settled(notification, MessageState.SENT)
        bundles = world.faults.calls["plan"]
        assert 1 <= world.faults.calls["known"] <= bundles
        assert world.faults.calls["write"] == 0
    async with World(Vendor()) as world:
        await world.settled(await world.post({"phone": PHONE}), MessageState.SENT)
        assert (world.faults.calls["known"], world.faults.calls["write"]) == (0, 0)


@in_virtual_time
async def test_while_the_directory_is_down_nothing_is_lost() -> None:
    one = Vendor()
    async with World(one) as world:
        await keep(world, phone=PHONE)
        world.faults.down = True
        notification = await world.post("ada")
        await world.pass_time(3)
        assert one.calls == []
        world.faults.down = False
        await world.settled(notification, MessageState.SENT)


@in_virtual_time
async def test_what_was_accepted_for_somebody_who_is_erased_before_it_is_planned_is_never_sent() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        await keep(world, phone=PHONE)
        by_id = await world.post("ada")
        inline = await world.post({"id": "ada", "phone": PHONE})
        await world.backend.directory.erase(TENANT, "ada", MARKER.person(TENANT, "ada"), world.clock.now_ms())
        await world.start()
        for notification in (by_id, inline):
            await world.settled(notification, MessageState.FAILED)
            row = world.message(notification)
            assert (row.reason, row.steps) == ("unknown_recipient", ())
        assert one.calls == []
        assert await known(world) is None


@in_virtual_time
async def test_two_recipients_that_turn_out_to_have_one_address_are_two_messages() -> None:
    one = Vendor()
    async with World(one) as world:
        await keep(world, phone=PHONE)
        notification = await world.post(["ada", {"id": "bob", "phone": PHONE}, {"id": "ada", "phone": PHONE}, {"phone": PHONE}])
        await world.until(lambda: len(one.calls) == 3)
        assert [world.message(notification, ordinal).recipient for ordinal in range(3)] == ["ada", "bob", None]
