"""The pytest plugin: the fixtures `sendwright` and `sendwright_settings`. Loads nothing of the product until one is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sendwright.testing.server import Server


@pytest.fixture(scope="session")
def sendwright_settings() -> Mapping[str, Mapping[str, Any]]:
    """What the server runs with, by section; override it in a conftest.py."""
    return {}


@pytest.fixture(scope="session")
def sendwright_server(sendwright_settings: Mapping[str, Mapping[str, Any]]) -> Iterator[Server]:
    """The one server of all tests."""
    from sendwright.testing.server import Server  # noqa: PLC0415 -- most test runs have no use for it

    with Server(sendwright_settings) as server:
        yield server


@pytest.fixture
def sendwright(sendwright_server: Server) -> Server:
    """The server, with nothing sent and no fault."""
    sendwright_server.reset()
    return sendwright_server
