"""A world for the API's tests: the ports as small fakes that keep what they were told, and a clock that stands."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import msgspec

from sendwright.drivers.store.memory import MemoryBackend
from sendwright.drivers.store.memory_endpoints import MemoryEndpoints
from sendwright.drivers.store.memory_inbox import MemoryInbox
from sendwright.drivers.store.memory_keyring import MemoryKeyRing
from sendwright.drivers.store.memory_records import MemoryRecords
from sendwright.drivers.store.memory_sessions import MemorySessions
from sendwright.drivers.store.memory_tables import MemoryStore
from sendwright.drivers.store.memory_types import MemoryLayouts, MemoryTypes
from sendwright.engine.catalogue import Catalogue
from sendwright.engine.postman import Postman
from sendwright.engine.receivers import Receivers
from sendwright.engine.report import Reporter
from sendwright.engine.sealing import Sealer
from sendwright.engine.warden import Warden
from sendwright.errors import BusDown
from sendwright.model import ids
from sendwright.model.ids import IdMint, message_id
from sendwright.model.notification import Payload, Priority
from sendwright.model.parcel import INBOUND, Sighting, Step
from sendwright.model.records import (
    Absent,
    AttemptRecord,
    Audit,
    Cancelled,
    Conflict,
    Event,
    Listed,
    MessageRecord,
    NotificationRecord,
    Page,
    Running,
    Taken,
    Violation,
)
from sendwright.model.said import Said
from sendwright.model.states import AttemptState, MessageState
from sendwright.model.stats import UNIT_MAX, Backlog, Parked, Sample, Strip
from sendwright.policy.admission import Rules
from sendwright.policy.idempotency import fingerprint
from sendwright.policy.suppression import Marker
from sendwright.policy.unsubscribing import Links
from sendwright.providers.contract import (
    Answer,
    Capabilities,
    CommonSettings,
    Hook,
    Outgoing,
    Provider,
    Receipt,
    Reply,
    Request,
    Secret,
    Verdict,
)
from sendwright.web.api.app import build_app
from sendwright.web.api.services import ProviderPatch, ProviderStanding, RouteStanding, Services, Trial, Unfit

from .asgi_client import Client
from .engine_world import Quarantine

NOW = 1_795_000_000_000
KEY = "an-admin-key-of-at-least-32-characters"
LIVE = frozenset({"sms", "email", "push", "inapp", "webhook"})


class StandingClock:
    def __init__(self) -> None:
        self.ms = NOW
        self.slept = 0

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)
        self.slept += 1
        await asyncio.sleep(0)


class Desk:
    """Accepts, and knows keys. `fault` is raised instead, for as long as it is set."""

    def __init__(self, mint: IdMint, clock: StandingClock) -> None:
        self.mint, self.clock = mint, clock
        self.taken: list[tuple[str, Payload, bytes, str | None, str | None]] = []
        self.keys: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.fault: Exception | None = None
        self.running = False
        self.ended: list[Taken | Conflict | Running | Absent] = []
        self.faulty_from = 10**9

    async def accept(
        self, tenant: str, payload: Payload, raw: bytes, key: str | None, trace: str | None = None, *, repeat: bool = False
    ) -> Taken | Conflict | Running | Absent:
        if self.fault is not None and (self.faulty_from == 10**9 or len(self.taken) >= self.faulty_from):
            raise self.fault
        if self.running:
            return Running(1.0)
        if key is not None and (tenant, key) in self.keys:
            first, before = self.keys[tenant, key]
            return Taken(first, replayed=True) if before == fingerprint(raw) else Conflict()
        if repeat:
            return Absent()
        new = self.mint.notification(tenant, self.clock.now_ms(), len(self.taken).to_bytes(9, "big"))
        self.taken.append((tenant, payload, raw, key, trace))
        if key is not None:
            self.keys[tenant, key] = (new, fingerprint(raw))
        return Taken(new)

    def begin(
        self, tenant: str, payload: Payload, raw: bytes, key: str | None, trace: str | None = None, *, repeat: bool = False
    ) -> Awaitable[Taken | Conflict | Running | Absent]:
        return self.accept(tenant, payload, raw, key, trace, repeat=repeat)

    def over(self, answer: Taken | Conflict | Running | Absent) -> None:
        self.ended.append(answer)

    async def offer(self, offer: Any) -> Taken:
        raise AssertionError("the API offers through `accept`")

    async def stored(self, tenant: str, key: str) -> str | None:
        found = self.keys.get((tenant, key))
        return None if found is None else found[0]


class Rows:
    """Records over plain lists."""

    def __init__(self) -> None:
        self.notifications: dict[str, NotificationRecord] = {}
        self.messages: dict[str, MessageRecord] = {}
        self.attempt_rows: list[AttemptRecord] = []
        self.event_rows: list[Event] = []
        self.pages: list[Page] = []
        self.asked_for_metadata = 0
        self.violations: tuple[Violation, ...] = ()
        self.parked: tuple[Parked, ...] = ()
        self.counted: list[tuple[int, int]] = []
        """The spans that were counted."""
        self.people: MemoryRecords | None = None
        """Who knows what people have said back."""
        self.fault: Exception | None = None

    async def notification(self, tenant: str, notification: str) -> NotificationRecord | None:
        if self.fault is not None:
            raise self.fault
        row = self.notifications.get(notification)
        return row if row is not None and row.tenant == tenant else None

    async def metadata_of(self, notifications: Collection[str]) -> dict[str, dict[str, str]]:
        self.asked_for_metadata += 1
        return {name: self.notifications[name].metadata for name in notifications if name in self.notifications}

    async def messages_of(self, notification: str, limit: int, after: str | None) -> Sequence[MessageRecord]:
        rows = sorted((m for m in self.messages.values() if ids.notification_of(m.id) == notification), key=lambda m: m.id)
        return [m for m in rows if after is None or m.id > after][:limit]

    async def message(self, tenant: str, message: str) -> MessageRecord | None:
        row = self.messages.get(message)
        return row if row is not None and row.tenant == tenant else None

    def forgotten(self, message: str) -> bool:
        """Whether retention has taken what a message said."""
        return self.notifications[ids.notification_of(message)].content == Said()

    async def attempts(self, message: str) -> Sequence[AttemptRecord]:
        return [a for a in self.attempt_rows if a.message == message]

    async def timeline(self, message: str) -> Sequence[Event]:
        return [e for e in self.event_rows if e.message == message]

    async def said_back(self, tenant: str, marks: Collection[str], limit: int, before: int | None = None) -> Sequence[Event]:
        assert self.people is not None
        return await self.people.said_back(tenant, marks, limit, before)

    async def list_messages(self, page: Page) -> Listed[MessageRecord]:
        self.pages.append(page)
        rows = [m for m in self.messages.values() if m.tenant == page.tenant]
        rows = [m for m in rows if page.dead is None or m.dead == page.dead]
        rows = [m for m in rows if page.state is None or m.state == page.state]
        rows = [m for m in rows if page.provider is None or m.provider == page.provider]
        rows = [m for m in rows if page.reason is None or m.reason == page.reason]
        rows = [m for m in rows if page.recipient is None or m.recipient == page.recipient]
        return _paged(rows, page)

    async def list_notifications(self, page: Page) -> Listed[NotificationRecord]:
        self.pages.append(page)
        rows = [n for n in self.notifications.values() if n.tenant == page.tenant]
        return _paged([n for n in rows if page.key is None or n.key == page.key], page)

    async def dead_causes(self, tenant: str) -> Sequence[tuple[str, str, str, int]]:
        return [("sms", "rejected", "twilio-main", sum(m.dead for m in self.messages.values()))]

    async def events(self, tenant: str, after: int, limit: int) -> Sequence[Event]:
        return [e for e in self.event_rows if e.tenant == tenant and e.seq > after][:limit]

    async def sampled(self, tenant: str, spans: Sequence[tuple[int, int]], most: int) -> Sequence[Strip]:
        return [_strip(self._within(tenant, span), most) for span in spans]

    async def accepted_within(self, tenant: str, spans: Sequence[tuple[int, int]], most: int = UNIT_MAX) -> Sequence[int]:
        self.counted += spans
        return [len(self._within(tenant, span)) for span in spans]

    def _within(self, tenant: str, span: tuple[int, int]) -> list[MessageRecord]:
        return [m for m in self.messages.values() if m.tenant == tenant and span[0] <= m.accepted_at < span[1]]

    async def backlog(self, tenant: str) -> Backlog:
        own = [m for m in self.messages.values() if m.tenant == tenant]
        return Backlog(sum(m.dead for m in own), sum(m.state == MessageState.IN_DOUBT for m in own), self.parked)

    async def audit(self) -> Audit:
        return Audit(1, 1, 0, 1, {"sent": 1}, self.violations)


def _strip(rows: Sequence[MessageRecord], most: int) -> Strip:
    samples = tuple(Sample(m.accepted_at, m.state, "sms", m.provider, 40) for m in rows[:most])
    return Strip(samples, samples[-1].at if len(rows) >= most else None)


def _paged(rows: list[Any], page: Page) -> Listed[Any]:
    rows = sorted((r for r in rows if page.before is None or r.id < page.before), key=lambda r: r.id, reverse=True)
    shown = rows[: page.limit]
    return Listed(tuple(shown), shown[-1].id if len(rows) > len(shown) else None)


class Book:
    """A ledger that notes what it was asked, and does the little that answers show."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.asked: list[tuple[Any, ...]] = []

    async def cancel(self, tenant: str, target: str, now: int) -> Cancelled:
        self.asked.append(("cancel", tenant, target))
        return Cancelled(cancelled=1, too_late=2, unplanned=3)

    async def resolve(self, tenant: str, message: str, verdict: str, now: int) -> MessageState | None:
        self.asked.append(("resolve", tenant, message, verdict))
        if verdict == "resend" and (self.rows.forgotten(message) or self.rows.messages[message].late(now)):
            return None
        return MessageState.SENT if self.rows.messages[message].state == MessageState.IN_DOUBT else None

    async def revive(self, tenant: str, message: str, now: int, seen: MessageRecord | None = None) -> bool:
        self.asked.append(("revive", tenant, message))
        await asyncio.sleep(0)
        row = self.rows.messages.get(message)
        if row is not None and seen is not None and not row.stands_as(seen):
            return False
        if row is None or not row.steps or row.state in (MessageState.SENDING, MessageState.DELIVERED, MessageState.READ):
            return False
        if self.rows.forgotten(message) or row.late(now):
            return False
        self.rows.messages[message] = msgspec.structs.replace(row, state=MessageState.QUEUED, dead=False)
        return True

    async def drop(self, tenant: str, message: str, now: int) -> bool:
        self.asked.append(("drop", tenant, message))
        row = self.rows.messages.get(message)
        if row is None or row.tenant != tenant or not row.dead:
            return False
        self.rows.messages[message] = msgspec.structs.replace(row, dead=False)
        return True


