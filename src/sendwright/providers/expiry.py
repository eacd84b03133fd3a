"""When a credential ends that a person must renew, as settings name it: a day, or a time with its zone. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any


def end_of(text: str) -> float | None:
    """Unix seconds; of a day its beginning (UTC). None for anything else."""
    try:
        if len(text) == len("2027-01-31"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.timestamp() if at.tzinfo is not None else None


def end_faults(given: Mapping[str, Any], key: str) -> Sequence[tuple[str, str]]:
    """The fault of a setting that must be such an end, where there is one."""
    value = given.get(key)
    wrong = value is not None and end_of(value) is None
    return [(key, "must be a day such as 2027-01-31, or a time with its zone such as 2027-01-31T12:00:00Z")] if wrong else []
