"""The arithmetic of signatures, against vectors that others computed."""

from __future__ import annotations

import base64

import pytest

from sendwright.providers.signing import form_signature, port_spellings, same, sign_webhook, webhook_key, webhook_signed

# The values of these vectors: github.com/twilio/twilio-python, tests/unit/test_request_validator.py
# at 306691e793f417b6974640d1ef88785e9de03b2a (MIT).
TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
PARAMS = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]
REPEATED = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]

# github.com/standard-webhooks/standard-webhooks, libraries/python/tests/test_webhooks.py
# at b2fa7b8719fb75d326b591077f5d1b385cfcdfae (Apache-2.0).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = webhook_key(SECRET)
AT = 1614265330
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'
SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_form_is_signed_as_the_vendor_signs_it() -> None:
    assert form_signature(TOKEN, URL, PARAMS) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_the_order_of_parameters_makes_no_difference() -> None:
    assert form_signature(TOKEN, URL, reversed(PARAMS)) == form_signature(TOKEN, URL, PARAMS)


def test_equal_values_of_one_name_are_signed_once_and_in_order() -> None:
    assert form_signature(TOKEN, URL, REPEATED) == "IK+Dwps556ElfBT0I3Rgjkr1wJU="


@pytest.mark.parametrize(
    ("url", "spellings"),
    [
        ("https://a.example/x?y=1", ("https://a.example/x?y=1", "https://a.example:443/x?y=1")),
        ("http://a.example/x", ("http://a.example/x", "http://a.example:80/x")),
        ("https://a.example:1234/x", ("https://a.example:1234/x", "https://a.example/x")),
        ("https://a.example", ("https://a.example", "https://a.example:443")),
        ("https://a.example?y=:1", ("https://a.example?y=:1", "https://a.example:443?y=:1")),
        ("https://[::1]/x", ("https://[::1]/x", "https://[::1]:443/x")),
        ("https://[::1]:8443/x", ("https://[::1]:8443/x", "https://[::1]/x")),
        ("HTTPS://a.example/x", ("HTTPS://a.example/x", "HTTPS://a.example:443/x")),
        ("https://a.example/p:80/x", ("https://a.example/p:80/x", "https://a.example:443/p:80/x")),
        ("no address", ("no address",)),
        ("", ("",)),
    ],
)
def test_an_address_is_spelt_with_and_without_its_port(url: str, spellings: tuple[str, ...]) -> None:
    assert port_spellings(url) == spellings


def test_a_webhook_is_signed_as_the_specification_signs_it() -> None:
    assert sign_webhook([KEY], MESSAGE, AT, BODY) == SIGNED


def test_a_signed_webhook_verifies() -> None:
    assert webhook_signed([KEY], MESSAGE, str(AT), SIGNED, BODY, now=AT)


def test_exactly_five_minutes_away_is_near_enough_and_any_more_is_not() -> None:
    def good(now: float) -> bool:
        return webhook_signed([KEY], MESSAGE, str(AT), SIGNED, BODY, now=now)

    assert good(AT + 300)
    assert good(AT - 300)
    assert not good(AT + 300.001)
    assert not good(AT - 300.001)


def test_while_keys_rotate_either_one_is_enough() -> None:
    # given
    new = b"n" * 32
    both = sign_webhook([new, KEY], MESSAGE, AT, BODY)
    assert len(both.split(" ")) == 2
    # then
    for known in ([new], [KEY], [b"other", KEY]):
        assert webhook_signed(known, MESSAGE, str(AT), both, BODY, now=AT)
    assert not webhook_signed([b"other"], MESSAGE, str(AT), both, BODY, now=AT)
    assert webhook_signed([new, KEY], MESSAGE, str(AT), SIGNED, BODY, now=AT)
    assert not webhook_signed([], MESSAGE, str(AT), both, BODY, now=AT)


def test_signatures_of_other_versions_are_passed_over() -> None:
    assert webhook_signed([KEY], MESSAGE, str(AT), f"v1a,AAAA {SIGNED}", BODY, now=AT)
    assert not webhook_signed([KEY], MESSAGE, str(AT), SIGNED.replace("v1,", "v2,"), BODY, now=AT)
    assert not webhook_signed([KEY], MESSAGE, str(AT), SIGNED.removeprefix("v1,"), BODY, now=AT)


@pytest.mark.parametrize("timestamp", [None, "", "now", "-5", "1e9", f" {AT}", f"{AT}.0", "١٦١٤٢٦٥٣٣٠", "9" * 400])
def test_a_timestamp_that_is_no_unix_time_is_refused(timestamp: str | None) -> None:
    assert not webhook_signed([KEY], MESSAGE, timestamp, SIGNED, BODY, now=AT)


def test_another_message_body_or_time_is_refused() -> None:
    assert not webhook_signed([KEY], MESSAGE + "x", str(AT), SIGNED, BODY, now=AT)
    assert not webhook_signed([KEY], MESSAGE, str(AT + 1), SIGNED, BODY, now=AT)
    assert not webhook_signed([KEY], MESSAGE, str(AT), SIGNED, BODY + b" ", now=AT)
    assert not webhook_signed([KEY], None, str(AT), SIGNED, BODY, now=AT)
    assert not webhook_signed([KEY], MESSAGE, str(AT), None, BODY, now=AT)


def test_a_dot_moved_between_the_parts_is_refused() -> None:
    signature = sign_webhook([KEY], "a", AT, b"b.c")
    assert not webhook_signed([KEY], f"a.{AT}", "0", signature, b"b.c", now=0)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_é", "whsec_***", "whsec_abc"])
def test_a_secret_without_a_key_is_refused_without_being_quoted(secret: str) -> None:
    with pytest.raises(ValueError) as refusal:
        webhook_key(secret)
    assert "***" not in str(refusal.value)
    assert "abc" not in str(refusal.value)


def test_a_secret_may_come_without_its_prefix() -> None:
    assert webhook_key(base64.b64encode(b"key").decode()) == b"key"


def test_comparison_takes_any_characters() -> None:
    assert same("é\ud800", "é\ud800")
    assert not same("é", "e")
