"""deliver: one parcel, taken as far as it can go now. Whatever happens, it ends claimed, parked or dropped.

The order is the protocol: facts, route, render, slot and connected line, **claim**, write at once, settle. Nothing waits
and nothing raises between the claim and the first byte; a call that is not begun within `BEGIN_S` of its claim is not
made at all. Right after a step of the wall clock nobody's time is up: who seems expired waits (drift.py).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from sendwright.engine.crash import crashpoint
from sendwright.engine.drift import never
from sendwright.engine.fleet import Account, Fleet, Slot
from sendwright.engine.persist import persist
from sendwright.engine.ports import Clock, Egress, Ledger, Line
from sendwright.engine.render import render
from sendwright.engine.settle import Held, Settler, after_step
from sendwright.engine.telling import Duplicate, Parked, Settled, Tell, Trouble, Written
from sendwright.errors import Unavailable, Unreachable
from sendwright.model.outcomes import Later, Outcome, Reason, Rejected, Scope, Unsure
from sendwright.model.parcel import Parcel
from sendwright.model.records import Claim, Claimed, Refused, Wait
from sendwright.model.states import MessageState
from sendwright.policy.breaker import Health, Permit
from sendwright.providers.contract import OURS, Flow, NotSent, Request, TooLong

SLOT_WAIT_S = 0.5
"""How long a parcel waits for its provider before it is parked."""
BEGIN_S = 0.5
"""A call not begun this long after its claim is not made: what it was decided on may have changed."""
STALE_S = 0.25
"""A request built longer ago is built anew right before it is written: what it says of the time that is left would outlast
the message. See render.py, which takes as much off."""
SHELF_S = 30.0
"""How long a parcel rests whose delivery broke off for a reason that nobody foresaw."""
MARGIN_S = 2.0
"""Added to a call's time limit before anybody else may take its attempt for lost."""


class Ready:
    """A parcel that can leave at once: where to, what to say, a slot, and a connected line. Give both back by `release`."""

    __slots__ = ("account", "flow", "line", "parcel", "request", "slot")

    def __init__(self, parcel: Parcel, account: Account, flow: Flow, request: Request, slot: Slot, line: Line) -> None:
        self.parcel = parcel
        self.account = account
        self.flow = flow
        self.request = request
        self.slot = slot
        self.line = line

    def release(self) -> None:
        self.line.release()
        self.slot.release()


