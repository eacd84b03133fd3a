"""What only a store of many processes has to show: PostgreSQL's own races, plans, partitions and migrations."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
import pytest

from sendwright.drivers.bus.memory import MemoryBus
from sendwright.drivers.clustered import PostgresBackend, open_postgres
from sendwright.drivers.queue_desk import LOST_MS, Mine, Reservation, Theirs
from sendwright.drivers.store.postgres import finder
from sendwright.drivers.store.postgres import migrate as migrating
from sendwright.drivers.store.postgres.connections import SETTINGS, Connections
from sendwright.drivers.store.postgres.migrate import SCHEMA, migrate
from sendwright.drivers.store.postgres.partitions import Partitions
from sendwright.drivers.store.postgres.registry import PostgresRegistry
from sendwright.drivers.store.postgres.rows import DAY_MS
from sendwright.drivers.store.postgres.sql import SQL
from sendwright.errors import StoreUnusable
from sendwright.model.ids import message_id, notification_of
from sendwright.model.notification import Priority
from sendwright.model.parcel import Intake, intake_lane, unbundle
from sendwright.model.records import Cancelled, Claimed, Conflict, Event, Taken, Wait
from sendwright.model.said import Said
from sendwright.model.states import AttemptState, MessageState
from tests.conformance.backends import TaskGate, on_postgres
from tests.conformance.builders import (
    MINUTE,
    NOW,
    TENANT,
    ManualClock,
    accepted,
    birth,
    claim,
    claimed,
    message_of,
    new_id,
    offer,
    outcome,
    plan,
    planned,
    receipt,
    scheduled,
    sent,
    state_of,
)
from tests.conformance.postgres_server import NAME, SERVER, empty_postgres, make_postgres, postgres_url
from tests.conformance.test_dead_parcels import (  # noqa: F401 — run here too, over `dead`
    test_one_is_dropped_and_no_other,
    test_one_is_found_with_the_very_bytes,
    test_one_that_was_kept_again_is_not_dropped_as_what_it_was,
    test_the_count_of_what_is_dropped_goes_with_it,
    test_the_same_bytes_are_kept_once_in_each_lane,
    test_what_is_tried_is_counted_until_it_is_cleared,
    test_what_was_kept_for_its_version_is_found_by_who_reads_it,
    test_what_was_kept_is_listed_newest_first,
)

pytestmark = pytest.mark.slow

M = MessageState


@pytest.fixture
async def fleet() -> AsyncIterator[list[PostgresBackend]]:
    """Three processes over one database and one bus."""
    await make_postgres()
    clock = ManualClock()
    bus = MemoryBus(clock)
    async with AsyncExitStack() as stack:
        backends = [await stack.enter_async_context(on_postgres(bus, clock, stale_s=0.3)) for _ in range(3)]
        await backends[0].connections.writing(empty_postgres)
        yield backends


@pytest.fixture
def backend(fleet: list[PostgresBackend]) -> PostgresBackend:
    return fleet[0]


@pytest.fixture
def dead(backend: PostgresBackend) -> Any:
    return backend.quarantine


# Many processes


async def test_of_three_processes_that_claim_the_same_messages_one_gets_each(fleet: list[PostgresBackend]) -> None:
    parcels = [await planned(fleet[0].ledger) for _ in range(40)]
    calls = [
        backend.ledger.claim(claim(parcel, f"{backend.process}-{parcel.id}"))
        for number, backend in enumerate(fleet)
        for parcel in (parcels if number % 2 else reversed(parcels))
    ]
    granted = [answer.attempt for answer in await asyncio.gather(*calls) if isinstance(answer, Claimed)]
    assert len(granted) == len(set(granted)) == len(parcels)


async def test_no_message_is_cancelled_and_sent_by_different_processes(fleet: list[PostgresBackend]) -> None:
    ntf = new_id()
    births = [birth(ntf, ordinal) for ordinal in range(200)]
    (parcels,) = await fleet[0].ledger.plan([plan(*births, notification=ntf)])
    claims = [fleet[1].ledger.claim(claim(parcel, parcel.id)) for parcel in reversed(parcels)]
    singles = [fleet[2].ledger.cancel(TENANT, parcel.id, NOW) for parcel in parcels[::3]]
    answers = await asyncio.gather(fleet[0].ledger.cancel(TENANT, ntf, NOW), *singles, *claims)
    taken = [isinstance(answer, Claimed) for answer in answers[-200:]]
    assert answers[0] == Cancelled(cancelled=200 - sum(taken), too_late=sum(taken))
    for parcel, was_taken in zip(reversed(parcels), taken, strict=True):
        assert await state_of(fleet[0], parcel) == (M.SENDING if was_taken else M.CANCELLED)


async def test_two_schedulers_share_what_is_due_and_never_the_same(fleet: list[PostgresBackend]) -> None:
    one, other, _ = fleet
    ntf = new_id()
    births = [birth(ntf, n, state=M.SCHEDULED, wait=Wait("time", NOW + n)) for n in range(300)]
    await one.ledger.plan([plan(*births, notification=ntf)])
    taken: list[str] = []

    async def promote(backend: PostgresBackend) -> None:
        while parcels := await backend.waiting.due(NOW + MINUTE, 20):
            taken.extend(parcel.id for parcel in parcels)
            await asyncio.sleep(0)
            await backend.waiting.promoted(parcels, NOW + MINUTE)

    await asyncio.gather(promote(one), promote(other))
    assert sorted(taken) == [message_id(ntf, n) for n in range(300)]


async def test_what_another_has_leased_is_not_due_until_the_lease_runs_out(fleet: list[PostgresBackend]) -> None:
    one, other, _ = fleet
    message = await scheduled(one.ledger, NOW)
    assert [parcel.id for parcel in await one.waiting.due(NOW, 10)] == [message]
    assert list(await other.waiting.due(NOW, 10)) == []
    assert await other.waiting.next_due() is None
    assert await one.waiting.next_due() == NOW
    # when its holder is dead for long enough
    await one.connections.query("update waits set leased_until = now() - interval '1 ms'")
    assert [parcel.id for parcel in await other.waiting.due(NOW, 10)] == [message]


@asynccontextmanager
async def held(backend: PostgresBackend, method: str) -> AsyncIterator[TaskGate]:
    """The next call of this method by this process stands before its commit, until it is let go."""
    gate = TaskGate()

    async def stop(entered: str) -> None:
        if entered == method and not gate.stands.is_set():
            gate.stands.set()
            await gate.open.wait()

    backend.connections.before_commit = stop
    try:
        yield gate
    finally:
        gate.release()
        backend.connections.before_commit = None


@pytest.mark.parametrize("looked_for", ["due", "parked", "unheard"])
async def test_who_looks_for_work_waits_for_nobody_who_has_some(fleet: list[PostgresBackend], looked_for: str) -> None:
    # given: work for two, of which one has the first
    one, other, _ = fleet
    for tenant in ("a", "b"):
        await scheduled(one.ledger, NOW, tenant=tenant)
        await parked(one, tenant, 1)
        parcel = await planned(one.ledger, tenant=tenant)
        taken = await claimed(one.ledger, parcel, parcel.id, look_at=NOW)
        await one.ledger.settle(accepted(parcel, taken, parcel.id, ref=tenant))
    looks: dict[str, tuple[str, Callable[[PostgresBackend], Awaitable[Sequence[Any]]]]] = {
        "due": ("due", lambda process: process.waiting.due(NOW, 1)),
        "parked": ("pull", lambda process: process.waiting.pull("route:sms", Priority.NORMAL, {"a": 1, "b": 1})),
        "unheard": ("unheard", lambda process: process.ledger.unheard(NOW, 1)),
    }
    method, look = looks[looked_for]
    async with held(one, method) as gate:
        first = asyncio.ensure_future(look(one))
        await gate.reached()
        # when
        found = await asyncio.wait_for(look(other), 30)
        # then
        assert not first.done()
        gate.release()
        assert not {each[0] if looked_for == "unheard" else each.id for each in found} & {
            each[0] if looked_for == "unheard" else each.id for each in await first
        }
    assert len(found) == (0 if looked_for == "parked" else 1)


@pytest.mark.parametrize("taken", [False, True], ids=["a-strangers-cancellation", "what-retention-took"])
async def test_of_two_plans_that_found_a_row_one_wins_and_both_are_told_the_same(
    fleet: list[PostgresBackend], monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    # given: two that found what a cancellation left, and are about to look closer
    one, other, third = fleet
    ntf = new_id()
    assert await third.ledger.cancel(TENANT if taken else "stranger", ntf, NOW) == Cancelled(unplanned=1)
    gates = [about_to_look_closer(one, monkeypatch), about_to_look_closer(other, monkeypatch)]
    plans = [
        plan(birth(ntf, 0), birth(ntf, 1), notification=ntf, content=Said(body="one"), process="one", number=1),
        plan(birth(ntf, 0), notification=ntf, content=Said(body="two"), process="two", number=1),
    ]
    planning = [asyncio.ensure_future(backend.ledger.plan([each])) for backend, each in zip((one, other), plans, strict=True)]
    for gate in gates:
        await asyncio.wait_for(gate.reached(), 30)
    if taken:
        await forgotten(third, ntf)
    # when the second comes while the first has written and not committed
    async with held(one, "plan") as written:
        gates[0].release()
        await asyncio.wait_for(written.reached(), 30)
        gates[1].release()
        await asyncio.wait_for(somebody_is_blocked(third), 30)
    # then
    (told,), (told_too,) = await asyncio.gather(*planning)
    assert [parcel.content.body for parcel in told] == ["one", "one"]
    assert told_too == told
    stored = await third.records.notification(TENANT, ntf)
    assert stored is not None
    assert stored.content == plans[0].content
    assert [event.type for event in await third.records.events(TENANT, 0, 10)] == ["notification.accepted"]
    # and the second's number is known
    await third.keys.count("two", 1, NOW)
    assert [each for each in (await third.records.audit()).violations if each.kind == "gap"] == []


async def test_a_cancellation_after_retention_took_the_one_before_stops_the_plan(
    fleet: list[PostgresBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    one, _, third = fleet
    ntf = new_id()
    await third.ledger.cancel(TENANT, ntf, NOW)
    gate = about_to_look_closer(one, monkeypatch)
    planning = asyncio.ensure_future(one.ledger.plan([plan(notification=ntf)]))
    await asyncio.wait_for(gate.reached(), 30)
    await forgotten(third, ntf)
    # when the plan comes while it is cancelled anew
    async with held(third, "cancel") as written:
        cancelling = asyncio.ensure_future(third.ledger.cancel(TENANT, ntf, NOW))
        await asyncio.wait_for(written.reached(), 30)
        gate.release()
        await asyncio.wait_for(somebody_is_blocked(third), 30)
    # then
    assert await cancelling == Cancelled(unplanned=1)
    assert await planning == [[]]
    assert await state_of(third, message_id(ntf, 0)) == M.CANCELLED


def about_to_look_closer(backend: PostgresBackend, monkeypatch: pytest.MonkeyPatch) -> TaskGate:
    """This process's transactions begin when the gate is let go: a plan stands there when it was found to have a row."""
    gate = TaskGate()
    transaction = backend.connections.transaction

    async def waiting(*args: Any) -> Any:
        gate.stands.set()
        await gate.open.wait()
        return await transaction(*args)

    monkeypatch.setattr(backend.connections, "transaction", waiting)
    return gate


