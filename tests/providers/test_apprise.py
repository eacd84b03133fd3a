"""Apprise: what the library is given, and what its yes and no mean."""

from __future__ import annotations

import logging
from importlib import util
from typing import Any

import pytest

from sendwright.errors import SettingsError
from sendwright.providers.contract import Accepted, AppriseRequest, Media, Outgoing, Provider, Reply, Secret, Unsure
from sendwright.providers.registry import make
from tests.conformance.kinds import SECRET_MARK, Samples, outgoing

URL = f"json://user:{SECRET_MARK}@hooks.example.com/notify"
RAW = {"kind": "apprise", "channel": "teams", "url": URL}
APPRISE = make("apprise-main", RAW)


def out(**over: Any) -> Outgoing:
    return outgoing(**({"channel": "teams", "address": "team-42", "media": ()} | over))


def samples() -> Samples:
    """For the suite that every kind passes."""
    return Samples(
        raw=RAW,
        outgoing=out(media=(Media("https://example.com/canarymedia.png"),)),
        accepted=Reply(200),
        refused_key=Reply(401),
        secrets=(URL, SECRET_MARK),
        extra_replies=(Reply(200, (), b"ok"), Reply(204)),
    )


def given(message: Outgoing | None = None, provider: Provider = APPRISE) -> AppriseRequest:
    request = provider.build(message or out())
    assert isinstance(request, AppriseRequest)
    return request


def faults(**over: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as refusal:
        make("main", RAW | over)
    return {key.rpartition(".")[2]: what for key, what in refusal.value.faults}


def test_a_message_is_its_title_and_its_text_for_the_url_of_the_settings() -> None:
    assert given(out(title="Order 12", body="On its way.")) == AppriseRequest(Secret(URL), "On its way.", "Order 12")


def test_links_stand_below_the_text_and_nothing_is_attached() -> None:
    media = (Media("https://example.com/a.png"), Media("https://example.com/b.pdf"))
    message = out(title=None, body="See here", url="https://example.com/o/12", media=media)
    assert given(message).body == "See here\nhttps://example.com/o/12\nhttps://example.com/a.png\nhttps://example.com/b.pdf"


def test_a_title_alone_is_the_text() -> None:
    assert given(out(title="Hello", body="Hello")) == AppriseRequest(Secret(URL), "Hello", "")


def test_a_title_is_one_line() -> None:
    assert given(out(title="a\r\nBcc: x\u2028y")).title == "a Bcc: x y"


def test_what_can_not_be_written_is_refused() -> None:
    with pytest.raises(ValueError):
        APPRISE.build(out(body="\ud800"))
    with pytest.raises(ValueError, match="nothing is said"):
        APPRISE.build(out(title=None, body=""))


def test_the_url_may_name_the_recipient() -> None:
    mail = make("mail", RAW | {"channel": "email", "url": "mailtos://user:pw@example.com?to={address}"})
    message = given(out(channel="email", address="ada+x@example.org"), mail)
    assert message.url.reveal() == "mailtos://user:pw@example.com?to=ada%2Bx%40example.org"


@pytest.mark.parametrize("evil", ["a@b.c,d@e.f", "a b", "a/b", "a?x", "a&to=b", "a%2Cb", "a;b", "", "é", "a\nb"])
def test_an_address_adds_nothing_to_the_url(evil: str) -> None:
    mail = make("mail", RAW | {"channel": "email", "url": "mailtos://user:pw@example.com?to={address}"})
    with pytest.raises(ValueError, match="does not fit") as refusal:
        mail.build(out(channel="email", address=evil))
    assert not evil or evil not in str(refusal.value)
    assert given(out(address=evil)).url.reveal() == URL, "where the URL names no recipient, none is put into it"


def test_yes_is_acceptance_without_a_reference() -> None:
    assert APPRISE.parse(Reply(200)) == Accepted(None)
    assert isinstance(APPRISE.parse(Reply(200, (), b"x")), Unsure)


def test_the_channel_is_the_one_that_is_named() -> None:
    assert APPRISE.capabilities.channels == ("teams",)
    assert not APPRISE.capabilities.receipts
    assert set(faults(channel="pigeon")) == {"channel"}


@pytest.mark.parametrize("url", ["", "nonsense", "canary://host/secret", "https://", "mailto://{address}"])
def test_a_url_that_apprise_does_not_know_is_a_fault_that_does_not_show_it(
    url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        found = faults(url=url)
    assert found == {"url": "is no URL that Apprise knows"}
    assert "canary" not in caplog.text + "".join(capfd.readouterr())


def test_a_base_url_has_no_meaning_and_is_a_fault() -> None:
    assert set(faults(base_url="http://127.0.0.1:9000")) == {"base_url"}


def test_without_the_library_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = util.find_spec
    monkeypatch.setattr("sendwright.providers.apprise.find_spec", lambda name: None if name == "apprise" else found(name))
    assert faults() == {"kind": "needs the library: pip install 'sendwright[apprise]'"}


def test_the_url_never_shows() -> None:
    assert SECRET_MARK not in repr((APPRISE.settings, given(), str(given().url)))
