"""settle: what an outcome means for the message: attempts that count, waits, steps, doubts, ends and replays."""

from __future__ import annotations

from itertools import pairwise

import pytest
from msgspec.structs import replace

from sendwright.engine.settle import RetrySettings, detail_of, reason_of, why_of
from sendwright.engine.telling import Attempted
from sendwright.model.ids import message_id
from sendwright.model.notification import Priority
from sendwright.model.outcomes import Accepted, Later
from sendwright.model.parcel import Round, intake_lane
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.breaker import BreakerSettings
from sendwright.providers.contract import Lost, Reply

from .engine_world import (
    EMAIL,
    FORBIDDEN,
    LOST,
    OK,
    PHONE,
    REFUSED,
    TENANT,
    UNWELL,
    Vendor,
    World,
    in_virtual_time,
    throttled,
)

BOTH = {"phone": PHONE, "email": EMAIL}
CALM = BreakerSettings(failures=1_000_000, calls_min=1_000_000)
THREE = RetrySettings(attempts_max=3)


# Accepted


def test_whoever_did_not_get_what_was_taken_is_the_attempts_reason_and_nothing_against_the_provider() -> None:
    partly = Accepted("A1", "not to b•••@example.org (550 unknown)")
    assert (reason_of(partly), detail_of(partly), why_of(partly)) == ("rejected", "not to b•••@example.org (550 unknown)", "")
    assert (reason_of(Accepted("A1")), detail_of(Accepted("A1"))) == (None, "")


# Later


@in_virtual_time
async def test_it_is_tried_as_often_as_it_may_and_then_fails_into_the_dead_letters() -> None:
    one = Vendor()
    one.always(UNWELL)
    async with World(one, breaker=CALM) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.FAILED, within_s=8000)
        row = world.message(notification)
        assert len(one.calls) == row.number == 8
        assert (row.reason, row.dead) == ("unreachable", True)
        assert await world.backend.records.dead_causes(TENANT) == [("sms", "unreachable", "one", 1)]


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
@in_virtual_time
async def test_waits_grow_by_decorrelated_jitter_within_their_bounds(draw: float) -> None:
    one = Vendor(latency_s=0)
    one.always(UNWELL)
    retry = RetrySettings(attempts_max=8, base_s=2, cap_s=60)
    async with World(one, breaker=CALM, retry=retry) as world:
        world.draw = lambda: draw
        notification = await world.post(priority="critical", ttl="24h")
        await world.settled(notification, MessageState.FAILED, within_s=4000)
        gaps = [later - earlier for earlier, later in pairwise(one.times)]
        assert len(gaps) == 7
        before = 2.0
        for gap in gaps:
            wished = min(60, 2 + draw * (3 * before - 2))
            assert wished - 0.01 <= gap <= wished + 0.05
            before = wished


@in_virtual_time
async def test_two_messages_refused_at_one_moment_do_not_come_back_at_one_moment() -> None:
    one = Vendor(latency_s=0)
    one.says(*[UNWELL] * 20)
    async with World(one, breaker=CALM) as world:
        notifications = await world.post_many(20)
        await world.settled(notifications, MessageState.SENT)
        assert len({round(at, 2) for at in one.times[20:]}) > 15


@pytest.mark.parametrize("attempts_max", [1, 2, 4, 8])
@in_virtual_time
async def test_never_more_calls_in_a_step_than_attempts_max_whatever_the_providers(attempts_max: int) -> None:
    vendors = [Vendor(name) for name in ("a", "b", "c")]
    for vendor in vendors:
        vendor.always(UNWELL)
    async with World(*vendors, breaker=CALM, retry=RetrySettings(attempts_max=attempts_max)) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.FAILED, within_s=8000)
        assert sum(len(vendor.calls) for vendor in vendors) == attempts_max


