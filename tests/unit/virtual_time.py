"""Virtual time: an event loop whose clock jumps to the next timer as soon as nothing else can run.

An hour passes in milliseconds, `asyncio.sleep` and `asyncio.timeout` included; a wait for something that can never happen
fails at once, and so does a loop that works on and on while no time passes.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

NOW = 1_800_000_000_000
"""ms since 1970, when a test begins."""
START_S = 1000.0
"""Monotonic seconds, when a test begins."""
FINEST_S = 1e-6
TURN_S = 1e-8
"""What one turn of the loop takes: a timer may ring its resolution early, and who then looks at the clock must get on."""
SPINS_MAX = 200_000
LOOK_EVERY = 16
"""While there is work, files are looked at every so many turns: a look is a call of the system, and here hardly anything is said by
files."""


class _Idle(selectors.BaseSelector):
    """Looks whether anything is ready; else moves the clock to the loop's next timer instead of waiting for it."""

    def __init__(self) -> None:
        self._inner = selectors.DefaultSelector()
        self.now_s = START_S
        self._spins = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now_s += TURN_S
        self._spins += 1
        if timeout is not None and timeout <= 0 and self._spins % LOOK_EVERY:
            return []
        ready = self._inner.select(0)
        if not ready and timeout is None:
            raise AssertionError("everybody waits for something that can't happen any more")
        if not ready and timeout is not None and timeout > 0:
            self.now_s += max(timeout, FINEST_S)
            self._spins = 0
        if self._spins > SPINS_MAX:
            raise AssertionError("busy without end, and no time passes")
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time: `asyncio.sleep` and `asyncio.timeout` keep to it as well."""

    def __init__(self) -> None:
        self._idle = _Idle()
        super().__init__(self._idle)
        self._clock_resolution = 1e-7

    def time(self) -> float:
        return self._idle.now_s

    def jump(self, seconds: float) -> None:
        """Time passes while one task holds the processor."""
        self._idle.now_s += seconds


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an asynchronous test to its end on a loop of its own, in no time."""

    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    functools.update_wrapper(run, test)
    del run.__wrapped__  # type: ignore[attr-defined]  # nobody may take it for a coroutine function
    run.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    return run


class VirtualClock:
    """ports.Clock by the running loop."""

    def now_ms(self) -> int:
        return NOW + int((self.monotonic() - START_S) * 1000 + 1e-4)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
