"""The providers at run time: breaker, probes, ramp, pauses, slots and rates, as a crowd of messages meets them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from sendwright.engine.settle import RetrySettings
from sendwright.engine.telling import BreakerMoved
from sendwright.model.states import MessageState
from sendwright.providers.contract import Reply

from .engine_world import (
    EMAIL,
    FORBIDDEN,
    OK,
    PHONE,
    REFUSED,
    TENANT,
    UNWELL,
    Vendor,
    World,
    in_virtual_time,
    number,
    throttled,
)


def _gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


# The breaker


@in_virtual_time
async def test_five_refusals_in_a_row_open_the_breaker_and_nothing_but_probes_goes_out() -> None:
    one = Vendor(concurrency=10)
    one.always(UNWELL)
    async with World(one) as world:
        await world.post_many(100)
        await world.until(lambda: world.breaker() == "open")
        in_flight = one.in_flight
        began = len(one.calls)
        opened = world.at()
        await world.pass_time(120)
        probes = [at for at in one.times[began:] if at > opened]
        # then: no call beside those that were in flight, but the probes
        assert began + len(probes) == len(one.calls)
        assert in_flight <= 10
        # and: these at 1 s, then at growing intervals to 30 s (the promoter looks once a second)
        for gap, due in zip(_gaps([opened, *probes]), [1, 2, 4, 8, 16, 30, 30, 30], strict=False):
            assert due <= gap <= due + 1.2
        assert len(probes) >= 6
        # and: one at a time
        assert all(call.in_flight == 1 for call in one.calls[began:])


@in_virtual_time
async def test_a_probe_that_hangs_stays_the_only_one() -> None:
    one = Vendor(concurrency=10, timeout_s=10)
    one.always(UNWELL)
    async with World(one) as world:
        await world.post_many(50, priority="bulk")
        await world.post_many(5, first=50, priority="critical")
        await world.until(lambda: world.breaker() == "open")
        began = len(one.calls)
        one.hangs = True
        await world.pass_time(300)
        probes = one.calls[began:]
        assert len(probes) >= 6
        assert all(call.in_flight == 1 for call in probes)
        assert all(gap >= 10 for gap in _gaps([call.at for call in probes]))


@pytest.mark.slow
@in_virtual_time
async def test_what_waits_behind_an_open_breaker_uses_no_attempts_and_no_work_of_the_ledger() -> None:
    one = Vendor(concurrency=10)
    one.always(UNWELL)
    async with World(one) as world:
        notifications = await world.post_many(200)
        await world.pass_time(20)
        calls, written = len(one.calls), world.faults.calls.copy()
        await world.pass_time(600)
        probes = len(one.calls) - calls
        spent = world.faults.calls - written
        # then: a claim and a settlement for each probe, and its message parked again
        assert probes > 15
        assert spent["claim"] == spent["settle"] == probes
        assert spent["park"] <= 2 * probes + 1
        assert spent["pull"] <= 2 * probes
        # and: the others were never tried, and say for whom they wait
        untried = [world.message(one_) for one_ in notifications if world.message(one_).number == 0]
        assert len(untried) == 200 - len({call.message for call in one.calls})
        assert {(row.wait.kind, row.wait.name) for row in untried if row.wait} == {("provider", "one")}


@pytest.mark.slow
@in_virtual_time
async def test_after_recovery_everything_is_delivered_once_and_the_load_grows_gently() -> None:
    one = Vendor(concurrency=100, latency_s=0.2)
    one.always(UNWELL)
    async with World(one) as world:
        notifications = await world.post_many(600)
        await world.pass_time(60)
        failed = Counter(call.message for call in one.calls)
        one.always(OK)
        await world.until(lambda: world.breaker() == "closed")
        closed = world.at()
        await world.settled(notifications, MessageState.SENT)
        # then: a tenth at first, twice that in the next second
        since = [(call.at - closed, call.in_flight) for call in one.calls if call.at > closed - 0.01]
        assert 5 <= max(count for after, count in since if after < 1) <= 10
        assert 10 < max(count for after, count in since if 1.3 < after < 2) <= 20
        assert max(count for after, count in since) > 30
        # and: nobody twice
        assert all(count == failed[message] + 1 for message, count in Counter(call.message for call in one.calls).items())


@in_virtual_time
async def test_with_a_second_provider_messages_move_at_once_and_none_is_sent_twice() -> None:
    one, two = Vendor("one", concurrency=10), Vendor("two")
    one.always(UNWELL)
    async with World(one, two) as world:
        notifications = await world.post_many(100)
        await world.settled(notifications, MessageState.SENT, within_s=2)
        assert sorted(two.addresses) == sorted(number(place) for place in range(100))
        refused = {call.message: call.at for call in one.calls}
        assert len(refused) >= 5
        assert all(call.at - refused[call.message] < 0.1 for call in two.calls if call.message in refused)
        # and when it is well again it is used again, by a probe and then by all
        one.always(OK)
        await world.pass_time(5)
        more = await world.post_many(1, first=500)
        await world.settled(more, MessageState.SENT)
        assert world.breaker("one") == "closed"
        assert one.addresses[-1] == number(500)


@in_virtual_time
async def test_half_of_twenty_calls_failing_opens_it_though_never_five_in_a_row() -> None:
    one = Vendor(concurrency=1, latency_s=0.01)
    async with World(one) as world:
        for _ in range(10):
            one.says(OK, UNWELL)
        await world.post_many(20)
        await world.until(lambda: world.breaker() == "open", within_s=10)
        assert len(one.calls) == 20


@in_virtual_time
async def test_a_refused_message_says_nothing_ill_of_its_provider() -> None:
    one = Vendor()
    one.always(REFUSED)
    async with World(one) as world:
        notifications = await world.post_many(50)
        await world.settled(notifications, MessageState.FAILED)
        assert world.breaker() == "closed"
        assert len(one.calls) == 50


@pytest.mark.parametrize("status", [401, 403])
@in_virtual_time
async def test_a_refused_account_opens_the_breaker_at_once_and_says_why(status: int) -> None:
    one, two = Vendor("one"), Vendor("two")
    one.says(Reply(status))
    async with World(one, two) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=1)
        assert world.breaker("one") == "open"
        assert world.account("one").breaker.misconfigured
        assert world.told_of(BreakerMoved) == [BreakerMoved("one", "open", "misconfigured")]
        assert len(one.calls) == len(two.calls) == 1
        assert world.message(notification).calls == 0, "being misconfigured is nobody's attempt"


@in_virtual_time
async def test_a_refused_account_without_another_is_probed_until_it_is_mended() -> None:
    one = Vendor()
    one.always(FORBIDDEN)
    async with World(one) as world:
        notifications = await world.post_many(20)
        await world.pass_time(600)
        assert world.states(notifications) == {"queued": 20}
        assert len(one.calls) < 20 + 40
        one.always(OK)
        await world.settled(notifications, MessageState.SENT, within_s=60)


async def _shut(world: World, one: Vendor) -> None:
    """An open breaker whose probe is due, and nobody who waits behind it."""
    one.always(UNWELL)
    failed = await world.post_many(5)
    await world.settled(failed, MessageState.FAILED)
    assert world.breaker() == "open"
    one.always(OK)
    one.calls.clear()
    await world.pass_time(1.1)


ONCE = RetrySettings(attempts_max=1)


@in_virtual_time
async def test_a_probe_that_lost_its_claim_says_nothing_and_the_next_message_probes() -> None:
    one = Vendor()
    async with World(one, retry=ONCE) as world:
        await _shut(world, one)
        one.connect_s = 0.1
        notification = await world.post()
        await world.pass_time(0.05)
        await world.ledger.cancel(TENANT, notification, world.clock.now_ms())
        await world.pass_time(0.2)
        # then
        assert one.calls == []
        assert world.breaker() != "closed"
        # and: no time is lost by it
        await world.settled(await world.post(), MessageState.SENT, within_s=1)
        assert world.breaker() == "closed"


@in_virtual_time
async def test_a_probe_whose_line_was_shut_before_the_first_byte_does_not_close_the_breaker() -> None:
    one = Vendor()
    async with World(one, retry=ONCE) as world:
        await _shut(world, one)
        one.lines_open = False
        await world.post()
        await world.pass_time(0.5)
        assert one.dials == 6
        assert one.calls == []
        assert world.breaker() != "closed"
        # when
        one.lines_open = True
        await world.settled(await world.post(), MessageState.SENT, within_s=1)
        await world.pass_time(10)


@in_virtual_time
async def test_a_probe_that_expired_before_its_first_byte_does_not_close_the_breaker() -> None:
    one = Vendor()
    async with World(one, retry=ONCE) as world:
        await _shut(world, one)
        world.faults.slow_answers["claim"] = 0.4
        notification = await world.post(expires_at=world.instant(0.2))
        await world.settled(notification, MessageState.EXPIRED)
        assert one.calls == []
        assert world.breaker() != "closed"
        # when
        await world.settled(await world.post(), MessageState.SENT, within_s=1)


@in_virtual_time
async def test_a_probe_that_was_switched_off_before_its_first_byte_is_not_written() -> None:
    one = Vendor()
    async with World(one, retry=ONCE) as world:
        await _shut(world, one)
        world.faults.slow_answers["claim"] = 0.2
        notification = await world.post()
        await world.pass_time(0.1)
        await world.switch("one", enabled=False)
        world.faults.slow_answers.clear()
        await world.pass_time(60)
        assert one.calls == []
        await world.switch("one", enabled=True)
        await world.settled(notification, MessageState.SENT, within_s=3)


@in_virtual_time
async def test_a_slow_connection_does_not_carry_a_call_past_the_opening_of_the_breaker() -> None:
    one = Vendor()
    async with World(one, retry=RetrySettings(attempts_max=2)) as world:
        # given: a slot was taken while it was well, and connecting takes its time
        one.connect_s = 3
        slow = await world.post({"phone": PHONE})
        await world.pass_time(0.1)
        one.connect_s = 0
        one.always(UNWELL)
        await world.post_many(5)
        await world.until(lambda: world.breaker() == "open")
        one.calls.clear()
        await world.until(lambda: world.at() > 2.95)
        # when: by then a probe is due, and this is none
        await world.pass_time(0.1)
        # then
        assert PHONE not in one.addresses
        one.always(OK)
        await world.settled(slow, MessageState.SENT, within_s=60)


# Asked to stay away

MINUTE_LATER = "Fri, 15 Jan 2027 08:01:00 GMT"
DIALECTS = {
    "seconds": Reply(429, (("retry-after", "60"),)),
    "a fraction": Reply(429, (("retry-after", "60.0"),)),
    "a date": Reply(429, (("date", "Fri, 15 Jan 2027 08:00:00 GMT"), ("retry-after", MINUTE_LATER))),
    "telegram": Reply(429, (), b'{"ok":false,"parameters":{"retry_after":60}}'),
    "discord": Reply(429, (), b'{"message":"slow down","retry_after":60.0}'),
    "ratelimit": Reply(429, (("ratelimit", '"burst";r=0;t=60'),)),
    "a reset": Reply(429, (("x-ratelimit-remaining", "0"), ("x-ratelimit-reset-after", "60"))),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@in_virtual_time
async def test_a_throttling_provider_is_not_called_again_before_the_time_it_named(dialect: str) -> None:
    one = Vendor()
    one.says(DIALECTS[dialect])
    async with World(one) as world:
        first = await world.post()
        await world.until(lambda: len(one.calls) == 1)
        await world.pass_time(1)
        others = await world.post_many(10)
        await world.settled([first, *others], MessageState.SENT, within_s=120)
        assert all(60 <= at < 75 for at in one.times[1:])
        assert len(one.calls) == 12
        assert world.told_of(BreakerMoved) == [], "being throttled is no illness"


@in_virtual_time
async def test_who_is_throttled_towards_one_recipient_is_called_for_the_others() -> None:
    one = Vendor()
    one.says(Reply(429, (("retry-after", "60"), ("x-scope", "sender"))))
    async with World(one) as world:
        first = await world.post()
        await world.until(lambda: len(one.calls) == 1)
        for other in await world.post_many(10):
            await world.settled(other, MessageState.SENT, within_s=5)
        await world.settled(first, MessageState.SENT, within_s=120)
        assert 60 <= one.times[-1] < 75
        assert len(one.calls) == 12


@in_virtual_time
async def test_while_one_provider_is_paused_the_other_takes_over() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.says(throttled(60))
    async with World(one, two) as world:
        first = await world.post()
        await world.settled(first, MessageState.SENT)
        others = await world.post_many(10)
        await world.settled([first, *others], MessageState.SENT, within_s=2)
        assert (len(one.calls), len(two.calls)) == (1, 11)
        await world.pass_time(61)
        await world.settled(await world.post(), MessageState.SENT)
        assert (len(one.calls), len(two.calls)) == (2, 11)


@in_virtual_time
async def test_the_longest_time_that_any_provider_of_the_round_named_is_kept() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.says(Reply(503, (("retry-after", "120"),)))
    two.says(UNWELL)
    async with World(one, two) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT, within_s=200)
        assert len(one.calls) == 2
        assert one.times[1] >= 120
        assert len(two.calls) == 1


@in_virtual_time
async def test_a_wait_beyond_the_expiry_takes_the_next_step_at_once() -> None:
    one, two = Vendor("one"), Vendor("two", channels=("email",))
    one.says(throttled(120))
    async with World(one, two) as world:
        notification = await world.post({"phone": PHONE, "email": EMAIL}, channels=["sms", "email"], ttl="60s")
        await world.settled(notification, MessageState.SENT, within_s=1)
        assert (len(one.calls), two.addresses) == (1, [EMAIL])


@in_virtual_time
async def test_a_wait_beyond_the_expiry_on_the_last_step_expires_in_time_and_is_never_late() -> None:
    one = Vendor()
    one.says(throttled(120))
    async with World(one) as world:
        notification = await world.post(ttl="60s")
        await world.settled(notification, MessageState.EXPIRED, within_s=62)
        assert world.at() >= 60
        await world.pass_time(300)
        assert len(one.calls) == 1
