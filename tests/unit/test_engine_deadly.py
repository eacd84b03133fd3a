"""What ends the whole process on sight: it is found out in a few lives, and takes nobody with it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from sendwright.engine.readmit import readmit
from sendwright.engine.sieve import DEADLY, TRIES
from sendwright.model.notification import Priority
from sendwright.model.parcel import INBOUND, VERSION, Intake, Parcel, Sighting, intake_lane, lane, pack
from sendwright.model.records import Plan
from sendwright.model.states import AttemptState, MessageState

from .engine_world import Vendor, World, in_virtual_time, number

SMS = lane("sms", Priority.NORMAL)
NORMAL = intake_lane(Priority.NORMAL)
LIVES_MAX = 2 + TRIES
"""Deaths of one poison: at first sight, once among the others of its bundle, and alone."""


class Mined(World):
    """A world whose process dies, at once and wholly, as soon as it looks at a mine: a parcel, a notification, a receipt."""

    def __init__(self, *vendors: Vendor, **more: Any) -> None:
        self.mines: set[str] = set()
        self.deaths: list[str] = []
        self.dying = asyncio.Event()
        super().__init__(*vendors, recount=False, **more)

    def _wire(self) -> None:
        super()._wire()
        self.dying = asyncio.Event()
        deliver, plan, observe = self.deliverer.deliver, self.ledger.plan, self.ledger.observe

        async def delivered(parcel: Parcel, handled: Callable[[], None]) -> None:
            await self._stepped_on(parcel.id)
            await deliver(parcel, handled)

        async def planned(plans: list[Plan]) -> object:
            for each in plans:
                await self._stepped_on(each.id)
            return await plan(plans)

        async def observed(sighting: Sighting, now: int) -> object:
            await self._stepped_on(sighting.ref or "")
            return await observe(sighting, now)

        self.deliverer.deliver = delivered  # type: ignore[method-assign]
        self.ledger.plan, self.ledger.observe = planned, observed

    async def _stepped_on(self, name: str) -> None:
        if self.dying.is_set() or name in self.mines:
            if not self.dying.is_set():
                self.deaths.append(name)
                self.dying.set()
            await asyncio.Event().wait()

    async def live_on(self, true: Callable[[], bool], within_s: float = 60) -> None:
        """One life after the other, until something is so."""
        deadline = self.at() + within_s
        while not true():
            assert self.at() < deadline, f"not within {within_s:g} s; died of {self.deaths}"
            assert len(self.deaths) < 100, f"it dies and dies: of {self.deaths[-5:]}"
            try:
                async with asyncio.timeout(0.5):
                    await self.dying.wait()
            except TimeoutError:
                continue
            await self.kill()

    def problems(self) -> list[str]:
        return [row.problem for row, _ in self._quarantine.kept.values()]


async def bundled(world: World, *counts: int) -> list[list[str]]:
    """Messages that are planned, so many of them in each bundle of their lane."""
    groups: list[list[str]] = []
    packed: list[list[bytes]] = []
    for count in counts:
        groups.append(await world.post_many(count, sum(map(len, groups))))
        packed.append([])
        for _ in range(count):
            await world.planner.plan(await world.bus.take(NORMAL))
            bundle = await world.bus.take(SMS)
            packed[-1].append(bundle.body[1:-1])
            await world.bus.done(bundle)
    for raws in packed:
        await world.bus.publish(SMS, raws)
    return groups


@pytest.mark.parametrize("place", [0, 4, 9])
@in_virtual_time
async def test_a_parcel_that_ends_whoever_takes_it_is_kept_and_the_others_of_its_bundle_are_sent(place: int) -> None:
    one = Vendor()
    async with Mined(one, started=False) as world:
        (notifications,) = await bundled(world, 10)
        poison = notifications.pop(place)
        world.mines = {world.message(poison).id}
        await world.start()
        await world.live_on(lambda: world.problems() == [DEADLY])
        await world.settled(notifications, MessageState.SENT)
        await world.pass_time(1)
        assert poison.removeprefix("ntf_").encode() in world.quarantined()[0]
        assert len(world.deaths) <= LIVES_MAX
        assert set(one.addresses) == {number(which) for which in range(10) if which != place}
        assert list(world.bus.undone()) == []
        # and: when a person has dealt with it, nothing is remembered of it
        (dead,) = await world.quarantine.newest(9)
        assert await world.quarantine.drop(dead.id)
        assert not world._quarantine.trials


@in_virtual_time
async def test_with_a_poison_in_every_bundle_no_innocent_is_kept() -> None:
    one = Vendor()
    async with Mined(one, started=False) as world:
        groups = await bundled(world, 8, 8, 8, 8, 8)
        poisons = [group.pop(where) for where, group in zip((0, 7, 3, 5, 2), groups, strict=True)]
        poisons += [groups[0].pop(), groups[0].pop()]  # and three in one
        world.mines = {world.message(poison).id for poison in poisons}
        innocents = list(itertools.chain(*groups))
        await world.start()
        await world.live_on(lambda: len(world.problems()) == len(poisons), within_s=300)
        await world.settled(innocents, MessageState.SENT)
        assert len(set(one.addresses)) == len(innocents)
        assert world.problems() == [DEADLY] * len(poisons)
        assert len(world.deaths) <= 2 * 5 + TRIES * len(poisons)


@in_virtual_time
async def test_a_notification_that_ends_whoever_plans_it_is_kept_and_the_others_of_its_bundle_are_sent() -> None:
    one = Vendor()
    async with Mined(one, started=False) as world:
        notifications = await world.post_many(5)
        raws = [(await world.bus.take(NORMAL)).body[1:-1] for _ in notifications]
        await world.bus.publish(NORMAL, raws)
        for tag in tuple(world.bus._taken):
            world.bus._bundles.pop(tag)
        world.mines = {notifications[2]}
        await world.start()
        await world.live_on(lambda: world.problems() == [DEADLY])
        await world.settled([*notifications[:2], *notifications[3:]], MessageState.SENT)
        assert world.quarantined() == [raws[2]]
        assert len(world.deaths) <= LIVES_MAX
        assert set(one.addresses) == {number(which) for which in (0, 1, 3, 4)}


@in_virtual_time
async def test_a_receipt_that_ends_whoever_reads_it_is_kept_and_the_others_join() -> None:
    one = Vendor(receipts=True)
    async with Mined(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        world.mines = {"poison"}
        poison = pack(Sighting("one", int(AttemptState.DELIVERED), ref="poison"))
        good = pack(Sighting("one", int(AttemptState.DELIVERED), world.attempts(notification)[0].id))
        await world.bus.publish(INBOUND, [poison, good])
        await world.live_on(lambda: world.problems() == [DEADLY])
        await world.settled(notification, MessageState.DELIVERED)
        assert world.quarantined() == [poison]
        assert len(world.deaths) <= LIVES_MAX


@in_virtual_time
async def test_who_was_killed_for_no_fault_of_a_parcel_leaves_no_suspicion() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        one.connect_s = 3
        (notifications,) = await bundled(world, 10)
        await world.start()
        for _ in range(3):  # the third time, the bundle is taken apart
            await world.pass_time(1)
            await world.kill()
        one.connect_s = 0
        await world.settled(notifications, MessageState.SENT)
        await world.pass_time(1)
        assert len(one.calls) == 10
        assert world.quarantined() == []
        assert not world._quarantine.trials


@in_virtual_time
async def test_who_waits_for_a_line_is_not_blamed_for_the_deaths_meanwhile() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        one.connect_s = 30
        (notifications,) = await bundled(world, 5)
        await world.start()
        for _ in range(4 * TRIES):
            await world.pass_time(2)
            await world.kill()
        assert world.quarantined() == []
        one.connect_s = 0
        await world.settled(notifications, MessageState.SENT)


@in_virtual_time
async def test_a_suspect_waits_for_no_company_and_takes_none_with_it() -> None:
    one = Vendor(batch_max=10, latency_s=30)
    async with World(one, started=False) as world:
        one.connect_s = 3
        await bundled(world, 5)
        await world.start()
        for connect_s in (3, 3, 0):  # the third time, the bundle is taken apart
            await world.pass_time(1)
            one.connect_s = connect_s
            await world.kill()
        await world.pass_time(1)
        assert one.batches == []
        assert sorted(one.addresses) == [number(place) for place in range(5)]


@in_virtual_time
async def test_beside_what_is_taken_apart_the_lane_goes_on() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        one.connect_s = 3
        await bundled(world, 20)
        await world.start()
        for _ in range(2):
            await world.pass_time(1)
            await world.kill()
        await world.pass_time(1)  # each of them takes its three seconds now
        other = await world.post({"phone": "+15559999999"})
        await world.settled(other, MessageState.SENT, within_s=4)
        assert len(one.calls) < 10
        await world.until(lambda: len(one.calls) == 21, within_s=90)


@in_virtual_time
async def test_a_parcel_of_a_later_version_is_kept_as_it_is_until_somebody_reads_it() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        ((notification,),) = await bundled(world, 1)
        bundle = await world.bus.take(SMS)
        raw = bundle.body[1:-1]
        await world.bus.done(bundle)
        later = raw.replace(b'{"id"', b'{"v":3,"shape":{"of":"tomorrow"},"id"')
        await world.bus.publish(SMS, [later])
        await world.start()
        await world.pass_time(1)
        assert world.quarantined() == [later]
        assert one.calls == []
        # when one comes who reads that version, then not before
        assert await world.quarantine.legible(VERSION, 9) == []
        ((found, kept),) = await world.quarantine.legible(VERSION + 1, 9)
        assert (found.lane, kept) == (SMS, later)
        # and: what is read goes back to its lane by itself
        await world.quarantine.drop(found.id)
        await world.quarantine.keep(SMS, raw, "version 1 is not known here", world.clock.now_ms(), 1)
        readmitting = asyncio.create_task(readmit(world.bus, world.quarantine, world.clock, world.tell))
        await world.settled(notification, MessageState.SENT)
        assert world.quarantined() == []
        readmitting.cancel()


def test_a_parcel_that_says_no_version_is_of_the_first() -> None:
    assert Intake("ntf_1", "acme", 0, b"{}").v == 1  # type: ignore[arg-type]
    assert b'"v"' not in pack(Sighting("one", 1))
