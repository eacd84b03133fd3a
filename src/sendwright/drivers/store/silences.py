"""Calls that were taken and of which nothing was reported in their time, whatever the store. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sendwright.drivers.store.folio import EventRow
from sendwright.model.records import UNCONFIRMED, Unheard
from sendwright.model.states import MessageState
from sendwright.policy.lookup import is_first


class Silence(NamedTuple):
    """An attempt whose time to be looked at has come, and how its message stands."""

    attempt: str
    provider: str
    ref: str | None
    started_at: int
    look_at: int
    message: str
    tenant: str
    state: int


def unconfirmed(silences: Iterable[Silence], now: int) -> list[EventRow]:
    """The events of the messages that are looked at for the first time, and stand by this call alone."""
    return [
        (now, s.tenant, UNCONFIRMED, s.message, "")
        for s in silences
        if s.state == MessageState.SENT and is_first(s.started_at, s.look_at)
    ]


def asked_about(silences: Iterable[Silence]) -> list[Unheard]:
    """Those that the provider has a name for."""
    return [Unheard(s.attempt, s.provider, s.ref) for s in silences if s.ref is not None]
