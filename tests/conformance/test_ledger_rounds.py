"""What every ledger promises (engine/ports.py, Ledger): repeats that a provider knows, and plans that a person began anew."""

from __future__ import annotations

from msgspec.structs import replace

from sendwright.model.parcel import BOUND_MS, Round
from sendwright.model.records import Patience, Wait
from sendwright.model.states import AttemptState, MessageState
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import (
    MINUTE,
    NOW,
    TENANT,
    accepted,
    claim,
    claimed,
    later,
    lost,
    message_of,
    planned,
    receipt,
    refused,
    rejected,
    sent,
    state_of,
)

backend = every_backend()

DAY_MS = 86_400_000


def nobody_lives(_: str) -> bool:
    return False


def keeps_its_keys(_: str) -> Patience:
    return Patience(1_000, DAY_MS)


async def test_a_doubt_that_repair_finds_is_bound_to_the_provider_that_would_know_the_repeat(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await claimed(backend.ledger, parcel, provider="one")
    # when
    await backend.ledger.repair(NOW + 5_000, nobody_lives, keeps_its_keys, 8)
    # then: counted from when the call may have begun
    known = Round(keyed="one", keyed_number=1, keyed_until=NOW + DAY_MS, bound_until=NOW + 5_000 + BOUND_MS)
    assert (await message_of(backend, parcel)).round == known
    (again,) = await backend.waiting.due(NOW + 6_000, 10)
    assert again.round == known
    # and: a second doubt leaves the memory of the first
    await claimed(backend.ledger, again, "token-2", provider="one", now=NOW + 6_000, repeats=1)
    await backend.ledger.repair(NOW + 30_000, nobody_lives, keeps_its_keys, 8)
    assert (await message_of(backend, parcel)).round == known


async def test_a_repeat_is_kept_as_one_and_is_no_double(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await claimed(backend.ledger, parcel)
    await backend.ledger.repair(NOW, nobody_lives, keeps_its_keys, 8)
    (again,) = await backend.waiting.due(NOW + MINUTE, 10)
    held = await claimed(backend.ledger, again, "token-2", repeats=1)
    # when
    assert await backend.ledger.settle(accepted(again, held, "token-2", ref="SM1")) == MessageState.SENT
    # then
    assert [a.repeats for a in await backend.records.attempts(parcel.id)] == [0, 1]
    assert not (await message_of(backend, parcel)).doubled
    # and: what the vendor then tells of the first attempt joins the one call
    first = (await backend.records.attempts(parcel.id))[0]
    moved = await backend.ledger.observe(receipt(AttemptState.DELIVERED, attempt=first.id, ref="SM1"), NOW + MINUTE)
    assert moved.after == MessageState.DELIVERED
    assert not (await message_of(backend, parcel)).doubled


async def test_a_doubt_that_a_person_has_sent_again_keeps_who_would_know_the_repeat(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, on_doubt="hold")
    await claimed(backend.ledger, parcel, provider="one")
    await backend.ledger.repair(NOW, nobody_lives, keeps_its_keys, 8)
    assert await state_of(backend, parcel) == MessageState.IN_DOUBT
    # when
    await backend.ledger.resolve(TENANT, parcel.id, "resend", NOW + MINUTE)
    # then
    (again,) = await backend.waiting.due(NOW + MINUTE, 10)
    assert again.round == Round(keyed="one", keyed_number=1, keyed_until=NOW + DAY_MS, bound_until=NOW + MINUTE + BOUND_MS)


async def test_what_a_person_has_sent_again_obeys_its_own_decisions_though_it_was_sent_before(backend: UnderTest) -> None:
    parcel, _ = await sent(backend.ledger)
    assert await backend.ledger.revive(TENANT, parcel.id, NOW)
    (again,) = await backend.waiting.due(NOW, 10)
    assert (again.number, again.since, again.round) == (1, 1, Round())
    # when: it is put off
    held = await claimed(backend.ledger, again, "token-2")
    assert await backend.ledger.settle(later(again, held, "token-2")) == MessageState.QUEUED
    # then: it comes again, and when that comes to nothing it is what it was
    (third,) = await backend.waiting.due(NOW + MINUTE, 10)
    assert (third.number, third.since) == (2, 1)
    held = await claimed(backend.ledger, third, "token-3")
    assert await backend.ledger.settle(rejected(third, held, "token-3")) == MessageState.SENT
    assert not (await message_of(backend, parcel)).dead


async def test_what_may_have_been_taken_does_not_fail_by_the_refusal_of_another_call(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await backend.ledger.settle(lost(parcel, await claimed(backend.ledger, parcel)))
    (again,) = await backend.waiting.due(NOW + MINUTE, 10)
    held = await claimed(backend.ledger, again, "token-2")
    # when
    assert await backend.ledger.settle(rejected(again, held, "token-2")) == MessageState.IN_DOUBT
    # then: only when the doubt is refuted, too
    row = await message_of(backend, parcel)
    assert (row.dead, row.reason) == (False, "lost_answer")
    first = (await backend.records.attempts(parcel.id))[0]
    moved = await backend.ledger.observe(receipt(AttemptState.REJECTED, attempt=first.id), NOW + MINUTE)
    assert moved.after == MessageState.FAILED


async def test_what_was_parked_keeps_all_that_its_round_has_learned(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    learned = Round(("one",), ("two",), NOW + 5, "three", 3, NOW + 6, NOW + 7, NOW + 8)
    # when
    assert await backend.ledger.park(replace(parcel, round=learned), Wait("time", NOW), NOW)
    # then
    (again,) = await backend.waiting.due(NOW, 10)
    assert again.round == learned


async def test_a_parcel_from_before_a_person_had_it_sent_again_is_of_no_use(backend: UnderTest) -> None:
    # given: its second try was on a lane when it failed by a receipt and was replayed
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.settle(later(parcel, held))
    (old,) = await backend.waiting.due(NOW + MINUTE, 10)
    await backend.ledger.end(old, MessageState.FAILED, "unreachable", "", NOW)
    assert await backend.ledger.revive(TENANT, parcel.id, NOW)
    # then
    assert refused(await backend.ledger.claim(claim(old, "token-2"))) == "number"
    assert not await backend.ledger.park(replace(old, round=Round(keyed="one")), Wait("time", NOW + 1), NOW)
    assert not await backend.ledger.end(old, MessageState.FAILED, "unreachable", "", NOW)
    (again,) = await backend.waiting.due(NOW, 10)
    assert (again.since, again.round) == (1, Round())
    await claimed(backend.ledger, again, "token-3")


# Calls that several messages share


async def test_the_call_that_a_claim_shares_is_known_from_the_claim_on_and_no_settlement_takes_it_away(backend: UnderTest) -> None:
    parcels = [await planned(backend.ledger) for _ in range(3)]
    calls = ["call_1-7", "call_1-7", None]
    held = [await claimed(backend.ledger, parcel, call=call) for parcel, call in zip(parcels, calls, strict=True)]

    async def told() -> list[list[str | None]]:
        return [[attempt.call for attempt in await backend.records.attempts(parcel.id)] for parcel in parcels]

    assert await told() == [["call_1-7"], ["call_1-7"], [None]]
    # when: one is taken, one is not, and the next try of that one goes alone
    await backend.ledger.settle(accepted(parcels[0], held[0]))
    await backend.ledger.settle(later(parcels[1], held[1]))
    again = replace(parcels[1], number=1, wait=(await message_of(backend, parcels[1])).wait.serial)
    await backend.ledger.claim(claim(again, "token-2"))
    # then: also for who comes after a crash
    backend = await backend.restart()
    assert await told() == [["call_1-7"], ["call_1-7", None], [None]]
