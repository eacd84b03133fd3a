"""Slack as a caller meets it: `chat.postMessage`, which refuses with 200 and a word, and incoming webhooks, which speak plain text.

Facts: api.slack.com/methods/chat.postMessage, api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks, read
November 2026. Any bearer token, and any webhook's address, is taken.
"""

from __future__ import annotations

import itertools
import re
import time
from datetime import datetime

import msgspec

from sendwright.sandbox.asked import Asked
from sendwright.sandbox.keys import slack_signature
from sendwright.sandbox.log import Entry, Noted
from sendwright.sandbox.places import usable
from sendwright.sandbox.replies import Told
from sendwright.sandbox.wire import Headers, Reply, Request, bearer, json_of, json_reply

_HOOK = re.compile(r"/services/([A-Za-z0-9]{1,32})/[A-Za-z0-9]{1,32}/[A-Za-z0-9_-]{1,64}", re.ASCII)
_TEXT_MAX = 40_000
_PLAIN: Headers = ((b"content-type", b"text/plain; charset=utf-8"),)


class Slack:
    """The dialect of kind `slack`, for bots."""

    kind = "slack"

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._events: tuple[str, str] | None = None
        """The app's request address, and the secret that signs what goes there."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def account_in(self, path: str) -> str | None:
        return "bot" if path == "/chat.postMessage" else None

    def other(self, request: Request, path: str) -> Reply | None:
        """Where events go, and what signs them: at Slack that stands on the app's page."""
        if path != "/events" or request.method != "PUT":
            return None
        said = json_of(request) or {}
        url, secret = said.get("request_url"), said.get("signing_secret")
        if not isinstance(url, str) or not usable(url) or not isinstance(secret, str) or not secret:
            return json_reply(200, {"ok": False, "error": "invalid_arguments"})
        self._events = url, secret
        return json_reply(200, {"ok": True})

    def reply(self, entry: Entry, text: str) -> Told | None:
        """A person's direct message to the app, as an event. In a channel nobody writes to it."""
        if self._events is None or entry.to[:1] not in {"U", "W", "D"}:
            return None
        url, secret = self._events
        at, ts = int(time.time()), self.new_ref()
        person, place = ("U0SANDBOX", entry.to) if entry.to.startswith("D") else (entry.to, "D" + entry.to[1:])
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        event = {
            "type": "message",
            "channel_type": "im",
            "channel": place,
            "user": person,
            "text": escaped,
            "ts": ts,
            "event_ts": ts,
        }
        told = {"type": "event_callback", "event_id": f"Ev{next(self._numbers):08d}", "event_time": at, "event": event}
        body = msgspec.json.encode(told | {"team_id": "T0SANDBOX", "api_app_id": "A0SANDBOX"})
        signature = slack_signature(secret, at, body).encode()
        stamp = (b"x-slack-request-timestamp", str(at).encode())
        return Told(url, ((b"content-type", b"application/json"), (b"x-slack-signature", signature), stamp), body)

    def read(self, request: Request, account: str) -> Asked:
        said = json_of(request)
        if not bearer(request):
            return Asked(self.kind, account, refusal=self.failure(200, "not_authed", ()))
        if said is None:
            return Asked(self.kind, account, refusal=self.failure(200, "invalid_arguments", ()))
        channel, text = said.get("channel"), said.get("text")
        to, words = channel if isinstance(channel, str) else "", text if isinstance(text, str) else ""
        word = "channel_not_found" if not to else _word_of(words, said.get("blocks"))
        return Asked(self.kind, account, "slack", to, words, refusal=self.failure(200, word, ()) if word else None)

    def new_ref(self) -> str:
        return f"{int(time.time())}.{next(self._numbers) % 1_000_000:06d}"

    def taken(self, asked: Asked, ref: str, at: datetime) -> Reply:
        return json_reply(200, {"ok": True, "channel": asked.to, "ts": ref, "message": {"text": asked.body, "ts": ref}})

    def replayed(self, ref: str) -> Reply:
        return json_reply(200, {"ok": True, "ts": ref})

    def opted_out(self, asked: Asked) -> Reply:
        return self.failure(200, "is_archived", ())

    def failure(self, status: int, code: int | str | None, headers: Headers) -> Reply:
        usual = {401: "invalid_auth", 403: "access_denied", 429: "ratelimited", 503: "service_unavailable"}.get(
            status, "internal_error"
        )
        return json_reply(status, {"ok": False, "error": str(code or usual)}, headers)

    def receipt(self, asked: Asked, noted: Noted, state: str) -> tuple[Headers, bytes]:
        return (), b""  # nobody is called back: no message brings an address


class SlackWebhook(Slack):
    """The same kind, for incoming webhooks. The account is the first part of the address; the last is its secret."""

    def account_in(self, path: str) -> str | None:
        found = _HOOK.fullmatch(path)
        return found[1] if found else None

    def read(self, request: Request, account: str) -> Asked:
        said = json_of(request)
        if said is None:
            return Asked(self.kind, account, refusal=self.failure(400, "invalid_payload", ()))
        text = said.get("text")
        words = text if isinstance(text, str) else ""
        word = _word_of(words, said.get("blocks"))
        return Asked(self.kind, account, "slack", "webhook", words, refusal=self.failure(400, word, ()) if word else None)

    def taken(self, asked: Asked, ref: str, at: datetime) -> Reply:
        return Reply(200, b"ok", _PLAIN)

    def replayed(self, ref: str) -> Reply:
        return Reply(200, b"ok", _PLAIN)

    def opted_out(self, asked: Asked) -> Reply:
        return self.failure(410, "channel_is_archived", ())

    def failure(self, status: int, code: int | str | None, headers: Headers) -> Reply:
        usual = {403: "action_prohibited", 404: "no_service", 429: "rate_limited"}.get(status, "rollup_error")
        return Reply(status, str(code or usual).encode(), _PLAIN + headers)


def _word_of(text: str, blocks: object) -> str | None:
    """Slack's word for what is wrong with a message; None for a good one."""
    if not text and not blocks:
        return "no_text"
    if blocks is not None and not (
        isinstance(blocks, list) and all(isinstance(block, dict) and "type" in block for block in blocks)
    ):
        return "invalid_blocks"
    return "msg_too_long" if len(text) > _TEXT_MAX else None
