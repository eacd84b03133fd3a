"""One provider as it stands now: enabled or not, healthy or not, how many calls are in flight, what it may still take.

Everything here is in memory and lost with the process, but what was switched at run time (fleet.py).
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from functools import partial
from typing import Protocol

from sendwright.engine.meter import Foreseen, Meter, OwnMeter
from sendwright.engine.ports import Clock
from sendwright.model.notices import About
from sendwright.model.notification import Priority
from sendwright.model.records import Patience, Switch
from sendwright.policy import breaker as breakers
from sendwright.policy.breaker import Breaker, BreakerSettings, Health, Permit
from sendwright.policy.limit import Rate, Reserve, ceiling, parse_rate
from sendwright.providers.contract import Provider

QUICKEST_S = 0.05
"""A provider that nobody has measured yet is not taken for quicker than this, in seconds."""
WINDOW = 200
"""Calls over which the success rate is shown."""
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
    call: str | None = None
    """The id of the call, where it is shared."""

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
        self.about = About(provider.name, provider.kind, provider.capabilities.channels)
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
