"""What a change makes of a recipient of the directory, and what the directory takes from a notification. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sendwright.model.notification import Recipient
from sendwright.model.people import Change, Known

_NO_ADDRESS = frozenset({"locale", "timezone"})
_CONVERTED = msgspec.json.Decoder(Recipient)


def members_of(recipient: Recipient) -> dict[str, Any]:
    """What a recipient says of itself, but for the id, by name, as JSON has it."""
    said: dict[str, Any] = msgspec.to_builtins(recipient)
    return {name: value for name, value in said.items() if value is not None and name != "id"}


def has_address(recipient: Recipient) -> bool:
    """Whether it says any address, rather than only whom it is about."""
    return not members_of(recipient).keys() <= _NO_ADDRESS


def merged(body: Mapping[str, Any] | None, change: Change) -> dict[str, Any]:
    """The members of a recipient (None: there is none yet) after a change. A list replaces a list."""
    kept = {} if body is None or change.whole else dict(body)
    kept.update(change.members)
    return {name: value for name, value in kept.items() if value is not None}


def overtaken(updated_at: int | None, change: Change) -> bool:
    """Whether the directory was written later than what the change is of."""
    return change.guarded and updated_at is not None and updated_at > change.at


def says_nothing_new(known: Known | None, change: Change) -> bool:
    """Whether writing the change would leave all as it is. Of guarded changes alone: what is asked for by a person is written."""
    if known is None or not change.guarded:
        return False
    body = members_of(known.recipient)
    return overtaken(known.updated_at, change) or merged(body, change) == body


def known_of(id_: str, body: bytes | str, created_at: int, updated_at: int) -> Known:
    """A row of the directory; `body` is the JSON of its members."""
    recipient = _CONVERTED.decode(body)
    return Known(msgspec.structs.replace(recipient, id=id_), created_at, updated_at)


def body_of(members: Mapping[str, Any]) -> str:
    """How a row keeps them."""
    return msgspec.json.encode(dict(sorted(members.items()))).decode()
