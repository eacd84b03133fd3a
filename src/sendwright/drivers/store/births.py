"""What a plan brings into the world: its messages' first rows, its events, and the parcels to publish."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from sendwright.drivers.store.folio import EventRow
from sendwright.model.parcel import WITH_DATA, Parcel
from sendwright.model.records import Plan
from sendwright.model.said import is_filled_in
from sendwright.model.states import MessageState


def born_cancelled(plan: Plan) -> Plan:
    """The plan of a notification that was cancelled before: nothing of it waits or goes."""
    births = tuple(
        birth if birth.state.settled else replace(birth, state=MessageState.CANCELLED, wait=None) for birth in plan.births
    )
    return replace(plan, births=births)


def parcels_of(plan: Plan) -> list[Parcel]:
    """The parcels of those that may go now."""
    parcels = [
        Parcel(
            id=birth.id,
            tenant=plan.tenant,
            steps=birth.steps,
            content=plan.content,
            at=plan.at,
            priority=plan.priority,
            on_doubt=plan.on_doubt,
            expires_at=plan.expires_at,
            trace=plan.trace,
            category=plan.category,
        )
        for birth in plan.births
        if birth.state == MessageState.QUEUED and birth.wait is None
    ]
    if not is_filled_in(plan.content):
        return parcels
    about = {birth.id: birth.about for birth in plan.births}
    return [replace(parcel, about=about[parcel.id], v=WITH_DATA) for parcel in parcels]


def events_of(plan: Plan) -> Iterator[EventRow]:
    """The acceptance, and the end of those that are over at birth."""
    yield (plan.at, plan.tenant, "notification.accepted", plan.id, "")
    for birth in plan.births:
        if birth.state.settled:
            yield (plan.at, plan.tenant, f"message.{birth.state.label}", birth.id, birth.reason or "")
