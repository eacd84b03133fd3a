"""What is planted in the product, the tests that are named beside it catch; and over the product as it is they pass.

The simulator's own mutants are in tests/unit/test_simulation_finds.py.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from tests.mutants import (
    in_buses,
    in_coach,
    in_dashboard,
    in_engine,
    in_keys,
    in_notices,
    in_people,
    in_postgres,
    in_push,
    in_restore,
    in_sqlite,
    in_words,
)
from tests.mutants.planting import FAILED, Mutant, copy_to, plant, run

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(300)]

ROOMS = (
    in_sqlite,
    in_postgres,
    in_buses,
    in_engine,
    in_coach,
    in_keys,
    in_people,
    in_push,
    in_dashboard,
    in_notices,
    in_words,
    in_restore,
)
MUTANTS = [mutant for room in ROOMS for mutant in room.MUTANTS]


def _chosen() -> dict[tuple[str, str], list[str]]:
    """By file and backend, the tests that any mutant names."""
    chosen: dict[tuple[str, str], list[str]] = defaultdict(list)
    for mutant in MUTANTS:
        for test in mutant.tests:
            tests = chosen[test.partition("::")[0], mutant.over]
            if test not in tests:
                tests.append(test)
    return dict(chosen)


CHOSEN = _chosen()


@pytest.mark.parametrize("chosen", CHOSEN, ids="-".join)
def test_the_product_as_it_is_passes(chosen: tuple[str, str], tmp_path: Path) -> None:
    copy_to(tmp_path)
    ran = run(tmp_path, CHOSEN[chosen], chosen[1])
    assert ran.code == 0, ran.said


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_what_is_planted_is_caught(mutant: Mutant, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_to(tmp_path)
    for edit in mutant.edits:
        plant(tmp_path, edit)
    ran = run(tmp_path, mutant.tests, mutant.over)
    assert ran.code == FAILED, f"nothing catches it (pytest: {ran.code})\n{ran.said}"
    assert ran.failed, ran.said
    with capsys.disabled():
        print(f"\n{mutant.name}: {ran.failed[0]}")


def test_no_two_have_one_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
