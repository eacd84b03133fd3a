"""Claims, and what comes of them: settlements and receipts.

A reference and a receipt that only has that reference may cross: each transaction writes its own and does not see the
other's. So both look again once they are committed, and at least one of them finds the other (`_adopted`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from sendwright.drivers.store.moves import holds_claim, settled, sighted, suppressed, told_once, why_refused
from sendwright.drivers.store.postgres.connections import Connections, Db, first
from sendwright.drivers.store.postgres.folio import know_what_happened, locked, save
from sendwright.drivers.store.postgres.rows import clean, columns, day_of, message_from
from sendwright.drivers.store.postgres.sql import SQL
from sendwright.drivers.store.postgres.suppressions import locked_list
from sendwright.model import ids
from sendwright.model.parcel import Sighting
from sendwright.model.records import Claim, Claimed, Refused, Settlement, Sighted
from sendwright.model.states import MessageState
from sendwright.policy.suppression import Marker, earned, may_earn


class ClaimAll:
    """Items: claims, of one message each. One statement, and a look at those that were refused."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def __call__(self, items: list[Claim]) -> list[Claimed | Refused]:
        order = sorted(range(len(items)), key=lambda index: items[index].parcel.id)
        rows = await self._connections.statement("claim", "claim", *columns([_claim_row(items[index]) for index in order], 20))
        granted = {order[row[0] - 1] for row in rows if row[1] is None}
        reasons = {order[row[0] - 1]: row[1] for row in rows if row[1] is not None}
        answers: list[Claimed | Refused] = [
            Claimed(ids.attempt_id(c.parcel.id, c.parcel.number + 1), c.parcel.number + 1) for c in items
        ]
        refused = [index for index in range(len(items)) if index not in granted]
        if refused:
            await self._look(items, answers, refused, reasons)
        return answers

    async def _look(
        self, items: list[Claim], answers: list[Claimed | Refused], refused: list[int], reasons: Mapping[int, str]
    ) -> None:
        """Why they were refused; or that the row already carries their token, an answer having been lost. `reasons`: of those
        whose address is suppressed."""
        epoch = int(first(await self._connections.read("epoch")))
        wanted = [items[index].parcel.id for index in refused]
        by_id = {row[0]: message_from(row) for row in await self._connections.read("messages_of", wanted)}
        for index in refused:
            claim, row = items[index], by_id.get(items[index].parcel.id)
            if index in reasons:
                answers[index] = suppressed(claim, row, epoch, reasons[index])
            elif row is None or not holds_claim(row, claim.token, claim.parcel.number + 1):
                answers[index] = Refused(why_refused(claim, row, epoch))


def _claim_row(c: Claim) -> tuple[Any, ...]:
    p = c.parcel
    return (
        p.id,
        p.number,
        p.step,
        p.since,
        c.token,
        c.now,
        c.epoch,
        c.provider,
        p.channel,
        p.address,
        ids.attempt_id(p.id, p.number + 1),
        c.deadline_at,
        c.owner,
        c.by_ref,
        c.repeats,
        c.look_at,
        p.tenant,
        " ".join(c.marks),
        c.call,
        c.spared,
    )


class SettleAll:
    """Items: settlements. First attempts that were accepted go straight; all others are folded."""

    def __init__(self, connections: Connections, marker: Marker) -> None:
        self._connections = connections
        self._marker = marker

    async def __call__(self, items: list[Settlement]) -> list[MessageState]:
        states = [MessageState.SENT] * len(items)
        known: dict[str, int] = {}
        straight: list[int] = []
        other: list[int] = []
        for index, s in enumerate(items):
            plain = s.number == 1 and s.decision.state == MessageState.SENT and known.setdefault(s.message, index) == index
            (straight if plain else other).append(index)
        if straight:
            other += await self._straight(items, straight)
        if other:
            await self._connections.transaction("settle", lambda db: _folded(db, items, sorted(other), states, self._marker))
        await self._strays(items, states)
        return states

    async def _straight(self, items: list[Settlement], which: list[int]) -> list[int]:
        """Settles what its claim still holds; returns the others, untouched."""
        which.sort(key=lambda index: items[index].message)
        cols = columns([_settle_row(items[index]) for index in which], 9)
        days = [day_of(attempt) for attempt in cols[0]]
        rows = await self._connections.statement("settle", "settle_straight", *cols, days)
        held = {which[row[0] - 1] for row in rows}
        return [index for index in which if index not in held]

    async def _strays(self, items: list[Settlement], states: list[MessageState]) -> None:
        told = [(s.attempt, clean(s.ref)) for s in items if s.ref]
        if not told:
            return
        attempts, refs = columns(told, 2)
        found = await self._connections.read("strays_of", attempts, refs)
        if not found:
            return
        now = max(s.at for s in items)
        moved = await adopted(self._connections, "settle", {row[0]: row[1] for row in found}, now, self._marker)
        for index, s in enumerate(items):
            seen = moved.get(s.attempt)
            if seen is not None and seen.after is not None:
                states[index] = seen.after


def _settle_row(s: Settlement) -> tuple[Any, ...]:
    return (s.attempt, s.message, s.number, s.token, s.state, s.at, clean(s.ref), clean(s.reason), clean(s.detail))


