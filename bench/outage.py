"""The store is away for a while: nothing gets through to it, and nobody is told.

The invariants: posts without a key are taken all the same; nothing is lost; and nothing is doubted or sent twice that was not open
when it went. (Whoever can't read the store judges nobody by the time that passed meanwhile.)
"""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path

from tests.acceptance.fault_proxy import FaultProxy
from tests.acceptance.harness import Oracle, sms, twilio

from bench.doors import Doors, steadily
from bench.own_engines import Engines, fleet
from bench.several_verdict import Account, account, settle_all

LATENCY_MS = 300
TIMEOUT_S = 2
AT_ONCE = 48
AROUND_S = 4.0
"""Load before it and after it."""


async def store_outage(engines: Engines, folder: Path, *, away_s: float, rate: float) -> Account:
    oracle = Oracle(folder, latency_ms=LATENCY_MS, receipts=False)
    try:
        with FaultProxy(engines.store.port) as proxy:
            provider = twilio(oracle, receipts=False, extra=f"timeout_s = {TIMEOUT_S}")
            async with fleet(engines, folder, provider, store=proxy.before) as house:
                await asyncio.to_thread(house.start_all, apis=2, workers=2, schedulers=2)
                doors, over = Doors(house.urls), asyncio.Event()

                async def post(number: int) -> None:
                    await doors.post(number, sms(number), key=f"key-{number}" if number % 4 == 0 else None)

                posting = asyncio.create_task(steadily(itertools.count(), rate, AT_ONCE, post, over))
                await asyncio.sleep(AROUND_S)
                await asyncio.to_thread(proxy.hole)
                gone = time.monotonic()
                rows = await house.asked("select substr(id, 5, 34) from attempts where state = 0")
                open_then = {f"msg_{row[0]}" for row in rows}
                await asyncio.sleep(away_s)
                await asyncio.to_thread(proxy.mend)
                back = time.monotonic()
                await asyncio.sleep(AROUND_S)
                over.set()
                await posting
                doors.close()
                await asyncio.to_thread(settle_all, house, doors)
                name = f"the store is away for {away_s:.0f} s, {len(doors.posts)} posts"
                made = await asyncio.to_thread(account, name, house, oracle, doors)
                doubted = set(made.in_doubt) | set(made.doubled)
                meanwhile = [p for p in doors.posts if gone <= p.at < back]
                taken = sum(0 < p.took_s <= 1 for p in meanwhile)
                made.notes.append(f"{len(open_then)} attempts were open, {len(doubted)} doubted or doubled")
                made.notes.append(f"of {len(meanwhile)} posts meanwhile {taken} were answered 202 within a second")
                made.faults += [f"doubted, and was not open: {message}" for message in sorted(doubted - open_then)]
                if not open_then:
                    made.faults.append("nothing was open, which proves nothing")
                return made
    finally:
        oracle.stop()
