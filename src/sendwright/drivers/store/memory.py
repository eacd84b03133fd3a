"""The store in memory, whole: bus, desk, ledger, waiting, records and switchboard over plain dictionaries.

For tests, the simulator and programs that use the testing kit. `restart` simulates kill -9 and a new start: what was
committed is kept, what was open is gone, what was taken from the bus and not done comes again.

  memory_tables.py   the rows and the one writer      memory_ledger.py    the rows that decide
  memory_records.py  what people ask to see           memory_sweeper.py   retention
  memory_keyring.py  API keys                         memory_inbox.py     what lies in inboxes
  memory_directory.py  the recipients                 memory_suppressions.py  who must not be sent to
  memory_sessions.py who is signed in                 memory_types.py     the kinds of notifications, and layouts
  memory_endpoints.py  the operator's own services    memory_notices.py   what is told of the providers
  bus/memory.py      the lanes
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from sendwright.drivers.bus.memory import MemoryBus
from sendwright.drivers.store.memory_directory import MemoryDirectory
from sendwright.drivers.store.memory_endpoints import MemoryEndpoints
from sendwright.drivers.store.memory_inbox import MemoryInbox
from sendwright.drivers.store.memory_keyring import MemoryKeyRing
from sendwright.drivers.store.memory_ledger import MemoryLedger
from sendwright.drivers.store.memory_notices import MemoryNotices
from sendwright.drivers.store.memory_records import MemoryRecords
from sendwright.drivers.store.memory_sessions import MemorySessions
from sendwright.drivers.store.memory_suppressions import MemorySuppressions
from sendwright.drivers.store.memory_sweeper import MemorySweeper
from sendwright.drivers.store.memory_tables import KeyRow, MemoryStore
from sendwright.drivers.store.memory_types import MemoryLayouts, MemoryTypes
from sendwright.engine.ports import Clock
from sendwright.model.ids import notification_of
from sendwright.model.notification import Priority
from sendwright.model.parcel import Intake, Parcel, intake_lane, pack
from sendwright.model.records import SWITCHED, Absent, Conflict, Offer, Order, Running, Switch, Taken, parcel_of
from sendwright.model.states import MessageState
from sendwright.policy.suppression import UNKEYED, Marker


class MemoryBackend:
    """Everything that the engine's ports need. `process` names this incarnation; each restart makes a new one."""

    name = "memory"

    def __init__(
        self,
        clock: Clock,
        process: str = "mem-1",
        *,
        store: MemoryStore | None = None,
        bus: MemoryBus | None = None,
        marker: Marker = UNKEYED,
    ) -> None:
        self.process = process
        self.store = store if store is not None else MemoryStore()
        self.bus = bus if bus is not None else MemoryBus(clock)
        self.desk = MemoryDesk(self.store, self.bus, process)
        self.ledger = MemoryLedger(self.store, marker)
        self.waiting = MemoryWaiting(self.store)
        self.records = MemoryRecords(self.store, self.bus)
        self.sweeper = MemorySweeper(self.store)
        self.switchboard = MemorySwitchboard(self.store)
        self.keyring = MemoryKeyRing(self.store)
        self.inbox = MemoryInbox(self.store)
        self.directory = MemoryDirectory(self.store)
        self.suppressions = MemorySuppressions(self.store)
        self.sessions = MemorySessions(self.store)
        self.types = MemoryTypes(self.store)
        self.layouts = MemoryLayouts(self.store)
        self.endpoints = MemoryEndpoints(self.store)
        self.credentials = self.stands = MemoryNotices(self.store)
        self._clock = clock
        self._marker = marker

    async def restart(self) -> MemoryBackend:
        """Kills this one and starts another over what it had committed. This one raises `StoreDown` and `BusDown` from now on."""
        tables, bundles = self.store.kill(), self.bus.kill()
        name, _, incarnation = self.process.rpartition("-")
        process = f"{name}-{int(incarnation) + 1}" if name and incarnation.isdigit() else f"{self.process}-2"
        return MemoryBackend(
            self._clock, process, store=MemoryStore(tables), bus=MemoryBus(self._clock, bundles), marker=self._marker
        )


class MemoryDesk:
    """ports.IntakeDesk. A key is never `Running` here: it is bound by the same step that makes the parcel durable."""

    def __init__(self, store: MemoryStore, bus: MemoryBus, process: str) -> None:
        self._store = store
        self._bus = bus
        self._process = process

    async def offer(self, offer: Offer) -> Taken | Conflict | Running | Absent:
        async with self._store.transaction("offer") as t:
            if offer.key is not None:
                held = t.keys.get((offer.tenant, offer.key))
                if held is not None:
                    return Taken(held.id, replayed=True) if held.fingerprint == offer.fingerprint else Conflict()
                if offer.repeat:
                    return Absent()
                t.keys.put((offer.tenant, offer.key), KeyRow(offer.id, offer.fingerprint, offer.at))
            number = (t.accepted.get(self._process) or 0) + 1
            t.accepted.put(self._process, number)
        # Nothing suspends between the commit above and this line: both happen, or neither.
        self._bus.put(intake_lane(offer.priority, aside=offer.aside), [self._parcel(offer, number)])
        return Taken(offer.id)

    async def stored(self, tenant: str, key: str) -> str | None:
        row = self._store.tables.keys.rows.get((tenant, key))
        return row.id if row is not None else None

    def _parcel(self, offer: Offer, number: int) -> bytes:
        return pack(
            Intake(
                id=offer.id,
                tenant=offer.tenant,
                at=offer.at,
                body=msgspec.Raw(offer.body),
                process=self._process,
                number=number,
                key=offer.key,
                trace=offer.trace,
                v=offer.v,
            )
        )