async def forgotten(backend: PostgresBackend, notification: str) -> None:
    """Retention takes the row that stands for a cancellation."""
    await backend.sweeper.slice(keys_before=0, content_before=0, rows_before=NOW + 1)
    assert await backend.records.notification(TENANT, notification) is None


async def somebody_is_blocked(backend: PostgresBackend) -> None:
    """Returns when a statement over the tests' database waits for another's lock."""
    blocked = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    while not await backend.connections.query(blocked):
        await asyncio.sleep(0.005)


async def test_no_event_is_shown_while_another_process_may_yet_write_one_before_it(fleet: list[PostgresBackend]) -> None:
    # given: of two who write, the first has its number and not committed, and the second has
    one, other, reader = fleet
    parcels = [await planned(one.ledger) for _ in range(2)]
    early, late = [accepted(parcel, await claimed(one.ledger, parcel, parcel.id), parcel.id) for parcel in parcels]
    before = (await events_shown(reader, 0, 2))[-1].seq
    async with held(one, "settle") as gate:
        settling = asyncio.ensure_future(one.ledger.settle(early))
        await asyncio.wait_for(gate.reached(), 30)
        assert await other.ledger.settle(late) == M.SENT
        # when
        last = await reader.records.last_event()
        shown = list(await reader.records.events(TENANT, before, 10))
    # then
    assert await settling == M.SENT
    assert (last, shown) == (before, [])
    rest = await events_shown(reader, before, 2)
    assert [event.message for event in rest] == [parcel.id for parcel in parcels]


