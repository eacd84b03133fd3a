"""Carries callbacks: plain HTTP/1.1 posts over kept connections, some tries, and no more than can be afforded.

A post that is refused (any status but 2xx, no connection, no answer in time) is tried again after 0.2, 1 and 5
seconds. Driven by callbacks rather than a task per post, since a benchmark posts two of them per message.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import cast

import httptools

from sendwright.sandbox.places import Place
from sendwright.sandbox.wire import Headers

RETRY_S = (0.2, 1.0, 5.0)
LINES_MAX = 64
"""Most connections to one origin."""
ANSWER_S = 10.0
"""Longest wait for a connection, or for an answer, in seconds."""
_ANSWER_MAX = 1_048_576


class Post:
    """One callback on its way. `done` is told the last status, or None where there never was one."""

    __slots__ = ("done", "payload", "tries")

    def __init__(self, place: Place, headers: Headers, body: bytes, done: Callable[[int | None], None]) -> None:
        head = [b"POST %s HTTP/1.1\r\nhost: %s\r\n" % (place.target.encode(), place.authority.encode())]
        head += [b"%s: %s\r\n" % header for header in headers]
        head.append(b"user-agent: sendwright-sandbox\r\ncontent-length: %d\r\n\r\n" % len(body))
        self.payload = b"".join(head) + body
        self.tries = 0
        self.done = done


class Courier:
    """All callbacks of one sandbox."""

    def __init__(self) -> None:
        self._origins: dict[tuple[bool, str, int], _Origin] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"Courier({len(self._origins)} origins)"

    def send(self, place: Place, post: Post) -> None:
        """Takes a post on. Needs a running loop."""
        origin = self._origins.get(place.origin)
        if origin is None:
            origin = self._origins[place.origin] = _Origin(self, place)
        origin.take(post)

    def drop(self, origin: _Origin) -> None:
        """Forgets an origin that has nothing left."""
        if self._origins.get(origin.key) is origin:
            del self._origins[origin.key]

    async def stop(self) -> None:
        """Lets everything fall: what has not been posted will not be."""
        for task in tuple(self.tasks):
            task.cancel()
        for origin in tuple(self._origins.values()):
            origin.close()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self._origins.clear()


class _Origin:
    """The posts and connections of one scheme, host and port."""

    def __init__(self, courier: Courier, place: Place) -> None:
        self.key = place.origin
        self._courier = courier
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Post] = deque()
        self._idle: list[_Line] = []
        self._lines: set[_Line] = set()
        self._opening = 0
        self._resting: set[asyncio.TimerHandle] = set()
        self._closed = False

    def take(self, post: Post) -> None:
        if self._idle:
            self._idle.pop().send(post)
            return
        self._queue.append(post)
        self._grow()

    def free(self, line: _Line) -> None:
        """The line has nothing to do."""
        if self._queue:
            line.send(self._queue.popleft())
        else:
            self._idle.append(line)

    def lost(self, line: _Line) -> None:
        """The line is gone."""
        self._lines.discard(line)
        if line in self._idle:
            self._idle.remove(line)
        self._grow()
        if not (self._lines or self._queue or self._opening or self._resting):
            self._courier.drop(self)

    def settle(self, post: Post, status: int | None) -> None:
        """One try is over."""
        if self._closed:
            return
        taken = status is not None and 200 <= status < 300
        if taken or post.tries >= len(RETRY_S):
            post.done(status)
            return
        post.tries += 1
        self._rest(post, RETRY_S[post.tries - 1])

    def close(self) -> None:
        self._closed = True
        self._queue.clear()
        for handle in self._resting:
            handle.cancel()
        for line in tuple(self._lines):
            line.abort()

    def _rest(self, post: Post, seconds: float) -> None:
        def again() -> None:
            self._resting.discard(handle)
            self.take(post)

        handle = self._loop.call_later(seconds, again)
        self._resting.add(handle)

    def _grow(self) -> None:
        wanted = min(len(self._queue), LINES_MAX - len(self._lines)) - self._opening
        if self._closed or wanted <= 0:
            return
        self._opening += 1
        task = self._loop.create_task(self._open())
        self._courier.tasks.add(task)
        task.add_done_callback(self._courier.tasks.discard)

    async def _open(self) -> None:
        secure, host, port = self.key
        context = ssl.create_default_context() if secure else None
        try:
            async with asyncio.timeout(ANSWER_S):
                _, line = await self._loop.create_connection(lambda: _Line(self), host, port, ssl=context)
        except (OSError, TimeoutError):
            self._opening -= 1
            if self._queue:
                self.settle(self._queue.popleft(), None)
            self._grow()
            return
        self._opening -= 1
        self._lines.add(line)
        self.free(line)
        self._grow()


class _Line(asyncio.Protocol):
    """One connection: one post at a time."""

    def __init__(self, origin: _Origin) -> None:
        self._origin = origin
        self._transport: asyncio.Transport | None = None
        self._post: Post | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._received = 0
        self._parser = httptools.HttpResponseParser(self)

    def send(self, post: Post) -> None:
        if self._transport is None or self._transport.is_closing():
            self._origin.settle(post, None)
            return
        self._post = post
        self._received = 0
        self._timer = asyncio.get_running_loop().call_later(ANSWER_S, self.abort)
        self._transport.write(post.payload)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > _ANSWER_MAX:
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 or self._post is None:
            return
        post = self._over()
        if self._parser.should_keep_alive():
            self._origin.free(self)
        elif self._transport is not None:
            self._transport.close()
        self._origin.settle(post, status)

    def connection_lost(self, exc: Exception | None) -> None:
        post = self._over() if self._post is not None else None
        self._transport = None
        self._origin.lost(self)
        if post is not None:
            self._origin.settle(post, None)

    def _over(self) -> Post:
        post, self._post = self._post, None
        if self._timer is not None:
            self._timer.cancel()
        assert post is not None  # noqa: S101 - both callers have looked
        return post
