"""A browser without a browser: cookies, forms with what they hide, and redirects, over the API's world of fakes."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from sendwright.model.endpoint import Posting, Try
from sendwright.model.types import TypeBody
from sendwright.web.api.wire import App
from sendwright.web.dashboard.app import with_dashboard
from sendwright.web.dashboard.signing_in import make_link

from .api_world import KEY, NOW, World
from .asgi_client import Client, Response

HOST = "127.0.0.1:8420"
ORIGIN = f"http://{HOST}"


EVENT = "evt_" + "0" * 32
GIVEN = {
    "id": "msg_" + "0" * 34,
    "name": "twilio-main",
    "type": "order.shipped",
    "endpoint": "ep_" + "0" * 32,
}
"""What stands in a page's address where nobody says otherwise."""


def concrete(path: str, **given: str) -> str:
    """The address of a page; what a person's page needs stands behind it."""
    for name, value in {**GIVEN, **given}.items():
        path = path.replace(f"{{{name}}}", value)
    return f"{path}?id={quote(given.get('recipient', 'ada'))}" if path.endswith("/people/one") else path


class Desk:
    """A world with a dashboard, and one browser that looks at it."""

    def __init__(self, **settings: Any) -> None:
        self.world = World(**{"public_url": "http://127.0.0.1:8420", **settings})
        self.app = with_dashboard(self.world.services, self.world.app)
        self.browser = Browser(self)

    async def link(self) -> str:
        return await make_link(self.world.services)

    async def furnish(self) -> dict[str, str]:
        """One of everything, whose every word is hostile; what stands in the addresses of their pages."""
        world, bad = self.world, "<b>bad</b> \"'><script>alert(1)</script>"
        _, (message,) = world.born(recipient=bad)
        content = {"title": bad, "body": f"{bad} {{{{ name }}}}", "email": {"html": f"<i>mail</i>{bad}"}}
        for number in range(2):
            body = msgspec.convert({"description": bad, "content": {**content, "url": f"https://a.example/{number}"}}, TypeBody)
            await world.types.put("default", "order.shipped", body, NOW)
        asked = await world.client.request("PUT", f"/v1/recipients/{quote(bad, safe='')}", json={"slack": bad})
        assert asked.status == 200, asked.body
        assert (await world.client.post("/v1/suppressions", {"address": bad, "channel": "slack"})).status == 200
        made = await world.client.post("/v1/endpoints", {"url": "https://hooks.example.com/x", "description": bad})
        assert made.status == 201, made.body
        endpoint = made.json()["id"]
        stored = await world.endpoints.find("default", endpoint)
        assert stored is not None
        tries = (Try(NOW, 500, bad, 12),)
        event = Posting(EVENT, endpoint, stored.seen + 1, "message.sent", message, NOW, "{}", "failed", count=1, tries=tries)
        assert await world.endpoints.spread(stored, stored.seen + 1, [event])
        assert (await world.client.post("/v1/keys", {"name": bad, "scopes": ["read"]})).status == 201
        return {"id": message, "endpoint": endpoint, "recipient": bad}

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