class Deliverer:
    """The third story."""

    def __init__(
        self,
        ledger: Ledger,
        fleet: Fleet,
        egress: Egress,
        settler: Settler,
        clock: Clock,
        new_token: Callable[[], str],
        owner: str,
        tell: Tell,
        poke: Callable[[], None],
        clock_held: Callable[[], bool] = never,
    ) -> None:
        self._ledger = ledger
        self._fleet = fleet
        self._egress = egress
        self._settler = settler
        self._clock = clock
        self._new_token = new_token
        self._owner = owner
        self._tell = tell
        self._poke = poke
        self._clock_held = clock_held

    async def deliver(self, parcel: Parcel, handled: Callable[[], None]) -> None:
        """Takes one parcel as far as it can go now; `handled` is called once its row says so."""
        began = self._clock.monotonic()
        ready = await self._prepare(parcel)
        crashpoint("deliver.prepared")
        if ready is None:
            handled()
            return
        try:
            held = await self._claim(ready)
            crashpoint("deliver.claimed")
            handled()
            if held is None:
                return
            started = self._clock.monotonic()
            if started - began > STALE_S:
                self._say_anew(ready)
            outcome = await self._send(ready, held)
            crashpoint("deliver.answered")
        finally:
            ready.release()
        await self._settler.settle(held, outcome, self._clock.monotonic() - started, called=ready.slot.used)
        crashpoint("deliver.settled")

    async def shelve(self, parcel: Parcel) -> None:
        """Puts a parcel whose delivery broke off before its claim aside for a while."""
        now = self._clock.now_ms()
        crashpoint("deliver.shelving")
        await self._parked(parcel, Wait("time", now + int(SHELF_S * 1000)), now)

    async def _prepare(self, parcel: Parcel) -> Ready | None:
        """Route, render, slot and line; None when the parcel was parked or ended instead.

        A provider that is full has not been asked: it is passed over here, and not noted as `tried`."""
        full: tuple[str, ...] = ()
        while True:
            now = self._clock.now_ms()
            if parcel.expires_at is not None and parcel.expires_at <= now:
                crashpoint("deliver.expiring")
                await self._expire(parcel)
                return None
            choice = self._fleet.choose(parcel.channel, (*parcel.tried, *full), self._clock.monotonic())
            if choice.account is None:
                crashpoint("deliver.parking")
                await self._no_account(parcel, configured=choice.configured)
                return None
            account = choice.account
            begun = self._begin(parcel, account, now)
            if isinstance(begun, Rejected):
                crashpoint("deliver.unsayable")
                await self._unsayable(parcel, account, begun.reason.value, begun.detail, full)
                return None
            flow, request = begun
            slot = await account.take(parcel.priority, self._clock, SLOT_WAIT_S)
            crashpoint("deliver.slot")
            if slot is None:
                full = (*full, account.name)
                if self._fleet.others(parcel.channel, (*parcel.tried, *full), self._clock.monotonic()):
                    continue
                crashpoint("deliver.full")
                await self._park(parcel, account)
                return None
            try:
                line = await self._egress.open(account.name, request, account.timeout_s)
                crashpoint("deliver.connected")
            except Unreachable as error:
                self._note_unreachable(account, slot, error)
                slot.release()
                crashpoint("deliver.unreachable")
                following = await self._unreachable(parcel, account, error, full)
                if following is None:
                    return None
                parcel = following
                continue
            except ValueError as error:
                slot.release()
                crashpoint("deliver.unwritable")
                await self._unsayable(parcel, account, Reason.CONTENT.value, str(error), full)
                return None
            except BaseException:
                slot.release()
                raise
            return Ready(parcel, account, flow, request, slot, line)

    def _begin(self, parcel: Parcel, account: Account, now: int) -> tuple[Flow, Request] | Rejected:
        """The first request of the provider's flow, or why it can't be said in its words."""
        try:
            flow = account.provider.flow(render(parcel, account, now))
            return flow, next(flow)
        except TooLong as error:
            return Rejected(Reason.TOO_LONG, str(error), Scope.CONTENT)
        except ValueError as error:
            return Rejected(Reason.CONTENT, str(error), Scope.CONTENT)
        except Exception as error:  # noqa: BLE001 — a plugin's mistake must cost its own message, not the worker
            self._tell(Trouble("deliver", f"{account.provider!r} could not build a request: {type(error).__name__}"))
            return Rejected(Reason.UNKNOWN, "the provider's adapter failed", Scope.ACCOUNT)

    def _say_anew(self, ready: Ready) -> None:
        """The same, as of now."""
        begun = self._begin(ready.parcel, ready.account, self._clock.now_ms())
        if not isinstance(begun, Rejected):
            ready.flow, ready.request = begun

    async def _claim(self, ready: Ready) -> Held | None:
        """One row decides. None: cancelled, overtaken, switched or somebody else's."""
        parcel, account = ready.parcel, ready.account
        token = self._new_token()
        limit_s = account.timeout_s + MARGIN_S
        by_ref = account.capabilities.receipts and not account.capabilities.echoes
        asked_at: float | None = None

        async def claim() -> Claimed | Refused:
            """Counts from the first claim that may have been granted: by that one's deadline the call must be over."""
            nonlocal asked_at
            now = self._clock.now_ms()
            asked_at = asked_at if asked_at is not None else self._clock.monotonic()
            deadline = now + int(limit_s * 1000)
            wish = Claim(parcel, account.name, token, self._owner, self._fleet.epoch, now, deadline, by_ref)
            try:
                crashpoint("deliver.asking")
                return await self._ledger.claim(wish)
            except Unavailable as error:
                asked_at = asked_at if error.maybe else None
                raise

        crashpoint("deliver.claiming")
        answer = await persist(claim, self._clock, self._tell, "claim")
        if isinstance(answer, Claimed):
            claimed_at = asked_at if asked_at is not None else self._clock.monotonic()
            return Held(parcel, account, answer.attempt, answer.number, token, ready.slot.probe, claimed_at)
        crashpoint("deliver.refused")
        await self._refused(parcel, answer)
        return None

    async def _send(self, ready: Ready, held: Held) -> Outcome:
        """The only lines on which anything leaves."""
        late = self._too_late(ready, held.claimed_at)
        if late is not None:
            return late
        deadline = held.claimed_at + ready.account.timeout_s
        now_ms = self._clock.now_ms()
        self._tell(Written(held.parcel.priority, max(0.0, (now_ms - held.parcel.at) / 1000)))
        request = ready.request
        while True:
            try:
                crashpoint("deliver.writing")
                answer = await ready.line.send(request, deadline - self._clock.monotonic())
            except ValueError as error:
                return Rejected(Reason.CONTENT, str(error), Scope.CONTENT)
            ready.slot.used |= not (isinstance(answer, NotSent) and answer.phase in OURS)
            crashpoint("deliver.answer")
            try:
                request = ready.flow.send(answer)
            except StopIteration as over:
                outcome: Outcome = over.value
                return outcome
            except Exception as error:  # noqa: BLE001 — as above; bytes have left
                self._tell(Trouble("deliver", f"{ready.account.provider!r} could not read an answer: {type(error).__name__}"))
                return Unsure("the provider's adapter failed")

    def _too_late(self, ready: Ready, claimed_at: float) -> Outcome | None:
        """The last look before the first byte."""
        account, now = ready.account, self._clock.monotonic()
        if now - claimed_at > BEGIN_S:
            return ready.account.provider.read(NotSent("late", "not begun in time"))
        expires_at = ready.parcel.expires_at
        if expires_at is not None and expires_at <= self._clock.now_ms() and not self._clock_held():
            return Rejected(Reason.EXPIRED, "expired before the first byte", Scope.CONTENT)
        if not account.enabled or (ready.slot.probe == 0 and account.permit(now) != Permit.YES):
            return Later("switched off, or unwell, before the first byte", ill=False, called=False)
        return None

    async def _refused(self, parcel: Parcel, refused: Refused) -> None:
        self._tell(Duplicate(refused.why))
        if refused.why == "expired":
            crashpoint("deliver.expired")
            await self._expire(parcel)
        elif refused.why == "epoch":
            crashpoint("deliver.switched")
            await persist(self._fleet.reload, self._clock, self._tell, "switches")
            crashpoint("deliver.reloaded")
            now = self._clock.now_ms()
            crashpoint("deliver.rerouting")
            await self._parked(parcel, Wait("time", now), now)

    async def _no_account(self, parcel: Parcel, *, configured: bool) -> None:
        """Nobody may be called now. Without a provider at all, the step can't ever be made."""
        if not configured:
            crashpoint("deliver.no_provider")
            await self._skip(parcel, Reason.NO_PROVIDER.value, "")
            return
        fresh = replace(parcel, tried=())
        name, in_s = self._fleet.opens_first(parcel.channel, self._clock.monotonic())
        now = self._clock.now_ms()
        until = None if in_s is None else now + max(0, int(in_s * 1000))
        wait = Wait("provider", parcel.expires_at, key=f"route:{parcel.channel}", name=name, until=until)
        crashpoint("deliver.no_account")
        await self._parked(fresh, wait, now)

    async def _park(self, parcel: Parcel, account: Account) -> None:
        """Until the route has a place. Who said *later* in this round is not asked again for it, but for those that are shut
        by now: when they may be called again, that is news of them, and somebody must be there to probe them."""
        now = self._clock.monotonic()
        parcel = replace(parcel, tried=tuple(name for name in parcel.tried if not self._fleet.shut(name, now)))
        kind = "rate" if account.rate is not None else "provider"
        wait = Wait(kind, parcel.expires_at, key=f"route:{parcel.channel}", name=account.name)
        crashpoint("deliver.no_slot")
        await self._parked(parcel, wait, self._clock.now_ms())

    def _note_unreachable(self, account: Account, slot: Slot, error: Unreachable) -> None:
        """No connection is a sign of illness; a shortage of our own lines is not."""
        if error.phase not in OURS:
            slot.used = True
            self._fleet.note(
                account,
                Health.BAD,
                self._clock.monotonic(),
                probe=slot.probe,
                why=f"{Reason.UNREACHABLE.value}: {error.phase}: {error.detail}",
            )

    async def _unreachable(self, parcel: Parcel, account: Account, error: Unreachable, full: tuple[str, ...]) -> Parcel | None:
        """No connection: the next provider at once, a place at one that is full, or a wait when all of this round said so."""
        tried = (*parcel.tried, account.name)
        if self._fleet.others(parcel.channel, (*tried, *full), self._clock.monotonic()):
            return replace(parcel, tried=tried)
        crashpoint("deliver.unreachable_all")
        if await self._parked_for(full, parcel, account):
            return None
        now = self._clock.now_ms()
        decision = self._settler.decide(parcel, account, Later(f"{error.phase}: {error.detail}", called=False), now)
        if decision.wait is None or decision.step != parcel.step:
            crashpoint("deliver.no_time")
            await self._skip(parcel, decision.reason or Reason.UNREACHABLE.value, decision.detail)
            return None
        wait = decision.wait
        crashpoint("deliver.no_connection")
        await self._parked(replace(parcel, tried=(), backoff_s=decision.backoff_s), wait, now)
        return None

    async def _unsayable(self, parcel: Parcel, account: Account, reason: str, detail: str, full: tuple[str, ...]) -> None:
        """This provider can't be told: one that only had no place may be, else the step is over."""
        crashpoint("deliver.untold")
        if not await self._parked_for(full, parcel, account):
            crashpoint("deliver.skipping")
            await self._skip(parcel, reason, detail)

    async def _parked_for(self, full: tuple[str, ...], parcel: Parcel, last: Account) -> bool:
        """Parks it for those that were passed over for want of a place, when the last of the others is out of the question.
        False when there are none."""
        tried = (*parcel.tried, last.name)
        if not full or not self._fleet.others(parcel.channel, tried, self._clock.monotonic()):
            return False
        crashpoint("deliver.full_again")
        await self._park(replace(parcel, tried=tried), self._fleet.accounts[full[0]])
        return True

    async def _parked(self, parcel: Parcel, wait: Wait, now: int) -> None:
        crashpoint("deliver.park")
        kept = await persist(lambda: self._ledger.park(parcel, wait, now), self._clock, self._tell, "park")
        if kept:
            self._tell(Parked(wait.key, retry=False))
            self._poke()

    async def _skip(self, parcel: Parcel, reason: str, detail: str) -> None:
        """This step can't be made: the next one, or the end."""
        now = self._clock.now_ms()
        decision = after_step(parcel, now, reason, detail)
        if decision.state == MessageState.FAILED:
            crashpoint("deliver.fail")
            await self._end(parcel, MessageState.FAILED, reason, detail)
            return
        crashpoint("deliver.advance")
        await persist(lambda: self._ledger.advance(parcel, decision.step, reason, detail, now), self._clock, self._tell, "advance")
        self._poke()

    async def _expire(self, parcel: Parcel) -> None:
        if self._clock_held():
            since = min(parcel.at, self._clock.now_ms())  # past by either clock, so due when the hold is over
            crashpoint("deliver.clock_held")
            await self._parked(parcel, Wait("time", since), self._clock.now_ms())
            return
        crashpoint("deliver.too_late")
        await self._end(parcel, MessageState.EXPIRED, Reason.EXPIRED.value, "")

    async def _end(self, parcel: Parcel, state: MessageState, reason: str, detail: str) -> None:
        now = self._clock.now_ms()
        crashpoint("deliver.end")
        ended = await persist(lambda: self._ledger.end(parcel, state, reason, detail, now), self._clock, self._tell, "end")
        if ended:
            self._tell(Settled(parcel.id, state))
