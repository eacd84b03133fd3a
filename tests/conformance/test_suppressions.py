"""What every list of suppressions promises (engine/people.py, Suppressions), and how claims are held to it."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from sendwright.model.content import Content
from sendwright.model.ids import message_id, reply_id
from sendwright.model.notification import Priority
from sendwright.model.parcel import Parcel, Step
from sendwright.model.people import EVERY, EVERYBODY, REPLIED, UNSUBSCRIBED, Heard, Hearing, How, Leaving, Suppression
from sendwright.model.records import Claimed, Plan, Refused, Wait
from sendwright.model.states import MessageState
from sendwright.policy.suppression import Marker, lifted, stop_of, stopped, suppression
from sendwright.policy.unsubscribing import Subscribed, opted_out
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
        listed(MAIL, "email", reason="invalid_address", source="bounce"),
        listed(MAIL, EVERY, expires_at=NOW + 1),
        listed(tenant="other"),
    ]
    await asyncio.gather(*(backend.suppressions.add(row) for row in rows))
    assert await all_of(backend) == sorted(row.id for row in rows[:4])
    assert await all_of(backend, now=NOW + 1) == sorted(row.id for row in rows[:3])
    assert await all_of(backend, channel="sms") == [rows[0].id]
    assert await all_of(backend, reason="blocked") == [rows[1].id]
    assert await all_of(backend, source="bounce") == [rows[2].id]
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


def leaving(message: str, address: str = MAIL, tenant: str = TENANT, now: int = NOW) -> Leaving:
    """By the link of a message."""
    of = Subscribed(tenant, "email", MARKER.address(address), "marketing", message)
    return Leaving(opted_out(of, of.mark, "u•••@example.org", now), message)


async def unsubscriptions(backend: UnderTest, message: str) -> list[tuple[str, int, str]]:
    return [(event.type, event.at, event.detail) for event in await backend.records.timeline(message) if event.type == UNSUBSCRIBED]


async def test_who_leaves_by_the_link_of_a_message_is_listed_and_that_is_told_once_of_it(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, steps=(EMAIL,))
    wish = leaving(parcel.id)
    answers = await asyncio.gather(*(backend.suppressions.unsubscribe(wish) for _ in range(4)))
    assert sorted(answers) == [False] * 3 + [True]
    again = await backend.restart()
    assert list(await again.suppressions.find([TENANT], [wish.row.mark], NOW)) == [wish.row]
    assert await unsubscriptions(again, parcel.id) == [(UNSUBSCRIBED, NOW, "email")]
    # and who comes back and leaves again is listed again
    assert await again.suppressions.lift(TENANT, wish.row.id)
    assert not await again.suppressions.unsubscribe(leaving(parcel.id, now=NOW + 5))
    assert await all_of(again) == [wish.row.id]
    assert len(await unsubscriptions(again, parcel.id)) == 1


async def test_by_the_link_of_a_message_that_is_anothers_or_forgotten_nothing_is_told_and_the_address_is_listed(
    backend: UnderTest,
) -> None:
    parcel = await planned(backend.ledger, steps=(EMAIL,))
    assert not await backend.suppressions.unsubscribe(leaving(parcel.id, tenant="other"))
    assert not await backend.suppressions.unsubscribe(leaving(new_message()))
    await backend.directory.erase(TENANT, "ada", "a mark", NOW, MARKS)
    assert len(await all_of(backend)) == len(await all_of(backend, "other")) == 1
    assert await unsubscriptions(backend, parcel.id) == []


async def test_who_leaves_is_sent_no_marketing_from_the_next_claim_on_and_all_else(backend: UnderTest) -> None:
    ntf = new_id()
    made = Plan(ntf, TENANT, NOW, 2, "marketing", "hold", Content(body="Buy"), (birth(ntf, 0, (EMAIL,)), birth(ntf, 1, (EMAIL,))))  # type: ignore[arg-type]
    (parcels,) = await backend.ledger.plan([made])
    assert isinstance(await backend.ledger.claim(asking(parcels[0])), Claimed)
    await backend.suppressions.unsubscribe(leaving(parcels[0].id))
    assert await backend.ledger.claim(asking(parcels[1])) == Refused("suppressed", "opted_out")
    other = await planned(backend.ledger, steps=(EMAIL,))
    assert isinstance(await backend.ledger.claim(asking(other, "token-2")), Claimed)


async def test_a_parcel_says_what_it_is_of_however_it_comes_out_of_the_store(backend: UnderTest) -> None:
    for category in ("marketing", "transactional"):
        plans = [msgspec.structs.replace(plan(steps=(EMAIL,)), category=category) for _ in range(3)]
        fresh, unsent = await backend.ledger.plan([plans[0]]), await backend.ledger.plan([plans[0]])
        await backend.ledger.plan(plans[1:])
        for waiting, key in zip(plans[1:], ("time", "route:email"), strict=True):
            ((parcel,),) = await backend.ledger.plan([waiting])
            assert await backend.ledger.park(parcel, Wait("provider", NOW if key == "time" else None, key=key), NOW)
        due = await backend.waiting.due(NOW, 10)
        pulled = await backend.waiting.pull("route:email", Priority.NORMAL, {TENANT: 10})
        assert [parcel.category for parcel in (*fresh[0], *unsent[0], *due, *pulled)] == [category] * 4
        await backend.waiting.promoted([*due, *pulled], NOW)


async def test_a_claim_waits_for_somebody_who_leaves_and_sees_it(backend: UnderTest) -> None:
    ntf = new_id()
    made = msgspec.structs.replace(plan(birth(ntf, 0, (EMAIL,)), notification=ntf), category="marketing")
    ((parcel,),) = await backend.ledger.plan([made])
    left = Call("unsubscribe", lambda: backend.suppressions.unsubscribe(leaving(parcel.id)))
    claiming = Call("claim", lambda: backend.ledger.claim(asking(parcel)))
    raced = await race(backend, ("second", None), claiming, left)
    assert (raced.first, raced.overtook) == (Refused("suppressed", "opted_out"), False)


def new_message() -> str:
    return message_id(new_id(), 0)


def heard(ref: str = "SM1", at: int = NOW, told: str = '{"text":"Hi"}', **changed: Any) -> Heard:
    return Heard(reply_id(at, "twilio-main", ref), TENANT, "twilio-main", ref, MARKS[0], at, told, channel="sms", **changed)


async def news(backend: UnderTest, what: Heard) -> bool:
    return (await backend.suppressions.hear(what)).fresh


async def replies(backend: UnderTest) -> list[tuple[str, str]]:
    return [(event.type, event.detail) for event in await backend.records.events(TENANT, 0, 100)]


async def test_what_was_said_back_is_found_by_its_address_newest_first(backend: UnderTest) -> None:
    others = [replace(heard("SM7"), mark="another"), replace(heard("SM8"), tenant="somebody-else")]
    for one in (heard("SM1"), *others, heard("SM2", told='{"text":"2"}'), heard("SM3", told='{"text":"3"}')):
        await backend.suppressions.hear(one)
    found = await backend.records.said_back(TENANT, MARKS, 10)
    assert [event.detail for event in found] == ['{"text":"3"}', '{"text":"2"}', '{"text":"Hi"}']
    assert [event.notification for event in found] == [reply_id(NOW, "twilio-main", f"SM{n}") for n in (3, 2, 1)]
    first = await backend.records.said_back(TENANT, MARKS, 2)
    assert list(first) == list(found[:2])
    assert list(await backend.records.said_back(TENANT, MARKS, 2, first[-1].seq)) == list(found[2:])
    assert list(await backend.records.said_back(TENANT, ["nobody's"], 10)) == []


async def test_what_a_person_says_is_told_once(backend: UnderTest) -> None:
    assert await news(backend, heard())
    assert not await news(backend, heard(at=NOW + 5))
    assert await news(backend, heard("SM2"))
    assert await replies(backend) == [(REPLIED, '{"text":"Hi"}')] * 2


async def test_of_one_reply_that_comes_twice_at_once_one_is_told(backend: UnderTest) -> None:
    answers = await asyncio.gather(*(news(backend, heard()) for _ in range(5)))
    assert sorted(answers) == [False] * 4 + [True]
    assert len(await replies(backend)) == 1


async def test_a_stop_lists_the_address_and_a_start_takes_off_what_a_stop_has_put_there(backend: UnderTest) -> None:
    stop = listed(tenant=EVERYBODY, source="stop")
    await backend.suppressions.hear(heard("SM1", stops=(stop,)))
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
        backend.suppressions.hear(heard("SM1", stops=(stop,))),
        backend.suppressions.hear(heard("SM2", starts=MARKS)),
        backend.suppressions.hear(heard("SM3", stops=(stop,))),
        backend.suppressions.hear(heard("SM4", starts=MARKS)),
    )
    assert list(await backend.suppressions.find([EVERYBODY], MARKS, NOW)) == []
    assert len(await replies(backend)) == 4


async def test_a_reply_that_is_heard_twice_does_not_stop_again_who_has_started(backend: UnderTest) -> None:
    stop = listed(tenant=EVERYBODY, source="stop")
    await backend.suppressions.hear(heard("SM1", stops=(stop,)))
    await backend.suppressions.hear(heard("SM2", starts=MARKS))
    assert not await news(backend, heard("SM1", stops=(stop,)))
    assert list(await backend.suppressions.find([EVERYBODY], MARKS, NOW)) == []


async def test_who_says_something_again_is_told_how_it_was_called_and_when_it_was_heard_first(backend: UnderTest) -> None:
    first = heard()
    assert await backend.suppressions.hear(first) == Hearing(first.id, NOW, fresh=True)
    later = [heard(at=NOW + 5), heard("SM2", at=NOW + 6), heard("SM2", at=NOW + 7), heard(at=NOW + 8)]
    answers = await asyncio.gather(*(backend.suppressions.hear(each) for each in later))
    assert [answers[0], answers[3]] == [Hearing(first.id, NOW, fresh=False)] * 2
    assert {answers[1], answers[2]} == {Hearing(later[1].id, NOW + 6, fresh=True), Hearing(later[1].id, NOW + 6, fresh=False)}


def asked(ref: str, word: str, said: int, how: How = "said", channel: str = "sms", phone: str = PHONE) -> Heard:
    """A stop or a start, said so many seconds after the hour."""
    said_at = f"2026-11-22T17:00:{said:02d}.000Z"
    told = json.dumps({"channel": channel, "word": word, "how": how, "said_at": said_at})
    marks, stop = MARKER.addresses(phone), stopped(MARKER, how, channel, phone, NOW)
    asks: dict[str, Any] = {"stops": (stop,)} if word == "stop" else {"starts": marks, "lifts": lifted(how)}
    ref = f"{ref} {phone}"
    return Heard(
        reply_id(NOW, "one", ref), TENANT, "one", ref, marks[0], NOW, told, channel=channel, how=how, said_at=said_at, **asks
    )


async def test_of_stops_and_starts_the_latest_said_counts_in_whatever_order_they_come(backend: UnderTest) -> None:
    words = (("SM1", "stop", 1), ("SM2", "start", 2), ("SM3", "stop", 3))
    for place, (order, at_once) in enumerate(itertools.product(itertools.permutations(words), (True, False))):
        phone = f"+155501001{place:02d}"
        elsewhere = asked("SM0", "start", 9, channel="whatsapp", phone=phone)  # says nothing of this channel
        await backend.suppressions.hear(elsewhere)
        for given, left in ((order, ["stop"]), ((("SM4", "start", 5), ("SM5", "stop", 4)), [])):
            said = [asked(*each, phone=phone) for each in given]
            for some in (said,) if at_once else ((each,) for each in said):
                await asyncio.gather(*(backend.suppressions.hear(each) for each in some))
            found = await backend.suppressions.find([EVERYBODY], MARKER.addresses(phone), NOW)
            assert [row.source for row in found] == left, (order, at_once)


async def test_what_is_asked_for_in_different_ways_is_taken_back_in_the_same(backend: UnderTest) -> None:
    for place, how in enumerate(("said", "preference", "blocked"), 1):
        await backend.suppressions.hear(asked(f"SM{place}", "stop", place, how))  # type: ignore[arg-type]
    standing = await backend.suppressions.find([EVERYBODY], MARKS, NOW)
    kinds = sorted((row.source, row.category, row.reason) for row in standing)
    assert kinds == [("stop", "all", "opted_out"), ("unsubscribe", "all", "blocked"), ("unsubscribe", "marketing", "opted_out")]
    await backend.suppressions.hear(asked("SM4", "start", 4))
    left = await backend.suppressions.find([EVERYBODY], MARKS, NOW)
    assert sorted((row.source, row.category) for row in left) == [("unsubscribe", "all"), ("unsubscribe", "marketing")]


async def test_a_claim_is_let_through_the_one_entry_that_it_names_and_through_no_other(backend: UnderTest) -> None:
    stop = stopped(MARKER, "said", "sms", PHONE, NOW)
    await backend.suppressions.add(stop)
    assert stop.id == stop_of(MARKER, "sms", PHONE)
    one, two = await planned(backend.ledger), await planned(backend.ledger)
    assert await backend.ledger.claim(asking(one)) == Refused("suppressed", "opted_out")
    answers = await asyncio.gather(
        backend.ledger.claim(asking(one, "a", spared=stop.id)), backend.ledger.claim(asking(two, "b", spared="sup_0"))
    )
    assert [type(answer) for answer in answers] == [Claimed, Refused]
    await backend.suppressions.add(listed(reason="blocked"))
    assert await backend.ledger.claim(asking(two, spared=stop.id)) == Refused("suppressed", "blocked")


async def test_what_was_said_long_ago_is_forgotten_with_its_event_and_what_it_asked_for_stays(backend: UnderTest) -> None:
    stop = listed(tenant=EVERYBODY, source="stop")
    await backend.suppressions.hear(heard("SM1", at=NOW, stops=(stop,)))
    await backend.suppressions.hear(heard("SM2", at=NOW + MINUTE))
    while await backend.sweeper.slice(keys_before=0, content_before=0, rows_before=NOW + 1):
        pass
    assert len(await replies(backend)) == 1
    assert await news(backend, heard("SM1", at=NOW + MINUTE))
    assert not await news(backend, heard("SM2", at=NOW + MINUTE))
    assert len(await backend.suppressions.find([EVERYBODY], MARKS, NOW)) == 1


async def test_what_an_erased_person_has_said_is_told_no_more_to_the_tenant_that_erased_them(backend: UnderTest) -> None:
    await backend.suppressions.hear(heard("SM1"))
    await backend.directory.erase("other", "ada", "a mark", NOW, MARKS)
    assert len(await replies(backend)) == 1
    await backend.directory.erase(TENANT, "ada", "a mark", NOW, MARKS)
    assert await replies(backend) == []
    assert not await news(backend, heard("SM1"))
