"""The recount, by two ways that share no figure.

The first goes by numbers: every accepting process numbered what it accepted, its count was written by the commit that
made the notification durable, and plans carry the numbers on. The second goes by rows: notifications against their
messages, messages against their attempts, events, waits and parcels. What one way has and the other has not is named.
"""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import msgspec

from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import fetch, rows_of
from sendwright.model import ids
from sendwright.model.parcel import Parcel, glimpse, split
from sendwright.model.records import Audit, Violation
from sendwright.model.states import MessageState

NAMED_MAX = 1000
"""Most violations that are named; the figures still count them all."""


class _Waiting(msgspec.Struct):
    """What the recount needs of an intake parcel, whatever else in it can't be read."""

    id: str
    process: str = ""
    number: int = 0


def recount(db: apsw.Connection) -> Audit:
    """Both counts within one snapshot of the file."""
    on_lanes, aside = list(_intakes(db, "bundles")), list(_intakes(db, "dead_parcels"))
    waiting = [*on_lanes, *aside]
    violations = [
        *_gaps(db, waiting),
        *_lost_keys(db, waiting),
        *_notifications(db),
        *_orphans(db),
        *_attempts(db),
        *_events(db),
        *_stranded(db, {intake.id for intake in on_lanes}),
    ]
    by_state = {MessageState(code).label: n for code, n in db.execute("select state, count(*) from messages group by state")}
    return Audit(
        accepted=db.execute("select coalesce(sum(accepted), 0) from processes").get,
        planned=db.execute("select count(*) from notifications where planned = 1").get,
        waiting=_unplanned(db, {intake.id for intake in waiting}),
        messages=sum(by_state.values()),
        by_state=by_state,
        violations=tuple(violations[:NAMED_MAX]),
    )


def _intakes(db: apsw.Connection, table: str) -> Iterator[_Waiting]:
    """On an intake lane, or kept among the dead parcels. What does not even say its number is missing in its process's.
    Some may be planned already, and not done yet."""
    for (body,) in db.execute(f"select body from {table} where lane like 'intake.%'"):  # noqa: S608 — names of ours
        yield from (found for raw in split(body) if (found := glimpse(_Waiting, raw)) is not None)


def _unplanned(db: apsw.Connection, intakes: set[str]) -> int:
    existing = fetch(db, SQL["plan_existing"], rows_of(sorted(intakes))) or ()
    return len(intakes) - len([id_ for id_, _, planned in existing if planned])


def _gaps(db: apsw.Connection, waiting: list[_Waiting]) -> Iterator[Violation]:
    """Numbers that a process gave out and that neither a plan nor what waits for one shows."""
    seen: dict[str, set[int]] = {}
    for intake in waiting:
        seen.setdefault(intake.process, set()).add(intake.number)
    for process, accepted, forgotten in list(db.execute("select process, accepted, forgotten from processes")):
        numbers = seen.get(process, set())
        numbers.update(row[0] for row in db.execute("select number from notifications where process = ?1", (process,)))
        for number in range(forgotten + 1, accepted + 1):
            if number not in numbers:
                yield Violation("gap", process, f"number {number}")


def _lost_keys(db: apsw.Connection, waiting: list[_Waiting]) -> Iterator[Violation]:
    """Keys that answer an id which is neither planned nor waiting."""
    carried = {intake.id for intake in waiting}
    oldest = db.execute("select min(at) from notifications").get or 0
    sql = (
        "select k.id from keys k left join notifications n on n.id = k.id and n.planned = 1"
        " where n.id is null and k.at >= ?1 order by k.id"
    )
    for (id_,) in db.execute(sql, (oldest,)):
        if id_ not in carried:
            yield Violation("lost", id_, "accepted under a key, neither planned nor waiting")


def _notifications(db: apsw.Connection) -> Iterator[Violation]:
    sql = (
        "select n.id, n.messages, (select count(*) from messages m where m.id >= 'msg_' || substr(n.id, 5)"
        " and m.id < 'msg_' || substr(n.id, 5) || '~') as found from notifications n where n.planned = 1 and found <> n.messages"
    )
    for id_, planned, found in db.execute(sql):
        for message in _missing(db, id_, planned):
            yield Violation("lost", message, f"its notification was planned into {planned}, {found} are stored")


