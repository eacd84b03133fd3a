"""`POST /v1/notifications`, ahead of every framework: the one call that a flood consists of.

Headers are found by their bytes, the body is decoded straight into its struct, the common payload is recognised by a
few cheap tests, and the 202 is put together by hand. What is not common takes the long way in `admit`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from sendwright.errors import Unavailable
from sendwright.model.notification import Payload
from sendwright.model.records import Absent, Conflict, Running, Taken
from sendwright.model.types import NOTHING, Referred
from sendwright.policy.admission import Admitted, Refused, admit, as_before
from sendwright.policy.payload_schema import KEY_MAX
from sendwright.web.api import problems
from sendwright.web.api.auth import Caller, Keys, require_own
from sendwright.web.api.problems import Refusal, together
from sendwright.web.api.reading import read_query
from sendwright.web.api.services import Services
from sendwright.web.api.wire import (
    TWICE,
    Gone,
    Header,
    Receive,
    Scope,
    Send,
    always,
    headers_of,
    read_body,
    refuse,
    request_id,
    require_json,
    too_large,
    trace_of,
)

PATH = "/v1/notifications"

_KEY = re.compile(r"[\x20-\x7e]+")


class Judged(Struct, frozen=True):
    """A call that was found right and is being made durable."""

    payload: Payload
    request_id: str
    begun: Awaitable[Taken | Conflict | Running | Absent]
    limits: bytes = b""
    """Header lines that say what is left of a key's rate."""


class PostNotification:
    """The hot call: its three steps for whoever has the bytes at hand (front.py), and itself as an ASGI function."""

    def __init__(self, services: Services, keys: Keys) -> None:
        self._services = services
        self._keys = keys
        self._always = always(services.public_url)
        self._taken = b"HTTP/1.1 202 Accepted\r\n" + _lines((b"content-type", b"application/json"), *self._always)
        self._replayed = self._taken + _lines((b"idempotency-replayed", b"true"))

    def judge(self, fields: Iterable[tuple[bytes, bytes]], raw: bytes) -> Judged:
        """Lets a call in and begins to make it durable. Raises `Refusal`, and then nothing was begun, and no rate was used but by
        who had none left."""
        headers = headers_of(fields)
        services = self._services
        caller = self._keys.acting(self._keys.recalled(headers), headers)
        caller.require("send")
        require_json(headers)
        if len(raw) > services.body_max:
            raise too_large(services.body_max)
        admitted = self._admitted(raw, self._seen(caller.tenant, raw))
        key = key_of(headers, admitted.payload.idempotency_key)
        limits = _lines(*self._keys.counted(caller)) if caller.key is not None else b""
        begun = services.accept.begin(caller.tenant, admitted.payload, admitted.raw, key, trace_of(headers))
        return Judged(admitted.payload, request_id(headers), begun, limits)

    def over(self, judged: Judged, taken: Taken | Conflict | Running | Absent) -> bytes:
        """The whole 202. Raises `Refusal` where the key stands for something else."""
        self._services.accept.over(taken)
        inside = judged.payload.idempotency_key is not UNSET
        if isinstance(taken, Conflict):
            raise problems.mismatch(inside=inside)
        if isinstance(taken, Running):
            raise problems.in_progress(taken.after_s, inside=inside)
        if isinstance(taken, Absent):
            raise TypeError("only a repeat has no answer")
        body = b'{"id":"%b","state":"accepted","message_count":%d}' % (taken.id.encode(), message_count(judged.payload))
        return b"%b%bcontent-length: %d\r\nlocation: /v1/notifications/%b\r\nrequest-id: %b\r\n\r\n%b" % (
            self._replayed if taken.replayed else self._taken,
            judged.limits,
            len(body),
            taken.id.encode(),
            judged.request_id.encode(),
            body,
        )

    def refused(self, refusal: Refusal, given: str) -> bytes:
        """The whole answer with a problem document; `given` is the request's id."""
        body = refusal.encoded(given)
        head = b"HTTP/1.1 %d %b\r\n" % (refusal.status, HTTPStatus(refusal.status).phrase.encode())
        fields = (
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"request-id", given.encode()),
            *refusal.headers,
            *self._always,
        )
        return head + _lines(*fields) + b"\r\n" + body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope["headers"])
        given = request_id(headers)
        services = self._services
        common = self._always
        try:
            known = await self._keys.known(headers)
            known.require("send")  # before anything else is said about the request
            require_own(known, headers)
            limits = self._keys.counted(known)
            common += limits
            require_json(headers)
            raw = await read_body(headers, receive, services.body_max, services.body_within_s)
            answer = await self._answered(known, headers, scope["query_string"], raw, given, limits)
        except Refusal as refusal:
            await refuse(refusal, given, common, receive, send)
        except Unavailable as fault:
            await refuse(problems.unavailable(fault), given, common, receive, send)
        except Gone:
            return
        else:
            await _send(answer, send)

    async def _answered(
        self, known: Caller, headers: dict[bytes, bytes], query: bytes, raw: bytes, given: str, limits: tuple[Header, ...]
    ) -> bytes:
        """The long way: everything is looked at before anything is refused."""

        def head() -> list[Any]:
            return together(
                lambda: self._keys.acting(known, headers),
                lambda: read_query(None, query),
                lambda: key_of(headers, _key_in(raw)),
            )

        found = await self._found(known, headers, raw)
        try:
            (caller, _, key), admitted = together(head, lambda: self._admitted(raw, found))
        except Refusal as refusal:
            return await self._again(head, raw, given, refusal, limits)
        begun = self._services.accept.begin(caller.tenant, admitted.payload, admitted.raw, key, trace_of(headers))
        return self.over(Judged(admitted.payload, given, begun, _lines(*limits)), await begun)

    async def _again(
        self, head: Callable[[], list[Any]], raw: bytes, given: str, refusal: Refusal, limits: tuple[Header, ...]
    ) -> bytes:
        """The answer to what is refused now, where its body alone is at fault and its key stands for something; else the
        refusal."""
        before = as_before(raw) if refusal.status == 422 else None
        if before is None:
            raise refusal
        try:
            caller, _, key = head()
        except Refusal:
            raise refusal from None
        if key is None:
            raise refusal
        begun = self._services.accept.begin(caller.tenant, before.payload, before.raw, key, repeat=True)
        found = await begun
        if isinstance(found, Absent):
            raise refusal
        return self.over(Judged(before.payload, given, begun, _lines(*limits)), found)

    def _seen(self, tenant: str, raw: bytes) -> Referred:
        """What a body names, where that can be said at once."""
        found = self._services.catalogue.seen(tenant, raw)
        if found is None:
            raise Refusal(503, "unavailable", "The type is looked up.")  # which the long way does; nobody is told this
        return found

    async def _found(self, known: Caller, headers: dict[bytes, bytes], raw: bytes) -> Referred:
        """What a body names; nothing where nobody can say whose it would be."""
        try:
            tenant = self._keys.acting(known, headers).tenant
        except Refusal:
            return NOTHING  # refused for that
        return await self._services.catalogue.found(tenant, raw)

    def _admitted(self, raw: bytes, found: Referred) -> Admitted:
        services = self._services
        admitted = admit(raw, services.rules, services.channels(), services.clock.now_ms(), found)
        if isinstance(admitted, Refused):
            raise problems.of_body(admitted)
        return admitted


