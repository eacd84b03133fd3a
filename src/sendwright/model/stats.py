"""What figures are made of: samples of what was accepted lately, and what stands in the way now."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from sendwright.model.states import MessageState

COUNTED_MAX = 1000
"""Where counting what stands in the way stops."""
UNIT_MAX = 200_000
"""Where counting what was accepted in one span of time stops, everybody's among it."""


class Sample(NamedTuple):
    """One message. `latency_ms`: from when it was accepted, or was to be sent, to its first attempt; None without one."""

    at: int
    """When it was accepted, ms since 1970."""
    state: MessageState
    channel: str | None
    provider: str | None
    latency_ms: int | None


class Strip(Struct, frozen=True):
    """The newest messages of a span of time: all there are, or as many as were looked at."""

    samples: tuple[Sample, ...] = ()
    """Of the tenant that was asked for, newest first."""
    reached: int | None = None
    """Where not all were looked at: when the oldest that was, whoever's it is, was accepted."""


class Parked(NamedTuple):
    """What of one tenant waits under one key."""

    kind: str
    """`provider`, `rate` or `window`."""
    name: str
    """The provider that is waited for, else the channel."""
    total: int
    """At most `COUNTED_MAX`."""
    since: int
    """When that of them was accepted which came first to wait, ms since 1970."""


class Backlog(Struct, frozen=True):
    """What wants a person, or something that is not there now. Counts stop at `COUNTED_MAX`."""

    dead: int = 0
    in_doubt: int = 0
    parked: tuple[Parked, ...] = ()
