"""Retention in memory: what is past its time is forgotten, all in one slice. It decides as the other stores do."""

from __future__ import annotations

from msgspec.structs import replace

from sendwright.drivers.store.memory_tables import MemoryStore, NotificationRow, Tables
from sendwright.model.ids import NOTICE, floor
from sendwright.model.said import Said


class MemorySweeper:
    """ports.Sweeper. Receipts whose reference nobody knows are kept."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def slice(self, *, keys_before: int, content_before: int, rows_before: int) -> bool:
        async with self._store.transaction("slice") as t:
            for key, held in list(t.keys.rows.items()):
                if held.at < keys_before:
                    t.keys.drop(key)
            for (tenant, id_), at in list(t.cancellations.rows.items()):
                if at < rows_before:
                    t.cancellations.drop((tenant, id_))
            _notifications(t, content_before, rows_before, [*_replies(t, rows_before), *_notices(t, rows_before)])
        return False


def _replies(t: Tables, before: int) -> list[str]:
    old = [(key, heard.id) for key, heard in t.replies.rows.items() if heard.at < before]
    for key, _ in old:
        t.replies.drop(key)
    return [id_ for _, id_ in old]


def _notices(t: Tables, before: int) -> list[str]:
    return [event.notification for event in t.events.rows if NOTICE <= event.notification < floor(NOTICE, before)]


def _notifications(t: Tables, content_before: int, rows_before: int, gone: list[str]) -> None:
    """`gone`: whose events go, too."""
    for id_, row in list(t.notifications.rows.items()):
        if _over(t, row, rows_before):
            gone.append(id_)
            _forget(t, row)
        elif _over(t, row, content_before) and not row.forgotten:
            t.notifications.put(id_, replace(row, plan=replace(row.plan, content=Said()), forgotten=True))
    t.events.forget(gone)


def _over(t: Tables, row: NotificationRow, before: int) -> bool:
    """Every message is settled, and nothing has moved since."""
    messages = [t.messages.rows[id_] for id_ in row.messages]
    return row.plan.at < before and all(message.state.settled and message.updated_at < before for message in messages)


def _forget(t: Tables, row: NotificationRow) -> None:
    t.notifications.drop(row.plan.id)
    process, number = row.plan.process, row.plan.number
    t.forgotten.put(process, max(number, t.forgotten.get(process) or 0))
    for id_ in row.messages:
        for attempt in t.attempts_of(t.messages.rows[id_]):
            t.attempts.drop(attempt.id)
            t.looks.drop(attempt.id)
            if attempt.ref is not None and t.by_ref.get((attempt.provider, attempt.ref)) == attempt.id:
                t.by_ref.drop((attempt.provider, attempt.ref))
        t.messages.drop(id_)
