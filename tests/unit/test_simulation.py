"""The simulator: the same seed is the same story, seeds are clean, and nothing that matters is left out of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from simulation.__main__ import BRANCHES, main
from simulation.draw import FAULTS, Draw
from simulation.loop import OWNER, HotLoopError, SimLoop, owned_by
from simulation.model import BUGS, Bounds, Model
from simulation.world import simulate

ROOT = Path(__file__).parents[2]
KEPT_BLOCKS = 3000
"""A seed has some 20,000 at its end; caches may keep a few."""
PRINTED = "from simulation.world import simulate; print(simulate({seed}).hash)"


def hash_in_another_process(seed: int, hash_seed: str) -> str:
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", PRINTED.format(seed=seed)], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_same_seed_is_the_same_story() -> None:
    first = simulate(7)
    assert first.hash == simulate(7).hash
    assert first.hash != simulate(8).hash


@pytest.mark.slow
def test_the_same_seed_is_the_same_story_in_every_process() -> None:
    assert {hash_in_another_process(9, hash_seed) for hash_seed in ("0", "1", "4242")} == {simulate(9).hash}


def test_a_seed_that_is_over_leaves_nothing_in_memory() -> None:
    for seed in (2, 3):
        simulate(seed)
    before = sys.getallocatedblocks()
    for seed in (4, 5):
        simulate(seed)
    assert sys.getallocatedblocks() - before < KEPT_BLOCKS


@pytest.mark.parametrize("seed", range(1, 11))
def test_a_seed_is_clean(seed: int) -> None:
    verdict = simulate(seed)
    assert verdict.broken == (), "\n".join(verdict.tail)
    assert verdict.messages > 50


def test_a_seed_without_faults_doubts_nothing() -> None:
    calm = next(seed for seed in range(1, 200) if not Draw(seed).has)
    verdict = simulate(calm)
    assert verdict.broken == ()
    assert not {"doubt_held", "resend", "doubled", "repaired", "trouble"} & set(verdict.seen)


def test_days_go_on_longer() -> None:
    verdict = simulate(3, days=3 / 24)
    assert verdict.broken == ()
    assert verdict.messages > 250


def test_a_broken_seed_says_how_to_replay_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulation.rest.RECOVERS_S", 0.0)
    monkeypatch.setattr("simulation.rest.ARRIVES_S", -1.0)  # nobody is that fast
    assert main(["--seeds", "3", "--start", "5"]) == 1
    said = capsys.readouterr().out
    assert "seed 5: I9 is broken: canary-0" in said
    assert "replay it: python -m simulation --seed 5 --trace" in said


def test_a_clean_run_counts_what_occurred(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "2", "--start", "5"]) == 0
    said = capsys.readouterr().out
    assert "2 seeds, 2 clean, 0 broken" in said
    assert "confirm_lost" in said


@pytest.mark.slow
def test_every_fault_and_every_branch_occurs() -> None:
    """An idle simulation would be clean as well."""
    seen: Counter[str] = Counter()
    for seed in range(100, 260):
        verdict = simulate(seed)
        assert verdict.broken == (), f"{seed}: {verdict.broken[0]}"
        seen.update(set(verdict.seen))
        if not {*FAULTS, *BRANCHES} - set(seen):
            break
    assert {*FAULTS, *BRANCHES} - set(seen) == set()
    assert sum(name.startswith("at:") for name in seen) > 20, "deaths at different crash points"


# The loop


def test_nothing_of_a_stopped_life_runs_until_it_goes_on() -> None:
    class Life:
        stopped = False
        kept: list[object] = []  # noqa: RUF012

    loop, life, ran = SimLoop(), Life(), []
    loop.call_soon(lambda: ran.append(OWNER.get()), context=owned_by(life))  # type: ignore[arg-type]
    loop.call_at(loop.time() + 1, ran.append, "world")
    life.stopped = True
    loop.call_at(loop.time() + 2, loop.stop)
    loop.run_forever()
    assert ran == ["world"]
    life.stopped = False
    loop.again(life.kept)  # type: ignore[arg-type]
    loop.call_at(loop.time() + 1, loop.stop)
    loop.run_forever()
    assert ran == ["world", life]
    loop.close()


def test_a_loop_without_end_is_found() -> None:
    loop = SimLoop()

    def again() -> None:
        loop.call_soon(again)

    again()
    with pytest.raises(HotLoopError):
        loop.run_forever()
    loop.close()


# The model


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS)
def test_the_model_finds_what_is_planted(bug: str) -> None:
    found = Model(Bounds(), frozenset({bug})).search()
    assert found.wrong
    assert found.way


def test_the_model_is_right_within_small_bounds() -> None:
    found = Model(Bounds(attempts=2, faults=1, losses=0)).search()
    assert found.wrong == ""
    assert found.states > 2000


@pytest.mark.slow
def test_the_model_is_right() -> None:
    found = Model().search()
    assert found.wrong == ""
    assert found.states > 30_000
