"""The dead lane: what the broker gave up on is tried alone, or goes to our own quarantine, where people find it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from aiormq.abc import DeliveredMessage
from msgspec import Struct

from sendwright.drivers.bus.rabbitmq.gauge import Seen
from sendwright.drivers.bus.rabbitmq.reading import headers_of, seen_of
from sendwright.drivers.bus.rabbitmq.topology import DEAD, INGRESS, Names
from sendwright.engine.exhume import Lanes, exhume
from sendwright.engine.persist import persist
from sendwright.engine.ports import Clock, DeadParcels, Delivery
from sendwright.engine.telling import Tell
from sendwright.model.parcel import split

if TYPE_CHECKING:
    from collections.abc import Awaitable

WHY = {
    "delivery_limit": "it was delivered too often and never done",
    "rejected": "it was rejected",
    "expired": "it lay too long",
    "maxlen": "its lane was full",
}
"""The broker's reasons, in our words."""


class Dead(Struct, frozen=True):
    """A bundle (or a producer's message, where the lane is `intake`) that died. `delivery.lane` is the lane that it died on."""

    delivery: Delivery
    problem: str

    def parcels(self) -> list[bytes]:
        return [self.delivery.body] if self.delivery.lane == INGRESS else split(self.delivery.body)


class DeadLane(Lanes, Protocol):
    """What `bury` needs of the bus."""

    def take_dead(self) -> Awaitable[Dead]: ...


def read_dead(names: Names, tag: int, message: DeliveredMessage) -> tuple[Seen, Dead]:
    headers, seen = headers_of(message), seen_of(message)
    queue, reason = headers.get("x-first-death-queue"), headers.get("x-first-death-reason")
    lane = names.lane(queue) if isinstance(queue, str) else DEAD
    delivery = Delivery(lane, tag, message.body, seen.count, redelivered=True)
    return seen, Dead(delivery, WHY.get(str(reason), "the broker gave it up"))


async def bury(bus: DeadLane, dead: DeadParcels, clock: Clock, tell: Tell) -> None:
    """Empties the dead lane as long as it runs, as many processes at once as there are (engine/exhume.py)."""
    while True:
        found = await persist(bus.take_dead, clock, tell, "dead lane")
        await exhume(bus, dead, clock, tell, found.delivery, found.parcels(), found.problem)
