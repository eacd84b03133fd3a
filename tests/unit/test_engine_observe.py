"""observe: receipts join their attempts, early, late, repeated or of nobody, and move their messages."""

from __future__ import annotations

import pytest

from sendwright.engine.telling import Settled
from sendwright.model.ids import message_id
from sendwright.model.parcel import INBOUND, Sighting, pack
from sendwright.model.records import CONTRADICTED
from sendwright.model.states import AttemptState, MessageState
from sendwright.providers.contract import Reply

from .engine_world import EMAIL, LOST, PHONE, REFUSED, TENANT, Vendor, World, in_virtual_time, number

BOTH = {"phone": PHONE, "email": EMAIL}


@in_virtual_time
async def test_a_receipt_moves_its_message_and_says_so() -> None:
    one = Vendor(receipts=True)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        await world.report(AttemptState.DELIVERED, attempt=world.attempts(notification)[0].id)
        await world.settled(notification, MessageState.DELIVERED)
        await world.report(AttemptState.READ, ref="one-1")
        await world.settled(notification, MessageState.READ)
        assert [told.state.label for told in world.told_of(Settled)] == ["sent", "delivered", "read"]
        assert world.events(notification)[-2:] == ["message.delivered", "message.read"]


@in_virtual_time
async def test_receipts_that_repeat_or_come_late_change_nothing() -> None:
    one = Vendor(receipts=True)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        attempt = world.attempts(notification)[0].id
        await world.report(AttemptState.READ, attempt=attempt)
        await world.settled(notification, MessageState.READ)
        events = world.events(notification)
        for state in (AttemptState.READ, AttemptState.SENT, AttemptState.DELIVERED, AttemptState.FAILED, AttemptState.READ):
            await world.report(state, attempt=attempt)
        await world.pass_time(60)
        assert world.state(notification) == MessageState.READ
        assert world.events(notification) == [*events, CONTRADICTED]
        assert len(one.calls) == 1


@pytest.mark.parametrize("state", [AttemptState.SENT, AttemptState.DELIVERED, AttemptState.READ])
@in_virtual_time
async def test_a_receipt_that_comes_before_the_answer_settles_it(state: AttemptState) -> None:
    one = Vendor(receipts=True, latency_s=5)
    async with World(one) as world:
        notification = await world.post()
        await world.pass_time(1)
        await world.report(state, attempt=world.attempts(notification)[0].id)
        await world.pass_time(1)
        assert world.state(notification).label == state.label
        await world.pass_time(60)
        assert world.state(notification).label == state.label
        assert world.attempts(notification)[0].ref == "one-1"
        assert len(one.calls) == 1


@pytest.mark.parametrize("on_doubt", ["hold", "resend"])
@in_virtual_time
async def test_a_receipt_before_an_answer_that_is_lost_leaves_no_doubt(on_doubt: str) -> None:
    one = Vendor(receipts=True, timeout_s=10)
    one.hangs = True
    async with World(one) as world:
        notification = await world.post(on_doubt=on_doubt)
        await world.pass_time(3)
        await world.report(AttemptState.SENT, attempt=world.attempts(notification)[0].id)
        await world.pass_time(120)
        assert world.state(notification) == MessageState.SENT
        assert "message.in_doubt" not in world.events(notification)
        assert len(one.calls) == 1


@pytest.mark.slow
@pytest.mark.parametrize("state", [AttemptState.SENT, AttemptState.DELIVERED])
@in_virtual_time
async def test_a_receipt_after_a_lost_answer_settles_a_held_doubt(state: AttemptState) -> None:
    one = Vendor(receipts=True)
    one.says(LOST)
    async with World(one) as world:
        notification = await world.post(on_doubt="hold")
        await world.settled(notification, MessageState.IN_DOUBT)
        await world.pass_time(3600)
        await world.report(state, attempt=world.attempts(notification)[0].id)
        await world.pass_time(60)
        assert world.state(notification).label == state.label
        assert len(one.calls) == 1


