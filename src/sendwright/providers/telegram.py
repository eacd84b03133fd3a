"""Telegram by the Bot API: texts, files and buttons, one call per message. There are no receipts.

Read in November 2026:
  the calls    https://core.telegram.org/bots/api (Bot API 10.1), "Making requests", "Sending files", sendMessage and its kin
  limits       https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
  updates      https://core.telegram.org/bots/api#setwebhook, and #update, #message, #callbackquery, #chatmemberupdated below it

What shapes this file:
  * The token stands in the path of every call. A request's repr shows no address, and words that quote the token are masked.
  * A bot writes only to people who started it, and to chats that it is in.
  * There is no idempotency key, nothing that is echoed, and no receipt: a lost answer stays lost, and what was taken stays `sent`.
  * A refusal is told by its HTTP status, and by a description in words that Telegram lists nowhere. Those below were seen; another
    one is only less exact.
  * A group that became a supergroup has a new id, which the refusal names: the message was not taken, and goes there.
  * An update has a number of its own, the same in every repetition: by it a reply is known. Updates come out of order.
  * Who blocks a bot is told of like who puts one out of a group, as a change of its membership.
  * Telegram fetches files itself, and only of some kinds: others stand in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal
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
    Inbound,
    Misconfigured,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Rejected,
    Reply,
    Scope,
    Secret,
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
_COMMAND = re.compile(r"/([A-Za-z]{1,32})(?:@[A-Za-z0-9_]{1,64})?(?=\s|$)", re.ASCII)
_COMMANDS: dict[str, Literal["stop", "start", "help"]] = {"stop": "stop", "start": "start", "help": "help"}
_STANDING: dict[str, Literal["stop", "start"]] = {
    "kicked": "stop", "left": "stop", "member": "start", "administrator": "start",
}  # fmt: skip
_FILES = frozenset(
    {
        *("animation", "audio", "document", "paid_media", "photo", "sticker", "story", "video", "video_note", "voice"),
        *("contact", "dice", "game", "poll", "venue", "location"),
    }
)
"""What a message may hold instead of words."""
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
        method, said = self._said(out)
        return HttpRequest("POST", f"{self._base}/{method}", _HEADERS, msgspec.json.encode(chat | said))

    def counted(self, out: Outgoing) -> str:
        """The text, or a file's caption."""
        lines, _ = _sorted(out)
        text, known = out.body or out.title or "", _captioned(out)
        return known[1] if known is not None else spelled(text, out.media, lines)

    def _said(self, out: Outgoing) -> tuple[str, dict[str, object]]:
        """The method, and what is said by it: a file with its caption, or a text; under it the buttons."""
        under, known = _keyboard(_sorted(out)[1]), _captioned(out)
        if known is not None:
            (method, parameter), caption = known
            return method, {parameter: out.media[0].url, **({"caption": caption} if caption else {}), **under}
        body = self.limited(self.counted(out))
        if not body:
            raise ValueError("neither a text nor media")
        return "sendMessage", {"text": body, **under}

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

    def events(self, hook: Hook) -> Sequence[Inbound]:
        """What an update tells: a message, a changed one, a button that was pressed, or that the bot was blocked or let in."""
        update = json_object(hook.body)
        number = update.get("update_id")
        ref = str(number) if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 1 << 63 else None
        if ref is None:
            return ()
        for name in ("message", "edited_message"):
            if message := _object(update, name):
                return _written(message, ref)
        return _pressed(_object(update, "callback_query"), ref) or _moved(_object(update, "my_chat_member"), ref)


def _written(message: Mapping[str, Any], ref: str) -> Sequence[Inbound]:
    """A person's words, or a file of theirs. In a group people talk to one another: there a command alone is meant for the bot."""
    chat, text = _chat_of(message), _text(message.get("text")) or _text(message.get("caption"))
    private = _object(message, "chat").get("type") == "private"
    word = _command(message, text)
    if chat is None or _object(message, "from").get("is_bot") is not False:
        return ()
    if not (word if not private else text or _FILES & message.keys()):
        return ()
    at = message.get("edit_date") or message.get("date")
    return (Inbound("telegram", chat, text, ref, _seconds(at), word),)


def _command(message: Mapping[str, Any], text: str) -> Literal["stop", "start", "help"] | None:
    """`/start`, with whatever stands behind it, and so on; None where the text does not begin with one of ours."""
    found = _COMMAND.match(text)
    entities = message.get("entities")
    first = entities[0] if isinstance(entities, list) and entities else None
    if found is None or not isinstance(first, dict) or (first.get("type"), first.get("offset")) != ("bot_command", 0):
        return None
    return _COMMANDS.get(found[1].lower())


def _pressed(query: Mapping[str, Any], ref: str) -> Sequence[Inbound]:
    """A button. What Telegram tells of it has no time."""
    chat, person = _chat_of(_object(query, "message")), _object(query, "from")
    data = _text(query.get("data"))
    if chat is None or person.get("is_bot") is not False or str(person.get("id")) != chat or not data:
        return ()
    return (Inbound("telegram", chat, ref=ref, payload=data),)


def _moved(change: Mapping[str, Any], ref: str) -> Sequence[Inbound]:
    """The bot was blocked, or put out of the group; or it is let in again."""
    chat, status = _chat_of(change), _object(change, "new_chat_member").get("status")
    word = _STANDING.get(status) if isinstance(status, str) else None
    if chat is None or word is None:
        return ()
    return (Inbound("telegram", chat, "", ref, _seconds(change.get("date")), word, how="blocked", answered=True),)


def _chat_of(about: Mapping[str, Any]) -> str | None:
    number = _object(about, "chat").get("id")
    chat = str(number) if isinstance(number, int) and not isinstance(number, bool) else ""
    return chat if _CHAT.fullmatch(chat) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40 else None


_HEADERS = (("Content-Type", "application/json"), ("Accept", "application/json"))


def _chat_id(address: str) -> int | str:
    if _CHAT.fullmatch(address):
        return int(address)
    if _NAME.fullmatch(address):
        return address
    raise ValueError("the recipient is neither a chat's number nor a public @name")


def _sorted(out: Outgoing) -> tuple[list[Action], list[Action]]:
    """The actions that stand in the text, and those that are buttons under it."""
    buttons = [action for action in out.actions if action.url and action.url.lower().startswith(_OPENED)]
    return [action for action in out.actions if action not in buttons], buttons


def _captioned(out: Outgoing) -> tuple[tuple[str, str], str] | None:
    """How the one file goes, and under which caption; None where it stands in the text."""
    caption = spelled(out.body or out.title or "", actions=_sorted(out)[0])
    if len(out.media) != 1 or len(caption) > CAPTION_MAX or (known := _BY_TYPE.get(content_type(out.media[0]))) is None:
        return None
    return known, caption


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
