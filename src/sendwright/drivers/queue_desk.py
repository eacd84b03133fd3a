"""Taking notifications in where the bus is a broker: the key in the store, the notification on the bus.

Without a key the store is not asked at all: a notification is accepted once the bus has it. With a key, `Keys.reserve` binds
it to an id first, as pending; then the notification is published under that id; then the key is confirmed, lazily. Whatever
happens in between, one key stands for one id:

* A crash before the publish leaves a pending key. Whoever comes `STALE_S` later with the same body takes it over, and publishes
  *the same id*. A crash after the publish leaves the same, and the second publish is a redelivery of what is planned already.
* A confirm of the bus that is lost: the same id is published again until the time is up. Then the caller is told that it may be
  accepted, and the key keeps standing for that id.
* A publish that was provably refused binds nothing: the key is released.
* Who comes while the first is on its way waits for it: in the same process for its end, in another for a moment, and is told that
  it is still running.

Numbers (ADR 11) are given when publishing begins. One whose publish failed is given again. What is reported is how far they are all
used: a number that is still on its way is not counted yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
from msgspec import Struct

from sendwright.engine.ports import Bus
from sendwright.errors import BusDown, StoreDown, Unavailable
from sendwright.model.notification import Priority
from sendwright.model.parcel import Intake, intake_lane, pack
from sendwright.model.records import Absent, Conflict, Offer, Running, Taken

STALE_S = 5.0
"""A key that has been pending for so long was left by a crash."""
PUBLISH_S = 4.0
"""So long is a lost confirm of the bus tried again; less than `STALE_S`."""
RETRY_S = 0.1
LOOK_S = 0.05
LOOKS = 4
"""How often, and how many times, a caller looks whether another process is done with its key."""
COUNT_S = 0.5
"""How long a count may wait to be reported."""
LOST_MS = 600_000
"""What was counted this long ago and is not planned is missing, where the settings don't say (`bus.lost_after`)."""

Answer = Taken | Conflict | Running | Absent

_LANES = {(priority, aside): intake_lane(priority, aside=aside) for priority in Priority for aside in (False, True)}


class Reservation(Struct, frozen=True):
    """A wish to bind a key to an id."""

    tenant: str
    key: str
    id: str
    fingerprint: bytes
    at: int
    """ms since 1970."""
    urgent: bool = False


class Mine(Struct, frozen=True):
    """The key is pending, and the caller's to publish, under this id. `replayed`: somebody else had begun."""

    id: str
    replayed: bool = False


class Theirs(Struct, frozen=True):
    """The key stands for another request's id; `published`, or still pending; `stale`: for longer than a publish takes."""

    id: str
    fingerprint: bytes
    published: bool
    stale: bool = False


class Keys(Protocol):
    """What the desk needs of a store."""

    def reserve(self, asked: Reservation) -> Awaitable[Mine | Theirs | None]:
        """Binds the key, pending, where it stands for nothing; takes it over, under its id, where the same body has been pending
        for `STALE_S`. None: it was released at this very moment. Durable when it returns. Waits for no publish."""
        ...

    def confirm(self, tenant: str, key: str, id_: str) -> Awaitable[None]:
        """It is published. Harmless when repeated."""
        ...

    async def release(self, tenant: str, key: str, id_: str) -> None:
        """It was provably not published: the key stands for nothing again. Only what is pending, and ours."""
        ...

    async def look(self, tenant: str, key: str) -> Theirs | None:
        """What a key stands for."""
        ...

    async def count(self, process: str, accepted: int, now: int) -> None:
        """How many notifications a process has numbered and published, without a gap."""
        ...


