"""What Meta's kinds have in common: the signature of callbacks, the question that begins them, and how long a token lives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sendwright.errors import SettingsError
from sendwright.providers.contract import Hook, HttpRequest, Life, Provider, Reply, Verdict
from sendwright.providers.registry import make
from tests.conformance.kinds import NOW, hook

PAYLOADS = Path(__file__).parent.parent / "payloads" / "meta"
HOOKS = "https://notify.example.com/v1/hooks/meta"
VERIFY_TOKEN = "verify-me-0123456789"
KINDS = {"whatsapp_cloud": "phone_number_id", "messenger": "page_id", "instagram": "account_id"}

# HMAC-SHA256 of RFC 4231, test case 2 (https://www.rfc-editor.org/rfc/rfc4231#section-4.3)
RFC_4231 = ("Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")


def account(kind: str, **over: Any) -> Provider:
    raw = {"kind": kind, KINDS[kind]: "106540352242922", "access_token": "t", "app_secret": "Jefe", "verify_token": VERIFY_TOKEN}
    return make("meta", {key: value for key, value in (raw | over).items() if value is not None})


@pytest.fixture(params=KINDS)
def provider(request: pytest.FixtureRequest) -> Provider:
    return account(request.param)


def signed(body: bytes, signature: str) -> Hook:
    return hook(HOOKS, body, ("x-hub-signature-256", signature))


def test_the_signature_is_over_the_raw_body(provider: Provider) -> None:
    _, body, digest = RFC_4231
    assert provider.verify(signed(body, f"sha256={digest}")) is Verdict.GOOD
    for at in range(len(body)):
        bent = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        assert provider.verify(signed(bent, f"sha256={digest}")) is Verdict.BAD


def test_another_apps_secret_signs_nothing_here() -> None:
    other = account("messenger", app_secret="Jeff")
    assert other.verify(signed(RFC_4231[1], f"sha256={RFC_4231[2]}")) is Verdict.BAD


@pytest.mark.parametrize(
    "forged", ["", "sha256=", f"sha1={RFC_4231[2]}", RFC_4231[2], f"sha256={RFC_4231[2].upper()}", f"sha256={RFC_4231[2]}\n"]
)
def test_what_can_be_no_signature_is_refused(provider: Provider, forged: str) -> None:
    assert provider.verify(signed(RFC_4231[1], forged)) is Verdict.BAD


def asked(**over: str | None) -> Hook:
    query = {"mode": "subscribe", "verify_token": VERIFY_TOKEN, "challenge": "1158201444"} | over
    pairs = tuple((f"hub.{name}", value) for name, value in query.items() if value is not None)
    return Hook("GET", HOOKS, pairs, (), b"", NOW)


def test_the_handshake_is_answered_with_its_challenge(provider: Provider) -> None:
    assert provider.handshake(asked()) == "1158201444"


@pytest.mark.parametrize(
    "over",
    [
        {"mode": "unsubscribe"},
        {"mode": None},
        {"verify_token": "verify-me-0123456788"},
        {"verify_token": ""},
        {"verify_token": None},
        {"challenge": None},
        {"challenge": ""},
        {"challenge": "<script>"},
        {"challenge": "1\r\nX-Evil: yes"},
    ],
)
def test_who_does_not_know_the_token_is_not_answered(provider: Provider, over: dict[str, str | None]) -> None:
    assert provider.handshake(asked(**over)) is None


@pytest.mark.parametrize("kind", KINDS)
def test_an_account_without_callbacks_answers_and_takes_none(kind: str) -> None:
    bare = account(kind, app_secret=None, verify_token=None)
    assert bare.handshake(asked()) is None
    assert bare.verify(signed(RFC_4231[1], f"sha256={RFC_4231[2]}")) is Verdict.BAD
    assert not bare.capabilities.receipts


# How long a token lives


ASKED = json.loads((PAYLOADS / "debug_token.json").read_text())


def life(said: object, status: int = 200) -> Life | None:
    return account("messenger").life_of(Reply(status, (), json.dumps(said).encode()))


@pytest.mark.parametrize("kind", KINDS)
def test_meta_is_asked_about_a_token_by_the_token_itself_where_it_can_be(kind: str) -> None:
    provider = account(kind, access_token="EAA&token=1", base_url="http://127.0.0.1:9000/graph")
    assert provider.capabilities.expires is (kind != "instagram")
    request = provider.life_request()
    assert isinstance(request, HttpRequest)
    assert (request.method, request.body) == ("GET", b"")
    assert request.url == "http://127.0.0.1:9000/graph/v25.0/debug_token?input_token=EAA%26token%3D1"
    assert ("Authorization", "Bearer EAA&token=1") in request.headers
    assert "EAA" not in repr(request)


def test_the_earlier_end_counts_and_0_is_none() -> None:
    def of(**over: object) -> Life | None:
        return life({"data": ASKED["data"] | over})

    assert life(ASKED) == Life(1795996800)
    assert of(data_access_expires_at=0) == Life(1796083200)
    assert of(expires_at=0) == Life(1795996800)
    assert of(expires_at=0, data_access_expires_at=0) == Life(None)
    assert of(is_valid=False) == Life(1795996800), "it has ended"
    assert of(is_valid=False, expires_at=0, data_access_expires_at=0) is None, "it is void, and has no end"


@pytest.mark.parametrize(
    "said", [None, 5, [], {}, {"data": None}, {"data": []}, {"data": {"expires_at": "soon"}}, {"data": {"expires_at": -1}}]
)
def test_an_answer_that_says_nothing_is_none(said: object) -> None:
    assert life(said) is None


@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_refusal_says_nothing_of_the_end(status: int) -> None:
    assert life(ASKED, status) is None


def test_an_end_may_be_named_by_day_or_time(provider: Provider) -> None:
    assert provider.lives_until is None
    raw = {"kind": provider.kind, KINDS[provider.kind]: "106540352242922", "access_token": "t"}
    ends = {"2027-01-31": 1801353600.0, "2027-01-31T12:00:00Z": 1801396800.0, "2027-01-31T12:00:00+02:00": 1801389600.0}
    assert {text: make("meta", raw | {"access_token_expires": text}).lives_until for text in ends} == ends
    for wrong in ("", "soon", "2027-13-01", "2027-01-31T12:00:00", "31.01.2027"):
        with pytest.raises(SettingsError) as refused:
            make("meta", raw | {"access_token_expires": wrong})
        assert "access_token_expires" in str(refused.value)
