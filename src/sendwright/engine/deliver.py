"""deliver: one parcel, taken as far as it can go now. Whatever happens, it ends claimed, parked or dropped.

The order is the protocol: facts, route, render, slot and connected line, **claim**, write at once, settle. Nothing waits
and nothing raises between the claim and the first byte; a call that is not begun within `BEGIN_S` of its claim is not
made at all. Right after a step of the wall clock nobody's time is up: who seems expired waits (drift.py).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from sendwright.engine.coach import Coaches, Seat
from sendwright.engine.crash import crashpoint
from sendwright.engine.drift import never
from sendwright.engine.fleet import Account, Fleet, Slot
from sendwright.engine.persist import persist
from sendwright.engine.ports import Clock, Egress, Ledger, Line
from sendwright.engine.ready import Ready
from sendwright.engine.render import render, say
from sendwright.engine.settle import Held, Settler, after_step, printable
from sendwright.engine.telling import Duplicate, Parked, Settled, Tell, Trouble, Written
from sendwright.engine.tokens import Tokens
from sendwright.errors import Denied, Unavailable, Unreachable
from sendwright.model.notification import Priority
from sendwright.model.outcomes import Later, Outcome, Reason, Rejected, Scope, Unsure
from sendwright.model.parcel import Parcel
from sendwright.model.records import Claim, Claimed, Refused, Wait
from sendwright.model.states import MessageState
from sendwright.policy.admission import LINK_SCHEMES
from sendwright.policy.breaker import Health, Permit
from sendwright.policy.filling import Unfillable
from sendwright.policy.lookup import FIRST_MS
from sendwright.policy.reaction import Left, heard
from sendwright.providers.contract import ENTROPY, OURS, Flow, NotSent, Passenger, Request, Secret, TooLong

SLOT_WAIT_S = 0.5
"""How long a parcel waits for its provider before it is parked."""
HAND_MAX = 200
HAND_S = 0.5 * SLOT_WAIT_S
"""A worker holds the work of so many seconds, and so many parcels at the most, of one lane."""
BEGIN_S = 0.5
"""A call not begun this long after its claim is not made: what it was decided on may have changed."""
LOOK_MS = 1000
"""How often it is looked whether the only provider that may be asked can be asked again."""
STALE_S = 0.25
"""A request built longer ago is built anew right before it is written: what it says of the time that is left would outlast
the message. See render.py, which takes as much off."""
SHELF_S = 30.0
"""How long a parcel rests whose delivery broke off for a reason that nobody foresaw."""
MARGIN_S = 2.0
"""Added to a call's time limit before anybody else may take its attempt for lost."""


