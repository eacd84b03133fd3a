"""Parcels that nobody can read, kept raw with what is wrong with them."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable

import apsw

from sendwright.drivers.store.sqlite.writer import Operation, Writer


class SqliteQuarantine:
    """ports.DeadParcels."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._keep = _KeepAll()

    def keep(self, lane: str, body: bytes, problem: str, now: int) -> Awaitable[None]:
        return self._writer.submit(self._keep, (lane, body, problem, now))


class _KeepAll(Operation):
    """Items: (lane, body, problem, now). The id is the body's hash, so that a repeat is the same one."""

    def apply(self, db: apsw.Connection, items: list[tuple[str, bytes, str, int]]) -> list[None]:
        for lane, body, problem, now in items:
            digest = hashlib.blake2b(lane.encode() + b"\0" + body, digest_size=16).hexdigest()
            db.execute(
                "insert into dead_parcels (id, tenant, kind, lane, at, problem, body) values (?1, '', 'parcel', ?2, ?3, ?4, ?5)"
                " on conflict (id) do nothing",
                (f"par_{digest}", lane, now, problem, body),
            )
        return [None] * len(items)
