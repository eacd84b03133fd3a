"""A parcel that is ready to leave, with all that was got for it: what deliver.py holds between getting ready and settling."""

from __future__ import annotations

from msgspec import Struct

from sendwright.engine.coach import Seat
from sendwright.engine.fleet import Account, Slot
from sendwright.engine.ports import Line
from sendwright.model.parcel import Parcel
from sendwright.providers.contract import Flow, Request, Secret


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

    def release(self) -> None:
        self.line.release()
        self.slot.release()
