"""Sendwright as processes of each role over servers of the benchmark's own: API, workers, scheduler.

The rate counts to the last outcome that the store has. CPU is that of every process: `api`, `worker`, `scheduler` are ours,
`database` and `broker` the servers', `caller` posts over HTTP and is nobody's.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from tests.acceptance.harness import House, Process, call, twilio, wait_until

from bench.measure import Child, Group, Meter, Talker, tree, until
from bench.ours import CONCURRENCY, WARM, all_accepted, caller
from bench.provider import MockProvider
from bench.servers import Servers, database, on_server

READY_S = 60.0
REST_S = 1.0
OURS = ("api", "worker", "scheduler")
PAID = (*OURS, "database", "broker")
"""Whose CPU a notification costs."""


class Cluster(House):
    """Processes of each role over one database and one prefix on the broker."""

    def __init__(self, folder: Path, providers: str, store_url: str, amqp_url: str) -> None:
        bus = f"{amqp_url}/?prefix=b-{secrets.token_hex(4)}."
        super().__init__(
            folder,
            providers,
            f'[store]\nurl = "{store_url}"\n[bus]\nurl = "{bus}"\n[secrets]\nkey = "{secrets.token_hex(32)}"',
        )
        self.store_url = store_url
        self.roles: dict[str, list[Process]] = {role: [] for role in OURS}

    def migrated(self) -> None:
        made = Child(self._command("migrate"), self.folder / "house.out")
        if made.process.wait(60):
            raise RuntimeError("migrate failed")

    def run(self, role: str, count: int = 1) -> None:
        """Starts more of them, and waits until they work."""
        self.roles[role] += [Process(self._command(role), self.folder / "house.out") for _ in range(count)]
        wanted = sum(len(started) for started in self.roles.values())
        wait_until(lambda: self._beating() >= wanted, READY_S, f"{role} works")
        if role == "api":
            wait_until(lambda: call("GET", f"{self.url}/readyz")[0] == 200, READY_S, "the API is ready")

    def end(self) -> None:
        for started in self.roles.values():
            for process in started:
                if process.child.poll() is None:
                    process.kill()

    def group(self, role: str) -> Group:
        def now() -> Iterator[psutil.Process]:
            for process in self.roles[role]:
                yield from tree(process.child.pid)()

        return now

    def sent(self, count: int) -> bool:
        return bool(self.ask("select count(*) from messages where state = 40") >= count)

    def last_outcome(self) -> float:
        """Unix seconds."""
        return float(self.ask("select max(updated_at) from messages where state = 40")) / 1000

    def ask(self, sql: str) -> Any:
        return on_server(self.store_url, sql)[0][0]

    def _beating(self) -> int:
        return int(self.ask("select count(*) from workers where beaten_at > now() - interval '10 s'"))

    def _command(self, role: str) -> list[str]:
        config = ["--config", str(self.config)]
        data = [] if role == "migrate" else ["--data", str(self.data)]
        return [sys.executable, "-m", "sendwright", role, *config, *data]


@contextmanager
def cluster(there: Servers, providers: str) -> Iterator[Cluster]:
    """A migrated database; processes are started by the caller and killed at the end."""
    with tempfile.TemporaryDirectory(prefix="sendwright-bench-") as folder, database(there) as url:
        house = Cluster(Path(folder), providers, url, there.amqp_url)
        try:
            house.migrated()
            yield house
        finally:
            house.end()


def end_to_end(
    there: Servers,
    provider: MockProvider,
    count: int,
    delay_ms: int,
    workers: int = 1,
    before: Callable[[Cluster], None] = lambda _: None,
) -> dict[str, float]:
    """HTTP to the recorded outcome. `before`: what is done to the migrated database first."""
    with cluster(there, twilio(provider, concurrency=CONCURRENCY // workers)) as house:  # type: ignore[arg-type]
        before(house)
        house.run("api")
        house.run("worker", workers)
        house.run("scheduler")
        with caller(house) as posting:
            posting.ready()
            provider.reset(0)
            posting.ask(WARM * workers, 60)
            provider.wait_for(WARM * workers, 60)
            time.sleep(REST_S)
            held = int(house.ask("select count(*) from messages where state = 40"))
            provider.reset(delay_ms)
            meter = Meter(groups(there, house, posting), "worker")
            began = time.time()
            all_accepted(posting.ask(count, 600))
            stats = provider.wait_for(count, 600, every_s=0.2)
            until(lambda: not house.ask("select exists (select from attempts where state = 0)"), 60, "no call is open")
            spent = meter.stop()
        until(lambda: house.sent(held + count), 30, "every outcome is recorded")
        return {
            "count": count,
            "rate": count / (house.last_outcome() - began),
            "most_in_flight": stats["most_in_flight"],
            "requests": stats["n"],
            "peak_mb": meter.peak_mb,
            **figures(spent, count),
        }


def figures(spent: dict[str, float], count: int) -> dict[str, float]:
    """CPU in ms for each of `count`."""
    each = {f"{who}_cpu_ms": seconds / count * 1e3 for who, seconds in spent.items()}
    return {
        **each,
        "store_cpu_ms": each["database_cpu_ms"] + each["broker_cpu_ms"],
        "cpu_ms": sum(each[f"{who}_cpu_ms"] for who in PAID),
        "all_cpu_ms": sum(each.values()),
    }


def groups(there: Servers, house: Cluster, posting: Talker | None = None) -> dict[str, Group]:
    """Whose CPU is counted."""
    roles = {role: house.group(role) for role in OURS}
    callers = {} if posting is None else {"caller": tree(posting.process.pid)}
    return {**callers, **roles, "database": there.postgres, "broker": there.rabbitmq}
