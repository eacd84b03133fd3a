"""Fills the file of an embedded store that does not run with messages that went before: as stock.py does for PostgreSQL.

The file is used as the product leaves it: afterwards its log is checkpointed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from bench.load import TEXT
from bench.stock import DAY_MS, HOUR_MS, TENANT
from sendwright.drivers.store.sqlite.writer import connect
from sendwright.model.ids import RANDOM_BYTES, IdMint
from sendwright.model.states import MessageState

_CHUNK = 50_000
_STATEMENTS = (
    "create temp table stock (core text, at integer, number integer)",
    f"""insert into notifications (id, tenant, at, messages, planned, process, number, expires_at, content, metadata)
        select 'ntf_' || core, '{TENANT}', at, 1, 1, 'stock', number, at + {DAY_MS}, '{{"body":"{TEXT.format(number=0)}"}}',
          '{{"order":"ORD-2026-000000"}}' from stock order by core""",
    f"""insert into messages (id, tenant, state, number, calls, priority, on_doubt, accepted_at, updated_at, expires_at,
          recipient, channel, address, provider, steps)
        select 'msg_' || core || '00', '{TENANT}', {int(MessageState.SENT)}, 1, 1, 2, 'resend', at, at, at + {DAY_MS},
          'cust-' || printf('%010d', number % 100000), 'sms', '+14155550000', 'twilio-main', '[["sms","+14155550000"]]'
        from stock order by core""",
    """insert into attempts (id, message, number, step, channel, provider, state, started_at, deadline_at, finished_at, owner, ref,
          by_ref)
        select 'att_' || core || '00001', 'msg_' || core || '00', 1, 0, 'sms', 'twilio-main', 2, at, at + 30000, at + 50, 'stock',
          'SM' || core, 0 from stock order by core""",
    f"""insert into events (at, tenant, type, subject)
        select at, '{TENANT}', 'notification.accepted', 'ntf_' || core from stock order by core""",
    f"""insert into events (at, tenant, type, subject)
        select at, '{TENANT}', 'message.sent', 'msg_' || core || '00' from stock order by core""",
    "drop table stock",
)


def stored(file: Path, count: int) -> None:
    """So many messages that were sent within the last hour."""
    db = connect(file)
    try:
        db.pragma("synchronous", "off")
        made = _made(count)
        for start in range(0, count, _CHUNK):
            db.execute("begin immediate")
            db.execute(_STATEMENTS[0])
            db.executemany("insert into stock values (?, ?, ?)", [next(made) for _ in range(min(_CHUNK, count - start))])
            for statement in _STATEMENTS[1:]:
                db.execute(statement)
            db.execute("commit")
            db.wal_checkpoint()
    finally:
        db.close()


def _made(count: int) -> Iterator[tuple[str, int, int]]:
    mint, now = IdMint(os.urandom(32)), int(time.time() * 1000)
    for number in range(count):
        at = now - HOUR_MS + HOUR_MS * number // count
        yield mint.notification(TENANT, at, os.urandom(RANDOM_BYTES))[4:], at, number + 1
