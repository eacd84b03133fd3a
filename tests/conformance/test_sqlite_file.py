"""The embedded store's file as an operator meets it: what a stop leaves behind."""

from __future__ import annotations

import shutil
from pathlib import Path

from sendwright.drivers.embedded import open_sqlite
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
