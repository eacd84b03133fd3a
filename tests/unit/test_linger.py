"""When a flush waits for company, and when it does not."""

from __future__ import annotations

import asyncio

from sendwright.drivers.linger import CROWD, Linger
from sendwright.drivers.store.postgres.batcher import Batcher


def _busy(linger: Linger) -> None:
    for _ in range(20):
        linger.flushed(CROWD * 3)


async def _left(linger: Linger, gathered: int) -> asyncio.Task[None]:
    waiting = asyncio.create_task(linger.wait(gathered))
    await asyncio.sleep(0)
    return waiting


async def test_where_flushes_carry_little_nobody_waits() -> None:
    linger = Linger(100)
    linger.flushed(1)
    assert (await _left(linger, 1)).done()


async def test_a_full_flush_goes_at_once_and_another_when_it_is_full() -> None:
    linger = Linger(100)
    _busy(linger)
    assert (await _left(linger, 100)).done()
    waiting = await _left(linger, 10)
    linger.grown(99)
    await asyncio.sleep(0)
    assert not waiting.done()
    linger.grown(100)
    await waiting


async def test_the_wait_ends_by_itself_and_by_word() -> None:
    linger = Linger(100)
    _busy(linger)
    await asyncio.wait_for(linger.wait(10), 5)
    waiting = await _left(linger, 10)
    linger.go()
    await waiting


async def test_a_wait_that_is_cancelled_leaves_nothing_behind() -> None:
    linger = Linger(100)
    _busy(linger)
    waiting = await _left(linger, 10)
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.wait_for(linger.wait(10), 5)


async def test_urgent_work_passes_a_batcher_that_waits_and_closing_ends_the_wait() -> None:
    made: list[list[int]] = []

    async def flush(items: list[int]) -> list[int]:
        made.append(items)
        await asyncio.sleep(0)
        return items

    batcher: Batcher[int, int] = Batcher(flush)
    while not batcher._linger.waiting:
        first = [batcher.submit(n) for n in range(20)]
        await first[-1]
        held = batcher.submit(99)
        await asyncio.sleep(0)
    made.clear()
    assert await batcher.submit(7, urgent=True) == 7
    assert (made, held.done()) == ([[7]], False)
    await batcher.close()
    assert made == [[7], [99]]
