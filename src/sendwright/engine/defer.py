"""defer: what becomes of a parcel that is not called now. It waits, goes on to its next step, or is over.

Each ending is one statement over the message's row; where somebody else had that row before, nothing changes. A wait says what it
is for, and who is parked has left the line (engine/schedule.py).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from sendwright.engine.account import Account
from sendwright.engine.crash import crashpoint
from sendwright.engine.fleet import Fleet
from sendwright.engine.persist import persist
from sendwright.engine.ports import Clock, Ledger
from sendwright.engine.settle import Settler, after_step
from sendwright.engine.telling import Duplicate, Parked, Settled, Tell
from sendwright.model.outcomes import Later, Reason, Rejected
from sendwright.model.parcel import Parcel
from sendwright.model.records import Refused, Wait
from sendwright.model.states import MessageState
from sendwright.policy.reaction import Left, heard

SLOT_WAIT_S = 0.5
"""How long a parcel waits for a place at its provider before it is parked."""
LOOK_MS = 1000
"""How often it is looked whether the only provider that may be asked can be asked again."""


class Defer:
    """What the third story does where it does not send."""

    def __init__(
        self,
        ledger: Ledger,
        fleet: Fleet,
        settler: Settler,
        clock: Clock,
        tell: Tell,
        poke: Callable[[], None],
        clock_held: Callable[[], bool],
    ) -> None:
        self._ledger = ledger
        self._fleet = fleet
        self._settler = settler
        self._clock = clock
        self._tell = tell
        self._poke = poke
        self._clock_held = clock_held

    async def refused(self, parcel: Parcel, refused: Refused) -> None:
        self._tell(Duplicate(refused.why))
        if refused.why == "expired":
            crashpoint("defer.expired")
            await self.expired(parcel)
        elif refused.why == "epoch":
            crashpoint("defer.switched")
            await persist(self._fleet.reload, self._clock, self._tell, "switches")
            crashpoint("defer.reloaded")
            now = self._clock.now_ms()
            crashpoint("defer.rerouting")
            await self.park(parcel, Wait("time", now), now)
        elif refused.why == "suppressed":
            crashpoint("defer.suppressed")
            await self._skip(parcel, refused.reason, "", MessageState.SUPPRESSED)

    async def expired(self, parcel: Parcel) -> None:
        if self._clock_held():
            since = min(parcel.at, self._clock.now_ms())  # past by either clock, so due when the hold is over
            crashpoint("defer.clock_held")
            await self.park(parcel, Wait("time", since), self._clock.now_ms())
            return
        crashpoint("defer.too_late")
        await self.end(parcel, MessageState.EXPIRED, Reason.EXPIRED.value, "")

    async def nobody(self, parcel: Parcel) -> None:
        """Nobody may be called now."""
        now = self._clock.now_ms()
        found = self._held_up(parcel, now)
        if isinstance(found, Reason):
            crashpoint("defer.no_provider")
            await self._skip(parcel, found.value, "")
        else:
            crashpoint("defer.no_account")
            await self.park(*found, now)

    async def full(self, parcel: Parcel, full: tuple[str, ...]) -> None:
        """Until the route has a place. Who said *later* in this round is not asked again for it; and where another of the
        route has places that are not for this message, the route's are no sign of one, and it waits by the clock."""
        now, monotonic, channel = self._clock.now_ms(), self._clock.monotonic(), parcel.channel
        accounts = [self._fleet.accounts[name] for name in full]
        kind = "rate" if accounts[-1].rate is not None else "provider"
        key, due_at = f"route:{channel}", parcel.expires_at
        if any(not self._fleet.shut(other.name, monotonic) for other in self._fleet.route(channel) if other.name not in full):
            opening = (account.opens_in_s(parcel.priority, monotonic) for account in accounts)
            in_s = max(SLOT_WAIT_S, min((s for s in opening if s is not None), default=0.0))
            key, due_at = "time", now + int(in_s * 1000)
        wait = Wait(kind, due_at, key=key, name=accounts[-1].name)
        crashpoint("defer.no_slot")
        await self.park(self._anew(parcel, now), wait, now)

    async def not_called(
        self, parcel: Parcel, account: Account, outcome: Rejected | Later, full: tuple[str, ...], *, probing: bool
    ) -> Parcel | None:
        """A provider that can't be told, or not be reached: the next at once; else a place at one that is full, or what its
        answer would have come to. None when it was parked or is over."""
        now = self._clock.now_ms()
        heard_of = replace(parcel, round=heard(parcel.round, account.name, outcome, now))
        if self._fleet.choose(parcel.channel, heard_of.round, self._clock.monotonic(), now, full) is not None:
            return heard_of
        if full and self._fleet.choose(parcel.channel, heard_of.round, self._clock.monotonic(), now) is not None:
            crashpoint("defer.full_again")
            await self.full(heard_of, full)
            return None
        decision = self._settler.decide(parcel, account, outcome, now, probing=probing, called=False)
        if decision.wait is None or decision.step != parcel.step:
            crashpoint("defer.no_time")
            await self._skip(parcel, decision.reason or Reason.UNREACHABLE.value, decision.detail)
        else:
            learned = replace(parcel, round=decision.round, backoff_s=decision.backoff_s)
            crashpoint("defer.no_connection")
            await self.park(learned, decision.wait, now, decision.reason, decision.detail)
        return None

    async def park(self, parcel: Parcel, wait: Wait, now: int, reason: str | None = None, detail: str = "") -> None:
        """`reason`: why it could not be sent, where that was tried."""
        crashpoint("defer.park")
        kept = await persist(lambda: self._ledger.park(parcel, wait, now, reason, detail), self._clock, self._tell, "park")
        if kept:
            self._tell(Parked(wait.key, retry=False))
            self._poke()

    async def end(self, parcel: Parcel, state: MessageState, reason: str, detail: str) -> None:
        now = self._clock.now_ms()
        crashpoint("defer.end")
        ended = await persist(lambda: self._ledger.end(parcel, state, reason, detail, now), self._clock, self._tell, "end")
        if ended:
            self._tell(Settled(parcel.id, state))

    async def _skip(self, parcel: Parcel, reason: str, detail: str, end: MessageState = MessageState.FAILED) -> None:
        """This step can't be made: the next one, or the end."""
        now = self._clock.now_ms()
        decision = after_step(parcel, now, reason, detail)
        if decision.state == MessageState.FAILED:
            crashpoint("defer.fail")
            await self.end(parcel, end, reason, detail)
            return
        crashpoint("defer.advance")
        await persist(lambda: self._ledger.advance(parcel, decision.step, reason, detail, now), self._clock, self._tell, "advance")
        self._poke()

    def _held_up(self, parcel: Parcel, now: int) -> tuple[Parcel, Wait] | Reason:
        """What a parcel waits for that nobody may be asked for now; or why its step can't be made."""
        fleet, monotonic, channel, round_ = self._fleet, self._clock.monotonic(), parcel.channel, parcel.round
        bound = round_.bound(now)
        if not fleet.route(channel):
            return Reason.NO_PROVIDER
        if bound is not None and fleet.on_route(channel, bound):
            opens_at = fleet.accounts[bound].opens_at()
            in_ms = LOOK_MS if opens_at is None else max(LOOK_MS, int((opens_at - monotonic) * 1000))
            anew = replace(parcel, round=round_.anew(now))
            return anew, Wait("provider", min(round_.bound_until, now + in_ms), name=bound, until=round_.bound_until)
        if fleet.left(channel, round_, monotonic, now) == Left.NOBODY:
            return Reason.REJECTED
        if any(not fleet.shut(name, monotonic) for name in round_.later):
            decision = self._settler.retry_later(parcel, now, None, "")
            if decision.wait is None or decision.step != parcel.step:
                return Reason.UNREACHABLE
            return replace(parcel, round=decision.round, backoff_s=decision.backoff_s), decision.wait
        name, in_s = fleet.opens_first(channel, monotonic, round_.refused)
        until = None if in_s is None else now + max(0, int(in_s * 1000))
        if any(not fleet.shut(name, monotonic) for name in round_.refused):  # the route's places are no sign of one for it
            return parcel, Wait("provider", max(until or 0, now + LOOK_MS), name=name, until=until)
        return self._anew(parcel, now), Wait("provider", parcel.expires_at, key=f"route:{channel}", name=name, until=until)

    def _anew(self, parcel: Parcel, now: int) -> Parcel:
        """For when one that is shut by now may be called again: that is news of it, and somebody must be there to probe it;
        unless one of the round asked to be left alone for longer."""
        round_, monotonic = parcel.round, self._clock.monotonic()
        if round_.alone_ms(now):
            return parcel
        later = tuple(name for name in round_.later if not self._fleet.shut(name, monotonic))
        return replace(parcel, round=replace(round_, later=later))
