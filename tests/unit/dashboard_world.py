"""A browser without a browser: cookies, forms with what they hide, and redirects, over the API's world of fakes."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import urlencode

from sendwright.web.api.wire import App
from sendwright.web.dashboard.app import with_dashboard
from sendwright.web.dashboard.signing_in import make_link

from .api_world import KEY, World
from .asgi_client import Client, Response

HOST = "127.0.0.1:8420"
ORIGIN = f"http://{HOST}"


class Desk:
    """A world with a dashboard, and one browser that looks at it."""

    def __init__(self, **settings: Any) -> None:
        self.world = World(**{"public_url": "http://127.0.0.1:8420", **settings})
        self.app = with_dashboard(self.world.services, self.world.app)
        self.browser = Browser(self)

    async def link(self) -> str:
        return await make_link(self.world.services)

    def another(self, **headers: str) -> Browser:
        return Browser(self, **headers)


class Browser:
    """Keeps its one cookie. `page` is what it sees."""

    def __init__(self, desk: Desk, **headers: str) -> None:
        given = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self._client = Client(desk.app, given)
        self.cookie: str | None = None
        self.page = ""
        self.at = ""
        self.csrf = ""
        """What the forms carry, of the last page that had one."""

    async def get(self, path: str, **headers: str) -> Response:
        return await self._seen("GET", path, None, headers)

    async def post(self, path: str, fields: dict[str, Any] | None = None, *, csrf: str | None = "", **headers: str) -> Response:
        """A form of the page that is seen, with its token; `csrf` is sent in its place, None leaves it out."""
        token = self.csrf if csrf == "" else csrf
        form = {**(fields or {}), **({} if token is None else {"csrf": token})}
        kind = {"content-type": "application/x-www-form-urlencoded", "origin": "null", "sec-fetch-site": "same-origin"}
        return await self._seen("POST", path, urlencode(form, doseq=True).encode(), {**kind, **_dashed(headers)})

    def turn_to(self, app: App) -> None:
        """Goes on with what it keeps, at another application."""
        self._client = Client(app, self._client.headers)

    async def follow(self, response: Response) -> Response:
        assert response.status == 303, response.body
        return await self.get(response.headers["location"])

    async def sign_in(self, key: str = KEY) -> None:
        entered = await self.post("/dashboard/sign-in", {"key": key}, csrf=None)
        assert (await self.follow(entered)).status == 200

    @property
    def text(self) -> str:
        """What stands on the page, without its tags."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.page)).split())

    async def _seen(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Response:
        kept = {} if self.cookie is None else {"cookie": self.cookie}
        response = await self._client.request(method, path, body=body, headers={**kept, **_dashed(headers)})
        for name, value in response.header_list:
            if name == b"set-cookie":
                pair = value.decode().partition(";")[0]
                self.cookie = None if pair.endswith("=") else pair
        self.page, self.at = response.body.decode(), path
        if found := re.search(r'name="csrf" value="([0-9a-f]+)"', self.page):
            self.csrf = found[1]
        return response


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
