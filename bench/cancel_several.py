"""Cancels in a race with sending, over several doors and workers that die: what a cancel said is true.

As cancel_race.py, whose verdict on what was said is used here; what is said twice, since the first answer was lost, is held only to
what it says of the message.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from tests.acceptance.harness import Oracle, sms, twilio

from bench.cancel_race import AT_ONCE, CONCURRENCY, GONE, LATENCY_MS, counted, lies
from bench.doors import Doors
from bench.own_engines import Engines, fleet
from bench.several_verdict import Account, account, settle_all
from bench.victims import Victims
from sendwright.model import ids

PAUSE_S = 0.05


class Racer:
    """Posts at one door, and cancels at any."""

    def __init__(self, doors: Doors, rng: random.Random) -> None:
        self._doors = doors
        self._rng = rng
        self.said: dict[str, str] = {}
        self.again: set[str] = set()

    async def race(self, number: int) -> None:
        id_ = await self._doors.post(number, sms(number, on_doubt="hold"), key=f"key-{number}")
        if id_ is None:
            return
        pauses_s = (0.0, 0.0, self._rng.uniform(0, 0.05), self._rng.uniform(0, 0.3), self._rng.uniform(0, 1.0))
        await asyncio.sleep(self._rng.choice(pauses_s))
        message = ids.message_id(id_, 0)
        of = f"notifications/{id_}" if self._rng.random() < 0.5 else f"messages/{message}"
        self.said[message] = await self._cancel(message, f"/v1/{of}/cancel")

    async def _cancel(self, message: str, path: str) -> str:
        while True:
            door = self._rng.randrange(len(self._doors.urls))
            status, answer, _ = await self._doors.exchange(door, "POST", path)
            if status == 200:
                return counted(answer)
            if status == 404:
                return "unknown"  # a message's own id is known once it is planned
            if status not in {None, 503}:
                self._doors.wrong.append(f"a cancel was answered {status}")
                return "unknown"
            self.again.add(message)
            await asyncio.sleep(PAUSE_S)


async def cancel_several(engines: Engines, folder: Path, *, count: int, kills: int, seed: int) -> Account:
    """Races `count` messages, with that many deaths of APIs, workers and schedulers in between."""
    rng = random.Random(seed)
    oracle = Oracle(folder, latency_ms=LATENCY_MS)
    try:
        async with fleet(engines, folder, twilio(oracle, concurrency=CONCURRENCY)) as house:
            await asyncio.to_thread(house.start_all, apis=2, workers=3, schedulers=2)
            doors = Doors(house.urls)
            racer, victims = Racer(doors, rng), Victims(engines, house, rng)
            numbers = iter(range(count))

            async def one() -> None:
                for number in numbers:
                    await racer.race(number)

            racing = asyncio.gather(*(one() for _ in range(AT_ONCE)))
            supervising = asyncio.create_task(victims.supervise())
            for kill in range(kills):
                while len(racer.said) < count * (kill + 1) / (kills + 1) and not racing.done():
                    await asyncio.sleep(0.02)
                # calls are too short to be counted at that moment: each worker has as many places
                await victims.kill(("worker", "api", "worker", "scheduler")[kill % 4], 3 * CONCURRENCY)
            await racing
            doors.close()
            await asyncio.to_thread(settle_all, house, doors)
            supervising.cancel()
            rows = await house.asked("select id, state from messages")
            states = {row[0]: "cancelled" if row[1] == 52 else str(row[1]) for row in rows}
            excused = [ids.notification_of(message) for message, state in states.items() if state == "cancelled"]
            name, held = f"{count} cancels over several processes, seed {seed}", doors.accepted.values()
            made = await asyncio.to_thread(
                account, name, house, oracle, doors, deaths=victims.deaths, held=list(held), excused=excused
            )
            gone = sum(said in GONE for said in racer.said.values())
            made.notes.append(f"{gone} were cancelled, {count - gone} were not")
            made.faults += lies(racer.said, racer.again, states, set(oracle.taken().by_message))
            if not 0 < gone < count:
                made.faults.append("one side always won, which proves nothing")
            return made
    finally:
        oracle.stop()
