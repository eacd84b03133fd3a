"""Whom a bundle of notifications names: kept in the directory, and looked up in it, once for the whole bundle.

Not in the request, which looks nobody up, but when it is planned. A bundle that names nobody by an id never comes here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import asdict

from sendwright.engine.people import Directory, Key
from sendwright.model.notification import Recipient, Stored, Unaddressed
from sendwright.model.parcel import Intake
from sendwright.model.people import Change, Known
from sendwright.policy.directory import has_address, members_of
from sendwright.policy.suppression import Marker

CHANGES_MAX = 1000
"""Most recipients that are written at once."""


class Naming(Struct, frozen=True):
    """A notification that names somebody by an id."""

    intake: Intake
    payload: Stored

    def __repr__(self) -> str:
        return f"Naming({self.intake.id})"


class Acquaintance:
    """What planning knows of people."""

    def __init__(self, directory: Directory, marker: Marker) -> None:
        self._directory = directory
        self._marker = marker

    async def entries(self, namings: Sequence[Naming]) -> list[list[str | Recipient]]:
        """Of each notification its recipients, each once, in order: who is named and says no address, as the directory knows them.

        What an inline recipient with an id says is kept first. Of whom nobody knows there is the id, which is an address in the
        app, and so it is of an `Unaddressed`; who was erased since the notification was accepted stands there by the bare id, which
        is none."""
        named = [(naming, entry) for naming in namings for entry in naming.payload.recipients()]
        changes = list(self._changes(named))
        erased = set[Key]()
        for start in range(0, len(changes), CHANGES_MAX):
            part = changes[start : start + CHANGES_MAX]
            written = await self._directory.write(part)
            erased |= {(change.tenant, change.id) for change, known in zip(part, written, strict=True) if known is None}
        wanted = {(naming.intake.tenant, id_) for naming, entry in named if (id_ := _bare(entry)) is not None}
        known: Mapping[Key, Known] = {}
        if wanted:
            known = await self._directory.known(wanted)
        return [[_met(naming.intake.tenant, entry, known, erased) for entry in naming.payload.recipients()] for naming in namings]

    def _changes(self, named: Sequence[tuple[Naming, str | Recipient]]) -> Iterator[Change]:
        for naming, entry in named:
            if isinstance(entry, str) or entry.id is None:
                continue
            members = members_of(entry)
            if members:
                tenant, at = naming.intake.tenant, naming.intake.at
                yield Change(tenant, entry.id, members, at, self._marker.person(tenant, entry.id), guarded=True)


def _bare(entry: str | Recipient) -> str | None:
    """The id of somebody whose addresses are to be looked up."""
    if isinstance(entry, str):
        return entry
    return None if has_address(entry) else entry.id


def _met(tenant: str, entry: str | Recipient, known: Mapping[Key, Known], erased: set[Key]) -> str | Recipient:
    id_ = entry if isinstance(entry, str) else entry.id
    if id_ is None:
        return entry
    if (tenant, id_) in erased:
        return id_
    if _bare(entry) is None:
        return entry
    found = known.get((tenant, id_))
    if found is None:
        return Recipient(id=id_)
    return found.recipient if has_address(found.recipient) else Unaddressed(**asdict(found.recipient))
