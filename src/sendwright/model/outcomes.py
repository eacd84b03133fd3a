"""What a call of a provider can come to: five values, each with a scope.

`Later` means *provably not taken*. `Unsure` means the answer was lost after bytes were written: that is where
duplicates come from, so it is a case of its own. Vendors' own words are kept in `detail`, never acted on.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Scope(StrEnum):
    """What an outcome speaks about."""

    CALL = "call"
    """This call alone."""
    RECIPIENT = "recipient"
    """This address, whoever sends."""
    SENDER = "sender"
    """This sender (number, account) towards this recipient or place."""
    CONTENT = "content"
    """What is said, wherever it goes."""
    ACCOUNT = "account"
    """Everything that goes through this provider's account."""


class Reason(StrEnum):
    """Why a message or an attempt ended: a closed list, for programs. The vendor's own words stand beside it."""

    INVALID_ADDRESS = "invalid_address"
    NO_ADDRESS = "no_address"
    UNKNOWN_RECIPIENT = "unknown_recipient"
    NO_PROVIDER = "no_provider"
    UNREACHABLE = "unreachable"
    BLOCKED = "blocked"
    OPTED_OUT = "opted_out"
    PREFERENCE = "preference"
    REJECTED = "rejected"
    CONTENT = "content"
    TOO_LONG = "too_long"
    WINDOW_CLOSED = "window_closed"
    LIMIT = "limit"
    BUDGET = "budget"
    EXPIRED = "expired"
    MISCONFIGURED = "misconfigured"
    LOST_ANSWER = "lost_answer"
    UNKNOWN = "unknown"


class Accepted(Struct, frozen=True, tag=True):
    """The provider took it. `ref` is the vendor's own id, where it gave one."""

    ref: str | None = None
    left_out: str = ""
    """Who beside the recipient does not get it (copies of an email) and why, masked: the reason of an attempt that is `sent`."""


class Rejected(Struct, frozen=True, tag=True):
    """A permanent refusal. The scope says what comes next: a recipient's or sender's takes the next provider or step."""

    reason: Reason
    detail: str = ""
    scope: Scope = Scope.RECIPIENT


class Later(Struct, frozen=True, tag=True):
    """Provably not taken. `after_s` is what the provider asked for, in seconds, already read from its dialect."""

    detail: str = ""
    after_s: float | None = None
    scope: Scope = Scope.ACCOUNT
    ill: bool = True
    """Counts against the provider's health (a 503 does, a rate limit does not)."""
    called: bool = True
    """False when no request was written: then it uses up no attempt."""
    alone: bool = False
    """The call was refused for what others in it held: this message goes again, and shares no call any more."""


class Unsure(Struct, frozen=True, tag=True):
    """Bytes were written and no answer that can be trusted came back."""

    detail: str = ""


class Misconfigured(Struct, frozen=True, tag=True):
    """The account, not the message: a refused key, a forbidden sender. Opens the provider's breaker."""

    detail: str = ""


Outcome = Accepted | Rejected | Later | Unsure | Misconfigured
