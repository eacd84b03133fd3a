"""Sendwright as several processes over PostgreSQL and RabbitMQ: APIs, workers, schedulers, each of which may be killed.

The servers are those of `POSTGRES_URL` and `RABBITMQ_URL`, or the standard ports of this machine; database and prefix are
this run's own, and go with it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiormq
import asyncpg

from sendwright.app.engines import lanes_of
from sendwright.drivers.bus.rabbitmq.topology import DEAD, INGRESS, Names
from sendwright.drivers.store.postgres.migrate import migrate
from tests.acceptance.harness import ADMIN_KEY, House, Process, call, free_port, wait_until
from tests.conformance.postgres_server import SERVER
from tests.conformance.rabbit import URL

Way = Callable[[str], str]
"""From an address to one by which it is reached."""
READY_S = 120.0
ASKED_S = 15.0


class Several(House):
    """As `House` for whoever calls it; `url` is that of the first API. `bus`: the address of the broker; its prefix is added.
    `direct`: the database's address for the tests' own questions, where the processes go another way."""

    def __init__(
        self,
        folder: Path,
        providers: str,
        extra: str = "",
        *,
        database: str,
        prefix: str,
        bus: str = URL,
        direct: str | None = None,
    ) -> None:
        engines = f'[store]\nurl = "{database}"\n[bus]\nurl = "{bus}?prefix={prefix}"\n[secrets]\nkey = "{secrets.token_hex(32)}"\n'
        super().__init__(folder, providers, f"{engines}{extra}")
        self.apis: list[Process] = []
        self.workers: list[Process] = []
        self.schedulers: list[Process] = []
        self.urls: list[str] = []
        self.names = Names(prefix)
        self._bus = bus
        self._direct = direct or database

    def start(self, env: dict[str, str] | None = None, *, ready: bool = True, stderr: int | None = None) -> float:
        raise NotImplementedError("each role is started by itself")

    def start_all(self, apis: int = 1, workers: int = 2, schedulers: int = 1) -> None:
        for _ in range(apis):
            self.start_api()
        for _ in range(workers):
            self.start_worker()
        for _ in range(schedulers):
            self.start_scheduler()
        for url in self.urls:
            wait_until(lambda url=url: call("GET", url + "/readyz")[0] == 200, READY_S, f"{url} is ready")

    def start_api(self, port: int | None = None) -> Process:
        port = port or (free_port() if self.apis else self.port)
        url = f"http://127.0.0.1:{port}"
        if url not in self.urls:
            self.urls.append(url)
        process = self._started("api", "--listen", f"127.0.0.1:{port}")
        self.apis.append(process)
        return process

    def start_api_again(self, index: int) -> Process:
        """In the place of one that has ended, on its port."""
        port = urlsplit(self.urls[index]).port
        self.apis[index] = self._started("api", "--listen", f"127.0.0.1:{port}")
        return self.apis[index]

    def start_worker(self, *args: str) -> Process:
        self.workers.append(self._started("worker", *args))
        return self.workers[-1]

    def start_scheduler(self) -> Process:
        self.schedulers.append(self._started("scheduler"))
        return self.schedulers[-1]

    def _started(self, role: str, *args: str) -> Process:
        command = [sys.executable, "-m", "sendwright", role, "--config", str(self.config), "--data", str(self.data), *args]
        return Process(command, self.folder / "house.out")

    @property
    def processes(self) -> list[Process]:
        return [*self.apis, *self.workers, *self.schedulers]

    def publish(self, body: bytes, message_id: str | None = None) -> None:
        """As a producer on the bus does."""
        asyncio.run(_published(self._bus, self.names.public, body, message_id))

    def purge(self, lane: str) -> int:
        """As an operator on the broker does; how many bundles that were."""
        return asyncio.run(_purged(self._bus, self.names.queue(lane)))

    def ask(self, sql: str, *args: object) -> list[Any]:
        """Rows from the store. Raises `OSError` or what the driver raises while it is away."""
        return asyncio.run(self.asked(sql, *args))

    async def asked(self, sql: str, *args: object) -> list[Any]:
        db = await asyncpg.connect(self._direct, timeout=ASKED_S, command_timeout=READY_S)
        try:
            return list(await db.fetch(sql, *args))
        finally:
            await db.close(timeout=ASKED_S)

    def end(self) -> None:
        for process in self.processes:
            process.kill()

    def stop_all(self) -> list[int]:
        """Drains everything; the exit codes."""
        return [process.stop() for process in self.processes]

    def api_at(self, index: int, method: str, path: str, body: object | None = None, **headers: str) -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(method, self.urls[index] + path, body, {"Authorization": f"Bearer {ADMIN_KEY}", **named})


@contextmanager
def several(folder: Path, providers: str, extra: str = "", *, store: Way = str, bus: Way = str) -> Iterator[Several]:
    """A migrated database and a prefix of their own; processes are started by the test and killed at the end. `store`, `bus`: the
    way by which they reach the servers, such as a faulty line's."""
    name = f"sendwright_run_{os.getpid()}_{secrets.token_hex(4)}"
    database, prefix = urlunsplit(urlsplit(SERVER)._replace(path=f"/{name}")), f"r-{secrets.token_hex(6)}."
    asyncio.run(_on_server(f"create database {name}"))
    house = Several(folder, providers, extra, database=store(database), prefix=prefix, bus=bus(URL), direct=database)
    try:
        asyncio.run(migrate(database))
        yield house
    finally:
        house.end()
        asyncio.run(_cleaned(prefix))
        asyncio.run(_on_server(f"drop database {name} with (force)"))


async def _on_server(statement: str) -> None:
    db = await asyncpg.connect(SERVER)
    try:
        await db.execute(statement)
    finally:
        await db.close()


async def _purged(bus: str, queue: str) -> int:
    connection = await aiormq.connect(bus)
    try:
        channel = await connection.channel()
        return int((await channel.queue_purge(queue)).message_count or 0)
    finally:
        await connection.close()


async def _published(bus: str, exchange: str, body: bytes, message_id: str | None) -> None:
    connection = await aiormq.connect(bus)
    try:
        channel = await connection.channel()
        properties = aiormq.spec.Basic.Properties(message_id=message_id, delivery_mode=2)
        await channel.basic_publish(body, exchange=exchange, routing_key=INGRESS, properties=properties, mandatory=True)
    finally:
        await connection.close()


async def _cleaned(prefix: str) -> None:
    names = Names(prefix)
    connection = await aiormq.connect(URL)
    try:
        channel = await connection.channel()
        for lane in [*lanes_of(["sms", "email"]), DEAD, INGRESS]:
            await channel.queue_delete(names.queue(lane))
        for exchange in (names.lanes, names.public, names.dead):
            await channel.exchange_delete(exchange)
    finally:
        await connection.close()
