"""Who must not be sent to: the list, looking somebody up, putting on and taking off. An address is only ever in a form's body."""

from __future__ import annotations

from typing import Any, get_args

from sendwright.model.people import Source
from sendwright.web.api import suppressions as api
from sendwright.web.api.auth import ADMIN_TENANT
from sendwright.web.api.people_shapes import (
    SuppressionBody,
    SuppressionReason,
    SuppressionSearch,
    SuppressionsQuery,
    SuppressionView,
)
from sendwright.web.api.problems import Refusal
from sendwright.web.dashboard.forms import EMPTY, Form, body, form_of, zoned
from sendwright.web.dashboard.listing import listed
from sendwright.web.dashboard.visit import Away, Shown, Visit, place

_PATH = "/dashboard/suppressions"
_FILTERS = ("channel", "reason", "source", "shared")
_FIELDS = ("address", "channel", "reason", "category", "expires_at")


async def list_suppressions(visit: Visit) -> Shown:
    return await _page(visit)


async def look_up(visit: Visit) -> Shown:
    """What forbids sending to an address. The address is not repeated but in the form that asked."""
    wish = {"address": visit.given("address"), "channel": visit.given("channel")}
    try:
        found = await api.look_up_suppressions(visit.ask(body=body(SuppressionSearch, wish)))
    except Refusal as refusal:
        if refusal.status != 422:
            raise
        return await _page(visit, search=form_of(visit, refusal, _FIELDS), status=422)
    return await _page(visit, search=form_of(visit), found=found.data)


async def add(visit: Visit) -> Away | Shown:
    wish = {name: visit.given(name) for name in _FIELDS} | {"expires_at": zoned(visit.given("expires_at"))}
    try:
        await api.post_suppression(visit.ask(body=body(SuppressionBody, wish)))
    except Refusal as refusal:
        if refusal.status != 422:
            raise
        return await _page(visit, adding=form_of(visit, refusal, _FIELDS), status=422)
    return Away(place(_PATH, note="suppressed"))


async def lift(visit: Visit) -> Away:
    await api.delete_suppression(visit.ask(id=visit.given("id")))
    return Away(place(_PATH, note="lifted"))


async def _page(
    visit: Visit, *, search: Form = EMPTY, adding: Form = EMPTY, found: list[SuppressionView] | None = None, status: int = 200
) -> Shown:
    values: dict[str, Any] = await listed(
        visit, SuppressionsQuery, api.list_suppressions, _PATH, _FILTERS, first=bool(search.values or adding.values)
    )
    values |= {
        "search": search,
        "adding": adding,
        "found": found,
        "channels": sorted(visit.services.rules.known),
        "reasons": get_args(SuppressionReason),
        "sources": get_args(Source),
        "may_share": visit.tenant == ADMIN_TENANT,
    }
    return Shown("suppressions.html", values, status)
