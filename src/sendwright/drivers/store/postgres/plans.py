"""Plans: one statement for those that nobody has written yet, a closer look at the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sendwright.drivers.store.births import born_cancelled, events_of, parcels_of, supposed_of
from sendwright.drivers.store.postgres.connections import Again, Connections, Db
from sendwright.drivers.store.postgres.folio import EVENTS_MAX, TooManyEvents
from sendwright.drivers.store.postgres.rows import clean, columns, day_of, parcel_from, text_of
from sendwright.drivers.store.postgres.sql import SQL
from sendwright.drivers.store.postgres.supposed import suppose
from sendwright.model import ids
from sendwright.model.parcel import Parcel
from sendwright.model.records import Birth, Plan
from sendwright.model.states import MessageState


class PlanAll:
    """Items: plans."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def __call__(self, items: list[Plan]) -> list[list[Parcel]]:
        plans = {plan.id: plan for plan in sorted(items, key=lambda plan: plan.id)}
        if any(birth.state == MessageState.IN_DOUBT for plan in items for birth in plan.births):
            fresh = await self._connections.transaction("plan", lambda db: _with_supposed(db, list(plans.values())))
        else:
            fresh = await self._connections.statement("plan", "plan_fresh", *_bound(list(plans.values())), False)  # noqa: FBT003
        stored = {row[0]: parcels_of(plans[row[0]]) for row in fresh}
        others = [plan for id_, plan in plans.items() if id_ not in stored]
        if others:
            stored |= await self._connections.transaction("plan", lambda db: _closer(db, others))
        return [stored[plan.id] for plan in items]


async def _with_supposed(db: Db, plans: list[Plan]) -> list[Any]:
    """Plans some of whose messages are in doubt at birth."""
    fresh = await db.fetch(SQL["plan_fresh"], *_bound(plans), False)  # noqa: FBT003
    written = {row[0] for row in fresh}
    await suppose(db, [attempt for plan in plans if plan.id in written for attempt in supposed_of(plan)])
    return fresh


async def _closer(db: Db, plans: list[Plan]) -> dict[str, list[Parcel]]:
    """Plans that found a row: over that of a cancellation they are written now; of one that is planned, what it says counts."""
    existing = {row[0]: row for row in await db.fetch(SQL["plan_existing"], [plan.id for plan in plans])}
    if len(existing) < len(plans):
        raise Again("retention took what was found")  # what is not there can't be locked: others may plan or cancel it meanwhile
    unplanned = []
    for plan in plans:
        _, tenant, planned, _, _ = existing[plan.id]
        if not planned:
            unplanned.append(born_cancelled(plan) if tenant == plan.tenant else plan)
    if unplanned:
        await db.fetch(SQL["plan_fresh"], *_bound(unplanned), True)  # noqa: FBT003
        await suppose(db, [attempt for plan in unplanned for attempt in supposed_of(plan)])
    stored = {plan.id: parcels_of(plan) for plan in unplanned}
    again = [plan for plan in plans if plan.id not in stored]
    repeats = [(p.process, p.number, p.id) for p in again if p.process and (p.process, p.number) != tuple(existing[p.id][3:])]
    if repeats:
        await db.execute(SQL["plan_repeats"], *columns(sorted(repeats), 3))
    for plan in again:
        low = ids.MESSAGE + plan.id[4:]
        stored[plan.id] = [parcel_from(row) for row in await db.fetch(SQL["unsent_of"], low, low + "~")]
    return stored


def weight_of(plan: Plan) -> int:
    """In rows; what is over at birth is one more."""
    return 1 + len(plan.births)


def _bound(plans: Sequence[Plan]) -> list[Any]:
    """The arrays of `plan_fresh`."""
    notifications, messages, waits, events = [], [], [], []
    for plan in plans:
        notifications.append(_notification_row(plan))
        for birth in plan.births:
            messages.append(_message_row(plan, birth))
            if birth.wait is not None:
                w = birth.wait
                waits.append((plan.id, birth.id, plan.tenant, w.key, plan.priority, w.due_at, w.kind, w.name, w.until, plan.at))
        events += [
            (plan.id, day_of(plan.id), at, tenant, type_, subject, detail) for at, tenant, type_, subject, detail in events_of(plan)
        ]
    if len(events) > EVENTS_MAX:
        raise TooManyEvents
    return [*columns(notifications, 16), *columns(messages, 15), *columns(waits, 10), *columns(events, 7)]


def _notification_row(p: Plan) -> tuple[Any, ...]:
    return (
        p.id,
        p.tenant,
        p.at,
        p.priority,
        p.category,
        p.on_doubt,
        p.send_at,
        p.expires_at,
        p.key,
        p.process,
        p.number,
        len(p.births),
        text_of(p.content),
        text_of(p.metadata),
        p.trace,
        p.type,
    )


def _message_row(plan: Plan, birth: Birth) -> tuple[Any, ...]:
    step = birth.steps[0] if birth.steps else None
    return (
        plan.id,
        birth.id,
        plan.tenant,
        birth.state,
        plan.priority,
        plan.on_doubt,
        plan.expires_at,
        plan.at,
        birth.recipient,
        step.channel if step else None,
        step.address if step else None,
        birth.reason,
        clean(birth.detail),
        text_of(birth.steps),
        None if birth.about is None else text_of(birth.about),
    )
