"""ingest: what producers publish to the bus is taken as if it had been posted.

Judged by the same rules, bound to a key in any case, accepted by the same story; then, and not before, the message is
acknowledged. What can't be taken goes to the dead letters with its problem. Where store or bus are down it waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import msgspec

from sendwright.engine.persist import persist
from sendwright.engine.ports import Clock, DeadParcels
from sendwright.engine.telling import Tell
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
        body_of: Callable[[M], tuple[bytes, str | None]],
    ) -> None:
        """As long as it runs. A message that was not acknowledged comes again, to whoever takes next."""
        room, works = asyncio.Semaphore(AT_ONCE), set[asyncio.Task[None]]()

        async def handle(message: M) -> None:
            try:
                await self.one(*body_of(message))
                await persist(lambda: ack(message), self._clock, self._tell, "ingress")
            finally:
                room.release()

        try:
            while True:
                await room.acquire()
                message = await persist(take, self._clock, self._tell, "ingress")
                task = asyncio.create_task(handle(message))
                works.add(task)
                task.add_done_callback(works.discard)
        finally:
            for task in works:
                task.cancel()

    async def one(self, raw: bytes, message_id: str | None) -> None:
        """One message, until it is durable here or kept with the dead."""
        found = await persist(lambda: self._judge(raw, message_id), self._clock, self._tell, "ingress")
        if isinstance(found, Wanted):
            refused = await self._accepted(found)
        else:
            refused = found
        if refused is not None:
            now = self._clock.now_ms()
            await persist(lambda: self._dead.keep(INGRESS, raw, problem_of(refused), now), self._clock, self._tell, "ingress")

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
