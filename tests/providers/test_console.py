"""What the console prints."""

from __future__ import annotations

from typing import Any

import pytest

from sendwright.errors import SettingsError
from sendwright.providers.contract import EVERY_CHANNEL, Accepted, ConsoleLine, Later, Media, Outgoing, Provider, Reply, Unsure
from sendwright.providers.registry import make
from tests.conformance.kinds import Samples, outgoing

CONSOLE = make("terminal", {"kind": "console"})


def samples() -> Samples:
    """For the suite that every kind passes."""
    return Samples(
        raw={"kind": "console"},
        outgoing=outgoing(),
        accepted=Reply(200),
        refused_key=Reply(401),
    )


def line(provider: Provider = CONSOLE, **over: Any) -> str:
    values = {"attempt": "att_1", "message": "msg_1", "channel": "sms", "address": "+15550000123", "body": "Your code is 1234"}
    request = provider.build(Outgoing(**(values | over)))
    assert isinstance(request, ConsoleLine)
    return request.text


def test_a_message_is_one_line_with_the_address_masked() -> None:
    assert line() == "sms to +1•••0123: Your code is 1234"


def test_title_link_and_media_stand_beside_the_body() -> None:
    said = line(title="Hello", url="https://example.com/x", media=(Media("https://example.com/a.png"),))
    assert said == "sms to +1•••0123: Hello — Your code is 1234 <https://example.com/x> <https://example.com/a.png>"


def test_html_is_printed_where_there_is_no_text() -> None:
    assert line(body="", html="<p>Hi</p>").endswith(": <p>Hi</p>")


def test_content_cannot_steer_the_terminal() -> None:
    assert line(body="a\n\x1b]0;owned\x07") == "sms to +1•••0123: a␊␛]0;owned␇"


def test_it_takes_every_channel_unless_some_are_named() -> None:
    assert CONSOLE.capabilities.channels == EVERY_CHANNEL
    some = make("terminal", {"kind": "console", "channels": ["email", "push"]})
    assert some.capabilities.channels == ("email", "push")
    with pytest.raises(ValueError, match="does not take that channel"):
        line(some)


def test_a_channel_that_nobody_knows_stops_the_start() -> None:
    with pytest.raises(SettingsError) as refusal:
        make("terminal", {"kind": "console", "channels": ["sms", "smss", "fax"]})
    assert refusal.value.faults == (
        ("providers.terminal.channels", "no channel is called 'smss'"),
        ("providers.terminal.channels", "no channel is called 'fax'"),
    )


def test_printed_is_taken() -> None:
    assert CONSOLE.parse(Reply(200)) == Accepted()
    assert isinstance(CONSOLE.parse(Reply(200, body=b"?")), Unsure)
    assert isinstance(CONSOLE.parse(Reply(503)), Later)
