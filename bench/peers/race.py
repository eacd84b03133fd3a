"""One run of one peer: its worker, its enqueuer, and what holds its jobs, over the same mock provider as ours.

`caller` is its enqueuer, `worker` its worker with all its processes, `store` the broker or database (of which other
users' work, if any, can't be told apart). The rate counts to the provider's last request: peers record no outcome.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port

from bench.measure import Child, Group, Meter, Talker, last_words, named, tree, until
from bench.peers.contenders import Peer
from bench.peers.install import HERE, installed
from bench.provider import MockProvider
from bench.servers import Servers

WARM = 50
ENQUEUED_S = 120
STALL_S = 30
AFTERWARDS_S = 0.3
"""For the last acknowledgements."""
AMQP = os.environ.get("BENCH_AMQP", "amqp://guest:guest@127.0.0.1:5672/%2F")
POSTGRES = os.environ.get("BENCH_POSTGRES", "postgresql://postgres@127.0.0.1:5432")
_PROCESS = {"rabbitmq": "beam.smp", "postgresql": "postgres"}


def end_to_end(peer: Peer, provider: MockProvider, count: int, delay_ms: int, there: Servers | None = None) -> dict[str, float]:
    """Enqueued to POSTed; where there are servers of the benchmark's own, over those. Raises whatever went wrong."""
    place = installed(peer)
    with tempfile.TemporaryDirectory(prefix=f"bench-{peer.name}-") as folder, _service(peer, Path(folder), there) as (redis, store):
        env = _environment(place, provider, redis, there)
        if peer.prepares:
            _once(peer, place, env, "prepare", Path(folder))
        try:
            return _raced(peer, place, env, Path(folder), provider, min(count, peer.counts[delay_ms > 0]), delay_ms, store)
        finally:
            if peer.cleans:
                with contextlib.suppress(RuntimeError):
                    _once(peer, place, env, "clean", Path(folder))


def _raced(
    peer: Peer,
    place: Path,
    env: Mapping[str, str],
    folder: Path,
    provider: MockProvider,
    count: int,
    delay_ms: int,
    store: Group,
) -> dict[str, float]:
    provider.reset(0)
    command = [part.format(bin=place / "bin", here=HERE) for part in peer.worker]
    with (
        Child(command, folder / "worker.out", env=env, cwd=folder) as worker,
        Talker(_app(peer, place, "enqueue"), folder / "enqueuer.out", env=env, cwd=folder) as enqueuer,
    ):
        enqueuer.ready()
        enqueuer.ask(WARM, ENQUEUED_S)
        _all_taken(provider, worker, WARM)
        time.sleep(1)
        provider.reset(delay_ms)
        meter = Meter({"caller": tree(enqueuer.process.pid), "worker": tree(worker.process.pid), "store": store}, weighed="worker")
        began = time.time()
        enqueued_s = enqueuer.ask(count, ENQUEUED_S)["seconds"]
        _all_taken(provider, worker, count)
        time.sleep(AFTERWARDS_S)
        spent = meter.stop()
        stats = provider.get("/stats")
    return {
        "count": count,
        "enqueue_rate": count / enqueued_s,
        "rate": count / (stats["last"] - began),
        **{f"{who}_cpu_ms": seconds / count * 1e3 for who, seconds in spent.items()},
        "cpu_ms": sum(spent.values()) / count * 1e3,
        "most_in_flight": stats["most_in_flight"],
        "requests": stats["n"],
        "peak_mb": meter.peak_mb,
    }


def _all_taken(provider: MockProvider, worker: Child, count: int) -> None:
    """Until the provider has them all; raises when nothing moves any more."""
    seen, moved = 0, time.monotonic()
    while (now := provider.get("/stats")["n"]) < count:
        worker.check()
        if now != seen:
            seen, moved = now, time.monotonic()
        if time.monotonic() - moved > STALL_S:
            raise TimeoutError(f"{seen} of {count} taken, then nothing for {STALL_S} s: {last_words(worker.log)}")
        time.sleep(0.1)


def _environment(place: Path, provider: MockProvider, redis: str, there: Servers | None) -> dict[str, str]:
    run = secrets.token_hex(4)
    return {
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NODE_PATH": str(place / "node_modules"),
        "BENCH_PROVIDER": f"{provider.url}/send",
        "BENCH_AMQP": AMQP if there is None else f"{there.amqp_url}/%2F",
        "BENCH_REDIS": redis,
        "BENCH_POSTGRES": POSTGRES if there is None else there.postgres_url,
        "BENCH_DATABASE": f"sendwright_bench_{run}",
        "BENCH_QUEUE": f"sendwright-bench-{run}",
    }


def _app(peer: Peer, place: Path, verb: str) -> list[str]:
    return ["node" if peer.node else str(place / "bin" / "python"), str(HERE / peer.app), verb]


def _once(peer: Peer, place: Path, env: Mapping[str, str], verb: str, folder: Path) -> None:
    done = subprocess.run(
        _app(peer, place, verb), env=os.environ | dict(env), cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{verb} failed: {(done.stderr.strip().splitlines() or ['?'])[-1][:200]}")


@contextmanager
def _service(peer: Peer, folder: Path, there: Servers | None) -> Iterator[tuple[str, Group]]:
    """Redis: one of its own. The others must be running, or be those that are given."""
    if peer.service != "redis":
        own = {} if there is None else {"rabbitmq": there.rabbitmq, "postgresql": there.postgres}
        yield "", own.get(peer.service, named(_PROCESS[peer.service]))
        return
    program = shutil.which("redis-server")
    if program is None:
        raise RuntimeError("redis-server is not installed")
    port = free_port()
    durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *durable]
    with Child(command, folder / "redis.out") as redis:
        until(lambda: _listens(port), 10, "Redis listens")
        yield f"redis://127.0.0.1:{port}/0", tree(redis.process.pid)


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