@in_virtual_time
async def test_each_step_has_attempts_of_its_own() -> None:
    one, two = Vendor("one"), Vendor("two", channels=("email",))
    one.always(UNWELL)
    two.always(UNWELL)
    async with World(one, two, breaker=CALM, retry=THREE) as world:
        notification = await world.post(BOTH, channels=["sms", "email"])
        await world.settled(notification, MessageState.FAILED, within_s=1000)
        assert (len(one.calls), len(two.calls)) == (3, 3)


@in_virtual_time
async def test_what_was_never_called_is_no_attempt() -> None:
    one = Vendor()
    async with World(one, retry=RetrySettings(attempts_max=1)) as world:
        # given: out of reach, then misconfigured, then switched off, then without a place
        one.unreachable = "resolve"
        notification = await world.post()
        await world.pass_time(60)
        one.unreachable = None
        one.always(FORBIDDEN)
        await world.pass_time(120)
        assert len(one.calls) > 2
        await world.switch("one", enabled=False)
        await world.pass_time(120)
        assert world.state(notification) == MessageState.QUEUED
        # when
        one.always(OK)
        await world.switch("one", enabled=True)
        await world.settled(notification, MessageState.SENT, within_s=60)
        assert world.message(notification).calls == 0


@in_virtual_time
async def test_the_only_call_is_counted_though_its_provider_only_asked_to_wait() -> None:
    one = Vendor()
    one.always(throttled(5))
    async with World(one, retry=THREE) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.FAILED, within_s=600)
        assert len(one.calls) == 3
        assert world.message(notification).reason == "limit"


@pytest.mark.slow
@in_virtual_time
async def test_an_hour_of_outage_passes_and_everything_is_sent() -> None:
    one = Vendor()
    one.always(UNWELL)
    async with World(one) as world:
        notifications = await world.post_many(30)
        await world.pass_time(3600)
        assert world.states(notifications) == {"queued": 30}
        one.always(OK)
        await world.settled(notifications, MessageState.SENT, within_s=120)


# Rejected


@in_virtual_time
async def test_a_refusal_takes_the_next_step_at_once() -> None:
    one, two = Vendor("one"), Vendor("two", channels=("email",))
    one.always(REFUSED)
    async with World(one, two) as world:
        notification = await world.post(BOTH, channels=["sms", "email"])
        await world.settled(notification, MessageState.SENT, within_s=0.5)
        assert (len(one.calls), two.addresses) == (1, [EMAIL])


@in_virtual_time
async def test_refused_on_the_last_step_it_fails_with_the_vendors_words_and_is_dead() -> None:
    one = Vendor()
    one.always(REFUSED)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.FAILED)
        row = world.message(notification)
        assert (row.reason, row.detail, row.dead) == ("rejected", "HTTP 400", True)
        assert len(one.calls) == 1


@in_virtual_time
async def test_a_dead_letter_that_is_replayed_begins_at_its_first_step() -> None:
    one, two = Vendor("one"), Vendor("two", channels=("email",))
    one.always(REFUSED)
    two.always(REFUSED)
    async with World(one, two) as world:
        notification = await world.post(BOTH, channels=["sms", "email"])
        await world.settled(notification, MessageState.FAILED)
        one.always(OK)
        assert await world.ledger.revive(TENANT, message_id(notification, 0), world.clock.now_ms())
        await world.settled(notification, MessageState.SENT)
        assert (len(one.calls), len(two.calls)) == (2, 1)
        row = world.message(notification)
        assert (row.dead, row.doubled, row.number) == (False, False, 3)
        assert not await world.ledger.revive(TENANT, "msg_unknown", world.clock.now_ms())


@in_virtual_time
async def test_a_replay_has_all_its_attempts_again() -> None:
    one = Vendor()
    one.always(UNWELL)
    async with World(one, breaker=CALM, retry=THREE) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.FAILED)
        await world.ledger.revive(TENANT, message_id(notification, 0), world.clock.now_ms())
        await world.pass_time(1)
        await world.settled(notification, MessageState.FAILED)
        assert len(one.calls) == 6


