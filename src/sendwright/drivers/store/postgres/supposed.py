"""Attempts that may have been made of messages that are in doubt."""

from __future__ import annotations

from collections.abc import Sequence

from sendwright.drivers.store.postgres.connections import Db
from sendwright.drivers.store.postgres.rows import clean, columns
from sendwright.model.records import AttemptRecord

_ATTEMPTS = """insert into attempts
  (id, number, step, channel, provider, state, started_at, deadline_at, finished_at, reason, detail)
select * from unnest($1::text[], $2::integer[], $3::smallint[], $4::text[], $5::text[], $6::smallint[], $7::bigint[], $8::bigint[],
  $9::bigint[], $10::text[], $11::text[])"""
_MESSAGES = """update messages m set number = c.number, channel = c.channel, provider = c.provider
from unnest($1::text[], $2::integer[], $3::text[], $4::text[]) as c (id, number, channel, provider) where m.id = c.id"""


async def suppose(db: Db, attempts: Sequence[AttemptRecord]) -> None:
    """Writes them, each as the last of its message."""
    rows = [
        (
            a.id,
            a.number,
            a.step,
            a.channel,
            a.provider,
            a.state.value,
            a.started_at,
            a.deadline_at,
            a.finished_at,
            a.reason,
            clean(a.detail),
        )
        for a in attempts
    ]
    await db.execute(_ATTEMPTS, *columns(rows, 11))
    await db.execute(_MESSAGES, *columns([(a.message, a.number, a.channel, a.provider) for a in attempts], 4))
