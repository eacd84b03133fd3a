"""The invariants, and who judges them: what the providers took is the truth, what the store says is judged by it.

At every commit (`committing`) and every request (`writing`), incrementally:

  I2  duplicates are bounded: a message is claimed anew only when every earlier call of its plan is known to be refuted or in
      doubt, and with `on_doubt: hold` only when none is in doubt; only what nobody works on any more is put in doubt
      (its owner is dead, or its time is up); an attempt is written once; no call carries what is held beside what is not. So a
      provider takes a message twice only where an answer was lost at a kill, a pause or a time limit.
  I3  no ghosts: nothing is planned that was not posted; nothing is written without its attempt's row; nothing that was
      cancelled, be it while an answer was lost, has ended or has expired by the clock of who writes it.
  I4  truth: messages move as `model/states.py` allows, attempts only rise, numbers count; `sent`, `delivered` and `read` are said
      only of what a provider took, `failed`, `expired` and `cancelled` of nothing that one took and did not take back.
  I5  order where promised: the steps of a plan go forward, its calls are made one after the other, and every move of a
      message has its event in the same commit, numbered in order. (Between messages no order is promised.)
  I6  priorities: no call leaves while the places kept for higher priorities are all that is left.
  I8  bounded: never more calls in flight than a provider's concurrency, never more than its rate, none while it asked to be
      left alone, no more calls of a message than its plan has, and no loop without end (loop.py).

At rest (rest.py): I1 and I9, the recount, and the list of what was doubled.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from sendwright.drivers.store.memory_tables import Tables
from sendwright.engine.account import Account
from sendwright.model.ids import message_of, notification_of
from sendwright.model.notification import Priority
from sendwright.model.records import AttemptRecord, MessageRecord
from sendwright.model.states import AttemptState, MessageState, may_move
from sendwright.policy.breaker import State
from sendwright.policy.limit import ceiling, parse_rate
from sendwright.policy.retry import believed_s
from sendwright.providers.contract import Answer, Reply
from sendwright.providers.throttle import retry_after_s
from simulation.process import FIRST_ANSWERS_S, RESERVE, RETRY, Life, true_ms

if TYPE_CHECKING:
    from simulation.vendors import Said, SimVendor
    from simulation.world import World

TAKEN = frozenset({AttemptState.SENT, AttemptState.DELIVERED, AttemptState.READ})
PROVEN = frozenset({MessageState.SENT, MessageState.DELIVERED, MessageState.READ})
NEVER_SENT = frozenset({MessageState.FAILED, MessageState.EXPIRED, MessageState.CANCELLED, MessageState.SUPPRESSED})
HAND = frozenset({"revive", "resolve"})
HOT_S, HOT_MAX = 10.0, 25
"""More claims of one message than this within so many seconds are a storm: backoff starts at a second."""
FAR_MS = 1 << 53
APART_MS = max(FIRST_ANSWERS_S) * 1000 / 2
"""A process that has just started may know the store's time no better."""
FIRST_ROUND_CALLS = 12
"""Calls of one step that do not count against `attempts_max`: probes, and accounts that were refused."""


class Flight(NamedTuple):
    """A call on its way: whose and where to, and how urgent it is."""

    place: tuple[Life, str]
    priority: Priority


