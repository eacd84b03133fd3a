"""A sample of the crash points; `make chaos` dies at every one of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.crash_company import STAGES, crash_company
from bench.crash_matrix import ONCE, TIMES, crash_matrix

from tests.acceptance.crash_points import crash_points

SAMPLE = [
    ("accept.durable", "plan.planned"),
    ("deliver.claimed", "deliver.answer"),
    ("settle.settled", "observe.joined"),
]


@pytest.mark.slow
@pytest.mark.parametrize("points", SAMPLE, ids=" and ".join)
async def test_death_at_a_crash_point_loses_nothing(tmp_path: Path, points: tuple[str, ...]) -> None:
    # when
    verdicts = await crash_matrix(tmp_path, points, at_once=2)

    # then
    assert all(verdict.good for verdict in verdicts), "\n".join(line for verdict in verdicts for line in verdict.lines())


@pytest.mark.slow
async def test_of_a_call_that_was_settled_by_half_when_it_died_each_message_is_judged_alone(tmp_path: Path) -> None:
    # when
    verdicts = await crash_company(tmp_path, ["some settled"])

    # then
    assert all(verdict.good for verdict in verdicts), "\n".join(line for verdict in verdicts for line in verdict.lines())
    assert [len(verdict.doubled) for verdict in verdicts] == [3, 0], "those that would be sent again, and those that are held"
    assert [len(verdict.in_doubt) for verdict in verdicts] == [0, 3]


def test_the_matrix_names_no_point_that_does_not_exist() -> None:
    stages = {stage.point.partition(":")[0] for stage in STAGES.values() if stage.point}
    named = {*ONCE, *TIMES, *stages, *(point for points in SAMPLE for point in points)}
    assert named <= set(crash_points())
