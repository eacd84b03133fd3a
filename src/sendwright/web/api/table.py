"""The shape of the route table: one row says everything about a call, and the description is made from the rows.

A handler gets an `Ask` whose key, scope, parameters and body have been judged, and returns a struct (JSON, with the
row's status), an `Answer` or a `Stream`. It ends otherwise by raising `Refusal`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from sendwright.policy.payload_schema import Fault
from sendwright.web.api.auth import Caller
from sendwright.web.api.cursors import Cursors
from sendwright.web.api.passes import Passes
from sendwright.web.api.services import Services
from sendwright.web.api.wire import Header

OPEN = "open"
"""No key."""
INBOX = "inbox"
"""No key, but a recipient's token."""
WATCH = "watch"
"""No key where the address is loopback, else the metrics key."""


class Described(Struct, frozen=True):
    """The table, as OpenAPI document and as page."""

    document: bytes
    page: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, judged as far as its route says."""

    services: Services
    cursors: Cursors
    described: Described
    passes: Passes
    caller: Caller
    params: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    request_id: str
    query: Any = None
    """The route's query struct."""
    head: Any = None
    """What the route's `head` made of the headers."""
    body: Any = None
    """The route's body struct, or bytes."""
    raw_path: str = ""
    """As it came, without the query."""
    raw_query: str = ""
    method: str = "GET"


class Answer(Struct, frozen=True):
    """An answer that is not simply JSON with the row's status."""

    status: int = 200
    body: bytes = b""
    media_type: str = "application/json"
    headers: tuple[Header, ...] = ()
    """Beside those of every answer, or in the place of those that have the same name."""
    csp: bytes | None = None


class Stream(Struct, frozen=True):
    """An answer without an end: `chunks` is closed when the caller hangs up."""

    chunks: AsyncIterator[bytes]
    media_type: str
    headers: tuple[Header, ...] = ()


Handler = Callable[[Ask], Awaitable[Any]]
Meant = Callable[[Services, Mapping[str, str], Mapping[str, Any]], Iterable[Fault]]
"""What is wrong with the members of a body, whatever their shape, given the path's parameters."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One row of the table. `scope` is `send`, `read`, `admin`, or one of the words above."""

    method: str
    path: str
    scope: str
    summary: str
    tag: str
    handler: Handler | None = None
    """None: answered ahead of the table (hot.py)."""
    answer: Any = None
    """Struct of the JSON answer; None: no body, or what `media_type` says."""
    status: int = 200
    media_type: str = "application/json"
    query: type[Struct] | None = None
    body: Any = None
    """Struct of the JSON body; `bytes`: raw, of any type."""
    optional: bool = False
    """The body may be left out, and is then one without members."""
    body_max: int | None = None
    """Most bytes of the body, where that is less than usual."""
    itemised: bool = False
    """The body is a list of items that are judged one by one, and may be as large as a batch."""
    of_all: bool = False
    """It concerns all tenants: beside the scope it takes the admin key, or a key of the tenant `default`."""
    judged_whole: bool = False
    """The handler gets the body's bytes, and judges the shape along with all the rest."""
    meant: Meant | None = None
    """Asked where the shape is wrong, so that all faults are listed at once. Where it is right the handler asks it itself."""
    errors: tuple[int, ...] = ()
    """Statuses beyond those that follow from the row itself."""
    headers: tuple[str, ...] = ()
    """Request headers with a meaning here, beside the usual."""
    head: Callable[[Mapping[bytes, bytes]], Any] | None = None
    """Reads them; raises `Refusal` (422)."""
    answer_headers: tuple[str, ...] = ()
