"""repair: attempts whose sender is gone are put in doubt, whoever saw it die; an outage of the store doubts nobody."""

from __future__ import annotations

import pytest

from sendwright.engine.repair import LEASE_S
from sendwright.engine.telling import Trouble
from sendwright.model.records import Claim, Claimed
from sendwright.model.states import AttemptState, MessageState

from .engine_world import UNWELL, Vendor, World, in_virtual_time


async def _claimed_by(world: World, owner: str, lease_s: float, **fields: object) -> str:
    """A message that somebody has claimed and whose call nobody makes."""
    notification = await world.post(**fields)
    await world.planner.plan(await world.bus.take("intake.normal"))
    bundle = await world.bus.take("sms.normal")
    now = world.clock.now_ms()
    claim = Claim(world.parcels(bundle)[0], "one", "token", owner, 1, now, now + round(lease_s * 1000))
    assert isinstance(await world.ledger.claim(claim), Claimed)
    await world.bus.done(bundle)
    return notification


@in_virtual_time
async def test_an_attempt_of_a_process_that_died_is_doubted_by_the_next_at_its_start() -> None:
    one = Vendor(latency_s=5)
    async with World(one) as world:
        held = await world.post(on_doubt="hold")
        again = await world.post(on_doubt="resend")
        await world.pass_time(1)
        await world.kill()
        assert world.state(held) == MessageState.IN_DOUBT
        assert [attempt.state for attempt in world.attempts(again)] == [AttemptState.IN_DOUBT]
        await world.settled(again, MessageState.SENT, within_s=10)
        await world.pass_time(60)
        assert world.state(held) == MessageState.IN_DOUBT
        assert len(one.calls) == 3
        assert world.message(again).doubled


@in_virtual_time
async def test_a_claim_of_a_process_that_was_dead_before_is_found_as_well() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        notification = await _claimed_by(world, "mem-0", lease_s=3600, on_doubt="hold")
        await world.start()
        await world.settled(notification, MessageState.IN_DOUBT, within_s=2)


@in_virtual_time
async def test_a_claim_that_commits_after_its_owner_was_known_dead_is_found_too() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        await world.repairer.turn()
        notification = await _claimed_by(world, "mem-0", lease_s=3600, on_doubt="hold")
        assert await world.repairer.turn() == 1
        assert world.state(notification) == MessageState.IN_DOUBT
        assert await world.repairer.turn() == 0


@in_virtual_time
async def test_a_living_owner_has_until_its_deadline() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        notification = await _claimed_by(world, "mem-1", lease_s=30, on_doubt="hold")
        await world.start()
        await world.pass_time(29)
        assert world.state(notification) == MessageState.SENDING
        await world.settled(notification, MessageState.IN_DOUBT, within_s=2.1)


@pytest.mark.parametrize(("receipts", "patience_s"), [(True, 30), (False, 1)])
@in_virtual_time
async def test_a_doubt_of_repair_is_as_patient_as_its_provider_asks(receipts: bool, patience_s: float) -> None:
    one = Vendor(receipts=receipts)
    async with World(one, started=False) as world:
        notification = await _claimed_by(world, "mem-0", lease_s=3600)
        await world.start()
        await world.settled(notification, MessageState.SENT, within_s=40)
        assert patience_s <= one.times[0] < patience_s + 1.1


@in_virtual_time
async def test_an_answer_that_comes_after_the_repair_is_still_believed() -> None:
    one = Vendor(latency_s=9)
    async with World(one) as world:
        notification = await world.post(on_doubt="hold")
        await world.pass_time(1)
        world.repairer._alive = lambda owner: False
        await world.settled(notification, MessageState.IN_DOUBT, within_s=2)
        await world.settled(notification, MessageState.SENT, within_s=10)
        assert len(one.calls) == 1


@in_virtual_time
async def test_a_message_is_never_sent_again_while_its_first_call_may_still_be_out() -> None:
    one = Vendor(latency_s=9.9, timeout_s=10)
    async with World(one) as world:
        world.faults.slow_answers["settle"] = 5
        notification = await world.post()
        await world.pass_time(9.95)
        world.faults.slow_answers.clear()
        await world.settled(notification, MessageState.SENT)
        assert len(one.calls) == 1


