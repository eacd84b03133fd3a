"""The kinds of value that a setting can have: how each is read from a file or from text, checked, and shown.

A check returns the value as the program wants it (seconds, masked secrets, tuples) or raises `Bad`, whose text says
what was expected and not what was given: that may be a secret. (What is repeated in a list of names is named.)
Nothing here knows a setting's name.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
import tomllib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from sendwright.providers.contract import Secret
from sendwright.settings import engines
from sendwright.settings.engines import EngineUrl, engine_url

KEY_LENGTH_MIN = 32
"""Characters of a key that is given rather than made."""

DURATION_MAX_S = 3_650 * 86_400

_DURATION = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_RATE = re.compile(r"([1-9]\d{0,8})/(s|min|h|day)", re.ASCII)
_PER_S = {"s": 1.0, "min": 60.0, "h": 3_600.0, "day": 86_400.0}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})?", re.ASCII)
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.ASCII)
_RUNS_CODE = {"javascript", "data", "vbscript"}


class Bad(ValueError):
    """The value is not of its kind. The text completes a sentence about the setting."""


class Kind(Struct, frozen=True):
    """How one kind is read. `shape` is what TOML must give: `text`, `integer`, `number` or `list`."""

    label: str
    shape: str
    check: Callable[[Any], Any] = lambda value: value

    def of_file(self, value: object) -> Any:
        """The checked value of one that TOML gave."""
        if not _SHAPES[self.shape](value):
            raise Bad(f"expected {self.label}")
        return self.check(value)

    def of_text(self, text: str) -> Any:
        """The checked value of one that came as text, from the environment or a file's `${…}`."""
        return self.of_file(_typed(self.shape, text))


def is_list_of_text(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_SHAPES: dict[str, Callable[[object], bool]] = {
    "text": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value),
    "list": is_list_of_text,
}


def _typed(shape: str, text: str) -> object:
    """What the text means for that shape; the text itself where it means nothing, to be refused by the shape."""
    if shape == "text":
        return text
    if shape == "list" and not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    return literal(text, text)


def literal(text: str, otherwise: object) -> object:
    """The value that the text writes in JSON or in TOML, or `otherwise`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if "\n" in text:
        return otherwise
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return otherwise


def duration_s(text: str) -> int:
    """Seconds of a duration as people write it: `90s`, `10m`, `36h`, `7d`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise Bad(f"expected {DURATION.label}")
    return int(match[1]) * _UNIT_S[match[2]]


def positive_duration_s(text: str) -> int:
    seconds = duration_s(text)
    if not 0 < seconds <= DURATION_MAX_S:
        raise Bad("expected a duration above zero, and of ten years at most")
    return seconds


def per_second(text: str) -> float:
    """Calls per second of a rate as people write it: `100/s`, `30/min`, `500/h`, `10000/day`."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise Bad(f"expected {RATE.label}")
    return int(match[1]) / _PER_S[match[2]]


def _rate(text: str) -> str:
    per_second(text)
    return text


def host_port(listen: str) -> tuple[str, int]:
    """The two halves of `127.0.0.1:8420` or `[::1]:8420`; port 0 means any free one."""
    host, colon, port = listen.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise Bad(f"expected {LISTEN.label}")
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1])), int(port)
        except ValueError:
            raise Bad(f"expected {LISTEN.label}") from None
    if not _HOST.fullmatch(host):
        raise Bad(f"expected {LISTEN.label}")
    return host, int(port)


def _listen(text: str) -> str:
    host_port(text)
    return text


def web_url(text: str) -> str:
    """An absolute http or https URL without credentials, query or fragment; a slash at its end is dropped."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Bad(f"expected {WEB_URL.label}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or re.search(r"[\s\x00-\x1f?#\\]", text):
        raise Bad(f"expected {WEB_URL.label}")
    if "@" in parts.netloc:
        raise Bad("expected an address without user or password")
    return text.rstrip("/")


def _engine_url(*engines: str) -> Callable[[str], EngineUrl]:
    checked = engine_url(*engines)

    def check(text: str) -> EngineUrl:
        try:
            return checked(text)
        except ValueError as problem:
            raise Bad(str(problem)) from None

    return check


def _admin_key(text: str) -> Secret:
    return _metrics_key(_secret_key(text).reveal())


def _metrics_key(text: str) -> Secret:
    """A key that callers send in a header: visible ASCII, or it could never arrive."""
    if not all("!" <= c <= "~" for c in text):
        raise Bad("holds a space, or a character that no header can carry")
    return Secret(text)


def _secret_key(text: str) -> Secret:
    if len(text) < KEY_LENGTH_MIN:
        raise Bad(f"is shorter than {KEY_LENGTH_MIN} characters")
    return Secret(text)


def _secret_keys(items: list[str]) -> tuple[Secret, ...]:
    keys = tuple(_secret_key(item) for item in items if item)
    if len({key.reveal() for key in keys}) != len(keys):
        raise Bad("names the same key twice")
    return keys


