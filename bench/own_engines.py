"""A PostgreSQL and a bus of the campaign's own, on free ports in its folder, that may be killed and started again."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from tests.acceptance.several import Several, Way
from tests.conformance.own_postgres import Server

from bench.own_bus import BUSES, RABBITMQ, OwnBus
from sendwright.drivers.store.postgres.migrate import migrate

BACK_S = 60.0


class Engines:
    """Both, running. Whoever kills one waits until it answers again."""

    def __init__(self, store: Server, bus: OwnBus) -> None:
        self.store = store
        self.bus = bus

    @property
    def mortal(self) -> Mapping[str, Callable[[], None]]:
        """Whom a campaign may kill of them, and how."""
        return {**self.bus.mortal, "store": self._kill_store}

    def _kill_store(self) -> None:
        self.store.kill()
        _again(self.store.start)


def _again(start: Callable[[], None]) -> None:
    """A server that died may find its dead self's memory in use, for a moment."""
    deadline = time.monotonic() + BACK_S
    while True:
        try:
            start()
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


@contextmanager
def own_engines(options: tuple[str, ...] = (), *, bus: str = RABBITMQ, seed: int = 1) -> Iterator[Engines]:
    """Started; ended and removed. `options`: of PostgreSQL. `bus`: one of `BUSES`; `seed`: of what it does by chance."""
    with tempfile.TemporaryDirectory(prefix="sendwright-engines-", ignore_cleanup_errors=True) as place:
        folders = [Path(place) / name for name in ("postgres", "bus")]
        Path(place).chmod(0o755)  # PostgreSQL runs as somebody else where this is root
        for folder in folders:
            folder.mkdir()
        store = Server(folders[0], options)
        store.start()
        try:
            with BUSES[bus](folders[1], seed) as started:
                yield Engines(store, started)
        finally:
            with suppress(Exception):  # it may have been killed already
                store.stop("immediate")


@asynccontextmanager
async def fleet(
    engines: Engines, folder: Path, providers: str, extra: str = "", *, store: Way = str, bus: Way = str
) -> AsyncIterator[Several]:
    """Several processes over them, with a database and a prefix of their own, started by the campaign and killed at the end.
    `store`, `bus`: by which way they reach them."""
    name = f"c{secrets.token_hex(4)}"
    direct = urlunsplit(urlsplit(engines.store.url)._replace(path=f"/{name}"))
    await _made(engines.store.url, name, direct)
    broker = engines.bus.share(name, bus)
    house = Several(folder, providers, extra, database=store(direct), broker=broker, direct=direct)
    try:
        yield house
    finally:
        await asyncio.to_thread(house.end)


async def _made(server: str, name: str, direct: str) -> None:
    db = await asyncpg.connect(server)
    try:
        await db.execute(f"create database {name}")
    finally:
        await db.close()
    await migrate(direct)
