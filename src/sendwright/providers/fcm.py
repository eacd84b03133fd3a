"""Firebase Cloud Messaging: push to apps on Android and iOS, and to browsers that registered with Firebase; HTTP v1.

Read in November 2026:
  the call      https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
  its codes     https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode
  its limits    https://firebase.google.com/docs/cloud-messaging/throttling-and-quotas
  the token     https://developers.google.com/identity/protocols/oauth2/service-account (RFC 7523)

What shapes this file:
  * A call is one message, which has no idempotency key, and there are no receipts. A 500 may have sent it, so it is unsure; a 503
    and a 429 have not.
  * The codes that are exact stand in `details[].errorCode`; `status` beside it is a canonical code of all Google's APIs, and the
    same for many faults. INVALID_ARGUMENT is about the address where a field says so, or else the words.
  * THIRD_PARTY_AUTH_ERROR comes with a 401 too, and is no word about our access token: it is the key for Apple that is missing.
  * A quota is for a minute; a 429 that names no time means the next one.
  * Titles and texts are said once, in `notification`; parts for a platform hold only what differs there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from msgspec import Struct, structs

from sendwright.model.content import PushContent
from sendwright.providers.answers import by_status, json_object, later
from sendwright.providers.contract import (
    Accepted,
    Answer,
    Capabilities,
    CommonSettings,
    HttpRequest,
    Later,
    Media,
    Misconfigured,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Rejected,
    Reply,
    Scope,
    Secret,
    Token,
    Unsure,
)
from sendwright.providers.forms import form_of
from sendwright.providers.jose import rsa_key, signed_rs256
from sendwright.providers.redaction import vendor_id

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

API = "https://fcm.googleapis.com"
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 -- an address
PERMISSION = "https://www.googleapis.com/auth/firebase.messaging"
"""The scope that is asked for."""
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTED_S = 3600
"""As long as an assertion may be good."""
PAYLOAD_MAX = 4096
"""Bytes of names and values of what is shown and of `data`, together."""
TTL_MAX_S = 2_419_200
"""Four weeks."""
QUOTA_S = 60.0
"""Quotas are by the minute (throttling-and-quotas)."""
COLLAPSE_MAX = 64
"""Bytes of `apns-collapse-id`."""

_TOKEN = re.compile(r"[!-~]{1,4096}", re.ASCII)
_NAME = re.compile(r"projects/[^/]{1,200}/messages/([^/]{1,500})")
_PROJECT = re.compile(r"[a-z0-9.:-]{1,100}", re.ASCII)
_URL = re.compile(r"https?://[^\s/?#@\x00-\x20\x7f]+(/[^\s#\x00-\x20\x7f]*)?", re.ASCII)
_BEARER = re.compile(r"[!-~]{1,8192}", re.ASCII)
_RESERVED = re.compile(r"from|message_type|gcm(\..*)?|google.*", re.ASCII)
"""Names that `data` must not have (projects.messages, ErrorCode)."""
_OF_ADDRESS = re.compile(r"registration token|installation id", re.IGNORECASE)
_OF_LENGTH = re.compile(r"too (big|large|long)|exceeds", re.IGNORECASE)
_OF_DEVICE = re.compile(r"device", re.IGNORECASE)
_URGENT = frozenset({"critical", "high"})


class _ServiceAccount(Struct, frozen=True):
    """What is needed of the file that Google gives out."""

    client_email: str
    private_key: str
    private_key_id: str | None = None
    project_id: str | None = None
    token_uri: str = TOKEN_URI

    def __repr__(self) -> str:
        return "ServiceAccount(…)"


class FcmSettings(CommonSettings, frozen=True, kw_only=True):
    """The account that sends, and for which project."""

    service_account: Secret
    """The JSON that Google gives out for it."""
    project_id: str | None = None
    """The account's own unless given."""

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        faults = []
        text, project = given.get("service_account"), given.get("project_id")
        account = None
        if text is not None:
            try:
                account = _account_of(text)
                rsa_key(account.private_key)
            except ValueError as error:
                faults.append(("service_account", str(error)))
        if account is not None and project is None and account.project_id is None:
            faults.append(("project_id", "is missing, and the service account names none"))
        if project is not None and _PROJECT.fullmatch(project) is None:
            faults.append(("project_id", "must be a project's id, such as `my-project-1234`"))
        return faults


