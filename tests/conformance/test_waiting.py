"""What every waiting table promises (engine/ports.py, Waiting)."""

from __future__ import annotations

import pytest

from sendwright.model.ids import message_id
from sendwright.model.notification import Priority
from sendwright.model.parcel import Parcel
from sendwright.model.records import Wait
from sendwright.model.said import Said
from sendwright.model.states import AttemptState, MessageState
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import (
    EMAIL,
    MINUTE,
    NOW,
    SMS,
    TENANT,
    accepted,
    birth,
    claimed,
    later,
    lost,
    message_of,
    new_id,
    plan,
    planned,
    receipt,
    refused,
    scheduled,
    state_of,
)
from tests.conformance.builders import claim as a_claim

backend = every_backend()

KEY = "provider:twilio-main"


def behind(key: str = KEY, due_at: int | None = None) -> Wait:
    return Wait("provider", due_at, key=key, name="twilio-main")


async def parked(backend: UnderTest, wait: Wait, priority: Priority = Priority.NORMAL, **changed: str) -> Parcel:
    parcel = await planned(backend.ledger, priority=priority, **changed)
    assert await backend.ledger.park(parcel, wait, NOW)
    return parcel


async def test_what_is_due_comes_oldest_first_and_no_more_than_asked_for(backend: UnderTest) -> None:
    # given
    due = [NOW + 5, NOW + 1, NOW + 9, NOW + 3, NOW + 10]
    messages = {at: await scheduled(backend.ledger, at) for at in due}
    # when
    found = await backend.waiting.due(NOW + 9, 10)
    # then
    assert [parcel.id for parcel in found] == [messages[NOW + at] for at in (1, 3, 5, 9)]
    assert [parcel.id for parcel in await backend.waiting.due(NOW + 9, 2)] == [messages[NOW + 1], messages[NOW + 3]]


async def test_what_is_due_comes_in_slices_of_each_priority_the_highest_first(backend: UnderTest) -> None:
    # given: the less urgent it is, the longer it is due
    messages = {}
    for priority in Priority:
        for number in range(3):
            messages[priority, number] = await scheduled(backend.ledger, NOW + 100 - 10 * priority + number, priority=priority)
    # when
    found = await backend.waiting.due(NOW + 200, 2)
    # then
    assert [parcel.id for parcel in found] == [messages[priority, number] for priority in Priority for number in range(2)]
    assert await backend.waiting.next_due() == NOW + 70


async def test_a_scheduled_message_that_is_parked_at_its_time_is_queued(backend: UnderTest) -> None:
    message = await scheduled(backend.ledger, NOW)
    later_on = await scheduled(backend.ledger, NOW)
    one, other = await backend.waiting.due(NOW, 10)
    await backend.ledger.park(one, behind(), NOW + 1)
    await backend.ledger.park(other, Wait("time", NOW + MINUTE), NOW + 1)
    states = [(await message_of(backend, parcel)).state for parcel in (one, other)]
    assert states == [MessageState.QUEUED, MessageState.SCHEDULED]
    assert {one.id, other.id} == {message, later_on}
    assert [parcel.id for parcel in await backend.waiting.pull(KEY, Priority.NORMAL, {TENANT: 10})] == [one.id]


@pytest.mark.parametrize(("now", "comes"), [(NOW - 1, False), (NOW, True)])
async def test_a_wait_is_due_from_its_very_millisecond_on(backend: UnderTest, now: int, comes: bool) -> None:
    await scheduled(backend.ledger, NOW)
    assert len(await backend.waiting.due(now, 10)) == comes


async def test_a_due_parcel_carries_what_a_worker_needs(backend: UnderTest) -> None:
    # given
    ntf = new_id()
    born = birth(ntf, 0, (SMS, EMAIL), state=MessageState.SCHEDULED, wait=Wait("time", NOW))
    content = Said(title="T", body="B")
    asked = plan(
        born, notification=ntf, priority=Priority.BULK, on_doubt="hold", expires_at=NOW + MINUTE, trace="00-abc", content=content
    )
    await backend.ledger.plan([asked])
    # when
    (parcel,) = await backend.waiting.due(NOW, 10)
    # then
    assert (parcel.id, parcel.tenant, parcel.steps, parcel.content) == (born.id, TENANT, (SMS, EMAIL), content)
    assert (parcel.priority, parcel.on_doubt, parcel.expires_at, parcel.trace) == (Priority.BULK, "hold", NOW + MINUTE, "00-abc")
    assert (parcel.step, parcel.number, parcel.calls, parcel.at) == (0, 0, 0, NOW)


