"""Slack by a bot's token (`chat.postMessage`), or by the address of one incoming webhook. There are no receipts.

Read in November 2026:
  the call       https://api.slack.com/methods/chat.postMessage
  the webhook    https://docs.slack.dev/tools/python-slack-sdk/webhook,
                 https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks
  its lengths    https://api.slack.com/changelog/2018-04-truncating-really-long-messages
  formatting     https://api.slack.com/reference/surfaces/formatting
  signatures     https://api.slack.com/docs/verifying-requests-from-slack
  events         https://docs.slack.dev/apis/events-api, and https://docs.slack.dev/reference/events/message.im

What shapes this file:
  * The Web API answers a refusal with HTTP 200, `ok: false` and a word. Of `fatal_error` and `internal_error` Slack says that the
    operation may have succeeded: they are unsure.
  * A webhook answers in plain text, `ok` or a word with a 4xx. It posts where its operator bound it to, whoever is addressed: so
    the recipient's address is not used there, and what is wrong with its channel is the operator's to mend.
  * There is no idempotency key, and no receipt: a lost answer stays lost, and what was taken stays `sent`.
  * A person is a `U…` (or `W…`), the direct message with them a `D…`: a message may have gone to either, so a reply names both.
  * `&`, `<` and `>` steer Slack's formatting (`<!channel>` calls everybody), so in a text they are escaped.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import msgspec

from sendwright.model.content import SlackContent
from sendwright.providers.answers import by_status, json_object, later
from sendwright.providers.chat import Sort, sort_of, spelled
from sendwright.providers.contract import (
    Accepted,
    Action,
    Capabilities,
    CommonSettings,
    Hook,
    HttpRequest,
    Inbound,
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
    TooLong,
    Unsure,
    Verdict,
)
from sendwright.providers.redaction import vendor_id
from sendwright.providers.signing import hex_signature, same

API = "https://slack.com/api"
BODY_MAX = 40_000
"""Characters, escaped: Slack cuts what is longer."""
SECTION_MAX = 3000
LABEL_MAX = 75
BUTTONS_MAX = 25
BLOCKS_MAX = 50
TOLERANCE_S = 300

_CHANNEL = re.compile(r"#?[\w.-]{1,80}")
_TS = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}", re.ASCII)
_WORD = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)
_WEBHOOK = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[A-Za-z0-9/_.~-]+", re.ASCII)
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)
_CHALLENGE = re.compile(r"[A-Za-z0-9_.-]{1,256}", re.ASCII)
_PERSON = re.compile(r"[UW][A-Z0-9]{2,30}", re.ASCII)
_DIRECT = re.compile(r"D[A-Z0-9]{2,30}", re.ASCII)
_WRITTEN = frozenset({"file_share", "thread_broadcast", "me_message"})
"""What, beside plain messages, a person wrote just now."""
_UNIX = re.compile(r"[0-9]{1,12}", re.ASCII)

_CONTENT = (Reason.CONTENT, Scope.RECIPIENT)
_REFUSED: dict[str, tuple[Reason, Scope]] = {
    "channel_not_found": (Reason.INVALID_ADDRESS, Scope.RECIPIENT),
    "user_not_found": (Reason.INVALID_ADDRESS, Scope.RECIPIENT),
    "cannot_dm_bot": (Reason.INVALID_ADDRESS, Scope.RECIPIENT),
    "is_archived": (Reason.UNREACHABLE, Scope.RECIPIENT),
    "messages_tab_disabled": (Reason.UNREACHABLE, Scope.SENDER),  # of this app
    "not_in_channel": (Reason.REJECTED, Scope.SENDER),  # this bot; another one may be
    "restricted_action": (Reason.REJECTED, Scope.SENDER),
    "restricted_action_read_only_channel": (Reason.REJECTED, Scope.SENDER),
    "restricted_action_non_threadable_channel": (Reason.REJECTED, Scope.SENDER),
    "restricted_action_thread_only_channel": (Reason.REJECTED, Scope.SENDER),
    "msg_too_long": (Reason.TOO_LONG, Scope.RECIPIENT),
    "msg_blocks_too_long": (Reason.TOO_LONG, Scope.RECIPIENT),
    "no_text": _CONTENT,
    "too_many_attachments": _CONTENT,
    "invalid_blocks": _CONTENT,
    "invalid_blocks_format": _CONTENT,
    "invalid_attachments": _CONTENT,
    "invalid_payload": _CONTENT,
    "invalid_arguments": _CONTENT,
    "invalid_arg_name": _CONTENT,
    "invalid_array_arg": _CONTENT,
    "invalid_charset": _CONTENT,
    "invalid_form_data": _CONTENT,
    "invalid_json": _CONTENT,
    "json_not_object": _CONTENT,
    "invalid_post_type": _CONTENT,
    "missing_post_type": _CONTENT,
}
_CROWDED = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_AILING = frozenset({"service_unavailable", "request_timeout", "team_added_to_org"})
"""Not carried out: Slack is away, had not the whole request, or moves the workspace."""
_PUZZLING = frozenset({"fatal_error", "internal_error"})
_FAULTS = frozenset(
    {
        *("not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired", "no_permission", "missing_scope"),
        *("not_allowed_token_type", "org_login_required", "ekm_access_denied", "access_denied", "accesslimited"),
        *(
            "enterprise_is_restricted",
            "team_access_not_granted",
            "two_factor_setup_required",
            "deprecated_endpoint",
            "method_deprecated",
        ),
    }
)
_WEBHOOK_FAULTS = frozenset(
    {
        *("no_service", "no_service_id", "no_active_hooks", "no_team", "team_disabled", "invalid_token"),
        *("channel_not_found", "channel_is_archived", "user_not_found", "action_prohibited", "posting_to_general_channel_denied"),
    }
)


class SlackSettings(CommonSettings, frozen=True, kw_only=True):
    """A bot of a workspace, or one incoming webhook."""

    bot_token: Secret | None = None
    signing_secret: Secret | None = None
    """Verifies what Slack sends to us."""
    webhook_url: Secret | None = None
    """Whoever knows it may post: a secret as a whole."""

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        faults, url = [], given.get("webhook_url")
        if ("bot_token" in given) == ("webhook_url" in given):
            faults.append(("bot_token", "give either `bot_token` or `webhook_url`"))
        if "signing_secret" in given and "bot_token" not in given:
            faults.append(("signing_secret", "goes with `bot_token`"))
        if url and _WEBHOOK.fullmatch(url.reveal()) is None:
            faults.append(("webhook_url", "must be https://, a host and a path"))
        faults += [(key, "must not be empty") for key, value in given.items() if value == ""]
        return faults


class Slack(Provider):
    """One bot, or one webhook."""

    kind = "slack"
    settings_type = SlackSettings
    settings: SlackSettings

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(channels=("slack",), media=True, body_max=BODY_MAX)

    def build(self, out: Outgoing) -> HttpRequest:
        """One message. Raises `ValueError` for a channel or a content that Slack has no form for."""
        if out.channel != "slack":
            raise ValueError("this is an account for Slack")
        said = _said(out, self.limited(self.counted(out)))
        if self.settings.bot_token is not None:
            if _CHANNEL.fullmatch(out.address) is None:
                raise ValueError("the recipient is neither an id nor a name of a channel")
            said = {"channel": out.address, **said}
        return HttpRequest("POST", self._url, self._headers, msgspec.json.encode(said))

    def counted(self, out: Outgoing) -> str:
        """The text as it is escaped. Beside blocks it is what notifications and screen readers say."""
        text = out.body or out.title or ""
        return _escaped(text if _own_blocks(out) else spelled(text, out.media, out.actions))

    @cached_property
    def _url(self) -> str:
        base, webhook = self.settings.base_url, self.settings.webhook_url
        if webhook is None:
            return f"{(base or API).rstrip('/')}/chat.postMessage"
        return f"{base.rstrip('/')}{urlsplit(webhook.reveal()).path}" if base else webhook.reveal()

    @cached_property
    def _headers(self) -> tuple[tuple[str, str], ...]:
        headers = (("Content-Type", "application/json; charset=utf-8"),)
        token = self.settings.bot_token
        return (*headers, ("Authorization", f"Bearer {token.reveal()}")) if token else headers

    def parse(self, reply: Reply) -> Outcome:
        return self._posted(reply) if self.settings.webhook_url is None else _hooked(reply)

    def _posted(self, reply: Reply) -> Outcome:
        """The Web API: the word counts, whatever the status beside it."""
        answer = json_object(reply.body)
        taken, ts, word = 200 <= reply.status < 300, answer.get("ts"), answer.get("error")
        if taken and answer.get("ok") is True:
            return Accepted(ts) if isinstance(ts, str) and _TS.fullmatch(ts) else Unsure("a success without a timestamp")
        if reply.status == 429 or reply.status >= 500 or answer.get("ok") is not False or not isinstance(word, str):
            return Unsure("a success that says nothing") if taken else _by_status(reply, "")
        detail = " ".join(part for part in (_word(word), self.words(_hint(answer))) if part)
        known = _by_word(reply, word, detail)
        return known or (Rejected(Reason.REJECTED, detail) if taken else _by_status(reply, detail))

    def verify(self, hook: Hook) -> Verdict:
        """Version 0: HMAC-SHA256 by the signing secret over `v0:timestamp:body`, at most five minutes old."""
        secret, given = self.settings.signing_secret, hook.header("x-slack-signature")
        at = hook.header("x-slack-request-timestamp")
        if secret is None or given is None or at is None or not _SIGNATURE.fullmatch(given) or not _UNIX.fullmatch(at):
            return Verdict.BAD
        if abs(hook.now - int(at)) > TOLERANCE_S:
            return Verdict.BAD
        ours = hex_signature(secret.reveal(), f"v0:{at}:".encode() + hook.body)
        return Verdict.GOOD if same(f"v0={ours}", given) else Verdict.BAD

    def response(self, hook: Hook) -> str | None:
        """The challenge of the question that Slack asks before it sends events. It is signed like them."""
        said = json_object(hook.body)
        challenge = said.get("challenge") if said.get("type") == "url_verification" else None
        return challenge if isinstance(challenge, str) and _CHALLENGE.fullmatch(challenge) else None

    def events(self, hook: Hook) -> Sequence[Inbound]:
        """What a person writes to the app, in a direct message; none for bots, for what is changed or deleted, and for channels.
        A repetition (`X-Slack-Retry-Num`) has the same `event_id`."""
        said = json_object(hook.body)
        event, ref = said.get("event"), vendor_id(said.get("event_id"))
        if said.get("type") != "event_callback" or not isinstance(event, dict) or ref is None:
            return ()
        if event.get("type") != "message" or event.get("channel_type") != "im" or not _is_written(event.get("subtype")):
            return ()
        person, place, text, ts = (event.get(name) for name in ("user", "channel", "text", "ts"))
        if event.get("bot_id") or not isinstance(person, str) or not _PERSON.fullmatch(person):
            return ()
        aliases = (place,) if isinstance(place, str) and _DIRECT.fullmatch(place) else ()
        words = html.unescape(text) if isinstance(text, str) else ""
        at = float(ts) if isinstance(ts, str) and _TS.fullmatch(ts) else None
        return (Inbound("slack", person, words, ref, at, aliases=aliases),)


def _is_written(subtype: object) -> bool:
    return subtype is None or (isinstance(subtype, str) and subtype in _WRITTEN)


def _by_word(reply: Reply, word: str, detail: str) -> Outcome | None:
    """What the word of a refusal means; None for one that is not in the tables."""
    if word in _REFUSED:
        reason, scope = _REFUSED[word]
        return Rejected(reason, detail, scope)
    if word in _CROWDED or word in _AILING:
        return later(reply, detail, ill=word in _AILING)
    if word in _PUZZLING:
        return Unsure(detail)
    return Misconfigured(detail) if word in _FAULTS else None


def _hooked(reply: Reply) -> Outcome:
    """A webhook: plain text. What is wrong with its channel is wrong with the account."""
    word = reply.body[:100].decode("ascii", "replace").strip()
    if 200 <= reply.status < 300:
        return Accepted() if word == "ok" else Unsure("a success that does not say ok")
    if reply.status == 429 or reply.status >= 500:
        return _by_status(reply, _word(word))
    if word in _WEBHOOK_FAULTS or reply.status in {404, 410}:
        return Misconfigured(f"HTTP {reply.status}: {_word(word)}")
    return _by_word(reply, word, word) or _by_status(reply, _word(word))


def _by_status(reply: Reply, words: str) -> Outcome:
    return Misconfigured(f"HTTP 404: {words}") if reply.status == 404 else by_status(reply, words)


def _word(word: str) -> str:
    """Slack's word, where it is one."""
    return word if _WORD.fullmatch(word) else ""


