"""Starts Sendwright with a few things bent that no setting reaches, for tests of what happens then.

  SENDWRIGHT_BENT='{"clock": "/tmp/offset", "patience_ms": 500}' python tests/acceptance/bent.py up --config …

clock         a file that holds seconds: the wall clock is off by that much, from the moment they are written
patience_ms   how long a doubt waits for a receipt before it is sent again
clumsy        recipients that begin so make Twilio's adapter build a request that can't be written
look_ms       how long after a call a provider is asked what became of it, when it reports nothing
slow_s        how long the head of a request, and its body, may take to come
again         every bundle has been taken twice before; parcels that hold this have ended whoever took them alone
late          [how addresses begin, "claim" or "settle"]: for those it comes a tenth of a second after the others'
broken_plan   the how-manieth bundle whose plan breaks with a bug of ours, once
block         [the how-manieth bundle, seconds]: before its plan, or the next while calls are in flight, nothing moves for so long
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace

from sendwright.app import serve
from sendwright.app.machine import SystemClock
from sendwright.cli import main
from sendwright.drivers.bus.sqlite import SqliteBus
from sendwright.drivers.egress.gate import Gate
from sendwright.drivers.store.sqlite.ledger import SqliteLedger
from sendwright.drivers.store.sqlite.quarantine import SqliteQuarantine
from sendwright.engine import crash, deliver, inquire
from sendwright.engine.account import Account
from sendwright.engine.plan import Planner
from sendwright.engine.settle import Settler
from sendwright.engine.sieve import TRIES
from sendwright.providers.twilio import Twilio
from sendwright.web.api import front
from sendwright.web.api.services import Services

LOOK_S = 0.05
LATE_S = 0.1


def bend_clock(path: str) -> None:
    read_at, offset_ms = -LOOK_S, 0
    true: Callable[[Any], int] = SystemClock.now_ms

    def now_ms(clock: SystemClock) -> int:
        nonlocal read_at, offset_ms
        if time.monotonic() - read_at >= LOOK_S:
            read_at = time.monotonic()
            text = Path(path).read_text() if Path(path).exists() else ""
            offset_ms = round(float(text or 0) * 1000)
        return true(clock) + offset_ms

    SystemClock.now_ms = now_ms  # type: ignore[method-assign]


def bend_patience(patience_ms: int) -> None:
    true = Account.patience.fget  # type: ignore[attr-defined]
    Account.patience = property(lambda self: replace(true(self), wait_ms=patience_ms))  # type: ignore[assignment, method-assign]


def bend_looks(look_ms: int) -> None:
    deliver.FIRST_MS = look_ms
    inquire.EVERY_S = 0.2


def bend_slowness(seconds: float) -> None:
    front.HEAD_S = seconds
    serve.Services = partial(Services, body_within_s=seconds)  # type: ignore[misc, assignment]


def make_clumsy(prefix: str) -> None:
    build = Twilio.build

    def clumsy(provider: Twilio, out: Any) -> Any:
        request = build(provider, out)
        headers = (*request.headers, ("X-Clumsy", "one\r\ntwo"))
        return replace(request, headers=headers) if out.address.startswith(prefix) else request

    Twilio.build = clumsy  # type: ignore[method-assign]


def break_plan(which: int) -> None:
    plan, left = Planner.plan, which

    async def broken(planner: Planner, delivery: Any, **more: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise RuntimeError("a bug of ours")
        await plan(planner, delivery, **more)

    Planner.plan = broken  # type: ignore[method-assign]


def poison_plans(phone: str) -> None:
    plan = SqliteLedger.plan

    def poisoned(ledger: SqliteLedger, plans: Any) -> Any:
        if any(step.address == phone for each in plans for birth in each.births for step in birth.steps):
            raise RuntimeError("a bug of ours")
        return plan(ledger, plans)

    SqliteLedger.plan = poisoned  # type: ignore[method-assign]


def take_again(deadly: str) -> None:
    take = SqliteBus.take

    async def again(bus: SqliteBus, lane: str) -> Any:
        return replace(await take(bus, lane), redelivered=True)

    async def tried(_: SqliteQuarantine, lane: str, body: bytes, by: str, now: int) -> int:
        return TRIES if deadly.encode() in body and not body.startswith(b"[") else 1

    SqliteBus.take = again  # type: ignore[method-assign]
    SqliteQuarantine.tried = tried  # type: ignore[assignment, method-assign]


def break_open(which: int) -> None:
    opened, left = Gate.open, which

    async def broken(gate: Gate, *args: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            raise RuntimeError("a bug of ours")
        return await opened(gate, *args)

    Gate.open = broken  # type: ignore[method-assign]


def make_late(whom: tuple[str, str]) -> None:
    prefix, what = whom
    story, name = {"claim": (deliver.Deliverer, "_claim"), "settle": (Settler, "settle")}[what]
    true = getattr(story, name)

    async def late(self: Any, of: Any, *args: Any, **more: Any) -> Any:
        """`of`: what is ready for its claim, or was claimed."""
        if of.parcel.address.startswith(prefix):
            await asyncio.sleep(LATE_S)
        return await true(self, of, *args, **more)

    setattr(story, name, late)


def block(when: tuple[int, float]) -> None:
    plan, opened, (left, seconds) = Planner.plan, Gate.open, when
    gates: set[Gate] = set()

    async def noted(gate: Gate, *args: Any) -> Any:
        gates.add(gate)
        return await opened(gate, *args)

    async def blocking(planner: Planner, delivery: Any, **more: Any) -> None:
        nonlocal left, seconds
        left -= 1
        if left <= 0 and any(usage.in_flight for gate in gates for usage in gate.stats().values()):
            time.sleep(seconds)
            seconds = 0
        await plan(planner, delivery, **more)

    Gate.open = noted  # type: ignore[method-assign]
    Planner.plan = blocking  # type: ignore[method-assign]


def pause(_: bool) -> None:
    crash.signal = SimpleNamespace(SIGKILL=signal.SIGSTOP)  # type: ignore[assignment]


BENDS: dict[str, Callable[[Any], None]] = {
    "clock": bend_clock,
    "patience_ms": bend_patience,
    "look_ms": bend_looks,
    "slow_s": bend_slowness,
    "clumsy": make_clumsy,
    "broken_plan": break_plan,
    "poison": poison_plans,
    "broken_open": break_open,
    "late": make_late,
    "again": take_again,
    "block": block,
    "pause": pause,
}

if __name__ == "__main__":
    for name, value in json.loads(os.environ["SENDWRIGHT_BENT"]).items():
        BENDS[name](value)
    sys.exit(main())
