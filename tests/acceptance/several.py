"""Sendwright as several processes over PostgreSQL and a broker: APIs, workers, schedulers, each of which may be killed.

The broker is RabbitMQ unless told otherwise. The servers are those of `POSTGRES_URL` and `RABBITMQ_URL`, or the standard ports
of this machine; database and prefix are this run's own, and go with it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import aiormq
import asyncpg

from sendwright.app.engines import lanes_of
from sendwright.drivers.bus.rabbitmq.topology import DEAD, INGRESS, Names
from sendwright.drivers.store.postgres.migrate import migrate
from sendwright.model.parcel import bundle, split
from tests.acceptance.harness import ADMIN_KEY, Caller, House, Process, call, sms, wait_until
from tests.conformance.postgres_server import SERVER
from tests.conformance.rabbit import URL
from tests.ports import free_port

Way = Callable[[str], str]
"""From an address to one by which it is reached."""
READY_S = 120.0
ASKED_S = 15.0
DONE = {"delivered", "sent"}


class Broker(Protocol):
    """What the processes share for a bus, and what a producer, an operator and the end of a run need of it."""

    url: str
    """As the settings have it, this run's prefix in it."""

    def publish(self, body: bytes, message_id: str | None) -> None: ...

    def left(self) -> int:
        """Messages that lie in its queues."""
        ...

    def purge(self, lane: str) -> int:
        """As an operator does; how many bundles that were."""
        ...

    def replace(self, lane: str, change: Callable[[list[bytes]], list[bytes]]) -> int:
        """Puts others in the place of the parcels of each bundle that lies on a lane, which nobody takes from meanwhile; how many
        bundles those are."""
        ...

    def clean(self) -> None: ...


class Rabbit:
    """The one at `address`, under a prefix of this run's own. The processes reach it by a `way`, such as a faulty line's."""

    def __init__(self, address: str = URL, way: Way = str, prefix: str | None = None) -> None:
        self._address = address
        prefix = prefix or f"r-{secrets.token_hex(6)}."
        self.names = Names(prefix)
        self.url = f"{way(address)}?prefix={prefix}"

    def publish(self, body: bytes, message_id: str | None) -> None:
        asyncio.run(_published(self._address, self.names.public, body, message_id))

    def left(self) -> int:
        return asyncio.run(_left(self._address, self.names))

    def purge(self, lane: str) -> int:
        return asyncio.run(_purged(self._address, self.names.queue(lane)))

    def replace(self, lane: str, change: Callable[[list[bytes]], list[bytes]]) -> int:
        return asyncio.run(_replaced(self._address, self.names.queue(lane), change))

    def clean(self) -> None:
        asyncio.run(_cleaned(self._address, self.names))


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
        broker: Broker,
        key: str | None = None,
        direct: str | None = None,
    ) -> None:
        key = key or secrets.token_hex(32)
        engines = f'[store]\nurl = "{database}"\n[bus]\nurl = "{broker.url}"\n[secrets]\nkey = "{key}"\n'
        super().__init__(folder, providers, f"{engines}{extra}")
        self.apis: list[Process] = []
        self.workers: list[Process] = []
        self.schedulers: list[Process] = []
        self.urls: list[str] = []
        self.database_url = direct or database
        self.broker = broker
        self.env: dict[str, str] = {}
        """What the processes that are started from now on have in their environment."""

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
        return Process(command, self.folder / "house.out", self.env)

    @property
    def processes(self) -> list[Process]:
        return [*self.apis, *self.workers, *self.schedulers]

    @property
    def rabbit(self) -> Rabbit:
        assert isinstance(self.broker, Rabbit)
        return self.broker

    def publish(self, body: bytes, message_id: str | None = None) -> None:
        """As a producer on the bus does."""
        self.broker.publish(body, message_id)

    def ask(self, sql: str, *args: object) -> list[Any]:
        """Rows from the store. Raises `OSError` or what the driver raises while it is away."""
        return asyncio.run(self.asked(sql, *args))

    async def asked(self, sql: str, *args: object) -> list[Any]:
        db = await asyncpg.connect(self.database_url, timeout=ASKED_S, command_timeout=READY_S)
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
def several(
    folder: Path,
    providers: str,
    extra: str = "",
    broker: Broker | None = None,
    *,
    key: str | None = None,
    store: Way = str,
    bus: Way = str,
) -> Iterator[Several]:
    """A migrated database and a prefix of their own; processes are started by the test and killed at the end. `key` is the secret
    key, else one is made. `store`, `bus`: the way by which they reach the servers, such as a faulty line's."""
    name = f"sendwright_run_{os.getpid()}_{secrets.token_hex(4)}"
    database, broker = urlunsplit(urlsplit(SERVER)._replace(path=f"/{name}")), broker or Rabbit(way=bus)
    asyncio.run(_on_server(f"create database {name}"))
    house = Several(folder, providers, extra, database=store(database), broker=broker, key=key, direct=database)
    try:
        asyncio.run(migrate(database))
        yield house
    finally:
        house.end()
        broker.clean()
        asyncio.run(_on_server(f"drop database {name} with (force)"))


