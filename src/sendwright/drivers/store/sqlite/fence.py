"""The marks of a move in a SQLite file: from its beginning on nobody else may work on the file.

What is sent from two places is sent twice, so the mark is set, and synced, before the first row leaves. It can be taken back
as long as nothing has been published on the other bus.

    move            a random number, by which the database that is moved to knows this file
    move_published  when publishing began, in ms since 1970: there is no way back any more
    moved           when all was over
"""

from __future__ import annotations

import secrets

import apsw

from sendwright.errors import StoreUnusable

MOVE, PUBLISHED, MOVED = "move", "move_published", "moved"


def refuse_moved(db: apsw.Connection, shown: str) -> None:
    """Raises `StoreUnusable` for a file that is moved, or about to be."""
    marks = marks_of(db)
    if PUBLISHED in marks:
        raise StoreUnusable(f"{shown} was moved to other engines, which send what is in it: set [store] url and [bus] url to those")
    if MOVE in marks:
        raise StoreUnusable(
            f"{shown} is being moved to other engines: go on with `sendwright move`, or give it up with `sendwright move --abandon`"
        )


def marks_of(db: apsw.Connection) -> dict[str, int]:
    """Those that are set."""
    rows = db.execute("select name, value from meta where name in (?1, ?2, ?3)", (MOVE, PUBLISHED, MOVED))
    return {str(name): int(value) for name, value in rows}


def mark(db: apsw.Connection, name: str, value: int | None = None) -> None:
    """Sets a mark, durably, unless it is set; without a value, to a number that no other file has."""
    chosen = secrets.randbits(62) if value is None else value
    db.execute("insert into meta (name, value) values (?1, ?2) on conflict do nothing", (name, chosen))


def unmark(db: apsw.Connection) -> None:
    """Takes all of them away."""
    db.execute("delete from meta where name in (?1, ?2, ?3)", (MOVE, PUBLISHED, MOVED))
