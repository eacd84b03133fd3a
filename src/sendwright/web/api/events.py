"""The event stream (server-sent events): rows of the event table in their order, from where the reader left off.

Every event has its number as id, so a reader that comes back with Last-Event-ID misses none and sees none twice. A
reader without one begins with what happens next. The stream ends when the process drains; readers come back by
themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, UnsetType

from sendwright.engine.feed import newest
from sendwright.engine.hear import ReplyTold
from sendwright.model.notices import CLOSED, EXPIRING, MISCONFIGURED, OPENED
from sendwright.model.people import REPLIED
from sendwright.model.records import Event
from sendwright.policy.duration import rfc3339
from sendwright.web.api import problems
from sendwright.web.api.services import Services
from sendwright.web.api.shapes import EventsQuery
from sendwright.web.api.table import Ask, Stream

PAGE = 500
_SEQ_MAX = 2**63 - 1
_ENCODER = msgspec.json.Encoder()


class EventData(Struct, frozen=True):
    notification: str | None
    message: str | None
    detail: str
    metadata: dict[str, str]


class ReplyData(ReplyTold, frozen=True, tag=False):
    """Of `reply.received`: what a person said back. `id` names it."""

    id: str = ""


class ProviderData(Struct, frozen=True):
    """Of `provider.opened`, `closed` and `misconfigured`: which provider, and why. `id` names it."""

    provider: str
    kind: str
    channels: list[str]
    reason: str | None = None
    id: str = ""


class CredentialData(Struct, frozen=True):
    """Of `token.expiring`: which setting of which provider a person must renew, and until when."""

    provider: str
    kind: str
    channels: list[str]
    setting: str
    expires_at: str
    days_left: int
    id: str = ""


_SPOKEN_FOR: Mapping[str, type[ReplyData | ProviderData | CredentialData]] = {
    REPLIED: ReplyData,
    OPENED: ProviderData,
    CLOSED: ProviderData,
    MISCONFIGURED: ProviderData,
    EXPIRING: CredentialData,
}


class EventView(Struct, frozen=True):
    """One event, as it is told to a stream."""

    type: str
    timestamp: str
    data: EventData | ReplyData | ProviderData | CredentialData


async def stream_events(ask: Ask) -> Stream:
    query: EventsQuery = ask.query
    types = frozenset() if isinstance(query.types, UnsetType) else frozenset(query.types.split(","))
    after: int | None = ask.head
    if after is None:
        after = await newest(ask.services.records, ask.caller.tenant)
    return Stream(_told(ask.services, ask.caller.tenant, after, types), "text/event-stream", ((b"x-accel-buffering", b"no"),))


def last_seen(headers: Mapping[bytes, bytes]) -> int | None:
    """The number of the last event that the reader has seen."""
    header = headers.get(b"last-event-id")
    if header is None or header == b"":
        return None
    if not header.isdigit() or len(header) > 19 or int(header) > _SEQ_MAX:
        raise problems.of_header("Last-Event-ID", "invalid_value", "must be the id of an event")
    return int(header)


async def _told(services: Services, tenant: str, after: int, types: Collection[str]) -> AsyncIterator[bytes]:
    """Ends when the process drains."""
    yield b"retry: 2000\n\n"
    quiet_since = services.clock.monotonic()
    draining = asyncio.ensure_future(services.draining.wait())
    try:
        while not draining.done():
            events = await services.records.events(tenant, after, PAGE)
            told = await _frames(services, [event for event in events if not types or event.type in types])
            if events:
                after = events[-1].seq
            if told:
                yield told
                quiet_since = services.clock.monotonic()
            elif services.clock.monotonic() - quiet_since >= services.heartbeat_s:
                yield b": still here\n\n"
                quiet_since = services.clock.monotonic()
            if len(events) < PAGE:
                await _pause(services, draining)
    finally:
        draining.cancel()


async def _pause(services: Services, draining: asyncio.Future[Any]) -> None:
    sleeping = asyncio.ensure_future(services.clock.sleep(services.events_every_s))
    try:
        await asyncio.wait((sleeping, draining), return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeping.cancel()


async def _frames(services: Services, events: Sequence[Event]) -> bytes:
    named = {event.notification for event in events if event.type not in _SPOKEN_FOR}
    metadata = await services.records.metadata_of(named) if named else {}
    return b"".join(_frame(event, metadata.get(event.notification, {})) for event in events)


def _data(event: Event, metadata: dict[str, str]) -> EventData | ReplyData | ProviderData | CredentialData:
    told = _SPOKEN_FOR.get(event.type)
    if told is None:
        return EventData(event.notification, event.message, event.detail, metadata)
    return msgspec.structs.replace(msgspec.json.decode(event.detail, type=told), id=event.notification)


def _frame(event: Event, metadata: dict[str, str]) -> bytes:
    view = EventView(event.type, rfc3339(event.at), _data(event, metadata))
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.seq, event.type.encode(), _ENCODER.encode(view))
