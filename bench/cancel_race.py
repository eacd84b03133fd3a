"""Cancelling in a race with sending, and with sudden death: who is told "cancelled" was not sent, who is told "too late" was.

Every message is posted and cancelled a random moment later, by its notification or by its own id, while the process is
killed now and then. A cancel that was not answered is asked again: what it says then is of the first one, so it is
only held to what it says of the message, not of itself.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Mapping
from pathlib import Path

from tests.acceptance.harness import ADMIN_KEY, Caller, House, Oracle, sms, twilio

from bench.verdict import Verdict, judge, settle
from sendwright.model import ids

LATENCY_MS = 20
AT_ONCE = 24
CONCURRENCY = 16
GONE = {"cancelled", "unplanned"}


class _Racer(Caller):
    """Posts, and cancels what it posted."""

    def __init__(self, house: House, ledger: Path, rng: random.Random) -> None:
        super().__init__(house, ledger)
        self._rng = rng
        self.said: dict[str, str] = {}
        """By message: what the answer that counts said, `cancelled`, `unplanned`, `too_late` or `unknown`."""
        self.again: set[str] = set()
        """Messages of which the first answer was lost."""

    async def race(self, number: int) -> None:
        id_ = await self.post(f"race-{number}", sms(number, on_doubt="hold"))
        assert id_ is not None
        pause_s = self._rng.choice((0.0, 0.0, self._rng.uniform(0, 0.02), self._rng.uniform(0, 0.3)))
        await asyncio.sleep(pause_s)
        message = ids.message_id(id_, 0)
        of = f"notifications/{id_}" if self._rng.random() < 0.5 else f"messages/{message}"
        self.said[message] = await self._cancel(message, of)

    async def _cancel(self, message: str, of: str) -> str:
        head = f"POST /v1/{of}/cancel HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n"
        request = f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
        while True:
            status, answer = await self._exchange(request)
            if status == 200:
                return counted(answer)
            if status == 404:
                return "unknown"  # a message's own id is known once it is planned
            if status not in {None, 503}:
                raise AssertionError(f"{status}: {answer}")
            self.again.add(message)
            await asyncio.sleep(0.05)


def counted(answer: dict[str, int]) -> str:
    assert sum(answer.values()) == 1, answer
    return next(name for name, count in answer.items() if count)


async def cancel_race(folder: Path, *, count: int, kills: int, seed: int) -> Verdict:
    """Races `count` messages, with that many deaths in between. `wrong` lists every lie that was told."""
    rng = random.Random(seed)
    oracle = Oracle(folder, latency_ms=LATENCY_MS)
    house = House(folder, twilio(oracle, concurrency=CONCURRENCY))
    racer = _Racer(house, folder / "ledger", rng)
    verdict = Verdict(f"{count} cancels, {kills} kills, seed {seed}")
    house.start()
    racing = asyncio.create_task(_race_all(racer, count))
    try:
        for kill in range(kills):
            while len(racer.said) < count * (kill + 1) / (kills + 1) and not racing.done():
                await asyncio.sleep(0.01)
            await _kill(house, verdict)
        await racing
        await asyncio.to_thread(settle, house)
        gone = {message for message, said in racer.said.items() if said in GONE}
        states = {row["id"]: row["state"] for row in await asyncio.to_thread(house.pages, "/v1/messages")}
        excused = [ids.notification_of(message) for message, state in states.items() if state == "cancelled"]
        judge(verdict, house, oracle, racer, held=racer.accepted.values(), excused=excused)
        verdict.wrong += lies(racer.said, racer.again, states, set(oracle.taken().by_message))
        verdict.reached = 0 < len(gone) < count
    finally:
        racing.cancel()
        house.kill()
        oracle.stop()
    return verdict


async def _race_all(racer: _Racer, count: int) -> None:
    numbers = iter(range(count))

    async def one() -> None:
        for number in numbers:
            await racer.race(number)

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))


async def _kill(house: House, verdict: Verdict) -> None:
    """Calls are too short to be counted at that moment: as many may be open as there are places."""
    house.kill()
    verdict.open_at_kill.append(CONCURRENCY)
    verdict.kills += 1
    verdict.recovery_s.append(await asyncio.to_thread(house.start))


def lies(told: Mapping[str, str], again: Collection[str], states: Mapping[str, str], asked: Collection[str]) -> list[str]:
    """What was told of a cancel and is not so. `told` and `states` by message, `again`: asked more than once; `asked`: sent."""
    lies = []
    for message, said in told.items():
        state = states.get(message, "missing")
        if said in GONE and (state != "cancelled" or message in asked):
            lies.append(f"{message} was said to be {said}, is {state}, and was {'' if message in asked else 'not '}sent")
        if said == "too_late" and state == "cancelled" and message not in again:
            lies.append(f"{message} was said to be too late to cancel, and is cancelled")
        if state == "cancelled" and message in asked:
            lies.append(f"{message} is cancelled and was sent")
    return lies
