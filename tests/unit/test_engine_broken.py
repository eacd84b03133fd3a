"""What nobody foresaw: a parcel that breaks its story costs nobody else, and no lane stands still for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from sendwright.app.upkeep import kept_up
from sendwright.engine import plan
from sendwright.engine.telling import Trouble
from sendwright.model.notification import Payload, Priority
from sendwright.model.parcel import INBOUND, Intake, Sighting, intake_lane, lane, pack
from sendwright.model.records import Claim, Plan
from sendwright.model.states import AttemptState, MessageState

from .engine_world import Vendor, World, in_virtual_time, number

NORMAL = intake_lane(Priority.NORMAL)
SMS = lane("sms", Priority.NORMAL)


@in_virtual_time
async def test_a_notification_that_breaks_its_plan_every_time_is_kept_aside_and_takes_nobody_with_it() -> None:
    one = Vendor()
    async with World(one, started=False, recount=False) as world:
        planned = world.ledger.plan

        async def poisoned(plans: Sequence[Plan]) -> object:
            if any(birth.steps[0].address == number(2) for each in plans for birth in each.births):
                raise RuntimeError("nobody foresaw this")
            return await planned(plans)

        world.ledger.plan = poisoned
        before, poison, after = [await world.post({"phone": number(which)}) for which in (1, 2, 3)]
        raws = [(await world.bus.take(NORMAL)).body[1:-1] for _ in range(3)]
        await world.bus.publish(NORMAL, raws)
        await world.start()
        await world.settled(before, MessageState.SENT)
        await world.settled(after, MessageState.SENT)
        await world.pass_time(10)
        assert world.quarantined() == [raws[1]]
        assert poison.encode() in raws[1]
        assert sorted(one.addresses) == [number(1), number(3)]
        assert world.bus.depth(NORMAL) == 0


@in_virtual_time
async def test_notifications_that_break_their_plan_hold_up_nobody() -> None:
    one = Vendor()
    async with World(one, recount=False) as world:
        planned = world.ledger.plan

        async def poisoned(plans: Sequence[Plan]) -> object:
            if any(birth.steps[0].address == number(2) for each in plans for birth in each.births):
                raise RuntimeError("nobody foresaw this")
            return await planned(plans)

        world.ledger.plan = poisoned
        for _ in range(5):  # more than there are planners
            await world.post({"phone": number(2)})
            await world.pass_time(0.01)
        for tenth in range(50):
            notification = await world.post({"phone": number(100 + tenth)})
            await world.settled(notification, MessageState.SENT, within_s=0.2)
        await world.pass_time(5)
        assert len(world.quarantined()) == 5


@in_virtual_time
async def test_a_receipt_that_breaks_its_story_every_time_is_kept_aside_and_takes_nobody_with_it() -> None:
    one = Vendor(receipts=True)
    async with World(one) as world:
        observe = world.ledger.observe

        async def poisoned(sighting: Sighting, now: int) -> object:
            if sighting.ref == "poison":
                raise RuntimeError("nobody foresaw this")
            return await observe(sighting, now)

        world.ledger.observe = poisoned
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        poison = pack(Sighting("one", int(AttemptState.DELIVERED), ref="poison"))
        good = pack(Sighting("one", int(AttemptState.DELIVERED), world.attempts(notification)[0].id))
        await world.bus.publish(INBOUND, [poison, good])
        await world.settled(notification, MessageState.DELIVERED, within_s=10)
        await world.pass_time(10)
        assert world.quarantined() == [poison]
        assert list(world.bus.undone()) == []


@in_virtual_time
async def test_a_taker_that_breaks_is_replaced() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        take, broken = world.bus.take, set[str]()

        async def taking(lane: str) -> object:
            if lane not in broken:
                broken.add(lane)
                raise RuntimeError("nobody foresaw this")
            return await take(lane)

        world.bus.take = taking
        await world.start()
        await world.settled(await world.post(), MessageState.SENT, within_s=5)
        assert {trouble.what.partition(" at ")[0] for trouble in world.told_of(Trouble)} == {"a taker ended: RuntimeError"}


@in_virtual_time
async def test_a_notification_whose_plan_cannot_be_made_is_kept_aside_and_takes_nobody_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, made = Vendor(), plan.plan_of

    def poisoned(intake: Intake, payload: Payload, *more: Any) -> Plan:
        if payload.recipients()[0].phone == number(2):  # type: ignore[union-attr]
            raise KeyError("nobody foresaw this")
        return made(intake, payload, *more)

    monkeypatch.setattr(plan, "plan_of", poisoned)
    async with World(one, started=False, recount=False) as world:
        before, _, after = [await world.post({"phone": number(which)}) for which in (1, 2, 3)]
        raws = [(await world.bus.take(NORMAL)).body[1:-1] for _ in range(3)]
        await world.bus.publish(NORMAL, raws)
        await world.start()
        await world.settled(before, MessageState.SENT)
        await world.settled(after, MessageState.SENT)
        assert world.quarantined() == [raws[1]]


@in_virtual_time
async def test_a_parcel_that_is_not_utf8_is_kept_aside_and_takes_nobody_with_it() -> None:
    async with World(Vendor(), started=False, recount=False) as world:
        good = await world.post({"phone": number(1)})
        await world.planner.plan(await world.bus.take(NORMAL))
        name = lane("sms", Priority.NORMAL)
        raw = (await world.bus.take(name)).body[1:-1]
        broken = raw.replace(b"Hello", b"Hel\xff")
        await world.bus.publish(name, [raw, broken])
        await world.start()
        await world.settled(good, MessageState.SENT)
        assert len(world.quarantined()) == 1


@in_virtual_time
async def test_a_parcel_that_can_neither_be_delivered_nor_put_aside_is_not_lost_and_neither_are_its_fellows() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        # given: three in one bundle, and a mistake that meets one of them before its claim, twice
        notifications = [await world.post({"phone": number(which)}) for which in (1, 2, 3)]
        for _ in notifications:
            await world.planner.plan(await world.bus.take(NORMAL))
        bundles = [await world.bus.take(SMS) for _ in notifications]
        await world.bus.publish(SMS, [each.body[1:-1] for each in bundles])
        for each in bundles:
            await world.bus.done(each)
        claim, park, broken = world.ledger.claim, world.ledger.park, [2, 2]

        async def claiming(claim_: Claim) -> object:
            if claim_.parcel.address == number(2) and broken[0] > 0:
                broken[0] -= 1
                raise RuntimeError("nobody foresaw this")
            return await claim(claim_)

        async def parking(*args: object) -> object:
            broken[1] -= 1
            if broken[1] >= 0:
                raise RuntimeError("nor this")
            return await park(*args)

        world.ledger.claim, world.ledger.park = claiming, parking
        # when
        await world.start()
        # then
        for notification in notifications:
            await world.settled(notification, MessageState.SENT, within_s=10)
        await world.pass_time(5)
        assert (broken, sorted(one.addresses)) == ([0, 0], [number(1), number(2), number(3)])
        assert list(world.bus.undone()) == []


@in_virtual_time
async def test_a_loop_that_must_not_end_begins_again_whatever_broke_it_and_says_so() -> None:
    turns, told = [], []

    async def run() -> None:
        turns.append(asyncio.get_running_loop().time())
        if len(turns) < 3:
            raise RuntimeError("nobody foresaw this")

    await kept_up("promoter", run, told.append, pause_s=1)
    assert [round(later - earlier) for earlier, later in pairwise(turns)] == [1, 1]
    assert [(trouble.where, trouble.what.partition(" at ")[0]) for trouble in told] == [("promoter", "broke off: RuntimeError")] * 2
