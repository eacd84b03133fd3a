"""The providers as they stand now: enabled or not, healthy or not, how many calls are in flight, what they may still take.

Everything here is in memory and lost with the process, but the switches: those come from the switchboard, with the
epoch that every claim carries. Decisions are `policy`'s; this holds the facts they are made of.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

from sendwright.engine.meter import Foreseen, Meter, OwnMeter
from sendwright.engine.ports import Clock, Switchboard
from sendwright.engine.telling import BreakerMoved, Tell
from sendwright.model.notification import Priority
from sendwright.model.parcel import Round
from sendwright.model.records import Patience, Switch
from sendwright.policy import breaker as breakers
from sendwright.policy.breaker import Breaker, BreakerSettings, Health, Permit
from sendwright.policy.limit import Rate, Reserve, ceiling, parse_rate
from sendwright.policy.reaction import Left
from sendwright.providers.contract import Provider

QUICKEST_S = 0.05
"""A provider that nobody has measured yet is not taken for quicker than this, in seconds."""
WINDOW = 200
"""Calls over which the success rate is shown."""
LATELY_S = 2.0
"""So old may a bus's look into a lane be that others take from."""
PARTY_WEIGHT = 0.2
"""How much the last call counts in the average of the messages that a call carries."""
PROBE_S = 1.0
"""Where others send: until another message is brought for a probe that nobody seems to make."""


_TICK_S = 0.001
"""Timers of event loops are no finer."""


class Slot:
    """A place in one provider's concurrency, and a token of its rate. Give it back with `release`.

    `used`: it came to a call, or to the want of a connection, of which `note` is told."""

    __slots__ = ("account", "probe", "released", "used")

    speaks = True
    """Whether what comes of it says how the provider is (of a shared call one speaks for all)."""

    def __init__(self, account: Account, probe: int) -> None:
        self.account = account
        self.probe = probe
        self.used = False
        self.released = False

    def release(self) -> None:
        if not self.released:
            self.released = True
            if not self.used:
                self.account.withdraw(self.probe)
            self.account.freed()


class Shared(Protocol):
    """What an account shares with those of other processes (concord.py)."""

    sends: bool
    """Whether this process calls providers at all."""

    def meter(self, rate: Rate) -> Meter: ...

    def may_probe(self, now: float) -> bool:
        """Whether the fleet's one probe is this process's to make; else it is asked for, and the line woken."""
        ...

    def probes(self) -> None:
        """The probe that may be made is somebody's here, and nobody else's."""
        ...

    def holds_probe(self, until: float) -> bool:
        """Whether nobody else probes until then."""
        ...

    def moved(self) -> None:
        """The breaker has moved here."""
        ...

    def elsewhere(self) -> int:
        """How many stand in line in other processes, as far as is known."""
        ...

    def callers(self) -> int:
        """How many processes call it, as far as is known; one at the least."""
        ...


