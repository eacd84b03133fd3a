"""The recount, by two ways that share no figure.

The first goes by numbers: every accepting process numbers what it accepts and reports how far it has come, and plans carry the
numbers on. The second goes by rows: notifications against their messages, messages against attempts, events, waits and
parcels. What one way has and the other has not is named.

The lanes belong to the bus. Where it lets us look into them (`InFlight`), what is on them is known. A broker does not; there,
what was counted `lost_ms` ago should be planned, and what has been queued for so long should have been sent.

All of it is read within one snapshot, by plans that may read whole tables. Days whose attempts and events retention has dropped
are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files
from typing import TypeVar

import msgspec

from sendwright.drivers.store.named import named
from sendwright.drivers.store.postgres.connections import Db
from sendwright.drivers.store.postgres.migrate import moved_at
from sendwright.drivers.store.postgres.partitions import day_named
from sendwright.drivers.store.postgres.rows import DAY_MS
from sendwright.model import ids
from sendwright.model.parcel import INBOUND, Parcel, glimpse, split
from sendwright.model.records import Audit, Violation
from sendwright.model.states import MessageState

InFlight = Callable[[], Iterable[tuple[str, bytes]]]
"""(lane, body) of every bundle that is not done, taken or not."""

SQL = named((files(__package__) / "audit.sql").read_text("utf-8"))
RECOUNT_S = 3600

_CHECKS = {
    "lost_messages": ("lost", "its notification was planned into {1}, {2} are stored"),
    "lost_notifications": ("lost", "its messages are stored, the notification is not"),
    "lost_attempts": ("attempts", "{1} were claimed, {2} are stored"),
    "orphaned_attempts": ("lost", "its attempt {1} is stored, the message is not"),
    "unproven_states": ("state", "in state {1}, and no attempt says so"),
    "untold_acceptances": ("event", "accepted, and no event says so"),
    "ownerless": ("stranded", "sending, and no attempt is open"),
}
"""By the name of its statement, what a row of it is, and how that is said of its columns."""

K = TypeVar("K", "_Intake", Parcel)


class _Intake(msgspec.Struct):
    """What the recount needs of an intake parcel, whatever else in it can't be read."""

    id: str
    process: str = ""
    number: int = 0


class _Lanes:
    """What is known to be on its way."""

    def __init__(self, bundles: Iterable[tuple[str, bytes]]) -> None:
        self.intakes: list[_Intake] = []
        self.carried: list[str] = []
        for lane, body in bundles:
            if lane.startswith("intake."):
                self.intakes += _read(body, _Intake)
            elif lane != INBOUND:
                self.carried += [parcel.id for parcel in _read(body, Parcel)]
        self.aside: list[_Intake] = []
        """Intake parcels that were put among the dead ones."""

    @property
    def waiting(self) -> list[_Intake]:
        return [*self.intakes, *self.aside]


def _read(body: bytes, kind: type[K]) -> Iterator[K]:
    return (found for raw in split(body) if (found := glimpse(kind, raw)) is not None)


async def recount(db: Db, in_flight: InFlight | None, lost_ms: int) -> Audit:
    """Both counts within one snapshot."""
    await db.execute("begin isolation level repeatable read read only")
    for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_bitmapscan"):
        await db.execute(f"set local {setting} = on")
    await db.execute(f"set local statement_timeout = '{RECOUNT_S}s'")
    # Before the snapshot and after it: what moves on while it is taken is in one of them.
    before = set(in_flight()) if in_flight is not None else set()
    await db.fetchval("select count(*) from epoch")
    lanes = _Lanes(before | set(in_flight()) if in_flight is not None else ())
    for (body,) in await db.fetch("select body from dead_parcels where lane like 'intake.%'"):
        lanes.aside += _read(body, _Intake)
    overdue = None if in_flight is not None else await _overdue(db, lost_ms)
    floor = await _floor(db)
    violations = [*await _by_numbers(db, lanes, overdue), *await _by_rows(db, floor), *await _stranded(db, lanes, overdue)]
    by_state = {MessageState(code).label: n for code, n in await db.fetch("select state, count(*) from messages group by state")}
    accepted: int = await db.fetchval("select coalesce(sum(accepted), 0)::bigint from processes")
    planned: int = await db.fetchval("select count(*) from notifications where planned")
    waiting = await _unplanned(db, lanes) if overdue is None else max(0, accepted - int(await db.fetchval(SQL["numbered"])))
    await db.execute("commit")
    return Audit(
        accepted=accepted,
        planned=planned,
        waiting=waiting,
        messages=sum(by_state.values()),
        by_state=by_state,
        violations=tuple(violations),
    )


async def _overdue(db: Db, lost_ms: int) -> int:
    """What was counted or queued before this time, in ms since 1970, should have moved on. What was moved here is on its way since
    then, whatever its own times say."""
    overdue = int(await db.fetchval("select (extract(epoch from clock_timestamp()) * 1000)::bigint")) - lost_ms
    return overdue if (await moved_at(db) or 0) <= overdue else 0


async def _floor(db: Db) -> str:
    """Below this message id retention has dropped whole days."""
    name: str | None = await db.fetchval(SQL["floor"])
    return ids.MESSAGE if name is None else ids.floor(ids.MESSAGE, day_named(name) * DAY_MS)


async def _unplanned(db: Db, lanes: _Lanes) -> int:
    """Of what is on the lanes: some may be planned already, and not done yet."""
    intakes = sorted({intake.id for intake in lanes.waiting})
    planned = await db.fetchval("select count(*) from notifications where planned and id = any($1::text[])", intakes)
    return len(intakes) - int(planned)


async def _by_numbers(db: Db, lanes: _Lanes, overdue: int | None) -> list[Violation]:
    """Numbers that a process gave out, and keys that answer an id, that neither a plan nor what waits for one shows."""
    gaps = await db.fetch(SQL["gaps"], [w.process for w in lanes.waiting], [w.number for w in lanes.waiting], overdue)
    lost = await db.fetch(SQL["lost_keys"], sorted({intake.id for intake in lanes.waiting}), overdue)
    return [
        *(Violation("gap", process, f"number {number}") for process, number in gaps),
        *(Violation("lost", row[0], "accepted under a key, neither planned nor waiting") for row in lost),
    ]


async def _by_rows(db: Db, floor: str) -> list[Violation]:
    """Notifications against messages, messages against attempts and events."""
    found = []
    for name, (kind, detail) in _CHECKS.items():
        found += [Violation(kind, row[0], detail.format(*row)) for row in await db.fetch(SQL[name], floor)]
    for state in MessageState:
        if state.settled:
            rows = await db.fetch(SQL["untold_ends"], floor, state.value, f"message.{state.label}")
            found += [Violation("event", row[0], f"{state.label}, and no event says so") for row in rows]
    return found


async def _stranded(db: Db, lanes: _Lanes, overdue: int | None) -> list[Violation]:
    """Messages that wait for nothing that would ever move them. While the intake is not done its planner is at work: it
    publishes what it planned, or whoever takes the intake again does."""
    on_intake = sorted({intake.id for intake in lanes.intakes})
    rows = await db.fetch(SQL["stranded"], sorted(set(lanes.carried)), on_intake, overdue)
    return [Violation("stranded", row[0], f"{MessageState(row[1]).label}, on no lane and not waiting") for row in rows]
