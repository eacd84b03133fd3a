"""Messages: the list with its filters, one message with everything that was tried, and what a person may do with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, get_args
from urllib.parse import urlencode

import structlog

from sendwright.model import ids
from sendwright.model.content import Content
from sendwright.model.records import MessageRecord
from sendwright.model.states import MessageState, message_state
from sendwright.policy.duration import rfc3339
from sendwright.policy.filling import Unfillable
from sendwright.policy.masking import masked
from sendwright.web.api import messages as api
from sendwright.web.api.contents import content_of, content_view
from sendwright.web.api.notifications import sealed
from sendwright.web.api.problems import ProblemError, Refusal
from sendwright.web.api.reading import read_query
from sendwright.web.api.shapes import MessagesQuery, Resolution, StateName
from sendwright.web.api.views import channel_of, masked_of, reason_view
from sendwright.web.dashboard.frame import is_note
from sendwright.web.dashboard.visit import Away, Shown, Visit, place

FILTERS = ("state", "channel", "provider", "recipient", "notification", "doubled", "since", "until")
_ROWS = 50
_LOG = structlog.get_logger("sendwright.dashboard")
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?")
"""A time as a form's field gives it: without a zone, and meant in UTC as all times here."""
_BACK = {"doubts": "/dashboard/doubts"}


async def list_messages(visit: Visit) -> Shown:
    given = {name: visit.query[name] for name in FILTERS if visit.query.get(name)}
    faults: Sequence[ProblemError] = ()
    rows: list[dict[str, Any]] = []
    following: str | None = None
    try:
        rows, following = await rows_of(visit, {**given, "cursor": visit.query.get("cursor", "")})
    except Refusal as refusal:
        if refusal.status != 422:
            raise
        faults = refusal.faults
    values = {
        "rows": rows,
        "next": following and place("/dashboard/messages", **given, cursor=following),
        "given": {name: given.get(name, "") for name in FILTERS},
        "filtered": bool(given),
        "faults": faults,
        "first": "cursor" not in visit.query,
        "states": get_args(StateName),
        "channels": sorted(visit.services.channels()),
        "providers": [standing.name for standing in await visit.services.fleet.standings()],
    }
    return Shown("messages.html", values)


async def list_doubts(visit: Visit) -> Shown:
    rows, following = await rows_of(visit, {"state": "in_doubt", "cursor": visit.query.get("cursor", "")})
    return Shown("doubts.html", {"rows": rows, "next": following and place("/dashboard/doubts", cursor=following)})


async def rows_of(visit: Visit, given: dict[str, str]) -> tuple[list[dict[str, Any]], str | None]:
    """Rows for a table, and where the list goes on. Raises `Refusal` (422) for filters that can't be."""
    asked = {name: _zoned(name, text) for name, text in given.items() if text}
    query = read_query(MessagesQuery, urlencode({**asked, "limit": _ROWS}).encode())
    ask = visit.ask(query=query)
    listed = await api.listed_messages(ask)
    return [row_of(row) for row in listed.rows], sealed(ask, query, listed.next)  # type: ignore[arg-type]


def row_of(row: MessageRecord) -> dict[str, Any]:
    """What a table shows of a message."""
    return {
        "id": row.id,
        "state": row.state.label,
        "recipient": row.recipient,
        "address": masked_of(row),
        "channel": channel_of(row),
        "provider": row.provider,
        "reason": reason_view(row.reason, row.detail),
        "attempts": row.number,
        "doubled": row.doubled,
        "accepted_at": rfc3339(row.accepted_at),
        "updated_at": rfc3339(row.updated_at),
    }


async def one_message(visit: Visit) -> Shown:
    """Addresses stay masked here too. What it says is shown only when asked for, to who may act, and that is noted in the log."""
    message = await api.get_message(visit.ask())
    row = await visit.services.records.message(visit.by.caller.tenant, message.id)
    state = message_state(message.state)
    shows = visit.query.get("content") == "shown"
    content = await _content(visit, row) if shows and row is not None else None
    late = row is not None and row.late(visit.services.clock.now_ms())
    over = state.settled and state not in (MessageState.IN_DOUBT, MessageState.DELIVERED, MessageState.READ)
    values = {
        "message": message,
        "address": None if message.address is None else masked(message.address),
        "doubled": row is not None and row.doubled,
        "accepted_at": rfc3339(ids.time_ms_of(message.id) or 0),
        "shows": shows,
        "said": content_view(visit.services, content, row) if isinstance(content, Content) and row is not None else None,
        "unfilled": content.detail if isinstance(content, Unfillable) else None,
        "may": {
            "cancel": not state.settled,
            "resend": over and not late,
            "repeat": not late,
            "resolve": state == MessageState.IN_DOUBT,
        },
    }
    return Shown("message.html", values, frames=shows)


async def _content(visit: Visit, row: MessageRecord) -> Content | Unfillable | None:
    visit.by.caller.require("admin")
    _LOG.info("content_shown", message=row.id, tenant=visit.by.caller.tenant, session=visit.by.session.id[:8])
    return await content_of(visit.services, visit.by.caller.tenant, row)


async def cancel(visit: Visit) -> Away:
    done = await api.cancel_message(visit.ask())
    return _back(visit, "cancelled" if done.cancelled or done.unplanned else "too_late")


async def resend(visit: Visit) -> Away:
    try:
        await api.resend_message(visit.ask())
    except Refusal as refusal:
        return _refused(visit, refusal)
    return _back(visit, "resent")


async def resolve(visit: Visit) -> Away:
    verdict = visit.given("as")
    if verdict not in ("sent", "resend", "failed"):
        raise Refusal(400, "invalid_form", "A doubt is settled as sent, resend or failed.")
    try:
        await api.resolve_message(visit.ask(body=Resolution(verdict)))  # type: ignore[arg-type]
    except Refusal as refusal:
        return _refused(visit, refusal)
    return _back(visit, "resolved")


def _refused(visit: Visit, refusal: Refusal) -> Away:
    if refusal.status != 409 or not is_note(refusal.code):
        raise refusal
    return _back(visit, refusal.code)


def _back(visit: Visit, note: str) -> Away:
    """Where the click came from: the message's own page, or a list that is named."""
    return Away(place(_BACK.get(visit.given("back"), f"/dashboard/messages/{visit.params['id']}"), note=note))


def _zoned(name: str, text: str) -> str:
    if name in ("since", "until") and _LOCAL.fullmatch(text):
        return f"{text}{':00' if len(text) == 16 else ''}Z"
    return text