# Outages of the store


@pytest.mark.parametrize("lasts_s", [1, 3, 4.5, 6, 9, 12, 14.9, 16, 20.7, 22, 25, 31.5, 36.9, 44])
@pytest.mark.parametrize("latency_s", [1.0, 8.0, 9.9])
@in_virtual_time
async def test_an_outage_of_the_store_doubts_nobody_who_lives(lasts_s: float, latency_s: float) -> None:
    one = Vendor(latency_s=latency_s)
    async with World(one) as world:
        held = await world.post(on_doubt="hold")
        again = await world.post(on_doubt="resend")
        await world.pass_time(0.75)
        world.faults.down = True
        await world.pass_time(lasts_s)
        world.faults.down = False
        await world.settled([held, again], MessageState.SENT, within_s=15)
        await world.pass_time(60)
        assert "message.in_doubt" not in world.events(held)
        assert [attempt.state.label for attempt in world.attempts(again)] == ["sent"]
        assert len(one.calls) == 2


@pytest.mark.parametrize("lasts_s", [2.5, 3.5, 4.5, 4.9])
@in_virtual_time
async def test_a_short_outage_in_which_a_deadline_passes_doubts_nobody_who_lives(lasts_s: float) -> None:
    one = Vendor(latency_s=9.9)
    async with World(one) as world:
        notification = await world.post(on_doubt="hold")
        await world.pass_time(9.7)
        world.faults.down = True
        await world.pass_time(lasts_s)
        world.faults.down = False
        await world.settled(notification, MessageState.SENT, within_s=15)
        assert "message.in_doubt" not in world.events(notification)


@in_virtual_time
async def test_after_an_outage_the_living_have_a_full_lease_and_then_the_stuck_are_found() -> None:
    one = Vendor()
    async with World(one, started=False) as world:
        notification = await _claimed_by(world, "mem-1", lease_s=5, on_doubt="hold")
        await world.start()
        world.faults.down = True
        await world.pass_time(60)
        world.faults.down = False
        await world.pass_time(LEASE_S - 1)
        assert world.state(notification) == MessageState.SENDING
        await world.settled(notification, MessageState.IN_DOUBT, within_s=5)
        assert "repair" in {trouble.where for trouble in world.told_of(Trouble)}


@in_virtual_time
async def test_a_process_that_was_stopped_for_a_while_doubts_nobody_at_once() -> None:
    one = Vendor(latency_s=9)
    async with World(one) as world:
        notification = await world.post(on_doubt="hold")
        await world.pass_time(8.5)
        # when: everything stands still (a suspended machine), and the answer lies in the socket
        world.loop.jump(120)
        await world.settled(notification, MessageState.SENT, within_s=5)
        assert "message.in_doubt" not in world.events(notification)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
@in_virtual_time
async def test_a_store_that_comes_and_goes_loses_nothing_and_sends_nothing_twice(seed: int) -> None:
    one, two = Vendor("one", concurrency=8, latency_s=0.4), Vendor("two", concurrency=3, latency_s=0.9)
    async with World(one, two) as world:
        chance = world.chance(seed)
        one.always(lambda call: UNWELL if chance.random() < 0.3 else one.ok())
        notifications: list[str] = []
        for round_ in range(20):
            # the desk stands for another store here: accepting goes on
            notifications += await world.post_many(10, first=100 * round_, on_doubt=chance.choice(["hold", "resend"]))
            await world.pass_time(chance.uniform(0, 1))
            world.faults.down = True
            await world.pass_time(chance.uniform(0, 8))
            world.faults.down = False
            await world.pass_time(chance.uniform(0, 3))
        await world.settled(notifications, MessageState.SENT, within_s=600)
        taken = [call.message for call in [*one.calls, *two.calls]]
        assert len(set(taken)) == 200
        assert not any(world.message(notification).doubled for notification in notifications)
        assert all("message.in_doubt" not in world.events(notification) for notification in notifications)
