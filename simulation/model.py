"""The protocol of claim, lease and doubt alone, small enough to be searched whole: 3 workers, 2 messages, one of them to be
held in doubt. Every interleaving of every step, breadth first, and the invariants in every state that can be reached.

  ask       an idle worker asks for a message, with a parcel of its present number; a bus delivers twice, so several may
  commit    the store compares and sets the row: it is loose, and at that number; or it carries this very token (the answer
            was lost, and the worker asks again). The worker hears it, or not; if it died meanwhile, nobody does
  write     the request leaves: taken and answered, taken and not answered, lost on the way, or put off
  settle    the evidence joins; the decision counts only while its author may decide
  crash     a worker forgets everything. What it had asked for may still be committed
  declare   a worker that is only slow is taken for dead: it goes on, as a zombie
  repair    what is open and whose owner is dead, or declared so, becomes doubtful
  receipt   the provider tells, at any time, that it took an attempt
  cancel    a person stops what waits, and of which nothing may have been taken

Faults are rationed (`Bounds`), or the search would not end. `bugs` plants mistakes, by which tests show that the search
finds them. Run it: `python -m simulation.model`.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple, TypeVar

T = TypeVar("T")

WORKERS = 3
NONE = -1


class Row(IntEnum):
    """A message."""

    QUEUED = 0
    SENDING = 1
    AGAIN = 2
    """A doubt that waits to be sent again: sending, without an owner."""
    IN_DOUBT = 3
    SENT = 4
    FAILED = 5
    CANCELLED = 6


class Try(IntEnum):
    """An attempt; evidence joins upwards."""

    OPEN = 0
    DOUBT = 1
    TAKEN = 2
    REFUTED = 3


class Phase(IntEnum):
    """A worker."""

    IDLE = 0
    ASKED = 1
    CLAIMED = 2
    ANSWERED = 3
    UNANSWERED = 4
    PUT_OFF = 5


LOOSE = frozenset({Row.QUEUED, Row.AGAIN})
FINAL = frozenset({Row.IN_DOUBT, Row.SENT, Row.FAILED, Row.CANCELLED})
BUGS = (
    "token_not_compared", "any_token_is_mine", "state_not_compared", "held_doubt_resent", "doubt_cancelled",
    "living_owner_repaired", "repaired_at_death_only", "written_before_commit", "doubt_taken_for_failure",
)  # fmt: skip


class Attempt(NamedTuple):
    state: Try
    token: int
    taken: bool = False
    """What the provider knows."""


class Message(NamedTuple):
    row: Row = Row.QUEUED
    token: int = NONE
    attempts: tuple[Attempt, ...] = ()
    hold: bool = False
    cancelled: bool = False
    """Whether a person was told so."""

    @property
    def number(self) -> int:
        return len(self.attempts)


class Worker(NamedTuple):
    phase: Phase = Phase.IDLE
    token: int = NONE
    message: int = NONE
    number: int = NONE
    """Of the attempt that it asked for, or has."""
    declared: bool = False


class State(NamedTuple):
    messages: tuple[Message, ...]
    workers: tuple[Worker, ...]
    wire: frozenset[tuple[int, int, int]] = frozenset()
    """Claims under way to the store: (message, number, token)."""
    gone: frozenset[int] = frozenset()
    """Tokens whose owner is dead, or declared so."""
    tokens: int = 0
    faults: int = 0
    losses: int = 0


class Bounds(NamedTuple):
    attempts: int = 2
    faults: int = 1
    """Crashes and false deaths."""
    losses: int = 1
    """Answers of the store and of providers that are lost, and calls that are put off."""


class Found(NamedTuple):
    """What the search came to: how many states there are, and the first that is wrong, with the way to it."""

    states: int
    wrong: str = ""
    way: tuple[str, ...] = ()


Step = tuple[str, State]


class Model:
    """The protocol, within bounds, with or without planted mistakes."""

    def __init__(self, bounds: Bounds | None = None, bugs: frozenset[str] = frozenset()) -> None:
        self._bounds = bounds or Bounds()
        self._bugs = bugs

    def search(self) -> Found:
        first = State((Message(), Message(hold=True)), (Worker(),) * WORKERS)
        came_from: dict[State, tuple[State | None, str]] = {first: (None, "")}
        ahead = deque([first])
        while ahead:
            state = ahead.popleft()
            wrong = wrong_in(state)
            progress = False
            for name, step in () if wrong else self._steps(state):
                progress = progress or not name.startswith(("crash", "declare"))
                following = _same(step)
                if following not in came_from:
                    came_from[following] = (state, name)
                    ahead.append(following)
            if not wrong and not progress and any(message.row not in FINAL for message in state.messages):
                wrong = "I1: nothing can happen any more, and a message is not at its end"
            if wrong:
                return Found(len(came_from), wrong, _way(came_from, state))
        return Found(len(came_from))

    def _steps(self, s: State) -> Iterator[Step]:
        for w, worker in enumerate(s.workers):
            match worker.phase:
                case Phase.IDLE:
                    yield from self._ask(s, w)
                case Phase.ASKED:
                    yield from self._ask_again(s, w)
                case Phase.CLAIMED:
                    yield from self._write(s, w)
                case _:
                    yield f"settle {w}", self._settle(s, w)
            yield from self._die(s, w)
        for entry in sorted(s.wire):
            yield from self._commit(s, entry)
        yield from self._repair(s)
        yield from self._tell(s)

    def _ask(self, s: State, w: int) -> Iterator[Step]:
        """Parcels of older numbers are left out: they are refused whatever comes, for numbers only rise."""
        declared = s.workers[w].declared
        for m, message in enumerate(s.messages):
            if message.row in LOOSE and message.number < self._bounds.attempts:
                worker = Worker(Phase.ASKED, s.tokens, m, message.number, declared)
                yield (
                    f"ask {w} {m}",
                    s._replace(
                        workers=_with(s.workers, w, worker),
                        wire=s.wire | {(m, message.number, s.tokens)},
                        tokens=s.tokens + 1,
                        gone=s.gone | {s.tokens} if declared else s.gone,
                    ),
                )

    def _ask_again(self, s: State, w: int) -> Iterator[Step]:
        worker = s.workers[w]
        entry = (worker.message, worker.number, worker.token)
        if entry not in s.wire:
            yield f"ask again {w}", s._replace(wire=s.wire | {entry})
        elif "written_before_commit" in self._bugs:
            yield from self._write(s, w)

    def _commit(self, s: State, entry: tuple[int, int, int]) -> Iterator[Step]:
        m, number, token = entry
        message, s = s.messages[m], s._replace(wire=s.wire - {entry})
        mine = message.row == Row.SENDING and message.number == number + 1
        mine = mine and (message.token == token or "any_token_is_mine" in self._bugs)
        loose = message.row in LOOSE or "state_not_compared" in self._bugs
        if not mine and loose and message.number == number:
            attempts = (*message.attempts, Attempt(Try.OPEN, token))
            s = s._replace(messages=_with(s.messages, m, message._replace(row=Row.SENDING, token=token, attempts=attempts)))
            mine, number = True, len(attempts) - 1
        asker = next((w for w, worker in enumerate(s.workers) if (worker.phase, worker.token) == (Phase.ASKED, token)), None)
        if asker is None:
            yield f"commit {entry} for nobody", s
            return
        worker = s.workers[asker]
        heard = worker._replace(phase=Phase.CLAIMED, number=number) if mine else Worker(declared=worker.declared)
        yield f"commit {entry}", s._replace(workers=_with(s.workers, asker, heard))
        if s.losses < self._bounds.losses:
            yield f"commit {entry}, unheard", s._replace(losses=s.losses + 1)

    def _write(self, s: State, w: int) -> Iterator[Step]:
        """`number` is the place of its attempt. A row that is not there (a planted mistake) takes part as an attempt of its own."""
        worker = s.workers[w]
        yield f"write {w}: taken", _at(_taken(s, worker), w, Phase.ANSWERED)
        if s.losses < self._bounds.losses:
            s = s._replace(losses=s.losses + 1)
            yield f"write {w}: taken, unanswered", _at(_taken(s, worker), w, Phase.UNANSWERED)
            yield f"write {w}: lost", _at(s, w, Phase.UNANSWERED)
            yield f"write {w}: put off", _at(s, w, Phase.PUT_OFF)

    def _settle(self, s: State, w: int) -> State:
        worker = s.workers[w]
        s = s._replace(workers=_with(s.workers, w, Worker(declared=worker.declared)))
        message, number = s.messages[worker.message], worker.number
        if number >= message.number:
            return s
        word = {Phase.ANSWERED: Try.TAKEN, Phase.UNANSWERED: Try.DOUBT}.get(worker.phase, Try.REFUTED)
        message = _joined(message, number, word)
        mine = message.number == number + 1 and (
            message.row in {Row.AGAIN, Row.IN_DOUBT} or (message.row == Row.SENDING and message.token == worker.token)
        )
        decision = self._decision(message, word) if mine or "token_not_compared" in self._bugs else None
        return s._replace(messages=_with(s.messages, worker.message, self._folded(message, decision)))

    def _decision(self, message: Message, word: Try) -> Row:
        last = message.number >= self._bounds.attempts
        if word == Try.TAKEN:
            return Row.SENT
        if word == Try.REFUTED:
            return Row.FAILED if last else Row.QUEUED
        return Row.AGAIN if not last and (not message.hold or "held_doubt_resent" in self._bugs) else Row.IN_DOUBT

    def _folded(self, message: Message, decision: Row | None) -> Message:
        """policy/fold.py, in small."""
        states = {attempt.state for attempt in message.attempts}
        if decision is not None:
            row = Row.SENT if Try.TAKEN in states else decision
            if row == Row.FAILED and Try.DOUBT in states and "doubt_taken_for_failure" not in self._bugs:
                row = Row.IN_DOUBT
            return message._replace(row=row, token=NONE)
        if message.token != NONE and Try.OPEN in states:
            return message
        if Try.TAKEN in states:
            return message._replace(row=Row.SENT, token=NONE)
        if message.row == Row.IN_DOUBT and Try.DOUBT not in states:
            return message._replace(row=Row.FAILED)
        return message

    def _die(self, s: State, w: int) -> Iterator[Step]:
        worker = s.workers[w]
        if worker.declared:  # its next heart-beat tells it: it drops what it has, and is another from then on
            yield f"zombie {w} ends", s._replace(workers=_with(s.workers, w, Worker()))
        if s.faults >= self._bounds.faults or worker.phase == Phase.IDLE:
            return
        s = s._replace(faults=s.faults + 1, gone=s.gone | {worker.token})
        dead = s._replace(workers=_with(s.workers, w, Worker()))
        yield f"crash {w}", self._mended(dead) if "repaired_at_death_only" in self._bugs else dead
        if not worker.declared:
            yield f"declare {w}", s._replace(workers=_with(s.workers, w, worker._replace(declared=True)))

    def _mended(self, s: State) -> State:
        for _, mended in self._repaired(s):
            s = mended
        return s

    def _repair(self, s: State) -> Iterator[Step]:
        if "repaired_at_death_only" not in self._bugs:
            yield from self._repaired(s)

    def _repaired(self, s: State) -> Iterator[Step]:
        for m, message in enumerate(s.messages):
            for number, attempt in enumerate(message.attempts):
                lost = attempt.token in s.gone or "living_owner_repaired" in self._bugs
                if attempt.state != Try.OPEN or not lost:
                    continue
                doubted = _joined(message, number, Try.DOUBT)
                holds = message.row == Row.SENDING and message.token != NONE and message.number == number + 1
                decision = self._decision(doubted, Try.DOUBT) if holds else None
                yield f"repair {m} {number}", s._replace(messages=_with(s.messages, m, self._folded(doubted, decision)))

    def _tell(self, s: State) -> Iterator[Step]:
        for m, message in enumerate(s.messages):
            for number, attempt in enumerate(message.attempts):
                if attempt.taken and attempt.state < Try.TAKEN:
                    told = self._folded(_joined(message, number, Try.TAKEN), None)
                    yield f"receipt {m} {number}", s._replace(messages=_with(s.messages, m, told))
            refuted = all(attempt.state == Try.REFUTED for attempt in message.attempts)
            if message.row in LOOSE and (refuted or "doubt_cancelled" in self._bugs):
                yield f"cancel {m}", s._replace(messages=_with(s.messages, m, message._replace(row=Row.CANCELLED, cancelled=True)))


def wrong_in(s: State) -> str:
    """Which invariant does not hold here; empty when all do."""
    wrong = (*map(_wrong_message, s.messages), *(_wrong_worker(s, w) for w in s.workers if w.phase >= Phase.CLAIMED))
    return next(filter(None, wrong), "")


def _wrong_message(m: Message) -> str:
    states, taken = [a.state for a in m.attempts], sum(a.taken for a in m.attempts)
    rules = (
        ("I2: claimed anew over an attempt that is open", Try.OPEN in states[:-1]),
        ("I2: to be held in doubt, and taken more than once", m.hold and taken > 1),
        ("I2: taken more than once, and not listed as doubled", taken > 1 and sum(x != Try.REFUTED for x in states) < 2),
        ("I2: sent again over a doubt that is to be held", m.hold and Try.DOUBT in states[:-1]),
        ("I3: cancelled, and taken", m.cancelled and taken),
        ("I4: failed, and taken", m.row == Row.FAILED and taken),
        ("I4: sent, and nobody took it", m.row == Row.SENT and not taken),
        ("I1: held by an attempt that is not open", m.row == Row.SENDING and states[-1:] != [Try.OPEN]),
    )
    return next((rule for rule, broken in rules if broken), "")


def _wrong_worker(s: State, worker: Worker) -> str:
    message = s.messages[worker.message]
    if worker.number >= message.number or message.attempts[worker.number].token != worker.token:
        return "I3: written without a row of the writer's"
    doubted = message.attempts[worker.number].state == Try.DOUBT
    return "I2: put in doubt, and its owner lives and works on it" if doubted and not worker.declared else ""


def _joined(message: Message, number: int, word: Try) -> Message:
    attempt = message.attempts[number]
    state = attempt.state if attempt.state == Try.TAKEN else max(attempt.state, word)
    return message._replace(attempts=_with(message.attempts, number, attempt._replace(state=state)))


def _taken(s: State, worker: Worker) -> State:
    message = s.messages[worker.message]
    if worker.number >= message.number:
        return s
    attempt = message.attempts[worker.number]._replace(taken=True)
    taken = message._replace(attempts=_with(message.attempts, worker.number, attempt))
    return s._replace(messages=_with(s.messages, worker.message, taken))


def _at(s: State, w: int, phase: Phase) -> State:
    return s._replace(workers=_with(s.workers, w, s.workers[w]._replace(phase=phase)))


def _with(items: tuple[T, ...], place: int, item: T) -> tuple[T, ...]:
    return (*items[:place], item, *items[place + 1 :])


def _same(s: State) -> State:
    """One for all that differ by the names of workers and tokens only: tokens that nothing knows any more are forgotten, the
    others numbered in the order in which they are met, and workers sorted."""
    held = {worker.token for worker in s.workers} | {token for _, _, token in s.wire} | {m.token for m in s.messages}
    held |= {a.token for m in s.messages for a in m.attempts if a.state == Try.OPEN}
    order = sorted(s.workers, key=lambda w: (w.phase, w.message, w.number, w.declared))
    names: dict[int, int] = {NONE: NONE}
    for message in s.messages:
        for attempt in message.attempts:
            if attempt.token in held:
                names.setdefault(attempt.token, len(names) - 1)
    for token in [worker.token for worker in order] + [token for _, _, token in sorted(s.wire)]:
        names.setdefault(token, len(names) - 1)
    return State(
        tuple(
            m._replace(token=names[m.token], attempts=tuple(a._replace(token=names.get(a.token, NONE)) for a in m.attempts))
            for m in s.messages
        ),
        tuple(worker._replace(token=names[worker.token]) for worker in order),
        frozenset((m, number, names[token]) for m, number, token in s.wire),
        frozenset(names[token] for token in s.gone if token in names),
        len(names) - 1,
        s.faults,
        s.losses,
    )


def _way(came_from: dict[State, tuple[State | None, str]], state: State) -> tuple[str, ...]:
    steps: list[str] = []
    at: State | None = state
    while at is not None:
        at, step = came_from[at]
        if step:
            steps.append(step)
    return tuple(reversed(steps))


def main() -> int:
    began = time.monotonic()
    found = Model(Bounds(*map(int, sys.argv[1:4]))).search()
    print(f"{found.states} states, {time.monotonic() - began:.1f} s: {found.wrong or 'every one of them is right'}")
    for step in found.way:
        print("  " + step)
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
