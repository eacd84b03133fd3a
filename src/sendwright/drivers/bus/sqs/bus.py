"""ports.Bus on Amazon SQS.

At least once, and in no order that could be relied on. A publish is durable when SQS has confirmed each of its bundles; one
whose answer was lost is sent again under the same id, until the time limit. What is taken is kept from others by heart-beats
(hands.py) and comes again by itself when this process dies. What was handed out too often is in the dead queue, from where
`take_dead` takes it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from msgspec.structs import replace

from sendwright.drivers.bus.sqs.address import DEAD, INTAKE, SqsAddress, queue_name
from sendwright.drivers.bus.sqs.bodies import checked, packed, read_letter, written
from sendwright.drivers.bus.sqs.book import Book
from sendwright.drivers.bus.sqs.calls import CallFailed, Calls, open_calls, pause_s
from sendwright.drivers.bus.sqs.checkroom import Checkroom
from sendwright.drivers.bus.sqs.hands import Hand, Hands
from sendwright.drivers.bus.sqs.queues import Queue
from sendwright.drivers.bus.sqs.source import Source
from sendwright.engine.ports import Delivery
from sendwright.engine.telling import Tell, Trouble
from sendwright.errors import BusDown, Unavailable
from sendwright.model.parcel import bundle

IN_USE_S = 120.0
"""A lane that was not used or asked for as long is not counted."""
GATHER_S = 0.25
"""As long, at most, the next bundles of a lane are gathered while the ones before are on their way."""
CLOSING_S = 2.0
"""Time limit of what is put in order at the end."""


class _Call:
    """One publish: durable when its last bundle is."""

    __slots__ = ("error", "future", "left", "maybe", "parcels")

    def __init__(self, parcels: tuple[bytes, ...], future: asyncio.Future[None]) -> None:
        self.parcels = parcels
        self.future = future
        self.left = 0
        self.maybe = False
        self.error: BaseException | None = None

    def settled(self, error: BaseException | None) -> None:
        """One of its bundles is confirmed, or has failed."""
        self.left -= 1
        self.error = self.error or error
        self.maybe = self.maybe or error is None or (isinstance(error, Unavailable) and error.maybe)
        if self.left or self.future.done():
            return
        if self.error is None:
            self.future.set_result(None)
        elif isinstance(self.error, Unavailable):
            self.future.set_exception(BusDown(str(self.error), maybe=self.maybe))
        else:
            self.future.set_exception(self.error)


class _Lane:
    """One lane: its queue, its takers, its book, and what is gathered for the next bundles."""

    def __init__(self, name: str, queue: Queue, source: Source) -> None:
        self.name = name
        self.queue = queue
        self.source = source
        self.book = Book()
        self.gathered: list[_Call] = []
        self.publishing: asyncio.Task[None] | None = None
        self.used_at = 0.0


class SqsBus:
    """ports.Bus, and what more there is: `take_dead`, `declare`, `survey`."""

    def __init__(self, calls: Calls, address: SqsAddress, checkroom: Checkroom, tell: Tell) -> None:
        self._calls = calls
        self._address = address
        self._checkroom = checkroom
        self._tell = tell
        self._hands = Hands(address.visibility_s, tell, self._withdrawn)
        self._lanes: dict[str, _Lane] = {}
        self._by_queue: dict[str, _Lane] = {}
        self._dead = Queue(calls, address, queue_name(address.prefix, DEAD), None)
        self._dead_source = self._source(self._dead, "")
        self._producers = Queue(calls, address, queue_name(address.prefix, INTAKE), None, ours=False)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopped = False
        self._closed = False

    def start(self) -> None:
        self._spawn(self._hands.beat())
        self._spawn(self._surveying())

    def publish(self, lane: str, parcels: Sequence[bytes]) -> Awaitable[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_exception(BusDown("the bus is closed"))
        elif not parcels:
            future.set_result(None)
        else:
            place = self._lane(lane)
            place.gathered.append(_Call(tuple(parcels), future))
            if place.publishing is None:
                place.publishing = self._spawn(self._publishing(place))
        return future

    async def take(self, lane: str) -> Delivery:
        place = self._lane(lane)
        hand = await place.source.take()
        place.book.taken(hand.key, hand.sent_at, hand.letter.count)
        return _delivery(place.name, hand)

    async def take_dead(self) -> Delivery:
        """The next bundle of the dead queue; waits until there is one. Its lane is the one that it died in, or empty where its
        body is none of ours. `done` and `give_back` are as for any other; nothing dies twice."""
        hand = await self._dead_source.take()
        return _delivery(hand.letter.lane, hand)

    async def done(self, delivery: Delivery) -> None:
        hand = self._hands.found(delivery.tag)
        if hand is None:
            return
        await self._hands.done(hand)
        if hand.letter.check is not None:
            with suppress(Unavailable):  # then it is dropped with its day
                await self._checkroom.drop(hand.letter.check)

    async def give_back(self, delivery: Delivery) -> None:
        hand = self._hands.found(delivery.tag)
        if hand is None:
            return
        await self._hands.give_back(hand)
        place = self._by_queue.get(hand.queue.name)
        if place is not None:
            place.book.given_back(hand.key, hand.sent_at, hand.letter.count)

    def stop_taking(self) -> None:
        """As in the port; the dead queue is taken on."""
        self._stopped = True
        for place in self._lanes.values():
            place.source.stop(self._hands.release)

    def depth(self, lane: str) -> int:
        """What this process did counts at once, what others did after `survey_s` and as late as SQS counts (book.py)."""
        return self._lane(lane).book.depth

    def oldest_s(self, lane: str) -> float:
        """An approximation where others send or take as well (book.py)."""
        place = self._lane(lane)
        here = (hand.sent_at for hand in place.source.ready)
        oldest = min((at for at in (place.book.oldest_at(), *here) if at), default=0)
        return max(0.0, time.time() - oldest / 1000) if oldest else 0.0

    async def declare(self, lanes: Iterable[str]) -> None:
        """Makes the queues of these lanes (the producers', too, where it is among them), and the dead one, where they are
        missing. Raises `OperatorError` where one is not as it must be, `BusDown`."""
        await self._dead.url()
        queues = (self._producers if lane == INTAKE else self._lane(lane).queue for lane in lanes)
        await asyncio.gather(*(queue.url() for queue in queues))

    async def exists(self, lane: str) -> bool:
        """Whether there is such a queue. Makes none. Raises `BusDown`."""
        return await Queue(self._calls, self._address, queue_name(self._address.prefix, lane), self._dead).exists()

    async def survey(self, lanes: Iterable[str] | None = None) -> None:
        """Counts these lanes now, or those in use. Makes no queue. Raises `BusDown`."""
        if lanes is None:
            since = time.monotonic() - IN_USE_S
            places = [place for place in self._lanes.values() if place.used_at >= since]
        else:
            places = [self._lane(lane) for lane in lanes]
        await asyncio.gather(*(self._count(place) for place in places))

    async def close(self, *, abruptly: bool = False) -> None:
        """Gives back what is here and not done. `abruptly` does not, as a kill would not."""
        if self._closed:
            return
        self._closed = True
        queues = [self._dead, *(place.queue for place in self._lanes.values())]
        cut: list[asyncio.Task[Any]] = []
        for source in (self._dead_source, *(place.source for place in self._lanes.values())):
            cut += source.close()
        if not abruptly:
            sending = [place.publishing for place in self._lanes.values() if place.publishing is not None]
            back = [*self._hands.going_back(), *(asyncio.ensure_future(self._hands.give_back(hand)) for hand in self._hands.all())]
            if sending or back:
                await asyncio.wait([*sending, *back], timeout=CLOSING_S)
            cut += back
        for queue in queues:
            for batches in queue.batches:
                cut += batches.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*cut, *self._tasks, return_exceptions=True)

    async def _publishing(self, place: _Lane) -> None:
        calls: list[_Call] = []
        try:
            while place.gathered:
                calls, place.gathered = place.gathered, []
                await self._send(place, calls)
        finally:
            place.publishing = None
            for call in (*calls, *place.gathered):  # cut off in the middle, or broken: nobody else would answer
                if not call.future.done() and (self._closed or call.left == 0):
                    call.future.set_exception(BusDown("the bus was closed", maybe=call.left > 0))

    async def _send(self, place: _Lane, calls: list[_Call]) -> None:
        """One bundle after the other; comes back when SQS has all of them, or after a while, so that one that is slow does
        not hold up what comes next."""
        owners = [call for call in calls for _ in call.parcels]
        parts = packed([parcel for call in calls for parcel in call.parcels], self._address.size_max)
        shares, start = [], 0
        for part in parts:
            shares.append(list(dict.fromkeys(owners[start : start + len(part)])))
            start += len(part)
        for share in shares:
            for call in share:
                call.left += 1
        sent: set[asyncio.Future[None]] = set()
        for part, share in zip(parts, shares, strict=True):
            try:
                sent.add(await self._post(place, part, share))
            except Exception as error:  # noqa: BLE001 -- whoever waits must hear of it, whatever it is
                for call in share:
                    call.settled(error)
        if sent:
            await asyncio.wait(sent, timeout=GATHER_S)

    async def _post(self, place: _Lane, parcels: list[bytes], share: list[_Call]) -> asyncio.Future[None]:
        id_, key, at = secrets.token_hex(12), None, int(time.time() * 1000)
        body = written(id_, place.name, parcels)
        if len(body) > self._address.size_max:
            key = await self._checkroom.keep(bundle(parcels))
            body = checked(id_, place.name, len(parcels), key)

        def settled(future: asyncio.Future[None]) -> None:
            error = BusDown("the bus was closed", maybe=True) if future.cancelled() else future.exception()
            if error is None:
                place.book.published(f"{place.queue.name} {id_}", at, len(parcels))
            elif key is not None and not (isinstance(error, Unavailable) and error.maybe):
                self._spawn(self._unkept(key))
            for call in share:
                call.settled(error)

        future = place.queue.send.submit({"MessageBody": body}, len(body))
        future.add_done_callback(settled)
        return future

    async def _unkept(self, key: str) -> None:
        with suppress(Unavailable):
            await self._checkroom.drop(key)

    async def _receive(self, queue: Queue, lane: str, most: int) -> list[Hand]:
        hands = []
        for message in await queue.receive(most):
            letter = read_letter(str(message["Body"]), lane)
            hand = self._hands.received(queue, message, letter)
            if hand is not None and letter.check is not None:
                hand.out = True  # beats while it is fetched
                self._spawn(self._fetched(hand, letter.check))
            elif hand is not None:
                hands.append(hand)
        hands.sort(key=lambda hand: hand.sent_at)
        if hands and (place := self._by_queue.get(queue.name)) is not None:
            place.book.moved()
        return hands

    async def _fetched(self, hand: Hand, key: str) -> None:
        """Offers a bundle that was kept aside. Without a body it is left alone: so it ends in the dead queue, where somebody
        sees it, unless whoever dropped the body deletes the message too."""
        tries = 0
        while True:
            try:
                body = await self._checkroom.fetch(key)
                break
            except Unavailable:
                await asyncio.sleep(pause_s(tries, self._calls.chance))
                tries += 1
        if body is None:
            self._hands.abandon(hand)
            self._tell(Trouble("sqs", f"a bundle of {hand.queue.name} was kept aside, and is not there any more"))
            return
        hand.letter = replace(hand.letter, body=body)
        place = self._by_queue.get(hand.queue.name)
        (self._dead_source if place is None else place.source).offer(hand)

    async def _count(self, place: _Lane) -> None:
        began = place.book.version
        messages = await place.queue.visible()
        place.book.surveyed(began, messages + len(place.source.ready), int(time.time() * 1000))

    async def _surveying(self) -> None:
        while True:
            await asyncio.sleep(self._address.survey_s)
            try:
                await self.survey()
            except CallFailed:
                continue  # the next one may come through
            except Exception as error:  # noqa: BLE001 -- whatever it is, lanes must be counted again
                self._tell(Trouble("sqs", f"counting lanes: {type(error).__name__}"))

    def _withdrawn(self, hand: Hand) -> bool:
        place = self._by_queue.get(hand.queue.name)
        return (self._dead_source if place is None else place.source).withdraw(hand)

    def _source(self, queue: Queue, lane: str) -> Source:
        return Source(partial(self._receive, queue, lane), self._calls.chance, self._address.within_s)

    def _lane(self, name: str) -> _Lane:
        place = self._lanes.get(name)
        if place is None:
            queue = Queue(self._calls, self._address, queue_name(self._address.prefix, name), self._dead)
            place = self._lanes[name] = self._by_queue[queue.name] = _Lane(name, queue, self._source(queue, name))
            if self._stopped:
                place.source.stop(self._hands.release)
        place.used_at = time.monotonic()
        return place

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _delivery(lane: str, hand: Hand) -> Delivery:
    return Delivery(lane, hand.tag, hand.letter.body, hand.letter.count, redelivered=hand.received > 1)


def _silent(_: object) -> None:
    """Tells nobody."""


@asynccontextmanager
async def open_sqs(address: SqsAddress, checkroom: Checkroom, tell: Tell = _silent) -> AsyncIterator[SqsBus]:
    """A bus that runs. Asks SQS nothing yet: queues are found or made when they are first used. Raises `OperatorError`."""
    async with open_calls(address) as calls:
        bus = SqsBus(calls, address, checkroom, tell)
        bus.start()
        try:
            yield bus
        finally:
            await bus.close()
