"""What every sweeper promises (engine/ports.py, Sweeper): what is over goes in its time, and nothing that is not."""

from __future__ import annotations

import pytest

from sendwright.model.ids import attempt_id, message_id, notification_of
from sendwright.model.notification import Priority
from sendwright.model.parcel import lane
from sendwright.model.records import Conflict, Taken, Wait
from sendwright.model.states import AttemptState, MessageState
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import (
    NOW,
    TENANT,
    accepted,
    birth,
    claimed,
    in_doubt,
    new_id,
    offer,
    plan,
    planned,
    receipt,
    refused,
    rejected,
    scheduled,
    sent,
    state_of,
)
from tests.conformance.builders import claim as claim_of
from tests.conformance.test_audit import accept_and_plan

backend = every_backend()

HOUR = 3_600_000
DAY = 24 * HOUR
YEAR = 365 * DAY
CONTENT = 30 * DAY
EVENTS = 90 * DAY
KEYS = 7 * DAY


async def swept(backend: UnderTest, now: int, *, keys: int = KEYS, content: int = CONTENT, events: int = EVENTS) -> None:
    """One whole sweep, as the process makes it."""
    turns = 0
    while await backend.sweeper.slice(keys_before=now - keys, content_before=now - content, rows_before=now - events):
        turns += 1
        assert turns < 1000, "a sweep comes to its end"


async def said(backend: UnderTest, message: str) -> str | None:
    """What a message's notification says, or None when that is forgotten."""
    record = await backend.records.notification(TENANT, notification_of(message))
    assert record is not None
    assert record.content is not None
    return record.content.body


async def stored(backend: UnderTest, message: str) -> bool:
    """Whether a message is there, which it is with its notification, events and attempts, or without all of them."""
    notification = await backend.records.notification(TENANT, notification_of(message)) is not None
    row = await backend.records.message(TENANT, message)
    assert (row is not None) == notification
    assert bool(await backend.records.timeline(message)) == notification
    assert len(await backend.records.attempts(message)) == (row.number if row else 0)
    return notification


async def test_content_goes_before_the_rows_and_each_when_its_time_has_passed(backend: UnderTest) -> None:
    parcel, _ = await sent(backend.ledger)
    await swept(backend, NOW + CONTENT)
    assert await said(backend, parcel.id) == "Hello"
    await swept(backend, NOW + CONTENT + 1)
    assert await said(backend, parcel.id) is None
    await swept(backend, NOW + EVENTS)
    assert await stored(backend, parcel.id)
    await swept(backend, NOW + EVENTS + 1)
    assert not await stored(backend, parcel.id)


async def test_what_was_sent_long_after_it_was_accepted_is_kept_as_long_as_any_other(backend: UnderTest) -> None:
    # given
    due = NOW + YEAR
    message = await scheduled(backend.ledger, due)
    (parcel,) = await backend.waiting.due(due, 10)
    await backend.waiting.promoted([parcel], due)
    held = await claimed(backend.ledger, parcel, now=due)
    await backend.ledger.settle(accepted(parcel, held, at=due))
    # when, then
    await swept(backend, due + CONTENT)
    assert await said(backend, message) == "Hello"
    await swept(backend, due + CONTENT + 1)
    assert await said(backend, message) is None
    await swept(backend, due + EVENTS)
    assert await stored(backend, message)
    await swept(backend, due + EVENTS + 1)
    assert not await stored(backend, message)


async def test_a_late_receipt_makes_it_young_again(backend: UnderTest) -> None:
    parcel, held = await sent(backend.ledger)
    later = NOW + 80 * DAY
    await backend.ledger.observe(receipt(AttemptState.FAILED, held.attempt), later)
    await swept(backend, later + CONTENT)
    assert await said(backend, parcel.id) == "Hello"
    await swept(backend, later + EVENTS)
    assert (await backend.records.message(TENANT, parcel.id)).dead  # type: ignore[union-attr]


@pytest.mark.parametrize("moved", ["dropped", "resolved"])
async def test_what_a_person_does_makes_it_young_again(backend: UnderTest, moved: str) -> None:
    # given
    later = NOW + 80 * DAY
    if moved == "dropped":
        parcel = await planned(backend.ledger)
        await backend.ledger.settle(rejected(parcel, await claimed(backend.ledger, parcel)))
        assert await backend.ledger.drop(TENANT, parcel.id, later)
    else:
        parcel, _ = await in_doubt(backend.ledger)
        assert await backend.ledger.resolve(TENANT, parcel.id, "sent", later) == MessageState.SENT
    # when, then
    await swept(backend, later + EVENTS)
    assert await stored(backend, parcel.id)
    await swept(backend, later + EVENTS + 1)
    assert not await stored(backend, parcel.id)


async def test_one_message_that_is_not_settled_keeps_its_notification_whole(backend: UnderTest) -> None:
    # given
    ntf = new_id()
    wait = Wait("time", NOW + YEAR)
    births = (birth(ntf, 0), birth(ntf, 1, state=MessageState.SCHEDULED, wait=wait))
    ((first,),) = await backend.ledger.plan([plan(*births, notification=ntf)])
    await backend.ledger.settle(accepted(first, await claimed(backend.ledger, first)))
    # when
    await swept(backend, NOW + YEAR - 1)
    # then
    assert await stored(backend, first.id)
    assert await stored(backend, message_id(ntf, 1))
    assert await said(backend, first.id) == "Hello"
    (parcel,) = await backend.waiting.due(NOW + YEAR, 10)
    assert parcel.content.body == "Hello"