class Oracle:
    """Knows what was posted and what was taken, and looks over the store's shoulder."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.offered: set[str] = set()
        self.takes: dict[str, list[tuple[str, str]]] = defaultdict(list)
        """By message: (vendor, attempt) of every call that was taken as a message of its own."""
        self.own_doubles: set[str] = set()
        """Attempts that a vendor took twice all by itself."""
        self.failing: set[str] = set()
        """Attempts that their vendor took and will report as failed."""
        self.by_hand: set[str] = set()
        """Messages that a person had sent again."""
        self.declared: set[str] = set()
        """Messages that a person declared sent or failed."""
        self.never: set[str] = set()
        """Notifications of which a caller was told that they are cancelled before they were planned."""
        self.expired_at: dict[str, int] = {}
        """Messages, and the true time at which they were called expired."""
        self._stopped: set[str] = set()
        """Messages that were cancelled while an answer was lost, and of which nobody has said since that they were taken."""
        self._written: set[str] = set()
        self._in_flight: dict[tuple[Life, str], list[int]] = {}
        """By priority."""
        self._calls: dict[tuple[Life, str], deque[float]] = defaultdict(deque)
        self._left_alone: dict[tuple[Life, str], tuple[float, float]] = {}
        """Since when and until when a vendor asked a life for rest."""
        self._asked_to_wait: dict[str, float] = {}
        """Attempts that were put off, and until when."""
        self._claims: dict[str, deque[float]] = defaultdict(deque)
        self._seq = 0

    # What is posted and taken

    def took(self, vendor: str, said: Said, *, own_double: bool = False) -> None:
        if own_double:
            self.own_doubles.add(said.attempt)
            return
        self.takes[said.message].append((vendor, said.attempt))
        self._world.line(vendor, "took", said.attempt)
        if len(self.kept(said.message)) > 1 and said.message not in self.by_hand:
            self._world.note(vendor, "doubled", said.attempt)

    def kept(self, message: str) -> list[tuple[str, str]]:
        """What was taken of a message and, as far as the store has heard, not reported as failed: more than one is a double."""
        rows = self._world.store.tables.attempts.rows
        takes = self.takes.get(message, [])
        failed = {a for _, a in takes if a in self.failing and (rows[a].state == AttemptState.FAILED or a in self.own_doubles)}
        return [(vendor, attempt) for vendor, attempt in takes if attempt not in failed]

    def will_fail(self, _vendor: str, attempt: str) -> None:
        self.failing.add(attempt)

    # Requests

    def writing(self, life: Life, vendor: SimVendor, call: Sequence[Said]) -> None:
        """The last look before the first byte."""
        for said in call:
            self._one_written(life, vendor, said)
        if len(call) > 1 and not self._world.broken:
            self._company(life, vendor, call)

    def _company(self, life: Life, vendor: SimVendor, call: Sequence[Said]) -> None:
        """Who may be together (ADR 27)."""
        fail, rows = self._world.fail, self._world.store.tables.messages.rows
        of_call = [rows[said.message] for said in call]
        if len({said.message for said in call}) < len(call) or len(call) > vendor.kind.batch_max:
            fail("I2", f"{len(call)} in a call to {vendor.name}, one of them twice or one too many")
        if len({message.on_doubt for message in of_call}) > 1:
            fail("I2", f"what is to be held is in a call with what would be sent again: {[message.id for message in of_call]}")
        if len({message.priority for message in of_call}) > 1 or of_call[0].priority <= Priority.HIGH:
            fail("I6", f"a call carries {[message.priority.label for message in of_call]}")
        if life.fleet.accounts[vendor.name].breaker.state != State.CLOSED:
            fail("I8", f"{len(call)} messages of {life.label} probe {vendor.name}")

    def _one_written(self, life: Life, vendor: SimVendor, said: Said) -> None:
        tables, fail = self._world.store.tables, self._world.fail
        attempt, message = tables.attempts.rows.get(said.attempt), tables.messages.rows.get(said.message)
        if attempt is None or message is None or attempt.provider != vendor.name or message_of(said.attempt) != said.message:
            fail("I3", f"{said.attempt} is written to {vendor.name}, and the store has no such attempt")
            return
        if said.attempt in self._written:
            fail("I2", f"{said.attempt} is written a second time")
        self._written.add(said.attempt)
        if notification_of(said.message) in self.never or message.state == MessageState.CANCELLED:
            fail("I3", f"{said.message} is written to {vendor.name} after it was cancelled")
        if attempt.state != AttemptState.SENDING:
            self._zombie(life, attempt, message)
        self._expiry(life, message, attempt)

    def _zombie(self, life: Life, attempt: AttemptRecord, message: MessageRecord) -> None:
        """It was put in doubt between its claim and its first byte: only of a life that was declared dead, or by a clock that
        was moved; and it may have ended by hand meanwhile, but not otherwise."""
        self._world.note(life.label, "zombie_write", attempt.id)
        excused = not self._world.alive(life.label) or self._world.store_clock_moved
        if attempt.state != AttemptState.IN_DOUBT or not excused:
            self._world.fail("I3", f"{attempt.id} is written, and is {attempt.state}")
        if message.state in NEVER_SENT and message.id not in self.declared:
            self._world.fail("I3", f"{message.id} is written, and is {message.state}")

    def _expiry(self, life: Life, message: MessageRecord, attempt: AttemptRecord) -> None:
        """By the clock of who writes. Right after a step of it nobody's time is up that was claimed in time before (drift.py)."""
        over_ms = life.clock.now_ms() - (message.expires_at or FAR_MS)
        if over_ms >= 0 and not (life.drift.held() and attempt.started_at < (message.expires_at or 0)):
            self._world.fail("I3", f"{message.id} is written {over_ms} ms after its expiry")

    def written(self, life: Life, vendor: SimVendor, call: Sequence[Said]) -> Flight:
        """The first byte leaves: of one call, however many messages it carries."""
        world, now_s, place = self._world, self._world.loop.time(), (life, vendor.name)
        priority = world.store.tables.messages.rows[call[0].message].priority
        account = life.fleet.accounts[vendor.name]
        concurrency = max(account.concurrency, account.own_concurrency)  # one that was lowered meanwhile holds for new calls
        flying = self._in_flight.setdefault(place, [0] * len(Priority))
        flying[priority] += 1
        if sum(flying) > concurrency:
            world.fail("I8", f"{sum(flying)} calls of {life.label} in flight at {vendor.name}")
        elif sum(flying[priority:]) > ceiling(concurrency, priority, RESERVE):
            world.fail("I6", f"a {priority.label} call of {life.label} takes a place that is kept at {vendor.name}")
        since_s, until_s = self._left_alone.get(place, (0.0, 0.0))
        if since_s < now_s < until_s:
            world.fail("I8", f"{life.label} calls {vendor.name}, which asked it to wait")
        self._rate(place, account, now_s)
        for said in call:
            world.line(life.label, "writes", said.attempt, vendor.name)
        if len(call) > 1:
            world.note(vendor.name, "shared", len(call))
        return Flight(place, priority)

    def _rate(self, place: tuple[Life, str], account: Account, now_s: float) -> None:
        """Of one life: a rate that a fleet shares is not built yet. A call is let through before its claim, so those that wait
        for theirs may leave together: as many as may be in flight. One that was stopped writes later than it was let through."""
        if account.rate_text is None or place[0].was_paused:
            return
        rate, calls = parse_rate(account.rate_text), self._calls[place]
        calls.append(now_s)
        while calls[0] <= now_s - rate.unit_s:
            calls.popleft()
        if len(calls) > rate.n + account.own_concurrency:
            self._world.fail("I8", f"{len(calls)} calls of {place[0].label} at {place[1]} within {rate.unit_s} s")

    def answered(
        self, life: Life, vendor: SimVendor, call: Sequence[Said], answer: Answer, told: Sequence[Reply | None], after_s: float
    ) -> None:
        """Who asks for rest is asked again no sooner, from when it is heard: for the messages that were `told` so, and by a 429 of
        the account for all that this life has."""
        for said, reply in zip(call, told, strict=True):
            wait_s = _rest_s(reply)
            if wait_s and self._world.store.tables.attempts.rows[said.attempt].state == AttemptState.SENDING:
                self._asked_to_wait[said.attempt] = self._world.loop.time() + after_s + wait_s - 0.01
        if isinstance(answer, Reply) and answer.status == 429 and answer.header("x-scope") is None and (wait_s := _rest_s(answer)):
            self._world.later(after_s, self._rests, (life, vendor.name), wait_s)

    def _rests(self, place: tuple[Life, str], wait_s: float) -> None:
        if not place[0].stopped and not place[0].was_paused:
            now_s = self._world.loop.time()
            self._left_alone[place] = (now_s, now_s + wait_s - 0.001)

    def over(self, flight: Flight) -> None:
        self._in_flight[flight.place][flight.priority] -= 1

    # Commits

    def committing(self, method: str, t: Tables) -> None:
        told = self._events(t)
        for id_, attempt in t.attempts._draft.items():
            if attempt is not None:
                self._attempt(method, t, t.attempts.rows.get(id_), attempt)
        for id_, message in t.messages._draft.items():
            before = t.messages.rows.get(id_)
            if message is None or message == before:
                continue
            if before is None:
                if notification_of(id_) not in self.offered:
                    self._world.fail("I3", f"{id_} is planned, and nobody posted it")
            else:
                self._moved(method, before, message)
                if (before.state, before.step) != (message.state, message.step) and not _is_told(message, before, told):
                    self._world.fail("I5", f"{id_} moves from {before.state} to {message.state}, and no event says so")
            if message.state.settled and (before is None or before.state != message.state):
                self._truth(t, message)

    def _events(self, t: Tables) -> dict[str, set[str]]:
        told: dict[str, set[str]] = {}
        for event in t.events._draft:
            if event.seq != self._seq + 1:
                self._world.fail("I5", f"event {event.seq} follows {self._seq}")
            self._seq = event.seq
            if event.message is not None:
                told.setdefault(event.message, set()).add(event.type)
        return told

    def _attempt(self, method: str, t: Tables, before: AttemptRecord | None, after: AttemptRecord) -> None:
        fail = self._world.fail
        if before is None:
            self._claimed(t, after)
        elif after.state < before.state or (after.owner, after.provider) != (before.owner, before.provider):
            fail("I4", f"{after.id} falls from {before.state} to {after.state}")
        elif method == "repair" and (before.state, after.state) == (AttemptState.SENDING, AttemptState.IN_DOUBT):
            over = true_ms(self._world.loop.time()) + APART_MS >= before.deadline_at
            if not over and self._world.alive(before.owner or "") and not self._world.store_clock_moved:
                fail("I2", f"{after.id} is put in doubt, and its owner works on it")
            self._world.note("store", "repaired", after.id)
            self._asked_to_wait.pop(after.id, None)  # what it heard comes too late to decide anything
        elif before.state == AttemptState.IN_DOUBT and after.state > before.state:
            self._world.note("store", "doubt_settled", after.id, after.state, method)

    def _claimed(self, t: Tables, attempt: AttemptRecord) -> None:
        world, now_s = self._world, self._world.loop.time()
        message = t.messages.get(attempt.message)
        if message is None or attempt.number != message.number:
            world.fail("I4", f"{attempt.id} is claimed without its message")
            return
        if message.id in self._stopped:
            world.fail("I3", f"{attempt.id} is claimed, and its message was cancelled while an answer was lost")
        earlier = [a for a in t.attempts_of(message) if message.since < a.number < attempt.number]
        for a in earlier:
            if a.state == AttemptState.SENDING or a.state in TAKEN:
                world.fail("I2", f"{attempt.id} is claimed, and {a.id} is {a.state}")
            if a.state == AttemptState.IN_DOUBT and message.on_doubt == "hold" and message.id not in self.by_hand:
                world.fail("I2", f"{attempt.id} is claimed, and {a.id} is in doubt, which is to be held")
            until_s = self._asked_to_wait.get(a.id, 0.0) if a.state == AttemptState.FAILED else 0.0
            same = (a.provider, a.step) == (attempt.provider, attempt.step)  # another step has another address
            if same and now_s < until_s and message.id not in self.by_hand:
                world.fail("I8", f"{attempt.id} is claimed for {a.provider}, which asked it to wait")
            if a.step > attempt.step:
                world.fail("I5", f"{attempt.id} is of step {attempt.step}, and {a.id} was of step {a.step}")
        self._counted(message, attempt, earlier)
        claims = self._claims[message.id]
        claims.append(now_s)
        while claims[0] < now_s - HOT_S:
            claims.popleft()
        calls = sum(a.step == attempt.step for a in earlier)
        if len(claims) > HOT_MAX or calls > 10 * (RETRY.attempts_max + FIRST_ROUND_CALLS):
            world.fail("I8", f"{message.id} was claimed {len(claims)} times within {HOT_S:g} s, {calls} times in its step")

    def _counted(self, message: MessageRecord, attempt: AttemptRecord, earlier: list[AttemptRecord]) -> None:
        note = self._world.note
        self._world.line(attempt.owner or "", "claims", attempt.id, attempt.provider)
        if any(a.state == AttemptState.IN_DOUBT for a in earlier):
            note("store", "resend", attempt.id)
        if attempt.repeats:
            note("store", "repeat", attempt.id)
        if earlier and earlier[-1].step < attempt.step:
            note("store", "next_step", attempt.id)
        elif earlier and earlier[-1].provider != attempt.provider:
            note("store", "failover", attempt.id)
        elif earlier:
            note("store", "retry", attempt.id)

    def _moved(self, method: str, before: MessageRecord, after: MessageRecord) -> None:
        fail = self._world.fail
        if method == "cancel" and after.state == MessageState.IN_DOUBT:
            self._stopped.add(after.id)
        elif method in HAND or after.state in PROVEN:
            self._stopped.discard(after.id)
        if method in HAND and before.state != after.state:
            hand = self.by_hand if after.state == MessageState.QUEUED else self.declared
            hand.add(after.id)
            self._world.note("store", f"by_hand_{method}", after.id)
        if not may_move(before.state, after.state):
            fail("I4", f"{after.id} moves from {before.state} to {after.state}")
        if after.number != before.number + (method == "claim"):
            fail("I4", f"{after.id}: number {after.number} follows {before.number} in {method}")
        if after.step < before.step and method not in HAND:
            fail("I5", f"{after.id} goes back from step {before.step} to {after.step}")
        if after.state != before.state:
            if after.state == MessageState.IN_DOUBT:
                self._world.note("store", "doubt_held", after.id)
            elif after.state.settled:
                self._world.note("store", after.state.label, after.id)

    def _truth(self, t: Tables, message: MessageRecord) -> None:
        """What is said for good is what the providers know."""
        takes, fail = self.takes.get(message.id, []), self._world.fail
        if message.state in PROVEN and not takes and message.id not in self.declared:
            fail("I4", f"{message.id} is {message.state}, and no provider took it")
        if message.state == MessageState.EXPIRED:
            now = self.expired_at[message.id] = true_ms(self._world.loop.time())
            if now + APART_MS < (message.expires_at or 0) and not self._world.store_clock_moved:
                fail("I4", f"{message.id} is called expired {(message.expires_at or 0) - now} ms before its time")
        if message.state in NEVER_SENT and message.id not in self.declared and message.id not in self.by_hand:
            for vendor, id_ in takes:
                attempt = t.attempts.get(id_)
                if attempt is None or attempt.state != AttemptState.FAILED or id_ not in self.failing:
                    fail("I4", f"{message.id} is {message.state}, and {vendor} took {id_}")


def _rest_s(reply: Reply | None) -> float:
    """For how many seconds it asks to be left alone."""
    return believed_s(retry_after_s(reply)) if reply is not None and reply.status in {429, 503} else 0.0


def _is_told(after: MessageRecord, before: MessageRecord, told: dict[str, set[str]]) -> bool:
    """Claims and promotions move without an event: what they do is seen at the attempt, and at what comes of it."""
    if after.state == MessageState.SENDING and after.token is not None:
        return True
    if (before.state, after.state) == (MessageState.SCHEDULED, MessageState.QUEUED):
        return True
    return f"message.{after.state.label}" in told.get(after.id, ())