class MemoryWaiting:
    """ports.Waiting."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._tables = store.tables

    async def due(self, now: int, limit: int) -> Sequence[Parcel]:
        came: dict[Priority, list[tuple[int, str]]] = {priority: [] for priority in Priority}
        for id_, row in self._tables.waits.rows.items():
            if row.wait.due_at is not None and row.wait.due_at <= now:
                came[row.priority].append((row.wait.due_at, id_))
        return self._parcels(id_ for waits in came.values() for _, id_ in heapq.nsmallest(limit, waits))

    async def tenants(self, key: str, priority: Priority, first: str, most: int) -> dict[str, int]:
        counts = Counter(tenant for _, tenant, _ in self._under(key, priority))
        return {tenant: counts[tenant] for tenant in sorted(counts, key=lambda each: (each < first, each))[:most]}

    async def pull(self, key: str, priority: Priority, shares: Mapping[str, int]) -> Sequence[Parcel]:
        left, found = dict(shares), []
        for _, tenant, id_ in sorted(self._under(key, priority)):
            if left.get(tenant, 0) > 0:
                left[tenant] -= 1
                found.append(id_)
        return self._parcels(found)

    async def promoted(self, parcels: Sequence[Parcel], now: int) -> None:
        async with self._store.transaction("promoted") as t:
            for parcel in parcels:
                row, message = t.waits.get(parcel.id), t.messages.get(parcel.id)
                if row is None or message is None or row.wait.serial != parcel.wait:
                    continue
                t.put_wait(message, None)
                if message.state == MessageState.SCHEDULED:
                    t.messages.put(message.id, replace(message, state=MessageState.QUEUED, updated_at=now))

    async def parked(self) -> dict[tuple[str, Priority], int]:
        rows = self._tables.waits.rows.values()
        return dict(Counter((row.wait.key, row.priority) for row in rows if row.wait.key != "time"))

    async def rebase(self, now: int, ahead: int) -> None:
        async with self._store.transaction("rebase") as t:
            for id_ in list(t.waits.rows):
                row, message = t.waits.get(id_), t.messages.get(id_)
                if row is None or message is None or row.wait.key != "time" or row.wait.due_at is None:
                    continue
                if message.updated_at < now + ahead or message.state == MessageState.SCHEDULED:
                    continue
                due = now + max(0, row.wait.due_at - message.updated_at)
                if row.wait.due_at > now:
                    t.waits.put(id_, replace(row, wait=replace(row.wait, due_at=due, until=due)))
                t.messages.put(id_, replace(message, updated_at=now))

    async def next_due(self) -> int | None:
        due = (row.wait.due_at for row in self._tables.waits.rows.values())
        return min((at for at in due if at is not None), default=None)

    def _under(self, key: str, priority: Priority) -> Iterator[tuple[int, str, str]]:
        """What is parked there: (serial, tenant, message)."""
        messages = self._tables.messages.rows
        for id_, row in self._tables.waits.rows.items():
            if (row.wait.key, row.priority) == (key, priority) and key != "time":
                yield row.wait.serial, messages[id_].tenant, id_

    def _parcels(self, messages: Iterable[str]) -> list[Parcel]:
        found = []
        for id_ in messages:
            message = self._tables.shown(self._tables.messages.rows[id_])
            plan = self._tables.notifications.rows[notification_of(id_)].plan
            found.append(parcel_of(message, plan.content, plan.trace, plan.category))
        return found


class MemorySwitchboard:
    """ports.Switchboard."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def read(self) -> tuple[int, Sequence[Switch]]:
        tables = self._store.tables
        return tables.epochs.rows["switches"], list(tables.switches.rows.values())

    async def set(self, switch: Switch, members: Collection[str] = SWITCHED) -> int:
        async with self._store.transaction("set") as t:
            epoch = t.epoch + 1
            t.epochs.put("switches", epoch)
            before = t.switches.get(switch.provider) or Switch(switch.provider)
            t.switches.put(switch.provider, replace(before, **{name: getattr(switch, name) for name in members}))
            return epoch

    async def orders(self) -> Sequence[Order]:
        return sorted(self._store.tables.routes.rows.values(), key=lambda order: order.channel)

    async def reorder(self, order: Order) -> int:
        async with self._store.transaction("reorder") as t:
            epoch = t.epoch + 1
            t.epochs.put("switches", epoch)
            if order.providers is None:
                t.routes.drop(order.channel)
            else:
                t.routes.put(order.channel, order)
            return epoch
