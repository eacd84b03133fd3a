"""What every ledger promises (engine/ports.py, Ledger): receipts always join, in whatever order they come."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from sendwright.drivers.store.moves import told_once
from sendwright.model.happenings import Happening
from sendwright.model.parcel import Parcel, Sighting
from sendwright.model.records import CONTRADICTED, Page, Patience
from sendwright.model.states import AttemptState, MessageState
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import (
    EMAIL,
    MINUTE,
    NOW,
    SMS,
    TENANT,
    accepted,
    claimed,
    kinds_of,
    later,
    lost,
    message_of,
    planned,
    receipt,
    sent,
    state_of,
)

backend = every_backend()

A = AttemptState


def dead_owner(_: str) -> bool:
    return False


def no_patience(_: str) -> Patience:
    return Patience(0)


async def repaired(backend: UnderTest, now: int = NOW + 1) -> None:
    """Every open attempt is in doubt afterwards."""
    await backend.ledger.repair(now, dead_owner, no_patience, 8)


async def test_a_receipt_finds_its_attempt_by_our_id(backend: UnderTest) -> None:
    parcel, held = await sent(backend.ledger)
    seen = await backend.ledger.observe(receipt(A.DELIVERED, held.attempt), NOW + 5)
    assert (seen.message, seen.before, seen.after) == (parcel.id, MessageState.SENT, MessageState.DELIVERED)
    assert not seen.poke
    assert await kinds_of(backend, parcel) == ["message.sent", "message.delivered"]
    assert (await message_of(backend, parcel)).updated_at == NOW + 5


async def test_a_receipt_finds_its_attempt_by_the_providers_reference(backend: UnderTest) -> None:
    parcel, _ = await sent(backend.ledger, ref="SM1")
    seen = await backend.ledger.observe(receipt(A.READ, ref="SM1"), NOW)
    assert (seen.message, seen.after) == (parcel.id, MessageState.READ)


async def test_a_reference_belongs_to_its_provider(backend: UnderTest) -> None:
    parcel, _ = await sent(backend.ledger, ref="SM1")
    await backend.ledger.observe(receipt(A.DELIVERED, ref="SM1", provider="vonage-eu"), NOW)
    assert await state_of(backend, parcel) == MessageState.SENT


async def test_a_receipt_with_an_id_that_nobody_knows_is_found_by_its_reference(backend: UnderTest) -> None:
    parcel, _ = await sent(backend.ledger, ref="SM1")
    await backend.ledger.observe(receipt(A.DELIVERED, "att_" + "0" * 37, "SM1"), NOW)
    assert await state_of(backend, parcel) == MessageState.DELIVERED


@pytest.mark.parametrize("attempt", [None, "att_" + "0" * 37, "", "nonsense"])
async def test_a_receipt_that_nobody_can_place_moves_nothing(backend: UnderTest, attempt: str | None) -> None:
    await sent(backend.ledger, ref="SM1")
    for ref in (None, "unknown"):
        seen = await backend.ledger.observe(receipt(A.DELIVERED, attempt, ref), NOW)
        assert (seen.message, seen.before, seen.after, seen.poke) == (None, None, None, False)


async def test_a_receipt_that_came_before_its_reference_is_kept_until_the_settlement_brings_it(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    assert (await backend.ledger.observe(receipt(A.DELIVERED, ref="SM1"), NOW)).message is None
    # when
    state = await backend.ledger.settle(accepted(parcel, held, ref="SM1"))
    # then
    assert state == MessageState.DELIVERED
    assert await state_of(backend, parcel) == MessageState.DELIVERED


async def test_a_kept_receipt_survives_a_crash_and_waits_for_its_own_provider(backend: UnderTest) -> None:
    # given
    parcel, other = await planned(backend.ledger), await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    held_too = await claimed(backend.ledger, other, provider="vonage-eu")
    await backend.ledger.observe(receipt(A.READ, ref="SM1"), NOW)
    again = await backend.restart()
    # when
    assert await again.ledger.settle(accepted(other, held_too, ref="SM1")) == MessageState.SENT
    assert await again.ledger.settle(accepted(parcel, held, ref="SM1")) == MessageState.READ


async def test_a_kept_receipt_of_failure_starts_the_next_step_once_its_reference_is_known(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.observe(receipt(A.FAILED, ref="SM1", reason="unreachable"), NOW)
    assert await backend.ledger.settle(accepted(parcel, held, ref="SM1")) == MessageState.QUEUED
    (following,) = await backend.waiting.due(NOW, 10)
    assert (following.step, following.number) == (1, 1)


async def test_a_late_settlement_brings_the_reference_of_kept_receipts_too(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    await repaired(backend)
    await backend.ledger.observe(receipt(A.DELIVERED, ref="SM1"), NOW)
    assert await backend.ledger.settle(accepted(parcel, held, ref="SM1")) == MessageState.DELIVERED
    assert (await message_of(backend, parcel)).wait is None


async def test_settlements_at_the_same_time_each_find_their_own_kept_receipts(backend: UnderTest) -> None:
    # given
    parcels = [await planned(backend.ledger) for _ in range(20)]
    held = [await claimed(backend.ledger, parcel, parcel.id) for parcel in parcels]
    for index in range(0, 20, 2):
        await backend.ledger.observe(receipt(A.DELIVERED, ref=f"SM{index}"), NOW)
    # when
    settled = (accepted(p, h, p.id, ref=f"SM{i}") for i, (p, h) in enumerate(zip(parcels, held, strict=True)))
    states = await asyncio.gather(*map(backend.ledger.settle, settled))
    # then
    assert list(states) == [MessageState.DELIVERED, MessageState.SENT] * 10


@pytest.mark.parametrize("at_once", [False, True], ids=["in-turn", "at-once"])
async def test_forty_six_repeats_of_a_receipt_move_the_message_once(backend: UnderTest, at_once: bool) -> None:
    # given
    parcel, held = await sent(backend.ledger)
    repeated = receipt(A.DELIVERED, held.attempt, "SM1")
    # when
    if at_once:
        seen = list(await asyncio.gather(*(backend.ledger.observe(repeated, NOW) for _ in range(46))))
    else:
        seen = [await backend.ledger.observe(repeated, NOW + turn) for turn in range(46)]
    # then
    assert sum(each.before != each.after for each in seen) == 1
    assert await kinds_of(backend, parcel) == ["message.sent", "message.delivered"]


async def test_repeats_of_a_failure_start_the_next_step_once(backend: UnderTest) -> None:
    parcel, held = await sent(backend.ledger, steps=(SMS, EMAIL, SMS))
    seen = [await backend.ledger.observe(receipt(A.FAILED, held.attempt), NOW + turn) for turn in range(46)]
    assert [each.poke for each in seen] == [True] + [False] * 45
    assert (await message_of(backend, parcel)).step == 1


async def test_a_failure_of_a_sent_message_starts_the_next_step_due_at_once(backend: UnderTest) -> None:
    # given
    parcel, held = await sent(backend.ledger, steps=(SMS, EMAIL))
    # when
    seen = await backend.ledger.observe(receipt(A.FAILED, held.attempt, reason="unreachable", detail="off"), NOW + 3)
    # then
    assert (seen.before, seen.after, seen.poke) == (MessageState.SENT, MessageState.QUEUED, True)
    row = await message_of(backend, parcel)
    assert (row.step, row.number, row.wait.due_at, row.dead) == (1, 1, NOW + 3, False)
    (following,) = await backend.waiting.due(NOW + 3, 10)
    assert following.channel == "email"
    await claimed(backend.ledger, following, "token-2")


async def test_a_failure_in_the_last_step_fails_the_message_for_the_receipts_reason(backend: UnderTest) -> None:
    parcel, held = await sent(backend.ledger)
    seen = await backend.ledger.observe(receipt(A.FAILED, held.attempt, reason="unreachable", detail="off"), NOW)
    row = await message_of(backend, parcel)
    assert (seen.after, seen.poke) == (MessageState.FAILED, False)
    assert (row.state, row.reason, row.detail, row.dead) == (MessageState.FAILED, "unreachable", "off", True)


@pytest.mark.parametrize("on_doubt", ["hold", "resend"])
async def test_a_failure_that_refutes_a_doubt_starts_the_next_step_due_at_once(backend: UnderTest, on_doubt: str) -> None:
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL), on_doubt=on_doubt)
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.settle(lost(parcel, held))
    seen = await backend.ledger.observe(receipt(A.FAILED, held.attempt), NOW + 4)
    row = await message_of(backend, parcel)
    assert (seen.after, seen.poke, row.step, row.wait.due_at) == (MessageState.QUEUED, True, 1, NOW + 4)


@pytest.mark.parametrize("on_doubt", ["hold", "resend"])
@pytest.mark.parametrize(("proof", "state"), [(A.SENT, "sent"), (A.DELIVERED, "delivered"), (A.READ, "read")])
async def test_a_receipt_that_proves_a_doubted_attempt_ends_the_waiting(
    backend: UnderTest, on_doubt: str, proof: AttemptState, state: str
) -> None:
    parcel = await planned(backend.ledger, on_doubt=on_doubt)
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.settle(lost(parcel, held))
    await backend.ledger.observe(receipt(proof, held.attempt), NOW)
    row = await message_of(backend, parcel)
    assert (row.state.label, row.wait) == (state, None)
    assert await backend.waiting.next_due() is None


async def test_a_receipt_before_its_settlement_ends_the_claim(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.observe(receipt(A.FAILED, held.attempt), NOW)
    assert await backend.ledger.settle(accepted(parcel, held)) == MessageState.QUEUED
    row = await message_of(backend, parcel)
    assert (row.step, row.wait.due_at) == (1, NOW)
    assert (await backend.records.attempts(parcel.id))[0].state == A.FAILED


async def test_a_delivery_of_an_earlier_attempt_stops_the_waiting_for_the_next(backend: UnderTest) -> None:
    parcel, held = await sent(backend.ledger, steps=(SMS, EMAIL))
    await backend.ledger.observe(receipt(A.FAILED, held.attempt), NOW)
    await backend.ledger.observe(receipt(A.DELIVERED, held.attempt), NOW)
    row = await message_of(backend, parcel)
    assert (row.state, row.wait) == (MessageState.DELIVERED, None)
    assert list(await backend.waiting.due(NOW + MINUTE, 10)) == []


@pytest.mark.parametrize("ended", ["cancelled", "expired", "failed"])
async def test_a_delivery_moves_even_a_message_that_ended(backend: UnderTest, ended: str) -> None:
    # given: an attempt that was answered as refused, and a message that was ended after it
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.settle(later(parcel, held))
    (retry,) = await backend.waiting.due(NOW + MINUTE, 10)
    if ended == "cancelled":
        await backend.ledger.cancel(TENANT, parcel.id, NOW)
    else:
        await backend.ledger.end(retry, MessageState[ended.upper()], "unknown", "", NOW)
    assert (await state_of(backend, parcel)).label == ended
    # when
    await backend.ledger.observe(receipt(A.DELIVERED, held.attempt), NOW)
    # then
    row = await message_of(backend, parcel)
    assert (row.state, row.dead) == (MessageState.DELIVERED, False)


RECEIPTS = [A.SENT, A.FAILED, A.DELIVERED, A.READ]


@pytest.mark.parametrize("by", ["id", "reference"])
async def test_receipts_and_the_answer_converge_in_every_order(backend: UnderTest, by: str) -> None:
    """All 120 orders of four receipts and the settlement that brings their reference come to the same end."""
    orders = list(itertools.permutations([*RECEIPTS, None]))
    ends = await asyncio.gather(*(_end_of(backend, order, by, f"{by}-{index}") for index, order in enumerate(orders)))
    assert set(ends) == {(MessageState.READ, A.READ, None, False, False)}


async def test_a_failure_and_the_answer_converge_in_every_order(backend: UnderTest) -> None:
    orders = list(itertools.permutations([A.SENT, A.FAILED, None]))
    ends = await asyncio.gather(*(_end_of(backend, order, "reference", str(index)) for index, order in enumerate(orders)))
    assert set(ends) == {(MessageState.FAILED, A.FAILED, None, True, False)}


async def _end_of(backend: UnderTest, order: tuple[AttemptState | None, ...], by: str, name: str) -> tuple[object, ...]:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel, name)
    for state in order:
        if state is None:
            await backend.ledger.settle(accepted(parcel, held, name, ref=name))
        else:
            await backend.ledger.observe(_named(state, held.attempt, by, name), NOW)
    row = await message_of(backend, parcel)
    (attempt,) = await backend.records.attempts(parcel.id)
    return row.state, attempt.state, row.wait, row.dead, row.doubled


def _named(state: AttemptState, attempt: str, by: str, ref: str) -> Sighting:
    return receipt(state, attempt) if by == "id" else receipt(state, ref=ref)


async def test_an_attempt_that_its_provider_names_by_two_references_was_taken_twice(backend: UnderTest) -> None:
    parcel, held = await sent(backend.ledger, ref="SM1")
    await backend.ledger.observe(receipt(A.DELIVERED, held.attempt, "SM1"), NOW)
    assert not (await message_of(backend, parcel)).doubled
    # when
    await backend.ledger.observe(receipt(A.DELIVERED, held.attempt, "SM2"), NOW + 1)
    # then
    row = await message_of(backend, parcel)
    (attempt,) = await backend.records.attempts(parcel.id)
    assert (row.state, row.doubled, attempt.ref, attempt.twice) == (MessageState.DELIVERED, True, "SM1", True)
    assert [one.id for one in (await backend.records.list_messages(Page(TENANT, doubled=True))).rows] == [parcel.id]


async def test_an_answer_whose_reference_is_not_that_of_the_early_receipt_was_taken_twice(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.observe(receipt(A.SENT, held.attempt, "SM1"), NOW)
    await backend.ledger.settle(accepted(parcel, held, ref="SM2"))
    row = await message_of(backend, parcel)
    assert (row.state, row.doubled) == (MessageState.SENT, True)


async def test_a_receipt_without_a_reference_names_no_second_message(backend: UnderTest) -> None:
    parcel, held = await sent(backend.ledger, ref="SM1")
    await backend.ledger.observe(receipt(A.DELIVERED, held.attempt), NOW)
    assert not (await message_of(backend, parcel)).doubled


@pytest.mark.parametrize("proof", [A.DELIVERED, A.READ])
async def test_a_failure_after_the_delivery_is_noted_once_and_changes_nothing_else(backend: UnderTest, proof: AttemptState) -> None:
    # given
    parcel, held = await sent(backend.ledger, steps=(SMS, EMAIL))
    await backend.ledger.observe(receipt(proof, held.attempt), NOW)
    before = await message_of(backend, parcel)
    # when
    late = receipt(A.FAILED, held.attempt, reason="unreachable", detail="30003")
    seen = [await backend.ledger.observe(late, NOW + turn) for turn in range(46)]
    # then
    assert all((each.before, each.after, each.poke) == (before.state, before.state, False) for each in seen)
    assert await message_of(backend, parcel) == before
    (attempt,) = await backend.records.attempts(parcel.id)
    assert (attempt.state, attempt.reason, attempt.detail) == (proof, "unreachable", "30003")
    noted = [event for event in await backend.records.timeline(parcel.id) if event.type == CONTRADICTED]
    assert [(event.detail, event.at) for event in noted] == [("unreachable", NOW)]


async def why(backend: UnderTest, parcel: Parcel) -> tuple[AttemptState, str | None, str]:
    (attempt,) = await backend.records.attempts(parcel.id)
    return attempt.state, attempt.reason, attempt.detail


async def test_why_an_attempt_failed_is_said_by_the_word_that_failed_it_whole(backend: UnderTest) -> None:
    # given an answer that was lost
    parcel = await planned(backend.ledger, on_doubt="hold")
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.settle(lost(parcel, held, reason="lost_answer", detail="reset"))
    assert await why(backend, parcel) == (A.IN_DOUBT, "lost_answer", "reset")
    # when a receipt says that it failed, without any words
    await backend.ledger.observe(receipt(A.FAILED, held.attempt, reason="unreachable"), NOW)
    # then
    assert await why(backend, parcel) == (A.FAILED, "unreachable", "")


async def test_a_failure_without_a_reason_is_of_an_unknown_one(backend: UnderTest) -> None:
    parcel, held = await sent(backend.ledger)
    await backend.ledger.observe(receipt(A.FAILED, held.attempt, detail="E_17"), NOW)
    assert await why(backend, parcel) == (A.FAILED, "unknown", "E_17")


@pytest.mark.parametrize("proof", [A.SENT, A.DELIVERED, A.READ], ids=str)
@pytest.mark.parametrize("on_doubt", ["hold", "resend"])
async def test_what_was_taken_after_all_has_no_reason_any_more(backend: UnderTest, proof: AttemptState, on_doubt: str) -> None:
    parcel = await planned(backend.ledger, on_doubt=on_doubt)
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.settle(lost(parcel, held, reason="lost_answer", detail="reset"))
    await backend.ledger.observe(receipt(proof, held.attempt, detail="delivered"), NOW)
    assert await why(backend, parcel) == (proof, None, "")


async def test_a_doubt_that_a_person_settles_keeps_its_reason_only_where_it_failed(backend: UnderTest) -> None:
    found = []
    for verdict in ("sent", "failed"):
        parcel = await planned(backend.ledger, on_doubt="hold")
        held = await claimed(backend.ledger, parcel)
        await backend.ledger.settle(lost(parcel, held, reason="lost_answer", detail="reset"))
        await backend.ledger.resolve(TENANT, parcel.id, verdict, NOW)
        found.append(await why(backend, parcel))
    assert found == [(A.SENT, None, ""), (A.FAILED, "lost_answer", "resolved by hand")]


async def test_what_was_taken_with_a_reason_keeps_it_with_its_words(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await backend.ledger.settle(accepted(parcel, await claimed(backend.ledger, parcel), reason="rejected", detail="1 of 2 refused"))
    assert await why(backend, parcel) == (A.SENT, "rejected", "1 of 2 refused")
    other = await planned(backend.ledger)
    await backend.ledger.settle(accepted(other, await claimed(backend.ledger, other), detail="queued"))
    assert await why(backend, other) == (A.SENT, None, "")


async def test_a_failure_that_came_before_the_delivery_and_is_repeated_after_it_is_noted_no_more(backend: UnderTest) -> None:
    # given
    parcel, held = await sent(backend.ledger)
    bounce = receipt(A.FAILED, held.attempt, reason="unreachable", detail="30003", happened=Happening.BOUNCED.value)
    await backend.ledger.observe(bounce, NOW)
    await backend.ledger.observe(receipt(A.DELIVERED, held.attempt, detail="delivered"), NOW)
    before = await kinds_of(backend, parcel)
    # when
    await backend.ledger.observe(bounce, NOW + 1)
    # then: and its words are those of one and the same report
    assert await kinds_of(backend, parcel) == before
    assert CONTRADICTED not in before
    assert await why(backend, parcel) == (A.DELIVERED, "unreachable", "30003")


H = Happening
ONCE_EACH = [
    (A.DELIVERED, H.COMPLAINED, "abuse", "message.complained"),
    (A.READ, H.CLICKED, "", "message.clicked"),
    (A.DELIVERED, H.UNSUBSCRIBED, "", "message.unsubscribed"),
    (A.DELIVERED, H.OPENED_BY_MACHINE, "open", "message.opened_by_machine"),
]


async def told(backend: UnderTest, parcel: str) -> list[tuple[str, str]]:
    events = await backend.records.timeline(parcel)
    return [(event.type, event.detail) for event in events if event.message is not None]


async def test_what_a_receipt_reports_beside_a_state_is_told_once_however_often_it_comes(backend: UnderTest) -> None:
    for state, happened, more, type_ in ONCE_EACH:
        # given
        parcel, held = await sent(backend.ledger)
        sighting = receipt(state, held.attempt, happened=happened.value, more=more)
        # when: at once, one after another, and when it has been told long ago
        await asyncio.gather(*(backend.ledger.observe(sighting, NOW) for _ in range(23)))
        for turn in range(23):
            await backend.ledger.observe(sighting, NOW + MINUTE + turn)
        # then: after what it proves
        reached = "message.read" if state is A.READ else "message.delivered"
        assert await told(backend, parcel.id) == [("message.sent", ""), (reached, ""), (type_, more)]


async def test_a_bounce_is_told_before_what_comes_of_it_and_once_of_each_attempt(backend: UnderTest) -> None:
    # given
    parcel, held = await sent(backend.ledger, steps=(SMS, EMAIL))
    bounce = receipt(A.FAILED, held.attempt, reason="unreachable", happened=H.BOUNCED.value, more="soft")
    # when
    for turn in range(46):
        await backend.ledger.observe(bounce, NOW + turn)
    # then
    first = [("message.sent", ""), ("message.bounced", "soft"), ("message.queued", "unreachable")]
    assert await told(backend, parcel.id) == first
    # when: the next step comes to the same
    (following,) = await backend.waiting.due(NOW + MINUTE, 10)
    again = await claimed(backend.ledger, following, "token-2")
    await backend.ledger.settle(accepted(following, again))
    await backend.ledger.observe(receipt(A.FAILED, again.attempt, reason="unreachable", happened=H.BOUNCED.value, more="hard"), NOW)
    # then
    second = [("message.sent", ""), ("message.bounced", "hard"), ("message.failed", "unreachable")]
    assert (await told(backend, parcel.id))[-3:] == second


async def test_a_bounce_after_the_delivery_is_told_and_changes_nothing_else(backend: UnderTest) -> None:
    parcel, held = await sent(backend.ledger)
    await backend.ledger.observe(receipt(A.DELIVERED, held.attempt), NOW)
    for _ in range(3):
        await backend.ledger.observe(receipt(A.FAILED, held.attempt, happened=H.BOUNCED.value, more="hard"), NOW)
    assert await state_of(backend, parcel) == MessageState.DELIVERED
    assert sorted(await told(backend, parcel.id))[:1] == [("message.bounced", "hard")]
    assert [type_ for type_, _ in await told(backend, parcel.id)].count("message.bounced") == 1


async def test_what_is_reported_by_a_reference_before_the_answer_is_told_with_it(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    for _ in range(3):
        await backend.ledger.observe(receipt(A.DELIVERED, ref="SM9", happened=H.COMPLAINED.value), NOW)
    await backend.ledger.settle(accepted(parcel, held, ref="SM9"))
    await backend.ledger.observe(receipt(A.DELIVERED, ref="SM9", happened=H.COMPLAINED.value), NOW)
    assert [type_ for type_, _ in await told(backend, parcel.id)].count("message.complained") == 1


def test_plain_receipts_and_bounces_ask_nothing_of_what_was_told() -> None:
    plain = [receipt(state) for state in A]
    assert not told_once([*plain, receipt(A.FAILED, happened=H.BOUNCED.value)])
    assert all(told_once([*plain, receipt(state, happened=happened.value)]) for state, happened, _, _ in ONCE_EACH)