async def test_what_is_due_stays_until_it_is_promoted(backend: UnderTest) -> None:
    await scheduled(backend.ledger, NOW)
    first = await backend.waiting.due(NOW, 10)
    assert list(await backend.waiting.due(NOW, 10)) == list(first)
    await backend.waiting.promoted(first, NOW)
    assert list(await backend.waiting.due(NOW, 10)) == []


async def test_a_promoted_scheduled_message_is_queued_and_waits_no_more(backend: UnderTest) -> None:
    message = await scheduled(backend.ledger, NOW)
    parcels = await backend.waiting.due(NOW, 10)
    await backend.waiting.promoted(parcels, NOW + 4)
    row = await message_of(backend, message)
    assert (row.state, row.wait, row.updated_at) == (MessageState.QUEUED, None, NOW + 4)
    await claimed(backend.ledger, parcels[0])


async def test_a_promoted_doubt_stays_sending_and_can_be_claimed(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await backend.ledger.settle(lost(parcel, await claimed(backend.ledger, parcel)))
    parcels = await backend.waiting.due(NOW + MINUTE, 10)
    await backend.waiting.promoted(parcels, NOW + MINUTE)
    assert await state_of(backend, parcel) == MessageState.SENDING
    await claimed(backend.ledger, parcels[0], "token-2")


async def test_promoting_twice_or_nothing_is_harmless(backend: UnderTest) -> None:
    await scheduled(backend.ledger, NOW)
    kept = await scheduled(backend.ledger, NOW + MINUTE)
    parcels = await backend.waiting.due(NOW, 10)
    await backend.waiting.promoted(parcels, NOW)
    await backend.waiting.promoted(parcels, NOW)
    await backend.waiting.promoted([], NOW)
    assert (await message_of(backend, kept)).wait is not None


async def test_a_message_that_was_parked_anew_since_it_was_read_keeps_its_new_wait(backend: UnderTest) -> None:
    # given: published, taken by a worker at once, and parked again before the promoter said so
    await scheduled(backend.ledger, NOW)
    (parcel,) = await backend.waiting.due(NOW, 10)
    assert await backend.ledger.park(parcel, behind(due_at=NOW + MINUTE), NOW)
    # when
    await backend.waiting.promoted([parcel], NOW)
    # then
    assert (await message_of(backend, parcel)).wait.key == KEY
    (again,) = await backend.waiting.pull(KEY, Priority.NORMAL, {TENANT: 10})
    await backend.waiting.promoted([again], NOW)
    assert (await message_of(backend, parcel)).wait is None


async def test_a_message_that_was_tried_and_waits_for_its_retry_keeps_that_wait(backend: UnderTest) -> None:
    await scheduled(backend.ledger, NOW)
    (parcel,) = await backend.waiting.due(NOW, 10)
    await backend.ledger.settle(later(parcel, await claimed(backend.ledger, parcel)))
    await backend.waiting.promoted([parcel], NOW)
    assert (await message_of(backend, parcel)).wait.due_at == NOW + MINUTE


async def test_a_message_that_a_person_sent_again_meanwhile_keeps_that_wait(backend: UnderTest) -> None:
    message = await scheduled(backend.ledger, NOW)
    parcels = await backend.waiting.due(NOW, 10)
    await backend.ledger.cancel(TENANT, message, NOW)
    await backend.ledger.revive(TENANT, message, NOW)
    await backend.waiting.promoted(parcels, NOW)
    assert [parcel.id for parcel in await backend.waiting.due(NOW, 10)] == [message]


async def test_no_wait_that_is_made_after_a_crash_is_taken_for_an_older_one(backend: UnderTest) -> None:
    # given
    await scheduled(backend.ledger, NOW)
    (parcel,) = await backend.waiting.due(NOW, 10)
    again = await backend.restart()
    assert await again.ledger.park(parcel, behind(), NOW)
    # when
    await again.waiting.promoted([parcel], NOW)
    # then
    assert await again.waiting.parked() == {(KEY, Priority.NORMAL): 1}


async def test_a_pull_takes_the_first_under_its_key_and_priority_in_the_order_they_came(backend: UnderTest) -> None:
    # given
    first, second, third = [await parked(backend, behind(due_at=NOW + MINUTE - turn)) for turn in range(3)]
    bulk = await parked(backend, behind(), Priority.BULK)
    other = await parked(backend, behind("provider:vonage-eu"))
    await scheduled(backend.ledger, NOW)
    # when, then
    pulled = await backend.waiting.pull(KEY, Priority.NORMAL, {TENANT: 10})
    assert [parcel.id for parcel in pulled] == [first.id, second.id, third.id]
    assert [parcel.id for parcel in await backend.waiting.pull(KEY, Priority.NORMAL, {TENANT: 2})] == [first.id, second.id]
    assert [parcel.id for parcel in await backend.waiting.pull(KEY, Priority.BULK, {TENANT: 10})] == [bulk.id]
    assert [parcel.id for parcel in await backend.waiting.pull("provider:vonage-eu", Priority.NORMAL, {TENANT: 10})] == [other.id]
    assert list(await backend.waiting.pull("nobody", Priority.NORMAL, {TENANT: 10})) == []


async def test_what_was_pulled_stays_until_it_is_promoted_and_then_the_next_come(backend: UnderTest) -> None:
    parcels = [await parked(backend, behind()) for _ in range(4)]
    pulled = await backend.waiting.pull(KEY, Priority.NORMAL, {TENANT: 2})
    assert list(await backend.waiting.pull(KEY, Priority.NORMAL, {TENANT: 2})) == list(pulled)
    await backend.waiting.promoted(pulled, NOW)
    assert [parcel.id for parcel in await backend.waiting.pull(KEY, Priority.NORMAL, {TENANT: 10})] == [p.id for p in parcels[2:]]
    assert await state_of(backend, parcels[0]) == MessageState.QUEUED


async def test_a_message_that_is_parked_anew_goes_to_the_end(backend: UnderTest) -> None:
    first, second = await parked(backend, behind()), await parked(backend, behind())
    await backend.ledger.park(first, behind(), NOW)
    assert [parcel.id for parcel in await backend.waiting.pull(KEY, Priority.NORMAL, {TENANT: 10})] == [second.id, first.id]


async def test_the_order_of_arrival_survives_a_crash(backend: UnderTest) -> None:
    parcels = [await parked(backend, behind()) for _ in range(5)]
    again = await backend.restart()
    late = await planned(again.ledger)
    await again.ledger.park(late, behind(), NOW)
    assert [p.id for p in await again.waiting.pull(KEY, Priority.NORMAL, {TENANT: 10})] == [p.id for p in [*parcels, late]]


async def test_a_pull_takes_of_each_tenant_what_is_its_share_and_of_nobody_else(backend: UnderTest) -> None:
    # given: a blast, and others who come after it
    blast = [await parked(backend, behind(), tenant="blast") for _ in range(12)]
    few = [await parked(backend, behind(), tenant="few") for _ in range(3)]
    await parked(backend, behind(), tenant="left out")
    await parked(backend, behind("provider:vonage-eu"), tenant="few")
    await parked(backend, behind(), Priority.BULK, tenant="few")
    # when, then
    pulled = await backend.waiting.pull(KEY, Priority.NORMAL, {"blast": 2, "few": 9, "nobody": 5})
    assert [parcel.id for parcel in pulled] == [parcel.id for parcel in (*blast[:2], *few)]
    assert {parcel.tenant for parcel in pulled} == {"blast", "few"}
    assert list(await backend.waiting.pull(KEY, Priority.NORMAL, {})) == []
    # and when these are promoted, the next come
    await backend.waiting.promoted(pulled, NOW)
    again = await backend.waiting.pull(KEY, Priority.NORMAL, {"few": 9, "blast": 1})
    assert [parcel.id for parcel in again] == [blast[2].id]


async def test_tenants_are_those_with_something_parked_there_and_how_much(backend: UnderTest) -> None:
    assert await backend.waiting.tenants(KEY, Priority.NORMAL, "", 10) == {}
    for tenant, count in (("b", 3), ("a", 1), ("c", 2), ("Z", 1), ("é", 1)):
        for _ in range(count):
            await parked(backend, behind(), tenant=tenant)
    await parked(backend, behind("provider:vonage-eu"), tenant="d")
    await parked(backend, behind(), Priority.BULK, tenant="e")
    await scheduled(backend.ledger, NOW, tenant="f")
    found = await backend.waiting.tenants(KEY, Priority.NORMAL, "", 10)
    assert found == {"Z": 1, "a": 1, "b": 3, "c": 2, "é": 1}


@pytest.mark.parametrize(
    ("first", "most", "expected"),
    [("b", 9, "bdfh"), ("c", 9, "dfhb"), ("c", 2, "df"), ("h", 2, "hb"), ("i", 3, "bdf"), ("", 1, "b"), ("d", 4, "dfhb")],
)
async def test_tenants_go_round_from_the_one_whose_turn_it_is(backend: UnderTest, first: str, most: int, expected: str) -> None:
    for tenant in "fbhd":
        await parked(backend, behind(), tenant=tenant)
    found = await backend.waiting.tenants(KEY, Priority.NORMAL, first, most)
    assert sorted(found) == sorted(expected)


async def test_what_a_tenant_has_is_counted_as_far_as_it_matters(backend: UnderTest) -> None:
    ntf = new_id("many")
    births = [birth(ntf, ordinal, wait=behind()) for ordinal in range(60)]
    await backend.ledger.plan([plan(*births, notification=ntf, tenant="many")])
    await parked(backend, behind(), tenant="one")
    for most, at_least in ((2, 1), (20, 10), (60, 30), (200, 60)):
        found = await backend.waiting.tenants(KEY, Priority.NORMAL, "", most)
        assert found["one"] == 1
        assert at_least <= found["many"] <= 60


async def test_a_message_that_waits_for_a_time_is_nobodys_to_pull(backend: UnderTest) -> None:
    await scheduled(backend.ledger, NOW)
    assert await backend.waiting.tenants("time", Priority.NORMAL, "", 10) == {}
    assert list(await backend.waiting.pull("time", Priority.NORMAL, {TENANT: 10})) == []


async def test_parked_messages_come_due_at_their_expiry(backend: UnderTest) -> None:
    parcel = await parked(backend, behind(due_at=NOW + MINUTE))
    await parked(backend, behind())
    assert list(await backend.waiting.due(NOW + MINUTE - 1, 10)) == []
    assert [found.id for found in await backend.waiting.due(NOW + MINUTE, 10)] == [parcel.id]


async def test_parked_counts_by_key_and_priority_and_leaves_time_out(backend: UnderTest) -> None:
    assert await backend.waiting.parked() == {}
    for priority, count in ((Priority.CRITICAL, 1), (Priority.BULK, 3)):
        for _ in range(count):
            await parked(backend, behind(), priority)
    await parked(backend, behind("tenant:acme"))
    await scheduled(backend.ledger, NOW)
    assert await backend.waiting.parked() == {
        (KEY, Priority.CRITICAL): 1,
        (KEY, Priority.BULK): 3,
        ("tenant:acme", Priority.NORMAL): 1,
    }


async def test_next_due_is_the_earliest_of_all(backend: UnderTest) -> None:
    assert await backend.waiting.next_due() is None
    await parked(backend, behind())
    assert await backend.waiting.next_due() is None
    await scheduled(backend.ledger, NOW + 50)
    assert await backend.waiting.next_due() == NOW + 50
    await parked(backend, behind(due_at=NOW + 20))
    assert await backend.waiting.next_due() == NOW + 20
    await backend.waiting.promoted(await backend.waiting.due(NOW + 20, 10), NOW)
    assert await backend.waiting.next_due() == NOW + 50


async def test_a_retry_that_was_timed_by_a_clock_ahead_waits_as_long_as_it_was_to(backend: UnderTest) -> None:
    # given one that was turned away two hours ahead of the clock's word now, and one that was scheduled for then
    ahead = NOW + 120 * MINUTE
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel, now=ahead)
    await backend.ledger.settle(later(parcel, held, due_at=ahead + 7_000, at=ahead))
    wish = await scheduled(backend.ledger, ahead + 7_000)
    # when
    await backend.waiting.rebase(NOW, 5_000)
    await backend.waiting.rebase(NOW + 3_000, 5_000)
    # then
    assert [one.id for one in await backend.waiting.due(NOW + 6_999, 10)] == []
    assert [one.id for one in await backend.waiting.due(NOW + 7_000, 10)] == [parcel.id]
    assert [one.id for one in await backend.waiting.due(ahead + 7_000, 10)] == [parcel.id, wish]
    row = await message_of(backend, parcel)
    assert row.wait is not None
    assert row.wait.until == NOW + 7_000


