"""The campaigns of bench.chaos_long, over either bus: who may die, and that a short one comes to its verdict."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from bench.kill_campaign import kill_campaign
from bench.own_bus import SQS, OwnRabbit, OwnSqs
from bench.own_engines import Engines, own_engines
from bench.poison import poison
from bench.victims import Victims


@pytest.mark.parametrize(("bus", "servers"), [(OwnRabbit, {"broker": 10, "store": 10}), (OwnSqs, {"store": 10})])
def test_servers_that_are_ours_die_one_time_in_ten(bus: Callable[[Any], Any], servers: Mapping[str, int]) -> None:
    victims = Victims(Engines(cast("Any", None), bus(None)), cast("Any", None), random.Random(1))

    died = Counter(victims.order(100))

    assert {who: count for who, count in died.items() if who in {"broker", "store"}} == servers
    assert died.total() == 100
    assert died["worker"] > died["api"] > 0
    assert died["scheduler"] > 0


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
async def test_processes_and_the_database_die_over_sqs_that_misbehaves(tmp_path: Path) -> None:
    order = ("worker", "api", "store", "worker", "scheduler")
    with own_engines(bus=SQS) as engines:
        made = await kill_campaign(engines, tmp_path, kills=len(order), rate=60, seed=1, order=order)
        said = " ".join(engines.bus.said())

    assert made.good, "\n".join(made.lines())
    assert [death.what for death in made.deaths] == list(order)
    assert made.takeover_s, "nothing was open when a worker died, which proves nothing"
    assert all(fault in said for fault in ("duplicate", "reorder", "entry", "throttle")), said


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_poison_in_every_bundle_of_sqs_is_a_dead_letter_alone(tmp_path: Path) -> None:
    with own_engines(bus=SQS) as engines:
        made = await poison(engines, tmp_path, count=60)

    assert made.good, "\n".join(made.lines())
