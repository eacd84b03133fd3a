"""What a message has learned of its providers: who refused, who said later, for how long, and who would know a repeat."""

from __future__ import annotations

import pytest

from sendwright.engine.settle import RetrySettings
from sendwright.model.ids import message_id
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.breaker import BreakerSettings
from sendwright.providers.contract import Reply

from .engine_world import EMAIL, LOST, OK, PHONE, TENANT, UNWELL, Vendor, World, in_virtual_time, throttled

BOTH = {"phone": PHONE, "email": EMAIL}
CALM = BreakerSettings(failures=1_000_000, calls_min=1_000_000)
DAY = 86_400


def refused(scope: str) -> Reply:
    return Reply(400, headers=(("x-scope", scope),))


# Refused by one, put off by another


@pytest.mark.parametrize("scope", ["call", "sender", "account"])
@in_virtual_time
async def test_who_only_said_later_is_asked_again_though_all_others_have_refused(scope: str) -> None:
    one, two = Vendor("one"), Vendor("two")
    one.says(throttled(5))
    two.always(refused(scope))
    async with World(one, two) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=30)
        assert (len(one.calls), len(two.calls)) == (2, 1)
        assert one.times[1] - one.times[0] >= 5


@in_virtual_time
async def test_who_has_refused_is_not_asked_again_for_that_step() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.always(refused("sender"))
    two.says(UNWELL, UNWELL, UNWELL)
    async with World(one, two, breaker=CALM) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=200)
        assert (len(one.calls), len(two.calls)) == (1, 4)


@in_virtual_time
async def test_who_has_no_words_for_it_is_passed_by_and_who_said_later_waited_for() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.unreachable = "connect"
    async with World(one, two) as world:
        notification = await world.post(content={"body": "unsayable by two"})
        await world.pass_time(10)
        assert world.state(notification) == MessageState.QUEUED
        one.unreachable = None
        await world.settled(notification, MessageState.SENT, within_s=200)
        assert (len(one.calls), len(two.calls)) == (1, 0)


@in_virtual_time
async def test_what_waits_for_a_provider_that_cannot_be_reached_says_so_until_it_is_sent() -> None:
    one = Vendor("one")
    one.unreachable = "connect"
    async with World(one) as world:
        notification = await world.post()
        await world.pass_time(0.5)
        # then: no call, no attempt, and still a reason
        waiting = world.message(notification)
        assert (waiting.state, waiting.reason) == (MessageState.QUEUED, "unreachable")
        assert waiting.detail.startswith("connect")
        assert world.attempts(notification) == []
        # when
        one.unreachable = None
        await world.settled(notification, MessageState.SENT, within_s=200)
        # then
        assert world.message(notification).reason is None


@in_virtual_time
async def test_who_has_no_words_for_it_leaves_it_to_the_next() -> None:
    one, two = Vendor("one"), Vendor("two")
    async with World(one, two) as world:
        notification = await world.post(content={"body": "unsayable by one"})
        await world.settled(notification, MessageState.SENT)
        assert (len(one.calls), len(two.calls)) == (0, 1)


@in_virtual_time
async def test_when_all_have_refused_the_next_step_is_made_and_has_forgotten_them() -> None:
    one, two = Vendor("one", channels=("sms", "email")), Vendor("two", channels=("sms", "email"))
    one.says(refused("sender"))
    two.says(refused("account"))
    async with World(one, two) as world:
        notification = await world.post(BOTH, channels=["sms", "email"])
        await world.settled(notification, MessageState.SENT)
        assert [call.address for call in one.calls] == [PHONE, EMAIL]
        assert [call.address for call in two.calls] == [PHONE]


@in_virtual_time
async def test_nobody_waits_for_one_that_is_switched_off_when_all_others_have_refused() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.always(refused("sender"))
    async with World(one, two) as world:
        await world.switch("two", enabled=False)
        notification = await world.post()
        await world.settled(notification, MessageState.FAILED, within_s=10)


# How long they asked to be left alone