async def test_a_retry_that_was_timed_by_this_clock_keeps_its_time(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel, now=NOW + 4_999)
    await backend.ledger.settle(later(parcel, held, due_at=NOW + 60 * MINUTE, at=NOW + 4_999))
    await backend.waiting.rebase(NOW, 5_000)
    assert [one.id for one in await backend.waiting.due(NOW + 60 * MINUTE - 1, 10)] == []


async def test_waits_survive_a_crash(backend: UnderTest) -> None:
    message = await scheduled(backend.ledger, NOW + 50)
    await parked(backend, behind())
    again = await backend.restart()
    assert await again.waiting.next_due() == NOW + 50
    assert await again.waiting.parked() == {(KEY, Priority.NORMAL): 1}
    assert [parcel.id for parcel in await again.waiting.due(NOW + 50, 10)] == [message]


async def _cancel(backend: UnderTest, parcel: Parcel) -> None:
    await backend.ledger.cancel(TENANT, parcel.id, NOW)


async def _claim(backend: UnderTest, parcel: Parcel) -> None:
    await claimed(backend.ledger, parcel, "token-2")


async def _end(backend: UnderTest, parcel: Parcel) -> None:
    await backend.ledger.end(parcel, MessageState.EXPIRED, "expired", "", NOW)


async def _receipt(backend: UnderTest, parcel: Parcel) -> None:
    await backend.ledger.observe(receipt(AttemptState.DELIVERED, f"att_{parcel.id[4:]}001"), NOW)


