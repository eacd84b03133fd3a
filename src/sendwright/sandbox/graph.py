"""Meta's Graph API as a caller meets it: WhatsApp, Messenger and Instagram take messages, and report to the app's one callback.

Facts: developers.facebook.com/documentation/business-messaging/whatsapp (messages, status webhooks, error codes),
/docs/messenger-platform (Send API, webhooks), /docs/graph-api/reference/app/subscriptions and debug_token, read November 2026. Any
bearer token is taken. An app subscribes as it does at Meta; its secret, which comes in its access token, signs what is reported.
"""

from __future__ import annotations

import base64
import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from sendwright.sandbox.asked import Asked
from sendwright.sandbox.keys import meta_signature
from sendwright.sandbox.log import Entry, Noted
from sendwright.sandbox.places import usable
from sendwright.sandbox.replies import Told
from sendwright.sandbox.wire import Headers, Reply, Request, bearer, json_of, json_reply

_ACCOUNT = re.compile(r"/v[0-9]+\.[0-9]+/([0-9]{1,32})/messages", re.ASCII)
_APP = re.compile(r"/v[0-9]+\.[0-9]+/([0-9]{1,32})/subscriptions", re.ASCII)
_TOKEN = re.compile(r"/v[0-9]+\.[0-9]+/debug_token", re.ASCII)
_ENDS = re.compile(r"expires-([0-9]{1,10})$", re.ASCII)
_NUMBER = re.compile(r"\+?[0-9]{7,15}", re.ASCII)
_TYPES = frozenset({"text", "template", "image", "video", "audio", "document"})
_TEXTS = {
    1: "An unknown error occurred",
    2: "Service temporarily unavailable",
    4: "Application request limit reached",
    10: "Application does not have permission for this action",
    100: "Invalid parameter",
    190: "Invalid OAuth access token",
    551: "This person isn't available right now",
    613: "Calls to this api have exceeded the rate limit",
    130429: "Rate limit hit",
    131008: "Required parameter is missing",
    131009: "Parameter value is not valid",
    131026: "Message undeliverable",
    131047: "Re-engagement message",
    131050: "User has stopped receipt of marketing messages",
}
_UNREACHABLE = 131026


class Subscription(Struct, frozen=True):
    """Where an app wants to be called, and the secret that signs it."""

    url: str
    secret: str

    def __repr__(self) -> str:
        return "Subscription()"


