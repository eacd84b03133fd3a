"""What is answered to a reply that is a keyword: whether, in which words, and as which notification. Pure.

Every answer is the operator's own text, for a provider or for a channel; without one nothing is said. Of one word from one address
a minute is answered once, so that two machines which write to each other do so slowly, and an answer comes soon or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from sendwright.model.notification import Recipient
from sendwright.model.said import ANSWERS
from sendwright.policy.duration import rfc3339
from sendwright.policy.keywords import CASUAL, Word, plain

EVERY_MS = 60_000
"""Of one word from one address, one is answered in this time."""
WITHIN_MS: Mapping[Word, int] = {"stop": 300_000, "start": 3_600_000, "help": 3_600_000}
"""How long after it was said a word is answered. A stop may be confirmed within five minutes: later the confirmation is a message
like any other, which must not be sent (47 CFR 64.1200(a)(12), read in November 2026)."""


class Texts(Struct, frozen=True):
    """What is answered to each word; nothing where there is no text."""

    help: str | None = None
    stop: str | None = None
    start: str | None = None


Book = Mapping[str, Texts]
"""Texts by the name of a provider, or of a channel."""


def text_for(book: Book, provider: str, channel: str, word: Word) -> str | None:
    """The provider's own text goes before its channel's."""
    for name in (provider, channel):
        text: str | None = getattr(book.get(name, _NONE), word)
        if text:
            return text
    return None


def is_answered(word: Word, text: str) -> bool:
    """Whether somebody who said that waits for an answer: *yes* takes back a stop, and is more often the answer to a question."""
    return word != "start" or plain(text) not in CASUAL


def until(word: Word, said_ms: int) -> int:
    """The latest moment at which it is answered."""
    return said_ms + WITHIN_MS[word]


def key_of(provider: str, mark: str, word: Word, first_ms: int) -> str:
    """The idempotency key of the answer. `first_ms`: when the reply was heard first, so that a repeat has the same."""
    return f"reply.{provider}.{mark}.{word}.{first_ms // EVERY_MS}"


def answer_to(provider: str, channel: str, address: str, text: str, reply: str, expires_ms: int) -> bytes:
    """The notification that says it, as if it had been posted; and by whom it goes."""
    said = {
        "to": _recipient(channel, address),
        "content": {"body": text, "notification": {ANSWERS: provider}},
        "channels": [channel],
        "priority": "high",
        "category": "transactional",
        "expires_at": rfc3339(expires_ms),
        "metadata": {"reply": reply},
    }
    return msgspec.json.encode(said)


_NONE = Texts()
_NAMED = frozenset(Recipient.__struct_fields__) - {"id", "phone", "push", "webpush", "locale", "timezone"}


def _recipient(channel: str, address: str) -> dict[str, str]:
    """The inline recipient whose address on that channel it is. On a channel that a plugin added that is the id."""
    if channel == "sms":
        return {"phone": address}
    return {channel if channel in _NAMED else "id": address}