def _link_schemes(items: list[str]) -> tuple[str, ...]:
    schemes = tuple(item.lower() for item in items)
    if not all(_SCHEME.fullmatch(scheme) for scheme in schemes):
        raise Bad('expected names of link schemes, such as "myapp", without the colon')
    if _RUNS_CODE & set(schemes):
        raise Bad(f"{', '.join(sorted(_RUNS_CODE & set(schemes)))}: such a link runs code where it is opened")
    return schemes


def _origins(items: list[str]) -> tuple[str, ...]:
    origins = tuple(item.lower().rstrip("/") for item in items)
    if not all(_ORIGIN.fullmatch(origin) for origin in origins):
        raise Bad(f"expected {ORIGINS.label}")
    return origins


def _networks(items: list[str]) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(item)) for item in items)
    except ValueError:
        raise Bad(f"expected {NETWORKS.label}") from None


def _unique(items: list[str]) -> tuple[str, ...]:
    repeated = sorted({item for item in items if items.count(item) > 1})
    if repeated:
        raise Bad(f"names {', '.join(repeated)} twice")
    return tuple(items)


def _some(items: list[str]) -> tuple[str, ...]:
    if not items:
        raise Bad("names no provider; without the route, the channel's providers are taken in the order of the file")
    return _unique(items)


def _word(text: str) -> str:
    if not text or len(text) > 64 or re.search(r"[\s\x00-\x1f\x7f]", text):
        raise Bad("expected a name of 1 to 64 characters without spaces")
    return text


def _policy(text: str) -> str:
    if text in ("weighted", "cheapest", "fastest"):
        raise Bad(f'policy "{text}" is not supported yet by this version; "order" is')
    if text != "order":
        raise Bad('expected "order"')
    return text


def _between(low: float, high: float, *, open_low: bool = False, open_high: bool = False) -> Callable[[float], float]:
    """A check of bounds, for whole numbers and others."""

    def check(value: float) -> float:
        if value < low or value > high or (open_low and value == low) or (open_high and value == high):
            raise Bad(f"must be {'above' if open_low else 'at least'} {low:g} and {'below' if open_high else 'at most'} {high:g}")
        return value

    return check


TEXT = Kind("a text", "text")
WORD = Kind("a name", "text", _word)
DURATION = Kind("a duration such as 90s, 10m, 36h or 7d", "text", positive_duration_s)
RATE = Kind("a rate such as 100/s, 30/min, 500/h or 10000/day", "text", _rate)
LISTEN = Kind("an address to listen on such as 127.0.0.1:8420 or [::1]:8420", "text", _listen)
WEB_URL = Kind("an address such as https://notify.example.com", "text", web_url)
BUS_URL = Kind("a bus's address", "text", _engine_url(engines.SQLITE, engines.RABBITMQ, engines.SQS))
STORE_URL = Kind("a store's address", "text", _engine_url(engines.SQLITE, engines.POSTGRESQL))
ADMIN_KEY = Kind("a key of 32 characters or more", "text", _admin_key)
METRICS_KEY = Kind("a key", "text", _metrics_key)
SECRET_KEY = Kind("a key of 32 characters or more", "text", _secret_key)
SECRET_KEYS = Kind("a list of keys", "list", _secret_keys)
LINK_SCHEMES = Kind("a list of link schemes", "list", _link_schemes)
ORIGINS = Kind("a list of origins such as https://app.example.com: a scheme, a host, perhaps a port", "list", _origins)
NETWORKS = Kind("a list of addresses and networks such as 10.0.0.7 or 10.0.0.0/8", "list", _networks)
CHANNELS = Kind("a list of channels", "list", _unique)
PROVIDERS = Kind("a list of providers", "list", _some)
TEXTS = Kind("a list of texts", "list", tuple)
POLICY = Kind('"order"', "text", _policy)
CONCURRENCY = Kind("a whole number", "integer", _between(1, 100_000))
ATTEMPTS = Kind("a whole number", "integer", _between(1, 1_000))
FAILURES = Kind("a whole number", "integer", _between(1, 1_000_000))
SECONDS = Kind("a number of seconds", "number", _between(0, 31_536_000))
SECONDS_ABOVE_ZERO = Kind("a number of seconds", "number", _between(0, 31_536_000, open_low=True))
PROBE_SECONDS = Kind("a number of seconds", "number", _between(0, 30, open_low=True))
SHARE = Kind("a share between 0 and 1", "number", _between(0, 1, open_low=True))
RESERVED_SHARE = Kind("a share between 0 and 1", "number", _between(0, 1, open_high=True))
PORT = Kind("a port", "integer", _between(1, 65_535))


_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- names of it, nothing listens here


def address_of(host: str, port: int) -> str:
    """How a process on this machine calls an address that is listened on."""
    host = _EVERYWHERE.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
