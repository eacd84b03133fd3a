"""The list of suppressions, and what people have said back, in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from sendwright.drivers.store.memory_tables import MemoryStore, Tables
from sendwright.model.ids import notification_of
from sendwright.model.people import REPLIED, UNSUBSCRIBED, Heard, Hearing, Leaving, Suppression
from sendwright.model.records import AttemptRecord, Claim, MessageRecord
from sendwright.model.states import AttemptState
from sendwright.policy.suppression import Marker, earned_by, holds


class MemorySuppressions:
    """engine.people.Suppressions."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def add(self, suppression: Suppression) -> Suppression:
        async with self._store.transaction("add") as t:
            return put(t, suppression)

    async def lift(self, tenant: str, id_: str) -> bool:
        async with self._store.transaction("lift") as t:
            row = t.suppressions.get(id_)
            if row is None or row.tenant != tenant:
                return False
            t.suppressions.drop(id_)
            return True

    async def unsubscribe(self, leaving: Leaving) -> bool:
        async with self._store.transaction("unsubscribe") as t:
            put(t, leaving.row)
            message = t.messages.get(leaving.message)
            if message is None or message.tenant != leaving.row.tenant or _has_left(t, message.id):
                return False
            subject = (notification_of(message.id), message.id)
            t.events.append(leaving.row.created_at, message.tenant, UNSUBSCRIBED, subject, leaving.row.channel)
            return True

    async def find(self, tenants: Collection[str], marks: Collection[str], now: int) -> Sequence[Suppression]:
        return [row for row in self._standing(now) if row.tenant in tenants and row.mark in marks]

    async def page(
        self,
        tenant: str,
        limit: int,
        after: str | None,
        now: int,
        *,
        channel: str | None = None,
        reason: str | None = None,
        source: str | None = None,
    ) -> Sequence[Suppression]:
        rows = (row for row in self._standing(now) if row.tenant == tenant and (after is None or row.id > after))
        rows = (row for row in rows if channel in (None, row.channel) and reason in (None, row.reason))
        return [row for row in rows if source in (None, row.source)][:limit]

    async def hear(self, heard: Heard) -> Hearing:
        async with self._store.transaction("hear") as t:
            key = (heard.provider, heard.ref)
            before = t.replies.get(key)
            if before is not None:
                return Hearing(before.id, before.at, fresh=False)
            t.replies.put(key, heard)
            t.events.append(heard.at, heard.tenant, REPLIED, (heard.id, None), heard.told)
            if not _overtaken(t, heard):
                for stop in heard.stops:
                    put(t, stop)
                for row in list(t.suppressions.rows.values()):
                    if (row.mark in heard.starts, row.channel, row.source) == (True, heard.channel, heard.lifts):
                        t.suppressions.drop(row.id)
            return Hearing(heard.id, heard.at, fresh=True)

    def _standing(self, now: int) -> list[Suppression]:
        rows = sorted(self._store.tables.suppressions.rows.values(), key=lambda row: row.id)
        return [row for row in rows if row.expires_at is None or row.expires_at > now]


def _has_left(t: Tables, message: str) -> bool:
    return any(event.message == message and event.type == UNSUBSCRIBED for event in t.events.rows)


def _overtaken(t: Tables, heard: Heard) -> bool:
    """Whether something else is known that the same person asked for there, in the same way, and said later."""
    wanted = (heard.mark, heard.channel, heard.how)
    return any(
        (each.mark, each.channel, each.how) == wanted and (each.stops or each.starts) and each.said_at > heard.said_at
        for each in t.replies.rows.values()
    )


def put(t: Tables, suppression: Suppression) -> Suppression:
    """Within a transaction."""
    before = t.suppressions.get(suppression.id)
    row = suppression if before is None else replace(suppression, created_at=before.created_at)
    t.suppressions.put(row.id, row)
    return row


def suppressed(t: Tables, message: MessageRecord, claim: Claim) -> str | None:
    """Why its address must not be sent to."""
    row = t.notifications.get(notification_of(message.id))
    category = "transactional" if row is None else row.plan.category
    found = (
        each.reason
        for each in t.suppressions.rows.values()
        if each.mark in claim.marks
        and each.id != claim.spared
        and holds(each, message.tenant, claim.parcel.channel, category, claim.now)
    )
    return min(found, default=None)


def earn(
    t: Tables,
    message: MessageRecord,
    attempt: AttemptRecord,
    said: AttemptState,
    reason: str | None,
    now: int,
    marker: Marker,
    happened: str | None = None,
) -> None:
    """Puts the attempt's address on the list, where that is what was said of it."""
    steps = message.steps[attempt.step : attempt.step + 1]
    for step in steps:
        found = earned_by(marker, message.tenant, step.channel, step.address, said, reason, now, happened)
        if found is not None:
            put(t, found)
