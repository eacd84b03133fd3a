"""A sample of the race of cancelling with sending and dying; `make chaos` runs ten thousand."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from bench.cancel_race import cancel_race

pytestmark = pytest.mark.slow


async def test_what_a_cancel_said_is_true_whatever_dies_meanwhile(tmp_path: Path) -> None:
    # given a seed, so that a failure can be repeated
    seed = random.SystemRandom().randrange(1 << 30)

    # when
    verdict = await cancel_race(tmp_path, count=250, kills=1, seed=seed)

    # then
    assert verdict.good, "\n".join(verdict.lines())
    assert verdict.accepted == 250