async def _folded(db: Db, items: list[Settlement], which: list[int], states: list[MessageState], marker: Marker) -> None:
    await _hold_list(db, ((items[index].attempt, items[index].state, items[index].reason) for index in which))
    folio = await locked(db, (items[index].message for index in which))
    for index in which:
        states[index] = settled(folio, items[index], marker) or states[index]
    await save(db, folio, max(items[index].at for index in which))


async def _hold_list(db: Db, told: Iterable[tuple[str | None, int, str | None]]) -> None:
    """Locks the list of suppressions, before any row, where evidence (attempt, state, reason) will put somebody on it."""
    grave = [(attempt, state, reason) for attempt, state, reason in told if attempt and may_earn(state, reason)]
    if not grave:
        return
    rows = await db.fetch(SQL["channels_of"], sorted({attempt for attempt, _, _ in grave}))
    channels = {row[0]: row[1] for row in rows}
    if any(earned(channels[attempt], state, reason) for attempt, state, reason in grave if attempt in channels):
        await locked_list(db)


async def adopted(connections: Connections, method: str, strays: dict[int, str], now: int, marker: Marker) -> dict[str, Sighted]:
    """Joins receipts (by their number among the strays) to their attempts. Of two who find one, one joins it.

    Returns what moved, by attempt."""

    async def work(db: Db) -> dict[str, Sighted]:
        rows = sorted(tuple(row) for row in await db.fetch(SQL["strays_take"], sorted(strays)))
        taken = [(strays[id_], msgspec.json.decode(text, type=Sighting)) for id_, text in rows]
        await _hold_list(db, ((attempt, sighting.state, sighting.reason) for attempt, sighting in taken))
        folio = await locked(db, (ids.message_of(attempt) for attempt, _ in taken))
        if told_once(sighting for _, sighting in taken):
            await know_what_happened(db, folio)
        moved = {}
        for attempt, sighting in taken:
            if ids.message_of(attempt) in folio.messages:
                moved[attempt] = sighted(folio, attempt, sighting, now, marker)
        await save(db, folio, now)
        return moved

    return await connections.transaction(method, work)


async def left_over(connections: Connections, marker: Marker) -> None:
    """Joins receipts whose attempt is known since, nobody having come to look again: a process died in between."""
    rows = await connections.read("strays_left_over")
    if rows:
        await adopted(connections, "observe", {row[0]: row[1] for row in rows}, max(row[2] for row in rows), marker)


class ObserveAll:
    """Items: (sighting, now)."""

    def __init__(self, connections: Connections, marker: Marker) -> None:
        self._connections = connections
        self._marker = marker

    async def __call__(self, items: list[tuple[Sighting, int]]) -> list[Sighted]:
        by_ref = await self._by_ref([(index, s) for index, (s, _) in enumerate(items) if s.ref])
        answers, strays = await self._connections.transaction("observe", lambda db: _observed(db, items, by_ref, self._marker))
        if strays:
            await self._look_again(items, answers, strays)
        return answers

    async def _by_ref(self, asked: Sequence[tuple[int, Sighting]]) -> dict[int, str]:
        """The attempts that have these references, as far as they are committed."""
        if not asked:
            return {}
        rows = await self._connections.read("attempts_by_ref", *columns([(s.provider, clean(s.ref)) for _, s in asked], 2))
        return {asked[place - 1][0]: attempt for place, attempt in rows}

    async def _look_again(self, items: list[tuple[Sighting, int]], answers: list[Sighted], strays: dict[int, int]) -> None:
        """Their references may have been written while they were put aside."""
        numbers = list(strays)
        found = await self._by_ref([(number, items[strays[number]][0]) for number in numbers])
        if not found:
            return
        moved = await adopted(self._connections, "observe", found, max(now for _, now in items), self._marker)
        for number, attempt in found.items():
            answers[strays[number]] = moved.get(attempt, answers[strays[number]])


async def _observed(
    db: Db, items: list[tuple[Sighting, int]], by_ref: dict[int, str], marker: Marker
) -> tuple[list[Sighted], dict[int, int]]:
    """Answers, and by their numbers which of the items were put aside."""
    named = [sighting.attempt for sighting, _ in items]
    told = ((named[index] or by_ref.get(index), sighting.state, sighting.reason) for index, (sighting, _) in enumerate(items))
    await _hold_list(db, told)
    attempts = [*(a for a in named if a), *by_ref.values()]
    folio = await locked(db, (ids.message_of(a) for a in attempts))
    if told_once(sighting for sighting, _ in items):
        await know_what_happened(db, folio)
    known = {(a.provider, a.id) for rows in folio.attempts.values() for a in rows}
    answers: list[Sighted] = []
    aside: list[int] = []
    for index, (sighting, now) in enumerate(items):
        attempt = named[index]
        if (sighting.provider, attempt) not in known:
            attempt = by_ref.get(index)
        if attempt is not None and (sighting.provider, attempt) in known:
            answers.append(sighted(folio, attempt, sighting, now, marker))
            continue
        answers.append(Sighted())
        if sighting.ref:
            aside.append(index)
    await save(db, folio, max(now for _, now in items))
    if not aside:
        return answers, {}
    strays = [(items[i][0].provider, clean(items[i][0].ref), items[i][1], msgspec.json.encode(items[i][0]).decode()) for i in aside]
    rows = await db.fetch(SQL["strays_insert"], *columns(strays, 4))
    return answers, {row[0]: index for row, index in zip(rows, aside, strict=True)}
