"""What the ledger submits to the writer: one `Operation` per method, each over all the items of a flush."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import apsw
import msgspec

from sendwright.drivers.store.births import born_cancelled, events_of, parcels_of, supposed_of
from sendwright.drivers.store.changes import Change, apply_all
from sendwright.drivers.store.folio import EventRow
from sendwright.drivers.store.moves import cancelled, doubted, settled, sighted, suppressed, told_once, why_refused
from sendwright.drivers.store.silences import Silence, asked_about, unconfirmed
from sendwright.drivers.store.sqlite.folio import Serials, know_what_happened, loaded, save
from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.supposed import suppose
from sendwright.drivers.store.sqlite.writer import Operation, fetch, rows_of
from sendwright.model import ids
from sendwright.model.notification import Category
from sendwright.model.parcel import Parcel, Sighting
from sendwright.model.records import (
    Cancelled,
    Claim,
    Claimed,
    MessageRecord,
    Patience,
    Plan,
    Refused,
    Settlement,
    Sighted,
    Unheard,
    Wait,
    parcel_of,
)
from sendwright.model.said import Said
from sendwright.model.states import MessageState
from sendwright.policy.fold import Future, out_of_time
from sendwright.policy.lookup import next_look
from sendwright.policy.suppression import Marker

_PULLED = msgspec.json.Decoder(list[tuple[MessageRecord, Said, str | None, Category]], strict=False)


def parcels_from(text: str | None) -> list[Parcel]:
    """Parcels from rows of (message, content, trace, category)."""
    return [parcel_of(*row) for row in _PULLED.decode(text or "[]")]


class PlanAll(Operation):
    """Items: sequences of plans. The straight path is one insert per table; a plan that finds its row looks closer."""

    def __init__(self, serials: Serials) -> None:
        self._serials = serials

    def weight(self, item: Sequence[Plan]) -> int:
        return sum(len(plan.births) for plan in item)

    def apply(self, db: apsw.Connection, items: list[Sequence[Plan]]) -> list[list[list[Parcel]]]:
        plans = {plan.id: plan for item in items for plan in item}
        existing = {id_: (tenant, planned) for id_, tenant, planned in fetch(db, SQL["plan_existing"], rows_of(list(plans))) or ()}
        unplanned = {id_ for id_, (_, planned) in existing.items() if not planned}
        fresh = [
            born_cancelled(plan) if plan.id in unplanned and existing[plan.id][0] == plan.tenant else plan
            for plan in plans.values()
            if plan.id not in existing or plan.id in unplanned
        ]
        self._insert(db, fresh, unplanned)
        stored = {plan.id: parcels_of(plan) for plan in fresh}
        for id_ in existing.keys() - unplanned:
            low = ids.MESSAGE + id_[4:]
            stored[id_] = parcels_from(db.execute(SQL["unsent_of"], (low, low + "~")).get)
        return [[stored[plan.id] for plan in item] for item in items]

    def _insert(self, db: apsw.Connection, plans: list[Plan], unplanned: set[str]) -> None:
        if not plans:
            return
        db.execute(SQL["plan_notifications"], (rows_of([_notification_row(p) for p in plans]),))
        if unplanned:
            rows = [_notification_row(p) for p in plans if p.id in unplanned]
            db.execute(SQL["plan_over_cancelled"], (rows_of(rows),))
        messages, waits = [], []
        events: list[EventRow] = []
        for plan in plans:
            events += events_of(plan)
            for birth in plan.births:
                messages.append(_message_row(plan, birth))
                if birth.wait is not None:
                    waits.append(_wait_row(plan, birth.id, birth.wait, self._serials()))
        db.execute(SQL["plan_messages"], (rows_of(messages),))
        suppose(db, [attempt for plan in plans for attempt in supposed_of(plan)])
        db.execute(SQL["insert_events"], (rows_of(events),))
        if waits:
            db.execute(SQL["insert_waits"], (rows_of(waits),))


def _notification_row(p: Plan) -> tuple[Any, ...]:
    return (
        p.id,
        p.tenant,
        p.at,
        p.priority,
        p.category,
        p.on_doubt,
        p.send_at,
        p.expires_at,
        p.key,
        p.process,
        p.number,
        len(p.births),
        p.content,
        p.metadata,
        p.trace,
        p.type,
    )


def _message_row(plan: Plan, birth: Any) -> tuple[Any, ...]:
    first = birth.steps[0] if birth.steps else None
    return (
        birth.id,
        plan.tenant,
        birth.state,
        plan.priority,
        plan.on_doubt,
        plan.expires_at,
        plan.at,
        plan.at,
        birth.recipient,
        first.channel if first else None,
        first.address if first else None,
        birth.reason,
        birth.detail,
        int(birth.state == MessageState.FAILED),
        birth.steps,
        birth.about,
    )


def _wait_row(plan: Plan, message: str, wait: Wait, serial: int) -> tuple[Any, ...]:
    return (message, plan.tenant, wait.key, plan.priority, wait.due_at, wait.kind, wait.name, wait.until, plan.at, serial)


class ClaimAll(Operation):
    """Items: claims. Granted by position; the refused are looked at to say why. There is one writer: who is not on the list of
    suppressions now is not on it before the commit."""

    def apply(self, db: apsw.Connection, items: list[Claim]) -> list[Claimed | Refused]:
        if not db.execute(SQL["suppressions_any"]).get:
            return self._claim(db, items)
        text = rows_of([(c.parcel.id, c.parcel.tenant, c.parcel.channel, c.marks, c.now, c.spared) for c in items])
        reasons: dict[int, str] = dict(fetch(db, SQL["suppressed"], text) or ())
        if not reasons:
            return self._claim(db, items)
        free = iter(self._claim(db, [claim for index, claim in enumerate(items) if index not in reasons]))
        by_id = _messages(db, [items[index].parcel.id for index in reasons])
        epoch = int(db.execute("select value from meta where name = 'epoch'").get)
        return [
            suppressed(items[index], by_id.get(items[index].parcel.id), epoch, reasons[index]) if index in reasons else next(free)
            for index in range(len(items))
        ]

    def _claim(self, db: apsw.Connection, items: list[Claim]) -> list[Claimed | Refused]:
        rows = [_claim_row(claim) for claim in items]
        text = rows_of(rows)
        db.execute(SQL["claim"], (text,))
        granted: set[int] | None = None
        if db.changes() != len(items):
            granted = set(fetch(db, SQL["claim_granted"], text) or ())
            rows = [rows[index] for index in sorted(granted)]
            text = rows_of(rows)
        db.execute(SQL["claim_attempts"], (text,))
        if db.execute(SQL["waits_any"]).get:
            db.execute(SQL["delete_waits"], (rows_of([row[0] for row in rows]),))
        answers: list[Claimed | Refused] = [
            Claimed(ids.attempt_id(c.parcel.id, c.parcel.number + 1), c.parcel.number + 1) for c in items
        ]
        if granted is not None:
            self._refuse(db, items, answers, [index for index in range(len(items)) if index not in granted])
        return answers

    def _refuse(self, db: apsw.Connection, items: list[Claim], answers: list[Claimed | Refused], refused: list[int]) -> None:
        epoch = int(db.execute("select value from meta where name = 'epoch'").get)
        by_id = _messages(db, [items[index].parcel.id for index in refused])
        for index in refused:
            answers[index] = Refused(why_refused(items[index], by_id.get(items[index].parcel.id), epoch))


def _messages(db: apsw.Connection, wanted: list[str]) -> dict[str, MessageRecord]:
    found = db.execute(SQL["load_messages"], (rows_of(wanted),)).get or "[]"
    return {message.id: message for message in msgspec.json.decode(found, type=list[MessageRecord], strict=False)}


def _claim_row(c: Claim) -> tuple[Any, ...]:
    p = c.parcel
    return (
        p.id,
        p.number,
        p.step,
        c.token,
        c.now,
        c.epoch,
        c.provider,
        p.channel,
        p.address,
        ids.attempt_id(p.id, p.number + 1),
        c.deadline_at,
        c.owner,
        int(c.by_ref),
        c.repeats,
        p.since,
        c.look_at,
        c.call,
    )


class SettleAll(Operation):
    """Items: settlements. First attempts that were accepted go straight; all others are folded."""

    def __init__(self, serials: Serials, marker: Marker) -> None:
        self._serials = serials
        self._marker = marker

    def apply(self, db: apsw.Connection, items: list[Settlement]) -> list[MessageState]:
        states = [MessageState.SENT] * len(items)
        first: dict[str, int] = {}
        straight: list[int] = []
        other: list[int] = []
        for index, s in enumerate(items):
            plain = s.number == 1 and s.decision.state == MessageState.SENT and first.setdefault(s.message, index) == index
            (straight if plain else other).append(index)
        if straight:
            other += self._straight(db, items, straight)
        if other:
            self._fold(db, items, other, states)
        self._strays(db, items, states)
        return states

    def _straight(self, db: apsw.Connection, items: list[Settlement], which: list[int]) -> list[int]:
        """Settles what its claim still holds; returns the others, untouched."""
        rows = [_settle_row(items[index]) for index in which]
        db.execute("savepoint straight")
        db.execute(SQL["settle_sent"], (rows_of(rows),))
        lost: list[int] = []
        if db.changes() != len(rows):
            db.execute("rollback to straight")
            gone = set(fetch(db, SQL["settle_not_sent"], rows_of(rows)) or ())
            lost = [which[position] for position in sorted(gone)]
            rows = [row for position, row in enumerate(rows) if position not in gone]
            db.execute(SQL["settle_sent"], (rows_of(rows),))
        db.execute("release straight")
        text = rows_of(rows)
        db.execute(SQL["settle_attempts"], (text,))
        db.execute(SQL["settle_events"], (text,))
        return lost

    def _fold(self, db: apsw.Connection, items: list[Settlement], which: list[int], states: list[MessageState]) -> None:
        folio = loaded(db, (items[index].message for index in which))
        for index in which:
            states[index] = settled(folio, items[index], self._marker) or states[index]
        save(db, self._serials, folio, max(items[index].at for index in which))

    def _strays(self, db: apsw.Connection, items: list[Settlement], states: list[MessageState]) -> None:
        """Receipts that came by reference before this settlement brought it."""
        if not db.execute(SQL["strays_any"]).get:
            return
        folio = loaded(db, (s.message for s in items if s.ref))
        known = {attempt.id: attempt.provider for attempts in folio.attempts.values() for attempt in attempts}
        by_ref = {(known[s.attempt], s.ref): s for s in items if s.ref and s.attempt in known}
        rows = list(by_ref)
        found = fetch(db, SQL["strays_of"], rows_of(rows)) or []
        if not found:
            return
        sightings = [msgspec.json.decode(text, type=Sighting) for text in found]
        if told_once(sightings):
            know_what_happened(db, folio)
        for sighting in sightings:
            s = by_ref[sighting.provider, sighting.ref or ""]
            sighted(folio, s.attempt, sighting, s.at, self._marker)
        save(db, self._serials, folio, max(s.at for s in items))
        for index, s in enumerate(items):
            if s.message in folio.messages:
                states[index] = folio.messages[s.message].state
        db.execute(SQL["strays_delete"], (rows_of(rows),))


def _settle_row(s: Settlement) -> tuple[Any, ...]:
    return (s.attempt, s.message, s.number, s.token, s.state, s.at, s.ref, s.reason, s.detail)


class ObserveAll(Operation):
    """Items: (sighting, now)."""

    def __init__(self, serials: Serials, marker: Marker) -> None:
        self._serials = serials
        self._marker = marker

    def apply(self, db: apsw.Connection, items: list[tuple[Sighting, int]]) -> list[Sighted]:
        attempts = [sighting.attempt for sighting, _ in items]
        folio = loaded(db, (ids.message_of(a) for a in attempts if a))
        known = {(a.provider, a.id) for rows in folio.attempts.values() for a in rows}
        unnamed = [index for index, a in enumerate(attempts) if (items[index][0].provider, a) not in known and items[index][0].ref]
        if unnamed:
            rows = [(items[index][0].provider, items[index][0].ref) for index in unnamed]
            for position, attempt in fetch(db, SQL["attempts_by_ref"], rows_of(rows)) or ():
                attempts[unnamed[position]] = attempt
            folio = loaded(db, (ids.message_of(a) for a in attempts if a))
            known = {(a.provider, a.id) for rows_ in folio.attempts.values() for a in rows_}
        if told_once(sighting for sighting, _ in items):
            know_what_happened(db, folio)
        answers, strays = [], []
        for (sighting, now), attempt in zip(items, attempts, strict=True):
            if attempt is not None and (sighting.provider, attempt) in known:
                answers.append(sighted(folio, attempt, sighting, now, self._marker))
            else:
                answers.append(Sighted())
                if sighting.ref:
                    strays.append((sighting.provider, sighting.ref, now, msgspec.json.encode(sighting).decode()))
        if strays:
            db.execute(SQL["strays_insert"], (rows_of(strays),))
        save(db, self._serials, folio, max(now for _, now in items))
        return answers


class CancelAll(Operation):
    """Items: (tenant, id of a notification or a message, now)."""

    def __init__(self, serials: Serials) -> None:
        self._serials = serials

    def apply(self, db: apsw.Connection, items: list[tuple[str, str, int]]) -> list[Cancelled]:
        return [self._cancel(db, *item) for item in items]

    def _cancel(self, db: apsw.Connection, tenant: str, target: str, now: int) -> Cancelled:
        if target.startswith(ids.MESSAGE):
            return self._messages(db, tenant, [target], now)
        db.execute(SQL["cancel_notification"], (target, tenant, now))
        owner, planned = db.execute("select tenant, planned from notifications where id = ?1", (target,)).fetchall()[0]
        if owner != tenant:
            return Cancelled()
        if not planned:
            return Cancelled(unplanned=1)
        low = ids.MESSAGE + target[4:]
        return self._messages(db, tenant, fetch(db, SQL["messages_within"], low, low + "~") or [], now)

    def _messages(self, db: apsw.Connection, tenant: str, wanted: list[str], now: int) -> Cancelled:
        folio = loaded(db, wanted)
        answer = cancelled(folio, wanted, tenant, now)
        save(db, self._serials, folio, now)
        return answer


class RepairAll(Operation):
    """Items: (now, alive, patience, attempts_max, future). Level-triggered: looks at every open attempt, whenever it is asked."""

    def __init__(self, serials: Serials) -> None:
        self._serials = serials

    def apply(
        self, db: apsw.Connection, items: list[tuple[int, Callable[[str], bool], Callable[[str], Patience], int, Future]]
    ) -> list[list[str]]:
        return [self._repair(db, *item) for item in items]

    def _repair(
        self,
        db: apsw.Connection,
        now: int,
        alive: Callable[[str], bool],
        patience: Callable[[str], Patience],
        attempts_max: int,
        future: Future,
    ) -> list[str]:
        rows, void = fetch(db, SQL["attempts_open"]) or [], future()
        lost = [id_ for id_, owner, began, ends in rows if out_of_time(began, ends, now, void) or not alive(owner or "")]
        folio = loaded(db, (ids.message_of(id_) for id_ in lost))
        moved = doubted(folio, lost, now, patience, attempts_max)
        save(db, self._serials, folio, now)
        return moved


class UnheardAll(Operation):
    """Items: (now, limit)."""

    def apply(self, db: apsw.Connection, items: list[tuple[int, int]]) -> list[list[Unheard]]:
        return [self._unheard(db, *item) for item in items]

    def _unheard(self, db: apsw.Connection, now: int, limit: int) -> list[Unheard]:
        rows = [Silence(*row) for row in fetch(db, SQL["unheard"], now, limit) or ()]
        if rows:
            db.execute(SQL["unheard_again"], (rows_of([(row.attempt, next_look(row.started_at, now)) for row in rows]),))
            db.execute(SQL["insert_events"], (rows_of(unconfirmed(rows, now)),))
        return asked_about(rows)


class ChangeAll(Operation):
    """Items: changes of single messages, of any kind, in order."""

    def __init__(self, serials: Serials) -> None:
        self._serials = serials

    def apply(self, db: apsw.Connection, items: list[Change]) -> list[Any]:
        folio = loaded(db, (change.message for change in items))
        answers = apply_all(folio, items)
        save(db, self._serials, folio, max(change.now for change in items))
        return answers
