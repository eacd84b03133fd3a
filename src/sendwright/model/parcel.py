"""What travels on the bus: parcels as versioned JSON, and the bundles that carry many of them.

A bundle is a JSON array of parcels, all of one lane; it is joined and split here and nowhere else. A parcel holds
what a worker needs to handle one message, so that workers keep nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from sendwright.model.notification import Category, OnDoubt, Priority
from sendwright.model.people import Spoken
from sendwright.model.said import Said

FIRST = 1
"""What a parcel is of that does not say its version."""
WITH_DATA = 2
"""What a parcel is of that holds templates and their variables: who does not know of them would send them as they stand."""
VERSION = 2
"""The newest version that is read here. A later one is kept raw until somebody comes who reads it; and it is not written before
every live process reads it (engine/roll.py, `reads`)."""
PARCELS_MAX = 50
"""Most parcels in one bundle."""

BOUND_MS = 30_000
"""So long, at most, is nobody else asked while the provider that would know a repeat of a lost call can't be asked."""
APART_MS = 5_000
"""A time further ahead than this, of what is past, was told by a clock that was wrong: what was counted from it is void."""

INBOUND = "inbound"
"""The lane of the providers' receipts."""


class Intake(Struct, frozen=True, omit_defaults=True):
    """One accepted notification, not yet planned."""

    id: str
    tenant: str
    at: int
    """When it was accepted, in ms since 1970."""
    body: Raw
    """The payload as it was posted."""
    process: str = ""
    number: int = 0
    """The accepting process, and the how-manieth 202 of it this was (from 1)."""
    key: str | None = None
    trace: str | None = None
    v: int = FIRST

    def __repr__(self) -> str:
        return f"Intake({self.id})"


class Step(Struct, frozen=True, array_like=True):
    """One step of a message's plan: a channel and the address on it."""

    channel: str
    address: str

    def __repr__(self) -> str:
        return f"Step({self.channel})"


class Round(Struct, frozen=True, array_like=True):
    """What a message has learned of its step's providers since it last began to ask them. Times are ms since 1970.

    They may have been told by a clock that was ahead and has been set right: then nobody is left alone, bound or known by a key
    for as long as it was wrong, but not at all."""

    later: tuple[str, ...] = ()
    """Who said *later*: the others of the route first. Forgotten when all are asked anew."""
    refused: tuple[str, ...] = ()
    """Who refused, for a reason of its own: not asked again for this step."""
    asked_until: int = 0
    """The longest that any of them asked to be left alone."""
    keyed: str | None = None
    """Who may have taken it, an answer having been lost, and would know a repeat by its idempotency key."""
    keyed_number: int = 0
    """The number of the attempt that began that call."""
    keyed_until: int = 0
    """As long as it remembers the key."""
    bound_until: int = 0
    """As long as nobody else is asked instead."""
    asked_at: int = 0
    """When one of them last asked to be left alone."""
    alone: bool = False
    """It shares no call with others: one that it shared was refused for what some of them held."""

    @property
    def asked(self) -> tuple[str, ...]:
        """Whom there is no use in asking now."""
        return (*self.refused, *self.later)

    def anew(self, now: int) -> Round:
        """The next time round: who said *later* is asked again, unless one of them asked to be left alone for longer."""
        return self if self.alone_ms(now) else replace(self, later=())

    def alone_ms(self, now: int) -> int:
        """How much longer somebody asked to be left alone."""
        return max(0, self.asked_until - now) if self.asked_at <= now + APART_MS else 0

    def repeats(self, provider: str, now: int) -> int:
        """The number of the attempt of which a call of this provider would be known there as a repeat; 0 for none."""
        return self.keyed_number if provider == self.keyed and now < self.keyed_until and self._sound(now) else 0

    def bound(self, now: int) -> str | None:
        """The only one that may be asked now, where that is so."""
        return self.keyed if now < min(self.bound_until, self.keyed_until) and self._sound(now) else None

    def _sound(self, now: int) -> bool:
        """Whether the doubt is not of the future."""
        return self.bound_until <= now + BOUND_MS + APART_MS


FRESH = Round()


class Parcel(Struct, frozen=True, omit_defaults=True):
    """One message, ready to be sent. `step`, `number` say for which moment of its plan: an older one is refused."""

    id: str
    tenant: str
    steps: tuple[Step, ...]
    content: Said
    at: int
    priority: Priority = Priority.NORMAL
    step: int = 0
    number: int = 0
    """How many attempts had been claimed when this was published."""
    calls: int = 0
    """Calls made in this step, against `attempts_max`."""
    backoff_s: float = 0
    round: Round = FRESH
    since: int = 0
    """The number of the last attempt before a person had it sent again: what was said before is no repeat of this."""
    on_doubt: OnDoubt = "resend"
    expires_at: int | None = None
    wait: int = 0
    """The serial of the wait that it was promoted from, so that only that one is deleted."""
    trace: str | None = None
    about: dict[str, Any] | None = None
    """What templates see as `recipient`; None where there are none."""
    category: Category = "transactional"
    v: int = FIRST

    def __repr__(self) -> str:
        return f"Parcel({self.id}, step={self.step}, number={self.number})"

    @property
    def channel(self) -> str:
        return self.steps[self.step].channel

    @property
    def address(self) -> str:
        return self.steps[self.step].address


