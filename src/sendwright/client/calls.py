"""The calls as values, what their answers mean, and when to try again: no socket, no clock.

The two clients differ in how they wait and in nothing else; what they have in common is here.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from sendwright.client.answers import (
    Cancelled,
    DeadLetter,
    Event,
    Fault,
    Handled,
    Message,
    Moved,
    Notification,
    Outcomes,
    Page,
    Provider,
    Taken,
)
from sendwright.client.errors import ApiError

T = TypeVar("T")

Query = Mapping[str, str | int | bool | None]

TRIES = 5
"""Times that a call is made at the most."""
BASE_S = 0.25
CAP_S = 20.0
PAGE = 100
PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same call may fare better."""


class Call(Struct, Generic[T], frozen=True):
    """One call. `repeatable`: made twice it does no more than once."""

    method: str
    path: str
    answer: type[T]
    query: Query = {}
    body: Any = None
    headers: Mapping[str, str] = {}
    repeatable: bool = True

    def __repr__(self) -> str:
        return f"Call({self.method} {self.path})"

    @property
    def content(self) -> bytes | None:
        return None if self.body is None else msgspec.json.encode(self.body)

    @property
    def params(self) -> dict[str, str]:
        return {name: _said(value) for name, value in self.query.items() if value is not None}

    def at(self, cursor: str | None) -> Call[T]:
        return msgspec.structs.replace(self, query={**self.query, "cursor": cursor})


def _said(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def read(call: Call[T], status: int, headers: Mapping[str, str], body: bytes) -> T:
    """The answer. Raises `ApiError` for one that is no success, or can't be read."""
    if not 200 <= status < 300:
        raise problem(status, headers, body)
    try:
        found = msgspec.json.decode(body or b"null", type=call.answer)
    except msgspec.MsgspecError:
        raise ApiError(status, "unreadable", "the answer can't be read", (), headers.get("request-id"), None) from None
    if isinstance(found, Taken) and headers.get("idempotency-replayed") == "true":
        return msgspec.structs.replace(found, replayed=True)
    return found


class _Problem(Struct):
    code: str = ""
    detail: str = ""
    title: str = ""
    errors: list[Fault] = []


def problem(status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    try:
        said = msgspec.json.decode(body, type=_Problem)
    except msgspec.MsgspecError:
        said = _Problem(code="unreadable", detail="the answer is no problem document")
    wait_s = _seconds(headers.get("retry-after"))
    return ApiError(status, said.code, said.detail or said.title, said.errors, headers.get("request-id"), wait_s)


def _seconds(text: str | None) -> float | None:
    """Of `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3)."""
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def wait_s(call: Call[Any], tried: int, asked_s: float | None, draw: float) -> float | None:
    """Seconds until the next try; None when there is none. `tried` counts from 1, `draw` is between 0 and 1."""
    if not call.repeatable or tried >= TRIES:
        return None
    waits: float = draw * min(CAP_S, BASE_S * 2 ** (tried - 1))
    return max(waits, asked_s) if asked_s is not None and asked_s <= CAP_S else None if asked_s is not None else waits


def after(call: Call[Any], tried: int, error: ApiError) -> float | None:
    """The same for an answer that is no success."""
    return wait_s(call, tried, error.retry_after_s, random.random()) if error.status in PASSING else None  # noqa: S311 -- jitter


def after_silence(call: Call[Any], tried: int) -> float | None:
    """The same where no answer came."""
    return wait_s(call, tried, None, random.random())  # noqa: S311 -- jitter


# The calls


def send(to: Any, key: str | None, fields: Mapping[str, Any]) -> Call[Taken]:
    """Under a key of its own, unless one is given: a repeat is then known as one."""
    said = {name: value for name, value in fields.items() if value is not None}
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    return Call("POST", "/v1/notifications", Taken, body={"to": to, **said}, headers=headers)


def batch(notifications: Sequence[Mapping[str, Any]]) -> Call[Outcomes]:
    keyed = [{"idempotency_key": uuid.uuid4().hex, **notification} for notification in notifications]
    return Call("POST", "/v1/notifications/batch", Outcomes, body={"notifications": keyed})


def notification(id_: str) -> Call[Notification]:
    return Call("GET", f"/v1/notifications/{part(id_)}", Notification)


def notifications(query: Query) -> Call[Page[Notification]]:
    return Call("GET", "/v1/notifications", Page[Notification], query={"limit": PAGE, **query})


def message(id_: str) -> Call[Message]:
    return Call("GET", f"/v1/messages/{part(id_)}", Message)


def messages(query: Query) -> Call[Page[Message]]:
    return Call("GET", "/v1/messages", Page[Message], query={"limit": PAGE, **query})


def cancel(id_: str) -> Call[Cancelled]:
    """A notification's id, or a message's."""
    kind = "messages" if id_.startswith("msg_") else "notifications"
    return Call("POST", f"/v1/{kind}/{part(id_)}/cancel", Cancelled)


def resend(id_: str) -> Call[Moved]:
    return Call("POST", f"/v1/messages/{part(id_)}/resend", Moved, repeatable=False)


def resolve(id_: str, verdict: str) -> Call[Moved]:
    return Call("POST", f"/v1/messages/{part(id_)}/resolve", Moved, body={"as": verdict}, repeatable=False)


def providers() -> Call[Page[Provider]]:
    return Call("GET", "/v1/providers", Page[Provider], query={"limit": PAGE})


def switch(name: str, patch: Mapping[str, Any]) -> Call[Provider]:
    return Call("PATCH", f"/v1/providers/{part(name)}", Provider, body=dict(patch))


def dead(query: Query) -> Call[Page[DeadLetter]]:
    return Call("GET", "/v1/dead", Page[DeadLetter], query={"limit": PAGE, **query})


def handle(what: str, ids: Sequence[str] | None, filters: Mapping[str, str] | None) -> Call[Handled]:
    """`what` is `replay` or `drop`. A replay twice at once sends once; a repeat of one that was heard sends again."""
    if (ids is None) == (filters is None):
        raise ValueError("name ids or filters, and not both")
    body: dict[str, Any] = {"filters": dict(filters)} if filters is not None else {"ids": list(ids or ())}
    return Call("POST", f"/v1/dead/{what}", Handled, body=body, repeatable=what == "drop")


def part(id_: str) -> str:
    """As one part of a path, whatever is in it."""
    return quote(id_, safe="")


# The stream


class Stream:
    """Events out of the lines of a server-sent stream (HTML, section 9.2)."""

    def __init__(self) -> None:
        self.last: str | None = None
        """Where to resume."""
        self._id = self._type = ""
        self._data: list[str] = []

    def line(self, line: str) -> Event | None:
        """The event that this line ends, if it does."""
        if not line:
            return self._event()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self._id = value
        elif name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        return None

    def _event(self) -> Event | None:
        text, type_ = "\n".join(self._data), self._type
        self._data, self._type = [], ""
        if not text:
            return None
        self.last = self._id or self.last
        try:
            body = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.MsgspecError:
            return None
        return Event(id=self._id, type=type_, body=body)
