"""What is switched at run time, over SQLite, with the epoch that claims must hold."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import apsw
import msgspec
from msgspec.structs import replace

from sendwright.drivers.store.sqlite.reader import Reader
from sendwright.drivers.store.sqlite.writer import Operation, Writer
from sendwright.model.records import SWITCHED, Order, Switch


class SqliteSwitchboard:
    """ports.Switchboard."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._set = _SetAll()
        self._reorder = _ReorderAll()

    async def read(self) -> tuple[int, Sequence[Switch]]:
        return await self._reader.run(_read)

    async def set(self, switch: Switch, members: Collection[str] = SWITCHED) -> int:
        epoch: int = await self._writer.submit(self._set, (switch, members), soon=True)
        return epoch

    async def orders(self) -> Sequence[Order]:
        return await self._reader.run(_orders)

    async def reorder(self, order: Order) -> int:
        epoch: int = await self._writer.submit(self._reorder, order, soon=True)
        return epoch


def _orders(db: apsw.Connection) -> list[Order]:
    rows = db.execute("select channel, providers from routes order by channel")
    return [Order(channel, msgspec.json.decode(text, type=tuple[str, ...])) for channel, text in rows]


def _raised(db: apsw.Connection) -> int:
    db.execute("update meta set value = value + 1 where name = 'epoch'")
    return int(db.execute("select value from meta where name = 'epoch'").get)


def _read(db: apsw.Connection) -> tuple[int, list[Switch]]:
    epoch = int(db.execute("select value from meta where name = 'epoch'").get)
    rows = db.execute("select provider, enabled, weight, rate, concurrency from switches order by provider")
    return epoch, [Switch(p, None if e is None else bool(e), w, r, c) for p, e, w, r, c in rows]


class _SetAll(Operation):
    """Items: (switch, members of it that are set). Each raises the epoch."""

    def apply(self, db: apsw.Connection, items: list[tuple[Switch, Collection[str]]]) -> list[int]:
        _, stored = _read(db)
        current = {switch.provider: switch for switch in stored}
        epochs = []
        for asked, members in items:
            before = current.get(asked.provider, Switch(asked.provider))
            s = current[asked.provider] = replace(before, **{name: getattr(asked, name) for name in members})
            enabled = None if s.enabled is None else int(s.enabled)
            db.execute(
                "insert into switches (provider, enabled, weight, rate, concurrency) values (?1, ?2, ?3, ?4, ?5)"
                " on conflict (provider) do update set enabled = ?2, weight = ?3, rate = ?4, concurrency = ?5",
                (s.provider, enabled, s.weight, s.rate, s.concurrency),
            )
            epochs.append(_raised(db))
        return epochs


class _ReorderAll(Operation):
    """Items: orders. Each raises the epoch."""

    def apply(self, db: apsw.Connection, items: list[Order]) -> list[int]:
        epochs = []
        for order in items:
            if order.providers is None:
                db.execute("delete from routes where channel = ?1", (order.channel,))
            else:
                db.execute(
                    "insert into routes (channel, providers) values (?1, ?2) on conflict (channel) do update set providers = ?2",
                    (order.channel, msgspec.json.encode(order.providers).decode()),
                )
            epochs.append(_raised(db))
        return epochs
