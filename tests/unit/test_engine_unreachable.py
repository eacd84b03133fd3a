"""Deliveries that come to no call: no connection, no place, or a fault that nobody foresaw."""

from __future__ import annotations

import pytest

from sendwright.engine.telling import Parked, Trouble
from sendwright.model.ids import message_id
from sendwright.model.notification import Priority
from sendwright.model.states import MessageState
from sendwright.policy.breaker import BreakerSettings

from .engine_world import (
    EMAIL,
    OK,
    PHONE,
    REFUSED,
    UNWELL,
    Vendor,
    World,
    in_virtual_time,
    number,
)

BOTH = {"phone": PHONE, "email": EMAIL}
CALM = BreakerSettings(failures=1_000_000, calls_min=1_000_000)


# No connection


@in_virtual_time
async def test_an_address_that_may_not_be_called_is_a_refusal_of_it_and_no_call_of_anybody() -> None:
    one, two = Vendor("one", guarded=True), Vendor("two", channels=("email",))
    one.unreachable = "denied"
    async with World(one, two) as world:
        alone = await world.post()
        both = await world.post(BOTH, channels=["sms", "email"])
        await world.settled(alone, MessageState.FAILED, within_s=1)
        await world.settled(both, MessageState.SENT, within_s=1)
        row = world.message(alone)
        assert (row.reason, row.detail, row.calls) == ("rejected", "denied: this address may not be called", 0)
        assert world.breaker() == "closed"


@in_virtual_time
@pytest.mark.parametrize("silent", [True, False])
async def test_where_each_recipient_has_an_address_of_its_own_those_that_fail_hinder_nobody(silent: bool) -> None:
    one = Vendor(guarded=True)
    async with World(one, breaker=BreakerSettings(failures=2)) as world:
        one.unreachable = "connect" if silent else None
        one.always(UNWELL)
        await world.post_many(20)
        await world.pass_time(2)
        assert world.breaker() == "closed"
        # when
        one.unreachable = None
        one.always(OK)
        another = await world.post({"phone": number(100)})
        # then
        await world.settled(another, MessageState.SENT, within_s=0.5)


@in_virtual_time
async def test_no_connection_uses_no_attempt_and_the_wait_grows() -> None:
    one = Vendor()
    one.unreachable = "connect"
    async with World(one, breaker=CALM) as world:
        world.draw = lambda: 0.9
        notification = await world.post()
        await world.pass_time(300)
        dials = one.dials
        assert 4 <= dials <= 12, "decorrelated jitter, from a second on"
        row = world.message(notification)
        assert (row.number, row.calls) == (0, 0)
        assert row.backoff_s > 30
        one.unreachable = None
        await world.settled(notification, MessageState.SENT, within_s=3600)


@in_virtual_time
async def test_without_a_connection_the_next_provider_has_it_at_once() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.unreachable = "tls"
    async with World(one, two) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=0.5)
        assert [attempt.provider for attempt in world.attempts(notification)] == ["two"]


@in_virtual_time
async def test_a_provider_that_was_out_of_reach_is_not_forgotten_when_the_other_falls_ill() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.unreachable = "connect"
    two.always(UNWELL)
    async with World(one, two) as world:
        notifications = await world.post_many(20)
        await world.pass_time(60)
        assert (world.breaker("one"), world.breaker("two")) == ("open", "open")
        # when: only the first comes back
        one.unreachable = None
        await world.settled(notifications, MessageState.SENT, within_s=120)
        assert {call.message for call in one.calls} == {message_id(notification, 0) for notification in notifications}


@in_virtual_time
async def test_out_of_reach_and_almost_out_of_time_the_next_step_is_taken() -> None:
    one, two = Vendor("one"), Vendor("two", channels=("email",))
    one.unreachable = "connect"
    async with World(one, two, breaker=CALM) as world:
        notification = await world.post(BOTH, channels=["sms", "email"], expires_at=world.instant(0.9))
        await world.settled(notification, MessageState.SENT, within_s=1)
        assert one.dials == 1
        assert two.addresses == [EMAIL]


@in_virtual_time
async def test_out_of_reach_and_almost_out_of_time_on_the_last_step_it_expires_and_dials_no_storm() -> None:
    one = Vendor()
    one.unreachable = "connect"
    async with World(one, breaker=CALM) as world:
        notification = await world.post(expires_at=world.instant(0.9))
        await world.settled(notification, MessageState.EXPIRED, within_s=3)
        assert one.dials == 1


# Handled: claimed, parked or dropped


@in_virtual_time
async def test_without_a_place_it_is_parked_and_the_parcel_is_done_with() -> None:
    one = Vendor(concurrency=1, latency_s=5)
    async with World(one, started=False, recount=False) as world:
        await world.post()
        await world.planner.plan(await world.bus.take("intake.normal"))
        parcel = world.parcels(await world.bus.take("sms.normal"))[0]
        held = world.account().try_take(Priority.CRITICAL, world.clock.monotonic())
        assert held is not None
        handled: list[float] = []
        await world.deliverer.deliver(parcel, lambda: handled.append(world.at()))
        assert handled == [pytest.approx(0.5, abs=0.01)]
        assert world.told_of(Parked) == [Parked("route:sms", retry=False)]
        assert await world.waiting.parked() == {("route:sms", Priority.NORMAL): 1}


@in_virtual_time
async def test_a_delivery_that_breaks_off_before_its_claim_is_found_waiting_not_lost() -> None:
    one = Vendor()

    def broken() -> None:
        one.on_open = None
        raise RuntimeError("nobody foresaw this")

    one.on_open = broken
    async with World(one) as world:
        notification = await world.post()
        await world.pass_time(1)
        assert any(trouble.where == "deliver" for trouble in world.told_of(Trouble))
        await world.settled(notification, MessageState.SENT, within_s=120)
        assert len(one.calls) == 1
        assert world.account().in_flight == 0


@in_virtual_time
async def test_every_slot_and_line_comes_back_whatever_happened() -> None:
    one = Vendor(concurrency=20, timeout_s=2)
    async with World(one, breaker=CALM) as world:
        one.says(OK, UNWELL, REFUSED)
        notifications = await world.post_many(30)
        one.connect_s = 0.05
        await world.pass_time(0.02)
        one.hangs = True
        notifications += await world.post_many(10, first=100, on_doubt="hold")
        await world.pass_time(3)
        one.hangs = False
        one.unreachable = "connect"
        notifications += await world.post_many(10, first=200)
        await world.pass_time(3)
        one.unreachable = None
        await world.pass_time(600)
        assert world.account().in_flight == 0
        assert world.egress.leased == 0
        assert set(world.states(notifications)) <= {"sent", "failed", "in_doubt"}
        assert number(205) in one.addresses
