"""schedule: what waits goes when its time has come or its key is open; not before, not twice, and not too late."""

from __future__ import annotations

import asyncio

import pytest

from sendwright.engine.schedule import LANE_MIN, SLICE
from sendwright.engine.telling import Settled, Trouble
from sendwright.model.ids import message_id
from sendwright.model.notification import Priority
from sendwright.model.parcel import lane
from sendwright.model.records import Cancelled
from sendwright.model.states import AttemptState, MessageState

from .engine_world import (
    OK,
    TENANT,
    UNWELL,
    Vendor,
    World,
    in_virtual_time,
    number,
)

HOUR = 3600.0


@pytest.mark.slow
@in_virtual_time
async def test_a_scheduled_message_goes_at_its_time_and_not_before() -> None:
    one = Vendor()
    async with World(one) as world:
        notification = await world.post(send_at=world.instant(HOUR))
        await world.pass_time(HOUR - 1)
        assert world.state(notification) == MessageState.SCHEDULED
        assert one.dials == 0
        await world.settled(notification, MessageState.SENT, within_s=3)
        assert HOUR <= one.times[0] < HOUR + 0.01


@in_virtual_time
async def test_a_time_that_is_past_already_is_now() -> None:
    one = Vendor()
    async with World(one) as world:
        notification = await world.post(send_at=world.instant(-5))
        await world.settled(notification, MessageState.SENT, within_s=1)


@pytest.mark.slow
@in_virtual_time
async def test_cancelled_before_its_time_a_scheduled_message_never_goes() -> None:
    one = Vendor()
    async with World(one) as world:
        notification = await world.post([{"phone": number(1)}, {"phone": number(2)}], send_at=world.instant(HOUR))
        await world.pass_time(60)
        assert await world.ledger.cancel(TENANT, notification, world.clock.now_ms()) == Cancelled(cancelled=2)
        await world.pass_time(2 * HOUR)
        assert one.dials == 0
        assert world.state(notification) == MessageState.CANCELLED


@in_virtual_time
async def test_cancelled_after_it_went_is_too_late() -> None:
    one = Vendor()
    async with World(one) as world:
        notification = await world.post(send_at=world.instant(60))
        await world.settled(notification, MessageState.SENT, within_s=70)
        assert await world.ledger.cancel(TENANT, notification, world.clock.now_ms()) == Cancelled(too_late=1)
        assert world.state(notification) == MessageState.SENT


@pytest.mark.slow
@in_virtual_time
async def test_cancelled_while_it_is_retried_it_is_not_tried_again() -> None:
    one = Vendor()
    one.always(UNWELL)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.QUEUED)
        assert await world.ledger.cancel(TENANT, notification, world.clock.now_ms()) == Cancelled(cancelled=1)
        await world.pass_time(HOUR)
        assert len(one.calls) == 1


@in_virtual_time
async def test_a_process_that_died_before_the_time_is_no_excuse() -> None:
    one = Vendor()
    async with World(one) as world:
        notification = await world.post(send_at=world.instant(60))
        await world.pass_time(30)
        await world.kill()
        await world.settled(notification, MessageState.SENT, within_s=32)
        assert one.times[0] >= 60


@in_virtual_time
async def test_a_thousand_that_come_due_at_once_all_go_once() -> None:
    one = Vendor(concurrency=1000, latency_s=0.01)
    async with World(one) as world:
        count = 2 * SLICE + 50
        notifications = await world.post_many(count, send_at=world.instant(60))
        await world.settled(notifications, MessageState.SENT, within_s=70)
        await world.pass_time(10)
        assert sorted(one.addresses) == sorted(number(place) for place in range(count))


@pytest.mark.slow
@in_virtual_time
async def test_a_blast_that_is_due_does_not_stand_before_what_is_more_urgent() -> None:
    one = Vendor(concurrency=1000, latency_s=0.01)
    async with World(one) as world:
        blast = await world.post_many(10 * SLICE, priority="bulk", send_at=world.instant(60))
        urgent = await world.post({"phone": number(90_000)}, priority="critical", send_at=world.instant(60.001))
        await world.pass_time(50)
        for method in ("due", "promoted", "park"):
            world.faults.slow_answers[method] = 0.1
        # then: one look of the promoter, not ten
        await world.settled(urgent, MessageState.SENT, within_s=10 + 0.6)
        assert world.states(blast)["scheduled"] > 5 * SLICE
        world.faults.slow_answers.clear()
        await world.settled(blast, MessageState.SENT, within_s=30)


