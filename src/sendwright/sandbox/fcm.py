"""Firebase Cloud Messaging as a caller meets it: a service account, access tokens for its assertions, and messages:send.

Facts: firebase.google.com/docs/reference/fcm/rest/v1 (projects.messages, ErrorCode) and
developers.google.com/identity/protocols/oauth2/service-account, read November 2026. The account is made here, and its file can be
had at /fcm/service-account.json. An address that has opted out is an app that was removed: UNREGISTERED. FCM reports nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from sendwright.sandbox.asked import Asked
from sendwright.sandbox.keyring import Keyring, pem_of
from sendwright.sandbox.log import Noted
from sendwright.sandbox.tokens import jwt_of, rs256_holds
from sendwright.sandbox.wire import Headers, Reply, Request, bearer, json_of, json_reply

PROJECT = "sendwright-sandbox"
EMAIL = f"firebase@{PROJECT}.iam.gserviceaccount.com"
KEY = "fcm"
PERMISSION = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFE_S = 3600
SKEW_S = 300
PAYLOAD_MAX = 4096

_SEND = re.compile(r"/v1/projects/([^/]{1,100})/messages:send", re.ASCII)
_TOKEN = re.compile(r"ya29\.(\d{1,12})\.([0-9a-f]{64})", re.ASCII)
_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_CODES: dict[str, tuple[int, str, str]] = {
    "UNREGISTERED": (404, "NOT_FOUND", "Requested entity was not found."),
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", "SenderId mismatch"),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Messages'"),
    "UNAVAILABLE": (503, "UNAVAILABLE", "The service is currently unavailable."),
    "INTERNAL": (500, "INTERNAL", "Internal error encountered."),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service"),
}
_USUAL = {400: "INVALID_ARGUMENT", 404: "UNREGISTERED", 429: "QUOTA_EXCEEDED", 503: "UNAVAILABLE"}
_STATUSES = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}


class Fcm:
    """The dialect of kind `fcm`."""

    kind = "fcm"

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def __repr__(self) -> str:
        return "Fcm()"

    def account_in(self, path: str) -> str | None:
        found = _SEND.fullmatch(path)
        return found[1] if found else None

    def other(self, request: Request, path: str) -> Reply | None:
        """The account's file, and access tokens."""
        match request.method, path:
            case "GET", "/service-account.json":
                return json_reply(200, self._service_account(request))
            case "POST", "/token":
                return self._grant(request)
            case _:
                return None

    def _service_account(self, request: Request) -> dict[str, str]:
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": hashlib.sha256(KEY.encode()).hexdigest()[:40],
            "private_key": pem_of(self._keyring.rsa(KEY)),
            "client_email": EMAIL,
            "client_id": "100000000000000000000",
            "auth_uri": f"{_here(request)}/fcm/auth",
            "token_uri": f"{_here(request)}/fcm/token",
        }

    def _grant(self, request: Request) -> Reply:
        """An access token for an assertion (RFC 7523, section 2.1)."""
        said = dict(parse_qsl(request.body.decode("utf-8", "replace"), max_num_fields=20))
        if said.get("grant_type") != GRANT:
            return _oauth("unsupported_grant_type", "Invalid grant_type: " + said.get("grant_type", ""))
        token = jwt_of(said.get("assertion", ""))
        if token is None:
            return _oauth("invalid_grant", "Invalid JWT: Failed to parse.")
        if token.claims.get("iss") != EMAIL:
            return _oauth("invalid_grant", "Invalid grant: account not found")
        if not rs256_holds(token, self._keyring.rsa(KEY).public_key()):
            return _oauth("invalid_grant", "Invalid JWT Signature.")
        if token.claims.get("aud") != f"{_here(request)}/fcm/token":
            return _oauth("invalid_grant", "Invalid JWT: The audience is not this address.")
        begins, ends, now = token.seconds("iat"), token.seconds("exp"), time.time()
        if begins is None or ends is None or not (begins - SKEW_S <= now < ends and ends - begins <= LIFE_S):
            return _oauth(
                "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
            )
        if token.claims.get("scope") != PERMISSION:
            return _oauth("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        return json_reply(200, {"access_token": self._token(int(now) + LIFE_S), "expires_in": LIFE_S - 1, "token_type": "Bearer"})

    def _token(self, ends: int) -> str:
        """Told by its own text, so that one outlives a reset."""
        return f"ya29.{ends}.{hmac.digest(self._keyring.chance('fcm-tokens', 32), b'%d' % ends, hashlib.sha256).hex()}"

    def _is_good(self, token: str) -> bool:
        found = _TOKEN.fullmatch(token)
        return found is not None and time.time() < int(found[1]) and hmac.compare_digest(token, self._token(int(found[1])))

    def read(self, request: Request, account: str) -> Asked:
        said = json_of(request)
        if not self._is_good(bearer(request)):
            return Asked(self.kind, account, "push", refusal=self.failure(401, None, ()))
        if account != PROJECT:
            return Asked(self.kind, account, "push", refusal=self.failure(403, None, ()))
        message = _object((said or {}).get("message"))
        shown, data, to = _object(message.get("notification")), _object(message.get("data")), message.get("token")
        return Asked(
            self.kind,
            account,
            "push",
            to if isinstance(to, str) else "",
            _text(shown.get("body")) or "",
            title=_text(shown.get("title")),
            url=_text(data.get("url")),
            media=[image] if (image := _text(shown.get("image"))) else [],
            refusal=_refusal(message, shown, data),
        )

    def new_ref(self) -> str:
        return f"0:{time.time_ns() // 1000}"

    def taken(self, asked: Asked, ref: str, at: datetime) -> Reply:
        return json_reply(200, {"name": f"projects/{asked.account}/messages/{ref}%{os.urandom(8).hex()}"})

    def replayed(self, ref: str) -> Reply:
        return json_reply(200, {"name": f"projects/{PROJECT}/messages/{ref}"})

    def opted_out(self, asked: Asked) -> Reply | None:
        return self.failure(404, "UNREGISTERED", ())

    def failure(self, status: int, code: int | str | None, headers: Headers) -> Reply:
        """`code` is FCM's own."""
        name = str(code or _USUAL.get(status) or ("INTERNAL" if status >= 500 else ""))
        _, canonical, words = _CODES.get(name, (status, _STATUSES.get(status, "UNKNOWN"), "Request is not authorized."))
        details = [{"@type": _ERROR, "errorCode": name}] if name else []
        return _error(status, canonical, words, details, headers)

    def receipt(self, asked: Asked, noted: Noted, state: str) -> tuple[Headers, bytes]:
        return (), b""  # nobody is called back: FCM reports nothing


def _here(request: Request) -> str:
    return f"http://{request.header(b'host')}{request.prefix}"


def _oauth(error: str, words: str) -> Reply:
    """RFC 6749, section 5.2."""
    return json_reply(400, {"error": error, "error_description": words})


def _error(status: int, canonical: str, words: str, details: list[dict[str, Any]], headers: Headers = ()) -> Reply:
    error: dict[str, Any] = {"code": status, "message": words, "status": canonical}
    return json_reply(status, {"error": error | ({"details": details} if details else {})}, headers)


def _refusal(message: Mapping[str, Any], shown: Mapping[str, Any], data: Mapping[str, Any]) -> Reply | None:
    if not _text(message.get("token")):
        return _invalid("message.token", "The registration token is not a valid FCM registration token")
    wrong = next((name for name, value in data.items() if not isinstance(value, str)), None)
    if wrong is not None:
        return _invalid("message.data[0].value", f"Invalid value at 'message.data[0].value' (TYPE_STRING), {data[wrong]}")
    if not shown and not data:
        return _invalid("message", "Message must have a notification or data")
    size = sum(len(name.encode()) + len(str(value).encode()) for part in (shown, data) for name, value in part.items())
    return _invalid("message", "Android message is too big") if size > PAYLOAD_MAX else None


def _invalid(field: str, words: str) -> Reply:
    bad = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": field, "description": words}]}
    return _error(400, "INVALID_ARGUMENT", words, [{"@type": _ERROR, "errorCode": "INVALID_ARGUMENT"}, bad])


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
