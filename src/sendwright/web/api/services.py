"""What the API is given by the composition root, and the Protocols that only it needs.

Nothing in this room makes a connection, reads a clock of its own or keeps state beyond a request.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, Protocol

from msgspec import UNSET, Meta, Struct, UnsetType

from sendwright.engine.catalogue import Catalogue
from sendwright.engine.people import Directory, Suppressions
from sendwright.engine.ports import Bus, Clock, DeadParcels, Endpoints, Inbox, IntakeDesk, Layouts, Ledger, Records, Types
from sendwright.engine.receivers import Receivers
from sendwright.engine.report import Reporter
from sendwright.engine.warden import Warden
from sendwright.model.ids import IdMint
from sendwright.model.notification import Payload
from sendwright.model.records import Absent, Conflict, Event, Running, Taken
from sendwright.model.sessions import Session
from sendwright.model.stats import UNIT_MAX, Backlog, Strip
from sendwright.policy.address import Network
from sendwright.policy.admission import Rules
from sendwright.policy.suppression import Marker
from sendwright.policy.unsubscribing import Links
from sendwright.providers.contract import Answer, Provider, Request, Secret

MEGABYTE = 1 << 20
RATE_PATTERN = "^[1-9][0-9]{0,8}/(s|min|h|day)$"
COUNTS_KEPT_S = 900.0
COUNTS_MAX = 20_000


class Accepting(Protocol):
    """The story of a notification's acceptance."""

    async def accept(
        self, tenant: str, payload: Payload, raw: bytes, key: str | None, trace: str | None = None, *, repeat: bool = False
    ) -> Taken | Conflict | Running | Absent:
        """Durable when it returns `Taken`. Raises `Unavailable`, `maybe` when it may be durable all the same."""
        ...

    def begin(
        self, tenant: str, payload: Payload, raw: bytes, key: str | None, trace: str | None = None, *, repeat: bool = False
    ) -> Awaitable[Taken | Conflict | Running | Absent]:
        """The same without a task: what it returns is awaited, or asked by a callback, and then given to `over`."""
        ...

    def over(self, answer: Taken | Conflict | Running | Absent) -> None:
        """The end of what `begin` began."""
        ...


class Shown(Records, Protocol):
    """The records, and what is shown beside them."""

    async def metadata_of(self, notifications: Collection[str]) -> Mapping[str, dict[str, str]]:
        """What their callers gave along, by notification, of all of them at once."""
        ...

    async def said_back(self, tenant: str, marks: Collection[str], limit: int, before: int | None = None) -> Sequence[Event]:
        """The events of what a tenant's people said back from addresses of these marks, newest first: at most `limit` of those
        before that one."""
        ...

    async def sampled(self, tenant: str, spans: Sequence[tuple[int, int]], most: int) -> Sequence[Strip]:
        """Of each span of time (from, and before; ms since 1970; at least one span) the newest messages that were accepted in it.
        It looks at `most` of each, whoever's they are, and shows the tenant's: so what it costs has a bound."""
        ...

    async def accepted_within(self, tenant: str, spans: Sequence[tuple[int, int]], most: int = UNIT_MAX) -> Sequence[int]:
        """How many messages of the tenant's were accepted in each span, at least one of which is given. Of each span at most
        `most` are counted, everybody's among them."""
        ...

    async def backlog(self, tenant: str) -> Backlog:
        """What stands in the way now, in counts that stop somewhere: cheap, however much it is."""
        ...


