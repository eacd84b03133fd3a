"""Taking in over a broker: one key, one id, whatever happens between reserving, publishing and confirming."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from sendwright.drivers import queue_desk
from sendwright.drivers.queue_desk import Mine, Numbers, QueueDesk, Reservation, Theirs
from sendwright.errors import BusDown, StoreDown
from sendwright.model.parcel import Intake, read
from sendwright.model.records import Absent, Conflict, Running, Taken
from tests.conformance.builders import TENANT, offer


class _Keys:
    """Keys in a dictionary, as (id, fingerprint, published); what is `stale` may be taken over."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], tuple[str, bytes, bool]] = {}
        self.stale = False
        self.confirms = True
        self.counts: dict[str, int] = {}

    async def reserve(self, asked: Reservation) -> Mine | Theirs | None:
        name = (asked.tenant, asked.key)
        row = self.rows.get(name)
        if row is None:
            self.rows[name] = (asked.id, asked.fingerprint, False)
            return Mine(asked.id)
        if self.stale and not row[2] and row[1] == asked.fingerprint:
            return Mine(row[0], replayed=True)
        return Theirs(*row, stale=self.stale)

    async def confirm(self, tenant: str, key: str, id_: str) -> None:
        if not self.confirms:
            raise StoreDown("away")
        self.rows[tenant, key] = (*self.rows[tenant, key][:2], True)

    async def release(self, tenant: str, key: str, id_: str) -> None:
        del self.rows[tenant, key]

    async def look(self, tenant: str, key: str) -> Theirs | None:
        row = self.rows.get((tenant, key))
        return None if row is None else Theirs(*row, stale=self.stale)

    async def count(self, process: str, accepted: int, now: int) -> None:
        self.counts[process] = accepted


class _Bus:
    """Keeps what is published; `faults` come first, and a lost confirm keeps it all the same."""

    def __init__(self) -> None:
        self.faults: list[BusDown] = []
        self.published: list[Intake] = []
        self.gate: asyncio.Event | None = None

    async def publish(self, lane: str, parcels: Sequence[bytes]) -> None:
        if self.gate is not None:
            await self.gate.wait()
        fault = self.faults.pop(0) if self.faults else None
        if fault is None or fault.maybe:
            self.published += [read(Intake, parcel) for parcel in parcels]
        if fault is not None:
            raise fault


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RETRY_S", "LOOK_S"):
        monkeypatch.setattr(queue_desk, name, 0.001)
    monkeypatch.setattr(queue_desk, "PUBLISH_S", 0.05)


@pytest.fixture
def keys() -> _Keys:
    return _Keys()


@pytest.fixture
def bus() -> _Bus:
    return _Bus()


@pytest.fixture
async def desk(bus: Any, keys: _Keys) -> Any:
    made = QueueDesk(bus, keys, "p1", lambda: 7)
    yield made
    await made.close()


def lost() -> BusDown:
    return BusDown("no confirm", maybe=True)


async def test_a_lost_confirm_is_published_again_under_the_same_id_and_number(desk: QueueDesk, bus: _Bus) -> None:
    bus.faults = [lost(), lost()]
    asked = offer(key="k")
    assert await desk.offer(asked) == Taken(asked.id)
    assert [(intake.id, intake.number) for intake in bus.published] == [(asked.id, 1)] * 3


async def test_when_confirms_stay_lost_the_caller_is_told_that_it_may_be_accepted_and_the_key_keeps_its_id(
    desk: QueueDesk, bus: _Bus, keys: _Keys
) -> None:
    bus.faults = [lost() for _ in range(1000)]
    asked = offer(key="k")
    with pytest.raises(BusDown) as down:
        await desk.offer(asked)
    assert down.value.maybe
    # when somebody comes again, much later
    bus.faults, keys.stale = [], True
    assert await desk.offer(offer(key="k")) == Taken(asked.id, replayed=True)
    assert {intake.id for intake in bus.published} == {asked.id}


