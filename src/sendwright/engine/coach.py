"""Calls that carry several messages: who waits for whom, and when the call goes.

A message boards before its claim, for that is where there is time: so long waits the first for company, or until the call is
full. Then one place and one token of the rate are taken for all, one line is connected, and each claims for itself. The call goes
when every one of them is claimed or has dropped out, or soon after the first was, with those that are there: nothing waits long
between a claim and the first byte.

  what is critical or high goes alone, and at once
  messages that would be sent again are never with such as must be held, for in doubt all of a call are
  a call that is refused for what some of its messages hold is nobody's refusal: each goes again, alone; so it is with one that
    can't be built or written, for then nothing has left
  each has its last look right before the first byte: who is late, expired or switched off by then is not in the call
  of the provider's health one of them speaks for all: it was one call, or one connection that failed
  a probe is one message: where a call's place turns out to be one, nobody has a place
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sendwright.engine.account import Account, Slot
from sendwright.engine.crash import crashpoint
from sendwright.engine.ports import Clock, Egress, Line
from sendwright.engine.telling import Tell, Trouble
from sendwright.errors import where
from sendwright.model.notification import Priority
from sendwright.model.outcomes import Later, Scope, Unsure
from sendwright.model.parcel import Parcel
from sendwright.policy.breaker import Permit
from sendwright.providers.contract import Answer, NotSent, Outgoing, Part, Passenger, Reply, Request

COMPANY_S = {Priority.NORMAL: 0.02, Priority.BULK: 0.25}
"""How long the first message of a call waits for others, in seconds; the other priorities go alone."""
GATHERED_S = 0.2
"""So long after the first of them is claimed does a call go without those that are not."""
AHEAD_S = 0.05
"""It goes so long before the first of them would be too late for it."""

ALONE = Later("the call was refused for another message in it", ill=False, scope=Scope.CALL, alone=True)

Key = tuple[str, Priority, str, str]
"""Account, priority, `on_doubt` and what the provider says may go together."""


class Seat:
    """One message's part of a call: a `Slot` and a `Line` like those of a call of its own."""

    def __init__(self, coach: Coach, together: str) -> None:
        self._coach = coach
        self._together = together
        self._used = self._left = False
        self.fit: Callable[[], bool] = _always
        """Whether it may still leave: the last look, right before the first byte."""
        self.spare_s = GATHERED_S
        """How long from its claim on it stays fit."""

    @property
    def probe(self) -> int:
        return self._coach.slot.probe if self._coach.slot is not None else 0

    @property
    def speaks(self) -> bool:
        return self._coach.speaker is self

    @property
    def call(self) -> str | None:
        """What the attempts of those who ride together have in common; None for who is alone."""
        return self._coach.id

    @property
    def used(self) -> bool:
        return self._used

    @used.setter
    def used(self, used: bool) -> None:
        self._used = used
        if used and self._coach.slot is not None:
            self._coach.slot.used = True

    @property
    def open(self) -> bool:
        return not self._left and self._coach.open

    async def connected(self) -> Line:
        """Itself, once the call's line is connected. Raises as `Egress.open` does."""
        crashpoint("coach.connecting")
        await self._coach.connect()
        return self

    async def send(self, request: Request, within_s: float) -> Answer:
        if not isinstance(request, Passenger) or request.together != self._together:
            return NotSent("late", "by now it says what does not go with the others")
        crashpoint("coach.riding")
        return await self._coach.ride(self, request.out, within_s)

    def release(self) -> None:
        if not self._left:
            self._left = True
            self._coach.leave(self)


def _always() -> bool:
    return True


class Rider(NamedTuple):
    """One who is claimed, and waits for the answer."""

    seat: Seat
    out: Outgoing
    by: float
    """The loop's time by which it must have it."""
    heard: asyncio.Future[Answer]


