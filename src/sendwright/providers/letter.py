"""One message as an email, before any vendor's words: who it is from and to, what it says, what lies in it.

For adapters of the channel `email`. Pure. Raises `ValueError` for what no email can hold, never with the text in it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from msgspec import Struct

from sendwright.model.content import Attachment, EmailContent
from sendwright.providers.contract import Outgoing
from sendwright.providers.redaction import visible

SUBJECT_MAX = 100
"""Longest subject, in characters, that is made of a text where none was given."""

_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>")
_ADDRESS = re.compile(r"[^\s@<>(),;:\\\"\[\]]{1,64}@[^\s@<>(),;:\\\"\[\]]{1,255}")


class Mailbox(Struct, frozen=True):
    """An address, with the name that is shown in its place where there is one. The address's domain is ASCII (IDNA)."""

    address: str
    name: str = ""

    def __repr__(self) -> str:
        return "Mailbox(…)"


class Letter(Struct, frozen=True):
    """An email. At least one of `text` and `html` says something."""

    sender: Mailbox
    to: Mailbox
    subject: str
    text: str
    html: str | None
    reply_to: Mailbox | None = None
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()

    def __repr__(self) -> str:
        return "Letter(…)"


def letter_of(out: Outgoing, sender: str, sender_name: str | None) -> Letter:
    """The message as an email. `sender` and `sender_name` are the account's own, where the message names none."""
    if out.channel != "email":
        raise ValueError("this account sends email only")
    own = out.own if isinstance(out.own, EmailContent) else EmailContent()
    text, html = _text(out), out.html
    if not text and not html:
        raise ValueError("neither a text nor html")
    subject = _line(out.title or "") or _first_line(text)
    if not subject:
        raise ValueError("neither a subject nor a text that it could be made of")
    return Letter(
        sender=mailbox(out.sender) if out.sender else Mailbox(mailbox(sender).address, sender_name or mailbox(sender).name),
        to=Mailbox(mailbox(out.address).address),
        subject=subject,
        text=text,
        html=html,
        reply_to=mailbox(own.reply_to) if own.reply_to else None,
        cc=_copies(own.cc),
        bcc=_copies(own.bcc),
        headers=tuple((name, _line(value)) for name, value in own.headers.items()),
        attachments=tuple(own.attachments),
    )


def mailbox(text: str) -> Mailbox:
    """`a@example.org`, or `Ada <a@example.org>`. Raises `ValueError` for anything else, and for letters outside ASCII before the
    `@`, which need mail servers all the way that know them (RFC 6531)."""
    found = _NAMED.fullmatch(text.strip())
    name, address = (found["name"].strip().strip('"'), found["address"]) if found else ("", text.strip())
    if not text.isprintable() or _ADDRESS.fullmatch(address) is None:
        raise ValueError("an address is not of the form name@domain")
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        raise ValueError("an address has letters outside ASCII before the @")
    try:
        return Mailbox(f"{local}@{domain if domain.isascii() else domain.encode('idna').decode()}", name.strip())
    except UnicodeError:
        raise ValueError("an address has a domain that can't be") from None


def is_mailbox(text: str) -> bool:
    try:
        mailbox(text)
    except ValueError:
        return False
    return True


def mark(attempt: str, address: str) -> str:
    """Names the one whom an attempt is for, so that news of somebody who had a copy is not taken for news of the message: 16
    hexadecimal digits that say nothing to who doesn't know both."""
    return hashlib.sha256(f"{attempt} {address.lower()}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _text(out: Outgoing) -> str:
    """The text, and after it what it can only hold as links."""
    links = [out.url, *(f"{action.label}: {action.url}" for action in out.actions if action.url), *(item.url for item in out.media)]
    return "\n\n".join(part for part in (out.body, "\n".join(link for link in links if link)) if part)


def _first_line(text: str) -> str:
    line = _line(text.strip().split("\n", 1)[0])
    return line if len(line) <= SUBJECT_MAX else line[: SUBJECT_MAX - 1].rstrip() + "…"


def _line(text: str) -> str:
    """On one line: a header field has no other."""
    return visible(" ".join(text.split()))


def _copies(texts: Iterable[str]) -> tuple[Mailbox, ...]:
    return tuple(mailbox(text) for text in texts)