class Fcm(Provider):
    """One Firebase project, through one of its service accounts."""

    kind = "fcm"
    settings_type = FcmSettings
    settings: FcmSettings

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(channels=("push",), media=True, tokens=True, body_max=PAYLOAD_MAX, unit="bytes")

    def counted(self, out: Outgoing) -> str:
        """Names and values of what is shown and of `data`."""
        own = _own(out)
        return "".join(f"{name}{value}" for part in (_notification(out, own), _data(out, own)) for name, value in part.items())

    def build(self, out: Outgoing) -> HttpRequest:
        """One message. Raises `ValueError` for an address that is no registration token, for names in `data` that FCM keeps for
        itself, and `TooLong` for more than 4096 bytes."""
        if out.token is None:
            raise ValueError("no access token")
        headers = (
            ("Content-Type", "application/json"),
            ("Authorization", f"Bearer {out.token.reveal()}"),
        )
        message = _message(out)
        self.limited(self.counted(out))
        return HttpRequest("POST", self._url, headers, msgspec.json.encode({"message": message}))

    @cached_property
    def _url(self) -> str:
        base = (self.settings.base_url or API).rstrip("/")
        project = self.settings.project_id or self._account.project_id or ""
        return f"{base}/v1/projects/{quote(project, safe='')}/messages:send"

    @cached_property
    def _account(self) -> _ServiceAccount:
        return _account_of(self.settings.service_account)

    @cached_property
    def _key(self) -> RSAPrivateKey:
        return rsa_key(self._account.private_key)

    def parse(self, reply: Reply) -> Outcome:
        """A name is acceptance; else FCM's own code says what it is, and the status where there is none."""
        answer = json_object(reply.body)
        if 200 <= reply.status < 300:
            name = _NAME.fullmatch(found) if isinstance(found := answer.get("name"), str) else None
            ref = name[1].partition("%")[0] if name else ""  # behind it stands who sends, and an id of ours holds no percent sign
            return Accepted(vendor_id(ref)) if name else Unsure("a success without a name")
        error = answer.get("error")
        fault = error if isinstance(error, dict) else {}
        code, words = _code(fault), self.words(fault.get("message"))
        known = _by_code(reply, fault, code, f"{code}: {words}") if 400 <= reply.status < 500 else None
        if known is None and reply.status == 404:
            return Misconfigured(f"HTTP 404: {words}")
        if known is None and reply.status == 429:
            return _throttled(reply, f"{code or 'HTTP 429'}: {words}", _OF_DEVICE.search(words) is not None)
        return known or by_status(reply, f"{code} {words}".strip() if code else words)

    def token_request(self, now: float) -> HttpRequest:
        """Asks for an access token by an assertion (RFC 7523, section 2.1)."""
        account = self._account
        claims = {
            "iss": account.client_email,
            "scope": PERMISSION,
            "aud": account.token_uri,
            "iat": int(now),
            "exp": int(now) + ASSERTED_S,
        }
        assertion = signed_rs256(self._key, claims, account.private_key_id)
        headers = (("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json"))
        return HttpRequest("POST", account.token_uri, headers, form_of([("grant_type", GRANT), ("assertion", assertion)]))

    def token_of(self, answer: Answer, now: float) -> Token | Outcome:
        """RFC 6749, sections 5.1 and 5.2. A refusal is the account's: its key was withdrawn, or our clock is wrong."""
        if not isinstance(answer, Reply):
            return self.read(answer)
        said = json_object(answer.body)
        value, life = said.get("access_token"), said.get("expires_in")
        if answer.status == 200:
            if not (isinstance(value, str) and _BEARER.fullmatch(value)) or not isinstance(life, int | float) or not 0 < life < 1e7:
                return Later("an answer without a token", called=False)
            return Token(Secret(value), now + life)
        words = self.words(" ".join(part for name in ("error", "error_description") if isinstance(part := said.get(name), str)))
        outcome = by_status(answer, words)
        return Misconfigured(outcome.detail) if isinstance(outcome, Rejected) else outcome

    def token_refused(self, reply: Reply) -> bool:
        error = json_object(reply.body).get("error")
        return reply.status == 401 and _code(error if isinstance(error, dict) else {}) != "THIRD_PARTY_AUTH_ERROR"


def _account_of(text: Secret) -> _ServiceAccount:
    """The account that the JSON is. Raises `ValueError`, without anything of it."""
    try:
        account = msgspec.json.decode(text.reveal().encode(), type=_ServiceAccount)
    except (ValueError, RecursionError):
        raise ValueError("must be the JSON of a service account, with client_email and private_key") from None
    if _URL.fullmatch(account.token_uri) is None:
        raise ValueError("its token_uri must be http:// or https:// and a host")
    return account


def _message(out: Outgoing) -> dict[str, Any]:
    own = _own(out)
    if out.channel != "push":
        raise ValueError("FCM takes push only")
    if _TOKEN.fullmatch(out.address) is None:
        raise ValueError("the recipient is not a registration token")
    shown, data = _notification(out, own), _data(out, own)
    if not shown and not data:
        raise ValueError("nothing is said")
    parts = {"android": _android(out, own), "apns": _apns(out, own, pictured="image" in shown), "webpush": _web(out)}
    return {"token": out.address} | _given(notification=shown, data=data, **parts)


def _own(out: Outgoing) -> PushContent:
    return out.own if isinstance(out.own, PushContent) else PushContent()


