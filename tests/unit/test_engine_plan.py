"""plan: a notification becomes messages, once; those that may go at once go; nobody's bundle is held up by another's."""

from __future__ import annotations

import pytest

from sendwright.engine.schedule import LANE_MIN
from sendwright.engine.telling import Settled, Trouble
from sendwright.engine.worker import PLANS_AT_ONCE
from sendwright.model import ids
from sendwright.model.notification import Priority
from sendwright.model.parcel import intake_lane
from sendwright.model.records import Cancelled
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.duration import rfc3339

from .engine_world import EMAIL, NOW, PHONE, TENANT, Vendor, World, in_virtual_time, number

NORMAL = intake_lane(Priority.NORMAL)


@in_virtual_time
async def test_a_recipient_that_nobody_knows_ends_failed_and_is_never_called() -> None:
    one = Vendor()
    async with World(one) as world:
        notification = await world.post("somebody-unknown")
        await world.settled(notification, MessageState.FAILED)
        row = world.message(notification)
        assert (row.reason, row.recipient, row.dead) == ("unknown_recipient", "somebody-unknown", True)
        assert one.dials == 0
        assert Settled(row.id, MessageState.FAILED) in world.told_of(Settled)


@in_virtual_time
async def test_a_recipient_without_an_address_on_the_channels_ends_failed() -> None:
    one = Vendor()
    async with World(one) as world:
        notification = await world.post({"id": "kim", "email": EMAIL}, channels=["sms"])
        await world.settled(notification, MessageState.FAILED)
        assert world.message(notification).reason == "no_address"
        assert one.dials == 0


@in_virtual_time
async def test_each_recipient_has_a_message_and_one_without_address_takes_nobody_with_it() -> None:
    one = Vendor()
    async with World(one) as world:
        notification = await world.post([{"phone": number(1)}, "unknown", {"phone": number(2)}, {"phone": number(1)}])
        await world.until(lambda: len(one.calls) == 2)
        await world.pass_time(1)
        assert [world.state(notification, ordinal).label for ordinal in range(3)] == ["sent", "failed", "sent"]
        assert sorted(one.addresses) == [number(1), number(2)]


@in_virtual_time
async def test_a_channel_for_which_the_recipient_has_no_address_is_left_out_of_the_steps() -> None:
    one, two = Vendor("one", channels=("email",)), Vendor("two", channels=("sms",))
    async with World(one, two) as world:
        notification = await world.post({"phone": PHONE}, channels=["email", "sms"])
        await world.settled(notification, MessageState.SENT)
        assert one.dials == 0
        assert [step.channel for step in world.message(notification).steps] == ["sms"]


@in_virtual_time
async def test_a_bundle_that_comes_twice_is_planned_once_and_sent_once() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        notification = await world.post()
        bundle = await world.bus.take(NORMAL)
        await world.planner.plan(bundle)
        await world.planner.plan(bundle)
        await world.start()
        await world.settled(notification, MessageState.SENT)
        await world.pass_time(60)
        assert len(one.calls) == 1


@in_virtual_time
async def test_killed_between_the_plan_and_its_parcels_the_next_process_publishes_them() -> None:
    one = Vendor()
    async with World(one) as world:
        world.faults.slow_answers["plan"] = 5
        notification = await world.post()
        await world.until(lambda: world.state(notification) == MessageState.QUEUED)
        assert one.calls == []
        await world.kill()
        world.faults.slow_answers.clear()
        await world.settled(notification, MessageState.SENT)
        assert len(one.calls) == 1


@in_virtual_time
async def test_an_intake_parcel_that_nobody_can_read_is_kept_aside_and_takes_nobody_with_it() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        before = await world.post({"phone": number(1)})
        broken = b'{"id":"ntf_1","tenant":"acme","at":"noon"}'
        good = (await world.bus.take(NORMAL)).body[1:-1]
        await world.bus.publish(NORMAL, [broken, good, b'{"v":1}'])
        await world.start()
        await world.settled(before, MessageState.SENT)
        await world.pass_time(5)
        assert world.quarantined() == [broken, b'{"v":1}']
        assert one.addresses == [number(1)]
        assert world.bus.depth(NORMAL) == 0


@in_virtual_time
async def test_a_payload_that_no_plan_can_be_made_of_is_kept_aside() -> None:
    async with World(Vendor(), started=False, recount=False) as world:
        await world.post()
        good = (await world.bus.take(NORMAL)).body[1:-1]
        broken = good.replace(b'"content"', b'"contend"')
        await world.bus.publish(NORMAL, [broken])
        await world.start()
        await world.until(lambda: world.quarantined() == [broken])


@in_virtual_time
async def test_a_bundle_that_is_no_bundle_at_all_is_kept_aside_and_the_lane_goes_on() -> None:
    one = Vendor()
    async with World(one) as world:
        await world.bus.publish(NORMAL, [b'"\xffnot json'])
        await world.pass_time(1)
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=10)
        assert world.quarantined() == [b'["\xffnot json]']
        assert list(world.bus.undone()) == []


@in_virtual_time
async def test_while_the_store_is_down_the_bundle_is_kept_and_planned_when_it_is_back() -> None:
    one = Vendor()
    async with World(one) as world:
        world.faults.down = True
        notification = await world.post()
        await world.pass_time(120)
        assert [lane for lane, _ in world.bus.undone()] == [NORMAL]
        world.faults.down = False
        await world.settled(notification, MessageState.SENT, within_s=5)
        assert len(one.calls) == 1
        assert any(trouble.where == "plan" for trouble in world.told_of(Trouble))


@in_virtual_time
async def test_a_plan_whose_answer_was_lost_is_still_sent_once() -> None:
    one = Vendor()
    async with World(one) as world:
        world.faults.lost_answers["plan"] = 1
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        await world.pass_time(60)
        assert len(one.calls) == 1


