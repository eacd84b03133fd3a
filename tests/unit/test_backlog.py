"""What the writer takes next, and when it waits."""

from __future__ import annotations

import pytest

from sendwright.drivers.store.sqlite.backlog import (
    CALM_S,
    FLUSH_MAX,
    FLUSH_SMALL,
    HOLD_S,
    LINGER_S,
    PATIENCE_S,
    WORTHWHILE,
    Backlog,
)


def backlog(rest: int = 0, urgent: int = 0) -> Backlog[int]:
    made = Backlog[int](lambda item: max(1, item))
    for _ in range(rest):
        made.add(1, urgent=False)
    for _ in range(urgent):
        made.add(0, urgent=True)
    return made


def test_work_goes_in_its_order_up_to_a_flush() -> None:
    line = backlog(rest=FLUSH_MAX + 5)
    assert len(line.take(0)) == FLUSH_MAX
    assert len(line.take(0)) == 5
    assert not line


def test_urgent_work_goes_first_and_alone() -> None:
    line = backlog(rest=3, urgent=2)
    assert line.take(0) == [0, 0]
    assert line.pause_s(0) == HOLD_S
    assert line.take(HOLD_S) == [1, 1, 1]


def test_a_flood_of_urgent_work_does_not_starve_the_rest() -> None:
    line = backlog(rest=3)
    taken: list[int] = []
    now = 0.0
    while 1 not in taken:
        line.add(0, urgent=True)
        taken = line.take(now)
        now += 0.001
    assert now <= PATIENCE_S + 0.003


def test_after_urgent_work_flushes_stay_small_for_a_while() -> None:
    line = backlog(rest=4 * FLUSH_MAX, urgent=1)
    line.take(0)
    assert len(line.take(CALM_S / 2)) == FLUSH_SMALL
    assert len(line.take(CALM_S * 2)) == FLUSH_MAX


def test_what_is_wanted_soon_is_the_first_of_the_next_flush_and_makes_none_small() -> None:
    line = backlog(rest=2 * FLUSH_MAX)
    line.take(0)
    line.add(7, urgent=False, soon=True)
    assert line.take(0) == [7] + [1] * FLUSH_MAX
    line.add(8, urgent=False, soon=True)
    assert line.take(0) == [8]
    assert not line


def test_a_flood_of_what_is_wanted_soon_makes_no_flush_long_and_starves_nobody() -> None:
    line = backlog(rest=5)
    for _ in range(3 * FLUSH_MAX):
        line.add(1, urgent=False, soon=True)
    assert len(line.take(0)) == FLUSH_MAX + 5
    line.add(0, urgent=True)
    assert line.take(0) == [0] + [1] * FLUSH_SMALL
    assert len(line.take(CALM_S * 2)) == FLUSH_MAX


def test_nobody_waits_for_company_of_what_is_wanted_soon() -> None:
    line = backlog(rest=WORTHWHILE)
    line.take(0)
    line.add(7, urgent=False, soon=True)
    assert line
    assert line.pause_s(0) == 0


def test_what_is_wanted_soon_gets_between_no_links_of_an_urgent_chain() -> None:
    line = backlog(rest=3, urgent=1)
    line.add(7, urgent=False, soon=True)
    assert line.take(0) == [0, 7]
    line.add(7, urgent=False, soon=True)
    assert line.pause_s(HOLD_S / 4) == HOLD_S * 3 / 4
    assert line.take(HOLD_S) == [7, 1, 1, 1]


def test_a_heavy_item_fills_a_flush_by_itself() -> None:
    line = backlog()
    for _ in range(3):
        line.add(FLUSH_MAX, urgent=False)
    assert line.take(0) == [FLUSH_MAX]


def test_alone_nobody_waits_for_company() -> None:
    line = backlog(rest=1)
    assert line.pause_s(0) == 0


def test_in_a_crowd_a_small_batch_waits_for_more() -> None:
    line = backlog(rest=WORTHWHILE)
    line.take(0)
    line.add(1, urgent=False)
    assert line.pause_s(0) == LINGER_S
    for _ in range(WORTHWHILE):
        line.add(1, urgent=False)
    assert line.pause_s(0) == 0


def test_for_more_than_the_next_flush_takes_nobody_waits() -> None:
    """Right after urgent work flushes are small: what fills one goes, though a calm one would wait for more."""
    line = backlog(rest=FLUSH_SMALL, urgent=1)
    line.take(0)
    line.take(PATIENCE_S + HOLD_S)
    for _ in range(FLUSH_SMALL):
        line.add(1, urgent=False)
    assert line.pause_s(2 * PATIENCE_S) == 0


def test_nothing_waits_while_there_is_urgent_work() -> None:
    line = backlog(rest=WORTHWHILE)
    line.take(0)
    line.add(1, urgent=False)
    line.add(0, urgent=True)
    assert line.pause_s(0) == 0


def test_asked_again_in_the_middle_of_a_pause_only_the_rest_of_it_is_waited() -> None:
    """A bell rung before the writer lay down ends its sleep at once: that must not let the rest in between."""
    line = backlog(rest=3, urgent=1)
    line.take(0)
    assert line.pause_s(HOLD_S / 4) == HOLD_S * 3 / 4
    assert line.pause_s(HOLD_S) == 0


def test_company_is_waited_for_once() -> None:
    line = backlog(rest=WORTHWHILE)
    line.take(0)
    line.add(1, urgent=False)
    assert line.pause_s(0) == LINGER_S
    assert line.pause_s(LINGER_S / 4) == LINGER_S * 3 / 4
    assert line.pause_s(LINGER_S) == 0


def test_what_follows_urgent_work_is_waited_for_from_its_commit_on() -> None:
    line = backlog(rest=3, urgent=1)
    line.take(0)
    line.flushed(0, now=PATIENCE_S / 2)
    assert line.pause_s(PATIENCE_S / 2) == pytest.approx(HOLD_S)


def test_the_end_of_a_flush_that_held_nothing_urgent_holds_nobody_back() -> None:
    line = backlog(rest=3, urgent=1)
    line.take(0)
    line.take(HOLD_S)
    line.flushed(HOLD_S, now=0.5)
    line.add(1, urgent=False)
    assert line.pause_s(0.5) == 0
