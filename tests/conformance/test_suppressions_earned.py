"""What evidence puts on the list of suppressions, in the transaction in which it joins its attempt."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from sendwright.model.ids import message_of
from sendwright.model.parcel import Parcel, Step
from sendwright.model.people import EVERYBODY, Suppression
from sendwright.model.records import Claimed, Refused
from sendwright.model.states import AttemptState, MessageState
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import (
    EMAIL,
    MARKER,
    NOW,
    SMS,
    TENANT,
    accepted,
    claim,
    claimed,
    lost,
    outcome,
    plan,
    planned,
    receipt,
    rejected,
    sent,
)

backend = every_backend()

A = AttemptState
PUSH = Step("push", "a-token-of-some-device")


async def listed(backend: UnderTest, address: str) -> list[Suppression]:
    return list(await backend.suppressions.find([TENANT, EVERYBODY], MARKER.addresses(address), NOW))


def failed(parcel: Parcel, held: Any, reason: str, state: AttemptState = A.REJECTED) -> Any:
    """The provider's refusal, for that reason."""
    decision = rejected(parcel, held).decision
    return outcome(parcel, held, state, decision, reason=reason, detail="no such user +15550100001")


@pytest.mark.parametrize(
    ("step", "reason", "source", "tenant"),
    [
        (EMAIL, "invalid_address", "bounce", TENANT),
        (EMAIL, "opted_out", "unsubscribe", TENANT),
        (PUSH, "invalid_address", "dead_token", TENANT),
        (SMS, "opted_out", "stop", EVERYBODY),
        (SMS, "invalid_address", None, None),
        (EMAIL, "blocked", None, None),
        (EMAIL, "content", None, None),
        (PUSH, "unreachable", None, None),
    ],
    ids=lambda value: getattr(value, "channel", value),
)
@pytest.mark.parametrize("how", ["an answer", "a receipt"])
async def test_evidence_lists_an_address_for_some_reasons(
    backend: UnderTest, step: Step, reason: str, source: str | None, tenant: str | None, how: str
) -> None:
    # when
    if how == "an answer":
        parcel = await planned(backend.ledger, steps=(step,))
        await backend.ledger.settle(failed(parcel, await claimed(backend.ledger, parcel), reason))
    else:
        _, held = await sent(backend.ledger, steps=(step,))
        await backend.ledger.observe(receipt(A.FAILED, held.attempt, reason=reason), NOW)
    # then
    found = await listed(backend, step.address)
    assert [(row.source, row.tenant, row.reason, row.channel) for row in found] == (
        [] if source is None else [(source, tenant, reason, step.channel)]
    )
    # and the next message to it is not claimed
    another = await planned(backend.ledger, steps=(step,))
    answer = await backend.ledger.claim(claim(another, marks=MARKER.addresses(step.address)))
    assert isinstance(answer, Refused) == (source is not None)


async def test_a_receipt_that_came_before_its_reference_lists_the_address_when_it_joins(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, steps=(EMAIL,))
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.observe(receipt(A.FAILED, ref="ref-1", reason="invalid_address"), NOW)
    assert await listed(backend, EMAIL.address) == []
    await backend.ledger.settle(accepted(parcel, held, ref="ref-1"))
    assert [row.source for row in await listed(backend, EMAIL.address)] == ["bounce"]


async def test_a_bounce_that_comes_after_the_delivery_lists_the_address_and_the_message_stays_delivered(backend: UnderTest) -> None:
    parcel, held = await sent(backend.ledger, steps=(EMAIL,))
    await backend.ledger.observe(receipt(A.DELIVERED, held.attempt), NOW)
    await backend.ledger.observe(receipt(A.FAILED, held.attempt, reason="invalid_address"), NOW)
    assert [row.source for row in await listed(backend, EMAIL.address)] == ["bounce"]
    row = await backend.records.message(TENANT, parcel.id)
    assert row is not None
    assert row.state == MessageState.DELIVERED


async def test_a_receipt_that_is_repeated_does_not_list_again_whom_somebody_has_lifted(backend: UnderTest) -> None:
    _, held = await sent(backend.ledger, steps=(EMAIL,))
    bounce = receipt(A.FAILED, held.attempt, reason="invalid_address")
    await backend.ledger.observe(bounce, NOW)
    (row,) = await listed(backend, EMAIL.address)
    assert await backend.suppressions.lift(TENANT, row.id)
    await backend.ledger.observe(bounce, NOW)
    assert await listed(backend, EMAIL.address) == []


