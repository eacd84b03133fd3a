"""What every intake desk promises (engine/ports.py, IntakeDesk)."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from sendwright.model.notification import Priority
from sendwright.model.parcel import Intake, intake_lane, unbundle
from sendwright.model.records import Absent, Conflict, Running, Taken
from tests.conformance.backends import UnderTest, every_backend
from tests.conformance.builders import TENANT, offer

backend = every_backend()


async def intakes(backend: UnderTest, priority: Priority = Priority.NORMAL) -> list[Intake]:
    """What is on an intake lane, in order; all of it is done afterwards."""
    found: list[Intake] = []
    lane = intake_lane(priority)
    while backend.bus.depth(lane):
        delivery = await backend.bus.take(lane)
        found += unbundle(Intake, delivery.body)
        await backend.bus.done(delivery)
    return found


async def test_an_offer_puts_its_notification_on_the_lane_as_it_was_posted(backend: UnderTest) -> None:
    # given
    asked = offer(key="order-7", trace="00-abc", body=b'{"to": "x",  "content":{"body":"1.50"}}')
    # when
    assert await backend.desk.offer(asked) == Taken(asked.id)
    # then
    (intake,) = await intakes(backend)
    assert (intake.id, intake.tenant, intake.at) == (asked.id, asked.tenant, asked.at)
    assert bytes(intake.body) == asked.body
    assert (intake.key, intake.trace) == ("order-7", "00-abc")


@pytest.mark.parametrize("priority", Priority)
async def test_the_lane_is_that_of_the_priority(backend: UnderTest, priority: Priority) -> None:
    asked = offer(priority=priority)
    await backend.desk.offer(asked)
    depths = {each: backend.bus.depth(intake_lane(each)) for each in Priority}
    assert depths == {each: int(each == priority) for each in Priority}
    assert [intake.id for intake in await intakes(backend, priority)] == [asked.id]


@pytest.mark.parametrize("key", [None, "order-7"])
async def test_what_goes_past_a_crowd_lies_on_the_lane_beside_it_and_is_accounted_for(backend: UnderTest, key: str | None) -> None:
    crowd, past = offer(), offer(key=key, aside=True)
    for each in (crowd, past):
        await backend.desk.offer(each)
    audit = await backend.records.audit()
    assert (audit.accepted, audit.waiting, audit.violations) == (2, 2, ())
    delivery = await backend.bus.take(intake_lane(Priority.NORMAL, aside=True))
    assert [intake.id for intake in unbundle(Intake, delivery.body)] == [past.id]
    await backend.bus.done(delivery)
    assert [intake.id for intake in await intakes(backend)] == [crowd.id]


async def test_a_hundred_offers_with_one_key_make_one_notification(backend: UnderTest) -> None:
    # given
    offers = [offer(key="once") for _ in range(100)]
    # when
    answers = await asyncio.gather(*(backend.desk.offer(each) for each in offers))
    # then
    (fresh,) = [answer for answer in answers if isinstance(answer, Taken) and not answer.replayed]
    for asked, answer in zip(offers, answers, strict=True):
        assert answer in {Taken(fresh.id, replayed=True), Running(), fresh}, asked.id
    assert await backend.desk.offer(offer(key="once")) == Taken(fresh.id, replayed=True)
    assert [intake.id for intake in await intakes(backend)] == [fresh.id]


async def test_a_replay_puts_nothing_on_any_lane(backend: UnderTest) -> None:
    first = offer(key="once")
    await backend.desk.offer(first)
    await backend.desk.offer(offer(key="once", priority=Priority.CRITICAL))
    assert backend.bus.depth(intake_lane(Priority.CRITICAL)) == 0
    assert len(await intakes(backend)) == 1


async def test_the_same_key_with_another_fingerprint_is_a_conflict_and_changes_nothing(backend: UnderTest) -> None:
    first = offer(key="once", fingerprint=b"one")
    await backend.desk.offer(first)
    assert await backend.desk.offer(offer(key="once", fingerprint=b"two")) == Conflict()
    assert await backend.desk.offer(offer(key="once", fingerprint=b"one")) == Taken(first.id, replayed=True)
    assert [intake.id for intake in await intakes(backend)] == [first.id]


async def test_offers_at_the_same_time_with_one_key_and_two_fingerprints_bind_it_to_one(backend: UnderTest) -> None:
    offers = [offer(key="once", fingerprint=bytes([number % 2])) for number in range(40)]
    answers = await asyncio.gather(*(backend.desk.offer(each) for each in offers))
    (winner,) = [number for number, answer in enumerate(answers) if isinstance(answer, Taken) and not answer.replayed]
    for number, answer in enumerate(answers):
        assert isinstance(answer, (Taken, Running) if number % 2 == winner % 2 else (Conflict, Running))
    assert len(await intakes(backend)) == 1


async def test_keys_of_different_tenants_are_different_keys(backend: UnderTest) -> None:
    ours, theirs = offer(key="order-7"), offer(key="order-7", fingerprint=b"other", tenant="globex")
    assert await backend.desk.offer(ours) == Taken(ours.id)
    assert await backend.desk.offer(theirs) == Taken(theirs.id)
    assert await backend.desk.stored(TENANT, "order-7") == ours.id
    assert await backend.desk.stored("globex", "order-7") == theirs.id


@pytest.mark.parametrize("key", ["", " ", "a" * 255, "clé-ü-世界", 'a"quote', "a'; drop table keys; --", "a\\b\n"])
async def test_any_text_is_a_key(backend: UnderTest, key: str) -> None:
    asked = offer(key=key)
    await backend.desk.offer(asked)
    assert await backend.desk.stored(TENANT, key) == asked.id
    assert await backend.desk.offer(offer(key=key)) == Taken(asked.id, replayed=True)


async def test_a_key_that_nobody_used_stands_for_nothing(backend: UnderTest) -> None:
    await backend.desk.offer(offer(key="used"))
    assert await backend.desk.stored(TENANT, "unused") is None
    assert await backend.desk.stored("globex", "used") is None


async def test_offers_without_a_key_are_never_replayed(backend: UnderTest) -> None:
    first, second = offer(), offer()
    assert [await backend.desk.offer(first), await backend.desk.offer(second)] == [Taken(first.id), Taken(second.id)]
    assert [intake.id for intake in await intakes(backend)] == [first.id, second.id]


async def test_fresh_notifications_alone_are_numbered_and_consecutively_from_one(backend: UnderTest) -> None:
    # given
    offers = [offer(key=f"key-{number % 30}", priority=Priority(number % 4)) for number in range(60)]
    # when
    await asyncio.gather(*(backend.desk.offer(each) for each in offers))
    await backend.desk.offer(offer(key="key-0", fingerprint=b"conflict"))
    await backend.desk.offer(offer())
    # then
    found = [intake for priority in Priority for intake in await intakes(backend, priority)]
    assert len({intake.process for intake in found}) == 1
    assert found[0].process
    assert sorted(intake.number for intake in found) == list(range(1, 32))


async def test_a_key_survives_a_crash_and_is_replayed(backend: UnderTest) -> None:
    # given
    first = offer(key="once")
    await backend.desk.offer(first)
    # when
    again = await backend.restart()
    # then
    assert await again.desk.stored(TENANT, "once") == first.id
    assert await again.desk.offer(offer(key="once")) == Taken(first.id, replayed=True)
    assert await again.desk.offer(offer(key="once", fingerprint=b"other")) == Conflict()
    assert [intake.id for intake in await intakes(again)] == [first.id]


async def test_no_number_of_a_process_is_given_twice_however_often_it_restarts(backend: UnderTest) -> None:
    # given
    running, found = backend, []
    # when
    for _ in range(3):
        for _ in range(3):
            await running.desk.offer(offer())
        found += await intakes(running)
        running = await running.restart()
    # then
    assert len({(intake.process, intake.number) for intake in found}) == len(found) == 9


async def test_a_taken_intake_that_was_not_done_comes_again_after_a_crash_with_its_number(backend: UnderTest) -> None:
    await backend.desk.offer(offer())
    delivery = await backend.bus.take(intake_lane(Priority.NORMAL))
    (before,) = unbundle(Intake, delivery.body)
    again = await backend.restart()
    (after,) = await intakes(again)
    assert (after.id, after.process, after.number) == (before.id, before.process, before.number)


async def test_a_repeat_is_told_what_its_key_stands_for_and_never_taken_anew(backend: UnderTest) -> None:
    first = offer(key="k")
    assert await backend.desk.offer(replace(first, repeat=True)) == Absent()
    assert await backend.desk.offer(first) == Taken(first.id)
    assert await backend.desk.offer(offer(key="k", repeat=True)) == Taken(first.id, replayed=True)
    assert await backend.desk.offer(offer(key="k", fingerprint=b"other", repeat=True)) == Conflict()
    assert await backend.desk.offer(offer(key="another", repeat=True)) == Absent()
    assert backend.bus.depth("intake.normal") == 1
