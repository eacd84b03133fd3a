"""Calls on notifications: batches in, lists and details out, cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from msgspec import UNSET, Raw, Struct, UnsetType

from sendwright.errors import Unavailable
from sendwright.model import ids
from sendwright.model.records import Absent, Conflict, NotificationRecord, Page, Running, Taken
from sendwright.model.states import message_state
from sendwright.policy.admission import Admitted, Refused, admit, as_before
from sendwright.policy.duration import instant_ms
from sendwright.policy.payload_schema import Fault
from sendwright.policy.strict_json import too_deep
from sendwright.web.api import problems
from sendwright.web.api.hot import message_count
from sendwright.web.api.problems import Refusal
from sendwright.web.api.shapes import (
    BatchResults,
    BatchTaken,
    CancelledView,
    NotificationList,
    NotificationsQuery,
    NotificationView,
    PageQuery,
)
from sendwright.web.api.table import Ask
from sendwright.web.api.views import notification_view, unplanned_view, views_of
from sendwright.web.api.wire import trace_of

MESSAGES_SHOWN = 100
MESSAGES_LISTED = 10
"""Most messages of one notification in a detail, and in a list."""
BATCH_MESSAGES_MAX = 10_000
_AT_ONCE = 50
"""Items judged before other requests get a turn."""


AT_ONCE = 20
"""Items of a batch that are begun before others have their turn."""


def no_key(headers: Mapping[bytes, bytes]) -> None:
    if b"idempotency-key" in headers:
        detail = "is for single notifications: give each item its idempotency_key"
        raise problems.of_header("Idempotency-Key", "not_supported", detail)


async def post_batch(ask: Ask) -> BatchResults:
    judged = await _judged(ask, ask.body.notifications)
    if sum(message_count(one.payload) for one in judged if isinstance(one, Admitted)) > BATCH_MESSAGES_MAX:
        raise problems.of_faults([Fault("#/notifications", "too_many", f"must come to at most {BATCH_MESSAGES_MAX} messages")])
    results = await _taken(ask, judged)
    refused = [one for one in results if isinstance(one, Unavailable)]
    if len(refused) == len(results):
        raise Unavailable("none was taken", maybe=any(one.maybe for one in refused))
    return BatchResults([_failed(ask, problems.unavailable(one)) if isinstance(one, Unavailable) else one for one in results])


async def list_notifications(ask: Ask) -> NotificationList:
    query: NotificationsQuery = ask.query
    page = Page(
        tenant=ask.caller.tenant,
        limit=query.limit,
        before=opened(ask, query),
        since=_ms(query.since),
        until=_ms(query.until),
        state=None if isinstance(query.state, UnsetType) else message_state(query.state),
        key=None if isinstance(query.idempotency_key, UnsetType) else query.idempotency_key,
        type=None if isinstance(query.type, UnsetType) else query.type,
    )
    listed = await ask.services.records.list_notifications(page)
    views = await asyncio.gather(*(_view(ask, row, MESSAGES_LISTED, None) for row in listed.rows))
    if not views and page.key is not None and page.before is None:
        views = await _of_key(ask, page.key, query)
    return NotificationList(list(views), sealed(ask, query, listed.next))


async def get_notification(ask: Ask) -> NotificationView:
    row = await stored(ask)
    if row is None:
        return unplanned_view(ask.params["id"])
    cursor = ask.query.cursor
    after = None if cursor is UNSET else ask.cursors.open(ask.caller.tenant, ("messages", row.id), cursor)
    return await _view(ask, row, MESSAGES_SHOWN, after)


async def cancel_notification(ask: Ask) -> CancelledView:
    await stored(ask)
    return await cancel(ask)


async def cancel(ask: Ask) -> CancelledView:
    done = await ask.services.ledger.cancel(ask.caller.tenant, ask.params["id"], ask.services.clock.now_ms())
    return CancelledView(done.cancelled, done.too_late, done.unplanned)


async def stored(ask: Ask) -> NotificationRecord | None:
    """The row, or None for an id of this tenant that may still be on the bus. Refuses all others alike."""
    services, tenant, wanted = ask.services, ask.caller.tenant, ask.params["id"]
    if not services.mint.minted_for(tenant, wanted):
        raise problems.not_found()
    row = await services.records.notification(tenant, wanted)
    if row is None and (ids.time_ms_of(wanted) or 0) < services.clock.now_ms() - services.unplanned_keep_ms:
        raise problems.not_found()
    return row


def opened(ask: Ask, query: PageQuery) -> str | None:
    """Where the page begins, from its cursor."""
    return None if isinstance(query.cursor, UnsetType) else ask.cursors.open(ask.caller.tenant, _listing(query), query.cursor)


def sealed(ask: Ask, query: PageQuery, place: str | None) -> str | None:
    return None if place is None else ask.cursors.seal(ask.caller.tenant, _listing(query), place)


def _listing(query: PageQuery) -> list[object]:
    """What a cursor is bound to: the list and its filters."""
    members = (name for name in query.__struct_fields__ if name not in ("limit", "cursor"))
    return [type(query).__name__, *(repr(getattr(query, name)) for name in members)]


async def _view(ask: Ask, row: NotificationRecord, limit: int, after: str | None) -> NotificationView:
    records = ask.services.records
    rows = await records.messages_of(row.id, limit + 1, after)
    more = len(rows) > limit
    cursor = ask.cursors.seal(ask.caller.tenant, ("messages", row.id), rows[limit - 1].id) if more else None
    return notification_view(row, await views_of(records, rows[:limit], {row.id: row.metadata}), cursor)


async def _of_key(ask: Ask, key: str, query: NotificationsQuery) -> list[NotificationView]:
    """The notification that a key stands for, while it is on its way to the store."""
    found = await ask.services.desk.stored(ask.caller.tenant, key)
    others = (query.state, query.since, query.until, query.type)
    if found is None or any(one is not UNSET for one in others):
        return []
    row = await ask.services.records.notification(ask.caller.tenant, found)
    return [unplanned_view(found) if row is None else await _view(ask, row, MESSAGES_LISTED, None)]


class Again(Struct, frozen=True):
    """An item that is refused now, and may be a repeat of one that was right."""

    before: Admitted
    refused: Refused


async def _judged(ask: Ask, items: Iterable[Raw]) -> list[Admitted | Again | Refused]:
    services = ask.services
    live, now = services.channels(), services.clock.now_ms()
    judged: list[Admitted | Again | Refused] = []
    for item in items:
        raw = bytes(item)
        if too_deep(b"[[%b]]" % raw):  # as deep as it lies in the body, whose depth it is
            raise problems.too_deep_body()
        if len(raw) > services.body_max:
            judged.append(Refused(413, "too_large", f"A notification must have at most {services.body_max} bytes."))
        else:
            named = await services.catalogue.found(ask.caller.tenant, raw)
            one = admit(raw, services.rules, live, now, named)
            judged.append(_again(raw, one) if isinstance(one, Refused) else one)
        if len(judged) % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return judged


def _again(raw: bytes, refused: Refused) -> Again | Refused:
    before = as_before(raw)
    return refused if before is None or isinstance(before.payload.idempotency_key, UnsetType) else Again(before, refused)


async def _taken(ask: Ask, judged: Iterable[Admitted | Again | Refused]) -> list[BatchTaken | Unavailable]:
    """All at once, but those of one key one after the other: what is of a higher priority would get there first."""
    trace = trace_of(dict(ask.headers))
    taking: list[asyncio.Task[BatchTaken | Unavailable]] = []
    last: dict[str, asyncio.Task[BatchTaken | Unavailable]] = {}
    for place, one in enumerate(judged):
        key = _key_of(one)
        taking.append(asyncio.create_task(_take(ask, one, trace, after=last.get(key) if key else None)))
        if key is not None:
            last[key] = taking[-1]
        if place % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)  # others have their turn between two handfuls
    return await asyncio.gather(*taking)


def _key_of(one: Admitted | Again | Refused) -> str | None:
    if isinstance(one, Refused):
        return None
    key = (one.before if isinstance(one, Again) else one).payload.idempotency_key
    return None if isinstance(key, UnsetType) else key


async def _take(
    ask: Ask, one: Admitted | Again | Refused, trace: str | None, after: asyncio.Task[BatchTaken | Unavailable] | None
) -> BatchTaken | Unavailable:
    if isinstance(one, Refused):
        return _failed(ask, problems.of_body(one))
    if after is not None:
        await after
    admitted = one.before if isinstance(one, Again) else one
    payload, key = admitted.payload, _key_of(one)
    accept, repeat = ask.services.accept, isinstance(one, Again)
    try:
        taken = await accept.accept(ask.caller.tenant, payload, admitted.raw, key, trace, repeat=repeat)
    except Unavailable as fault:
        return fault
    match taken:
        case Taken():
            replayed = True if taken.replayed else UNSET
            return BatchTaken(taken.id, "accepted", message_count(payload), replayed)
        case Conflict():
            return _failed(ask, problems.mismatch(inside=True))
        case Running():
            return _failed(ask, problems.in_progress(taken.after_s, inside=True))
        case Absent():
            return _failed(ask, problems.of_body(one.refused) if isinstance(one, Again) else problems.internal())


def _failed(ask: Ask, refusal: Refusal) -> BatchTaken:
    return BatchTaken(problem=refusal.problem(ask.request_id))


def _ms(text: str | UnsetType) -> int | None:
    return None if isinstance(text, UnsetType) else instant_ms(text)
