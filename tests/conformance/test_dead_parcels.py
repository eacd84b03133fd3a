"""Where parcels go that nobody can read (engine/ports.py, DeadParcels), and what the recount says of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sendwright.drivers.embedded import SqliteBackend, open_sqlite
from sendwright.engine.ports import DeadParcels
from sendwright.model.ids import parcel_id
from sendwright.model.notification import Priority
from sendwright.model.parcel import Intake, intake_lane, lane, unbundle
from sendwright.model.records import DeadParcel
from tests.conformance.builders import NOW, offer
from tests.unit.engine_world import Quarantine

NORMAL = intake_lane(Priority.NORMAL)
SMS = lane("sms", Priority.NORMAL)


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[SqliteBackend]:
    async with open_sqlite(tmp_path / "a.db") as opened:
        yield opened


@pytest.fixture(params=["sqlite", "double"])
def dead(request: pytest.FixtureRequest, backend: SqliteBackend) -> DeadParcels:
    """The driver, and the double that stands for it in the unit tests."""
    return backend.quarantine if request.param == "sqlite" else Quarantine()


async def test_what_was_kept_is_listed_newest_first(dead: DeadParcels) -> None:
    for raw, at in ((b"second", NOW + 1), (b"third", NOW + 2), (b"1", NOW)):
        await dead.keep(SMS, raw, f"problem {at - NOW}", at)
    listed = await dead.newest(2)
    assert list(listed) == [
        DeadParcel(parcel_id(SMS, b"third"), SMS, NOW + 2, "problem 2", 5),
        DeadParcel(parcel_id(SMS, b"second"), SMS, NOW + 1, "problem 1", 6),
    ]
    assert [row.size for row in await dead.newest(9)] == [5, 6, 1]


async def test_the_same_bytes_are_kept_once_in_each_lane(dead: DeadParcels) -> None:
    for _ in range(2):
        await dead.keep(SMS, b"7", "first", NOW)
    await dead.keep(NORMAL, b"7", "other lane", NOW)
    assert {(row.id, row.lane) for row in await dead.newest(9)} == {
        (parcel_id(SMS, b"7"), SMS),
        (parcel_id(NORMAL, b"7"), NORMAL),
    }


async def test_one_is_found_with_the_very_bytes(dead: DeadParcels) -> None:
    raw = b"[\x00\xff not json"
    await dead.keep(SMS, raw, "p", NOW)
    assert await dead.found(parcel_id(SMS, raw)) == (DeadParcel(parcel_id(SMS, raw), SMS, NOW, "p", len(raw)), raw)
    assert await dead.found(parcel_id(NORMAL, raw)) is None


async def test_one_is_dropped_and_no_other(dead: DeadParcels) -> None:
    await dead.keep(SMS, b"1", "p", NOW)
    await dead.keep(SMS, b"2", "p", NOW)
    assert [await dead.drop(parcel_id(SMS, b"1")) for _ in range(2)] == [True, False]
    assert [row.id for row in await dead.newest(9)] == [parcel_id(SMS, b"2")]


@pytest.mark.parametrize("again_at", [NOW - 1000, NOW, NOW + 1000])
async def test_one_that_was_kept_again_is_not_dropped_as_what_it_was(dead: DeadParcels, again_at: int) -> None:
    name = parcel_id(SMS, b"7")
    await dead.keep(SMS, b"7", "before", NOW)
    await dead.keep(SMS, b"7", "again", again_at)
    assert not await dead.drop(name, NOW)
    (row,) = await dead.newest(9)
    assert (row.id, row.problem) == (name, "again")
    assert row.at > NOW
    assert await dead.drop(name, row.at)
    assert await dead.newest(9) == []


async def test_what_is_tried_is_counted_until_it_is_cleared(dead: DeadParcels) -> None:
    assert [await dead.tried(SMS, b"7", by, NOW) for by in ("a", "b", "c")] == [0, 1, 2]
    assert await dead.tried(NORMAL, b"7", "a", NOW) == 0
    assert await dead.tried(SMS, b"8", "a", NOW) == 0
    for _ in range(2):
        await dead.cleared(SMS, b"7")
    assert [await dead.tried(SMS, b"7", "d", NOW), await dead.tried(SMS, b"8", "d", NOW)] == [0, 1]


async def test_who_asks_again_since_the_answer_was_lost_is_counted_once(dead: DeadParcels) -> None:
    assert [await dead.tried(SMS, b"7", by, NOW) for by in ("a", "a", "b", "b", "b", "c")] == [0, 0, 1, 1, 1, 2]


async def test_the_count_of_what_is_dropped_goes_with_it(dead: DeadParcels) -> None:
    name = parcel_id(SMS, b"7")
    await dead.tried(SMS, b"7", "a", NOW)
    await dead.keep(SMS, b"7", "p", NOW)
    assert not await dead.drop(name, NOW - 1)
    assert await dead.tried(SMS, b"7", "b", NOW) == 1
    assert await dead.drop(name)
    assert await dead.tried(SMS, b"7", "c", NOW) == 0


async def test_what_was_kept_for_its_version_is_found_by_who_reads_it(dead: DeadParcels) -> None:
    await dead.keep(SMS, b"3", "p", NOW + 1, 3)
    await dead.keep(SMS, b"2", "p", NOW + 2, 2)
    await dead.keep(SMS, b"2b", "p", NOW, 2)
    await dead.keep(SMS, b"x", "no version's fault", NOW)
    assert await dead.legible(1, 9) == []
    assert [raw for _, raw in await dead.legible(2, 9)] == [b"2b", b"2"]
    assert {raw for _, raw in await dead.legible(3, 9)} == {b"2", b"2b", b"3"}
    assert len(await dead.legible(3, 2)) == 2
    # and: not when something else turns out to be wrong with it
    await dead.keep(SMS, b"2", "broken", NOW)
    assert [raw for _, raw in await dead.legible(2, 9)] == [b"2b"]


async def test_dead_parcels_outlive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    async with open_sqlite(path) as first:
        for raw in (b"kept", b"gone"):
            await first.quarantine.keep(SMS, raw, "p", NOW)
        await first.quarantine.drop(parcel_id(SMS, b"gone"))
    async with open_sqlite(path) as second:
        assert await second.quarantine.found(parcel_id(SMS, b"kept")) is not None
        assert [row.size for row in await second.quarantine.newest(9)] == [4]


async def accepted_and_kept(backend: SqliteBackend, change: tuple[bytes, bytes]) -> tuple[str, bytes]:
    """A notification that was accepted under a key, and whose parcel, changed so, was put aside; its dead parcel's id and bytes."""
    await backend.desk.offer(offer(key="order-1"))
    delivery = await backend.bus.take(NORMAL)
    raw = delivery.body[1:-1].replace(*change)
    await backend.quarantine.keep(NORMAL, raw, "p", NOW)
    await backend.bus.done(delivery)
    return parcel_id(NORMAL, raw), raw


