"""The description (OpenAPI 3.1), made from the route table and the structs: what it says is what the code does.

The schemas' dialect is JSON Schema 2020-12, the same that refuses a body.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

from sendwright import __version__
from sendwright.model import ids
from sendwright.model.api_key import API_KEY, TENANT_PATTERN
from sendwright.policy.payload_schema import schema_of
from sendwright.policy.type_rules import NAME_PATTERN
from sendwright.web.api import problems
from sendwright.web.api.problems import PLACES, Problem, ProblemError
from sendwright.web.api.table import INBOX, OPEN, WATCH, Call

_REF = "#/components/schemas/{name}"
_DIGITS = "[0-9a-hjkmnp-tv-z]"
_PATTERNS = {
    "/v1/keys/{id}": f"^{API_KEY}{_DIGITS}{{8}}$",
    "/v1/notifications/{id}": f"^{ids.NOTIFICATION}{_DIGITS}{{32}}$",
    "/v1/messages/{id}": f"^{ids.MESSAGE}{_DIGITS}{{34}}$",
    "/v1/suppressions/{id}": "^sup_[0-9a-f]{32}$",
    "/v1/providers/{name}": "^[a-z][a-z0-9-]{0,62}$",
    "/v1/types/{name}": NAME_PATTERN,
    "/v1/hooks/{provider}": "^[a-z][a-z0-9-]{0,62}$",
    "/u/{token}": "^[A-Za-z0-9_-]{1,2048}$",
}

_TEXT = {"type": "string"}


def _header(description: str, schema: dict[str, Any], *, always: bool = False) -> dict[str, Any]:
    return {"description": description, "schema": schema, "required": always}


_HEADERS = {
    "Idempotency-Key": _header("1 to 255 printable ASCII characters; quotes around it are dropped.", _TEXT),
    "traceparent": _header("W3C Trace Context, carried to the attempts; a malformed one is ignored.", _TEXT),
    "If-None-Match": _header("The ETag of what the caller has.", _TEXT),
    "Last-Event-ID": _header("Go on after this event.", {"type": "string", "pattern": "^[0-9]{1,18}$"}),
    "Sendwright-Tenant": _header(
        "The admin key acts for this tenant; no other key may send it.", {"type": "string", "pattern": TENANT_PATTERN}
    ),
}
_ANSWER_HEADERS = {
    "Request-Id": _header("The request's own, if sane, else a new one.", _TEXT, always=True),
    "Location": _header("Where to read it.", _TEXT, always=True),
    "Idempotency-Replayed": _header("Present when this is the first answer again.", {"const": "true"}),
    "Retry-After": _header("Seconds.", {"type": "string", "pattern": "^[0-9]+$"}, always=True),
    "Allow": _header("The methods of this path.", _TEXT, always=True),
    "WWW-Authenticate": _header("How to authenticate, where a key is missing.", _TEXT),
    "RateLimit-Policy": _header("The rate of the key, where it has one: q calls in w seconds.", _TEXT),
    "RateLimit": _header("What is left of it: r calls, one more in t seconds.", _TEXT),
}
_OF_STATUS = {401: ("WWW-Authenticate",), 429: ("Retry-After", "RateLimit-Policy", "RateLimit"), 503: ("Retry-After",)}
_OF_KEYED = ("RateLimit-Policy", "RateLimit")


def describe(calls: Sequence[Call], public_url: str) -> dict[str, Any]:
    """The whole document."""
    components: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    _schema(Problem, components)
    components[ProblemError.__name__]["oneOf"] = [{"required": [place]} for place in PLACES]
    for call in calls:
        item = paths.setdefault(call.path, {})
        item[call.method.lower()] = _operation(call, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sendwright",
            "version": __version__,
            "description": "Notifications over every channel. Errors are problem documents (RFC 9457) that list every fault.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "tags": [{"name": tag} for tag in dict.fromkeys(call.tag for call in calls)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "recipient": {"type": "http", "scheme": "bearer", "description": "A recipient's token, for the inbox."},
            },
        },
    }


def statuses(call: Call) -> list[int]:
    """The problem statuses that a call may answer: its own, and those that follow from its row."""
    found = set(call.errors)
    keyed = call.scope not in (OPEN, WATCH, INBOX)
    if keyed:
        found |= {401, 403, 422, 429, 503}
    if call.scope in (WATCH, INBOX):
        found |= {401}
    if "{" in call.path:
        found |= {404}
    if call.body is not bytes:
        found |= {422}  # of unknown query parameters at least
    if call.body is not None:
        found |= {408, 413}
    if call.body not in (None, bytes):
        found |= {400, 415, 422}
    return sorted(found)


def _operation(call: Call, components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _name_of(call),
        "summary": call.summary,
        "tags": [call.tag],
        "security": _security(call),
        "responses": {str(call.status): _success(call, components)},
    }
    parameters = list(_parameters(call, components))
    if parameters:
        operation["parameters"] = parameters
    if call.body is bytes:
        operation["requestBody"] = {"content": {"*/*": {"schema": {}}}, "description": "As it is sent."}
    elif call.body is not None:
        schema = _schema(call.body, components)
        operation["requestBody"] = {"required": not call.optional, "content": {"application/json": {"schema": schema}}}
    for status in statuses(call):
        if str(status) not in operation["responses"]:
            operation["responses"][str(status)] = _refusal(call, status)
    if call.method == "GET" and call.body is bytes:
        del operation["requestBody"]
    return operation


def _name_of(call: Call) -> str:
    return call.handler.__name__ if call.handler and call.body is not bytes else f"{call.method.lower()}_{_last_word(call.path)}"


def _last_word(path: str) -> str:
    words = [word for word in path.split("/") if word and not word.startswith("{")]
    return words[-1].removesuffix("s") if words else "root"


def _security(call: Call) -> list[dict[str, Any]]:
    if call.scope == OPEN:
        return []
    if call.scope == INBOX:
        return [{"recipient": []}]
    return [{}, {"key": []}] if call.scope == WATCH else [{"key": [call.scope]}]


def _of_key(call: Call) -> tuple[str, ...]:
    return () if call.scope in (OPEN, WATCH, INBOX) else _OF_KEYED


def _parameters(call: Call, components: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in call.path.split("/"):
        if part.startswith("{"):
            schema: dict[str, Any] = {"type": "string", "minLength": 1}
            pattern = next((pattern for prefix, pattern in _PATTERNS.items() if call.path.startswith(prefix)), None)
            if pattern is not None:
                schema["pattern"] = pattern
            yield {"name": part[1:-1], "in": "path", "required": True, "schema": schema}
    if call.query is not None:
        schema, definitions = schema_of(call.query, _REF)
        fields = definitions.pop(call.query.__name__)
        components.update(definitions)
        for name, field in fields["properties"].items():
            yield {"name": name, "in": "query", "required": False, "schema": field}
    tenant = () if call.scope in (OPEN, WATCH, INBOX) else ("Sendwright-Tenant",)
    for name in (*call.headers, *tenant):
        yield {"name": name, "in": "header", **_HEADERS[name]}


def _success(call: Call, components: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": HTTPStatus(call.status).phrase,
        "headers": {name: _ANSWER_HEADERS[name] for name in ("Request-Id", *_of_key(call), *call.answer_headers)},
    }
    if call.status != HTTPStatus.NO_CONTENT:
        schema = {"type": "string"} if call.answer is None else _schema(call.answer, components)
        answer["content"] = {call.media_type: {"schema": schema}}
    return answer


def _refusal(call: Call, status: int) -> dict[str, Any]:
    if status == HTTPStatus.NOT_MODIFIED:
        return {"description": HTTPStatus(status).phrase, "headers": {"Request-Id": _ANSWER_HEADERS["Request-Id"]}}
    headers = ["Request-Id", *_OF_STATUS.get(status, ())]
    media, schema = problems.MEDIA_TYPE, {"$ref": _REF.format(name="Problem")}
    if call.path == "/readyz":
        headers, media, schema = ["Request-Id"], "application/json", {"type": "object"}
    content: dict[str, Any] = {media: {"schema": schema}}
    if call.path.startswith("/u/"):  # people read those
        content[call.media_type] = {"schema": _TEXT}
    return {
        "description": HTTPStatus(status).phrase,
        "headers": {name: _ANSWER_HEADERS[name] for name in headers},
        "content": content,
    }


def _schema(kind: Any, components: dict[str, Any]) -> dict[str, Any]:
    schema, definitions = schema_of(kind, _REF)
    components.update(definitions)
    return schema