class Sessions(Protocol):
    """Who is signed in to the dashboard, for all processes that share the store. Whether a row is over is for the reader to say."""

    def add(self, session: Session) -> Awaitable[None]:
        """Keeps it, and forgets all whose end had come when it was made."""
        ...

    def find(self, id_: str) -> Awaitable[Session | None]: ...

    def seen(self, id_: str, at: int) -> Awaitable[None]:
        """Notes that it was used. Harmless when it is gone: it does not come back."""
        ...

    def take(self, id_: str) -> Awaitable[Session | None]:
        """Removes a row and returns it; of several who take the same one, one gets it."""
        ...

    def all_of(self, tenant: str) -> Awaitable[Sequence[Session]]:
        """The tenant's sessions, the latest first; links are not among them."""
        ...

    def end(self, tenant: str, id_: str | None = None) -> Awaitable[int]:
        """Removes this session of the tenant's, or all of them; how many."""
        ...


class Counts:
    """How many were accepted in spans that are over, by tenant: remembered for a while, as counting takes its time. (Not for
    ever: what is planned late was accepted in a span that is over.)"""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int, int], tuple[int, float]] = OrderedDict()

    def known(self, tenant: str, span: tuple[int, int], now: float) -> int | None:
        """`now`, and below, by a monotonic clock, in seconds."""
        count, at = self._known.get((tenant, *span), (None, 0.0))
        return count if now - at < COUNTS_KEPT_S else None

    def learn(self, tenant: str, span: tuple[int, int], count: int, now: float) -> None:
        self._known[tenant, *span] = count, now
        self._known.move_to_end((tenant, *span))
        while len(self._known) > COUNTS_MAX:
            self._known.popitem(last=False)


class CredentialShown(Struct, frozen=True):
    """Until when a provider's credential is good."""

    expires_at: str
    days_left: int
    """The last day counts until it is over; then 0."""


class ProviderStanding(Struct, frozen=True):
    """How one provider stands now, over all workers."""

    name: str
    kind: str
    channels: tuple[str, ...]
    enabled: bool
    weight: int
    breaker: Literal["closed", "open", "half_open"]
    in_flight: int
    success_rate: float | None = None
    """Share (0 to 1) of the recent calls that were taken; None without any."""
    latency_ms: float | None = None
    rate: str | None = None
    concurrency: int | None = None
    cost: dict[str, str] = {}
    reason: str | None = None
    """Why the breaker is open."""
    credential: CredentialShown | None = None
    """Of the credential that a person must renew; null where it has no end, or it is not known."""


class ProviderPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """What is switched at run time. A member that is null goes back to the settings file's word."""

    NOT_YET: ClassVar = frozenset({"weight"})
    """Members that this version knows and does nothing with: anything but null is refused as `not_supported`."""

    enabled: bool | UnsetType | None = UNSET
    weight: UnsetType | None = UNSET
    rate: Annotated[str, Meta(pattern=RATE_PATTERN)] | UnsetType | None = UNSET
    concurrency: Annotated[int, Meta(ge=1, le=100_000)] | UnsetType | None = UNSET


class RouteStanding(Struct, frozen=True):
    """How a channel picks among its providers now."""

    channel: str
    policy: Literal["order"]
    providers: tuple[str, ...]
    """First choice first."""
    left_out: tuple[str, ...]
    """Those that serve the channel, and get nothing of it."""
    source: Literal["settings", "run_time"]
    """Where the order comes from."""


class Trial(Struct, frozen=True):
    """What came of one test call of a provider."""

    outcome: Literal["accepted", "rejected", "later", "unsure", "misconfigured"]
    ref: str | None = None
    detail: str = ""


class Unfit(Struct, frozen=True):
    """Why there was no test call: `required`, an address is needed; `invalid_address`, that one is not the provider's."""

    code: Literal["required", "invalid_address"]
    detail: str


