"""How the sandbox signs what it reports: Standard Webhooks for its own protocol, each vendor's scheme for the vendor's.

The secret is public on purpose: the sandbox protects nothing, it lets receivers practise verifying.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable

SANDBOX_SECRET = "whsec_c2VuZHdyaWdodC1zYW5kYm94LXNlY3JldCE="  # noqa: S105 - published, see above


def webhook_signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`.

    `secret` is `whsec_` and base64. Source: standard-webhooks/spec/standard-webhooks.md.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def twilio_signature(auth_token: str, url: str, params: Iterable[tuple[str, str]]) -> str:
    """The `X-Twilio-Signature` header: HMAC-SHA1 over the full URL and every form field, sorted by name.

    A field that repeats counts once per distinct value. Source: twilio.com/docs/usage/security.
    """
    signed = url + "".join(name + value for name, value in sorted(set(params)))
    return base64.b64encode(hmac.digest(auth_token.encode(), signed.encode(), hashlib.sha1)).decode()


def meta_signature(app_secret: str, body: bytes) -> str:
    """The `X-Hub-Signature-256` header: HMAC-SHA256 over the raw body, in hexadecimal.

    Source: developers.facebook.com/docs/graph-api/webhooks/getting-started.
    """
    return "sha256=" + hmac.digest(app_secret.encode(), body, hashlib.sha256).hex()


def slack_signature(signing_secret: str, timestamp: int, body: bytes) -> str:
    """The `X-Slack-Signature` header: HMAC-SHA256 over `v0:timestamp:body`, in hexadecimal.

    Source: docs.slack.dev/authentication/verifying-requests-from-slack.
    """
    return "v0=" + hmac.digest(signing_secret.encode(), b"v0:%d:%s" % (timestamp, body), hashlib.sha256).hex()
