"""Calls that carry several messages: who goes with whom, when, and what a call's answer means for each."""

from __future__ import annotations

import pytest

from sendwright.model.states import AttemptState, MessageState

from .engine_world import LOST, PHONE, TENANT, THROTTLED, UNWELL, Vendor, World, in_virtual_time, number, throttled

SENT = MessageState.SENT


def carrier(batch_max: int = 10, **more: object) -> Vendor:
    return Vendor(batch_max=batch_max, **more)  # type: ignore[arg-type]


@in_virtual_time
async def test_messages_share_calls_and_each_has_its_own_attempt_and_reference() -> None:
    one = carrier(10)
    async with World(one) as world:
        notifications = await world.post_many(25, priority="bulk")
        await world.settled(notifications, SENT)
        assert sorted(len(batch) for batch in one.batches) == [5, 10, 10]
        assert sorted(one.addresses) == sorted(number(place) for place in range(25))
        refs = [world.attempts(notification)[0].ref for notification in notifications]
        assert len(set(refs)) == 25
        assert None not in refs


@pytest.mark.parametrize(("priority", "waits_s"), [("bulk", 0.25), ("normal", 0.02)])
@in_virtual_time
async def test_a_call_waits_so_long_for_company_and_no_longer(priority: str, waits_s: float) -> None:
    one = carrier(1000)
    async with World(one) as world:
        await world.settled([await world.post(priority=priority)], SENT)
        assert one.batches == [[PHONE]]
        assert one.times == pytest.approx([waits_s], abs=0.015)


@in_virtual_time
async def test_a_full_call_waits_for_nobody() -> None:
    one = carrier(5)
    async with World(one) as world:
        await world.settled(await world.post_many(5, priority="bulk"), SENT)
        assert len(one.batches) == 1
        assert one.times[0] < 0.1


@pytest.mark.parametrize("priority", ["critical", "high"])
@in_virtual_time
async def test_what_is_urgent_goes_alone_and_at_once(priority: str) -> None:
    one = carrier(10)
    async with World(one) as world:
        await world.settled(await world.post_many(5, priority=priority), SENT)
        assert one.batches == []
        assert max(one.times) < 0.02


@in_virtual_time
async def test_only_what_the_provider_puts_together_goes_together() -> None:
    one = carrier(10)
    async with World(one) as world:
        said = ["A", "B", "A", "by itself", "B"]
        notifications = [
            await world.post({"phone": number(place)}, priority="bulk", content={"body": body}) for place, body in enumerate(said)
        ]
        await world.settled(notifications, SENT)
        together = sorted(sorted(batch) for batch in one.batches)
        assert together == [[number(0), number(2)], [number(1), number(4)]]
        assert number(3) in one.addresses


@in_virtual_time
async def test_what_would_be_sent_again_is_never_with_what_must_be_held() -> None:
    one = carrier(10)
    one.says(LOST)
    one.always(LOST)
    async with World(one) as world:
        held = [await world.post({"phone": number(place)}, priority="bulk", on_doubt="hold") for place in range(3)]
        again = [await world.post({"phone": number(9 + place)}, priority="bulk", on_doubt="resend") for place in range(3)]
        await world.pass_time(0.5)
        assert sorted(len(batch) for batch in one.batches) == [3, 3]
        await world.pass_time(20)
        assert {world.state(notification) for notification in held} == {MessageState.IN_DOUBT}
        assert MessageState.IN_DOUBT not in {world.state(notification) for notification in again}
        assert all(world.attempts(notification)[0].state == AttemptState.IN_DOUBT for notification in [*held, *again])


@in_virtual_time
async def test_one_that_is_refused_sinks_no_other() -> None:
    one = carrier(10)
    one.refuses = {number(3)}
    async with World(one) as world:
        notifications = await world.post_many(10, priority="bulk")
        await world.until(lambda: all(world.state(notification).settled for notification in notifications))
        states = [world.state(notification) for notification in notifications]
        assert states[3] == MessageState.FAILED
        assert states[:3] + states[4:] == [SENT] * 9
        assert len(one.batches) == 1


