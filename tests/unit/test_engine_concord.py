"""Several processes that call one provider: its rate, its breaker and its one probe are the fleet's, whoever calls."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Sequence

import pytest

from sendwright.engine.concord import READY_S, UNUSED_S
from sendwright.engine.telling import BreakerMoved
from sendwright.model.notices import CLOSED, MISCONFIGURED, OPENED
from sendwright.model.notification import Priority
from sendwright.model.parcel import FRESH
from sendwright.model.records import Switch
from sendwright.policy.breaker import Health, Permit, State
from sendwright.policy.limit import parse_rate

from .concord_world import WAIT_S, House
from .engine_world import in_virtual_time


def most_in(times: Sequence[float], window_s: float) -> int:
    """The most calls in any half-open window."""
    times = sorted(times)
    return max((bisect_left(times, at + window_s) - index for index, at in enumerate(times)), default=0)


@pytest.mark.parametrize(("rate", "workers", "seconds"), [("50/s", 3, 20), ("400/s", 2, 8), ("1/s", 5, 60), ("10/min", 4, 600)])
@in_virtual_time
async def test_no_window_sees_more_than_the_rate_and_hardly_any_of_it_is_lost(rate: str, workers: int, seconds: int) -> None:
    async with House(rate) as house:
        for index in range(workers):
            house.demand(house.spawn(f"w{index}"), lines=max(2, 160 // workers) if "/s" in rate and rate != "1/s" else 2)
        await asyncio.sleep(seconds)

        found = parse_rate(rate)
        assert most_in(house.calls, found.unit_s) <= found.n
        assert len(house.calls) >= 0.95 * found.n * seconds / found.unit_s - 1
        assert max(process.way.leases for process in house.processes) <= 15 * seconds


@in_virtual_time
async def test_who_dies_with_cells_costs_the_others_no_more_than_those() -> None:
    async with House("50/s") as house:
        one, other = house.spawn("one"), house.spawn("other")
        house.demand(one)
        await asyncio.sleep(2)
        for task in house.tasks[4:]:
            task.cancel()
        one.concord.close()
        house.calls.clear()
        house.demand(other)
        await asyncio.sleep(4)

        assert len(house.calls) >= 0.95 * 50 * 4 - 50 * 0.35
        assert most_in(house.calls, 1) <= 50


@in_virtual_time
async def test_what_is_urgent_goes_within_half_a_second_though_others_want_everything() -> None:
    async with House("50/s") as house:
        house.demand(house.spawn("blast"), lines=200)
        quiet = house.spawn("quiet")
        waits = []
        for _ in range(20):
            await asyncio.sleep(0.73)
            began = quiet.clock.monotonic()
            slot = await quiet.account.take(Priority.CRITICAL, quiet.clock, WAIT_S)
            assert slot is not None
            slot.release()
            waits.append(quiet.clock.monotonic() - began)

        assert max(waits) < 0.45


@in_virtual_time
async def test_of_a_slow_rate_the_urgent_have_the_next_call() -> None:
    async with House("30/min") as house:
        for index in range(3):
            house.demand(house.spawn(f"w{index}"), lines=3)
        await asyncio.sleep(5)
        quiet = house.spawn("quiet")
        began, slot = quiet.clock.monotonic(), None
        while slot is None:
            await asyncio.sleep(0.05)
            slot = await quiet.account.take(Priority.CRITICAL, quiet.clock, WAIT_S)

        assert quiet.clock.monotonic() - began < 2.6


@in_virtual_time
async def test_without_the_store_nobody_calls_and_afterwards_it_goes_on() -> None:
    async with House("50/s") as house:
        worker = house.spawn("w")
        house.demand(worker)
        await asyncio.sleep(2)
        worker.way.down = True
        await asyncio.sleep(1)
        house.calls.clear()
        await asyncio.sleep(5)
        assert house.calls == []

        worker.way.down = False
        await asyncio.sleep(3)
        assert len(house.calls) >= 80
        assert most_in(house.calls, 1) <= 50


@in_virtual_time
async def test_a_new_rate_holds_at_once() -> None:
    async with House("50/s") as house:
        worker = house.spawn("w")
        house.demand(worker)
        await asyncio.sleep(2)
        worker.account.apply(Switch(worker.account.name, rate="10/s"))
        await asyncio.sleep(1)
        house.calls.clear()
        await asyncio.sleep(10)

        assert 93 <= len(house.calls) <= 101
        assert most_in(house.calls, 1) <= 10


@in_virtual_time
async def test_what_opens_in_one_opens_in_all_within_a_second() -> None:
    async with House() as house:
        one, two, looks = house.spawn("one"), house.spawn("two"), house.spawn("looks", sends=False)
        await asyncio.sleep(1)
        one.note(Health.BAD, 5)
        await asyncio.sleep(0.9)

        assert [one.state, two.state, looks.state] == [State.OPEN] * 3
        assert two.account.breaker.why == one.account.breaker.why
        assert BreakerMoved("vendor", "open", one.account.breaker.why) in two.told


@in_virtual_time
async def test_one_probe_of_all_and_its_result_is_everybodys() -> None:
    async with House() as house:
        many = [house.spawn(f"w{index}") for index in range(4)]
        await asyncio.sleep(1)
        many[0].note(Health.BAD, 5)
        await asyncio.sleep(1.2)
        assert {process.account.permit(process.clock.monotonic()) for process in many} == {Permit.PROBE}

        # Given: all have somebody who would probe
        taken = await asyncio.gather(*(p.account.take(Priority.NORMAL, p.clock, WAIT_S) for p in many))
        found = [(process, slot) for process, slot in zip(many, taken, strict=True) if slot is not None]

        # Then: one may, the others know it
        ((prober, slot),) = found
        assert slot.probe > 0
        assert prober.account.still_probes(slot.probe, prober.clock.monotonic())
        await asyncio.sleep(0.5)
        assert {process.state for process in many} == {State.HALF_OPEN}
        assert await many[0].account.take(Priority.NORMAL, many[0].clock, WAIT_S) is None

        # When: it goes wrong, and the next one well
        slot.used = True
        slot.release()
        prober.note(Health.BAD, probe=slot.probe)
        await asyncio.sleep(0.5)
        assert {process.state for process in many} == {State.OPEN}
        assert {round(process.account.breaker.interval_s) for process in many} == {2}
        await asyncio.sleep(2)
        other = next(process for process in many if process is not prober)
        again = await other.account.take(Priority.NORMAL, other.clock, WAIT_S)
        assert again is not None
        other.note(Health.GOOD, probe=again.probe)
        await asyncio.sleep(0.5)

        # Then: it is closed everywhere, and loaded gently everywhere
        assert {process.state for process in many} == {State.CLOSED}
        assert {process.account.room(Priority.CRITICAL, process.clock.monotonic(), 1) for process in many} <= {99, 100}


@in_virtual_time
async def test_a_prober_that_dies_is_followed_by_another() -> None:
    async with House() as house:
        one, two = house.spawn("one"), house.spawn("two")
        await asyncio.sleep(1)
        one.note(Health.BAD, 5)
        await asyncio.sleep(1.2)
        assert await one.account.take(Priority.NORMAL, one.clock, WAIT_S) is not None
        one.concord.close()
        house.tasks[0].cancel()
        house.tasks[1].cancel()

        began, slot = two.clock.monotonic(), None
        while slot is None:
            await asyncio.sleep(0.2)
            slot = await two.account.take(Priority.NORMAL, two.clock, WAIT_S)

        assert 9 <= two.clock.monotonic() - began <= 9 + 2 + 1.5  # the lease, the next interval, a look


@in_virtual_time
async def test_a_probe_that_nobody_makes_is_left_to_others() -> None:
    async with House() as house:
        one, two = house.spawn("one"), house.spawn("two")
        await asyncio.sleep(1)
        one.note(Health.BAD, 5)
        await asyncio.sleep(1.2)
        slot = await one.account.take(Priority.NORMAL, one.clock, WAIT_S)
        assert slot is not None
        slot.release()  # not made after all
        await asyncio.sleep(0.6)

        assert await two.account.take(Priority.NORMAL, two.clock, WAIT_S) is not None


@in_virtual_time
async def test_a_probe_that_would_outlast_its_lease_is_left_to_others() -> None:
    async with House() as house:
        one, two = house.spawn("one"), house.spawn("two")
        await asyncio.sleep(1)
        one.note(Health.BAD, 5)
        await asyncio.sleep(1.2)
        # Given: somebody comes for the probe a while after it was leased, and takes long to get ready
        assert one.account.try_take(Priority.NORMAL, one.clock.monotonic()) is None
        await asyncio.sleep(UNUSED_S - 0.1)
        slot = one.account.try_take(Priority.NORMAL, one.clock.monotonic())
        assert slot is not None
        await asyncio.sleep(READY_S - UNUSED_S + 0.2)

        # Then: its call could last until after the lease, when others may probe
        assert not one.account.still_probes(slot.probe, one.clock.monotonic())
        await asyncio.sleep(0.1)
        assert await two.account.take(Priority.NORMAL, two.clock, WAIT_S) is not None


@pytest.mark.parametrize("rate", ["50/s", "1/s", "30/min", "10/min"])
@in_virtual_time
async def test_a_probe_that_the_rate_does_not_let_through_yet_is_made_when_it_does(rate: str) -> None:
    async with House(rate) as house:
        worker = house.spawn("w")
        await asyncio.sleep(1)
        while (slot := await worker.account.take(Priority.NORMAL, worker.clock, 0.01)) is not None:
            slot.used = True
            slot.release()  # until all that may go by now has gone
        worker.note(Health.BAD, 5)
        found = parse_rate(rate)
        by = worker.clock.monotonic() + 1 + found.unit_s / found.n + 0.5  # the first interval, a cell, looks
        while slot is None and worker.clock.monotonic() < by:
            await asyncio.sleep(0.1)
            slot = await worker.account.take(Priority.NORMAL, worker.clock, WAIT_S)

        assert slot is not None
        assert slot.probe > 0


@in_virtual_time
async def test_while_it_is_shut_the_store_is_not_asked_for_each_message() -> None:
    async with House("50/s") as house:
        worker = house.spawn("w")
        await asyncio.sleep(1)
        worker.note(Health.BAD, 5)
        await asyncio.sleep(0.2)
        before = worker.way.leases + worker.way.moves
        for _ in range(1000):
            assert worker.fleet.choose("sms", FRESH, worker.clock.monotonic(), worker.clock.now_ms()) is None
        assert worker.way.leases + worker.way.moves == before


@in_virtual_time
async def test_a_late_judgement_does_not_shut_what_was_closed_since() -> None:
    async with House() as house:
        one, two = house.spawn("one"), house.spawn("two")
        await asyncio.sleep(1)
        two.way.down = True
        one.note(Health.BAD, 5)
        await asyncio.sleep(1.2)
        slot = await one.account.take(Priority.NORMAL, one.clock, WAIT_S)
        assert slot is not None
        one.note(Health.GOOD, probe=slot.probe)
        two.note(Health.BAD, 5)
        assert two.state == State.OPEN
        two.way.down = False
        await asyncio.sleep(2)

        assert [one.state, two.state] == [State.CLOSED, State.CLOSED]


@in_virtual_time
async def test_who_only_looks_sees_what_all_say_and_the_ramp_does_not_stand_still_there() -> None:
    async with House() as house:
        one, two, looks = house.spawn("one"), house.spawn("two"), house.spawn("looks", sends=False)
        one.account.in_flight, two.account.in_flight = 3, 4
        one.note(Health.GOOD, 3)
        two.note(Health.BAD)
        await asyncio.sleep(2)
        total = looks.concord.totals["vendor"]
        assert (total.processes, total.in_flight, total.calls, total.good) == (2, 7, 4, 3)

        one.note(Health.BAD, 5)
        await asyncio.sleep(1.2)
        slot = await one.account.take(Priority.NORMAL, one.clock, WAIT_S)
        assert slot is not None
        one.note(Health.GOOD, probe=slot.probe)
        await asyncio.sleep(8)
        assert looks.state == State.CLOSED
        assert looks.account.room(Priority.CRITICAL, looks.clock.monotonic(), 1) == 2 * 1000


@in_virtual_time
async def test_who_only_looks_on_gets_its_share_of_the_rate_for_what_it_asks() -> None:
    """Look-ups are made by processes that send nothing."""
    async with House("5/s") as house:
        house.demand(house.spawn("one"), lines=1)
        looks = house.spawn("looks", sends=False)
        await asyncio.sleep(1)
        for _ in range(4):
            slot = await looks.account.take(Priority.BULK, looks.clock, 5)
            assert slot is not None
            house.calls.append(looks.clock.monotonic())
            slot.release()
        assert most_in(house.calls, 1) <= 5


def told(house: House) -> list[str]:
    return [notice.type for notice in house.notices]


@in_virtual_time
async def test_however_many_open_it_and_probe_it_each_change_of_the_fleets_is_told_once() -> None:
    async with House() as house:
        many = [house.spawn(f"w{index}") for index in range(4)]
        await asyncio.sleep(1)
        # when: all find it ill at the same moment, and probes fail again and again
        for process in many:
            process.note(Health.BAD, 5)
        await asyncio.sleep(1.2)
        failed = 0
        while failed < 4:
            slot = await many[failed].account.take(Priority.NORMAL, many[failed].clock, WAIT_S)
            if slot is None:
                await asyncio.sleep(0.5)
                continue
            slot.used = True
            slot.release()
            many[failed].note(Health.BAD, probe=slot.probe)
            failed += 1
            await asyncio.sleep(0.5)
        assert told(house) == [OPENED]
        # when: one goes well
        while (slot := await many[0].account.take(Priority.NORMAL, many[0].clock, WAIT_S)) is None:
            await asyncio.sleep(0.5)
        slot.used = True
        slot.release()
        many[0].note(Health.GOOD, probe=slot.probe)
        await asyncio.sleep(2)
        # then
        assert told(house) == [OPENED, CLOSED]
        # when: the account is refused, by all of them
        for process in many:
            process.note(Health.MISCONFIGURED)
        await asyncio.sleep(2)
        assert told(house) == [OPENED, CLOSED, OPENED, MISCONFIGURED]
        assert len({notice.id for notice in house.notices}) == 4


@in_virtual_time
async def test_what_is_told_is_neither_lost_nor_doubled_with_who_made_the_change() -> None:
    async with House() as house:
        one, two = house.spawn("one"), house.spawn("two")
        await asyncio.sleep(1)
        # given: the change is made, its answer is lost, and it is tried again
        one.way.lost_answers = 1
        one.note(Health.BAD, 5)
        await asyncio.sleep(3)
        assert (told(house), two.state) == ([OPENED], State.OPEN)
        # when: it dies, and another one brings the provider back
        one.concord.close()
        house.tasks[0].cancel()
        while (slot := await two.account.take(Priority.NORMAL, two.clock, WAIT_S)) is None:
            await asyncio.sleep(0.2)
        slot.used = True
        slot.release()
        two.note(Health.GOOD, probe=slot.probe)
        await asyncio.sleep(1)
        # then: and who comes later is told nothing that was before
        assert told(house) == [OPENED, CLOSED]
        house.spawn("three").note(Health.GOOD, 3)
        await asyncio.sleep(1)
        assert told(house) == [OPENED, CLOSED]


@in_virtual_time
async def test_that_the_account_is_to_blame_is_told_when_it_turns_out_during_the_opening() -> None:
    async with House() as house:
        one = house.spawn("one")
        await asyncio.sleep(1)
        one.note(Health.BAD, 5)
        await asyncio.sleep(1.2)
        for _ in range(3):
            while (slot := await one.account.take(Priority.NORMAL, one.clock, WAIT_S)) is None:
                await asyncio.sleep(0.2)
            slot.used = True
            slot.release()
            one.note(Health.MISCONFIGURED, probe=slot.probe)
            await asyncio.sleep(1)
        assert told(house) == [OPENED, MISCONFIGURED]