@in_virtual_time
async def test_cancelled_before_it_was_planned_it_is_born_cancelled() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        notification = await world.post()
        assert await world.ledger.cancel(TENANT, notification, NOW) == Cancelled(unplanned=1)
        await world.start()
        await world.settled(notification, MessageState.CANCELLED)
        await world.pass_time(60)
        assert one.dials == 0


@pytest.mark.parametrize(("priority", "lasts_s"), [("critical", 600), ("normal", 72 * 3600)])
@in_virtual_time
async def test_without_a_time_to_live_it_has_its_prioritys(priority: str, lasts_s: int) -> None:
    async with World(Vendor()) as world:
        notification = await world.post(priority=priority)
        await world.settled(notification, MessageState.SENT)
        row = world.message(notification)
        assert row.expires_at == row.accepted_at + lasts_s * 1000


@in_virtual_time
async def test_a_hundred_recipients_are_a_hundred_messages_each_called_once() -> None:
    one = Vendor()
    async with World(one) as world:
        notification = await world.post([{"phone": number(place)} for place in range(100)])
        await world.until(lambda: len(one.calls) == 100)
        await world.pass_time(5)
        assert {call.message for call in one.calls} == {ids.message_id(notification, ordinal) for ordinal in range(100)}
        assert len(one.calls) == 100


@in_virtual_time
async def test_a_step_on_a_channel_that_has_no_provider_any_more_gives_way_to_the_next() -> None:
    # given: the route was taken away after the notification was accepted
    one = Vendor("one", channels=("email",))
    async with World(one, routes={"sms": [], "email": ["one"]}) as world:
        notification = await world.post({"phone": PHONE, "email": EMAIL}, channels=["sms", "email"])
        await world.settled(notification, MessageState.SENT)
        assert one.addresses == [EMAIL]


@pytest.mark.slow
@in_virtual_time
async def test_what_a_lane_has_no_room_for_waits_in_the_table_and_goes_in_its_turn() -> None:
    one = Vendor(concurrency=20, latency_s=0.5)
    async with World(one) as world:
        # given: how long its calls take is known
        await world.settled(await world.post_many(20, first=9000), MessageState.SENT)
        one.calls.clear()
        for first in range(0, 1500, 100):
            await world.post([{"phone": number(first + place)} for place in range(100)])
        await world.pass_time(1)
        assert 0 < world.bus.depth("sms.normal") <= LANE_MIN + PLANS_AT_ONCE * 100
        assert (await world.waiting.parked())[("route:sms", Priority.NORMAL)] > 500
        waits = [
            row.wait for row in map(world.backend.store.tables.shown, world.backend.store.tables.messages.rows.values()) if row.wait
        ]
        assert {(wait.kind, wait.name) for wait in waits} == {("provider", one.name)}
        await world.until(lambda: len(one.calls) == 1500, within_s=90)
        await world.pass_time(1)
        assert sorted(one.addresses) == [number(place) for place in range(1500)]


@in_virtual_time
async def test_what_waits_behind_a_rate_says_so_wherever_it_was_put_aside() -> None:
    one = Vendor(rate="20/s")
    async with World(one) as world:
        for first in range(0, 1500, 100):
            await world.post([{"phone": number(first + place)} for place in range(100)])
        await world.pass_time(1)
        waits = [
            row.wait for row in map(world.backend.store.tables.shown, world.backend.store.tables.messages.rows.values()) if row.wait
        ]
        assert len(waits) > 500
        assert {(wait.kind, wait.name) for wait in waits} == {("rate", one.name)}


@pytest.mark.slow
@in_virtual_time
async def test_a_crowd_of_bulk_sends_nobody_urgent_to_the_table() -> None:
    one = Vendor(concurrency=20, latency_s=0.2)
    async with World(one) as world:
        for first in range(0, 1500, 100):
            await world.post([{"phone": number(first + place)} for place in range(100)], priority="bulk")
        await world.pass_time(1)
        assert (await world.waiting.parked()).keys() == {("route:sms", Priority.BULK)}
        asked = world.at()
        await world.post({"phone": PHONE}, priority="critical")
        await world.until(lambda: PHONE in one.addresses, within_s=1)
        assert one.times[one.addresses.index(PHONE)] - asked < 0.01
        await world.pass_time(60)


@in_virtual_time
async def test_what_was_accepted_before_the_store_was_restored_is_in_doubt_at_birth() -> None:
    # given a store that was restored a minute from now, with what lay on its intake
    one = Vendor()
    async with World(one, fence_at=NOW + 60_000) as world:
        older = await world.post()
        to_come = await world.post(send_at=rfc3339(NOW + 3_600_000))
        # then what may have been sent since is not sent, and says so
        await world.settled(older, MessageState.IN_DOUBT)
        row = world.message(older)
        assert (row.reason, row.provider, row.number) == ("lost_answer", one.name, 1)
        assert [attempt.state for attempt in world.attempts(older)] == [AttemptState.IN_DOUBT]
        assert Settled(row.id, MessageState.IN_DOUBT) in world.told_of(Settled)
        assert one.calls == []
        # and what was to be sent later can't have been
        assert world.state(to_come) == MessageState.SCHEDULED
        # when a person has it sent again
        assert await world.ledger.resolve(TENANT, row.id, "resend", world.clock.now_ms()) == MessageState.QUEUED
        world.promoter.poke()
        await world.settled(older, MessageState.SENT)
        assert world.message(older).doubled
        # and what is accepted afterwards goes its way
        await world.pass_time(61)
        newer = await world.post()
        await world.settled(newer, MessageState.SENT)
        await world.settled(to_come, MessageState.SENT, within_s=3_700)
        assert len(one.calls) == 3
