"""What every ledger promises (engine/ports.py, Ledger.unheard): who was taken and never reported of is found, in its time."""

from __future__ import annotations

import asyncio

from sendwright.model.records import UNCONFIRMED, Unheard
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.lookup import FIRST_MS, UNTIL_MS
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import NOW, accepted, claimed, in_doubt, kinds_of, lost, planned, receipt

backend = every_backend()

DUE = NOW + FIRST_MS


async def _sent(backend: UnderTest, ref: str | None, look_at: int | None = DUE) -> tuple[str, str]:
    """A message that was taken, and its attempt."""
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel, look_at=look_at)
    await backend.ledger.settle(accepted(parcel, held, ref=ref))
    return parcel.id, held.attempt


async def test_one_that_was_not_reported_is_found_when_its_time_has_come_and_then_not_before_it_is_twice_as_old(
    backend: UnderTest,
) -> None:
    message, attempt = await _sent(backend, "SM1")
    assert await backend.ledger.unheard(DUE - 1, 10) == []
    assert await backend.ledger.unheard(DUE, 10) == [Unheard(attempt, "twilio-main", "SM1")]
    assert await backend.ledger.unheard(DUE + 1, 10) == []
    assert await backend.ledger.unheard(NOW + 2 * FIRST_MS - 1, 10) == []
    assert await backend.ledger.unheard(NOW + 2 * FIRST_MS, 10) == [Unheard(attempt, "twilio-main", "SM1")]
    assert await kinds_of(backend, message) == ["message.sent", UNCONFIRMED]


async def test_one_that_is_too_old_is_found_a_last_time(backend: UnderTest) -> None:
    _, attempt = await _sent(backend, "SM1")
    assert [found.attempt for found in await backend.ledger.unheard(NOW + UNTIL_MS, 10)] == [attempt]
    assert await backend.ledger.unheard(NOW + 100 * UNTIL_MS, 10) == []


async def test_what_was_reported_lost_or_never_to_be_asked_about_is_not_found(backend: UnderTest) -> None:
    _, reported = await _sent(backend, "SM1")
    await backend.ledger.observe(receipt(AttemptState.DELIVERED, reported), NOW + 1)
    _, failed = await _sent(backend, "SM2")
    await backend.ledger.observe(receipt(AttemptState.FAILED, failed), NOW + 1)
    await _sent(backend, "SM3", look_at=None)
    await in_doubt(backend.ledger)
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel, look_at=DUE)
    assert await backend.ledger.unheard(DUE, 10) == []
    await backend.ledger.settle(lost(parcel, held))
    assert await backend.ledger.unheard(DUE, 10) == []


async def test_a_receipt_that_says_no_more_than_sent_leaves_it_to_be_found(backend: UnderTest) -> None:
    _, attempt = await _sent(backend, "SM1")
    await backend.ledger.observe(receipt(AttemptState.SENT, attempt), NOW + 1)
    assert [found.attempt for found in await backend.ledger.unheard(DUE, 10)] == [attempt]


async def test_one_without_a_reference_is_unconfirmed_and_not_asked_about(backend: UnderTest) -> None:
    message, _ = await _sent(backend, None)
    assert await backend.ledger.unheard(DUE, 10) == []
    assert await kinds_of(backend, message) == ["message.sent", UNCONFIRMED]


async def test_a_message_that_arrived_by_another_attempt_is_not_unconfirmed(backend: UnderTest) -> None:
    message, attempt = await _sent(backend, "SM1")
    assert await backend.ledger.revive("acme", message, NOW + 1)
    again = (await backend.waiting.due(NOW + 1, 10))[0]
    held = await claimed(backend.ledger, again, "token-2", now=NOW + 1)
    await backend.ledger.settle(accepted(again, held, "token-2", ref="SM2"))
    await backend.ledger.observe(receipt(AttemptState.DELIVERED, held.attempt), NOW + 2)
    assert [found.attempt for found in await backend.ledger.unheard(DUE, 10)] == [attempt]
    assert UNCONFIRMED not in await kinds_of(backend, message)


async def test_no_more_than_asked_for_are_found_at_a_time_the_longest_due_first(backend: UnderTest) -> None:
    attempts = [(await _sent(backend, f"SM{place}", look_at=DUE - place))[1] for place in range(5)]
    found = [[one.attempt for one in await backend.ledger.unheard(DUE, 2)] for _ in range(4)]
    assert found == [attempts[:2:-1], attempts[2:0:-1], attempts[:1], []]


async def test_two_who_look_at_once_do_not_both_get_it(backend: UnderTest) -> None:
    attempts = {(await _sent(backend, f"SM{place}"))[1] for place in range(8)}
    both = await asyncio.gather(*(backend.ledger.unheard(DUE, 100) for _ in range(4)))
    found = [one.attempt for part in both for one in part]
    assert len(found) == len(set(found))
    assert set(found) <= attempts
    rest = [one.attempt for one in await backend.ledger.unheard(DUE, 100)]
    assert sorted(found + rest) == sorted(attempts)


async def test_what_a_look_up_finds_joins_as_a_receipt_does(backend: UnderTest) -> None:
    message, attempt = await _sent(backend, "SM1")
    (found,) = await backend.ledger.unheard(DUE, 10)
    seen = await backend.ledger.observe(receipt(AttemptState.DELIVERED, found.attempt, found.ref), DUE + 1)
    assert (seen.message, seen.after) == (message, MessageState.DELIVERED)
    assert await backend.ledger.unheard(NOW + 2 * FIRST_MS, 10) == []
    assert attempt == found.attempt
