"""A PostgreSQL and a RabbitMQ of the benchmark's own, so that what they spend is theirs and ours alone, and is counted exactly.

Both run as their packages set them up, durably: `fsync` and `synchronous_commit` are on, queues are quorum queues on disk.
PostgreSQL has room for its journal between two checkpoints, as any server that writes much is given (`PARAMETERS`).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from tests.acceptance.harness import free_port
from tests.conformance.rabbit_broker import Broker, server_scripts

from bench.measure import Child, Group, last_words, tree, until

PARAMETERS = {"listen_addresses": "127.0.0.1", "shared_buffers": "256MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}
NOBODY = "postgres"
"""Who PostgreSQL runs as: it refuses to be root."""
STARTED_S = 60


@dataclass(frozen=True)
class Servers:
    """Where they are, and their processes."""

    postgres_url: str
    amqp_url: str
    """The virtual host of the root, without its slash."""
    postgres: Group
    rabbitmq: Group

    def database(self, name: str) -> str:
        return f"{self.postgres_url}/{name}"


@contextmanager
def servers() -> Iterator[Servers]:
    """Both, in a temporary folder. Raises `RuntimeError` where one is not installed or does not start."""
    with tempfile.TemporaryDirectory(prefix="bench-servers-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        place.chmod(0o755)
        with _postgres(place) as (url, database), _rabbitmq(place) as (amqp, broker):
            yield Servers(url, amqp, database, broker)


@contextmanager
def _postgres(place: Path) -> Iterator[tuple[str, Group]]:
    programs = next((path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)
    found = programs / "initdb" if programs else shutil.which("initdb")
    if not found:
        raise RuntimeError("PostgreSQL's server is not installed")
    data = place / "postgres"
    data.mkdir()
    leave: list[str | Path] = []
    if os.geteuid() == 0:
        shutil.chown(data, NOBODY)
        leave = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    made = Child([*leave, found, "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"], place / "initdb.out", cwd=data)
    if made.process.wait(STARTED_S):
        raise RuntimeError(f"initdb failed: {last_words(made.log)}")
    port = free_port()
    words = [word for name, value in PARAMETERS.items() for word in ("-c", f"{name}={value}")]
    command = [*leave, Path(found).with_name("postgres"), "-D", data, "-p", str(port), "-k", data, *words]
    with Child(command, place / "postgres.out", cwd=data) as server:
        url = f"postgresql://postgres@127.0.0.1:{port}"
        until(lambda: _answers(server, f"{url}/postgres"), STARTED_S, "PostgreSQL answers")
        try:
            yield url, tree(server.process.pid)
        finally:
            server.process.send_signal(signal.SIGINT)  # who is still connected is put off


def _answers(server: Child, url: str) -> bool:
    server.check()
    try:
        on_server(url, "select 1")
    except (OSError, asyncpg.PostgresError):
        return False
    return True


class _Node(Broker):
    """As it is set up by itself: with as many schedulers as there are cores."""

    def __init__(self, scripts: Path, folder: Path) -> None:
        super().__init__(scripts, folder)
        self._env["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] = f"-setcookie {self._cookie}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid


@contextmanager
def _rabbitmq(place: Path) -> Iterator[tuple[str, Group]]:
    scripts = server_scripts()
    if scripts is None:
        raise RuntimeError("RabbitMQ's server is not installed")
    folder = place / "rabbitmq"
    folder.mkdir()
    node = _Node(scripts, folder)
    node.start()
    try:
        yield node.url.rstrip("/"), tree(node.pid)
    finally:
        node.kill()


@contextmanager
def database(there: Servers) -> Iterator[str]:
    """The URL of an empty database, which is dropped in the end."""
    name = f"bench_{secrets.token_hex(4)}"
    on_server(there.database("postgres"), f"create database {name}")
    try:
        yield there.database(name)
    finally:
        on_server(there.database("postgres"), f"drop database {name} with (force)")


def on_server(url: str, *statements: str) -> list[asyncpg.Record]:
    """Runs statements one after the other; the rows of the last one."""

    async def run() -> list[asyncpg.Record]:
        db = await asyncpg.connect(url, timeout=10, command_timeout=1800)
        try:
            rows: list[asyncpg.Record] = []
            for statement in statements:
                rows = await db.fetch(statement)
            return rows
        finally:
            await db.close()

    return asyncio.run(run())
