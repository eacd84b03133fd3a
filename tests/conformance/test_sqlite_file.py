"""The embedded store's file as an operator meets it: what a stop leaves behind, and what a new version makes of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw
import pytest

from sendwright.drivers.embedded import SCHEMA, open_sqlite
from sendwright.errors import StoreUnusable
from sendwright.model.records import Taken
from sendwright.model.states import MessageState
from tests.conformance.builders import TENANT, offer, sent, state_of


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
    # Given a file as the version before made it, with a message in it
    path = tmp_path / "old.db"
    async with open_sqlite(path) as backend:
        message, _ = await sent(backend.ledger)
    new = _columns(path)
    db = apsw.Connection(str(path))
    db.execute(
        "drop index attempts_unheard; alter table attempts drop column look_at; update meta set value = 2 where name = 'schema'"
    )
    db.close()
    assert _columns(path) != new

    # When this version opens it, twice
    for _ in range(2):
        async with open_sqlite(path) as backend:
            assert await state_of(backend, message) == MessageState.SENT
            await sent(backend.ledger)

    # Then it is as this version makes them
    assert _columns(path) == new


@pytest.mark.parametrize("schema", [0, 1, SCHEMA + 1])
async def test_a_file_of_no_known_version_is_refused_and_left_alone(tmp_path: Path, schema: int) -> None:
    path = tmp_path / "strange.db"
    async with open_sqlite(path):
        pass
    db = apsw.Connection(str(path))
    db.execute("update meta set value = ?1 where name = 'schema'", (schema,))
    db.close()
    with pytest.raises(StoreUnusable, match=f"has schema {schema}, this version needs {SCHEMA}"):
        async with open_sqlite(path):
            pass
