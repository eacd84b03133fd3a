"""Publishing: what is published to a lane at the same time shares bundles, and each bundle is confirmed by the broker.

One flush per lane is under way at a time; what comes meanwhile makes the next one, so that bundles grow with the load. On lanes
that are not urgent a flush waits for company where that is worth it (drivers/linger.py). Every call has a time limit in all, by its
lane's priority. While the broker is in alarm, or not there, what is urgent is refused at once, or soon, so that its caller can go
elsewhere; the rest waits its time.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection
from msgspec import Struct

from sendwright.drivers.bus.rabbitmq.gauge import Gauge, Seen
from sendwright.drivers.bus.rabbitmq.link import Link, end
from sendwright.drivers.bus.rabbitmq.topology import RPC_S, Topology, lost_is_down, priority_of, said
from sendwright.drivers.linger import Linger
from sendwright.errors import BusDown, BusUnusable
from sendwright.model.notification import Priority
from sendwright.model.parcel import PARCELS_MAX, bundle

LIMITS_S = {Priority.CRITICAL: 2.0, Priority.HIGH: 4.0, Priority.NORMAL: 10.0, Priority.BULK: 30.0}
"""The time limit of a publish in all, by priority."""
BUNDLE_BYTES = 256 * 1024
"""A bundle takes no further parcel once it has this size: with the number of bundles that a process is sent at a time, this
bounds what it holds."""
AT_ONCE = 16
"""Bundles of one flush that are under way together."""
LOOK_S = 0.05
"""How often those that wait are looked at for having waited too long."""

SILENT_S = 10.0
"""A connection on which nothing has been confirmed for so long, and a publish is over its time, is made anew."""

COUNT, AT = "count", "at"
"""The headers of a bundle: its parcels, and when it was published, in ms since 1970. All others are the broker's."""


class Call:
    """One publish, until it is confirmed or failed."""

    __slots__ = ("deadline", "future", "lane", "left", "parcels", "sent", "urgent")

    def __init__(self, lane: str, parcels: Sequence[bytes], future: asyncio.Future[None], limit_s: float, *, urgent: bool) -> None:
        self.lane = lane
        self.parcels = parcels
        self.future = future
        self.deadline = time.monotonic() + limit_s
        self.urgent = urgent
        self.left = 0
        """Its bundles that are not confirmed yet."""
        self.sent = 0
        """Its bundles that the broker has or may have."""

    def confirmed(self) -> None:
        self.left -= 1
        if self.left == 0 and not self.future.done():
            self.future.set_result(None)

    def fail(self, detail: str) -> None:
        if not self.future.done():
            self.future.set_exception(BusDown(detail, maybe=self.sent > 0))


class Bundled(Struct, frozen=True):
    """A bundle on its way out, and whose parcels are in it."""

    body: bytes
    count: int
    calls: tuple[Call, ...]


def cut(calls: Sequence[Call]) -> list[Bundled]:
    """The calls' parcels as bundles, in order. From here on a call may have been sent: none is taken out of its bundle."""
    made: list[Bundled] = []
    parcels: list[bytes] = []
    owners: dict[int, Call] = {}
    size = 0

    def close() -> None:
        for owner in owners.values():
            owner.left += 1
            owner.sent += 1
        made.append(Bundled(bundle(parcels), len(parcels), tuple(owners.values())))

    for call in calls:
        for parcel in call.parcels:
            if parcels and (len(parcels) == PARCELS_MAX or size + len(parcel) > BUNDLE_BYTES):
                close()
                parcels, owners, size = [], {}, 0
            parcels.append(parcel)
            owners[id(call)] = call
            size += len(parcel)
    if parcels:
        close()
    return made


class _Lane:
    """What has come for one lane and has not left yet."""

    __slots__ = ("calls", "flight", "limit_s", "linger", "parcels", "urgent")

    def __init__(self, priority: Priority, limit_s: float) -> None:
        self.limit_s = limit_s
        self.urgent = priority <= Priority.HIGH
        self.calls: list[Call] = []
        self.parcels = 0
        self.linger = Linger(PARCELS_MAX)
        self.flight: asyncio.Task[None] | None = None

    def add(self, call: Call) -> None:
        self.calls.append(call)
        self.parcels += len(call.parcels)
        self.linger.grown(self.parcels)

    def taken(self) -> list[Call]:
        """All but those who have given up."""
        calls, self.calls, self.parcels = self.calls, [], 0
        return [call for call in calls if not call.future.done()]


