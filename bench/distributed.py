"""The distributed set-up: ours over PostgreSQL and RabbitMQ beside the peers, and what a notification costs as things grow.

    python -m bench.run --only distributed            both, with the peers that PEERS names; or --only spread, --only curves
    python -m bench.run --only curves --most 1000000  up to a million queued and stored; else a hundred thousand

API, worker and scheduler are processes of their own; PostgreSQL and RabbitMQ are the benchmark's (servers.py), and so is every
peer's broker.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from bench import cluster, report, stock
from bench.cluster import Cluster
from bench.measure import Meter, Row
from bench.ours import CONCURRENCY
from bench.peers import race
from bench.peers.contenders import Peer
from bench.provider import MockProvider
from bench.servers import Servers

PEERS = ("bullmq", "taskiq", "dramatiq", "celery")
"""Who runs beside it; the others are measured by `end`."""
NOTIFICATIONS = 10_000
CURVE = 5_000
"""Notifications at each point of a curve."""
MOST = 100_000
WORKERS = (1, 2, 4)
QUEUED_LEAST = 1_000
STORED = (10, 1_000, 10_000, 100_000, 1_000_000)
MIXED_MS = 0

Measure = Callable[[str, str, int, int, Callable[[], dict[str, float]]], Row]
"""Table, contender, the provider's delay, run, what to do."""


def spread(
    there: Servers, provider: MockProvider, peers: Sequence[Peer], count: int, delay_ms: int, run: int, measure: Measure
) -> Iterator[Row]:
    """Ours and the peers, one after the other."""
    yield measure("spread", report.OURS, delay_ms, run, lambda: cluster.end_to_end(there, provider, count, delay_ms))
    for peer in peers:
        yield measure(
            "spread",
            peer.name,
            delay_ms,
            run,
            lambda peer=peer: race.end_to_end(peer, provider, count, delay_ms, there),  # type: ignore[misc]
        )


def curves(there: Servers, provider: MockProvider, most: int, run: int, measure: Measure) -> Iterator[Row]:
    """With more workers, with more queued, with more stored."""
    count = min(CURVE, most)
    for workers in WORKERS:
        name = f"{report.OURS}, {workers} workers" if workers > 1 else f"{report.OURS}, 1 worker"
        yield measure("workers", name, 0, run, lambda n=workers: cluster.end_to_end(there, provider, count, 0, n))  # type: ignore[misc]
    depth = QUEUED_LEAST
    while depth <= most:
        yield measure("queued", f"{report.OURS}, {depth:,} queued", 0, run, lambda n=depth: drained(there, provider, n))  # type: ignore[misc]
        depth *= 10
    for size in STORED:
        if size <= most:
            yield measure("stored", f"{report.OURS}, {size:,} stored", 0, run, lambda n=size: beside(there, provider, count, n))  # type: ignore[misc]


def beside(there: Servers, provider: MockProvider, count: int, size: int) -> dict[str, float]:
    """End to end in a database that has `size` messages already."""

    def filled(house: Cluster) -> None:
        stock.stored(house.store_url, size)

    return cluster.end_to_end(there, provider, count, 0, before=filled)


def drained(there: Servers, provider: MockProvider, depth: int) -> dict[str, float]:
    """The first `CURVE` of `depth` messages that wait for a provider which is switched on."""
    count = min(CURVE, depth)
    with cluster.cluster(there, cluster.twilio(provider, concurrency=CONCURRENCY)) as house:  # type: ignore[arg-type]
        stock.queued(house.store_url, depth)
        house.run("api")
        _switched(house, enabled=False)
        house.run("worker")
        house.run("scheduler")
        time.sleep(cluster.REST_S)
        provider.reset(0)
        meter = Meter(cluster.groups(there, house), "worker")
        began = time.time()
        _switched(house, enabled=True)
        stats = provider.wait_for(count, 600, every_s=0.05)
        seconds, spent = time.time() - began, meter.stop()
        taken = provider.get("/stats")["n"]
    return {
        "count": taken,
        "rate": stats["n"] / seconds,
        "requests": taken,
        "most_in_flight": stats["most_in_flight"],
        "peak_mb": meter.peak_mb,
        **cluster.figures(spent, taken),
    }


def _switched(house: Cluster, *, enabled: bool) -> None:
    status, answer = house.api("PATCH", "/v1/providers/twilio-main", {"enabled": enabled})
    if status != 200:
        raise RuntimeError(f"the provider could not be switched: {status} {answer}")
