"""Who waits for a queue's bundles, and the polls that serve them.

A poll runs while somebody waits, and asks for one message first; while the queue gives all that is asked for, it is asked
for more, up to ten, and what nobody waits for yet stays here for the next taker. A poll is never cut off because a taker
was: what it brings is kept. Left alone for half its visibility timeout, it goes back to the queue.

Long polls: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable

from sendwright.drivers.bus.sqs.calls import CallFailed, pause_s
from sendwright.drivers.bus.sqs.hands import Hand
from sendwright.errors import BusDown

GRAB_MAX = 10
"""Most messages of one poll: SQS has no more."""
POLLS_MAX = 4
"""Polls of one queue at the same time."""


class Source:
    """The takers of one queue."""

    def __init__(self, receive: Callable[[int], Awaitable[list[Hand]]], chance: random.Random, within_s: float) -> None:
        """`receive` polls for at most that many; raises `CallFailed`. A poll that fails for `within_s` tells its takers."""
        self._receive = receive
        self._chance = chance
        self._within_s = within_s
        self._ready: deque[Hand] = deque()
        self._takers: deque[asyncio.Future[Hand]] = deque()
        self._polls: set[asyncio.Task[None]] = set()
        self._grab = 1
        self._closed = False
        self._back: Callable[[Hand], None] | None = None

    @property
    def ready(self) -> deque[Hand]:
        """What is here and nobody has taken, oldest first."""
        return self._ready

    async def take(self) -> Hand:
        """Raises `BusDown` after a time without an answer. Cancelling it loses nothing."""
        if self._closed:
            raise BusDown("the bus is closed")
        if self._ready:
            hand = self._ready.popleft()
            hand.out = True
            return hand
        taker: asyncio.Future[Hand] = asyncio.get_running_loop().create_future()
        self._takers.append(taker)
        self._poll_by_need()
        try:
            return await taker
        except asyncio.CancelledError:
            if taker.done() and not taker.cancelled() and taker.exception() is None:
                self.offer(taker.result(), front=True)
            raise

    def offer(self, hand: Hand, *, front: bool = False) -> None:
        """Hands it to who waits longest, or keeps it."""
        if self._back is not None:
            hand.out = False
            self._back(hand)
            return
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                hand.out = True
                taker.set_result(hand)
                return
        hand.out = False
        if front:
            self._ready.appendleft(hand)
        else:
            self._ready.append(hand)

    def withdraw(self, hand: Hand) -> bool:
        """Takes it away again, for nobody came for it; False when somebody did. Asks for less from now on."""
        if hand not in self._ready:
            return False
        self._ready.remove(hand)
        self._grab = 1
        return True

    def stop(self, back: Callable[[Hand], None]) -> None:
        """Nobody takes any more, for good, and nothing is asked for; who waits waits on. What is here goes `back`, and so does what
        is still brought by a poll under way, which would keep it from others if it was cut off."""
        self._back = back
        while self._ready:
            back(self._ready.popleft())

    def close(self) -> list[asyncio.Task[None]]:
        """Raises `BusDown` to who waits. Returns the polls that were cut off."""
        self._closed = True
        self._fail(BusDown("the bus was closed"))
        for poll in self._polls:
            poll.cancel()
        return list(self._polls)

    def _waiting(self) -> int:
        if self._back is not None:
            return 0
        while self._takers and self._takers[0].done():
            self._takers.popleft()
        return sum(not taker.done() for taker in self._takers)

    def _poll_by_need(self) -> None:
        needed = min(POLLS_MAX, -(-self._waiting() // self._grab))
        while len(self._polls) < needed:
            poll = asyncio.get_running_loop().create_task(self._poll())
            self._polls.add(poll)
            poll.add_done_callback(self._poll_ended)

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        deadline, tries = loop.time() + self._within_s, 0
        while self._waiting():
            asked = self._grab
            try:
                hands = await self._receive(asked)
            except CallFailed as error:
                pause = pause_s(tries, self._chance)
                tries += 1
                if not error.repeat or loop.time() + pause > deadline:
                    self._fail(error)
                    return
                await asyncio.sleep(pause)
                continue
            deadline, tries = loop.time() + self._within_s, 0
            self._grab = min(GRAB_MAX, 2 * asked) if len(hands) >= asked else max(1, len(hands))
            for hand in hands:
                self.offer(hand)

    def _poll_ended(self, poll: asyncio.Task[None]) -> None:
        self._polls.discard(poll)
        if poll.cancelled():
            return
        error = poll.exception()
        if error is not None:  # the operator's, or a fault of ours: who takes must hear of it
            self._fail(error)
        elif not self._closed:
            self._poll_by_need()  # a taker that came while it ended

    def _fail(self, error: BaseException) -> None:
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_exception(error)
