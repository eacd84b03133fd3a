"""What the workers of a fleet tell one another of their providers, through the store. Times are seconds on the store's clock."""

from __future__ import annotations

from msgspec import Struct


class Block(Struct, frozen=True):
    """The answer to who asked for cells of a rate: `count` of them from `first` on, or none, and when to ask again."""

    now: float
    first: float
    count: int
    again_at: float
    """When nobody holds the cells any more that are refused now; 0 where some were granted."""


class Bar(Struct, frozen=True, array_like=True):
    """A breaker as the fleet holds it. Every change raises its version, and is made by who knew the one before."""

    provider: str
    version: int
    shut: bool
    why: str
    misconfigured: bool
    interval_s: float
    """Between the latest probe and the next."""
    probe_at: float
    """While shut: when somebody may probe, should nobody report before."""
    probe_until: float
    """Until then a probe is on its way."""


class Change(Struct, frozen=True):
    """What a breaker is to become; its times count from the moment of the change."""

    shut: bool
    why: str = ""
    misconfigured: bool = False
    interval_s: float = 0
    probe_in_s: float = 0
    probing_s: float = 0


class Standing(Struct, frozen=True):
    """How one provider stands in one process."""

    provider: str
    in_flight: int = 0
    waiting: int = 0
    """Messages in line for a place or a cell."""
    calls: int = 0
    good: int = 0
    """Of the recent calls, those that were taken."""
    latency_ms: float = 0


class Total(Struct, frozen=True, array_like=True):
    """How one provider stands over all living processes that call it."""

    provider: str
    processes: int
    lines: int
    """Processes in which somebody waits."""
    in_flight: int
    waiting: int
    calls: int
    good: int
    latency_ms: float
    """Weighted by calls."""


class Picture(Struct, frozen=True):
    """Everything shared, at one moment."""

    now: float
    epoch: int
    bars: tuple[Bar, ...] = ()
    rates: tuple[tuple[str, float], ...] = ()
    """(provider, from when on nobody holds its cells)."""
    totals: tuple[Total, ...] = ()