async def test_the_later_step_of_a_message_is_listed_by_its_own_address(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    await backend.ledger.settle(rejected(parcel, await claimed(backend.ledger, parcel)))
    (second,) = await backend.waiting.due(NOW, 10)
    held = await claimed(backend.ledger, second, "token-2")
    await backend.ledger.settle(
        outcome(second, held, A.REJECTED, rejected(second, held).decision, "token-2", reason="invalid_address")
    )
    assert [row.channel for row in await listed(backend, EMAIL.address)] == ["email"]
    assert await listed(backend, SMS.address) == []


async def test_who_opts_out_on_whatsapp_opts_out_of_marketing(backend: UnderTest) -> None:
    step = Step("whatsapp", SMS.address)
    _, held = await sent(backend.ledger, steps=(step,))
    await backend.ledger.observe(receipt(A.FAILED, held.attempt, reason="opted_out"), NOW)
    assert [(row.source, row.category, row.tenant) for row in await listed(backend, SMS.address)] == [
        ("unsubscribe", "marketing", TENANT)
    ]


async def test_who_has_it_and_wants_no_more_is_sent_no_marketing_and_all_else(backend: UnderTest) -> None:
    # given one that was delivered, and of which the vendor says so later, more than once
    _, held = await sent(backend.ledger, steps=(EMAIL,))
    await backend.ledger.observe(receipt(A.DELIVERED, held.attempt), NOW)
    leaving = receipt(A.DELIVERED, held.attempt, reason="opted_out", detail="unsubscribe")
    for _ in range(2):
        await backend.ledger.observe(leaving, NOW)
    # then
    (row,) = await listed(backend, EMAIL.address)
    assert (row.source, row.category, row.tenant, row.reason) == ("unsubscribe", "marketing", TENANT, "opted_out")
    ((attempt),) = await backend.records.attempts(message_of(held.attempt))
    assert (attempt.state, attempt.reason, attempt.detail) == (A.DELIVERED, "opted_out", "unsubscribe")
    for category, granted in (("marketing", False), ("transactional", True)):
        ((parcel,),) = await backend.ledger.plan([msgspec.structs.replace(plan(steps=(EMAIL,)), category=category)])
        answer = await backend.ledger.claim(claim(parcel, parcel.id, marks=MARKER.addresses(EMAIL.address)))
        assert isinstance(answer, Claimed if granted else Refused)
    # and one that is told again does not put back whom somebody has lifted
    assert await backend.suppressions.lift(TENANT, row.id)
    await backend.ledger.observe(leaving, NOW)
    assert await listed(backend, EMAIL.address) == []


async def test_who_complains_is_listed_for_that(backend: UnderTest) -> None:
    _, held = await sent(backend.ledger, steps=(EMAIL,))
    complaint = receipt(A.DELIVERED, held.attempt, reason="opted_out", happened="complained")
    for _ in range(2):
        await backend.ledger.observe(complaint, NOW)
    (row,) = await listed(backend, EMAIL.address)
    assert (row.source, row.category, row.tenant, row.reason) == ("complaint", "marketing", TENANT, "opted_out")


async def test_who_reads_it_first_and_unsubscribes_then_is_listed_too(backend: UnderTest) -> None:
    _, held = await sent(backend.ledger, steps=(EMAIL,))
    await backend.ledger.observe(receipt(A.READ, held.attempt), NOW)
    await backend.ledger.observe(receipt(A.DELIVERED, held.attempt, reason="opted_out"), NOW)
    assert [row.category for row in await listed(backend, EMAIL.address)] == ["marketing"]


async def test_what_only_this_sender_can_not_reach_is_not_listed(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, steps=(PUSH,))
    held = await claimed(backend.ledger, parcel)
    decision = rejected(parcel, held).decision
    await backend.ledger.settle(outcome(parcel, held, A.REJECTED, decision, reason="invalid_address", lasting=False))
    assert await listed(backend, PUSH.address) == []


async def test_a_lost_answer_lists_nobody(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger, steps=(EMAIL,))
    await backend.ledger.settle(lost(parcel, await claimed(backend.ledger, parcel), reason="invalid_address"))
    assert await listed(backend, EMAIL.address) == []


async def test_a_wave_of_bounces_beside_claims_blocks_nobody_for_good(backend: UnderTest) -> None:
    steps = [Step("email", f"user-{number}@example.org") for number in range(60)]
    waves = [await sent(backend.ledger, steps=(step,)) for step in steps]
    parcels = [await planned(backend.ledger, steps=(step,)) for step in steps]
    async with asyncio.timeout(20):
        await asyncio.gather(
            *(backend.ledger.observe(receipt(A.FAILED, held.attempt, reason="invalid_address"), NOW) for _, held in waves),
            *(backend.ledger.claim(claim(parcel, parcel.id, marks=MARKER.addresses(parcel.address))) for parcel in parcels),
            *(backend.ledger.cancel(TENANT, parcel.id, NOW) for parcel, _ in waves),
        )
    found = await backend.suppressions.page(TENANT, 100, None, NOW)
    assert len(found) == 60