class Account:
    """One configured provider at run time."""

    def __init__(
        self,
        provider: Provider,
        *,
        concurrency: int,
        rate: Rate | None,
        breaker: BreakerSettings,
        reserve: Reserve,
        callback_base: str | None,
    ) -> None:
        self.provider = provider
        self.name = provider.name
        self.capabilities = provider.capabilities
        self.callback_base = callback_base
        self.timeout_s = float(provider.settings.timeout_s)
        self.own_concurrency = concurrency
        self.own_rate = rate
        self.concurrency = concurrency
        self.rate = rate
        self.rate_text: str | None = provider.settings.rate
        self.enabled = True
        self.weight = 1
        self.shared: Shared | None = None
        """None where one process has the provider to itself."""
        self.breaker = Breaker(settings=breaker)
        self.in_flight = 0
        self.paused_until = 0.0
        self.latency_ms = 0.0
        self.party = 1.0
        """Messages that a call carried of late, on average."""
        self.recent: deque[bool] = deque(maxlen=WINDOW)
        self._reserve = reserve
        self.meter = self._metered(rate)
        self._probe_brought_at = -PROBE_S
        self._waiters: tuple[deque[asyncio.Future[None]], ...] = tuple(deque() for _ in Priority)
        self._awaited = [0] * len(Priority)
        self._ceilings: tuple[int, tuple[int, ...]] = (0, ())
        self._ring: asyncio.TimerHandle | None = None

    @property
    def patience(self) -> Patience:
        """How long a doubt is worth waiting for: receipts take their time, a repeated key is recognised at once."""
        if self.capabilities.idempotency_s > 0:
            return Patience(1000, int(self.capabilities.idempotency_s * 1000))
        return Patience(30_000 if self.capabilities.receipts and self.callback_base is not None else 1000)

    def permit(self, now: float) -> Permit:
        if not self.enabled or now < self.paused_until:
            return Permit.NO
        return breakers.may_call(self.breaker, now)

    def opens_at(self) -> float | None:
        """When it may be called again at the earliest; None while it is switched off."""
        return max(self.paused_until, breakers.next_probe_at(self.breaker) or 0.0) if self.enabled else None

    def room(self, priority: Priority, now: float, horizon_s: float) -> int:
        """How many more calls of this priority it could take within the horizon."""
        permit = self.permit(now)
        if permit == Permit.NO:
            return 0
        free = self._ceiling(priority, now) * (self.shared.callers() if self.shared is not None and self.looks_on else 1)
        free -= self.in_flight
        if self.meter is not None:
            free = min(free, self.meter.ahead(now, horizon_s))
        if permit == Permit.PROBE:
            free = 0 if self.shared is not None and now < self._probe_brought_at + PROBE_S else min(free, 1)
        return max(0, int(free * self.party))

    def brought(self, count: int, now: float) -> None:
        """So many were brought into its lines, here or elsewhere."""
        if self.meter is not None:
            self.meter.brought(math.ceil(count / self.party), now)
        if self.breaker.state != breakers.State.CLOSED:
            self._probe_brought_at = now

    def opens_in_s(self, priority: Priority, now: float) -> float | None:
        """Seconds until a call of this priority may have room, 0 when that hangs on calls in flight; None while it is shut."""
        if self.permit(now) == Permit.NO:
            return None
        return max(0.0, self._admitted_at(priority, now) - now)

    def pace(self, priority: Priority, now: float) -> float:
        """Messages a second that it takes of this priority, by Little's law and its rate, whoever sends them; 0 while it must not
        be called."""
        if self.permit(now) == Permit.NO:
            return 0.0
        by_places = self.own_pace(priority, now) * (self.shared.callers() if self.shared is not None else 1)
        return by_places if self.rate is None else min(by_places, self.party / self.rate.interval_s)

    def own_pace(self, priority: Priority, now: float) -> float:
        """Of those, the messages that this process has the places for, whatever the rate and its health."""
        return self.party * self._ceiling(priority, now) / max(self.latency_ms / 1000, QUICKEST_S)

    def carried(self, messages: int) -> None:
        """So many went with one call."""
        self.party += PARTY_WEIGHT * (messages - self.party)

    def awaited(self, priority: Priority) -> int:
        """How many of this priority stand in line; of other processes', whose priorities are not known, all. Where there is
        no rate, who looks on goes by what is left in the lanes instead: it would hear of lines when they are over."""
        foreign = self.shared is not None and not (self.looks_on and self.rate is None)
        return self._awaited[priority] + (self.shared.elsewhere() if self.shared is not None and foreign else 0)

    def waiting(self, upto: Priority = Priority.BULK) -> int:
        """How many stand in line here, of this priority and those above it."""
        return sum(self._awaited[: upto + 1])

    @property
    def looks_on(self) -> bool:
        """Whether others call the provider, and this process does not."""
        return self.shared is not None and not self.shared.sends

    def share(self, shared: Shared) -> None:
        """From here on this is one of many processes that call the provider."""
        self.shared = shared
        self.meter = self._metered(self.rate)

    def try_take(self, priority: Priority, now: float) -> Slot | None:
        """A slot, unless it has none now, or somebody of a higher priority waits for one."""
        permit = self.permit(now)
        if permit == Permit.NO or self.in_flight >= self._ceiling(priority, now):
            return None
        if any(self._awaited[:priority]):
            return None
        if permit == Permit.PROBE and self.shared is not None and not self.shared.may_probe(now):
            return None
        if self.meter is not None and not self.meter.take(priority, now):
            return None
        probe = 0
        if permit == Permit.PROBE:
            if self.shared is not None:
                self.shared.probes()
            self.breaker = breakers.began_probe(self.breaker, now, now + self.timeout_s + 1)
            probe = self.breaker.probe
        self.in_flight += 1
        return Slot(self, probe)

    async def take(self, priority: Priority, clock: Clock, within_s: float) -> Slot | None:
        """A slot, waited for at most `within_s` seconds; None when it has none, or must not be called at all."""
        now = clock.monotonic()
        slot = self.try_take(priority, now)
        if slot is None:
            slot = await self._stand(priority, clock, now, within_s)
        elif self.meter is not None:
            self.wake()  # the next in the line sets the clock for the next call
        return slot

    async def _stand(self, priority: Priority, clock: Clock, now: float, within_s: float) -> Slot | None:
        """In the line, until there is a slot or no use in waiting."""
        deadline, slot = now + within_s, None
        self._awaited[priority] += 1
        try:
            while slot is None and max(now, self._admitted_at(priority, now)) < deadline and self.permit(now) != Permit.NO:
                if self.meter is not None:
                    self.meter.stand(now)
                await self._wait(priority, deadline - now, now)
                now = clock.monotonic()
                slot = self.try_take(priority, now)
        finally:
            self._awaited[priority] -= 1
            if self.meter is not None or self.shared is not None:
                self.wake()  # as above
        return slot

    def freed(self) -> None:
        self.in_flight -= 1
        self.wake()

    def still_probes(self, probe: int, now: float) -> bool:
        """Whether this probe is still the breaker's; from here on it has all of its time. One that took too long to get
        ready was given up, and another may be on its way."""
        if self.shared is not None and not self.shared.holds_probe(now + self.timeout_s):
            self.withdraw(probe)
            return False
        self.breaker = breakers.renewed(self.breaker, probe, now, now + self.timeout_s + 1)
        return breakers.is_probe(self.breaker, probe)

    def withdraw(self, probe: int) -> None:
        """A probe that was not made says nothing of health."""
        if probe and breakers.is_probe(self.breaker, probe):
            self.breaker = breakers.withdrawn(self.breaker, probe)
            if self.shared is not None:
                self.shared.moved()

    def wake(self) -> None:
        """Lets the first waiter of the highest priority look again."""
        for waiters in self._waiters:
            while waiters:
                waiter = waiters.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    return

    def note(self, health: Health, now: float, *, probe: int, why: str, seconds: float | None = None) -> bool:
        """What a call said of its health; True when the breaker moved by it.

        Where every call goes to an address of its recipient's, one that fails says nothing of the others."""
        before = self.breaker.state
        if self.capabilities.guarded and health == Health.BAD:
            health = Health.NEUTRAL
        self.breaker = breakers.reported(self.breaker, health, now, probe=probe, why=why)
        if health != Health.NEUTRAL:
            self.recent.append(health == Health.GOOD)
        if seconds is not None:
            self.latency_ms += 0.1 * (seconds * 1000 - self.latency_ms) if self.latency_ms else seconds * 1000
        return self.breaker.state != before

    def apply(self, switch: Switch | None) -> None:
        """Takes over what was switched at run time; None goes back to the file's words."""
        switch = switch or Switch(self.name)
        self.enabled = switch.enabled if switch.enabled is not None else True
        self.weight = switch.weight if switch.weight is not None else 1
        rate = parse_rate(switch.rate) if switch.rate is not None else self.own_rate
        if rate != self.rate:
            if self.meter is not None:
                self.meter.close()
            self.rate, self.meter = rate, self._metered(rate)  # what is owed to the old one could keep it shut for a day
        self.rate_text = switch.rate if switch.rate is not None else self.provider.settings.rate
        self.concurrency = switch.concurrency if switch.concurrency is not None else self.own_concurrency
        self.wake()

    def _metered(self, rate: Rate | None) -> Meter | None:
        if rate is None:
            return Foreseen(partial(self.pace, Priority.BULK)) if self.looks_on else None
        return OwnMeter(rate, self._reserve) if self.shared is None else self.shared.meter(rate)

    def _ceiling(self, priority: Priority, now: float) -> int:
        places = max(1, int(self.concurrency * breakers.ramp(self.breaker, now)))
        if self._ceilings[0] != places:
            self._ceilings = (places, tuple(ceiling(places, each, self._reserve) for each in Priority))
        return self._ceilings[1][priority]

    async def _wait(self, priority: Priority, left_s: float, now: float) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[priority].append(waiter)
        self._wake_at(self._admitted_at(priority, now), now)
        try:
            async with asyncio.timeout(left_s):
                await waiter
        except TimeoutError:
            pass
        finally:
            waiter.cancel()

    def _admitted_at(self, priority: Priority, now: float) -> float:
        """When the rate lets a call of this priority through; `now` when it does, or there is no rate."""
        return now if self.meter is None else self.meter.free_at(priority, now)

    def _wake_at(self, at: float, now: float) -> None:
        """One ring for all who wait, at the earliest time that any of them could go."""
        if at <= now:
            return
        loop = asyncio.get_running_loop()
        rings_at = loop.time() + max(_TICK_S, at - now) + 1e-6
        if self._ring is not None and self._ring.when() <= rings_at and not self._ring.cancelled():
            return
        if self._ring is not None:
            self._ring.cancel()
        self._ring = loop.call_at(rings_at, self._rang)

    def _rang(self) -> None:
        self._ring = None
        self.wake()


