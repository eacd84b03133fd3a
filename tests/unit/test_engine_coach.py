"""Calls that carry several messages: who goes with whom, when, and what a call's answer means for each."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sendwright.model.records import Claim, Claimed, Refused
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.breaker import BreakerSettings, Health
from sendwright.providers.contract import Reply

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


@in_virtual_time
async def test_the_attempts_of_one_call_say_so_before_it_goes_and_who_goes_alone_says_nothing() -> None:
    one = carrier(10)
    async with World(one) as world:
        # given: the answers are still out
        one.latency_s = 5
        notifications = await world.post_many(25, priority="bulk")
        alone = [await world.post({"phone": PHONE}, priority="high"), await world.post({"phone": PHONE}, priority="normal")]
        await world.pass_time(2)
        assert sorted(len(batch) for batch in one.batches) == [1, 5, 10, 10]
        # then
        riders: dict[str, list[str]] = {}
        for notification in notifications:
            (attempt,) = world.attempts(notification)
            assert attempt.state == AttemptState.SENDING
            riders.setdefault(str(attempt.call), []).append(str(world.message(notification).address))
        assert sorted(sorted(batch) for batch in riders.values()) == sorted(sorted(b) for b in one.batches if len(b) > 1)
        assert [world.attempts(notification)[0].call for notification in alone] == [None, None]


@in_virtual_time
async def test_who_drops_out_of_a_call_goes_in_another_and_both_are_told_apart() -> None:
    one = carrier(3)
    one.says(THROTTLED)
    async with World(one) as world:
        notifications = await world.post_many(3, priority="bulk")
        await world.settled(notifications, SENT, within_s=100)
        calls = [[attempt.call for attempt in world.attempts(notification)] for notification in notifications]
        assert len({first for first, *_ in calls}) == 1
        assert all(None not in first[:1] and first[0] not in first[1:] for first in calls)


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


# Between the claims and the first byte


class SlowClaims:
    """A ledger that takes its time over the first claim of some."""

    def __init__(self, ledger: Any, seconds: dict[str, float]) -> None:
        self._ledger = ledger
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def claim(self, wish: Claim) -> Claimed | Refused:
        await asyncio.sleep(self._seconds.pop(wish.parcel.address, 0))
        answer: Claimed | Refused = await self._ledger.claim(wish)
        return answer


@in_virtual_time
async def test_a_call_goes_without_those_whose_claim_takes_too_long_and_nobody_is_written_unclaimed() -> None:
    one = carrier(10)
    async with World(one) as world:
        world.deliverer._ledger = SlowClaims(world.ledger, {number(2): 1.0})  # type: ignore[assignment]
        notifications = await world.post_many(5, priority="bulk")
        await world.until(lambda: len(one.batches) == 1)
        assert one.batches == [[number(place) for place in (0, 1, 3, 4)]]
        assert world.attempts(notifications[2]) == []
        await world.settled(notifications, SENT)
        assert sorted(one.addresses) == sorted(number(place) for place in range(5)), "each is taken once"


@in_virtual_time
async def test_who_is_refused_its_claim_is_waited_for_no_longer() -> None:
    one = carrier(10)
    async with World(one) as world:
        world.deliverer._ledger = SlowClaims(world.ledger, {number(2): 0.1})  # type: ignore[assignment]
        notifications = await world.post_many(4, priority="bulk")
        await world.pass_time(0.1)
        assert (await world.ledger.cancel(TENANT, notifications[2], world.clock.now_ms())).cancelled == 1
        await world.settled([n for n in notifications if n != notifications[2]], SENT)
        assert one.batches == [[number(0), number(1), number(3)]]
        assert one.times[0] == pytest.approx(0.35, abs=0.03), "a quarter of a second for company, and that one's claim"


@in_virtual_time
async def test_the_last_who_is_left_of_a_call_keeps_its_place_and_its_line() -> None:
    one = carrier(10, latency_s=1)
    async with World(one) as world:
        world.deliverer._ledger = SlowClaims(world.ledger, {number(1): 0.1})  # type: ignore[assignment]
        notifications = await world.post_many(2, priority="bulk")
        await world.pass_time(0.1)
        assert (await world.ledger.cancel(TENANT, notifications[0], world.clock.now_ms())).cancelled == 1
        await world.until(lambda: one.batches != [], within_s=5)
        assert (one.batches, world.account().in_flight) == ([[number(1)]], 1)
        await world.settled(notifications[1], SENT)
        assert len(world.attempts(notifications[1])) == 1
        assert world.account().in_flight == 0


@in_virtual_time
async def test_a_call_does_not_wait_for_a_claim_until_it_is_too_late_for_the_others() -> None:
    one = carrier(10)
    async with World(one) as world:
        world.faults.slow_answers["claim"] = 0.4
        world.deliverer._ledger = SlowClaims(world.ledger, {number(2): 1.0})  # type: ignore[assignment]
        notifications = await world.post_many(4)
        await world.until(lambda: len(one.batches) == 1, within_s=1)
        assert one.batches == [[number(0), number(1), number(3)]]
        await world.settled(notifications, SENT)
        assert [len(world.attempts(notification)) for notification in notifications] == [1, 1, 2, 1]


@in_virtual_time
async def test_who_expires_while_others_are_claimed_is_not_in_the_call() -> None:
    one = carrier(10)
    async with World(one) as world:
        world.deliverer._ledger = SlowClaims(world.ledger, {number(0): 0.15})  # type: ignore[assignment]
        others = await world.post_many(2)
        brief = await world.post({"phone": number(2)}, expires_at=world.instant(0.1))
        await world.settled(others, SENT)
        await world.settled(brief, MessageState.EXPIRED)
        assert [sorted(batch) for batch in one.batches] == [[number(0), number(1)]]
        assert [attempt.state for attempt in world.attempts(brief)] == [AttemptState.FAILED], "claimed, and never written"


@in_virtual_time
async def test_a_provider_that_is_switched_off_while_some_are_claimed_is_not_called() -> None:
    one = carrier(10)
    async with World(one) as world:
        world.deliverer._ledger = SlowClaims(world.ledger, {number(0): 0.15})  # type: ignore[assignment]
        notifications = await world.post_many(3)
        await world.pass_time(0.1)
        await world.switch("one", enabled=False)
        await world.pass_time(5)
        assert one.calls == []
        await world.switch("one", enabled=True)
        await world.settled(notifications, SENT)


@in_virtual_time
async def test_a_call_that_cannot_be_written_costs_only_the_message_that_is_to_blame() -> None:
    one = carrier(10)
    one.unwritable = {number(3)}
    async with World(one) as world:
        notifications = await world.post_many(10, priority="bulk", on_doubt="hold")
        await world.until(lambda: all(world.state(notification).settled for notification in notifications))
        assert world.states(notifications) == {"sent": 9, "failed": 1}
        assert world.message(notifications[3]).reason == "content"
        assert sorted(one.addresses) == sorted(number(place) for place in range(10) if place != 3)


@in_virtual_time
async def test_one_connection_that_fails_is_one_word_on_the_providers_health_however_many_wait_for_it() -> None:
    one = carrier(10)
    one.unreachable = "connect"
    async with World(one) as world:
        await world.post_many(10, priority="bulk")
        await world.until(lambda: one.dials == 1)
        await world.pass_time(0.1)
        assert (one.dials, world.breaker()) == (1, "closed")
        assert list(world.account().recent) == [False]
        one.unreachable = None


@in_virtual_time
async def test_a_place_that_turns_out_to_be_a_probe_is_for_one_message_alone() -> None:
    one = carrier(20)
    async with World(one, breaker=BreakerSettings(failures=1, probe_s=0.02)) as world:
        notifications = await world.post_many(10, priority="bulk")
        await world.pass_time(0.1)
        world.fleet.note(world.account(), Health.BAD, world.clock.monotonic())
        await world.settled(notifications, SENT)
        assert one.addresses[0] not in [address for batch in one.batches for address in batch]
        assert one.times[0] < one.times[1], "the others wait for what it comes to"


@in_virtual_time
async def test_who_says_something_else_by_the_time_of_the_call_does_not_travel_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    one = carrier(10)
    async with World(one) as world:
        monkeypatch.setattr(world.account().provider, "together", lambda out: f"good for {out.ttl_s} s")
        soon = await world.post({"phone": number(0)}, priority="bulk", expires_at=world.instant(10.4))  # a second less by then
        later = await world.post({"phone": number(1)}, priority="bulk", expires_at=world.instant(10.9))
        await world.settled([soon, later], SENT)
        assert one.batches[0] == [number(1)]
        assert one.addresses.count(number(0)) == 1


@in_virtual_time
async def test_of_a_call_whose_answer_is_for_another_number_of_messages_each_is_in_doubt() -> None:
    one = carrier(10)
    one.says(Reply(207, body=b'["one-1", "one-2"]'))
    async with World(one) as world:
        notifications = await world.post_many(3, priority="bulk", on_doubt="hold")
        await world.settled(notifications, MessageState.IN_DOUBT)


@in_virtual_time
async def test_a_call_settled_in_part_when_it_dies_is_in_doubt_in_part() -> None:
    one = carrier(10)
    async with World(one) as world:
        notifications = await world.post_many(6, priority="bulk", on_doubt="hold")
        settle, settled = world.settler._ledger.settle, asyncio.Event()

        async def half(settlement: Any) -> Any:
            if settlement.message in {world.message(notification).id for notification in notifications[3:]}:
                await asyncio.sleep(1)
            state = await settle(settlement)
            settled.set()
            return state

        monkey = pytest.MonkeyPatch()
        monkey.setattr(world.settler._ledger, "settle", half, raising=False)
        await settled.wait()
        monkey.undo()
        await world.kill()
        await world.settled(notifications[:3], SENT)
        await world.settled(notifications[3:], MessageState.IN_DOUBT)
        assert len(one.batches) == 1
