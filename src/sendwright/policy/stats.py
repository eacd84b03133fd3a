"""From samples to figures: how many, how they ended, how long it took; in all, over time, by channel and by provider.

How messages ended and how long it took is told by the newest of each span, each of which stands for as many as its span has for
each sample. How many a span has is counted; where nobody has counted yet, it goes by the pace of the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from sendwright.model.states import MessageState
from sendwright.model.stats import Sample, Strip

_GOOD = (MessageState.SENT, MessageState.DELIVERED, MessageState.READ)
_BAD = (MessageState.FAILED, MessageState.EXPIRED)


Span = tuple[int, int]
"""From, and before; ms since 1970."""


class Window(NamedTuple):
    """How far back, and in spans of which length; ms."""

    length: int
    span: int


WINDOWS: Mapping[str, Window] = {
    "15m": Window(15 * 60_000, 15_000),
    "1h": Window(3_600_000, 60_000),
    "24h": Window(24 * 3_600_000, 30 * 60_000),
}


class Tally(Struct, frozen=True):
    """Figures of some messages. Latencies are ms from acceptance (or the time that was asked for) to the first attempt."""

    accepted: int = 0
    failed: int = 0
    """Failed and expired."""
    success: float | None = None
    """Share (0 to 1) of those that a provider took among all that came to an end; None where none has."""
    p50_ms: float | None = None
    p95_ms: float | None = None


class Figures(Struct, frozen=True):
    """Of a whole window."""

    total: Tally
    by_state: dict[MessageState, int]
    series: tuple[tuple[int, Tally], ...]
    """By span: when it begins, ms since 1970."""
    channels: dict[str, Tally]
    providers: dict[str, Tally]
    estimated: bool = False
    """Some spans are not counted yet, and go by their pace."""


_Weighed: TypeAlias = tuple[Sequence[Sample], float]
"""Samples, and for how many messages each of them stands."""


def spans(window: Window, now: int) -> list[Span]:
    """The window's spans, oldest first; the last one is under way."""
    end = (now // window.span + 1) * window.span
    return [(end - back, end - back + window.span) for back in range(window.length, 0, -window.span)]


def figures(strips: Sequence[Strip], counts: Mapping[Span, int], over: Sequence[Span], now: int) -> Figures:
    """Of strips, one for each of the spans `over`; and the counts of those that were counted."""
    pairs = list(zip(strips, over, strict=True))
    totals = [counts[span] if span in counts else _total(strip, span, now) for strip, span in pairs]
    weighed = [
        (strip.samples, total / len(strip.samples) if strip.samples else 0.0) for strip, total in zip(strips, totals, strict=True)
    ]
    return Figures(
        total=_tally(weighed, sum(totals)),
        by_state=_by_state(weighed),
        series=tuple((span[0], _tally([one], total)) for span, one, total in zip(over, weighed, totals, strict=True)),
        channels=_by(weighed, lambda sample: sample.channel),
        providers=_by(weighed, lambda sample: sample.provider),
        estimated=any(strip.reached is not None and span not in counts for strip, span in pairs),
    )


def _total(strip: Strip, span: Span, now: int) -> int:
    """How many were accepted: those that were looked at, or, where there are more, as many as it would be at their pace."""
    seen = len(strip.samples)
    if strip.reached is None:
        return seen
    since, until = span[0], max(min(span[1], now), span[0] + 1)
    covered = max(until - max(strip.reached, since), 1)
    return round(seen * max(until - since, covered) / covered)


def _tally(weighed: Sequence[_Weighed], accepted: float) -> Tally:
    sums = _sums(weighed)
    good, bad = (sum(sums[state] for state in states) for states in (_GOOD, _BAD))
    took = sorted((sample.latency_ms, weight) for samples, weight in weighed for sample in samples if sample.latency_ms is not None)
    return Tally(
        accepted=round(accepted),
        failed=round(bad),
        success=good / (good + bad) if good + bad else None,
        p50_ms=quantile(took, 0.5),
        p95_ms=quantile(took, 0.95),
    )


def _sums(weighed: Iterable[_Weighed]) -> list[float]:
    """How many are in each state, by its number."""
    sums = [0.0] * (max(MessageState) + 1)
    for samples, weight in weighed:
        for sample in samples:
            sums[sample.state] += weight
    return sums


def quantile(ordered: Sequence[tuple[float, float]], share: float) -> float | None:
    """The smallest value (of pairs of value and weight, in order) that this share of the weight does not exceed."""
    whole = sum(weight for _, weight in ordered)
    passed = 0.0
    for value, weight in ordered:
        passed += weight
        if passed >= whole * share:
            return value
    return ordered[-1][0] if ordered else None


def _by_state(weighed: Iterable[_Weighed]) -> dict[MessageState, int]:
    sums = _sums(weighed)
    return {state: round(sums[state]) for state in sorted(MessageState) if sums[state]}


def _by(weighed: Iterable[_Weighed], name: Callable[[Sample], str | None]) -> dict[str, Tally]:
    groups: dict[str, list[_Weighed]] = {}
    for samples, weight in weighed:
        of: dict[str, list[Sample]] = {}
        for sample in samples:
            if (named := name(sample)) is not None:
                of.setdefault(named, []).append(sample)
        for named, own in of.items():
            groups.setdefault(named, []).append((own, weight))
    tallies = {named: _tally(group, sum(len(own) * weight for own, weight in group)) for named, group in groups.items()}
    return dict(sorted(tallies.items(), key=lambda item: (-item[1].accepted, item[0])))
