"""What every directory of recipients promises (engine/people.py, Directory)."""

from __future__ import annotations

import asyncio
from typing import Any

from sendwright.model.ids import message_id
from sendwright.model.inbox import Item, ItemContent, View
from sendwright.model.notification import PushToken, Recipient
from sendwright.model.parcel import Step
from sendwright.model.people import Change, Erased
from sendwright.model.records import Page
from sendwright.model.said import Said
from sendwright.model.states import AttemptState, MessageState
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import (
    EMAIL,
    MARKER,
    MINUTE,
    NOW,
    SMS,
    TENANT,
    accepted,
    birth,
    claim,
    claimed,
    lost,
    message_of,
    new_id,
    plan,
    receipt,
    refused,
    rejected,
    scheduled,
    state_of,
)

backend = every_backend()

PHONE = "+15550100001"


def change(
    id_: str = "ada", tenant: str = TENANT, at: int = NOW, *, whole: bool = False, guarded: bool = False, **members: Any
) -> Change:
    return Change(tenant, id_, members, at, MARKER.person(tenant, id_), whole=whole, guarded=guarded)


async def known(backend: UnderTest, id_: str = "ada", tenant: str = TENANT) -> Recipient | None:
    found = await backend.directory.known([(tenant, id_)])
    return found[tenant, id_].recipient if found else None


async def erased(backend: UnderTest, id_: str = "ada", now: int = NOW) -> Erased:
    return await backend.directory.erase(TENANT, id_, MARKER.person(TENANT, id_), now)


async def test_nobody_is_known_at_first(backend: UnderTest) -> None:
    assert await backend.directory.known([(TENANT, "ada"), (TENANT, "kim")]) == {}
    assert list(await backend.directory.page(TENANT, 10, None)) == []


async def test_what_is_written_is_known_in_whole_and_survives_a_kill(backend: UnderTest) -> None:
    # given a recipient with everything that there is
    members: dict[str, Any] = {
        "email": "ada@example.org",
        "phone": PHONE,
        "push": [{"token": "t1", "kind": "apns"}],
        "webpush": [{"endpoint": "https://push.example.org/1", "expirationTime": None, "keys": {"auth": "a", "p256dh": "b"}}],
        "locale": "pt-BR",
        "timezone": "Europe/Lisbon",
    }
    (written,) = await backend.directory.write([change(**members)])
    # when
    again = await backend.restart()
    # then
    found = (await again.directory.known([(TENANT, "ada")]))[TENANT, "ada"]
    assert found == written
    assert (found.created_at, found.updated_at) == (NOW, NOW)
    assert found.recipient == Recipient(**{**members, "id": "ada", "push": [PushToken("t1", "apns")]})


async def test_a_change_merges_replaces_and_takes_away(backend: UnderTest) -> None:
    await backend.directory.write([change(email="ada@example.org", phone=PHONE, push=[{"token": "t1", "kind": "fcm"}])])
    await backend.directory.write([change(at=NOW + 1, phone=None, locale="de", push=[{"token": "t2", "kind": "fcm"}])])
    merged = Recipient(id="ada", email="ada@example.org", locale="de", push=[PushToken("t2")])
    found = (await backend.directory.known([(TENANT, "ada")]))[TENANT, "ada"]
    assert (found.recipient, found.created_at, found.updated_at) == (merged, NOW, NOW + 1)
    # and whole
    await backend.directory.write([change(at=NOW + 2, whole=True, phone=PHONE)])
    assert await known(backend) == Recipient(id="ada", phone=PHONE)


async def test_changes_of_one_call_and_of_one_flush_see_each_other(backend: UnderTest) -> None:
    await asyncio.gather(
        backend.directory.write([change(email="a@example.org"), change(phone=PHONE), change("kim", email="kim@example.org")]),
        backend.directory.write([change(locale="de")]),
        backend.directory.write([change(timezone="Europe/Berlin")]),
    )
    assert await known(backend) == Recipient(id="ada", email="a@example.org", phone=PHONE, locale="de", timezone="Europe/Berlin")
    assert await known(backend, "kim") == Recipient(id="kim", email="kim@example.org")


async def test_a_guarded_change_does_nothing_where_the_directory_was_written_later(backend: UnderTest) -> None:
    await backend.directory.write([change(at=NOW, email="new@example.org")])
    (stands,) = await backend.directory.write([change(at=NOW - 1, guarded=True, email="old@example.org", phone=PHONE)])
    assert stands is not None
    assert stands.recipient == await known(backend) == Recipient(id="ada", email="new@example.org")
    # while a person's change counts, whatever their clock says
    await backend.directory.write([change(at=NOW - 1, email="again@example.org")])
    assert await known(backend) == Recipient(id="ada", email="again@example.org")


