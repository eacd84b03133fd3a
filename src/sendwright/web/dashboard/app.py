"""The dashboard as ASGI: the table of its pages, and the way from a request to an answer.

The order is part of the promise: where it came in, whether one of our pages sent it (POST), who is signed in, the form's own
token, what that key may; then the page. Whoever is not signed in learns nothing but where to sign in.
"""

from __future__ import annotations

import hmac
import traceback
from collections.abc import Awaitable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import structlog
from starlette.routing import Route, Router

from sendwright.errors import Unavailable
from sendwright.web.api import problems
from sendwright.web.api.app import keys_of
from sendwright.web.api.cursors import Cursors
from sendwright.web.api.passes import Passes
from sendwright.web.api.problems import Refusal, unsupported
from sendwright.web.api.services import Services
from sendwright.web.api.wire import App, Gone, Header, Receive, Scope, Send, always, answer, headers_of, read_body, request_id
from sendwright.web.dashboard import (
    access,
    dead,
    endpoints,
    keys,
    mail,
    messages,
    overview,
    people,
    providers,
    suppressions,
    tenants,
    types,
)
from sendwright.web.dashboard.entry import Entry
from sendwright.web.dashboard.frame import counts_of, navigation_of, note_of
from sendwright.web.dashboard.place import Place, place_of, require_own
from sendwright.web.dashboard.rendering import Rendering, static_files
from sendwright.web.dashboard.signing_in import SignedIn, SignIn, acting_for, cookie
from sendwright.web.dashboard.visit import FORM, Answered, Away, Handler, Mail, Shown, Visit, fields, pairs

ROOT = "/dashboard"
FORM_MAX = 256 << 10
"""Bytes of a form: a thousand chosen ids have room."""
LONG_MAX = 4 << 20
"""Of one that holds what a type or a mail says: as much as the API takes has room, however it is written."""
CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    b"base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)
FRAMING = CSP + b"; frame-src 'self'"
"""Of a page that shows a mail."""
MAIL = (
    b"sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    b"frame-ancestors 'self'"
)
"""Of the mail itself: it is nobody's page, has its own styles, and can do nothing."""

_LOG = structlog.get_logger("sendwright.dashboard")
_ALONE: tuple[Header, ...] = ((b"cross-origin-opener-policy", b"same-origin"),)
_KEEP: Header = (b"cache-control", b"public, max-age=31536000, immutable")
_HTML: Header = (b"content-type", b"text/html; charset=utf-8")


class Page(NamedTuple):
    """One page, or one thing that a form does. `scope` is what a key must have. `live`: asked for by a page, not by a person.
    `of_all`: it concerns all tenants. `most`: bytes of its form."""

    method: str
    path: str
    scope: str
    handler: Handler
    live: bool = False
    of_all: bool = False
    most: int = FORM_MAX


