"""A parcel that ends whoever takes it, over every bus: what is taken again and again is found out, and costs nobody else."""

from __future__ import annotations

import asyncio

import pytest

from sendwright.engine.ports import Bus
from sendwright.engine.sieve import DEADLY, TRIES, Sieve
from sendwright.engine.telling import Telling
from sendwright.model.parcel import split
from tests.conformance.backends import UnderTest, every_bus
from tests.conformance.builders import ManualClock
from tests.conformance.test_bus import assert_nothing_to_take, numbered, take_all
from tests.unit.engine_world import Quarantine

backend = every_bus()
pytestmark = pytest.mark.slow

LANE = "sms.normal"
COUNT = 5
POISON = 2


class Death(BaseException):
    """Of the process: nobody catches it."""


async def life(bus: Bus, sieve: Sieve, handled: list[int]) -> None:
    """Takes the lane's bundles until all is handled; dies at the poison."""

    async def story(parcel: int) -> None:
        if parcel == POISON:
            raise Death
        handled.append(parcel)

    while set(handled) < set(range(COUNT)) - {POISON} or POISON not in handled:
        delivery = await asyncio.wait_for(bus.take(LANE), 20)
        if delivery.redelivered and await sieve.suspected(delivery):
            await sieve.apart(delivery, int, story)
            handled.append(POISON)  # it was kept
        else:
            for raw in split(delivery.body):
                await story(int(raw))
        await bus.done(delivery)
        await sieve.cleared(delivery)


async def test_it_is_kept_after_a_few_deaths_and_the_others_are_handled(backend: UnderTest) -> None:
    # Given
    told: list[Telling] = []
    dead, deaths, handled = Quarantine(), 0, list[int]()
    await backend.bus.publish(LANE, numbered(*range(COUNT)))
    for delivery in await take_all(backend, LANE, COUNT):
        await backend.bus.give_back(delivery)

    # When
    while True:
        try:
            await life(backend.bus, Sieve(dead, ManualClock(), told.append, f"p{deaths}"), handled)
            break
        except Death:
            deaths += 1
            assert deaths <= 2 + TRIES
            backend = await backend.restart()

    # Then
    assert set(handled) == set(range(COUNT))
    assert [row.problem for row, _ in dead.kept.values()] == [DEADLY]
    assert [body for _, body in dead.kept.values()] == numbered(POISON)
    assert await dead.drop(next(iter(dead.kept)))
    assert not dead.trials
    await assert_nothing_to_take(backend, LANE)
