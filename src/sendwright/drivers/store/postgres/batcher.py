"""Many calls, few statements: what gathers while a flush is under way goes with the next one.

One flush of a kind of operation at a time, and beside it one for what is urgent alone: more load makes larger flushes, not more
of them. What is not urgent waits for company where that is worth it (drivers/linger.py): a flush of twelve costs each of them twice
what a flush of a hundred does, here and in the server.

Errors. Data: the flush is bisected, so only the guilty item fails. The connection broke, and nobody knows whether it was committed:
an operation whose repetition changes nothing (`repeatable`) is repeated at once, once; any other answers
`StoreDown(maybe=True)`, as its caller alone can say what a repetition means.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

from sendwright.drivers.linger import Linger
from sendwright.drivers.store.postgres.connections import TURNS, Again, NoPartition
from sendwright.errors import StoreDown

FLUSH_MAX = 256
"""Most weight in one flush; a heavier item goes alone."""
WORTHWHILE = 100
"""A flush of so many items waits for no more of them."""
AGAIN_S = 0.002

I = TypeVar("I")  # noqa: E741
R = TypeVar("R")


class _Job(Generic[I]):
    __slots__ = ("future", "item")

    def __init__(self, item: I, future: asyncio.Future[Any]) -> None:
        self.item = item
        self.future = future


class Batcher(Generic[I, R]):
    """`flush` answers one result per item, in order. Of items with the same `key` one flush takes one."""

    def __init__(
        self,
        flush: Callable[[list[I]], Awaitable[Sequence[R]]],
        *,
        mend: Callable[[list[I]], Awaitable[None]] | None = None,
        weight: Callable[[I], int] = lambda _: 1,
        key: Callable[[I], Hashable] | None = None,
        repeatable: bool = False,
        worthwhile: int = WORTHWHILE,
    ) -> None:
        self._flush = flush
        self._mend = mend
        self._weight = weight
        self._key = key
        self._repeatable = repeatable
        self._linger = Linger(worthwhile)
        self._urgent: deque[_Job[I]] = deque()
        self._rest: deque[_Job[I]] = deque()
        self._main: asyncio.Task[None] | None = None
        self._side: asyncio.Task[None] | None = None
        """Takes what is urgent while the other is busy."""
        self._closed = False

    def submit(self, item: I, *, urgent: bool = False) -> asyncio.Future[R]:
        """The item's result, once it is durable."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_exception(StoreDown("the store is closed"))
            return future
        (self._urgent if urgent else self._rest).append(_Job(item, future))
        self._linger.grown(len(self._rest))
        if self._main is None:
            self._main = asyncio.get_running_loop().create_task(self._run_main())
        elif urgent and self._side is None:
            self._side = asyncio.get_running_loop().create_task(self._run_side())
        return future

    async def close(self) -> None:
        """Flushes what was submitted, and takes nothing more."""
        self._closed = True
        self._linger.go()
        while running := [task for task in (self._main, self._side) if task is not None]:
            await asyncio.wait(running)

    async def _run_main(self) -> None:
        while self._urgent or self._rest:
            if not (self._urgent or self._closed):
                await self._linger.wait(len(self._rest))
            jobs = self._taken(self._urgent, self._rest)
            self._linger.flushed(len(jobs))
            await self._carried_out(jobs)
        self._main = None

    async def _run_side(self) -> None:
        while jobs := self._taken(self._urgent):
            await self._carried_out(jobs)
        self._side = None

    def _taken(self, *queues: deque[_Job[I]]) -> list[_Job[I]]:
        """The next flush, from the first of the queues on."""
        jobs: list[_Job[I]] = []
        keys: set[Hashable] = set()
        room = FLUSH_MAX
        for queue in queues:
            later: list[_Job[I]] = []
            while queue and room > 0:
                job = queue.popleft()
                key = self._key(job.item) if self._key is not None else None
                if key is not None and key in keys:
                    later.append(job)
                    continue
                weight = self._weight(job.item)
                if jobs and weight > room:
                    later.append(job)
                    break
                keys.add(key)
                room -= weight
                jobs.append(job)
            queue.extendleft(reversed(later))
        return jobs

    async def _carried_out(self, jobs: list[_Job[I]]) -> None:
        try:
            results = await self._tried([job.item for job in jobs])
        except StoreDown as error:
            _fail(jobs, error)
        except Exception as error:  # noqa: BLE001 — whatever an item's data did, its caller must hear of it
            if len(jobs) == 1:
                _fail(jobs, error)
                return
            half = len(jobs) // 2
            await self._carried_out(jobs[:half])
            await self._carried_out(jobs[half:])
        else:
            for job, result in zip(jobs, results, strict=True):
                if not job.future.done():
                    job.future.set_result(result)

    async def _tried(self, items: list[I]) -> Sequence[R]:
        broke = False
        for turn in range(TURNS):
            try:
                return await self._flush(items)
            except Again:
                await asyncio.sleep(AGAIN_S * turn)
            except NoPartition:
                if self._mend is None:
                    raise
                await self._mend(items)
            except StoreDown as error:
                broken = broke or (error.maybe and not self._repeatable) or not error.maybe
                if broken:
                    raise StoreDown(str(error), maybe=error.maybe or broke) from error
                broke = True
        raise StoreDown("others kept getting in the way")


def _fail(jobs: Sequence[_Job[Any]], error: Exception) -> None:
    for job in jobs:
        if not job.future.done():
            job.future.set_exception(error)
