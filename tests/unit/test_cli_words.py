"""What people type on the command line is read as they mean it, or refused as wrong usage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest

from sendwright.cli import words


@pytest.mark.parametrize(
    ("text", "wire", "channel"),
    [
        ("+15005550009", {"phone": "+15005550009"}, None),
        ("ada@example.org", {"email": "ada@example.org"}, None),
        ("user-42", "user-42", None),
        ("crm:42", "crm:42", None),
        ("@handle", "@handle", None),
        ("id:telegram:7", "telegram:7", None),
        ("sms:+15005550009", {"phone": "+15005550009"}, "sms"),
        ("phone:+15005550009", {"phone": "+15005550009"}, "sms"),
        ("whatsapp:+4915112345678", {"whatsapp": "+4915112345678"}, "whatsapp"),
        ("telegram:123", {"telegram": "123"}, "telegram"),
        ("email:ada@example.org", {"email": "ada@example.org"}, "email"),
        ("webhook:https://example.org/x", {"webhook": "https://example.org/x"}, "webhook"),
        ('{"push": [{"token": "t"}], "locale": "de"}', {"push": [{"token": "t"}], "locale": "de"}, None),
    ],
)
def test_a_recipient_is_a_number_an_email_address_an_id_a_channel_with_an_address_or_json(
    text: str, wire: Any, channel: str | None
) -> None:
    read = words.addressee(text)

    assert (read.wire, read.channel) == (wire, channel)


@pytest.mark.parametrize("text", ["", "whatsapp:", "id:", "{", '{"phone": ', "push:token", "webpush:x"])
def test_a_recipient_that_means_nothing_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.BadParameter):
        words.addressee(text)


def test_no_address_shows_in_the_repr_of_a_recipient() -> None:
    assert "+1500" not in repr(words.addressee("+15005550009"))


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("2m", 120), ("1h", 3600), ("7d", 604_800), ("0s", 0)])
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert words.duration_s(text) == seconds


@pytest.mark.parametrize("text", ["30", "s", "-1s", "1w", "1.5s", ""])
def test_what_is_no_duration_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.BadParameter):
        words.duration_s(text)


def test_a_moment_may_be_written_as_how_long_ago() -> None:
    before = datetime.now(UTC)

    then = datetime.fromisoformat(words.moment("36h"))

    assert timedelta() <= then - (before - timedelta(hours=36, milliseconds=1)) < timedelta(minutes=1)


def test_longer_ago_than_any_message_is_a_moment_that_the_api_takes() -> None:
    assert words.moment("99999d") == "1970-01-01T00:00:00.000Z"


def test_a_moment_in_rfc_3339_goes_on_as_it_is() -> None:
    assert words.moment("2026-11-22T08:00:00+01:00") == "2026-11-22T08:00:00+01:00"


@pytest.mark.parametrize("text", ["yesterday", "2026-11-22", "2026-13-01T00:00:00Z", "999999999d"])
def test_what_is_no_moment_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.BadParameter):
        words.moment(text)


@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:8420", "localhost:9000"])
def test_an_address_to_listen_on_is_a_host_and_a_port(text: str) -> None:
    assert words.listen(text) == text


@pytest.mark.parametrize("text", ["8420", "127.0.0.1", "127.0.0.1:99999", ":"])
def test_what_is_no_address_to_listen_on_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.BadParameter):
        words.listen(text)
