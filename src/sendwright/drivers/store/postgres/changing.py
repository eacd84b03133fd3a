"""What moves messages beside claims and outcomes: single changes, cancellations, repair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from sendwright.drivers.store.changes import Change, apply_all
from sendwright.drivers.store.moves import cancelled, doubted
from sendwright.drivers.store.postgres.connections import Connections, Db
from sendwright.drivers.store.postgres.folio import EVENTS_MAX, locked, save
from sendwright.drivers.store.postgres.rows import bounds, columns, day_of
from sendwright.drivers.store.postgres.sql import SQL
from sendwright.drivers.store.silences import Silence, asked_about, unconfirmed
from sendwright.model import ids
from sendwright.model.records import Cancelled, Patience, Unheard
from sendwright.policy.fold import Future, out_of_time
from sendwright.policy.lookup import next_look

REPAIRED_MAX = 500
"""Attempts put in doubt by one transaction."""


class ChangeAll:
    """Items: (the port's method, a change of one message)."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def __call__(self, items: list[tuple[str, Change]]) -> list[Any]:
        changes = [change for _, change in items]

        async def work(db: Db) -> list[Any]:
            folio = await locked(db, (c.message for c in changes), contents=any(c.of_content for c in changes))
            answers = apply_all(folio, changes)
            await save(db, folio, max(c.now for c in changes))
            return answers

        return await self._connections.transaction(items[0][0], work)


class CancelAll:
    """Items: (tenant, id of a notification or a message, now)."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def __call__(self, items: list[tuple[str, str, int]]) -> list[Cancelled]:
        return await self._connections.transaction("cancel", lambda db: _cancelled(db, items))


async def _cancelled(db: Db, items: list[tuple[str, str, int]]) -> list[Cancelled]:
    asked = sorted({(target, tenant): now for tenant, target, now in items if not target.startswith(ids.MESSAGE)}.items())
    existing: dict[str, Any] = {}
    for one_each in _one_each(asked):
        await db.execute(SQL["cancel_notifications"], *columns([(*key, now) for key, now in one_each], 3))
    if asked:
        rows = await db.fetch(SQL["cancel_existing"], sorted({target for (target, _), _ in asked}))
        existing = {row[0]: row for row in rows}
    planned = [target for target, row in existing.items() if row[2]]
    within: dict[str, list[str]] = {target: [] for target in planned}
    if planned:
        for (message,) in await db.fetch(SQL["messages_within"], *bounds(ids.MESSAGE, planned)):
            within[ids.notification_of(message)].append(message)
    singles = [target for _, target, _ in items if target.startswith(ids.MESSAGE)]
    folio = await locked(db, [*singles, *(message for messages in within.values() for message in messages)])
    answers = []
    for tenant, target, now in items:
        if target.startswith(ids.MESSAGE):
            answers.append(cancelled(folio, [target], tenant, now))
        elif existing[target][1] != tenant:
            answers.append(Cancelled())
        elif not existing[target][2]:
            answers.append(Cancelled(unplanned=1))
        else:
            answers.append(cancelled(folio, within[target], tenant, now))
    await save(db, folio, max(now for _, _, now in items))
    return answers


def _one_each(asked: list[tuple[tuple[str, str], int]]) -> list[list[tuple[tuple[str, str], int]]]:
    """Split, so that no statement has one notification twice (asked for by two tenants)."""
    parts: list[list[tuple[tuple[str, str], int]]] = []
    for one in asked:
        for part in parts:
            if part[-1][0][0] != one[0][0]:
                part.append(one)
                break
        else:
            parts.append([one])
    return parts


class UnheardAll:
    """Items: (now, limit)."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def __call__(self, items: list[tuple[int, int]]) -> list[list[Unheard]]:
        return [await self._unheard(now, min(limit, EVENTS_MAX)) for now, limit in items]

    async def _unheard(self, now: int, limit: int) -> list[Unheard]:
        async def work(db: Db) -> list[Unheard]:
            due = await db.fetch(SQL["unheard"], now, limit)
            if not due:
                return []
            again = sorted((id_, next_look(started_at, now)) for id_, _, _, started_at, _ in due)
            await db.execute(SQL["unheard_again"], *columns(again, 2))
            standing = {row[0]: row for row in await db.fetch(SQL["standing"], [ids.message_of(row[0]) for row in due])}
            rows = [Silence(*row, *standing[message]) for row in due if (message := ids.message_of(row[0])) in standing]
            events = [(day_of(e[3]), *e) for e in unconfirmed(rows, now)]
            if events:
                await db.execute(SQL["insert_events"], *columns(events, 6))
            return asked_about(rows)

        return await self._connections.transaction("unheard", work)


Repair: TypeAlias = tuple[int, Callable[[str], bool], Callable[[str], Patience], int, Future]


class RepairAll:
    """Items: (now, alive, patience, attempts_max, future). Looks at every open attempt, whenever it is asked."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def __call__(self, items: list[Repair]) -> list[list[str]]:
        return [await self._repaired(*item) for item in items]

    async def _repaired(
        self,
        now: int,
        alive: Callable[[str], bool],
        patience: Callable[[str], Patience],
        attempts_max: int,
        future: Future,
    ) -> list[str]:
        moved: list[str] = []
        more = True
        while more:

            async def work(db: Db) -> tuple[list[str], bool]:
                rows, void = await db.fetch(SQL["attempts_open"]), future()
                lost = sorted(
                    id_ for id_, owner, began, ends in rows if out_of_time(began, ends, now, void) or not alive(owner or "")
                )
                part = lost[:REPAIRED_MAX]
                folio = await locked(db, (ids.message_of(id_) for id_ in part))
                done = doubted(folio, part, now, patience, attempts_max)
                await save(db, folio, now)
                return done, bool(done) and len(lost) > len(part)

            done, more = await self._connections.transaction("repair", work)
            moved += done
        return moved