@in_virtual_time
async def test_a_receipt_within_half_a_minute_spares_the_second_call() -> None:
    one = Vendor(receipts=True)
    one.says(LOST)
    async with World(one) as world:
        notification = await world.post()
        await world.pass_time(29)
        await world.report(AttemptState.SENT, attempt=world.attempts(notification)[0].id)
        await world.pass_time(120)
        assert world.state(notification) == MessageState.SENT
        assert len(one.calls) == 1
        assert not world.message(notification).doubled


@pytest.mark.parametrize("on_doubt", ["hold", "resend"])
@in_virtual_time
async def test_a_receipt_that_refutes_a_doubt_takes_the_next_step_at_once(on_doubt: str) -> None:
    one, two = Vendor("one", receipts=True), Vendor("two", channels=("email",))
    one.says(LOST)
    async with World(one, two) as world:
        notification = await world.post(BOTH, channels=["sms", "email"], on_doubt=on_doubt)
        await world.pass_time(5)
        await world.report(AttemptState.FAILED, attempt=world.attempts(notification)[0].id, reason="blocked")
        await world.settled(notification, MessageState.SENT, within_s=1)
        assert (len(one.calls), two.addresses) == (1, [EMAIL])
        assert not world.message(notification).doubled


@in_virtual_time
async def test_a_receipt_of_a_reference_that_nobody_knows_yet_waits_for_it() -> None:
    one = Vendor(receipts=True, latency_s=5)
    async with World(one) as world:
        notification = await world.post()
        await world.pass_time(1)
        await world.report(AttemptState.DELIVERED, ref="one-1")
        await world.pass_time(1)
        assert world.state(notification) == MessageState.SENDING
        await world.settled(notification, MessageState.DELIVERED, within_s=4)


@in_virtual_time
async def test_a_failed_receipt_of_a_sent_message_takes_the_next_step_at_once() -> None:
    one, two = Vendor("one", receipts=True), Vendor("two", channels=("email",))
    async with World(one, two) as world:
        notification = await world.post(BOTH, channels=["sms", "email"])
        await world.settled(notification, MessageState.SENT)
        await world.pass_time(10)
        reported = world.at()
        await world.report(AttemptState.FAILED, ref="one-1", reason="invalid_address")
        await world.until(lambda: bool(two.calls), within_s=1)
        assert two.times[0] - reported < 0.1
        await world.settled(notification, MessageState.SENT)
        assert len(one.calls) == 1


@in_virtual_time
async def test_a_failed_receipt_on_the_last_step_fails_it_into_the_dead_letters_and_a_replay_sends_it() -> None:
    one = Vendor(receipts=True)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        await world.report(AttemptState.FAILED, ref="one-1", reason="invalid_address", detail="no such number")
        await world.settled(notification, MessageState.FAILED)
        row = world.message(notification)
        assert (row.reason, row.detail, row.dead) == ("invalid_address", "no such number", True)
        assert await world.ledger.revive(TENANT, row.id, world.clock.now_ms())
        await world.settled(notification, MessageState.SENT, within_s=3)
        assert len(one.calls) == 2
        assert not world.message(notification).dead


@in_virtual_time
async def test_a_receipt_of_another_provider_is_nobodys_word_about_this_attempt() -> None:
    one, two = Vendor("one", receipts=True), Vendor("two", receipts=True)
    async with World(one, two) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        await world.report(AttemptState.FAILED, attempt=world.attempts(notification)[0].id, ref="one-1", provider="two")
        await world.pass_time(60)
        assert world.state(notification) == MessageState.SENT
        assert len(one.calls) == 1


@in_virtual_time
async def test_a_receipt_after_a_person_called_it_failed_is_believed() -> None:
    one = Vendor(receipts=True)
    one.says(LOST)
    async with World(one) as world:
        notification = await world.post(on_doubt="hold")
        await world.settled(notification, MessageState.IN_DOUBT)
        await world.ledger.resolve(TENANT, message_id(notification, 0), "failed", world.clock.now_ms())
        await world.settled(notification, MessageState.FAILED)
        await world.report(AttemptState.DELIVERED, attempt=world.attempts(notification)[0].id)
        await world.settled(notification, MessageState.DELIVERED)
        assert not world.message(notification).dead


