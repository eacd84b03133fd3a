"""Apprise: any of the hundred services that the library of that name speaks to, by one URL.

Read in November 2026:
  the library   https://github.com/caronc/apprise
  its URLs      https://github.com/caronc/apprise/wiki

What shapes this file:
  * The library does its own I/O, which a provider must not, so a message is an `AppriseRequest`, and the egress has the library
    send it. It comes back with yes or no: no reference, no receipt, no reason. No is unsure, for bytes may have left.
  * Media are not attached but named by their links: the library would fetch them, from wherever their address leads.
  * The URL says where it goes. Where it holds `{address}`, that is the recipient's address; else everybody's messages go to what it
    names. An address can't add a part to the URL: what would separate parts is refused.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote

from sendwright.providers.answers import by_status
from sendwright.providers.contract import (
    EVERY_CHANNEL,
    Accepted,
    AppriseRequest,
    Capabilities,
    CommonSettings,
    Outcome,
    Outgoing,
    Provider,
    Reply,
    Secret,
    Unsure,
)

PLACE = "{address}"
MISSING = "needs the library: pip install 'sendwright[apprise]'"

_ADDRESS = re.compile(r"[A-Za-z0-9@._+:#=-]{1,512}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LIKELY = ("+15005550006", "test@example.com", "123456789", "abcdefghijklmnopqrstuvwxyz012345")
"""Addresses that tell whether a URL can be read once there is one in it."""


class AppriseSettings(CommonSettings, frozen=True, kw_only=True):
    """Where it goes, and for which channel."""

    channel: str
    url: Secret
    """Any URL of Apprise's; with `{address}` in it, that of the recipient."""

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        faults = []
        channel, url = given.get("channel"), given.get("url")
        if channel is not None and channel not in EVERY_CHANNEL:
            faults.append(("channel", f"no channel is called {channel!r}"))
        if given.get("base_url") is not None:
            faults.append(("base_url", "has no meaning here: the host is in `url`"))
        if find_spec("apprise") is None:
            faults.append(("kind", MISSING))
        elif url is not None and not any(_readable(_filled(url, address)) for address in _LIKELY):
            faults.append(("url", "is no URL that Apprise knows"))
        return faults


class Apprise(Provider):
    """One URL."""

    kind = "apprise"
    settings_type = AppriseSettings
    settings: AppriseSettings

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(channels=(self.settings.channel,), transport="apprise", media=True)

    def build(self, out: Outgoing) -> AppriseRequest:
        """The message as text. Raises `ValueError` for another channel, or an address that does not fit into a URL."""
        if out.channel != self.settings.channel:
            raise ValueError("this account is for another channel")
        if PLACE in self.settings.url.reveal() and _ADDRESS.fullmatch(out.address) is None:
            raise ValueError("the address does not fit into the URL")
        title = _CONTROL.sub(" ", out.title or "")
        said = [out.body if out.body != out.title else "", out.url, *(item.url for item in out.media)]
        body = "\n".join(dict.fromkeys(part for part in said if part)) or title
        if not body:
            raise ValueError("nothing is said")
        f"{title}{body}".encode()  # a half of a pair can't be sent, and must not be found out under way
        return AppriseRequest(_filled(self.settings.url, out.address), body, title if body != title else "")

    def parse(self, reply: Reply) -> Outcome:
        """Sent, when the answer is an empty 200."""
        if reply.status != 200:
            return by_status(reply)
        return Unsure("Apprise answers nothing like that") if reply.body else Accepted()


def _filled(url: Secret, address: str) -> Secret:
    return Secret(url.reveal().replace(PLACE, quote(address, safe="")))


def _readable(url: Secret) -> bool:
    """Whether the library makes something of it. Nothing is sent, and nothing logged."""
    import apprise  # noqa: PLC0415 -- an extra, and half a second to load

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    return apprise.Apprise.instantiate(url.reveal()) is not None