class Graph(ABC):
    """What the three have in common. A kind's accounts report to the app that subscribed last."""

    kind: str
    channel: ClassVar[str]
    about: ClassVar[str]
    busy: ClassVar[int] = 613
    unwanted: ClassVar[int] = 551

    def __init__(self) -> None:
        self.subscription: Subscription | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def account_in(self, path: str) -> str | None:
        found = _ACCOUNT.fullmatch(path)
        return found[1] if found else None

    def other(self, request: Request, path: str) -> Reply | None:
        """The calls beside messages: an app subscribes, and a token is asked about."""
        if _TOKEN.fullmatch(path) and request.method == "GET":
            return self._life(request)
        return self._subscribe(request) if _APP.fullmatch(path) and request.method == "POST" else None

    def _life(self, request: Request) -> Reply:
        """How long a token lives: as a system user's, without an end, unless it names one."""
        asked = dict(parse_qsl(request.query, max_num_fields=20)).get("input_token")
        if not (bearer(request) and asked):
            return self.failure(401 if asked else 400, None, ())
        named = _ENDS.search(asked)
        ends_at = int(named[1]) if named else 0
        lives = {"is_valid": not named or ends_at > time.time(), "expires_at": ends_at, "data_access_expires_at": 0}
        return json_reply(200, {"data": {"type": "USER" if named else "SYSTEM_USER", **lives}})

    def _subscribe(self, request: Request) -> Reply:
        app, _, secret = bearer(request).partition("|")
        said = dict(parse_qsl(request.body.decode("utf-8", "replace"), max_num_fields=20))
        url = said.get("callback_url", "")
        if not (app and secret):
            return self.failure(401, 190, ())
        if said.get("object") != self.about or not usable(url) or not said.get("verify_token"):
            return self.failure(400, 100, ())
        self.subscription = Subscription(url, secret)
        return json_reply(200, {"success": True})

    def read(self, request: Request, account: str) -> Asked:
        said = json_of(request)
        if not bearer(request):
            return Asked(self.kind, account, refusal=self.failure(401, 190, ()))
        if said is None:
            return Asked(self.kind, account, refusal=self.failure(400, 100, ()))
        told = self.subscription
        fields = self.asked(said)
        return Asked(
            self.kind, account, self.channel, **fields, callback_url=told.url if told else None, token=told.secret if told else ""
        )

    def asked(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """The members of `Asked` that this kind's message says; `refusal` among them where it is none."""
        recipient, message = _object(said, "recipient"), _object(said, "message")
        attached = _object(message, "attachment")
        url = _object(attached, "payload").get("url")
        text, to = message.get("text"), recipient.get("id")
        good = isinstance(to, str) and bool(to) and (isinstance(text, str) or isinstance(url, str))
        return {
            "to": to if isinstance(to, str) else "",
            "body": text if isinstance(text, str) else "",
            "media": [url] if isinstance(url, str) else [],
            "reference": _text(message.get("metadata")),
            "refusal": None if good else self.failure(400, 100, ()),
        }

    def new_ref(self) -> str:
        return "m_" + os.urandom(24).hex()

    def taken(self, asked: Asked, ref: str, at: datetime) -> Reply:
        return json_reply(200, {"recipient_id": asked.to, "message_id": ref})

    def replayed(self, ref: str) -> Reply:
        return json_reply(200, {"message_id": ref})

    def opted_out(self, asked: Asked) -> Reply:
        return self.failure(400, self.unwanted, ())

    def failure(self, status: int, code: int | str | None, headers: Headers) -> Reply:
        number = {401: 190, 403: 10, 429: self.busy, 503: 2}.get(status, 1 if status >= 500 else 100) if code is None else code
        text = _TEXTS.get(number, "Error") if isinstance(number, int) else "Error"
        error = {"message": f"(#{number}) {text}", "type": "OAuthException", "code": number, "fbtrace_id": "A" * 23}
        return json_reply(status, {"error": error}, headers)

    def reply(self, entry: Entry, text: str) -> Told | None:
        """A person's message to the account, told to the app."""
        told = self.subscription
        if told is None:
            return None
        headers, body = _signed(told.secret, {"object": self.about, "entry": [self.written(entry, text)]})
        return Told(told.url, headers, body)

    def written(self, entry: Entry, text: str) -> dict[str, object]:
        """The entry of a callback that tells of it."""
        now_ms = int(time.time() * 1000)
        whose = {"sender": {"id": entry.to}, "recipient": {"id": entry.account}, "timestamp": now_ms}
        return {"id": entry.account, "time": now_ms, "messaging": [whose | {"message": {"mid": self.new_ref(), "text": text}}]}

    def receipt(self, asked: Asked, noted: Noted, state: str) -> tuple[Headers, bytes]:
        now_ms, ours, theirs = int(time.time() * 1000), {"id": asked.account}, {"id": asked.to}
        event = self.event(asked, noted.entry.ref or "", state, now_ms)
        outward = "message" in event  # an echo is from the account, everything else from the person
        whose = {"sender": ours, "recipient": theirs} if outward else {"sender": theirs, "recipient": ours}
        messaging = [whose | {"timestamp": now_ms} | event] if event else []
        return _signed(
            asked.token, {"object": self.about, "entry": [{"id": asked.account, "time": now_ms, "messaging": messaging}]}
        )

    @abstractmethod
    def event(self, asked: Asked, ref: str, state: str, now_ms: int) -> dict[str, object]:
        """What is told of a message that came to `state`; empty where the vendor tells nothing."""


class Messenger(Graph):
    """The dialect of kind `messenger`: an echo, a delivery by name, a reading by watermark."""

    kind = "messenger"
    channel = "messenger"
    about = "page"

    def event(self, asked: Asked, ref: str, state: str, now_ms: int) -> dict[str, object]:
        match state:
            case "sent":
                echo = {"is_echo": True, "mid": ref, "text": asked.body}
                return {"message": echo | ({"metadata": asked.reference} if asked.reference else {})}
            case "delivered":
                return {"delivery": {"mids": [ref], "watermark": now_ms}}
            case "read":
                return {"read": {"watermark": now_ms}}
            case _:
                return {}


class Instagram(Graph):
    """The dialect of kind `instagram`: an echo, and a reading by name."""

    kind = "instagram"
    channel = "instagram"
    about = "instagram"

    def event(self, asked: Asked, ref: str, state: str, now_ms: int) -> dict[str, object]:
        match state:
            case "sent":
                return {"message": {"is_echo": True, "mid": ref, "text": asked.body}}
            case "read":
                return {"read": {"mid": ref}}
            case _:
                return {}


class WhatsappCloud(Graph):
    """The dialect of kind `whatsapp_cloud`: a status for everything."""

    kind = "whatsapp_cloud"
    channel = "whatsapp"
    about = "whatsapp_business_account"
    busy = 130429
    unwanted = 131050

    def asked(self, said: Mapping[str, Any]) -> dict[str, Any]:
        kind, to = said.get("type", "text"), said.get("to")
        what = _object(said, kind) if isinstance(kind, str) and kind in _TYPES else {}
        link, text = what.get("link"), what.get("body") or what.get("caption") or what.get("name")
        good = said.get("messaging_product") == "whatsapp" and isinstance(to, str) and _NUMBER.fullmatch(to) and (link or text)
        return {
            "to": to if isinstance(to, str) else "",
            "body": text if isinstance(text, str) else "",
            "media": [link] if isinstance(link, str) else [],
            "reference": _text(said.get("biz_opaque_callback_data")),
            "refusal": None if good else self.failure(400, 131009 if what else 131008, ()),
        }

    def new_ref(self) -> str:
        return "wamid." + base64.b64encode(os.urandom(30)).decode()

    def taken(self, asked: Asked, ref: str, at: datetime) -> Reply:
        contact = {"input": asked.to, "wa_id": asked.to.lstrip("+")}
        return json_reply(200, {"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": ref}]})

    def receipt(self, asked: Asked, noted: Noted, state: str) -> tuple[Headers, bytes]:
        status: dict[str, object] = {"id": noted.entry.ref, "status": state, "timestamp": str(int(time.time()))}
        status["recipient_id"] = asked.to.lstrip("+")
        if asked.reference:
            status["biz_opaque_callback_data"] = asked.reference
        if state == "failed":
            text = _TEXTS[_UNREACHABLE]
            status["errors"] = [{"code": _UNREACHABLE, "title": text, "message": text, "error_data": {"details": text}}]
        value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": asked.account}, "statuses": [status]}
        entry = {"id": "102290129340398", "changes": [{"field": "messages", "value": value}]}
        return _signed(asked.token, {"object": self.about, "entry": [entry]})

    def written(self, entry: Entry, text: str) -> dict[str, object]:
        person = entry.to.lstrip("+")
        message = {"from": person, "id": self.new_ref(), "timestamp": str(int(time.time())), "type": "text", "text": {"body": text}}
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"phone_number_id": entry.account},
            "contacts": [{"profile": {"name": "Somebody"}, "wa_id": person}],
            "messages": [message],
        }
        return {"id": "102290129340398", "changes": [{"field": "messages", "value": value}]}

    def event(self, asked: Asked, ref: str, state: str, now_ms: int) -> dict[str, object]:
        return {}  # its statuses are no events of a conversation


def _signed(secret: str, told: object) -> tuple[Headers, bytes]:
    body = msgspec.json.encode(told)
    signature = meta_signature(secret, body)
    return ((b"content-type", b"application/json"), (b"x-hub-signature-256", signature.encode())), body


def _object(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
