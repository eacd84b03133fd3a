"""The embedded store's file as an operator meets it: what a stop leaves behind, and what a new version makes of it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import apsw
import pytest

from sendwright.drivers.embedded import SCHEMA, open_sqlite
from sendwright.drivers.store.sqlite.sql import SQL, schema
from sendwright.errors import StoreUnusable
from sendwright.model.ids import parcel_id
from sendwright.model.notification import Priority
from sendwright.model.records import Taken
from sendwright.model.states import MessageState
from tests.conformance.builders import MINUTE, NOW, TENANT, offer, sent, state_of


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


def _columns(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table and index, and what it consists of."""
    db = apsw.Connection(str(path))
    names = [str(row[0]) for row in db.execute("select name from sqlite_master where name not like 'sqlite_%' order by name")]
    found = {name: [*db.execute(f"pragma table_info({name})"), *db.execute(f"pragma index_info({name})")] for name in names}
    db.close()
    return found


async def test_a_file_of_the_version_before_is_brought_up_to_date_with_all_that_is_in_it(tmp_path: Path) -> None:
    # Given a file as the version before made it, with one message that was taken and one that waits
    path = tmp_path / "old.db"
    db = apsw.Connection(str(path))
    db.execute(Path(__file__).with_name("schema_2.sql").read_text())
    db.close()

    # When this version opens it, twice
    for _ in range(2):
        async with open_sqlite(path) as backend:
            # Then all of it is there
            assert await state_of(backend, f"msg_{'a00':0>34}") == MessageState.SENT
            assert [parcel.id for parcel in await backend.waiting.due(NOW + MINUTE, 10)] == [f"msg_{'b00':0>34}"]
            assert await backend.waiting.tenants("route:sms", Priority.NORMAL, "", 10) == {TENANT: 1}
            dead = await backend.quarantine.found(parcel_id("sms.normal", b"7"))
            assert dead is not None
            assert dead[1] == b"7"
            assert await backend.quarantine.legible(9, 9) == []
            await sent(backend.ledger)

    # and the file is as this version makes them
    async with open_sqlite(tmp_path / "new.db"):
        pass
    assert _columns(path) == _columns(tmp_path / "new.db")


@pytest.mark.parametrize("number", [0, 1, SCHEMA + 1])
async def test_a_file_of_no_known_version_is_refused_and_left_alone(tmp_path: Path, number: int) -> None:
    path = tmp_path / "strange.db"
    async with open_sqlite(path):
        pass
    db = apsw.Connection(str(path))
    db.execute("update meta set value = ?1 where name = 'schema'", (number,))
    db.close()
    with pytest.raises(StoreUnusable, match=f"has schema {number}, this version needs {SCHEMA}"):
        async with open_sqlite(path):
            pass


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
