"""Telegram by the Bot API: texts, files and buttons, one call per message. There are no receipts.

Read in November 2026:
  the calls    https://core.telegram.org/bots/api (Bot API 10.1), "Making requests", "Sending files", sendMessage and its kin
  limits       https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
  updates      https://core.telegram.org/bots/api#setwebhook

What shapes this file:
  * The token stands in the path of every call. A request's repr shows no address, and words that quote the token are masked.
  * A bot writes only to people who started it, and to chats that it is in.
  * There is no idempotency key, nothing that is echoed, and no receipt: a lost answer stays lost, and what was taken stays `sent`.
  * A refusal is told by its HTTP status, and by a description in words that Telegram lists nowhere. Those below were seen; another
    one is only less exact.
  * A group that became a supergroup has a new id, which the refusal names: the message was not taken, and goes there.
  * Telegram fetches files itself, and only of some kinds: others stand in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import structs

from sendwright.providers.answers import by_status, json_object
from sendwright.providers.chat import content_type, spelled
from sendwright.providers.contract import (
    Accepted,
    Action,
    Answer,
    Capabilities,
    CommonSettings,
    Flow,
    Hook,
    HttpRequest,
    Misconfigured,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Rejected,
    Reply,
    Scope,
    Secret,
    TooLong,
    Unsure,
    Verdict,
)
from sendwright.providers.signing import same

API = "https://api.telegram.org"
BODY_MAX = 4096
CAPTION_MAX = 1024

_TOKEN = re.compile(r"[A-Za-z0-9_:-]{8,128}", re.ASCII)
_SECRET_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}", re.ASCII)
_CHAT = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_NAME = re.compile(r"@[A-Za-z][A-Za-z0-9_]{3,31}", re.ASCII)
_OPENED = ("http://", "https://", "tg://")
"""What the address of a button may begin with."""

_BY_TYPE = {
    "image/jpeg": ("sendPhoto", "photo"),
    "image/png": ("sendPhoto", "photo"),
    "image/webp": ("sendPhoto", "photo"),
    "image/gif": ("sendAnimation", "animation"),
    "video/mp4": ("sendVideo", "video"),
    "audio/mpeg": ("sendAudio", "audio"),
    "audio/mp4": ("sendAudio", "audio"),
    "application/pdf": ("sendDocument", "document"),
    "application/zip": ("sendDocument", "document"),
}
"""What Telegram fetches by its address ("Sending files"), the method, and its parameter."""

_REFUSED: tuple[tuple[str, Reason, Scope], ...] = (
    ("blocked by the user", Reason.BLOCKED, Scope.RECIPIENT),
    ("bot was kicked", Reason.BLOCKED, Scope.RECIPIENT),
    ("user is deactivated", Reason.UNREACHABLE, Scope.RECIPIENT),
    ("group is deactivated", Reason.UNREACHABLE, Scope.RECIPIENT),
    ("group chat was deleted", Reason.UNREACHABLE, Scope.RECIPIENT),
    ("chat not found", Reason.INVALID_ADDRESS, Scope.RECIPIENT),
    ("user not found", Reason.INVALID_ADDRESS, Scope.RECIPIENT),
    ("peer_id_invalid", Reason.INVALID_ADDRESS, Scope.RECIPIENT),
    ("upgraded to a supergroup", Reason.INVALID_ADDRESS, Scope.RECIPIENT),
    ("too long", Reason.TOO_LONG, Scope.RECIPIENT),
    ("too_long", Reason.TOO_LONG, Scope.RECIPIENT),
    ("rights", Reason.REJECTED, Scope.SENDER),  # of this bot, in that chat
    ("chat_write_forbidden", Reason.REJECTED, Scope.SENDER),
    ("topic_closed", Reason.REJECTED, Scope.SENDER),
)
"""Words in a description of 400 or 403, in lower case. Any other 403 says that the bot can't reach that chat; any other 400, that
what is said is not taken."""


class TelegramSettings(CommonSettings, frozen=True, kw_only=True):
    """A bot."""

    bot_token: Secret
    secret_token: Secret | None = None
    """What updates must bring in a header; without it none is taken."""

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        bot, secret = given.get("bot_token"), given.get("secret_token")
        faults = []
        if bot is not None and _TOKEN.fullmatch(bot.reveal()) is None:
            faults.append(("bot_token", "must be 8 characters or more, of letters, digits, _ : and -"))
        if secret is not None and _SECRET_TOKEN.fullmatch(secret.reveal()) is None:
            faults.append(("secret_token", "must be 1 to 256 letters, digits, _ and -"))
        return faults


class Telegram(Provider):
    """One bot."""

    kind = "telegram"
    settings_type = TelegramSettings
    settings: TelegramSettings

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(channels=("telegram",), media=True, body_max=BODY_MAX)

    def build(self, out: Outgoing) -> HttpRequest:
        """One message, in plain text. Raises `ValueError` for a chat or a content that the Bot API has no form for."""
        if out.channel != "telegram":
            raise ValueError("this is an account for Telegram")
        chat: dict[str, object] = {"chat_id": _chat_id(out.address)}
        method, said = _said(out)
        return HttpRequest("POST", f"{self._base}/{method}", _HEADERS, msgspec.json.encode(chat | said))

    @cached_property
    def _base(self) -> str:
        base = (self.settings.base_url or API).rstrip("/")
        return f"{base}/bot{quote(self.settings.bot_token.reveal(), safe=':')}"

    def flow(self, out: Outgoing) -> Flow:
        """One call, and another one where the chat has moved."""
        answer = yield self.build(out)
        if (moved := _moved_to(answer)) is not None:
            answer = yield self.build(structs.replace(out, address=moved))
        return self.read(answer)

    def parse(self, reply: Reply) -> Outcome:
        answer = json_object(reply.body)
        words = self.words(answer.get("description"))
        if 200 <= reply.status < 300:
            number = _object(answer, "result").get("message_id")
            taken = answer.get("ok") is True and isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 1 << 63
            return Accepted(str(number)) if taken else Unsure("a success without a message")
        if reply.status in {400, 403} and answer.get("ok") is False:
            return _refusal(reply.status, words)
        if reply.status == 404:
            return Misconfigured(f"HTTP 404: {words}")  # how Telegram answers a token that it does not know
        return by_status(reply, words)

    def verify(self, hook: Hook) -> Verdict:
        """The secret token of `setWebhook`, which Telegram sends in a header of every update."""
        secret, given = self.settings.secret_token, hook.header("x-telegram-bot-api-secret-token")
        good = secret is not None and given is not None and same(secret.reveal(), given)
        return Verdict.GOOD if good else Verdict.BAD


_HEADERS = (("Content-Type", "application/json"), ("Accept", "application/json"))


def _chat_id(address: str) -> int | str:
    if _CHAT.fullmatch(address):
        return int(address)
    if _NAME.fullmatch(address):
        return address
    raise ValueError("the recipient is neither a chat's number nor a public @name")


def _said(out: Outgoing) -> tuple[str, dict[str, object]]:
    """The method, and what is said by it: a file with its caption, or a text; under it the buttons."""
    buttons = [action for action in out.actions if action.url and action.url.lower().startswith(_OPENED)]
    lines = [action for action in out.actions if action not in buttons]
    text, under = out.body or out.title or "", _keyboard(buttons)
    caption = spelled(text, actions=lines)
    if len(out.media) == 1 and len(caption) <= CAPTION_MAX and (known := _BY_TYPE.get(content_type(out.media[0]))):
        method, parameter = known
        return method, {parameter: out.media[0].url, **({"caption": caption} if caption else {}), **under}
    body = spelled(text, out.media, lines)
    if not body:
        raise ValueError("neither a text nor media")
    if len(body) > BODY_MAX:
        raise TooLong(f"the text is longer than {BODY_MAX} characters")
    return "sendMessage", {"text": body, **under}


def _keyboard(buttons: Sequence[Action]) -> dict[str, object]:
    rows = [[{"text": button.label, "url": button.url}] for button in buttons]
    return {"reply_markup": {"inline_keyboard": rows}} if rows else {}


def _refusal(status: int, words: str) -> Rejected:
    said = words.lower()
    for mark, reason, scope in _REFUSED:
        if mark in said:
            return Rejected(reason, words, scope)
    return Rejected(Reason.UNREACHABLE if status == 403 else Reason.CONTENT, words)


def _moved_to(answer: Answer) -> str | None:
    """The chat's new id, where the answer is the refusal that names one."""
    if not isinstance(answer, Reply) or answer.status != 400:
        return None
    new = _object(json_object(answer.body), "parameters").get("migrate_to_chat_id")
    return str(new) if isinstance(new, int) and not isinstance(new, bool) and abs(new) < 10**18 else None


def _object(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = answer.get(name)
    return found if isinstance(found, dict) else {}
