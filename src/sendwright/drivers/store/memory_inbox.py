"""The inboxes, in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from sendwright.drivers.store.memory_tables import MemoryStore
from sendwright.model.inbox import Counts, Item, Mark, Place, View, marked


class MemoryInbox:
    """ports.Inbox."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def add(self, item: Item) -> None:
        async with self._store.transaction("add") as t:
            message = t.messages.get(item.id)
            if t.inbox.get(item.id) is None and (message is None or message.recipient is not None):
                t.inbox.put(item.id, (item, item.at))

    async def page(
        self, tenant: str, recipient: str, view: View, now: int, limit: int, after: Place | None = None
    ) -> Sequence[Item]:
        found = [item for item, _ in self._of(tenant, recipient) if _in(view, item, now)]
        later = [item for item in found if after is None or (item.at, item.id) < after]
        return sorted(later, key=lambda item: (item.at, item.id), reverse=True)[:limit]

    async def counts(self, tenant: str, recipient: str, now: int) -> Counts:
        rows = self._of(tenant, recipient)
        shown = [item for item, _ in rows if _in(View.ALL, item, now)]
        unread = sum(item.read_at is None for item in shown)
        changed_at = max((at for _, at in rows), default=0)
        return Counts(unread, len(shown), f"{unread}.{len(shown)}.{len(rows)}.{changed_at}")

    async def mark(
        self, tenant: str, recipient: str, ids: Collection[str] | None, mark: Mark, now: int, until: int | None = None
    ) -> Sequence[Item]:
        changed = []
        async with self._store.transaction("mark") as t:
            for item, _ in self._of(tenant, recipient):
                if item.id not in ids if ids is not None else not _in(View.ALL, item, now):
                    continue
                after = marked(item, mark, now, until)
                if after is not item:
                    t.inbox.put(item.id, (after, now))
                    changed.append(after)
        return changed

    async def owed(self, limit: int) -> Sequence[Item]:
        rows = [row for row in self._store.tables.inbox.rows.values() if row[0].owed is not None]
        return [item for item, _ in sorted(rows, key=lambda row: (row[1], row[0].id))[:limit]]

    async def reported(self, items: Sequence[Item]) -> None:
        async with self._store.transaction("reported") as t:
            for item in items:
                row = t.inbox.get(item.id)
                if row is not None and row[0].owed == item.owed:
                    t.inbox.put(item.id, (replace(row[0], owed=None), row[1]))

    async def forget(self, before: int, limit: int) -> int:
        async with self._store.transaction("forget") as t:
            old = [item.id for item, _ in self._store.tables.inbox.rows.values() if item.at < before][:limit]
            for id_ in old:
                t.inbox.drop(id_)
        return len(old)

    def _of(self, tenant: str, recipient: str) -> list[tuple[Item, int]]:
        """With when each was changed last."""
        rows = self._store.tables.inbox.rows.values()
        return [row for row in rows if (row[0].tenant, row[0].recipient) == (tenant, recipient)]


def _in(view: View, item: Item, now: int) -> bool:
    snoozed = item.snoozed_until is not None and item.snoozed_until > now
    match view:
        case View.ARCHIVED:
            return item.archived_at is not None
        case View.SNOOZED:
            return item.archived_at is None and snoozed
        case View.UNREAD:
            return item.archived_at is None and not snoozed and item.read_at is None
        case View.ALL:
            return item.archived_at is None and not snoozed
