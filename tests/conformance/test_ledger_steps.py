"""What every ledger promises (engine/ports.py, Ledger): park, end, advance."""

from __future__ import annotations

import pytest

from sendwright.model.content import Content
from sendwright.model.ids import message_id
from sendwright.model.notification import Priority
from sendwright.model.parcel import Parcel
from sendwright.model.records import Page, Wait
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
    new_id,
    planned,
    receipt,
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


# Where a message says that it goes

BY_SMS = ("sms", SMS.address, "twilio-main")
BY_EMAIL = ("email", EMAIL.address, None)


async def place_of(backend: UnderTest, parcel: Parcel) -> tuple[str | None, str | None, str | None]:
    row = await message_of(backend, parcel)
    return row.channel, row.address, row.provider


async def on_to_email(backend: UnderTest, **changed: object) -> Parcel:
    """The parcel of a message whose first step was refused, and which waits at its second."""
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL), **changed)
    await backend.ledger.settle(rejected(parcel, await claimed(backend.ledger, parcel)))
    (second,) = [due for due in await backend.waiting.due(NOW, 10) if due.id == parcel.id]
    return second


async def test_a_message_that_waits_at_its_next_step_goes_where_that_step_goes(backend: UnderTest) -> None:
    # given
    advanced = await planned(backend.ledger, steps=(SMS, EMAIL))
    reported, held = await sent(backend.ledger, steps=(SMS, EMAIL))
    assert await place_of(backend, advanced) == ("sms", SMS.address, None)
    assert await place_of(backend, reported) == BY_SMS
    # when
    await backend.ledger.advance(advanced, 1, "window_closed", "", NOW)
    await backend.ledger.observe(receipt(AttemptState.FAILED, held.attempt), NOW)
    refused = await on_to_email(backend)
    # then
    for parcel in (advanced, reported, refused):
        assert await place_of(backend, parcel) == BY_EMAIL
    # and so it is found
    by_email = await backend.records.list_messages(Page(TENANT, channel="email"))
    assert {row.id for row in by_email.rows} == {advanced.id, reported.id, refused.id}
    assert (await backend.records.list_messages(Page(TENANT, provider="twilio-main"))).rows == ()


@pytest.mark.parametrize("state", ENDED, ids=str)
async def test_a_message_that_ends_at_a_step_without_an_attempt_ended_there(backend: UnderTest, state: MessageState) -> None:
    second = await on_to_email(backend)
    assert await backend.ledger.end(second, state, "too_long", "", NOW)
    assert await place_of(backend, second) == BY_EMAIL
    causes = [("email", "too_long", "", 1)] if state == MessageState.FAILED else []
    assert list(await backend.records.dead_causes(TENANT)) == causes


async def test_a_claim_says_who_is_asked_and_a_later_try_at_the_same_step_keeps_it(backend: UnderTest) -> None:
    second = await on_to_email(backend)
    held = await claimed(backend.ledger, second, "token-2", provider="mailer")
    assert await place_of(backend, second) == ("email", EMAIL.address, "mailer")
    await backend.ledger.settle(later(second, held, "token-2"))
    assert await place_of(backend, second) == ("email", EMAIL.address, "mailer")
    (third,) = await backend.waiting.due(NOW + MINUTE, 10)
    held = await claimed(backend.ledger, third, "token-3", provider="other")
    await backend.ledger.settle(accepted(third, held, "token-3"))
    assert await place_of(backend, second) == ("email", EMAIL.address, "other")


async def test_a_message_that_is_sent_again_from_its_first_step_goes_there_again(backend: UnderTest) -> None:
    second = await on_to_email(backend)
    await backend.ledger.settle(rejected(second, await claimed(backend.ledger, second, "token-2"), "token-2"))
    await backend.ledger.revive(TENANT, second.id, NOW)
    assert await place_of(backend, second) == ("sms", SMS.address, None)


@pytest.mark.parametrize("proof", [AttemptState.DELIVERED, AttemptState.READ], ids=str)
async def test_what_arrives_late_arrived_where_it_was_sent(backend: UnderTest, proof: AttemptState) -> None:
    reported, held = await sent(backend.ledger, steps=(SMS, EMAIL))
    await backend.ledger.observe(receipt(AttemptState.FAILED, held.attempt), NOW)
    assert await place_of(backend, reported) == BY_EMAIL
    await backend.ledger.observe(receipt(proof, held.attempt), NOW)
    assert await place_of(backend, reported) == BY_SMS


async def test_a_doubt_that_is_held_is_of_the_call_whose_answer_was_lost(backend: UnderTest) -> None:
    # given a call whose answer was lost, another that was refused, and so the next step
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    await backend.ledger.settle(lost(parcel, await claimed(backend.ledger, parcel)))
    (again,) = await backend.waiting.due(NOW + MINUTE, 10)
    await backend.ledger.settle(rejected(again, await claimed(backend.ledger, again, "token-2", provider="other"), "token-2"))
    assert await place_of(backend, parcel) == BY_EMAIL
    # when that comes to nothing
    (second,) = await backend.waiting.due(NOW + MINUTE, 10)
    await backend.ledger.end(second, MessageState.EXPIRED, "expired", "", NOW + MINUTE)
    # then
    assert (await message_of(backend, parcel)).state == MessageState.IN_DOUBT
    assert await place_of(backend, parcel) == BY_SMS
    # and sent again by hand it goes on where it was
    await backend.ledger.resolve(TENANT, parcel.id, "resend", NOW + MINUTE)
    assert await place_of(backend, parcel) == BY_EMAIL