class Coach:
    """One call, from its first message to its answer."""

    def __init__(self, account: Account, egress: Egress, tell: Tell, new_id: Callable[[], str]) -> None:
        self._account = account
        self._new_id = new_id
        self.id: str | None = None
        """Known before anybody claims: once there is a place, nobody boards any more."""
        self._egress = egress
        self._tell = tell
        self.slot: Slot | None = None
        self.speaker: Seat | None = None
        """The message that speaks for the provider's health."""
        self.full = asyncio.Event()
        self._seats: dict[Seat, Outgoing] = {}
        self._boarded = 0
        self._granted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._connecting: asyncio.Task[Line] | None = None
        self._line: Line | None = None
        self._riders: dict[Seat, Rider] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._going: asyncio.Task[None] | None = None

    @property
    def open(self) -> bool:
        return self._line is not None and self._line.open

    def board(self, wish: Passenger) -> Seat:
        """A seat; there is none left once it is `full`."""
        seat = Seat(self, wish.together)
        self._seats[seat] = wish.out
        self._boarded += 1
        if self._boarded >= self._account.capabilities.batch_max:
            self.full.set()
        return seat

    async def placed(self, seat: Seat) -> bool:
        """Whether there is a place for the call, once that is known; the seat is given back where there is none."""
        try:
            crashpoint("coach.boarded")
            placed = await asyncio.shield(self._granted)
        except BaseException:
            seat.release()
            raise
        if not placed:
            seat.release()
        return placed

    def grant(self, slot: Slot | None) -> None:
        """The place for it, or None; everybody who boarded hears of it."""
        self.slot = slot
        if len(self._seats) > 1:
            self.id = f"call_{self._new_id()}"
        self.speaker = next(iter(self._seats), None)
        self._granted.set_result(slot is not None)
        if not self._seats:
            self._over()

    async def connect(self) -> None:
        """Connects its line, the first time that anybody asks. Raises as `Egress.open` does."""
        if self._connecting is None:
            request = self._account.provider.build_all([next(iter(self._seats.values()))])
            opening = self._egress.open(self._account.name, request, self._account.timeout_s)
            self._connecting = asyncio.get_running_loop().create_task(opening)
        crashpoint("coach.line")
        self._line = await asyncio.shield(self._connecting)

    async def ride(self, seat: Seat, out: Outgoing, within_s: float) -> Answer:
        """This message's part of the answer."""
        if self._going is not None:
            return NotSent("late", "the call had gone")
        loop = asyncio.get_running_loop()
        rider = Rider(seat, out, loop.time() + within_s, loop.create_future())
        self._riders[seat] = rider
        self._set_out_by(loop.time() + min(GATHERED_S, max(0.0, seat.spare_s - AHEAD_S)))
        self._look()
        crashpoint("coach.claimed")
        return await rider.heard

    def leave(self, seat: Seat) -> None:
        """It has its answer, or drops out before."""
        del self._seats[seat]
        if self._going is None:
            self._riders.pop(seat, None)
            if self.speaker is seat and not seat.used:  # a connection that failed has been spoken of
                self.speaker = next(iter(self._seats), None)
        if self._seats:
            self._look()
        elif self._granted.done():
            self._over()

    def _look(self) -> None:
        """Goes, when all who are left are claimed."""
        if self._riders and self._riders.keys() >= self._seats.keys():
            self._go()

    def _set_out_by(self, at: float) -> None:
        if self._timer is None or at < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(at, self._go)

    def _go(self) -> None:
        self._timer = None
        if self._going is None and self._line is not None and self._riders:
            self._going = asyncio.get_running_loop().create_task(self._call(self._line, list(self._riders.values())))

    async def _call(self, line: Line, riders: list[Rider]) -> None:
        """The only call of it."""
        crashpoint("coach.going")
        riders = self._fit(riders)
        if not riders:
            return
        if all(rider.seat is not self.speaker for rider in riders):
            self.speaker = riders[0].seat
        self._account.carried(len(riders))
        try:
            answers = await self._answers(line, [rider.out for rider in riders], min(rider.by for rider in riders))
            crashpoint("coach.answers")
        except Exception as error:  # noqa: BLE001 -- a plugin's mistake costs its own messages alone; bytes may have left
            self._tell(Trouble("deliver", f"{self._account.provider!r} could not read an answer: {where(error)}"))
            answers = [Part(Unsure("the provider's adapter failed"))] * len(riders)
        for rider, answer in zip(riders, answers, strict=True):
            _hear(rider, answer)

    def _fit(self, riders: list[Rider]) -> list[Rider]:
        """Those who may still leave; the others hear that they have not, where they listen at all."""
        fit = []
        for rider in riders:
            if not rider.heard.done() and rider.seat.fit():
                fit.append(rider)
            else:
                _hear(rider, NotSent("late", "not fit to leave when the call went"))
        return fit

    async def _answers(self, line: Line, outs: Sequence[Outgoing], by: float) -> Sequence[Answer]:
        try:
            request = self._account.provider.build_all(outs)
        except Exception as error:  # noqa: BLE001 -- nothing has left: each may still go by itself
            self._tell(Trouble("deliver", f"{self._account.provider!r} could not build a call: {where(error)}"))
            return [Part(ALONE)] * len(outs)
        try:
            crashpoint("coach.writing")
            answer = await line.send(request, by - asyncio.get_running_loop().time())
            crashpoint("coach.answered")
        except ValueError:  # it can't be written, and nothing has left: alone, each hears whether it is the one
            return [Part(ALONE)] * len(outs)
        if not isinstance(answer, Reply):
            return [answer] * len(outs)
        outcomes = self._account.provider.read_all(answer, outs)
        return [Part(ALONE)] * len(outs) if outcomes is None else [Part(outcome) for outcome in outcomes]

    def _over(self) -> None:
        """Nobody is left: what was theirs is given back."""
        if self._timer is not None:
            self._timer.cancel()
        if self._going is not None:
            self._going.cancel()
        if self._connecting is not None:
            self._connecting.add_done_callback(_given_back)
            self._connecting.cancel()
        if self.slot is not None:
            self.slot.release()


