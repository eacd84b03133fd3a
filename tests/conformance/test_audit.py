"""What every recount finds and names (engine/ports.py, Records.audit)."""

from __future__ import annotations

import pytest

from sendwright.model.notification import Priority
from sendwright.model.parcel import Intake, Parcel, intake_lane, lane, pack, unbundle
from sendwright.model.records import Patience, Plan, Wait
from sendwright.model.states import AttemptState
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import (
    MINUTE,
    NOW,
    TENANT,
    accepted,
    claimed,
    later,
    lost,
    offer,
    plan,
    receipt,
    rejected,
)

backend = every_backend()

A = AttemptState


async def accept_and_plan(backend: UnderTest, count: int) -> list[Parcel]:
    """Takes that many notifications from offer to the lanes, as the engine would; done bundles included."""
    for number in range(count):
        await backend.desk.offer(offer(key=f"order-{number}" if number % 2 else None))
    parcels: list[Parcel] = []
    while backend.bus.depth(intake_lane(Priority.NORMAL)):
        delivery = await backend.bus.take(intake_lane(Priority.NORMAL))
        planned_ = await backend.ledger.plan([_plan_of(intake) for intake in unbundle(Intake, delivery.body)])
        parcels += [parcel for group in planned_ for parcel in group]
        await backend.bus.publish(lane("sms", Priority.NORMAL), [pack(parcel) for group in planned_ for parcel in group])
        await backend.bus.done(delivery)
    return parcels


def _plan_of(intake: Intake) -> Plan:
    return plan(notification=intake.id, at=intake.at, process=intake.process, number=intake.number, key=intake.key)


async def deliver_all(backend: UnderTest) -> None:
    name = lane("sms", Priority.NORMAL)
    while backend.bus.depth(name):
        delivery = await backend.bus.take(name)
        for parcel in unbundle(Parcel, delivery.body):
            held = await claimed(backend.ledger, parcel, parcel.id)
            await backend.ledger.settle(accepted(parcel, held, parcel.id))
        await backend.bus.done(delivery)


async def test_the_recount_of_an_empty_store_is_empty(backend: UnderTest) -> None:
    audit = await backend.records.audit()
    assert (audit.accepted, audit.planned, audit.waiting, audit.messages) == (0, 0, 0, 0)
    assert audit.violations == ()


async def test_the_recount_is_clean_at_every_stage_of_a_normal_run(backend: UnderTest) -> None:
    for number in range(4):
        await backend.desk.offer(offer(key=f"early-{number}"))
    audit = await backend.records.audit()
    assert (audit.accepted, audit.planned, audit.waiting, audit.messages) == (4, 0, 4, 0)
    assert audit.violations == ()

    await accept_and_plan(backend, 6)
    audit = await backend.records.audit()
    assert (audit.accepted, audit.planned, audit.waiting, audit.messages) == (10, 10, 0, 10)
    assert audit.by_state == {"queued": 10}
    assert audit.violations == ()

    await deliver_all(backend)
    audit = await backend.records.audit()
    assert audit.by_state == {"sent": 10}
    assert audit.violations == ()


async def test_the_recount_is_clean_over_every_way_that_a_message_can_go(backend: UnderTest) -> None:
    # given
    parcels = await accept_and_plan(backend, 8)
    ledger = backend.ledger
    held = [await claimed(ledger, parcel, parcel.id) for parcel in parcels[:6]]
    for settle, parcel, claim in zip((accepted, later, rejected, lost, accepted), parcels, held, strict=False):
        await ledger.settle(settle(parcel, claim, parcel.id))
    await ledger.observe(receipt(A.DELIVERED, held[4].attempt), NOW)
    await ledger.cancel(TENANT, parcels[6].id, NOW)
    await ledger.park(parcels[7], Wait("rate", None, key="provider:x"), NOW)
    delivery = await backend.bus.take(lane("sms", Priority.NORMAL))
    while True:
        await backend.bus.done(delivery)
        if not backend.bus.depth(delivery.lane):
            break
        delivery = await backend.bus.take(delivery.lane)
    # when
    audit = await backend.records.audit()
    # then
    assert audit.violations == ()
    assert audit.by_state == {"sent": 1, "queued": 2, "failed": 1, "sending": 2, "delivered": 1, "cancelled": 1}
    assert audit.messages == 8
    # and after what repair, a person and a crash do
    await ledger.repair(NOW + MINUTE, lambda _: False, lambda _: Patience(0), 8)
    await ledger.revive(TENANT, parcels[2].id, NOW)
    again = await backend.restart()
    assert (await again.records.audit()).violations == ()


