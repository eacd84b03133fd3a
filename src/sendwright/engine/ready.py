"""A parcel that is ready to leave, with all that was got for it: what deliver.py holds between getting ready and settling."""

from __future__ import annotations

from msgspec import Struct

from sendwright.engine.account import Account, Slot
from sendwright.engine.coach import GATHERED_S, Seat
from sendwright.engine.ports import Line
from sendwright.model.parcel import Parcel
from sendwright.providers.contract import Flow, Request, Secret

STALE_S = 0.25
"""A request built longer ago is built anew right before it is written: what it says of the time that is left would outlast
the message. See render.py, which takes as much off."""


class Ready(Struct, eq=False):
    """A parcel that can leave at once: where to, what to say, a slot, and a connected line. Give both back by `release`."""

    parcel: Parcel
    account: Account
    epoch: int
    flow: Flow
    request: Request
    slot: Slot | Seat
    line: Line
    token: Secret | None

    @property
    def fresh_s(self) -> float:
        """So old may its request be when it is claimed: in a shared call it may yet wait for others."""
        return STALE_S - GATHERED_S if isinstance(self.line, Seat) else STALE_S

    def release(self) -> None:
        self.line.release()
        self.slot.release()