def nobody(_: str) -> tuple[str, ...]:
    """No address is marked."""
    return ()


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
        schemes: frozenset[str] = LINK_SCHEMES,
        chance: Callable[[int], bytes] = os.urandom,
        tokens: Tokens | None = None,
        marks: Callable[[str], tuple[str, ...]] = nobody,
    ) -> None:
        """`chance` gives so many random bytes. `tokens`, where somebody else needs them too."""
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
        self._schemes = schemes
        self._chance = chance
        self._coaches = Coaches(egress, clock, tell)
        self._tokens = tokens or Tokens(fleet, egress, clock, tell)
        self._marks = marks

    def hand(self, channel: str, priority: Priority) -> int:
        """How many parcels of a lane may be held here and not yet be claimed, parked or dropped; at least 1. No more than will
        have a place before they are parked again, as far as that is known."""
        pace = self._fleet.own_pace(channel, priority, self._clock.monotonic())
        return HAND_MAX if pace is None else min(HAND_MAX, max(1, int(pace * HAND_S)))

    async def deliver(self, parcel: Parcel, handled: Callable[[], None]) -> None:
        """Takes one parcel as far as it can go now; `handled` is called once its row says so."""
        said = say(parcel, self._schemes)
        if isinstance(said, Unfillable):
            crashpoint("deliver.unfillable")
            await self._end(parcel, MessageState.FAILED, Reason.CONTENT.value, printable(said.detail))
            handled()
            return
        began = self._clock.monotonic()
        ready = await self._prepare(said)
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
        took_s = self._clock.monotonic() - started
        await self._settler.settle(held, outcome, took_s, called=ready.slot.used, speaks=ready.slot.speaks)
        crashpoint("deliver.settled")

    async def shelve(self, parcel: Parcel) -> None:
        """Puts a parcel whose delivery broke off before its claim aside for a while."""
        now = self._clock.now_ms()
        crashpoint("deliver.shelving")
        await self._parked(parcel, Wait("time", now + int(SHELF_S * 1000)), now)

    async def _prepare(self, parcel: Parcel) -> Ready | None:
        """Route, render, slot and line; None when the parcel was parked or ended instead.

        A provider that is full has not been asked: it is passed over here, and the round does not know of it. Of the
        switches, the claim carries those that the choice was made under, however long it took to get ready."""
        full: tuple[str, ...] = ()
        while True:
            now, epoch = self._clock.now_ms(), self._fleet.epoch
            if parcel.expires_at is not None and parcel.expires_at <= now:
                crashpoint("deliver.expiring")
                await self._expire(parcel)
                return None
            account = self._choose(parcel, full, now)
            if account is None:
                crashpoint("deliver.parking")
                await self._no_account(parcel)
                return None
            crashpoint("deliver.token")
            token = await self._tokens.of(account) if account.capabilities.tokens else None
            if token is not None and not isinstance(token, Secret):
                continue  # it is shut by now: somebody else, or a wait for it
            begun = self._begin(parcel, account, now, token, shares=self._coaches.takes(account, parcel))
            if isinstance(begun, Rejected):
                crashpoint("deliver.unsayable")
                following = await self._not_called(parcel, account, begun, full, probing=False)
            else:
                flow, request = begun
                slot = await self._taken(parcel, account, request)
                crashpoint("deliver.slot")
                if slot is None:
                    full = (*full, account.name)
                    if self._choose(parcel, full, now) is not None:
                        continue
                    crashpoint("deliver.full")
                    await self._park(parcel, full)
                    return None
                line = await self._connect(parcel, account, request, slot)
                crashpoint("deliver.connected")
                if isinstance(line, Rejected | Later):
                    crashpoint("deliver.unreachable")
                    following = await self._not_called(parcel, account, line, full, probing=slot.probe > 0)
                else:
                    return Ready(parcel, account, epoch, flow, request, slot, line, token)
            if following is None:
                return None
            parcel = following

    def _choose(self, parcel: Parcel, full: tuple[str, ...], now: int) -> Account | None:
        """Whom to ask next. Where a repeat of a lost call would be known, nobody else for a while."""
        bound = parcel.round.bound(now)
        passed = (*parcel.round.asked, *full)
        return self._fleet.choose(parcel.channel, passed, self._clock.monotonic(), bound)

    def _taken(self, parcel: Parcel, account: Account, request: Request) -> Awaitable[Slot | Seat | None]:
        """A place for its call, or in one that it shares."""
        if isinstance(request, Passenger):
            return self._coaches.board(account, parcel, request, SLOT_WAIT_S)
        return account.take(parcel.priority, self._clock, SLOT_WAIT_S)

    async def _connect(self, parcel: Parcel, account: Account, request: Request, slot: Slot | Seat) -> Line | Rejected | Later:
        """A connected line; or what the want of one comes to, the slot given back."""
        try:
            crashpoint("deliver.connecting")
            return await (
                slot.connected() if isinstance(slot, Seat) else self._egress.open(account.name, request, account.timeout_s)
            )
        except Denied as error:
            slot.release()
            return Rejected(Reason.REJECTED, error.detail)
        except Unreachable as error:
            self._note_unreachable(account, slot, error)
            slot.release()
            return Later(f"{error.phase}: {error.detail}", called=False)
        except ValueError as error:
            slot.release()
            return Rejected(Reason.CONTENT, str(error), Scope.CALL)
        except BaseException:
            slot.release()
            raise

    def _begin(
        self, parcel: Parcel, account: Account, now: int, token: Secret | None, *, shares: bool
    ) -> tuple[Flow, Request] | Rejected:
        """The first request of the provider's flow, or why it can't be said in its words. `shares`: its call may carry others."""
        if not parcel.address:  # the person was erased while a call was under way
            return Rejected(Reason.UNKNOWN_RECIPIENT, "", Scope.RECIPIENT)
        try:
            entropy = self._chance(ENTROPY) if account.capabilities.entropy else b""
            out = render(parcel, account, now, entropy, token)
            together = account.provider.together(out) if shares else None
            flow = account.provider.flow(out) if together is None else account.provider.passage(out, together)
            return flow, next(flow)
        except TooLong as error:
            return Rejected(Reason.TOO_LONG, str(error), Scope.CALL)
        except ValueError as error:
            return Rejected(Reason.CONTENT, str(error), Scope.CALL)
        except Exception as error:  # noqa: BLE001 — a plugin's mistake must cost its own message, not the worker
            self._tell(Trouble("deliver", f"{account.provider!r} could not build a request: {type(error).__name__}"))
            return Rejected(Reason.UNKNOWN, "the provider's adapter failed", Scope.ACCOUNT)

    def _say_anew(self, ready: Ready) -> None:
        """The same, as of now."""
        shares = isinstance(ready.request, Passenger)
        begun = self._begin(ready.parcel, ready.account, self._clock.now_ms(), ready.token, shares=shares)
        if not isinstance(begun, Rejected):
            ready.flow, ready.request = begun

    async def _claim(self, ready: Ready) -> Held | None:
        """One row decides. None: cancelled, overtaken, switched or somebody else's."""
        parcel, account = ready.parcel, ready.account
        token = self._new_token()
        limit_s = account.timeout_s + MARGIN_S
        by_ref = account.capabilities.receipts and not account.capabilities.echoes
        marks = self._marks(parcel.address)
        asked_at: float | None = None

        async def claim() -> Claimed | Refused:
            """Counts from the first claim that may have been granted: by that one's deadline the call must be over."""
            nonlocal asked_at
            now = self._clock.now_ms()
            asked_at = asked_at if asked_at is not None else self._clock.monotonic()
            deadline = now + int(limit_s * 1000)
            repeats = parcel.round.repeats(account.name, deadline) if account.patience.key_ms else 0
            look_at = now + FIRST_MS if account.capabilities.lookups else None
            wish = Claim(parcel, account.name, token, self._owner, ready.epoch, now, deadline, by_ref, repeats, look_at, marks)
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
                return outcome if ready.token is None else self._tokens.heard(ready.account, ready.token, answer, outcome)
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
        probe = ready.slot.probe
        may = account.still_probes(probe, now) if probe else account.permit(now) == Permit.YES
        if not account.enabled or not may:
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
        elif refused.why == "suppressed":
            crashpoint("deliver.suppressed")
            await self._skip(parcel, refused.reason, "", MessageState.SUPPRESSED)

    async def _no_account(self, parcel: Parcel) -> None:
        """Nobody may be called now."""
        now = self._clock.now_ms()
        found = self._held_up(parcel, now)
        if isinstance(found, Reason):
            crashpoint("deliver.no_provider")
            await self._skip(parcel, found.value, "")
        else:
            crashpoint("deliver.no_account")
            await self._parked(*found, now)

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

    async def _park(self, parcel: Parcel, full: tuple[str, ...]) -> None:
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
        crashpoint("deliver.no_slot")
        await self._parked(self._anew(parcel, now), wait, now)

    def _note_unreachable(self, account: Account, slot: Slot | Seat, error: Unreachable) -> None:
        """No connection is a sign of illness; a shortage of our own lines is not."""
        if error.phase not in OURS and slot.speaks:
            slot.used = True
            self._fleet.note(
                account,
                Health.BAD,
                self._clock.monotonic(),
                probe=slot.probe,
                why=f"{Reason.UNREACHABLE.value}: {error.phase}: {error.detail}",
            )

    async def _not_called(
        self, parcel: Parcel, account: Account, outcome: Rejected | Later, full: tuple[str, ...], *, probing: bool
    ) -> Parcel | None:
        """A provider that can't be told, or not be reached: the next at once; else a place at one that is full, or what its
        answer would have come to. None when it was parked or is over."""
        now = self._clock.now_ms()
        heard_of = replace(parcel, round=heard(parcel.round, account.name, outcome, now))
        if self._choose(heard_of, full, now) is not None:
            return heard_of
        if full and self._choose(heard_of, (), now) is not None:
            crashpoint("deliver.full_again")
            await self._park(heard_of, full)
            return None
        decision = self._settler.decide(parcel, account, outcome, now, probing=probing, called=False)
        if decision.wait is None or decision.step != parcel.step:
            crashpoint("deliver.no_time")
            await self._skip(parcel, decision.reason or Reason.UNREACHABLE.value, decision.detail)
        else:
            crashpoint("deliver.no_connection")
            await self._parked(replace(parcel, round=decision.round, backoff_s=decision.backoff_s), decision.wait, now)
        return None

    async def _parked(self, parcel: Parcel, wait: Wait, now: int) -> None:
        crashpoint("deliver.park")
        kept = await persist(lambda: self._ledger.park(parcel, wait, now), self._clock, self._tell, "park")
        if kept:
            self._tell(Parked(wait.key, retry=False))
            self._poke()

    async def _skip(self, parcel: Parcel, reason: str, detail: str, end: MessageState = MessageState.FAILED) -> None:
        """This step can't be made: the next one, or the end."""
        now = self._clock.now_ms()
        decision = after_step(parcel, now, reason, detail)
        if decision.state == MessageState.FAILED:
            crashpoint("deliver.fail")
            await self._end(parcel, end, reason, detail)
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
