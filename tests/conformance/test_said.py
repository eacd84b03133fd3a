"""What is filled in survives every way through a store: at once, redelivered, waiting, parked, sent again; and is forgotten."""

from __future__ import annotations

from msgspec.structs import replace

from sendwright.model.notification import Priority
from sendwright.model.parcel import FIRST, WITH_DATA, Parcel, pack
from sendwright.model.records import Page, Wait
from sendwright.model.said import Said
from sendwright.model.states import MessageState
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import MINUTE, NOW, SMS, TENANT, birth, claimed, new_id, plan, planned, rejected

backend = every_backend()

ABOUT = {"id": "ada", "locale": "pt-BR", "phone": "+14155550123"}
SAID = Said(
    title="Hello {{ recipient.id }}",
    data={"order": {"number": 12345678901234567890, "total": 19.9, "note": None, "items": ["ü", "世", "</script>"]}},
    notification={"id": "ntf_1", "metadata": {"shop": "north"}},
    locales={"pt": {"title": "Olá {{ recipient.id }}", "email": {"html": "<b>"}}},
)


def says(parcel: Parcel) -> tuple[object, ...]:
    return (parcel.content, parcel.about, parcel.v)


EXPECTED = (SAID, ABOUT, WITH_DATA)


async def test_a_parcel_carries_its_variables_when_it_is_planned_and_when_it_is_planned_again(backend: UnderTest) -> None:
    ntf = new_id()
    asked = plan(replace(birth(ntf, 0), about=ABOUT), notification=ntf, content=SAID)
    for _ in range(2):
        ((parcel,),) = await backend.ledger.plan([asked])
        assert says(parcel) == EXPECTED


async def test_a_parcel_carries_its_variables_when_its_time_has_come_or_it_is_pulled(backend: UnderTest) -> None:
    ntf = new_id()
    wait = Wait("time", NOW + MINUTE, until=NOW + MINUTE)
    one = replace(birth(ntf, 0, state=MessageState.SCHEDULED, wait=wait), about=ABOUT)
    two = replace(birth(ntf, 1, wait=Wait("provider", NOW + MINUTE, key="route:sms")), about=ABOUT)
    await backend.ledger.plan([plan(one, two, notification=ntf, content=SAID)])
    (pulled,) = await backend.waiting.pull("route:sms", Priority.NORMAL, {TENANT: 9})
    due = await backend.waiting.due(NOW + MINUTE, 9)
    assert [says(parcel) for parcel in (pulled, *due)] == [EXPECTED] * 3


async def test_a_parcel_carries_its_variables_when_it_is_sent_again_by_hand(backend: UnderTest) -> None:
    ntf = new_id()
    ((parcel,),) = await backend.ledger.plan([plan(replace(birth(ntf, 0), about=ABOUT), notification=ntf, content=SAID)])
    await backend.ledger.settle(rejected(parcel, await claimed(backend.ledger, parcel)))
    assert await backend.ledger.revive(TENANT, parcel.id, NOW)
    backend = await backend.restart()
    (again,) = await backend.waiting.due(NOW, 9)
    assert says(again) == EXPECTED


async def test_a_parcel_without_variables_is_byte_for_byte_what_it_was(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, content=Said(body="Hello"))
    assert parcel.v == FIRST
    assert b'"content":{"body":"Hello"}' in pack(parcel)
    assert not any(word in pack(parcel) for word in (b'"v"', b'"data"', b'"about"', b'"notification"', b'"locales"'))


async def test_notifications_are_found_by_their_type_and_its_version(backend: UnderTest) -> None:
    named = {type_: new_id(at=NOW + place) for place, type_ in enumerate(("a.b@1", "a.b@2", "a@1", "axb@1", None))}
    for type_, ntf in named.items():
        await backend.ledger.plan([plan(birth(ntf, 0, (SMS,)), notification=ntf, type=type_)])

    async def found(type_: str) -> list[str | None]:
        return [row.type for row in (await backend.records.list_notifications(Page(TENANT, type=type_))).rows]

    assert await found("a.b") == ["a.b@2", "a.b@1"]
    assert await found("a.b@1") == ["a.b@1"]
    assert await found("a") == ["a@1"]
    assert await found("a_b") == await found("b") == []
    record = await backend.records.notification(TENANT, named["a.b@2"])
    assert record is not None
    assert record.type == "a.b@2"


async def test_retention_forgets_the_variables_with_what_was_said(backend: UnderTest) -> None:
    ntf = new_id()
    over = replace(birth(ntf, 0, (), state=MessageState.FAILED, reason="no_address"), about=ABOUT)
    await backend.ledger.plan([plan(over, notification=ntf, content=SAID)])
    while await backend.sweeper.slice(keys_before=0, content_before=NOW + MINUTE, rows_before=0):
        pass
    record = await backend.records.notification(TENANT, ntf)
    assert record is not None
    assert record.content == Said()