class Lanes:
    """What was published, the receipts read. `worker` has each parcel before the publisher wakes."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Sighting]] = []
        self.raw: list[tuple[str, bytes]] = []
        self.down = False
        self.waits_s: dict[str, float] = {}
        self.worker: Callable[[str, bytes], Awaitable[None]] | None = None

    def oldest_s(self, lane: str) -> float:
        return self.waits_s.get(lane, 0.0)

    async def publish(self, lane: str, parcels: Sequence[bytes]) -> None:
        if self.down:
            raise BusDown("down")
        for parcel in parcels:
            self.raw.append((lane, parcel))
            if lane == INBOUND:
                self.published.append((lane, msgspec.json.decode(parcel, type=Sighting)))
            if self.worker is not None:
                await self.worker(lane, parcel)


class Vendor(Provider):
    """Signs by a header; reports whatever its query says."""

    kind = "vendor"
    settings_type = CommonSettings

    def __init__(self, name: str) -> None:
        super().__init__(name, None)
        self.hooks: list[Hook] = []
        self.can = Capabilities(("sms",))

    @property
    def capabilities(self) -> Capabilities:
        return self.can

    def build(self, out: Outgoing) -> Any:
        raise ValueError

    def parse(self, reply: Reply) -> Any:
        raise ValueError

    def verify(self, hook: Hook) -> Verdict:
        self.hooks.append(hook)
        return {"good": Verdict.GOOD, "foreign": Verdict.FOREIGN}.get(hook.header("signature") or "", Verdict.BAD)

    def events(self, hook: Hook) -> Sequence[Receipt]:
        ref = hook.param("ref")
        return (
            [Receipt(AttemptState.DELIVERED, attempt=hook.param("a"), ref=ref, detail=hook.body.decode("latin-1"))] if ref else []
        )


class Crew:
    def __init__(self) -> None:
        self.patches: list[tuple[str, ProviderPatch]] = []
        self.orders: list[tuple[str, Sequence[str] | None]] = []
        self.lanes = {"sms": RouteStanding("sms", "order", ("twilio-main",), (), "settings")}
        self.rows = {
            "twilio-main": ProviderStanding(
                "twilio-main", "twilio", ("sms",), enabled=True, weight=1, breaker="closed", in_flight=0
            )
        }

    async def standings(self) -> Sequence[ProviderStanding]:
        return list(self.rows.values())

    def route(self, channel: str) -> Sequence[str]:
        return [name for name, row in self.rows.items() if channel in row.channels]

    async def switch(self, name: str, patch: ProviderPatch) -> None:
        self.patches.append((name, patch))
        if isinstance(patch.enabled, bool):
            self.rows[name] = msgspec.structs.replace(self.rows[name], enabled=patch.enabled)

    async def routes(self) -> Sequence[RouteStanding]:
        return list(self.lanes.values())

    async def reorder(self, channel: str, providers: Sequence[str] | None) -> None:
        self.orders.append((channel, providers))
        route = self.lanes[channel]
        everybody = tuple(sorted((*route.providers, *route.left_out)))
        on_it = everybody if providers is None else tuple(providers)
        left_out = tuple(name for name in everybody if name not in on_it)
        source: Any = "settings" if providers is None else "run_time"
        self.lanes[channel] = RouteStanding(channel, "order", on_it, left_out, source)

    async def test(self, name: str, to: str | None) -> Trial | Unfit:
        if to is None:
            return Unfit("required", "is missing")
        return Trial("accepted", ref="SM1") if to.startswith("+") else Unfit("invalid_address", "is not a number")


class Out:
    """ports.Egress and its one line: what was posted, and what is answered."""

    def __init__(self) -> None:
        self.posts: list[Any] = []
        self.answer: Answer = Reply(204)

    async def open(self, provider: str, request: Request, within_s: float) -> Any:
        return self

    async def send(self, request: Request, within_s: float) -> Answer:
        self.posts.append(request)
        return self.answer

    def release(self) -> None:
        pass


class World:
    """The application with everything that it stands on."""

    def __init__(self, **settings: Any) -> None:
        self.clock = StandingClock()
        self.mint = IdMint(b"s" * 32)
        self.desk = Desk(self.mint, self.clock)
        self.rows = Rows()
        self.book = Book(self.rows)
        self.bus = Lanes()
        self.troubles: list[object] = []
        self.dead = Quarantine()
        self.people = MemoryBackend(self.clock)
        self.rows.people = self.people.records
        self.sessions = MemorySessions(MemoryStore())
        self.crew = Crew()
        self.vendor = Vendor("twilio-main")
        self.pokes = 0
        self.able = True
        self.draining = asyncio.Event()
        self.keyring = MemoryKeyRing(MemoryStore())
        self.inbox = MemoryInbox(MemoryStore())
        self.endpoints = MemoryEndpoints(MemoryStore())
        self.out = Out()
        sealer = Sealer([b"k" * 32], os.urandom)
        postman = Postman(self.out, sealer, self.clock)
        self.receivers = Receivers(self.endpoints, self.rows, sealer, postman, self.clock, os.urandom)
        self.warden = Warden(self.keyring, self.clock, [b"k" * 32], os.urandom, lambda _: None)
        given: dict[str, Any] = {
            "public_url": "https://notify.example.com",
            "marker": Marker(b"k" * 32),
            "links": Links("https://notify.example.com", [b"k" * 32], Marker(b"k" * 32)),
            "rules": Rules(),
            "channels": lambda: LIVE,
            **settings,
        }
        self.types = MemoryTypes(MemoryStore())
        self.layouts = MemoryLayouts(MemoryStore())
        self.services = Services(
            clock=self.clock,
            mint=self.mint,
            accept=self.desk,
            desk=self.desk,
            ledger=self.book,  # type: ignore[arg-type]
            records=self.rows,
            dead=self.dead,
            directory=self.people.directory,
            suppressions=self.people.suppressions,
            sessions=self.sessions,
            types=self.types,
            layouts=self.layouts,
            catalogue=Catalogue(self.types, self.layouts, self.clock),
            bus=self.bus,  # type: ignore[arg-type]
            inbox=self.inbox,
            reporter=Reporter(self.inbox, self.bus, self.clock, self.troubles.append),  # type: ignore[arg-type]
            endpoints=self.endpoints,
            receivers=self.receivers,
            fleet=self.crew,
            providers={"twilio-main": self.vendor},
            poke=self._poke,
            ready=self._ready,
            metrics=lambda: b"sendwright_build_info 1\n",
            admin_key=Secret(KEY),
            warden=self.warden,
            signing_key=b"k" * 32,
            draining=self.draining,
            **given,
        )
        self.app = build_app(self.services)
        self.stranger = Client(self.app)
        self.client = Client(self.app, {"authorization": f"Bearer {KEY}"})
        self.neighbour = Client(self.app, {"authorization": f"Bearer {KEY}", "sendwright-tenant": "acme"})

    def _poke(self) -> None:
        self.pokes += 1

    async def _ready(self) -> tuple[bool, dict[str, object]]:
        return self.able, {"bus": "up" if self.able else "down"}

    def born(self, count: int = 1, *, number: int = 0, **members: Any) -> tuple[str, list[str]]:
        """A planned notification with messages; returns their ids."""
        notification = self.mint.notification("default", NOW - 1000 + number, number.to_bytes(9, "big"))
        names = [message_id(notification, ordinal) for ordinal in range(count)]
        given = {"state": MessageState.SENT, "steps": (Step("sms", "+14155550123"),), **members}
        for name in names:
            self.rows.messages[name] = MessageRecord(
                id=name,
                tenant="default",
                step=0,
                number=1,
                priority=Priority.HIGH,
                on_doubt="resend",
                accepted_at=NOW - 1000,
                updated_at=NOW,
                provider="twilio-main",
                **given,
            )
        self.rows.notifications[notification] = NotificationRecord(
            id=notification,
            tenant="default",
            at=NOW - 1000,
            priority=Priority.HIGH,
            category="transactional",
            on_doubt="resend",
            content=Said(body="hello"),
            messages=count,
            counts={given["state"]: count},
            metadata={"order": "1"},
        )
        return notification, names