def _hint(answer: Mapping[str, Any]) -> object:
    """The first of the messages that say where blocks are wrong."""
    data = answer.get("response_metadata")
    messages = data.get("messages") if isinstance(data, dict) else None
    return messages[0] if isinstance(messages, list) and messages else None


def _own_blocks(out: Outgoing) -> list[dict[str, object]]:
    return out.own.blocks if isinstance(out.own, SlackContent) else []


def _said(out: Outgoing, whole: str) -> dict[str, object]:
    """The text, whole, and blocks where there are some."""
    if own := _own_blocks(out):
        if len(own) > BLOCKS_MAX:
            raise TooLong(f"more than {BLOCKS_MAX} blocks")
        return {"text": whole, "blocks": own}
    if not whole:
        raise ValueError("neither a text, nor media, nor blocks")
    blocks = _blocks(out.body or out.title or "", out.media, out.actions)
    return {"text": whole, "blocks": blocks} if blocks else {"text": whole}


def _blocks(text: str, media: Sequence[Media], actions: Sequence[Action]) -> list[dict[str, object]]:
    """Pictures and buttons under the text; none where there is neither, or the text is longer than a block takes."""
    pictures = [item for item in media if sort_of(item) is Sort.IMAGE]
    buttons = [action for action in actions if _is_button(action)][:BUTTONS_MAX]
    section = _escaped(
        spelled(text, (item for item in media if item not in pictures), (action for action in actions if action not in buttons))
    )
    if not (pictures or buttons) or len(section) > SECTION_MAX:
        return []
    blocks: list[dict[str, object]] = []
    if section:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": section}})
    blocks += [{"type": "image", "image_url": item.url, "alt_text": item.filename or "image"} for item in pictures]
    if buttons:
        blocks.append({"type": "actions", "elements": [_button(number, action) for number, action in enumerate(buttons)]})
    return blocks


def _is_button(action: Action) -> bool:
    return len(action.label) <= LABEL_MAX and action.url is not None and action.url.lower().startswith(("http://", "https://"))


def _button(number: int, action: Action) -> dict[str, object]:
    """A link as a button. Ids must differ within a message, which an action's own need not."""
    label = {"type": "plain_text", "text": action.label}
    return {"type": "button", "text": label, "url": action.url, "action_id": f"{number}:{action.id}"[:255]}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
