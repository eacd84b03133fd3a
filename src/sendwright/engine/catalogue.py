"""The types and layouts as a door needs them: asked for with every notification, and of the store about once in a second for each.

What is put or deleted is seen within `FRESH_S`, everywhere. While the store does not answer, what it said last counts: a door takes
notifications without it, too (and who can't reach the store has put nothing there).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any, Generic, TypeVar

from sendwright.engine.ports import Clock, Layouts, Types, Versioned
from sendwright.errors import Unavailable
from sendwright.model.types import NOTHING, Referred, TypeVersion
from sendwright.policy.layouts import layout_in, named_by
from sendwright.policy.type_rules import parsed, type_in

FRESH_S = 0.8
"""So old may an answer of the store be, counted from when it was asked. The rest of the second is the store's, for its answer."""
KEPT = 1000
"""Most of either that are remembered."""

Key = tuple[str, str]
V = TypeVar("V")


class Catalogue:
    """Of one process: what notifications name. `seen` costs nothing; `found` may ask the store."""

    def __init__(self, types: Types, layouts: Layouts, clock: Clock) -> None:
        self._types = _Shelf(types, clock)
        self._layouts = _Shelf(layouts, clock)

    def seen(self, tenant: str, raw: bytes) -> Referred | None:
        """What a body names, where that can be said at once."""
        named, layout = type_in(raw), layout_in(raw)
        if named is None and layout is None:
            return NOTHING
        fresh, type_ = (True, None) if named is None else self._types.seen(tenant, named)
        if not fresh:
            return None
        layouts = {}
        for name in _layouts(layout, type_):
            fresh, known = self._layouts.seen(tenant, name)
            if not fresh:
                return None
            if known is not None:
                layouts[name] = known
        return Referred(type_, layouts)

    async def found(self, tenant: str, raw: bytes) -> Referred:
        """What a body names. Raises `Unavailable` where the store does not answer and never told."""
        named, layout = type_in(raw), layout_in(raw)
        if named is None and layout is None:
            return NOTHING
        type_ = None if named is None else await self._types.found(tenant, named)
        layouts = {}
        for name in _layouts(layout, type_):
            known = await self._layouts.found(tenant, name)
            if known is not None:
                layouts[name] = known
        return Referred(type_, layouts)


def _layouts(layout: str | None, type_: TypeVersion | None) -> tuple[str, ...]:
    return (() if layout is None else (layout,)) + (() if type_ is None else named_by(type_.body.content))


class _Shelf(Generic[V]):
    """The types, or the layouts."""

    def __init__(self, stored: Versioned[Any, V], clock: Clock) -> None:
        self._stored = stored
        self._clock = clock
        self._known: OrderedDict[Key, tuple[V | None, float]] = OrderedDict()
        self._asking: dict[Key, asyncio.Task[V | None]] = {}

    def seen(self, tenant: str, named: str) -> tuple[bool, V | None]:
        """Whether what is known of a name, as a notification has it, is fresh; and what that is (None: nothing is called so)."""
        known = self._known.get((tenant, named))
        if known is None or self._clock.monotonic() - known[1] > FRESH_S:
            return False, None
        return True, known[0]

    async def found(self, tenant: str, named: str) -> V | None:
        fresh, known = self.seen(tenant, named)
        if fresh:
            return known
        key = (tenant, named)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._ask(key))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(asking)

    async def _ask(self, key: Key) -> V | None:
        tenant, named = key
        names = parsed(named)
        if names is None:
            return None
        asked_at = self._clock.monotonic()
        try:
            answer = await self._stored.get(tenant, *names)
        except Unavailable:
            if key in self._known:
                return self._known[key][0]
            raise
        self._known[key] = (answer, asked_at)
        self._known.move_to_end(key)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return answer
