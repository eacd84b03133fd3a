"""What every store makes of the rows that figures are made of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sendwright.model.states import MessageState
from sendwright.model.stats import COUNTED_MAX, Parked, Sample, Strip

_STATES = {state.value: state for state in MessageState}


def strip_of(rows: Sequence[Sequence[Any]], most: int) -> Strip:
    """Rows: when accepted, state, channel, provider, latency, whether it is the tenant's; newest first, at most `most`."""
    samples = [Sample(at, _STATES[state], channel, provider, _sane(ms)) for at, state, channel, provider, ms, own in rows if own]
    return Strip(tuple(samples), rows[-1][0] if len(rows) >= most else None)


def together(rows: Iterable[Sequence[Any]]) -> tuple[Parked, ...]:
    """Rows of each key and priority (kind, name, how many, since when), by kind and name."""
    found: dict[tuple[str, str], Parked] = {}
    for kind, name, count, since in rows:
        before = found.get((kind, name), Parked(kind, name, 0, since))
        found[kind, name] = Parked(kind, name, min(before.total + count, COUNTED_MAX), min(before.since, since))
    return tuple(found[place] for place in sorted(found))


def _sane(ms: int | None) -> int | None:
    """A clock that was set back makes no attempt older than its message."""
    return None if ms is None else max(0, ms)