async def test_a_guarded_change_that_says_nothing_new_writes_nothing(backend: UnderTest) -> None:
    await backend.directory.write([change(email="a@example.org", phone=PHONE)])
    (stands,) = await backend.directory.write([change(at=NOW + MINUTE, guarded=True, phone=PHONE)])
    assert stands is not None
    assert stands.updated_at == NOW


async def test_tenants_do_not_know_each_others_recipients(backend: UnderTest) -> None:
    await backend.directory.write([change(email="a@example.org"), change(tenant="other", email="b@example.org")])
    assert await known(backend, tenant="other") == Recipient(id="ada", email="b@example.org")
    assert [each.recipient.email for each in await backend.directory.page("other", 10, None)] == ["b@example.org"]
    await erased(backend)
    assert await known(backend) is None
    assert await known(backend, tenant="other") == Recipient(id="ada", email="b@example.org")


async def test_pages_go_by_id(backend: UnderTest) -> None:
    names = ["Zoe", "a b", "a/b", "ada", "kim", "ÿ", "日"]
    await backend.directory.write([change(name, email="x@example.org") for name in reversed(names)])
    found: list[str | None] = []
    after: str | None = None
    while rows := await backend.directory.page(TENANT, 2, after):
        found += [row.recipient.id for row in rows]
        after = found[-1]
    assert found == sorted(names)


async def test_an_erased_person_is_unknown_and_what_is_older_makes_them_known_to_nobody(backend: UnderTest) -> None:
    await backend.directory.write([change(email="ada@example.org")])
    assert await erased(backend, now=NOW + 10) == Erased()
    assert await known(backend) is None
    # what was accepted before is refused, and leaves no trace
    refused_one, kim = await backend.directory.write([change(at=NOW + 10, guarded=True, phone=PHONE), change("kim", phone=PHONE)])
    assert (refused_one, kim is not None) == (None, True)
    assert await known(backend) is None
    assert [row.recipient.id for row in await backend.directory.page(TENANT, 10, None)] == ["kim"]
    # who comes back afterwards is known anew
    (back,) = await backend.directory.write([change(at=NOW + 11, phone=PHONE)])
    assert back is not None
    assert (back.recipient, back.created_at) == (Recipient(id="ada", phone=PHONE), NOW + 11)


async def test_what_waits_for_an_erased_person_is_never_sent_and_says_no_more_who_it_was_for(backend: UnderTest) -> None:
    # given a queued and a scheduled message, and one for somebody else beside
    ntf = new_id()
    about = {"id": "ada", "email": "ada@example.org"}
    births = [birth(ntf, 0, (SMS, EMAIL), recipient="ada", about=about), birth(ntf, 1, recipient="kim")]
    ((parcel, others),) = await backend.ledger.plan([plan(*births, notification=ntf)])
    later = await scheduled_for(backend, "ada")
    # when
    assert await erased(backend) == Erased(messages=2, cancelled=2)
    # then
    assert refused(await backend.ledger.claim(claim(parcel))) == "state"
    for message in (parcel.id, later):
        row = await message_of(backend, message)
        assert (row.state, row.recipient, row.address, row.wait) == (MessageState.CANCELLED, None, None, None)
        assert row.about is None
        assert {step.address for step in row.steps} == {""}
    assert not await backend.ledger.revive(TENANT, parcel.id, NOW)
    assert (await message_of(backend, others)).recipient == "kim"
    # and what was said to somebody else too is kept
    found = await backend.records.notification(TENANT, ntf)
    assert found is not None
    assert found.content == Said(body="Hello")
    assert (await backend.records.list_messages(Page(TENANT, recipient="ada"))).rows == ()


async def scheduled_for(backend: UnderTest, recipient: str) -> str:
    message = await scheduled(backend.ledger, NOW + MINUTE)
    ntf = new_id()
    wait = (await message_of(backend, message)).wait
    await backend.ledger.plan([plan(birth(ntf, state=MessageState.SCHEDULED, wait=wait, recipient=recipient), notification=ntf)])
    return message_id(ntf, 0)


