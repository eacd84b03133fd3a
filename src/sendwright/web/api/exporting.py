"""Everything that is known of a person, to be handed out: read only, a page at a time.

What belongs to the person goes by the id: the recipient, the messages with their contents, the inbox. What goes by an address
alone, replies and suppressions, is looked up by the keyed hashes of the addresses that are known of the person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
import structlog
from msgspec import UNSET, Meta, Struct, UnsetType

from sendwright.model.inbox import Place, View
from sendwright.model.people import EVERYBODY, Known
from sendwright.model.records import Event, MessageRecord, Page
from sendwright.policy.duration import rfc3339
from sendwright.policy.filling import Unfillable
from sendwright.web.api import problems
from sendwright.web.api.contents import content_of, content_view
from sendwright.web.api.cursors import foreign
from sendwright.web.api.inbox import item_view
from sendwright.web.api.notifications import opened, sealed
from sendwright.web.api.people_shapes import RecipientView, SuppressionView
from sendwright.web.api.recipients import known_of, marks_of, recipient_view
from sendwright.web.api.shapes import ContentView, InboxItemView, JsonObject, MessageView, PageQuery, Time
from sendwright.web.api.suppressions import suppression_view
from sendwright.web.api.table import Ask
from sendwright.web.api.views import message_view

_LOG = structlog.get_logger("sendwright.api")

_PARTS = ("messages", "inbox.all", "inbox.archived", "inbox.snoozed", "replies", "suppressions")
"""In the order in which they are told."""


class SaidBack(Struct, frozen=True):
    """What the person said back: the event `reply.received`."""

    id: str
    timestamp: Time
    data: JsonObject

    def __repr__(self) -> str:
        return f"SaidBack({self.id})"


class Exported(Struct, frozen=True):
    """One thing that is known of a person: `kind` says which, and the member of that name holds it."""

    kind: Literal["recipient", "message", "inbox", "reply", "suppression"]
    recipient: RecipientView | UnsetType = UNSET
    message: MessageView | UnsetType = UNSET
    content: ContentView | UnsetType | None = UNSET
    """With a message: what it says; null where that is forgotten."""
    inbox: InboxItemView | UnsetType = UNSET
    reply: SaidBack | UnsetType = UNSET
    suppression: SuppressionView | UnsetType = UNSET

    def __repr__(self) -> str:
        return f"Exported({self.kind})"


class ExportList(Struct, frozen=True):
    """A page may be short, or empty, and still not be the last."""

    data: list[Exported]
    next_cursor: str | None


class ExportQuery(PageQuery, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=100)] = 50


class _Told(Struct, frozen=True):
    """A part's next entries, and where it goes on; None where it is over."""

    data: list[Exported]
    next: str | None = None


async def export_recipient(ask: Ask) -> ExportList:
    """That somebody asked is a line of the log, without whom for."""
    query: ExportQuery = ask.query
    part, place = _opened(ask, query)
    known = await known_of(ask)
    first = [Exported("recipient", recipient=recipient_view(known))] if known is not None and place is None and part == 0 else []
    told = await _told(ask, known, part, place, query.limit)
    if part == 0 and place is None:
        if known is None and not told.data and told.next is None and not await _has_inbox(ask):
            raise problems.not_found()
        _LOG.info("person_exported", tenant=ask.caller.tenant, request_id=ask.request_id)
    return ExportList([*first, *told.data], _onward(ask, query, part, told.next))


def _onward(ask: Ask, query: ExportQuery, part: int, place: str | None) -> str | None:
    """To the rest of this part, else to the next one."""
    if place is None:
        part += 1
    return None if part == len(_PARTS) else sealed(ask, query, msgspec.json.encode((ask.params["id"], part, place)).decode())


def _opened(ask: Ask, query: ExportQuery) -> tuple[int, str | None]:
    """Which part, and where in it. A cursor of another person's leads nowhere."""
    text = opened(ask, query)
    if text is None:
        return 0, None
    id_, part, place = msgspec.json.decode(text, type=tuple[str, int, str | None])
    if id_ != ask.params["id"]:
        raise foreign()
    return part, place


async def _told(ask: Ask, known: Known | None, part: int, place: str | None, limit: int) -> _Told:
    name, _, view = _PARTS[part].partition(".")
    if name == "messages":
        return await _messages(ask, limit, place)
    if name == "inbox":
        return await _inbox(ask, View(view), limit, place)
    marks = await marks_of(ask, known)
    return await (_replies(ask, marks, limit, place) if name == "replies" else _suppressions(ask, marks))


async def _messages(ask: Ask, limit: int, before: str | None) -> _Told:
    page = Page(ask.caller.tenant, limit, before, recipient=ask.params["id"])
    listed = await ask.services.records.list_messages(page)
    return _Told(list(await asyncio.gather(*(_message(ask, row) for row in listed.rows))), listed.next)


async def _message(ask: Ask, row: MessageRecord) -> Exported:
    view, content = await asyncio.gather(message_view(ask.services.records, row), content_of(ask.services, row.tenant, row))
    said = None if content is None or isinstance(content, Unfillable) else content_view(ask.services, content, row)
    return Exported("message", message=view, content=said)


async def _inbox(ask: Ask, view: View, limit: int, text: str | None) -> _Told:
    at, _, id_ = (text or "").partition(" ")
    services, after = ask.services, None if text is None else Place(int(at), id_)
    rows = await services.inbox.page(ask.caller.tenant, ask.params["id"], view, services.clock.now_ms(), limit + 1, after)
    shown = rows[:limit]
    more = f"{shown[-1].at} {shown[-1].id}" if len(rows) > limit else None
    return _Told([Exported("inbox", inbox=item_view(item)) for item in shown], more)


async def _has_inbox(ask: Ask) -> bool:
    found = await asyncio.gather(*(_inbox(ask, view, 1, None) for view in (View.ALL, View.ARCHIVED, View.SNOOZED)))
    return any(told.data for told in found)


async def _replies(ask: Ask, marks: Sequence[str], limit: int, before: str | None) -> _Told:
    rows = await ask.services.records.said_back(ask.caller.tenant, marks, limit + 1, None if before is None else int(before))
    shown = rows[:limit]
    return _Told([Exported("reply", reply=_said(event)) for event in shown], str(shown[-1].seq) if len(rows) > limit else None)


def _said(event: Event) -> SaidBack:
    return SaidBack(event.notification, rfc3339(event.at), msgspec.json.decode(event.detail or "{}", type=dict[str, Any]))


async def _suppressions(ask: Ask, marks: Sequence[str]) -> _Told:
    """All at once: there are as many as there are channels and categories, for each address."""
    found = await ask.services.suppressions.find((ask.caller.tenant, EVERYBODY), marks, ask.services.clock.now_ms())
    return _Told([Exported("suppression", suppression=suppression_view(row)) for row in found])
