"""concord: the accounts of this process as some among those of a fleet. What they agree on lies in the store (ports.Accord).

A few times a second it is said how the providers stand here, and heard how they stand everywhere. What can't wait is asked for
on its own, beside the work: cells of a rate when somebody stands in line (meter.py), the one probe when it is due and somebody
is there to make it, and a breaker that moved here. Who moved it first is right: every change is made by who knew the version
before, and whoever did not takes over what stands there; what the operator is told of it is written with it, by that one alone.
While the store does not answer each goes on by what it knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from sendwright.engine.account import Account
from sendwright.engine.fleet import Fleet
from sendwright.engine.meter import InLine, Leased, SharedMeter
from sendwright.engine.ports import Accord, Clock
from sendwright.engine.roll import LEASE_S
from sendwright.engine.store_time import StoreClock
from sendwright.engine.telling import BreakerMoved, Tell, Trouble
from sendwright.errors import Unavailable
from sendwright.model.accord import Bar, Change, Picture, Standing, Total
from sendwright.model.notices import Notice, Stand
from sendwright.model.notification import Priority
from sendwright.policy import breaker as breakers
from sendwright.policy.breaker import Permit, State
from sendwright.policy.limit import REACH_MAX_S, Rate
from sendwright.policy.notices import of_breaker

READY_S = 5.0
"""So long may a probe take until its first byte, beside the time limit of its call; then it is given up."""
UNUSED_S = 1.0
"""A probe that nobody here makes within this time is left to others."""
AGAIN_S = 0.1
"""Until it is asked again for a probe that is not due by the store's clock, though by ours."""
REACH_KEPT = 0.8
"""How much of it counts, from answer to answer, that one was slow."""
UNKNOWN_MS = 1000.0
"""For so quick is taken whom nobody has called yet, by who only looks on: lanes are not filled for more than may be sent."""
DEAF_S = 1.0
"""Until it is tried again to tell the store of a breaker."""


class _Probe(NamedTuple):
    """The fleet's probe, while it is this process's to make."""

    until: float
    used: bool


class Concord:
    """Run `turn` a few times a second."""

    def __init__(
        self,
        accord: Accord,
        process: str,
        fleet: Fleet,
        clock: Clock,
        tell: Tell,
        *,
        sends: bool,
        store_clock: StoreClock | None = None,
    ) -> None:
        """`sends`: whether this process calls providers, or only looks at how they stand. `store_clock`: is told what the store's
        shows, with each answer."""
        self.accord = accord
        self.clock = clock
        self.tell = tell
        self.sends = sends
        self.store_clock = store_clock if store_clock is not None else StoreClock()
        self.totals: dict[str, Total] = {}
        """Over all processes that call it, this one included."""
        self._process = process
        self._said: dict[str, Standing] = {}
        self._links = {account.name: Link(self, account) for account in fleet.accounts.values()}
        for account in fleet.accounts.values():
            account.share(self._links[account.name])

    async def turn(self) -> int:
        """Says how it stands here, hears how it stands everywhere; returns the switches' epoch. Raises `Unavailable`."""
        news = [link.standing() for link in self._links.values()] if self.sends else []
        news = [standing for standing in news if self._said.get(standing.provider) != standing]
        asked_at = self.clock.monotonic()
        picture = await self.accord.exchange(self._process, news, LEASE_S)
        self.store_clock.seen(picture.now, asked_at, self.clock.monotonic())
        self._said |= {standing.provider: standing for standing in news}
        self._hear(picture)
        return picture.epoch

    async def look(self) -> None:
        """A turn out of turn."""
        try:
            await self.turn()
        except Unavailable as error:
            self.tell(Trouble("accord", str(error)))

    def close(self) -> None:
        """Asks for nothing more."""
        for link in self._links.values():
            link.close()

    def said(self, provider: str) -> Standing | None:
        """What the others know of this process."""
        return self._said.get(provider)

    def _hear(self, picture: Picture) -> None:
        self.totals = {total.provider: total for total in picture.totals}
        for provider, open_at in picture.rates:
            if provider in self._links:
                self._links[provider].told(self.store_clock.here(open_at))
        bars = {bar.provider: bar for bar in picture.bars}
        for name, link in self._links.items():
            link.saw(bars.get(name), self.totals.get(name))


