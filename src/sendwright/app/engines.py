"""What it runs on: one SQLite file, or a database and a broker, as the two URLs of the settings say.

Engines are imported where they are opened: each is an extra, and takes its time.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import Protocol

from sendwright.drivers.bus.sqs.checkroom import Checkroom, LateCheckroom
from sendwright.engine.ingest import INGRESS
from sendwright.engine.people import Directory, Suppressions
from sendwright.engine.ports import (
    Accord,
    Bus,
    Credentials,
    DeadParcels,
    Endpoints,
    Finder,
    Inbox,
    IntakeDesk,
    KeyRing,
    Layouts,
    Ledger,
    Registry,
    Stands,
    Sweeper,
    Switchboard,
    Types,
    Waiting,
)
from sendwright.engine.store_time import StoreClock
from sendwright.engine.telling import Tell
from sendwright.errors import OperatorError
from sendwright.model.notification import Priority
from sendwright.model.parcel import INBOUND, intake_lane, lane
from sendwright.policy.suppression import Marker
from sendwright.settings import Settings
from sendwright.settings.engines import POSTGRESQL, RABBITMQ, SQS
from sendwright.web.api.services import Sessions, Shown

_MODULES = {POSTGRESQL: "asyncpg", RABBITMQ: "aio_pika", SQS: "aiobotocore"}
_EXTRAS = {POSTGRESQL: "postgres", RABBITMQ: "rabbitmq", SQS: "sqs"}


class FigureRecords(Shown, Protocol):
    """The records, and the counts that metrics show."""

    async def figures(self) -> tuple[int, int]:
        """Dead letters, and messages held in doubt."""
        ...


class Backend(Protocol):
    """Everything that the engine's ports need. `process` names this incarnation."""

    @property
    def name(self) -> str: ...
    @property
    def process(self) -> str: ...
    @property
    def bus(self) -> Bus: ...
    @property
    def desk(self) -> IntakeDesk: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def waiting(self) -> Waiting: ...
    @property
    def records(self) -> FigureRecords: ...
    @property
    def quarantine(self) -> DeadParcels: ...
    @property
    def finder(self) -> Finder | None:
        """Of what a broker lost; None where lanes and rows are one file."""
        ...

    @property
    def sweeper(self) -> Sweeper: ...
    @property
    def switchboard(self) -> Switchboard: ...
    @property
    def keyring(self) -> KeyRing: ...
    @property
    def inbox(self) -> Inbox: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def suppressions(self) -> Suppressions: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def types(self) -> Types: ...
    @property
    def layouts(self) -> Layouts: ...
    @property
    def endpoints(self) -> Endpoints: ...
    @property
    def registry(self) -> Registry | None:
        """Who else works; None where one process holds the store."""
        ...

    @property
    def accord(self) -> Accord | None:
        """What it agrees on with them; None where there is nobody else."""
        ...

    @property
    def stands(self) -> Stands | None:
        """What the operator was told of breakers; None where that is the accord's."""
        ...

    @property
    def credentials(self) -> Credentials: ...
    @property
    def store_clock(self) -> StoreClock | None:
        """What the store's clock shows; None where that is the machine's."""
        ...

    @property
    def beat(self) -> Callable[[], Awaitable[None]] | None:
        """Notes how far the store has come, for whoever finds an older one in its place; None where others keep the store."""
        ...

    @property
    def fence_at(self) -> int:
        """What was accepted up to then is held in doubt when it is planned, for the store was restored: in ms since 1970; or 0."""
        ...

    async def writable(self) -> bool:
        """Whether the store takes writes, as far as is known; where it last did not, it is tried."""
        ...


def lanes_of(channels: Iterable[str]) -> list[str]:
    """Every lane that these channels need, the intake's and the receipts' included."""
    own = [lane(channel, priority) for channel in channels for priority in Priority]
    intakes = [intake_lane(priority, aside=aside) for aside in (False, True) for priority in Priority]
    return [*intakes, INBOUND, *own]


@asynccontextmanager
async def open_engines(
    settings: Settings, channels: Collection[str], keep_ms: Callable[[], int], tell: Tell, marker: Marker
) -> AsyncIterator[Backend]:
    """Opens store and bus. Raises `OperatorError` for what the operator must mend, and `Unavailable` while an engine is down."""
    async with AsyncExitStack() as stack:
        if settings.embedded:
            from sendwright.drivers.embedded import open_sqlite

            yield await stack.enter_async_context(open_sqlite(settings.store.url.path, keep_ms=keep_ms, marker=marker))
            return
        require(settings.store.url.engine)
        from sendwright.drivers.clustered import open_postgres

        room = LateCheckroom()
        bus = await stack.enter_async_context(open_bus(settings, lanes_of(channels), tell, room))
        lost_ms = settings.bus.lost_after_s * 1000
        backend = await stack.enter_async_context(
            open_postgres(settings.store.url, bus=bus, keep_ms=keep_ms, lost_ms=lost_ms, marker=marker)
        )
        room.behind = backend.checkroom
        yield backend


@asynccontextmanager
async def open_bus(
    settings: Settings, lanes: Collection[str], tell: Tell = lambda _: None, room: Checkroom | None = None
) -> AsyncIterator[Bus]:
    """The broker of the settings, with these lanes declared; `room` keeps what is too large to travel."""
    url = settings.bus.url
    require(url.engine)
    named = [*lanes, INGRESS] if lanes else []  # producers may publish before anybody takes
    if url.engine == RABBITMQ:
        from sendwright.drivers.bus.rabbitmq import open_rabbitmq

        async with open_rabbitmq(url, url.prefix, lanes=named, tell=tell) as rabbit:
            yield rabbit
        return
    from sendwright.drivers.bus.sqs.address import sqs_address
    from sendwright.drivers.bus.sqs.bus import open_sqs

    async with open_sqs(sqs_address(url), room or LateCheckroom(), tell) as sqs:
        await sqs.declare(named)
        await sqs.survey(lanes)
        yield sqs


def require(engine: str) -> None:
    """Raises `OperatorError` where an engine's library is not installed."""
    try:
        import_module(_MODULES[engine])
    except ImportError as error:
        raise OperatorError(f"{engine} needs its library: pip install 'sendwright[{_EXTRAS[engine]}]'") from error
