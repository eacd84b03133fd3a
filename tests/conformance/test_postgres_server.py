"""What happens to the PostgreSQL store when its server goes away and comes back: one of the test's own, in a temporary folder."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from sendwright.drivers.bus.memory import MemoryBus
from sendwright.drivers.clustered import PostgresBackend, open_postgres
from sendwright.drivers.store.postgres import connections
from sendwright.drivers.store.postgres.connections import Connections
from sendwright.drivers.store.postgres.migrate import migrate
from sendwright.errors import StoreDown
from sendwright.model.records import Cancelled, Claimed, Conflict, Taken
from sendwright.model.states import AttemptState, MessageState
from tests.acceptance.fault_proxy import FaultProxy
from tests.conformance.builders import TENANT, ManualClock, accepted, claim, claimed, message_of, offer, planned, state_of
from tests.conformance.own_postgres import BIN, Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BIN is None and "CI" not in os.environ, reason="PostgreSQL's server is not installed"),
]

M = MessageState


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        made = Server(Path(folder))
        made.start()
        asyncio.run(_migrated(made.url))
        yield made
        made.stop("immediate")


async def _migrated(url: str) -> None:
    await migrate(url)


@pytest.fixture
async def backend(server: Server) -> AsyncIterator[PostgresBackend]:
    clock = ManualClock()
    async with open_postgres(server.url, bus=MemoryBus(clock), now_ms=clock.now_ms) as opened:
        yield opened


async def test_after_a_restart_of_the_server_work_goes_on_over_new_connections(server: Server, backend: PostgresBackend) -> None:
    # given
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    # when
    server.stop("immediate")
    for call in (
        backend.ledger.settle(accepted(parcel, held)),
        backend.ledger.cancel(TENANT, parcel.id, 1),
        backend.waiting.parked(),
    ):
        with pytest.raises(StoreDown):
            await call
    assert not await backend.writable()
    server.start()
    # then
    assert await backend.writable()
    assert await backend.ledger.settle(accepted(parcel, held)) == M.SENT
    assert (await state_of(backend, parcel)) == M.SENT


async def test_with_the_server_away_nothing_was_written_and_that_is_said(server: Server, backend: PostgresBackend) -> None:
    parcel = await planned(backend.ledger)
    server.stop("fast")
    try:
        for _ in range(2):  # the first call finds its connection dead, the second finds no server
            with pytest.raises(StoreDown) as down:
                await backend.ledger.cancel(TENANT, parcel.id, 1)
            assert not down.value.maybe
    finally:
        server.start()
    assert await state_of(backend, parcel) == M.QUEUED


async def test_without_a_key_notifications_are_taken_while_the_server_is_away(server: Server, backend: PostgresBackend) -> None:
    server.stop("fast")
    try:
        asked = offer()
        assert await backend.desk.offer(asked) == Taken(asked.id)
        with pytest.raises(StoreDown):
            await backend.desk.offer(offer(key="order-1"))
    finally:
        server.start()
    again = offer(key="order-1")
    assert await backend.desk.offer(again) == Taken(again.id)
    assert await backend.desk.offer(offer(key="order-1", fingerprint=b"other")) == Conflict()


async def _hanging_commits(server: Server, on: bool) -> None:
    """Commits are made, and wait for a second server that will never confirm them."""
    db = await asyncpg.connect(server.url)
    await db.execute(f"alter system set synchronous_standby_names = '{'nobody' if on else ''}'")
    await db.execute("select pg_reload_conf()")
    async with asyncio.timeout(30):
        while await db.fetchval("show synchronous_standby_names") != ("nobody" if on else ""):
            await asyncio.sleep(0.01)
    await db.close()


async def _wait_for_hanging(server: Server, count: int) -> None:
    db = await asyncpg.connect(server.url)
    async with asyncio.timeout(30):
        while await db.fetchval("select count(*) from pg_stat_activity where wait_event = 'SyncRep'") < count:
            await asyncio.sleep(0.01)
    await db.close()


async def test_a_commit_whose_answer_is_lost_may_have_been_made_and_that_is_said(server: Server, backend: PostgresBackend) -> None:
    # given
    cancelled, taken = await planned(backend.ledger), await planned(backend.ledger)
    await backend.ledger.cancel(TENANT, (await planned(backend.ledger)).id, 1)
    # when commits are made and not answered, and the server dies
    await _hanging_commits(server, on=True)
    cancelling = asyncio.ensure_future(backend.ledger.cancel(TENANT, cancelled.id, 1))
    claiming = asyncio.ensure_future(backend.ledger.claim(claim(taken, "mine")))
    await _wait_for_hanging(server, 2)
    server.stop("immediate")
    with pytest.raises(StoreDown) as down:
        await cancelling
    with pytest.raises(StoreDown) as unsure:
        await claiming
    server.start()
    await _hanging_commits(server, on=False)
    # then
    assert down.value.maybe
    assert unsure.value.maybe
    assert await state_of(backend, cancelled) == M.CANCELLED
    assert await backend.ledger.cancel(TENANT, cancelled.id, 1) == Cancelled(cancelled=1)
    # and the claim is its author's, once
    assert (await message_of(backend, taken)).token == "mine"
    answer = await backend.ledger.claim(claim(taken, "mine"))
    assert isinstance(answer, Claimed)
    assert [attempt.state for attempt in await backend.records.attempts(taken.id)] == [AttemptState.SENDING]
    assert await backend.ledger.settle(accepted(taken, answer, "mine")) == M.SENT


async def test_when_one_connection_is_silent_those_that_rest_beside_it_are_not_asked_one_after_the_other(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a line on which four connections rest, and which carries nothing any more
    monkeypatch.setattr(connections, "SILENCE_S", 1.0)
    with FaultProxy(server.port) as line:
        there = Connections(line.before(server.url))
        sql = "select pg_backend_pid(), pg_sleep(0.3)"
        old = {rows[0][0] for rows in await asyncio.gather(*(there.query(sql) for _ in range(4)))}
        assert len(old) == 4
        line.hole()
        with pytest.raises(StoreDown):
            await there.query("select 1")
        # when it carries again
        line.mend()
        # then nobody trusts the other three
        assert connections.first(await there.query("select pg_backend_pid()")) not in old
        await there.close()
