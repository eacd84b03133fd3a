"""Telegram's Bot API as a caller meets it: a bot's token in the path, `ok` in every answer, no receipts, and updates to a webhook.

Facts: core.telegram.org/bots/api (Making requests, sendMessage and its kin), read November 2026. Any token that has the form of one
is taken; the account is the bot's number, which stands before the colon.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from sendwright.sandbox.asked import Asked
from sendwright.sandbox.log import Entry, Noted
from sendwright.sandbox.places import usable
from sendwright.sandbox.replies import Told
from sendwright.sandbox.wire import Headers, Reply, Request, json_of, json_reply

_CALL = re.compile(r"/bot([0-9]{3,20}):[A-Za-z0-9_-]{1,100}/(send[A-Za-z]{1,20})", re.ASCII)
_WEBHOOK = re.compile(r"/bot([0-9]{3,20}):[A-Za-z0-9_-]{1,100}/setWebhook", re.ASCII)
_SECRET_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}", re.ASCII)
_COMMAND = re.compile(r"/[A-Za-z0-9_]{1,32}", re.ASCII)
_FILES = {
    "sendPhoto": "photo",
    "sendAnimation": "animation",
    "sendVideo": "video",
    "sendAudio": "audio",
    "sendDocument": "document",
}
_TEXT_MAX = 4096
_TEXTS = {400: "Bad Request: chat not found", 401: "Unauthorized", 403: "Forbidden: bot was blocked by the user", 404: "Not Found"}


class Telegram:
    """The dialect of kind `telegram`."""

    kind = "telegram"

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._updates = itertools.count(1)
        self._hooks: dict[str, tuple[str, str]] = {}
        """By bot, where its updates go, and the token that they bring."""

    def __repr__(self) -> str:
        return "Telegram()"

    def account_in(self, path: str) -> str | None:
        found = _CALL.fullmatch(path)
        return found[1] if found else None

    def other(self, request: Request, path: str) -> Reply | None:
        """The one call beside messages says where updates go. A path that is no call has a wrong token, and is answered so."""
        found = _WEBHOOK.fullmatch(path)
        if found is None or request.method != "POST":
            return self.failure(404, None, ())
        said = json_of(request) or {}
        url, token = said.get("url"), said.get("secret_token", "")
        if not isinstance(url, str) or not usable(url) or not isinstance(token, str) or _SECRET_TOKEN.fullmatch(token) is None:
            return _bad(400, "Bad Request: bad webhook")
        self._hooks[found[1]] = url, token
        return json_reply(200, {"ok": True, "result": True, "description": "Webhook was set"})

    def reply(self, entry: Entry, text: str) -> Told | None:
        """A person's message to the bot, as an update. A chat that goes by its name is none with one person."""
        hook = self._hooks.get(entry.account)
        if hook is None or not entry.to.isdigit():
            return None
        url, token = hook
        person = {"id": int(entry.to), "is_bot": False, "first_name": "Somebody"}
        message: dict[str, object] = {"message_id": next(self._numbers), "from": person, "date": int(time.time()), "text": text}
        message["chat"] = {"id": int(entry.to), "type": "private", "first_name": "Somebody"}
        if command := _COMMAND.match(text):
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(command[0])}]
        body = msgspec.json.encode({"update_id": next(self._updates), "message": message})
        headers = ((b"content-type", b"application/json"), (b"x-telegram-bot-api-secret-token", token.encode()))
        return Told(url, headers, body)

    def read(self, request: Request, account: str) -> Asked:
        said = json_of(request)
        call = _CALL.search(request.path)
        if said is None or call is None:
            return Asked(self.kind, account, refusal=self.failure(400, "Bad Request: message text is empty", ()))
        return _asked(account, call[2], said)

    def new_ref(self) -> str:
        return str(next(self._numbers))

    def taken(self, asked: Asked, ref: str, at: datetime) -> Reply:
        result = {"message_id": int(ref), "date": int(at.timestamp()), "chat": {"id": asked.to}, "text": asked.body}
        return json_reply(200, {"ok": True, "result": result})

    def replayed(self, ref: str) -> Reply:
        return json_reply(200, {"ok": True, "result": {"message_id": int(ref)}})

    def opted_out(self, asked: Asked) -> Reply:
        return self.failure(403, None, ())

    def failure(self, status: int, code: int | str | None, headers: Headers) -> Reply:
        """`code` is the description. A Retry-After of seconds stands in the body, as Telegram says it."""
        wait = next((value for name, value in headers if name == b"retry-after" and value.isdigit()), None)
        usual = f"Too Many Requests: retry after {wait.decode()}" if wait else _TEXTS.get(status, "Internal Server Error")
        body: dict[str, object] = {"ok": False, "error_code": status, "description": str(code or usual)}
        return json_reply(status, body | ({"parameters": {"retry_after": int(wait)}} if wait else {}), headers)

    def receipt(self, asked: Asked, noted: Noted, state: str) -> tuple[Headers, bytes]:
        return (), b""  # nobody is called back: no message brings an address


def _asked(account: str, method: str, said: Mapping[str, Any]) -> Asked:
    chat, name = said.get("chat_id"), _FILES.get(method)
    text = said.get("text" if name is None else "caption")
    file = said.get(name) if name else None
    to = str(chat) if isinstance(chat, int | str) else ""
    words = text if isinstance(text, str) else ""
    return Asked(
        Telegram.kind,
        account,
        "telegram",
        to,
        words,
        media=[file] if isinstance(file, str) else [],
        refusal=_refusal(to, words, file, known=name is not None or method == "sendMessage"),
    )


def _refusal(to: str, words: str, file: object, *, known: bool) -> Reply | None:
    if not known:
        return _bad(404, "Not Found")
    if not to:
        return _bad(400, "Bad Request: chat_id is empty")
    if not words and not file:
        return _bad(400, "Bad Request: message text is empty")
    return _bad(400, "Bad Request: message is too long") if len(words) > _TEXT_MAX else None


def _bad(status: int, description: str) -> Reply:
    return json_reply(status, {"ok": False, "error_code": status, "description": description})
