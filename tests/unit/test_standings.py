"""Where a test of a provider goes: on a channel that the address fits, or to nobody."""

from __future__ import annotations

import pytest

from sendwright.app.standings import aim, sample
from sendwright.providers.contract import EVERY_CHANNEL
from sendwright.web.api.services import Unfit


@pytest.mark.parametrize(
    ("to", "channels", "expected"),
    [
        ("+14155550123", EVERY_CHANNEL, ("sms", "+14155550123")),
        ("+1 (415) 555-0123", ("email", "sms"), ("sms", "+14155550123")),
        ("+14155550123", ("whatsapp", "email"), ("whatsapp", "+14155550123")),
        ("ada@example.org", EVERY_CHANNEL, ("email", "ada@example.org")),
        ("https://example.org/hook", EVERY_CHANNEL, ("webhook", "https://example.org/hook")),
        ("https://hooks.example.org/x", ("sms", "slack"), ("slack", "https://hooks.example.org/x")),
        ("123456", ("sms", "telegram"), ("telegram", "123456")),
        ("user-42", ("email", "inapp"), ("inapp", "user-42")),
        ('{"endpoint":"https://push.example.org/1"}', EVERY_CHANNEL, ("webpush", '{"endpoint":"https://push.example.org/1"}')),
        ("+14155550123", ("pager",), ("pager", "+14155550123")),
    ],
)
def test_a_test_goes_by_a_channel_that_the_address_fits(to: str, channels: tuple[str, ...], expected: tuple[str, str]) -> None:
    assert aim("vendor", channels, to) == expected
    assert aim("sandbox", channels, to) == expected


@pytest.mark.parametrize(
    ("to", "channels"),
    [
        ("ada@example.org", ("sms", "whatsapp", "push", "slack")),
        ("+14155550123", ("email", "push", "inapp", "webhook")),
        ("https://example.org/", ("sms", "email", "push")),
        ("user-42", ("sms", "email", "webhook")),
        ("+1", EVERY_CHANNEL),
    ],
)
def test_an_address_that_fits_no_channel_is_named(to: str, channels: tuple[str, ...]) -> None:
    found = aim("sandbox", channels, to)
    assert isinstance(found, Unfit)
    assert found.code == "invalid_address"
    assert to not in found.detail


@pytest.mark.parametrize("kind", ["sandbox", "console"])
def test_who_reaches_nobody_needs_no_address(kind: str) -> None:
    for channel in EVERY_CHANNEL:
        aimed = aim(kind, (channel, "sms"), None)
        assert aimed == (channel, sample(channel))
    for channel in ("sms", "whatsapp", "email", "webhook"):
        assert aim(kind, (channel,), sample(channel)) == (channel, sample(channel))


def test_who_reaches_people_needs_an_address() -> None:
    found = aim("twilio", ("sms",), None)
    assert isinstance(found, Unfit)
    assert found.code == "required"
