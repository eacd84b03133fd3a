"""What every list of suppressions promises (engine/people.py, Suppressions), and how claims are held to it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sendwright.model.content import Content
from sendwright.model.ids import reply_id
from sendwright.model.parcel import Parcel, Step
from sendwright.model.people import EVERY, EVERYBODY, REPLIED, Heard, Suppression
from sendwright.model.records import Claimed, Plan, Refused
from sendwright.model.states import MessageState
from sendwright.policy.suppression import Marker, suppression
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import (
    EMAIL,
    MARKER,
    MINUTE,
    NOW,
    SMS,
    TENANT,
    birth,
    claim,
    claimed,
    message_of,
    new_id,
    plan,
    planned,
)
from tests.conformance.racing import Call, assert_consistent, race

backend = every_backend()

PHONE, MAIL = SMS.address, EMAIL.address
MARKS = MARKER.addresses(PHONE)


def listed(address: str = PHONE, channel: str = "sms", tenant: str = TENANT, **changed: Any) -> Suppression:
    reason, source = changed.pop("reason", "opted_out"), changed.pop("source", "manual")
    return suppression(MARKER, tenant, channel, address, reason, source, changed.pop("now", NOW), **changed)


def asking(parcel: Parcel, token: str = "token-1", **changed: Any) -> Any:
    return claim(parcel, token, marks=MARKER.addresses(parcel.address), **changed)


async def all_of(backend: UnderTest, tenant: str = TENANT, now: int = NOW, **filters: Any) -> list[str]:
    return [row.id for row in await backend.suppressions.page(tenant, 100, None, now, **filters)]


async def test_nobody_is_listed_at_first_and_claims_are_granted(backend: UnderTest) -> None:
    assert await all_of(backend) == []
    assert list(await backend.suppressions.find([TENANT, EVERYBODY], MARKS, NOW)) == []
    assert isinstance(await backend.ledger.claim(asking(await planned(backend.ledger))), Claimed)


async def test_who_is_listed_is_found_by_the_mark_and_survives_a_kill(backend: UnderTest) -> None:
    row = listed(expires_at=NOW + MINUTE)
    assert await backend.suppressions.add(row) == row
    again = await backend.restart()
    assert list(await again.suppressions.find([TENANT, EVERYBODY], MARKS, NOW)) == [row]
    assert list(await again.suppressions.find(["other", EVERYBODY], MARKS, NOW)) == []
    assert list(await again.suppressions.find([TENANT], MARKER.addresses(MAIL), NOW)) == []


async def test_an_address_that_is_listed_again_is_one_row_with_the_newer_word_and_the_older_time(backend: UnderTest) -> None:
    await backend.suppressions.add(listed())
    newer = listed(now=NOW + 5, reason="blocked", source="complaint", expires_at=NOW + MINUTE)
    row = await backend.suppressions.add(newer)
    assert (row.created_at, row.reason, row.source, row.expires_at) == (NOW, "blocked", "complaint", NOW + MINUTE)
    assert await all_of(backend) == [row.id]


async def test_lists_go_by_id_and_by_filter_and_leave_out_what_is_over(backend: UnderTest) -> None:
    rows = [
        listed(),
        listed(channel="whatsapp", reason="blocked"),
        listed(MAIL, "email", reason="invalid_address"),
        listed(MAIL, EVERY, expires_at=NOW + 1),
        listed(tenant="other"),
    ]
    await asyncio.gather(*(backend.suppressions.add(row) for row in rows))
    assert await all_of(backend) == sorted(row.id for row in rows[:4])
    assert await all_of(backend, now=NOW + 1) == sorted(row.id for row in rows[:3])
    assert await all_of(backend, channel="sms") == [rows[0].id]
    assert await all_of(backend, reason="blocked") == [rows[1].id]
    assert await all_of(backend, "other") == [rows[4].id]
    first = await backend.suppressions.page(TENANT, 3, None, NOW)
    rest = await backend.suppressions.page(TENANT, 3, first[-1].id, NOW)
    assert [row.id for row in (*first, *rest)] == await all_of(backend)


async def test_only_the_tenant_lifts_and_then_it_is_claimed_again(backend: UnderTest) -> None:
    row = await backend.suppressions.add(listed())
    parcel = await planned(backend.ledger)
    assert not await backend.suppressions.lift("other", row.id)
    assert await backend.ledger.claim(asking(parcel)) == Refused("suppressed", "opted_out")
    assert await backend.suppressions.lift(TENANT, row.id)
    assert not await backend.suppressions.lift(TENANT, row.id)
    assert isinstance(await backend.ledger.claim(asking(parcel)), Claimed)


@pytest.mark.parametrize(
    ("row", "forbids"),
    [
        (listed(), True),
        (listed(channel=EVERY), True),
        (listed(tenant=EVERYBODY), True),
        (listed(channel="whatsapp"), False),
        (listed(tenant="other"), False),
        (listed("+15550100002"), False),
        (listed(expires_at=NOW), False),
        (listed(expires_at=NOW + 1), True),
        (listed(category="marketing"), False),
    ],
    ids=["on its channel", "on all channels", "for everybody", "on another channel", "for another tenant", "another address",
         "no more", "still", "for marketing only"],
)  # fmt: skip
async def test_a_claim_is_refused_by_what_forbids_it_and_by_nothing_else(
    backend: UnderTest, row: Suppression, forbids: bool
) -> None:
    await backend.suppressions.add(row)
    parcel = await planned(backend.ledger)
    answer = await backend.ledger.claim(asking(parcel))
    assert isinstance(answer, Refused if forbids else Claimed)
    if forbids:
        found = await message_of(backend, parcel)
        assert (found.state, found.number, await backend.records.attempts(parcel.id)) == (MessageState.QUEUED, 0, [])


async def test_what_holds_for_marketing_alone_forbids_marketing(backend: UnderTest) -> None:
    await backend.suppressions.add(listed(category="marketing"))
    ntf = new_id()
    made = Plan(ntf, TENANT, NOW, 2, "marketing", "hold", Content(body="Buy"), (birth(ntf),))  # type: ignore[arg-type]
    ((parcel,),) = await backend.ledger.plan([made])
    assert await backend.ledger.claim(asking(parcel)) == Refused("suppressed", "opted_out")


async def test_under_an_older_key_it_is_found_too(backend: UnderTest) -> None:
    await backend.suppressions.add(listed())
    newer = Marker(b"a newer secret for tests, also long", (b"a secret for tests, 32 bytes long",))
    parcel = await planned(backend.ledger)
    assert await backend.ledger.claim(claim(parcel, marks=newer.addresses(PHONE))) == Refused("suppressed", "opted_out")


async def test_of_claims_in_one_flush_only_those_of_the_listed_address_are_refused(backend: UnderTest) -> None:
    await backend.suppressions.add(listed("+15550100003"))
    ntf = new_id()
    births = [birth(ntf, ordinal, (Step("sms", f"+1555010000{ordinal % 5}"),)) for ordinal in range(20)]
    (parcels,) = await backend.ledger.plan([plan(*births, notification=ntf)])
    answers = await asyncio.gather(*(backend.ledger.claim(asking(parcel, parcel.id)) for parcel in parcels))
    for parcel, answer in zip(parcels, answers, strict=True):
        if parcel.address == "+15550100003":
            assert answer == Refused("suppressed", "opted_out")
        else:
            assert isinstance(answer, Claimed)
            assert answer.attempt.startswith("att_" + parcel.id[4:])


async def test_what_refuses_a_claim_in_any_case_is_said_first(backend: UnderTest) -> None:
    await backend.suppressions.add(listed())
    parcel = await planned(backend.ledger)
    await backend.ledger.cancel(TENANT, parcel.id, NOW)
    assert await backend.ledger.claim(asking(parcel)) == Refused("state")
    ending = await planned(backend.ledger, expires_at=NOW)
    assert await backend.ledger.claim(asking(ending)) == Refused("expired")


async def test_a_claim_that_was_granted_before_its_answer_was_lost_is_granted_again(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel, "mine", marks=MARKS)
    await backend.suppressions.add(listed())
    assert await backend.ledger.claim(asking(parcel, "mine")) == held
    assert await backend.ledger.claim(asking(parcel, "another's")) == Refused("number")


async def test_a_suppressed_message_ends_so_or_takes_its_next_step(backend: UnderTest) -> None:
    await backend.suppressions.add(listed())
    one, two = await planned(backend.ledger), await planned(backend.ledger, steps=(SMS, EMAIL))
    assert await backend.ledger.end(one, MessageState.SUPPRESSED, "opted_out", "", NOW)
    row = await assert_consistent(backend, one)
    assert (row.state, row.reason, row.dead) == (MessageState.SUPPRESSED, "opted_out", False)
    assert await backend.ledger.advance(two, 1, "opted_out", "", NOW)
    (due,) = await backend.waiting.due(NOW, 10)
    assert isinstance(await backend.ledger.claim(asking(due)), Claimed)


async def test_a_claim_that_waited_for_the_list_sees_what_was_written_there(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    adding = Call("add", lambda: backend.suppressions.add(listed()))
    claiming = Call("claim", lambda: backend.ledger.claim(asking(parcel)))
    raced = await race(backend, ("second", None), claiming, adding)
    assert (raced.first, raced.overtook) == (Refused("suppressed", "opted_out"), False)


def heard(ref: str = "SM1", at: int = NOW, **changed: Any) -> Heard:
    return Heard(
        reply_id(at, "twilio-main", ref), TENANT, "twilio-main", ref, MARKS[0], at, '{"text":"Hi"}', channel="sms", **changed
    )


async def replies(backend: UnderTest) -> list[tuple[str, str]]:
    return [(event.type, event.detail) for event in await backend.records.events(TENANT, 0, 100)]


async def test_what_a_person_says_is_told_once(backend: UnderTest) -> None:
    assert await backend.suppressions.hear(heard())
    assert not await backend.suppressions.hear(heard(at=NOW + 5))
    assert await backend.suppressions.hear(heard("SM2"))
    assert await replies(backend) == [(REPLIED, '{"text":"Hi"}')] * 2


async def test_of_one_reply_that_comes_twice_at_once_one_is_told(backend: UnderTest) -> None:
    answers = await asyncio.gather(*(backend.suppressions.hear(heard()) for _ in range(5)))
    assert sorted(answers) == [False] * 4 + [True]
    assert len(await replies(backend)) == 1


async def test_a_stop_lists_the_address_and_a_start_takes_off_what_a_stop_has_put_there(backend: UnderTest) -> None:
    stop = listed(tenant=EVERYBODY, source="stop")
    await backend.suppressions.hear(heard("SM1", stops=stop))
    await backend.suppressions.add(listed(source="stop"))
    by_hand = await backend.suppressions.add(listed(channel=EVERY, source="manual"))
    parcel = await planned(backend.ledger)
    assert await backend.ledger.claim(asking(parcel)) == Refused("suppressed", "opted_out")
    await backend.suppressions.hear(heard("SM2", starts=MARKS))
    left = await backend.suppressions.find([TENANT, EVERYBODY], MARKS, NOW)
    assert list(left) == [by_hand]


async def test_a_stop_and_a_start_in_one_flush_count_in_their_order(backend: UnderTest) -> None:
    stop = listed(tenant=EVERYBODY, source="stop")
    await asyncio.gather(
        backend.suppressions.hear(heard("SM1", stops=stop)),
        backend.suppressions.hear(heard("SM2", starts=MARKS)),
        backend.suppressions.hear(heard("SM3", stops=stop)),
        backend.suppressions.hear(heard("SM4", starts=MARKS)),
    )
    assert list(await backend.suppressions.find([EVERYBODY], MARKS, NOW)) == []
    assert len(await replies(backend)) == 4


async def test_a_reply_that_is_heard_twice_does_not_stop_again_who_has_started(backend: UnderTest) -> None:
    stop = listed(tenant=EVERYBODY, source="stop")
    await backend.suppressions.hear(heard("SM1", stops=stop))
    await backend.suppressions.hear(heard("SM2", starts=MARKS))
    assert not await backend.suppressions.hear(heard("SM1", stops=stop))
    assert list(await backend.suppressions.find([EVERYBODY], MARKS, NOW)) == []


async def test_what_was_said_long_ago_is_forgotten_with_its_event_and_what_it_asked_for_stays(backend: UnderTest) -> None:
    stop = listed(tenant=EVERYBODY, source="stop")
    await backend.suppressions.hear(heard("SM1", at=NOW, stops=stop))
    await backend.suppressions.hear(heard("SM2", at=NOW + MINUTE))
    while await backend.sweeper.slice(keys_before=0, content_before=0, rows_before=NOW + 1):
        pass
    assert len(await replies(backend)) == 1
    assert await backend.suppressions.hear(heard("SM1", at=NOW + MINUTE))
    assert not await backend.suppressions.hear(heard("SM2", at=NOW + MINUTE))
    assert len(await backend.suppressions.find([EVERYBODY], MARKS, NOW)) == 1


async def test_what_an_erased_person_has_said_is_told_no_more_to_the_tenant_that_erased_them(backend: UnderTest) -> None:
    await backend.suppressions.hear(heard("SM1"))
    await backend.directory.erase("other", "ada", "a mark", NOW, MARKS)
    assert len(await replies(backend)) == 1
    await backend.directory.erase(TENANT, "ada", "a mark", NOW, MARKS)
    assert await replies(backend) == []
    assert not await backend.suppressions.hear(heard("SM1"))
