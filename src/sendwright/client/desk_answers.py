"""What the API answers of what is kept: people, suppressions, types, keys, endpoints, routes and figures. As in answers.py."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from sendwright.client.answers import Message, Refused


class Content(Struct, frozen=True, kw_only=True):
    """What a message says on its channel, as its recipient gets it. `own` is what is said for that channel alone."""

    channel: str | None = None
    title: str | None = None
    body: str = ""
    html: str | None = None
    url: str | None = None
    media: list[str] = []
    files: list[dict[str, Any]] = []
    own: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return "Content(…)"


class Route(Struct, frozen=True, kw_only=True):
    """In which order a channel's providers are asked. `source`: `settings` or `run_time`."""

    channel: str
    providers: list[str]
    policy: str = "order"
    left_out: list[str] = []
    source: str = "settings"


class Recipient(Struct, frozen=True, kw_only=True):
    """A person of the directory; in lists the addresses are masked."""

    id: str
    email: str | None = None
    phone: str | None = None
    whatsapp: str | None = None
    instagram: str | None = None
    messenger: str | None = None
    telegram: str | None = None
    line: str | None = None
    slack: str | None = None
    discord: str | None = None
    teams: str | None = None
    push: list[dict[str, Any]] | None = None
    webpush: list[dict[str, Any]] | None = None
    webhook: str | None = None
    locale: str | None = None
    timezone: str | None = None
    created_at: str | None = None
    updated_at: str | None = None

    def __repr__(self) -> str:
        return "Recipient(…)"


class Written(Struct, frozen=True, kw_only=True):
    """What became of one recipient of several: its id, or why it was refused."""

    id: str | None = None
    problem: Refused | None = None


class WrittenAll(Struct, frozen=True, kw_only=True):
    results: list[Written]


class Erased(Struct, frozen=True, kw_only=True):
    """What was forgotten of a person. `cancelled`: of their messages, those that will now never be sent."""

    id: str
    messages: int = 0
    cancelled: int = 0


class RecipientToken(Struct, frozen=True, kw_only=True):
    """A recipient's own token, for the inbox."""

    token: str
    expires_at: str

    def __repr__(self) -> str:
        return "RecipientToken(…)"


class Suppression(Struct, frozen=True, kw_only=True):
    """Who must not be sent to, why, until when. The address is masked; no channel is every one."""

    id: str
    address: str
    reason: str
    channel: str | None = None
    source: str = "manual"
    category: str = "all"
    shared: bool = False
    created_at: str | None = None
    expires_at: str | None = None

    def __repr__(self) -> str:
        return f"Suppression({self.id})"


class Suppressions(Struct, frozen=True, kw_only=True):
    data: list[Suppression]


class Exported(Struct, frozen=True, kw_only=True):
    """One thing that is known of a person: the member that `kind` names holds it."""

    kind: str
    recipient: Recipient | None = None
    message: Message | None = None
    content: Content | None = None
    """Of a message: what it says, until that is forgotten."""
    inbox: dict[str, Any] | None = None
    reply: dict[str, Any] | None = None
    suppression: Suppression | None = None

    def __repr__(self) -> str:
        return f"Exported({self.kind})"


class StoredType(Struct, frozen=True, kw_only=True):
    """One version of a type."""

    name: str
    version: int
    content: dict[str, Any]
    created_at: str | None = None
    description: str = ""
    category: str = "transactional"
    priority: str = "normal"
    schema: dict[str, Any] | None = None
    plan: dict[str, Any] | None = None
    ttl: str | None = None


class Preview(Struct, frozen=True, kw_only=True):
    """What a type would say: an entry a channel, with what is wrong where it can't be said."""

    type: str
    channels: list[dict[str, Any]]

    def __repr__(self) -> str:
        return f"Preview({self.type})"


class Key(Struct, frozen=True, kw_only=True):
    """An API key, without what would let anybody in by it."""

    id: str
    name: str
    tenant: str
    scopes: list[str]
    rate: str | None = None
    created_at: str | None = None
    expires_at: str | None = None
    last_used_at: str | None = None


class MadeKey(Key, frozen=True, kw_only=True):
    """A new key. `key` is shown this once."""

    key: str

    def __repr__(self) -> str:
        return f"MadeKey({self.id})"


class Endpoint(Struct, frozen=True, kw_only=True):
    """A service of yours, to which events are posted. `disabled_for`: `paused`, `gone` or `failing`."""

    id: str
    url: str
    description: str = ""
    types: list[str] = []
    enabled: bool = True
    disabled_for: str | None = None
    failing_since: str | None = None
    created_at: str | None = None
    previous_secret_until: str | None = None


class MadeEndpoint(Endpoint, frozen=True, kw_only=True):
    """An endpoint with a new secret, which is shown this once."""

    secret: str

    def __repr__(self) -> str:
        return f"MadeEndpoint({self.id})"


class EndpointTrial(Struct, frozen=True, kw_only=True):
    """What came of a test event."""

    ok: bool
    status: int | None = None
    detail: str = ""
    ms: int = 0


class Post(Struct, frozen=True, kw_only=True):
    """One post of an event. `status` is None where no whole answer came."""

    at: str
    status: int | None = None
    detail: str = ""
    ms: int = 0


class Delivery(Struct, frozen=True, kw_only=True):
    """One event for an endpoint: `pending`, `delivered` or `failed`. Its id is the `webhook-id`; the last twenty posts are kept."""

    id: str
    type: str
    state: str
    timestamp: str | None = None
    next_try_at: str | None = None
    try_count: int = 0
    tries: list[Post] = []


class Replayed(Struct, frozen=True, kw_only=True):
    """The deliveries that are posted again. `more`: call again."""

    ids: list[str]
    more: bool = False


class Tally(Struct, frozen=True, kw_only=True):
    """`success_rate` is a share, 0 to 1; latencies go from acceptance to the first attempt."""

    accepted: int
    failed: int = 0
    success_rate: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None


class Point(Struct, frozen=True, kw_only=True):
    """A span of the window, from `at`."""

    at: str
    figures: Tally


class Group(Struct, frozen=True, kw_only=True):
    """The messages of one channel or one provider."""

    name: str
    figures: Tally


class Stats(Struct, frozen=True, kw_only=True):
    """Figures of a window that ends now."""

    window: str
    since: str
    until: str
    total: Tally
    estimated: bool = False
    by_state: dict[str, int] = {}
    series: list[Point] = []
    channels: list[Group] = []
    providers: list[Group] = []
    dead: int = 0
    in_doubt: int = 0
    waiting: list[dict[str, Any]] = []
    oldest_waiting_s: float = 0.0
