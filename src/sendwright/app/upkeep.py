"""What must be done now and then: figures for the metrics, old keys and old rows swept in slices.

Every slice is small, so that none of it ever holds the writer long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module

from sendwright.app.engines import lanes_of, open_bus
from sendwright.app.parts import Parts, make_providers, routes_of
from sendwright.engine.drift import DRIFT_S
from sendwright.engine.ports import Finder
from sendwright.engine.readmit import readmit
from sendwright.engine.store_time import StoreTime
from sendwright.engine.telling import Tell, Trouble
from sendwright.errors import Unavailable, where
from sendwright.model.notification import Priority
from sendwright.model.parcel import lane
from sendwright.providers.contract import EVERY_CHANNEL
from sendwright.settings import Settings
from sendwright.settings.engines import RABBITMQ, SQS

BROKEN_S = 1.0
FIGURES_S = 5.0
BEAT_S = 30.0
PENDING_MOST = 100_000
"""So far are the postings counted that wait."""
SWITCHES_S = 0.4
LOOK_S = 1.0
SWEEP_S = 60.0
INBOX_SLICE = 500
"""Items of inboxes that are forgotten at a time."""
POSTINGS_SLICE = 500
"""Postings to endpoints that are forgotten at a time."""
SLICE_S = 0.05
"""Pause between two slices of one sweep."""
FIND_S = 60.0
FIND_SLICE_S = 0.25
"""Pause between two slices of one look for what was lost."""
AUDIT_S = 3600.0
FORSAKEN_S = 60.0
"""How often it is looked for lanes that nobody serves any more: a retry may have made one anew."""


async def kept_up(name: str, run: Callable[[], Awaitable[None]], tell: Tell, pause_s: float = BROKEN_S) -> None:
    """Runs a loop that must never end while the process lives: whatever breaks it, it begins again after a pause."""
    while True:
        try:
            await run()
        except Exception as error:  # noqa: BLE001 — a promoter or repairer that died in silence would lose every retry
            tell(Trouble(name, f"broke off: {where(error)}"))
            await asyncio.sleep(pause_s)
        else:
            return


def compare_clocks(parts: Parts) -> None:
    """Says where this machine's wall clock is not to be believed: logs, and whoever looks at them, go by it."""
    ahead_s = parts.clock.machine_ahead_s() if isinstance(parts.clock, StoreTime) else 0.0
    if abs(ahead_s) > DRIFT_S:
        parts.tell(Trouble("clock", f"this machine's wall clock is {ahead_s:+.0f} s from the store's, which is used instead"))


async def keep_beat(beat: Callable[[], Awaitable[None]], tell: Tell) -> None:
    """Notes how far the embedded file has come, so that an older one in its place is known for a copy."""
    while True:
        try:
            await beat()
        except (Unavailable, OSError) as error:
            tell(Trouble("beat", str(error)))
        await asyncio.sleep(BEAT_S)


async def keep_figures(parts: Parts) -> None:
    """Reads the counts that metrics show."""
    while True:
        try:
            parts.figures.dead, parts.figures.in_doubt = await parts.backend.records.figures()
            pending, disabled = await parts.backend.endpoints.figures(PENDING_MOST)
            parts.figures.endpoint_pending, parts.figures.endpoints_disabled = pending, disabled
        except Unavailable as error:
            parts.tell(Trouble("figures", str(error)))
        await asyncio.sleep(FIGURES_S)


async def keep_switches(parts: Parts) -> None:
    """Looks whether another process has switched something: the contract says within a second. What is sent meanwhile is
    held to the new epoch by its claim. Breakers and standings come with the same answer."""
    while True:
        await asyncio.sleep(SWITCHES_S)
        try:
            epoch = await parts.concord.turn() if parts.concord is not None else (await parts.backend.switchboard.read())[0]
            if epoch != parts.fleet.epoch:
                await parts.fleet.reload()
                parts.promoter.poke()  # a route may have got somebody who can be called
        except Unavailable as error:
            parts.tell(Trouble("switches", str(error)))


async def keep_looking(parts: Parts) -> None:
    """Looks what is parked, where nobody promotes: planning goes by it."""
    while True:
        try:
            await parts.promoter.look()
        except Unavailable as error:
            parts.tell(Trouble("look", str(error)))
        await asyncio.sleep(LOOK_S)


async def keep_versions(parts: Parts) -> None:
    """Brings back what others kept because they could not read its version."""
    await readmit(parts.backend.bus, parts.backend.quarantine, parts.clock, parts.tell)


