"""Sandbox: every channel, into the product's own sandbox server, with faults on request and a mailbox to look at.

The wire, which the server in `sendwright.sandbox` speaks from its side:

    POST {url}/v1/messages            Authorization: Bearer <token>
    {"channel", "to", "body", "title"?, "html"?, "url"?, "media"?: [{"url", "content_type"?, "filename"?}], "from"?,
     "unsubscribe_url"?, "callback_url"?, "idempotency_key", "reference", "ttl_s"?}
      202 {"id": "sbx_…"}             taken; the same key is answered the same for 86,400 s, and not sent twice
      4xx, 5xx {"code", "detail"}     a problem; `code` may be one of our reasons (`invalid_address`, `opted_out` …)

    POST {callback_url}               webhook-id, webhook-timestamp, webhook-signature: Standard Webhooks, `v1`
    {"id", "reference", "state": "sent" | "delivered" | "read" | "failed", "reason"?, "detail"?, "at"}

`reference` is our attempt's id. `at` is RFC 3339. 409 means that the first call of that key is still running, so
it is unsure, not rejected.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from sendwright.providers.answers import by_status, json_object
from sendwright.providers.contract import (
    EVERY_CHANNEL,
    Accepted,
    AttemptState,
    Capabilities,
    CommonSettings,
    Hook,
    HttpRequest,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Receipt,
    Rejected,
    Reply,
    Secret,
    Unsure,
    Verdict,
)
from sendwright.providers.redaction import vendor_id
from sendwright.providers.signing import WEBHOOK_PREFIX, webhook_key, webhook_signed

SANDBOX_TOKEN = Secret("sandbox")
"""The token of a sandbox that was given none. Nothing real is behind it, so everybody may know it."""
SANDBOX_SECRET = Secret(WEBHOOK_PREFIX + base64.b64encode(b"sendwright-sandbox-secret!").decode())
"""The signing secret of a sandbox that was given none, for the same reason."""

REMEMBERS_S = 86_400
"""How long the server recognises an idempotency key, in seconds."""

_STATES = {
    "sent": AttemptState.SENT,
    "delivered": AttemptState.DELIVERED,
    "read": AttemptState.READ,
    "failed": AttemptState.FAILED,
}
_URL = re.compile(r"https?://[^\s/?#@\x00-\x20\x7f]+(/[^\s?#\x00-\x20\x7f]*)?", re.ASCII | re.IGNORECASE)
_REASONS = {reason.value: reason for reason in Reason}


class SandboxSettings(CommonSettings, frozen=True, kw_only=True):
    """`url`: the server's base address. `channels`: those it takes; unset, every channel."""

    url: str
    channels: tuple[str, ...] = ()
    token: Secret = SANDBOX_TOKEN
    secret: Secret = SANDBOX_SECRET
    """What the server signs its callbacks with, `whsec_…`."""

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        faults = [
            ("channels", f"no channel is called {name!r}") for name in given.get("channels") or () if name not in EVERY_CHANNEL
        ]
        url, token, secret = given.get("url"), given.get("token"), given.get("secret")
        if url is not None and _URL.fullmatch(url) is None:
            faults.append(("url", "must be http:// or https://, a host, and at most a path"))
        if token is not None and not (token.isascii() and token.isprintable() and token):
            faults.append(("token", "must be printable ASCII, it travels in a header"))
        if secret is not None and not _readable(secret):
            faults.append(("secret", "must be `whsec_` and base64"))
        return faults


class Sandbox(Provider):
    """Speaks the sandbox's own wire."""

    kind = "sandbox"
    settings_type = SandboxSettings
    settings: SandboxSettings

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            channels=self.settings.channels or EVERY_CHANNEL,
            receipts=True,
            echoes=True,
            idempotency_s=REMEMBERS_S,
            media=True,
        )

    def build(self, out: Outgoing) -> HttpRequest:
        """The one call. Raises `ValueError` for a channel that this account does not take."""
        if out.channel not in self.capabilities.channels:
            raise ValueError("this sandbox does not take that channel")
        said: dict[str, Any] = {
            "channel": out.channel,
            "to": out.address,
            "body": out.body,
            "title": out.title,
            "html": out.html,
            "url": out.url,
            "media": list(out.media) or None,
            "from": out.sender,
            "unsubscribe_url": out.unsubscribe_url,
            "callback_url": out.callback_url,
            "idempotency_key": out.idempotency_key or out.attempt,
            "reference": out.attempt,
            "ttl_s": out.ttl_s,
        }
        base = (self.settings.base_url or self.settings.url).rstrip("/")
        headers = (
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("Authorization", f"Bearer {self.settings.token.reveal()}"),
        )
        body = msgspec.json.encode({key: value for key, value in said.items() if value is not None})
        return HttpRequest("POST", f"{base}/v1/messages", headers, body)

    def parse(self, reply: Reply) -> Outcome:
        """Taken by a success with an id; a success without one can't be read, which is unsure."""
        answer = json_object(reply.body)
        if 200 <= reply.status < 300:
            ref = vendor_id(answer.get("id"))
            return Accepted(ref) if ref else Unsure("a success without an id")
        outcome = by_status(reply, self.words(answer.get("detail")))
        match outcome:
            case Rejected(_, detail):
                return Rejected(_reason(answer.get("code"), outcome.reason), detail)
            case _:
                return outcome

    def verify(self, hook: Hook) -> Verdict:
        """Standard Webhooks over the raw body, at most five minutes from now."""
        good = webhook_signed(
            [webhook_key(self.settings.secret.reveal())],
            hook.header("webhook-id"),
            hook.header("webhook-timestamp"),
            hook.header("webhook-signature"),
            hook.body,
            now=hook.now,
        )
        return Verdict.GOOD if good else Verdict.BAD

    def events(self, hook: Hook) -> Sequence[Receipt]:
        said = json_object(hook.body)
        state = _STATES.get(word) if isinstance(word := said.get("state"), str) else None
        attempt = vendor_id(said.get("reference"))  # not the query: nothing here signs the address
        ref = vendor_id(said.get("id"))
        if state is None or not (attempt or ref):
            return ()
        failed = state is AttemptState.FAILED
        return (
            Receipt(
                state=state,
                attempt=attempt,
                ref=ref,
                reason=_reason(said.get("reason"), Reason.UNKNOWN) if failed else None,
                detail=self.words(said.get("detail")),
                at=_seconds(said.get("at")),
            ),
        )


def _readable(secret: Secret) -> bool:
    try:
        return bool(webhook_key(secret.reveal()))
    except ValueError:
        return False


def _reason(word: object, otherwise: Reason) -> Reason:
    return _REASONS.get(word, otherwise) if isinstance(word, str) else otherwise


def _seconds(value: object) -> float | None:
    """Unix seconds of a time with its zone; None for anything else."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        return at.timestamp() if at and at.tzinfo else None
    except (ValueError, OverflowError):
        return None
