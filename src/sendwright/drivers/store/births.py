"""What a plan brings into the world: its messages' first rows, its events, and the parcels to publish."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from sendwright.drivers.store.folio import EventRow
from sendwright.model import ids
from sendwright.model.outcomes import Reason
from sendwright.model.parcel import WITH_DATA, Parcel
from sendwright.model.records import AttemptRecord, Plan
from sendwright.model.said import is_filled_in
from sendwright.model.states import AttemptState, MessageState

UNKNOWN = "unknown"
"""The provider of an attempt that may have been made, where there are several that may have made it."""


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


def supposed_of(plan: Plan) -> list[AttemptRecord]:
    """The attempts that may have been made of those that are in doubt at birth."""
    return [
        supposed(birth.id, 1, 0, birth.steps[0].channel, birth.provider, plan.at, birth.detail)
        for birth in plan.births
        if birth.state == MessageState.IN_DOUBT
    ]


def supposed(message: str, number: int, step: int, channel: str, provider: str | None, at: int, detail: str) -> AttemptRecord:
    """An attempt that nobody here knows of, and that may have been made. Its id is the one that its provider was told, if it was: a
    receipt that comes only now finds it."""
    return AttemptRecord(
        id=ids.attempt_id(message, number),
        message=message,
        number=number,
        step=step,
        channel=channel,
        provider=provider or UNKNOWN,
        state=AttemptState.IN_DOUBT,
        started_at=at,
        deadline_at=at,
        finished_at=at,
        reason=Reason.LOST_ANSWER.value,
        detail=detail,
    )