PAGES = (
    Page("GET", ROOT, "read", overview.overview),
    Page("GET", f"{ROOT}/live", "read", overview.live, live=True),
    Page("GET", f"{ROOT}/messages", "read", messages.list_messages),
    Page("GET", f"{ROOT}/messages/{{id}}", "read", messages.one_message),
    Page("POST", f"{ROOT}/messages/{{id}}/cancel", "send", messages.cancel),
    Page("POST", f"{ROOT}/messages/{{id}}/resend", "send", messages.resend),
    Page("POST", f"{ROOT}/messages/{{id}}/resolve", "send", messages.resolve),
    Page("GET", f"{ROOT}/doubts", "read", messages.list_doubts),
    Page("GET", f"{ROOT}/dead", "read", dead.list_dead),
    Page("POST", f"{ROOT}/dead/replay", "admin", dead.replay),
    Page("POST", f"{ROOT}/dead/drop", "admin", dead.drop),
    Page("GET", f"{ROOT}/providers", "read", providers.list_providers),
    Page("GET", f"{ROOT}/providers/{{name}}", "read", providers.one_provider),
    Page("POST", f"{ROOT}/providers/{{name}}/switch", "admin", providers.switch, of_all=True),
    Page("POST", f"{ROOT}/providers/{{name}}/test", "admin", providers.test, of_all=True),
    Page("POST", f"{ROOT}/mail", "read", mail.show_mail, most=LONG_MAX),
    Page("GET", f"{ROOT}/types", "read", types.list_types),
    Page("GET", f"{ROOT}/types/-new", "admin", types.new_type),
    Page("POST", f"{ROOT}/types/-preview", "read", types.preview, most=LONG_MAX),
    Page("POST", f"{ROOT}/types/-save", "admin", types.save, most=LONG_MAX),
    Page("POST", f"{ROOT}/types/-delete", "admin", types.delete),
    Page("GET", f"{ROOT}/types/{{type}}", "read", types.one_type),
    Page("GET", f"{ROOT}/types/{{type}}/compare", "read", types.compare),
    Page("GET", f"{ROOT}/people", "read", people.list_people),
    Page("GET", f"{ROOT}/people/one", "read", people.one_person),
    Page("POST", f"{ROOT}/people/erase", "admin", people.erase),
    Page("GET", f"{ROOT}/suppressions", "read", suppressions.list_suppressions),
    Page("POST", f"{ROOT}/suppressions", "read", suppressions.look_up),
    Page("POST", f"{ROOT}/suppressions/add", "send", suppressions.add),
    Page("POST", f"{ROOT}/suppressions/lift", "admin", suppressions.lift),
    Page("GET", f"{ROOT}/endpoints", "read", endpoints.list_endpoints),
    Page("POST", f"{ROOT}/endpoints", "admin", endpoints.make),
    Page("GET", f"{ROOT}/endpoints/{{endpoint}}", "read", endpoints.one_endpoint),
    Page("POST", f"{ROOT}/endpoints/{{endpoint}}", "admin", endpoints.change),
    Page("POST", f"{ROOT}/endpoints/{{endpoint}}/switch", "admin", endpoints.switch),
    Page("POST", f"{ROOT}/endpoints/{{endpoint}}/rotate", "admin", endpoints.rotate),
    Page("POST", f"{ROOT}/endpoints/{{endpoint}}/test", "admin", endpoints.test),
    Page("POST", f"{ROOT}/endpoints/{{endpoint}}/replay", "admin", endpoints.replay),
    Page("POST", f"{ROOT}/endpoints/{{endpoint}}/delete", "admin", endpoints.delete),
    Page("GET", f"{ROOT}/keys", "admin", keys.list_keys),
    Page("POST", f"{ROOT}/keys", "admin", keys.make),
    Page("POST", f"{ROOT}/keys/revoke", "admin", keys.revoke),
    Page("GET", f"{ROOT}/tenant", "read", tenants.choose),
    Page("POST", f"{ROOT}/tenant", "read", tenants.turn),
    Page("GET", f"{ROOT}/sessions", "read", access.list_sessions),
    Page("POST", f"{ROOT}/sessions/end-all", "admin", access.end_all),
    Page("POST", f"{ROOT}/sessions/{{id}}/end", "read", access.end_session),
    Page("POST", f"{ROOT}/sign-out", "read", access.sign_out),
)


def with_dashboard(services: Services, api: App) -> App:
    """The API with the dashboard beside it: `/` and everything under /dashboard; all else goes on as it came."""
    pages = _pages(services)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["path"] == "/" or scope["path"] == ROOT or scope["path"].startswith(f"{ROOT}/")):
            await pages(scope, receive, send)
        else:
            await api(scope, receive, send)

    return app


def _pages(services: Services) -> App:
    house = House(services)
    paths: dict[str, dict[str, Page]] = {}
    for page in PAGES:
        paths.setdefault(page.path, {})[page.method] = page
    routes = [Route(path, Door(house, of_path)) for path, of_path in paths.items()]
    own = [Route("/", house.root), Route(f"{ROOT}/sign-in", house.entry), Route(f"{ROOT}/static/{{name}}", house.static)]
    return Router([*own, *routes], default=Door(house, {}), redirect_slashes=False)


