"""Two calls at the same time: how they are interleaved, what makes them, and what is true of every message afterwards.

Invariants: never cancelled and sent; a settled message waits for nothing; what waits is in the table or on its way; a
claim has its open attempt; events are only appended.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

from sendwright.model.parcel import Parcel
from sendwright.model.records import Patience, Wait
from sendwright.model.states import AttemptState, MessageState
from tests.conformance.backends import Held, UnderTest
from tests.conformance.builders import MINUTE, NOW, TENANT, claim, kinds_of, message_of

Interleaving = tuple[str, int | None]
INTERLEAVINGS: list[Interleaving] = [(first, gap) for first, gap in itertools.product(("first", "second"), (None, 0, 1, 2, 3))]
"""Which of two calls starts, and how: None holds it open before its commit while the other comes (a backend that can't
do that starts the other one turn of the event loop later); a number starts the other that many turns later."""


def spelled(interleaving: Interleaving) -> str:
    first, gap = interleaving
    return f"{first}-held" if gap is None else f"{first}-ahead-by-{gap}"


class Call(NamedTuple):
    """One call of a port method: its name, and what makes it. Reads have no commit to be held before."""

    method: str
    make: Callable[[], Awaitable[Any]]
    reads: bool = False


class Raced(NamedTuple):
    """The results in the order in which the calls were given, not in which they ran.

    `overtook`: the one that came second was answered while the other was held open."""

    first: Any
    second: Any
    overtook: bool


async def race(backend: UnderTest, interleaving: Interleaving, first: Call, second: Call) -> Raced:
    """Runs both so interleaved."""
    starts, gap = interleaving
    early, late = (first, second) if starts == "first" else (second, first)
    if gap is None and backend.hold is not None and not early.reads:
        one, other, overtook = await _held(backend, backend.hold, early, late)
    else:
        one, other, overtook = await _apart(early, late, 1 if gap is None else gap)
    return Raced(one, other, overtook) if starts == "first" else Raced(other, one, overtook)


async def _held(
    backend: UnderTest, hold: Callable[[str], AbstractAsyncContextManager[Held]], early: Call, late: Call
) -> tuple[Any, Any, bool]:
    async with hold(early.method) as held:
        one = asyncio.ensure_future(early.make())
        reached = asyncio.ensure_future(held.reached())
        await asyncio.wait({one, reached}, return_when=asyncio.FIRST_COMPLETED)
        assert reached.done(), f"{early.method} came back before its commit was reached"
        assert not one.done(), f"{early.method} was answered before its commit"
        other = asyncio.ensure_future(late.make())
        for _ in range(5):
            await asyncio.sleep(backend.grace_s / 5)
        overtook = other.done()
        held.release()
        return await one, await other, overtook


async def _apart(early: Call, late: Call, turns: int) -> tuple[Any, Any, bool]:
    one = asyncio.ensure_future(early.make())
    for _ in range(turns):
        await asyncio.sleep(0)
    other = asyncio.ensure_future(late.make())
    return await one, await other, False


A = AttemptState
M = MessageState

MAY_HAVE_LEFT = {A.SENDING, A.IN_DOUBT, A.SENT, A.DELIVERED, A.READ}
KEY = "provider:twilio-main"


async def assert_consistent(backend: UnderTest, parcel: Parcel | str, *, carried: bool = False) -> Any:
    """What is true of every message at any time. `carried`: a parcel of it is in the test's hand. Returns its row."""
    row = await message_of(backend, parcel)
    attempts = await backend.records.attempts(row.id)
    assert row.number == len(attempts)
    if row.state.settled:
        assert row.wait is None, f"{row.state} and waiting"
        assert f"message.{row.state.label}" in await kinds_of(backend, row.id)
    if row.state == M.CANCELLED:
        assert not any(attempt.state in MAY_HAVE_LEFT for attempt in attempts), "cancelled and sent"
    if row.state == M.SENDING and row.token is not None:
        assert row.wait is None
        assert attempts[-1].state == A.SENDING
    elif not row.state.settled:
        assert carried or row.wait is not None, f"{row.state}, and nothing will ever move it"
    if row.state == M.SENT:
        assert any(attempt.state == A.SENT for attempt in attempts)
    if row.state in {M.DELIVERED, M.READ}:
        assert any(attempt.state >= A.DELIVERED for attempt in attempts)
    seqs = [event.seq for event in await backend.records.timeline(row.id)]
    assert seqs == sorted(set(seqs))
    return row


def nobody_lives(_: str) -> bool:
    return False


def half_a_minute(_: str) -> Patience:
    return Patience(30_000)


def claiming(backend: UnderTest, parcel: Parcel, token: str = "token-1", **changed: Any) -> Call:
    return Call("claim", lambda: backend.ledger.claim(claim(parcel, token, **changed)))


def cancelling(backend: UnderTest, target: Parcel | str) -> Call:
    wanted = target if isinstance(target, str) else target.id
    return Call("cancel", lambda: backend.ledger.cancel(TENANT, wanted, NOW))


def settling(backend: UnderTest, settlement: Any) -> Call:
    return Call("settle", lambda: backend.ledger.settle(settlement))


def observing(backend: UnderTest, sighting: Any) -> Call:
    return Call("observe", lambda: backend.ledger.observe(sighting, NOW))


def repairing(backend: UnderTest) -> Call:
    return Call("repair", lambda: backend.ledger.repair(NOW, nobody_lives, half_a_minute, 8))


def parking(backend: UnderTest, parcel: Parcel) -> Call:
    wait = Wait("provider", NOW + MINUTE, key=KEY, name="twilio-main")
    return Call("park", lambda: backend.ledger.park(parcel, wait, NOW))


def promoting(backend: UnderTest, *parcels: Parcel) -> Call:
    return Call("promoted", lambda: backend.waiting.promoted(parcels, NOW))
