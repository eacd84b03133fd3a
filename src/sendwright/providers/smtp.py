"""SMTP: email through a mail server of one's own, or anybody's that takes submissions. One mail per message, no receipts.

Read in November 2026:
  the protocol      RFC 5321, https://www.rfc-editor.org/rfc/rfc5321 (codes: 4.2; what a client must believe: 4.2.5)
  enhanced codes    RFC 3463, https://www.rfc-editor.org/rfc/rfc3463, and IANA's registry,
                    https://www.iana.org/assignments/smtp-enhanced-status-codes
  signing in        RFC 4954, https://www.rfc-editor.org/rfc/rfc4954 (530, 534, 535, 538; 454 is for now)
  non-ASCII         RFC 6531, https://www.rfc-editor.org/rfc/rfc6531 (5.6.7)

What shapes this file:
  * Nothing is taken before the server has answered the content. A refusal before or then is definite; silence then is a doubt, and
    nothing can settle it: no key, no look-up, no receipt. A person may search for the Message-ID, which is the attempt's id.
  * A later failure comes as a mail to the sender (RFC 3464), which this kind does not read. `sent` is as far as it gets.
  * The first recipient decides. Copies that are refused are told in the detail: the mail went out.
  * 5.7.x is about who sends, or what, by the receiver's policy: it says nothing against the person, and another provider may pass.
  * The enhanced code counts before the basic one, which servers choose freely among 550, 552, 553 and 554.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from ipaddress import ip_address
from typing import Any

from sendwright.model.content import EmailContent
from sendwright.providers import styling
from sendwright.providers.answers import by_status
from sendwright.providers.contract import (
    Accepted,
    Answer,
    Capabilities,
    CommonSettings,
    Later,
    MailReply,
    MailRequest,
    Misconfigured,
    NotSent,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Rejected,
    Reply,
    Scope,
    Secret,
    Unsure,
)
from sendwright.providers.mime import Mail, Mailbox, compose, mailbox
from sendwright.providers.plain import text_of_html
from sendwright.providers.redaction import masked, vendor_id

ENVELOPE = frozenset({"mail", "rcpt", "data"})
"""Phases before the content."""
PORTS = {"starttls": 587, "tls": 465, "none": 25}
SUBJECT_MAX = 78
"""Characters of a subject that is made of the text's first line."""

_HOST = re.compile(r"[0-9A-Za-z_.-]{1,255}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", re.ASCII)
_QUEUED = re.compile(r"\b(?:queued as |id=)<?([A-Za-z0-9._-]{1,128})", re.IGNORECASE)
"""How Postfix and Exim name what they took."""
_SIGN_IN = frozenset({530, 534, 535, 538})

_BY_ENHANCED: dict[str, tuple[Reason, Scope]] = {
    "5.1.1": (Reason.INVALID_ADDRESS, Scope.RECIPIENT),
    "5.1.2": (Reason.INVALID_ADDRESS, Scope.RECIPIENT),  # no such domain
    "5.1.3": (Reason.INVALID_ADDRESS, Scope.RECIPIENT),
    "5.1.6": (Reason.INVALID_ADDRESS, Scope.RECIPIENT),  # moved, and nobody knows where
    "5.1.7": (Reason.REJECTED, Scope.SENDER),
    "5.1.8": (Reason.REJECTED, Scope.SENDER),
    "5.1.10": (Reason.INVALID_ADDRESS, Scope.RECIPIENT),  # a domain that takes no mail (RFC 7505)
    "5.2.3": (Reason.TOO_LONG, Scope.RECIPIENT),
    "5.3.4": (Reason.CONTENT, Scope.SENDER),  # too large for this server
    "5.6.7": (Reason.INVALID_ADDRESS, Scope.SENDER),  # a non-ASCII address, which another server may take
}
_BY_SUBJECT: dict[str, tuple[Reason, Scope]] = {
    "1": (Reason.INVALID_ADDRESS, Scope.RECIPIENT),
    "2": (Reason.UNREACHABLE, Scope.RECIPIENT),  # the mailbox: full, disabled
    "3": (Reason.REJECTED, Scope.SENDER),  # the mail system
    "4": (Reason.UNREACHABLE, Scope.RECIPIENT),  # the network and its routes
    "5": (Reason.REJECTED, Scope.SENDER),  # the protocol
    "6": (Reason.CONTENT, Scope.CONTENT),
    "7": (Reason.BLOCKED, Scope.SENDER),  # policy
}
_BY_CODE: dict[tuple[str, int], tuple[Reason, Scope]] = {
    ("rcpt", 550): (Reason.UNREACHABLE, Scope.RECIPIENT),
    ("rcpt", 551): (Reason.INVALID_ADDRESS, Scope.RECIPIENT),
    ("rcpt", 552): (Reason.UNREACHABLE, Scope.RECIPIENT),
    ("rcpt", 553): (Reason.INVALID_ADDRESS, Scope.RECIPIENT),
    ("mail", 552): (Reason.CONTENT, Scope.SENDER),
    ("data", 552): (Reason.CONTENT, Scope.SENDER),
    ("content", 552): (Reason.CONTENT, Scope.SENDER),
}
"""Without an enhanced code that says anything. What is not here is about who sends: the next provider may do better."""


