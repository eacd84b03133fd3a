"""Where the bus is, from its URL, and how its queues are called.

    sqs://?region=eu-central-1&prefix=prod-&endpoint=http://127.0.0.1:9324

Credentials are never part of it: they come from the usual chain (environment, profile, role of the machine).
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from sendwright.errors import OperatorError, SettingsError

SIZE_LIMIT = 1024 * 1024
"""Most bytes of a message with its attributes, and of all messages of a batch together: 1 MiB since August 2025.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""
SIZE_MIN = 4096
NAME_MAX = 80
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html"""
DEAD = "dead"
INTAKE = "intake"


class SqsAddress(Struct, frozen=True):
    """The bus's URL, parsed, and what is not asked of the operator."""

    region: str | None = None
    """None: as the chain of the credentials says."""
    endpoint: str | None = None
    prefix: str = ""
    size_max: int = 256 * 1024
    """Bytes of a message, and of a batch. The old limit, which every endpoint and policy in between lets through."""
    visibility_s: int = 10
    """How long a message is kept from others between two heart-beats: as soon is a dead worker's work taken over."""
    wait_s: int = 20
    """How long one poll waits. 0 asks and goes, and is for tests only."""
    receives_max: int = 100
    """As often a bundle is handed out before it goes to the dead queue. A crash counts for everything that the process had
    been sent, not only for what broke it, hence far more than any poison needs."""
    call_s: float = 5.0
    """Time limit of one call; a poll has `wait_s` on top."""
    within_s: float = 10.0
    """Time limit of what a caller waits for, with all its repetitions; then it is `BusDown`."""
    survey_s: float = 3.0
    """How often the lanes in use are counted."""


_WORDS = ("region", "endpoint", "prefix", "size_max")
_PREFIX = re.compile(r"[A-Za-z0-9_-]{0,40}")
_REGION = re.compile(r"[a-z0-9-]{1,40}")


def sqs_address(url: str) -> SqsAddress:
    """Raises `SettingsError` with every fault of the URL."""
    parts = urlsplit(url)
    faults: list[str] = []
    if parts.scheme != "sqs" or parts.netloc or parts.path.strip("/") or parts.fragment:
        faults.append("expected sqs://?region=…&endpoint=…&prefix=…, with no host, user or path")
    given = parse_qsl(parts.query, keep_blank_values=True)
    known = dict(given)
    if len(known) < len(given):
        faults.append("an option is given twice")
    faults += [f"unknown option {word!r}; known are {', '.join(_WORDS)}" for word in known if word not in _WORDS]
    if not _PREFIX.fullmatch(known.get("prefix", "")):
        faults.append("prefix: letters, digits, - and _ only, at most 40 of them")
    if known.get("region") and not _REGION.fullmatch(known["region"]):
        faults.append("region: expected a name such as eu-central-1")
    endpoint = urlsplit(known.get("endpoint", ""))
    if known.get("endpoint") and (endpoint.scheme not in {"http", "https"} or not endpoint.hostname or endpoint.username):
        faults.append("endpoint: expected http:// or https:// and a host, without a user")
    size = known.get("size_max", str(SqsAddress().size_max))
    if not size.isdecimal() or not SIZE_MIN <= int(size) <= SIZE_LIMIT:
        faults.append(f"size_max: expected bytes from {SIZE_MIN} to {SIZE_LIMIT}")
    if faults:
        raise SettingsError([("bus.url", fault) for fault in faults])
    return SqsAddress(
        region=known.get("region") or None,
        endpoint=known.get("endpoint") or None,
        prefix=known.get("prefix", ""),
        size_max=int(size),
    )


def spelled(lane: str) -> str:
    """A lane's name in characters that a queue's name may have: `sms.high` is `sms-high`, anything else than letters,
    digits and dots is `_` and two hexadecimal digits for each of its bytes. No two lanes are spelled alike."""
    return "".join(_spell(sign) for sign in lane)


def _spell(sign: str) -> str:
    if sign == ".":
        return "-"
    return sign if sign.isascii() and sign.isalnum() else "".join(f"_{byte:02x}" for byte in sign.encode())


def unspelled(name: str) -> str:
    """The lane of a spelled name; raises `ValueError` where it is none."""
    raw = re.sub(rb"_([0-9a-f]{2})", lambda found: bytes((int(found[1], 16),)), name.replace("-", ".").encode("ascii"))
    return raw.decode()


def queue_name(prefix: str, lane: str) -> str:
    """Raises `OperatorError` when it is too long for SQS."""
    name = prefix + spelled(lane)
    if len(name) > NAME_MAX:
        raise OperatorError(
            f"the lane {lane!r} needs the queue name {name!r}, and SQS allows {NAME_MAX} characters: shorten the prefix"
        )
    return name
