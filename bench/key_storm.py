"""Many callers with one key at three doors, while the doors die between reserving the key and publishing, and confirms are lost.

The invariant: as many notifications as keys, every caller is told the same id, and who was told 202 finds it at any door at once.
The way to the bus is a faulty one: what an API says stops on its way, or what it is answered; then the API dies.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.fault_proxy import HOLE, WELL, FaultProxy
from tests.acceptance.harness import Oracle, call, sms, twilio, wait_until
from tests.acceptance.several import Several

from bench.doors import Doors
from bench.own_engines import Engines, fleet
from bench.several_verdict import Account, account, settle_all

HELD_S = 0.4
READY_S = 90.0
AT_ONCE = 400
LOOKED_AT = 0.1
"""The share of answers after which the notification is asked for, at another door."""


@dataclass
class _Storm:
    house: Several
    doors: Doors
    proxy: FaultProxy
    rng: random.Random
    answered: int = 0
    missing: list[str] = field(default_factory=list)

    async def call(self, number: int, turn: int) -> None:
        id_ = await self.doors.post(number + turn, sms(number), key=f"key-{number}")
        self.answered += 1
        if id_ is not None and self.rng.random() < LOOKED_AT:
            status, _, _ = await self.doors.exchange(self.rng.randrange(3), "GET", f"/v1/notifications/{id_}")
            if status == 404:
                self.missing.append(id_)

    async def kill(self, turn: int) -> None:
        """Holds up what goes to the bus, or its answers, and kills an API in the middle of it."""
        on_the_way = turn % 2 == 0
        await asyncio.to_thread(lambda: self.proxy.fail(up=HOLE if on_the_way else WELL, down=WELL if on_the_way else HOLE))
        await asyncio.sleep(HELD_S)
        victim = turn % len(self.house.apis)
        await asyncio.to_thread(self.house.apis[victim].kill)
        await asyncio.to_thread(self.proxy.reset)
        await asyncio.to_thread(self.proxy.mend)
        await asyncio.to_thread(self.house.start_api_again, victim)
        url = self.house.urls[victim]
        await asyncio.to_thread(wait_until, lambda: call("GET", url + "/readyz")[0] == 200, READY_S, f"{url} is ready again")


async def key_storm(engines: Engines, folder: Path, *, keys: int, callers: int, kills: int, seed: int) -> Account:
    """`keys` × `callers` posts. Kills are spread over them."""
    oracle = Oracle(folder)
    try:
        with FaultProxy(engines.bus.port) as proxy:
            async with fleet(engines, folder, twilio(oracle), bus=proxy.before) as house:
                await asyncio.to_thread(house.start_all, apis=3, workers=2, schedulers=1)
                storm = _Storm(house, Doors(house.urls), proxy, random.Random(seed))
                total = keys * callers
                # callers of one key come close together, at different doors
                calls = iter(itertools.product(range(keys), range(callers)))

                async def one() -> None:
                    for number, turn in calls:
                        await storm.call(number, turn)

                storming = asyncio.gather(*(one() for _ in range(AT_ONCE)))
                for kill in range(kills):
                    while storm.answered < total * (kill + 0.5) / kills and not storming.done():
                        await asyncio.sleep(0.02)
                    await storm.kill(kill)
                await storming
                storm.doors.close()
                await asyncio.to_thread(settle_all, house, storm.doors)
                name = f"{keys} keys x {callers} callers, {kills} kills while publishing, seed {seed}"
                made = await asyncio.to_thread(account, name, house, oracle, storm.doors)
                stored = (await house.asked("select count(*) from notifications"))[0][0]
                made.notes.append(f"{stored} notifications of {storm.answered} answers")
                if stored != keys or len(storm.doors.accepted) != keys:
                    made.faults.append(f"{stored} notifications, {len(storm.doors.accepted)} keys answered")
                made.faults += [f"told 202, and then 404: {id_}" for id_ in storm.missing]
                return made
    finally:
        oracle.stop()
