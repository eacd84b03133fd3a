"""Sendwright's own rows: the door alone, and from the door to the recorded outcome.

`server` is the process of `sendwright up`, with the store in it; `caller` is the posting client. For the whole way the
rate counts to the last outcome that the store has, read from its file after the run, not to the provider's last request.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from tests.acceptance.harness import ADMIN_KEY, House, Process, twilio

from bench.measure import MB, Meter, Talker, tree, until
from bench.provider import ROOT, MockProvider
from sendwright.drivers.store.sqlite.writer import connect

CONNECTIONS = 64
CONCURRENCY = 287
"""Calls in flight that the provider allows: `normal` may have 200 of them, as many as every peer; the others are kept for what is
urgent."""
WARM = 200
_ACCEPTED = re.compile(rb'^sendwright_attempts_total\{[^}]*outcome="accepted"[^}]*\} ([0-9.e+]+)$', re.MULTILINE)
_DEPTH = re.compile(rb"^sendwright_lane_depth\{[^}]*\} ([0-9.e+]+)$", re.MULTILINE)


class Door(House):
    """Sendwright that accepts and does no more."""

    def start(self, env: dict[str, str] | None = None, *, ready: bool = True) -> float:
        began = time.monotonic()
        command = [sys.executable, "-m", "bench.serve", "--config", str(self.config), "--data", str(self.folder / "data")]
        self.process = Process(command, self.folder / "house.out", env, cwd=ROOT)
        if ready:
            self.wait_ready()
        return time.monotonic() - began


@contextmanager
def running(kind: type[House], providers: str) -> Iterator[House]:
    """One in a fresh folder, killed at the end."""
    with tempfile.TemporaryDirectory(prefix="sendwright-bench-") as folder:
        house = kind(Path(folder), providers)
        try:
            house.start()
            yield house
        finally:
            ended(house)


def ended(house: House) -> None:
    """Kills it if it still runs."""
    if house.process is not None and house.process.child.poll() is None:
        house.kill()


def pid_of(house: House) -> int:
    assert house.process is not None
    return house.process.child.pid


def caller(house: House, priority: str = "normal", connections: int = CONNECTIONS) -> Talker:
    command = [sys.executable, "-m", "bench.caller", house.url, ADMIN_KEY, str(connections), priority]
    return Talker(command, house.folder / "caller.out", cwd=ROOT)


def accept(provider: MockProvider, count: int) -> dict[str, float]:
    """HTTP to durable."""
    provider.reset(0)
    with running(Door, twilio(provider)) as house, caller(house) as posting:  # type: ignore[arg-type]
        posting.ready()
        posting.ask(WARM, 60)
        meter = Meter({"server": tree(pid_of(house)), "caller": tree(posting.process.pid)}, "server")
        answer = posting.ask(count, 600)
        spent = meter.stop()
        all_accepted(answer)
        if provider.get("/stats")["n"]:
            raise RuntimeError("it delivered, which is not the door alone")
        return {
            "cpu_us": spent["server"] / count * 1e6,
            "caller_cpu_us": spent["caller"] / count * 1e6,
            "rate": answer["rate"],
            "p50_ms": answer["p50_ms"],
            "p99_ms": answer["p99_ms"],
            "rss_mb": psutil.Process(pid_of(house)).memory_info().rss / MB,
        }


def end_to_end(provider: MockProvider, count: int, delay_ms: int) -> dict[str, float]:
    """HTTP to the recorded outcome."""
    settings = twilio(provider, concurrency=CONCURRENCY)  # type: ignore[arg-type]
    with running(House, settings) as house, caller(house) as posting:
        posting.ready()
        provider.reset(0)
        posting.ask(WARM, 60)
        until(lambda: outcomes(house) >= WARM, 30, "warm")
        provider.reset(delay_ms)
        meter = Meter({"server": tree(pid_of(house)), "caller": tree(posting.process.pid)}, "server")
        began = time.time()
        all_accepted(posting.ask(count, 600))
        stats = provider.wait_for(count, 600, every_s=0.2)
        until(lambda: outcomes(house) >= WARM + count, 60, "every outcome is recorded")
        spent = meter.stop()
        rss = psutil.Process(pid_of(house)).memory_info().rss / MB
        house.stop()
        last = _last_outcome(house, WARM + count)
        return {
            "count": count,
            "rate": count / (last - began),
            "caller_cpu_ms": spent["caller"] / count * 1e3,
            "worker_cpu_ms": spent["server"] / count * 1e3,
            "store_cpu_ms": 0.0,
            "cpu_ms": (spent["caller"] + spent["server"]) / count * 1e3,
            "most_in_flight": stats["most_in_flight"],
            "requests": stats["n"],
            "rss_mb": rss,
            "peak_mb": meter.peak_mb,
        }


def metrics(house: House) -> bytes:
    request = urllib.request.Request(f"{house.url}/metrics", headers={"Authorization": f"Bearer {ADMIN_KEY}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: bytes = answer.read()
        return found


def outcomes(house: House) -> int:
    """Calls that were accepted, as the server counts them."""
    return int(sum(float(value) for value in _ACCEPTED.findall(metrics(house))))


def in_lanes(house: House) -> int:
    """Parcels that nobody has taken."""
    return int(sum(float(value) for value in _DEPTH.findall(metrics(house))))


def all_accepted(answer: dict[str, float]) -> None:
    """Raises unless every post was answered 202."""
    if answer["refused"]:
        raise RuntimeError(f"{answer['refused']:.0f} of {answer['count']:.0f} posts were not answered 202")


def _last_outcome(house: House, count: int) -> float:
    """Unix seconds of the last outcome in the store, which must have all of them."""
    db = connect(house.folder / "data" / "sendwright.db", readonly=True)
    try:
        sent, last = next(iter(db.execute("select count(*), max(updated_at) from messages where state = 40")))
    finally:
        db.close()
    if sent != count:
        raise RuntimeError(f"{sent} of {count} messages are recorded as sent")
    return float(last) / 1000
