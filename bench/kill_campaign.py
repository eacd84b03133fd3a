"""kill -9 to processes, database and broker, at moments at which enough attempts are open, while posts come steadily."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from pathlib import Path

from tests.acceptance.harness import Oracle, sms, twilio

from bench.doors import Doors, steadily
from bench.own_engines import Engines, fleet
from bench.several_verdict import Account, account, left_over, number_of, settle_all
from bench.verdict import ENOUGH
from bench.victims import Victims

LATENCY_MS = 300
AT_ONCE = 48
WAIT_S = 20.0
"""Longest wait for enough open attempts."""


async def kill_campaign(
    engines: Engines,
    folder: Path,
    *,
    kills: int,
    rate: float,
    seed: int,
    hold: bool = False,
    tell: bool = False,
    order: Sequence[str] = (),
) -> Account:
    """`rate`: posts a second. Every other post has a key; every other pair is held in doubt, or with `hold` all are. `order`:
    who dies, instead of as many as `kills`."""
    rng = random.Random(seed)
    oracle = Oracle(folder, latency_ms=LATENCY_MS, receipts=False)
    try:
        async with fleet(engines, folder, twilio(oracle, receipts=False, extra="timeout_s = 5")) as house:
            await asyncio.to_thread(house.start_all, apis=2, workers=3, schedulers=2)
            doors, over, holding = Doors(house.urls), asyncio.Event(), set[int]()

            async def post(number: int) -> None:
                held = hold or number // 2 % 2 == 1
                if held:
                    holding.add(number)
                body = sms(number, on_doubt="hold" if held else "resend")
                await doors.post(number, body, key=f"key-{number}" if number % 2 else None)

            posting = asyncio.create_task(steadily(itertools.count(), rate, AT_ONCE, post, over))
            victims = Victims(engines, house, rng)
            supervising = asyncio.create_task(victims.supervise())
            for turn, what in enumerate(order or victims.order(kills)):
                in_flight = await _enough(oracle, rng, posting)
                death = await victims.kill(what, in_flight)
                if tell:
                    away = death.back - death.at
                    print(f"  kill {turn + 1}: {what}, {death.open} open, back after {away:.1f} s", flush=True)
            await asyncio.sleep(1)
            over.set()
            await posting
            doors.close()
            await asyncio.to_thread(settle_all, house, doors)
            supervising.cancel()
            held = [id_ for key, id_ in doors.accepted.items() if number_of(key) in holding]
            name = f"{kills} kills, {len(doors.posts)} posts, {'all' if hold else 'half'} held in doubt, seed {seed}"
            made = await asyncio.to_thread(account, name, house, oracle, doors, deaths=victims.deaths, held=held)
            made.faults += await asyncio.to_thread(left_over, house)
            return made
    finally:
        oracle.stop()


async def _enough(oracle: Oracle, rng: random.Random, posting: asyncio.Task[int]) -> int:
    """Waits until enough calls are in hand; how many they are."""
    await asyncio.sleep(rng.uniform(0.05, 0.6))
    deadline = time.monotonic() + WAIT_S
    while True:
        if posting.done():
            posting.result()
            raise AssertionError("the callers are gone")
        in_flight = int((await asyncio.to_thread(oracle.stats))["in_flight"])
        if in_flight >= ENOUGH or time.monotonic() > deadline:
            return in_flight
        await asyncio.sleep(0.02)