async def test_what_was_said_to_an_erased_person_alone_is_forgotten_with_the_vendors_words(backend: UnderTest) -> None:
    ntf = new_id()
    made = plan(birth(ntf, recipient="ada"), notification=ntf, metadata={"name": "Ada"})
    ((parcel,),) = await backend.ledger.plan([made])
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.settle(rejected(parcel, held, detail="nobody has +15550100001"))
    assert await erased(backend) == Erased(messages=1, cancelled=0)
    row = await message_of(backend, parcel)
    assert (row.state, row.reason, row.detail, row.recipient) == (MessageState.FAILED, "blocked", "", None)
    (attempt,) = await backend.records.attempts(parcel.id)
    assert (attempt.state, attempt.reason, attempt.detail) == (AttemptState.REJECTED, "blocked", "")
    found = await backend.records.notification(TENANT, ntf)
    assert found is not None
    assert (found.content, found.metadata) == (Said(), {})


async def test_evidence_of_a_call_in_flight_still_joins_after_the_erasure(backend: UnderTest) -> None:
    ((parcel,),) = await backend.ledger.plan([plan(birth(ntf := new_id(), recipient="ada"), notification=ntf)])
    held = await claimed(backend.ledger, parcel)
    assert await erased(backend) == Erased(messages=1, cancelled=0)
    assert await backend.ledger.settle(accepted(parcel, held)) == MessageState.SENT
    assert (await message_of(backend, parcel)).address is None


async def test_what_moves_on_after_the_erasure_does_not_bring_the_address_back(backend: UnderTest) -> None:
    # given
    ntf = new_id()
    births = [birth(ntf, ordinal, (SMS, EMAIL), recipient="ada") for ordinal in range(2)]
    ((refused_one, taken),) = await backend.ledger.plan([plan(*births, notification=ntf)])
    first, second = await claimed(backend.ledger, refused_one), await claimed(backend.ledger, taken)
    await erased(backend)
    # when
    await backend.ledger.settle(rejected(refused_one, first))
    await backend.ledger.settle(accepted(taken, second))
    await backend.ledger.observe(receipt(AttemptState.DELIVERED, second.attempt), NOW)
    # then
    rows = [await message_of(backend, parcel) for parcel in (refused_one, taken)]
    assert [(row.channel, row.address, row.provider) for row in rows] == [("email", None, None), ("sms", None, "twilio-main")]


async def test_a_doubt_that_waits_to_be_sent_again_is_not(backend: UnderTest) -> None:
    ((parcel,),) = await backend.ledger.plan([plan(birth(ntf := new_id(), recipient="ada"), notification=ntf)])
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.settle(lost(parcel, held))
    assert await state_of(backend, parcel) == MessageState.SENDING
    assert await erased(backend) == Erased(messages=1, cancelled=0)
    row = await message_of(backend, parcel)
    assert (row.state, row.wait) == (MessageState.IN_DOUBT, None)


async def test_more_messages_than_one_slice_are_all_erased_and_a_repeat_finds_none(backend: UnderTest) -> None:
    ntf = new_id()
    births = [birth(ntf, ordinal, (Step("sms", f"+1555010{ordinal:04}"),), recipient="ada") for ordinal in range(450)]
    await backend.ledger.plan([plan(*births, notification=ntf)])
    assert await erased(backend) == Erased(messages=450, cancelled=450)
    assert await erased(backend) == Erased()
    rows = await backend.records.messages_of(ntf, 500, None)
    assert {(row.recipient, row.address, row.state) for row in rows} == {(None, None, MessageState.CANCELLED)}


async def test_the_inbox_of_an_erased_person_is_empty_and_nobody_elses(backend: UnderTest) -> None:
    ntf = new_id()
    for number, name in enumerate(("ada", "kim")):
        await backend.inbox.add(to_inbox(message_id(ntf, number), name))
    await erased(backend)
    assert await backend.inbox.page(TENANT, "ada", View.ALL, NOW, 10) == []
    assert len(await backend.inbox.page(TENANT, "kim", View.ALL, NOW, 10)) == 1


async def test_a_call_that_was_under_way_puts_nothing_into_the_inbox_of_an_erased_person(backend: UnderTest) -> None:
    ntf = new_id()
    births = [birth(ntf, number, (Step("inapp", name),), recipient=name) for number, name in enumerate(("ada", "kim"))]
    await backend.ledger.plan([plan(*births, notification=ntf)])
    await erased(backend)
    for number, name in enumerate(("ada", "kim")):
        await backend.inbox.add(to_inbox(message_id(ntf, number), name))
    assert await backend.inbox.page(TENANT, "ada", View.ALL, NOW, 10) == []
    assert len(await backend.inbox.page(TENANT, "kim", View.ALL, NOW, 10)) == 1


def to_inbox(message: str, recipient: str) -> Item:
    return Item(message, TENANT, recipient, NOW, "box", "att_1", ItemContent(body="Hello"))
