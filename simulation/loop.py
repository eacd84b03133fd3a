"""Virtual time, and tasks that belong to somebody.

The loop's clock jumps to the next timer as soon as nothing else can run. Every callback runs in the context in which it
was made, and a context names the life (one incarnation of a process) that it belongs to. So a life is killed by never
running its callbacks again: no `finally`, no `except`, nothing of it gets through. It is paused by keeping them for later.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from contextvars import Context
from typing import Any, Protocol

START_S = 1000.0
"""Monotonic seconds when a simulation begins."""
START_MS = 1_800_000_000_000
"""True wall time then, in ms since 1970."""
SPINS_MAX = 20_000
"""So many turns of the loop without any time passing are a loop without end."""


class Owner(Protocol):
    """Whom callbacks belong to."""

    stopped: bool
    kept: list[Callback]


OWNER: contextvars.ContextVar[Owner | None] = contextvars.ContextVar("owner", default=None)


class Callback:
    """What is to be called: asyncio's own handle without what it has for people, which a third of a seed would be spent on."""

    __slots__ = ("_args", "_call", "_cancelled", "_context", "_when")

    def __init__(self, call: Any, args: tuple[Any, ...], context: Context, when: float = 0.0) -> None:
        self._call = call
        self._args = args
        self._context = context
        self._when = when
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled

    def when(self) -> float:
        """Of a timer: when it rings, in loop seconds."""
        return self._when


class HotLoopError(AssertionError):
    """Work goes on and on, and no time passes."""


class StuckError(AssertionError):
    """Everybody waits for something that can't happen any more."""


class SimLoop(asyncio.BaseEventLoop):
    """An event loop without files or sockets."""

    _ready: Any

    def __init__(self) -> None:
        super().__init__()
        self._now_s = START_S
        self._timers: list[tuple[float, int, Callback]] = []
        self._count = 0
        self._spins = 0
        self.set_exception_handler(self._listen)
        self.broke: BaseException | None = None
        """What broke in a callback or a task of the world itself: the simulation's own mistake."""

    def time(self) -> float:
        return self._now_s

    # Nothing is checked here, has a name or is debugged: of several thousand calls a seed, each would be asked for that.
    get_debug = staticmethod(bool)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: object = None, context: Context | None = None) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, context=context)

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Callback:  # type: ignore[override]
        handle = Callback(callback, args, context if context is not None else contextvars.copy_context())
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Callback:
        timer = Callback(callback, args, context if context is not None else contextvars.copy_context(), when)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, timer))
        return timer

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Callback:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def again(self, handles: list[Callback]) -> None:
        """Runs what a paused life has missed, in the order in which it would have come."""
        self._ready.extend(handles)

    def _run_once(self) -> None:
        ready, timers = self._ready, self._timers
        if not ready:
            while timers and timers[0][2]._cancelled:
                heapq.heappop(timers)
            if not timers:
                raise StuckError("everybody waits for something that can't happen any more")
            if timers[0][0] > self._now_s:
                self._now_s = timers[0][0]
                self._spins = 0
        now_s = self._now_s
        while timers and timers[0][0] <= now_s:
            timer = heapq.heappop(timers)[2]
            if not timer._cancelled:
                ready.append(timer)
        self._spins += 1
        if self._spins > SPINS_MAX:
            raise HotLoopError(f"{SPINS_MAX} turns, and no time passes")
        self._run_those_ready()
        if self.broke is not None:
            raise self.broke

    def _run_those_ready(self) -> None:
        ready = self._ready
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            context = handle._context
            owner = context.get(OWNER)
            if owner is not None and owner.stopped:
                owner.kept.append(handle)  # of a dead one for good: nothing of it may even be torn down
            else:
                try:
                    context.run(handle._call, *handle._args)
                except Exception as error:  # noqa: BLE001 — a callback must not raise
                    self.broke = self.broke or error

    def world_task(self, coro: Any, context: Context) -> asyncio.Task[Any]:
        """A task that must not break."""
        task = self.create_task(coro, context=context)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            self.broke = self.broke or task.exception()

    def _listen(self, _loop: asyncio.AbstractEventLoop, _what: dict[str, Any]) -> None:
        """Tasks of the dead are never retrieved, and nobody is told."""

    def _process_events(self, event_list: object) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """There is one thread."""


def owned_by(owner: Owner | None) -> Context:
    """A context whose callbacks belong to `owner`; None: to the world."""
    context = contextvars.copy_context()
    context.run(OWNER.set, owner)
    return context


def spawn(loop: SimLoop, coro: Any, context: Context) -> asyncio.Task[Any]:
    return loop.create_task(coro, context=context)