@in_virtual_time
async def test_the_longest_wait_of_the_round_holds_though_the_next_provider_was_shut_meanwhile() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.says(Reply(429, headers=(("x-scope", "call"), ("retry-after", "600"))))
    async with World(one, two, breaker=BreakerSettings(failures=1, probe_s=30)) as world:
        # given: the second is taken away between the first's word and its own turn
        two.unreachable = "connect"
        other = await world.post({"phone": "+15550100099"}, ttl="1h")
        await world.pass_time(1)
        first = one.calls[0].at
        # then: nobody is asked before the time is over, but the second when it is well again
        await world.pass_time(120)
        assert len(one.calls) == 1
        two.unreachable = None
        await world.settled(other, MessageState.SENT, within_s=600)
        assert len(two.calls) == 1 or one.calls[-1].at - first >= 600


@in_virtual_time
async def test_the_longest_wait_of_the_round_survives_the_process() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.says(Reply(429, headers=(("x-scope", "call"), ("retry-after", "600"))))
    two.latency_s = 2
    two.always(UNWELL)
    patient = RetrySettings(attempts_max=1000, cap_s=20)
    async with World(one, two, breaker=CALM, retry=patient) as world:
        notification = await world.post(ttl="2h", on_doubt="resend")
        await world.pass_time(1)
        assert (len(one.calls), len(two.calls)) == (1, 1)
        # when: it dies while the second is asked; that doubt is waited for, and the second is unwell
        await world.kill()
        await world.settled(notification, MessageState.SENT, within_s=1000)
        # then
        assert len(one.calls) == 2
        assert one.times[1] - one.times[0] >= 600


# A repeat that its provider knows


@in_virtual_time
async def test_what_may_have_been_taken_is_repeated_where_it_would_be_known_and_is_not_doubled() -> None:
    one, two = Vendor("one", idempotency_s=DAY), Vendor("two")
    one.says(LOST, UNWELL)
    async with World(one, two, breaker=CALM) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=30)
        assert (len(one.calls), len(two.calls)) == (3, 0)
        assert len({call.key for call in one.calls}) == 1
        assert not world.message(notification).doubled
        assert [a.repeats for a in world.attempts(notification)] == [0, 1, 1]


@in_virtual_time
async def test_who_would_know_a_repeat_is_waited_for_half_a_minute_and_no_longer() -> None:
    one, two = Vendor("one", idempotency_s=DAY), Vendor("two")
    one.says(LOST)
    async with World(one, two, breaker=BreakerSettings(failures=1, probe_s=1)) as world:
        notification = await world.post()
        await world.pass_time(0.5)
        one.unreachable = "connect"
        await world.pass_time(20)
        assert (world.state(notification), len(two.calls)) == (MessageState.SENDING, 0)
        await world.settled(notification, MessageState.SENT, within_s=30)
        assert len(two.calls) == 1
        assert world.message(notification).doubled


@in_virtual_time
async def test_beyond_the_memory_of_its_keys_a_repeat_is_another_call() -> None:
    one = Vendor("one", idempotency_s=15)
    one.says(LOST)
    async with World(one, breaker=CALM) as world:
        notification = await world.post()
        await world.pass_time(0.5)
        one.unreachable = "connect"
        await world.pass_time(20)
        one.unreachable = None
        await world.settled(notification, MessageState.SENT, within_s=200)
        assert [a.repeats for a in world.attempts(notification)] == [0, 0]
        assert world.message(notification).doubled


@in_virtual_time
async def test_a_refusal_of_the_repeat_settles_the_doubt_and_the_others_are_asked() -> None:
    one, two = Vendor("one", idempotency_s=DAY), Vendor("two")
    one.says(LOST, refused("sender"))
    async with World(one, two) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=30)
        assert (len(one.calls), len(two.calls)) == (2, 1)
        assert not world.message(notification).doubled


@in_virtual_time
async def test_after_a_death_the_repeat_goes_where_it_would_be_known() -> None:
    one, two = Vendor("one", idempotency_s=DAY, latency_s=2), Vendor("two")
    async with World(one, two) as world:
        notification = await world.post()
        await world.pass_time(1)
        await world.kill()
        world.vendors["one"].latency_s = 0.05
        await world.settled(notification, MessageState.SENT, within_s=30)
        assert [a.repeats for a in world.attempts(notification)] == [0, 1]
        assert not world.message(notification).doubled
        assert world.vendors["two"].calls == []


