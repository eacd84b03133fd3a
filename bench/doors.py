"""A caller with several doors: posts to any of the APIs over kept-alive lines, goes to the next door when one is shut, and keeps a
ledger of what it was told.

A post with a key is repeated until it is answered; one without is not, once it may have been taken: such a number is `maybe`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.acceptance.harness import ADMIN_KEY

ANSWER_S = 30.0
PAUSE_S = 0.1
BEHIND_S = 1.0
UNSENT = (None, None, False)
"""The line was never there: nothing can have been taken."""
LOST = (None, None, True)


@dataclass
class Post:
    """One notification on its way to a 202. Times are monotonic."""

    at: float
    first: bool = False
    """The first answer was 202."""
    soon: bool = False
    """That, or the answer at the next door."""
    took_s: float = 0.0


@dataclass
class Doors:
    urls: list[str]
    accepted: dict[str, str] = field(default_factory=dict)
    """Key or, without one, number; to the id."""
    maybe: set[int] = field(default_factory=set)
    """Numbers of posts without a key that were never answered: they may exist or not."""
    posts: list[Post] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _idle: dict[int, list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = field(default_factory=dict)

    async def post(self, number: int, body: dict[str, Any], *, key: str | None = None) -> str | None:
        """The id, once it was answered 202."""
        began = time.monotonic()
        note = Post(began)
        self.posts.append(note)
        for tries in range(1_000_000):
            status, answer, maybe = await self.exchange((number + tries) % len(self.urls), "POST", "/v1/notifications", body, key)
            if status == 202:
                note.first, note.soon = tries == 0, tries <= 1
                note.took_s = time.monotonic() - began
                self._noted(key or str(number), answer["id"])
                return str(answer["id"])
            maybe = maybe or (isinstance(answer, dict) and bool(answer.get("may_be_accepted")))
            if maybe and key is None:
                self.maybe.add(number)
                return None
            if status not in {None, 409, 503}:
                self.wrong.append(f"post {number} was answered {status}")
                return None
            await asyncio.sleep(0 if tries == 0 and status is None else PAUSE_S)
        return None

    async def exchange(
        self, door: int, method: str, path: str, body: dict[str, Any] | None = None, key: str | None = None
    ) -> tuple[int | None, Any, bool]:
        """Status, answer, and whether the request may have been heard although no answer came."""
        raw = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n"
        ) + (f"Idempotency-Key: {key}\r\n" if key is not None else "")
        idle = self._idle.setdefault(door, [])
        try:
            line = idle.pop() if idle else await asyncio.wait_for(self._line(door), ANSWER_S)
        except (OSError, TimeoutError):
            return UNSENT
        reader, writer = line
        try:
            writer.write(head.encode() + b"\r\n" + raw)
            async with asyncio.timeout(ANSWER_S):
                status, answer, stays = await _answer(reader)
        except (OSError, EOFError, ValueError, TimeoutError):
            writer.close()
            return LOST
        self.statuses[status] += 1
        if stays:
            idle.append(line)
        else:
            writer.close()
        return status, answer, False

    async def _line(self, door: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.urls[door])
        return await asyncio.open_connection(parts.hostname, parts.port)

    def _noted(self, key: str, id_: str) -> None:
        before = self.accepted.setdefault(key, id_)
        if before != id_:
            self.wrong.append(f"key {key} stands for {before} and {id_}")

    def close(self) -> None:
        for lines in self._idle.values():
            for _, writer in lines:
                writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, Any, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
    body = await reader.readexactly(length)
    return int(head.split()[1]), json.loads(body) if body else None, "connection: close" not in head


async def steadily(numbers: Iterator[int], rate: float, at_once: int, post: Callable[[int], Any], over: asyncio.Event) -> int:
    """Posts these numbers at that many a second until it is over; how many it began."""
    began, count = time.monotonic(), 0

    async def one() -> None:
        nonlocal began, count
        for number in numbers:
            count += 1
            ahead = count / rate - (time.monotonic() - began)
            if ahead > 0:
                await asyncio.sleep(ahead)
            elif ahead < -BEHIND_S:  # what was not posted while nobody answered is not made up for in a rush
                began -= ahead
            if over.is_set():
                return
            await post(number)

    await asyncio.gather(*(one() for _ in range(at_once)))
    return count
