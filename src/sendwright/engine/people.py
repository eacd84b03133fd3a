"""What the engine needs of the world where people are concerned, as Protocols beside those of ports.py: the directory of
recipients, and who must not be sent to.

As there: methods return awaitables, a driver gathers concurrent ones, and what an awaitable promised is durable when it returns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Protocol

from sendwright.model.people import Change, Erased, Heard, Hearing, Known, Leaving, Suppression

Key = tuple[str, str]
"""A tenant, and the id of one of its recipients."""


class Directory(Protocol):
    """The recipients of every tenant."""

    async def known(self, wanted: Collection[Key]) -> Mapping[Key, Known]:
        """Those of them that the directory knows, in one look."""
        ...

    def write(self, changes: Sequence[Change]) -> Awaitable[Sequence[Known | None]]:
        """Makes the changes, in order and all at once, and returns how each recipient stands then. None, and nothing written,
        for one whose person was erased at the time of the change or later. A guarded change that says nothing new, or was
        overtaken, writes nothing."""
        ...

    async def page(self, tenant: str, limit: int, after: str | None) -> Sequence[Known]:
        """The tenant's recipients in the order of their ids, from the one after `after` on."""
        ...

    async def erase(self, tenant: str, id_: str, mark: str, now: int, marks: Collection[str] = ()) -> Erased:
        """Forgets a person: the recipient; the id, the addresses and the vendors' words in all messages that were sent to
        that id; what was said to nobody else; their inbox; what they said back from the addresses of these `marks`.

        What waits to be sent to them is cancelled. What was accepted for them and is not planned yet is known by the mark
        (`write`). Harmless when repeated."""
        ...


class Suppressions(Protocol):
    """Who must not be sent to. Every claim is held to it (ports.py, Ledger.claim)."""

    def add(self, suppression: Suppression) -> Awaitable[Suppression]:
        """Puts an address on the list. What stands there under the same id keeps its time, and takes all else from this one."""
        ...

    def lift(self, tenant: str, id_: str) -> Awaitable[bool]:
        """Takes one of this tenant's off. False when there is none."""
        ...

    def unsubscribe(self, leaving: Leaving) -> Awaitable[bool]:
        """`add`, and in the same transaction the event `UNSUBSCRIBED` of the message: where that is the tenant's, is not forgotten,
        and has none yet. Whether there is a new event."""
        ...

    async def find(self, tenants: Collection[str], marks: Collection[str], now: int) -> Sequence[Suppression]:
        """What stands there, of these tenants and under these marks, and is not over; by id."""
        ...

    async def page(
        self,
        tenant: str,
        limit: int,
        after: str | None,
        now: int,
        *,
        channel: str | None = None,
        reason: str | None = None,
        source: str | None = None,
    ) -> Sequence[Suppression]:
        """The tenant's, those that are not over, in the order of their ids, from the one after `after` on."""
        ...

    def hear(self, heard: Heard) -> Awaitable[Hearing]:
        """Notes what a person said back, with its event `REPLIED`, and puts on the list, or takes off it, what was asked for, all
        in one transaction. Nothing is changed when this was heard before; nor on the list, when something is known that the same
        person asked for there, in the same way, and said later."""
        ...