def _lines(*fields: tuple[bytes, bytes]) -> bytes:
    return b"".join(b"%b: %b\r\n" % field for field in fields)


async def _send(answer: bytes, send: Send) -> None:
    """An answer that was put together whole, in ASGI's two pieces."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    fields = [tuple(line.split(b": ", 1)) for line in lines]
    await send({"type": "http.response.start", "status": int(first.split()[1]), "headers": fields})
    await send({"type": "http.response.body", "body": body})


def message_count(payload: Payload) -> int:
    return len(payload.recipients()) if isinstance(payload.to, list) else 1


def key_of(headers: Mapping[bytes, bytes], inside: str | UnsetType) -> str | None:
    """The idempotency key of the header or of the body; both must agree."""
    header = headers.get(b"idempotency-key")
    if header is None:
        return None if isinstance(inside, UnsetType) else inside
    if TWICE in header:
        raise problems.of_header("Idempotency-Key", "duplicate", "is given more than once")
    key = header.decode("latin-1").strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not 0 < len(key) <= KEY_MAX or not _KEY.fullmatch(key):
        raise problems.of_header(
            "Idempotency-Key", "invalid_idempotency_key", f"must have 1 to {KEY_MAX} printable ASCII characters"
        )
    if inside is not UNSET and inside != key:
        raise problems.of_header("Idempotency-Key", "conflict", "differs from the body's idempotency_key")
    return key


class _Keyed(Struct):
    idempotency_key: str | UnsetType = UNSET


def _key_in(raw: bytes) -> str | UnsetType:
    """The key of a body, whatever else is wrong with it."""
    try:
        return msgspec.json.decode(raw, type=_Keyed).idempotency_key
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return UNSET