@in_virtual_time
async def test_of_a_call_that_is_refused_as_a_whole_each_goes_again_alone() -> None:
    one = carrier(10)
    one.chokes_on = {number(3)}
    async with World(one) as world:
        notifications = await world.post_many(10, priority="bulk")
        await world.settled(notifications, SENT)
        assert len(one.batches) == 1
        assert len(one.calls) == 20
        assert sorted(one.taken) == sorted(world.message(notification).id for notification in notifications)
        attempts = [world.attempts(notification) for notification in notifications]
        assert {tuple(attempt.state for attempt in its) for its in attempts} == {(AttemptState.FAILED, AttemptState.SENT)}


@in_virtual_time
async def test_a_call_that_is_put_off_puts_off_all_of_it_and_is_one_word_on_the_providers_health() -> None:
    one = carrier(10)
    one.says(UNWELL)
    async with World(one) as world:
        notifications = await world.post_many(10, priority="bulk")
        await world.pass_time(0.4)
        assert world.breaker() == "closed", "one failed call is no row of ten"
        await world.settled(notifications, SENT)
        assert len(one.calls) == 20


@in_virtual_time
async def test_ten_messages_in_failing_calls_open_the_breaker_when_the_calls_do() -> None:
    one = carrier(2)
    one.always(UNWELL)
    async with World(one) as world:
        await world.post_many(20, priority="bulk")
        await world.until(lambda: world.breaker() == "open")
        assert len(one.batches) >= 5
        one.always(throttled(1))


@in_virtual_time
async def test_a_shared_call_takes_one_place_and_one_token_of_the_rate() -> None:
    one = carrier(50, rate="1/s", concurrency=1)
    async with World(one) as world:
        notifications = await world.post_many(100, priority="bulk")
        await world.settled(notifications, SENT, within_s=60)
        gaps = [later - earlier for earlier, later in zip(sorted(set(one.times)), sorted(set(one.times))[1:], strict=False)]
        assert all(gap > 0.99 for gap in gaps)
        assert len(set(one.times)) < 20


@in_virtual_time
async def test_a_message_that_is_cancelled_meanwhile_is_not_in_the_call() -> None:
    one = carrier(10)
    async with World(one) as world:
        notifications = await world.post_many(4, priority="bulk")
        await world.pass_time(0.1)
        assert (await world.ledger.cancel(TENANT, notifications[2], world.clock.now_ms())).cancelled == 1
        await world.settled([n for n in notifications if n != notifications[2]], SENT)
        assert one.batches == [[number(0), number(1), number(3)]]
        assert world.state(notifications[2]) == MessageState.CANCELLED


@in_virtual_time
async def test_a_claim_whose_answer_is_late_holds_up_nobody_for_long_and_is_not_sent_late() -> None:
    one = carrier(10)
    async with World(one) as world:
        notifications = await world.post_many(5, priority="bulk")
        world.faults.slow_answers["claim"] = 0.1
        await world.settled(notifications, SENT)
        assert one.times[0] < 0.6


@in_virtual_time
async def test_an_unreachable_provider_costs_no_attempt_and_nothing_is_left_behind() -> None:
    one = carrier(10)
    one.unreachable = "connect"
    async with World(one) as world:
        notifications = await world.post_many(10, priority="bulk")
        await world.pass_time(1)
        assert one.calls == []
        one.unreachable = None
        await world.settled(notifications, SENT, within_s=60)
        assert all(len(world.attempts(notification)) == 1 for notification in notifications)
        assert world.account().in_flight == 0


@in_virtual_time
async def test_who_is_throttled_in_company_comes_again() -> None:
    one = carrier(10)
    one.says(THROTTLED)
    async with World(one) as world:
        notifications = await world.post_many(10, priority="normal")
        await world.settled(notifications, SENT, within_s=60)


@in_virtual_time
async def test_killed_with_a_shared_call_open_each_of_its_messages_is_in_doubt_and_no_other() -> None:
    one = carrier(10, latency_s=3)
    async with World(one) as world:
        notifications = await world.post_many(10, priority="bulk", on_doubt="hold")
        await world.until(lambda: len(one.batches) == 1)
        await world.kill()
        await world.until(lambda: {world.state(n) for n in notifications} == {MessageState.IN_DOUBT}, within_s=60)
        assert len(one.batches) == 1
