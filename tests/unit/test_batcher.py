"""Many calls, few flushes: what goes together, what overtakes, and what becomes of errors."""

from __future__ import annotations

import asyncio

import pytest

from sendwright.drivers.store.postgres.batcher import FLUSH_MAX, Batcher
from sendwright.drivers.store.postgres.connections import Again, NoPartition
from sendwright.errors import StoreDown


class _Flushes:
    """Notes what was flushed; waits at `gate` where there is one; raises `faults` first."""

    def __init__(self) -> None:
        self.made: list[list[int]] = []
        self.gate: asyncio.Event | None = None
        self.faults: list[Exception] = []
        self.mended: list[list[int]] = []

    async def __call__(self, items: list[int]) -> list[int]:
        self.made.append(items)
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        if self.faults:
            raise self.faults.pop(0)
        if 13 in items:
            raise ValueError("unlucky")
        return [item * 10 for item in items]

    async def mend(self, items: list[int]) -> None:
        self.mended.append(items)


@pytest.fixture
def flushes() -> _Flushes:
    return _Flushes()


async def test_what_gathers_while_a_flush_is_under_way_goes_with_the_next(flushes: _Flushes) -> None:
    batcher = Batcher(flushes)
    first = batcher.submit(1)
    await asyncio.sleep(0)
    rest = [batcher.submit(n) for n in (2, 3, 4)]
    assert await asyncio.gather(first, *rest) == [10, 20, 30, 40]
    assert flushes.made == [[1], [2, 3, 4]]


async def test_urgent_work_does_not_wait_for_a_flush_that_is_under_way_nor_the_rest_for_it(flushes: _Flushes) -> None:
    batcher = Batcher(flushes)
    flushes.gate = slow = asyncio.Event()
    first = batcher.submit(1)
    await asyncio.sleep(0)
    flushes.gate = None
    assert await batcher.submit(2, urgent=True) == 20
    assert not first.done()
    # and while urgent work is under way, the rest goes too
    slow.set()
    await first
    flushes.gate = asyncio.Event()
    main = batcher.submit(3)
    await asyncio.sleep(0)
    side = batcher.submit(4, urgent=True)
    await asyncio.sleep(0)
    flushes.gate.set()
    assert await asyncio.gather(main, side, batcher.submit(5)) == [30, 40, 50]


async def test_flushes_are_bounded_by_weight_and_a_heavier_item_goes_alone(flushes: _Flushes) -> None:
    batcher = Batcher(flushes, weight=lambda n: n)
    await asyncio.gather(*(batcher.submit(n) for n in (200, 50, 60, FLUSH_MAX * 2, 1)))
    assert flushes.made == [[200, 50], [60], [FLUSH_MAX * 2], [1]]


async def test_of_items_with_one_key_a_flush_takes_one_in_their_order(flushes: _Flushes) -> None:
    batcher = Batcher(flushes, key=lambda n: n % 10)
    assert await asyncio.gather(*(batcher.submit(n) for n in (1, 11, 2, 21))) == [10, 110, 20, 210]
    assert flushes.made == [[1, 2], [11], [21]]


async def test_only_the_guilty_item_fails(flushes: _Flushes) -> None:
    batcher = Batcher(flushes)
    answers = await asyncio.gather(*(batcher.submit(n) for n in range(10, 20)), return_exceptions=True)
    assert [n for n, answer in enumerate(answers, 10) if isinstance(answer, ValueError)] == [13]
    assert [answer for answer in answers if isinstance(answer, int)] == [n * 10 for n in range(10, 20) if n != 13]


async def test_flushes_in_each_others_way_and_missing_partitions_are_tried_again(flushes: _Flushes) -> None:
    batcher = Batcher(flushes, mend=flushes.mend)
    flushes.faults = [Again("x"), NoPartition("x"), Again("x")]
    assert await batcher.submit(7) == 70
    assert flushes.mended == [[7]]


@pytest.mark.parametrize(("repeatable", "faults", "maybe"), [(True, 1, None), (True, 2, True), (False, 1, True)])
async def test_a_lost_commit_is_repeated_once_where_that_changes_nothing(
    flushes: _Flushes, repeatable: bool, faults: int, maybe: bool | None
) -> None:
    batcher = Batcher(flushes, repeatable=repeatable)
    flushes.faults = [StoreDown("broke", maybe=True) for _ in range(faults)]
    if maybe is None:
        assert await batcher.submit(7) == 70
        return
    with pytest.raises(StoreDown) as down:
        await batcher.submit(7)
    assert down.value.maybe is maybe


async def test_closing_flushes_what_was_submitted_and_takes_nothing_more(flushes: _Flushes) -> None:
    batcher = Batcher(flushes)
    before = batcher.submit(1)
    await batcher.close()
    assert before.result() == 10
    with pytest.raises(StoreDown):
        await batcher.submit(2)
