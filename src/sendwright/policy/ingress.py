"""What a producer published to the bus instead of posting it: a payload, or a CloudEvent that carries one.

CloudEvents 1.0, structured (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md): `specversion`, `type`
`sendwright.notification`, `source`, `id`, and the payload as `data`. Its `source` and `id`, with a `#` between them, are the
idempotency key. A plain payload has its own `idempotency_key`, or else the id of the bus's message: without one, a message
that comes twice could not be known.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from sendwright.model.types import NOTHING, Referred
from sendwright.policy.admission import Admitted, Refused, Rules, admit, as_before
from sendwright.policy.idempotency import KEY_MAX
from sendwright.policy.payload_schema import Fault
from sendwright.policy.strict_json import too_deep, twice_named

TYPE = "sendwright.notification"
BODY_MAX = 1 << 20
"""Bytes of a message, as of a posted body."""

_KEY = re.compile(r"[\x20-\x7e]+")


class _Event(Struct):
    """A CloudEvent, as far as it concerns us. Other attributes are its producer's own."""

    specversion: str
    type: str
    source: str
    id: str
    data: Raw | UnsetType = UNSET


_EVENT = msgspec.json.Decoder(_Event)


class Wanted(Struct, frozen=True):
    """A notification that was found right. `again`: only as the repeat of one that was."""

    admitted: Admitted
    key: str
    again: Refused | None = None


def notification_in(raw: bytes) -> bytes:
    """The notification of a message, in its event or by itself, whose type and layouts are to be looked up; none of one that is
    refused without."""
    event = _event_of(raw) if len(raw) <= BODY_MAX else _NO_ID
    if isinstance(event, Refused):
        return b""
    return raw if event is None else bytes(event.data)  # type: ignore[arg-type]  # one without data is refused


def wanted(
    raw: bytes, message_id: str | None, rules: Rules, live: Collection[str], now_ms: int, found: Referred = NOTHING
) -> Wanted | Refused:
    """Judges one message's body, by the same rules as a posted one. `found` is what its notification names (`notification_in`)."""
    if len(raw) > BODY_MAX:
        return Refused(413, "too_large", f"The body must have at most {BODY_MAX} bytes.")
    event = _event_of(raw)
    if isinstance(event, Refused):
        return event
    body, named = (raw, message_id) if event is None else (bytes(event.data), f"{event.source}#{event.id}")  # type: ignore[arg-type]
    admitted = admit(body, rules, live, now_ms, found)
    before = as_before(body) if isinstance(admitted, Refused) and admitted.status == 422 else None
    right = before if isinstance(admitted, Refused) else admitted
    if right is None:
        return admitted  # type: ignore[return-value]  # it is a refusal
    inside = right.payload.idempotency_key
    key = inside if event is None and not isinstance(inside, UnsetType) else named
    if not key or len(key) > KEY_MAX or not _KEY.fullmatch(key):
        return _NO_ID if not key else _BAD_ID
    return Wanted(right, key, admitted if isinstance(admitted, Refused) else None)


def _event_of(raw: bytes) -> _Event | Refused | None:
    """The event; None for what is none (a payload has no `specversion`)."""
    try:
        event = _EVENT.decode(raw)
        strange = too_deep(raw) or twice_named(raw) is not None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if strange:
        return None  # as a payload it is refused for that
    faults = []
    if not event.specversion.startswith("1."):
        faults.append(Fault("#/specversion", "invalid_value", "must be 1.0"))
    if event.type != TYPE:
        faults.append(Fault("#/type", "invalid_value", f"must be {TYPE}"))
    if not event.source or not event.id:
        faults.append(Fault("#", "required", "source and id must not be empty"))
    if isinstance(event.data, UnsetType):
        faults.append(Fault("#/data", "required", "must hold the notification"))
    return Refused(422, "invalid_request", "The event is not a notification.", tuple(faults)) if faults else event


_NO_ID = Refused(
    422, "invalid_request", "It needs an id: `idempotency_key`, a CloudEvent's `source` and `id`, or the message's own id."
)
_BAD_ID = Refused(422, "invalid_request", f"Its id must be printable ASCII, of at most {KEY_MAX} characters.")
