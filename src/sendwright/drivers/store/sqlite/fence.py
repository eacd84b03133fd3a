"""The marks of a SQLite file that is moved, and of one that is a copy.

From the beginning of its move on nobody else may work on a file.

What is sent from two places is sent twice, so the mark is set, and synced, before the first row leaves. It can be taken back
as long as nothing has been published on the other bus.

    move            a random number, by which the database that is moved to knows this file
    move_published  when publishing began, in ms since 1970: there is no way back any more
    moved           when all was over

A copy knows nothing of what was sent since it was made: before anybody works on it, what waits in it is held (app/restoring.py).
One that `sendwright backup` made is marked. Any other is known where it has taken the place of a newer file: whoever works on a
file notes now and then, first in it and then beside it, how far it has come.

    copied          when the copy was made, or the holding was begun, in ms since 1970
    beat            how far it had come, in ms since 1970; the same number, or an older one, stands in the file of the lock
    fence           what was accepted up to then, and is not planned yet, is held in doubt when it is
"""

from __future__ import annotations

import os
import secrets
import time

import apsw

from sendwright.errors import StoreUnusable

MOVE, PUBLISHED, MOVED = "move", "move_published", "moved"
COPIED, BEAT, FENCE = "copied", "beat", "fence"


def refuse_moved(db: apsw.Connection, shown: str) -> None:
    """Raises `StoreUnusable` for a file that is moved, or about to be."""
    marks = marks_of(db)
    if PUBLISHED in marks:
        raise StoreUnusable(f"{shown} was moved to other engines, which send what is in it: set [store] url and [bus] url to those")
    if MOVE in marks:
        raise StoreUnusable(
            f"{shown} is being moved to other engines: go on with `sendwright move`, or give it up with `sendwright move --abandon`"
        )


def marked(db: apsw.Connection, name: str) -> int | None:
    """A mark's value; None where it is not set."""
    value = db.execute("select value from meta where name = ?1", (name,)).get
    return None if value is None else int(value)


def marks_of(db: apsw.Connection) -> dict[str, int]:
    """Those that are set."""
    rows = db.execute("select name, value from meta where name in (?1, ?2, ?3)", (MOVE, PUBLISHED, MOVED))
    return {str(name): int(value) for name, value in rows}


def mark(db: apsw.Connection, name: str, value: int | None = None) -> None:
    """Sets a mark, durably, unless it is set; without a value, to a number that no other file has."""
    chosen = secrets.randbits(62) if value is None else value
    db.execute("insert into meta (name, value) values (?1, ?2) on conflict do nothing", (name, chosen))


def overtaken(db: apsw.Connection, lock: int) -> bool:
    """Whether the file has once been further than it is now. `lock`: the open file beside it."""
    return beside(lock) > (marked(db, BEAT) or 0)


def beaten(db: apsw.Connection, lock: int) -> int:
    """Notes in the file that it has come further than ever; the number is then to be noted `beside` it."""
    beat = max((marked(db, BEAT) or 0) + 1, beside(lock), time.time_ns() // 1_000_000)
    put(db, BEAT, beat)
    return beat


def beside(lock: int) -> int:
    """How far the file had come, by what stands beside it; 0 where nothing does."""
    text = os.pread(lock, 32, 0).strip()
    return int(text) if text.isdigit() else 0


def note_beside(lock: int, beat: int) -> None:
    """What is in the file already, beside it."""
    os.pwrite(lock, b"%020d" % beat, 0)


def put(db: apsw.Connection, name: str, value: int) -> None:
    """Sets a mark, whatever it was."""
    db.execute("insert into meta (name, value) values (?1, ?2) on conflict (name) do update set value = ?2", (name, value))


def forget(db: apsw.Connection, name: str) -> None:
    """Takes one away."""
    db.execute("delete from meta where name = ?1", (name,))


def unmark(db: apsw.Connection) -> None:
    """Takes all of them away."""
    db.execute("delete from meta where name in (?1, ?2, ?3)", (MOVE, PUBLISHED, MOVED))
