"""What a link does that somebody presses, or that a mail program posts to (RFC 8058).

Looking changes nothing: scanners follow every link of a mail. A POST does what its form says, at once and without a redirect, for
whoever has the link: the token is all that is asked for. Every token that is none of ours gets the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

from sendwright.engine.unsubscribe import Subscription, Unsubscribing
from sendwright.errors import Unavailable
from sendwright.policy.unsubscribing import FIELD, ONE_CLICK
from sendwright.web.api.table import Answer, Ask
from sendwright.web.api.wire import Header
from sendwright.web.unsubscribe import page

BODY_MAX = 8 << 10
"""Bytes of a form: it has one field."""
FIELDS_MAX = 20
AGAIN_S = 60

_LEAVE = (FIELD.lower(), ONE_CLICK.partition("=")[2].lower())
_COME_BACK = (page.AGAIN.name, page.AGAIN.value)
_MULTIPART = b"multipart/form-data"
_ALONE: tuple[Header, ...] = ((b"x-robots-tag", b"noindex"), (b"content-language", page.LANGUAGE.encode()))


async def look(ask: Ask) -> Answer:
    """The page with its button."""
    try:
        found = await _story(ask).stands(ask.params["token"])
    except Unavailable:
        return _busy()
    if found is None:
        return _gone()
    return _page(page.left(found) if found.left else page.asking(found))


async def press(ask: Ask) -> Answer:
    """The button, or the mail program's own."""
    fields = set(_fields(ask.headers.get(b"content-type", b""), ask.body))
    story, token = _story(ask), ask.params["token"]
    try:
        if _LEAVE in fields:
            return _told(await story.leave(token), page.left)
        if _COME_BACK in fields:
            return _told(await story.come_back(token), page.back)
        found = await story.stands(token)
    except Unavailable:
        return _busy()
    return _gone() if found is None else _page(page.asking(found), 400)


def _story(ask: Ask) -> Unsubscribing:
    services = ask.services
    return Unsubscribing(services.links, services.suppressions, services.records, services.marker, services.clock)


def _told(found: Subscription | None, said: page.Said) -> Answer:
    return _gone() if found is None else _page(said(found))


def _page(html: str, status: int = 200, headers: tuple[Header, ...] = ()) -> Answer:
    return Answer(status, html.encode(), page.TYPE, (*_ALONE, *headers), page.CSP)


def _gone() -> Answer:
    return _page(page.GONE, 404)


def _busy() -> Answer:
    return _page(page.BUSY, 503, ((b"retry-after", b"%d" % AGAIN_S),))


def _fields(content_type: bytes, body: bytes) -> Iterator[tuple[str, str]]:
    """Names and values of a form, in small letters, in either of the two forms that RFC 8058 names (section 3.2)."""
    multipart = content_type.strip().lower().startswith(_MULTIPART)
    for name, value in _multipart(content_type, body) if multipart else _pairs(body):
        yield name.strip().lower(), value.strip().lower()


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode("latin-1"), max_num_fields=FIELDS_MAX)
    except ValueError:
        return []


def _multipart(content_type: bytes, body: bytes) -> list[tuple[str, str]]:
    try:
        return list(_parts(content_type, body))
    except (ValueError, LookupError, RecursionError):  # nested as no mail program nests it
        return []


def _parts(content_type: bytes, body: bytes) -> Iterator[tuple[str, str]]:
    whole = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type + b"\r\n\r\n" + body)
    for part in whole.walk():
        name = part.get_param("name", header="content-disposition")
        said = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(said, bytes):
            yield name, said.decode("latin-1")