async def test_what_was_provably_not_published_binds_nothing(desk: QueueDesk, bus: _Bus, keys: _Keys) -> None:
    bus.faults = [BusDown("blocked")]
    with pytest.raises(BusDown):
        await desk.offer(offer(key="k"))
    other = offer(key="k", fingerprint=b"other")
    assert await desk.offer(other) == Taken(other.id)
    # and its number is given again
    assert [intake.number for intake in bus.published] == [1]


async def test_a_key_whose_confirmation_was_lost_is_published_once_more_under_its_id(
    desk: QueueDesk, bus: _Bus, keys: _Keys
) -> None:
    keys.confirms = False
    asked = offer(key="k")
    await desk.offer(asked)
    await desk.flush()
    keys.confirms = keys.stale = True
    assert await desk.offer(offer(key="k")) == Taken(asked.id, replayed=True)
    await desk.flush()
    assert await desk.offer(offer(key="k")) == Taken(asked.id, replayed=True)
    assert [intake.id for intake in bus.published] == [asked.id] * 2


async def test_who_comes_while_the_first_is_on_its_way_is_told_as_it_ends(desk: QueueDesk, bus: _Bus) -> None:
    bus.gate = asyncio.Event()
    first = offer(key="k")
    answers = [
        asyncio.ensure_future(each)
        for each in (desk.offer(first), desk.offer(offer(key="k")), desk.offer(offer(key="k", fingerprint=b"?")))
    ]
    await asyncio.sleep(0.01)
    assert not any(answer.done() for answer in answers)
    bus.gate.set()
    assert await asyncio.gather(*answers) == [Taken(first.id), Taken(first.id, replayed=True), Conflict()]


async def test_what_another_process_is_about_to_publish_is_running(desk: QueueDesk, bus: _Bus, keys: _Keys) -> None:
    keys.rows[TENANT, "k"] = ("ntf_theirs", b"same", False)
    assert await desk.offer(offer(key="k")) == Running()
    assert await desk.offer(offer(key="k", repeat=True)) == Running()
    # and what it has left so long ago is taken over by the same body alone
    keys.stale = True
    assert await desk.offer(offer(key="k", repeat=True)) == Absent()
    assert await desk.offer(offer(key="k", fingerprint=b"other")) == Conflict()
    assert bus.published == []


async def test_the_count_says_how_far_all_numbers_are_used(desk: QueueDesk, bus: _Bus, keys: _Keys) -> None:
    bus.gate = gate = asyncio.Event()
    slow = asyncio.ensure_future(desk.offer(offer()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    bus.gate = None
    await desk.offer(offer())
    await desk.flush()
    assert keys.counts == {}
    bus.faults = [BusDown("refused")]
    gate.set()
    with pytest.raises(BusDown):
        await slow
    await desk.offer(offer())
    await desk.flush()
    assert keys.counts == {"p1": 2}


@pytest.mark.parametrize("faults", [[], [BusDown("lost", maybe=True)]])
async def test_of_a_caller_who_has_gone_the_number_is_used_where_his_notification_is(
    desk: QueueDesk, bus: _Bus, keys: _Keys, faults: list[BusDown]
) -> None:
    bus.gate = asyncio.Event()
    gone = asyncio.ensure_future(desk.offer(offer()))
    await asyncio.sleep(0)
    gone.cancel()
    bus.faults = list(faults)
    bus.gate.set()
    await asyncio.sleep(0.01)
    await desk.offer(offer())
    await desk.flush()
    # what nobody knows of may be there, so its number is never another's
    assert [each.number for each in bus.published] == ([1, 1, 2] if faults else [1, 2])
    assert keys.counts == {"p1": 2}


def test_numbers_that_came_to_nothing_are_given_again() -> None:
    numbers = Numbers()
    one, two, three = numbers.take(), numbers.take(), numbers.take()
    assert numbers.accepted == 0
    numbers.used(one)
    numbers.used(three)
    assert numbers.accepted == 1
    numbers.unused(two)
    assert (numbers.accepted, numbers.take()) == (1, 2)
    numbers.used(2)
    assert numbers.accepted == 3
