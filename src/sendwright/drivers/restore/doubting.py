"""What becomes of a message that was on its way when a copy of the store was made: nobody knows whether it was sent since.

It is held in doubt, by an attempt that says so. An attempt that was open, or in doubt, is the one. Any other message gets the
attempt that would have been its next. Its id is the one that the provider was told if it was sent: a receipt which comes
only now finds it, and settles the doubt.

What was scheduled for a time that has not come can't have been sent, and stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from sendwright.drivers.store import births
from sendwright.model.outcomes import Reason
from sendwright.model.parcel import Step
from sendwright.model.records import AttemptRecord
from sendwright.model.states import MessageState
from sendwright.policy.planning import RESTORED

SEEN = 20_000
"""Messages that are looked at in one go."""
PAGE = 1000
"""Messages that are held in one transaction."""
HELD = MessageState.IN_DOUBT, Reason.LOST_ANSWER.value, RESTORED
UNSETTLED = tuple(state.value for state in MessageState if not state.settled and state != MessageState.ACCEPTED)

_STEPS = msgspec.json.Decoder(tuple[Step, ...])


class Unsettled(Struct, frozen=True):
    """A message that is neither settled nor waiting for a time to come."""

    id: str
    tenant: str
    state: int
    number: int
    step: int
    steps: str


class Restored(Protocol):
    """A store that nobody works with, and nobody can before it is released. What is held stays held, so it may be killed at any
    line, and begun again."""

    async def begin(self) -> int:
        """Nobody starts on it from here on; the time, in ms since 1970, by the clock that its processes will go by.

        Raises `StoreUnusable` while somebody works with it."""
        ...

    async def page(self, after: str, now: int) -> tuple[Sequence[Unsettled], str | None]:
        """Those among the `SEEN` messages that come after that id, and the last id; None for that where nothing comes after it."""
        ...

    async def hold(self, rows: Sequence[Unsettled], now: int, providers: Mapping[str, str]) -> None:
        """Holds them in doubt, at most `PAGE` of them. `providers`: of each channel the one that it has, where it has one alone."""
        ...

    async def release(self, fence: int | None) -> None:
        """It may be started. What was accepted up to `fence`, and is not planned yet, will be held when it is, unless None."""
        ...


def supposed(row: Unsettled, now: int, providers: Mapping[str, str]) -> AttemptRecord | None:
    """The attempt that may have been made; None where the message has one that is open or in doubt."""
    if row.state == MessageState.SENDING:
        return None
    channel = _STEPS.decode(row.steps)[row.step].channel
    return births.supposed(row.id, row.number + 1, row.step, channel, providers.get(channel), now, RESTORED)
