"""What is shown of an address, and kept of a vendor's words."""

from __future__ import annotations

import pytest

from sendwright.providers.redaction import WORDS_MAX, masked, vendor_id, vendor_words, visible


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("+15550000123", "+1•••0123"),
        ("ada@example.com", "a•••@example.com"),
        ("@example.com", "•••@example.com"),
        ("+1555012", "•••"),
        ("", "•••"),
    ],
)
def test_an_address_is_recognised_and_not_usable(address: str, shown: str) -> None:
    assert masked(address) == shown


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("The 'To' number +15005550001 is not valid", "The 'To' number +1•••0001 is not valid"),
        ("no mailbox <ada@example.com>", "no mailbox <a•••@example.com>"),
        ("call 0044 20 7946 0958 back", "call 00•••0958 back"),
        ("error 21211 at line 7", "error 21211 at line 7"),
        ("got Basic QUMxMjM6c2VjcmV0 from you", "got Basic ••• from you"),
        ("Authorization: bearer eyJhbGciOi.J9, expired", "Authorization: bearer •••, expired"),
        ("Basic authentication is needed, or a bearer token", "Basic authentication is needed, or a bearer token"),
        ("two\r\nlines\x00", "two␍␊lines␀"),
        (" padded ", "padded"),
        (None, ""),
        (21211, ""),
        (["x"], ""),
    ],
)
def test_a_vendors_words_are_kept_without_addresses_on_one_line(said: object, kept: str) -> None:
    assert vendor_words(said) == kept


def test_long_words_are_cut() -> None:
    assert vendor_words("no " * 5000) == ("no " * 5000)[:WORDS_MAX].strip()


def test_what_would_steer_a_terminal_is_shown_and_what_people_write_is_left() -> None:
    assert visible("a\x1b[31m\x7f\x9b\u202e\u2028b") == "a␛[31m␡\ufffd\ufffd b"
    assert visible("é 👩‍💻 漢字 שלום") == "é 👩‍💻 漢字 שלום"


@pytest.mark.parametrize("value", ["SM0123abc", "sbx_1", "a.b:c-d", "wamid.HBgL+/0=", "x" * 255])
def test_an_id_is_kept(value: str) -> None:
    assert vendor_id(value) == value


@pytest.mark.parametrize("value", [None, "", 5, [], "a b", "a\n", "a\x00", "é", "x" * 256, "a?b", "a%2f"])
def test_what_could_not_be_stored_or_shown_is_no_id(value: object) -> None:
    assert vendor_id(value) is None
