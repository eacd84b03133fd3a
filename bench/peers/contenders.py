"""The peers: what each is installed from, runs on, and is started with, and how many notifications it is given.

A slow one is given fewer, so that a row takes it some seconds; CPU per notification hardly depends on the number.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """`{bin}` is its environment's folder of programs, `{here}` this folder."""

    name: str
    title: str
    service: str
    """What holds its jobs: `rabbitmq`, `redis` (started for it, fsync at every write) or `postgresql`."""
    worker: tuple[str, ...]
    app: str
    counts: tuple[int, int]
    """Most notifications with a provider of 0 ms, and with a slow one."""
    node: bool = False
    prepares: bool = False
    """Has something to be made before its worker starts, by the argument `prepare`."""

    @property
    def cleans(self) -> bool:
        """Leaves something in a server that was running before, which the argument `clean` takes away."""
        return self.service != "redis"


_ALONE = ("--without-gossip", "--without-mingle", "--without-heartbeat")

PEERS = (
    Peer(
        "bullmq",
        "BullMQ 6.7, Redis, undici",
        "redis",
        ("node", "{here}/bullmq_worker.cjs"),
        "bullmq_enqueue.cjs",
        (20_000, 10_000),
        node=True,
    ),
    Peer(
        "taskiq",
        "Taskiq 0.13, Redis streams, aiohttp",
        "redis",
        ("{bin}/taskiq", "worker", "taskiq_app:broker", "-w", "1", "--max-async-tasks", "200", "--log-level", "ERROR"),
        "taskiq_app.py",
        (4_000, 4_000),
    ),
    Peer("saq", "SAQ 0.26, Redis, aiohttp", "redis", ("{bin}/saq", "saq_app.settings"), "saq_app.py", (2_000, 2_000)),
    Peer(
        "dramatiq",
        "Dramatiq 2.2, RabbitMQ, 2×8 threads",
        "rabbitmq",
        ("{bin}/dramatiq", "dramatiq_app", "-p", "2", "-t", "8", "--skip-logging"),
        "dramatiq_app.py",
        (2_000, 1_500),
    ),
    Peer(
        "celery",
        "Celery 5.7, RabbitMQ, acks_late, prefork 2",
        "rabbitmq",
        ("{bin}/celery", "-A", "celery_app", "worker", "-P", "prefork", "-c", "2", "-l", "ERROR", *_ALONE),
        "celery_app.py",
        (1_200, 250),
    ),
    Peer(
        "procrastinate",
        "Procrastinate 3.10, PostgreSQL, aiohttp",
        "postgresql",
        ("{bin}/procrastinate", "-a", "procrastinate_app.app", "worker", "-c", "200", "--delete-jobs", "always", "-p", "1"),
        "procrastinate_app.py",
        (1_000, 1_000),
        prepares=True,
    ),
)
BY_NAME = {peer.name: peer for peer in PEERS}