@pytest.mark.slow
@in_virtual_time
async def test_a_doubt_that_is_held_is_repeated_nowhere_even_where_it_would_be_known() -> None:
    one = Vendor("one", idempotency_s=DAY)
    one.says(LOST)
    async with World(one) as world:
        notification = await world.post(on_doubt="hold")
        await world.pass_time(3600)
        assert (world.state(notification), len(one.calls)) == (MessageState.IN_DOUBT, 1)
        # when: a person has it sent again
        await world.ledger.resolve(TENANT, message_id(notification, 0), "resend", world.clock.now_ms())
        world.promoter.poke()
        await world.settled(notification, MessageState.SENT)
        assert one.calls[0].key == one.calls[1].key
        assert not world.message(notification).doubled


# In doubt, and failed


@in_virtual_time
async def test_what_may_have_been_taken_is_not_called_failed_when_the_calls_after_it_are_refused() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.says(LOST)
    one.always(refused("recipient"))
    two.always(refused("recipient"))
    async with World(one, two) as world:
        notification = await world.post()
        await world.pass_time(60)
        assert world.state(notification) == MessageState.IN_DOUBT
        # when: that doubt is refuted
        await world.report(AttemptState.FAILED, attempt=world.attempts(notification)[0].id, reason="rejected")
        await world.settled(notification, MessageState.FAILED)


# Sent again by a person


async def _sent_again(world: World, notification: str) -> None:
    assert await world.ledger.revive(TENANT, message_id(notification, 0), world.clock.now_ms())
    world.promoter.poke()


@in_virtual_time
async def test_what_is_sent_again_by_hand_is_retried_like_any_other() -> None:
    one = Vendor("one")
    async with World(one, breaker=CALM) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        one.says(UNWELL, UNWELL)
        await _sent_again(world, notification)
        await world.pass_time(100)
        assert (world.state(notification), len(one.calls)) == (MessageState.SENT, 4)
        assert [a.state for a in world.attempts(notification)].count(AttemptState.SENT) == 2


@in_virtual_time
async def test_what_is_sent_again_by_hand_is_no_repeat_for_its_provider() -> None:
    one = Vendor("one", idempotency_s=DAY)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        await _sent_again(world, notification)
        await world.pass_time(5)
        first, second = one.calls
        assert first.key != second.key
        assert world.message(notification).doubled


@in_virtual_time
async def test_when_sending_it_again_comes_to_nothing_it_is_still_what_it_was() -> None:
    one = Vendor("one")
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        one.always(refused("recipient"))
        await _sent_again(world, notification)
        await world.pass_time(5)
        assert (world.state(notification), len(one.calls)) == (MessageState.SENT, 2)
        # when: what was sent did not arrive either
        await world.report(AttemptState.FAILED, attempt=world.attempts(notification)[0].id, reason="rejected")
        await world.settled(notification, MessageState.FAILED)


@in_virtual_time
async def test_a_failure_of_what_was_sent_before_does_not_touch_what_is_sent_again() -> None:
    one = Vendor("one", latency_s=1)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        await _sent_again(world, notification)
        await world.pass_time(0.5)
        await world.report(AttemptState.FAILED, attempt=world.attempts(notification)[0].id, reason="rejected")
        await world.settled(notification, MessageState.SENT)
        assert len(one.calls) == 2
        assert not world.message(notification).doubled


# Switches and probes while a call gets ready


@in_virtual_time
async def test_a_call_that_was_getting_ready_when_its_rate_was_switched_is_decided_anew() -> None:
    one = Vendor("one")
    one.connect_s = 3
    async with World(one) as world:
        notification = await world.post()
        await world.pass_time(1)
        await world.switch("one", rate="1/day")
        await world.settled(notification, MessageState.SENT, within_s=20)
        # then: the first line was given back, and the call went out under the new switches
        assert one.dials >= 2
        assert len(one.calls) == 1


@in_virtual_time
async def test_a_probe_that_was_slow_to_get_ready_has_all_of_its_time_and_is_alone_meanwhile() -> None:
    one = Vendor("one", timeout_s=2)
    one.always(UNWELL)
    async with World(one, breaker=BreakerSettings(failures=1, probe_s=0.1, probe_max_s=0.1)) as world:
        await world.post_many(5, ttl="24h")
        await world.pass_time(2)
        before = len(one.calls)
        # when: connecting takes nearly all of the time that a probe had, and then nothing is answered
        one.connect_s, one.hangs = 1.9, True
        one.on_open = lambda: setattr(one, "connect_s", 0)
        await world.pass_time(20)
        assert len(one.calls) > before + 3
        assert max(call.in_flight for call in one.calls[before:]) == 1


# Full, beside one that said later


