"""Fills a migrated database with messages, as if they had gone before or were waiting now: for the cost curves.

Rows are written by the server itself over ids that are made here, sorted as they would have come. Afterwards it is vacuumed and
checkpointed, so that the measurement does not pay for the filling.
"""

from __future__ import annotations

import asyncio
import os
import time
from string import Template

import asyncpg

from bench.load import TEXT
from sendwright.drivers.store.postgres.connections import Connections
from sendwright.drivers.store.postgres.partitions import Partitions
from sendwright.model.ids import RANDOM_BYTES, IdMint

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ROUTE = "route:sms"
TENANT = "default"

_CONTENT = f'{{"body": "{TEXT.format(number=0)}"}}'
_METADATA = '{"order": "ORD-2026-000000"}'
_STEPS = '[["sms", "+14155550000"]]'

_NOTIFICATIONS = f"""
insert into notifications (id, tenant, at, messages, planned, process, number, expires_at, content, metadata)
select 'ntf_' || core, '{TENANT}', at, 1, true, 'stock', number, at + {DAY_MS}, '{_CONTENT}', '{_METADATA}'
from stock order by core"""
_MESSAGES = f"""
insert into messages (id, tenant, state, number, calls, priority, on_doubt, accepted_at, updated_at, expires_at,
  recipient, channel, address, provider, steps)
select 'msg_' || core || '00', '{TENANT}', $state, $number, $number, 2, 'resend', at, at, at + {DAY_MS},
  'cust-' || lpad((number % 100000)::text, 10, '0'), 'sms', '+14155550000', $provider, '{_STEPS}'
from stock order by core"""
_ATTEMPTS = """
insert into attempts (id, number, step, channel, provider, state, started_at, deadline_at, finished_at, owner, ref, by_ref)
select 'att_' || core || '00001', 1, 0, 'sms', 'twilio-main', 2, at, at + 30000, at + 50, 'stock', 'SM' || md5(core), false
from stock order by core"""
_ACCEPTED = f"""
insert into events (seq, day, at, tenant, type, subject)
select number, at / {DAY_MS}, at, '{TENANT}', 'notification.accepted', 'ntf_' || core from stock order by core"""
_SENT = f"""
insert into events (seq, day, at, tenant, type, subject)
select number, at / {DAY_MS}, at, '{TENANT}', 'message.sent', 'msg_' || core || '00' from stock order by core"""
_WAITS = f"""
insert into waits (message, key, priority, due_at, kind, name, at)
select 'msg_' || core || '00', '{ROUTE}', 2, at + {DAY_MS}, 'provider', 'twilio-main', at from stock order by core"""


def stored(url: str, count: int) -> None:
    """So many messages that were sent within the last hour."""
    messages = Template(_MESSAGES).substitute(state=40, number=1, provider="'twilio-main'")
    _fill(url, count, [_NOTIFICATIONS, messages, _ATTEMPTS, _ACCEPTED, _SENT])


def queued(url: str, count: int) -> None:
    """So many that wait for a place on the route of `sms`, as a backlog does that is longer than the lanes."""
    messages = Template(_MESSAGES).substitute(state=20, number=0, provider="null")
    _fill(url, count, [_NOTIFICATIONS, messages, _ACCEPTED, _WAITS])


def _fill(url: str, count: int, statements: list[str]) -> None:
    mint, now = IdMint(os.urandom(32)), int(time.time() * 1000)
    rows = []
    for number in range(count):
        at = now - HOUR_MS + HOUR_MS * number // count
        rows.append((mint.notification(TENANT, at, os.urandom(RANDOM_BYTES))[4:], at, number + 1))

    async def run() -> None:
        connections = Connections(url)
        await Partitions(connections).make_ahead(now)
        await connections.close()
        db = await asyncpg.connect(url, timeout=10, command_timeout=3600)
        try:
            await db.execute('create temporary table stock (core text collate "C", at bigint, number bigint)')
            await db.copy_records_to_table("stock", records=rows)
            for statement in statements:
                await db.execute(statement)
            await db.execute("drop table stock")
            await db.execute("vacuum (analyze)")
            await db.execute("checkpoint")
        finally:
            await db.close()

    asyncio.run(run())