class Numbers:
    """1, 2, 3, … for what this process accepts. Those that came to nothing are given again, the smallest first."""

    def __init__(self) -> None:
        self._last = 0
        self._free: list[int] = []
        self._open: set[int] = set()

    def take(self) -> int:
        if self._free:
            number = heapq.heappop(self._free)
        else:
            self._last += 1
            number = self._last
        self._open.add(number)
        return number

    def used(self, number: int) -> None:
        self._open.discard(number)

    def unused(self, number: int) -> None:
        self._open.discard(number)
        heapq.heappush(self._free, number)

    @property
    def accepted(self) -> int:
        """Up to here all are used."""
        return min((*self._open, *self._free[:1]), default=self._last + 1) - 1


class QueueDesk:
    """ports.IntakeDesk over any bus and any keys. `process` names this incarnation."""

    def __init__(self, bus: Bus, keys: Keys, process: str, now_ms: Callable[[], int]) -> None:
        self._bus = bus
        self._keys = keys
        self._process = process
        self._now_ms = now_ms
        self._numbers = Numbers()
        self._running: dict[tuple[str, str], asyncio.Future[Theirs | None]] = {}
        """Keys that this process is about to bind, and what came of each."""
        self._loose: set[asyncio.Task[None]] = set()
        self._counted = 0
        self._counting: asyncio.Task[None] | None = None

    def offer(self, offer: Offer) -> Awaitable[Answer]:
        if offer.key is not None:
            return asyncio.ensure_future(self._keyed(offer, offer.key))
        return self._at_once(offer)

    async def stored(self, tenant: str, key: str) -> str | None:
        held = await self._keys.look(tenant, key)
        return held.id if held is not None else None

    async def flush(self) -> None:
        """Waits for what is done lazily: confirmed keys, and the count."""
        while self._loose:
            await asyncio.wait(self._loose)
        await self._count()

    async def close(self) -> None:
        with contextlib.suppress(StoreDown):
            await self.flush()
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.wait([self._counting])

    async def _keyed(self, offer: Offer, key: str) -> Answer:
        if offer.repeat:
            held = await self._keys.look(offer.tenant, key)
            nothing = held is None or (held.stale and not held.published and held.fingerprint == offer.fingerprint)
            return Absent() if nothing else _told(held, offer) or Absent()
        name = (offer.tenant, key)
        while (before := self._running.get(name)) is not None:
            came = await asyncio.shield(before)
            if came is not None:
                return _told(came, offer) or Running()
        self._running[name] = done = asyncio.get_running_loop().create_future()
        answer: Answer | None = None
        try:
            answer = await self._bound(offer, key)
        finally:
            del self._running[name]
            done.set_result(Theirs(answer.id, offer.fingerprint, published=True) if isinstance(answer, Taken) else None)
        return answer

    async def _bound(self, offer: Offer, key: str) -> Answer:
        urgent = offer.priority <= Priority.HIGH
        asked = Reservation(offer.tenant, key, offer.id, offer.fingerprint, offer.at, urgent)
        for _ in range(LOOKS):
            held = await self._keys.reserve(asked)
            if isinstance(held, Mine):
                return await self._published(offer, key, held)
            answer = _told(held, offer)
            if answer is not None and not isinstance(answer, Running):
                return answer
            await asyncio.sleep(LOOK_S)
        return Running()

    async def _published(self, offer: Offer, key: str, mine: Mine) -> Answer:
        try:
            await self._taken(offer, mine.id)
        except BusDown as error:
            if not error.maybe and not mine.replayed:
                with contextlib.suppress(StoreDown):
                    await self._keys.release(offer.tenant, key, mine.id)
            raise
        self._later(self._confirmed(offer.tenant, key, mine.id))
        return Taken(mine.id, replayed=mine.replayed)

    def _at_once(self, offer: Offer) -> asyncio.Future[Answer]:
        """Publishes without a task of its own while all goes well: a task costs more than all else that is done here."""
        loop = asyncio.get_running_loop()
        number, until = self._numbers.take(), loop.time() + PUBLISH_S
        parcel = self._parcel(offer, offer.id, number)
        answer: asyncio.Future[Answer] = loop.create_future()

        def over(sent: asyncio.Future[None]) -> None:
            failed = BusDown("the bus is closed", maybe=True) if sent.cancelled() else sent.exception()
            if failed is None:
                self._used(number)
                _answer(answer, Taken(offer.id))
            elif isinstance(failed, BusDown) and failed.maybe and loop.time() < until:
                self._later(self._again(offer, parcel, number, until, answer))
            else:
                self._numbers.unused(number)
                _answer(answer, failed)

        asyncio.ensure_future(self._bus.publish(_LANES[offer.priority, offer.aside], [parcel])).add_done_callback(over)
        return answer

    async def _again(self, offer: Offer, parcel: bytes, number: int, until: float, answer: asyncio.Future[Answer]) -> None:
        """The bus's word was lost, and the answer hangs on it."""
        await asyncio.sleep(RETRY_S)
        try:
            await self._until_taken(offer, parcel, number, until, lost=True)
        except BusDown as error:
            _answer(answer, error)
        else:
            _answer(answer, Taken(offer.id))

    async def _taken(self, offer: Offer, id_: str) -> None:
        """Publishes under this id, again while the bus's word is lost. Raises `BusDown`."""
        number, until = self._numbers.take(), asyncio.get_running_loop().time() + PUBLISH_S
        await self._until_taken(offer, self._parcel(offer, id_, number), number, until)

    async def _until_taken(self, offer: Offer, parcel: bytes, number: int, until: float, *, lost: bool = False) -> None:
        """`lost`: it has been published before, and nobody knows whether it was taken."""
        loop, lane = asyncio.get_running_loop(), _LANES[offer.priority, offer.aside]
        try:
            while True:
                try:
                    await self._bus.publish(lane, [parcel])
                    break
                except BusDown as error:
                    lost = lost or error.maybe
                    if not lost or loop.time() >= until:
                        raise BusDown(str(error), maybe=lost) from error
                await asyncio.sleep(RETRY_S)
        except BaseException:
            self._numbers.unused(number)
            raise
        self._used(number)

    def _used(self, number: int) -> None:
        self._numbers.used(number)
        self._count_soon()

    def _parcel(self, offer: Offer, id_: str, number: int) -> bytes:
        return pack(
            Intake(
                id=id_,
                tenant=offer.tenant,
                at=offer.at,
                body=msgspec.Raw(offer.body),
                process=self._process,
                number=number,
                key=offer.key,
                trace=offer.trace,
                v=offer.v,
            )
        )

    async def _confirmed(self, tenant: str, key: str, id_: str) -> None:
        # Where the store is down now, the key stays pending: whoever repeats the request publishes the same id once more.
        with contextlib.suppress(Unavailable):
            await self._keys.confirm(tenant, key, id_)

    def _later(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._loose.add(task)
        task.add_done_callback(self._loose.discard)

    def _count_soon(self) -> None:
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._count_lazily())

    async def _count_lazily(self) -> None:
        await asyncio.sleep(COUNT_S)
        with contextlib.suppress(Unavailable):  # the next one reports it with its own
            await self._count()

    async def _count(self) -> None:
        accepted = self._numbers.accepted
        if accepted > self._counted:
            await self._keys.count(self._process, accepted, self._now_ms())
            self._counted = accepted


def _told(held: Theirs | Mine | None, offer: Offer) -> Answer | None:
    """The answer to whoever's key stands for another request; None where it stands for nothing."""
    if not isinstance(held, Theirs):
        return None
    if held.fingerprint != offer.fingerprint:
        return Conflict() if held.published or held.stale else Running()
    return Taken(held.id, replayed=True) if held.published else Running()


def _answer(answer: asyncio.Future[Answer], came: Answer | BaseException) -> None:
    """Unless nobody waits for it any more."""
    if answer.done():
        return
    if isinstance(came, BaseException):
        answer.set_exception(came)
    else:
        answer.set_result(came)
