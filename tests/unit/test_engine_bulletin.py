"""bulletin: where one process has the providers to itself, each change of a breaker is one event of the operator's."""

from __future__ import annotations

from sendwright.model.notices import CLOSED, MISCONFIGURED, OPENED
from sendwright.policy.breaker import Health

from .engine_world import FORBIDDEN, OK, UNWELL, Vendor, World, in_virtual_time


@in_virtual_time
async def test_a_provider_that_falls_ill_is_told_of_once_until_it_is_well_again() -> None:
    one = Vendor()
    async with World(one) as world:
        one.answer = UNWELL
        await world.post_many(20)
        await world.pass_time(300)  # probes fail meanwhile, at growing intervals
        assert world.told_of_providers() == [(OPENED, "one", "unreachable")]
        one.answer = OK
        await world.pass_time(60)
        assert world.breaker() == "closed"
        assert world.told_of_providers() == [(OPENED, "one", "unreachable"), (CLOSED, "one", None)]


@in_virtual_time
async def test_a_refused_account_is_told_of_beside_the_opening() -> None:
    one, two = Vendor(), Vendor("two")
    async with World(one, two) as world:
        one.answer = FORBIDDEN
        await world.post_many(3)
        await world.pass_time(120)
        assert world.told_of_providers() == [(OPENED, "one", "misconfigured"), (MISCONFIGURED, "one", "misconfigured")]


@in_virtual_time
async def test_what_the_store_did_not_take_is_written_when_it_does_in_order_and_once() -> None:
    async with World(Vendor(), recount=False) as world:
        await world.pass_time(1)
        account, now = world.account(), world.clock.monotonic
        world.faults.lost_answers["stand"] = 2
        world.faults.down = True
        for _ in range(5):
            world.fleet.note(account, Health.BAD, now(), why="unreachable")
        await world.pass_time(20)
        assert world.told_of_providers() == []
        world.faults.down = False
        await world.pass_time(5)
        assert world.told_of_providers() == [(OPENED, "one", "unreachable")]


@in_virtual_time
async def test_after_a_sudden_death_what_was_open_is_closed_and_that_is_told() -> None:
    one = Vendor()
    async with World(one) as world:
        one.answer = UNWELL
        await world.post_many(10)
        await world.pass_time(20)
        for turn in range(3):
            await world.kill()
            await world.start()
            await world.pass_time(0.01)
            told = world.told_of_providers()[: 2 + turn * 2]
            await world.pass_time(60)
            assert told[-1] == (CLOSED, "one", "restarted")
        types = [type_ for type_, _, _ in world.told_of_providers()]
        assert types == [OPENED, CLOSED] * 3 + [OPENED]
