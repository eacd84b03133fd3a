"""What every ledger promises (engine/ports.py, Ledger): park, end, advance."""

from __future__ import annotations

import pytest

from sendwright.model.content import Content
from sendwright.model.ids import message_id
from sendwright.model.notification import Priority
from sendwright.model.parcel import Parcel
from sendwright.model.records import Wait
from sendwright.model.states import MessageState
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
    message_of,
    new_id,
    planned,
    rejected,
    sent,
)

backend = every_backend()

ENDED = [MessageState.FAILED, MessageState.EXPIRED]


async def test_a_parked_message_has_its_wait_and_keeps_its_state(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    wait = Wait("provider", NOW + MINUTE, key="provider:x", name="x", until=NOW + 5)
    assert await backend.ledger.park(parcel, wait, NOW + 1)
    row = await message_of(backend, parcel)
    assert row.state == MessageState.QUEUED
    assert (row.wait.kind, row.wait.due_at, row.wait.key, row.wait.name, row.wait.until) == (
        "provider",
        NOW + MINUTE,
        "provider:x",
        "x",
        NOW + 5,
    )


async def test_a_parked_message_says_why_until_it_is_sent(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger)
    # when
    assert await backend.ledger.park(parcel, Wait("time", NOW + 5), NOW, "unreachable", "connect: refused")
    # then
    row = await message_of(backend, parcel)
    assert (row.reason, row.detail) == ("unreachable", "connect: refused")
    # when it is parked again for something else, that is still the last that is known
    assert await backend.ledger.park(parcel, Wait("rate", None, key="provider:x"), NOW + 6)
    row = await message_of(backend, parcel)
    assert (row.reason, row.detail) == ("unreachable", "connect: refused")
    # when it is sent
    assert await backend.ledger.settle(accepted(parcel, await claimed(backend.ledger, parcel))) == MessageState.SENT
    row = await message_of(backend, parcel)
    assert (row.reason, row.detail) == (None, "")


async def test_parking_anew_replaces_the_wait(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await backend.ledger.park(parcel, Wait("provider", None, key="provider:x"), NOW)
    await backend.ledger.park(parcel, Wait("rate", None, key="provider:y"), NOW)
    assert await backend.waiting.parked() == {("provider:y", Priority.NORMAL): 1}


async def test_parking_anew_replaces_the_time(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger)
    await backend.ledger.park(parcel, Wait("rate", NOW + 1, key="provider:x"), NOW)
    # when
    await backend.ledger.park(parcel, Wait("rate", NOW + 5, key="provider:x"), NOW)
    # then
    assert (await message_of(backend, parcel)).wait.due_at == NOW + 5
    assert list(await backend.waiting.due(NOW + 4, 10)) == []
    assert [due.id for due in await backend.waiting.due(NOW + 5, 10)] == [parcel.id]
    # and without a time it is never due
    await backend.ledger.park(parcel, Wait("rate", None, key="provider:x"), NOW)
    assert list(await backend.waiting.due(NOW + MINUTE, 10)) == []


async def _claimed_away(backend: UnderTest, parcel: Parcel) -> None:
    await claimed(backend.ledger, parcel)


async def _tried_once(backend: UnderTest, parcel: Parcel) -> None:
    await backend.ledger.settle(later(parcel, await claimed(backend.ledger, parcel)))


async def _sent(backend: UnderTest, parcel: Parcel) -> None:
    await backend.ledger.settle(accepted(parcel, await claimed(backend.ledger, parcel)))


async def _cancelled(backend: UnderTest, parcel: Parcel) -> None:
    await backend.ledger.cancel(TENANT, parcel.id, NOW)


async def _advanced(backend: UnderTest, parcel: Parcel) -> None:
    await backend.ledger.advance(parcel, 1, "unreachable", "", NOW)


OVERTAKEN = [_claimed_away, _tried_once, _sent, _cancelled, _advanced]


@pytest.mark.parametrize("overtaken", OVERTAKEN, ids=lambda each: each.__name__.lstrip("_"))
@pytest.mark.parametrize("method", ["park", "end", "advance"])
async def test_a_stale_parcel_changes_nothing(backend: UnderTest, overtaken: object, method: str) -> None:
    # given
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL, SMS))
    await overtaken(backend, parcel)  # type: ignore[operator]
    before = await message_of(backend, parcel)
    # when
    calls = {
        "park": lambda: backend.ledger.park(parcel, Wait("rate", None, key="provider:x"), NOW + 1),
        "end": lambda: backend.ledger.end(parcel, MessageState.EXPIRED, "expired", "", NOW + 1),
        "advance": lambda: backend.ledger.advance(parcel, 2, "unreachable", "", NOW + 1),
    }
    answer = await calls[method]()
    # then
    assert answer is False
    assert await message_of(backend, parcel) == before
    assert await backend.waiting.parked() == {}


