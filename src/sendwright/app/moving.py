"""move: everything of an embedded file to PostgreSQL and a broker. It may be killed at any line, and started again.

mark the file          nobody else starts on it any more
record the move        nobody else opens the database until it is over
rows, page by page     each page in one transaction with how far it has come
count both sides       before anything can be sent from over there
mark: no way back
lanes, page by page    published and confirmed, then noted: a kill in between publishes a page twice, which rows refuse
over                   numbers go on where the file's ended; the database is open to everybody, the file to nobody
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from sendwright.app.engines import lanes_of, open_bus, require
from sendwright.app.parts import make_providers, routes_of
from sendwright.drivers.bus.sqs.checkroom import LateCheckroom
from sendwright.drivers.move.source import Source, open_source
from sendwright.drivers.move.tables import TABLES
from sendwright.drivers.move.target import FINISHED, LANES, STAGES, Progress, Target, open_target
from sendwright.engine.ports import Bus
from sendwright.errors import OperatorError, StoreUnusable
from sendwright.model.ids import IdMint
from sendwright.model.parcel import sound, split
from sendwright.settings import Settings
from sendwright.settings.keys import ADMIN_KEY_FILE, SECRET_KEY_FILE

Told: TypeAlias = Callable[[str, int, int], None]
"""Told of a stage, how many of its rows or parcels are done, and of how many."""


class Counted(Struct, frozen=True):
    """A table, or the lanes: how many rows or parcels the file has, and how many are over there."""

    name: str
    here: int
    there: int


class Report(Struct, frozen=True):
    """What a move has moved, or would. `since`: when it had been over already, in ms since 1970."""

    counted: tuple[Counted, ...]
    notes: tuple[str, ...] = ()
    since: int | None = None


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def move(settings: Settings, file: Path, told: Told, *, dry: bool = False) -> Report:
    """Moves the file to the engines of the settings; `dry` looks at both sides and writes nothing.

    Raises `OperatorError` for what the operator must mend, `Unavailable` while an engine is down: then it is started again."""
    require(settings.store.url.engine)
    with open_source(file) as source:
        _check_key(settings, source)
        notes = tuple(_notes(settings, file.parent))
        async with open_target(settings.store.url) as target:
            begun = await target.look(source.number)
            if source.moved is not None or (begun is not None and begun.stage == FINISHED):
                return await _over(source, target, notes, dry=dry)
            await target.alone()
            room = LateCheckroom()
            room.behind = target.checkroom
            lanes = [] if dry else lanes_of(_channels(settings))
            async with open_bus(settings, lanes, room=room) as bus:
                if dry:
                    return Report((*(Counted(t.name, source.count(t.name), 0) for t in TABLES), _lanes(source, 0)), notes)
                return Report(await carry(source, target, bus, lanes, told), notes)


async def carry(source: Source, target: Target, bus: Bus, lanes: Collection[str], told: Told) -> tuple[Counted, ...]:
    """From where it has come to, to the end; the counts of both sides, none where it had been over. `lanes` are those that somebody
    serves over there."""
    number = source.begin()
    at = await target.begin(number, now_ms())
    if at.stage == FINISHED:
        source.over(now_ms())
        return ()
    await target.alone()
    at = await _rows(source, target, number, at, told)
    counted = await _compared(source, target, published=source.published)
    await target.alone()
    source.publishing(now_ms())
    at = await _parcels(source, target, bus, number, at, lanes, told)
    await target.finish(number, source.epoch(), source.fence(), now_ms())
    source.over(now_ms())
    return (*counted, _lanes(source, at.done))


async def _rows(source: Source, target: Target, number: int, at: Progress, told: Told) -> Progress:
    """All rows, from where it has come to."""
    for place, table in enumerate(TABLES):
        if place < STAGES.index(at.stage):
            continue
        total = source.count(table.name)
        while True:
            rows, after = source.page(table, at.after)
            if not rows:
                break
            at = Progress(table.name, after, at.done + len(rows))
            await target.fill(number, table, rows, at)
            told(table.name, at.done, total)
        at = Progress(STAGES[place + 1])
        await target.note(number, at)
    return at


async def _compared(source: Source, target: Target, *, published: bool) -> tuple[Counted, ...]:
    """Counts both sides. Raises `StoreUnusable` where they differ: nothing has been published then. Afterwards what no worker can
    read may have joined the dead parcels over there."""
    there = await target.counts()
    counted = tuple(Counted(table.name, source.count(table.name), there[table.name]) for table in TABLES)
    wrong = [f"{each.name}: {each.here} here, {each.there} there" for each in counted if each.here != each.there]
    if wrong and not published:
        raise StoreUnusable(f"the two sides differ ({'; '.join(wrong)}): somebody else writes to one of them")
    return counted


async def _parcels(
    source: Source, target: Target, bus: Bus, number: int, at: Progress, lanes: Collection[str], told: Told
) -> Progress:
    """All that lies on the lanes, from where it has come to: confirmed by the other bus before it counts as done."""
    total = source.parcels()
    while bundles := source.bundles(at.after[0] if at.after else 0):
        by_lane: dict[str, list[bytes]] = defaultdict(list)
        for each in bundles:
            for raw in split(each.body):
                if sound(raw):
                    by_lane[_served(each.lane, lanes)].append(raw)
                else:  # it would take the others of its bundle with it
                    await target.dead.keep(each.lane, raw, "it is not JSON", now_ms())
        await asyncio.gather(*(bus.publish(lane, parcels) for lane, parcels in by_lane.items()))
        at = Progress(LANES, (bundles[-1].seq,), at.done + sum(each.count for each in bundles))
        await target.note(number, at)
        told(LANES, at.done, total)
    return at


def _served(lane: str, lanes: Collection[str]) -> str:
    """The lane itself; for a channel that has no provider any more, another of its priority: who takes a parcel there goes by the
    parcel, and moves it on to its next step."""
    if lane in lanes:
        return lane
    priority = lane.rpartition(".")[2]
    return next(other for other in lanes if other.endswith(f".{priority}") and not other.startswith("intake."))


async def _over(source: Source, target: Target, notes: tuple[str, ...], *, dry: bool) -> Report:
    """It was over already, if the file has not been told. Raises `StoreUnusable` where it went elsewhere."""
    if source.number is None or await target.look(source.number) is None:
        raise StoreUnusable(f"{source.path} was moved to another database")
    if not dry:
        source.over(now_ms())
    return Report((), notes, source.moved or now_ms())


def abandon(file: Path) -> None:
    """Gives a move up: the file may be used again. Raises `OperatorError` where that would send things twice."""
    with open_source(file) as source:
        source.abandon()


def _lanes(source: Source, done: int) -> Counted:
    return Counted(LANES, source.parcels(), done)


def _channels(settings: Settings) -> list[str]:
    providers = make_providers(settings, "http://sandbox.invalid")
    return [channel for channel, names in routes_of(settings, providers).items() if names]


def _check_key(settings: Settings, source: Source) -> None:
    """Ids are signed: under another key, what was accepted and is not planned yet would be nobody's. Raises `OperatorError`."""
    newest, key = source.newest(), settings.secrets.key
    if newest is None or key is None or IdMint(key.reveal().encode()).minted_for(*newest):
        return
    made = source.path.parent / SECRET_KEY_FILE
    where = f"the one in {made}" if made.exists() else "the [secrets] key that it ran with, or the one that its data folder made"
    raise OperatorError(f"the ids in {source.path} are signed with another key: set [secrets] key to {where}")


def _notes(settings: Settings, folder: Path) -> list[str]:
    """What else a data folder may hold that other machines need."""
    made = folder / ADMIN_KEY_FILE
    if settings.api.admin_key is None:
        return [
            f"[api] admin_key is not set: each process takes the one in its own data folder, or makes one; the old one is in {made}"
        ]
    if made.exists() and made.read_text(encoding="ascii", errors="replace").strip() != settings.api.admin_key.reveal():
        return [f"[api] admin_key is another than the one in {made}: whoever calls with that one is refused from now on"]
    return []
