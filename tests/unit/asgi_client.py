"""An HTTP client without a network: calls an ASGI application in this process and holds it to the protocol."""

from __future__ import annotations

import asyncio
import json as json_module
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from sendwright.web.api.wire import App


@dataclass(frozen=True)
class Response:
    status: int
    header_list: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.header_list}

    def json(self) -> Any:
        return json_module.loads(self.body)

    def faults(self) -> set[tuple[str, str]]:
        """(pointer, code) of a problem's errors; in the place of a pointer stands a parameter or a header."""
        places = ("pointer", "parameter", "header")
        return {(next(error[place] for place in places if place in error), error["code"]) for error in self.json()["errors"]}


class Client:
    """`headers` go with every request."""

    def __init__(self, app: App, headers: dict[str, str] | None = None) -> None:
        self.app = app
        self.headers = headers or {}

    async def get(self, path: str, **options: Any) -> Response:
        return await self.request("GET", path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> Response:
        return await self.request("POST", path, json=json, **options)

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        chunks: Sequence[bytes] | None = None,
        headers: dict[str, str] | None = None,
        stalls: bool = False,
    ) -> Response:
        """`chunks`: a body without a length. `stalls`: the body never ends."""
        given = {**self.headers, **(headers or {})}
        if json is not None:
            body = json_module.dumps(json).encode()
            given.setdefault("content-type", "application/json")
        parts = list(chunks) if chunks is not None else [body or b""]
        if chunks is None and body is not None:
            given.setdefault("content-length", str(len(body)))
        exchange = _Exchange(parts, stalls=stalls)
        await self.app(_scope(method, path, given), exchange.receive, exchange.send)
        return exchange.response()

    @asynccontextmanager
    async def stream(self, path: str, headers: dict[str, str] | None = None) -> AsyncIterator[_Exchange]:
        """A response that does not end by itself; leaving hangs up."""
        exchange = _Exchange([b""])
        running = asyncio.ensure_future(
            self.app(_scope("GET", path, {**self.headers, **(headers or {})}), exchange.receive, exchange.send)
        )
        try:
            yield exchange
        finally:
            exchange.hung_up.set()
            await asyncio.wait_for(running, 5)


class _Exchange:
    def __init__(self, parts: Iterable[bytes], *, stalls: bool = False) -> None:
        self.parts = list(parts)
        self.stalls = stalls
        self.taken = 0
        self.sent: list[dict[str, Any]] = []
        self.hung_up = asyncio.Event()
        self.moved = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if self.taken < len(self.parts):
            part = self.parts[self.taken]
            self.taken += 1
            return {"type": "http.request", "body": part, "more_body": self.stalls or self.taken < len(self.parts)}
        await self.hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        assert message["type"] == ("http.response.body" if self.sent else "http.response.start")
        assert not self.ended
        self.sent.append(message)
        self.moved.set()

    @property
    def ended(self) -> bool:
        return len(self.sent) > 1 and not self.sent[-1].get("more_body", False)

    async def until(self, wanted: bytes) -> bytes:
        """What came so far, once it holds `wanted`."""
        while wanted not in self.body:
            self.moved.clear()
            await asyncio.wait_for(self.moved.wait(), 5)
        return self.body

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    def response(self) -> Response:
        assert self.ended
        headers = self.sent[0]["headers"]
        assert all(name == name.lower() for name, _ in headers)
        lengths = [value for name, value in headers if name == b"content-length"]
        if self.sent[0]["status"] in {204, 304} or (b"content-type", b"text/event-stream") in headers:
            assert lengths == []
        else:
            assert lengths == [str(len(self.body)).encode()]
        return Response(self.sent[0]["status"], headers, self.body)


def _scope(method: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
    parts = urlsplit(path)
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8420),
    }
