"""The sandbox's own protocol: what a well-behaved vendor would offer.

`POST /v1/messages` with a bearer token takes a message on any channel. A repeated `idempotency_key` answers the first
id for 24 hours and is not a second message. Receipts are JSON, signed by Standard Webhooks. A token stands for an
account; the log holds the account's name, never the token.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from sendwright.sandbox.asked import Asked
from sendwright.sandbox.keys import webhook_signature
from sendwright.sandbox.log import Noted
from sendwright.sandbox.places import usable
from sendwright.sandbox.wire import Headers, Reply, Request, json_reply, problem

PUBLIC_TOKEN = "sandbox"  # noqa: S105 - the one that needs no secrecy
KEEP_S = 24 * 3600
KEYS_MAX = 1_000_000

_Id = Annotated[str, Meta(min_length=1, max_length=255)]


class MediaLink(Struct, frozen=True, forbid_unknown_fields=True):
    """A file that goes along, by its address."""

    url: str
    content_type: str | None = None
    filename: str | None = None


class NativeMessage(Struct, frozen=True, forbid_unknown_fields=True, rename={"sender": "from"}):
    """The body of `POST /v1/messages`."""

    channel: _Id
    to: Annotated[str, Meta(min_length=1)]
    body: str
    idempotency_key: _Id
    reference: _Id
    title: str | None = None
    html: str | None = None
    url: str | None = None
    media: list[MediaLink | str] | None = None
    sender: str | None = None
    unsubscribe_url: str | None = None
    callback_url: str | None = None
    ttl_s: float | None = None


_DECODER = msgspec.json.Decoder(NativeMessage)
_ENCODER = msgspec.json.Encoder()


class Native:
    """The dialect of kind `sandbox`. `tokens` maps bearer tokens to accounts; empty takes any."""

    kind = "sandbox"

    def __init__(self, tokens: Mapping[str, str], secret: str) -> None:
        self._tokens = tokens
        self._secret = secret

    def __repr__(self) -> str:
        return "Native()"

    def read(self, request: Request, account: str) -> Asked:
        known = self._account(request)
        if known is None:
            return Asked(self.kind, "", refusal=problem(401, "unauthorized", "A bearer token is needed.", _CHALLENGE))
        try:
            message = _DECODER.decode(request.body)
        except msgspec.ValidationError as fault:
            return Asked(self.kind, known, refusal=problem(422, "invalid", str(fault)))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Asked(self.kind, known, refusal=problem(400, "not_json", "The body is not JSON in UTF-8."))
        return _asked(known, message)

    def new_ref(self) -> str:
        return "sbx_" + os.urandom(12).hex()

    def taken(self, asked: Asked, ref: str, at: datetime) -> Reply:
        return json_reply(202, {"id": ref})

    def replayed(self, ref: str) -> Reply:
        return json_reply(202, {"id": ref}, ((b"idempotency-replayed", b"true"),))

    def opted_out(self, asked: Asked) -> Reply:
        return problem(422, "opted_out", "This address does not want to be written to.")

    def failure(self, status: int, code: int | str | None, headers: Headers) -> Reply:
        return problem(status, "fault" if code is None else str(code), "As the sandbox was told to.", headers)

    def receipt(self, asked: Asked, noted: Noted, state: str) -> tuple[Headers, bytes]:
        ref, now = noted.entry.ref or "", datetime.now(UTC)
        report: dict[str, object] = {"id": ref, "reference": asked.reference, "state": state, "at": now}
        if state == "failed":
            report |= {"reason": "unreachable", "detail": "the sandbox was told to fail it"}
        body = _ENCODER.encode(report)
        event = f"evt_{ref[4:]}_{state}"
        timestamp = int(now.timestamp())
        signature = webhook_signature(self._secret, event, timestamp, body)
        return (
            (b"content-type", b"application/json"),
            (b"webhook-id", event.encode()),
            (b"webhook-timestamp", b"%d" % timestamp),
            (b"webhook-signature", signature.encode()),
        ), body

    def _account(self, request: Request) -> str | None:
        scheme, _, token = request.header(b"authorization").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return None
        return self._tokens.get(token) if self._tokens else account_of(token)


def account_of(token: str) -> str:
    """The account's name where tokens were not named: made from the token, which it does not show."""
    return PUBLIC_TOKEN if token == PUBLIC_TOKEN else "acct_" + hashlib.sha256(token.encode()).hexdigest()[:8]


_CHALLENGE: Headers = ((b"www-authenticate", b"Bearer"),)


def _asked(account: str, message: NativeMessage) -> Asked:
    callback = message.callback_url
    return Asked(
        kind=Native.kind,
        account=account,
        channel=message.channel,
        to=message.to,
        body=message.body,
        sender=message.sender,
        title=message.title,
        html=message.html,
        url=message.url,
        media=[m if isinstance(m, str) else m.url for m in message.media or ()],
        unsubscribe_url=message.unsubscribe_url,
        reference=message.reference,
        idempotency_key=message.idempotency_key,
        callback_url=callback,
        refusal=None if callback is None or usable(callback) else problem(422, "invalid", "callback_url is not an http address."),
    )


class Replays:
    """Which key was given which id, for 24 hours of the clock given (monotonic, in seconds)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[str, float]] = {}

    def find(self, account: str, key: str) -> str | None:
        """The id of the first message under this key."""
        ref, until = self._known.get((account, key), ("", 0.0))
        return ref if ref and self._clock() < until else None

    def keep(self, account: str, key: str, ref: str) -> None:
        now = self._clock()
        self._known.pop((account, key), None)
        self._known[(account, key)] = (ref, now + KEEP_S)
        while len(self._known) > KEYS_MAX or next(iter(self._known.values()))[1] <= now:
            del self._known[next(iter(self._known))]

    def clear(self) -> None:
        self._known.clear()
