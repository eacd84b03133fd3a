"""The engine of many processes: a PostgreSQL database beside a broker."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from sendwright.drivers.queue_desk import LOST_MS, STALE_S, QueueDesk
from sendwright.drivers.store.postgres.accord import PostgresAccord
from sendwright.drivers.store.postgres.audit import InFlight
from sendwright.drivers.store.postgres.checkroom import PostgresCheckroom
from sendwright.drivers.store.postgres.connections import CONNECTIONS_MAX, Connections, first
from sendwright.drivers.store.postgres.directory import PostgresDirectory
from sendwright.drivers.store.postgres.endpoints import PostgresEndpoints
from sendwright.drivers.store.postgres.finder import PostgresFinder
from sendwright.drivers.store.postgres.inbox import PostgresInbox
from sendwright.drivers.store.postgres.keyring import PostgresKeyRing
from sendwright.drivers.store.postgres.keys import PostgresKeys
from sendwright.drivers.store.postgres.ledger import PostgresLedger
from sendwright.drivers.store.postgres.migrate import check
from sendwright.drivers.store.postgres.notices import PostgresCredentials
from sendwright.drivers.store.postgres.partitions import Partitions
from sendwright.drivers.store.postgres.quarantine import PostgresQuarantine
from sendwright.drivers.store.postgres.records import PostgresRecords
from sendwright.drivers.store.postgres.registry import PostgresRegistry
from sendwright.drivers.store.postgres.sessions import PostgresSessions
from sendwright.drivers.store.postgres.suppressions import PostgresSuppressions
from sendwright.drivers.store.postgres.sweeper import PostgresSweeper
from sendwright.drivers.store.postgres.switchboard import PostgresSwitchboard
from sendwright.drivers.store.postgres.types import PostgresLayouts, PostgresTypes
from sendwright.drivers.store.postgres.waiting import PostgresWaiting
from sendwright.engine.ports import Accord, Bus, Finder, Registry, Stands
from sendwright.engine.store_time import StoreClock
from sendwright.errors import Unavailable
from sendwright.policy.suppression import UNKEYED, Marker

WEEK_MS = 7 * 24 * 3600 * 1000


class PostgresBackend:
    """Everything that the engine's ports need, over one database and the bus that is given."""

    def __init__(
        self,
        connections: Connections,
        bus: Bus,
        process: str,
        keep_ms: Callable[[], int],
        now_ms: Callable[[], int],
        in_flight: InFlight | None,
        stale_s: float,
        lost_ms: int,
        store_clock: StoreClock,
        marker: Marker,
    ) -> None:
        self.name = "postgres"
        self.process = process
        self.bus = bus
        self.connections = connections
        self.partitions = Partitions(connections)
        self.keys = PostgresKeys(connections, process, keep_ms, stale_s, lost_ms)
        self.desk = QueueDesk(bus, self.keys, process, now_ms)
        self.ledger = PostgresLedger(connections, self.partitions, marker)
        self.waiting = PostgresWaiting(connections, process)
        self.records = PostgresRecords(connections, in_flight, lost_ms)
        self.finder: Finder | None = PostgresFinder(connections)
        self.quarantine = PostgresQuarantine(connections)
        self.sweeper = PostgresSweeper(connections, self.partitions, marker)
        self.switchboard = PostgresSwitchboard(connections)
        self.keyring = PostgresKeyRing(connections)
        self.inbox = PostgresInbox(connections)
        self.directory = PostgresDirectory(connections)
        self.suppressions = PostgresSuppressions(connections, self.partitions)
        self.sessions = PostgresSessions(connections)
        self.types = PostgresTypes(connections)
        self.layouts = PostgresLayouts(connections)
        self.endpoints = PostgresEndpoints(connections)
        self.checkroom = PostgresCheckroom(connections)
        self.registry: Registry | None = PostgresRegistry(connections)
        self.accord: Accord | None = PostgresAccord(connections, self.partitions)
        self.credentials = PostgresCredentials(connections, self.partitions)
        self.stands: Stands | None = None
        self.store_clock: StoreClock | None = store_clock
        self.fence_at = 0
        self.beat: Callable[[], Awaitable[None]] | None = None

    async def writable(self) -> bool:
        """Whether the database takes writes, as far as is known; where it last did not, it is tried."""
        if self.connections.refused:
            try:
                await self.connections.statement("writable", "writable")
            except Unavailable:
                return False
        return True

    async def close(self) -> None:
        """Writes what was submitted, and hangs up."""
        await self.desk.close()
        for part in (self.ledger, self.waiting, self.keys, self.switchboard, self.directory, self.suppressions):
            await part.close()
        await self.connections.close()


@asynccontextmanager
async def open_postgres(
    url: str,
    *,
    bus: Bus,
    process: str | None = None,
    keep_ms: Callable[[], int] = lambda: WEEK_MS,
    now_ms: Callable[[], int] | None = None,
    in_flight: InFlight | None = None,
    connections_max: int = CONNECTIONS_MAX,
    settings: dict[str, str] | None = None,
    stale_s: float = STALE_S,
    lost_ms: int = LOST_MS,
    marker: Marker = UNKEYED,
) -> AsyncIterator[PostgresBackend]:
    """Opens a migrated database for this process, beside others. Raises `StoreUnusable` when its schema does not fit, `StoreDown`
    when it can't be reached.

    `keep_ms`: how long idempotency keys are remembered. `now_ms`: instead of the server's time. `in_flight`: what is on the bus's
    lanes, where one can look into them; the recount needs it. `settings`: for the server, on each connection. `stale_s`: after how
    long a pending key was left by a crash. `lost_ms`: how long something may be on a lane before it counts as lost.
    `marker`: by the installation's key; it makes the hashes of addresses that evidence puts on the list of suppressions."""
    connections = Connections(url, settings=settings, most=connections_max)
    store_clock, name = StoreClock(), process or f"p{secrets.token_hex(8)}"
    now = now_ms if now_ms is not None else lambda: int(store_clock.there(time.monotonic()) * 1000)
    backend = PostgresBackend(connections, bus, name, keep_ms, now, in_flight, stale_s, lost_ms, store_clock, marker)
    try:
        await connections.writing(check)
        await _look_at(connections, store_clock)
        await backend.partitions.make_ahead(now())
        backend.fence_at = first(await connections.query("select coalesce(max(at), 0) from fence"))
        yield backend
    finally:
        await backend.close()


async def _look_at(connections: Connections, clock: StoreClock) -> None:
    """What the server's clock shows. The first time is the line's, too: the second counts."""
    for _ in range(2):
        asked_at = time.monotonic()
        shown = first(await connections.query("select extract(epoch from clock_timestamp())::float8"))
        clock.seen(shown, asked_at, time.monotonic())
