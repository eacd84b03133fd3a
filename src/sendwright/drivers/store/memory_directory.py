"""The directory in memory. It shares the merging with the other stores, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from sendwright.drivers.store.memory_tables import MemoryStore, Tables
from sendwright.engine.people import Key
from sendwright.model.ids import notification_of
from sendwright.model.outcomes import Reason
from sendwright.model.parcel import Step
from sendwright.model.people import Change, Erased, Known
from sendwright.model.records import AttemptRecord, Decision, MessageRecord
from sendwright.model.said import Said
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.directory import body_of, known_of, members_of, merged, overtaken, says_nothing_new
from sendwright.policy.fold import Standing, fold, place_of

_REFUTED = frozenset({AttemptState.REJECTED, AttemptState.FAILED})
_WAITS = frozenset({MessageState.SCHEDULED, MessageState.QUEUED, MessageState.DIGESTING})


class MemoryDirectory:
    """engine.people.Directory."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def known(self, wanted: Collection[Key]) -> Mapping[Key, Known]:
        rows = self._store.tables.recipients.rows
        return {key: rows[key] for key in wanted if key in rows}

    async def write(self, changes: Sequence[Change]) -> Sequence[Known | None]:
        async with self._store.transaction("write") as t:
            return [_written(t, change) for change in changes]

    async def page(self, tenant: str, limit: int, after: str | None) -> Sequence[Known]:
        rows = self._store.tables.recipients.rows
        ids = sorted(id_ for owner, id_ in rows if owner == tenant and (after is None or id_ > after))
        return [rows[tenant, id_] for id_ in ids[:limit]]

    async def erase(self, tenant: str, id_: str, mark: str, now: int, marks: Collection[str] = ()) -> Erased:
        async with self._store.transaction("erase") as t:
            t.recipients.drop((tenant, id_))
            t.erasures.put((tenant, mark), now)
            t.events.forget([heard.id for heard in t.replies.rows.values() if heard.mark in marks and heard.tenant == tenant])
            for item, _ in list(t.inbox.rows.values()):
                if (item.tenant, item.recipient) == (tenant, id_):
                    t.inbox.drop(item.id)
            for endpoint in list(t.endpoints.rows.values()):
                if endpoint.tenant == tenant:
                    t.endpoints.put(endpoint.id, replace(endpoint, version=endpoint.version + 1))
            theirs = [m.id for m in t.messages.rows.values() if (m.tenant, m.recipient) == (tenant, id_)]
            replies = {heard.id for heard in t.replies.rows.values() if heard.mark in marks and heard.tenant == tenant}
            told = replies | {*theirs, *(notification_of(message) for message in theirs)}
            for posting in list(t.postings.rows.values()):
                its = t.endpoints.get(posting.endpoint)
                if posting.subject in told and its is not None and its.tenant == tenant:
                    t.postings.drop(posting.id)
            cancelled = sum(_erase(t, message, now) for message in theirs)
            for notification in {notification_of(message) for message in theirs}:
                _forget_content(t, notification)
            return Erased(len(theirs), cancelled)


def _written(t: Tables, change: Change) -> Known | None:
    key = (change.tenant, change.id)
    if (t.erasures.get((change.tenant, change.mark)) or -1) >= change.at:
        return None
    before = t.recipients.get(key)
    if before is not None and (overtaken(before.updated_at, change) or says_nothing_new(before, change)):
        return before
    body = merged(None if before is None else members_of(before.recipient), change)
    created_at = change.at if before is None else before.created_at
    after = known_of(change.id, body_of(body), created_at, change.at)
    t.recipients.put(key, after)
    return after


def _erase(t: Tables, id_: str, now: int) -> bool:
    """Whether it will now never be sent."""
    message = t.messages.get(id_)
    if message is None:
        return False
    attempts = t.attempts_of(message)
    cancelled = False
    if message.state in _WAITS or (message.state == MessageState.SENDING and message.token is None):
        cancelled = all(attempt.state in _REFUTED for attempt in attempts)
        end = MessageState.CANCELLED if cancelled else MessageState.FAILED
        reason = None if cancelled else Reason.UNKNOWN_RECIPIENT.value
        standing = fold(message, attempts, now, Decision(end, message.step, calls=message.calls, reason=reason))
        message = _ended(t, message, standing, attempts, now)
    t.messages.put(id_, replace(message, recipient=None, address=None, detail="", about=None, steps=_blank(message)))
    for attempt in attempts:
        t.attempts.put(attempt.id, replace(attempt, detail=""))
    return cancelled


def _ended(t: Tables, message: MessageRecord, standing: Standing, attempts: Sequence[AttemptRecord], now: int) -> MessageRecord:
    t.put_wait(message, None)
    t.events.append(
        now, message.tenant, f"message.{standing.state.label}", (notification_of(message.id), message.id), standing.reason or ""
    )
    channel, _, provider = place_of(message, standing, attempts)
    ended = replace(message, state=standing.state, token=None, dead=standing.dead, reason=standing.reason, updated_at=now)
    return replace(ended, channel=channel, provider=provider)


def _blank(message: MessageRecord) -> tuple[Step, ...]:
    return tuple(Step(step.channel, "") for step in message.steps)


def _forget_content(t: Tables, notification: str) -> None:
    """What was said to nobody else."""
    row = t.notifications.get(notification)
    if row is None:
        return
    others = (t.messages.get(id_) for id_ in row.messages)
    if all(m is None or (m.recipient is None and m.address is None) for m in others):
        plan = replace(row.plan, content=Said(), metadata={})
        t.notifications.put(notification, replace(row, plan=plan, forgotten=True))