class Sighting(Struct, frozen=True, omit_defaults=True):
    """A verified receipt on its way to `observe`: one vendor's report of one attempt."""

    provider: str
    state: int
    """An `AttemptState`."""
    attempt: str | None = None
    ref: str | None = None
    reason: str | None = None
    detail: str = ""
    at: int = 0
    said: Spoken | None = None
    """No report of an attempt, but what a person says back; `state` and `attempt` mean nothing then."""
    happened: str = ""
    """What it reports beside the state (model/happenings.py), and `more` of that."""
    more: str = ""
    v: int = FIRST


def intake_lane(priority: Priority, *, aside: bool = False) -> str:
    """`aside`: the lane beside a crowded one, for tenants that are not the crowd."""
    return f"intake.aside.{priority.label}" if aside else f"intake.{priority.label}"


def lane(channel: str, priority: Priority) -> str:
    return f"{channel}.{priority.label}"


S = TypeVar("S")
T = TypeVar("T", Intake, Parcel, Sighting)

_ENCODER = msgspec.json.Encoder()
_RAW = msgspec.json.Decoder(list[Raw])
_BLANK = b" \t\r\n"
_SIGNS = re.compile(rb'"(?:[^"\\]|\\.)*"|[][{},"\\]', re.DOTALL)
"""Strings, whatever is in them; and what else tells one parcel from the next. A single quote begins a string that never ends."""
_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {kind: msgspec.json.Decoder(list[kind]) for kind in (Intake, Parcel, Sighting)}  # type: ignore[valid-type]


def pack(parcel: Intake | Parcel | Sighting) -> bytes:
    return _ENCODER.encode(parcel)


def bundle(parcels: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(parcels) + b"]"


class Strange(msgspec.ValidationError):
    """Of a later version: what it says may not be what it seems to."""

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(f"version {version} is not known here")


class _Versioned(Struct):
    v: int = FIRST


def unbundle(kind: type[T], body: bytes) -> list[T]:
    """The parcels of a bundle; raises `msgspec.DecodeError` when any of them is not one that we know (then see `split`)."""
    parcels: list[T] = _decoded(_DECODERS[kind].decode, body)
    for parcel in parcels:
        if not FIRST <= parcel.v <= VERSION:
            raise Strange(parcel.v)
    return parcels


def read(kind: type[T], raw: bytes) -> T:
    """One raw parcel; raises `msgspec.DecodeError` when it is not one that we know, `Strange` when it is of a later version."""
    version = _decoded(_reader(_Versioned), raw).v
    if version > VERSION:
        raise Strange(version)
    parcel = _decoded(_reader(kind), raw)
    if parcel.v < FIRST:
        raise msgspec.ValidationError(f"version {parcel.v} is none")
    return parcel


def glimpse(kind: type[S], raw: bytes) -> S | None:
    """Of a raw parcel, of whatever version, what `kind` has of it; None where that can't be read."""
    try:
        return _decoded(_reader(kind), raw)
    except msgspec.DecodeError:
        return None


def sound(raw: bytes) -> bool:
    """Whether a raw parcel is JSON by itself. One that is not may take the others of its bundle with it."""
    try:
        _decoded(msgspec.json.decode, raw)
    except msgspec.DecodeError:
        return False
    return True


def split(body: bytes) -> list[bytes]:
    """The raw parcels of a bundle, for handling each alone. A body that is no bundle at all is returned as the only one."""
    try:
        return [bytes(raw) for raw in _decoded(_RAW.decode, body)]
    except msgspec.DecodeError:
        return _torn(body) or [body]


def _reader(kind: type[S]) -> Callable[[bytes], S]:
    return partial(msgspec.json.decode, type=kind)


def _decoded(decode: Callable[[bytes], S], raw: bytes) -> S:
    """Raises `msgspec.DecodeError`, whatever is wrong with it."""
    try:
        return decode(raw)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError("it is not UTF-8") from error
    except RecursionError as error:
        raise msgspec.DecodeError("it is nested too deeply") from error


def _torn(body: bytes) -> list[bytes] | None:
    """A bundle taken apart by its quotes, brackets and commas alone, for one of its parcels may hold no more than that: half a
    character, say, or a thousand brackets. None where that makes no bundle of it."""
    body, depth, begun, pieces = body.strip(_BLANK), 0, 1, list[bytes]()
    for found in _SIGNS.finditer(body):
        sign = found[0]
        if len(sign) > 1:
            continue
        if sign in b'"\\' or (depth == 0 and (sign != b"[" or found.start())):
            return None
        depth += (sign in b"[{") - (sign in b"]}")
        if depth == 0 and sign != b"]":
            return None
        if depth == 0 or (depth == 1 and sign == b","):
            pieces.append(body[begun : found.start()].strip(_BLANK))
            begun = found.end()
    return pieces if depth == 0 and begun == len(body) and all(pieces) else None