class Fleet(Protocol):
    """The providers as they run."""

    async def standings(self) -> Sequence[ProviderStanding]:
        """Every configured provider, in file order."""
        ...

    def route(self, channel: str) -> Sequence[str]:
        """The names of a channel's providers, in the order in which they are asked."""
        ...

    async def switch(self, name: str, patch: ProviderPatch) -> None:
        """Stores the switch. No request is written under the old setting later than 1 s after it returns."""
        ...

    async def routes(self) -> Sequence[RouteStanding]:
        """Of every channel that has a provider, in the settings' order."""
        ...

    async def reorder(self, channel: str, providers: Sequence[str] | None) -> None:
        """Stores the order of a route; None goes back to the settings'. No request is written to a provider that was taken out
        of it later than 1 s after it returns."""
        ...

    async def test(self, name: str, to: str | None) -> Trial | Unfit:
        """One real call of this provider alone, with a text that says it is a test, on a channel that the address fits.
        None is an address of nobody's, for the kinds that reach nobody."""
        ...


class Fetching(Protocol):
    """Calls that providers' callbacks take. Each comes to an answer; none raises."""

    async def get(self, provider: str, request: Request) -> Answer:
        """A success is kept for a while, and told again."""
        ...

    async def call(self, provider: str, request: Request) -> Answer:
        """Each time anew."""
        ...


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that the API stands on."""

    clock: Clock
    mint: IdMint
    accept: Accepting
    desk: IntakeDesk
    ledger: Ledger
    records: Shown
    dead: DeadParcels
    directory: Directory
    suppressions: Suppressions
    marker: Marker
    links: Links
    """By which people unsubscribe."""
    sessions: Sessions
    types: Types
    layouts: Layouts
    catalogue: Catalogue
    """Types and layouts as a door needs them: `seen` costs nothing."""
    bus: Bus
    inbox: Inbox
    reporter: Reporter
    endpoints: Endpoints
    receivers: Receivers
    fleet: Fleet
    providers: Mapping[str, Provider]
    """Configured providers by name, enabled or not: their callbacks are taken in any case."""
    channels: Callable[[], frozenset[str]]
    """The channels that have a provider, switched off or not. Asked for every notification: must cost nothing."""
    poke: Callable[[], None]
    """Wakes the promoter: something came due."""
    ready: Callable[[], Awaitable[tuple[bool, Mapping[str, object]]]]
    """Whether this process's roles can work, and how the parts stand. No secrets, no addresses."""
    metrics: Callable[[], bytes]
    """Prometheus' text format."""
    admin_key: Secret
    warden: Warden
    """Knows the keys that were made."""
    signing_key: bytes = field(repr=False)
    """Signs cursors. 32 bytes or more; the same in every process that shares a store."""
    public_url: str
    """What providers call back, without a slash at the end."""
    fetching: Fetching | None = None
    """None: callbacks that take a call can't be judged here."""
    rules: Rules = field(default_factory=Rules)
    docs_open: bool = False
    sandbox_url: str | None = None
    """Where the page of the sandbox that this process looks to is."""
    """/docs, /openapi.json and /metrics need no key: only on a loopback listen address."""
    metrics_key: Secret | None = None
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process begins to stop: open event streams end."""
    unplanned_keep_ms: int = 14 * 86_400_000
    """How long an id that the store does not know may still be waiting on the bus."""
    connections_max: Callable[[], int] = lambda: 1 << 30
    """How many callers may be connected at this moment. Asked for every connection: must cost nothing."""
    ingress_tenant: str = "default"
    """Whose is what producers publish to the bus."""
    endpoint_private: tuple[Network, ...] = ()
    """Networks of the operator's own that endpoints may lie in."""
    inbox_origins: frozenset[str] = frozenset()
    """Whose pages may call the inbox from a browser, beside our own: `https://app.example.com`."""
    backup: Callable[[], Awaitable[AsyncIterator[bytes]]] | None = None
    """A copy of the embedded store, in chunks; None where it is none."""
    currency: str = "USD"
    body_max: int = MEGABYTE
    batch_body_max: int = 20 * MEGABYTE
    body_within_s: float = 30
    """How long a request's body may take to come."""
    heartbeat_s: float = 15
    counts: Counts = field(default_factory=Counts)
    """What this process remembers for its figures."""
    events_every_s: float = 0.25
    """How often an event stream looks for new events."""