@pytest.mark.slow
@in_virtual_time
async def test_what_comes_due_beyond_a_lanes_room_waits_in_the_table_for_its_route() -> None:
    one, two = Vendor("one", concurrency=10, latency_s=2), Vendor("two", channels=("email",))
    async with World(one, two) as world:
        await world.settled(await world.post({"phone": number(90_000)}), MessageState.SENT)  # its pace is known
        blast = await world.post_many(2 * LANE_MIN, send_at=world.instant(60))
        mails = [await world.post({"email": f"p{place}@example.org"}, send_at=world.instant(60)) for place in range(20)]
        await world.pass_time(61)
        # then
        assert world.bus.depth(lane("sms", Priority.NORMAL)) <= LANE_MIN
        assert (await world.waiting.parked())[("route:sms", Priority.NORMAL)] >= LANE_MIN - 2 * 10
        assert world.states(blast)["scheduled"] == 0
        assert world.states(mails) == {"sent": 20}
        await world.settled(blast, MessageState.SENT, within_s=400)
        assert sorted(one.addresses) == sorted(number(place) for place in [*range(2 * LANE_MIN), 90_000])


@in_virtual_time
async def test_two_promoters_over_one_table_send_nothing_twice() -> None:
    one = Vendor()
    async with World(one) as world:
        other = asyncio.create_task(world.promoter.run())
        notifications = await world.post_many(50, send_at=world.instant(10))
        await world.settled(notifications, MessageState.SENT)
        await world.pass_time(10)
        assert len(one.calls) == 50
        other.cancel()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["due", "promoted", "next_due", "parked", "tenants", "pull"])
@in_virtual_time
async def test_a_promoter_that_loses_an_answer_of_the_store_goes_on_and_sends_once(method: str) -> None:
    one = Vendor(concurrency=2, latency_s=0.7)
    async with World(one) as world:
        notifications = await world.post_many(30, send_at=world.instant(10))
        await world.pass_time(5)
        world.faults.lost_answers[method] = 3
        await world.settled(notifications, MessageState.SENT, within_s=60)
        assert world.faults.lost_answers[method] == 0
        assert len(one.calls) == 30
        assert {trouble.where for trouble in world.told_of(Trouble)} == {"schedule"}


# Expiry


@in_virtual_time
async def test_a_parked_message_expires_on_time_and_is_not_called() -> None:
    one = Vendor()
    async with World(one) as world:
        await world.switch("one", enabled=False)
        soon = await world.post(ttl="60s")
        late = await world.post(ttl="300s")
        await world.settled(soon, MessageState.EXPIRED, within_s=62)
        assert world.at() >= 60
        assert world.message(soon).reason == "expired"
        assert world.state(late) == MessageState.QUEUED
        await world.switch("one", enabled=True)
        await world.settled(late, MessageState.SENT, within_s=3)
        assert len(one.calls) == 1
        assert Settled(message_id(soon, 0), MessageState.EXPIRED) in world.told_of(Settled)


@pytest.mark.slow
@in_virtual_time
async def test_a_message_that_waits_for_its_retry_expires_instead_of_going_late() -> None:
    one = Vendor()
    one.always(UNWELL)
    async with World(one) as world:
        notification = await world.post(ttl="20s")
        await world.settled(notification, MessageState.EXPIRED, within_s=23)
        one.always(OK)
        await world.pass_time(HOUR)
        assert all(at < 20 for at in one.times)


@in_virtual_time
async def test_what_expired_while_the_process_was_gone_is_not_sent_by_the_next() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        notification = await world.post(ttl="60s")
        await world.pass_time(120)
        await world.start()
        await world.settled(notification, MessageState.EXPIRED)
        assert one.calls == []


@in_virtual_time
async def test_those_that_expire_together_are_ended_together() -> None:
    async with World(Vendor()) as world:
        await world.switch("one", enabled=False)
        notifications = await world.post_many(100, ttl="60s")
        await world.pass_time(5)
        world.faults.slow_answers["end"] = 0.5
        await world.settled(notifications, MessageState.EXPIRED, within_s=58)