async def test_who_writes_into_another_database_of_the_server_holds_no_event_back(fleet: list[PostgresBackend]) -> None:
    # given somebody who began to write elsewhere, and goes on for long
    elsewhere = await asyncpg.connect(SERVER)
    try:
        async with elsewhere.transaction():
            await elsewhere.execute("select pg_current_xact_id()")
            parcel = await planned(fleet[0].ledger)
            # then
            shown = await fleet[1].records.events(TENANT, 0, 10)
            assert [(event.type, event.notification) for event in shown] == [("notification.accepted", notification_of(parcel.id))]
    finally:
        await elsewhere.close()


async def events_shown(backend: PostgresBackend, after: int, count: int) -> list[Event]:
    """So many, once they are shown: whoever writes anywhere on this server, another test too, holds back what began after it."""
    async with asyncio.timeout(60):
        while len(shown := list(await backend.records.events(TENANT, after, count + 1))) < count:
            await asyncio.sleep(0.01)
    assert len(shown) == count
    return shown


PARKED = Wait("provider", None, key="route:sms")


async def parked(backend: PostgresBackend, tenant: str, count: int) -> list[str]:
    """So many of a tenant's behind one route."""
    ntf = new_id(tenant)
    births = [birth(ntf, n, wait=PARKED) for n in range(count)]
    await backend.ledger.plan([plan(*births, notification=ntf, tenant=tenant)])
    return [one.id for one in births]


