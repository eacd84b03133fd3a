"""Times as people write them, to and from milliseconds: `90s 10m 36h 7d`, and RFC 3339.

Both readers raise `ValueError` for what they can't read.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime

_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,18}))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)

END_S = 253_402_300_800
"""The end of the year 9999, in seconds."""

DURATION_PATTERN = "^[0-9]{1,9}[smhd]$"
"""The same rule for a JSON Schema."""

INSTANT_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,18})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
"""The form of a date-time, for the same; which of them exist, `instant_ms` knows."""


def duration_ms(text: str) -> int:
    """Milliseconds of `90s`, `10m`, `36h` or `7d`; ValueError for any other writing."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("not a duration")
    return int(found[1]) * _UNITS_MS[found[2]]


def instant_ms(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 date-time; ValueError when it is not one, or no such day or hour exists, or
    when it is before 1970 or after 9999 in UTC: whatever is read can be shown (`rfc3339`), and kept in an id.

    Finer fractions are cut. A leap second (`:60`, section 5.7) is the second after."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError("not a date and time")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    if second > 60:
        raise ValueError("no such second")
    datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    offset_s = _offset_s(found[8], found[9], found[10])
    whole_s = calendar.timegm((year, month, day, hour, minute, second)) - offset_s
    if not 0 <= whole_s < END_S:
        raise ValueError("not within the years 1970 to 9999")
    return whole_s * 1000 + int((found[7] or "0").ljust(3, "0")[:3])


def rfc3339(ms: int) -> str:
    """UTC with milliseconds: `2026-11-22T17:05:59.123Z`."""
    whole_s, rest_ms = divmod(ms, 1000)
    return f"{datetime.fromtimestamp(whole_s, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ms:03d}Z"


def _offset_s(sign: str | None, hours: str | None, minutes: str | None) -> int:
    if sign is None or hours is None or minutes is None:
        return 0
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError("no such offset")
    seconds = int(hours) * 3600 + int(minutes) * 60
    return seconds if sign == "+" else -seconds
