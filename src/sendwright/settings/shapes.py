"""The settings as the program reads them: frozen structs, one per section, every value checked.

Made by `load` and by nothing else outside tests. Their reprs show no secret, so that a settings object in a traceback
or a log line gives nothing away.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from sendwright.policy.replying import Texts
from sendwright.providers.contract import EVERY_CHANNEL, Secret
from sendwright.settings.engines import SQLITE, EngineUrl
from sendwright.settings.kinds import host_port


class Api(Struct, frozen=True, kw_only=True):
    listen: str
    admin_key: Secret | None
    public_url: str | None
    idempotency_keep_s: int
    link_schemes: tuple[str, ...]
    inbox_origins: tuple[str, ...]
    endpoint_private: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    metrics_key: Secret | None


class Bus(Struct, frozen=True, kw_only=True):
    url: EngineUrl
    ingress_tenant: str
    lost_after_s: int


class Store(Struct, frozen=True, kw_only=True):
    url: EngineUrl


class Worker(Struct, frozen=True, kw_only=True):
    concurrency: int
    drain_s: float
    reserve: dict[str, float]
    """Share by priority; every priority but `bulk` has one."""
    listen: str | None


class Scheduler(Struct, frozen=True, kw_only=True):
    listen: str | None


class Retry(Struct, frozen=True, kw_only=True):
    attempts_max: int
    base_s: float
    cap_s: float
    ttl_s: dict[str, int]
    """Seconds by priority, with a `default`; see `ttl_for`."""

    def ttl_for(self, priority: str) -> int:
        """Seconds that a message of this priority is worth sending where the request doesn't say."""
        return self.ttl_s.get(priority, self.ttl_s["default"])


class Breaker(Struct, frozen=True, kw_only=True):
    failures: int
    share: float
    window_s: float
    probe_s: float


class Retention(Struct, frozen=True, kw_only=True):
    content_s: int
    events_s: int


class Secrets(Struct, frozen=True, kw_only=True):
    key: Secret | None
    previous: tuple[Secret, ...]


class Sandbox(Struct, frozen=True, kw_only=True):
    channels: tuple[str, ...]
    listen: str
    smtp_listen: str | None


class RouteSettings(Struct, frozen=True, kw_only=True):
    providers: tuple[str, ...]
    policy: str


class ProviderTable(dict[str, Any]):
    """A provider's table as it is written, for its adapter to check. Prints its keys and nothing of its values."""

    def __repr__(self) -> str:
        return f"ProviderTable({', '.join(self)})"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that is set. `providers` and `routes` keep the order of the file."""

    api: Api
    bus: Bus
    store: Store
    worker: Worker
    scheduler: Scheduler
    retry: Retry
    breaker: Breaker
    retention: Retention
    secrets: Secrets
    sandbox: Sandbox
    providers: dict[str, ProviderTable]
    routes: dict[str, RouteSettings]
    replies: dict[str, Texts]
    """By a provider's name or a channel's."""
    data: Path

    def sandbox_channels(self) -> tuple[str, ...]:
        """Channels that a sandbox provider serves: those named, or every one when no provider is named at all."""
        if self.sandbox.channels or self.providers:
            return self.sandbox.channels
        return EVERY_CHANNEL

    @property
    def embedded(self) -> bool:
        """Bus and store are one SQLite file, which one process holds."""
        return self.store.url.engine == SQLITE

    def listens_on(self) -> tuple[str, int]:
        """Host and port of the API."""
        return host_port(self.api.listen)


class Loaded(Struct, frozen=True, kw_only=True):
    """Settings, and where each came from: `default`, a file's name, `environment NAME` or `command line --listen`."""

    settings: Settings
    sources: Mapping[str, str]
    """By key, such as `api.listen`, `retry.ttl.critical`, `providers.twilio-main.auth_token`."""
    file: Path | None = None
    """The file that was read, if any."""
