"""The Apprise library, which does its own I/O: each message in a thread, with a time limit, and an answer of two words.

What can be known is little, so little is said. `True` is an answer like 200. `False` may mean that nothing left or that everything
did, so it is `Lost`, and so is a thread that is not back in time. Only a URL that the library can't read has provably sent nothing.

A thread can't be stopped. One that is late keeps its place until the library's own limits end it, so that no more than `PLACES`
ever run; who finds none is `Unreachable`, in a phase that is ours. Threads are daemons: the process does not wait for them at its
end.

The library follows redirects and goes through the proxies that the environment names. It logs what it is given, so its log is shut.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING

from sendwright.errors import Unreachable
from sendwright.providers.contract import Answer, AppriseRequest, Lost, NotSent, Reply, Request

if TYPE_CHECKING:
    import apprise

PLACES = 32
"""Threads at a time, over all providers."""


class Apprise:
    """The threads. A place is taken before the claim, as a connection is."""

    def __init__(self, places: int = PLACES) -> None:
        self._free = asyncio.Semaphore(places)

    async def lease(self, within_s: float) -> AppriseLine:
        """A place to run in. Raises `Unreachable` when there is none in time."""
        try:
            async with asyncio.timeout(within_s):
                await self._free.acquire()
        except TimeoutError:
            raise Unreachable("pool", "no thread in time") from None
        return AppriseLine(self._free)


class AppriseLine:
    """`ports.Line` for `AppriseRequest`s, of which it carries one."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free = free
        self._held = True

    @property
    def open(self) -> bool:
        return self._held

    async def send(self, request: Request, within_s: float) -> Answer:
        """Has the library send it. Raises `ValueError` for a URL that the library can't read, and for other requests."""
        if not isinstance(request, AppriseRequest):
            raise ValueError("not for Apprise")  # noqa: TRY004 -- every refusal of a request is a ValueError
        if not self._held:
            return NotSent("late", "the line was given back")
        if within_s <= 0:
            return NotSent("late", "no time left")
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Answer | ValueError] = loop.create_future()
        try:
            threading.Thread(target=self._run, args=(request, loop, told), name="apprise", daemon=True).start()
        except RuntimeError:
            return NotSent("pool", "no thread could be started")
        self._held = False
        try:
            async with asyncio.timeout(within_s):
                answer = await told
        except TimeoutError:
            return Lost("wait", "timed out")
        if isinstance(answer, ValueError):
            raise answer
        return answer

    def release(self) -> None:
        """Gives the place back, unless a thread has it: then that does."""
        if self._held:
            self._held = False
            self._free.release()

    def _run(self, request: AppriseRequest, loop: asyncio.AbstractEventLoop, told: asyncio.Future[Answer | ValueError]) -> None:
        answer = _sent(request)
        try:
            loop.call_soon_threadsafe(self._ran, answer, told)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    def _ran(self, answer: Answer | ValueError, told: asyncio.Future[Answer | ValueError]) -> None:
        self._free.release()
        if not told.done():
            told.set_result(answer)


def _sent(request: AppriseRequest) -> Answer | ValueError:
    """What the library did, in a thread."""
    try:
        service = _service(request)
    except Exception as error:  # noqa: BLE001 -- whatever it is, nothing was sent, and its text may hold the URL
        return ValueError(f"Apprise can't read the URL: {type(error).__name__}")
    if service is None:
        return ValueError("Apprise can't read the URL")
    try:
        taken = service.notify(body=request.body, title=request.title, body_format="text")
    except Exception as error:  # noqa: BLE001 -- any of its hundred services may raise anything, after bytes have left
        return Lost("wait", f"Apprise raised {type(error).__name__}")
    return Reply(200) if taken else Lost("wait", "Apprise says that it did not work, and not what left")


def _service(request: AppriseRequest) -> apprise.Apprise | None:
    """The library with this one URL; None where it can't read it."""
    import apprise  # noqa: PLC0415 -- an extra, and half a second to load

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    asset = apprise.AppriseAsset(async_mode=False, interpret_escapes=False, interpret_emojis=False, storage_mode="memory")
    service = apprise.Apprise(asset=asset)
    return service if service.add(request.url.reveal()) else None