@in_virtual_time
async def test_a_failed_receipt_after_a_replay_takes_the_next_step_of_the_replay() -> None:
    one, two = Vendor("one"), Vendor("two", channels=("email",))
    one.always(REFUSED)
    two.always(REFUSED)
    async with World(one, two) as world:
        notification = await world.post(BOTH, channels=["sms", "email"])
        await world.settled(notification, MessageState.FAILED)
        one.always(OK)
        two.always(OK)
        await world.ledger.revive(TENANT, message_id(notification, 0), world.clock.now_ms())
        await world.settled(notification, MessageState.SENT)
        await world.report(AttemptState.FAILED, attempt=world.attempts(notification)[-1].id)
        await world.pass_time(5)
        assert len(two.calls) == 2
        assert world.state(notification) == MessageState.SENT


# Doubt


@pytest.mark.slow
@pytest.mark.parametrize("answer", [LOST, Lost("body", "cut off"), Reply(500), Reply(502), Reply(504)])
@in_virtual_time
async def test_a_held_doubt_is_never_resent_and_never_fails_over(answer: Lost | Reply) -> None:
    one, two, mail = Vendor("one"), Vendor("two"), Vendor("mail", channels=("email",))
    one.says(answer)
    async with World(one, two, mail) as world:
        notification = await world.post(BOTH, channels=["sms", "email"], on_doubt="hold")
        await world.settled(notification, MessageState.IN_DOUBT)
        await world.pass_time(3600)
        assert (len(one.calls), len(two.calls), len(mail.calls)) == (1, 0, 0)
        assert world.state(notification) == MessageState.IN_DOUBT
        assert world.message(notification).reason == "lost_answer"


@in_virtual_time
async def test_marketing_holds_its_doubts_unless_it_asks_otherwise() -> None:
    one = Vendor()
    one.says(LOST, LOST)
    async with World(one) as world:
        held = await world.post(category="marketing")
        await world.settled(held, MessageState.IN_DOUBT)
        again = await world.post(category="marketing", on_doubt="resend")
        await world.settled(again, MessageState.SENT)


@pytest.mark.parametrize(
    ("verdict", "state", "calls"),
    [("sent", MessageState.SENT, 1), ("failed", MessageState.FAILED, 1), ("resend", MessageState.SENT, 2)],
)
@in_virtual_time
async def test_a_person_settles_a_held_doubt(verdict: str, state: MessageState, calls: int) -> None:
    one = Vendor()
    one.says(LOST)
    async with World(one) as world:
        notification = await world.post(on_doubt="hold")
        await world.settled(notification, MessageState.IN_DOUBT)
        await world.ledger.resolve(TENANT, message_id(notification, 0), verdict, world.clock.now_ms())
        await world.settled(notification, state)
        await world.pass_time(60)
        assert len(one.calls) == calls
        assert world.message(notification).doubled == (verdict == "resend")


@in_virtual_time
async def test_a_doubt_of_a_provider_with_receipts_waits_half_a_minute_for_one_and_is_sent_again() -> None:
    one = Vendor(receipts=True)
    one.says(LOST)
    async with World(one) as world:
        notification = await world.post()
        await world.pass_time(29)
        assert world.state(notification) == MessageState.SENDING
        assert [attempt.state for attempt in world.attempts(notification)] == [AttemptState.IN_DOUBT]
        assert len(one.calls) == 1
        await world.settled(notification, MessageState.SENT, within_s=3)
        assert one.times[1] - one.times[0] >= 30
        assert world.message(notification).doubled


@in_virtual_time
async def test_a_doubt_of_a_provider_without_receipts_is_soon_sent_again_under_the_same_key() -> None:
    one = Vendor()
    one.says(LOST)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=3)
        first, second = one.calls
        assert second.at - first.at >= 1
        assert first.key == second.key
        assert first.attempt != second.attempt


