"""Console: every channel, printed on the operator's terminal. For a first look, and for development without an account.

No network, no receipts. The terminal's answer is an empty 200. What is printed can't steer the terminal: control
characters are shown as pictures, and one message is one line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sendwright.providers.answers import by_status
from sendwright.providers.contract import (
    EVERY_CHANNEL,
    Accepted,
    Capabilities,
    CommonSettings,
    ConsoleLine,
    Outcome,
    Outgoing,
    Provider,
    Reply,
    Unsure,
)
from sendwright.providers.redaction import masked, visible


class ConsoleSettings(CommonSettings, frozen=True, kw_only=True):
    """`channels`: those it takes; unset, every channel."""

    channels: tuple[str, ...] = ()

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        return [("channels", f"no channel is called {name!r}") for name in given.get("channels") or () if name not in EVERY_CHANNEL]


class Console(Provider):
    """Prints what would be sent: `sms to +1•••0123: Your code is 1234`."""

    kind = "console"
    settings_type = ConsoleSettings
    settings: ConsoleSettings

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(channels=self.settings.channels or EVERY_CHANNEL, transport="console", media=True)

    def build(self, out: Outgoing) -> ConsoleLine:
        """The line. Raises `ValueError` for a channel that this account does not take."""
        if out.channel not in self.capabilities.channels:
            raise ValueError("this console does not take that channel")
        said = " — ".join(part for part in (out.title, out.body or out.html) if part)
        links = "".join(f" <{link}>" for link in (out.url, *(item.url for item in out.media)) if link)
        return ConsoleLine(visible(f"{out.channel} to {masked(out.address)}: {said}{links}"))

    def parse(self, reply: Reply) -> Outcome:
        """Printed, when the answer is an empty 200."""
        if reply.status != 200:
            return by_status(reply)
        return Unsure("no terminal answers like that") if reply.body else Accepted()