@pytest.mark.slow
@in_virtual_time
async def test_time_to_live_counts_from_when_it_may_go() -> None:
    one = Vendor()
    async with World(one) as world:
        notification = await world.post(send_at=world.instant(HOUR), ttl="60s")
        await world.settled(notification, MessageState.SENT, within_s=HOUR + 2)
        row = world.message(notification)
        assert row.expires_at == row.accepted_at + 3_660_000


# Retention


@pytest.mark.slow
@in_virtual_time
async def test_a_message_whose_content_is_gone_goes_nowhere_and_says_why() -> None:
    """A failure is reported so late that there is nothing left to say on the next step."""
    one, two = Vendor("one", receipts=True), Vendor("two", channels=("email",))
    async with World(one, two) as world:
        notification = await world.post({"phone": number(1), "email": "p1@example.org"})
        await world.settled(notification, MessageState.SENT)
        await world.pass_time(HOUR)
        now = world.clock.now_ms()
        await world.backend.sweeper.slice(keys_before=0, content_before=now, rows_before=0)
        await world.report(AttemptState.FAILED, attempt=world.attempts(notification)[0].id)
        await world.settled(notification, MessageState.FAILED)
        assert two.dials == 0
        row = world.message(notification)
        assert (row.reason, row.dead) == ("content", True)
        assert "forgotten" in row.detail


# Parked


@in_virtual_time
async def test_the_parked_go_by_priority_and_within_it_in_the_order_they_came() -> None:
    one = Vendor(concurrency=1, latency_s=0.1)
    async with World(one) as world:
        await world.switch("one", enabled=False)
        await world.post_many(5, priority="bulk")
        await world.pass_time(1)
        await world.post_many(5, first=10, priority="normal")
        await world.pass_time(1)
        await world.post_many(5, first=20, priority="critical")
        await world.pass_time(1)
        await world.switch("one", enabled=True)
        await world.until(lambda: len(one.calls) == 15)
        assert one.addresses == [number(place) for first in (20, 10, 0) for place in range(first, first + 5)]
        await world.pass_time(1)


@in_virtual_time
async def test_while_a_route_is_shut_nothing_is_read_for_it() -> None:
    one = Vendor()
    async with World(one) as world:
        await world.switch("one", enabled=False)
        await world.post_many(100)
        await world.pass_time(5)
        before = world.faults.calls.copy()
        await world.pass_time(600)
        spent = world.faults.calls - before
        assert spent["tenants"] == spent["pull"] == spent["promoted"] == 0
        assert spent["parked"] <= 601 + 1
        assert await world.waiting.parked() == {("route:sms", Priority.NORMAL): 100}


@pytest.mark.slow
@in_virtual_time
async def test_only_as_much_is_pulled_as_the_route_can_take() -> None:
    one = Vendor(concurrency=10, latency_s=2)
    async with World(one) as world:
        await world.switch("one", enabled=False)
        notifications = await world.post_many(300)
        await world.pass_time(2)
        await world.switch("one", enabled=True)
        await world.pass_time(1)
        assert len(one.calls) == 7
        assert (await world.waiting.parked())[("route:sms", Priority.NORMAL)] >= 300 - 7 - 7
        await world.settled(notifications, MessageState.SENT, within_s=200)


@in_virtual_time
async def test_places_that_come_free_are_used_again_at_once() -> None:
    one = Vendor(concurrency=10, latency_s=0.3)
    async with World(one) as world:
        await world.switch("one", enabled=False)
        notifications = await world.post_many(210)
        await world.pass_time(2)
        await world.switch("one", enabled=True)
        # then: 30 rounds of 7 take 9 s, and no more than a look of the promoter longer each
        await world.settled(notifications, MessageState.SENT, within_s=9 + 30 * 0.06)


@in_virtual_time
async def test_another_channels_shut_route_holds_nobody_up() -> None:
    one, two = Vendor("one"), Vendor("two", channels=("email",))
    async with World(one, two) as world:
        await world.switch("one", enabled=False)
        await world.post_many(SLICE + 20)
        await world.pass_time(2)
        mails = [await world.post({"email": f"p{place}@example.org"}, send_at=world.instant(5)) for place in range(20)]
        await world.settled(mails, MessageState.SENT, within_s=7)
