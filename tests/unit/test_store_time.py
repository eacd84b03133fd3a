"""Processes that share a store go by its clock, whatever their machines' clocks show."""

from __future__ import annotations

import pytest

from sendwright.engine.drift import HOLD_S, Drift
from sendwright.engine.store_time import StoreClock, StoreTime
from sendwright.engine.telling import Telling, Trouble

from .test_clock_drift import TwoClocks

SHOWN_S = 2_000_000_000.0
"""What the store's clock shows when this process's shows 1000."""


def told_exactly(clock: TwoClocks, ahead_s: float = 0.0) -> StoreClock:
    """A store's clock as an answer without any delay tells it; `ahead_s`: since then it was set."""
    store = StoreClock()
    store.seen(SHOWN_S + clock.seconds - 1000 + ahead_s, clock.seconds, clock.seconds)
    return store


def test_the_stores_clock_is_known_as_well_as_the_quickest_answer_tells() -> None:
    clock = StoreClock()
    clock.seen(1000.0, 10.0, 11.0)
    assert clock.here(1000.5) == pytest.approx(11.0)
    clock.seen(1001.0, 11.49, 11.51)
    assert clock.here(1001.0) == pytest.approx(11.5)
    assert clock.there(11.5) == pytest.approx(1001.0)
    clock.seen(1002.0, 12.0, 13.0)
    assert clock.here(1002.0) == pytest.approx(12.5, abs=0.02), "a slow answer tells nothing new"
    clock.seen(2000.0, 14.0, 14.5)
    assert clock.here(2000.0) == pytest.approx(14.25), "it was set"


@pytest.mark.parametrize("wrong_s", [-86_400.0, -3600.0, 0.0, 90.0, 3600.0])
def test_a_machine_whose_clock_is_wrong_from_the_start_goes_by_the_stores(wrong_s: float) -> None:
    machine = TwoClocks()
    machine.wall_ms = round((SHOWN_S + wrong_s) * 1000)
    time = StoreTime(machine, told_exactly(machine))
    assert time.now_ms() == SHOWN_S * 1000
    assert time.machine_ahead_s() == wrong_s
    machine.pass_time(12.5)
    assert time.now_ms() == (SHOWN_S + 12.5) * 1000


@pytest.mark.parametrize("step_s", [-86_400.0, 3600.0])
def test_a_step_of_the_machines_clock_moves_nothing_and_holds_nothing(step_s: float) -> None:
    machine = TwoClocks()
    time, told = StoreTime(machine, told_exactly(machine)), list[Telling]()
    drift = Drift(time, told.append)
    machine.step(step_s)
    machine.pass_time(1)
    assert time.now_ms() == (SHOWN_S + 1) * 1000
    assert not drift.held()
    assert told == []


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_a_step_of_the_stores_clock_is_held_as_any_is_and_believed_after_a_minute(step_s: float) -> None:
    machine = TwoClocks()
    store = told_exactly(machine)
    time, told = StoreTime(machine, store), list[Telling]()
    drift = Drift(time, told.append)
    # when
    machine.pass_time(10)
    store.seen(SHOWN_S + 10 + step_s, machine.seconds, machine.seconds)
    # then
    assert drift.held()
    assert [type(one) for one in told] == [Trouble]
    machine.pass_time(HOLD_S)
    assert not drift.held()
    assert time.now_ms() == (SHOWN_S + 10 + step_s + HOLD_S) * 1000


def test_while_the_store_says_nothing_its_time_goes_on() -> None:
    machine = TwoClocks()
    time = StoreTime(machine, told_exactly(machine))
    machine.pass_time(3600)
    assert time.now_ms() == (SHOWN_S + 3600) * 1000
