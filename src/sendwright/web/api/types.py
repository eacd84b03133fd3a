"""Calls on types: put, show, list, delete, and see what they would say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import UnsetType

from sendwright.model.layouts import LayoutVersion
from sendwright.model.types import TypeBody, TypeVersion
from sendwright.policy.admission import ttl_ok
from sendwright.policy.duration import rfc3339
from sendwright.policy.filling import Unfillable, filled
from sendwright.policy.layouts import named_by, reference_faults, references, travelling
from sendwright.policy.payload_schema import Fault
from sendwright.policy.planning import DEFAULT_ORDER, about_of
from sendwright.policy.segments import segments_of
from sendwright.policy.strict_json import Malformed, parse
from sendwright.policy.type_rules import body_faults, data_faults, is_name, name_faults, parsed, said_by
from sendwright.policy.unsubscribing import MARKETING, URL_NAME
from sendwright.web.api import problems
from sendwright.web.api.contents import fitted, provider_of
from sendwright.web.api.notifications import opened, sealed
from sendwright.web.api.problems import Refusal
from sendwright.web.api.services import Services
from sendwright.web.api.table import Answer, Ask
from sendwright.web.api.type_shapes import ChannelPreview, Preview, TypeList, TypesQuery, TypeView

_MESSAGE = "msg_" + "0" * 34
"""An id as long as one is."""


async def put_type(ask: Ask) -> TypeView:
    """Everything that is wrong with it at once, its name included."""
    services, name = ask.services, ask.params["name"]
    body = await judged(services, ask.caller.tenant, name, ask.body)
    return _view(await services.types.put(ask.caller.tenant, name, body, services.clock.now_ms()))


async def judged(services: Services, tenant: str, name: str, raw: bytes) -> TypeBody:
    """A type as it would be put. Raises `Refusal` with everything that is wrong with it, its name included."""
    doc = parse(raw)
    if isinstance(doc, Malformed):
        raise Refusal(400, doc.code, doc.detail)
    found = {fault.pointer: fault for fault in body_faults(doc, services.rules.schemes, services.rules.known, ttl_ok)}
    if isinstance(doc, dict):
        content = doc.get("content")
        layouts = await _layouts(services, tenant, {named for named, _ in references(content)})
        found |= {fault.pointer: fault for fault in reference_faults(content, layouts)}
    faults = [*wrong_name(name), *(problems.of_fault(fault) for fault in found.values())]
    if faults:
        raise Refusal(422, "invalid_request", "The type has faults.", faults)
    return msgspec.convert(whole(doc), TypeBody)


async def get_type(ask: Ask) -> TypeView:
    version = ask.query.version
    return _view(await _found(ask, None if isinstance(version, UnsetType) else version))


async def list_types(ask: Ask) -> TypeList:
    query: TypesQuery = ask.query
    listed = await ask.services.types.list(ask.caller.tenant, query.limit, opened(ask, query))
    return TypeList([_view(row) for row in listed.rows], sealed(ask, query, listed.next))


async def delete_type(ask: Ask) -> Answer:
    name = ask.params["name"]
    if not is_name(name) or not await ask.services.types.delete(ask.caller.tenant, name):
        raise problems.not_found()
    return Answer(204)


async def preview_type(ask: Ask) -> Preview:
    """Sends nothing."""
    version = ask.body.version
    return await previewed(ask, await _found(ask, None if isinstance(version, UnsetType) else version))


async def previewed(ask: Ask, found: TypeVersion) -> Preview:
    """What a type would say, stored or not. Raises `Refusal` (422) for data that it does not take."""
    wrong = list(name_faults(ask.body.data))
    if not isinstance(found.body.schema, UnsetType):
        wrong += data_faults(found.body.schema, ask.body.data)
    if wrong:
        raise problems.of_faults(wrong)
    layouts = await _layouts(ask.services, ask.caller.tenant, named_by(found.body.content))
    return Preview(found.pinned, [_preview(ask, found, layouts, channel) for channel in DEFAULT_ORDER])


def wrong_name(name: str) -> list[problems.ProblemError]:
    """What is wrong with the name of a type or a layout."""
    detail = "must begin with a letter or digit and have at most 100 of a-z, 0-9, dot, dash and underscore"
    return [] if is_name(name) else [problems.of_parameter("name", "invalid_name", detail)]


async def _layouts(services: Services, tenant: str, names: Iterable[str]) -> dict[str, LayoutVersion]:
    """Those of them that there are, as they stand now."""
    found = {}
    for name in names:
        parts = parsed(name)
        layout = None if parts is None else await services.layouts.get(tenant, *parts)
        if layout is not None:
            found[name] = layout
    return found


def whole(value: Any) -> Any:
    """To JSON Schema 5.0 is a whole number."""
    if isinstance(value, dict):
        return {name: whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _preview(ask: Ask, found: TypeVersion, layouts: Mapping[str, LayoutVersion], channel: str) -> ChannelPreview:
    recipient = ask.body.recipient
    about: dict[str, Any] = {} if isinstance(recipient, UnsetType) else about_of(recipient)
    notification = {
        "id": "ntf_preview",
        "type": found.name,
        "category": found.body.category,
        "priority": found.body.priority,
        "created_at": rfc3339(ask.services.clock.now_ms()),
        "metadata": {},
    }
    content = msgspec.structs.replace(
        said_by(found.body), data=ask.body.data, notification=notification, layouts=travelling(layouts, layouts)
    )
    beside = {URL_NAME: ask.services.links.shown} if found.body.category == MARKETING else {}
    said = filled(content, about, {channel}, ask.services.rules.schemes, beside)
    if isinstance(said, Unfillable):
        return ChannelPreview(channel, None, None, None, None, None, [_shown(fault) for fault in said.faults])
    out, cut, refused = fitted(said, channel, provider_of(ask.services, channel), _MESSAGE)
    errors = [] if refused is None else [{"pointer": "#/content", "code": "too_long", "detail": refused}]
    own = said.own(channel)
    alone = None if own is None else msgspec.to_builtins(own)
    segments = segments_of(out.body) if channel == "sms" else None
    return ChannelPreview(channel, out.title, out.body, out.html, said.url, alone, errors, segments, cut)


def _shown(fault: Fault) -> dict[str, str]:
    return {"pointer": fault.pointer, "code": fault.code, "detail": fault.detail}


async def _found(ask: Ask, version: int | None) -> TypeVersion:
    name = ask.params["name"]
    found = await ask.services.types.get(ask.caller.tenant, name, version) if is_name(name) else None
    if found is None:
        raise problems.not_found()
    return found


def _view(found: TypeVersion) -> TypeView:
    body = found.body
    return TypeView(
        name=found.name,
        version=found.version,
        created_at=rfc3339(found.at),
        description=body.description,
        category=body.category,
        priority=body.priority,
        schema=None if isinstance(body.schema, UnsetType) else body.schema,
        content=body.content,
        plan=None if isinstance(body.plan, UnsetType) else body.plan,
        ttl=None if isinstance(body.ttl, UnsetType) else body.ttl,
    )