class Publisher:
    """The publishing side of the bus."""

    def __init__(self, link: Link, topology: Topology, gauge_of: Callable[[str], Gauge], limits_s: dict[Priority, float]) -> None:
        self._link = link
        self._topology = topology
        self._gauge_of = gauge_of
        self._limits_s = limits_s
        self._channel: AbstractChannel | None = None
        self._opening = asyncio.Lock()
        self._lanes: dict[str, _Lane] = {}
        self._pending: list[Call] = []
        """In the order in which they came; those that are over until they are next looked at."""
        self._look: asyncio.TimerHandle | None = None
        self._names = map(f"{secrets.token_hex(6)}-{{}}".format, itertools.count(1))
        self._silent_since: float | None = None
        """Since when something has been sent and nothing confirmed."""
        self._closed = False

    def publish(self, lane: str, parcels: Sequence[bytes]) -> Awaitable[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not parcels:
            future.set_result(None)
            return future
        going = self._lane(lane)
        call = Call(lane, tuple(parcels), future, going.limit_s, urgent=going.urgent)
        if self._closed:
            call.fail("the bus is closed")
        elif call.urgent and self._link.blocked:
            call.fail("RabbitMQ is in alarm and takes nothing")
        else:
            self._pending.append(call)
            going.add(call)
            if going.flight is None:
                going.flight = asyncio.create_task(self._fly(lane, going), name=f"publish {lane}")
            if self._look is None:
                self._look = asyncio.get_running_loop().call_later(LOOK_S, self._look_at_those_that_wait)
        return future

    async def close(self) -> None:
        """What is not confirmed by now fails."""
        self._closed = True
        await end([going.flight for going in self._lanes.values() if going.flight is not None])
        for call in self._pending:
            call.fail("the bus is closed")
        if self._look is not None:
            self._look.cancel()

    def _lane(self, lane: str) -> _Lane:
        going = self._lanes.get(lane)
        if going is None:
            priority = priority_of(lane)
            going = self._lanes[lane] = _Lane(priority, self._limits_s[priority])
        return going

    def _look_at_those_that_wait(self) -> None:
        now, blocked = time.monotonic(), self._link.blocked
        for call in self._pending:
            if call.urgent and blocked:
                call.fail("RabbitMQ is in alarm and takes nothing")
            elif now >= call.deadline:
                call.fail("RabbitMQ did not take it in time")
        for going in self._lanes.values():
            kept = going.taken()
            going.calls, going.parcels = kept, sum(len(call.parcels) for call in kept)
        self._pending = [call for call in self._pending if not call.future.done()]
        self._look = asyncio.get_running_loop().call_later(LOOK_S, self._look_at_those_that_wait) if self._pending else None

    async def _fly(self, lane: str, going: _Lane) -> None:
        """Flushes of one lane, one after the other, until nothing more has come."""
        try:
            while going.calls:
                if not going.urgent:
                    await going.linger.wait(going.parcels)
                await self._flush(lane, going)
        finally:
            going.flight = None

    async def _flush(self, lane: str, going: _Lane) -> None:
        try:
            channel = await self._ready(lane)
        except Exception as error:  # noqa: BLE001 — mapped once, here: it did not get as far as being sent
            detail = str(error) if isinstance(error, BusUnusable) else f"RabbitMQ: {said(error)}"
            for call in going.taken():
                call.fail(detail)
            return
        going.linger.flushed(going.parcels)
        bundles = cut(going.taken())
        for start in range(0, len(bundles), AT_ONCE):
            some = bundles[start : start + AT_ONCE]
            if len(some) == 1:
                await self._send(channel, lane, some[0])
            else:
                await asyncio.gather(*(self._send(channel, lane, one) for one in some))

    async def _ready(self, lane: str) -> AbstractChannel:
        """A channel that may be published to, as soon as there is one. Who waits meanwhile fails when his time is over."""
        while True:
            connection = await self._link.up()
            try:
                if not self._link.blocked:
                    with lost_is_down():
                        await self._topology.ensure(lane)
                        return await self._opened(connection)
            except BusDown:
                pass  # the connection is closed, whether or not the link has noticed
            except Exception:
                if self._link.connection is connection:
                    raise  # it was not the connection
            await asyncio.sleep(LOOK_S)

    async def _opened(self, connection: AbstractConnection) -> AbstractChannel:
        async with self._opening:
            if self._channel is None or self._channel.is_closed or self._channel.connection is not connection:
                self._channel = await connection.channel(timeout=RPC_S)
            return self._channel

    async def _send(self, channel: AbstractChannel, lane: str, out: Bundled) -> None:
        """Publishes one bundle, waits for its confirm and tells those whose parcels are in it."""
        deadline = max((call.deadline for call in out.calls if not call.future.done()), default=0.0)
        if not deadline:
            return  # all gave up meanwhile
        gauge, name, at = self._gauge_of(lane), next(self._names), int(time.time() * 1000)
        gauge.publishing(name)
        failure = await self._confirmed(channel, lane, out, name, at, max(LOOK_S, deadline - time.monotonic()))
        if failure is None:
            gauge.published(name, Seen(out.count, at))
            for call in out.calls:
                call.confirmed()
        else:
            gauge.unpublished(name)
            for call in out.calls:
                call.sent -= not failure.maybe
                call.fail(str(failure))

    async def _confirmed(
        self, channel: AbstractChannel, lane: str, out: Bundled, name: str, at: int, within_s: float
    ) -> BusDown | None:
        """None once the broker has it on disk; else what went wrong, the library's errors mapped."""
        properties = aiormq.spec.Basic.Properties(
            content_type="application/json", delivery_mode=2, message_id=name, headers={COUNT: out.count, AT: at}
        )
        self._silent_since = self._silent_since or time.monotonic()
        try:
            await channel.basic_publish(
                out.body,
                exchange=self._topology.names.lanes,
                routing_key=lane,
                properties=properties,
                mandatory=True,
                timeout=within_s,
            )
        except aiormq.PublishError:
            self._topology.forget(lane)
            return BusDown(f"no queue on RabbitMQ takes {lane}")
        except aiormq.DeliveryError:
            return BusDown("RabbitMQ could not keep it", maybe=True)
        except TimeoutError:
            if not self._link.blocked and self._silent_since and time.monotonic() - self._silent_since > SILENT_S:
                self._silent_since = None
                self._link.cut()  # it hears us or it does not: a new connection will show
            return BusDown("RabbitMQ did not confirm it in time", maybe=True)
        except asyncio.CancelledError:
            if self._closed:
                raise
            return BusDown("the connection to RabbitMQ was lost before it confirmed", maybe=True)
        except Exception as error:  # noqa: BLE001 — whatever it is, it may have been sent
            if isinstance(error, aiormq.ChannelNotFoundEntity):
                self._topology.forget_all()  # the exchange is gone
            return BusDown(f"RabbitMQ: {said(error)}", maybe=True)
        self._silent_since = None
        return None