class Fleet:
    """All accounts, the routes over them, and the epoch under which they were read."""

    def __init__(
        self,
        accounts: Iterable[Account],
        routes: Mapping[str, Sequence[str]],
        board: Switchboard,
        tell: Tell,
        lines: Callable[[str, int], None] = lambda _name, _concurrency: None,
    ) -> None:
        """`lines` is told how many calls at a time each account may make, whenever the switches are read."""
        self.accounts = {account.name: account for account in accounts}
        self._routes = {channel: [self.accounts[name] for name in names] for channel, names in routes.items()}
        self.channels = [channel for channel, accounts in self._routes.items() if accounts]
        """Those that have a provider, whatever its standing."""
        self._board = board
        self._tell = tell
        self._lines = lines
        self._brought: dict[tuple[str, Priority], deque[tuple[float, int]]] = {}
        self.epoch = 0

    def route(self, channel: str) -> Sequence[Account]:
        return self._routes.get(channel, ())

    async def reload(self) -> None:
        """Reads the switches; from here on claims carry their epoch."""
        epoch, switches = await self._board.read()
        by_name = {switch.provider: switch for switch in switches}
        for account in self.accounts.values():
            account.apply(by_name.get(account.name))
            self._lines(account.name, account.concurrency)
        self.epoch = epoch

    def choose(self, channel: str, passed: Sequence[str], now: float, only: str | None = None) -> Account | None:
        """The first account in the route's order that may be called and is not to be passed over; where `only` is of the
        route, that one or none."""
        bound = self.on_route(channel, only)
        for account in self.route(channel):
            fits = account.name not in passed and (not bound or account.name == only)
            if fits and account.permit(now) != Permit.NO:
                return account
        return None

    def on_route(self, channel: str, name: str | None) -> bool:
        return name is not None and any(account.name == name for account in self.route(channel))

    def patience(self, name: str) -> Patience:
        """That of a provider, if need be one that the settings do not know any more."""
        return self.accounts[name].patience if name in self.accounts else Patience(1000)

    def left(self, channel: str, round_: Round, now: float, now_ms: int) -> Left:
        """Who of the route could still take a message of this round. Those that are switched off count for nothing."""
        bound = round_.bound(now_ms)
        if self.on_route(channel, bound):
            return Left.SOME
        if self.choose(channel, round_.asked, now) is not None:
            return Left.OTHERS
        open_to_it = any(account.enabled and account.name not in round_.refused for account in self.route(channel))
        return Left.SOME if open_to_it or not round_.refused else Left.NOBODY

    def shut(self, name: str, now: float) -> bool:
        """Whether nobody may call it now, be it for its health, a pause or a switch."""
        return name in self.accounts and self.accounts[name].permit(now) == Permit.NO

    def opens_first(self, channel: str, now: float, besides: Sequence[str] = ()) -> tuple[str | None, float | None]:
        """Of a route that is shut but for those `besides`: the provider that may be called first, and in how many seconds,
        where that is known."""
        shut = [account for account in self.route(channel) if account.name not in besides]
        known = [(at - now, account.name) for account in shut if (at := account.opens_at()) is not None]
        in_s, name = min(known, default=(None, None))
        return name or next((account.name for account in shut), None), in_s

    def room(self, channel: str, priority: Priority, now: float, horizon_s: float) -> int:
        return sum(account.room(priority, now, horizon_s) for account in self.route(channel))

    def brought(self, channel: str, priority: Priority, count: int, now: float, horizon_s: float) -> None:
        """So many were pulled into a lane, by the room that there was."""
        if count > 0 and any(account.meter is not None and account.looks_on for account in self.route(channel)):
            self._brought.setdefault((channel, priority), deque()).append((now, count))
        for account in self.route(channel):
            if account.shared is not None and count > 0:
                share = min(count, account.room(priority, now, horizon_s))
                account.brought(share, now)
                count -= share

    def lately_brought(self, channel: str, priority: Priority, now: float) -> int:
        """Of what lies in a lane by a look that may be seconds old, so many may have been taken since, by other processes; how
        many there may be is then said by the rate and by the lines. 0 where this process takes them itself, or there is no rate."""
        brought = self._brought.get((channel, priority))
        while brought and brought[0][0] < now - LATELY_S:
            brought.popleft()
        return sum(count for _, count in brought) if brought else 0

    def in_line(self, channel: str, priority: Priority) -> int:
        """How many of this priority stand in line for a place."""
        return sum(account.awaited(priority) for account in self.route(channel))

    def opens_in_s(self, channel: str, priority: Priority, now: float) -> float | None:
        """Seconds until the route may have room for a call of this priority; None while all of it is shut."""
        opening = (account.opens_in_s(priority, now) for account in self.route(channel))
        return min((seconds for seconds in opening if seconds is not None), default=None)

    def pace(self, channel: str, priority: Priority, now: float) -> float:
        return sum(account.pace(priority, now) for account in self.route(channel))

    def own_pace(self, channel: str, priority: Priority, now: float) -> float | None:
        """Messages a second that this process has the places for; None where that does not decide how long anybody stands in line:
        a rate does, or nobody may be called."""
        open_ = [account for account in self.route(channel) if account.permit(now) != Permit.NO]
        if not open_ or any(account.rate is not None for account in open_):
            return None
        return sum(account.own_pace(priority, now) for account in open_)

    def note(
        self, account: Account, health: Health, now: float, *, probe: int = 0, why: str = "", seconds: float | None = None
    ) -> None:
        if account.note(health, now, probe=probe, why=why, seconds=seconds):
            account.wake()
            if account.shared is not None:
                account.shared.moved()
            self._tell(BreakerMoved(account.name, account.breaker.state.value, why))
