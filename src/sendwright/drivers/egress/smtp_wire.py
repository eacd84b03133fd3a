"""SMTP as bytes: a mail's commands written once, answers read one after the other. No socket, no clock, no waiting.

Writing (RFC 5321, and 1870, 3461, 6152, 6531 for what comes behind the addresses):
  a mail that could be read in two ways (a line end or a bracket in an address, a bare CR or LF in the message, which is how mails
  are smuggled past a server) is a `ValueError`, whose text never repeats what was wrong with it;
  dots are stuffed here and nowhere else, and the message ends in exactly one lone dot.
Reading:
  a `Said` is a complete answer, of one line or several with the same code, and nothing else is;
  what is malformed or beyond the caps is a fault, and no answer is read from that line any more.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct

from sendwright.providers.contract import MailReply, MailRequest, RecipientReply, Secret

LINE_CAP = 4096
"""Longest line of an answer in bytes: RFC 5321 says 512, and servers say more."""
ANSWER_CAP = 64 * 1024
ADDRESS_MAX = 320
"""Longest address in bytes: RFC 5321 says 64 before the @ and 255 after it."""
CONTENT_LINE_MAX = 998
"""RFC 5322, section 2.1.1."""

SCHEMES = {"starttls": "smtp+starttls", "tls": "smtps", "none": "smtp"}
_TEXT_OF_CODE = re.compile(rb"([2-5][0-9][0-9])([ -]?)(.*)", re.DOTALL)
_ENHANCED = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?: |$)", re.ASCII)
_ADDRESS = re.compile(r"[^\s<>\x00-\x20\x7f-\x9f\u2028\u2029]+@[^\s<>@\x00-\x20\x7f-\x9f\u2028\u2029]+")
_HOST = re.compile(r"[0-9A-Za-z_.\-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*").fullmatch
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}").fullmatch
_NEEDS_HEX = re.compile(r"[^!-*,-<>-~]")


class MailOrigin(NamedTuple):
    """Where a line goes, and who signed in on it: a line serves nobody else. `host` is ASCII, without brackets."""

    scheme: str
    """`smtp+starttls`, `smtps` or `smtp`."""
    host: str
    port: int
    username: str | None = None
    password: Secret | None = None

    def __repr__(self) -> str:
        return f"MailOrigin({self.scheme})"


class EncodedMail(Struct, frozen=True):
    """A mail as it goes on the wire, but for what only the server's offers decide."""

    origin: MailOrigin
    request: MailRequest
    content: bytes
    """The message, dots stuffed, with its end."""

    def __repr__(self) -> str:
        return f"EncodedMail({len(self.content)} bytes)"


class Said(Struct, frozen=True):
    """One answer of a server."""

    code: int
    enhanced: str | None
    lines: tuple[str, ...]
    """Without codes."""

    @property
    def good(self) -> bool:
        return 200 <= self.code < 300

    @property
    def text(self) -> str:
        return " ".join(self.lines)

    def of(self, address: str) -> RecipientReply:
        return RecipientReply(address, self.code, self.enhanced, self.text)

    def at(self, phase: str, recipients: Iterable[RecipientReply] = ()) -> MailReply:
        return MailReply(phase, self.code, self.enhanced, self.text, tuple(recipients))

    def __repr__(self) -> str:
        return f"Said({self.code})"


def encode(request: MailRequest) -> EncodedMail:
    """The mail in bytes. Raises `ValueError` for one that can't be written safely."""
    origin = _origin(request)
    if not request.recipients:
        raise ValueError("the mail has no recipient")
    for address in (*request.recipients, *([request.sender] if request.sender else [])):
        if not _ADDRESS.fullmatch(address) or len(address.encode("utf-8", "replace")) > ADDRESS_MAX:
            raise ValueError("an address of the envelope can't be used")
        if not request.utf8 and not address.isascii():
            raise ValueError("an address of the envelope is not ASCII")
        _utf8(address)
    if request.ret not in {None, "FULL", "HDRS"} or (request.notify is not None and not _NOTIFY(request.notify)):
        raise ValueError("the mail asks for reports that there are none of")
    return EncodedMail(origin, request, _content(request))


def _origin(request: MailRequest) -> MailOrigin:
    host = request.host if request.host.isascii() else request.host.encode("idna").decode("ascii")
    if request.tls not in SCHEMES or not _HOST(host) or not 0 < request.port < 65536:
        raise ValueError("the server's host, port or encryption can't be used")
    return MailOrigin(SCHEMES[request.tls], host, request.port, request.username, request.password)


def _content(request: MailRequest) -> bytes:
    message = request.message
    ends = message.count(b"\r\n")
    if message.count(b"\r") != ends or message.count(b"\n") != ends or b"\0" in message:
        raise ValueError("the message holds a bare line end or NUL")
    if not (request.utf8 or request.eight_bit or message.isascii()):
        raise ValueError("the message holds a byte outside ASCII")
    if max(map(len, message.split(b"\r\n"))) > CONTENT_LINE_MAX:
        raise ValueError(f"a line of the message is longer than {CONTENT_LINE_MAX} bytes")
    ended = message if message.endswith(b"\r\n") or not message else message + b"\r\n"
    stuffed = ended.replace(b"\r\n.", b"\r\n..")
    return b"%b%b.\r\n" % (b"." if stuffed.startswith(b".") else b"", stuffed)