@in_virtual_time
async def test_who_waits_for_the_rate_of_one_is_not_sent_round_and_round_by_the_places_of_another() -> None:
    one, two = Vendor("one"), Vendor("two", rate="1/min")
    one.always(UNWELL)
    async with World(one, two, breaker=CALM) as world:
        notifications = await world.post_many(3)
        await world.pass_time(100)
        # then: each was looked at about once per try, and not as often as the promoter turns
        assert world.faults.calls["park"] < 60
        assert len(two.calls) == 2
        one.always(OK)
        await world.settled(notifications, MessageState.SENT, within_s=200)


@in_virtual_time
async def test_who_waits_for_one_that_is_ill_is_not_sent_round_and_round_by_the_places_of_one_that_refused() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.always(refused("sender"))
    two.unreachable = "connect"
    async with World(one, two, breaker=BreakerSettings(failures=1, probe_s=5)) as world:
        notifications = await world.post_many(3)
        await world.pass_time(100)
        assert world.faults.calls["park"] < 100
        assert len(one.calls) == 3
        two.unreachable = None
        await world.settled(notifications, MessageState.SENT, within_s=4000)


@pytest.mark.parametrize("rate", ["10/min", "100/h"])
@in_virtual_time
async def test_a_probe_that_is_due_waits_for_its_rate_without_anybody_going_round_and_round(rate: str) -> None:
    one = Vendor("one", rate=rate)
    one.says(UNWELL)
    async with World(one, breaker=BreakerSettings(failures=1, probe_s=1)) as world:
        notifications = await world.post_many(3)
        await world.pass_time(60)
        assert world.faults.calls["park"] < 100
        await world.settled(notifications, MessageState.SENT, within_s=8000)


@in_virtual_time
async def test_who_is_bound_to_one_without_a_call_to_spare_is_not_sent_round_by_the_places_of_another() -> None:
    one, two = Vendor("one", idempotency_s=DAY, rate="10/min"), Vendor("two")
    one.says(LOST)
    async with World(one, two, breaker=CALM) as world:
        notification = await world.post()
        await world.pass_time(20)
        assert world.faults.calls["park"] < 30
        await world.settled(notification, MessageState.SENT, within_s=60)


@in_virtual_time
async def test_a_failure_of_another_call_does_not_undo_what_the_repeat_was_told() -> None:
    one, two = Vendor("one", idempotency_s=DAY), Vendor("two", receipts=True)
    mail = Vendor("mail", channels=("email",))
    one.says(LOST)
    two.says(LOST)
    async with World(one, two, mail, breaker=CALM) as world:
        # given: lost by the first, and after half a minute by the second; then taken by the first as a repeat
        notification = await world.post(BOTH, channels=["sms", "email"])
        await world.pass_time(0.5)
        one.unreachable = "connect"
        await world.until(lambda: len(two.calls) == 1, within_s=60)
        one.unreachable = None
        await world.settled(notification, MessageState.SENT, within_s=100)
        # when
        lost = next(a for a in world.attempts(notification) if a.provider == "two")
        await world.report(AttemptState.FAILED, attempt=lost.id, ref="two-1", provider="two", reason="rejected")
        await world.pass_time(20)
        # then
        assert (world.state(notification), mail.calls) == (MessageState.SENT, [])


@in_virtual_time
async def test_a_repeat_that_expires_before_its_first_byte_leaves_the_doubt() -> None:
    one = Vendor("one", idempotency_s=DAY)
    one.says(LOST)
    async with World(one, breaker=CALM) as world:
        notification = await world.post(expires_at=world.instant(1.3))
        await world.until(lambda: len(one.calls) == 1)
        world.faults.slow_answers["claim"] = 0.4
        await world.settled(notification, MessageState.IN_DOUBT, within_s=30)
        assert len(one.calls) == 1
        assert [a.state for a in world.attempts(notification)] == [AttemptState.IN_DOUBT, AttemptState.FAILED]


@pytest.mark.slow
@in_virtual_time
async def test_an_outage_is_over_for_all_as_soon_as_it_is_for_one_however_long_it_was() -> None:
    one = Vendor("one")
    async with World(one) as world:
        one.unreachable = "connect"
        notifications = await world.post_many(10, ttl="24h")
        await world.pass_time(3600)
        one.unreachable = None
        await world.settled(notifications[-5:], MessageState.SENT, within_s=120)