async def test_schedulers_that_pull_of_the_same_tenants_never_get_the_same(fleet: list[PostgresBackend]) -> None:
    one, other, _ = fleet
    messages = [message for tenant in ("a", "b", "c") for message in await parked(one, tenant, 60)]
    taken: list[str] = []

    async def promote(backend: PostgresBackend) -> None:
        while waiting := await backend.waiting.tenants("route:sms", Priority.NORMAL, "b", 4):
            parcels = await backend.waiting.pull("route:sms", Priority.NORMAL, dict.fromkeys(waiting, 7))
            taken.extend(parcel.id for parcel in parcels)
            await asyncio.sleep(0)
            await backend.waiting.promoted(parcels, NOW)

    await asyncio.gather(promote(one), promote(other))
    assert sorted(taken) == sorted(messages)


async def test_a_tenant_of_whom_another_has_leased_all_is_passed_by(fleet: list[PostgresBackend]) -> None:
    one, other, _ = fleet
    for tenant, count in (("a", 3), ("b", 5)):
        await parked(one, tenant, count)
    assert len(await one.waiting.pull("route:sms", Priority.NORMAL, {"a": 9, "b": 2})) == 5
    assert await other.waiting.tenants("route:sms", Priority.NORMAL, "a", 1) == {"b": 3}
    assert await other.waiting.tenants("route:sms", Priority.NORMAL, "", 9) == {"b": 3}
    assert await one.waiting.tenants("route:sms", Priority.NORMAL, "", 9) == {"a": 3, "b": 5}
    assert len(await other.waiting.pull("route:sms", Priority.NORMAL, {"a": 9, "b": 9})) == 3


async def intakes(backend: PostgresBackend) -> list[Intake]:
    found: list[Intake] = []
    while backend.bus.depth(lane := intake_lane(Priority.NORMAL)):
        found += unbundle(Intake, (await backend.bus.take(lane)).body)
    return found


async def test_a_key_that_three_processes_are_given_at_once_stands_for_one_notification(fleet: list[PostgresBackend]) -> None:
    offers = [(backend, offer(key=f"order-{number}")) for number in range(20) for backend in fleet for _ in range(4)]
    answers = await asyncio.gather(*(backend.desk.offer(one) for backend, one in offers))
    by_key: dict[str, set[str]] = {}
    for (_, asked), answer in zip(offers, answers, strict=True):
        assert isinstance(answer, Taken), answer
        by_key.setdefault(asked.key or "", set()).add(answer.id)
    assert all(len(found) == 1 for found in by_key.values())
    assert sorted(intake.id for intake in await intakes(fleet[0])) == sorted(id_ for found in by_key.values() for id_ in found)


async def test_a_key_that_a_crash_left_pending_is_published_later_under_the_same_id(fleet: list[PostgresBackend]) -> None:
    # given: a process that dies between reserving and publishing
    lost, one, other = fleet
    asked = offer(key="order-7")
    await lost.keys.reserve(Reservation(asked.tenant, "order-7", asked.id, asked.fingerprint, asked.at))
    # when
    answers = await asyncio.gather(*(backend.desk.offer(offer(key="order-7")) for backend in (one, other) for _ in range(5)))
    assert {answer.id for answer in answers if isinstance(answer, Taken)} <= {asked.id}
    await asyncio.sleep(0.4)
    later = [await backend.desk.offer(offer(key="order-7")) for backend in (one, other)]
    # then
    assert later == [Taken(asked.id, replayed=True)] * 2
    assert {intake.id for intake in await intakes(one)} == {asked.id}


async def test_a_key_that_a_crash_left_pending_is_not_taken_over_for_another_body(fleet: list[PostgresBackend]) -> None:
    lost, one, _ = fleet
    asked = offer(key="order-7")
    await lost.keys.reserve(Reservation(asked.tenant, "order-7", asked.id, asked.fingerprint, asked.at))
    await asyncio.sleep(0.4)
    # when
    assert await one.desk.offer(offer(key="order-7", fingerprint=b"other")) == Conflict()
    # then
    assert await intakes(one) == []
    assert await one.desk.offer(offer(key="order-7")) == Taken(asked.id, replayed=True)


