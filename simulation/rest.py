"""The invariants at rest: the faults have stopped, and everything had time to settle.

I1  nothing is lost: every notification that was answered 202 is planned for each of its recipients, and every message ends
    in a final state that the oracle's own books bear out; what the recount (`audit`) can't explain is a loss
I2  what a provider took twice is listed as doubled or held in doubt, and with `on_doubt: hold` there is no such thing
I9  it recovers by itself: what is posted now is sent at once, nothing that still had time expires, and nothing is left
    on a lane, waiting, or open
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sendwright.drivers.store.memory import MemorySwitchboard
from sendwright.drivers.store.memory_records import MemoryRecords
from sendwright.model.ids import message_id, notification_of
from sendwright.model.records import MessageRecord, Switch
from sendwright.model.states import MessageState
from simulation.process import true_ms

if TYPE_CHECKING:
    from simulation.callers import Post
    from simulation.world import World

RECOVERS_S = 150.0
"""A lease, the hold after a step of the clock, and the longest pause between two probes, and some."""
ARRIVES_S = 60.0
LOOK_S = 30.0
LONGEST_S = 2 * 3600.0
"""Longer than the longest that any message may be sent after its acceptance."""
TIME_LEFT_MS = 300_000
"""What has this much time left when all is well again must not expire."""
OPEN = frozenset({MessageState.ACCEPTED, MessageState.SCHEDULED, MessageState.QUEUED, MessageState.SENDING, MessageState.DIGESTING})
ARRIVED = frozenset({MessageState.SENT, MessageState.DELIVERED, MessageState.READ})


async def judge(world: World) -> None:
    """The end of every seed."""
    calm_ms = true_ms(world.loop.time())
    await _switched_back(world)
    await asyncio.sleep(RECOVERS_S)
    canaries = world.callers.canaries()
    await asyncio.sleep(ARRIVES_S)
    _arrived(world, canaries)
    waited_s = 0.0
    while not _quiet(world) and waited_s < LONGEST_S:
        await asyncio.sleep(LOOK_S)
        waited_s += LOOK_S
    if not _quiet(world):
        _left(world)
    _accepted(world)
    for message in world.store.tables.messages.rows.values():
        _ended(world, message, calm_ms)
    for found in (await MemoryRecords(world.store, world.broker).audit()).violations:  # type: ignore[arg-type]
        world.fail("I1", f"audit: {found.kind} {found.id} {found.detail}")
    for dead, _ in world.quarantine.kept.values():
        world.fail("I1", f"a parcel of {dead.lane} was put aside: {dead.problem}")
    if not world.over.done():
        world.over.set_result(None)


async def _switched_back(world: World) -> None:
    """Whoever switched something may never have come to switch it back. Every process reads it, as each will within a second."""
    for name in world.vendors:
        await MemorySwitchboard(world.store).set(Switch(name))
    for life in world.lives.values():
        life.spawn(life.fleet.reload())
        life.promoter.poke()


def _quiet(world: World) -> bool:
    tables = world.store.tables
    if tables.open.rows or tables.waits.rows or any(True for _ in world.broker.undone()):
        return False
    return not any(message.state in OPEN for message in tables.messages.rows.values())


def _left(world: World) -> None:
    tables = world.store.tables
    for message in tables.messages.rows.values():
        if message.state in OPEN:
            world.fail(
                "I1", f"{message.id} is {message.state} at the end of its time, step {message.step}, number {message.number}"
            )
    for id_ in tables.open.rows:
        world.fail("I9", f"{id_} is open at the end of its time")
    for lane, body in world.broker.undone():
        world.fail("I9", f"{len(body)} bytes lie on {lane} at the end")


def _arrived(world: World, canaries: list[Post]) -> None:
    for canary in canaries:
        message = world.store.tables.messages.rows.get(message_id(canary.id, 0)) if canary.id else None
        if message is None or message.state not in ARRIVED:
            world.fail("I9", f"{canary.key}: posted when all was well, and {message.state if message else 'not planned'}")


def _accepted(world: World) -> None:
    for id_, post in world.callers.accepted.items():
        row = world.store.tables.notifications.rows.get(id_)
        if row is None or len(row.messages) != post.recipients:
            world.fail("I1", f"{id_} was accepted, and is {'not planned' if row is None else 'planned otherwise'}")


def _ended(world: World, message: MessageRecord, calm_ms: int) -> None:
    takes = world.oracle.kept(message.id)
    expired_at = world.oracle.expired_at.get(message.id, 0)
    if message.state == MessageState.EXPIRED and expired_at > calm_ms and (message.expires_at or 0) > calm_ms + TIME_LEFT_MS:
        world.fail("I9", f"{message.id} expired, with all well for {TIME_LEFT_MS // 1000} s")
    if message.id in world.oracle.by_hand | world.oracle.declared or len(takes) < 2:
        return
    if message.on_doubt == "hold":
        world.fail("I2", f"{message.id} was to be held in doubt, and was taken by {takes}")
    rows = world.store.tables.attempts.rows
    if world.store_clock_moved and any(rows[attempt].repeats for _, attempt in takes):
        return  # how long a key is known is kept as a time of a wall clock: see docs/simulation.md
    if not message.doubled and message.state != MessageState.IN_DOUBT:
        world.fail("I2", f"{message.id} was taken by {takes}, and is not listed as doubled")
    if notification_of(message.id) in world.oracle.never:
        world.fail("I3", f"{message.id} was cancelled, and taken")
