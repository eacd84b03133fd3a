"""Durations and times as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.policy.duration import duration_ms, instant_ms, rfc3339


@pytest.mark.parametrize(
    ("text", "ms"), [("90s", 90_000), ("10m", 600_000), ("36h", 129_600_000), ("7d", 604_800_000), ("0s", 0), ("007s", 7000)]
)
def test_durations_are_a_number_and_a_unit(text: str, ms: int) -> None:
    assert duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "s", "5", "5x", "-5s", "1.5h", "1h30m", " 5s", "5s\n", "٥s", "1234567890s", "5S"])
def test_no_other_writing_is_a_duration(text: str) -> None:
    with pytest.raises(ValueError):
        duration_ms(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-22T17:05:59Z", "2026-11-22T17:05:59.000Z"),
        ("2026-11-22t17:05:59.5z", "2026-11-22T17:05:59.500Z"),
        ("2026-11-22 17:05:59.123999+02:00", "2026-11-22T15:05:59.123Z"),
        ("2026-01-01T00:00:00-00:30", "2026-01-01T00:30:00.000Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("1969-12-31T23:59:59-00:01", "1970-01-01T00:00:59.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ("9999-12-31T23:59:59+12:00", "9999-12-31T11:59:59.000Z"),
    ],
)
def test_times_are_read_by_rfc_3339(text: str, shown: str) -> None:
    assert rfc3339(instant_ms(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22",
        "2026-11-22T17:05:59",
        "2026-11-22T17:05Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+02",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:60Z",
        "9999-12-31T23:59:59-12:00",
        "9999-12-31T23:59:59-00:01",
        "٢٠٢٦-01-01T00:00:00Z",
        "now",
    ],
)
def test_a_time_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        instant_ms(text)


@given(st.integers(min_value=0, max_value=253_402_300_799_999))
def test_what_is_shown_is_read_back(ms: int) -> None:
    assert instant_ms(rfc3339(ms)) == ms
