"""`POST /v1/notifications`, ahead of every framework: the one call that a flood consists of.

Headers are found by their bytes, the body is decoded straight into its struct, the common payload is recognised by a
few cheap tests, and the 202 is put together by hand. What is not common takes the long way in `admit`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import UNSET, UnsetType

from sendwright.errors import Unavailable
from sendwright.model.notification import Payload
from sendwright.model.records import Conflict, Running
from sendwright.policy.admission import Refused, admit
from sendwright.policy.payload_schema import KEY_MAX
from sendwright.web.api import problems
from sendwright.web.api.auth import Keys
from sendwright.web.api.problems import Refusal
from sendwright.web.api.reading import read_query
from sendwright.web.api.services import Services
from sendwright.web.api.wire import (
    Gone,
    Receive,
    Scope,
    Send,
    always,
    headers_of,
    read_body,
    refuse,
    request_id,
    require_json,
    trace_of,
)

PATH = "/v1/notifications"

_KEY = re.compile(r"[\x20-\x7e]+")


class PostNotification:
    """The hot call as a plain ASGI function."""

    def __init__(self, services: Services, keys: Keys) -> None:
        self._services = services
        self._keys = keys
        self._always = always(services.public_url)
        self._taken = ((b"content-type", b"application/json"), *self._always)
        self._replayed = (*self._taken, (b"idempotency-replayed", b"true"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        given = request_id(headers)
        try:
            if scope["query_string"]:
                read_query(None, scope["query_string"])
            await self._post(headers, given, receive, send)
        except Refusal as refusal:
            await refuse(refusal, given, self._always, receive, send)
        except Unavailable as fault:
            await refuse(problems.unavailable(fault), given, self._always, receive, send)
        except Gone:
            return

    async def _post(self, headers: dict[bytes, bytes], given: str, receive: Receive, send: Send) -> None:
        services = self._services
        caller = self._keys.caller(headers)
        caller.require("send")
        require_json(headers)
        raw = await read_body(headers, receive, services.body_max, services.body_within_s)
        admitted = admit(raw, services.rules, services.channels(), services.clock.now_ms())
        if isinstance(admitted, Refused):
            raise problems.of_body(admitted)
        key = key_of(headers, admitted.payload)
        taken = await services.accept.accept(caller.tenant, admitted.payload, admitted.raw, key, trace_of(headers))
        if isinstance(taken, Conflict):
            raise problems.mismatch()
        if isinstance(taken, Running):
            raise problems.in_progress(taken.after_s)
        name = taken.id.encode()
        body = b'{"id":"%b","state":"accepted","message_count":%d}' % (name, message_count(admitted.payload))
        await send(
            {
                "type": "http.response.start",
                "status": 202,
                "headers": [
                    *(self._replayed if taken.replayed else self._taken),
                    (b"content-length", b"%d" % len(body)),
                    (b"location", b"/v1/notifications/" + name),
                    (b"request-id", given.encode()),
                ],
            }
        )
        await send({"type": "http.response.body", "body": body})


def message_count(payload: Payload) -> int:
    return len(payload.recipients()) if isinstance(payload.to, list) else 1


def key_of(headers: Mapping[bytes, bytes], payload: Payload) -> str | None:
    """The idempotency key of the header or of the body; both must agree."""
    inside = payload.idempotency_key
    header = headers.get(b"idempotency-key")
    if header is None:
        return None if isinstance(inside, UnsetType) else inside
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
