"""For the tests of code that uses Sendwright: the whole product in the test's own process, and what it sent.

    from sendwright.testing import Server

    with Server() as server:
        shop.place_order(sendwright=server.client())
        (sent,) = server.wait_for(1)
        assert (sent.channel, sent.to, sent.body) == ("sms", "+14155550123", "Your order is on its way.")

With pytest, the fixture `sendwright` is such a server, the same for all tests and emptied for each. Nothing leaves the machine:
every channel goes to the sandbox, which remembers, and misbehaves where it is asked to.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sendwright.testing.clock import FrozenClock
    from sendwright.testing.server import Sent, Server

__all__ = ["FrozenClock", "Sent", "Server"]

_FILES = {"FrozenClock": "clock", "Sent": "server", "Server": "server"}


def __getattr__(name: str) -> object:
    """Loaded when it is asked for: the pytest plugin is loaded in every run, and most have no use for a server."""
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
