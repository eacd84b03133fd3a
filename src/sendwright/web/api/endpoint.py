"""One path of the table as an ASGI application: method, key, scope, body, then what everything says; handler, answer.

The order is part of the promise: nobody without a key learns more than that a path exists, and nothing is read from
a body before it is known who sends it. The faults of headers, query and body are listed together.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from sendwright.errors import Unavailable
from sendwright.web.api import problems
from sendwright.web.api.auth import ADMIN_TENANT, Caller, Keys, require_own, unauthenticated
from sendwright.web.api.cursors import Cursors
from sendwright.web.api.passes import Passes
from sendwright.web.api.problems import Refusal, together
from sendwright.web.api.reading import read_items, read_json, read_query
from sendwright.web.api.services import Services
from sendwright.web.api.table import INBOX, OPEN, WATCH, Answer, Ask, Call, Described, Stream
from sendwright.web.api.wire import (
    Gone,
    Header,
    Receive,
    Scope,
    Send,
    always,
    answer,
    headers_of,
    read_body,
    refuse,
    request_id,
    require_json,
)

_LOG = structlog.get_logger("sendwright.api")
_ENCODER = msgspec.json.Encoder()
_PREFLIGHT: tuple[Header, ...] = (
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"authorization, content-type, last-event-id"),
    (b"access-control-max-age", b"600"),
)
_NOBODY = Caller(ADMIN_TENANT, frozenset())


class Endpoint:
    """All calls of one path."""

    def __init__(
        self, calls: Sequence[Call], services: Services, keys: Keys, cursors: Cursors, passes: Passes, described: Described
    ) -> None:
        self._calls = {call.method: call for call in calls}
        self._services = services
        self._keys = keys
        self._cursors = cursors
        self._passes = passes
        self._described = described
        self._always = always(services.public_url)
        methods = sorted({*self._calls, *(["HEAD"] if "GET" in self._calls else [])})
        self._allow: tuple[Header, ...] = ((b"allow", ", ".join(methods).encode()),)
        self._origins = services.inbox_origins if any(call.scope == INBOX for call in calls) else frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope["headers"])
        given = request_id(headers)
        common = self._always + self._shared_with(headers)
        try:
            if scope["method"] == "OPTIONS" and len(common) > len(self._always):
                return await answer(send, HTTPStatus.NO_CONTENT, [*common, *_PREFLIGHT, (b"request-id", given.encode())], b"")
            call = self._called(scope["method"])
            known = await self._admitted(call, headers)
            common += self._keys.counted(known)
            done = await self._handled(call, known, scope, headers, given, receive)
            await self._answered(call, done, common, given, receive, send)
        except Gone:
            return None
        except Refusal as refusal:
            await refuse(refusal, given, common, receive, send)
        except Unavailable as fault:
            await refuse(problems.unavailable(fault), given, common, receive, send)

    def _shared_with(self, headers: dict[bytes, bytes]) -> tuple[Header, ...]:
        """What lets a page of another origin read the answer, where that origin is in the settings. Tokens come in a header, so no
        cookie is asked for. https://fetch.spec.whatwg.org/#http-cors-protocol"""
        origin = headers.get(b"origin", b"")
        if not self._origins or origin.decode("latin-1") not in self._origins:
            return ()
        return ((b"access-control-allow-origin", origin), (b"access-control-expose-headers", b"request-id"), (b"vary", b"origin"))

    def _called(self, method: str) -> Call:
        call = self._calls.get("GET" if method == "HEAD" else method)
        if call is None:
            raise Refusal(405, "method_not_allowed", f"This path does not take {method[:20]}.", headers=self._allow)
        return call

    async def _handled(
        self, call: Call, known: Caller, scope: Scope, headers: dict[bytes, bytes], given: str, receive: Receive
    ) -> Any:
        if call.handler is None or (call.scope != OPEN and any("\0" in value for value in scope["path_params"].values())):
            raise problems.not_found()
        raw = await self._raw(call, headers, receive)
        caller, head, query, body = together(
            lambda: known if call.scope in (OPEN, WATCH, INBOX) else self._keys.acting(known, headers),
            lambda: None if call.head is None else call.head(headers),
            lambda: None if call.body is bytes else read_query(call.query, scope["query_string"]),
            lambda: _said(call, raw, self._services, scope["path_params"]),
        )
        ask = Ask(
            services=self._services,
            cursors=self._cursors,
            passes=self._passes,
            described=self._described,
            caller=caller,
            params=scope["path_params"],
            headers=headers,
            request_id=given,
            query=query,
            head=head,
            body=body,
            raw_path=(scope.get("raw_path") or scope["path"].encode()).decode("latin-1"),
            raw_query=scope["query_string"].decode("latin-1"),
            method=scope["method"],
        )
        try:
            return await call.handler(ask)
        except (Refusal, Unavailable, asyncio.CancelledError):
            raise
        except Exception as fault:  # noqa: BLE001 -- the rim: nothing of it may reach the caller, all of it the log
            _log(call, given, fault)
            raise problems.internal() from None

    async def _admitted(self, call: Call, headers: dict[bytes, bytes]) -> Caller:
        """Who was let in, before anything else is said about the request."""
        if call.scope == WATCH and not (self._services.docs_open or self._keys.may_watch(headers)):
            raise unauthenticated()
        if call.scope in (OPEN, WATCH):
            return _NOBODY
        if call.scope == INBOX:
            return self._passes.holder(headers, self._services.clock.now_ms())
        known = await self._keys.known(headers)
        known.require(call.scope)
        if call.of_all:
            known.require_all()
        require_own(known, headers)
        return known

    async def _raw(self, call: Call, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The body as it came; empty for a call that takes none."""
        services = self._services
        if call.body is None:
            return b""
        if call.body is not bytes and not call.optional:
            require_json(headers)
        cap = services.batch_body_max if call.itemised else services.body_max
        raw = await read_body(headers, receive, min(call.body_max or cap, cap), services.body_within_s)
        if call.optional and raw:
            require_json(headers)
        return raw

    async def _answered(self, call: Call, done: Any, guards: tuple[Header, ...], given: str, receive: Receive, send: Send) -> None:
        if isinstance(done, Stream):
            return await self._streamed(done, guards, given, receive, send)
        if isinstance(done, Struct) and not isinstance(done, Answer):
            done = Answer(call.status, _ENCODER.encode(done))
        common = guards if done.csp is None else always(self._services.public_url, done.csp)
        own = {name for name, _ in done.headers}
        headers = [*(field for field in common if field[0] not in own), *done.headers, (b"request-id", given.encode())]
        if done.status != HTTPStatus.NO_CONTENT:
            headers.append((b"content-type", done.media_type.encode()))
        await answer(send, done.status, headers, done.body)
        return None

    async def _streamed(self, stream: Stream, common: tuple[Header, ...], given: str, receive: Receive, send: Send) -> None:
        headers = [
            *common,
            *stream.headers,
            (b"content-type", stream.media_type.encode()),
            (b"request-id", given.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        telling = asyncio.ensure_future(_tell(stream, send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((telling, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            telling.cancel()
            await asyncio.gather(telling, leaving, return_exceptions=True)


def _said(call: Call, raw: bytes, services: Services, params: Mapping[str, str]) -> Any:
    """What the body says."""
    if call.body in (None, bytes) or call.judged_whole:
        return raw
    if call.optional and not raw:
        return call.body()
    if call.itemised:
        return read_items(call.body, raw)
    meant = call.meant
    return read_json(call.body, raw, None if meant is None else lambda doc: meant(services, params, doc))


async def _tell(stream: Stream, send: Send) -> None:
    try:
        async for chunk in stream.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except Unavailable:
        pass  # the reader comes back by itself, with the last id it saw
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _log(call: Call, given: str, fault: Exception) -> None:
    """Where it broke, without what it was about: messages of foreign exceptions may quote addresses or content."""
    frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(fault.__traceback__)[-8:]]
    _LOG.error("request_failed", path=call.path, method=call.method, request_id=given, fault=type(fault).__name__, frames=frames)