async def test_a_key_is_released_by_who_has_it_while_it_is_pending(fleet: list[PostgresBackend]) -> None:
    one, other, _ = fleet
    asked = offer(key="order-7")
    wish = Reservation(asked.tenant, "order-7", asked.id, asked.fingerprint, asked.at)
    assert await one.keys.reserve(wish) == Mine(asked.id)
    # then: not by another, nor when it is published
    await other.keys.release(asked.tenant, "order-7", asked.id)
    assert await one.keys.look(asked.tenant, "order-7") == Theirs(asked.id, asked.fingerprint, published=False)
    await one.keys.confirm(asked.tenant, "order-7", asked.id)
    await one.keys.release(asked.tenant, "order-7", asked.id)
    assert await one.keys.look(asked.tenant, "order-7") == Theirs(asked.id, asked.fingerprint, published=True)
    # and: by who has it
    second = msgspec.structs.replace(wish, key="order-8")
    await one.keys.reserve(second)
    await one.keys.release(asked.tenant, "order-8", asked.id)
    assert await one.keys.look(asked.tenant, "order-8") is None


async def test_the_recount_knows_the_numbers_of_what_another_process_published_again(fleet: list[PostgresBackend]) -> None:
    ntf = new_id()
    await fleet[0].ledger.plan([plan(notification=ntf, process="one", number=1)])
    again = plan(notification=ntf, process="two", number=1)
    first = await fleet[0].ledger.plan([again])
    # when the bus brings that a second time
    assert await fleet[1].ledger.plan([again]) == first
    # then
    for process in ("one", "two"):
        await fleet[0].keys.count(process, 1, NOW)
    violations = (await fleet[0].records.audit()).violations
    assert [each for each in violations if each.kind == "gap"] == []


async def test_without_a_look_into_the_lanes_only_what_should_long_be_planned_is_missed(backend: PostgresBackend) -> None:
    async with open_postgres(postgres_url(), bus=backend.bus) as blind:
        now = int(time.time() * 1000)
        await blind.keys.count("one", 3, now)
        await planned(blind.ledger, process="one", number=2)
        # then: what was counted just now may be on its way
        audit = await blind.records.audit()
        assert (audit.accepted, audit.planned, audit.waiting) == (3, 1, 2)
        assert [each for each in audit.violations if each.kind == "gap"] == []
        # and when ten minutes have passed
        await blind.connections.query("update processes set reported_at = $1", now - LOST_MS)
        gaps = [each.detail for each in (await blind.records.audit()).violations if each.kind == "gap"]
        assert gaps == ["number 1", "number 3"]


async def test_the_time_is_the_servers_whatever_this_machine_shows(
    backend: PostgresBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1.0)
    async with open_postgres(postgres_url(), bus=backend.bus) as other:
        assert other.store_clock is not None
        shown = other.store_clock.there(time.monotonic())
        ((there,),) = await other.connections.query("select extract(epoch from clock_timestamp())::float8")
        assert abs(there - shown) < 60


# What a broker lost

LATER = NOW + LOST_MS + 1


async def found_by(backend: PostgresBackend, before: int = NOW + 1) -> int:
    count, more = 0, True
    while more:
        slice_, more = await backend.finder.slice(before, LATER)  # type: ignore[union-attr]
        count += slice_
    return count


