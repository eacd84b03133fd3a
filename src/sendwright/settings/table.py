"""The settings as one table: the loader, `sendwright check`, the sample file and the page of the docs all read it.

A row is a place in the file, the kind of its value, its default as one would write it in TOML, and a sentence of help.
A default of None means: not set. A name with a dot (`ttl.default`) is an entry of an inline table. Times of kind
`duration` become attributes with the unit at the end (`ttl` → `ttl_s`); the other attributes are named as in the file.
"""

from __future__ import annotations

from msgspec import Struct

from sendwright.settings import kinds
from sendwright.settings.kinds import Kind


class Setting(Struct, frozen=True):
    """One row. `unit` is what its number counts; a secret is masked wherever it is shown."""

    section: str
    name: str
    kind: Kind
    default: object
    unit: str
    help: str
    secret: bool = False
    example: object = None
    """What the sample file shows where there is no default."""

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def attribute(self) -> str:
        head = self.name.partition(".")[0]
        return f"{head}_s" if self.kind is kinds.DURATION else head


class Section(Struct, frozen=True):
    """What a section of the file is for."""

    name: str
    help: str


SECTIONS = (
    Section("api", "The HTTP API: where it listens, who may call, how callers reach it from outside."),
    Section("bus", "What carries work from one part to the next."),
    Section("store", "Where notifications, messages, attempts and events are kept. Bus and store are the same SQLite file."),
    Section("worker", "The part that plans and delivers."),
    Section("scheduler", "The part that promotes what has come due, repairs and sweeps."),
    Section("retry", "How often and how long a message is tried again after a provider said *later*."),
    Section("breaker", "When a provider that fails is left alone, and how it is probed."),
    Section("retention", "How long things are kept."),
    Section("secrets", "The key that encrypts what must be stored and signs ids."),
    Section("sandbox", "Pretended vendors, so that everything can be tried without an account."),
)

