"""Calls on types: put, show, list, delete, and see what they would say."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UnsetType

from sendwright.engine.render import words_of
from sendwright.model.types import TypeBody, TypeVersion
from sendwright.policy.admission import ttl_ok
from sendwright.policy.duration import rfc3339
from sendwright.policy.filling import Unfillable, filled
from sendwright.policy.payload_schema import Fault
from sendwright.policy.planning import DEFAULT_ORDER, about_of
from sendwright.policy.segments import segments_of
from sendwright.policy.strict_json import Malformed, parse
from sendwright.policy.type_rules import body_faults, data_faults, is_name, name_faults, said_by
from sendwright.web.api import problems
from sendwright.web.api.notifications import opened, sealed
from sendwright.web.api.problems import Refusal
from sendwright.web.api.table import Answer, Ask
from sendwright.web.api.type_shapes import ChannelPreview, Preview, TypeList, TypesQuery, TypeView


async def put_type(ask: Ask) -> TypeView:
    """Everything that is wrong with it at once, its name included."""
    services, name = ask.services, ask.params["name"]
    doc = parse(ask.body)
    if isinstance(doc, Malformed):
        raise Refusal(400, doc.code, doc.detail)
    found = body_faults(doc, services.rules.schemes, services.rules.known, ttl_ok)
    faults = [problems.of_fault(fault) for fault in found]
    if not is_name(name):
        detail = "must begin with a letter or digit and have at most 100 of a-z, 0-9, dot, dash and underscore"
        faults.insert(0, problems.of_parameter("name", "invalid_name", detail))
    if faults:
        raise Refusal(422, "invalid_request", "The type has faults.", faults)
    body = msgspec.convert(_whole(doc), TypeBody)
    return _view(await services.types.put(ask.caller.tenant, name, body, services.clock.now_ms()))


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
    found = await _found(ask, None if isinstance(version, UnsetType) else version)
    wrong = list(name_faults(ask.body.data))
    if not isinstance(found.body.schema, UnsetType):
        wrong += data_faults(found.body.schema, ask.body.data)
    if wrong:
        raise problems.of_faults(wrong)
    return Preview(found.pinned, [_preview(ask, found, channel) for channel in DEFAULT_ORDER])


def _whole(value: Any) -> Any:
    """To JSON Schema 5.0 is a whole number."""
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _preview(ask: Ask, found: TypeVersion, channel: str) -> ChannelPreview:
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
    content = msgspec.structs.replace(said_by(found.body), data=ask.body.data, notification=notification)
    said = filled(content, about, {channel}, ask.services.rules.schemes)
    if isinstance(said, Unfillable):
        return ChannelPreview(channel, None, None, None, None, None, [_shown(fault) for fault in said.faults])
    title, body, html, _ = words_of(said, channel)
    own = said.own(channel)
    alone = None if own is None else msgspec.to_builtins(own)
    return ChannelPreview(channel, title, body, html, said.url, alone, [], segments_of(body) if channel == "sms" else None)


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
