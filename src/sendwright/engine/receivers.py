"""Whoever keeps endpoints: making, changing, rotating and removing them, and a test of one.

A secret is shown when it is made and never again. After a rotation the one of before signs too for a day, so that a receiver may
change over when it likes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from sendwright.engine.feed import newest
from sendwright.engine.herald import event_body
from sendwright.engine.ports import Clock, Endpoints, Records
from sendwright.engine.postman import Posted, Postman, place_of
from sendwright.engine.sealing import Sealer
from sendwright.errors import StoreDown
from sendwright.model.endpoint import EVENT, PAUSED, RANDOM_BYTES, SECRET_BYTES, TEST, Endpoint, endpoint_id
from sendwright.providers.signing import WEBHOOK_PREFIX

OVERLAP_MS = 86_400_000
TURNS = 10
"""How often a change is begun anew that another one came before."""
SLICE = 500

Change = Callable[[Endpoint], Endpoint]


class Receivers:
    """`randomness` gives bytes of a cryptographic source."""

    def __init__(
        self,
        endpoints: Endpoints,
        records: Records,
        sealer: Sealer,
        postman: Postman,
        clock: Clock,
        randomness: Callable[[int], bytes],
    ) -> None:
        self._endpoints = endpoints
        self._records = records
        self._sealer = sealer
        self._postman = postman
        self._clock = clock
        self._randomness = randomness

    def __repr__(self) -> str:
        return "Receivers()"

    async def made(self, tenant: str, url: str, description: str, types: Sequence[str], *, enabled: bool) -> tuple[Endpoint, str]:
        """A new endpoint, which is told what happens next; and its secret."""
        id_ = endpoint_id(self._randomness(RANDOM_BYTES))
        sealed, shown = self._secret(tenant, id_)
        made = Endpoint(
            id=id_,
            tenant=tenant,
            url=url,
            description=description,
            types=tuple(dict.fromkeys(types)),
            secret=sealed,
            previous=None,
            previous_until=None,
            disabled_for=None if enabled else PAUSED,
            created_at=self._clock.now_ms(),
            seen=await newest(self._records, tenant),
        )
        await self._endpoints.add(made)
        return made, shown

    async def changed(self, tenant: str, id_: str, change: Change) -> Endpoint | None:
        """The endpoint after the change; None where there is none. Raises `Unavailable`."""
        for _ in range(TURNS):
            before = await self._endpoints.find(tenant, id_)
            if before is None:
                return None
            after = replace(change(before), version=before.version + 1)
            if await self._endpoints.save(after):
                return after
        raise StoreDown("others keep changing this endpoint")

    async def rotated(self, tenant: str, id_: str) -> tuple[Endpoint, str] | None:
        """The endpoint with a new secret, and that; None where there is none."""
        sealed, shown = self._secret(tenant, id_)
        until = self._clock.now_ms() + OVERLAP_MS
        after = await self.changed(tenant, id_, lambda e: replace(e, secret=sealed, previous=e.secret, previous_until=until))
        return None if after is None else (after, shown)

    async def removed(self, tenant: str, id_: str) -> bool:
        """False where there is none. What was on its way there goes too."""
        if not await self._endpoints.remove(tenant, id_):
            return False
        while await self._endpoints.purge(id_, SLICE) == SLICE:
            pass
        return True

    async def tested(self, endpoint: Endpoint) -> Posted:
        """Posts a test event now, whether it is switched on or not; nothing is kept of it."""
        body = event_body(TEST, self._clock.now_ms(), {"endpoint": endpoint.id})
        return await self._postman.post(endpoint, EVENT + self._randomness(RANDOM_BYTES).hex(), body.encode())

    def _secret(self, tenant: str, id_: str) -> tuple[bytes, str]:
        key = self._randomness(SECRET_BYTES)
        return self._sealer.seal(key, *place_of(tenant, id_)), WEBHOOK_PREFIX + base64.b64encode(key).decode()


def switched(endpoint: Endpoint, *, enabled: bool) -> Endpoint:
    """On: it goes on where it stopped. Off: it stops there."""
    if enabled:
        return replace(endpoint, disabled_for=None, failing_since=None, failed_at=None)
    return endpoint if endpoint.disabled_for is not None else replace(endpoint, disabled_for=PAUSED)
