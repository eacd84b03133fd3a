"""Faults of single lines, between our processes and the database, the broker and a provider: each in turn, under posts.

Whatever a line does, nobody who was told 202 is lost, what may have been sent twice is listed, and when the line is well again all
of it comes to its end without help.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from bench.doors import Doors
from bench.several_verdict import account, settle_all

from tests.acceptance.fault_proxy import HOLE, Fault, FaultProxy
from tests.acceptance.harness import Oracle, sms, twilio, wait_until
from tests.acceptance.several import Several, several
from tests.conformance.postgres_server import SERVER
from tests.conformance.rabbit import URL

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(240)]

POSTS = 12
HELD_S = 1.0
"""For so long a line is ill."""

CASES: dict[str, Callable[[FaultProxy], object]] = {
    "late": lambda line: line.fail(up=Fault(late_s=0.2), down=Fault(late_s=0.2)),
    "slow": lambda line: line.fail(up=Fault(bytes_s=40_000), down=Fault(bytes_s=40_000)),
    "hole": lambda line: line.hole(),
    "answers lost": lambda line: line.fail(down=HOLE),
    "questions lost": lambda line: line.fail(up=HOLE),
    "reset": lambda line: line.reset(),
    "gone": lambda line: line.refuse(),
    "question cut": lambda line: line.fail(up=Fault(cut_after=400)),
    "answer cut": lambda line: line.fail(down=Fault(cut_after=60)),
}


@dataclass
class Lines:
    """A fleet, and the faulty lines to what it needs, by name."""

    house: Several
    oracle: Oracle
    by_name: dict[str, FaultProxy]
    ledger: Doors
    """What all the tests were told: connections are each test's own."""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lines]:
    folder = tmp_path_factory.mktemp("lines")
    oracle = Oracle(folder)
    ports = {"store": urlsplit(SERVER).port or 5432, "broker": urlsplit(URL).port or 5672, "provider": oracle.port}
    made = {name: FaultProxy(port) for name, port in ports.items()}
    with made["store"] as store, made["broker"] as broker, made["provider"] as vendor:
        provider = twilio(oracle, extra="timeout_s = 1").replace(oracle.url, vendor.before(oracle.url))
        settings = "[retry]\nbase_s = 0.2\ncap_s = 1\n[breaker]\nprobe_s = 0.2\n"
        with several(folder, provider, settings, store=store.before, bus=broker.before) as house:
            house.start_all(apis=1, workers=2, schedulers=1)
            yield Lines(house, oracle, made, Doors(house.urls))
    oracle.stop()


NUMBERS = itertools.count()


@pytest.mark.parametrize("name", ["store", "broker", "provider"])
async def test_whatever_a_line_does_nothing_is_lost_and_each_double_is_listed(lines: Lines, name: str) -> None:
    line, house = lines.by_name[name], lines.house
    doors = Doors(house.urls, lines.ledger.accepted, lines.ledger.maybe)
    for what, fault in CASES.items():
        # given posts that come before it, while it lasts and after it, every third without a key
        posting = [asyncio.create_task(_post(doors, delay_s)) for delay_s in _spread(HELD_S + 0.6)]
        await asyncio.sleep(0.3)
        # when
        await asyncio.to_thread(fault, line)
        await asyncio.sleep(HELD_S)
        await asyncio.to_thread(line.mend)
        # then
        await asyncio.wait_for(asyncio.gather(*posting), 60)
        assert line.lines_made, what
        assert doors.wrong == [], what
    doors.close()
    await asyncio.to_thread(settle_all, house, doors, 60)
    made = await asyncio.to_thread(account, f"{name}: {', '.join(CASES)}", house, lines.oracle, doors)
    assert made.good, "\n".join(made.lines())
    assert made.accepted >= POSTS


def _spread(over_s: float) -> list[float]:
    return [over_s * place / POSTS for place in range(POSTS)]


async def _post(doors: Doors, delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    number = next(NUMBERS)
    await doors.post(number, sms(number), key=f"key-{number}" if number % 3 else None)


async def test_a_door_whose_broker_is_silent_says_so_in_time(lines: Lines) -> None:
    """A caller who waits for ever can do nothing; one who is told 503 can come again."""
    house = lines.house
    wait_until(lambda: house.api("GET", "/readyz")[0] == 200, 60, "it is well")
    lines.by_name["broker"].hole()
    number = next(NUMBERS)
    lines.ledger.maybe.add(number)
    try:
        began = time.monotonic()
        status, answer = await asyncio.to_thread(house.api, "POST", "/v1/notifications", sms(number))
        assert status == 503, answer
        assert answer["may_be_accepted"] is True
        assert time.monotonic() - began < 25
    finally:
        lines.by_name["broker"].mend()
    wait_until(lambda: house.api("POST", "/v1/notifications/batch", {"notifications": []})[0] != 503, 60, "it takes again")