@pytest.mark.slow
async def test_the_old_ones_do_not_hide_behind_those_that_have_to_stay(backend: UnderTest) -> None:
    """More of them than a slice looks at, of many recipients and of one."""
    # given
    staying = []
    for _ in range(450):
        ntf = new_id()
        staying.append(plan(birth(ntf, state=MessageState.SCHEDULED, wait=Wait("time", NOW + YEAR)), notification=ntf))
    ntf = new_id()
    many = plan(*(birth(ntf, ordinal, state=MessageState.CANCELLED) for ordinal in range(300)), notification=ntf)
    await backend.ledger.plan([*staying, many])
    parcel, _ = await sent(backend.ledger)
    # when
    await swept(backend, NOW + EVENTS + 1)
    # then
    assert not await stored(backend, parcel.id)
    assert not await stored(backend, message_id(ntf, 299))
    assert all([await stored(backend, message_id(one.id, 0)) for one in staying])


async def test_the_next_sweep_finds_what_the_last_one_passed_by(backend: UnderTest) -> None:
    message = await scheduled(backend.ledger, NOW + YEAR)
    await swept(backend, NOW + EVENTS + 1)
    await backend.ledger.cancel(TENANT, message, NOW + EVENTS + 1)
    await swept(backend, NOW + EVENTS + 2)
    assert await stored(backend, message)
    await swept(backend, NOW + 2 * EVENTS + 2)
    assert not await stored(backend, message)


async def test_a_cancellation_of_what_was_never_planned_goes_too(backend: UnderTest) -> None:
    ntf = new_id()
    await backend.ledger.cancel(TENANT, ntf, NOW + DAY)
    await swept(backend, NOW + DAY + EVENTS)
    assert await backend.records.notification(TENANT, ntf) is not None
    await swept(backend, NOW + DAY + EVENTS + 1)
    assert await backend.records.notification(TENANT, ntf) is None


async def test_a_key_is_free_again_after_its_time(backend: UnderTest) -> None:
    first = offer(key="order-1")
    await backend.desk.offer(first)
    await swept(backend, NOW + KEYS)
    assert await backend.desk.stored(TENANT, "order-1") == first.id
    assert await backend.desk.offer(offer(key="order-1", fingerprint=b"other")) == Conflict()
    await swept(backend, NOW + KEYS + 1)
    assert await backend.desk.stored(TENANT, "order-1") is None
    second = offer(key="order-1", fingerprint=b"other", at=NOW + KEYS + 1)
    assert await backend.desk.offer(second) == Taken(second.id)


async def test_the_recount_stays_clean_while_old_rows_go(backend: UnderTest) -> None:
    # given: of one process the first waits on, the last moved lately, and those between are over
    first, *between, last = await accept_and_plan(backend, 6)
    while backend.bus.depth(name := lane("sms", Priority.NORMAL)):
        await backend.bus.done(await backend.bus.take(name))
    await backend.ledger.park(first, Wait("rate", None, key="route:sms"), NOW)
    for parcel, at in ((last, NOW + EVENTS), *((one, NOW) for one in between)):
        held = await claimed(backend.ledger, parcel, parcel.id, now=at)
        await backend.ledger.settle(accepted(parcel, held, parcel.id, at=at))
    # when
    await swept(backend, NOW + EVENTS + 1)
    # then
    audit = await backend.records.audit()
    assert audit.violations == ()
    assert audit.by_state == {"queued": 1, "sent": 1}
    # and after a crash
    again = await backend.restart()
    assert (await again.records.audit()).violations == ()


# Without content


async def test_nothing_is_sent_again_whose_content_is_gone(backend: UnderTest) -> None:
    # given
    parcel, _ = await sent(backend.ledger)
    doubtful, _ = await in_doubt(backend.ledger)
    later = NOW + CONTENT + 1
    await swept(backend, later)
    # when, then
    assert not await backend.ledger.revive(TENANT, parcel.id, later)
    assert await state_of(backend, parcel) == MessageState.SENT
    assert await backend.ledger.resolve(TENANT, doubtful.id, "resend", later) is None
    assert await state_of(backend, doubtful) == MessageState.IN_DOUBT
    assert await backend.waiting.due(later, 10) == []
    assert await backend.ledger.resolve(TENANT, doubtful.id, "failed", later) == MessageState.FAILED
    assert not await backend.ledger.revive(TENANT, doubtful.id, later)


async def test_receipts_are_read_without_content(backend: UnderTest) -> None:
    parcel, held = await sent(backend.ledger)
    await swept(backend, NOW + CONTENT + 1)
    await backend.ledger.observe(receipt(AttemptState.DELIVERED, held.attempt), NOW + CONTENT + 2)
    assert await state_of(backend, parcel) == MessageState.DELIVERED


async def test_what_was_forgotten_is_known_to_nobody(backend: UnderTest) -> None:
    """A parcel, a receipt or an answer that comes back after all that changes nothing."""
    parcel, held = await sent(backend.ledger, ref="SM1")
    await swept(backend, later := NOW + EVENTS + 1)
    assert refused(await backend.ledger.claim(claim_of(parcel, "another", now=later))) == "gone"
    await backend.ledger.observe(receipt(AttemptState.DELIVERED, held.attempt), later)
    await backend.ledger.observe(receipt(AttemptState.DELIVERED, None, "SM1"), later)
    assert not await stored(backend, parcel.id)
    assert held.attempt == attempt_id(parcel.id, 1)


async def test_events_go_on_after_those_that_were_forgotten(backend: UnderTest) -> None:
    await sent(backend.ledger)
    last = (await backend.records.events(TENANT, 0, 100))[-1]
    await swept(backend, NOW + EVENTS + 1)
    assert await backend.records.events(TENANT, 0, 100) == []
    young, _ = await sent(backend.ledger)
    found = await backend.records.events(TENANT, last.seq, 100)
    assert [event.type for event in found] == ["notification.accepted", "message.sent"]
    assert found[-1].message == young.id