@in_virtual_time
async def test_a_receipt_that_nobody_can_read_is_kept_aside_and_takes_nobody_with_it() -> None:
    one = Vendor(receipts=True)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        good = pack(Sighting("one", int(AttemptState.DELIVERED), world.attempts(notification)[0].id))
        await world.bus.publish(INBOUND, [b'{"provider":7}', good, b"[]"])
        await world.settled(notification, MessageState.DELIVERED)
        await world.pass_time(0.1)
        assert world.quarantined() == [b'{"provider":7}', b"[]"]
        assert list(world.bus.undone()) == []


@in_virtual_time
async def test_while_the_store_is_down_receipts_wait_and_are_joined_when_it_is_back() -> None:
    one = Vendor(receipts=True)
    async with World(one) as world:
        notifications = await world.post_many(20)
        await world.settled(notifications, MessageState.SENT)
        world.faults.down = True
        for place in range(20):
            await world.report(AttemptState.DELIVERED, ref=f"one-{place + 1}")
        await world.pass_time(300)
        assert INBOUND in {lane for lane, _ in world.bus.undone()}
        world.faults.down = False
        await world.settled(notifications, MessageState.DELIVERED, within_s=5)


@in_virtual_time
async def test_receipts_that_were_taken_by_a_process_that_died_are_joined_by_the_next() -> None:
    one = Vendor(receipts=True)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        world.faults.down = True
        await world.report(AttemptState.DELIVERED, ref="one-1")
        await world.pass_time(1)
        world.faults.down = False
        await world.kill()
        await world.settled(notification, MessageState.DELIVERED, within_s=5)


@in_virtual_time
async def test_of_many_receipts_each_finds_its_own() -> None:
    one = Vendor(receipts=True)
    one.always(lambda call: REFUSED if call.address == number(7) else _taken(call.address))
    async with World(one) as world:
        notifications = await world.post_many(30)
        await world.until(lambda: world.states(notifications) == {"sent": 29, "failed": 1})
        for place in range(0, 30, 3):
            await world.report(AttemptState.DELIVERED, ref=number(place))
        await world.pass_time(1)
        delivered = {place for place in range(30) if world.state(notifications[place]) == MessageState.DELIVERED}
        assert delivered == set(range(0, 30, 3))


def _taken(ref: str) -> Reply:
    return Reply(202, body=b'{"id":"%s"}' % ref.encode())


@in_virtual_time
async def test_what_happened_to_a_message_is_on_its_timeline_once_and_moves_nothing_by_itself() -> None:
    one = Vendor(receipts=True)
    async with World(one) as world:
        notification = await world.post()
        await world.settled(notification, MessageState.SENT)
        attempt = world.attempts(notification)[0].id
        await world.report(AttemptState.DELIVERED, attempt=attempt)
        await world.settled(notification, MessageState.DELIVERED)
        for _ in range(46):
            await world.report(AttemptState.DELIVERED, attempt=attempt, happened="complained", more="abuse")
            await world.report(AttemptState.DELIVERED, attempt=attempt, happened="opened_by_machine", more="open")
        await world.pass_time(60)
        assert world.state(notification) == MessageState.DELIVERED
        assert sorted(world.events(notification)[-2:]) == ["message.complained", "message.opened_by_machine"]
        assert len(one.calls) == 1


@in_virtual_time
async def test_a_bounce_takes_the_next_step_and_a_machines_opening_is_no_reading() -> None:
    one, two = Vendor(receipts=True), Vendor("two", channels=("email",), receipts=True)
    async with World(one, two) as world:
        notification = await world.post(to=BOTH, channels=["sms", "email"])
        await world.settled(notification, MessageState.SENT)
        first = world.attempts(notification)[0].id
        await world.report(AttemptState.FAILED, attempt=first, reason="unreachable", happened="bounced", more="soft")
        await world.pass_time(5)
        events = world.events(notification)
        assert events[events.index("message.sent") :][:3] == ["message.sent", "message.bounced", "message.queued"]
        second = world.attempts(notification)[1].id
        await world.report(AttemptState.DELIVERED, attempt=second, provider="two", happened="opened_by_machine", more="open")
        await world.pass_time(5)
        assert world.state(notification) == MessageState.DELIVERED
