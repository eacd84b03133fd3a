"""deliver: one parcel, taken as far as it can go now. Whatever happens, it ends claimed, parked or dropped.

The order is the protocol: facts, route, render, slot and connected line, **claim**, write at once, settle. Nothing waits
and nothing raises between the claim and the first byte; a call that is not begun within `BEGIN_S` of its claim is not
made at all. Right after a step of the wall clock nobody's time is up: who seems expired waits (drift.py).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from sendwright.engine.account import Account, Slot
from sendwright.engine.coach import Coaches, Seat
from sendwright.engine.crash import crashpoint
from sendwright.engine.defer import SLOT_WAIT_S, Defer
from sendwright.engine.drift import never
from sendwright.engine.fleet import Fleet
from sendwright.engine.persist import persist
from sendwright.engine.ports import Clock, Egress, Ledger, Line
from sendwright.engine.ready import Ready
from sendwright.engine.render import render, say, shortened, within
from sendwright.engine.settle import Held, Settler, printable
from sendwright.engine.telling import Tell, Trouble, Written
from sendwright.engine.tokens import Tokens
from sendwright.errors import Denied, Unavailable, Unreachable, where
from sendwright.model.notification import Priority
from sendwright.model.outcomes import Later, Outcome, Reason, Rejected, Scope, Unsure
from sendwright.model.parcel import Parcel
from sendwright.model.records import Claim, Claimed, Refused, Wait
from sendwright.model.states import MessageState
from sendwright.policy.admission import LINK_SCHEMES
from sendwright.policy.breaker import Health, Permit
from sendwright.policy.filling import Unfillable
from sendwright.policy.lookup import FIRST_MS
from sendwright.providers.contract import ENTROPY, OURS, Flow, NotSent, Outgoing, Passenger, Request, Secret, TooLong

HAND_MAX = 200
HAND_S = 0.5 * SLOT_WAIT_S
"""A worker holds the work of so many seconds, and so many parcels at the most, of one lane."""
BEGIN_S = 0.5
"""A call not begun this long after its claim is not made: what it was decided on may have changed."""
SHELF_S = 30.0
"""How long a parcel rests whose delivery broke off for a reason that nobody foresaw."""
MARGIN_S = 2.0
"""Added to a call's time limit before anybody else may take its attempt for lost."""


def _first(out: Outgoing, account: Account, *, shares: bool) -> tuple[Flow, Request]:
    provider = within(out, account.provider)
    together = provider.together(out) if shares else None
    flow = provider.flow(out) if together is None else provider.passage(out, together)
    return flow, next(flow)


def nobody(_: str) -> tuple[str, ...]:
    """No address is marked."""
    return ()


def nowhere(_: Parcel) -> str | None:
    """Nobody can unsubscribe."""
    return None