@in_virtual_time
async def test_a_provider_that_knows_its_keys_is_asked_again_at_once_though_it_has_receipts() -> None:
    one = Vendor(receipts=True, idempotency_s=86_400)
    one.says(LOST)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=3)
        assert one.calls[0].key == one.calls[1].key


@pytest.mark.slow
@in_virtual_time
async def test_when_its_attempts_are_used_up_in_doubt_it_stays_in_doubt_and_is_not_called_failed() -> None:
    one = Vendor()
    one.always(LOST)
    async with World(one, breaker=CALM, retry=THREE) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.IN_DOUBT)
        await world.pass_time(3600)
        assert len(one.calls) == 3
        assert world.state(notification) == MessageState.IN_DOUBT


@in_virtual_time
async def test_when_time_runs_out_in_doubt_it_stays_in_doubt_since_it_may_have_been_sent() -> None:
    one = Vendor(receipts=True)
    one.says(LOST)
    async with World(one) as world:
        notification = await world.post(ttl="20s")
        await world.pass_time(60)
        assert len(one.calls) == 1
        assert world.state(notification) == MessageState.IN_DOUBT
        await world.report(AttemptState.DELIVERED, attempt=world.attempts(notification)[0].id)
        await world.settled(notification, MessageState.DELIVERED)


@in_virtual_time
async def test_a_hanging_provider_is_given_its_time_and_no_more() -> None:
    one = Vendor(timeout_s=10)
    one.hangs = True
    async with World(one) as world:
        notification = await world.post(on_doubt="hold")
        await world.settled(notification, MessageState.IN_DOUBT)
        assert world.at() == pytest.approx(10, abs=0.1)
        assert [told.outcome for told in world.told_of(Attempted)] == ["unsure"]


# The store


@in_virtual_time
async def test_an_outcome_is_written_when_the_store_is_back_however_long_it_takes() -> None:
    one = Vendor(latency_s=1)
    async with World(one) as world:
        notification = await world.post(on_doubt="hold")
        await world.pass_time(0.5)
        world.faults.down = True
        await world.pass_time(600)
        world.faults.down = False
        await world.settled(notification, MessageState.SENT, within_s=5)
        assert "message.in_doubt" not in world.events(notification)
        assert len(one.calls) == 1


@in_virtual_time
async def test_an_outcome_whose_answer_was_lost_is_written_once() -> None:
    one = Vendor()
    one.says(UNWELL)
    async with World(one) as world:
        world.faults.lost_answers["settle"] = 2
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        assert len(one.calls) == 2
        assert [attempt.state.label for attempt in world.attempts(notification)] == ["failed", "sent"]


@in_virtual_time
async def test_vendors_words_are_kept_short_and_printable() -> None:
    one = Vendor()
    async with World(one) as world:
        one.says(Lost("wait", "x" * 1000 + "\x1b[31m\n"))
        notification = await world.post(on_doubt="hold")
        await world.settled(notification, MessageState.IN_DOUBT)
        detail = world.attempts(notification)[0].detail
        assert len(detail) == 300
        one.says(Lost("wait", "a\x1b[31m\nb"))
        other = await world.post(on_doubt="hold")
        await world.settled(other, MessageState.IN_DOUBT)
        assert world.attempts(other)[0].detail == "wait: a [31m b"


@in_virtual_time
async def test_a_wait_that_makes_no_sense_does_not_drown_one_of_the_same_round_that_does() -> None:
    one, two = Vendor("one"), Vendor("two")
    async with World(one, two, started=False) as world:
        notification = await world.post()
        await world.planner.plan(await world.bus.take(intake_lane(Priority.NORMAL)))
        parcel = replace(world.parcel_of(notification), round=Round(("one",), asked_until=world.clock.now_ms() + 600_000))
        now = world.clock.now_ms()
        for asked in (None, 1e9):
            wait = world.settler.decide(parcel, world.account("two"), Later("busy", asked), now).wait
            assert wait is not None
            assert wait.due_at is not None
            assert wait.due_at - now >= 600_000
