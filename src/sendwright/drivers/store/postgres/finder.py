"""Messages that a broker has lost, found by their rows: queued for long, and waiting for nothing.

A walk over all messages, newest first, stretch by stretch: what is lost is most often recent, and no index knows a state (schema).
Where lanes are long and workers few, some of what is found is on its lane after all. It does no harm: the promoter gives a lane no
more than it has room for, and of two parcels one is refused by the message's row.
"""

from __future__ import annotations

from sendwright.drivers.store.postgres.connections import Connections
from sendwright.model import ids

STRETCH = 5_000
_TOP = ids.MESSAGE + "~"


class PostgresFinder:
    """ports.Finder."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._below = _TOP

    async def slice(self, before: int, now: int) -> tuple[int, bool]:
        ((lowest, count, lost),) = await self._connections.read("lost_look", self._below, before, STRETCH)
        found = await self._connections.statement("found", "lost_found", lost, before, now) if lost else []
        more = count == STRETCH
        self._below = lowest if more else _TOP
        return len(found), more
