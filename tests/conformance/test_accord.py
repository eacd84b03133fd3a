"""What every accord promises (engine/ports.py, Accord): cells are cut once, one of many moves a breaker, the living are counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from msgspec import Struct

from sendwright.drivers.bus.memory import MemoryBus
from sendwright.drivers.store.memory_accord import MemoryAccord
from sendwright.engine.ports import Accord, Registry
from sendwright.model.accord import Bar, Block, Change, Standing, Total
from sendwright.model.ids import notice_id
from sendwright.model.notices import OPERATOR, Notice
from sendwright.policy.limit import AHEAD_S, BLOCK_S, KEPT_S, URGENT_AHEAD_S
from tests.conformance.backends import on_postgres
from tests.conformance.builders import NOW, ManualClock
from tests.conformance.postgres_server import empty_postgres, make_postgres

LEASE_S = 10.0
OPEN = Change(shut=True, why="5 failures in a row", interval_s=1, probe_in_s=60)
PROBING = Change(shut=True, why="5 failures in a row", interval_s=2, probe_in_s=90, probing_s=30)
CLOSED = Change(shut=False, interval_s=2)


class Agreed(Struct):
    """Two processes over one store. `passed` lets the store's time pass."""

    one: Accord
    other: Accord
    registry: Registry
    passed: Callable[[float], Awaitable[None]]
    events: Callable[[], Awaitable[Sequence[tuple[str, str, str]]]]
    """What the operator was told: type, subject and detail."""


@asynccontextmanager
async def memory() -> AsyncIterator[Agreed]:
    clock = ManualClock()
    told: list[Notice] = []
    accord = MemoryAccord(clock, keep=told.extend)

    async def passed(seconds: float) -> None:
        clock.advance(seconds)

    async def events() -> Sequence[tuple[str, str, str]]:
        return [(notice.type, notice.id, notice.told) for notice in told]

    yield Agreed(accord, accord, accord, passed, events)


@asynccontextmanager
async def postgres() -> AsyncIterator[Agreed]:
    await make_postgres()
    clock = ManualClock()
    async with on_postgres(MemoryBus(clock), clock) as one, on_postgres(MemoryBus(clock), clock) as other:
        await one.connections.writing(empty_postgres)
        assert one.accord is not None
        assert other.accord is not None
        assert one.registry is not None

        async def events() -> Sequence[tuple[str, str, str]]:
            found = await other.records.events(OPERATOR, 0, 100)
            return [(event.type, event.notification, event.detail) for event in found]

        yield Agreed(one.accord, other.accord, one.registry, asyncio.sleep, events)


@pytest.fixture(params=[memory, pytest.param(postgres, marks=pytest.mark.slow)], ids=lambda opened: opened.__name__)
async def agreed(request: pytest.FixtureRequest) -> AsyncIterator[Agreed]:
    async with request.param() as opened:
        yield opened


def ends(block: Block, cell_s: float) -> float:
    return block.first + block.count * cell_s


async def bar_of(accord: Accord, provider: str) -> Bar | None:
    picture = await accord.exchange("looks", (), LEASE_S)
    return next((bar for bar in picture.bars if bar.provider == provider), None)


# Rates


async def test_the_first_cells_begin_when_the_answer_has_arrived(agreed: Agreed) -> None:
    block = await agreed.one.lease("p", 3, 0.01, 0.02, urgent=False)
    assert block.count == 3
    assert block.first == pytest.approx(block.now + 0.02, abs=1e-5)


async def test_the_next_cells_are_those_that_nobody_holds(agreed: Agreed) -> None:
    first = await agreed.one.lease("p", 5, 0.01, 0, urgent=False)
    second = await agreed.other.lease("p", 2, 0.01, 0, urgent=False)
    assert second.first >= ends(first, 0.01) - 1e-6
    elsewhere = await agreed.one.lease("q", 1, 0.01, 0, urgent=False)
    assert elsewhere.first == pytest.approx(elsewhere.now, abs=1e-5)


