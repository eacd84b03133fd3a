"""Processes that die, stop or are told to go, while there is work: nothing is lost, and what is doubled is listed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from bench.chaos import random_kills
from bench.verdict import Verdict, judge, settle

from tests.acceptance.faults import is_stopped, stopped
from tests.acceptance.harness import Caller, House, Oracle, sms, twilio, wait_until

pytestmark = pytest.mark.slow

FAST = "[retry]\nbase_s = 0.2\ncap_s = 1\n[breaker]\nfailures = 1000\nshare = 1\n"


class Watching(Caller):
    """A caller that remembers every status it was answered."""

    def __init__(self, house: House, ledger: Path) -> None:
        super().__init__(house, ledger)
        self.statuses: list[int] = []

    async def _exchange(self, request: bytes) -> tuple[int | None, Any]:
        status, answer = await super()._exchange(request)
        if status is not None and not (status == 503 and answer is None):  # that one stands for a refused connection
            self.statuses.append(status)
        return status, answer


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    made = Oracle(tmp_path, latency_ms=300)
    yield made
    made.stop()


@pytest.fixture
def house(tmp_path: Path, oracle: Oracle) -> Iterator[House]:
    made = House(tmp_path, twilio(oracle, extra="timeout_s = 1"), FAST)
    yield made
    if made.process is not None:
        made.kill()


def judged(name: str, house: House, oracle: Oracle, caller: Caller, **more: Any) -> Verdict:
    verdict = Verdict(name)
    settle(house)
    judge(verdict, house, oracle, caller, **more)
    return verdict


async def post(caller: Caller, numbers: range, **more: Any) -> None:
    await asyncio.gather(*(caller.post(f"key-{number}", sms(number, **more)) for number in numbers))


@pytest.mark.long
@pytest.mark.parametrize("on_doubt", ["resend", "hold"])
async def test_sudden_death_at_random_moments_loses_nothing_and_lists_what_is_doubled(tmp_path: Path, on_doubt: str) -> None:
    # given a seed, so that a failure can be repeated
    seed = random.SystemRandom().randrange(1 << 30)

    # when
    verdict = await random_kills(tmp_path, kills=2, notifications=300, on_doubt=on_doubt, seed=seed, patience_ms=500)

    # then
    assert verdict.good, "\n".join(verdict.lines())
    assert verdict.accepted == 300


async def test_death_amid_notifications_with_many_recipients_leaves_none_in_part(
    tmp_path: Path, house: House, oracle: Oracle
) -> None:
    # given
    recipients = 120
    house.start()
    caller = Caller(house, tmp_path / "ledger")

    def crowd(first: int) -> dict[str, Any]:
        return sms(0) | {"to": [{"phone": f"+1415555{first * recipients + n:04d}"} for n in range(recipients)], "on_doubt": "hold"}

    # when it dies while they are posted and planned, twice
    posting = asyncio.gather(*(caller.post(f"crowd-{n}", crowd(n), keyed=n % 4 > 0) for n in range(12)))
    for pause_s in (0.03, 0.15):
        await asyncio.sleep(pause_s)
        house.kill()
        await asyncio.to_thread(house.start)
    await posting
    await asyncio.to_thread(settle, house)

    # then each that was answered is there with all its messages, and the others as a whole or not at all
    house.stop()
    with house.database() as db:
        found = dict(db.execute("select 'ntf_' || substr(id, 5, 32), count(*) from messages group by 1"))
        planned = {row[0] for row in db.execute("select id from notifications")}
    assert set(caller.accepted.values()) <= set(found)
    assert set(found.values()) == {recipients}
    assert planned == set(found)
    assert len(found) <= len(caller.accepted) + len(caller.maybe)
    assert not oracle.taken().doubled


async def test_deaths_during_the_start_itself_cost_nothing(tmp_path: Path, house: House, oracle: Oracle) -> None:
    # given work that is under way when it dies
    first_s = house.start()
    caller = Caller(house, tmp_path / "ledger")
    await post(caller, range(40), on_doubt="hold")
    house.kill()

    # when it dies again and again before it is up, and then is let
    for pause_s in (0.4, 0.7, 1.0):
        house.start(ready=False)
        await asyncio.sleep(pause_s)
        house.kill()
    recovery_s = await asyncio.to_thread(house.start)

    # then
    verdict = await asyncio.to_thread(judged, "starts", house, oracle, caller, held=caller.accepted.values())
    assert verdict.faults == []
    assert recovery_s < 10 + 3 * first_s


async def test_a_pause_longer_than_every_deadline_doubles_nothing(tmp_path: Path, house: House, oracle: Oracle) -> None:
    # given open attempts, of messages that would be sent again and of such that would be held
    house.start()
    caller = Caller(house, tmp_path / "ledger")
    await post(caller, range(20), on_doubt="resend")
    await post(caller, range(20, 40), on_doubt="hold")
    oracle.faults([{"do": "latency", "latency_ms": 200}])
    posting = asyncio.create_task(post(caller, range(40, 80), on_doubt="hold"))
    await asyncio.to_thread(wait_until, lambda: oracle.stats()["in_flight"] >= 10, 10, "ten calls are open")

    # when it stands still beyond their deadline (1 s, and 2 s of margin)
    with stopped(house):
        await asyncio.sleep(4)
    await posting

    # then the receipts settle the doubts
    verdict = await asyncio.to_thread(judged, "pause", house, oracle, caller)
    assert verdict.faults == []
    assert not verdict.doubled
    assert not verdict.in_doubt


async def test_a_pause_between_the_claim_and_the_first_byte_sends_nothing_late(tmp_path: Path, oracle: Oracle) -> None:
    # given a house that stops itself there, at the fifth message
    house = House(tmp_path, twilio(oracle, extra="timeout_s = 1"), FAST, bent={"pause": True, "patience_ms": 500})
    house.start({"SENDWRIGHT_CRASH": "deliver.writing:5"})
    caller = Caller(house, tmp_path / "ledger")
    posting = asyncio.create_task(post(caller, range(10), on_doubt="hold"))
    await asyncio.to_thread(wait_until, lambda: is_stopped(house), 10, "it stands between claim and write")

    try:
        # when it goes on after the deadline
        taken_before = {message for message, _ in oracle.taken().by_message.items()}
        await asyncio.sleep(4)
        os.kill(house.pid, signal.SIGCONT)
        await posting

        # then what was not written in time was not written at all
        verdict = await asyncio.to_thread(judged, "pause", house, oracle, caller, held=caller.accepted.values())
        assert verdict.faults == []
        assert not verdict.doubled
        assert len(taken_before) < 10
    finally:
        house.kill()


async def test_a_blocked_event_loop_puts_nothing_in_doubt_that_was_answered(tmp_path: Path, oracle: Oracle) -> None:
    # given
    house = House(tmp_path, twilio(oracle, extra="timeout_s = 1"), FAST, bent={"block": [8, 4.0]})
    house.start()
    caller = Caller(house, tmp_path / "ledger")
    try:
        # when a callback keeps the loop for longer than every deadline, with calls open
        for start in range(0, 60, 5):
            await post(caller, range(start, start + 5), on_doubt="hold" if start % 2 else "resend")

        # then
        verdict = await asyncio.to_thread(judged, "block", house, oracle, caller)
        assert verdict.faults == []
        assert not verdict.doubled
        assert not verdict.in_doubt
        # and some of it was in flight all the while, its answer waiting unread
        rows = [house.api("GET", f"/v1/messages/{row['id']}")[1] for row in house.pages("/v1/messages")]
        assert max(took_s(attempt) for row in rows for attempt in row["attempts"]) > 3
    finally:
        house.kill()


def took_s(attempt: dict[str, Any]) -> float:
    started, finished = (datetime.fromisoformat(attempt[name]) for name in ("started_at", "finished_at"))
    return (finished - started).total_seconds()


async def test_rolling_restarts_under_load_lose_double_and_refuse_nothing(tmp_path: Path, house: House, oracle: Oracle) -> None:
    # given
    house.start()
    caller = Watching(house, tmp_path / "ledger")
    going = True

    async def load(lane: int) -> None:
        number = lane
        while going:
            await caller.post(f"key-{number}", sms(number, on_doubt="hold"))
            number += 8

    posting = [asyncio.create_task(load(lane)) for lane in range(8)]

    # when
    codes = []
    for _ in range(3):
        await asyncio.sleep(0.4)
        codes.append(await asyncio.to_thread(house.stop))
        await asyncio.to_thread(house.start)
    going = False
    await asyncio.gather(*posting)

    # then
    verdict = await asyncio.to_thread(judged, "restarts", house, oracle, caller)
    assert codes == [0, 0, 0]
    assert set(caller.statuses) == {202}
    assert verdict.faults == []
    assert not verdict.doubled
    assert not verdict.in_doubt


async def test_without_file_descriptors_it_sheds_blames_nobody_and_recovers(tmp_path: Path, oracle: Oracle) -> None:
    # given a process that may open eight more files than it has, and a breaker that opens at five failures
    house = House(tmp_path, twilio(oracle), "[retry]\nbase_s = 0.2\ncap_s = 1\n")
    house.start()
    try:
        caller = Caller(house, tmp_path / "ledger")
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
        await post(caller, range(60), send_at=soon)
        limits = resource.prlimit(house.pid, resource.RLIMIT_NOFILE)
        open_now = len(list(Path(f"/proc/{house.pid}/fd").iterdir()))
        resource.prlimit(house.pid, resource.RLIMIT_NOFILE, (open_now + 8, limits[1]))

        # when there is more to do than that is enough for
        posting = asyncio.create_task(post(caller, range(60, 120)))
        await asyncio.sleep(4.5)
        assert not house.dead
        resource.prlimit(house.pid, resource.RLIMIT_NOFILE, limits)
        await posting

        # then all of it is done, and the provider, which was well all the time, has never been left alone
        verdict = await asyncio.to_thread(judged, "descriptors", house, oracle, caller)
        assert verdict.faults == []
        assert not verdict.doubled
        assert verdict.accepted == 120
        assert '"event": "breaker"' not in house.output()
    finally:
        house.kill()


def test_settings_that_are_wrong_stop_the_start_and_touch_nothing(tmp_path: Path, house: House, oracle: Oracle) -> None:
    # given a file with something in it
    house.start()
    assert house.api("POST", "/v1/notifications", sms(1, send_at=_tomorrow()))[0] == 202
    settle_waiting(house)
    house.stop()
    before = _fingerprints(house.data)
    good = house.config.read_text()

    # when
    house.config.write_text(good.replace("[retry]", "[retry]\nattempts_mox = 3").replace("timeout_s = 1", 'timeout_s = "soon"'))
    command = [sys.executable, "-m", "sendwright", "up", "--config", str(house.config), "--data", str(house.data)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    # then
    assert ended.returncode == 1
    assert "attempts_mox" in ended.stderr
    assert "timeout_s" in ended.stderr
    assert ended.stdout == ""
    assert _fingerprints(house.data) == before

    # and the right ones start it again over the same file
    house.config.write_text(good)
    house.start()
    assert house.counts() == {"scheduled": 1}


def settle_waiting(house: House) -> None:
    wait_until(lambda: house.counts().get("scheduled") == 1, 5, "it is planned")


def _tomorrow() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))


def _fingerprints(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir()) if file.is_file()}