class Link:
    """engine.account.Shared, of one account."""

    def __init__(self, concord: Concord, account: Account) -> None:
        self.sends = concord.sends
        self._concord = concord
        self._account = account
        self._clock = concord.clock
        self._version = 0
        self._known = Stand()
        """What is told of the breaker in that version."""
        self._probe: _Probe | None = None
        self._meter: SharedMeter | None = None
        self._reach_s = 0.0
        self._dirty = False
        self._wanted = False
        self._busy = False
        """The store is being told of this breaker: what was read meanwhile may be older."""
        self._task: asyncio.Task[None] | None = None

    def meter(self, rate: Rate) -> SharedMeter:
        async def lease(want: int, urgent: bool) -> Leased | None:
            return await self._lease(rate, want, urgent=urgent)

        self._meter = SharedMeter(rate, lease, self._in_line, self._account.wake, self._clock)
        return self._meter

    def may_probe(self, now: float) -> bool:
        probe = self._probe
        if probe is not None and not probe.used and now < probe.until:
            return True
        self._wanted = True
        self._go()
        return False

    def probes(self) -> None:
        if self._probe is not None:
            self._probe = self._probe._replace(used=True)

    def holds_probe(self, until: float) -> bool:
        return self._probe is not None and until <= self._probe.until

    def moved(self) -> None:
        self._dirty = True
        self._go()

    def elsewhere(self) -> int:
        total, own = self._concord.totals.get(self._account.name), self._concord.said(self._account.name)
        return 0 if total is None else max(0, total.waiting - (0 if own is None else own.waiting))

    def callers(self) -> int:
        total = self._concord.totals.get(self._account.name)
        return 1 if total is None else max(1, total.processes)

    def standing(self) -> Standing:
        account = self._account
        calls, good = len(account.recent), sum(account.recent)
        return Standing(account.name, account.in_flight, account.waiting(), calls, good, round(account.latency_ms, 1))

    def told(self, open_at: float) -> None:
        if self._meter is not None:
            self._meter.told(open_at)

    def saw(self, bar: Bar | None, total: Total | None) -> None:
        """How the fleet holds the breaker, and how quick its calls are."""
        account, now = self._account, self._clock.monotonic()
        if bar is not None and bar.version > self._version and not self._busy and not self._dirty:
            self._took(bar)
            here, before = self._concord.store_clock.here, account.breaker.state
            local = replace(bar, probe_at=here(bar.probe_at), probe_until=here(bar.probe_until))
            account.breaker = breakers.adopted(account.breaker, local, now)
            if account.breaker.state != before:
                self._concord.tell(BreakerMoved(account.name, account.breaker.state.value, bar.why))
            account.wake()
        if not self.sends:  # nothing shows here that it goes well, but that nobody says otherwise
            account.breaker = breakers.succeeded(account.breaker, now)
            account.latency_ms = UNKNOWN_MS if total is None or not total.calls else total.latency_ms

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._meter is not None:
            self._meter.close()

    def _go(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._dirty or self._wanted:
                if self._dirty:
                    await self._publish()
                else:
                    self._wanted = False
                    await self._ask_to_probe()
        finally:
            self._task = None

    async def _publish(self) -> None:
        """Tells the fleet of the breaker as it is here."""
        self._dirty, self._busy = False, True
        try:
            account, now = self._account, self._clock.monotonic()
            change = breakers.change(account.breaker, now)
            known = await self._concord.accord.move(account.name, self._version, change, notices=self._notices(change))
        except Unavailable as error:
            self._dirty = True
            self._concord.tell(Trouble("accord", str(error)))
            await self._clock.sleep(DEAF_S)
            return
        finally:
            self._busy = False
        if known is not None:
            self._took(known)
        else:  # somebody was first
            await self._concord.look()

    async def _ask_to_probe(self) -> None:
        account, now = self._account, self._clock.monotonic()
        if account.permit(now) != Permit.PROBE:
            return
        lease_s = account.timeout_s + READY_S
        probing = breakers.began_probe(account.breaker, now, now + lease_s)
        self._busy = True
        try:
            change = breakers.change(probing, now)
            notices = self._notices(change)
            bar = await self._concord.accord.move(account.name, self._version, change, when_due=True, notices=notices)
        except Unavailable as error:
            self._concord.tell(Trouble("accord", str(error)))
            return
        finally:
            self._busy = False
        if bar is not None:
            self._took(bar)
            self._probe = _Probe(now + lease_s, used=False)
            account.wake()
            asyncio.get_running_loop().call_later(UNUSED_S, self._leave_unused, self._probe)
            return
        version = self._version
        await self._concord.look()
        if version == self._version and account.waiting():
            await self._clock.sleep(AGAIN_S)
            self._wanted = True

    def _took(self, bar: Bar) -> None:
        """From here on this is the version that is known."""
        self._version, self._known = bar.version, Stand(bar.shut, bar.misconfigured)

    def _notices(self, change: Change) -> Sequence[Notice]:
        """What the operator is told of it, should it be made: nobody can have changed the version that is known."""
        after = Stand(change.shut, change.misconfigured)
        return of_breaker(self._account.about, self._known, after, self._clock.now_ms(), change.why)

    def _leave_unused(self, probe: _Probe) -> None:
        if self._probe == probe and self._account.breaker.state == State.OPEN:
            self._probe = None
            self.moved()

    def _in_line(self) -> InLine:
        account, total = self._account, self._concord.totals.get(self._account.name)
        here = account.waiting()
        lines = 1 if total is None else max(1, total.lines)
        return InLine(here, account.waiting(Priority.HIGH) > 0, here + self.elsewhere(), lines)

    async def _lease(self, rate: Rate, want: int, *, urgent: bool) -> Leased | None:
        asked_at = self._clock.monotonic()
        try:
            block = await self._concord.accord.lease(self._account.name, want, rate.cell_s, self._reach_s, urgent=urgent)
        except Unavailable as error:
            self._concord.tell(Trouble("accord", str(error)))
            return None
        answered_at = self._clock.monotonic()
        self._concord.store_clock.seen(block.now, asked_at, answered_at)
        self._reach_s = min(REACH_MAX_S, max(answered_at - asked_at, REACH_KEPT * self._reach_s))
        here = self._concord.store_clock.here
        first = here(block.first)
        return Leased(first, block.count, here(block.again_at), first + block.count * rate.cell_s)