SETTINGS = (
    Setting("api", "listen", kinds.LISTEN, "127.0.0.1:8420", "", "Where `up` and `api` listen. Port 0 takes any free one."),
    Setting(
        "api", "admin_key", kinds.ADMIN_KEY, None, "",
        "The key with every right, taken as it is: 32 characters or more. While unset, one is made at the first start, printed "
        "once and kept in `<data>/admin_key`, readable by its owner alone.",
        secret=True, example="${SENDWRIGHT_ADMIN_KEY}",
    ),
    Setting(
        "api", "public_url", kinds.WEB_URL, None, "",
        "What providers call back, what their signatures are checked against, and where links to unsubscribe lead (by https). "
        "While unset, callbacks go to `http://` and `listen`, and only to providers whose `base_url` is loopback or private.",
        example="https://notify.example.com",
    ),
    Setting("api", "idempotency_keep", kinds.DURATION, "7d", "duration", "How long an Idempotency-Key is remembered."),
    Setting(
        "api", "link_schemes", kinds.LINK_SCHEMES, (), "",
        "Link schemes that content may use beside http, https, mailto and tel.",
    ),
    Setting(
        "api", "inbox_origins", kinds.ORIGINS, (), "",
        "Origins of the web pages that may call the in-app inbox from a browser, such as `https://app.example.com`.",
    ),
    Setting(
        "api", "endpoint_private", kinds.NETWORKS, (), "",
        "Networks of your own that endpoints may lie in, such as `10.20.0.0/16`; `http://` is allowed then too.",
    ),
    Setting(
        "api", "trusted_proxies", kinds.NETWORKS, (), "",
        "Addresses and networks of the proxies whose word about a caller's address is believed.",
    ),
    Setting(
        "api", "metrics_key", kinds.METRICS_KEY, None, "",
        "The key for `/metrics` and `/docs`. They are open without one only on a loopback listen address.",
        secret=True, example="",
    ),
    Setting(
        "bus", "url", kinds.BUS_URL, None, "",
        "`sqlite:///relative/path` or `sqlite:////absolute/path`, relative to the working directory; "
        "`amqp://user:pw@host:5672/vhost?prefix=…`; or `sqs://?region=…&prefix=…&endpoint=…`. "
        "While unset: `sendwright.db` in the data folder.",
        example="sqlite:///data/sendwright.db",
    ),
    Setting(
        "bus", "ingress_tenant", kinds.WORD, "default", "",
        "The tenant of notifications that are published to the bus rather than posted.",
    ),
    Setting(
        "bus", "lost_after", kinds.DURATION, "10m", "duration",
        "How long work may be on a broker's lane before it counts as lost: queued messages are brought back, "
        "and `sendwright audit` names notifications.",
    ),
    Setting(
        "store", "url", kinds.STORE_URL, None, "",
        "The same file as `bus.url`; or, beside a broker, `postgresql://user:pw@host/db`. "
        "While unset: `sendwright.db` in the data folder.",
        example="sqlite:///data/sendwright.db",
    ),
    Setting(
        "worker", "concurrency", kinds.CONCURRENCY, 1000, "messages",
        "Most messages that one worker handles at the same time.",
    ),
    Setting("worker", "drain_s", kinds.SECONDS, 25, "s", "After SIGTERM, how long what is in flight may take to finish."),
    Setting(
        "worker", "reserve.critical", kinds.RESERVED_SHARE, 0.2, "share",
        "Of every provider's concurrency and rate, what only `critical` may use.",
    ),
    Setting("worker", "reserve.high", kinds.RESERVED_SHARE, 0.1, "share", "The same for `high`, which `critical` may use too."),
    Setting("worker", "reserve.normal", kinds.RESERVED_SHARE, 0, "share", "The same for `normal` and what is above it."),
    Setting(
        "worker", "listen", kinds.LISTEN, None, "",
        "Where `worker` serves `/healthz`, `/readyz` and `/metrics`; unset: nowhere.", example="127.0.0.1:8422",
    ),
    Setting(
        "scheduler", "listen", kinds.LISTEN, None, "",
        "Where `scheduler` serves the same three; unset: nowhere.", example="127.0.0.1:8423",
    ),
    Setting(
        "retry", "attempts_max", kinds.ATTEMPTS, 8, "calls",
        "Most calls per step of a message. What waits without a call uses none.",
    ),
    Setting("retry", "base_s", kinds.SECONDS_ABOVE_ZERO, 1, "s", "The shortest wait between two tries."),
    Setting("retry", "cap_s", kinds.SECONDS_ABOVE_ZERO, 3600, "s", "The longest wait that we choose ourselves."),
    Setting(
        "retry", "ttl.default", kinds.DURATION, "72h", "duration",
        "How long a message is worth sending where the request doesn't say.",
    ),
    Setting("retry", "ttl.critical", kinds.DURATION, "10m", "duration", "The same for priority `critical`."),
    Setting("retry", "ttl.high", kinds.DURATION, None, "duration", "The same for `high`; unset: `ttl.default`.", example="24h"),
    Setting("retry", "ttl.normal", kinds.DURATION, None, "duration", "The same for `normal`; unset: `ttl.default`.", example="72h"),
    Setting("retry", "ttl.bulk", kinds.DURATION, None, "duration", "The same for `bulk`; unset: `ttl.default`.", example="72h"),
    Setting("breaker", "failures", kinds.FAILURES, 5, "calls", "Failures in a row that open a provider's breaker."),
    Setting(
        "breaker", "share", kinds.SHARE, 0.5, "share",
        "So does this share of failures among at least 20 calls within `window_s`.",
    ),
    Setting("breaker", "window_s", kinds.SECONDS_ABOVE_ZERO, 10, "s", "The time over which `share` is counted."),
    Setting(
        "breaker", "probe_s", kinds.PROBE_SECONDS, 1, "s",
        "When the first probe goes to an open provider; later ones come at growing intervals, to 30 s.",
    ),
    Setting("retention", "content", kinds.DURATION, "30d", "duration", "How long what was said is kept."),
    Setting(
        "retention", "events", kinds.DURATION, "90d", "duration",
        "How long notifications, messages, attempts and their events are kept.",
    ),
    Setting(
        "secrets", "key", kinds.SECRET_KEY, None, "",
        "Any text of 32 characters or more. While unset, one is made at the first start and kept in `<data>/secret_key`; "
        "it must be given where several processes share a store.",
        secret=True, example="${SENDWRIGHT_SECRET_KEY}",
    ),
    Setting("secrets", "previous", kinds.SECRET_KEYS, (), "", "Older keys, still read.", secret=True),
    Setting(
        "sandbox", "channels", kinds.CHANNELS, (), "",
        "Channels that get a sandbox provider. While empty: every channel when no provider is named at all, else none.",
    ),
    Setting(
        "sandbox", "listen", kinds.LISTEN, "127.0.0.1:8421", "",
        "Where the sandbox's vendors, phone and mailbox listen. Port 0 takes any free one.",
    ),
    Setting(
        "sandbox", "smtp_listen", kinds.LISTEN, None, "",
        "Where the sandbox takes mails by SMTP, in clear. Port 0 takes any free one, which its page shows.",
        example="127.0.0.1:8426",
    ),
)  # fmt: skip

