"""Types: the list, one with its versions and what it would say, a new version, and two versions beside one another.

Whoever may change types sees what the fields of the form would say, stored or not; whoever may only look sees a stored version.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, NamedTuple

import msgspec

from sendwright.model.types import TypeBody, TypeVersion
from sendwright.policy.templates import RESERVED
from sendwright.web.api import types as api
from sendwright.web.api.problems import Refusal
from sendwright.web.api.type_shapes import ChannelPreview, PreviewWish, TypeQuery, TypesQuery, TypeView
from sendwright.web.dashboard.comparing import compared
from sendwright.web.dashboard.forms import body
from sendwright.web.dashboard.listing import listed
from sendwright.web.dashboard.type_form import (
    CHOICES,
    FIELDS,
    GROUPS,
    Faults,
    as_document,
    as_fields,
    by_place,
    faults_at,
    pretty,
)
from sendwright.web.dashboard.visit import Away, Shown, Visit, place

_PATH = "/dashboard/types"
_SHOWN = 20
"""Versions that are listed."""
_APART = ("email", "sms", "push")
"""Channels with a look of their own, in this order; the others follow."""
_BESIDE = ("data", "recipient")
_NAMED = re.compile(r"\{\{-?\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")
_NEW = {"category": "transactional", "priority": "normal", "data": '{"name": "Ada"}', "body": "Hello {{ name }}"}


class Said(NamedTuple):
    """What a preview found."""

    channels: list[ChannelPreview]
    faults: Faults


async def list_types(visit: Visit) -> Shown:
    return Shown("types.html", await listed(visit, TypesQuery, api.list_types, _PATH))


async def new_type(visit: Visit) -> Shown:
    return await _page(visit, None, _NEW | {"name": visit.query.get("name", "")}, Said([], {}))


async def one_type(visit: Visit) -> Shown:
    name, version = visit.params["type"], _number(visit.query.get("version"))
    found = await _view(visit, name, version)
    values = as_fields(_body(found)) | {"name": name, "data": _example(found), "recipient": ""}
    return await _page(visit, found, values, await _said(visit, found, values))


async def preview(visit: Visit) -> Shown:
    """What the form would say; a script gets the part that shows it, with the faults for their places."""
    values = _values(visit)
    found = await _stored(visit)
    said = await _said(visit, found, values)
    if visit.part:
        return Shown("_preview.html", _seen(said) | {"fields": [field.name for field in FIELDS], "values": values, "part": True})
    return await _page(visit, found, values, said)


async def save(visit: Visit) -> Away | Shown:
    """A new version, unless somebody else made one since the form was opened."""
    values, found = _values(visit), await _stored(visit)
    name, seen = values["name"], _number(visit.given("newest"))
    raw, faults = as_document(values)
    newest = await _maybe(visit, name, None)
    if (None if newest is None else newest.version) != seen:
        faults["name"] = ["is a type already" if seen is None else "has been changed meanwhile: open it anew, and save that"]
    if not faults:
        try:
            after = await api.put_type(visit.ask(name=name, body=raw))
        except Refusal as refusal:
            faults = by_place(refusal)
        else:
            same = newest is not None and after.version == newest.version
            return Away(place(f"{_PATH}/{name}", note="unchanged" if same else "saved", done=after.version))
    said = await _said(visit, found, values)
    return await _page(visit, found, values, Said(said.channels, said.faults | faults), 422)


async def delete(visit: Visit) -> Away:
    await api.delete_type(visit.ask(name=visit.given("name")))
    return Away(place(_PATH, note="type_deleted"))


async def compare(visit: Visit) -> Shown:
    name = visit.params["type"]
    newest = await _view(visit, name, None)
    before, after = _number(visit.query.get("from")), _number(visit.query.get("to"))
    pair = (before or max(1, newest.version - 1), after or newest.version)
    old, new = await asyncio.gather(*(_view(visit, name, number) for number in pair))
    parts = compared(as_fields(_body(old)), as_fields(_body(new)), {field.name: _label(field.name) for field in FIELDS})
    values = {"name": name, "old": old, "new": new, "parts": parts, "versions": await _versions(visit, newest)}
    return Shown("type_compare.html", values)


async def _page(visit: Visit, found: TypeView | None, values: dict[str, str], said: Said, status: int = 200) -> Shown:
    newest = None if found is None else await _view(visit, found.name, None)
    shown = {
        "type": found,
        "newest": newest,
        "versions": [] if newest is None else await _versions(visit, newest),
        "values": {field.name: "" for field in FIELDS} | {"name": "", "data": "", "recipient": ""} | values,
        "groups": GROUPS,
        "choices": CHOICES,
        "part": False,
        "refused": status != 200,
        **_seen(said),
    }
    return Shown("type.html", shown, status, frames=True)


def _seen(said: Said) -> dict[str, Any]:
    ordered = {preview.channel: preview for preview in said.channels}
    apart = [ordered.pop(name) for name in _APART if name in ordered]
    return {"apart": apart, "others": list(ordered.values()), "faults": said.faults}


async def _said(visit: Visit, found: TypeView | None, values: dict[str, str]) -> Said:
    """What it would say of the data in the form, and everything that keeps it from it."""
    faults: Faults = {}
    wish = PreviewWish()
    try:
        wish = body(PreviewWish, {name: _given(values, name, faults) for name in _BESIDE})
        draft = await _draft(visit, found, values, faults)
        if draft is None or faults:
            return Said([], faults)
        shown = await api.previewed(visit.ask(body=wish), draft)
    except Refusal as refusal:
        return Said([], faults | by_place(refusal))
    for channel in shown.channels:
        for name, wrong in (faults_at(channel.errors) if channel.errors else {}).items():
            faults.setdefault(name, []).extend(each for each in wrong if each not in faults.get(name, []))
    return Said(shown.channels, faults)


async def _draft(visit: Visit, found: TypeView | None, values: dict[str, str], faults: Faults) -> TypeVersion | None:
    """The type to be shown; raises `Refusal` with its faults."""
    now = visit.services.clock.now_ms()
    if "admin" not in visit.by.caller.scopes:
        return None if found is None else TypeVersion(found.name, found.version, now, _body(found))
    raw, wrong = as_document(values)
    faults |= wrong
    if wrong:
        return None
    name = values["name"] or "new"
    return TypeVersion(
        name, found.version if found else 1, now, await api.judged(visit.services, visit.by.caller.tenant, name, raw)
    )


def _given(values: dict[str, str], name: str, faults: Faults) -> Any:
    text = values.get(name, "").strip()
    if not text:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        faults[name] = ["is not JSON"]
        return None


def _values(visit: Visit) -> dict[str, str]:
    return {name: visit.text(name) for name in ("name", *(field.name for field in FIELDS), *_BESIDE)}


def _body(found: TypeView) -> TypeBody:
    doc = {name: value for name, value in msgspec.to_builtins(found).items() if value is not None}
    return msgspec.convert({name: doc[name] for name in TypeBody.__struct_fields__ if name in doc}, TypeBody)


def _example(found: TypeView) -> str:
    """Data to begin with: the examples or defaults of the schema, else a blank for each name that it, or a template, asks for."""
    asked = found.schema.get("properties") if found.schema else None
    made: dict[str, Any] = {}
    for name, part in asked.items() if isinstance(asked, dict) else ():
        given = part if isinstance(part, dict) else {}
        examples, blank = given.get("examples"), given.get("default", _blank(name, given.get("type")))
        made[name] = examples[0] if isinstance(examples, list) and examples else blank
    for path in [] if made else _NAMED.findall(msgspec.json.encode(found.content).decode()):
        *outer, last = path.split(".")
        at: Any = made
        for name in outer:
            at = at.setdefault(name, {}) if isinstance(at, dict) else None
        if isinstance(at, dict) and [*outer, last][0] not in RESERVED:
            at.setdefault(last, last)
    return pretty({name: value for name, value in made.items() if name not in RESERVED})


def _blank(name: str, kind: object) -> Any:
    return {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}.get(str(kind), name)


async def _versions(visit: Visit, newest: TypeView) -> list[TypeView]:
    """The newest of them, newest first."""
    numbers = range(newest.version - 1, max(0, newest.version - _SHOWN), -1)
    found = await asyncio.gather(*(_maybe(visit, newest.name, number) for number in numbers))
    return [newest, *(view for view in found if view is not None)]


async def _view(visit: Visit, name: str, version: int | None) -> TypeView:
    return await api.get_type(visit.ask(name=name, query=TypeQuery() if version is None else TypeQuery(version=version)))


async def _maybe(visit: Visit, name: str, version: int | None) -> TypeView | None:
    try:
        return await _view(visit, name, version)
    except Refusal as refusal:
        if refusal.status != 404:
            raise
        return None


async def _stored(visit: Visit) -> TypeView | None:
    """The version that the form began with."""
    version = _number(visit.given("version"))
    return None if version is None else await _view(visit, visit.text("name"), version)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text) > 0 else None


def _label(name: str) -> str:
    return next(f"{group.name}: {field.label}" for group in GROUPS for field in group.fields if field.name == name)
