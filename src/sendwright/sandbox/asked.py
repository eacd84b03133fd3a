"""What is asked of the sandbox, in words common to all protocols; and what a protocol must offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from sendwright.sandbox.log import Noted
from sendwright.sandbox.wire import Headers, Reply, Request


class Asked(Struct, frozen=True, gc=False):
    """One request to send a message."""

    kind: str
    account: str
    channel: str = ""
    to: str = ""
    body: str = ""
    sender: str | None = None
    title: str | None = None
    html: str | None = None
    url: str | None = None
    media: Sequence[str] = ()
    """Addresses of what goes along, or the names of files."""
    copies: Sequence[str] = ()
    """Who else has it."""
    unsubscribe_url: str | None = None
    reference: str | None = None
    idempotency_key: str | None = None
    callback_url: str | None = None
    token: str = ""
    """The caller's secret, where receipts are signed with it. Never noted."""
    echoed: Mapping[str, str] = {}
    """What the caller wants back in whatever is reported."""
    also: Sequence[Asked] = ()
    """The other messages of the same call: all of them are answered by one answer."""
    lost: bool = False
    """The vendor takes it, and it reaches nobody: what it is for can't read it."""
    refusal: Reply | None = None
    """What a healthy vendor answers, where that is not yes."""

    def __repr__(self) -> str:
        return f"Asked({self.kind})"


class Voice(Protocol):
    """How one vendor answers and reports."""

    kind: str

    def new_ref(self) -> str:
        """A new message id, as the vendor makes them."""
        ...

    def taken(self, asked: Asked, ref: str, at: datetime) -> Reply:
        """The answer to a message that was taken."""
        ...

    def replayed(self, ref: str) -> Reply:
        """The answer to a repetition that the vendor has recognised."""
        ...

    def opted_out(self, asked: Asked) -> Reply | None:
        """The refusal of an address that does not want to be written to. None where the vendor takes the message, drops it, and
        reports that: by `receipt` for the state `dropped`."""
        ...

    def failure(self, status: int, code: int | str | None, headers: Headers) -> Reply:
        """The vendor's error of that status; `code` stands in the body, or the usual one."""
        ...

    def receipt(self, asked: Asked, noted: Noted, state: str) -> tuple[Headers, bytes]:
        """The callback that reports `state` (`sent`, `delivered`, `read`, `failed`): headers and body."""
        ...


class Dialect(Voice, Protocol):
    """One vendor's protocol over HTTP, pure: reading, answering, reporting."""

    def read(self, request: Request, account: str) -> Asked:
        """What is asked; with a `refusal` where the vendor would refuse. `account` is the one in the path, if any."""
        ...