@pytest.mark.parametrize("move", [_cancel, _claim, _end, _receipt], ids=lambda each: each.__name__.lstrip("_"))
async def test_a_message_that_moves_on_leaves_no_wait_behind(backend: UnderTest, move: object) -> None:
    # given
    parcel = await planned(backend.ledger)
    await backend.ledger.settle(later(parcel, await claimed(backend.ledger, parcel)))
    (retry,) = await backend.waiting.due(NOW + MINUTE, 10)
    await backend.ledger.park(retry, behind(due_at=NOW + MINUTE), NOW)
    # when
    await move(backend, retry)  # type: ignore[operator]
    # then
    assert (await message_of(backend, parcel)).wait is None
    assert await backend.waiting.next_due() is None
    assert await backend.waiting.parked() == {}
    assert list(await backend.waiting.pull(KEY, Priority.NORMAL, {TENANT: 10})) == []


async def test_a_stale_parcel_is_not_parked(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await backend.ledger.settle(accepted(parcel, await claimed(backend.ledger, parcel)))
    assert await backend.ledger.park(parcel, behind(), NOW) is False
    assert await backend.waiting.parked() == {}


async def test_a_promoted_parcel_that_was_claimed_twice_is_sent_once(backend: UnderTest) -> None:
    await scheduled(backend.ledger, NOW)
    (parcel,) = await backend.waiting.due(NOW, 10)
    (same,) = await backend.waiting.due(NOW, 10)
    await claimed(backend.ledger, parcel)
    assert refused(await backend.ledger.claim(a_claim(same, "token-2"))) in {"number", "state"}


async def test_many_waits_are_promoted_in_slices_without_losing_any(backend: UnderTest) -> None:
    # given
    ntf = new_id()
    births = [birth(ntf, ordinal, state=MessageState.SCHEDULED, wait=Wait("time", NOW + ordinal % 7)) for ordinal in range(500)]
    await backend.ledger.plan([plan(*births, notification=ntf)])
    # when
    found: list[str] = []
    while parcels := await backend.waiting.due(NOW + 10, 64):
        found += [parcel.id for parcel in parcels]
        await backend.waiting.promoted(parcels, NOW + 10)
    # then
    assert sorted(found) == sorted(message_id(ntf, ordinal) for ordinal in range(500))
    record = await backend.records.notification(TENANT, ntf)
    assert record is not None
    assert record.counts == {MessageState.QUEUED: 500}