async def test_what_was_queued_for_long_and_waits_for_nothing_is_brought_back_once(
    fleet: list[PostgresBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given messages over several stretches of the walk, on no lane
    monkeypatch.setattr(finder, "STRETCH", 2)
    lost = [await planned(fleet[0].ledger) for _ in range(5)]
    # when two schedulers look
    counts = await asyncio.gather(*(found_by(backend) for backend in fleet[:2]))
    # then each is due, once, and its parcel is the one that may be claimed
    assert sum(counts) == 5
    due = {parcel.id: parcel for parcel in await fleet[0].waiting.due(LATER, 100)}
    assert due.keys() == {parcel.id for parcel in lost}
    await fleet[0].waiting.promoted(list(due.values()), LATER)
    assert await found_by(fleet[1]) == 0
    parcel = due[lost[0].id]
    assert isinstance(await fleet[0].ledger.claim(claim(parcel, now=LATER)), Claimed)
    # and the one that was on its lane after all is refused
    assert not isinstance(await fleet[0].ledger.claim(claim(lost[0], "token-2", now=LATER)), Claimed)


async def test_what_is_at_work_waiting_over_or_fresh_is_not_lost(backend: PostgresBackend) -> None:
    await sent(backend.ledger)
    await claimed(backend.ledger, await planned(backend.ledger))
    await scheduled(backend.ledger, due_at=NOW + 1)
    parked = await planned(backend.ledger)
    await backend.ledger.park(parked, Wait("provider", None, key="route:sms"), NOW)
    cancelled = await planned(backend.ledger)
    await backend.ledger.cancel(TENANT, cancelled.id, NOW)
    assert await found_by(backend) == 0
    fresh = await planned(backend.ledger)
    assert await found_by(backend, before=NOW) == 0
    assert await found_by(backend) == 1
    assert await state_of(backend, fresh) == M.QUEUED


# Flushes


async def test_of_a_flush_only_the_guilty_item_fails(backend: PostgresBackend) -> None:
    ntfs = [new_id() for _ in range(9)]
    plans = [plan(birth(ntf, recipient="a\0b" if n == 4 else "user"), notification=ntf) for n, ntf in enumerate(ntfs)]
    answers = await asyncio.gather(*(backend.ledger.plan([each]) for each in plans), return_exceptions=True)
    assert [n for n, answer in enumerate(answers) if isinstance(answer, Exception)] == [4]
    assert await backend.records.message(TENANT, message_id(ntfs[8], 0)) is not None


async def test_no_outcome_is_refused_for_the_words_it_came_with(backend: PostgresBackend) -> None:
    parcel = await planned(backend.ledger)
    held = await claimed(backend.ledger, parcel)
    odd = {"reason": "odd\0", "detail": "half a pair: \ud800, and \0"}
    failed = accepted(parcel, held).decision.__class__(M.FAILED, 0, **odd)
    assert await backend.ledger.settle(outcome(parcel, held, AttemptState.REJECTED, failed, **odd)) == M.FAILED
    assert (await message_of(backend, parcel)).reason == "odd\ufffd"


async def test_a_receipt_whose_answer_crossed_it_is_joined_by_the_next_sweep_though_nobody_lived_to_look(
    backend: PostgresBackend,
) -> None:
    # given: the reference is written, and the receipt put aside, by two that die before they look again
    parcel, held = await sent(backend.ledger, ref="SM1")
    seen = msgspec.json.encode(receipt(AttemptState.DELIVERED, ref="SM1")).decode()
    insert = "insert into strays (provider, ref, at, sighting) values ('twilio-main', 'SM1', $1, $2)"
    await backend.connections.query(insert, NOW, seen)
    # when
    await backend.sweeper.slice(keys_before=0, content_before=0, rows_before=0)
    # then
    assert await state_of(backend, parcel) == M.DELIVERED
    assert (await backend.records.attempts(parcel.id))[0].id == held.attempt
    assert await backend.connections.query("select from strays") == []


# Plans of statements

_ARGUMENT = re.compile(r"\$(\d+)")
_BARE = {"epoch", "event_base", "breakers", "credentials", "rates", "sessions"}
"""Tables of one row, or of one for each provider or person, read whole."""
COLD = {"day_is_over", "delete_strays", "delete_dead_parcels", "delete_trials", "parcels_newest", "endpoints_disabled"}
"""Asked now and then, of small tables or of whole days."""


@pytest.mark.parametrize("name", sorted(SQL.keys() - COLD))
async def test_a_statement_finds_its_rows_by_an_index_though_nothing_was_ever_analysed(name: str) -> None:
    """And by the condition that joins them: not all of a range for each item, nor in the order in which they lie on the disk."""
    await make_postgres()
    connections = Connections(postgres_url())
    await Partitions(connections).make_ahead(NOW)
    await connections.close()
    db = await asyncpg.connect(postgres_url(), server_settings=SETTINGS)
    try:
        await db.execute(f"prepare asked as {SQL[name]}")
        arguments = max((int(number) for number in _ARGUMENT.findall(SQL[name])), default=0)
        given = f"({', '.join(['null'] * arguments)})" if arguments else ""
        lines = [row[0] for row in await db.fetch(f"explain execute asked{given}")]
    finally:
        await db.close()
    scanned = {match[1] for line in lines if (match := re.search(r"Seq Scan on (\w+)", line))}
    assert scanned <= _BARE, "\n".join(lines)
    for costly in ("Hash Join", "Merge Join", "Bitmap", "Join Filter", "Materialize"):
        assert not any(costly in line for line in lines), "\n".join(lines)


RANGES = ("attempts_of", "delete_attempts", "messages_within", "sweep_lock_messages", "sweep_look")
"""Statements that read a range of ids for each item."""


async def test_ranges_are_found_by_an_index_though_sorting_what_they_hold_is_dear() -> None:
    """Of a full table the server may think it better to read the whole in the order that is asked for than to sort a part of it."""
    await make_postgres()
    connections = Connections(postgres_url())
    await Partitions(connections).make_ahead(NOW)
    await connections.close()
    db = await asyncpg.connect(postgres_url(), server_settings={**SETTINGS, "enable_sort": "off"})
    try:
        for name in RANGES:
            await db.execute(f"prepare {name} as {SQL[name]}")
            lines = [row[0] for row in await db.fetch(f"explain execute {name} (null, null{', null' * (name == 'sweep_look')})")]
            assert not any("Join Filter" in line or "Seq Scan" in line for line in lines), "\n".join([name, *lines])
    finally:
        await db.close()


# Partitions


async def partitions(backend: PostgresBackend, table: str) -> set[str]:
    rows = await backend.connections.query(
        "select inhrelid::regclass::text from pg_inherits where inhparent = $1::text::regclass", table
    )
    return {row[0] for row in rows}


async def test_a_day_without_a_partition_gets_one_when_something_of_it_is_written(backend: PostgresBackend) -> None:
    day = NOW - 400 * DAY_MS
    parcels = await asyncio.gather(
        *(planned(backend.ledger, at=day) for _ in range(5)), *(planned(backend.ledger) for _ in range(5))
    )
    for parcel in parcels:
        await backend.ledger.settle(accepted(parcel, await claimed(backend.ledger, parcel, parcel.id), parcel.id))
    assert [await state_of(backend, parcel) for parcel in parcels] == [M.SENT] * 10
    assert "attempts_20251211" in await partitions(backend, "attempts")
    assert len(await backend.records.timeline(parcels[0].id)) == 2


async def test_retention_drops_days_that_are_over_and_sweeps_the_others_row_by_row(fleet: list[PostgresBackend]) -> None:
    # given: a day that is over, and one of which one message waits on
    backend = fleet[0]
    over, mixed = NOW - 300 * DAY_MS, NOW - 299 * DAY_MS
    old = [(await sent_at(backend, over)) for _ in range(3)]
    gone = await sent_at(backend, mixed)
    stays = await planned(backend.ledger, at=mixed)
    assert await backend.ledger.park(stays, Wait("rate", None, key="route:sms"), mixed)
    young, _ = await sent(backend.ledger)
    # when two sweep at once
    for each in (backend, fleet[1]):
        while await each.sweeper.slice(keys_before=0, content_before=NOW - DAY_MS, rows_before=NOW - DAY_MS):
            pass
    # then
    left = await partitions(backend, "attempts") | await partitions(backend, "events")
    assert not {"attempts_20260321", "events_20260321"} & left
    assert {"attempts_20260322", "events_20260322"} <= left
    for message in (*old, gone):
        assert await backend.records.message(TENANT, message) is None
        assert list(await backend.records.timeline(message)) == []
    assert await state_of(backend, stays) == M.QUEUED
    assert await state_of(backend, young) == M.SENT
    assert (await backend.records.audit()).violations == ()


_WAITS = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query = $1"


async def test_what_is_sent_again_while_retention_looks_at_it_is_kept(fleet: list[PostgresBackend]) -> None:
    # given: days that are over are gone, whose partitions would wait for who writes at all
    one, other, _ = fleet
    at = (int(time.time() * 1000) // DAY_MS - 5) * DAY_MS
    while await other.sweeper.slice(keys_before=0, content_before=at, rows_before=at):
        pass
    message, before = await sent_at(one, at), at + MINUTE
    async with held(one, "revive") as gate:
        reviving = asyncio.ensure_future(one.ledger.revive(TENANT, message, before))
        await gate.reached()
        # when: it is old by what is committed, and waits for who sends it again
        sweeping = asyncio.ensure_future(other.sweeper.slice(keys_before=0, content_before=before, rows_before=before))
        async with asyncio.timeout(20):
            while not await one.connections.query(_WAITS, SQL["sweep_lock_messages"]):
                assert not sweeping.done()
                await asyncio.sleep(0.01)
        gate.release()
        assert await reviving
        await sweeping
    # then
    (again,) = await one.waiting.due(before, 10)
    assert (again.id, again.content.body) == (message, "Hello")
    assert await state_of(one, message) == M.QUEUED


async def sent_at(backend: PostgresBackend, at: int) -> str:
    parcel = await planned(backend.ledger, at=at)
    await backend.ledger.settle(accepted(parcel, await claimed(backend.ledger, parcel, parcel.id, now=at), parcel.id, at=at))
    return parcel.id


# Migrations


@pytest.fixture
async def scratch() -> AsyncIterator[str]:
    """The address of an empty database."""
    name = NAME.replace("test_", "test_scratch_")
    await make_postgres()
    server = await asyncpg.connect(SERVER)
    await server.execute(f"drop database if exists {name} with (force)")
    await server.execute(f"create database {name}")
    yield urlunsplit(urlsplit(SERVER)._replace(path=f"/{name}"))
    await server.execute(f"drop database {name} with (force)")
    await server.close()


async def opens(url: str) -> None:
    async with open_postgres(url, bus=MemoryBus(ManualClock())) as backend:
        assert await backend.writable()


async def test_no_version_is_written_that_somebody_alive_does_not_read(backend: PostgresBackend) -> None:
    old, new = (PostgresRegistry(backend.connections, reads) for reads in (1, 2))
    await new.beat("new", 10)
    assert await new.readers(10) == 2
    await old.beat("old", 10)
    assert await new.readers(10) == 1
    # when the last old one has gone
    await old.leave("old")
    assert await new.readers(10) == 2
    await new.leave("new")
    assert await new.readers(10) == 1


async def test_of_several_who_migrate_at_once_one_does_and_all_find_it_done(scratch: str) -> None:
    with pytest.raises(StoreUnusable, match="migrate"):
        await opens(scratch)
    done = await asyncio.gather(*(migrate(scratch) for _ in range(4)))
    assert sorted(len(each) for each in done)[:3] == [0, 0, 0]
    assert await migrate(scratch) == []
    await opens(scratch)


@pytest.mark.parametrize(("further", "phase", "fits"), [(1, "pre", True), (1, "post", False), (2, "pre", False)])
async def test_a_process_works_beside_the_next_version_until_that_takes_away_what_it_needs(
    scratch: str, further: int, phase: str, fits: bool
) -> None:
    await migrate(scratch)
    db = await asyncpg.connect(scratch)
    await db.execute("insert into migrations (number, phase, name) values ($1, $2, 'of the future')", SCHEMA + further, phase)
    await db.close()
    if fits:
        await opens(scratch)
    else:
        with pytest.raises(StoreUnusable, match="schema"):
            await opens(scratch)
    with pytest.raises(StoreUnusable, match="upgrade"):
        await migrate(scratch)


async def test_what_was_parked_before_tenants_took_turns_is_pulled_after_the_upgrade(scratch: str) -> None:
    # given: a process of before, which knows nothing of tenants
    await migrate(scratch, post=False)
    async with open_postgres(scratch, bus=MemoryBus(ManualClock())) as backend:
        messages = await parked(backend, "a", 3)
        await backend.connections.query("update waits set tenant = default")
        await migrate(scratch)
        # when, then
        assert await backend.waiting.tenants("route:sms", Priority.NORMAL, "b", 9) == {"": 3}
        pulled = await backend.waiting.pull("route:sms", Priority.NORMAL, {"": 9})
        assert [(parcel.id, parcel.tenant) for parcel in pulled] == [(message, "a") for message in messages]


async def test_a_migration_gives_up_a_lock_that_it_does_not_get_and_tries_again(
    scratch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: somebody who reads for long
    await migrate(scratch)
    for name, value in {"LOCK_S": 0.1, "PAUSE_S": 0.05, "TURNS": 3}.items():
        monkeypatch.setattr(migrating, name, value)
    further = migrating.Migration(SCHEMA + 1, "pre", "further", "alter table epoch add column further integer")
    monkeypatch.setattr(migrating, "migrations", lambda: [further])
    monkeypatch.setattr(migrating, "SCHEMA", SCHEMA + 1)
    reader = await asyncpg.connect(scratch)
    reading = reader.transaction()
    await reading.start()
    await reader.fetch("select * from epoch")
    # Then: nothing waits behind the migration for longer than its time, and nothing of it is done
    with pytest.raises(StoreUnusable, match="nothing of it was done"):
        await migrate(scratch)
    # and: it comes through as soon as it can
    monkeypatch.setattr(migrating, "TURNS", 1000)
    asyncio.get_running_loop().call_later(0.12, lambda: done.append(asyncio.ensure_future(reading.commit())))
    done: list[object] = []
    assert await migrate(scratch) == [f"{SCHEMA + 1:04} further (pre)"]
    await reader.close()


async def test_events_of_a_restored_database_come_after_those_of_before(scratch: str) -> None:
    await migrate(scratch)
    db = await asyncpg.connect(scratch)
    await db.execute("create table events_old partition of events for values from (0) to (1)")
    await db.execute("insert into events (seq, day, at, tenant, type, subject) values (1 << 50, 0, 0, 'acme', 't', 'ntf_old')")
    await db.close()
    clock = ManualClock()
    async with open_postgres(scratch, bus=MemoryBus(clock), now_ms=clock.now_ms) as backend:
        await planned(backend.ledger)
        assert [
            event.subject_ if hasattr(event, "subject_") else event.type for event in await backend.records.events(TENANT, 0, 9)
        ] == [
            "t",
            "notification.accepted",
        ]
