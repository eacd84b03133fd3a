"""A rolling upgrade with real processes of two versions, under load: `migrate --before`, replace them one by one, `migrate`.

The new version is a copy of the sources with one more migration planted in it, in the shape that real ones have: before,
a column, an index and a table are added; after, what the old code still reads is taken away.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sendwright.drivers.store.postgres.migrate import SCHEMA
from tests.acceptance.harness import ADMIN_KEY, Oracle, Process, call, sms, twilio, wait_until
from tests.acceptance.several import READY_S, Several, all_done, recounted, several

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]

SOURCES = Path(__file__).parents[2] / "src"
BEFORE = """
alter table messages add column region text not null default '';
create index messages_by_region on messages (region) where region <> '';
alter table workers add column site text not null default 'here';
create table regions (name text primary key);
insert into regions values ('');
"""
AFTER = """
alter table messages add constraint messages_region foreign key (region) references regions (name);
alter table workers drop column site;
drop index messages_by_region;
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[tuple[Several, Oracle]]:
    oracle = Oracle(tmp_path, latency_ms=100)
    try:
        with several(tmp_path, twilio(oracle)) as started:
            yield started, oracle
    finally:
        oracle.stop()


@pytest.fixture
def newer(tmp_path: Path) -> dict[str, str]:
    """What makes the next version of a process that is started with it in its environment."""
    sources = tmp_path / "newer"
    shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("__pycache__"))
    migrations = sources / "sendwright/drivers/store/postgres/migrations"
    (migrations / f"{SCHEMA + 1:04}_regions.pre.sql").write_text(BEFORE)
    (migrations / f"{SCHEMA + 1:04}_regions.post.sql").write_text(AFTER)
    return {"PYTHONPATH": str(sources)}


class Load:
    """Posts without a key, in turn at whichever API takes a connection, until told to stop; notes every answer that is no 202."""

    def __init__(self, house: Several) -> None:
        self._house = house
        self._numbers = itertools.count()
        self._stopped = False
        self.accepted: dict[str, str] = {}
        """Body to id."""
        self.others: list[object] = []

    async def run(self, posters: int = 4) -> None:
        await asyncio.gather(*(self._poster() for _ in range(posters)))

    def stop(self) -> None:
        self._stopped = True

    async def _poster(self) -> None:
        while not self._stopped:
            body = sms(next(self._numbers))
            answer = await self._posted(json.dumps(body).encode())
            if isinstance(answer, str):
                self.accepted[body["content"]["body"]] = answer
            else:
                self.others.append(answer)
            await asyncio.sleep(0.1)

    async def _posted(self, raw: bytes) -> object:
        """The id, or what was answered instead. As a load balancer does, it goes on to the next where nobody listens."""
        while True:
            for url in list(self._house.urls):
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
                except OSError:
                    continue
                try:
                    writer.write(_request(raw))
                    answer = await asyncio.wait_for(reader.read(), 30)
                except (OSError, TimeoutError) as error:
                    return error
                finally:
                    writer.close()
                status = answer[9:12]
                return json.loads(answer.partition(b"\r\n\r\n")[2])["id"] if status == b"202" else answer[:200]
            await asyncio.sleep(0.05)


def _request(raw: bytes) -> bytes:
    head = (
        f"POST /v1/notifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + raw


def command(house: Several, *words: str, env: dict[str, str]) -> tuple[int, str]:
    """Runs a command to its end; its exit code and all that it said."""
    line = [sys.executable, "-m", "sendwright", *words, "--config", str(house.config), "--data", str(house.data)]
    process = Process(line, house.folder / f"{'-'.join(words)}.out", env)
    code = process.child.wait(READY_S)
    return code, (house.folder / f"{'-'.join(words)}.out").read_text()


def replaced(house: Several, processes: list[Process], start: Callable[[], Process]) -> None:
    """Each of them by one of the new version: the new one works before the old one is told to go."""
    for old in list(processes):
        said = house.output().count(" runs")
        new = start()
        wait_until(lambda said=said: house.output().count(" runs") > said, READY_S, "the new one runs")
        assert new.child.poll() is None, house.output()[-2000:]
        assert old.stop(60) == 0, house.output()[-2000:]
        processes.remove(old)


def replaced_api(house: Several) -> None:
    old_url = house.urls[0]
    replaced(house, house.apis, lambda: house.start_api(0))
    house.urls.remove(old_url)
    house.url = house.urls[0]
    wait_until(lambda: call("GET", house.url + "/readyz")[0] == 200, READY_S, "the new API is ready")


def test_a_rolling_upgrade_under_load_answers_every_post_and_loses_and_doubles_nothing(
    house: tuple[Several, Oracle], newer: dict[str, str]
) -> None:
    # Given: the old version works
    running, oracle = house
    older: dict[str, str] = {}
    running.start_all()
    load = Load(running)

    async def upgrade() -> None:
        posting = asyncio.create_task(load.run())
        try:
            await asyncio.to_thread(steps)
        finally:
            load.stop()
            await posting

    def steps() -> None:
        wait_until(lambda: len(load.accepted) > 10, READY_S, "posts are taken")

        # When: a new one before its time
        code, said = command(running, "scheduler", env=newer)
        assert code == 1
        assert f"this version needs {SCHEMA + 1}: run `sendwright migrate" in said

        # and: what may be done beside the old ones, and new ones in their place
        code, said = command(running, "migrate", "--before", env=newer)
        assert (code, f"{SCHEMA + 1:04} regions (pre)" in said) == (0, True), said
        running.env = newer
        replaced(running, running.workers, running.start_worker)
        replaced(running, running.schedulers, running.start_scheduler)
        replaced_api(running)

        # and: what may be done once they are gone
        code, said = command(running, "migrate", env=newer)
        assert (code, f"{SCHEMA + 1:04} regions (post)" in said) == (0, True), said
        taken = len(load.accepted)
        wait_until(lambda: len(load.accepted) > taken + 10, READY_S, "posts are taken by the new ones")

    asyncio.run(upgrade())

    # Then
    assert load.others == []
    wait_until(lambda: all_done(running, len(load.accepted)), 60, "everything is sent")
    assert sorted(len(attempts) for attempts in oracle.taken().by_message.values()) == [1] * len(load.accepted)
    assert recounted(running)["violations"] == []
    # and: an old one has no business here any more, and does not undo anything
    for words in (("worker",), ("migrate",)):
        code, said = command(running, *words, env=older)
        assert code == 1
        assert f"the database has schema {SCHEMA + 1}, this version knows {SCHEMA}" in said
