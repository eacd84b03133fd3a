"""What this process has taken and not yet done: told from what comes twice, kept from others by heart-beats.

SQS delivers a message now and then again while it is in our hands; and a bundle whose send lost its answer lies in the
queue twice, under one id. Both are one *hand* here: the second delivery only adds its receipt handle, so that both are
deleted together. What was done here lately and comes again is deleted quietly.

A receipt handle holds until the visibility timeout, and the newest one of a message is the one to use.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
"""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

from sendwright.drivers.bus.sqs.bodies import Letter
from sendwright.drivers.bus.sqs.queues import NOT_HELD, Queue
from sendwright.engine.telling import Tell, Trouble
from sendwright.errors import BusDown

LATELY_MAX = 4096
"""Bundles of which it is remembered that they are done."""
BEATS = 8
"""How often within a visibility timeout the hands are looked at."""


class Hand:
    """One bundle, or raw message, that was received."""

    __slots__ = ("beating", "handles", "key", "letter", "message", "out", "queue", "received", "sent_at", "tag", "until")

    def __init__(self, key: str, tag: int, queue: Queue, letter: Letter, message: dict[str, Any], until: float) -> None:
        system = message.get("Attributes") or {}
        self.key = key
        self.tag = tag
        self.queue = queue
        self.letter = letter
        self.message = message
        self.handles: dict[str, str] = {}
        """By message id, the newest receipt handle. Several messages where one send became two."""
        self.until = until
        """As long as nobody else gets it, on the event loop's clock."""
        self.received = int(system.get("ApproximateReceiveCount", 1))
        self.sent_at = int(system.get("SentTimestamp", 0))
        """ms since 1970."""
        self.out = False
        """Somebody works on it; otherwise it waits here for a taker."""
        self.beating = False


class Hands:
    """All hands of one bus."""

    def __init__(self, visibility_s: int, tell: Tell, idle: Callable[[Hand], bool]) -> None:
        """`idle` is told of a hand that nobody took for half its time, and says whether it is withdrawn."""
        self._visibility_s = visibility_s
        self._tell = tell
        self._idle = idle
        self._tags = itertools.count(1)
        self._held: dict[str, Hand] = {}
        self._by_tag: dict[int, Hand] = {}
        self._lately: OrderedDict[str, None] = OrderedDict()
        self._backs: set[asyncio.Task[None]] = set()

    def received(self, queue: Queue, message: dict[str, Any], letter: Letter) -> Hand | None:
        """A new hand; None where it is one that we have, or was done here."""
        id_, handle = str(message["MessageId"]), str(message["ReceiptHandle"])
        key = f"{queue.name} {letter.id or id_}"
        if key in self._lately:
            queue.delete.submit({"ReceiptHandle": handle}).add_done_callback(_heard)
            return None
        now = asyncio.get_running_loop().time()
        hand = self._held.get(key)
        if hand is not None:
            hand.handles[id_] = handle
            if len(hand.handles) == 1 or hand.until == float("inf"):
                hand.until = now + self._visibility_s
            return None
        hand = self._held[key] = Hand(key, next(self._tags), queue, letter, message, now + self._visibility_s)
        hand.handles[id_] = handle
        self._by_tag[hand.tag] = hand
        return hand

    def found(self, tag: int) -> Hand | None:
        return self._by_tag.get(tag)

    async def done(self, hand: Hand) -> None:
        """Deletes its messages. From the first call on it does not come again here. Raises `BusDown`; then repeat it."""
        self._lately[hand.key] = None
        if len(self._lately) > LATELY_MAX:
            self._lately.popitem(last=False)
        self._let_go(hand)
        await _all(hand.queue.delete.submit({"ReceiptHandle": handle}) for handle in list(hand.handles.values()))
        self._by_tag.pop(hand.tag, None)

    async def give_back(self, hand: Hand, after_s: int = 0) -> None:
        """Makes it visible to everybody, now or then. Raises `BusDown`; then repeat it, or wait: it comes back by itself."""
        self._let_go(hand)
        self._lately.pop(hand.key, None)  # it could not be done after all
        entries = [{"ReceiptHandle": handle, "VisibilityTimeout": after_s} for handle in hand.handles.values()]
        await _all(hand.queue.release.submit(entry) for entry in entries)
        self._by_tag.pop(hand.tag, None)

    def release(self, hand: Hand) -> None:
        """Gives back what nobody took, and tries it once: where it fails, it comes back by itself, under a tag of its own."""
        back = asyncio.get_running_loop().create_task(self._released(hand))
        self._backs.add(back)
        back.add_done_callback(self._backs.discard)
        back.add_done_callback(_heard)

    async def _released(self, hand: Hand) -> None:
        try:
            await self.give_back(hand)
        finally:
            self._by_tag.pop(hand.tag, None)

    def abandon(self, hand: Hand) -> None:
        """Nothing is done for it any more: it comes again when its time is over."""
        self._let_go(hand)
        self._by_tag.pop(hand.tag, None)

    def all(self) -> list[Hand]:
        return list(self._held.values())

    def going_back(self) -> list[asyncio.Task[None]]:
        """What is being released."""
        return list(self._backs)

    async def beat(self) -> None:
        """Forever: what is worked on and has had half its time gets it anew."""
        while True:
            await asyncio.sleep(self._visibility_s / BEATS)
            try:
                self._look(asyncio.get_running_loop())
            except Exception as error:  # noqa: BLE001 -- whatever it is, the heart must go on
                self._tell(Trouble("sqs", f"heart-beat: {type(error).__name__}"))

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        for hand in self.all():
            if hand.until - loop.time() > self._visibility_s / 2 or hand.beating:
                continue
            if hand.out:
                self._extend(hand, loop.time())
            elif self._idle(hand):
                self.release(hand)

    def _extend(self, hand: Hand, now: float) -> None:
        hand.beating = True
        left = len(hand.handles)

        def answered(id_: str, handle: str, future: asyncio.Future[None]) -> None:
            nonlocal left
            left -= 1
            hand.beating = left > 0
            error = None if future.cancelled() else future.exception()
            if error is None:
                hand.until = now + self._visibility_s
            elif getattr(error.__cause__, "code", "") in NOT_HELD:
                self._expired(hand, id_, handle)

        for id_, handle in list(hand.handles.items()):
            future = hand.queue.extend.submit({"ReceiptHandle": handle, "VisibilityTimeout": self._visibility_s})
            future.add_done_callback(partial(answered, id_, handle))

    def _expired(self, hand: Hand, id_: str, handle: str) -> None:
        """Too late, or deleted elsewhere. The work goes on: what it may do, its rows decide."""
        if self._held.get(hand.key) is hand and hand.handles.get(id_) == handle:
            hand.until = float("inf")  # nothing to extend, until it is delivered here again
            self._tell(Trouble("sqs", f"a bundle of {hand.queue.name} was not kept from others in time"))

    def _let_go(self, hand: Hand) -> None:
        if self._held.get(hand.key) is hand:
            del self._held[hand.key]


async def _all(futures: Any) -> None:
    """Waits for all of them, then raises the first failure."""
    for result in await asyncio.gather(*futures, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _heard(future: asyncio.Future[None]) -> None:
    """Nobody waits for it: what failed comes again by itself."""
    if not future.cancelled() and isinstance(future.exception(), BusDown):
        return