def _utf8(address: str) -> bytes:
    try:
        return address.encode()
    except UnicodeEncodeError:
        raise ValueError("an address of the envelope can't be used") from None


def lacking(mail: EncodedMail, offers: Mapping[str, str]) -> MailReply | None:
    """What the mail needs and the server does not offer, as the code that RFC 3463 and RFC 6531 have for it."""
    request = mail.request
    if request.utf8 and not ("SMTPUTF8" in offers and "8BITMIME" in offers):
        return MailReply("offer", 0, "5.6.7", "the server takes no addresses outside ASCII")
    if request.eight_bit and "8BITMIME" not in offers:
        return MailReply("offer", 0, "5.6.3", "the server takes 7-bit messages only")
    limit = offers.get("SIZE", "")
    if limit.isascii() and limit.isdigit() and len(limit) < 19 and 0 < int(limit) < len(request.message):
        return MailReply("offer", 0, "5.3.4", "the mail is larger than the server takes")
    return None


def mail_from(mail: EncodedMail, offers: Mapping[str, str]) -> bytes:
    """The command that begins it."""
    request, words = mail.request, [b"MAIL FROM:<%b>" % _utf8(mail.request.sender)]
    if "SIZE" in offers:
        words.append(b"SIZE=%d" % len(request.message))
    if (request.eight_bit or request.utf8) and "8BITMIME" in offers:
        words.append(b"BODY=8BITMIME")
    if request.utf8:
        words.append(b"SMTPUTF8")
    if "DSN" in offers:
        words += [b"RET=%b" % request.ret.encode()] if request.ret else []
        words += [b"ENVID=%b" % _xtext(request.envid)] if request.envid else []
    return b" ".join(words) + b"\r\n"


def rcpt_to(mail: EncodedMail, address: str, offers: Mapping[str, str]) -> bytes:
    """The command that names one recipient."""
    notify = mail.request.notify
    told = b" NOTIFY=%b" % notify.encode() if notify and "DSN" in offers else b""
    return b"RCPT TO:<%b>%b\r\n" % (_utf8(address), told)


def _xtext(text: str) -> bytes:
    """RFC 3461, section 4: at most 100 characters, those that could end the word in hexadecimal."""
    ascii_only = text[:100].encode("ascii", "replace").decode("ascii")
    return _NEEDS_HEX.sub(lambda found: f"+{ord(found[0]):02X}", ascii_only).encode("ascii")


def offered(said: Said) -> dict[str, str]:
    """What an answer to EHLO offers: keywords in upper case, with what stands behind them."""
    pairs = (line.partition(" ") for line in said.lines[1:])
    return {word.upper(): rest.strip() for word, _, rest in pairs if word}


def sign_in(mechanisms: str, origin: MailOrigin) -> list[bytes] | None:
    """The lines that sign in, each after the answer to the one before; None where the server knows neither PLAIN (RFC 4616) nor
    LOGIN."""
    known = mechanisms.upper().split()
    user, password = (origin.username or "").encode(), (origin.password or Secret("")).reveal().encode()
    if "PLAIN" in known:
        return [b"AUTH PLAIN " + base64.b64encode(b"\0" + user + b"\0" + password) + b"\r\n"]
    if "LOGIN" in known:
        return [b"AUTH LOGIN\r\n", base64.b64encode(user) + b"\r\n", base64.b64encode(password) + b"\r\n"]
    return None


class SaidReader:
    """Reads the answers of one connection."""

    __slots__ = ("_buffer", "_code", "_lines", "_size", "fault")

    def __init__(self) -> None:
        self._buffer = b""
        self._code = 0
        self._lines: list[bytes] = []
        self._size = 0
        self.fault = ""
        """Why nothing more can be read."""

    @property
    def begun(self) -> bool:
        """Whether a part of an answer has come."""
        return bool(self._buffer or self._lines)

    def feed(self, data: bytes) -> list[Said]:
        """Takes what came; the answers that it completes."""
        complete: list[Said] = []
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            said = None if self.fault else self._line(line.removesuffix(b"\r"))
            if said is not None:
                complete.append(said)
        if len(self._buffer) > LINE_CAP and not self.fault:
            self.fault = "too large"
        return complete

    def _line(self, line: bytes) -> Said | None:
        found = _TEXT_OF_CODE.fullmatch(line)
        self._size += len(line)
        if len(line) > LINE_CAP or self._size > ANSWER_CAP:
            self.fault = "too large"
        elif found is None or (found[3] and not found[2]) or (self._lines and int(found[1]) != self._code):
            self.fault = "malformed answer"
        if self.fault or found is None:
            return None
        self._code = int(found[1])
        self._lines.append(found[3])
        return None if found[2] == b"-" else self._complete()

    def _complete(self) -> Said:
        lines = tuple(line.decode("utf-8", "replace") for line in self._lines)
        found = _ENHANCED.match(lines[0])
        enhanced = f"{found[1]}.{found[2]}.{found[3]}" if found and int(found[1]) == self._code // 100 else None
        if enhanced:
            lines = tuple(line.removeprefix(enhanced).lstrip() for line in lines)
        said = Said(self._code, enhanced, lines)
        self._code, self._lines, self._size = 0, [], 0
        return said
