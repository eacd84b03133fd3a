"""Who dies, how often, and for how long it is away: one kill in ten hits the database, one in ten the broker where that is ours to
kill, the others a process of ours. Whoever was killed is started again at once, as a supervisor would.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.acceptance.harness import Process, call, wait_until
from tests.acceptance.several import Several

from bench.own_engines import Engines

OURS = ("api", "worker", "worker", "scheduler")
"""Workers twice: only their deaths leave attempts open."""
SERVER_SHARE = 0.1
READY_S = 180.0
LOOK_S = 0.5


@dataclass
class Death:
    """Times are monotonic; `wall_ms` is ms since 1970. `open`: attempts that were unsettled when it died."""

    what: str
    open: int
    in_flight: int
    """Of those, how many calls the provider had in hand."""
    at: float
    wall_ms: int
    back: float = 0.0
    back_ms: int = 0


@dataclass
class Victims:
    engines: Engines
    house: Several
    rng: random.Random
    deaths: list[Death] = field(default_factory=list)
    revived: int = 0
    """Processes that ended by themselves, since an engine was away when they started, and were started again."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def supervise(self) -> None:
        """Starts again whoever has ended, as long as it runs."""
        while True:
            await asyncio.sleep(LOOK_S)
            await asyncio.to_thread(self._revive)

    def _revive(self) -> None:
        with self._lock:
            for index, api in enumerate(self.house.apis):
                if api.child.poll() is not None:
                    self.house.start_api_again(index)
                    self.revived += 1
            for of, start in ((self.house.workers, self.house.start_worker), (self.house.schedulers, self.house.start_scheduler)):
                for process in [each for each in of if each.child.poll() is not None]:
                    of.remove(process)
                    start()
                    self.revived += 1

    def order(self, kills: int) -> list[str]:
        """What dies in this campaign, shuffled; the shares hold exactly."""
        servers = [server for server in self.engines.mortal for _ in range(round(kills * SERVER_SHARE))]
        order = [*(OURS[number % len(OURS)] for number in range(kills - len(servers))), *servers]
        self.rng.shuffle(order)
        return order

    async def kill(self, what: str, in_flight: int) -> Death:
        """Kills it, starts it again, and waits until it is back; for a worker and a scheduler, which say nothing, until it runs."""
        death = Death(what, await self._open(in_flight), in_flight, 0.0, 0)
        death.at, death.wall_ms = time.monotonic(), int(time.time() * 1000)
        ways: dict[str, Callable[[], object]] = {
            "api": self._api,
            "worker": lambda: self._again(self.house.workers, self.house.start_worker),
            "scheduler": lambda: self._again(self.house.schedulers, self.house.start_scheduler),
            **self.engines.mortal,
        }
        await asyncio.to_thread(ways[what])
        death.back, death.back_ms = time.monotonic(), int(time.time() * 1000)
        self.deaths.append(death)
        return death

    async def _open(self, in_flight: int) -> int:
        """By the store; by the provider where the store is away."""
        try:
            rows = await self.house.asked("select count(*) from attempts where state = 0")
        except Exception:
            return in_flight
        return max(in_flight, int(rows[0][0]))

    def _again(self, of: list[Process], start: Callable[[], Process]) -> None:
        with self._lock:
            of.pop(self.rng.randrange(len(of))).kill()
            start()

    def _api(self) -> None:
        victim = self.rng.randrange(len(self.house.apis))
        url = self.house.urls[victim]
        with self._lock:
            self.house.apis[victim].kill()
            self.house.start_api_again(victim)
        wait_until(lambda: call("GET", url + "/readyz")[0] == 200, READY_S, f"{url} is ready again")
