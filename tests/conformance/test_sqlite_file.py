"""The embedded store's file as an operator meets it: what a stop leaves behind."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import apsw
import pytest

from sendwright.drivers.embedded import open_sqlite
from sendwright.drivers.store.sqlite.sql import SQL, schema
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


@pytest.mark.parametrize(
    ("name", "looks"),
    [
        ("waits_due", ["SEARCH waits USING COVERING INDEX waits_due (priority=? AND due_at>? AND due_at<?)"]),
        ("waits_next", ["SEARCH w USING COVERING INDEX waits_due (priority=? AND due_at>?)"]),
        ("waits_keys", [
            "SCAN waits USING COVERING INDEX waits_parked",  # its first entry
            "SEARCH w USING COVERING INDEX waits_parked (key>?)",
            "SEARCH w USING COVERING INDEX waits_parked (key=? AND priority=?)",
        ]),
        ("waits_tenants", [
            "SEARCH waits USING COVERING INDEX waits_parked (key=? AND priority=? AND tenant>?)",
            "SEARCH w USING COVERING INDEX waits_parked (key=? AND priority=? AND tenant>?)",
            "SEARCH waits USING COVERING INDEX waits_parked (key=? AND priority=? AND tenant<?)",
            "SEARCH w USING COVERING INDEX waits_parked (key=? AND priority=? AND tenant>? AND tenant<?)",
            "SEARCH w USING COVERING INDEX waits_parked (key=? AND priority=? AND tenant=?)",
        ]),
        ("waits_pull", [
            "SEARCH w USING COVERING INDEX waits_parked (key=? AND priority=? AND tenant=? AND serial>?)",
            "SEARCH w USING COVERING INDEX waits_parked (key=? AND priority=? AND tenant=? AND serial=?)",
        ]),
    ],
)  # fmt: skip
def test_what_waits_is_found_by_its_index_though_nothing_was_ever_analysed(name: str, looks: list[str]) -> None:
    """None of them looks at all that is parked under one key, or of one tenant, to find the next."""
    db = apsw.Connection(":memory:")
    db.execute(schema())
    nothing = (None,) * max((int(number) for number in re.findall(r"\?(\d)", SQL[name])), default=0)
    plan = [row[3] for row in db.execute(f"explain query plan {SQL[name]}", nothing)]
    assert sorted({line for line in plan if "INDEX waits" in line}) == sorted(looks), "\n".join(plan)
