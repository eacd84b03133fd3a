"""What is wrong with a content, beyond its shape: links, header fields, addresses and files that can't be.

Judged on the parsed JSON, so that a body with wrong types still has all its faults listed.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from sendwright.model.content import OWN
from sendwright.policy.address import URL_MAX, is_email, link_fault
from sendwright.policy.payload_schema import ACTIONS_MAX, ATTACHMENTS_MAX, COPIES_MAX, MEDIA_MAX, UNSUPPORTED, Fault, pointer

Path = tuple[str | int, ...]

_WEB = frozenset({"http", "https"})
_BREAK = re.compile(r"[\r\n\x00]")
_NAMED_MAILBOX = re.compile(r"(?P<name>[^<>\r\n\x00]*)<(?P<address>[^<>\s]+)>")
_FIELD = re.compile(r"[Xx]-[!-9;-~]{1,74}")
_FIELDS = frozenset({"in-reply-to", "references", "list-id", "precedence", "auto-submitted", "feedback-id", "importance"})
"""Header fields that a caller may set, beside `X-…`: the others are the product's, for they say who sent what to whom."""
_SAYING = ("title", "body", "html", "media")
_SAYING_OWN = ("subject", "text", "template", "blocks", "data", "attachments")
LINK_DETAILS = {
    "too_long": f"must have at most {URL_MAX} characters",
    "invalid_url": "must be an absolute address without spaces",
    "private_address": "must not be an address of a private or special network",
}


def content_faults(content: object, schemes: frozenset[str]) -> Iterator[Fault]:
    """`schemes`: those that links may have."""
    if not isinstance(content, dict):
        return
    if not _says_something(content):
        yield Fault("#/content", "empty", "must have a title, a body, html or media")
    at: Path = ("content",)
    yield from _header((*at, "title"), content.get("title"))
    yield from _link((*at, "url"), content.get("url"), schemes)
    for position, action in entries(content.get("actions"), ACTIONS_MAX):
        yield from _header((*at, "actions", position, "label"), action.get("label"))
        yield from _link((*at, "actions", position, "url"), action.get("url"), schemes)
    yield from _media((*at, "media"), content.get("media"))
    for channel in sorted(OWN):
        own = content.get(channel)
        if isinstance(own, dict):
            yield from _own((*at, channel), own, schemes)
    if isinstance(content.get("email"), dict):
        yield from _email((*at, "email"), content["email"])


def _says_something(content: dict[str, Any]) -> bool:
    """Here, or for a channel; a member that this version does not know may have been meant to."""
    own = [content[channel] for channel in OWN if isinstance(content.get(channel), dict)]
    said = any(content.get(part) for part in _SAYING) or any(part.get(word) for part in own for word in (*_SAYING, *_SAYING_OWN))
    return said or not UNSUPPORTED["/content"].isdisjoint(content)


def entries(value: object, at_most: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a list, with their positions, the first so many of it."""
    for position, entry in enumerate(value[:at_most] if isinstance(value, list) else ()):
        if isinstance(entry, dict):
            yield position, entry


def mailbox(text: str) -> tuple[str, str] | None:
    """Name and address of `a@example.org` or `Ada Example <a@example.org>`; None where it is neither."""
    found = _NAMED_MAILBOX.fullmatch(text.strip())
    name, address = (found["name"].strip().strip('"').strip(), found["address"]) if found else ("", text.strip())
    return (name, address) if is_email(address) else None


def _own(at: Path, own: dict[str, Any], schemes: frozenset[str]) -> Iterator[Fault]:
    """What the channels' own contents have in common."""
    for name in ("title", "from", "subject", "reply_to", "collapse_key", "type"):
        yield from _header((*at, name), own.get(name))
    yield from _link((*at, "url"), own.get("url"), schemes)
    for name in ("image", "icon"):
        yield from _link((*at, name), own.get(name), _WEB)
    yield from _media((*at, "media"), own.get("media"))


def _email(at: Path, email: dict[str, Any]) -> Iterator[Fault]:
    for name in ("from", "reply_to"):
        yield from _mailbox((*at, name), email.get(name))
    for name in ("cc", "bcc"):
        copies = email.get(name)
        for position, copy in enumerate(copies[:COPIES_MAX] if isinstance(copies, list) else ()):
            yield from _mailbox((*at, name, position), copy)
    headers = email.get("headers")
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if not (_FIELD.fullmatch(name) or name.lower() in _FIELDS):
            yield Fault(pointer((*at, "headers", name)), "invalid_header", f"must be X-… or one of {', '.join(sorted(_FIELDS))}")
        yield from _header((*at, "headers", name), value)
    for position, file in entries(email.get("attachments"), ATTACHMENTS_MAX):
        here = (*at, "attachments", position)
        for name in ("filename", "content_type"):
            yield from _header((*here, name), file.get(name))
        if isinstance(file.get("content"), str) and not _is_base64(file["content"]):
            yield Fault(pointer((*here, "content")), "invalid_base64", "must be base64 without line breaks")


def _is_base64(text: str) -> bool:
    try:
        b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _mailbox(at: Path, text: object) -> Iterator[Fault]:
    if isinstance(text, str) and not _BREAK.search(text) and mailbox(text) is None:
        yield Fault(pointer(at), "invalid_email", "must be an address, or a name and an address as `Ada <ada@example.org>`")


def _media(at: Path, media: object) -> Iterator[Fault]:
    for position, item in entries(media, MEDIA_MAX):
        yield from _link((*at, position, "url"), item.get("url"), _WEB)
        for name in ("content_type", "filename"):
            yield from _header((*at, position, name), item.get(name))


def _header(at: Path, text: object) -> Iterator[Fault]:
    if isinstance(text, str) and _BREAK.search(text):
        yield Fault(pointer(at), "header_injection", "must not hold line breaks or NUL")


def _link(at: Path, text: object, schemes: frozenset[str]) -> Iterator[Fault]:
    code = link_fault(text, schemes) if isinstance(text, str) else None
    if code is not None:
        yield Fault(pointer(at), code, LINK_DETAILS.get(code, f"must begin with {', '.join(sorted(schemes))}"))
