"""What is reported of a taken message: which states, when, how often, and how badly if so told.

Receipts of one message go out one after the other: the next one's time counts from the answer to the one before. A
message without a callback address comes to the same states, unreported.
"""

from __future__ import annotations

import asyncio

from sendwright.sandbox.asked import Asked, Voice
from sendwright.sandbox.courier import Courier, Post
from sendwright.sandbox.faults import Faults, ReceiptPlan
from sendwright.sandbox.log import MessageLog, Noted
from sendwright.sandbox.places import Place, place_of
from sendwright.sandbox.wire import Headers

QUEUED_MAX = 200_000
"""Most posts planned at one time; messages beyond it go unreported, and are counted as such."""
EARLY_S = 2.0
"""Longest that an answer waits for an early receipt to be answered, in seconds."""


class Receipts:
    """Plans what is reported, and keeps count of what is still to come."""

    def __init__(self, log: MessageLog, faults: Faults, courier: Courier, callback_hosts: tuple[str, ...]) -> None:
        self.log = log
        self.faults = faults
        self.courier = courier
        self.queued = 0
        self.generation = 0
        self._hosts = frozenset(callback_hosts)

    def __repr__(self) -> str:
        return f"Receipts(queued={self.queued})"

    def begin(self, dialect: Voice, asked: Asked, noted: Noted, fate: tuple[str, ...] | None = None) -> asyncio.Future[None] | None:
        """Decides what becomes of a taken message, where `fate` has not. Returns what its answer must wait for, if anything."""
        plan = self.faults.receipts
        known = fate if plan.sequence else ()
        noted.fate, noted.pace_s = self._fate(plan) if known is None else known, plan.delay_ms / 1000
        if not noted.fate or asked.callback_url is None:
            return None
        place = place_of(asked.callback_url)
        if place is None or not place.allowed(self._hosts):
            self.log.reported(noted, noted.fate[-1], "not posted: the callback's host is not allowed")
            self.log.count_receipt("not_allowed")
            return None
        posts = len(noted.fate) * plan.duplicate
        if self.queued + posts > QUEUED_MAX:
            self.log.count_receipt("dropped")
            return None
        self.queued += posts
        return _Journey(self, dialect, asked, noted, place).start()

    def announce(self, url: str, headers: Headers, body: bytes) -> None:
        """Posts what is about no message, where that address may be called."""
        place = place_of(url)
        if place is not None and place.allowed(self._hosts):
            self.courier.send(place, Post(place, headers, body, lambda _status: None))

    def reset(self) -> None:
        """What has not been posted yet will not be."""
        self.generation += 1
        self.queued = 0

    def _fate(self, plan: ReceiptPlan) -> tuple[str, ...]:
        states: tuple[str, ...] = plan.sequence
        if states and plan.fail_share and self.faults.rng.random() < plan.fail_share:
            states = (*states[:-1], "failed")
        return states


class _Journey:
    """The receipts of one message."""

    __slots__ = (
        "_asked",
        "_dialect",
        "_early",
        "_generation",
        "_left",
        "_loop",
        "_noted",
        "_place",
        "_plan",
        "_receipts",
        "_states",
    )

    def __init__(self, receipts: Receipts, dialect: Voice, asked: Asked, noted: Noted, place: Place) -> None:
        self._receipts = receipts
        self._generation = receipts.generation
        self._dialect = dialect
        self._asked = asked
        self._noted = noted
        self._place = place
        self._plan = plan = receipts.faults.receipts
        self._states = list(noted.fate if plan.out_of_order else reversed(noted.fate))
        self._left = 0
        self._early: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()

    def start(self) -> asyncio.Future[None] | None:
        if not self._plan.early:
            self._later()
            return None
        self._early = self._loop.create_future()
        self._loop.call_soon(self._step)
        self._loop.call_later(EARLY_S, self._release)
        return self._early

    def _later(self) -> None:
        self._loop.call_later(self._plan.delay_ms / 1000, self._step)

    def _step(self) -> None:
        if self._stale():
            return
        state = self._states.pop()
        dropped = self._plan.drop_share and self._receipts.faults.rng.random() < self._plan.drop_share
        if dropped:
            self._receipts.log.reported(self._noted, state, "not posted, as told")
            self._receipts.log.count_receipt("dropped")
            self._receipts.queued -= self._plan.duplicate
            self._next()
            return
        self._post(state)

    def _post(self, state: str) -> None:
        """Posts the same bytes as often as told, at once."""
        log = self._receipts.log
        reported = log.reported(self._noted, state)
        headers, body = self._dialect.receipt(self._asked, self._noted, state)
        self._left = self._plan.duplicate

        def done(status: int | None) -> None:
            if self._stale():
                return
            reported.answer = status
            self._receipts.queued -= 1
            log.count_receipt("answered" if status is not None and 200 <= status < 300 else "given_up")
            self._left -= 1
            if self._left == 0:
                self._next()

        for _ in range(self._plan.duplicate):
            log.count_receipt("posted")
            self._receipts.courier.send(self._place, Post(self._place, headers, body, done))

    def _next(self) -> None:
        self._release()
        if self._states:
            self._later()

    def _stale(self) -> bool:
        """After a reset nothing more is reported; an answer that waits is let go."""
        if self._generation == self._receipts.generation:
            return False
        self._release()
        return True

    def _release(self) -> None:
        if self._early is not None and not self._early.done():
            self._early.set_result(None)