async def test_what_is_far_ahead_is_refused_and_it_is_said_when_to_ask_again(agreed: Agreed) -> None:
    first = await agreed.one.lease("p", 1, 60, 0, urgent=False)
    refused = await agreed.other.lease("p", 1, 60, 0, urgent=False)
    assert refused.count == 0
    assert refused.again_at == pytest.approx(ends(first, 60) - AHEAD_S, abs=1e-3)
    urgent = await agreed.other.lease("p", 1, 60, 0, urgent=True)
    assert urgent.count == 0
    assert urgent.again_at == pytest.approx(ends(first, 60) - URGENT_AHEAD_S, abs=1e-3)


async def test_who_is_urgent_may_reach_beyond_every_block_of_the_others(agreed: Agreed) -> None:
    cell_s = 0.05
    while (await agreed.one.lease("p", int(BLOCK_S / cell_s), cell_s, 0, urgent=False)).count:
        pass
    assert (await agreed.other.lease("p", 1, cell_s, 0, urgent=True)).count == 1


async def test_of_a_slow_rate_the_next_cell_is_kept_for_who_is_urgent(agreed: Agreed) -> None:
    cell_s = 1.0
    for name in map(str, range(20)):
        await agreed.one.lease(name, 1, cell_s, 0, urgent=False)
        urgent = await agreed.other.lease(name, 1, cell_s, 0, urgent=True)
        assert urgent.count == 0
        await agreed.passed(cell_s - AHEAD_S + 0.02)
        refused = await agreed.one.lease(name, 1, cell_s, 0, urgent=False)
        if refused.now < urgent.again_at + KEPT_S:
            break  # a machine that stalled has come too late to be refused
    assert refused.count == 0
    assert refused.now < refused.again_at <= refused.now + KEPT_S
    assert (await agreed.other.lease(name, 1, cell_s, 0, urgent=True)).count == 1


async def test_the_debt_of_a_slower_rate_does_not_bind_a_faster_one(agreed: Agreed) -> None:
    await agreed.one.lease("p", 1, 8640, 0, urgent=False)
    block = await agreed.one.lease("p", 1, 0.01, 0, urgent=True)
    assert (block.again_at or block.first) <= block.now + 1


async def test_of_many_at_once_no_two_get_the_same_cell(agreed: Agreed) -> None:
    cell_s = 0.001
    for name in ("one", "two", "three", "four"):
        asked = [
            who.lease(name, 1 + index % 4, cell_s, 0, urgent=index % 7 == 0)
            for index in range(40)
            for who in (agreed.one, agreed.other)
        ]
        blocks = sorted((block for block in await asyncio.gather(*asked) if block.count), key=lambda block: block.first)
        assert len(blocks) > 10
        for block, following in pairwise(blocks):
            assert following.first >= ends(block, cell_s) - 1e-6


# Breakers


async def test_a_breaker_is_moved_by_who_knows_its_version(agreed: Agreed) -> None:
    assert await bar_of(agreed.one, "p") is None
    opened = await agreed.one.move("p", 0, OPEN)
    assert opened is not None
    assert (opened.version, opened.shut, opened.why, opened.interval_s) == (1, True, OPEN.why, 1)
    assert await bar_of(agreed.other, "p") == opened
    assert await agreed.other.move("p", 0, OPEN) is None
    closed = await agreed.other.move("p", 1, CLOSED)
    assert closed is not None
    assert (closed.version, closed.shut) == (2, False)


async def test_a_probe_is_had_once_it_is_due(agreed: Agreed) -> None:
    await agreed.one.move("p", 0, OPEN)
    assert await agreed.one.move("p", 1, PROBING, when_due=True) is None
    await agreed.one.move("p", 1, Change(shut=True, interval_s=1, probe_in_s=0.1))
    await agreed.passed(0.15)
    probing = await agreed.other.move("p", 2, PROBING, when_due=True)
    assert probing is not None
    picture = await agreed.one.exchange("looks", (), LEASE_S)
    assert picture.now < probing.probe_until <= picture.now + 30
    assert probing.probe_at == pytest.approx(probing.probe_until + 60, abs=0.01)


