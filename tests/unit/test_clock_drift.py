"""A step of the wall clock sends nothing early and expires nothing, until it has been believed for a minute."""

from __future__ import annotations

import asyncio

import pytest

from sendwright.drivers.store.memory import MemoryBackend
from sendwright.engine.account import Account
from sendwright.engine.deliver import Deliverer
from sendwright.engine.drift import DRIFT_S, HOLD_S, Drift
from sendwright.engine.fleet import Fleet
from sendwright.engine.repair import Repairer
from sendwright.engine.schedule import IDLE_S, PULL_S, Promoter
from sendwright.engine.settle import RetrySettings, Settler
from sendwright.engine.telling import Telling, Trouble
from sendwright.model.parcel import Parcel, unbundle
from sendwright.model.records import Patience
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.breaker import BreakerSettings
from sendwright.policy.limit import Reserve
from sendwright.providers import registry
from sendwright.providers.contract import Answer, Reply, Request
from tests.conformance.builders import NOW, TENANT, claimed, planned, scheduled


class TwoClocks:
    """Wall and monotonic time, each moved by hand."""

    def __init__(self) -> None:
        self.wall_ms = NOW
        self.seconds = 1000.0

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.pass_time(seconds)
        await asyncio.sleep(0)

    def pass_time(self, seconds: float) -> None:
        self.wall_ms += round(seconds * 1000)
        self.seconds += seconds

    def step(self, seconds: float) -> None:
        self.wall_ms += round(seconds * 1000)


class World:
    """The engine over the memory backend, one provider whose line takes everything."""

    def __init__(self) -> None:
        self.clock = TwoClocks()
        self.told: list[Telling] = []
        self.backend = MemoryBackend(self.clock, "mem-1")
        self.drift = Drift(self.clock, self.told.append)
        provider = registry.make("sandbox", {"kind": "sandbox", "url": "http://127.0.0.1:1"})
        account = Account(provider, concurrency=10, rate=None, breaker=BreakerSettings(), reserve=Reserve(0, 0), callback_base=None)
        self.fleet = Fleet([account], {"sms": ["sandbox"]}, self.backend.switchboard, self.told.append)
        b, clock, tell = self.backend, self.clock, self.told.append
        self.promoter = Promoter(b.waiting, b.ledger, b.bus, self.fleet, clock, tell, self.drift.held)
        self.settler = Settler(b.ledger, self.fleet, clock, lambda: 0.5, RetrySettings(), tell, lambda: None)
        self.egress = TakingEgress()
        self.deliverer = Deliverer(
            b.ledger, self.fleet, self.egress, self.settler, clock, lambda: "token", "mem-1", tell, lambda: None, self.drift.held
        )
        self.repairer = Repairer(
            b.ledger, clock, lambda _owner: True, lambda _name: Patience(1000), 8, tell, lambda: None, self.drift.held
        )

    async def state(self, message: str) -> MessageState:
        row = await self.backend.records.message(TENANT, message)
        assert row is not None
        return row.state

    @property
    def alarms(self) -> list[Trouble]:
        return [told for told in self.told if isinstance(told, Trouble) and told.where == "clock"]


class TakingEgress:
    """One line that is always open and takes everything."""

    def __init__(self) -> None:
        self.sent = 0

    async def open(self, provider: str, request: Request, within_s: float) -> TakingLine:
        return TakingLine(self)


class TakingLine:
    open = True

    def __init__(self, egress: TakingEgress) -> None:
        self._egress = egress

    async def send(self, request: Request, within_s: float) -> Answer:
        self._egress.sent += 1
        return Reply(201, body=b'{"id":"one"}')

    def release(self) -> None:
        """Nothing is kept."""


@pytest.fixture
async def world() -> World:
    made = World()
    await made.fleet.reload()
    return made


def test_clocks_that_go_together_hold_nothing_however_long() -> None:
    # given
    clock, told = TwoClocks(), []
    drift = Drift(clock, told.append)

    # when
    held = []
    for _ in range(100):
        clock.pass_time(3600)
        held.append(drift.held())

    # then
    assert not any(held)
    assert not told


@pytest.mark.parametrize("step_s", [3600, -3600, DRIFT_S + 0.1, -DRIFT_S - 0.1, 10 * 365 * 86400])
def test_a_step_either_way_holds_for_a_minute_and_says_so_once(step_s: float) -> None:
    # given
    clock, told = TwoClocks(), []
    drift = Drift(clock, told.append)

    # when
    clock.step(step_s)
    first = drift.held()
    clock.pass_time(HOLD_S - 0.001)
    last = drift.held()
    clock.pass_time(0.001)
    after = drift.held()

    # then
    assert (first, last, after) == (True, True, False)
    assert [type(said) for said in told] == [Trouble]


def test_a_small_correction_is_nobodys_business() -> None:
    # given
    clock, told = TwoClocks(), []
    drift = Drift(clock, told.append)

    # when
    clock.step(DRIFT_S)

    # then
    assert not drift.held()
    assert not told


def test_many_small_corrections_the_same_way_add_up() -> None:
    # given
    clock, told = TwoClocks(), []
    drift = Drift(clock, told.append)

    # when
    held = []
    for _ in range(6):
        clock.pass_time(60)
        clock.step(1)
        held.append(drift.held())

    # then
    assert held == [False] * 5 + [True]


def test_stepping_back_begins_the_minute_anew() -> None:
    # given
    clock, told = TwoClocks(), []
    drift = Drift(clock, told.append)
    clock.step(3600)
    assert drift.held()
    clock.pass_time(50)

    # when
    clock.step(-3600)
    assert drift.held()
    clock.pass_time(50)

    # then
    assert drift.held()
    clock.pass_time(10)
    assert not drift.held()
    assert len(told) == 2


