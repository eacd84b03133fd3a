"""A process that the kernel kills because there is no more memory: nothing that was acknowledged is gone with it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.verdict import Verdict, judge, settle

from .harness import Caller, House, Oracle, sms, twilio, wait_until
from .memory_cell import Cell, memory_cell
from .world import FAST, sandbox_account

pytestmark = pytest.mark.slow

MEGABYTE = 1 << 20
ROOM = 4 * MEGABYTE
"""What it may have beyond what it has: less than the batches take that are posted at once."""


@pytest.fixture
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    with memory_cell(tmp_path_factory.mktemp("cell")) as made:
        yield made


class Batches:
    """Large batches with keys of their own, each posted until it is taken."""

    def __init__(self, house: House, caller: Caller, *, count: int, items: int) -> None:
        self._house = house
        self._caller = caller
        self._items = items
        self._threads = [threading.Thread(target=self._post, args=(number,)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _post(self, batch: int) -> None:
        mails = [self._mail(f"{batch}-{number}") for number in range(self._items)]
        left = {mail["idempotency_key"]: mail for mail in mails}
        while left:
            with contextlib.suppress(OSError):
                status, answer = self._house.api("POST", "/v1/notifications/batch", {"notifications": list(left.values())})
                assert status in {202, 207, 503}, answer
                for key, result in zip(list(left), answer.get("results", ()), strict=False):
                    if "id" in result:
                        self._caller.accepted[key] = result["id"]
                        del left[key]
            time.sleep(0.1)

    @staticmethod
    def _mail(name: str) -> dict[str, Any]:
        content = {"body": "x" * 15_000}
        return {"to": {"email": f"a{name}@example.com"}, "content": content, "idempotency_key": name, "on_doubt": "hold"}


async def test_what_was_acknowledged_survives_the_kernels_kill(tmp_path: Path, cell: Cell) -> None:
    oracle = Oracle(tmp_path, latency_ms=300)
    accounts = twilio(oracle) + sandbox_account(oracle.url, "box", ["email"])
    house = House(tmp_path, accounts, FAST, around=cell.around)
    caller = Caller(house, tmp_path / "ledger")
    try:
        # given calls in flight, and hardly any memory left
        house.start()
        oracle.faults([{"do": "latency", "latency_ms": 3000}])
        posting = asyncio.gather(*(caller.post(f"key-{n}", sms(n, on_doubt="hold")) for n in range(60)))
        await asyncio.to_thread(wait_until, lambda: oracle.stats()["in_flight"] >= 10, 10, "ten calls are open")
        oracle.faults([])
        cell.limit(cell.usage + ROOM)
        # when more is posted than there is room for
        batches = await asyncio.to_thread(Batches, house, caller, count=6, items=100)
        code = await asyncio.to_thread(house.ended, 60)
        # then the kernel has killed it
        assert code == -9
        assert cell.killed == 1
        # and with room it goes on, with everything that was acknowledged, and what was in its hand is sent no second time
        cell.limit(None)
        await asyncio.to_thread(house.start)
        await posting
        await asyncio.to_thread(batches.join)
        verdict = Verdict("memory")
        await asyncio.to_thread(settle, house)
        judge(verdict, house, oracle, caller, held=caller.accepted.values())
        assert verdict.faults == []
        assert verdict.accepted == 60 + 6 * 100
        assert not verdict.doubled
    finally:
        if house.process is not None:
            house.kill()
        oracle.stop()