async def post_all(house: Several, folder: Path, numbers: range, *, keyed: bool = True) -> Caller:
    caller = Caller(house, folder / f"ledger-{numbers.start}")
    at_once = asyncio.Semaphore(16)

    async def one(number: int) -> None:
        async with at_once:
            await caller.post(f"k{number}", sms(number), keyed=keyed)

    await asyncio.gather(*(one(number) for number in numbers))
    return caller


def all_done(house: Several, count: int) -> bool:
    counts = house.counts()
    return sum(counts.get(state, 0) for state in DONE) == count and counts.keys() <= DONE


def recounted(house: Several) -> dict[str, object]:
    """The recount, once the counts that are reported lazily have come."""
    audit: dict[str, object] = wait_until(lambda: (a := house.api("GET", "/v1/audit")[1])["ok"] and a, 20, "the recount agrees")
    return audit


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


async def _left(bus: str, names: Names) -> int:
    """Of the lanes that are there. What is in somebody's hands is not among them."""
    connection, count = await aiormq.connect(bus), 0
    try:
        for lane in [*lanes_of(["sms", "email"]), DEAD, INGRESS]:
            channel = await connection.channel()  # of its own: one that is not there ends it
            with suppress(aiormq.exceptions.ChannelNotFoundEntity):
                count += (await channel.queue_declare(names.queue(lane), passive=True)).message_count or 0
                await channel.close()
    finally:
        await connection.close()
    return count


async def _replaced(bus: str, queue: str, change: Callable[[list[bytes]], list[bytes]]) -> int:
    connection = await aiormq.connect(bus)
    try:
        channel = await connection.channel()
        found = []
        while isinstance((message := await channel.basic_get(queue)).delivery, aiormq.spec.Basic.GetOk):
            found.append(message)
        for message in found:
            properties = aiormq.spec.Basic.Properties(headers=message.header.properties.headers, delivery_mode=2)
            await channel.basic_publish(bundle(change(split(message.body))), routing_key=queue, properties=properties)
            await channel.basic_ack(message.delivery.delivery_tag)
    finally:
        await connection.close()
    return len(found)


async def _published(bus: str, exchange: str, body: bytes, message_id: str | None) -> None:
    connection = await aiormq.connect(bus)
    try:
        channel = await connection.channel()
        properties = aiormq.spec.Basic.Properties(message_id=message_id, delivery_mode=2)
        await channel.basic_publish(body, exchange=exchange, routing_key=INGRESS, properties=properties, mandatory=True)
    finally:
        await connection.close()


async def _cleaned(address: str, names: Names) -> None:
    connection = await aiormq.connect(address)
    try:
        channel = await connection.channel()
        for lane in [*lanes_of(["sms", "email"]), DEAD, INGRESS]:
            await channel.queue_delete(names.queue(lane))
        for exchange in (names.lanes, names.public, names.dead):
            await channel.exchange_delete(exchange)
    finally:
        await connection.close()