@pytest.mark.parametrize("method", ["park", "end", "advance"])
async def test_a_message_that_nobody_knows_is_not_parked_ended_or_advanced(backend: UnderTest, method: str) -> None:
    unknown = Parcel(message_id(new_id(), 0), TENANT, (SMS, EMAIL), Content(body="?"), NOW)
    calls = {
        "park": lambda: backend.ledger.park(unknown, Wait("time", NOW), NOW),
        "end": lambda: backend.ledger.end(unknown, MessageState.FAILED, "unknown", "", NOW),
        "advance": lambda: backend.ledger.advance(unknown, 1, "unknown", "", NOW),
    }
    assert await calls[method]() is False
    assert await backend.waiting.next_due() is None


@pytest.mark.parametrize("state", ENDED, ids=str)
async def test_ending_a_message_takes_its_wait_and_says_why(backend: UnderTest, state: MessageState) -> None:
    # given
    parcel = await planned(backend.ledger)
    await backend.ledger.park(parcel, Wait("rate", NOW + MINUTE, key="provider:x"), NOW)
    # when
    assert await backend.ledger.end(parcel, state, "no_provider", "none is left", NOW + 7)
    # then
    row = await message_of(backend, parcel)
    assert (row.state, row.reason, row.detail, row.wait) == (state, "no_provider", "none is left", None)
    assert row.updated_at == NOW + 7
    assert row.dead == (state == MessageState.FAILED)
    assert await kinds_of(backend, parcel) == [f"message.{state.label}"]
    assert await backend.ledger.end(parcel, state, "no_provider", "none is left", NOW + 8) is False


async def test_an_advanced_message_is_due_at_once_at_the_later_step_with_nothing_tried(backend: UnderTest) -> None:
    # given
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    await backend.ledger.settle(later(parcel, await claimed(backend.ledger, parcel)))
    (retry,) = await backend.waiting.due(NOW + MINUTE, 10)
    assert (retry.calls, retry.round.later) == (1, ("twilio-main",))
    # when
    assert await backend.ledger.advance(retry, 1, "unreachable", "no answer", NOW + MINUTE)
    # then
    (parcel,) = await backend.waiting.due(NOW + MINUTE, 10)
    assert (parcel.step, parcel.number, parcel.calls, parcel.backoff_s, parcel.round.later) == (1, 1, 0, 0, ())
    assert parcel.channel == "email"
    await claimed(backend.ledger, parcel, "token-2")


@pytest.mark.parametrize("step", [0, 2, 7])
async def test_a_message_is_not_advanced_to_a_step_that_is_not_a_later_one_of_its_plan(backend: UnderTest, step: int) -> None:
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    assert await backend.ledger.advance(parcel, step, "unreachable", "", NOW) is False
    assert await backend.waiting.next_due() is None


async def test_the_last_rejection_fails_the_message_and_lists_it_in_the_dead_letters(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    state = await backend.ledger.settle(rejected(parcel, await claimed(backend.ledger, parcel)))
    row = await message_of(backend, parcel)
    assert state == row.state == MessageState.FAILED
    assert (row.dead, row.reason, row.wait) == (True, "blocked", None)


async def test_what_was_sent_is_not_parked_again(backend: UnderTest) -> None:
    parcel, _ = await sent(backend.ledger)
    assert await backend.ledger.park(parcel, Wait("time", NOW), NOW) is False
    assert await backend.waiting.next_due() is None
