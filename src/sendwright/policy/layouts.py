"""What layouts may be, which a content names, and how one is put around a mail.

A layout is templates with one place for what they stand around: `{{ content }}`, alone in its tag and outside of `if` and `for`,
so that it is there whatever the data say. What is put there is a part that was filled in already: its HTML is escaped where it was
data, and not a second time. A mail without HTML has its text there, escaped, line by line.

Which layouts a notification has is looked up once, when it is accepted, and their words travel with it, as its type's do.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from sendwright.model.content import Content
from sendwright.model.layouts import LayoutBody, LayoutVersion
from sendwright.model.types import TypeContent
from sendwright.policy.locales import in_locale
from sendwright.policy.payload_schema import FAULTS_MAX, Fault, pointer, shape_faults
from sendwright.policy.template_grammar import TemplateFault, place_fault
from sendwright.policy.templates import Wrong, check, fill

PLACE = "content"
"""The variable that stands for what a layout is put around."""
PARTS = ("html", "text")

_LOCALE = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,6}")
_UNKNOWN = "is not a layout, or not a version of one"


class _Email(Struct):
    layout: str | UnsetType | None = UNSET


class _Content(Struct):
    email: _Email | UnsetType | None = UNSET


class _Body(Struct):
    content: _Content | UnsetType = UNSET


def layout_in(raw: bytes) -> str | None:
    """The layout that a body's own content names, whatever else is wrong with it. Of one that names none nothing is read."""
    if b'"layout"' not in raw and b"\\u" not in raw:
        return None
    try:
        content = msgspec.json.decode(raw, type=_Body).content
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    email = None if isinstance(content, UnsetType) else content.email
    layout = email.layout if isinstance(email, _Email) else None
    return None if isinstance(layout, UnsetType) else layout


def named_by(content: Content) -> tuple[str, ...]:
    """The layouts of a content, in whatever language; each once."""
    locales = content.locales.values() if isinstance(content, TypeContent) else ()
    if content.email is None and not locales:
        return ()
    names = (one.email.layout for one in (content, *locales) if one.email is not None)
    return tuple(dict.fromkeys(name for name in names if name is not None))


def travelling(names: Iterable[str], found: Mapping[str, LayoutVersion]) -> dict[str, dict[str, Any]] | None:
    """The layouts as they travel with what names them."""
    words = {name: _words(found[name].body) for name in names if name in found}
    return words or None


def references(content: object, path: tuple[str | int, ...] = ("content",)) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """The layouts that a parsed content names, and where."""
    if not isinstance(content, dict):
        return
    email = content.get("email")
    layout = email.get("layout") if isinstance(email, dict) else None
    if isinstance(layout, str):
        yield layout, (*path, "email", "layout")
    locales = content.get("locales") if len(path) == 1 else None
    for locale, said in locales.items() if isinstance(locales, dict) else ():
        yield from references(said, (*path, "locales", locale))


def reference_faults(content: object, found: Collection[str]) -> Iterator[Fault]:
    """Of a parsed content, the layouts that it names and that are none."""
    for name, path in references(content):
        if name not in found:
            yield Fault(pointer(path), "unknown_layout", _UNKNOWN)


def layout_faults(doc: object) -> list[Fault]:
    """Everything that is wrong with the parsed body of a layout."""
    found: dict[str, Fault] = {fault.pointer: fault for fault in reversed(shape_faults(LayoutBody, doc))}
    if isinstance(doc, dict):
        if not any(isinstance(doc.get(part), str) and doc[part] for part in PARTS):
            found.setdefault("#", Fault("#", "empty", "must have html or text"))
        locales = doc.get("locales")
        for fault in _parts_faults(doc, ()):
            found.setdefault(fault.pointer, fault)
        for locale, parts in locales.items() if isinstance(locales, dict) else ():
            at = ("locales", locale)
            if not _LOCALE.fullmatch(locale):
                found.setdefault(pointer(at), Fault(pointer(at), "invalid_locale", "must be a language tag, as pt-BR"))
            for fault in _parts_faults(parts, at):
                found.setdefault(fault.pointer, fault)
    return list(found.values())[:FAULTS_MAX]


def surrounded(
    doc: dict[str, Any], layouts: Mapping[str, dict[str, Any]], given: Mapping[str, Any], locale: str | None
) -> tuple[dict[str, Any], list[Fault]]:
    """A content, filled in, with its layout around its mail; and what is wrong. One that names none is as it was."""
    email: dict[str, Any] = doc.get("email") or {}
    name = email.get("layout")
    if name is None or name not in layouts:
        return doc, []
    layout = in_locale({part: layouts[name].get(part) for part in PARTS}, layouts[name].get("locales") or {}, locale)
    text, markup = _mail_of(doc)
    parts = {"html": markup or _as_html(text, doc), "text": text}
    wrong: list[Fault] = []
    joined = dict(email)
    for part in PARTS:
        if layout.get(part) and parts[part]:
            try:
                joined[part] = _around(layout[part], parts[part], given, escaped=part == "html")
            except Wrong as error:
                wrong.append(Fault(pointer(("layouts", name, part)), "invalid_template", str(error)))
    return {**doc, "email": joined}, wrong


def _words(body: LayoutBody) -> dict[str, Any]:
    words: dict[str, Any] = msgspec.to_builtins(body)
    words.pop("description", None)
    return words


def _parts_faults(parts: object, path: tuple[str | int, ...]) -> Iterator[Fault]:
    if not isinstance(parts, dict):
        return
    for part in PARTS:
        source = parts.get(part)
        if not isinstance(source, str) or not source:
            continue
        found = check(source)[:1] or [fault for fault in (place_fault(source, PLACE),) if fault is not None]
        for fault in found:
            yield Fault(pointer((*path, part)), "invalid_template", str(fault))


def _mail_of(doc: Mapping[str, Any]) -> tuple[str, str | None]:
    """Text and HTML of a content's mail, as they would go without a layout."""
    email = doc["email"]
    text = email.get("text")
    if text is None:
        text = doc.get("body") or doc.get("title") or ""
    return text, email.get("html") or doc.get("html")


def _as_html(text: str, doc: Mapping[str, Any]) -> str:
    """A mail's text, and under it what the text alone would have as links."""
    url, actions, media = doc.get("url"), doc.get("actions") or (), doc.get("media") or ()
    links = [(url, url)] if url else []
    links += [(action["label"], action["url"]) for action in actions if action.get("url")]
    links += [(item.get("filename") or item["url"], item["url"]) for item in media]
    lines = [html.escape(line) for line in text.splitlines()]
    lines += [f'<a href="{html.escape(link)}">{html.escape(label)}</a>' for label, link in links]
    return "<br>\n".join(lines)


def _around(source: str, part: str, given: Mapping[str, Any], *, escaped: bool) -> str:
    """The layout with a part in its place. Where that is, is told by a mark, of which nothing in the variables can know."""
    mark = "\ue000\ue001"
    text = fill(source, {**given, PLACE: mark}, escaped=escaped)
    if text.count(mark) != 1:
        mark = f"\ue000{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}\ue001"
        text = fill(source, {**given, PLACE: mark}, escaped=escaped)
    before, found, after = text.partition(mark)
    if not found:
        raise Wrong(TemplateFault(0, "its content is not there"))
    return f"{before}{part}{after}"