async def keep_forsaken(parts: Parts) -> None:
    """Takes also from the lanes that channels without a provider have left on the broker: what was accepted while they still
    had one goes on to its next step, or fails, rather than lie there. Every worker does, whatever its `--channels`."""
    channels = [channel for channel in EVERY_CHANNEL if channel not in parts.fleet.channels]
    forsaken = {lane(channel, priority): priority for channel in channels for priority in Priority}
    while forsaken:
        try:
            for name, priority in list(forsaken.items()):
                if await parts.backend.bus.exists(name):  # type: ignore[attr-defined]  # a broker's
                    parts.tell(Trouble("lanes", f"{name} is there, and no provider serves it: what is in it goes on without"))
                    parts.worker.take_also(name, priority)
                    del forsaken[name]
        except Unavailable as error:
            parts.tell(Trouble("lanes", str(error)))
        await asyncio.sleep(FORSAKEN_S)


def of_bus(parts: Parts) -> dict[str, Callable[[], Awaitable[None]]]:
    """The loops that a broker needs beside its lanes: what it gives up goes to the dead letters."""
    buriers = {RABBITMQ: "sendwright.drivers.bus.rabbitmq.dead", SQS: "sendwright.drivers.bus.sqs.dead"}
    found = buriers.get(parts.settings.bus.url.engine)
    if found is None:
        return {}
    bury = import_module(found).bury  # of an extra
    return {
        "dead lane": lambda: bury(parts.backend.bus, parts.backend.quarantine, parts.clock, parts.tell),
        "forsaken lanes": lambda: keep_forsaken(parts),
    }


async def migrated(settings: Settings, *, post: bool = True) -> list[str]:
    """Brings the schema of a shared store up to date; what was done. Without `post`: while older processes still run."""
    from sendwright.drivers.store.postgres.migrate import migrate  # noqa: PLC0415 -- an extra

    return await migrate(settings.store.url, post=post)


async def declared(settings: Settings) -> str:
    """Makes on a shared bus what is missing of its lanes, and checks the rest; says so. Raises `OperatorError` where a queue is
    not what it should be, `BusDown`."""
    routes = routes_of(settings, make_providers(settings, "http://sandbox.invalid"))
    lanes = lanes_of([channel for channel, names in routes.items() if names])
    async with open_bus(settings, lanes):
        return f"the bus has its {len(lanes) + 2} queues: {len(lanes)} lanes, the dead one and the producers'"


async def keep_audit(parts: Parts) -> None:
    """Recounts now and then, for the metric; a violation is said once."""
    while True:
        await asyncio.sleep(AUDIT_S)
        try:
            found = (await parts.backend.records.audit()).violations
        except Unavailable as error:
            parts.tell(Trouble("audit", str(error)))
            continue
        if len(found) > parts.figures.violations:
            parts.tell(Trouble("audit", f"{len(found)} violations: see `sendwright audit`"))
        parts.figures.violations = len(found)


async def find_lost(parts: Parts, finder: Finder) -> None:
    """Brings back what has been queued so long that its lane must have lost it; nothing right after a step of the wall clock."""
    lost_s = parts.settings.bus.lost_after_s
    found, pause_s = 0, 0.0
    while True:
        await asyncio.sleep(pause_s or min(FIND_S, lost_s / 2))
        if parts.drift.held():
            continue
        now = parts.clock.now_ms()
        try:
            count, more = await finder.slice(now - lost_s * 1000, now)
        except Unavailable as error:
            parts.tell(Trouble("lost", str(error)))
            continue
        found, pause_s = found + count, FIND_SLICE_S if more else 0.0
        if not more and found:
            parts.tell(Trouble("lost", f"{found} messages, queued for more than {lost_s} s, go to their lanes again"))
            parts.promoter.poke()
            found = 0


async def sweep(parts: Parts) -> None:
    """Forgets keys, content and rows that are past their time; nothing right after a step of the wall clock."""
    settings = parts.settings
    while True:
        now = parts.clock.now_ms()
        if parts.drift.held():
            await asyncio.sleep(SWEEP_S)
            continue
        try:
            more = await parts.backend.sweeper.slice(
                keys_before=now - settings.api.idempotency_keep_s * 1000,
                content_before=now - settings.retention.content_s * 1000,
                rows_before=now - settings.retention.events_s * 1000,
            )
            old = now - settings.retention.events_s * 1000
            more |= await parts.backend.inbox.forget(old, INBOX_SLICE) == INBOX_SLICE
            more |= await parts.backend.endpoints.forget(old, POSTINGS_SLICE) == POSTINGS_SLICE
        except Unavailable as error:
            parts.tell(Trouble("sweep", str(error)))
            more = False
        await asyncio.sleep(SLICE_S if more else SWEEP_S)
