"""Pairs of port methods that touch one message, in both orders, the first held open before its commit.

Neither a test that calls one method after the other nor a simulation over a simulated store can see what goes wrong
here. What must hold whichever wins: never cancelled and sent; one plan, one id per key, one claim; evidence is never
refused, decisions are fenced; a settled message waits for nothing, and what waits is in the table or on its way.

Here: what claims, plans and keys meet. What answers, receipts, waits and readers meet is in test_races_evidence.py.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from sendwright.model.ids import message_id
from sendwright.model.notification import Priority
from sendwright.model.parcel import Intake, Parcel, intake_lane, unbundle
from sendwright.model.records import Cancelled, Claimed, Conflict, Order, Refused, Running, Settlement, Switch, Taken, Wait
from sendwright.model.said import Said
from sendwright.model.states import AttemptState, MessageState
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import (
    EMAIL,
    MINUTE,
    NOW,
    SMS,
    TENANT,
    accepted,
    birth,
    claim,
    claimed,
    later,
    lost,
    message_of,
    new_id,
    offer,
    plan,
    planned,
    rejected,
    scheduled,
)
from tests.conformance.racing import (
    INTERLEAVINGS,
    KEY,
    Call,
    Interleaving,
    assert_consistent,
    cancelling,
    claiming,
    half_a_minute,
    nobody_lives,
    parking,
    promoting,
    race,
    repairing,
    settling,
    spelled,
)

backend = every_backend()

pytestmark = pytest.mark.parametrize("order", INTERLEAVINGS, ids=spelled)

A = AttemptState
M = MessageState


async def test_a_message_is_never_cancelled_and_sent(backend: UnderTest, order: Interleaving) -> None:
    # given
    parcel = await planned(backend.ledger)
    # when
    raced = await race(backend, order, claiming(backend, parcel), cancelling(backend, parcel))
    # then
    row = await assert_consistent(backend, parcel)
    if isinstance(raced.first, Claimed):
        assert raced.second == Cancelled(too_late=1)
        assert row.state == M.SENDING
    else:
        assert raced.second == Cancelled(cancelled=1)
        assert row.state == M.CANCELLED


async def test_a_notification_that_is_cancelled_while_its_messages_are_claimed_is_counted_truly(
    backend: UnderTest, order: Interleaving
) -> None:
    ntf = new_id()
    ((one, two),) = await backend.ledger.plan([plan(birth(ntf, 0), birth(ntf, 1), notification=ntf)])
    raced = await race(backend, order, claiming(backend, one), cancelling(backend, ntf))
    taken = int(isinstance(raced.first, Claimed))
    assert raced.second == Cancelled(cancelled=2 - taken, too_late=taken)
    assert (await assert_consistent(backend, two)).state == M.CANCELLED
    await assert_consistent(backend, one)


async def test_a_message_whose_answer_was_lost_is_cancelled_or_claimed_to_be_sent_again(
    backend: UnderTest, order: Interleaving
) -> None:
    # given
    parcel = await planned(backend.ledger)
    await backend.ledger.settle(lost(parcel, await claimed(backend.ledger, parcel)))
    (again,) = await backend.waiting.due(NOW + MINUTE, 10)
    # when
    raced = await race(backend, order, claiming(backend, again, "two"), cancelling(backend, parcel))
    # then
    row = await assert_consistent(backend, parcel)
    assert raced.second == Cancelled(too_late=1)
    if isinstance(raced.first, Claimed):
        assert (row.state, row.token, row.number) == (M.SENDING, "two", 2)
    else:
        assert raced.first == Refused("state")
        assert (row.state, row.number) == (M.IN_DOUBT, 1)
    assert list(await backend.waiting.due(NOW + MINUTE, 10)) == []


@pytest.mark.parametrize("answer", [later, rejected], ids=lambda each: each.__name__)
async def test_a_late_answer_beside_a_cancel_does_not_have_it_sent_again(
    backend: UnderTest, order: Interleaving, answer: Callable[[Parcel, Claimed], Settlement]
) -> None:
    # given
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.repair(NOW, nobody_lives, half_a_minute, 8)
    # when
    raced = await race(backend, order, settling(backend, answer(parcel, held)), cancelling(backend, parcel))
    # then: never sent, as everybody knows in the end
    row = await assert_consistent(backend, parcel)
    assert row.state == M.CANCELLED
    assert raced.second in (Cancelled(cancelled=1), Cancelled(too_late=1))


async def test_of_two_claims_one_is_granted(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger)
    raced = await race(backend, order, claiming(backend, parcel, "one"), claiming(backend, parcel, "two"))
    assert sum(isinstance(answer, Claimed) for answer in raced[:2]) == 1
    row = await assert_consistent(backend, parcel)
    assert row.token == ("one" if isinstance(raced.first, Claimed) else "two")


async def test_a_retried_claim_with_its_own_token_is_one_attempt(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger)
    raced = await race(backend, order, claiming(backend, parcel, "mine"), claiming(backend, parcel, "mine"))
    assert raced.first == raced.second
    assert isinstance(raced.first, Claimed)
    await assert_consistent(backend, parcel)


async def test_a_late_answer_beside_the_claim_to_send_again_is_believed_and_sends_at_most_once_more(
    backend: UnderTest, order: Interleaving
) -> None:
    # given: a doubt whose patience is over, and its answer coming after all
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    await backend.ledger.repair(NOW, nobody_lives, half_a_minute, 8)
    (again,) = await backend.waiting.due(NOW + MINUTE, 10)
    # when
    raced = await race(backend, order, claiming(backend, again, "token-2"), settling(backend, accepted(parcel, held, ref="SM1")))
    # then
    row = await assert_consistent(backend, parcel)
    attempts = await backend.records.attempts(parcel.id)
    assert (attempts[0].state, attempts[0].ref) == (A.SENT, "SM1")
    if isinstance(raced.first, Claimed):
        assert row.state == M.SENDING
        assert await backend.ledger.settle(accepted(again, raced.first, "token-2")) == M.SENT
        assert (await message_of(backend, parcel)).doubled
    else:
        assert (row.state, raced.second) == (M.SENT, M.SENT)


@pytest.mark.parametrize("kind", ["set", "reorder"])
async def test_no_claim_is_granted_under_an_older_epoch_once_the_switch_is_answered(
    backend: UnderTest, order: Interleaving, kind: str
) -> None:
    # given
    parcel = await planned(backend.ledger)
    epoch, _ = await backend.switchboard.read()
    board = backend.switchboard
    orders = Order("sms", ("vonage-eu",))
    switching = Call(kind, lambda: board.reorder(orders) if kind == "reorder" else board.set(Switch("twilio-main", enabled=False)))
    # when
    raced = await race(backend, order, claiming(backend, parcel, epoch=epoch), switching)
    # then
    row = await assert_consistent(backend, parcel, carried=True)
    assert raced.second > epoch
    if isinstance(raced.first, Claimed):
        assert not (raced.overtook and order[0] == "first"), "granted after the switch had been answered"
        assert row.state == M.SENDING
    else:
        assert (raced.first, row.state) == (Refused("epoch"), M.QUEUED)
    assert isinstance(await backend.ledger.claim(claim(parcel, "token-2", epoch=epoch)), Refused)


@pytest.mark.parametrize("state", [M.EXPIRED, M.FAILED], ids=str)
async def test_a_message_is_ended_or_claimed(backend: UnderTest, order: Interleaving, state: MessageState) -> None:
    parcel = await planned(backend.ledger)
    ending = Call("end", lambda: backend.ledger.end(parcel, state, "expired", "", NOW))
    raced = await race(backend, order, claiming(backend, parcel), ending)
    row = await assert_consistent(backend, parcel)
    assert isinstance(raced.first, Claimed) is not raced.second
    assert row.state == (state if raced.second else M.SENDING)


async def test_a_message_is_advanced_or_claimed_at_its_step(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger, steps=(SMS, EMAIL))
    advancing = Call("advance", lambda: backend.ledger.advance(parcel, 1, "unreachable", "", NOW))
    raced = await race(backend, order, claiming(backend, parcel), advancing)
    row = await assert_consistent(backend, parcel)
    assert isinstance(raced.first, Claimed) is not raced.second
    assert row.step == int(raced.second)


async def test_a_claimed_message_is_not_parked_whoever_comes_first(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger)
    raced = await race(backend, order, claiming(backend, parcel), parking(backend, parcel))
    assert isinstance(raced.first, Claimed)
    assert (await assert_consistent(backend, parcel)).state == M.SENDING
    assert await backend.waiting.parked() == {}


async def test_a_claim_beside_its_promotion_leaves_no_wait(backend: UnderTest, order: Interleaving) -> None:
    await scheduled(backend.ledger, NOW)
    (parcel,) = await backend.waiting.due(NOW, 10)
    raced = await race(backend, order, claiming(backend, parcel), promoting(backend, parcel))
    assert isinstance(raced.first, Claimed)
    assert (await assert_consistent(backend, parcel)).state == M.SENDING


async def test_a_claim_beside_repair_is_doubted_now_or_by_the_next_repair(backend: UnderTest, order: Interleaving) -> None:
    parcel = await planned(backend.ledger)
    raced = await race(backend, order, claiming(backend, parcel), repairing(backend))
    assert isinstance(raced.first, Claimed)
    await assert_consistent(backend, parcel)
    found = [*raced.second, *await backend.ledger.repair(NOW, nobody_lives, half_a_minute, 8)]
    assert found == [parcel.id]
    assert (await assert_consistent(backend, parcel)).token is None


# What plans meet


async def test_a_notification_that_is_cancelled_while_it_is_planned_sends_nothing(backend: UnderTest, order: Interleaving) -> None:
    # given
    ntf = new_id()
    asked = plan(birth(ntf, 0), birth(ntf, 1, state=M.SCHEDULED, wait=Wait("time", NOW)), notification=ntf)
    # when
    raced = await race(backend, order, Call("plan", lambda: backend.ledger.plan([asked])), cancelling(backend, ntf))
    # then
    (parcels,) = raced.first
    assert raced.second == (Cancelled(cancelled=2) if parcels else Cancelled(unplanned=1))
    for ordinal in (0, 1):
        assert (await assert_consistent(backend, message_id(ntf, ordinal))).state == M.CANCELLED
    for parcel in parcels:
        assert await backend.ledger.claim(claim(parcel)) == Refused("state")
    assert list(await backend.waiting.due(NOW, 10)) == []


async def test_of_two_different_plans_one_wins_and_both_are_told_the_same(backend: UnderTest, order: Interleaving) -> None:
    # given
    ntf = new_id()
    one = plan(birth(ntf, 0, (SMS,)), birth(ntf, 1, (SMS,)), notification=ntf, content=Said(body="one"))
    two = plan(birth(ntf, 0, (EMAIL,)), notification=ntf, content=Said(body="two"))
    # when
    raced = await race(
        backend, order, Call("plan", lambda: backend.ledger.plan([one])), Call("plan", lambda: backend.ledger.plan([two]))
    )
    # then
    assert [list(parcels) for parcels in raced.first] == [list(parcels) for parcels in raced.second]
    ((parcel, *more),) = raced.first
    winner = one if parcel.content == one.content else two
    assert parcel.steps == winner.births[0].steps
    assert len(more) + 1 == len(winner.births) == len(await backend.records.messages_of(ntf, 10, None))
    assert [event.type for event in await backend.records.events(TENANT, 0, 10)] == ["notification.accepted"]


async def test_of_two_different_plans_of_what_was_cancelled_one_wins(backend: UnderTest, order: Interleaving) -> None:
    # given
    ntf = new_id()
    assert await backend.ledger.cancel(TENANT, ntf, NOW) == Cancelled(unplanned=1)
    one = plan(birth(ntf, 0, (SMS,)), birth(ntf, 1, (SMS,)), notification=ntf, content=Said(body="one"))
    two = plan(birth(ntf, 0, (EMAIL,)), notification=ntf, content=Said(body="two"))
    # when
    await race(backend, order, Call("plan", lambda: backend.ledger.plan([one])), Call("plan", lambda: backend.ledger.plan([two])))
    # then
    stored = await backend.records.notification(TENANT, ntf)
    assert stored is not None
    assert stored.content is not None
    winner = one if stored.content.body == "one" else two
    messages = await backend.records.messages_of(ntf, 10, None)
    assert [message.steps for message in messages] == [born.steps for born in winner.births]
    assert {message.state for message in messages} == {M.CANCELLED}


async def test_a_redelivered_plan_beside_a_claim_publishes_at_most_what_is_refused(backend: UnderTest, order: Interleaving) -> None:
    asked = plan()
    ((parcel,),) = await backend.ledger.plan([asked])
    raced = await race(backend, order, Call("plan", lambda: backend.ledger.plan([asked])), claiming(backend, parcel))
    assert isinstance(raced.second, Claimed)
    for again in raced.first[0]:
        assert isinstance(await backend.ledger.claim(claim(again, "token-2")), Refused)
    await assert_consistent(backend, parcel)


# What keys meet


async def intakes(backend: UnderTest) -> list[str]:
    """Ids on the intake lane."""
    found: list[str] = []
    lane = intake_lane(Priority.NORMAL)
    while backend.bus.depth(lane):
        found += [intake.id for intake in unbundle(Intake, (await backend.bus.take(lane)).body)]
    return found


async def test_one_key_stands_for_one_id(backend: UnderTest, order: Interleaving) -> None:
    # given
    one, two = offer(key="once"), offer(key="once")
    # when
    raced = await race(
        backend, order, Call("offer", lambda: backend.desk.offer(one)), Call("offer", lambda: backend.desk.offer(two))
    )
    # then
    (fresh,) = [answer for answer in raced[:2] if isinstance(answer, Taken) and not answer.replayed]
    (other,) = [answer for answer in raced[:2] if answer is not fresh]
    assert other in {Taken(fresh.id, replayed=True), Running()}
    assert await backend.desk.stored(TENANT, "once") == fresh.id
    assert await intakes(backend) == [fresh.id]


async def test_one_key_stands_for_one_body(backend: UnderTest, order: Interleaving) -> None:
    one, two = offer(key="once", fingerprint=b"one"), offer(key="once", fingerprint=b"two")
    raced = await race(
        backend, order, Call("offer", lambda: backend.desk.offer(one)), Call("offer", lambda: backend.desk.offer(two))
    )
    (fresh,) = [answer for answer in raced[:2] if isinstance(answer, Taken)]
    (other,) = [answer for answer in raced[:2] if answer is not fresh]
    assert isinstance(other, Conflict | Running)
    assert await intakes(backend) == [fresh.id]


# Hands


@pytest.mark.parametrize("before", [M.FAILED, M.SENT])
async def test_of_two_who_saw_a_message_and_want_it_sent_again_one_has_his_way(
    backend: UnderTest, order: Interleaving, before: MessageState
) -> None:
    # given
    parcel = await planned(backend.ledger)
    settle = rejected if before == M.FAILED else accepted
    await backend.ledger.settle(settle(parcel, await claimed(backend.ledger, parcel)))
    seen = await message_of(backend, parcel)
    reviving = Call("revive", lambda: backend.ledger.revive(TENANT, parcel.id, NOW, seen))
    # when
    raced = await race(backend, order, reviving, reviving)
    # then
    assert sorted(raced[:2]) == [False, True]
    assert (await assert_consistent(backend, parcel)).state == M.QUEUED
    # and when the first one's is over, whoever saw it then is late
    (again,) = await backend.waiting.due(NOW, 10)
    await backend.waiting.promoted([again], NOW)
    await backend.ledger.settle(settle(again, await claimed(backend.ledger, again, "token-2"), "token-2"))
    assert not await backend.ledger.revive(TENANT, parcel.id, NOW, seen)
    assert await backend.ledger.revive(TENANT, parcel.id, NOW, await message_of(backend, parcel))


# What meets all at once


async def test_of_all_that_may_end_a_waiting_message_one_does(backend: UnderTest, order: Interleaving) -> None:
    """Twenty messages, and for each its claim, cancellation, end, step and parking in one crowd, in an order by chance."""
    # given
    ntf = new_id()
    births = [birth(ntf, ordinal, (SMS, EMAIL)) for ordinal in range(20)]
    (parcels,) = await backend.ledger.plan([plan(*births, notification=ntf)])
    calls = [(parcel, kind) for parcel in parcels for kind in ("claim", "cancel", "end", "advance", "park")]
    random.Random(spelled(order)).shuffle(calls)
    # when
    answers = await asyncio.gather(*(_ending(backend, parcel, kind) for parcel, kind in calls))
    # then
    told = {(parcel.id, kind): answer for (parcel, kind), answer in zip(calls, answers, strict=True)}
    for parcel in parcels:
        row = await assert_consistent(backend, parcel)
        claimed_ = isinstance(told[parcel.id, "claim"], Claimed)
        cancelled = told[parcel.id, "cancel"] == Cancelled(cancelled=1)
        assert [claimed_, cancelled, told[parcel.id, "end"]].count(True) == 1
        assert row.state == (M.SENDING if claimed_ else M.CANCELLED if cancelled else M.FAILED)
        assert row.step == int(told[parcel.id, "advance"])


async def _ending(backend: UnderTest, parcel: Parcel, kind: str) -> object:
    ledger = backend.ledger
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "claim": lambda: ledger.claim(claim(parcel, parcel.id)),
        "cancel": lambda: ledger.cancel(TENANT, parcel.id, NOW),
        "end": lambda: ledger.end(parcel, M.FAILED, "no_provider", "", NOW),
        "advance": lambda: ledger.advance(parcel, 1, "unreachable", "", NOW),
        "park": lambda: ledger.park(parcel, Wait("rate", None, key=KEY), NOW),
    }
    return await calls[kind]()
