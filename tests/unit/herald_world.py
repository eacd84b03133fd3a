"""A world for the herald's tests: endpoints that answer as they are told, over the store in memory, in virtual time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Self

import msgspec

from sendwright.drivers.store.memory import MemoryBackend
from sendwright.engine.herald import Herald
from sendwright.engine.postman import ROUTE, Postman
from sendwright.engine.receivers import Receivers
from sendwright.engine.sealing import Sealer
from sendwright.engine.telling import Telling
from sendwright.errors import Denied
from sendwright.model.endpoint import Endpoint, Posting
from sendwright.model.ids import IdMint, message_id
from sendwright.providers.contract import Answer, HttpRequest, Reply

from .virtual_time import NOW, VirtualClock

TENANT = "acme"
SECRET = b"k" * 32
OK = Reply(204)

Service = Callable[[HttpRequest], Awaitable[Answer]]


class Post:
    """One request as an endpoint got it."""

    def __init__(self, at_s: float, request: HttpRequest) -> None:
        self.at_s = at_s
        self.url = request.url
        self.headers = dict(request.headers)
        self.raw = request.body
        self.body: dict[str, Any] = msgspec.json.decode(request.body)
        self.id = self.headers["webhook-id"]


def always(answer: Answer, after_s: float = 0.0) -> Service:
    async def serve(_: HttpRequest) -> Answer:
        await asyncio.sleep(after_s)
        return answer

    return serve


class HeraldWorld:
    """ports.Egress towards its own services. `async with` runs the herald."""

    def __init__(self, backend: MemoryBackend | None = None, secret: bytes = SECRET) -> None:
        self.clock = VirtualClock()
        self.backend = backend if backend is not None else MemoryBackend(self.clock)
        self.services: dict[str, Service] = {}
        self.posts: list[Post] = []
        self.told: list[Telling] = []
        self.leased = 0
        self.held = False
        sealer = Sealer([secret], os.urandom)
        postman = Postman(self, sealer, self.clock)
        store = self.backend.endpoints
        self.herald = Herald(store, self.backend.records, postman, self.clock, lambda: 0.0, self.told.append, lambda: self.held)
        self.receivers = Receivers(store, self.backend.records, sealer, postman, self.clock, os.urandom)
        self._task: asyncio.Task[None] | None = None
        self._mint = IdMint(SECRET)
        self._count = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.herald.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        assert self.leased == 0, "a line was never given back"

    async def stop(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        (ended,) = await asyncio.gather(self._task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended
        self._task = None

    async def kill(self) -> HeraldWorld:
        """kill -9, and another process over what was committed."""
        backend = await self.backend.restart()
        await self.stop()
        after = HeraldWorld(backend)
        after.services, after.posts = self.services, self.posts
        return after

    async def pass_time(self, seconds: float) -> None:
        """Days in a few turns: from one due posting to the next, without `run`."""
        end = self.clock.now_ms() + round(seconds * 1000)
        while True:
            while await self.herald.read():
                pass
            await self.herald.tell_due()
            while self.herald._under_way:
                await asyncio.wait(self.herald._under_way)
                await self.herald.tell_due()
            live = {endpoint.id for endpoint in await self.backend.endpoints.live()}
            rows = self.backend.store.tables.postings.rows.values()
            due = min((row.due_at for row in rows if row.due_at is not None and row.endpoint in live), default=end)
            if due >= end:
                break
            await asyncio.sleep(max(1, due - self.clock.now_ms()) / 1000)
        await asyncio.sleep((end - self.clock.now_ms()) / 1000)

    async def endpoint(self, name: str = "one", *types: str, service: Service | None = None, tenant: str = TENANT) -> Endpoint:
        """One of that name, which takes everything unless its service says otherwise."""
        url = f"https://{name}.example/hook"
        self.services[url] = service or always(OK)
        made, _ = await self.receivers.made(tenant, url, "", types, enabled=True)
        return made

    async def happen(self, *types: str, tenant: str = TENANT) -> str:
        """These events of one new message; its id."""
        self._count += 1
        notification = self._mint.notification(tenant, self.clock.now_ms(), self._count.to_bytes(9, "big"))
        async with self.backend.store.transaction("happen") as t:
            for type_ in types or ("message.sent",):
                t.events.append(self.clock.now_ms(), tenant, type_, (notification, message_id(notification, 0)))
        return message_id(notification, 0)

    async def open(self, provider: str, request: Any, within_s: float) -> Any:
        assert provider == ROUTE
        if request.url not in self.services:
            raise Denied("this address may not be called")
        self.leased += 1
        return _Line(self)

    async def at(self, endpoint: Endpoint) -> Endpoint:
        found = await self.backend.endpoints.find(endpoint.tenant, endpoint.id)
        assert found is not None
        return found

    async def postings(self, endpoint: Endpoint, state: str | None = None) -> list[Posting]:
        """The oldest event first."""
        return list(await self.backend.endpoints.postings(endpoint.id, state, 1000))[::-1]

    def of(self, name: str) -> list[Post]:
        return [post for post in self.posts if post.url == f"https://{name}.example/hook"]

    def since_s(self) -> float:
        return (self.clock.now_ms() - NOW) / 1000


class _Line:
    """ports.Line."""

    open = True

    def __init__(self, world: HeraldWorld) -> None:
        self._world = world

    async def send(self, request: Any, within_s: float) -> Answer:
        self._world.posts.append(Post(self._world.since_s(), request))
        return await self._world.services[request.url](request)

    def release(self) -> None:
        self._world.leased -= 1