def _notification(out: Outgoing, own: PushContent) -> dict[str, str]:
    body = out.body if out.body != out.title else None
    return _given(title=out.title, body=body, image=own.image or _picture(out.media))


def _data(out: Outgoing, own: PushContent) -> dict[str, str]:
    """What only the app sees; the link and the buttons are there too, unless it has something else under their names."""
    if any(_RESERVED.fullmatch(name) for name in own.data):
        raise ValueError("`data` has a name that FCM keeps for itself")
    buttons = msgspec.json.encode([structs.asdict(one) for one in out.actions]).decode() if out.actions else None
    return _given(url=out.url, actions=buttons) | own.data


def _android(out: Outgoing, own: PushContent) -> dict[str, Any]:
    priority = "HIGH" if out.priority in _URGENT else "NORMAL" if out.priority == "bulk" else None
    ttl = None if out.ttl_s is None else f"{min(out.ttl_s, TTL_MAX_S)}s"
    shown = _given(sound=own.sound, notificationCount=own.badge)
    return _given(collapseKey=own.collapse_key, priority=priority, ttl=ttl, notification=shown)


def _apns(out: Outgoing, own: PushContent, *, pictured: bool) -> dict[str, Any]:
    """Apple's own headers and names; a picture needs an extension of the app, which `mutable-content` calls."""
    headers = _given(
        **{
            "apns-expiration": None if out.ttl_s is None else str(int(out.now) + min(out.ttl_s, TTL_MAX_S)),
            "apns-priority": "10" if out.priority in _URGENT else "5" if out.priority == "bulk" else None,
            "apns-collapse-id": _short(own.collapse_key) if own.collapse_key else None,
        }
    )
    aps = _given(sound=own.sound, badge=own.badge, **{"mutable-content": 1 if pictured else None})
    return _given(headers=headers, payload=_given(aps=aps))


def _web(out: Outgoing) -> dict[str, Any]:
    link = out.url if out.url is not None and out.url.startswith("https://") else None
    ttl = None if out.ttl_s is None else str(min(out.ttl_s, TTL_MAX_S))
    return _given(headers=_given(TTL=ttl), fcmOptions=_given(link=link))


def _short(key: str) -> str:
    return key if len(key.encode()) <= COLLAPSE_MAX else hashlib.sha256(key.encode()).hexdigest()


def _given(**members: Any) -> dict[str, Any]:
    """The members that have something in them; a badge of 0 is something."""
    return {name: value for name, value in members.items() if value not in (None, "", {})}


def _picture(media: Sequence[Media]) -> str | None:
    return next((item.url for item in media if (item.content_type or "image/").startswith("image/")), None)


def _code(fault: Mapping[str, Any]) -> str | None:
    """FCM's own code; None where there is none that can be kept."""
    found = (vendor_id(detail.get("errorCode")) for detail in _details(fault))
    return next((code for code in found if code), None)


def _details(fault: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = fault.get("details")
    return [detail for detail in found if isinstance(detail, dict)] if isinstance(found, list) else []


def _by_code(reply: Reply, fault: Mapping[str, Any], code: str | None, detail: str) -> Outcome | None:
    match code:
        case "UNREGISTERED":
            return Rejected(Reason.INVALID_ADDRESS, detail)
        case "SENDER_ID_MISMATCH":  # another project's token: that project's account may have it
            return Rejected(Reason.INVALID_ADDRESS, detail, Scope.SENDER)
        case "THIRD_PARTY_AUTH_ERROR":
            return Misconfigured(detail)
        case "QUOTA_EXCEEDED":
            return _throttled(reply, detail, _OF_DEVICE.search(detail) is not None)
    if reply.status == 400 and (code in (None, "INVALID_ARGUMENT", "UNSPECIFIED_ERROR")):
        return Rejected(_wrong(fault), detail if code else f"HTTP 400: {detail.partition(': ')[2]}")
    return None


def _wrong(fault: Mapping[str, Any]) -> Reason:
    """What of the request FCM finds wrong."""
    words = fault.get("message")
    text = words if isinstance(words, str) else ""
    violations = [v for detail in _details(fault) if isinstance(v := detail.get("fieldViolations"), list)]
    fields = {entry.get("field") for found in violations for entry in found if isinstance(entry, dict) and _is_text(entry)}
    if "message.token" in fields or (not fields and _OF_ADDRESS.search(text)):
        return Reason.INVALID_ADDRESS
    return Reason.TOO_LONG if _OF_LENGTH.search(text) else Reason.CONTENT


def _is_text(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("field"), str)


def _throttled(reply: Reply, detail: str, one_device: bool) -> Later:
    found = later(reply, detail, scope=Scope.SENDER if one_device else Scope.ACCOUNT)
    return found if found.after_s is not None else structs.replace(found, after_s=QUOTA_S)
