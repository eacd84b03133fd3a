"""What goes out through the egress, and what comes of it: a message as an adapter gets it, the requests, and the answers."""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal

from msgspec import Struct

from sendwright.model.content import Action, Own
from sendwright.model.inbox import ItemContent
from sendwright.model.outcomes import Outcome
from sendwright.providers.mail import MailReply, MailRequest
from sendwright.providers.secret import Secret

ENTROPY = 64
"""Bytes of chance that a kind is given for one request, where it asks for any."""


class Media(Struct, frozen=True, omit_defaults=True):
    """A file to go along, by its public address."""

    url: str
    content_type: str | None = None
    filename: str | None = None


class Outgoing(Struct, frozen=True):
    """One message as a provider gets it: rendered, addressed, with its deadline and its names."""

    attempt: str
    message: str
    channel: str
    address: str
    body: str
    title: str | None = None
    html: str | None = None
    url: str | None = None
    media: tuple[Media, ...] = ()
    sender: str | None = None
    """Overrides the account's own sender, where the content named one."""
    callback_url: str | None = None
    """Where the vendor should report to, carrying the attempt's id; None when nothing can reach us."""
    idempotency_key: str = ""
    """Constant for (message, step, provider) until a definite outcome."""
    ttl_s: int | None = None
    """Seconds until it must not be delivered any more."""
    own: Own | None = None
    """What the content says for this channel alone: what of it is a text, a title or media stands above already."""
    actions: tuple[Action, ...] = ()
    """Buttons or links under it."""
    tenant: str = ""
    """Whose message it is."""
    priority: str = "normal"
    """`critical`, `high`, `normal` or `bulk`."""
    now: float = 0.0
    """Unix seconds when the request is built: it is written within a second of that, or built anew."""
    entropy: bytes = b""
    """`ENTROPY` random bytes, never given twice, for a kind whose capabilities ask for them."""
    token: Secret | None = None
    """The account's access token as it is now, for a kind that fetches one."""
    unsubscribe_url: str | None = None
    """By which the recipient unsubscribes; None where it is not marketing. Of an email it stands in `own.headers` already."""

    def __repr__(self) -> str:
        return f"Outgoing(attempt={self.attempt!r}, channel={self.channel!r})"


class HttpRequest(Struct, frozen=True, tag="http"):
    """One HTTP/1.1 request. `url` is absolute; header values are as they go on the wire."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __repr__(self) -> str:
        return f"HttpRequest({self.method} {len(self.body)} bytes)"


class ConsoleLine(Struct, frozen=True, tag="console"):
    """Text for the operator's terminal."""

    text: str

    def __repr__(self) -> str:
        return "ConsoleLine()"


class InboxItem(Struct, frozen=True, tag="inbox"):
    """Something to be put into a person's inbox of this very product."""

    id: str
    tenant: str
    recipient: str
    attempt: str
    said: ItemContent

    def __repr__(self) -> str:
        return f"InboxItem({self.id})"


class Passenger(Struct, frozen=True, tag="passenger"):
    """One message of a call that carries several: whoever gathers them builds the call."""

    out: Outgoing
    together: str
    """What the provider said may go with it."""

    def __repr__(self) -> str:
        return f"Passenger({self.out.attempt})"


class AppriseRequest(Struct, frozen=True, tag="apprise"):
    """What the Apprise library is to send, to whatever its URL names. It does the rest by itself, and tells whether it worked."""

    url: Secret
    body: str
    title: str = ""

    def __repr__(self) -> str:
        return "AppriseRequest()"


class OwnCredentials(Struct, frozen=True, tag="own"):
    """Asks for what the machine itself may do in the cloud that it stands in, by that vendor's own chain of sources: variables of
    the environment, files, a role of the container or the instance. For `token_request` alone. Answered 200 with a JSON object
    (AWS: `access_key_id`, `secret_access_key`, `session_token`), 404 where no source has any, 501 without the library for it."""

    vendor: Literal["aws"]


Request = HttpRequest | ConsoleLine | MailRequest | InboxItem | AppriseRequest | OwnCredentials | Passenger


class TooLong(ValueError):
    """The text is longer than the vendor takes: `Reason.TOO_LONG`, where any other `ValueError` of `build` is `CONTENT`."""


def length_of(text: str, unit: Literal["characters", "bytes"]) -> int:
    return len(text) if unit == "characters" else len(text.encode())


OURS = frozenset({"pool", "late"})
"""Phases in which a request was not sent for a reason of our own: they say nothing of the provider's health."""


class Reply(Struct, frozen=True, tag="reply"):
    """A complete answer. Header names are lower case."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first header of that (lower-case) name."""
        return next((value for key, value in self.headers if key == name), None)

    def __repr__(self) -> str:
        return f"Reply({self.status}, {len(self.body)} bytes)"


class NotSent(Struct, frozen=True, tag="not_sent"):
    """Provably nothing of the request left this process; of a mail, nothing but its envelope."""

    phase: str
    """`resolve`, `connect`, `tls`, `pool` or `late`; `mail`, `rcpt` or `data` where a mail's envelope broke off."""
    detail: str = ""


class Lost(Struct, frozen=True, tag="lost"):
    """Bytes of the request may have left, and no complete answer came."""

    phase: str
    """`write`, `wait`, `head` or `body`."""
    detail: str = ""


class Part(Struct, frozen=True, tag="part"):
    """What the answer to a call for several messages said of this one."""

    outcome: Outcome


Answer = Reply | MailReply | NotSent | Lost | Part
Flow = Generator[Request, Answer, Outcome]
