"""A mail as bytes (RFC 5322, RFC 2045 to 2049), for every kind that hands over a whole one. Pure: the same mail is the same bytes.

The parts are written by the standard library's `email`. The header is not: in versions of Python that this product runs on, the
library folds long lists of addresses and quoted names wrongly (CVE-2025-1795, CVE-2024-6923 in its words), and what it refuses and
what it lets through differs from one to the next. Here a header field is made of three things only, none of which can end a line:
words of printable ASCII, encoded words (RFC 2047), and addresses that were checked letter by letter.

Whatever is said, nothing of it becomes a header field, a line without CR LF, or a part of its own: control characters in a field
become blanks, texts are quoted-printable and files base64, and neither can write the boundary, which begins with `=_`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import NamedTuple

import idna
from msgspec import Struct

from sendwright.model.content import Attachment

LOCAL_MAX = 64
"""Longest local part in bytes (RFC 5321, 4.5.3.1.1)."""
DOMAIN_MAX = 255
LINE = 76
"""RFC 2047, section 2: lines with encoded words."""
WORD_MAX = 900
"""Longest word that may stand on a line of its own: 998 bytes are all a line may have."""

_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>\s]+)>")
_LOCAL = re.compile(r"[^\s\"(),:;<>@\[\\\].]+(?:\.[^\s\"(),:;<>@\[\\\].]+)*")
_DOMAIN = re.compile(
    r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*", re.ASCII
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}", re.ASCII)
_FIELD = re.compile(r"[!-9;-~]{1,76}", re.ASCII)
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}", re.ASCII)
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff]+")
_OWN = frozenset({
    "from", "sender", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id", "mime-version", "return-path", "received",
})  # fmt: skip
"""Header fields that are the product's: who sent what to whom."""
_CHUNK = 39
"""Bytes of an encoded word's text: with the frame around it and a field's name in front they fit a line."""


class Mailbox(NamedTuple):
    """Somebody's name, which may be empty, and address. The domain is ASCII."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    def __repr__(self) -> str:
        return "Mailbox()"


class Mail(Struct, frozen=True):
    """What a mail says, and to whom."""

    id: str
    """Made into its Message-ID and its boundaries: letters, digits and `_ . -`."""
    at: float
    """Its date, in Unix seconds."""
    sender: Mailbox
    to: Mailbox
    subject: str
    text: str
    html: str | None = None
    cc: tuple[Mailbox, ...] = ()
    reply_to: Mailbox | None = None
    fields: Mapping[str, str] = {}
    attachments: Sequence[Attachment] = ()

    def __repr__(self) -> str:
        return f"Mail({self.id!r})"


def mailbox(text: str, name: str = "") -> Mailbox:
    """Reads `a@example.org` or `Ada Example <a@example.org>`. Raises `ValueError`, which never quotes it."""
    found = _NAMED.fullmatch(text.strip())
    if found is not None:
        name, text = found["name"].strip().strip('"').strip() or name, found["address"]
    local, at, domain = text.strip().rpartition("@")
    if not at or not local.isprintable() or not _LOCAL.fullmatch(local) or len(local.encode("utf-8", "replace")) > LOCAL_MAX:
        raise ValueError("an address can't be used")
    return Mailbox(name, f"{local}@{_ascii(domain)}")


def _ascii(domain: str) -> str:
    """As DNS has it (IDNA 2008)."""
    try:
        written = domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise ValueError("an address's domain can't be used") from None
    if not _DOMAIN.fullmatch(written) or len(written) > DOMAIN_MAX:
        raise ValueError("an address's domain can't be used")
    return written


def compose(mail: Mail) -> bytes:
    """The whole mail, every line ended by CR LF. ASCII, unless an address in its header is not. Raises `ValueError`, which never
    quotes the mail."""
    try:
        return b"\r\n".join([*(line.encode() for line in _header(mail)), _parts(mail)])
    except UnicodeEncodeError:  # half a character
        raise ValueError("the text can't be written in UTF-8") from None


# The header.


def _header(mail: Mail) -> Iterator[str]:
    if not _ID.fullmatch(mail.id):
        raise ValueError("the mail's id can't be used")
    yield f"Date: {format_datetime(datetime.fromtimestamp(int(mail.at), UTC))}"
    yield f"Message-ID: <{mail.id}@{mail.sender.domain}>"
    yield f"From: {_written(mail.sender)}"
    yield f"To: {_written(mail.to)}"
    if mail.cc:
        yield "Cc: " + ",\r\n ".join(_written(copy) for copy in mail.cc)
    if mail.reply_to is not None:
        yield f"Reply-To: {_written(mail.reply_to)}"
    yield f"Subject: {_folded(_seen(mail.subject))}"
    for name, value in mail.fields.items():
        if not _FIELD.fullmatch(name) or name.lower() in _OWN or name.lower().startswith(("content-", "resent-")):
            raise ValueError("a header field may not be set")
        yield f"{name}: {_folded(_seen(value))}"


def _seen(text: str) -> str:
    """On one line: what can't be seen becomes a blank."""
    return _UNSEEN.sub(" ", text).strip()


def _written(box: Mailbox) -> str:
    name = _seen(box.name)
    if not name:
        return f"<{box.address}>" if not box.address.isascii() else box.address
    if not name.isascii() or "=?" in name or len(name) > LINE - 16:
        return f"{_encoded(name)}\r\n <{box.address}>"
    shown = name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{shown} <{box.address}>"


def _folded(text: str) -> str:
    """Free text: as it is where that fits, folded at its blanks, or in encoded words."""
    words = text.split(" ")
    if not text.isascii() or "=?" in text or max(map(len, words)) > WORD_MAX:
        return _encoded(text)
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > LINE - 12:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\r\n ".join(lines)


def _encoded(text: str) -> str:
    """Encoded words, each of whole characters."""
    chunks = [b""]
    for char in text:
        said = char.encode()
        if len(chunks[-1]) + len(said) > _CHUNK:
            chunks.append(b"")
        chunks[-1] += said
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(chunk).decode('ascii')}?=" for chunk in chunks)


# The parts.


def _parts(mail: Mail) -> bytes:
    """MIME-Version and what follows."""
    root = EmailMessage(policy=SMTP)
    root.set_content(mail.text, charset="utf-8", cte="quoted-printable")
    if mail.html is not None:
        root.add_alternative(mail.html, subtype="html", charset="utf-8", cte="quoted-printable")
        root.set_boundary(_boundary(mail, "alternative"))
    if mail.attachments:
        root.make_mixed(boundary=_boundary(mail, "mixed"))
        for file in mail.attachments:
            _attach(root, file)
    for part in root.walk():
        if part is not root:
            del part["MIME-Version"]
    return root.as_bytes()


def _attach(root: EmailMessage, file: Attachment) -> None:
    kind = file.content_type.strip().lower()
    whole = _TYPE.fullmatch(kind) is not None and not kind.startswith(("multipart/", "message/"))
    main, _, sub = (kind if whole else "application/octet-stream").partition("/")
    name = re.sub(r"[/\\]", "_", _seen(file.filename)) or "attachment"
    try:
        content = base64.b64decode(file.content, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("an attachment is not base64") from None
    root.add_attachment(content, maintype=main, subtype=sub, filename=name)


def _boundary(mail: Mail, kind: str) -> str:
    return "=_" + hashlib.sha256(f"{mail.id}/{kind}".encode()).hexdigest()[:32]
