"""A rolling restart under load: every process in turn is told to go (SIGTERM), and started again when it has gone.

The invariants: nobody is answered 5xx, every process ends by itself with 0, nothing is lost and nothing is sent twice or left in
doubt. A caller finds the next door where one is shut, as a load balancer would see to.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.harness import Oracle, Process, call, sms, twilio, wait_until
from tests.acceptance.several import Several

from bench.doors import Doors, steadily
from bench.own_engines import Engines, fleet
from bench.several_verdict import Account, account, settle_all

LATENCY_MS = 100
AT_ONCE = 24
DRAIN_S = 40.0
READY_S = 90.0


async def rolling_restart(engines: Engines, folder: Path, *, restarts: int, rate: float) -> Account:
    oracle = Oracle(folder, latency_ms=LATENCY_MS, receipts=False)
    try:
        async with fleet(engines, folder, twilio(oracle, receipts=False)) as house:
            await asyncio.to_thread(house.start_all, apis=2, workers=2, schedulers=2)
            doors, over = Doors(house.urls), asyncio.Event()

            async def post(number: int) -> None:
                await doors.post(number, sms(number), key=f"key-{number}" if number % 2 else None)

            posting = asyncio.create_task(steadily(itertools.count(), rate, AT_ONCE, post, over))
            codes: list[int] = []
            drains: list[float] = []
            for turn in range(restarts):
                began = time.monotonic()
                codes.append(await asyncio.to_thread(_again, house, turn))
                drains.append(time.monotonic() - began)
            over.set()
            await posting
            doors.close()
            await asyncio.to_thread(settle_all, house, doors)
            name = f"{restarts} restarts by SIGTERM, {len(doors.posts)} posts"
            made = await asyncio.to_thread(account, name, house, oracle, doors)
            made.notes.append(f"gone and back after {sorted(drains)[len(drains) // 2]:.1f} s (median), {max(drains):.1f} s (most)")
            made.notes.append(f"answers by status: {dict(doors.statuses)}")
            made.faults += [f"answered {status}: {count} times" for status, count in doors.statuses.items() if status >= 500]
            made.faults += [f"a process ended with {code}" for code in codes if code]
            made.faults += [f"doubled: {message}" for message in made.doubled] + [f"in doubt: {m}" for m in made.in_doubt]
            return made
    finally:
        oracle.stop()


def _again(house: Several, turn: int) -> int:
    """The exit code of the one whose turn it is."""
    place = turn % (len(house.apis) + len(house.workers) + len(house.schedulers))
    if place < len(house.apis):
        code = house.apis[place].stop(DRAIN_S)
        house.start_api_again(place)
        url = house.urls[place]
        wait_until(lambda: call("GET", url + "/readyz")[0] == 200, READY_S, f"{url} is ready again")
        return code
    workers: tuple[list[Process], Callable[[], Process]] = (house.workers, house.start_worker)
    of, start = workers if place < len(house.apis) + len(house.workers) else (house.schedulers, house.start_scheduler)
    code = of.pop(0).stop(DRAIN_S)
    start()
    return code
