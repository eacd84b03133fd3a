"""Webhook: a notification as a signed POST to the recipient's own address, by Standard Webhooks.

    POST <the recipient's address>
    webhook-id: msg_…             the same for every repeat of this message
    webhook-timestamp: 1795338000 seconds, of this attempt
    webhook-signature: v1,…       one for every secret, separated by spaces
    {"type": "notification", "timestamp": "2026-11-22T09:00:00.000Z", "data": {…}}

Read in November 2026: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

What shapes this file:
  * The address is a user's: it is guarded (each address that its host resolves to is checked where the connection is made),
    and no redirect is followed, for that would lead round the check.
  * Who answers is not the account but one recipient. So nothing is `Misconfigured` here: a 401 is that recipient's refusal,
    and a 429 or a 503 asks for patience with that recipient alone.
  * Any 2xx has taken it. Nothing is reported afterwards, so a message stays `sent`.
  * A repeat after a lost answer bears the same `webhook-id`: who has seen that passes it over.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from sendwright.model import ids
from sendwright.model.content import WebhookContent
from sendwright.providers.answers import by_status
from sendwright.providers.contract import (
    Accepted,
    Capabilities,
    CommonSettings,
    HttpRequest,
    Later,
    Misconfigured,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Rejected,
    Reply,
    Scope,
    Secret,
)
from sendwright.providers.signing import WEBHOOK_PREFIX, sign_webhook, webhook_key

KEY_BYTES = range(24, 65)
"""How long a secret's key may be, by the specification."""
TYPE = "notification"
"""An event's type where its content names none."""

_URL = re.compile(r"https?://[^\s/?#@\\]+([/?][^\s#\\]*)?", re.IGNORECASE)
_GONE = 410


class WebhookSettings(CommonSettings, frozen=True, kw_only=True):
    """What events are signed with, and which networks of the operator's own they may go to."""

    secret: Secret
    """`whsec_…`; several, separated by spaces, sign side by side while receivers change from one to the next."""
    allow_private: tuple[str, ...] = ()
    """Networks such as `10.20.0.0/16`, which may be called although they are private."""

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        faults = []
        secret = given.get("secret")
        if secret is not None and not _are_secrets(secret.reveal()):
            faults.append(("secret", "must be `whsec_` and base64 of 24 to 64 bytes, or several such with a space between"))
        if not all(_is_network(text) for text in given.get("allow_private") or ()):
            faults.append(("allow_private", "must be networks such as 10.20.0.0/16, or addresses"))
        return faults


class Webhook(Provider):
    """Posts to the recipients' own addresses."""

    kind = "webhook"
    settings_type = WebhookSettings
    settings: WebhookSettings

    @property
    def capabilities(self) -> Capabilities:
        """With a `base_url` there is one address, which is the operator's word."""
        return Capabilities(channels=("webhook",), media=True, guarded=self.settings.base_url is None)

    def build(self, out: Outgoing) -> HttpRequest:
        """The one call. Raises `ValueError` for an address that no request can be sent to."""
        if out.channel != "webhook":
            raise ValueError("this account posts to webhooks only")
        body = msgspec.json.encode({"type": _type(out), "timestamp": _timestamp(out), "data": _data(out)})
        name, at = _event_id(out), int(out.now)
        headers = (
            ("Content-Type", "application/json"),
            ("webhook-id", name),
            ("webhook-timestamp", str(at)),
            ("webhook-signature", sign_webhook(self._keys, name, at, body)),
        )
        return HttpRequest("POST", self._url(out.address), headers, body)

    @cached_property
    def _keys(self) -> Sequence[bytes]:
        return [webhook_key(secret) for secret in self.settings.secret.reveal().split()]

    def _url(self, address: str) -> str:
        if not address.isprintable() or _URL.fullmatch(address) is None:
            raise ValueError("the recipient is not an http or https address")
        base = self.settings.base_url
        if base is None:
            return address
        found = urlsplit(address)
        return base.rstrip("/") + (found.path or "/") + (f"?{found.query}" if found.query else "")

    def parse(self, reply: Reply) -> Outcome:
        """A success is acceptance, whatever else it says; whatever is refused or put off is this recipient's word alone."""
        if 200 <= reply.status < 300:
            return Accepted()
        if reply.status == _GONE:
            return Rejected(Reason.UNREACHABLE, "HTTP 410: the endpoint is gone")
        outcome = by_status(reply)
        match outcome:
            case Later():
                return replace(outcome, scope=Scope.RECIPIENT)
            case Misconfigured(detail):
                return Rejected(Reason.REJECTED, f"{detail}: redirects are not followed" if reply.status < 400 else detail)
            case _:
                return outcome


def _event_id(out: Outgoing) -> str:
    """Constant over repeats, and without a dot, which separates it from the timestamp in what is signed."""
    return ids.MESSAGE + hashlib.sha256((out.idempotency_key or out.attempt).encode()).hexdigest()[:32]


def _type(out: Outgoing) -> str:
    own = out.own
    return own.type if isinstance(own, WebhookContent) and own.type else TYPE


def _timestamp(out: Outgoing) -> str:
    """When it was accepted, which repeats don't change."""
    accepted_ms = ids.time_ms_of(out.message) if ids.looks_like(ids.MESSAGE, out.message) else None
    at = datetime.fromtimestamp(out.now if accepted_ms is None else accepted_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _data(out: Outgoing) -> dict[str, object]:
    """The content's own data as it is; else the message's id and what there is to say."""
    own = out.own
    if isinstance(own, WebhookContent) and own.data:
        return own.data
    said = {
        "id": out.message,
        "title": out.title,
        "body": out.body,
        "html": out.html,
        "url": out.url,
        "media": out.media,
        "actions": out.actions,
    }
    return {name: value for name, value in said.items() if value}


def _are_secrets(text: str) -> bool:
    secrets = text.split()
    return bool(secrets) and all(secret.startswith(WEBHOOK_PREFIX) and _is_key(secret) for secret in secrets)


def _is_key(secret: str) -> bool:
    try:
        return len(webhook_key(secret)) in KEY_BYTES
    except ValueError:
        return False


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True
