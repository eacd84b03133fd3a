"""The in-app inbox: a person's own items, by the person's token.

What is fetched is delivered, and what is read is read: both are reported as a vendor's receipts are, so that the message's state is
the truth here too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from sendwright.model.inbox import Item, Mark, Place, View
from sendwright.policy.admission import AHEAD_MAX_MS, INVALID_TIME
from sendwright.policy.duration import duration_ms, instant_ms, rfc3339
from sendwright.policy.payload_schema import Fault
from sendwright.web.api import problems
from sendwright.web.api.notifications import opened, sealed
from sendwright.web.api.passes import Pass
from sendwright.web.api.shapes import (
    InboxAction,
    InboxCount,
    InboxItemView,
    InboxList,
    InboxMark,
    InboxMarked,
    InboxQuery,
    MadeToken,
    TokenWish,
)
from sendwright.web.api.table import Ask, Stream

TOKEN_MS = 3_600_000
"""How long a token is good unless it is said."""
TOKEN_MAX_MS = 86_400_000
_ENCODER = msgspec.json.Encoder()


async def make_token(ask: Ask) -> MadeToken:
    """For one recipient of the caller's tenant, whoever that is: the caller knows who has signed in."""
    wish: TokenWish = ask.body
    try:
        ttl_ms = TOKEN_MS if isinstance(wish.ttl, UnsetType) else duration_ms(wish.ttl)
    except ValueError:
        ttl_ms = 0
    if not 0 < ttl_ms <= TOKEN_MAX_MS:
        raise problems.of_faults([Fault("#/ttl", "invalid_duration", "must be a duration of at most 24h, as 90s, 10m or 1h")])
    expires_at = ask.services.clock.now_ms() + ttl_ms
    token = ask.passes.made(Pass(ask.caller.tenant, ask.params["id"], expires_at))
    return MadeToken(token, rfc3339(expires_at))


async def list_inbox(ask: Ask) -> InboxList:
    query: InboxQuery = ask.query
    services, (tenant, recipient), now = ask.services, _whose(ask), ask.services.clock.now_ms()
    place = opened(ask, query)
    at = None if place is None else _place(place)
    rows = await services.inbox.page(tenant, recipient, View(query.view), now, query.limit + 1, at)
    shown = list(rows[: query.limit])
    new = [item.id for item in shown if item.delivered_at is None]
    if new:
        await _marked(ask, new, Mark.DELIVERED)
    counts = await services.inbox.counts(tenant, recipient, now)
    more = f"{shown[-1].at} {shown[-1].id}" if len(rows) > len(shown) else None
    return InboxList([item_view(item) for item in shown], counts.unread, sealed(ask, query, more))


async def count_inbox(ask: Ask) -> InboxCount:
    counts = await ask.services.inbox.counts(*_whose(ask), ask.services.clock.now_ms())
    return InboxCount(counts.unread, counts.total)


async def mark_inbox(ask: Ask) -> InboxMarked:
    body: InboxMark = ask.body
    ids = None if isinstance(body.ids, UnsetType) else body.ids
    if (ids is None) == (body.all is not True):
        raise problems.of_faults([Fault("#/ids", "conflict", "name ids, or say `all`, and not both")])
    changed = await _marked(ask, ids, Mark(body.mark), _until(ask, body))
    counts = await ask.services.inbox.counts(*_whose(ask), ask.services.clock.now_ms())
    return InboxMarked([item.id for item in changed], counts.unread)


def _until(ask: Ask, body: InboxMark) -> int | None:
    """The end of a snooze."""
    snoozes = str(body.mark) == str(Mark.SNOOZED)
    if snoozes != (body.until is not UNSET):
        raise problems.of_faults(
            [Fault("#/until", "required" if snoozes else "conflict", "goes with `snoozed`, and with nothing else")]
        )
    if isinstance(body.until, UnsetType):
        return None
    try:
        until = instant_ms(body.until)
    except ValueError:
        raise problems.of_faults([Fault("#/until", "invalid_time", INVALID_TIME)]) from None
    if not 0 < until - ask.services.clock.now_ms() <= AHEAD_MAX_MS:
        raise problems.of_faults([Fault("#/until", "too_far", "must be in the future, and at most 365 days ahead")])
    return until


async def _marked(ask: Ask, ids: Sequence[str] | None, mark: Mark, until: int | None = None) -> Sequence[Item]:
    """Marks, and reports what that says of the messages: now, or where that fails a little later (engine/report.py)."""
    services, now = ask.services, ask.services.clock.now_ms()
    changed = await services.inbox.mark(*_whose(ask), ids, mark, now, until)
    await services.reporter.report(changed)
    return changed


async def stream_inbox(ask: Ask) -> Stream:
    return Stream(_told(ask), "text/event-stream", ((b"x-accel-buffering", b"no"),))


async def _told(ask: Ask) -> AsyncIterator[bytes]:
    """The counts, now and whenever anything is different; ends when the token does, and when the process drains."""
    services, (tenant, recipient) = ask.services, _whose(ask)
    yield b"retry: 2000\n\n"
    version, quiet_since = "", services.clock.monotonic()
    draining = asyncio.ensure_future(services.draining.wait())
    try:
        while not draining.done() and services.clock.now_ms() < ask.caller.until:
            counts = await services.inbox.counts(tenant, recipient, services.clock.now_ms())
            if counts.version != version:
                version, quiet_since = counts.version, services.clock.monotonic()
                said = _ENCODER.encode(InboxCount(counts.unread, counts.total))
                yield b"id: %b\nevent: inbox\ndata: %b\n\n" % (version.encode(), said)
            elif services.clock.monotonic() - quiet_since >= services.heartbeat_s:
                quiet_since = services.clock.monotonic()
                yield b": still here\n\n"
            await asyncio.wait((draining,), timeout=services.events_every_s)
    finally:
        draining.cancel()


def _whose(ask: Ask) -> tuple[str, str]:
    return ask.caller.tenant, ask.caller.recipient


def _place(text: str) -> Place:
    at, _, id_ = text.partition(" ")
    return Place(int(at), id_)


def item_view(item: Item) -> InboxItemView:
    said = item.said
    return InboxItemView(
        id=item.id,
        title=said.title,
        body=said.body,
        url=said.url,
        icon=said.icon,
        actions=[InboxAction(action.id, action.label, action.url) for action in said.actions],
        data=said.data,
        created_at=rfc3339(item.at),
        read_at=_time(item.read_at),
        archived_at=_time(item.archived_at),
        snoozed_until=_time(item.snoozed_until),
    )


def _time(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
