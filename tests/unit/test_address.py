"""Which addresses can exist."""

import ipaddress

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.policy.address import calling_code, e164, ip_literal, is_e164, is_email, is_plain_email, link_fault, target_fault

WEB = frozenset({"http", "https"})


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+14155552671", "+14155552671"),
        ("+1 (415) 555-2671", "+14155552671"),
        ("+49 151 12345678", "+4915112345678"),
        ("+15005550006", "+15005550006"),
        ("+39.06.698.12345", "+390669812345"),
    ],
)
def test_a_possible_number_is_written_as_e164(written: str, number: str) -> None:
    assert e164(written) == number


@pytest.mark.parametrize(
    "written",
    [
        "",
        "14155552671",
        "0014155552671",
        "+1415555267",
        "+141555526710",
        "+999123456789",
        "+0155555555",
        " +14155552671",
        "+14155552671\n",
        "+1415555 2671 ext 5",
        "+٤٤٢٠٧٩٤٦٠٩٥٨",
        "+44 (0)20 7946 0958",
        "+",
        "tel:+14155552671",
    ],
)
def test_a_number_that_no_network_could_carry_is_none(written: str) -> None:
    assert e164(written) is None


@pytest.mark.slow
@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_possible_numbers_are_those_that_libphonenumber_calls_possible(number: str) -> None:
    # given a number whose calling code exists, and whose digits it would not read as a trunk prefix
    if calling_code(number) is None:
        assert not is_e164(number)
        return
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return
    # when libphonenumber keeps every digit, both agree
    if phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == number:
        verdict = phonenumbers.is_possible_number_with_reason(parsed)
        assert is_e164(number) == (verdict == phonenumbers.ValidationResult.IS_POSSIBLE)


@pytest.mark.parametrize(
    "text", ["ada@example.org", "user+tag@foo.test", "o'neil@x.example", "a@xn--bcher-kva.example", "bücher@bücher.example"]
)
def test_an_address_with_a_domain_is_taken(text: str) -> None:
    assert is_email(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a@b",
        "@x.org",
        "a@",
        "a b@x.org",
        '"q q"@x.org',
        "A <a@x.org>",
        "a@x.org,b@x.org",
        "a@[1.2.3.4]",
        "a@1.2.3.4",
        "a@x.org.",
        "a..b@x.org",
        ".a@x.org",
        "a@-x.org",
        "a@x.org\r\nBcc: z@z.org",
        "a@x.org\0",
        "x" * 65 + "@x.org",
        "a@" + "x" * 250 + ".org",
        "ü@x",
    ],
)
def test_anything_but_one_bare_address_is_refused(text: str) -> None:
    assert not is_email(text)


@given(st.text(max_size=60))
def test_a_plain_address_holds_nothing_that_ends_a_header_line(text: str) -> None:
    if is_plain_email(text):
        assert text.isascii()
        assert text.isprintable()
        assert not {" ", ",", ";", "<", '"'} & set(text)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://example.org/a?b=c#d", None),
        ("HTTPS://EXAMPLE.ORG", None),
        ("javascript:alert(1)", "link_scheme"),
        ("JaVaScRiPt:alert(1)", "link_scheme"),
        ("data:text/html,x", "link_scheme"),
        ("//example.org", "invalid_url"),
        ("/orders", "invalid_url"),
        (" https://example.org", "invalid_url"),
        ("java\tscript:alert(1)", "invalid_url"),
        ("https:///x", "invalid_url"),
        ("https://example.org/a b", "invalid_url"),
        ("https://example.org/" + "x" * 2048, "too_long"),
    ],
)
def test_links_are_absolute_and_of_an_allowed_scheme(url: str, code: str | None) -> None:
    assert link_fault(url, WEB) == code


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "10.0.0.1.",
        "169.254.169.254",
        "100.100.100.200",
        "192.168.1.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::a00:1]",
        "[2002:a00:1::]",
        "[2001:0:4136:e378::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fec0::1]",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "08.8.8.8",
        "256.1.1.1",
    ],
)
def test_a_literal_of_a_private_or_special_network_is_no_target_in_any_writing(host: str) -> None:
    assert target_fault(f"https://{host}/hook", WEB, ()) == "private_address"


@pytest.mark.parametrize(
    "url", ["https://u:p@8.8.8.8/", "https://%31%32%37.0.0.1/", "https://x.org:0/", "https://x.org:99999/", "https://[::1"]
)
def test_a_target_that_two_readers_could_read_differently_is_refused(url: str) -> None:
    assert target_fault(url, WEB, ()) == "invalid_url"


@pytest.mark.parametrize(
    "url", ["https://8.8.8.8/", "https://[2606:4700::1111]:8443/x", "https://hooks.example.org/", "http://1.2.3.4.5/"]
)
def test_names_and_public_literals_are_targets(url: str) -> None:
    assert target_fault(url, WEB, ()) is None


def test_the_operator_may_allow_a_private_network() -> None:
    lan = (ipaddress.ip_network("10.1.0.0/16"),)
    assert target_fault("http://10.1.2.3/", WEB, lan) is None
    assert target_fault("http://10.2.2.3/", WEB, lan) == "private_address"


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_every_address_is_recognised_as_one_number_and_as_four(value: int) -> None:
    address = ipaddress.IPv4Address(value)
    assert ip_literal(str(value)) == ip_literal(hex(value)) == ip_literal(str(address)) == address