def _missing(db: apsw.Connection, notification: str, planned: int) -> Iterator[str]:
    low = ids.MESSAGE + notification[4:]
    stored = {row[0] for row in db.execute("select id from messages where id >= ?1 and id < ?2", (low, low + "~"))}
    for ordinal in range(planned):
        message = ids.message_id(notification, ordinal)
        if message not in stored:
            yield message


def _orphans(db: apsw.Connection) -> Iterator[Violation]:
    sql = (
        "select distinct 'ntf_' || substr(m.id, 5, 32) from messages m"
        " left join notifications n on n.id = 'ntf_' || substr(m.id, 5, 32) where n.id is null"
    )
    for (id_,) in db.execute(sql):
        yield Violation("lost", id_, "its messages are stored, the notification is not")


def _attempts(db: apsw.Connection) -> Iterator[Violation]:
    sql = (
        "select m.id, m.number, (select count(*) from attempts a where a.id >= 'att_' || substr(m.id, 5)"
        " and a.id < 'att_' || substr(m.id, 5) || '~') as found from messages m where m.number <> found"
    )
    for id_, number, found in db.execute(sql):
        yield Violation("attempts", id_, f"{number} were claimed, {found} are stored")
    sql = "select a.id from attempts a left join messages m on m.id = a.message where m.id is null"
    for (id_,) in db.execute(sql):
        yield Violation("lost", ids.message_of(id_), f"its attempt {id_} is stored, the message is not")
    sql = (
        "select id, state from messages where (state = 40 and not exists (select 1 from attempts a where a.message = messages.id"
        " and a.id >= 'att_' || substr(messages.id, 5) and a.id < 'att_' || substr(messages.id, 5) || '~' and a.state >= 2))"
        " or (state in (60, 70) and not exists (select 1 from attempts a where"
        " a.id >= 'att_' || substr(messages.id, 5) and a.id < 'att_' || substr(messages.id, 5) || '~' and a.state >= 5))"
    )
    for id_, state in db.execute(sql):
        yield Violation("state", id_, f"{MessageState(state).label}, and no attempt says so")


def _events(db: apsw.Connection) -> Iterator[Violation]:
    """Every plan and every settled message left an event."""
    sql = (
        "select n.id from notifications n where n.planned = 1 and not exists"
        " (select 1 from events e where e.subject = n.id and e.type = 'notification.accepted')"
    )
    for (id_,) in db.execute(sql):
        yield Violation("event", id_, "accepted, and no event says so")
    for state in MessageState:
        if not state.settled:
            continue
        sql = (
            "select m.id from messages m where m.state = ?1 and not exists"
            " (select 1 from events e where e.subject = m.id and e.type = ?2)"
        )
        for (id_,) in db.execute(sql, (state.value, f"message.{state.label}")):
            yield Violation("event", id_, f"{state.label}, and no event says so")


def _stranded(db: apsw.Connection, on_intake: set[str]) -> Iterator[Violation]:
    """Messages that wait for nothing that would ever move them. While the intake is not done its planner is at work: it
    publishes what it planned, or whoever takes the intake again does."""
    carried: set[str] = set()
    for (body,) in db.execute("select body from bundles where lane not like 'intake.%' and lane <> 'inbound'"):
        carried |= {found.id for raw in split(body) if (found := glimpse(Parcel, raw)) is not None}
    sql = (
        "select m.id, m.state from messages m left join waits w on w.message = m.id"
        " where w.message is null and (m.state in (10, 11, 20) or (m.state = 21 and m.token is null))"
    )
    for id_, state in db.execute(sql):
        if id_ not in carried and ids.notification_of(id_) not in on_intake:
            yield Violation("stranded", id_, f"{MessageState(state).label}, on no lane and not waiting")
    sql = (
        "select m.id from messages m where m.state = 21 and m.token is not null and not exists"
        " (select 1 from attempts a where a.message = m.id and a.state = 0"
        " and a.id >= 'att_' || substr(m.id, 5) and a.id < 'att_' || substr(m.id, 5) || '~')"
    )
    for (id_,) in db.execute(sql):
        yield Violation("stranded", id_, "sending, and no attempt is open")
