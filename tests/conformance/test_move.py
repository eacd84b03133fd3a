"""From a SQLite file to PostgreSQL and a bus: everything is there afterwards, wherever the move was killed in between."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest
from msgspec.structs import replace

from sendwright.app import moving
from sendwright.app.engines import lanes_of
from sendwright.drivers.bus.memory import MemoryBus
from sendwright.drivers.clustered import PostgresBackend, open_postgres
from sendwright.drivers.embedded import SqliteBackend, open_sqlite
from sendwright.drivers.move import source as sources
from sendwright.drivers.move.source import open_source
from sendwright.drivers.move.tables import ELSEWHERE, TABLES
from sendwright.drivers.move.target import open_target
from sendwright.drivers.restore.file import open_file
from sendwright.errors import OperatorError, StoreUnusable
from sendwright.model.api_key import ApiKey
from sendwright.model.endpoint import Endpoint, Posting, Tried, Try, posting_id
from sendwright.model.ids import reply_id
from sendwright.model.notification import Priority
from sendwright.model.parcel import INBOUND, Intake, Parcel, bundle, pack, split, unbundle
from sendwright.model.people import Change, Heard
from sendwright.model.records import AttemptRecord, Cancelled, Conflict, Order, Page, Switch, Taken, Wait
from sendwright.model.said import Said
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.suppression import suppression
from tests.conformance.builders import (
    EMAIL,
    MARKER,
    MINUTE,
    NOW,
    SMS,
    TENANT,
    ManualClock,
    accepted,
    birth,
    claimed,
    later,
    lost,
    new_id,
    offer,
    plan,
    receipt,
    rejected,
    state_of,
)
from tests.conformance.postgres_server import UNSYNCED, empty_postgres, make_postgres, postgres_url
from tests.conformance.sqs_backends import sqs_fake

pytestmark = pytest.mark.slow

LANES = lanes_of(["sms", "email"])
PAGE = 8
"""Rows of a page here, so that every table has several."""
ODD = "half a pair \N{PILE OF POO} and \0"


async def furnish(house: SqliteBackend) -> None:
    """Something of everything that can lie in the file."""
    for number in range(12):
        await house.desk.offer(offer(f"key-{number}", priority=Priority.NORMAL))
    bundles = [await house.bus.take("intake.normal") for _ in range(12)]
    parcels = []
    for number, intake in enumerate(intake for taken in bundles for intake in unbundle(Intake, taken.body)):
        named: dict[str, Any] = {"notification": intake.id, "process": intake.process, "number": intake.number, "key": intake.key}
        if number == 10:
            named["metadata"] = {"a": ODD}
            births = [birth(intake.id, ordinal, (SMS, EMAIL), recipient=f"user-{ordinal}") for ordinal in range(3)]
        elif number == 7:
            wait = Wait("time", NOW + MINUTE, until=NOW + MINUTE)
            births = [birth(intake.id, state=MessageState.SCHEDULED, wait=wait)]
        else:
            births = []
        doubt = "hold" if number == 3 else "resend"
        (planned,) = await house.ledger.plan([plan(*births, on_doubt=doubt, content=Said(body=ODD), **named)])
        parcels.append(planned[0] if planned else None)
        await house.bus.publish("email.bulk", [pack(parcel) for parcel in planned[1:]])
    for taken in bundles:
        await house.bus.done(taken)
    await live(house, parcels)
    for number in range(3):  # accepted, and nobody has planned them yet
        await house.desk.offer(offer(f"late-{number}", priority=Priority.HIGH))
    await house.desk.offer(offer(body=b'{"to":"x","content":{"body":"\xf0\x9f\x92\xa9"}}', priority=Priority.BULK))
    await house.bus.publish(INBOUND, [pack(receipt(AttemptState.READ, ref="nobody-knows"))])


async def live(house: SqliteBackend, parcels: list[Any]) -> None:
    """Brings the messages to states of all kinds."""
    queued, sent, delivered, doubted, retried, sending, dead, _, parked, cancelled, fanned, old = parcels
    await house.bus.publish("sms.normal", [pack(parcel) for parcel in (queued, fanned, sent)])
    await house.bus.publish("push.normal", [pack(old)])  # whose channel nobody serves over there
    for number, parcel in enumerate((sent, delivered)):
        held = await claimed(house.ledger, parcel, call="call_1-7")
        await house.ledger.settle(accepted(parcel, held, ref=f"ref-{number}"))
    await house.ledger.observe(receipt(AttemptState.DELIVERED, ref="ref-1"), NOW)
    await house.ledger.settle(lost(doubted, await claimed(house.ledger, doubted)))
    await house.ledger.settle(later(retried, await claimed(house.ledger, retried), detail=ODD))
    await claimed(house.ledger, sending)
    await house.ledger.settle(rejected(dead, await claimed(house.ledger, dead)))
    await house.ledger.park(parked, Wait("provider", None, key="route:sms", name="twilio-main"), NOW)
    assert await house.ledger.cancel(TENANT, cancelled.id, NOW) == Cancelled(cancelled=1)
    assert await house.ledger.cancel(TENANT, new_id(), NOW) == Cancelled(unplanned=1)
    await house.ledger.observe(receipt(AttemptState.DELIVERED, ref="of-nobody"), NOW)
    await house.quarantine.keep("sms.normal", b"\x00\xff no parcel", "it is not JSON", NOW)
    await house.switchboard.set(Switch("twilio-main", enabled=False, rate="5/s"), {"enabled", "rate"})
    await house.switchboard.reorder(Order("sms", ("vonage-eu", "twilio-main")))
    for number, scopes in enumerate((("send",), ("read", "admin"))):
        await house.keyring.add(ApiKey(f"swk_{number:08}", TENANT, "half", scopes, bytes(32), NOW, rate="5/s" if number else None))
    await peopled(house)


async def peopled(house: SqliteBackend) -> None:
    """Recipients, somebody erased, suppressions and replies."""
    changes = [
        Change(TENANT, f"user-{number}", {"email": EMAIL.address, "locale": "pt"}, NOW, f"m{number}") for number in range(10)
    ]
    await house.directory.write(changes)
    await house.directory.erase(TENANT, "nobody", "m99", NOW)
    for channel in ("sms", "email", ""):
        await house.suppressions.add(
            suppression(MARKER, TENANT, channel, SMS.address, "opted_out", "manual", NOW, "marketing", NOW + MINUTE)
        )
    await house.suppressions.hear(Heard(reply_id(NOW, "p", "r1"), TENANT, "p", "r1", "m", NOW, "{}"))
    await point(house)


async def point(house: SqliteBackend) -> None:
    """An endpoint, and something on its way there."""
    made = Endpoint("end_1", TENANT, "https://example.org/", ODD[:4], ("message.sent",), b"\x01\x00", b"\xff", 9, None, NOW, 2)
    await house.endpoints.add(made)
    first, second = (
        Posting(posting_id("end_1", seq), "end_1", seq, "message.sent", "msg_1", NOW, "{}", due_at=NOW) for seq in (3, 4)
    )
    await house.endpoints.spread(made, 4, [first, second])
    await house.endpoints.tried(Tried(replace(first, count=1, tries=(Try(NOW, 500, "no", 3),)), NOW, ok=False))


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("house") / "sendwright.db"

    async def make() -> None:
        async with open_sqlite(path) as house:
            await furnish(house)

    asyncio.run(make())
    return path


@pytest.fixture
def file(furnished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(furnished, tmp_path / "sendwright.db"))


@pytest.fixture(autouse=True)
async def database() -> AsyncIterator[None]:
    """Empty, before and after."""
    await make_postgres()
    await emptied()
    yield
    await emptied()


async def emptied() -> None:
    db = await asyncpg.connect(postgres_url())
    try:
        await empty_postgres(db)
        await db.execute("drop table if exists moves; alter sequence wait_serials restart; update event_base set value = 0")
    finally:
        await db.close()


def quiet(stage: str, done: int, total: int) -> None:
    assert 0 < done <= total, stage


async def moved(file: Path, bus: Any = None, kill: Kill | None = None) -> Any:
    bus = bus or MemoryBus(ManualClock())
    dies = kill or Kill(None)
    with open_source(file) as source:
        async with open_target(postgres_url(), settings=UNSYNCED) as target:
            await moving.carry(dies.watch(source), dies.watch(target), dies.watch(bus), LANES, quiet)
    return bus


@asynccontextmanager
async def over_there(bus: MemoryBus) -> AsyncIterator[PostgresBackend]:
    async with open_postgres(
        postgres_url(), bus=bus, now_ms=lambda: NOW, in_flight=lambda: list(bus.undone()), settings=UNSYNCED
    ) as opened:
        yield opened


class Killed(BaseException):
    """As far as the move is concerned, its end."""


class Kill:
    """Ends a move at the `at`-th thing that it does outside itself, before that or right after."""

    WATCHED = frozenset({"begin", "publishing", "over", "alone", "fill", "note", "counts", "finish", "publish", "page", "bundles"})

    def __init__(self, at: int | None, *, after: bool = False) -> None:
        self._left = at
        self._after = after
        self.struck = False

    def watch(self, inner: Any) -> Any:
        kill = self

        class Watched:
            def __getattr__(self, name: str) -> Any:
                found = getattr(inner, name)
                return kill._around(found) if name in kill.WATCHED else found

        return Watched()

    def _around(self, does: Callable[..., Any]) -> Callable[..., Any]:
        def around(*args: Any, **named: Any) -> Any:
            strikes = self._left == 0
            if self._left is not None:
                self._left -= 1
            if strikes and not self._after:
                self._strike()
            answer = does(*args, **named)
            if strikes and hasattr(answer, "__await__"):
                return self._awaited(answer)
            if strikes:
                self._strike()
            return answer

        return around

    async def _awaited(self, answer: Awaitable[Any]) -> Any:
        await answer
        self._strike()

    def _strike(self) -> None:
        self.struck = True
        raise Killed


def parcels_on(bus: MemoryBus) -> Counter[tuple[str, bytes]]:
    return Counter((lane, raw) for lane, body in bus.undone() for raw in split(body))


def parcels_in(file: Path) -> Counter[tuple[str, bytes]]:
    db = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        rows = db.execute("select lane, body from bundles").fetchall()
    finally:
        db.close()
    return Counter((lane.replace("push.", "sms."), raw) for lane, body in rows for raw in split(body))


async def rows_there() -> dict[str, list[str]]:
    """Every row of the database, but for the times at which the move itself took place."""
    db = await asyncpg.connect(postgres_url())
    own = {"processes": ("reported_at", "marked_at"), "strays": ("id",)}
    try:
        found = {}
        for table in [*(table.name for table in TABLES), "epoch"]:
            rows = await db.fetch(f"select * from {table}")
            left = own.get(table, ())
            found[table] = sorted(repr({key: value for key, value in row.items() if key not in left}) for row in rows)
        return found
    finally:
        await db.close()


async def test_every_message_attempt_event_and_wait_reads_the_same_afterwards(file: Path) -> None:
    # Given
    async with open_sqlite(Path(shutil.copy(file, file.with_name("before.db")))) as house:
        before = await everything(house)
        audit = await house.records.audit()
    assert audit.violations == ()
    assert len(before["messages"]) == 14

    # When
    bus = await moved(file)

    # Then
    async with over_there(bus) as there:
        after = await everything(there)
        assert {name: after[name] for name in before} == before
        recount = await there.records.audit()
        assert recount == audit, "both counts, the figures of the accepting processes included"


async def everything(house: Any) -> dict[str, Any]:
    listed = (await house.records.list_messages(Page(TENANT, limit=200))).rows
    notifications = (await house.records.list_notifications(Page(TENANT, limit=200))).rows
    return {
        "messages": [await house.records.message(TENANT, row.id) for row in listed],
        "attempts": [[kept(attempt) for attempt in await house.records.attempts(row.id)] for row in listed],
        "timelines": [[one(event) for event in await house.records.timeline(row.id)] for row in listed],
        "notifications": notifications,
        "events": [one(event) for event in await house.records.events(TENANT, 0, 500)],
        "dead": await house.records.dead_causes(TENANT),
        "parcels": [await house.quarantine.found(each.id) for each in await house.quarantine.newest(10)],
        "switches": await house.switchboard.read(),
        "routes": await house.switchboard.orders(),
        "api keys": await house.keyring.page(None, 10),
        "recipients": await house.directory.page(TENANT, 100, None),
        "suppressions": await house.suppressions.page(TENANT, 100, None, NOW),
        "endpoints": await house.endpoints.page(TENANT, 10),
        "postings": await house.endpoints.postings("end_1", None, 10),
        "next": await house.waiting.next_due(),
        "parked": await house.waiting.parked(),
    }


def kept(attempt: AttemptRecord) -> AttemptRecord:
    """As PostgreSQL keeps a vendor's words, which it can't with a NUL in them."""
    return replace(attempt, detail=attempt.detail.replace("\0", "\ufffd"))


def one(event: Any) -> tuple[Any, ...]:
    return (event.seq, event.at, event.type, event.notification, event.message, event.detail)


async def test_a_retry_with_its_key_replays_under_the_same_id_afterwards(file: Path) -> None:
    async with open_sqlite(Path(shutil.copy(file, file.with_name("before.db")))) as house:
        ids = {key: await house.desk.stored(TENANT, key) for key in ("key-1", "late-2")}

    async with over_there(await moved(file)) as there:
        for key, id_ in ids.items():
            assert await there.desk.offer(offer(key)) == Taken(str(id_), replayed=True)
        assert await there.desk.offer(offer("key-1", b"another body")) == Conflict()


async def test_what_was_under_way_goes_on_afterwards(file: Path) -> None:
    bus = await moved(file)

    async with over_there(bus) as there:
        taken = await there.bus.take("sms.normal")
        parcels = {parcel.id: parcel for parcel in unbundle(Parcel, taken.body)}
        free = [parcel for parcel in parcels.values() if (await state_of(there, parcel)) == MessageState.QUEUED]
        for parcel in free:
            held = await claimed(there.ledger, parcel, epoch=3)
            assert await there.ledger.settle(accepted(parcel, held)) == MessageState.SENT
        (due,) = [p for p in await there.waiting.due(NOW + MINUTE, 10) if await state_of(there, p) == MessageState.SCHEDULED]
        await there.waiting.promoted([due], NOW + MINUTE)
        assert await state_of(there, due) == MessageState.QUEUED
        events = await there.records.events(TENANT, 0, 500)
        assert [event.seq for event in events] == sorted({event.seq for event in events}), "new events come after those of the file"
        assert events[-1].type == "message.sent"


async def test_what_waits_anew_has_a_serial_that_no_moved_wait_has(file: Path) -> None:
    with sqlite(file) as db:
        db.execute("update waits set serial = serial + 1000000")

    async with over_there(await moved(file)) as there:
        ((queued, *_),) = await there.ledger.plan([plan(process="new", number=1)])
        await there.ledger.park(queued, Wait("provider", None, key="route:sms"), NOW)
        pulled = await there.waiting.pull("route:sms", Priority.NORMAL, {TENANT: 10})
        assert [parcel.id for parcel in pulled][-1] == queued.id, "in the order in which they came"


async def test_all_that_lay_on_the_lanes_is_on_the_bus_and_what_has_no_provider_there_is_where_somebody_looks(file: Path) -> None:
    expected = parcels_in(file)

    assert parcels_on(await moved(file)) == expected
    assert len(expected) > 8


async def test_the_lanes_can_be_moved_to_sqs_as_well(file: Path) -> None:
    expected = parcels_in(file)

    async with sqs_fake() as sqs:
        await moved(file, sqs.bus)
        found = Counter[tuple[str, bytes]]()
        while found.total() < expected.total():
            for lane in {lane for lane, _ in (expected - found)}:
                taken = await sqs.bus.take(lane)
                found += Counter((lane, raw) for raw in split(taken.body))
                await sqs.bus.done(taken)

    assert found.keys() == expected.keys()


async def test_a_parcel_that_nobody_can_read_is_a_dead_one_and_takes_no_other_with_it(file: Path) -> None:
    with sqlite(file) as db:
        db.execute("insert into bundles (seq, lane, count, at, body) values (9999, 'sms.normal', 1, 0, ?)", (b'[{"id": ',))
    expected = parcels_in(file) - Counter([("sms.normal", b'[{"id": ')])

    bus = await moved(file)

    assert parcels_on(bus) == expected
    async with over_there(bus) as there:
        kept = [await there.quarantine.found(each.id) for each in await there.quarantine.newest(10)]
        assert b'[{"id": ' in [found[1] for found in kept if found is not None]


@pytest.mark.parametrize("part", range(4))
async def test_killed_at_any_step_and_started_again_it_ends_the_same(
    furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    # Given: pages so small that the larger tables have several
    monkeypatch.setattr(sources, "PAGE_ROWS", PAGE)
    monkeypatch.setattr(sources, "PAGE_BUNDLES", PAGE)
    whole = await moved(Path(shutil.copy(furnished, tmp_path / "whole.db")))
    rows, parcels = await rows_there(), parcels_on(whole)
    assert sum(len(table) for table in rows.values()) > 60

    for step in itertools.count(part, 4):
        # When: it ends before one step, then after another
        await emptied()
        file = Path(shutil.copy(furnished, tmp_path / "killed.db"))
        bus = MemoryBus(ManualClock())
        first, second = Kill(step), Kill(step % 7, after=True)
        for kill in (first, second):
            with contextlib.suppress(Killed):
                await moved(file, bus, kill)
            if kill is first and not first.struck:
                break
        if not first.struck:
            break
        await moved(file, bus)

        # Then
        assert await rows_there() == rows, step
        again = parcels_on(bus)
        assert again.keys() == parcels.keys(), step
        assert all(times <= 3 for times in again.values()), "a page at a time, and each kill doubles one at most"
    assert step > 40


async def start(file: Path) -> None:
    """A move that was killed after its first page."""
    with pytest.raises(Killed):
        await moved(file, kill=Kill(4, after=True))


async def test_nobody_opens_either_side_while_a_move_is_not_finished(file: Path) -> None:
    await start(file)

    with pytest.raises(StoreUnusable, match="is being moved"):
        async with open_sqlite(file):
            pass
    with pytest.raises(StoreUnusable, match="not finished"):
        async with over_there(MemoryBus(ManualClock())):
            pass


async def test_the_file_is_nobodys_once_it_is_moved(file: Path) -> None:
    await moved(file)

    with pytest.raises(StoreUnusable, match="was moved"):
        async with open_sqlite(file):
            pass
    with pytest.raises(OperatorError, match="no way back"):
        moving.abandon(file)


async def test_a_move_can_be_given_up_before_anything_is_published_and_its_database_is_used_by_nobody(file: Path) -> None:
    await start(file)

    moving.abandon(file)

    async with open_sqlite(file) as house:
        assert (await house.records.audit()).violations == ()
    with pytest.raises(StoreUnusable, match="another move, or of one that was given up"):
        await moved(file)


async def test_nothing_is_given_up_where_nothing_has_begun(file: Path) -> None:
    with pytest.raises(OperatorError, match="no move"):
        moving.abandon(file)


async def test_a_file_in_use_is_refused(file: Path) -> None:
    async with open_sqlite(file):
        with pytest.raises(StoreUnusable, match="Stop it first"):
            await moved(file)


async def test_a_backup_is_held_before_it_is_moved_and_what_it_was_held_by_is_known_there(file: Path) -> None:
    with sqlite(file) as db:
        db.execute("insert into meta (name, value) values ('copied', 1)")
    with pytest.raises(StoreUnusable, match="sendwright restore"):
        await moved(file)
    with open_file(file) as restored:
        await restored.begin()
        await restored.release(NOW)
    async with over_there(await moved(file)) as there:
        assert there.fence_at == NOW


async def test_a_file_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="does not exist"):
        await moved(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


async def test_a_database_that_is_not_empty_is_refused(file: Path) -> None:
    async with over_there(MemoryBus(ManualClock())) as there:
        await there.ledger.plan([plan()])

    with pytest.raises(StoreUnusable, match="not empty"):
        await moved(file)


async def test_a_database_that_others_have_open_is_refused(file: Path) -> None:
    async with over_there(MemoryBus(ManualClock())):
        with pytest.raises(StoreUnusable, match="stop them first"):
            await moved(file)


async def test_a_row_that_somebody_else_wrote_meanwhile_stops_it_before_anything_is_published(file: Path) -> None:
    await start(file)
    db = await asyncpg.connect(postgres_url())
    await db.execute("insert into strays (provider, ref, at, sighting) values ('x', 'z', 0, '{}')")
    await db.close()
    bus = MemoryBus(ManualClock())

    with pytest.raises(StoreUnusable, match="strays: 1 here, 2 there"):
        await moved(file, bus)

    assert list(bus.undone()) == []


@contextmanager
def sqlite(file: Path) -> Iterator[apsw.Connection]:
    """The file by itself."""
    db = apsw.Connection(str(file))
    try:
        yield db
    finally:
        db.close()


def test_every_table_and_column_of_the_file_is_moved_or_left_on_purpose(furnished: Path) -> None:
    with sqlite(furnished) as db:
        names = {row[0] for row in db.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")}
        assert names == {table.name for table in TABLES} | ELSEWHERE
        for table in TABLES:
            columns = {row[1] for row in db.execute(f"pragma table_info({table.name})")}
            assert columns == {*table.columns, *table.left}, table.name


async def test_every_column_of_the_database_is_filled_or_has_a_default() -> None:
    db = await asyncpg.connect(postgres_url())
    try:
        for table in TABLES:
            rows = await db.fetch(
                "select column_name, is_generated = 'ALWAYS' or is_identity = 'YES' as made from information_schema.columns"
                " where table_name = $1 and table_schema = current_schema()",
                table.name,
            )
            columns = {row[0] for row in rows if not row[1]}
            left = {"waits": {"holder", "leased_until"}, "processes": {"marked", "overdue"}}.get(table.name, set())
            assert columns == {*table.filled} | left, table.name
    finally:
        await db.close()


def test_a_bundle_of_the_file_is_cut_by_what_it_weighs(file: Path) -> None:
    with sqlite(file) as db:
        for seq in range(10_000, 10_010):
            body = bundle([b'"' + b"x" * 1_000_000 + b'"'])
            db.execute("insert into bundles (seq, lane, count, at, body) values (?, 'sms.bulk', 1, 0, ?)", (seq, body))

    with open_source(file) as source:
        sizes = []
        after = 9_999
        while found := source.bundles(after):
            after = found[-1].seq
            sizes.append(len(found))

    assert max(sizes) <= 3
    assert sum(sizes) == 10
