"""Single requests, gathered into batches of at most ten, and judged entry by entry.

A batch's 200 says nothing of its entries: each has a verdict of its own. What failed by nobody's fault is repeated, in a
later batch, within its own time limit; what is the sender's fault, and what no verdict came for in time, is raised to whoever waits
for it. An entry that the answer does not mention at all counts as one whose answer was lost.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api-actions.html
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from sendwright.drivers.bus.sqs.calls import CallFailed, failure, pause_s
from sendwright.errors import BusDown

ENTRIES_MAX = 10
PATIENCE_S = 0.25
"""A batch that takes longer than this does not hold up the next one."""
BATCHES_MAX = 8
"""Batches of one kind on one queue that may be on their way."""


class Entry:
    """One request of a batch, and who waits for it."""

    __slots__ = ("deadline", "future", "maybe", "members", "size", "tries")

    def __init__(self, members: dict[str, Any], size: int, deadline: float, future: asyncio.Future[None]) -> None:
        self.members = members
        self.size = size
        self.deadline = deadline
        self.future = future
        self.tries = 0
        self.maybe = False


class Batches:
    """One batch action on one queue."""

    def __init__(
        self,
        action: str,
        call: Callable[[list[dict[str, Any]]], Awaitable[dict[str, Any]]],
        chance: random.Random,
        *,
        within_s: float,
        size_max: int = 0,
        linger_s: float = 0.0,
        harmless: frozenset[str] = frozenset(),
    ) -> None:
        """`size_max` bounds the sizes of a batch's entries together. `linger_s` is how long a small batch waits for company.
        A failure whose code is `harmless` is none."""
        self._action = action
        self._call = call
        self._chance = chance
        self._within_s = within_s
        self._size_max = size_max
        self._linger_s = linger_s
        self._harmless = harmless
        self._waiting: deque[Entry] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._pump: asyncio.Task[None] | None = None
        self._closed = False

    def submit(self, members: dict[str, Any], size: int = 0) -> asyncio.Future[None]:
        """Done when SQS has said so of this entry; raises `BusDown`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._put(Entry(members, size, loop.time() + self._within_s, future))
        return future

    def close(self) -> list[asyncio.Task[None]]:
        """Takes nothing more and raises `BusDown` to whoever waits. Returns what was cancelled."""
        self._closed = True
        while self._waiting:
            self._give_up(self._waiting.popleft(), BusDown("the bus was closed"))
        tasks = [*self._under_way, *([self._pump] if self._pump else [])]
        for task in tasks:
            task.cancel()
        return tasks

    def _put(self, entry: Entry) -> None:
        if entry.future.done():
            return  # nobody waits for it any more, and it was never promised
        if self._closed:
            self._give_up(entry, BusDown("the bus is closed"))
            return
        self._waiting.append(entry)
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._waiting:
                if self._linger_s and len(self._waiting) < ENTRIES_MAX:
                    await asyncio.sleep(self._linger_s)
                batch = asyncio.get_running_loop().create_task(self._round(self._cut()))
                self._under_way.add(batch)
                batch.add_done_callback(self._under_way.discard)
                await asyncio.wait({batch}, timeout=PATIENCE_S)
                if len(self._under_way) >= BATCHES_MAX:
                    await asyncio.wait(set(self._under_way), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._pump = None

    def _cut(self) -> list[Entry]:
        """The next batch: the entries that wait longest, as many as fit."""
        batch = [self._waiting.popleft()]
        size = batch[0].size
        while self._waiting and len(batch) < ENTRIES_MAX:
            size += self._waiting[0].size
            if self._size_max and size > self._size_max:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _round(self, batch: list[Entry]) -> None:
        try:
            answer = await self._call([{"Id": str(place), **entry.members} for place, entry in enumerate(batch)])
        except CallFailed as error:
            for entry in batch:
                self._failed(entry, error)
        except asyncio.CancelledError:
            for entry in batch:
                self._give_up(entry, BusDown("the bus was closed", maybe=True))
            raise
        except Exception as error:  # noqa: BLE001 -- whoever waits must hear of it, whatever it is
            for entry in batch:
                if not entry.future.done():
                    entry.future.set_exception(error)
        else:
            self._judge(batch, answer)

    def _judge(self, batch: list[Entry], answer: dict[str, Any]) -> None:
        taken = {str(one.get("Id")) for one in answer.get("Successful") or ()}
        refused = {str(one.get("Id")): one for one in answer.get("Failed") or ()}
        for place, entry in enumerate(batch):
            one = refused.get(str(place))
            if one is not None:
                self._failed(
                    entry, failure(self._action, str(one.get("Code", "unknown")), at_fault=bool(one.get("SenderFault", True)))
                )
            elif str(place) in taken:
                if not entry.future.done():
                    entry.future.set_result(None)
            else:
                self._failed(entry, CallFailed(self._action, "no verdict", repeat=True, maybe=True))

    def _failed(self, entry: Entry, error: CallFailed) -> None:
        if error.code in self._harmless:
            if not entry.future.done():
                entry.future.set_result(None)
            return
        entry.maybe = entry.maybe or error.maybe
        loop = asyncio.get_running_loop()
        pause = pause_s(entry.tries, self._chance)
        entry.tries += 1
        if error.repeat and loop.time() + pause < entry.deadline:
            loop.call_later(pause, self._put, entry)
        else:
            self._give_up(entry, error)

    def _give_up(self, entry: Entry, error: BusDown) -> None:
        if not entry.future.done():
            down = BusDown(str(error), maybe=entry.maybe or error.maybe)
            down.__cause__ = error
            entry.future.set_exception(down)
