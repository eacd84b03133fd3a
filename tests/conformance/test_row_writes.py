"""What a message costs the embedded store, in rows: the rule is six, an event or two beside, and one more with a key."""

from __future__ import annotations

import pytest

from tests.conformance.row_counts import Writes, row_writes

COUNT = 200
SHARED = {"bundles", "processes", "meta"}
"""The bus's own rows, the count of the accepting process, and how far the file has come: one for many messages."""


def _of(writes: Writes, *tables: str) -> int:
    return sum(n for (table, _), n in writes.items() if table in tables)


@pytest.mark.parametrize("keyed", [False, True], ids=["without a key", "with a key"])
async def test_a_message_on_the_straight_path_writes_six_rows_and_two_events(keyed: bool) -> None:
    # when notifications of one message each go from accept to a recorded outcome
    writes = await row_writes(COUNT, keyed=keyed)

    # then the rows that decide are written six times for each, the key once
    assert writes["notifications", "insert"] == COUNT
    assert writes["messages", "insert"] == writes["attempts", "insert"] == COUNT
    assert _of(writes, "notifications", "messages", "attempts") <= 6 * COUNT
    assert _of(writes, "keys") == (COUNT if keyed else 0)
    assert 0 < _of(writes, "events") <= 2 * COUNT

    # and no other table is written for each: the rest is shared
    assert _of(writes, "meta") <= 2  # twice a minute
    assert {table for table, _ in writes} <= {"notifications", "messages", "attempts", "events", "keys", *SHARED}


async def test_bundles_are_shared_and_leave_nothing_behind() -> None:
    # when
    writes = await row_writes(COUNT)

    # then
    assert writes["bundles", "insert"] == writes["bundles", "delete"]
    assert writes["bundles", "insert"] < COUNT
    assert _of(writes, *SHARED) < COUNT
