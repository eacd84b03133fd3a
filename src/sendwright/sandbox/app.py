"""The sandbox behind somebody else's ASGI server, at `/` or under a prefix (`root_path`).

The same desk answers. What ASGI can't say is approximated: a reset becomes an answer that breaks off after its head,
which the server ends by closing the connection. A caller sees a lost answer either way, though not the same one, so
tests that care use `SandboxServer`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sendwright.sandbox.desk import Desk
from sendwright.sandbox.log import MessageLog
from sendwright.sandbox.options import SandboxOptions
from sendwright.sandbox.wire import Answer, Cut, Drip, Flood, Reply, Request, Silence, problem

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class BrokenOff(ConnectionResetError):
    """Raised inside an answer, for the server to end the connection."""


class SandboxApp:
    """An ASGI application; `desk` may be looked at."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def __repr__(self) -> str:
        return f"SandboxApp({self.desk!r})"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        request = await _read(scope, receive, self.desk)
        if request is None:
            await _reply(send, problem(413, "too_large", "The body has more bytes than are taken here."))
            return
        turn = self.desk.handle(request)
        try:
            await asyncio.sleep(turn.delay_s)
            if turn.after is not None:
                await asyncio.shield(turn.after)
            await _act(send, turn.answer)
        finally:
            self.desk.ended(turn)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.shutdown":
                await self.desk.stop()
                self.desk.log.close()
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return


def sandbox_app(settings: SandboxOptions, log: MessageLog) -> SandboxApp:
    """The sandbox as an ASGI application. Under another application its owner calls `await app.desk.stop()` at the end."""
    return SandboxApp(Desk(settings, log))


async def _read(scope: Scope, receive: Receive, desk: Desk) -> Request | None:
    prefix = scope.get("root_path", "")
    path = scope["path"]
    inner = path[len(prefix) :] if prefix and path.startswith(prefix) else path
    body, most = bytearray(), desk.body_max(inner)
    more = True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
        if len(body) > most:
            return None
    return Request(scope["method"], inner, scope["query_string"].decode("latin-1"), dict(scope["headers"]), bytes(body), prefix)


async def _act(send: Send, answer: Answer) -> None:
    match answer:
        case Reply():
            await _reply(send, answer)
        case Cut():
            await send(_start(Reply(200, b""), length=1))
            raise BrokenOff
        case Silence(seconds):
            await asyncio.sleep(seconds)
            raise BrokenOff
        case Drip(reply, every_s):
            await send(_start(reply, len(reply.body)))
            for index in range(len(reply.body)):
                await asyncio.sleep(every_s)
                await send({"type": "http.response.body", "body": reply.body[index : index + 1], "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        case Flood(status, size_bytes):
            await send(_start(Reply(status), size_bytes))
            for chunk in answer.chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


async def _reply(send: Send, reply: Reply) -> None:
    await send(_start(reply, len(reply.body)))
    await send({"type": "http.response.body", "body": reply.body})


def _start(reply: Reply, length: int) -> dict[str, Any]:
    bare = reply.status in {204, 304}
    headers = reply.headers if bare else (*reply.headers, (b"content-length", b"%d" % length))
    return {"type": "http.response.start", "status": reply.status, "headers": list(headers)}
