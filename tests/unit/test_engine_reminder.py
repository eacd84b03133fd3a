"""reminder: credentials that a person must renew are asked about once a day by one of many, and told of in time, once."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self

from sendwright.drivers.store.memory import MemoryBackend
from sendwright.engine.account import Account
from sendwright.engine.fleet import Fleet
from sendwright.engine.reminder import LEASE_MS, Reminder
from sendwright.engine.telling import Telling, Trouble
from sendwright.errors import StoreDown, Unreachable
from sendwright.model.notices import EXPIRING, OPERATOR
from sendwright.policy.breaker import BreakerSettings
from sendwright.policy.limit import Reserve
from sendwright.policy.notices import DAY_MS
from sendwright.providers.contract import Answer, Lost, Reply, Request
from sendwright.providers.registry import make

from .virtual_time import NOW, VirtualClock, in_virtual_time

DAY_S = 86_400.0
RAW = {"kind": "whatsapp_cloud", "access_token": "a-token-of-meta", "phone_number_id": "1055512345678"}


class Meta:
    """ports.Egress, with Meta at the other end."""

    def __init__(self, ends_at: float | None) -> None:
        self.ends_at = ends_at
        self.answer: Answer | None = None
        self.unreachable = False
        self.asked = 0
        self.takes_s = 0.05

    async def open(self, _provider: str, _request: Request, _within_s: float) -> Self:
        if self.unreachable:
            raise Unreachable("connect", "refused")
        return self

    async def send(self, _request: Request, _within_s: float) -> Answer:
        self.asked += 1
        await asyncio.sleep(self.takes_s)
        said = {"is_valid": True, "expires_at": int(self.ends_at or 0), "data_access_expires_at": 0}
        return self.answer or Reply(200, (), json.dumps({"data": said}).encode())

    def release(self) -> None:
        pass


class House:
    """Processes over one store."""

    def __init__(self, ends_in_days: float | None = None, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.backend = MemoryBackend(self.clock)
        self.meta = Meta(None if ends_in_days is None else NOW / 1000 + ends_in_days * DAY_S)
        self.told: list[Telling] = []
        self.settings = settings
        self.tasks: list[asyncio.Task[None]] = []
        self.down = False

    def account(self) -> Account:
        provider = make("wa-main", RAW | self.settings)
        return Account(provider, concurrency=1, rate=None, breaker=BreakerSettings(), reserve=Reserve(), callback_base=None)

    def process(self, *, looks_on: bool = False) -> Reminder:
        board, store = self.backend.switchboard, self
        fleet = Fleet([self.account()], {"whatsapp": ["wa-main"]}, board, self.told.append)
        found = Reminder(store, fleet, self.meta, self.clock, self.told.append)  # type: ignore[arg-type]
        self.tasks.append(asyncio.create_task(found.look_on() if looks_on else found.run()))
        return found

    async def known(self) -> Any:
        if self.down:
            raise StoreDown("down")
        return await self.backend.credentials.known()

    async def put(self, *args: Any) -> bool:
        await asyncio.sleep(0.01)
        return await self.backend.credentials.put(*args)

    def days(self) -> list[int]:
        """What was told, by the days that were left."""
        events = [event for event in self.backend.store.tables.events.rows if event.type == EXPIRING]
        assert {event.tenant for event in events} <= {OPERATOR}
        assert len({event.notification for event in events}) == len(events)
        return [json.loads(event.detail)["days_left"] for event in events]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        assert not [told for told in self.told if isinstance(told, Trouble) and "broke" in told.what]


@in_virtual_time
async def test_of_many_processes_one_asks_once_a_day_and_each_mark_is_told_once_over_restarts() -> None:
    async with House(ends_in_days=35) as house:
        many, looks = [house.process() for _ in range(3)], house.process(looks_on=True)
        await asyncio.sleep(4 * DAY_S + 60)
        assert (house.meta.asked, house.days()) == (5, [])
        assert looks.ends_at(house.account()) == many[0].ends_at(house.account()) == NOW + 35 * DAY_MS
        # when: all of them end, and others begin
        for task in house.tasks[:4]:
            task.cancel()
        await asyncio.gather(*house.tasks[:4], return_exceptions=True)
        await asyncio.sleep(2 * DAY_S)
        for _ in range(3):
            house.process()
        await asyncio.sleep(60 * DAY_S)
        # then
        assert house.days() == [29, 14, 7, 3, 1, 0]


@in_virtual_time
async def test_a_renewed_credential_begins_anew_and_one_without_an_end_is_never_told_of() -> None:
    async with House(ends_in_days=8) as house:
        house.process()
        await asyncio.sleep(2 * DAY_S)
        assert house.days() == [8, 7]
        house.meta.ends_at = NOW / 1000 + 65 * DAY_S
        await asyncio.sleep(40 * DAY_S)
        assert house.days() == [8, 7, 30]
        house.meta.ends_at = None
        await asyncio.sleep(60 * DAY_S)
        assert house.days() == [8, 7, 30]


@in_virtual_time
async def test_an_end_that_a_setting_names_is_told_of_without_asking() -> None:
    async with House(access_token_expires="2027-02-02") as house:
        one, two = house.process(), house.process()
        await asyncio.sleep(60 * DAY_S)
        assert house.meta.asked == 0
        assert house.days() == [18, 14, 7, 3, 1, 0]
        assert one.ends_at(house.account()) == two.ends_at(house.account()) is not None


@in_virtual_time
async def test_who_gives_no_answer_is_asked_again_in_an_hour_and_what_was_known_stays() -> None:
    async with House(ends_in_days=20) as house:
        one = house.process()
        await asyncio.sleep(60)
        known = one.ends_at(house.account())
        assert known is not None
        beyond = json.dumps({"data": {"is_valid": True, "expires_at": 253_402_300_800}}).encode()  # in the year 10000
        refused = Reply(400, (), b'{"error":{"code":190}}')
        for broken in (Lost("wait", ""), Reply(500), refused, Reply(200, (), b"[]"), Reply(200, (), beyond)):
            house.meta.answer, before = broken, house.meta.asked
            await asyncio.sleep(2 * DAY_S)
            assert 20 <= house.meta.asked - before <= 49
        house.meta.unreachable = True
        await asyncio.sleep(DAY_S)
        assert one.ends_at(house.account()) == known
        assert house.days() == [20, 14]


@in_virtual_time
async def test_who_dies_over_the_asking_is_followed_by_another() -> None:
    async with House(ends_in_days=5) as house:
        house.meta.takes_s = 5
        house.process()
        await asyncio.sleep(1)
        house.tasks[0].cancel()
        house.meta.takes_s = 0.05
        two = house.process()
        await asyncio.sleep(LEASE_MS / 1000 + 620)
        assert (house.meta.asked, house.days()) == (2, [5])
        assert two.ends_at(house.account()) is not None


@in_virtual_time
async def test_without_the_store_nothing_is_told_and_afterwards_all_of_it() -> None:
    async with House(ends_in_days=5) as house:
        house.down = True
        house.process()
        await asyncio.sleep(DAY_S)
        assert (house.meta.asked, house.days()) == (0, [])
        assert [told.where for told in house.told if isinstance(told, Trouble)][:1] == ["credentials"]
        house.down = False
        await asyncio.sleep(620)
        assert house.days() == [4]
