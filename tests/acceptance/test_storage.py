"""A disk that is full, slow, failing, gone or somebody else's: nothing is acknowledged that is not kept."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.verdict import Verdict, judge, settle

from sendwright.model import ids
from tests.acceptance.faults import fill, foreign_writer, injected, need_strace, small_disk
from tests.acceptance.harness import Caller, House, Oracle, sms, twilio, wait_until

pytestmark = pytest.mark.slow

FAST = "[retry]\nbase_s = 0.2\ncap_s = 1\n"
SYNCS = "fsync,fdatasync"


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    made = Oracle(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def house(tmp_path: Path, oracle: Oracle) -> Iterator[House]:
    made = House(tmp_path, twilio(oracle), FAST)
    made.start()
    yield made
    made.kill()


class Ledger:
    """One post at a time, and what each was answered."""

    def __init__(self, house: House, place: Path) -> None:
        self._house = house
        self.caller = Caller(house, place)
        self.statuses: list[int | None] = []
        self.others: list[str] = []
        """Notifications that were accepted by other ways."""
        self._next = 0

    def post(self) -> int | None:
        """The status; None when it was not answered."""
        key, body = f"key-{self._next}", sms(self._next, on_doubt="hold")
        self._next += 1
        try:
            status, answer = self._house.api("POST", "/v1/notifications", body, Idempotency_Key=key)
        except OSError:
            status, answer = None, {}
        if status == 202:
            self.caller.accepted[key] = answer["id"]
        else:
            self.caller.maybe.add(key)
        self.statuses.append(status)
        return status

    def find_maybe(self) -> None:
        """What was not answered 202 may be there all the same: then it must be whole, too."""
        with self._house.database() as db:
            for key in self.caller.maybe:
                id_ = db.execute("select id from notifications where key = ?", (key,)).get
                if id_ is not None:
                    self.caller.accepted[key] = id_


def accounts(house: House, oracle: Oracle, ledger: Ledger) -> Verdict:
    """After everything settled: what was acknowledged, what is kept and what was sent."""
    verdict = Verdict("storage")
    settle(house)
    ledger.find_maybe()
    judge(verdict, house, oracle, ledger.caller, held=ledger.caller.accepted.values(), others=ledger.others)
    return verdict


def test_a_full_disk_is_503_until_there_is_room_again(tmp_path: Path, oracle: Oracle) -> None:
    with small_disk(tmp_path / "disk", 12) as disk:
        # given
        house = House(tmp_path, twilio(oracle), FAST, data=disk / "data")
        house.start()
        ledger = Ledger(house, tmp_path / "ledger")
        try:
            assert [ledger.post() for _ in range(5)] == [202] * 5

            # when the disk is full
            filler = fill(disk)
            refused = wait_until(lambda: ledger.post() == 503, 20, "a post is refused", 0)
            worse = [ledger.post() for _ in range(5)]

            # then
            assert refused
            assert set(worse) == {503}
            assert not house.dead
            assert house.api("GET", "/healthz")[0] == 200

            # when there is room again
            filler.unlink()

            # then it goes on by itself
            wait_until(lambda: ledger.post() == 202, 10, "a post is taken again")
            assert set(ledger.statuses) == {202, 503}
            verdict = accounts(house, oracle, ledger)
            assert verdict.faults == []
            assert not verdict.doubled
            assert house.starts == 1
        finally:
            house.kill()


def test_a_failed_sync_ends_the_process_and_nothing_acknowledged_is_missing(tmp_path: Path, house: House, oracle: Oracle) -> None:
    # given
    need_strace()
    ledger = Ledger(house, tmp_path / "ledger")
    assert [ledger.post() for _ in range(5)] == [202] * 5
    settle(house)

    # when one sync fails, once
    with injected(house, tmp_path, SYNCS, "error=EIO:when=1"):
        answers = [ledger.post() for _ in range(5)]
        code = house.ended(10)

    # then it stopped there and then, and says why
    assert code not in {0, None}
    assert answers[0] != 202
    assert 202 not in answers
    assert "stopping" in house.output()

    # and after a restart all is there that was acknowledged
    house.start()
    assert ledger.post() == 202
    verdict = accounts(house, oracle, ledger)
    assert verdict.faults == []
    assert not verdict.doubled


ROUNDS = 5
AHEAD = 128
"""Half of what one flush carries of all else."""


async def test_a_slow_disk_delays_acknowledgements_and_breaks_nothing(tmp_path: Path, house: House, oracle: Oracle) -> None:
    # given
    need_strace()
    caller = Caller(house, tmp_path / "ledger")
    answered_s: list[float] = []

    async def post(number: int) -> None:
        began = time.monotonic()
        await caller.post(f"key-{number}", sms(number, on_doubt="hold"))
        answered_s.append(time.monotonic() - began)

    # when every sync takes 200 ms
    with injected(house, tmp_path, SYNCS, "delay_exit=200ms"):
        await asyncio.gather(*(post(number) for number in range(60)))

        # then no answer came before its sync
        assert min(answered_s) > 0.19
        # when more is to be sent than a sync each would be done with in time, and then something urgent
        batches: list[list[str]] = []
        ahead: list[int] = []
        while not ahead or (ahead[-1] >= AHEAD and len(ahead) < ROUNDS):
            wanted = [sms(len(batches) * 1_000 + n, priority="bulk") for n in range(300)]
            status, batch = house.api("POST", "/v1/notifications/batch", {"notifications": wanted})
            assert status == 202
            urgent = house.api("POST", "/v1/notifications", sms(90_000 + len(batches), priority="critical"))[1]["id"]
            await asyncio.to_thread(settle, house)
            batches.append([urgent, *(result["id"] for result in batch["results"])])
            order = [ids.notification_of(message) for message in oracle.taken().by_message]
            ahead.append([name for name in order if name in batches[-1]].index(urgent))

    # then syncs were shared by what came while one was under way
    trace = (tmp_path / "strace.out").read_text(errors="replace")
    assert 10 < trace.count("fsync(") + trace.count("fdatasync(") < 200 * len(batches)
    # and what was urgent did not wait for those before it (in a round in which the machine itself did not stand still)
    assert min(ahead) < AHEAD, ahead
    # and each was sent once, though its claim took longer
    ledger = Ledger(house, tmp_path / "second")
    ledger.caller = caller
    ledger.others = [name for batch in batches for name in batch]
    verdict = await asyncio.to_thread(accounts, house, oracle, ledger)
    assert verdict.faults == []
    assert verdict.accepted == 60
    assert not verdict.doubled
    assert len(oracle.taken().by_message) == 60 + 301 * len(batches)


async def test_a_foreign_writer_makes_everybody_wait_and_nobody_fail(tmp_path: Path, house: House, oracle: Oracle) -> None:
    # given calls that are in flight
    ledger = Ledger(house, tmp_path / "ledger")
    oracle.faults([{"do": "latency", "latency_ms": 6000}])
    batch = {"notifications": [sms(n, on_doubt="resend") for n in range(100, 110)]}
    ledger.others = [result["id"] for result in house.api("POST", "/v1/notifications/batch", batch)[1]["results"]]
    await asyncio.to_thread(wait_until, lambda: oracle.stats()["in_flight"] == 10, 10, "ten calls are in flight")
    oracle.faults([])

    # when another program holds the file for longer than any of them may last
    with foreign_writer(house):
        assert oracle.stats()["in_flight"] > 0
        posting = [asyncio.create_task(asyncio.to_thread(ledger.post)) for _ in range(4)]
        await asyncio.sleep(12.5)
        early = [task for task in posting if task.done()]
        reading = await asyncio.to_thread(house.api, "GET", "/v1/messages")
    answers = await asyncio.gather(*posting)

    # then nothing was acknowledged while it could not be kept, and nothing failed; reading went on
    assert early == []
    assert answers == [202] * 4
    assert reading[0] == 200
    # and the answers that nobody could write down were written when they could be: nothing was taken for lost
    verdict = await asyncio.to_thread(accounts, house, oracle, ledger)
    assert verdict.faults == []
    assert not verdict.doubled
    assert not verdict.in_doubt
    assert len(oracle.taken().by_message) == 14


@pytest.mark.parametrize("how", ["moved", "replaced", "deleted"])
def test_a_file_that_is_taken_away_ends_the_process_before_it_acknowledges_more(
    tmp_path: Path, house: House, oracle: Oracle, how: str
) -> None:
    # given
    ledger = Ledger(house, tmp_path / "ledger")
    assert [ledger.post() for _ in range(5)] == [202] * 5
    settle(house)
    file, aside = house.data / "sendwright.db", house.data / "aside.db"

    # when
    file.rename(aside) if how != "deleted" else file.unlink()
    if how == "replaced":
        shutil.copyfile(aside, file)
    answers = [ledger.post() for _ in range(3)]
    code = house.ended(10)

    # then
    assert code not in {0, None}
    assert 202 not in answers
    assert "moved or replaced" in house.output()

    # and with the right file back in its place all is there
    if how != "deleted":
        aside.replace(file)
        house.start()
        assert ledger.post() == 202
        verdict = accounts(house, oracle, ledger)
        assert verdict.faults == []
        assert not verdict.doubled


def test_a_disk_that_is_read_only_for_a_while_is_503_until_it_is_not(tmp_path: Path, house: House, oracle: Oracle) -> None:
    # given
    need_strace()
    ledger = Ledger(house, tmp_path / "ledger")
    assert [ledger.post() for _ in range(5)] == [202] * 5

    # when no write is let through, as on a file system that was remounted read-only
    with injected(house, tmp_path, "pwrite64", "error=EROFS"):
        refused = [ledger.post() for _ in range(3)]
        ready = house.api("GET", "/readyz")

    # then
    assert refused == [503] * 3
    assert (ready[0], ready[1]["ready"], ready[1]["store"]) == (503, False, "takes no writes")
    assert not house.dead
    wait_until(lambda: house.api("GET", "/readyz")[0] == 200, 10, "it says that it is ready, though nobody has posted")

    # and afterwards it goes on by itself
    wait_until(lambda: ledger.post() == 202, 10, "a post is taken again")
    verdict = accounts(house, oracle, ledger)
    assert verdict.faults == []
    assert not verdict.doubled


def test_a_disk_quota_that_is_used_up_is_503_until_there_is_room(tmp_path: Path, house: House, oracle: Oracle) -> None:
    # given
    need_strace()
    ledger = Ledger(house, tmp_path / "ledger")
    assert ledger.post() == 202

    # when
    with injected(house, tmp_path, "pwrite64", "error=EDQUOT"):
        refused = [ledger.post() for _ in range(3)]

    # then
    assert refused == [503] * 3
    wait_until(lambda: ledger.post() == 202, 10, "a post is taken again")
    assert accounts(house, oracle, ledger).faults == []
