"""What every store promises of the rows that figures are made of (web/api/services.py, Shown)."""

from __future__ import annotations

from sendwright.model.records import Wait
from sendwright.model.states import MessageState
from sendwright.model.stats import Backlog, Parked, Sample, Strip
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import (
    EMAIL,
    MINUTE,
    NOW,
    SMS,
    TENANT,
    birth,
    claimed,
    in_doubt,
    new_id,
    plan,
    planned,
    rejected,
    scheduled,
    sent,
)

backend = every_backend()


async def test_each_span_has_its_own_messages_newest_first(backend: UnderTest) -> None:
    for minute in (0, 0, 2):
        await planned(backend.ledger, at=NOW + minute * MINUTE, steps=(EMAIL,))
    spans = [(NOW + n * MINUTE, NOW + (n + 1) * MINUTE) for n in range(3)]
    first, second, third = await backend.records.sampled(TENANT, spans, 10)
    queued = Sample(NOW, MessageState.QUEUED, "email", None, None)
    assert first == Strip((queued, queued))
    assert second == Strip()
    assert third == Strip((queued._replace(at=NOW + 2 * MINUTE),))


async def test_a_sample_says_where_it_went_and_how_long_it_took(backend: UnderTest) -> None:
    parcel = await planned(backend.ledger)
    await claimed(backend.ledger, parcel, now=NOW + 250)
    (strip,) = await backend.records.sampled(TENANT, [(NOW, NOW + MINUTE)], 10)
    assert strip.samples == (Sample(NOW, MessageState.SENDING, "sms", "twilio-main", 250),)


async def test_what_was_to_be_sent_later_takes_its_time_from_then(backend: UnderTest) -> None:
    message = await scheduled(backend.ledger, NOW + MINUTE, send_at=NOW + MINUTE)
    (parcel,) = await backend.waiting.due(NOW + MINUTE, 10)
    assert parcel.id == message
    await claimed(backend.ledger, parcel, now=NOW + MINUTE + 40)
    (strip,) = await backend.records.sampled(TENANT, [(NOW, NOW + MINUTE)], 10)
    assert [sample.latency_ms for sample in strip.samples] == [40]


async def test_a_full_strip_says_how_far_it_reached_and_others_count_too(backend: UnderTest) -> None:
    for second in range(4):
        await planned(backend.ledger, at=NOW + second * 1000, tenant=TENANT if second % 2 else "other")
    (strip,) = await backend.records.sampled(TENANT, [(NOW, NOW + MINUTE)], 3)
    assert [sample.at for sample in strip.samples] == [NOW + 3000, NOW + 1000]
    assert strip.reached == NOW + 1000


async def test_of_each_span_it_is_counted_what_the_tenant_had_accepted(backend: UnderTest) -> None:
    for minute in (0, 0, 0, 2):
        await planned(backend.ledger, at=NOW + minute * MINUTE)
    await planned(backend.ledger, at=NOW, tenant="other")
    spans = [(NOW + n * MINUTE, NOW + (n + 1) * MINUTE) for n in (2, 0, 1)]
    assert list(await backend.records.accepted_within(TENANT, spans)) == [1, 3, 0]
    assert sum(await backend.records.accepted_within(TENANT, spans, 2)) <= 3


async def test_the_backlog_counts_the_dead_and_the_doubtful_of_one_tenant(backend: UnderTest) -> None:
    await in_doubt(backend.ledger)
    await in_doubt(backend.ledger, tenant="other")
    for _ in range(2):
        parcel = await planned(backend.ledger)
        await backend.ledger.settle(rejected(parcel, await claimed(backend.ledger, parcel)))
    await sent(backend.ledger)
    assert await backend.records.backlog(TENANT) == Backlog(dead=2, in_doubt=1)
    assert await backend.records.backlog("nobody") == Backlog()


async def test_the_backlog_says_what_is_waited_for_and_since_when(backend: UnderTest) -> None:
    for number, tenant in enumerate((TENANT, TENANT, "other")):
        ntf = new_id(tenant, NOW + number)
        wait = Wait("provider", None, key="route:sms", name="twilio-main")
        await backend.ledger.plan([plan(birth(ntf, 0, (SMS,), wait=wait), notification=ntf, tenant=tenant, at=NOW + number)])
    ntf = new_id()
    await backend.ledger.plan([plan(birth(ntf, 0, (EMAIL,), wait=Wait("rate", None, key="route:email")), notification=ntf)])
    await scheduled(backend.ledger, NOW + MINUTE)
    backlog = await backend.records.backlog(TENANT)
    assert backlog.parked == (Parked("provider", "twilio-main", 2, NOW), Parked("rate", "email", 1, NOW))
