"""bulletin: where one process has the providers to itself, what its breakers come to becomes events of the operator's.

A breaker is in memory, and closed in a process that begins: so that is told first, of those that were open when the process before
ended. Afterwards each change is written as it came; the store knows what was told, so that nothing is told twice. Where several
processes share the store, their accord does this (concord.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from sendwright.engine.account import Account
from sendwright.engine.ports import Clock, Stands
from sendwright.engine.telling import Tell, Trouble
from sendwright.errors import Unavailable
from sendwright.model.notices import About, Stand
from sendwright.policy.breaker import State

AGAIN_S = 1.0
"""Until it is tried again to write, where the store does not take it."""
BEGUN = "restarted"
"""Why a breaker is closed that nobody has closed."""


class _Change(NamedTuple):
    about: About
    stand: Stand
    at: int
    reason: str


class Bulletin:
    """Run `run` beside the work."""

    def __init__(self, stands: Stands, clock: Clock, tell: Tell) -> None:
        self._stands = stands
        self._clock = clock
        self._tell = tell
        self._changes: deque[_Change] = deque()
        self._news = asyncio.Event()

    def begin(self, accounts: Iterable[Account]) -> None:
        """A process begins with these, whose breakers are closed."""
        for account in accounts:
            self._note(account, BEGUN)

    def moved(self, account: Account) -> None:
        self._note(account, account.breaker.why)

    async def run(self) -> None:
        while True:
            self._news.clear()
            while self._changes:
                await self._write(self._changes[0])
                self._changes.popleft()
            await self._news.wait()

    def _note(self, account: Account, reason: str) -> None:
        breaker = account.breaker
        stand = Stand(breaker.state != State.CLOSED, breaker.misconfigured)
        self._changes.append(_Change(account.about, stand, self._clock.now_ms(), reason))
        self._news.set()

    async def _write(self, change: _Change) -> None:
        while True:
            try:
                await self._stands.stand(*change)
            except Unavailable as error:
                self._tell(Trouble("bulletin", str(error)))
                await self._clock.sleep(AGAIN_S)
            else:
                return