async def test_a_step_forward_does_not_send_what_is_scheduled_for_later(world: World) -> None:
    # given
    message = await scheduled(world.backend.ledger, NOW + 10 * 60_000)
    assert await world.promoter.turn() > 0

    # when
    world.clock.step(3600)
    await world.promoter.turn()

    # then
    assert await world.state(message) == MessageState.SCHEDULED
    assert world.backend.bus.depth("sms.normal") == 0
    assert len(world.alarms) == 1


async def test_a_step_that_stays_is_believed_after_a_minute(world: World) -> None:
    # given
    message = await scheduled(world.backend.ledger, NOW + 10 * 60_000)
    world.clock.step(3600)
    await world.promoter.turn()

    # when
    world.clock.pass_time(HOLD_S)
    await world.promoter.turn()

    # then
    assert await world.state(message) == MessageState.QUEUED


async def test_a_held_promoter_rests_instead_of_spinning(world: World) -> None:
    # given: a row that is due by the stepped clock
    await scheduled(world.backend.ledger, NOW + 10 * 60_000)
    world.clock.step(3600)

    # when
    pause_s = await world.promoter.turn()

    # then
    assert pause_s in {IDLE_S, PULL_S}


async def test_a_step_forward_expires_nothing_that_waits(world: World) -> None:
    # given: it waits for its time, and would be expired by the stepped clock
    message = await scheduled(world.backend.ledger, NOW + 60_000, expires_at=NOW + 600_000)

    # when
    world.clock.step(3600)
    await world.promoter.turn()

    # then
    assert await world.state(message) == MessageState.SCHEDULED


async def test_a_parcel_that_only_seems_expired_waits_and_is_sent_when_the_clock_is_back(world: World) -> None:
    # given
    parcel = await planned(world.backend.ledger, expires_at=NOW + 600_000)
    world.clock.step(3600)

    # when
    await world.deliverer.deliver(parcel, lambda: None)

    # then
    assert await world.state(parcel.id) == MessageState.QUEUED
    assert world.egress.sent == 0

    # when: it is set back, and the hold is over
    world.clock.step(-3600)
    assert world.drift.held()
    world.clock.pass_time(HOLD_S)
    await world.promoter.turn()
    delivery = await world.backend.bus.take("sms.normal")
    await world.deliverer.deliver(unbundle(Parcel, delivery.body)[0], lambda: None)

    # then
    assert world.egress.sent == 1
    assert await world.state(parcel.id) == MessageState.SENT


async def test_a_parcel_that_is_really_expired_ends_when_the_hold_is_over(world: World) -> None:
    # given
    parcel = await planned(world.backend.ledger, expires_at=NOW + 600_000)
    world.clock.step(3600)
    await world.deliverer.deliver(parcel, lambda: None)
    assert await world.state(parcel.id) == MessageState.QUEUED

    # when
    world.clock.pass_time(HOLD_S)
    await world.promoter.turn()

    # then
    assert await world.state(parcel.id) == MessageState.EXPIRED
    assert world.egress.sent == 0


async def test_without_a_step_an_expired_parcel_ends_at_once(world: World) -> None:
    # given
    parcel = await planned(world.backend.ledger, expires_at=NOW + 600_000)
    world.clock.pass_time(601)

    # when
    await world.deliverer.deliver(parcel, lambda: None)

    # then
    assert await world.state(parcel.id) == MessageState.EXPIRED


async def test_what_was_claimed_by_a_clock_a_day_ahead_is_out_of_time_once_it_has_been_set_right_for_a_minute(world: World) -> None:
    # given: it runs for a while, and then somebody claims, a day ahead, whose call nobody makes
    for _ in range(int(HOLD_S) + 1):
        await world.repairer.turn()
        world.clock.pass_time(1)
    parcel = await planned(world.backend.ledger, at=world.clock.now_ms())
    ahead = world.clock.now_ms() + 86_400_000
    await claimed(world.backend.ledger, parcel, owner="mem-1", now=ahead, deadline_at=ahead + 12_000)

    # when: the step back is seen
    world.clock.step(-3600)
    moved = []
    for _ in range(int(HOLD_S) + 1):
        moved.append(await world.repairer.turn())
        world.clock.pass_time(1)

    # then
    assert moved == [0] * int(HOLD_S) + [1]


async def test_who_has_just_started_takes_nothing_for_a_thing_of_the_future(world: World) -> None:
    # given: a process that begins with a clock a day behind
    parcel = await planned(world.backend.ledger)
    ahead = world.clock.now_ms() + 86_400_000
    await claimed(world.backend.ledger, parcel, owner="mem-1", now=ahead, deadline_at=ahead + 12_000)

    # when, then
    for _ in range(int(HOLD_S)):
        assert await world.repairer.turn() == 0
        world.clock.pass_time(1)


async def test_a_step_forward_takes_no_open_attempt_for_lost(world: World) -> None:
    # given: an attempt whose deadline would have passed by the stepped clock
    parcel = await planned(world.backend.ledger)
    held = await claimed(world.backend.ledger, parcel, owner="mem-1")
    world.clock.step(3600)

    # when
    moved = await world.repairer.turn()

    # then
    assert moved == 0
    (attempt,) = await world.backend.records.attempts(parcel.id)
    assert (attempt.id, attempt.state) == (held.attempt, AttemptState.SENDING)

    # when
    for _ in range(int(HOLD_S)):
        world.clock.pass_time(1)
        moved += await world.repairer.turn()

    # then
    assert moved == 1
