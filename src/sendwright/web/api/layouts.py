"""Calls on layouts: put, show, list, delete. What a mail looks like in one, the preview of a type that names it shows."""

from __future__ import annotations

import msgspec
from msgspec import UnsetType

from sendwright.model.layouts import LayoutBody, LayoutVersion
from sendwright.policy.duration import rfc3339
from sendwright.policy.layouts import layout_faults, named_by
from sendwright.policy.strict_json import Malformed, parse
from sendwright.policy.type_rules import is_name
from sendwright.web.api import problems
from sendwright.web.api.notifications import opened, sealed
from sendwright.web.api.problems import Refusal
from sendwright.web.api.table import Answer, Ask
from sendwright.web.api.type_shapes import LayoutList, LayoutsQuery, LayoutView
from sendwright.web.api.types import whole, wrong_name

_TYPES = 100
"""Types that are looked through at a time."""
_NAMED_MAX = 20
"""So many types are told that still name a layout."""


async def put_layout(ask: Ask) -> LayoutView:
    """Everything that is wrong with it at once, its name included."""
    services, name = ask.services, ask.params["name"]
    doc = parse(ask.body)
    if isinstance(doc, Malformed):
        raise Refusal(400, doc.code, doc.detail)
    faults = [*wrong_name(name), *(problems.of_fault(fault) for fault in layout_faults(doc))]
    if faults:
        raise Refusal(422, "invalid_request", "The layout has faults.", faults)
    body = msgspec.convert(whole(doc), LayoutBody)
    return _view(await services.layouts.put(ask.caller.tenant, name, body, services.clock.now_ms()))


async def get_layout(ask: Ask) -> LayoutView:
    name, version = ask.params["name"], ask.query.version
    wanted = None if isinstance(version, UnsetType) else version
    found = await ask.services.layouts.get(ask.caller.tenant, name, wanted) if is_name(name) else None
    if found is None:
        raise problems.not_found()
    return _view(found)


async def list_layouts(ask: Ask) -> LayoutList:
    query: LayoutsQuery = ask.query
    listed = await ask.services.layouts.list(ask.caller.tenant, query.limit, opened(ask, query))
    return LayoutList([_view(row) for row in listed.rows], sealed(ask, query, listed.next))


async def delete_layout(ask: Ask) -> Answer:
    """Not while the newest version of a type names it."""
    name = ask.params["name"]
    if not is_name(name) or await ask.services.layouts.get(ask.caller.tenant, name) is None:
        raise problems.not_found()
    types = await _types_with(ask, name)
    if types:
        told = ", ".join(types[:_NAMED_MAX]) + (f" and {len(types) - _NAMED_MAX} more" if len(types) > _NAMED_MAX else "")
        raise Refusal(409, "in_use", f"Types name it: {told}.")
    if not await ask.services.layouts.delete(ask.caller.tenant, name):
        raise problems.not_found()
    return Answer(204)


async def _types_with(ask: Ask, layout: str) -> list[str]:
    """The types that name a layout, in whatever version of it."""
    found: list[str] = []
    after: str | None = None
    while True:
        listed = await ask.services.types.list(ask.caller.tenant, _TYPES, after)
        found += (row.name for row in listed.rows if any(named.partition("@")[0] == layout for named in named_by(row.body.content)))
        after = listed.next
        if after is None:
            return found


def _view(found: LayoutVersion) -> LayoutView:
    body = found.body
    return LayoutView(
        name=found.name,
        version=found.version,
        created_at=rfc3339(found.at),
        description=body.description,
        html=body.html,
        text=body.text,
        locales=body.locales,
    )
