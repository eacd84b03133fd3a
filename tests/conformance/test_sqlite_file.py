"""The embedded store's file as an operator meets it: what a stop leaves behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw

from sendwright.drivers.embedded import open_sqlite
from sendwright.model.ids import parcel_id
from sendwright.model.records import Taken
from tests.conformance.builders import TENANT, offer


async def test_a_store_that_was_stopped_is_whole_in_its_one_file(tmp_path: Path) -> None:
    # Given a notification that is durable and was looked at, and a stop in order
    async with open_sqlite(tmp_path / "stopped.db") as backend:
        taken = await backend.desk.offer(offer(key="kept"))
        assert isinstance(taken, Taken)
        assert await backend.desk.stored(TENANT, "kept") == taken.id

    # When the database file alone is copied
    shutil.copy(tmp_path / "stopped.db", tmp_path / "copied.db")

    # Then the copy knows all of it
    async with open_sqlite(tmp_path / "copied.db") as backend:
        assert await backend.desk.stored(TENANT, "kept") == taken.id


async def test_a_file_of_an_earlier_day_gets_what_has_come_to_its_schema(tmp_path: Path) -> None:
    # Given: one as it was made before there were trials
    path = tmp_path / "a.db"
    async with open_sqlite(path) as made:
        await made.quarantine.keep("sms.normal", b"7", "p", 1)
    db = apsw.Connection(str(path))
    db.execute("drop table trials; alter table dead_parcels drop column version")
    db.close()
    # Then
    for before in range(2):
        async with open_sqlite(path) as opened:
            found = await opened.quarantine.found(parcel_id("sms.normal", b"7"))
            assert found is not None
            assert found[1] == b"7"
            assert await opened.quarantine.legible(9, 9) == []
            assert await opened.quarantine.tried("sms.normal", b"7", 1) == before
