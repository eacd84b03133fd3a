"""The herald tells the operator's own services what happened: it reads the events, writes down who is to be told, and tells them.

  read    the events after where each endpoint stands; what it wants becomes postings, in the transaction that moves it on. Whoever
          dies in between has written all of it or nothing, and of two schedulers that read the same events one writes.
  tell    due postings are taken for `LEASE_S`, posted, and put down as delivered, waiting or failed. Whoever dies over one has it
          posted again, under the same id.

An endpoint has few places, one that fails has one, and all that fail have half of the places together: who is slow or dead waits
for itself alone. Without an endpoint no event is read and nothing is written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from sendwright.engine.drift import Held, never
from sendwright.engine.ports import Clock, Endpoints, Records
from sendwright.engine.postman import WITHIN_S, Posted, Postman
from sendwright.engine.telling import EndpointPosted, Tell, Trouble
from sendwright.errors import Unavailable, where
from sendwright.model.endpoint import DELIVERED, FAILED, TRIES_KEPT, Endpoint, Posting, Tried, posting_id
from sendwright.model.happenings import TOLD as HAPPENED
from sendwright.model.notices import SPOKEN_FOR
from sendwright.model.outcomes import Reason
from sendwright.model.records import Event
from sendwright.policy.duration import rfc3339
from sendwright.policy.posting import wait_s

EVERY_S = 0.5
PAGE = 200
"""Events that are read at a time."""
LEASE_S = WITHIN_S + 40
"""So long a taken posting is nobody else's: a call, and the writing down of what came of it."""
EACH = 8
"""Posts to one endpoint at a time."""
MOST = 128
"""Posts at a time."""
FAILING_MOST = MOST // 2

_REASONS = frozenset(reason.value for reason in Reason)


class Told(Records, Protocol):
    """The records, and what is told beside them."""

    async def metadata_of(self, notifications: Collection[str]) -> Mapping[str, dict[str, str]]: ...


