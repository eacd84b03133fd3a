"""Retention: what is past its time goes, in slices that hold no lock for long, and whole days at once where all of a day is over.

Age counts from the last move, not from the accept. Only settled messages go, with everything of their notification at once; one
message that is not settled, or has moved since, keeps it all. A process's numbers that are forgotten with it are noted, so that
the recount does not take them for gaps.

An id tells when it was accepted, before which nothing can have moved: so the walk is over ids, from the oldest to the first that is
too young. Of a day in which everything is over, attempts and events go first, as partitions; its messages and notifications
follow row by row. Many processes may walk at once: they pass by what another has locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sendwright.drivers.store.postgres.connections import Connections, Db, first
from sendwright.drivers.store.postgres.outcomes import left_over
from sendwright.drivers.store.postgres.partitions import Partitions
from sendwright.drivers.store.postgres.rows import DAY_MS, bounds, day_of
from sendwright.drivers.store.postgres.sql import SQL
from sendwright.errors import StoreDown
from sendwright.model import ids
from sendwright.policy.suppression import Marker

STRETCH = 200
"""Most notifications in one slice, and most of their rows but for those of the last one."""
LOOK_S = 60
"""So long may it take to see whether a day is over; it is asked at most once per walk."""


class PostgresSweeper:
    """ports.Sweeper. It also makes the partitions of the days to come."""

    def __init__(self, connections: Connections, partitions: Partitions, marker: Marker) -> None:
        self._connections = connections
        self._partitions = partitions
        self._marker = marker
        self._after = ""

    async def slice(self, *, keys_before: int, content_before: int, rows_before: int) -> bool:
        if not self._after:
            await self._begin(rows_before)
        more = bool(await self._connections.statement("slice", "keys_expire", keys_before))
        for name in ("delete_strays", "delete_dead_parcels", "delete_trials"):
            await self._connections.statement("slice", name, rows_before)
        more |= await self._replies(rows_before)
        wanted, after = await self._stretch(max(content_before, rows_before))
        if wanted:
            old, said = _past(
                await self._connections.read("sweep_look", wanted, *bounds(ids.MESSAGE, wanted)), content_before, rows_before
            )
            if old or said:
                await self._connections.transaction("slice", lambda db: _forget(db, [*old, *said], content_before, rows_before))
        self._after = after
        return more or bool(after)

    async def _replies(self, before: int) -> bool:
        """Forgets a slice of what people said so long ago, with its events. Whether there may be more."""
        old = [row[0] for row in await self._connections.read("replies_old", before)]

        async def work(db: Db) -> None:
            days = [day_of(id_) for id_ in old]
            await db.execute(SQL["delete_events"], old, min(days), max(days))
            await db.execute(SQL["replies_delete"], old)

        if old:
            await self._connections.transaction("slice", work)
        return bool(old)

    async def _begin(self, rows_before: int) -> None:
        """At the start of a walk: partitions ahead, receipts that a crash left over, and whole days."""
        await self._partitions.make_ahead(int(first(await self._connections.query(_NOW))))
        await left_over(self._connections, self._marker)
        for day in await self._partitions.days():
            if (day + 1) * DAY_MS > rows_before or not await self._is_over(day, rows_before):
                break
            try:
                await self._partitions.drop(day)
            except StoreDown:
                break  # somebody reads it still: the next walk goes on where this one was stopped

    async def _is_over(self, day: int, before: int) -> bool:
        span = [ids.floor(prefix, each * DAY_MS) for prefix in (ids.MESSAGE, ids.NOTIFICATION) for each in (day, day + 1)]

        async def look(db: Db) -> bool:
            await db.execute("begin read only")
            await db.execute(f"set local statement_timeout = '{LOOK_S}s'")
            over: bool = await db.fetchval(SQL["day_is_over"], *span, before)
            await db.execute("commit")
            return over

        try:
            return await self._connections.reading(look)
        except StoreDown:
            return False  # too much to look at now: row by row, then

    async def _stretch(self, before: int) -> tuple[list[str], str]:
        """The notifications to look at, and where to go on: "" where there are no more."""
        rows = await self._connections.read("stretch", self._after, ids.floor(ids.NOTIFICATION, before), STRETCH)
        wanted: list[str] = []
        heap = 0
        for id_, weight in rows:
            wanted.append(id_)
            heap += weight
            if heap >= STRETCH:
                return wanted, wanted[-1]
        return wanted, ""


_NOW = "select (extract(epoch from now()) * 1000)::bigint"


def _past(rows: Sequence[Any], content_before: int, rows_before: int) -> tuple[list[str], list[str]]:
    """Those of which all is over, and nothing has moved since: whose rows are old, and of the others whose content is."""
    old, said = [], []
    for id_, at, says, is_open, moved_at in rows:
        last = max(at, moved_at)
        if is_open:
            continue
        if last < rows_before:
            old.append(id_)
        elif says and moved_at < content_before:
            said.append(id_)
    return old, said


async def _forget(db: Db, candidates: list[str], content_before: int, rows_before: int) -> None:
    """Looks again once they are locked: somebody may have them sent again at this very moment."""
    locked = [row[0] for row in await db.fetch(SQL["sweep_lock"], sorted(candidates))]
    spans = bounds(ids.MESSAGE, locked)
    await db.execute(SQL["sweep_lock_messages"], *spans)
    old, said = _past(await db.fetch(SQL["sweep_look"], locked, *spans), content_before, rows_before)
    if said:
        await db.execute(SQL["content_expire"], said)
    if not old:
        return
    messages = [row[0] for row in await db.fetch(SQL["messages_within"], *bounds(ids.MESSAGE, old))]
    days = [day_of(id_) for id_ in old]
    lows, highs = bounds(ids.ATTEMPT, old)
    deletions: list[tuple[str, list[Any]]] = [
        ("forget_numbers", [old]),
        ("delete_repeats", [old]),
        ("delete_events", [[*old, *messages], min(days), max(days)]),
        ("delete_attempts", [lows, highs]),
        ("delete_messages", [messages]),
        ("delete_notifications", [old]),
    ]
    for name, args in deletions:
        await db.execute(SQL[name], *args)
