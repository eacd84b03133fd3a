"""Which of the vendors a request is for: the first part of its path is the kind, so that one sandbox plays them all.

`base_url = "http://127.0.0.1:8425/telegram"` is where kind `telegram` finds Telegram, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sendwright.sandbox.asked import Dialect
from sendwright.sandbox.fcm import Fcm
from sendwright.sandbox.graph import Instagram, Messenger, WhatsappCloud
from sendwright.sandbox.keyring import Keyring
from sendwright.sandbox.replies import Speaker
from sendwright.sandbox.sendgrid import SIZE_MAX as SENDGRID_MAX
from sendwright.sandbox.sendgrid import Sendgrid
from sendwright.sandbox.ses import SIZE_MAX as SES_MAX
from sendwright.sandbox.ses import Ses
from sendwright.sandbox.slack import Slack, SlackWebhook
from sendwright.sandbox.sns import Announce
from sendwright.sandbox.telegram import Telegram
from sendwright.sandbox.webpush import Webpush
from sendwright.sandbox.wire import Reply, Request

_BODIES = {Sendgrid.kind: SENDGRID_MAX, Ses.kind: SES_MAX}
_MORE = 1_048_576


class VendorDialect(Dialect, Protocol):
    """A dialect that lives under its kind's name."""

    def account_in(self, path: str) -> str | None:
        """The account of a path that takes messages, without the kind; None where it is no such path."""
        ...

    def other(self, request: Request, path: str) -> Reply | None:
        """The answer to what is no message; None where the vendor has nothing there."""
        ...


class Vendors:
    """The dialects by kind, anew after a reset."""

    def __init__(self, keyring: Keyring, announce: Announce) -> None:
        chats = (WhatsappCloud(), Messenger(), Instagram(), Telegram(), Slack(), SlackWebhook())
        dialects: Sequence[VendorDialect] = (*chats, Sendgrid(keyring), Ses(keyring, announce), Fcm(keyring), Webpush(keyring))
        self._by_kind: dict[str, list[VendorDialect]] = {}
        for dialect in dialects:
            self._by_kind.setdefault(dialect.kind, []).append(dialect)

    def __repr__(self) -> str:
        return f"Vendors({', '.join(self._by_kind)})"

    def find(self, path: str) -> tuple[Dialect, str] | None:
        """The dialect and the account of a path that takes messages."""
        for dialect, rest in self._under(path):
            account = dialect.account_in(rest)
            if account is not None:
                return dialect, account
        return None

    def other(self, request: Request) -> Reply | None:
        """What a vendor answers to a call that is no message."""
        answers = (dialect.other(request, rest) for dialect, rest in self._under(request.path))
        return next((answer for answer in answers if answer is not None), None)

    def body_max(self, path: str) -> int | None:
        """Most bytes that are read of a request to that path, where a vendor takes more than the sandbox does: a little more than
        the vendor takes, so that it is the vendor's refusal that is answered."""
        most = _BODIES.get(path[1:].partition("/")[0])
        return None if most is None else most + _MORE

    def speaker(self, kind: str) -> Speaker | None:
        """The dialect of a kind whose people can write back."""
        return next((dialect for dialect in self._by_kind.get(kind, ()) if isinstance(dialect, Speaker)), None)

    def _under(self, path: str) -> list[tuple[VendorDialect, str]]:
        kind, slash, rest = path[1:].partition("/")
        return [(dialect, slash + rest) for dialect in self._by_kind.get(kind, ())]
