"""/openapi.json and /docs: the description as a document and as one page, made once, with nothing from elsewhere.

The page has no script. Its one style is allowed by its hash; everything from the description is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import Any

import msgspec

from sendwright.web.api.openapi import describe
from sendwright.web.api.table import Answer, Ask, Call, Described

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { margin: 0 0 .25rem; } h2 { margin: 2.5rem 0 .75rem; border-bottom: 1px solid var(--line); }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; padding: .5rem .75rem; }
summary { cursor: pointer; } summary code { font-weight: 600; }
code, pre { font: .875rem/1.45 ui-monospace, monospace; } pre { overflow: auto; padding: .75rem; border: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .75rem .25rem 0; vertical-align: top; }
.method { display: inline-block; min-width: 4rem; }
a:focus-visible, summary:focus-visible { outline: 2px solid; outline-offset: 2px; }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CSP = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'".encode()


async def openapi_document(ask: Ask) -> Answer:
    return Answer(body=ask.described.document)


async def docs_page(ask: Ask) -> Answer:
    return Answer(body=ask.described.page, media_type="text/html; charset=utf-8", csp=CSP)


def described(calls: Sequence[Call], public_url: str) -> Described:
    """The table as document and page. Made once for a table and an address, however many applications a process builds."""
    return _described(tuple(calls), public_url)


@lru_cache(maxsize=8)
def _described(calls: tuple[Call, ...], public_url: str) -> Described:
    description = describe(calls, public_url)
    return Described(msgspec.json.encode(description), render(description).encode())


def render(description: Mapping[str, Any]) -> str:
    """The page of a description."""
    info = description["info"]
    body = "".join(_body(description))
    title = f"{escape(info['title'])} {escape(info['version'])}"
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{title} API</title><style>{_STYLE}</style>"
    intro = f"<h1>{title}</h1><p>{escape(info['description'])} <a href='openapi.json'>OpenAPI 3.1 document</a></p>"
    return f"<!doctype html><html lang=en><head>{head}</head><body><main>{intro}{body}</main></body></html>"


def _body(description: Mapping[str, Any]) -> Iterator[str]:
    for tag in description["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2>"
        for path, item in description["paths"].items():
            for method, operation in item.items():
                if tag["name"] in operation["tags"]:
                    yield _operation(path, method, operation)
    yield "<h2>Schemas</h2>"
    for name, schema in description["components"]["schemas"].items():
        yield f"<details id='{escape(name)}'><summary><code>{escape(name)}</code></summary>{_json(schema)}</details>"


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    summary = f"<code><span class=method>{escape(method.upper())}</span>{escape(path)}</code> {escape(operation['summary'])}"
    body = operation.get("requestBody")
    parts = [_parameters(operation.get("parameters", ()))]
    if body is not None:
        parts.append(f"<p>Body</p>{_json(body['content'])}")
    parts.append(_answers(operation["responses"]))
    return f"<details><summary>{summary}</summary>{''.join(parts)}</details>"


def _parameters(parameters: Any) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code><td>{escape(p['in'])}<td><code>{escape(json.dumps(p['schema']))}</code>"
        f"<td>{escape(p.get('description', ''))}"
        for p in parameters
    )
    return f"<table><tr><th>Parameter<th>In<th>Schema<th>{rows}</table>" if rows else ""


def _answers(responses: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(status)}</code><td>{escape(answer['description'])}<td>"
        + ", ".join(
            f"<code>{escape(media)}</code> {_named(content['schema'])}" for media, content in answer.get("content", {}).items()
        )
        for status, answer in responses.items()
    )
    return f"<table><tr><th>Answer<th><th>Content{rows}</table>"


def _named(schema: Mapping[str, Any]) -> str:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return f"<a href='#{escape(name)}'>{escape(name)}</a>" if name else ""


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"
