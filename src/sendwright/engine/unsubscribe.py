"""unsubscribe: by the link in a message, somebody wants no more marketing at that address; and perhaps some again, later.

A token is believed for its seal alone, so a forged one costs no look at the store. The message may be forgotten by then, or its
recipient erased: the link does the same, and only the masked address can't be shown any more.

What it puts on the list is known before it is answered, and no call that was claimed before can begin any more, as with
every suppression that somebody posts. Who asks twice has it once, and the second time costs a look and no write.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from sendwright.engine.deliver import BEGIN_S
from sendwright.engine.people import Suppressions
from sendwright.engine.ports import Clock, Records
from sendwright.model.people import EVERYBODY, Leaving, Suppression
from sendwright.policy.masking import masked
from sendwright.policy.suppression import Marker, holds, normalised
from sendwright.policy.unsubscribing import Links, Subscribed, opted_out


class Subscription(Struct, frozen=True):
    """How it stands between a sender and an address."""

    address: str
    """Masked; empty where it is not known any more."""
    left: bool
    """They have unsubscribed by a link."""
    barred: bool
    """Something else forbids to send them marketing there: a complaint, an operator's word, a bounce."""


class _Known(Struct, frozen=True):
    """A token that holds, and what is known of the address."""

    of: Subscribed
    marks: Sequence[str]
    """By which it may stand on the list, the one of today first."""
    address: str


class Unsubscribing:
    """What links do."""

    def __init__(self, links: Links, suppressions: Suppressions, records: Records, marker: Marker, clock: Clock) -> None:
        self._links = links
        self._suppressions = suppressions
        self._records = records
        self._marker = marker
        self._clock = clock

    async def stands(self, token: str) -> Subscription | None:
        """How it stands now; None for a token that is none of ours. Changes nothing."""
        known = await self._known(token)
        return None if known is None else await self._standing(known)

    async def leave(self, token: str) -> Subscription | None:
        """No more marketing. In force when it returns."""
        known = await self._known(token)
        if known is None:
            return None
        if not (await self._standing(known)).left:
            row = opted_out(known.of, known.marks[0], known.address, self._clock.now_ms())
            await self._suppressions.unsubscribe(Leaving(row, known.of.message))
        await self._clock.sleep(BEGIN_S)
        return await self._standing(known)

    async def come_back(self, token: str) -> Subscription | None:
        """Takes back what links have done, and nothing else."""
        known = await self._known(token)
        if known is None:
            return None
        for id_ in self._own(known):
            await self._suppressions.lift(known.of.tenant, id_)
        return await self._standing(known)

    async def _known(self, token: str) -> _Known | None:
        of = self._links.read(token)
        if of is None:
            return None
        row = await self._records.message(of.tenant, of.message)
        for step in () if row is None else row.steps:
            if step.channel == of.channel and step.address and of.mark in (marks := self._marker.addresses(step.address)):
                return _Known(of, marks, masked(normalised(step.address)))
        return _Known(of, (of.mark,), "")

    async def _standing(self, known: _Known) -> Subscription:
        of, now, own = known.of, self._clock.now_ms(), self._own(known)
        found = await self._suppressions.find((of.tenant, EVERYBODY), known.marks, now)
        forbidding = [row for row in found if holds(row, of.tenant, of.channel, of.category, now)]
        return Subscription(known.address, any(_is(row, own) for row in forbidding), any(not _is(row, own) for row in forbidding))

    def _own(self, known: _Known) -> list[str]:
        return [opted_out(known.of, mark, "", 0).id for mark in known.marks]


def _is(row: Suppression, ids: Sequence[str]) -> bool:
    return row.id in ids
