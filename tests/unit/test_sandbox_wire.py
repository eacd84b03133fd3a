"""Signatures, addresses, segments and forms of the sandbox, against facts from elsewhere."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.sandbox.keys import twilio_signature, webhook_signature
from sendwright.sandbox.native import KEEP_S, Replays
from sendwright.sandbox.places import place_of
from sendwright.sandbox.twilio import _fields, segments
from sendwright.sandbox.wire import Flood


def test_webhook_signature_is_that_of_the_published_vector() -> None:
    # Source of the values: test_webhooks.py of standard-webhooks (Apache-2.0)
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'

    signature = webhook_signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309",
            "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
        ),
        ("Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234", "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
    ],
)
def test_twilio_signature_is_that_of_the_vendors_own_tests(params: str, expected: str) -> None:
    # Source of the values: test_request_validator.py of twilio-python (MIT)
    assert twilio_signature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", parse_qsl(params)) == expected


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("`" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
    ],
)
def test_segments_are_counted_as_networks_do(body: str, count: int) -> None:
    assert segments(body) == count


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=8))
def test_form_is_read_as_the_standard_library_reads_it(fields: dict[str, str]) -> None:
    from urllib.parse import urlencode

    body = urlencode(fields, errors="replace").encode()

    assert _fields(body) == parse_qsl(body.decode(), keep_blank_values=True)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read_as_a_form(body: bytes) -> None:
    for name, value in _fields(body):
        (name + value).encode()


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://127.0.0.1:8420/v1/hooks/x?a=1", ("127.0.0.1", 8420, "127.0.0.1:8420", "/v1/hooks/x?a=1", False)),
        ("https://example.com", ("example.com", 443, "example.com", "/", True)),
        ("http://[::1]:80?q", ("::1", 80, "[::1]:80", "/?q", False)),
        ("http://host/a#fragment", ("host", 80, "host", "/a", False)),
    ],
)
def test_callback_address_is_taken_apart(url: str, parts: tuple[object, ...]) -> None:
    place = place_of(url)

    assert place is not None
    assert (place.host, place.port, place.authority, place.target, place.secure) == parts


@pytest.mark.parametrize(
    "url", ["", "/x", "ftp://x/", "http://", "http://u:p@h/", "http://h:0/", "http://h:99999/", "http://h/\r\n", "http://h/ x", "http://h/é"]
)  # fmt: skip
def test_address_that_could_break_a_request_is_none(url: str) -> None:
    assert place_of(url) is None


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1/", True),
        ("http://127.9.9.9/", True),
        ("http://[::1]/", True),
        ("http://localhost/", True),
        ("http://localhost.evil.example/", False),
        ("http://127.0.0.1.evil.example/", False),
        ("http://169.254.169.254/", False),
        ("http://10.0.0.1/", False),
        ("http://notify.example.com/", True),
    ],
)
def test_only_loopback_and_listed_hosts_are_called_back(url: str, allowed: bool) -> None:
    place = place_of(url)

    assert place is not None
    assert place.allowed({"notify.example.com"}) is allowed
    assert place.allowed({"*"})


def test_key_is_known_for_a_day_and_then_forgotten() -> None:
    now = [0.0]
    replays = Replays(lambda: now[0])
    replays.keep("acct", "k", "sbx_1")

    now[0] = KEEP_S - 1
    within = replays.find("acct", "k")
    now[0] = KEEP_S
    replays.keep("acct", "other", "sbx_2")

    assert within == "sbx_1"
    assert replays.find("acct", "k") is None
    assert len(replays._known) == 1
    assert replays.find("foreign", "other") is None


@pytest.mark.parametrize("size", [2, 3, 65_537, 200_000])
def test_flood_is_one_json_string_of_the_size_told(size: int) -> None:
    body = b"".join(Flood(200, size).chunks())

    assert (len(body), body[:1], body[-1:]) == (size, b'"', b'"')
