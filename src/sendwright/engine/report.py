"""report: what people do with the items of their inboxes becomes evidence about the attempts that put them there.

The store writes down what is owed in the transaction that marks an item; here it is published for `observe`, and struck off after
that. Whoever dies in between, or finds the bus away, leaves it owed, and whoever schedules reports it: a second time is harmless.
"""

from __future__ import annotations

from collections.abc import Sequence

from sendwright.engine.crash import crashpoint
from sendwright.engine.ports import Bus, Clock, Inbox
from sendwright.engine.telling import Tell, Trouble
from sendwright.errors import Unavailable
from sendwright.model.inbox import Item
from sendwright.model.parcel import INBOUND, Sighting, pack

EVERY_S = 2.0
SLICE = 200


class Reporter:
    """Run `run` beside the schedule."""

    def __init__(self, inbox: Inbox, bus: Bus, clock: Clock, tell: Tell) -> None:
        self._inbox = inbox
        self._bus = bus
        self._clock = clock
        self._tell = tell

    async def run(self) -> None:
        while True:
            crashpoint("report.turn")
            more = await self.turn()
            if not more:
                await self._clock.sleep(EVERY_S)
                crashpoint("report.slept")

    async def turn(self) -> bool:
        """Reports a slice of what is owed; True where there is more."""
        try:
            owing = await self._inbox.owed(SLICE)
            crashpoint("report.owed")
        except Unavailable as error:
            self._tell(Trouble("inbox", str(error)))
            return False
        reported = await self.report(owing)
        crashpoint("report.turned")
        return reported and len(owing) == SLICE

    async def report(self, items: Sequence[Item]) -> bool:
        """Of these, what is owed. False where it could not be, and stays owed."""
        owing = [item for item in items if item.owed is not None]
        if not owing:
            return True
        try:
            crashpoint("report.publishing")
            await self._bus.publish(INBOUND, [pack(_sighting(item)) for item in owing])
            crashpoint("report.published")
            await self._inbox.reported(owing)
            crashpoint("report.reported")
        except Unavailable as error:
            self._tell(Trouble("inbox", str(error)))
            return False
        return True


def _sighting(item: Item) -> Sighting:
    at = item.read_at or item.delivered_at or item.at
    return Sighting(item.provider, item.owed or 0, attempt=item.attempt, ref=item.id, at=at)
