"""Samples of the campaigns over several processes; `make chaos-long` runs them at length."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.cancel_several import cancel_several
from bench.key_storm import key_storm
from bench.kill_campaign import kill_campaign
from bench.outage import store_outage
from bench.own_engines import Engines, own_engines
from bench.parked import provider_down
from bench.poison import poison
from bench.purges import purge_channel_lane, purge_intake_lane
from bench.rolling import rolling_restart
from bench.several_verdict import Account

from tests.conformance.own_postgres import BIN
from tests.conformance.rabbit_broker import server_scripts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    if BIN is None or server_scripts() is None:
        pytest.skip("PostgreSQL's and RabbitMQ's servers are not installed")
    with own_engines() as made:
        yield made


@pytest.fixture
def seed() -> int:
    """Told with every verdict, so that a failure can be repeated."""
    return random.SystemRandom().randrange(1 << 30)


def good(made: Account) -> Account:
    assert made.good, "\n".join(made.lines())
    assert made.accepted
    return made


async def test_whatever_is_killed_nothing_is_lost_and_each_double_is_listed(engines: Engines, tmp_path: Path, seed: int) -> None:
    made = good(await kill_campaign(engines, tmp_path, kills=5, rate=70, seed=seed, order=("worker", "store", "api", "broker")))
    assert made.open > 0


async def test_a_cancel_at_any_door_tells_the_truth(engines: Engines, tmp_path: Path, seed: int) -> None:
    good(await cancel_several(engines, tmp_path, count=250, kills=1, seed=seed))


async def test_a_key_stands_for_one_notification_at_every_door(engines: Engines, tmp_path: Path, seed: int) -> None:
    made = good(await key_storm(engines, tmp_path, keys=60, callers=15, kills=2, seed=seed))
    assert made.accepted == 60


async def test_a_poison_in_every_bundle_is_nobody_elses_death(engines: Engines, tmp_path: Path) -> None:
    good(await poison(engines, tmp_path, count=120))


async def test_a_purged_channel_lane_is_found_again(engines: Engines, tmp_path: Path) -> None:
    good(await purge_channel_lane(engines, tmp_path, count=100))


async def test_a_purged_intake_lane_is_named(engines: Engines, tmp_path: Path) -> None:
    good(await purge_intake_lane(engines, tmp_path, count=60))


async def test_a_rolling_restart_is_felt_by_nobody(engines: Engines, tmp_path: Path) -> None:
    good(await rolling_restart(engines, tmp_path, restarts=6, rate=40))


async def test_a_store_that_was_away_puts_nothing_in_doubt_that_was_not_open(engines: Engines, tmp_path: Path) -> None:
    good(await store_outage(engines, tmp_path, away_s=7, rate=40))


async def test_a_provider_that_is_down_costs_nobody_else(engines: Engines, tmp_path: Path) -> None:
    good(await provider_down(engines, tmp_path, count=300, rate=100, samples=10, idle_s=4))
