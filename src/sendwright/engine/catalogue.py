"""The types as a door needs them: asked for with every notification, and of the store about once in a second for each.

What is put or deleted is seen within `FRESH_S`, everywhere. While the store does not answer, what it said last counts: a door takes
notifications without it, too (and who can't reach the store has put nothing there).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from sendwright.engine.ports import Clock, Types
from sendwright.errors import Unavailable
from sendwright.model.types import TypeVersion
from sendwright.policy.type_rules import parsed

FRESH_S = 0.8
"""So old may an answer of the store be, counted from when it was asked. The rest of the second is the store's, for its answer."""
KEPT = 1000
"""Most types that are remembered."""

Key = tuple[str, str]


class Catalogue:
    """Of one process. `seen` costs nothing; `found` may ask the store."""

    def __init__(self, types: Types, clock: Clock) -> None:
        self._types = types
        self._clock = clock
        self._known: OrderedDict[Key, tuple[TypeVersion | None, float]] = OrderedDict()
        self._asking: dict[Key, asyncio.Task[TypeVersion | None]] = {}

    def seen(self, tenant: str, named: str) -> tuple[bool, TypeVersion | None]:
        """Whether what is known of a type, as a notification names it, is fresh; and what that is (None: no such type)."""
        known = self._known.get((tenant, named))
        if known is None or self._clock.monotonic() - known[1] > FRESH_S:
            return False, None
        return True, known[0]

    async def found(self, tenant: str, named: str) -> TypeVersion | None:
        """The type. Raises `Unavailable` where the store does not answer and never told."""
        fresh, known = self.seen(tenant, named)
        if fresh:
            return known
        key = (tenant, named)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._ask(key))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(asking)

    async def _ask(self, key: Key) -> TypeVersion | None:
        tenant, named = key
        names = parsed(named)
        if names is None:
            return None
        asked_at = self._clock.monotonic()
        try:
            answer = await self._types.get(tenant, *names)
        except Unavailable:
            if key in self._known:
                return self._known[key][0]
            raise
        self._known[key] = (answer, asked_at)
        self._known.move_to_end(key)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return answer
