"""One HTTP/1.1 connection, and when exactly it broke.

The rule that everything here serves: `NotSent` only while nothing has been handed to the transport. From the moment of
the write on, whatever happens is `Lost` until a complete answer has been read, even where the write itself failed:
that nothing left can't be known then.

  one exchange at a time, one write for head and body, one future, one timer: the deadline is for the whole exchange
  before the write the kernel is asked whether the other side has hung up; it knows before the loop does
  bytes that nobody asked for close the connection: an answer read later could belong to something else
  nothing is ever repeated
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import cast

from sendwright.drivers.egress.wire import BODY_CAP, AnswerReader, Encoded
from sendwright.providers.contract import Answer, Lost, NotSent

_HUNG_UP: int = getattr(select, "POLLRDHUP", 0)
"""Linux reports the other side's FIN by itself, even behind unread bytes; elsewhere POLLHUP and reading must do."""


class Connection(asyncio.Protocol):
    """A connection to one origin."""

    __slots__ = (
        "_alive",
        "_gone",
        "_loop",
        "_poll",
        "_reader",
        "_secured",
        "_unwritten",
        "_waiter",
        "idle_since",
        "transport",
    )  # fmt: skip

    def __init__(self, body_cap: int = BODY_CAP, gone: Callable[[Connection], None] = lambda _: None) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = AnswerReader(body_cap)
        self._gone = gone
        self._alive = self._secured = self._unwritten = False
        self._waiter: asyncio.Future[Answer] | None = None
        self.transport: asyncio.Transport
        self._poll: Callable[[int], object] = nothing
        self.idle_since = 0.0
        """The loop's time when it was last given back."""

    @property
    def open(self) -> bool:
        """Whether a request may be written: nobody has hung up, nothing unasked has come, no exchange is running."""
        return self.intact and not self._poll(0)

    @property
    def intact(self) -> bool:
        """Whether it may be kept: as `open`, as far as the loop has seen."""
        return self._alive and self._waiter is None and not self.transport.is_closing()

    def now(self) -> float:
        """The loop's time. Asking for the running loop costs a system call each time."""
        return self._loop.time()

    async def exchange(self, request: Encoded, within_s: float) -> Answer:
        """Writes the request and waits for its answer. When cancelled, it closes."""
        if self._waiter is not None:
            return NotSent("late", "another exchange is running on this line")
        if within_s <= 0:
            return NotSent("late", "no time left")
        if not self.open:
            return NotSent("late", "the other side has hung up")
        self._reader.expect(request.method)
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        self._waiter = waiter
        timer = self._loop.call_later(within_s, self._lose, "timed out")
        try:
            self.transport.write(request.data)
            return await waiter
        finally:
            timer.cancel()
            self._waiter = None
            if not self._reader.reusable or self._unwritten:
                self.close()

    def close(self) -> None:
        """At once: what waits to be written is dropped, and a running exchange is lost."""
        self._alive = False
        self.transport.abort()

    def secured_by(self, transport: asyncio.Transport) -> None:
        """From now on everything goes through this TLS transport."""
        self._secured = True
        self._use(transport)

    def _use(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        # So that it is told at once when not all was written. TLS transports count from the limit on, plain ones above it.
        transport.set_write_buffer_limits(high=int(self._secured))
        self._poll = poller(transport.get_extra_info("socket").fileno(), secured=self._secured)

    def _settle(self, answer: Answer) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(answer)

    def _lose(self, detail: str) -> None:
        phase = self._reader.phase
        self._settle(Lost("write" if phase == "wait" and self._unwritten else phase, detail))

    # What follows is called by the loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._use(cast("asyncio.Transport", transport))
        self._alive = True

    def pause_writing(self) -> None:
        self._unwritten = True

    def resume_writing(self) -> None:
        self._unwritten = False

    def data_received(self, data: bytes) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            self._reader.reusable = False
            self.close()
            return
        answer = self._reader.feed(data)
        if answer is not None:
            waiter.set_result(answer)

    def eof_received(self) -> None:
        self._alive = False
        if self._waiter is not None and not self._waiter.done():
            answer = self._reader.end() if self._finished_properly() else None
            if answer is None:
                self._lose("closed")
            else:
                self._settle(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._alive = False
        self._poll = nothing
        self._lose("reset" if exc is not None else "closed")
        self._gone(self)

    def _finished_properly(self) -> bool:
        """TLS says goodbye; an end without it may have been made by anybody on the way (RFC 8446, section 6.1)."""
        if not self._secured:
            return True
        try:
            rest: bytes = self.transport.get_extra_info("ssl_object").read(1)
        except OSError:
            return False  # it would wait for more: no goodbye came
        return rest == b""


def nothing(_: int) -> object:
    return ()


def poller(fd: int, *, secured: bool) -> Callable[[int], object]:
    """Asks the kernel for what the loop has not seen yet: true when the other side has hung up.

    Unread bytes mean the same, save under TLS, where they may be the session's own."""
    if fd < 0 or not hasattr(select, "poll"):
        return nothing
    poll = select.poll()
    poll.register(fd, _HUNG_UP if secured else _HUNG_UP | select.POLLIN)
    return poll.poll
