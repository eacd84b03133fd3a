"""deliver: one parcel goes as far as it can go now, and nothing leaves that its row has not granted."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sendwright.engine.telling import Duplicate, Trouble, Written
from sendwright.model.ids import attempt_id, message_id
from sendwright.model.notification import Priority
from sendwright.model.records import Switch, parcel_of
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.breaker import BreakerSettings

from .engine_world import (
    EMAIL,
    PHONE,
    REFUSED,
    TENANT,
    UNWELL,
    Vendor,
    World,
    in_virtual_time,
)

BOTH = {"phone": PHONE, "email": EMAIL}
CALM = BreakerSettings(failures=1_000_000, calls_min=1_000_000)


# Where it goes


@in_virtual_time
async def test_channels_are_tried_in_order_each_at_its_own_address() -> None:
    push, sms, email = Vendor("p", channels=("push",)), Vendor("s"), Vendor("e", channels=("email",))
    push.always(REFUSED)
    sms.always(REFUSED)
    async with World(push, sms, email) as world:
        to = {**BOTH, "push": [{"token": "device-7"}]}
        notification = await world.post(to, channels=["push", "sms", "email"])
        await world.settled(notification, MessageState.SENT)
        assert (push.addresses, sms.addresses, email.addresses) == (["device-7"], [PHONE], [EMAIL])
        assert [(a.channel, a.state.label) for a in world.attempts(notification)] == [
            ("push", "rejected"),
            ("sms", "rejected"),
            ("email", "sent"),
        ]


@in_virtual_time
async def test_within_a_channel_the_routes_order_decides_and_only_then_the_next_channel() -> None:
    a, b, mail = Vendor("a"), Vendor("b"), Vendor("mail", channels=("email",))
    a.always(UNWELL)
    b.always(REFUSED)
    async with World(a, b, mail, routes={"sms": ["a", "b"], "email": ["mail"]}) as world:
        notification = await world.post(BOTH, channels=["sms", "email"])
        await world.settled(notification, MessageState.SENT)
        assert [attempt.provider for attempt in world.attempts(notification)] == ["a", "b", "mail"]


@in_virtual_time
async def test_a_message_that_cannot_be_said_on_a_channel_takes_the_next_without_an_attempt() -> None:
    one, two = Vendor("one"), Vendor("two", channels=("email",))
    async with World(one, two) as world:
        content = {"body": "Hello", "sms": {"body": "unsayable"}}
        notification = await world.post(BOTH, channels=["sms", "email"], content=content)
        await world.settled(notification, MessageState.SENT)
        assert (one.dials, two.addresses) == (0, [EMAIL])
        assert len(world.attempts(notification)) == 1


@pytest.mark.parametrize(("body", "reason"), [("unsayable", "content"), ("x" * 5001, "too_long")])
@in_virtual_time
async def test_a_message_that_can_be_said_nowhere_fails_for_its_content(body: str, reason: str) -> None:
    one = Vendor()
    async with World(one) as world:
        notification = await world.post(content={"body": body})
        await world.settled(notification, MessageState.FAILED)
        row = world.message(notification)
        assert (row.reason, row.dead) == (reason, True)


@in_virtual_time
async def test_an_adapter_that_breaks_costs_its_own_message_and_no_other() -> None:
    one = Vendor(channels=("sms", "email"))
    async with World(one) as world:
        provider = world.account().provider
        build = provider.build
        provider.build = lambda out: build(out) if out.channel == "sms" else {}["oops"]  # type: ignore[method-assign]
        broken = await world.post({"email": EMAIL})
        fine = await world.post()
        await world.settled(fine, MessageState.SENT)
        await world.settled(broken, MessageState.FAILED)
        assert [trouble.where for trouble in world.told_of(Trouble)] == ["deliver"]


@in_virtual_time
async def test_an_adapter_that_cannot_read_an_answer_leaves_a_doubt_not_a_loss() -> None:
    one = Vendor()
    async with World(one) as world:
        world.account().provider.parse = lambda reply: {}["oops"]  # type: ignore[method-assign]
        notification = await world.post(on_doubt="hold")
        await world.settled(notification, MessageState.IN_DOUBT)
        assert len(one.calls) == 1


@in_virtual_time
async def test_the_first_byte_is_told_with_the_time_since_it_was_accepted() -> None:
    one = Vendor()
    one.connect_s = 1.5
    async with World(one) as world:
        await world.post(priority="high")
        await world.until(lambda: bool(one.calls))
        (written,) = world.told_of(Written)
        assert written.priority == Priority.HIGH
        assert written.latency_s == pytest.approx(1.5, abs=0.01)


# No row, no send


@in_virtual_time
async def test_cancelled_while_it_was_being_connected_nothing_is_written() -> None:
    one = Vendor()
    one.connect_s = 1
    async with World(one) as world:
        notification = await world.post()
        await world.pass_time(0.5)
        cancelled = await world.ledger.cancel(TENANT, notification, world.clock.now_ms())
        assert (cancelled.cancelled, cancelled.too_late) == (1, 0)
        await world.pass_time(60)
        assert one.calls == []
        assert world.state(notification) == MessageState.CANCELLED
        assert world.told_of(Duplicate) == [Duplicate("state")]


@in_virtual_time
async def test_the_same_parcel_many_times_at_once_is_one_call() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        notification = await world.post()
        await world.planner.plan(await world.bus.take("intake.normal"))
        bundle = await world.bus.take("sms.normal")
        (raw,) = [bundle.body[1:-1]]
        await world.bus.publish("sms.normal", [raw] * 20)
        await world.start()
        await world.settled(notification, MessageState.SENT)
        await world.pass_time(60)
        assert len(one.calls) == 1
        await world.bus.done(bundle)


@in_virtual_time
async def test_a_parcel_of_an_older_moment_is_refused() -> None:
    one = Vendor()
    one.says(UNWELL)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.QUEUED)
        row = world.message(notification)
        old = replace(parcel_of(row, world.content(notification)), number=0, wait=0)
        handled = []
        await world.deliverer.deliver(old, lambda: handled.append(True))
        assert handled == [True]
        assert len(one.calls) == 1
        assert world.told_of(Duplicate) == [Duplicate("number")]
        await world.settled(notification, MessageState.SENT)


@in_virtual_time
async def test_a_claim_whose_answer_was_lost_goes_on_and_is_sent_once() -> None:
    one = Vendor()
    async with World(one) as world:
        world.faults.lost_answers["claim"] = 1
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        assert len(one.calls) == len(world.attempts(notification)) == 1


@in_virtual_time
async def test_a_claim_whose_answer_was_lost_for_long_is_not_written_but_routed_again() -> None:
    one = Vendor()
    async with World(one) as world:
        world.faults.lost_answers["claim"] = 5
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        assert [attempt.state for attempt in world.attempts(notification)] == [AttemptState.FAILED, AttemptState.SENT]
        assert [call.attempt for call in one.calls] == [attempt_id(message_id(notification, 0), 2)]
        assert world.message(notification).calls == 0, "a call that was not made is none"
        assert not world.message(notification).doubled


@pytest.mark.parametrize(("slow_s", "written"), [(0.3, True), (0.6, False), (3.0, False)])
@in_virtual_time
async def test_a_call_is_begun_within_half_a_second_of_its_claim_or_not_at_all(slow_s: float, written: bool) -> None:
    one = Vendor()
    async with World(one) as world:
        world.faults.slow_answers["claim"] = slow_s
        notification = await world.post()
        await world.pass_time(slow_s + 0.01)
        assert bool(one.calls) == written
        world.faults.slow_answers.clear()
        await world.settled(notification, MessageState.SENT)
        assert len(one.calls) == 1
        assert world.breaker() == "closed"
        assert list(world.account().recent) == [True], "what was not called says nothing of its provider"


@pytest.mark.parametrize("slow_s", [0.0, 0.4])
@in_virtual_time
async def test_a_call_is_over_before_anybody_may_take_it_for_lost(slow_s: float) -> None:
    one = Vendor(timeout_s=10)
    one.hangs = True
    async with World(one) as world:
        world.faults.slow_answers["claim"] = slow_s
        notification = await world.post(on_doubt="hold")
        await world.settled(notification, MessageState.IN_DOUBT)
        (attempt,) = world.attempts(notification)
        assert attempt.finished_at is not None
        assert attempt.finished_at < attempt.deadline_at


# Switches


@in_virtual_time
async def test_switched_off_between_claim_and_write_nothing_is_written() -> None:
    one = Vendor()
    async with World(one) as world:
        # given: the switch is read while the claim is on its way back
        world.faults.slow_answers["claim"] = 0.2
        notification = await world.post()
        await world.pass_time(0.1)
        await world.switch("one", enabled=False)
        world.faults.slow_answers.clear()
        await world.pass_time(60)
        assert one.calls == []
        assert world.state(notification) == MessageState.QUEUED
        assert world.message(notification).wait is not None
        # when
        await world.switch("one", enabled=True)
        await world.settled(notification, MessageState.SENT, within_s=2)
        assert len(one.calls) == 1
        assert world.message(notification).calls == 0


@in_virtual_time
async def test_switched_off_between_claim_and_write_another_provider_takes_it_at_once() -> None:
    one, two = Vendor("one"), Vendor("two")
    async with World(one, two) as world:
        world.faults.slow_answers["claim"] = 0.2
        notification = await world.post()
        await world.pass_time(0.1)
        await world.switch("one", enabled=False)
        await world.settled(notification, MessageState.SENT, within_s=1)
        assert (len(one.calls), len(two.calls)) == (0, 1)


@in_virtual_time
async def test_a_claim_under_an_older_epoch_is_refused_and_routed_again() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.connect_s = 1
    async with World(one, two) as world:
        notification = await world.post()
        await world.pass_time(0.5)
        # given: another process has switched it off, and this one has not heard of it
        await world.backend.switchboard.set(Switch("one", enabled=False))
        assert world.account("one").enabled
        await world.settled(notification, MessageState.SENT, within_s=2)
        assert (len(one.calls), len(two.calls)) == (0, 1)
        assert world.told_of(Duplicate) == [Duplicate("epoch")]
        assert world.fleet.epoch == 2


@pytest.mark.slow
@in_virtual_time
async def test_while_every_provider_is_switched_off_nobody_is_even_dialled() -> None:
    one = Vendor()
    async with World(one) as world:
        await world.switch("one", enabled=False)
        notifications = await world.post_many(20)
        await world.pass_time(3600)
        assert one.dials == 0
        assert world.states(notifications) == {"queued": 20}
        await world.switch("one", enabled=True)
        await world.settled(notifications, MessageState.SENT, within_s=5)
        assert len(one.calls) == 20


# The last look before the first byte


@in_virtual_time
async def test_expired_before_its_claim_it_is_never_called() -> None:
    one = Vendor()
    one.connect_s = 2
    async with World(one) as world:
        notification = await world.post(expires_at=world.instant(1))
        await world.settled(notification, MessageState.EXPIRED)
        assert one.calls == []
        assert world.attempts(notification) == []


@in_virtual_time
async def test_expired_between_its_claim_and_the_first_byte_it_is_not_written() -> None:
    one = Vendor()
    async with World(one) as world:
        world.faults.slow_answers["claim"] = 0.3
        notification = await world.post(expires_at=world.instant(0.2))
        await world.settled(notification, MessageState.EXPIRED)
        assert one.calls == []
        assert [attempt.state for attempt in world.attempts(notification)] == [AttemptState.FAILED]
        assert list(world.account().recent) == [], "what was not called says nothing of its provider"


@in_virtual_time
async def test_an_expired_message_takes_no_other_step_either() -> None:
    one, two = Vendor("one"), Vendor("two", channels=("email",))
    async with World(one, two) as world:
        world.faults.slow_answers["claim"] = 0.3
        notification = await world.post(BOTH, channels=["sms", "email"], expires_at=world.instant(0.2))
        await world.settled(notification, MessageState.EXPIRED)
        await world.pass_time(60)
        assert (one.calls, two.calls) == ([], [])


@in_virtual_time
async def test_a_line_that_was_hung_up_before_the_first_byte_uses_no_attempt() -> None:
    one = Vendor()
    one.lines_open = False
    async with World(one) as world:
        notification = await world.post()
        await world.pass_time(1)
        assert one.calls == []
        one.lines_open = True
        await world.settled(notification, MessageState.SENT)
        assert len(one.calls) == 1
        assert world.message(notification).calls == 0
        assert world.breaker() == "closed"


@in_virtual_time
async def test_paused_while_a_claim_was_on_its_way_back_it_is_not_written() -> None:
    one, two = Vendor("one"), Vendor("two")
    async with World(one, two) as world:
        world.faults.slow_answers["claim"] = 0.2
        notification = await world.post()
        await world.pass_time(0.1)
        world.account("one").paused_until = world.clock.monotonic() + 30
        await world.settled(notification, MessageState.SENT, within_s=1)
        assert (len(one.calls), len(two.calls)) == (0, 1)