class SmtpSettings(CommonSettings, frozen=True, kw_only=True, rename={"sender": "from"}):
    """The server, who signs in, and who mails are from."""

    host: str
    port: int | None = None
    """587 with `starttls`, 465 with `tls`, 25 with `none`, unless given."""
    username: str | None = None
    password: Secret | None = None
    tls: str = "starttls"
    sender: str
    from_name: str | None = None
    allow_clear_auth: bool = False
    """The operator's word that a password may be sent unencrypted to a host that is not this machine."""
    inline_css: bool = False
    """Writes the style sheets of HTML into its elements; needs the extra `email`."""
    concurrency: int = 20
    """Mail servers take far fewer connections from one client than HTTP ones: Postfix 50."""
    timeout_s: float = 60
    """Servers look through a mail before they answer; RFC 5321, 4.5.3.2.6, gives them ten minutes."""

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        host, port, tls = given.get("host"), given.get("port"), given.get("tls", "starttls")
        faults = []
        if host is not None and not _HOST.fullmatch(host):
            faults.append(("host", "must be a name or an address, without a port"))
        if port is not None and not 0 < port < 65536:
            faults.append(("port", "must be from 1 to 65535"))
        if tls is not None and tls not in PORTS:
            faults.append(("tls", "must be starttls, tls or none"))
        if given.get("inline_css") and not styling.available():
            faults.append(("inline_css", "needs the extra `email`: pip install 'sendwright[email]'"))
        if given.get("base_url") is not None:
            faults.append(("base_url", "is for HTTP: give `host` and `port`"))
        if ("username" in given) != ("password" in given):
            faults.append(("username", "`username` and `password` go together"))
        elif tls == "none" and "password" in given and not (_is_loopback(host) or given.get("allow_clear_auth")):
            faults.append(("tls", "would send the password unencrypted: use starttls or tls, or set allow_clear_auth = true"))
        faults += [(key, what) for key, what in (("from", _sender_fault(given.get("from"))),) if what]
        faults += [(key, "must not be empty") for key in ("username", "password", "from_name") if given.get(key) == ""]
        return faults


