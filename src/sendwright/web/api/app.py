"""The API as one ASGI application: the hot call first, then the route table through Starlette's router."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.routing import Route, Router
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sendwright.web.api import problems
from sendwright.web.api.auth import Keys
from sendwright.web.api.cursors import Cursors
from sendwright.web.api.docs_page import described
from sendwright.web.api.endpoint import Endpoint
from sendwright.web.api.front import front_of
from sendwright.web.api.hot import PATH, PostNotification
from sendwright.web.api.passes import Passes
from sendwright.web.api.routes import CALLS
from sendwright.web.api.services import Services
from sendwright.web.api.table import Call
from sendwright.web.api.wire import App, Receive, Scope, Send, always, headers_of, refuse, request_id

_WHOLE = {"/v1/recipients/{id}": "/v1/recipients/{id:path}"}
"""Recipients' ids are the callers' own, and may hold slashes, written `%2F` or as they are."""
_NOT_YET = re.compile(rb"/v1/recipients/.+/preferences")
"""What is promised under a recipient and not there yet, as it comes: nobody's id, or it would be kept as a person."""
WATCHED = frozenset({"/healthz", "/readyz", "/metrics"})


def build_app(services: Services) -> App:
    """The application that serves these services, under any ASGI server."""
    return _app(services, PostNotification(services, keys_of(services)))


def build_served(services: Services) -> tuple[App, type[HttpToolsProtocol]]:
    """The same with its front, for uvicorn's `http` setting: the hot call's short way (front.py)."""
    hot = PostNotification(services, keys_of(services))
    return _app(services, hot), front_of(hot, services.connections_max)


def build_watched(services: Services) -> App:
    """What a process without an API says of itself: whether it lives, whether it can work, and its figures."""
    return _routed(services, [call for call in CALLS if call.path in WATCHED])


def keys_of(services: Services) -> Keys:
    """Who may call."""
    return Keys(services.admin_key, services.metrics_key, services.warden)


def _app(services: Services, hot: PostNotification) -> App:
    routed = _routed(services, CALLS)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if scope["path"] == PATH and scope["method"] == "POST":
                await hot(scope, receive, send)
            else:
                await routed(scope, receive, send)
        else:
            await routed(scope, receive, send)

    return app


def _routed(services: Services, calls: Sequence[Call]) -> App:
    """These rows of the table, by Starlette's router."""
    keys, shown = keys_of(services), described(CALLS, services.public_url)
    cursors, passes = Cursors(services.signing_key), Passes(services.signing_key)
    not_found = _NotFound(services)
    router = Router(
        [
            Route(_WHOLE.get(path, path), Endpoint(of_path, services, keys, cursors, passes, shown))
            for path, of_path in _paths(calls)
        ],
        default=not_found,
        redirect_slashes=False,
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            missing = _NOT_YET.fullmatch(scope.get("raw_path") or b"") is not None
            await (not_found if missing else router)(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    return app


class _NotFound:
    """Every path that is not in the table."""

    def __init__(self, services: Services) -> None:
        self._always = always(services.public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await refuse(problems.not_found(), request_id(headers_of(scope["headers"])), self._always, receive, send)


def _paths(calls: Sequence[Call]) -> list[tuple[str, list[Call]]]:
    """The table by path; those without a parameter first, so that `/batch` is no id, and what
    takes the rest of a path last."""
    paths: dict[str, list[Call]] = {}
    for call in calls:
        paths.setdefault(call.path, []).append(call)
    return sorted(paths.items(), key=lambda item: ("{" in item[0], item[0] in _WHOLE))


async def _lifespan(receive: Receive, send: Send) -> None:
    """Starting and stopping belong to the composition root; the server is only told that there is nothing to wait for."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
