"""accept: a notification becomes durable, once per key, and only then is the caller told.

No provider is called here, nothing is rendered and nobody is looked up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from msgspec import UNSET

from sendwright.engine.crash import crashpoint
from sendwright.engine.ports import Clock, IntakeDesk
from sendwright.engine.telling import Accepted, Tell
from sendwright.errors import Unavailable
from sendwright.model.ids import RANDOM_BYTES, IdMint
from sendwright.model.notification import PRIORITIES, Payload, Priority
from sendwright.model.parcel import FIRST, VERSION, WITH_DATA
from sendwright.model.records import Absent, Conflict, Offer, Running, Taken
from sendwright.model.said import Said
from sendwright.policy.idempotency import fingerprint


class Accept:
    """The first story."""

    def __init__(
        self,
        desk: IntakeDesk,
        mint: IdMint,
        clock: Clock,
        randomness: Callable[[int], bytes],
        tell: Tell,
        aside: Callable[[str, Priority, int], bool],
        reads: Callable[[], int] = lambda: VERSION,
    ) -> None:
        """`reads`: the newest version of parcels that every live process reads. Costs nothing."""
        self._desk = desk
        self._mint = mint
        self._clock = clock
        self._randomness = randomness
        self._tell = tell
        self._aside = aside
        self._reads = reads

    async def accept(
        self, tenant: str, payload: Payload, raw: bytes, key: str | None, trace: str | None = None, *, repeat: bool = False
    ) -> Taken | Conflict | Running | Absent:
        """Makes the posted bytes durable under a new id. Raises `Unavailable` when that could not be done."""
        crashpoint("accept.accepting")
        answer = await self.begin(tenant, payload, raw, key, trace, repeat=repeat)
        self.over(answer)
        return answer

    def begin(
        self, tenant: str, payload: Payload, raw: bytes, key: str | None, trace: str | None = None, *, repeat: bool = False
    ) -> Awaitable[Taken | Conflict | Running | Absent]:
        """The story up to its one wait, for callers that have no task to wait in. `over` must follow. A `repeat` is only
        answered, never taken anew."""
        now, priority = self._clock.now_ms(), PRIORITIES[payload.priority]
        joined = payload.type is not UNSET or isinstance(payload.content, Said)
        filled = payload.data is not UNSET or joined
        if filled and not repeat and self._reads() < WITH_DATA:
            raise Unavailable("templates wait until no process of the version before is left")
        offer = Offer(
            id=self._mint.notification(tenant, now, self._randomness(RANDOM_BYTES)),
            tenant=tenant,
            at=now,
            priority=priority,
            body=msgspec.json.encode(payload) if joined else raw,  # with what its type and its layouts say now
            key=key,
            fingerprint=fingerprint(raw) if key is not None else b"",
            trace=trace,
            repeat=repeat,
            aside=self._aside(tenant, priority, now),
            v=WITH_DATA if filled else FIRST,
        )
        crashpoint("accept.offering")
        return self._desk.offer(offer)

    def over(self, answer: Taken | Conflict | Running | Absent) -> None:
        """The story after its wait."""
        crashpoint("accept.durable")
        if isinstance(answer, Taken):
            self._tell(Accepted(answer.replayed))
