"""Who counts as alive: the silent die by their lease, and nobody dies of our own deafness."""

from __future__ import annotations

from sendwright.engine.roll import BEAT_S, LEASE_S, Roll, only
from sendwright.engine.telling import Telling
from sendwright.errors import StoreDown
from sendwright.model.parcel import FIRST, VERSION
from tests.conformance.builders import ManualClock


class _Registry:
    """By one clock, as the store's."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.said: dict[str, float] = {}
        self.down = False
        self.old = False
        """Whether a process of the version before lives."""

    async def beat(self, process: str, lease_s: float) -> frozenset[str]:
        if self.down:
            raise StoreDown("down")
        now = self._clock.monotonic()
        self.said[process] = now
        return frozenset(name for name, at in self.said.items() if now - at <= lease_s)

    async def readers(self, lease_s: float) -> int:
        return 1 if self.old else VERSION

    async def leave(self, process: str) -> None:
        if self.down:
            raise StoreDown("down")
        self.said.pop(process, None)


class _World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.registry = _Registry(self.clock)
        self.told: list[Telling] = []
        self.roll = Roll(self.registry, "me", self.clock, self.told.append)

    async def pass_time(self, seconds: float, *others: str) -> None:
        """Beats as often as is due; the others beat as well."""
        left = seconds
        while left > 0:
            self.clock.advance(min(BEAT_S, left))
            left -= BEAT_S
            for other in others:
                await self.registry.beat(other, LEASE_S)
            await self.roll.beat()


async def test_before_anything_was_heard_everybody_lives() -> None:
    assert _World().roll.alive("somebody")


async def test_who_has_been_silent_for_a_lease_is_dead_and_who_speaks_lives() -> None:
    world = _World()
    await world.registry.beat("dead", LEASE_S)
    await world.pass_time(LEASE_S + 2 * BEAT_S, "other")

    assert world.roll.alive("other")
    assert world.roll.alive("me")
    assert not world.roll.alive("dead")
    assert not world.roll.alive("never heard of")


async def test_right_after_coming_up_nobody_is_taken_for_dead() -> None:
    world = _World()
    await world.roll.beat()

    assert world.roll.alive("somebody who beats in a second")
    await world.pass_time(LEASE_S - BEAT_S)
    assert world.roll.alive("somebody who beats in a second")
    await world.pass_time(2 * BEAT_S)
    assert not world.roll.alive("somebody who never did")


async def test_an_outage_of_the_store_kills_nobody_and_all_have_a_lease_to_speak_again() -> None:
    # Given
    world = _World()
    await world.pass_time(2 * LEASE_S, "other")

    # When
    world.registry.down = True
    await world.pass_time(60)

    # Then
    assert world.roll.alive("other")
    world.registry.down = False
    await world.roll.beat()
    assert world.roll.alive("other"), "it has not had the time to say that it lives"
    await world.pass_time(LEASE_S + BEAT_S)
    assert not world.roll.alive("other")
    assert {str(telling) for telling in world.told} == {"Trouble(where='roll', what='down')"}


async def test_who_leaves_in_order_is_gone_for_the_others_at_their_next_beat() -> None:
    world = _World()
    other = Roll(world.registry, "other", world.clock, lambda _: None)
    await world.pass_time(2 * LEASE_S, "other")
    assert world.roll.alive("other")

    await other.leave()
    await world.roll.beat()

    assert not world.roll.alive("other")


async def test_leaving_while_the_store_is_down_holds_nobody_up() -> None:
    world = _World()
    world.registry.down = True

    await world.roll.leave()


def test_of_an_engine_that_one_process_holds_all_others_are_dead() -> None:
    alive = only("me")
    assert alive("me")
    assert not alive("you")


async def test_what_all_read_who_live_is_the_first_version_until_the_last_of_the_version_before_has_gone() -> None:
    clock = ManualClock()
    registry = _Registry(clock)
    roll = Roll(registry, "new", clock, lambda _: None)
    assert roll.reads() == FIRST
    registry.old = True
    await roll.beat()
    assert roll.reads() == FIRST
    registry.old = False
    await roll.beat()
    assert roll.reads() == VERSION
    registry.down = True
    await roll.beat()
    assert roll.reads() == VERSION