def nothing(_channel: str, _address: str) -> str:
    """Nothing is let through."""
    return ""


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
        link: Callable[[Parcel], str | None] = nowhere,
        spares: Callable[[str, str], str] = nothing,
    ) -> None:
        """`chance` gives so many random bytes. `tokens`, where somebody else needs them too. `link`: by which a parcel's recipient
        unsubscribes. `spares`: the entry on the list of suppressions that the first call of an answer is let through, by channel
        and address."""
        self._ledger = ledger
        self._fleet = fleet
        self._egress = egress
        self._settler = settler
        self._clock = clock
        self._new_token = new_token
        self._owner = owner
        self._tell = tell
        self._clock_held = clock_held
        self._defer = Defer(ledger, fleet, settler, clock, tell, poke, clock_held)
        self._schemes = schemes
        self._chance = chance
        self._coaches = Coaches(egress, clock, tell, new_token)
        self._tokens = tokens or Tokens(fleet, egress, clock, tell)
        self._marks = marks
        self._link = link
        self._spares = spares

    def hand(self, channel: str, priority: Priority) -> int:
        """How many parcels of a lane may be held here and not yet be claimed, parked or dropped; at least 1. No more than will
        have a place before they are parked again, as far as that is known."""
        pace = self._fleet.own_pace(channel, priority, self._clock.monotonic())
        return HAND_MAX if pace is None else min(HAND_MAX, max(1, int(pace * HAND_S)))

    async def deliver(self, parcel: Parcel, handled: Callable[[], None]) -> None:
        """Takes one parcel as far as it can go now; `handled` is called once its row says so."""
        said = say(parcel, self._schemes, self._link(parcel))
        if isinstance(said, Unfillable):
            crashpoint("deliver.unfillable")
            await self._defer.end(parcel, MessageState.FAILED, Reason.CONTENT.value, printable(said.detail))
            handled()
            return
        began = self._clock.monotonic()
        ready = await self._prepare(self._as_answer(said))
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
            if started - began > ready.fresh_s:
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
        await self._defer.park(parcel, Wait("time", now + int(SHELF_S * 1000)), now)

    def _as_answer(self, parcel: Parcel) -> Parcel:
        """An answer to a reply goes by the provider that brought the reply, while that is of the route: to the others the person
        may be a stranger."""
        name = parcel.content.answers
        if name is None or not self._fleet.on_route(parcel.channel, name):
            return parcel
        others = (account.name for account in self._fleet.route(parcel.channel) if account.name != name)
        refused = tuple(dict.fromkeys((*parcel.round.refused, *others)))
        return replace(parcel, round=replace(parcel.round, refused=refused))

    async def _prepare(self, parcel: Parcel) -> Ready | None:
        """Route, render, slot and line; None when the parcel was parked or ended instead.

        A provider that is full has not been asked: it is passed over here, and the round does not know of it. Of the
        switches, the claim carries those that the choice was made under, however long it took to get ready."""
        full: tuple[str, ...] = ()
        while True:
            now, epoch = self._clock.now_ms(), self._fleet.epoch
            if parcel.expires_at is not None and parcel.expires_at <= now:
                crashpoint("deliver.expiring")
                await self._defer.expired(parcel)
                return None
            account = self._fleet.choose(parcel.channel, parcel.round, self._clock.monotonic(), now, full)
            if account is None:
                crashpoint("deliver.parking")
                await self._defer.nobody(parcel)
                return None
            crashpoint("deliver.token")
            token = await self._tokens.of(account) if account.capabilities.tokens else None
            if token is not None and not isinstance(token, Secret):
                continue  # it is shut by now: somebody else, or a wait for it
            begun = self._begin(parcel, account, now, token, shares=self._coaches.takes(account, parcel))
            if isinstance(begun, Rejected):
                crashpoint("deliver.unsayable")
                following = await self._defer.not_called(parcel, account, begun, full, probing=False)
            else:
                flow, request = begun
                slot = await self._taken(parcel, account, request)
                crashpoint("deliver.slot")
                if slot is None:
                    full = (*full, account.name)
                    if self._fleet.choose(parcel.channel, parcel.round, self._clock.monotonic(), now, full) is not None:
                        continue
                    crashpoint("deliver.full")
                    await self._defer.full(parcel, full)
                    return None
                line = await self._connect(parcel, account, request, slot)
                crashpoint("deliver.connected")
                if isinstance(line, Rejected | Later):
                    crashpoint("deliver.unreachable")
                    following = await self._defer.not_called(parcel, account, line, full, probing=slot.probe > 0)
                else:
                    return Ready(parcel, account, epoch, flow, request, slot, line, token)
            if following is None:
                return None
            parcel = following

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
            out = render(parcel, account, now, entropy, token, self._link(parcel))
            try:
                return _first(out, account, shares=shares)
            except TooLong:
                return _first(shortened(out, parcel.content, account.provider)[0], account, shares=shares)
        except TooLong as error:
            return Rejected(Reason.TOO_LONG, str(error), Scope.CALL)
        except ValueError as error:
            return Rejected(Reason.CONTENT, str(error), Scope.CALL)
        except Exception as error:  # noqa: BLE001 — a plugin's mistake must cost its own message, not the worker
            self._tell(Trouble("deliver", f"{account.provider!r} could not build a request: {where(error)}"))
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
        answers_once = parcel.content.answers is not None and parcel.number == 0
        spared = self._spares(parcel.channel, parcel.address) if answers_once else ""
        asked_at: float | None = None

        async def claim() -> Claimed | Refused:
            """Counts from the first claim that may have been granted: by that one's deadline the call must be over."""
            nonlocal asked_at
            now = self._clock.now_ms()
            asked_at = asked_at if asked_at is not None else self._clock.monotonic()
            deadline = now + int(limit_s * 1000)
            repeats = parcel.round.repeats(account.name, deadline) if account.patience.key_ms else 0
            look_at = now + FIRST_MS if account.capabilities.lookups else None
            about = (by_ref, repeats, look_at, marks, ready.slot.call, spared)
            wish = Claim(parcel, account.name, token, self._owner, ready.epoch, now, deadline, *about)
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
        await self._defer.refused(parcel, answer)
        return None

    async def _send(self, ready: Ready, held: Held) -> Outcome:
        """The only lines on which anything leaves."""
        late = self._too_late(ready, held.claimed_at)
        if late is not None:
            return late
        if isinstance(ready.line, Seat):
            ready.line.fit = lambda: self._too_late(ready, held.claimed_at) is None
            ready.line.spare_s = held.claimed_at + BEGIN_S - self._clock.monotonic()
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
                self._tell(Trouble("deliver", f"{ready.account.provider!r} could not read an answer: {where(error)}"))
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
        if not account.enabled or not may or not self._fleet.on_route(ready.parcel.channel, account.name):
            return Later("switched off, or unwell, before the first byte", ill=False, called=False)
        return None

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
