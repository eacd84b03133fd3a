"""From rows to answers. Reads, translates and masks; decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from sendwright.engine.ingest import INGRESS
from sendwright.model import ids
from sendwright.model.notification import state_of
from sendwright.model.outcomes import Reason
from sendwright.model.records import AttemptRecord, DeadParcel, Event, MessageRecord, NotificationRecord, Wait
from sendwright.model.states import AttemptState
from sendwright.policy.duration import rfc3339
from sendwright.policy.masking import masked
from sendwright.web.api.masking import masked_problem
from sendwright.web.api.problems import completed
from sendwright.web.api.services import Shown
from sendwright.web.api.shapes import (
    AttemptView,
    DeadRow,
    MessageView,
    NotificationView,
    ParcelRow,
    ReasonView,
    TimelineEntry,
    WaitingFor,
)


async def message_view(records: Shown, row: MessageRecord) -> MessageView:
    """A message that was asked for by its id: its address is shown whole."""
    told = await records.metadata_of([ids.notification_of(row.id)])
    return await _message_view(records, row, told, address_of(row))


async def message_views(records: Shown, rows: Sequence[MessageRecord]) -> list[MessageView]:
    return await views_of(records, rows, await records.metadata_of({ids.notification_of(row.id) for row in rows}))


async def views_of(records: Shown, rows: Sequence[MessageRecord], told: Mapping[str, dict[str, str]]) -> list[MessageView]:
    """Messages of notifications whose metadata is known: `told`, by notification."""
    return list(await asyncio.gather(*(_message_view(records, row, told, masked_of(row)) for row in rows)))


async def _message_view(records: Shown, row: MessageRecord, told: Mapping[str, dict[str, str]], address: str | None) -> MessageView:
    """A message with its attempts and timeline."""
    attempts, timeline = await asyncio.gather(records.attempts(row.id), records.timeline(row.id))
    notification = ids.notification_of(row.id)
    return MessageView(
        id=row.id,
        notification=notification,
        metadata=told.get(notification, {}),
        recipient=row.recipient,
        address=address,
        state=row.state.label,  # type: ignore[arg-type]  # the labels are that list; a test holds them together
        step=row.step,
        channel=channel_of(row),
        provider=row.provider,
        reason=reason_view(row.reason, row.detail),
        waiting_for=_waiting_for(row),
        cost=None,
        currency=None,
        updated_at=rfc3339(row.updated_at),
        attempts=[attempt_view(attempt) for attempt in attempts],
        timeline=_timeline(timeline),
    )


def notification_view(row: NotificationRecord, messages: list[MessageView], messages_cursor: str | None) -> NotificationView:
    counts = {state: count for state, count in sorted(row.counts.items()) if count}
    return NotificationView(
        id=row.id,
        type=row.type,
        state=state_of(counts, cancelled=row.cancelled_at is not None).label,  # type: ignore[arg-type]
        counts={state.label: count for state, count in counts.items()},
        priority=row.priority.label,  # type: ignore[arg-type]
        category=row.category,  # type: ignore[arg-type]
        metadata=row.metadata,
        created_at=rfc3339(row.at),
        send_at=time_view(row.send_at),
        expires_at=time_view(row.expires_at),
        messages=messages,
        messages_cursor=messages_cursor,
    )


def unplanned_view(notification: str) -> NotificationView:
    """What is known of an id that was answered with 202 and has not reached the store."""
    return NotificationView(
        id=notification,
        type=None,
        state="accepted",
        counts={},
        priority=None,
        category=None,
        metadata={},
        created_at=rfc3339(ids.time_ms_of(notification) or 0),
        send_at=None,
        expires_at=None,
        messages=[],
        messages_cursor=None,
    )


def dead_row(row: MessageRecord, told: Mapping[str, dict[str, str]]) -> DeadRow:
    """`told`: metadata, by notification."""
    return DeadRow(
        kind="message",
        id=row.id,
        notification=ids.notification_of(row.id),
        recipient=row.recipient,
        address=masked_of(row),
        channel=channel_of(row),
        provider=row.provider,
        reason=reason_view(row.reason, row.detail),
        updated_at=rfc3339(row.updated_at),
        metadata=told.get(ids.notification_of(row.id), {}),
    )


def parcel_row(row: DeadParcel) -> ParcelRow:
    if row.lane == INGRESS:  # a problem document repeats no value
        return ParcelRow("ingress", row.id, row.lane, rfc3339(row.at), completed(row.problem), row.size)
    return ParcelRow("parcel", row.id, row.lane, rfc3339(row.at), masked_problem(row.problem), row.size)


def attempt_view(row: AttemptRecord) -> AttemptView:
    return AttemptView(
        id=row.id,
        number=row.number,
        channel=row.channel,
        provider=row.provider,
        state=row.state.label,  # type: ignore[arg-type]
        ref=row.ref,
        started_at=rfc3339(row.started_at),
        finished_at=time_view(row.finished_at),
        cost=None,
        reason=_reason_of(row),
        call_id=row.call,
    )


def _reason_of(row: AttemptRecord) -> ReasonView | None:
    """A failure that was said of what has arrived is told by the timeline alone."""
    noted = row.state >= AttemptState.DELIVERED and row.reason != Reason.OPTED_OUT
    return None if noted else reason_view(row.reason, row.detail)


def reason_view(code: str | None, detail: str) -> ReasonView | None:
    return None if code is None else ReasonView(code, detail)


def time_view(ms: int | None) -> str | None:
    return None if ms is None else rfc3339(ms)


def address_of(row: MessageRecord) -> str | None:
    """The address that it went to, or will go to next."""
    if row.address is not None or not row.steps:
        return row.address
    return row.steps[min(row.step, len(row.steps) - 1)].address


def masked_of(row: MessageRecord) -> str | None:
    address = address_of(row)
    return None if address is None else masked(address)


def channel_of(row: MessageRecord) -> str | None:
    if row.channel is not None or not row.steps:
        return row.channel
    return row.steps[min(row.step, len(row.steps) - 1)].channel


def _waiting_for(row: MessageRecord) -> WaitingFor | None:
    wait = row.wait
    if wait is None or row.state.settled:
        return None
    return WaitingFor(kind=wait.kind, name=wait.name, until=time_view(_until(wait)))  # type: ignore[arg-type]


def _until(wait: Wait) -> int | None:
    return wait.due_at if wait.until is None and wait.kind == "time" else wait.until


def _timeline(events: Sequence[Event]) -> list[TimelineEntry]:
    return [TimelineEntry(rfc3339(event.at), event.type, event.detail) for event in events]
