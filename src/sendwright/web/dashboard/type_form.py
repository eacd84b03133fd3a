"""A type as the fields of a form, and back. Pure.

What people write most has a field each; what else a type may say stands as JSON: its schema, its plan, and the rest of its content.
All of it together is one document, the body of `PUT /v1/types/{name}`, and a fault's pointer leads back to its field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from sendwright.model.types import TypeBody
from sendwright.policy.strict_json import Malformed, parse
from sendwright.web.api.problems import ProblemError, Refusal
from sendwright.web.dashboard.forms import place_of

Path = tuple[str, ...]


class Field(NamedTuple):
    """`lines`: how high its box is; 1 is a line, 0 a choice."""

    name: str
    label: str
    path: Path
    lines: int = 1
    hint: str = ""


class Group(NamedTuple):
    name: str
    fields: tuple[Field, ...]


GROUPS = (
    Group(
        "The type",
        (
            Field("description", "Description", ("description",)),
            Field("category", "Category", ("category",), 0),
            Field("priority", "Priority", ("priority",), 0),
            Field("ttl", "Good for", ("ttl",), 1, "as 10m or 36h; empty: as the settings say"),
        ),
    ),
    Group(
        "Every channel",
        (
            Field("title", "Title", ("content", "title")),
            Field("body", "Text", ("content", "body"), 5),
            Field("url", "Link", ("content", "url")),
        ),
    ),
    Group(
        "Email",
        (
            Field("email_subject", "Subject", ("content", "email", "subject"), 1, "empty: the title"),
            Field("email_html", "HTML", ("content", "email", "html"), 10),
            Field("email_text", "Text", ("content", "email", "text"), 4, "empty: the text of every channel"),
        ),
    ),
    Group("SMS", (Field("sms_body", "Text", ("content", "sms", "body"), 3, "empty: title and text of every channel"),)),
    Group(
        "Push",
        (
            Field("push_title", "Title", ("content", "push", "title")),
            Field("push_body", "Text", ("content", "push", "body"), 2),
        ),
    ),
    Group(
        "As JSON",
        (
            Field("schema", "Schema of the data", ("schema",), 5, "JSON Schema 2020-12"),
            Field("plan", "Plan", ("plan",), 4, 'as {"channels": ["push", "sms"]}'),
            Field("more", "All else in the content", ("content",), 4, "other channels, locales, media, actions"),
        ),
    ),
)
FIELDS = tuple(field for group in GROUPS for field in group.fields)
CHOICES = {"category": ("transactional", "marketing"), "priority": ("critical", "high", "normal", "bulk")}
_JSON = ("schema", "plan", "more")
_TEXTS = tuple(field for field in FIELDS if field.name not in _JSON)
_PLACES: dict[Path, str] = {field.path: field.name for field in FIELDS} | {
    ("name",): "name",
    ("data",): "data",
    ("recipient",): "recipient",
}

Faults = dict[str, list[str]]


def as_fields(body: TypeBody) -> dict[str, str]:
    """What every field holds of a stored type."""
    doc: dict[str, Any] = msgspec.to_builtins(body)
    values = {field.name: _taken(doc, field.path) for field in _TEXTS}
    values["category"], values["priority"] = body.category, body.priority
    content = {name: said for name, said in doc.get("content", {}).items() if said != {}}
    parts = {"schema": doc.get("schema"), "plan": doc.get("plan"), "more": content or None}
    return values | {name: "" if part is None else pretty(part) for name, part in parts.items()}


def as_document(values: Mapping[str, str]) -> tuple[bytes, Faults]:
    """The document that these fields make, and what keeps some of them from being a part of it."""
    faults: Faults = {}
    parts = {name: _json(values.get(name, ""), name, faults) for name in _JSON}
    doc: dict[str, Any] = {name: parts[name] for name in ("schema", "plan") if parts[name] is not None}
    more = parts["more"]
    if more is not None and not isinstance(more, dict):
        faults["more"] = ["must be an object"]
    doc["content"] = more if isinstance(more, dict) else {}
    for field in _TEXTS:
        if values.get(field.name):
            _put(doc, field, values[field.name], faults)
    return msgspec.json.encode(doc), faults


def by_place(refusal: Refusal) -> Faults:
    """Faults by field; one that is no field's own stands with its pointer at the field that it is in, or under no name."""
    found: Faults = {}
    for fault in refusal.faults:
        name, said = _placed(fault)
        found.setdefault(name, []).append(said)
    return found or {"": [refusal.detail]}


def faults_at(faults: Iterable[Mapping[str, str]]) -> Faults:
    """The same for those of a preview."""
    return by_place(Refusal(422, "", "", [ProblemError(f["code"], f["detail"], pointer=f["pointer"]) for f in faults]))


def _placed(fault: ProblemError) -> tuple[str, str]:
    at = place_of(fault)
    path = tuple(part.replace("~1", "/").replace("~0", "~") for part in at.removeprefix("#").removeprefix("/").split("/"))
    if path in _PLACES and path != ("content",):
        return _PLACES[path], fault.detail
    for end in range(len(path) - 1, 0, -1):
        if path[:end] in _PLACES:
            return _PLACES[path[:end]], f"{at} {fault.detail}"
    return ("more", f"{at} {fault.detail}") if path[0] == "content" and len(path) > 1 else ("", f"{path[0]} {fault.detail}".strip())


def _json(text: str, name: str, faults: Faults) -> Any:
    if not text.strip():
        return None
    value = parse(text.encode("utf-8", "surrogatepass"))
    if isinstance(value, Malformed):
        faults[name] = [value.detail.replace("The body", "It")]
        return None
    return value


def _put(doc: dict[str, Any], field: Field, value: str, faults: Faults) -> None:
    """Writes a text at its place; what stands there already came as JSON, and one of the two must go."""
    at: Any = doc
    for name in field.path[:-1]:
        at = at.setdefault(name, {}) if isinstance(at, dict) else None
    if not isinstance(at, dict) or field.path[-1] in at:
        faults.setdefault("more", []).append(f"#/{'/'.join(field.path)} has a field of its own above")
        return
    at[field.path[-1]] = value


def _taken(doc: dict[str, Any], path: Path) -> str:
    at: Any = doc
    for name in path[:-1]:
        at = at.get(name) if isinstance(at, dict) else None
    value = at.pop(path[-1], None) if isinstance(at, dict) and isinstance(at.get(path[-1]), str) else None
    return value or ""


def pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
