"""One mail as a request, and a mail server's answer to it. Part of the contract, which exports it.

A mail has no status line and no body to read afterwards: the server answers each command, and only its answer to the whole
message means that it was taken. So an answer says *what* was answered, and carries a word for every recipient.
"""

from __future__ import annotations

from msgspec import Struct

from sendwright.providers.secret import Secret


class MailRequest(Struct, frozen=True, tag="mail"):
    """One mail for one SMTP server (RFC 5321): where that is, who signs in, the envelope, and the message."""

    host: str
    port: int
    tls: str
    """`starttls`: the line is encrypted before anything is said on it, or not used. `tls`: from its first byte. `none`: never."""
    sender: str
    """The envelope's: where bounces go."""
    recipients: tuple[str, ...]
    """The envelope's. The first is whom the mail is for: where the server refuses that one, nothing is sent to the others."""
    message: bytes
    """Header and body (RFC 5322), every line ended by CR LF, without dot-stuffing."""
    username: str | None = None
    password: Secret | None = None
    utf8: bool = False
    """The envelope or the header has letters outside ASCII: it needs SMTPUTF8 (RFC 6531)."""
    eight_bit: bool = False
    """The body has: it needs 8BITMIME (RFC 6152)."""
    envid: str | None = None
    """Names the mail in bounces, where the server knows DSN (RFC 3461)."""
    notify: str | None = None
    """Of what to be told: `NEVER`, or some of `SUCCESS,FAILURE,DELAY`. Unset: what the server does by itself."""
    ret: str | None = None
    """How much a bounce holds of the mail: `FULL` or `HDRS`."""

    def __repr__(self) -> str:
        return f"MailRequest({len(self.recipients)} recipients, {len(self.message)} bytes)"


class RecipientReply(Struct, frozen=True):
    """What a mail server said of one recipient of the envelope."""

    address: str
    code: int
    enhanced: str | None = None
    text: str = ""

    def __repr__(self) -> str:
        return f"RecipientReply({self.code})"


class MailReply(Struct, frozen=True, tag="mail_reply"):
    """A mail server's definite word on a mail: by its last answer, or by what it says that it can't."""

    phase: str
    """What was answered: `auth` (signing in), `mail` (the sender), `rcpt` (the first recipient), `data`, or `content`, after which
    alone the mail is taken. `offer`: the mail needs what the server does not offer, and nothing of it was said."""
    code: int
    """As in RFC 5321; 0 for what no server said."""
    enhanced: str | None = None
    """Such as `5.1.1` (RFC 3463), of the code's own class."""
    text: str = ""
    """The server's own words, its lines joined by a blank."""
    recipients: tuple[RecipientReply, ...] = ()
    """What was said of each, in the envelope's order, as far as it was said."""

    def __repr__(self) -> str:
        return f"MailReply({self.phase} {self.code} {self.enhanced})"
