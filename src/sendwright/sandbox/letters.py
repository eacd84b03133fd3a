"""A mail as its recipient's program reads it: MIME taken apart into what a mailbox shows."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from email.utils import getaddresses

from msgspec import Struct

_LOCAL = re.compile(r"<?([^@<>\s]{1,200})@")


class Opened(Struct, frozen=True):
    """What a mailbox shows of a mail."""

    sender: str
    to: tuple[str, ...]
    title: str
    body: str
    html: str | None
    files: tuple[str, ...]
    message_id: str
    """What stands before the @ of it."""

    def __repr__(self) -> str:
        return "Opened()"


def opened(raw: bytes) -> Opened:
    """The mail, as far as it can be read; never raises."""
    mail = message_from_bytes(raw, policy=policy.SMTPUTF8)
    found = _LOCAL.search(_field(mail, "message-id"))
    text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    boxes = getaddresses([_field(mail, name) for name in ("to", "cc")])
    return Opened(
        _field(mail, "from"),
        tuple(address for _, address in boxes if address),
        _field(mail, "subject"),
        _text(text) or "",
        _text(html),
        tuple(_file(part) for part in mail.iter_attachments()) if mail.is_multipart() else (),
        found[1] if found else "",
    )


def _field(mail: EmailMessage, name: str) -> str:
    try:
        return str(mail.get(name, ""))
    except (ValueError, IndexError, AttributeError, TypeError):  # what the standard library does to some broken fields
        return ""


def _text(part: MIMEPart | None) -> str | None:
    if part is None:
        return None
    content = part.get_payload(decode=True)
    raw = content if isinstance(content, bytes) else b""
    try:
        return raw.decode(part.get_content_charset("utf-8"), "replace").replace("\r\n", "\n")
    except LookupError:
        return raw.decode("utf-8", "replace")


def _file(part: MIMEPart) -> str:
    content = part.get_payload(decode=True)
    return file_named(part.get_filename() or "file", len(content) if isinstance(content, bytes) else 0)


def file_named(name: object, size: int) -> str:
    """A file's name and size, as a mail program lists it."""
    return f"{name} ({size:,} bytes)"


def coded_size(content: object) -> int:
    """Bytes behind base64."""
    return len(content.rstrip("=")) * 3 // 4 if isinstance(content, str) else 0