@pytest.mark.parametrize("change", [(b"", b""), (b'"tenant":"acme"', b'"tenant":7'), (b'{"id"', b'{"v":2,"id"')])
async def test_an_accepted_notification_among_the_dead_parcels_has_a_known_place(
    backend: SqliteBackend, change: tuple[bytes, bytes]
) -> None:
    name, _ = await accepted_and_kept(backend, change)
    audit = await backend.records.audit()
    assert (audit.accepted, audit.planned, audit.waiting, audit.violations) == (1, 0, 1, ())
    # and it is missed when that is gone
    await backend.quarantine.drop(name)
    audit = await backend.records.audit()
    assert (audit.waiting, {violation.kind for violation in audit.violations}) == (0, {"gap", "lost"})


DEEP = b'{"deep":' + b"[" * 5_000 + b"]" * 5_000 + b',"id"'


@pytest.mark.parametrize("change", [(b'"id":"', b'"id":"\xff'), (b"}", b""), (b'"process"', b'"prosess"'), (b'{"id"', DEEP)])
async def test_one_that_says_nothing_of_itself_is_missed(backend: SqliteBackend, change: tuple[bytes, bytes]) -> None:
    await accepted_and_kept(backend, change)
    audit = await backend.records.audit()
    assert "gap" in {violation.kind for violation in audit.violations}


async def test_a_parcel_of_another_lane_stands_for_no_notification(backend: SqliteBackend) -> None:
    name, raw = await accepted_and_kept(backend, (b"", b""))
    await backend.quarantine.keep(SMS, raw, "p", NOW)
    await backend.quarantine.drop(name)
    assert (await backend.records.audit()).waiting == 0


async def test_a_replayed_parcel_comes_back_from_its_lane_as_it_was(backend: SqliteBackend) -> None:
    name, raw = await accepted_and_kept(backend, (b"", b""))
    found = await backend.quarantine.found(name)
    assert found is not None
    await backend.bus.publish(found[0].lane, [found[1]])
    assert await backend.quarantine.drop(name, found[0].at)
    delivery = await backend.bus.take(NORMAL)
    assert delivery.body == b"[" + raw + b"]"
    assert len(unbundle(Intake, delivery.body)) == 1
    assert (await backend.records.audit()).violations == ()