class House:
    """What all pages share."""

    def __init__(self, services: Services) -> None:
        self.keys = keys = keys_of(services)
        self.services = services
        self.cursors = Cursors(services.signing_key)
        self.passes = Passes(services.signing_key)
        self.sign_in = SignIn(services, keys)
        self.always, self._framing, self._mail = (
            (*always(services.public_url, policy), *_ALONE) for policy in (CSP, FRAMING, MAIL)
        )
        files = static_files()
        self._rendering = Rendering(files)
        self.static = _Static(files, self.always)
        self.entry = _Guarded(self, Entry(services, self.sign_in).answer)
        self.root = _Guarded(self, _to_overview)

    async def say(
        self, send: Send, answered: Answered, values: Mapping[str, Any], given: str, more: tuple[Header, ...] = ()
    ) -> None:
        own: tuple[Header, ...] = (*more, (b"request-id", given.encode()))
        if isinstance(answered, Away):
            await answer(send, 303, [*self.always, *own, *answered.headers, (b"location", answered.to.encode())], b"")
            return
        if isinstance(answered, Mail):
            await answer(send, 200, [*self._mail, *own, _HTML], answered.html.encode("utf-8", "replace"))
            return
        guards = self._framing if answered.frames else self.always
        services = self.services
        common = {
            "by": None,
            "now": services.clock.now_ms(),
            "note": None,
            "docs_open": services.docs_open,
            "sandbox_url": services.sandbox_url,
        }
        body = self._rendering.page(answered.template, {**common, **values, **answered.values})
        await answer(send, answered.status, [*guards, *own, *answered.headers, _HTML], body)

    async def refuse(self, send: Send, refusal: Refusal, around: Mapping[str, Any], given: str) -> None:
        """A page that says what is wrong, and where to go on."""
        title = problems.TITLES.get(refusal.code) or HTTPStatus(refusal.status).phrase
        kept = tuple((name, value) for name, value in refusal.headers if name != b"www-authenticate")
        page = Shown("problem.html", {"refusal": refusal, "title": title, "given": given}, refusal.status)
        await self.say(send, page, around, given, kept)

    async def at_the_rim(self, work: Awaitable[None], scope: Scope, send: Send, given: str, around: Mapping[str, Any]) -> None:
        """Whatever ends it is said by a page."""
        try:
            await work
        except Gone:
            return
        except Refusal as refusal:
            await self.refuse(send, refusal, around, given)
        except Unavailable as fault:
            await self.refuse(send, problems.unavailable(fault), around, given)
        except Exception as fault:  # noqa: BLE001 -- the rim: nothing of it may reach the browser, all of it the log
            _log(scope, given, fault)
            await self.refuse(send, problems.internal(), around, given)

    async def around(self, by: SignedIn, path: str, query: dict[str, str]) -> dict[str, Any]:
        """What the frame of a page shows."""
        backlog = await self.services.records.backlog(by.caller.tenant)
        return {
            "by": by,
            "csrf": by.csrf,
            "path": path,
            "navigation": navigation_of(by.caller),
            "counts": counts_of(backlog),
            "note": note_of(query),
            "scopes": by.caller.scopes,
        }