class Herald:
    """`draw` gives chance in [0, 1). Run `run` beside the work."""

    def __init__(
        self,
        endpoints: Endpoints,
        records: Told,
        postman: Postman,
        clock: Clock,
        draw: Callable[[], float],
        tell: Tell,
        held: Held = never,
    ) -> None:
        self._endpoints = endpoints
        self._records = records
        self._postman = postman
        self._clock = clock
        self._draw = draw
        self._tell = tell
        self._held = held
        self._under_way: set[asyncio.Task[None]] = set()
        self._places: Counter[str] = Counter()
        """Posts under way, by endpoint."""
        self._failing: set[str] = set()
        self._news = asyncio.Event()
        """Something came due, or there is room for more of it."""

    async def run(self) -> None:
        """Reads and tells, each at its own pace, until it is cancelled or one of them breaks; both end with it, and so do the
        posts under way."""
        turns = ((self.read, asyncio.Event()), (self.tell_due, self._news))
        both = [asyncio.create_task(self._again(turn, news)) for turn, news in turns]
        try:
            await asyncio.gather(*both)
        finally:
            ending = [*both, *self._under_way]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
            self._places.clear()  # also of those that had not begun

    async def _again(self, turn: Callable[[], Awaitable[bool]], news: asyncio.Event) -> None:
        """Turn after turn, with a pause where there was nothing left to do, or until there is news."""
        while True:
            news.clear()
            try:
                more = await turn()
            except Unavailable as error:
                self._tell(Trouble("endpoints", str(error)))
                more = False
            if not more:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY_S):
                        await news.wait()

    async def read(self) -> bool:
        """One page of what every endpoint has not seen; True where there is more."""
        groups: dict[tuple[str, int], list[Endpoint]] = {}
        for endpoint in await self._endpoints.live():
            groups.setdefault((endpoint.tenant, endpoint.seen), []).append(endpoint)
        more = False
        for (tenant, seen), group in groups.items():
            events = await self._records.events(tenant, seen, PAGE)
            if events:
                await self._spread(tenant, events, group)
            more |= len(events) == PAGE
        return more

    async def _spread(self, tenant: str, events: Sequence[Event], group: Iterable[Endpoint]) -> None:
        now = self._clock.now_ms()
        wanted = [event for event in events if any(endpoint.wants(event.type) for endpoint in group)]
        bodies = await self._bodies(tenant, wanted) if wanted else {}
        for endpoint in group:
            postings = [
                Posting(
                    posting_id(endpoint.id, e.seq),
                    endpoint.id,
                    e.seq,
                    e.type,
                    e.message or e.notification,
                    e.at,
                    bodies[e.seq],
                    due_at=now,
                )
                for e in wanted
                if endpoint.wants(e.type)
            ]
            await self._endpoints.spread(endpoint, events[-1].seq, postings)
            if postings:
                self._news.set()

    async def _bodies(self, tenant: str, events: Sequence[Event]) -> dict[int, str]:
        """What is posted, by the event's number: the same in every try, and for every endpoint."""
        metadata = await self._records.metadata_of({event.notification for event in events if event.type not in SPOKEN_FOR})
        names = {event.message for event in events if event.message is not None}
        messages = {name: await self._records.message(tenant, name) for name in names}
        found = {}
        for event in events:
            if event.type in SPOKEN_FOR:
                told = msgspec.json.decode(event.detail, type=dict[str, Any])
                found[event.seq] = event_body(event.type, event.at, {"id": event.notification} | told)
                continue
            data: dict[str, Any] = {"notification": event.notification}
            if event.message is not None:
                message = messages[event.message]
                data |= {
                    "message": event.message,
                    "recipient": message.recipient if message is not None else None,
                    "channel": message.channel if message is not None else None,
                    "provider": message.provider if message is not None else None,
                }
            data |= {
                "state": event.type.partition(".")[2],
                "reason": event.detail if event.detail in _REASONS else None,
                "metadata": metadata.get(event.notification, {}),
            }
            if event.type in HAPPENED and event.message is not None:  # no state is named so: the message's own stands there
                message = messages[event.message]
                data |= {"state": message.state.label if message is not None else None, "detail": event.detail or None}
            found[event.seq] = event_body(event.type, event.at, data)
        return found

    async def tell_due(self) -> bool:
        """Begins to post what is due, as far as there is room; False, for it wants to be called again when there is news. Right
        after a step of the wall clock nothing is due (drift.py)."""
        if self._held():
            return False
        live = {endpoint.id: endpoint for endpoint in await self._endpoints.live()}
        if not live:
            return False
        self._failing = {endpoint.id for endpoint in live.values() if endpoint.failing_since is not None}
        now = self._clock.now_ms()
        due = await self._endpoints.waiting([id_ for id_ in live if self._room(id_) > 0], now)
        shares = self._shares(due)
        if not shares:
            return False
        taken = await self._endpoints.take(shares, now, now + int(LEASE_S * 1000))
        for posting in taken:
            self._places[posting.endpoint] += 1
            task = asyncio.create_task(self._post(live[posting.endpoint], posting))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return False

    def _room(self, endpoint: str) -> int:
        return (1 if endpoint in self._failing else EACH) - self._places[endpoint]

    def _shares(self, due: Iterable[str]) -> dict[str, int]:
        """How many are taken of each: those that are well first."""
        shares: dict[str, int] = {}
        left = MOST - self._places.total()
        failing_left = FAILING_MOST - sum(self._places[id_] for id_ in self._failing)
        for id_ in sorted(due, key=lambda each: (each in self._failing, self._places[each])):
            most = min(self._room(id_), left, failing_left if id_ in self._failing else left)
            if most <= 0:
                continue
            shares[id_] = most
            left -= most
            failing_left -= most if id_ in self._failing else 0
        return shares

    async def _post(self, endpoint: Endpoint, posting: Posting) -> None:
        try:
            posted = await self._postman.post(endpoint, posting.id, posting.body.encode())
            tried = self._settled(posting, posted)
            self._tell(EndpointPosted(_outcome(tried)))
            after = await self._endpoints.tried(tried)
            if after is not None and after.disabled_for not in (None, endpoint.disabled_for):
                self._tell(Trouble("endpoints", f"{after.id} is posted to no more: {after.disabled_for}"))
        except Unavailable as error:
            self._tell(Trouble("endpoints", str(error)))
        except Exception as error:  # noqa: BLE001 — one post's mistake must cost itself: it comes again when its lease is over
            self._tell(Trouble("endpoints", f"a post to {endpoint.id} broke off: {where(error)}"))
        finally:
            if self._room(posting.endpoint) <= 0:
                self._news.set()
            self._places[posting.endpoint] -= 1
            if self._places[posting.endpoint] <= 0:
                del self._places[posting.endpoint]

    def _settled(self, posting: Posting, posted: Posted) -> Tried:
        at = self._clock.now_ms()
        count = posting.count + 1
        wait = None
        if not posted.ok and not posted.gone:
            wait = wait_s(count - posting.began, posted.asked_s, self._draw())
        after = replace(posting, count=count, tries=(*posting.tries, posted.tried)[-TRIES_KEPT:])
        if wait is not None:
            return Tried(replace(after, due_at=at + int(wait * 1000)), at, ok=False)
        return Tried(replace(after, state=DELIVERED if posted.ok else FAILED, due_at=None), at, posted.ok, posted.gone)


def _outcome(tried: Tried) -> str:
    if tried.ok or tried.gone:
        return "delivered" if tried.ok else "gone"
    return "failed" if tried.posting.state == FAILED else "later"


def event_body(type_: str, at: int, data: Mapping[str, Any]) -> str:
    """The envelope of Standard Webhooks."""
    return msgspec.json.encode({"type": type_, "timestamp": rfc3339(at), "data": data}).decode()
