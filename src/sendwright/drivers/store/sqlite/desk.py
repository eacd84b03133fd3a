"""Taking notifications in over SQLite: key, number and parcel in one transaction, shared with all that wait.

The key is bound by the same commit that makes the parcel durable, so a key is never `Running` here: a crash leaves
both or neither.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import apsw
import msgspec

from sendwright.drivers.bus.sqlite_lanes import Bundle, Lanes, put_bundles
from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.sql import SQL
from sendwright.drivers.store.sqlite.writer import Operation, Writer, fetch, rows_of
from sendwright.model.notification import Priority
from sendwright.model.parcel import Intake, intake_lane, pack
from sendwright.model.records import Absent, Conflict, Offer, Running, Taken


class SqliteDesk:
    """ports.IntakeDesk. `process` names this incarnation; its accepted notifications are numbered from 1."""

    def __init__(self, writer: Writer, reader: Reader, lanes: Lanes, process: str, keep_ms: Callable[[], int]) -> None:
        self._writer = writer
        self._reader = reader
        self._offer = _OfferAll(lanes, process, keep_ms)

    def offer(self, offer: Offer) -> Awaitable[Taken | Conflict | Running | Absent]:
        return self._writer.submit(self._offer, offer, urgent=offer.priority <= Priority.HIGH)

    def stored(self, tenant: str, key: str) -> Awaitable[str | None]:
        return self._reader.run(lambda db: db.execute(SQL["key_of"], (tenant, key)).get)


class _OfferAll(Operation):
    """Items: offers. Equal keys within a flush are merged: the first one's id is everybody's."""

    def __init__(self, lanes: Lanes, process: str, keep_ms: Callable[[], int]) -> None:
        self._lanes = lanes
        self._process = process
        self._keep_ms = keep_ms
        self._accepted = 0
        self._fresh = 0
        self._bundles: list[Bundle] = []

    def apply(self, db: apsw.Connection, items: list[Offer]) -> list[Taken | Conflict | Running | Absent]:
        known = self._known(db, items)
        answers: list[Taken | Conflict | Running | Absent] = []
        fresh: list[Offer] = []
        new_keys = []
        for offer in items:
            held = known.get((offer.tenant, offer.key)) if offer.key is not None else None
            if held is not None:
                same = held[1] == offer.fingerprint.hex()
                answers.append(Taken(held[0], replayed=True) if same else Conflict())
                continue
            if offer.repeat:
                answers.append(Absent())
                continue
            answers.append(Taken(offer.id))
            fresh.append(offer)
            if offer.key is not None:
                known[offer.tenant, offer.key] = (offer.id, offer.fingerprint.hex())
                new_keys.append((offer.tenant, offer.key, offer.id, offer.fingerprint.hex(), offer.at))
        if new_keys:
            db.execute(SQL["keys_insert"], (rows_of(new_keys),))
        self._fresh = len(fresh)
        self._bundles = self._put(db, fresh) if fresh else []
        return answers

    def _known(self, db: apsw.Connection, items: list[Offer]) -> dict[tuple[str, str | None], tuple[str, str]]:
        keyed = [(offer.tenant, offer.key) for offer in items if offer.key is not None]
        if not keyed:
            return {}
        oldest = min(offer.at for offer in items) - self._keep_ms()
        db.execute(SQL["keys_expire"], (oldest,))
        rows = fetch(db, SQL["keys_existing"], rows_of(keyed)) or ()
        return {keyed[position]: (id_, fingerprint) for position, id_, fingerprint in rows}

    def _put(self, db: apsw.Connection, fresh: list[Offer]) -> list[Bundle]:
        by_lane: dict[str, list[bytes]] = {}
        for number, offer in enumerate(fresh, self._accepted + 1):
            parcel = Intake(
                id=offer.id,
                tenant=offer.tenant,
                at=offer.at,
                body=msgspec.Raw(offer.body),
                process=self._process,
                number=number,
                key=offer.key,
                trace=offer.trace,
                v=offer.v,
            )
            by_lane.setdefault(intake_lane(offer.priority, aside=offer.aside), []).append(pack(parcel))
        db.execute(SQL["process_counts"], (self._process, self._accepted + len(fresh), fresh[0].at))
        return put_bundles(db, self._lanes, by_lane, fresh[-1].at)

    def after_commit(self) -> list[Bundle]:
        self._accepted += self._fresh
        return self._bundles

    def committed(self, news: list[Bundle]) -> None:
        self._lanes.add(news)
