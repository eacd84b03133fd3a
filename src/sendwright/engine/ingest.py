"""ingest: what producers publish to the bus is taken as if it had been posted.

Judged by the same rules, bound to a key in any case, accepted by the same story; then, and not before, the message is
acknowledged. What can't be taken goes to the dead letters with its problem, and so does what breaks its story again and again,
for a reason that nobody foresaw. Where store or bus are down it waits. Whatever breaks, a message is told of and comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import msgspec

from sendwright.engine.persist import persist
from sendwright.engine.ports import Clock, DeadParcels
from sendwright.engine.sieve import PAUSE_S, TRIES
from sendwright.engine.telling import Tell, Trouble
from sendwright.errors import where
from sendwright.model.notification import Payload
from sendwright.model.records import Absent, Conflict, Running, Taken
from sendwright.policy.admission import Refused
from sendwright.policy.ingress import Wanted

INGRESS = "intake"
"""The producers' queue, as the dead letters name it."""
AT_ONCE = 64
"""Messages in the works at the same time."""
RUNNING_S = 0.5
"""How long to wait for another who is taking the same key."""

M = TypeVar("M")


class Accepting(Protocol):
    """The story of accepting."""

    async def accept(
        self, tenant: str, payload: Payload, raw: bytes, key: str | None, trace: str | None = None, *, repeat: bool = False
    ) -> Taken | Conflict | Running | Absent: ...


class Ingester:
    """Takes messages of whatever form by `take`; `body_of` gives a message's body and id, `judge` says what it is."""

    def __init__(
        self,
        accept: Accepting,
        dead: DeadParcels,
        clock: Clock,
        tell: Tell,
        tenant: str,
        judge: Callable[[bytes, str | None], Awaitable[Wanted | Refused]],
    ) -> None:
        self._accept = accept
        self._dead = dead
        self._clock = clock
        self._tell = tell
        self._tenant = tenant
        self._judge = judge

    async def run(
        self,
        take: Callable[[], Awaitable[M]],
        ack: Callable[[M], Awaitable[None]],
        give_back: Callable[[M], Awaitable[None]],
        body_of: Callable[[M], tuple[bytes, str | None]],
    ) -> None:
        """As long as it runs. A message that was not acknowledged comes again, to whoever takes next."""
        room, works = asyncio.Semaphore(AT_ONCE), set[asyncio.Task[None]]()

        async def handle(message: M) -> None:
            try:
                await self.one(*body_of(message))
                await persist(lambda: ack(message), self._clock, self._tell, "ingress")
            except Exception as error:  # noqa: BLE001 — the message must come again, whatever broke
                self._tell(Trouble("ingress", where(error)))
                await self._clock.sleep(PAUSE_S)
                await persist(lambda: give_back(message), self._clock, self._tell, "ingress")
            finally:
                room.release()

        try:
            while True:
                await room.acquire()
                message = await persist(take, self._clock, self._tell, "ingress")
                task = asyncio.create_task(handle(message))
                works.add(task)
                task.add_done_callback(works.discard)
                task.add_done_callback(self._ended)
        finally:
            for task in works:
                task.cancel()

    def _ended(self, work: asyncio.Task[None]) -> None:
        """It could not even be given back: it comes again when its channel is lost, or its time is over."""
        if not work.cancelled() and (error := work.exception()) is not None:
            self._tell(Trouble("ingress", where(error)))

    async def one(self, raw: bytes, message_id: str | None) -> None:
        """One message, until it is durable here or kept with the dead."""
        problem = await self._problem(raw, message_id)
        if problem is not None:
            now = self._clock.now_ms()
            await persist(lambda: self._dead.keep(INGRESS, raw, problem, now), self._clock, self._tell, "ingress")

    async def _problem(self, raw: bytes, message_id: str | None) -> str | None:
        """None once it is durable; else why it never will be."""
        for left in reversed(range(TRIES)):
            try:
                refused = await self._refused(raw, message_id)
            except Exception as error:  # noqa: BLE001 — it must not hold its place for ever, whatever broke
                problem = f"it broke its story: {type(error).__name__}"
                self._tell(Trouble("ingress", f"it broke its story: {where(error)}"))
            else:
                return None if refused is None else problem_of(refused)
            if left:
                await self._clock.sleep(PAUSE_S)
        return problem

    async def _refused(self, raw: bytes, message_id: str | None) -> Refused | None:
        found = await persist(lambda: self._judge(raw, message_id), self._clock, self._tell, "ingress")
        return await self._accepted(found) if isinstance(found, Wanted) else found

    async def _accepted(self, found: Wanted) -> Refused | None:
        """None once it is durable; else why it never will be."""
        admitted, again = found.admitted, found.again is not None

        async def accept() -> Taken | Conflict | Running | Absent:
            return await self._accept.accept(self._tenant, admitted.payload, admitted.raw, found.key, repeat=again)

        while True:
            answer = await persist(accept, self._clock, self._tell, "ingress")
            if isinstance(answer, Taken):
                return None
            if isinstance(answer, Absent):
                return found.again
            if isinstance(answer, Conflict):
                return _OTHER
            await self._clock.sleep(RUNNING_S)


_OTHER = Refused(422, "idempotency_mismatch", "Its id stands for another notification.")


def problem_of(refused: Refused) -> str:
    """The problem document (RFC 9457), as the dead letters keep it; the API gives it its type and title."""
    faults = [{"pointer": fault.pointer, "code": fault.code, "detail": fault.detail} for fault in refused.faults]
    document = {"status": refused.status, "code": refused.code, "detail": refused.detail, "errors": faults}
    return msgspec.json.encode(document).decode()
