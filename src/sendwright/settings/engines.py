"""Addresses of buses and stores: which engine one names, and what may be shown of it.

    sqlite:///relative/path   sqlite:////absolute/path
    postgresql://user:password@host:5432/database
    amqp://user:password@host:5672/vhost?prefix=…      amqps://…
    sqs://?region=…&prefix=…&endpoint=…&size_max=…

A password travels in the address, so nothing here repeats one: neither a repr nor a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from sendwright.drivers.bus.sqs.address import sqs_address
from sendwright.errors import SettingsError

SQLITE, POSTGRESQL, RABBITMQ, SQS = "sqlite", "postgresql", "rabbitmq", "sqs"

_ENGINES = {"sqlite": SQLITE, "postgresql": POSTGRESQL, "postgres": POSTGRESQL, "amqp": RABBITMQ, "amqps": RABBITMQ, "sqs": SQS}
_FILE = "sqlite:///"
_OPTIONS = {
    POSTGRESQL: frozenset({"sslmode", "sslrootcert", "application_name"}),
    RABBITMQ: frozenset({"prefix", "heartbeat"}),
}
_PREFIX = re.compile(r"[A-Za-z0-9_.-]{0,40}", re.ASCII)
_MASK = "***"


class EngineUrl(str):
    """An address that was found right. As text it is whole; its repr has no password."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"EngineUrl({self.shown!r})"

    @property
    def engine(self) -> str:
        return _ENGINES[self.partition(":")[0].lower()]

    @property
    def path(self) -> Path:
        """The SQLite file, relative to the working directory unless it is absolute."""
        return Path(self.removeprefix(_FILE))

    @property
    def shown(self) -> str:
        """Without its password."""
        parts = urlsplit(self)
        text = str(self)
        return text if parts.password is None else text.replace(f":{_written(parts.netloc)}@", f":{_MASK}@", 1)

    @property
    def options(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self).query))

    @property
    def prefix(self) -> str:
        """What every queue's name begins with."""
        return self.options.get("prefix", "")


def _written(netloc: str) -> str:
    """The password as it stands in the address."""
    return netloc.rpartition("@")[0].partition(":")[2]


def engine_url(*engines: str) -> Callable[[str], EngineUrl]:
    """A check of an address of one of these engines. Raises `ValueError`, saying what was expected."""
    checks = {SQLITE: _sqlite, POSTGRESQL: _postgresql, RABBITMQ: _rabbitmq, SQS: _sqs}
    schemes = [scheme for scheme, engine in _ENGINES.items() if engine in engines and scheme != "postgres"]

    def check(text: str) -> EngineUrl:
        engine = _ENGINES.get(text.partition(":")[0].lower())
        if engine not in engines:
            raise ValueError(f"expected an address that begins with {', '.join(f'{scheme}://' for scheme in schemes)}")
        checks[engine](text)
        return EngineUrl(text)

    return check


def _sqlite(text: str) -> None:
    if not text.startswith(_FILE):
        raise ValueError("expected sqlite:/// and a path: three slashes before a relative one, four before an absolute one")
    path = text.removeprefix(_FILE)
    if not path.strip("/") or path.endswith("/") or ":memory:" in path:
        raise ValueError("expected the path of a file: what is kept in memory would not survive a restart")
    if "?" in path or "#" in path or "\0" in path:
        raise ValueError("a SQLite address takes no options")


def _postgresql(text: str) -> None:
    path, _ = _server(text, POSTGRESQL)
    if not path.strip("/") or "/" in path.strip("/"):
        raise ValueError("expected postgresql://user:password@host:port/database")


def _rabbitmq(text: str) -> None:
    path, options = _server(text, RABBITMQ)
    if "/" in path.removeprefix("/"):
        raise ValueError("a virtual host with a slash in its name is written with %2F")
    if not _PREFIX.fullmatch(options.get("prefix", "")):
        raise ValueError("expected a prefix of at most 40 letters, digits, `_`, `.` and `-`")


def _sqs(text: str) -> None:
    try:
        sqs_address(text)
    except SettingsError as error:
        raise ValueError("; ".join(what for _, what in error.faults)) from None


def _server(text: str, engine: str) -> tuple[str, dict[str, str]]:
    """Path and options of an address that names a host."""
    parts = _parts(text)
    if not parts.hostname:
        raise ValueError("names no host")
    return unquote(parts.path) if engine != RABBITMQ else parts.path, _options(text, engine)


def _parts(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 -- reading it is what checks it
    except ValueError:
        raise ValueError("can't be read as an address: is a letter of the password to be written with %?") from None
    if re.search(r"[\s\x00-\x1f]", text) or parts.fragment:
        raise ValueError("can't be read as an address: is a letter of the password to be written with %?")
    return parts


def _options(text: str, engine: str) -> dict[str, str]:
    pairs = parse_qsl(urlsplit(text).query, keep_blank_values=True)
    unknown = sorted({name for name, _ in pairs} - _OPTIONS[engine])
    if unknown or len(dict(pairs)) != len(pairs):
        raise ValueError(f"takes these options, once each: {', '.join(sorted(_OPTIONS[engine]))}")
    return dict(pairs)
