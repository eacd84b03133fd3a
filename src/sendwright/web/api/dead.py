"""Calls on the dead letters: what exhausted every step, why, and what to do with it, by ids or in bulk.

Parcels that no worker could read are among them. Nobody can say whose they are, so they are the default tenant's.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from sendwright.engine.ingest import INGRESS
from sendwright.model import ids
from sendwright.model.parcel import sound
from sendwright.model.records import MessageRecord, Page, Taken
from sendwright.policy.admission import INVALID_TIME, Refused
from sendwright.policy.duration import instant_ms
from sendwright.policy.ingress import notification_in, wanted
from sendwright.policy.payload_schema import Fault
from sendwright.web.api import problems
from sendwright.web.api.auth import ADMIN_TENANT
from sendwright.web.api.messages import given, unrevived
from sendwright.web.api.notifications import opened, sealed
from sendwright.web.api.services import Services
from sendwright.web.api.shapes import DeadCause, DeadFilters, DeadList, DeadQuery, DeadSelection, Handled, ParcelRow
from sendwright.web.api.table import Ask
from sendwright.web.api.views import dead_row, parcel_row

BULK_MAX = 10_000
"""Most dead letters that one call handles: an answer should not take minutes."""
PARCELS_MAX = 100
_CHUNK = 200

Handle = Callable[[str, str, int], Awaitable[str | None]]
HandleParcel = Callable[[str], Awaitable[str | None]]
"""What handles one dead letter: None, or why it was skipped, by a word of `Handled.skipped_for`."""

_GONE = "not_found"


async def list_dead(ask: Ask) -> DeadList:
    query: DeadQuery = ask.query
    records, tenant = ask.services.records, ask.caller.tenant
    page = _page(tenant, query, query.limit, opened(ask, query))
    listed = await records.list_messages(page)
    causes = [DeadCause(*cause) for cause in await records.dead_causes(tenant)]
    told = await records.metadata_of({ids.notification_of(row.id) for row in listed.rows})
    return DeadList([dead_row(row, told) for row in listed.rows], causes, await _parcels(ask), sealed(ask, query, listed.next))


async def _parcels(ask: Ask) -> list[ParcelRow]:
    if ask.caller.tenant != ADMIN_TENANT or ask.query.cursor is not UNSET:
        return []
    return [parcel_row(row) for row in await ask.services.dead.newest(PARCELS_MAX)]


async def replay_dead(ask: Ask) -> Handled:
    """Only what is dead is sent again; a message that lives is skipped, and so is a parcel that would break its bundle."""
    records, parcels, bus = ask.services.records, ask.services.dead, ask.services.bus

    async def revive(tenant: str, message: str, now: int) -> str | None:
        row = await records.message(tenant, message)
        if row is not None and row.dead and await ask.services.ledger.revive(tenant, message, now, row):
            return None
        row = await records.message(tenant, message)  # as it is now: somebody may have been faster
        if row is None:
            return _GONE
        return (await unrevived(ask.services, row)).code if row.dead else "not_dead"

    async def publish(parcel: str) -> str | None:
        found = await parcels.found(parcel)
        if found is None:
            return _GONE
        row, raw = found
        if row.lane == INGRESS:
            if not await _ingested(ask, row.id, raw):
                return "unreadable"
        elif not sound(raw):
            return "unreadable"
        else:
            await bus.publish(row.lane, [raw])
        await parcels.drop(row.id, row.at)  # unless a worker has been faster, and kept it again
        return None

    handled = await _handle(ask, revive, publish)
    ask.services.poke()
    return handled


async def _ingested(ask: Ask, id_: str, raw: bytes) -> bool:
    """Takes what a producer published, judged by the rules of now; its key is its own, else the dead letter's id."""
    services = ask.services
    named = await services.catalogue.found(services.ingress_tenant, notification_in(raw))
    found = wanted(raw, id_, services.rules, services.channels(), services.clock.now_ms(), named)
    if isinstance(found, Refused) or found.again is not None:
        return False
    taken = await services.accept.accept(services.ingress_tenant, found.admitted.payload, found.admitted.raw, found.key)
    return isinstance(taken, Taken)


async def drop_dead(ask: Ask) -> Handled:
    async def drop(tenant: str, message: str, now: int) -> str | None:
        return None if await ask.services.ledger.drop(tenant, message, now) else "not_dead"

    async def forget(parcel: str) -> str | None:
        return None if await ask.services.dead.drop(parcel) else _GONE

    return await _handle(ask, drop, forget)


async def _handle(ask: Ask, handle: Handle, handle_parcel: HandleParcel) -> Handled:
    selection: DeadSelection = ask.body
    if faults := wrong_with(ask.services, ask.params, msgspec.to_builtins(selection)):
        raise problems.of_faults(faults)
    tenant = ask.caller.tenant

    async def one(id_: str, now: int) -> str | None:
        if id_.startswith(ids.PARCEL):
            return await handle_parcel(id_) if tenant == ADMIN_TENANT else _GONE
        return await handle(tenant, id_, now)

    came: Counter[str | None] = Counter()
    more = False
    async for chunk, rest in _selected(ask, selection):
        now = ask.services.clock.now_ms()
        came.update(await asyncio.gather(*(one(id_, now) for id_ in chunk)))
        more = rest and came.total() >= BULK_MAX
        if more:
            break
    skipped = {why: count for why, count in sorted(came.items(), key=str) if why is not None}
    return Handled(came[None], sum(skipped.values()), more, skipped)


def wrong_with(_services: Services, _params: Mapping[str, str], doc: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with a selection, beside the shape."""
    faults = [Fault("#", "conflict", "must have either ids or filters")] if ("ids" in doc) == ("filters" in doc) else []
    filters = doc.get("filters")
    return [*faults, *(fault for name in ("since", "until") if isinstance(filters, dict) for fault in _time_faults(name, filters))]


def _time_faults(name: str, filters: Mapping[str, Any]) -> list[Fault]:
    if not isinstance(filters.get(name), str):
        return []
    try:
        instant_ms(filters[name])
    except ValueError:
        return [Fault(f"#/filters/{name}", "invalid_time", INVALID_TIME)]
    return []


async def _selected(ask: Ask, selection: DeadSelection) -> AsyncIterator[tuple[Sequence[str], bool]]:
    """Chunks of ids, and whether there are more after each."""
    if isinstance(selection.ids, list):
        wanted = list(dict.fromkeys(selection.ids))
        for start in range(0, len(wanted), _CHUNK):
            yield wanted[start : start + _CHUNK], False
        return
    filters = DeadFilters() if isinstance(selection.filters, UnsetType) else selection.filters
    before: str | None = None
    while True:
        listed = await ask.services.records.list_messages(_page(ask.caller.tenant, filters, _CHUNK, before))
        rows: Sequence[MessageRecord] = listed.rows
        if rows:
            yield [row.id for row in rows], listed.next is not None
        if listed.next is None:
            return
        before = listed.next


def _page(tenant: str, filters: DeadFilters | DeadQuery, limit: int, before: str | None) -> Page:
    return Page(
        tenant=tenant,
        limit=limit,
        before=before,
        since=None if isinstance(filters.since, UnsetType) else instant_ms(filters.since),
        until=None if isinstance(filters.until, UnsetType) else instant_ms(filters.until),
        notification=given(filters.notification),
        channel=given(filters.channel),
        provider=given(filters.provider),
        recipient=given(filters.recipient),
        reason=given(filters.reason),
        dead=True,
    )
