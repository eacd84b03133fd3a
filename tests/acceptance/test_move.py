"""From one process over SQLite to many over PostgreSQL and RabbitMQ: the file is killed full of work, and moved."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import asyncpg
import pytest

from tests.acceptance.harness import Caller, House, Oracle, Process, sms, twilio, wait_until
from tests.acceptance.several import Several, several

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]

COUNT = 240
DONE = {"delivered", "sent"}


def moving(house: Several, file: Path, *args: str) -> list[str]:
    return [sys.executable, "-m", "sendwright", "move", "--config", str(house.config), "--from", str(file), *args]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


async def post_all(house: House, ledger: Path, numbers: range) -> Caller:
    caller = Caller(house, ledger)
    at_once = asyncio.Semaphore(16)

    async def one(number: int) -> None:
        async with at_once:
            await caller.post(f"k{number}", sms(number))

    await asyncio.gather(*(one(number) for number in numbers))
    return caller


def filled(folder: Path, oracle: Oracle) -> tuple[House, Caller]:
    """A house on SQLite that was killed full of work: accepted, planned, sent, waiting for a retry, with open attempts."""
    old = House(folder / "old", twilio(oracle, concurrency=30), "[retry]\nbase_s = 2\ncap_s = 4\n")
    old.start()
    oracle.faults([{"do": "status", "status": 503, "share": 0.3}])
    caller = asyncio.run(post_all(old, folder / "ledger", range(COUNT)))
    wait_until(lambda: oracle.stats() and len(oracle.taken().by_message) > 10, 30, "some are sent")
    old.kill()
    oracle.faults([])
    return old, caller


async def killed_at_the_keys(house: Several, command: list[str], folder: Path) -> None:
    """Starts a move, and kills it when it stands before the table of keys, with everything before it written."""
    db, watching = await asyncpg.connect(house.database_url), await asyncpg.connect(house.database_url)
    try:
        await db.execute("begin; lock table keys in share mode")
        process = Process(command, folder / "killed.out")
        waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'sendwright-move'"
        for _ in range(600):
            if await watching.fetchval(waits):
                break
            assert process.child.poll() is None, (folder / "killed.out").read_text()
            await asyncio.sleep(0.05)
        process.kill()
        await db.execute("rollback")
        assert await db.fetchval("select count(*) from events") > COUNT
    finally:
        await db.close()
        await watching.close()


@pytest.mark.timeout(300)
def test_killed_full_of_work_moved_and_gone_on_with_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    oracle = Oracle(tmp_path, latency_ms=300)
    try:
        # Given: work of every kind in a file, and engines under the same key
        old, caller = filled(tmp_path, oracle)
        file = old.data / "sendwright.db"
        key = (old.data / "secret_key").read_text().strip()
        with several(tmp_path, twilio(oracle), key=key) as house:
            command = moving(house, file)

            # When: a dry run, a move that is killed half-way, and another
            dry = run([*command, "--dry-run", "--json"])
            assert dry.returncode == 0, dry.stderr
            asyncio.run(killed_at_the_keys(house, command, tmp_path))
            refused = run([sys.executable, "-m", "sendwright", "scheduler", "--config", str(house.config)])
            done = run([*command, "--json"])

            # Then: both sides have the same, and nobody uses what is half there, or what is gone
            assert done.returncode == 0, done.stderr
            counts = json.loads(done.stdout)["counts"]
            assert all(each["file"] == each["moved"] for each in counts.values()), counts
            assert {name: each["file"] for name, each in counts.items()} == {
                name: each["file"] for name, each in json.loads(dry.stdout)["counts"].items()
            }
            assert counts["keys"]["moved"] == COUNT
            assert counts["lanes"]["moved"] > 0, "nothing lay on the lanes, which proves nothing"
            assert refused.returncode == 1
            assert "not finished" in refused.stderr
            assert json.loads(run([*command, "--json"]).stdout)["moved_before"] is True
            old.start(ready=False)
            assert old.ended() == 1
            assert "was moved" in old.output()

            gone_on_with(house, old, oracle, caller)
    finally:
        oracle.stop()


def gone_on_with(house: Several, old: House, oracle: Oracle, caller: Caller) -> None:
    """Everything is delivered, once or listed; keys stand for what they stood for; the recount agrees."""
    house.start_all(apis=1, workers=2, schedulers=1)
    house.start_api(old.port)  # where receipts of what was sent before are on their way to
    assert recounted(house) == [], "also before it is sent"
    wait_until(lambda: all_done(house), 120, "everything is sent")
    taken = Counter(json.loads(line)["body"] for line in oracle.log.read_bytes().splitlines() if json.loads(line)["taken"])
    assert taken.keys() == {f"message {number}" for number in range(COUNT)}
    twice = [body for body, times in taken.items() if times > 1]
    assert len(twice) <= len(house.pages("/v1/messages?doubled=true"))
    for number in range(0, COUNT, 40):
        status, answer = house.api("POST", "/v1/notifications", sms(number), idempotency_key=f"k{number}")
        assert (status, answer["id"]) == (202, caller.accepted[f"k{number}"])
        assert house.api("GET", f"/v1/notifications/{answer['id']}")[0] == 200
    status, answer = house.api("POST", "/v1/notifications", sms(1), idempotency_key="new")
    assert status == 202
    wait_until(lambda: house.api("GET", f"/v1/notifications/{answer['id']}")[1]["state"] in DONE, 60, "what is new is sent")
    wait_until(lambda: house.api("GET", "/v1/audit")[1]["accepted"] == COUNT + 1, 20, "both houses' numbers count")
    assert recounted(house) == []
    time.sleep(0.5)
    assert sum(house.counts().values()) == COUNT + 1


def recounted(house: Several) -> list[object]:
    violations: list[object] = house.api("GET", "/v1/audit")[1]["violations"]
    return violations


def all_done(house: Several) -> bool:
    counts = house.counts()
    return sum(counts.get(state, 0) for state in DONE) == COUNT and counts.keys() <= DONE