def _hear(rider: Rider, answer: Answer) -> None:
    if not rider.heard.done():
        rider.heard.set_result(answer)


def _given_back(connecting: asyncio.Task[Line]) -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().release()


class Coaches:
    """The calls that are open for company."""

    def __init__(self, egress: Egress, clock: Clock, tell: Tell, new_id: Callable[[], str]) -> None:
        """`new_id` makes what is never made twice."""
        self._egress = egress
        self._new_id = new_id
        self._clock = clock
        self._tell = tell
        self._open: dict[Key, Coach] = {}
        self._runs: set[asyncio.Task[None]] = set()

    def takes(self, account: Account, parcel: Parcel) -> bool:
        """Whether this message may share a call of this provider now. A probe is one message, and goes alone."""
        shares = account.capabilities.batch_max > 1 and parcel.priority in COMPANY_S and not parcel.round.alone
        return shares and account.permit(self._clock.monotonic()) == Permit.YES

    async def board(self, account: Account, parcel: Parcel, wish: Passenger, within_s: float) -> Seat | None:
        """A seat in a call, once that has a place; None when it gets none within so many seconds."""
        key = (account.name, parcel.priority, parcel.on_doubt, wish.together)
        coach = self._open.get(key)
        if coach is None:
            coach = self._open[key] = Coach(account, self._egress, self._tell, self._new_id)
            run = asyncio.get_running_loop().create_task(self._run(key, coach, account, within_s))
            self._runs.add(run)
            run.add_done_callback(self._runs.discard)
        seat = coach.board(wish)
        if coach.full.is_set():
            del self._open[key]
        crashpoint("coach.boarding")
        return seat if await coach.placed(seat) else None

    async def _run(self, key: Key, coach: Coach, account: Account, within_s: float) -> None:
        """Waits for company, then for a place."""
        slot = None
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(COMPANY_S[key[1]]):
                    crashpoint("coach.company")
                    await coach.full.wait()
            if self._open.get(key) is coach:
                del self._open[key]
            crashpoint("coach.place")
            slot = await account.take(key[1], self._clock, within_s)
            if slot is not None and slot.probe:
                slot.release()
                slot = None
        finally:
            coach.grant(slot)