async def test_of_many_who_want_the_probe_one_has_it(agreed: Agreed) -> None:
    await agreed.one.move("p", 0, Change(shut=True, interval_s=1, probe_in_s=-1))
    asked = [who.move("p", 1, PROBING, when_due=True) for _ in range(10) for who in (agreed.one, agreed.other)]
    had = [bar for bar in await asyncio.gather(*asked) if bar is not None]
    assert len(had) == 1
    assert await bar_of(agreed.one, "p") == had[0]


async def test_of_many_who_open_it_at_once_one_does(agreed: Agreed) -> None:
    asked = [who.move("p", 0, OPEN) for _ in range(10) for who in (agreed.one, agreed.other)]
    assert sum(bar is not None for bar in await asyncio.gather(*asked)) == 1


# Standings


async def test_the_figures_are_those_of_all_who_live(agreed: Agreed) -> None:
    for process in ("a", "b"):
        await agreed.registry.beat(process, LEASE_S)
    await agreed.one.exchange("a", [Standing("p", 3, 1, 10, 9, 100), Standing("q", 1)], LEASE_S)
    await agreed.other.exchange("b", [Standing("p", 4, 0, 30, 30, 200)], LEASE_S)
    await agreed.other.exchange("never-beaten", [Standing("p", 90)], LEASE_S)
    await agreed.one.exchange("a", [Standing("p", 2, 1, 10, 9, 100)], LEASE_S)

    picture = await agreed.one.exchange("looks", (), LEASE_S)

    totals = {total.provider: total for total in picture.totals}
    assert totals == {"p": Total("p", 2, 1, 6, 1, 40, 39, 175), "q": Total("q", 1, 0, 1, 0, 0, 0, 0)}
    await agreed.registry.leave("a")
    picture = await agreed.one.exchange("looks", (), LEASE_S)
    assert picture.totals == (Total("p", 1, 0, 4, 0, 30, 30, 200),)


async def test_the_picture_has_the_epoch_and_from_when_on_cells_are_free(agreed: Agreed) -> None:
    block = await agreed.one.lease("p", 4, 0.01, 0, urgent=False)
    picture = await agreed.other.exchange("looks", (), LEASE_S)
    assert picture.epoch == 1
    ((provider, free_at),) = picture.rates
    assert provider == "p"
    assert free_at == pytest.approx(ends(block, 0.01), abs=1e-4)


# What the operator is told


def notice(mark: int, at: int = NOW) -> Notice:
    return Notice(notice_id(at, bytes([mark]) * 14), "provider.opened", NOW, '{"provider":"p"}')


async def test_what_is_told_of_a_change_is_told_with_it_or_not_at_all(agreed: Agreed) -> None:
    # when: all change the same version, each with its own words
    moves = [who.move("p", 0, OPEN, notices=(notice(n),)) for n, who in enumerate((agreed.one, agreed.other) * 4)]
    bars = await asyncio.gather(*moves)
    # then
    won = next(n for n, bar in enumerate(bars) if bar is not None)
    assert await agreed.events() == [("provider.opened", notice(won).id, notice(won).told)]
    # when: it is not due, or overtaken
    assert await agreed.one.move("p", 1, PROBING, when_due=True, notices=(notice(20),)) is None
    assert await agreed.one.move("p", 7, CLOSED, notices=(notice(21),)) is None
    assert len(await agreed.events()) == 1
    # when: several at once, and of a day that nobody has written of
    assert await agreed.one.move("p", 1, CLOSED, notices=(notice(30), notice(31, NOW - 90 * 86_400_000))) is not None
    assert [subject for _, subject, _ in await agreed.events()][1:] == [notice(30).id, notice(31, NOW - 90 * 86_400_000).id]
