"""Several workers over PostgreSQL and RabbitMQ call one provider: its rate, its breaker and its figures are the fleet's."""

from __future__ import annotations

import asyncio
import json
import time
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sendwright.policy.limit import Rate
from tests.acceptance.harness import Caller, Oracle, sms, twilio, wait_until
from tests.acceptance.several import Several, several

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]

RATE = Rate(50, 1)


def most_in(times: Sequence[float], window_s: float) -> int:
    """The most calls in any half-open window."""
    return max((bisect_left(times, at + window_s) - index for index, at in enumerate(times)), default=0)


LATE_S = 0.25
"""So much later than it was written may the sandbox read a request, on a machine on which everything runs at once."""


def asked_at(oracle: Oracle) -> list[float]:
    """When the sandbox was called, in seconds, as it logged it before it answered."""
    return sorted(datetime.fromisoformat(json.loads(line)["at"]).timestamp() for line in oracle.log.read_bytes().splitlines())


async def post_all(house: Several, folder: Path, count: int) -> None:
    caller, at_once = Caller(house, folder / "ledger"), asyncio.Semaphore(16)

    async def one(number: int) -> None:
        async with at_once:
            await caller.post(f"k{number}", sms(number))

    await asyncio.gather(*(one(number) for number in range(count)))


def test_three_workers_keep_one_rate_and_use_it(tmp_path: Path) -> None:
    oracle = Oracle(tmp_path, latency_ms=20, receipts=False)
    try:
        with several(tmp_path, twilio(oracle, receipts=False, extra='rate = "50/s"')) as house:
            house.start_all(workers=3)
            count = 1000
            asyncio.run(post_all(house, tmp_path, count))
            wait_until(lambda: oracle.log.read_bytes().count(b"\n") >= count, 100, "all are sent", every_s=0.5)

            times = asked_at(oracle)
            assert len(times) == count
            for window_s in (0.5, 1, 2, 5):
                most = RATE.n * (window_s + LATE_S) + RATE.burst
                assert most_in(times, window_s) <= most, f"in {window_s} s"
            middle = times[count // 10 : -count // 10]
            used = len(middle) / (middle[-1] - middle[0]) / RATE.n
            print(f"{used:.0%} of the rate was used")  # how much depends on the machine: the engine's test has the figure
            assert used > 0.2
    finally:
        oracle.stop()


def standing(house: Several) -> dict[str, Any]:
    found: dict[str, Any] = house.api("GET", "/v1/providers/twilio-main")[1]
    return found


def test_one_probe_of_all_workers_and_its_result_is_everybodys(tmp_path: Path) -> None:
    oracle = Oracle(tmp_path, receipts=False)
    try:
        with several(tmp_path, twilio(oracle, receipts=False)) as house:
            # Given: three workers whose provider refuses everything
            house.start_all(workers=2)
            oracle.faults([{"do": "status", "status": 503}])
            count = 60
            asyncio.run(post_all(house, tmp_path, count))
            wait_until(lambda: standing(house)["breaker"] == "open", 30, "an API that sends nothing sees it open")
            assert standing(house)["reason"]

            # When: it stays so for a while
            time.sleep(3)
            before = asked_at(oracle)
            time.sleep(12)
            probes = [at for at in asked_at(oracle) if at > before[-1]]

            # Then: probes are all that goes out, one after the other, at growing intervals
            assert 1 <= len(probes) <= 5
            assert all(later - earlier > 1.5 for earlier, later in pairwise(probes))

            # When: it is well again, everybody goes on
            oracle.faults([])
            wait_until(lambda: house.counts().get("sent", 0) == count, 90, "all are sent", every_s=0.5)
            wait_until(lambda: standing(house)["breaker"] == "closed", 10, "it is closed everywhere")
            assert 0 < standing(house)["success_rate"] <= 1
            assert standing(house)["latency_ms"] > 0
    finally:
        oracle.stop()