class Smtp(Provider):
    """One account on one mail server."""

    kind = "smtp"
    settings_type = SmtpSettings
    settings: SmtpSettings

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(channels=("email",), transport="smtp", media=True, idle_s=30)

    def build(self, out: Outgoing) -> MailRequest:
        """One mail. Raises `ValueError` for addresses, files or fields that it can't have."""
        if out.channel != "email":
            raise ValueError("a mail server takes email only")
        own = out.own if isinstance(out.own, EmailContent) else EmailContent()
        sender = mailbox(out.sender) if out.sender else self._sender
        to, copies, blind = mailbox(out.address), _mailboxes(own.cc), _mailboxes(own.bcc)
        text = _text(out)
        if not text and not out.html and not own.attachments:
            raise ValueError("neither a text nor a file")
        mail = Mail(
            id=out.attempt,
            at=out.now,
            sender=sender,
            to=to,
            subject=out.title or text.partition("\n")[0][:SUBJECT_MAX],
            text=text,
            html=styling.inlined(out.html) if out.html and self.settings.inline_css else out.html,
            cc=copies,
            reply_to=mailbox(own.reply_to) if own.reply_to else None,
            fields=own.headers,
            attachments=own.attachments,
        )
        settings = self.settings
        shown = (sender, to, *copies, *((mail.reply_to,) if mail.reply_to else ()))
        return MailRequest(
            host=settings.host,
            port=settings.port or PORTS[settings.tls],
            tls=settings.tls,
            sender=sender.address,
            recipients=tuple(dict.fromkeys(box.address for box in (to, *copies, *blind))),
            message=compose(mail),
            username=settings.username,
            password=settings.password,
            utf8=not all(box.address.isascii() for box in (*shown, *blind)),
            envid=out.attempt,
            ret="HDRS",
        )

    @cached_property
    def _sender(self) -> Mailbox:
        return mailbox(self.settings.sender, self.settings.from_name or "")

    def parse(self, reply: Reply) -> Outcome:
        """No mail server speaks HTTP: what such an answer means is read from its status, and none is acceptance."""
        return Unsure("no mail server answers like that") if 200 <= reply.status < 300 else by_status(reply)

    def read(self, answer: Answer) -> Outcome:
        """An envelope that broke off was a call, though nothing can have been taken: a recipient at whose name the server hangs up
        every time must not be written to for ever."""
        if isinstance(answer, NotSent) and answer.phase in ENVELOPE:
            return Later(f"{answer.phase}: {answer.detail}")
        return super().read(answer)

    def parse_mail(self, reply: MailReply) -> Outcome:
        """2xx to the content is acceptance, and nothing else is. Refusals go by the enhanced code."""
        detail = " ".join(part for part in (str(reply.code or ""), reply.enhanced, self.words(reply.text)) if part)
        if reply.phase == "auth" or (reply.code in _SIGN_IN and reply.phase != "content"):
            return Misconfigured(detail)
        if 400 <= reply.code < 500:
            return _later(reply, detail)
        if 500 <= reply.code < 600 or (reply.phase == "offer" and not reply.code):
            return Rejected(*_reason(reply, detail))
        if reply.phase == "content" and 200 <= reply.code < 300:
            queued = _QUEUED.search(reply.text)
            return Accepted(vendor_id(queued[1]) if queued else None, self._left_out(reply))
        if reply.phase in ENVELOPE:
            return Later(f"unexpected: {detail}")  # the content was not begun
        return Unsure(f"unexpected: {detail}")

    def _left_out(self, reply: MailReply) -> str:
        """Copies that were refused."""
        refused = [other for other in reply.recipients[1:] if not 200 <= other.code < 300]
        said = (f"{masked(other.address)} ({other.code} {self.words(other.text)})" for other in refused)
        return f"not to {', '.join(said)}" if refused else ""


def _later(reply: MailReply, detail: str) -> Later:
    """Whom it speaks of: the server (421, 4.3.x, 4.4.x, or nothing more exact), its policy, or this recipient alone."""
    subject = _subject(reply)
    if reply.code == 421 or subject in {"3", "4"}:
        return Later(detail)
    if reply.phase == "rcpt" or subject in {"1", "2"}:
        return Later(detail, scope=Scope.RECIPIENT, ill=False)
    return Later(detail, ill=subject != "7")


def _reason(reply: MailReply, detail: str) -> tuple[Reason, str, Scope]:
    """Why it was refused for good, and whom that speaks of. A refused sender is the sender's, whatever the code."""
    subject = _subject(reply)
    known = _BY_ENHANCED.get(reply.enhanced or "") or _BY_SUBJECT.get(subject or "")
    reason, scope = known or _BY_CODE.get((reply.phase, reply.code)) or (Reason.REJECTED, Scope.SENDER)
    if reply.phase == "mail" and scope == Scope.RECIPIENT:
        reason, scope = Reason.REJECTED, Scope.SENDER
    return reason, detail, scope


def _subject(reply: MailReply) -> str | None:
    """The middle of an enhanced code; None for none, and for 0, which says nothing."""
    parts = (reply.enhanced or "").split(".")
    return parts[1] if len(parts) == 3 and parts[1] != "0" else None


def _text(out: Outgoing) -> str:
    """What is read where HTML is not: the text, or else what the HTML says, and the links that are not in it."""
    derived = out.html is not None and out.body in {"", out.title}
    text = text_of_html(out.html or "") if derived else out.body
    links = [
        (None, out.url),
        *((action.label, action.url) for action in out.actions),
        *((item.filename, item.url) for item in out.media),
    ]
    lines = [f"{label}: {link}" if label else link for label, link in links if link and link not in text]
    return "\n\n".join(part for part in (text, "\n".join(lines)) if part)


def _mailboxes(texts: Sequence[str]) -> tuple[Mailbox, ...]:
    return tuple(mailbox(text) for text in texts)


def _is_loopback(host: str | None) -> bool:
    if host is None or host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _sender_fault(text: str | None) -> str:
    try:
        return "" if text is None or mailbox(text) else "is no address"
    except ValueError:
        return "must be an address, or a name and an address as `Shop <shop@example.org>`"