PROVIDER_NAME = r"[a-z][a-z0-9-]{0,62}"

COMMON = (
    Setting(
        "providers.NAME", "kind", kinds.TEXT, None, "",
        "The adapter that speaks for this account: a kind that has a page in docs/providers, or a plugin's.", example="twilio",
    ),
    Setting(
        "providers.NAME", "base_url", kinds.WEB_URL, None, "",
        "Replaces the vendor's scheme, host and port, and may add a path in front. The operator's word: any address is taken.",
        example="http://127.0.0.1:9000",
    ),
    Setting(
        "providers.NAME", "rate", kinds.RATE, None, "rate",
        "Most calls per time, over all workers: `/s`, `/min`, `/h` or `/day`. Unset: no limit.", example="100/s",
    ),
    Setting("providers.NAME", "concurrency", kinds.CONCURRENCY, 200, "calls", "Most calls in flight."),
    Setting(
        "providers.NAME", "timeout_s", kinds.SECONDS_ABOVE_ZERO, 10, "s",
        "Total time of one call, from connecting to the last byte.",
    ),
)  # fmt: skip
"""What every HTTP kind understands beside its own settings, which its adapter checks."""

PROVIDER_LISTS = frozenset({"channels", "allow_private"})
PROVIDER_NUMBERS = {row.name: row.kind for row in COMMON if row.kind.shape != "text"} | {"port": kinds.PORT}
"""The provider settings that are not text: in the environment, and by `${…}`, a value says nothing about its type."""

PROVIDER_SHOWN = frozenset(
    {"kind", "rate", "concurrency", "timeout_s", "channels", "channel", "from", "from_name", "host", "port", "tls", "region"}
    | {"project_id", "subject", "base_url", "allow_private", "messaging_service_sid", "phone_number_id", "configuration_set"}
    | {"topic_arn", "sns_base_url", "webhook_public_key"}
)
"""The provider settings that are no secret in any kind. Every other one is masked: a plugin's too."""

ROUTE = (
    Setting(
        "routes.CHANNEL", "providers", kinds.PROVIDERS, None, "",
        "The channel's providers, first choice first.",
        example=("twilio-main",),
    ),
    Setting(
        "routes.CHANNEL", "policy", kinds.POLICY, "order", "",
        "How one is picked: `order` takes the first that is healthy and free.",
    ),
)  # fmt: skip

REPLIES = (
    Setting(
        "replies.NAME", "help", kinds.TEXT, None, "",
        "What is answered to HELP; unset: nothing. NAME is a provider, or a channel for all of its providers.",
        example="Acme alerts: reply STOP to end them, or write to help@example.com.",
    ),
    Setting(
        "replies.NAME", "stop", kinds.TEXT, None, "",
        "What confirms a STOP, once; unset: nothing.",
        example="You will get no more messages from Acme here. Reply START to get them again.",
    ),
    Setting(
        "replies.NAME", "start", kinds.TEXT, None, "",
        "What is answered to START; unset: nothing.",
        example="You will get messages from Acme again.",
    ),
)  # fmt: skip
"""What people are answered who write a keyword."""

NOT_YET = frozenset({"costs"})
"""Sections that belong to features to come."""

PROVIDER_NOT_YET = frozenset({"cost"})
