"""Reading what Sendwright posts to your services: Standard Webhooks, https://www.standardwebhooks.com."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from sendwright.client.errors import ClientError
from sendwright.providers.signing import webhook_key, webhook_signed


class BadSignature(ClientError):
    """It is not from Sendwright, was changed on its way, or is too old. Answer 401, and do nothing."""


class WebhookEvent(Struct, frozen=True, kw_only=True):
    """Something that happened. `id` is the same for every repeat of it: do it once by that."""

    id: str
    type: str
    timestamp: str
    data: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"WebhookEvent({self.id}, {self.type})"


class _Body(Struct, frozen=True):
    type: str
    timestamp: str
    data: dict[str, Any] = {}


def read_webhook(
    secrets: str | Sequence[str], headers: Mapping[str, str], body: bytes, *, now: float | None = None
) -> WebhookEvent:
    """The event of a post whose signature is by one of the secrets (`whsec_…`; several while one is being changed) and at most five
    minutes old. `body` is the raw body, byte for byte; names of headers may be in any case; `now` is in Unix seconds.

    Raises `BadSignature`; and `ValueError` for a secret that can't be read."""
    given = [secrets] if isinstance(secrets, str) else list(secrets)
    found = {name.lower(): value for name, value in headers.items()}
    id_ = found.get("webhook-id")
    good = webhook_signed(
        [webhook_key(secret) for secret in given],
        id_,
        found.get("webhook-timestamp"),
        found.get("webhook-signature"),
        body,
        now=time.time() if now is None else now,
    )
    if not good or id_ is None:
        raise BadSignature("the signature is bad, missing or too old")
    try:
        said = msgspec.json.decode(body, type=_Body)
    except msgspec.MsgspecError:
        raise BadSignature("it is signed, and is no event") from None
    return WebhookEvent(id=id_, type=said.type, timestamp=said.timestamp, data=said.data)
