"""A provider is down and its messages are parked: who else posts and sends does not feel it, the store is not asked about them, and
when it is back they go at its rate.

Statements are counted by the database itself (`pg_stat_database`: committed transactions), over the same time with nothing
parked and with everything parked, while nobody posts. Were a parked message looked at once a second, there would be as many as
messages times seconds.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.acceptance.harness import Oracle, sms, twilio, wait_until
from tests.acceptance.several import Several

from bench.doors import Doors
from bench.own_engines import Engines, fleet
from bench.several_verdict import Account, account, settle_all

DOWN: list[dict[str, Any]] = [{"do": "status", "status": 503, "match": {"to_prefix": "+1415"}}]
AT_ONCE = 32
SAMPLE_EVERY_S = 0.05
PARK_S = 120.0
MOTIONS_S = 3.0
"""The server reports its counts this late at the most."""
COMMITS = "select xact_commit from pg_stat_database where datname = current_database()"
PARKED = "select count(*) from waits"


@dataclass
class Feel:
    """What a caller of the other channel feels: time to the 202, and to the provider, in ms."""

    accept: list[float]
    sent: list[float]

    def told(self) -> str:
        return (
            f"202 p50 {_at(self.accept, 0.5):.0f} ms, p99 {_at(self.accept, 0.99):.0f} ms;"
            f" at the provider p50 {_at(self.sent, 0.5):.0f} ms, p99 {_at(self.sent, 0.99):.0f} ms"
        )


def _at(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def provider_down(engines: Engines, folder: Path, *, count: int, rate: int, samples: int, idle_s: float) -> Account:
    """`count` are parked, of a provider that may be given `rate` a second; `samples` one-time passwords go meanwhile."""
    oracle = Oracle(folder)
    box = f'[providers.box]\nkind = "sandbox"\nurl = "{oracle.url}"\nchannels = ["email"]\n'
    provider = twilio(oracle, receipts=False, extra=f'rate = "{rate}/s"')
    try:
        async with fleet(engines, folder, f"{provider}{box}") as house:
            await asyncio.to_thread(house.start_all, apis=1, workers=1, schedulers=2)
            doors, made = Doors(house.urls), Account(f"a provider is down with {count} messages parked")
            await _felt(doors, oracle, 10, -1_000_000)  # what is slow only at first is no baseline
            before, idle = await _felt(doors, oracle, samples, -1), await _commits(house, idle_s)
            oracle.faults(DOWN)
            await _post(doors, count)
            await asyncio.to_thread(wait_until, lambda: house.ask(PARKED)[0][0] >= count, PARK_S + count / 50, "all are parked")
            parked = await _commits(house, idle_s)
            while_parked = await _felt(doors, oracle, samples, -1 - samples)
            sent_before = len(_sent(oracle))
            oracle.faults([])
            began = time.monotonic()
            await asyncio.to_thread(settle_all, house, doors, 3 * count / rate + 120)
            took_s, ideal_s = time.monotonic() - began, count / rate
            others = {key: doors.accepted.pop(key) for key in list(doors.accepted) if key.startswith("otp")}
            made = await asyncio.to_thread(_joined, made.name, house, oracle, doors, others)
            made.notes += [f"with nothing parked: {before.told()}", f"with all parked:     {while_parked.told()}"]
            made.notes.append(f"transactions in {idle_s:.0f} s without posts: {idle} with nothing parked, {parked} with all")
            made.notes.append(f"drained in {took_s:.1f} s; backlog over limit is {ideal_s:.1f} s")
            if parked - idle > max(idle, 0.1 * count):
                made.faults.append(f"the store is asked about what is parked: {parked} transactions, {idle} before")
            if took_s > 2 * ideal_s + 35:  # a probe may be up to 30 s away
                made.faults.append(f"drained in {took_s:.1f} s")
            made.faults += _too_fast(_sent(oracle)[sent_before:], rate)
            return made
    finally:
        oracle.stop()


async def _post(doors: Doors, count: int) -> None:
    numbers = iter(range(count))

    async def one() -> None:
        for number in numbers:
            await doors.post(number, sms(number), key=f"key-{number}")

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))


async def _felt(doors: Doors, oracle: Oracle, samples: int, first: int) -> Feel:
    """One-time passwords, one after the other, by the other provider."""
    began: dict[str, float] = {}
    accept: list[float] = []
    for number in range(first, first - samples, -1):
        body = f"code {-number}"
        notification = {"to": {"email": f"u{-number}@example.com"}, "content": {"body": body}, "priority": "critical"}
        began[body], at = time.time(), time.monotonic()
        await doors.post(-number, notification, key=f"otp-{-number}")
        accept.append((time.monotonic() - at) * 1000)
        await asyncio.sleep(SAMPLE_EVERY_S)
    await asyncio.to_thread(wait_until, lambda: began.keys() <= _codes(oracle).keys(), 60, "every code is sent")
    codes = _codes(oracle)
    return Feel(accept, [(codes[body] - at) * 1000 for body, at in began.items()])


def _codes(oracle: Oracle) -> dict[str, float]:
    return {row["body"]: datetime.fromisoformat(row["at"]).timestamp() for row in _rows(oracle) if row["body"].startswith("code ")}


def _rows(oracle: Oracle) -> list[dict[str, Any]]:
    if not oracle.log.exists():
        return []
    return [row for line in oracle.log.read_bytes().splitlines() if (row := json.loads(line)).get("body")]


def _sent(oracle: Oracle) -> list[float]:
    """When each message that the limited provider took was taken."""
    return [datetime.fromisoformat(row["at"]).timestamp() for row in _rows(oracle) if row["taken"] and row["kind"] == "twilio"]


async def _commits(house: Several, seconds: float) -> int:
    await asyncio.sleep(MOTIONS_S)
    first = (await house.asked(COMMITS))[0][0]
    await asyncio.sleep(seconds)
    return int((await house.asked(COMMITS))[0][0] - first)


def _joined(name: str, house: Several, oracle: Oracle, doors: Doors, others: dict[str, str]) -> Account:
    """The passwords were counted where they were felt; the account is of the parked."""
    lines = [line for line in oracle.log.read_bytes().splitlines() if not json.loads(line).get("body", "").startswith("code ")]
    oracle.log.write_bytes(b"\n".join(lines))
    made = account(name, house, oracle, doors)
    made.notes.append(f"{len(others)} one-time passwords went meanwhile")
    return made


def _too_fast(times: list[float], rate: int) -> list[str]:
    """Any second in which the provider was called more often than its rate, and what a line may bunch up, allow."""
    ordered, first = sorted(times), 0
    most = 0
    for last, at in enumerate(ordered):
        while at - ordered[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return [f"{most} calls in one second, {rate} are allowed"] if most > rate * 1.2 + 5 else []
