"""Whether an address can exist: telephone numbers, email addresses, links, network addresses. Pure text, no look-ups.

A number is judged by the lengths that its calling code knows (libphonenumber's metadata), not by what is assigned:
test numbers and new ranges are taken, numbers that no network could carry are not. Domains are never resolved here;
what a name resolves to is judged where the connection is made.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

EMAIL_MAX = 254
"""RFC 5321, 4.5.3.1: what fits a path of 256 with its brackets."""
URL_MAX = 2048

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_WRITTEN = re.compile(r"\+[0-9 ().\-]{6,39}")
_WRITING = str.maketrans("", "", " ().-")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?:[A-Za-z]{{2,63}}|xn--[A-Za-z0-9-]{{1,58}}[A-Za-z0-9])")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]{0,30}):[^\x00-\x20\x7f\"<>\\^`{|}]+")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


def e164(text: str) -> str | None:
    """The number as `+` and digits, spaces and punctuation dropped; None when no such number can exist."""
    if _E164.fullmatch(text):
        number = text
    elif _WRITTEN.fullmatch(text):
        number = text.translate(_WRITING)
    else:
        return None
    return number if _E164.fullmatch(number) and _possible(number) else None


def is_e164(text: str) -> bool:
    """True for a possible number that is already written as `+` and digits."""
    return _E164.fullmatch(text) is not None and _possible(text)


def calling_code(number: str) -> str | None:
    """The calling code of a `+…` number, without the plus; None when there is no such code."""
    codes = _lengths()
    return next((number[1:end] for end in (2, 3, 4) if number[1:end] in codes), None)


def _possible(number: str) -> bool:
    codes = _lengths()
    for end in (2, 3, 4):  # calling codes are prefix-free
        lengths = codes.get(number[1:end])
        if lengths is not None:
            return len(number) - end in lengths
    return False


@cache
def _lengths() -> dict[str, frozenset[int]]:
    """Possible lengths of the national number by calling code, of its main region as in libphonenumber's own check.
    Takes a tenth of a second, once."""
    table: dict[str, frozenset[int]] = {}
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, regions[0])
        if metadata is not None and metadata.general_desc is not None:
            table[str(code)] = frozenset(length for length in metadata.general_desc.possible_length if length > 0)
    return table


def is_plain_email(text: str) -> bool:
    """True for an ASCII address of the common form; False says nothing (ask `is_email`)."""
    return len(text) <= EMAIL_MAX and _EMAIL.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def is_email(text: str) -> bool:
    """One bare address (RFC 5321 dot-atom, or RFC 6531 with IDNA 2008): no name, comment, quoting, list or IP literal."""
    if is_plain_email(text):
        return True
    if len(text) > EMAIL_MAX or text.isascii():
        return False
    try:
        found = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        return False
    return "." in (found.ascii_domain or "") and not found.ascii_domain.rpartition(".")[2].isdigit()


def link_fault(text: str, schemes: frozenset[str]) -> str | None:
    """Why a link may not be used: `invalid_url`, `link_scheme`, or None when it may. Schemes in lower case."""
    if len(text) > URL_MAX:
        return "too_long"
    found = _URL.fullmatch(text)
    if found is None:
        return "invalid_url"
    scheme = found[1].lower()
    if scheme not in schemes:
        return "link_scheme"
    return None if scheme not in ("http", "https") or _host(text) else "invalid_url"


def target_fault(text: str, schemes: frozenset[str], allowed: Sequence[Network]) -> str | None:
    """Why we would not connect to this address: as `link_fault`, or `private_address` for an IP literal that is not
    public (in any writing that a resolver takes) and in none of the `allowed` networks."""
    fault = link_fault(text, schemes)
    if fault is not None:
        return fault
    host = _host(text)
    if not {"@", "%"}.isdisjoint(urlsplit(text).netloc) or not _port_ok(text):
        return "invalid_url"
    ip = ip_literal(host)
    if ip is None or is_public(ip) or any(ip in network for network in allowed if network.version == ip.version):
        return None
    return "private_address"


def ip_literal(host: str) -> IpAddress | None:
    """The address that a host is, or None for a name. Reads IPv4 as resolvers do: short, octal, hexadecimal, one number."""
    if ":" in host:
        try:
            return ipaddress.IPv6Address(host)
        except ValueError:
            return None
    parts = host.rstrip(".").split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    values = [_value(part) for part in parts]
    last = values.pop()
    if any(v is None or v > 255 for v in values) or last is None or last >= 256 ** (4 - len(values)):
        return ipaddress.IPv4Address(0)  # no resolver's address, and none of ours to try
    return ipaddress.IPv4Address(sum(v << 8 * (3 - i) for i, v in enumerate(values) if v is not None) + last)


def is_public(ip: IpAddress) -> bool:
    """False for every special-use block of IANA's registries, and for IPv6 that carries such an IPv4 inside."""
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _SPECIAL_4)
    inner = _inside(ip)
    if inner is not None:
        return is_public(inner)
    return ip in _GLOBAL_6 and not any(ip in network for network in _SPECIAL_6)


def _inside(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return None


def _host(url: str) -> str:
    try:
        host = urlsplit(url).hostname or ""
        # As IDNA reads it (RFC 5895, section 2): `①` is `1`, and `。` separates labels too.
        return unicodedata.normalize("NFKC", host).replace("\u3002", ".").strip()
    except ValueError:
        return ""


def _port_ok(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _value(part: str) -> int | None:
    """A number of an IPv4 literal; None when it is none (`08`)."""
    if len(part) > 20:
        return None
    try:
        if part[:2] in ("0x", "0X"):
            return int(part[2:] or "0", 16)
        return int(part, 8) if part[0] == "0" else int(part)
    except ValueError:
        return None


_SPECIAL_4 = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_SPECIAL_6 = tuple(
    ipaddress.IPv6Network(block)
    for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)  # fmt: skip
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