class Door:
    """All pages of one path."""

    def __init__(self, house: House, pages: Mapping[str, Page]) -> None:
        self._house = house
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, around = headers_of(scope["headers"]), dict[str, Any]()
        given = request_id(headers)
        await self._house.at_the_rim(self._opened(scope, headers, receive, send, given, around), scope, send, given, around)

    async def _opened(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send, given: str, around: dict[str, Any]
    ) -> None:
        place = place_of(headers, self._house.services.public_url)
        page = self._pages.get("GET" if scope["method"] == "HEAD" else scope["method"])
        if scope["method"] == "POST":
            require_own(headers, place)
        by = await self._house.sign_in.known(headers, place, uses=page is None or not page.live)
        if by is None:
            await self._to_sign_in(headers, place, send, given)
            return
        self._house.keys.counted(by.caller)
        query = dict(pairs(scope["query_string"]))
        if page is None or not page.live:
            around |= await self._house.around(by, scope["path"], query)
        if page is None:
            raise problems.not_found() if not self._pages else _not_so(scope["method"])
        if any("\0" in value for value in scope["path_params"].values()):
            raise problems.not_found()
        visit = await self._judged(page, by, place, scope, headers, query, receive)
        await self._house.say(send, await page.handler(visit), around, given)

    async def _judged(
        self,
        page: Page,
        by: SignedIn,
        place: Place,
        scope: Scope,
        headers: dict[bytes, bytes],
        query: dict[str, str],
        receive: Receive,
    ) -> Visit:
        form = await form_of(headers, receive, self._house.services, page.most) if page.method == "POST" else {}
        if page.method == "POST" and not hmac.compare_digest(form.get("csrf", [""])[0].encode(), by.csrf.encode()):
            raise Refusal(403, "stale_form", "This form belongs to another session. Open the page anew, and try again.")
        by.caller.require(page.scope)
        if page.of_all:
            by.caller.require_all()
        house, raw_query = self._house, scope["query_string"].decode("latin-1")
        return Visit(
            services=house.services,
            cursors=house.cursors,
            passes=house.passes,
            by=by,
            sign_in=house.sign_in,
            place=place,
            params=scope["path_params"],
            headers=acting_for(by, headers),
            query=query,
            raw_query=raw_query,
            form=form,
        )

    async def _to_sign_in(self, headers: Mapping[bytes, bytes], place: Place, send: Send, given: str) -> None:
        """A part of a page can't be sent on: its script is told to send the whole page."""
        forget = ((b"set-cookie", cookie(place, None)),) if b"cookie" in headers else ()
        to = f"{ROOT}/sign-in"
        if b"hx-request" in headers:
            await self._house.say(send, Shown("signed_out.html", {}, 401), {}, given, (*forget, (b"hx-redirect", to.encode())))
        else:
            await self._house.say(send, Away(to), {}, given, forget)


class _Static:
    """Files. They carry their hash in their address, so that they may be kept for good, and are the same for everybody."""

    def __init__(self, files: Mapping[str, tuple[str, bytes]], always: tuple[Header, ...]) -> None:
        self._files = files
        self._always = always
        self._kept = [*((name, value) for name, value in always if name != b"cache-control"), _KEEP]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind, body = self._files.get(scope["path_params"]["name"], ("", b""))
        if kind and scope["method"] in ("GET", "HEAD"):
            await answer(send, 200, [*self._kept, (b"content-type", kind.encode())], body)
        else:
            await answer(send, 404, [*self._always, (b"content-type", b"text/plain")], b"There is nothing here.\n")


class _Guarded:
    """A page that asks nobody who he is."""

    def __init__(self, house: House, answering: Any) -> None:
        self._house = house
        self._answering = answering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope["headers"])
        given = request_id(headers)
        await self._house.at_the_rim(self._opened(scope, headers, receive, send, given), scope, send, given, {})

    async def _opened(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send, given: str) -> None:
        place = place_of(headers, self._house.services.public_url)
        form: dict[str, list[str]] = {}
        if scope["method"] == "POST":
            require_own(headers, place)
            form = await form_of(headers, receive, self._house.services)
        answered, more = await self._answering(scope, place, headers, form)
        await self._house.say(send, answered, {}, given, more)


async def _to_overview(scope: Scope, *_: object) -> tuple[Answered, tuple[Header, ...]]:
    if scope["method"] not in ("GET", "HEAD"):
        raise _not_so(scope["method"])
    return Away(ROOT), ()


async def form_of(headers: dict[bytes, bytes], receive: Receive, services: Services, most: int = FORM_MAX) -> dict[str, list[str]]:
    """The fields of a form. Raises `Refusal`: 413, 408, 415 and 400."""
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != FORM:
        raise unsupported("Content-Type", f"must be {FORM.decode()}")
    return fields(await read_body(headers, receive, most, services.body_within_s))


def _not_so(method: str) -> Refusal:
    return Refusal(405, "method_not_allowed", f"This page does not take {method[:20]}.")


def _log(scope: Scope, given: str, fault: Exception) -> None:
    """Where it broke, without what it was about."""
    frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(fault.__traceback__)[-8:]]
    _LOG.error("page_failed", method=scope["method"], request_id=given, fault=type(fault).__name__, frames=frames)
