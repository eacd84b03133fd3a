"""A process that is given too little time, or none for a while: what it holds is lost to it, and nothing by that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench.verdict import Verdict, judge, settle

from sendwright.model import ids

from .faults import starved, stopped
from .harness import Caller, House, Oracle, sms, twilio, wait_until

pytestmark = pytest.mark.slow

CALM = "[retry]\nbase_s = 0.2\ncap_s = 1\n[breaker]\nfailures = 1000\nshare = 1\n"
BEYOND_S = 4.5
"""Longer than a call's limit (2 s) and the margin after which its attempt is taken for lost (2 s)."""

Start = Callable[..., House]


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    made = Oracle(tmp_path, latency_ms=200, receipts=False)
    yield made
    made.stop()


@pytest.fixture
def start(tmp_path: Path, oracle: Oracle) -> Iterator[Start]:
    """Starts a house whose provider reports nothing, and which waits no more than a moment for it before it sends a doubt again."""
    houses: list[House] = []

    def started(timeout_s: float) -> House:
        account = twilio(oracle, extra=f"timeout_s = {timeout_s}")
        houses.append(House(tmp_path, account, CALM, bent={"patience_ms": 100}))
        houses[-1].start()
        return houses[-1]

    yield started
    for house in houses:
        house.kill()


def judged(house: House, oracle: Oracle, caller: Caller, **more: object) -> Verdict:
    verdict = Verdict("starvation")
    settle(house)
    judge(verdict, house, oracle, caller, **more)  # type: ignore[arg-type]
    return verdict


async def post(caller: Caller, numbers: range, on_doubt: str) -> None:
    await asyncio.gather(*(caller.post(f"{on_doubt}-{number}", sms(number, on_doubt=on_doubt)) for number in numbers))


async def test_a_fifth_of_the_time_puts_nothing_in_doubt(tmp_path: Path, start: Start, oracle: Oracle) -> None:
    # given calls that may take long, and a house that stands still four fifths of the time
    house = start(timeout_s=10)
    caller = Caller(house, tmp_path / "ledger")
    with starved(house, 0.2, 0.25):
        # when there is work
        await asyncio.gather(post(caller, range(60), "hold"), post(caller, range(60, 120), "resend"))
        verdict = await asyncio.to_thread(judged, house, oracle, caller)

    # then it takes its time, and that is all
    assert verdict.faults == []
    assert verdict.accepted == 120
    assert not verdict.doubled
    assert not verdict.in_doubt


async def test_a_pause_beyond_every_deadline_loses_nothing_and_lists_what_it_doubles(
    tmp_path: Path, start: Start, oracle: Oracle
) -> None:
    house = start(timeout_s=2)
    caller = Caller(house, tmp_path / "ledger")
    # given calls of either kind that are taken and never answered, such as are answered while nobody reads, and more to do
    kinds = [f"+141555500{n}" for n in (0, 3)]
    lost = [{"do": "hang", "taken": True, "match": {"to_prefix": prefix}, "count": 8} for prefix in kinds]
    oracle.faults(lost)

    def oracle_has(prefix: str) -> bool:
        *lines, _ = oracle.log.read_bytes().split(b"\n")
        return any(json.loads(line)["to"].startswith(prefix) for line in lines)

    posting = asyncio.gather(post(caller, range(30), "hold"), post(caller, range(30, 60), "resend"))
    await asyncio.to_thread(
        wait_until, lambda: oracle.stats()["in_flight"] >= 16 and all(map(oracle_has, kinds)), 10, "calls are open"
    )

    # when it stands still until all of them are over
    with stopped(house):
        open_at_pause = oracle.stats()["in_flight"]
        await asyncio.sleep(BEYOND_S)
    oracle.faults([])  # where all of twenty calls failed the breaker is open, and what probes meet must not hang as well
    await posting

    # then nothing is lost, nothing doubled that was held, and every double is listed
    held = [id_ for key, id_ in caller.accepted.items() if key.startswith("hold")]
    verdict = await asyncio.to_thread(judged, house, oracle, caller, held=held)
    assert verdict.faults == []
    assert verdict.accepted == 60
    # and only what was open, or was never answered, came to a doubt or a double; some of either kind did
    assert 0 < len(verdict.doubled) + len(verdict.in_doubt) <= open_at_pause + 16
    assert {ids.notification_of(message) for message in verdict.in_doubt} <= set(held)
    assert verdict.in_doubt
    assert verdict.doubled
