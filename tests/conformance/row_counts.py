"""How many rows the embedded store writes for a message, counted by the database itself.

The whole engine runs, from accept to the recorded outcome, over the console. Temporary triggers on the writer's own
connection count every insert, update and delete by table; they leave nothing in the file. The engine's clock stands
still, so that a machine that stalls for half a second does not make a claim too old to be used.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import apsw
import msgspec

from sendwright.app.parts import Parts
from sendwright.app.running import Running
from sendwright.drivers.store.sqlite.writer import Operation
from sendwright.engine.telling import Settled, Telling
from sendwright.model.notification import Payload
from sendwright.settings import load
from sendwright.testing.clock import FrozenClock

SETTLED_S = 20
TENANT = "acme"
SETTINGS = '[providers.console]\nkind = "console"\nconcurrency = 1000\n'

Writes = Counter[tuple[str, str]]
"""Rows by (table, `insert` | `update` | `delete`)."""


class _Count(Operation):
    """Sets the triggers at first; answers what they have counted."""

    def __init__(self) -> None:
        self._set = False

    def apply(self, db: apsw.Connection, items: list[Any]) -> list[Writes]:
        if not self._set:
            _set_triggers(db)
            self._set = True
        rows = list(db.execute("select written, deed, n from row_counts where n > 0"))
        found: Writes = Counter({(table, deed): n for table, deed, n in rows})
        return [found for _ in items]


def _set_triggers(db: apsw.Connection) -> None:
    db.execute("create temp table row_counts (written text, deed text, n integer, primary key (written, deed))")
    tables = [row[0] for row in db.execute("select name from main.sqlite_schema where type = 'table' and name not like 'sqlite_%'")]
    for table in tables:
        for deed in ("insert", "update", "delete"):
            db.execute("insert into row_counts values (?1, ?2, 0)", (table, deed))
            db.execute(
                f"create temp trigger count_{deed}_{table} after {deed} on main.{table} begin"
                f" update row_counts set n = n + 1 where written = '{table}' and deed = '{deed}'; end"
            )


async def row_writes(count: int, *, keyed: bool = False) -> Writes:
    """The rows written for this many notifications of one message each, the bus's and the shared ones included."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        config = Path(folder) / "sendwright.toml"
        config.write_text(SETTINGS)
        running = Running(load(config, {}, Path(folder) / "data"), clock=FrozenClock())
        parts = await running.start()
        try:
            return await _counted(parts, count, keyed)
        finally:
            await running.stop()


async def _counted(parts: Parts, count: int, keyed: bool) -> Writes:
    counting = _Count()
    before = await parts.backend.writer.submit(counting, None)
    settled, left = asyncio.Event(), [count]

    def tell(told: Telling) -> None:
        if isinstance(told, Settled):
            left[0] -= 1
            if left[0] == 0:
                settled.set()

    parts.tell.add(tell)
    await asyncio.gather(*(_accept(parts, number, f"key-{number}" if keyed else None) for number in range(count)))
    async with asyncio.timeout(SETTLED_S):
        await settled.wait()
    await parts.worker.drain(SETTLED_S)
    after = await parts.backend.writer.submit(counting, None)
    return after - before


async def _accept(parts: Parts, number: int, key: str | None) -> None:
    raw = json.dumps({"to": {"phone": f"+1415555{number % 10_000:04d}"}, "content": {"body": f"message {number}"}}).encode()
    await parts.accept.accept(TENANT, msgspec.json.decode(raw, type=Payload), raw, key)