async def test_between_plan_and_publish_a_message_is_in_flight(backend: UnderTest) -> None:
    """Its planner still has the intake in hand, and whoever takes that again publishes what the plan says."""
    # given
    for number in range(3):
        await backend.desk.offer(offer(key=f"order-{number}"))
    while backend.bus.depth(intake_lane(Priority.NORMAL)):
        delivery = await backend.bus.take(intake_lane(Priority.NORMAL))
        await backend.ledger.plan([_plan_of(intake) for intake in unbundle(Intake, delivery.body)])
    # when, then
    for seen in (backend, await backend.restart()):
        audit = await seen.records.audit()
        assert (audit.accepted, audit.planned, audit.waiting, audit.by_state) == (3, 3, 0, {"queued": 3})
        assert audit.violations == ()


async def test_planned_and_never_published_it_is_named(backend: UnderTest) -> None:
    await backend.desk.offer(offer())
    delivery = await backend.bus.take(intake_lane(Priority.NORMAL))
    ((parcel,),) = await backend.ledger.plan([_plan_of(intake) for intake in unbundle(Intake, delivery.body)])
    await backend.bus.done(delivery)
    audit = await backend.records.audit()
    assert [(violation.kind, violation.id) for violation in audit.violations] == [("stranded", parcel.id)]


async def test_an_accepted_notification_that_was_forgotten_is_named(backend: UnderTest) -> None:
    # given: somebody says done and never planned
    await accept_and_plan(backend, 3)
    lost_one = offer(key="lost")
    await backend.desk.offer(lost_one)
    delivery = await backend.bus.take(intake_lane(Priority.NORMAL))
    (intake,) = unbundle(Intake, delivery.body)
    await backend.bus.done(delivery)
    # when
    audit = await backend.records.audit()
    # then
    assert (audit.accepted, audit.planned, audit.waiting) == (4, 3, 0)
    named = " ".join(f"{violation.id} {violation.detail}" for violation in audit.violations)
    assert intake.process in named
    assert str(intake.number) in named
    assert lost_one.id in named


async def test_a_message_whose_parcel_was_forgotten_is_named(backend: UnderTest) -> None:
    if not backend.sees_lanes:
        pytest.skip("this recount can't look into its lanes")
    # given
    parcels = await accept_and_plan(backend, 2)
    for _ in range(10):
        if not backend.bus.depth(lane("sms", Priority.NORMAL)):
            break
        await backend.bus.done(await backend.bus.take(lane("sms", Priority.NORMAL)))
    # when
    audit = await backend.records.audit()
    # then
    assert {violation.id for violation in audit.violations} == {parcel.id for parcel in parcels}


async def test_what_was_taken_and_is_not_done_is_still_in_flight_for_the_recount(backend: UnderTest) -> None:
    await backend.desk.offer(offer())
    await backend.bus.take(intake_lane(Priority.NORMAL))
    audit = await backend.records.audit()
    assert (audit.accepted, audit.waiting, audit.violations) == (1, 1, ())
    again = await backend.restart()
    audit = await again.records.audit()
    assert (audit.accepted, audit.waiting, audit.violations) == (1, 1, ())
