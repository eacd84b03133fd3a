"""Several workers over PostgreSQL and RabbitMQ call one provider: its rate, its breaker and its figures are the fleet's."""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from sendwright.policy.limit import Rate
from tests.acceptance.harness import Caller, Oracle, sms, twilio, wait_until
from tests.acceptance.several import Several, several

pytestmark = pytest.mark.slow

RATE = Rate(50, 1)


def most_in(times: Sequence[float], window_s: float) -> int:
    """The most calls in any half-open window."""
    return max((bisect_left(times, at + window_s) - index for index, at in enumerate(times)), default=0)


def taken_at(oracle: Oracle) -> list[float]:
    """When the sandbox took its calls, in seconds."""
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
            wait_until(lambda: oracle.log.read_bytes().count(b"\n") >= count, 60, "all are sent", every_s=0.5)

            times = taken_at(oracle)
            for window_s in (0.5, 1, 2, 5):
                assert most_in(times, window_s) <= RATE.n * window_s + RATE.burst, f"in {window_s} s"
            print(len(times) / (times[-1] - times[0]), [most_in(times, window_s) for window_s in (0.5, 1, 2, 5)])
            assert len(times) == count
            middle = times[count // 10 : -count // 10]
            assert len(middle) / (middle[-1] - middle[0]) >= 0.9 * RATE.n
    finally:
        oracle.stop()
