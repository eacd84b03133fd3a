"""Who stands in line: parked and urgent, parked for a full provider, let through to see whether a provider is well."""

from __future__ import annotations

import pytest

from sendwright.engine.telling import Parked
from sendwright.model.states import MessageState
from sendwright.providers.contract import HttpRequest, Outgoing, Reply

from .engine_world import OK, THROTTLED, UNWELL, Vendor, World, in_virtual_time, number


@pytest.mark.slow
@in_virtual_time
async def test_what_is_critical_and_parked_goes_before_bulk_that_comes_later() -> None:
    one = Vendor(concurrency=1, latency_s=0.4)
    async with World(one) as world:
        # given: the third of them has waited half a second for the only place, and is parked
        critical = await world.post_many(3, first=1000, priority="critical")
        await world.pass_time(0.6)
        # when: bulk comes at the pace at which it is called, and each finds the place within its half second
        for place in range(100):
            await world.post_many(1, first=place, priority="bulk")
            await world.pass_time(0.4)
        assert world.states(critical) == {"sent": 3}
        assert one.times[one.addresses.index(number(1002))] < 2


@in_virtual_time
async def test_one_at_a_time_they_go_by_priority_from_the_first_that_waits_on() -> None:
    one = Vendor(concurrency=1, latency_s=0.2)
    async with World(one) as world:
        for rank, priority in reversed(list(enumerate(("critical", "high", "normal", "bulk")))):
            await world.post_many(30, first=100 * rank, priority=priority)
        await world.pass_time(40)
        ranks = [int(address[-3:]) // 100 for address in one.addresses]
        assert ranks[1:] == sorted(ranks[1:]), "whoever came first waited for nobody"


@pytest.mark.slow
@in_virtual_time
async def test_what_waits_for_a_full_provider_is_not_pulled_and_parked_again_and_again() -> None:
    one, two = Vendor("one", concurrency=5, timeout_s=60), Vendor("two")
    one.hangs = True
    async with World(one, two) as world:
        await world.post_many(500)
        await world.pass_time(50)
        assert len(world.told_of(Parked)) < 2 * 500


@pytest.mark.slow
@in_virtual_time
async def test_an_hours_outage_fails_nobody_whose_life_is_longer() -> None:
    one = Vendor(concurrency=10)
    one.always(UNWELL)
    async with World(one) as world:
        notifications = await world.post_many(6, ttl="24h")
        await world.pass_time(3600)
        assert world.states(notifications)["failed"] == 0


@in_virtual_time
async def test_what_is_critical_does_not_wait_for_a_full_provider_while_the_second_is_idle() -> None:
    one, two = Vendor("one", concurrency=5, timeout_s=10), Vendor("two")
    one.hangs = True
    async with World(one, two) as world:
        await world.post_many(5, priority="critical")
        await world.pass_time(0.1)
        others = await world.post_many(20, first=100, priority="critical")
        await world.settled(others, MessageState.SENT, within_s=2)


@in_virtual_time
async def test_nobody_stands_in_line_for_a_rate_that_lets_one_through_a_minute() -> None:
    one = Vendor(rate="1/min")
    async with World(one) as world:
        await world.post_many(10, priority="critical", ttl="1h")
        await world.pass_time(300)
        assert 5 <= len(one.calls) <= 6
        assert len(world.told_of(Parked)) < 60


@in_virtual_time
async def test_a_refusal_of_the_second_does_not_end_what_the_first_was_only_too_full_for() -> None:
    one, two = Vendor("one", concurrency=1, latency_s=1), Vendor("two")
    two.always(Reply(400, (("x-scope", "sender"),)))
    async with World(one, two) as world:
        first = await world.post({"phone": number(1)})
        await world.pass_time(0.05)
        second = await world.post({"phone": number(2)})
        await world.settled(first, MessageState.SENT, within_s=5)
        await world.settled(second, MessageState.SENT, within_s=30)


@pytest.mark.slow
@in_virtual_time
async def test_what_the_first_is_too_full_for_outlives_a_second_that_throttles() -> None:
    one, two = Vendor("one", rate="20/s", latency_s=0.05), Vendor("two")
    two.always(THROTTLED)
    async with World(one, two) as world:
        await world.post_many(300)
        await world.pass_time(60)
        assert len(set(one.taken)) == 300


@in_virtual_time
async def test_what_the_first_is_too_full_for_waits_for_it_when_the_second_is_out_of_reach() -> None:
    one, two = Vendor("one", concurrency=1, latency_s=0.9), Vendor("two")
    two.unreachable = "connect"
    async with World(one, two) as world:
        await world.post({"phone": number(1)})
        await world.pass_time(0.05)
        second = await world.post({"phone": number(2)}, expires_at=world.instant(1.4))
        await world.settled(second, MessageState.SENT, within_s=30)


@in_virtual_time
async def test_what_the_first_is_too_full_for_waits_for_it_when_the_second_has_no_words_for_it() -> None:
    one, two = Vendor("one", concurrency=1, latency_s=1), Vendor("two")
    async with World(one, two) as world:

        def refusing(_: Outgoing) -> HttpRequest:
            raise ValueError("it is too long for these words")

        world.account("two").provider.build = refusing  # type: ignore[method-assign]
        first = await world.post({"phone": number(1)})
        await world.pass_time(0.05)
        second = await world.post({"phone": number(2)})
        await world.settled(first, MessageState.SENT, within_s=5)
        await world.settled(second, MessageState.SENT, within_s=5)


@in_virtual_time
async def test_an_ill_provider_is_probed_though_all_who_wait_have_asked_it_and_wait_for_the_rate_of_the_other() -> None:
    one, two = Vendor("one"), Vendor("two", rate="1/min")
    one.always(UNWELL)
    async with World(one, two) as world:
        # given: the first is ill, the second slow, and nobody new will come
        notifications = await world.post_many(20)
        await world.until(lambda: world.breaker("one") == "open")
        await world.pass_time(0.5)
        # when
        one.always(OK)
        # then
        await world.settled(notifications, MessageState.SENT, within_s=30)
        assert len(one.taken) >= 18


@in_virtual_time
async def test_a_rate_that_is_raised_holds_at_once_whatever_the_old_one_had_let_through() -> None:
    one = Vendor(rate="1/h")
    async with World(one) as world:
        # given
        notifications = await world.post_many(20)
        await world.pass_time(2)
        assert len(one.calls) == 1
        # when
        await world.switch("one", rate="100/s")
        # then
        await world.settled(notifications, MessageState.SENT, within_s=2)


@in_virtual_time
async def test_who_waits_for_a_throttled_provider_says_for_whom_and_until_when() -> None:
    one, two = Vendor("one"), Vendor("two")
    one.always(Reply(429, (("retry-after", "40"),)))
    two.always(Reply(429, (("retry-after", "30"),)))
    async with World(one, two) as world:
        await world.post_many(2)
        await world.pass_time(1)
        later = await world.post()
        await world.pass_time(1)
        wait = world.message(later).wait
        assert wait is not None
        assert (wait.kind, wait.name) == ("provider", "two")
        assert wait.until is not None
        assert 27 <= (wait.until - world.clock.now_ms()) / 1000 <= 29


@pytest.mark.parametrize("connect_s", [0.0, 0.2, 3.3, 8.0])
@in_virtual_time
async def test_what_a_vendor_is_told_of_the_time_that_is_left_ends_with_the_message(connect_s: float) -> None:
    one = Vendor()
    one.connect_s = connect_s
    async with World(one) as world:
        notification = await world.post(expires_at=world.instant(20))
        await world.settled(notification, MessageState.SENT, within_s=15)
        (call,) = one.calls
        assert call.ttl_s is not None
        assert 18 < call.at + call.ttl_s <= 20
        assert call.attempt == world.attempts(notification)[0].id
