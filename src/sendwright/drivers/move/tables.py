"""What is moved: the tables of a SQLite file, and how a row of each becomes one of PostgreSQL.

Pure. `bundles` are no table of the store but the bus's lanes, and are published; of `meta` the epoch is carried over.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from sendwright.drivers.store.postgres.rows import clean, day_of

Row = tuple[Any, ...]

ELSEWHERE = frozenset({"meta", "bundles", "trials", "sessions"})
"""Tables of the file whose rows become no rows. Trials begin anew over there, and people sign in anew."""


class Table(Struct, frozen=True):
    """One table. Rows are read in the order of `key`, so that a page goes on after any row."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    """Which both stores have, by the same names."""
    flags: frozenset[str] = frozenset()
    """Of those, the ones that PostgreSQL has as booleans."""
    hexed: frozenset[str] = frozenset()
    """Of those, the ones that the file has as hexadecimal digits."""
    listed: frozenset[str] = frozenset()
    """Of those, the ones that PostgreSQL has as arrays, and the file as words."""
    left: frozenset[str] = frozenset()
    """Which only the file has, and nobody misses."""
    more: tuple[tuple[str, Callable[[dict[str, Any]], Any]], ...] = ()
    """Which only PostgreSQL has: made of the others."""
    dated: str | None = None
    """The column whose id says to which day's partition a row belongs."""

    @property
    def filled(self) -> tuple[str, ...]:
        """The columns of PostgreSQL that are filled, in the order of `converted`."""
        return (*self.columns, *(name for name, _ in self.more))

    def converted(self, values: Sequence[Any]) -> Row:
        """A row of the file, as `columns`, as a row of PostgreSQL."""
        row = {name: self._value(name, value) for name, value in zip(self.columns, values, strict=True)}
        made = [make(row) for _, make in self.more]
        return (*row.values(), *made)

    def _value(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            if name in self.listed:
                return value.split()
            return bytes.fromhex(value) if name in self.hexed else clean(value)
        return bool(value) if name in self.flags and value is not None else value

    def days(self, rows: Sequence[Row]) -> set[int]:
        """Days since 1970 that these rows need partitions of."""
        if self.dated is None:
            return set()
        place = self.columns.index(self.dated)
        return {day_of(row[place]) for row in rows}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TABLES = (
    Table(
        "notifications",
        ("id",),
        _words(
            "id tenant at priority category on_doubt send_at expires_at key process number messages planned cancelled_at content"
            " metadata trace type"
        ),
        flags=frozenset({"planned"}),
    ),
    Table(
        "messages",
        ("id",),
        _words(
            "id tenant state step number calls token priority on_doubt expires_at accepted_at updated_at recipient channel address"
            " provider reason detail doubled dead backoff_s round since steps about"
        ),
        flags=frozenset({"doubled", "dead"}),
    ),
    Table(
        "attempts",
        ("id",),
        _words(
            "id number step channel provider state started_at deadline_at finished_at owner ref reason detail by_ref twice repeats"
            " look_at call_id"
        ),
        flags=frozenset({"by_ref", "twice"}),
        left=frozenset({"message"}),
        dated="id",
    ),
    Table("waits", ("message",), _words("message tenant key priority due_at kind name until at serial")),
    Table(
        "events",
        ("seq",),
        _words("seq at tenant type subject detail"),
        more=(("day", lambda row: day_of(row["subject"])),),
        dated="subject",
    ),
    Table("strays", ("rowid",), _words("provider ref at sighting")),
    Table(
        "keys",
        ("tenant", "key"),
        _words("tenant key id fingerprint at"),
        hexed=frozenset({"fingerprint"}),
        more=(
            ("published", lambda _: True),  # the file binds a key in the transaction that makes its notification durable
            ("owner", lambda _: ""),
            ("reserved_at", lambda row: dt.datetime.fromtimestamp(row["at"] / 1000, dt.UTC)),
        ),
    ),
    Table(
        "processes",
        ("process",),
        _words("process accepted forgotten"),
        left=frozenset({"started_at"}),
        more=(("reported_at", lambda _: 0), ("marked_at", lambda _: 0)),  # told when the move is over
    ),
    Table(
        "api_keys",
        ("id",),
        _words("id tenant name scopes digest created_at expires_at rate used_at"),
        listed=frozenset({"scopes"}),
    ),
    Table(
        "inbox",
        ("id",),
        _words("id tenant recipient at provider attempt said delivered_at read_at archived_at snoozed_until changed_at owed"),
    ),
    Table("recipients", ("tenant", "id"), _words("tenant id body created_at updated_at")),
    Table("erasures", ("tenant", "mark"), _words("tenant mark at")),
    Table("suppressions", ("id",), _words("id tenant channel mark category masked reason source created_at expires_at")),
    Table("replies", ("provider", "ref"), _words("provider ref id mark at")),
    Table("types", ("tenant", "name", "version"), _words("tenant name version at body")),
    Table("layouts", ("tenant", "name", "version"), _words("tenant name version at body")),
    Table(
        "endpoints",
        ("id",),
        _words(
            "id tenant url description types secret previous previous_until disabled_for created_at seen failing_since failed_at"
            " version"
        ),
    ),
    Table("postings", ("id",), _words("id endpoint seq type subject at body state due_at count began tries")),
    Table("switches", ("provider",), _words("provider enabled weight rate concurrency"), flags=frozenset({"enabled"})),
    Table("routes", ("channel",), _words("channel providers")),
    Table("dead_parcels", ("id",), _words("id lane at problem body version"), left=frozenset({"tenant", "kind"})),
)
"""In the order in which they are moved."""
