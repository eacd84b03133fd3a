"""What each kind of provider brings to the suite in `test_every_provider.py`: its `Samples`, or the suite fails.

A kind's own test file, `tests/providers/test_<kind>.py`, has a function `samples()` that returns them. Every value that must
not be seen in a log (secrets, the recipient, what is said) holds one of the marks below, so that the suite can look for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sendwright.providers import signing
from sendwright.providers.contract import Hook, MailReply, Media, Outgoing, Provider, Reply

NOW = 1_790_000_000.0
ATTEMPT = "att_" + "0" * 31 + "1" + "00001"
SECRET_MARK = "canarysecret"
BODY_MARK = "canarybody"
TITLE_MARK = "canarytitle"
PHONE = "+15005550009"


@dataclass(frozen=True)
class Samples:
    """One kind's samples."""

    raw: dict[str, Any]
    """Settings that make an account, as they stand in the file."""
    outgoing: Outgoing
    """A message it can send."""
    accepted: Reply | MailReply
    """The answer that means: taken."""
    refused_key: Reply | MailReply | None
    """The answer to a wrong key; None for a kind that signs in nowhere."""
    bare: bool = False
    """Any 2xx is acceptance by itself: there is nothing to read in it."""
    secrets: tuple[str, ...] = ()
    """Every secret of `raw`."""
    callback: Hook | None = None
    """A good callback, reporting the attempt `ATTEMPT`; None for a kind without callbacks."""
    reply: Hook | None = None
    """A callback that brings what a person says, its signature left out; None for a kind that brings none."""
    reports: str = ATTEMPT
    """What its receipt names, where the vendor has no way to echo our id: the vendor's own."""
    stale: tuple[Hook, ...] = ()
    """Callbacks whose signature is right and whose time is not."""
    foreign: dict[str, Any] = field(default_factory=dict)
    """Settings that make another account of it, whose callbacks are not this one's, beside other secrets."""
    signs_url: bool = False
    signs_words: bool = False
    """What its callbacks say is signed, not their bytes: another writing of the same is as good."""
    signature_headers: tuple[str, ...] = ()
    encrypts: bool = False
    """Its bodies are ciphertext: bytes of every value, line breaks among them."""
    extra_replies: tuple[Reply, ...] = field(default=())
    """Replies of its own that look like success and aren't."""


def outgoing(**over: Any) -> Outgoing:
    values: dict[str, Any] = {
        "attempt": ATTEMPT,
        "message": "msg_" + "0" * 34,
        "channel": "sms",
        "address": PHONE,
        "body": f"Your code, {BODY_MARK}: 481216 é 🎉",
        "title": TITLE_MARK,
        "media": (Media("https://example.com/canarymedia.png"),),
        "callback_url": f"https://notify.example.com/v1/hooks/main?a={ATTEMPT}",
        "idempotency_key": "key-1",
        "ttl_s": 600,
    }
    return Outgoing(**(values | over))


def hook(url: str, body: bytes, *headers: tuple[str, str], now: float = NOW, method: str = "POST") -> Hook:
    return Hook(method, url, tuple(parse_qsl(urlsplit(url).query, keep_blank_values=True)), headers, body, now)


def standard_webhook(key: bytes, body: bytes, at: float) -> Hook:
    return hook(
        f"https://notify.example.com/v1/hooks/sandbox-sms?a={ATTEMPT}",
        body,
        ("webhook-id", "evt_1_delivered"),
        ("webhook-timestamp", str(int(at))),
        ("webhook-signature", signing.sign_webhook([key], "evt_1_delivered", int(at), body)),
    )


def json_reply(status: int, value: object) -> Reply:
    return Reply(status, (("content-type", "application/json"),), json.dumps(value).encode())


def story_of(kind: str) -> tuple[Provider, list[Hook]] | None:
    """An account of it, and what its callbacks may say of one attempt, one after the other: `story` of the kind's own test file.
    None for a kind without callbacks."""
    made: Callable[[], tuple[Provider, list[Hook]]] | None = getattr(import_module(f"tests.providers.test_{kind}"), "story", None)
    return None if made is None else made()


def samples_of(kind: str) -> Samples | None:
    """Those of the kind's own test file; None where it has none."""
    try:
        module = import_module(f"tests.providers.test_{kind}")
    except ModuleNotFoundError:
        return None
    made: Callable[[], Samples] | None = getattr(module, "samples", None)
    return None if made is None else made()
