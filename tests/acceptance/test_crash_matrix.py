"""A sample of the crash points; `make chaos` dies at every one of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.crash_matrix import ONCE, TIMES, crash_matrix

from tests.acceptance.crash_points import crash_points

SAMPLE = [
    ("accept.durable", "plan.planned"),
    ("deliver.claimed", "deliver.answer"),
    ("settle.settled", "schedule.published"),
    ("repair.repaired", "observe.joined"),
]


@pytest.mark.slow
@pytest.mark.parametrize("points", SAMPLE, ids=" and ".join)
async def test_death_at_a_crash_point_loses_nothing(tmp_path: Path, points: tuple[str, ...]) -> None:
    # when
    verdicts = await crash_matrix(tmp_path, points, at_once=2)

    # then
    assert all(verdict.good for verdict in verdicts), "\n".join(line for verdict in verdicts for line in verdict.lines())


def test_the_matrix_names_no_point_that_does_not_exist() -> None:
    named = {*ONCE, *TIMES, *(point for points in SAMPLE for point in points)}
    assert named <= set(crash_points())
