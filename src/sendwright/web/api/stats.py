"""GET /v1/stats: how much was accepted of late, how it ended, how long it took, and what stands in the way now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from sendwright.model.notification import Priority
from sendwright.model.parcel import INBOUND, intake_lane, lane
from sendwright.model.stats import Backlog
from sendwright.policy.duration import rfc3339
from sendwright.policy.stats import WINDOWS, Figures, Span, Tally, figures, spans
from sendwright.web.api.services import Services
from sendwright.web.api.shapes import Time
from sendwright.web.api.table import Ask

SAMPLES = 50
"""Messages of each span that are looked at closer."""
COUNT_S = 0.05
"""How long one call may count what it does not know yet."""
UNIT_MS = 60_000
"""What is counted at once, at most."""
OVER_MS = 10_000
"""What was accepted so long ago is planned, but for a backlog."""

WindowName = Literal["15m", "1h", "24h"]


class StatsQuery(Struct, frozen=True, kw_only=True):
    window: WindowName = "1h"


class TallyView(Struct, frozen=True):
    """`success_rate`: taken by a provider, as a share (0 to 1) of all that came to an end. Latency: from acceptance, or the time
    that was asked for, to the first attempt."""

    accepted: int
    failed: int
    success_rate: float | None
    p50_ms: float | None
    p95_ms: float | None


class PointView(Struct, frozen=True):
    """A span of the window, from `at`."""

    at: Time
    figures: TallyView


class GroupView(Struct, frozen=True):
    """The messages of one channel or one provider."""

    name: str
    figures: TallyView


class WaitingView(Struct, frozen=True):
    """What waits for one provider, rate or window. `count` stops at 1,000."""

    kind: str
    name: str
    count: int
    oldest_s: float


class StatsView(Struct, frozen=True):
    """Figures of a window that ends now. `estimated`: some spans are not counted yet, and go by their pace; ask again. `by_state`,
    success and latency are told by the newest 50 messages of each span. `dead` and `in_doubt` stop at 1,000;
    `oldest_waiting_s` is that of all lanes and of the tenant's `waiting`."""

    window: WindowName
    since: Time
    until: Time
    estimated: bool
    total: TallyView
    by_state: dict[str, int]
    series: list[PointView]
    channels: list[GroupView]
    providers: list[GroupView]
    dead: int
    in_doubt: int
    waiting: list[WaitingView]
    oldest_waiting_s: float


async def get_stats(ask: Ask) -> StatsView:
    return await stats_of(ask.services, ask.caller.tenant, ask.query.window)


async def stats_of(services: Services, tenant: str, window: WindowName) -> StatsView:
    """The figures of one tenant. What it costs has a bound, however many messages are stored."""
    now = services.clock.now_ms()
    over = spans(WINDOWS[window], now)
    strips = await services.records.sampled(tenant, over, SAMPLES)
    more = [span for strip, span in zip(strips, over, strict=True) if strip.reached is not None]
    found = figures(strips, await _counted(services, tenant, more, now), over, now)
    return _view(services, window, found, await services.records.backlog(tenant), now)


async def _counted(services: Services, tenant: str, wanted: Sequence[Span], now: int) -> dict[Span, int]:
    """Exact counts, newest first, of as many spans as can be counted in time; the others are counted when it is asked again.
    What is over is remembered, minute by minute."""
    counted: dict[Span, int] = {}
    until = services.clock.monotonic() + COUNT_S
    for span in reversed(wanted):
        at = services.clock.monotonic()
        units = [(since, min(since + UNIT_MS, span[1])) for since in range(span[0], span[1], UNIT_MS)]
        known = {unit: services.counts.known(tenant, unit, at) for unit in units}
        missing = [unit for unit, count in known.items() if count is None]
        if missing and at < until:
            for unit, count in zip(missing, await services.records.accepted_within(tenant, missing), strict=True):
                known[unit] = count
                if unit[1] <= now - OVER_MS:
                    services.counts.learn(tenant, unit, count, at)
        sums = [count for count in known.values() if count is not None]
        if len(sums) == len(units):
            counted[span] = sum(sums)
    return counted


def _view(services: Services, window: WindowName, found: Figures, backlog: Backlog, now: int) -> StatsView:
    waiting = [WaitingView(p.kind, p.name, p.total, max(0, now - p.since) / 1000) for p in backlog.parked]
    return StatsView(
        window=window,
        since=rfc3339(found.series[0][0]),
        until=rfc3339(now),
        estimated=found.estimated,
        total=_tally(found.total),
        by_state={state.label: total for state, total in found.by_state.items()},
        series=[PointView(rfc3339(at), _tally(tally)) for at, tally in found.series],
        channels=[GroupView(name, _tally(tally)) for name, tally in found.channels.items()],
        providers=[GroupView(name, _tally(tally)) for name, tally in found.providers.items()],
        dead=backlog.dead,
        in_doubt=backlog.in_doubt,
        waiting=waiting,
        oldest_waiting_s=round(max([_oldest_s(services), *(each.oldest_s for each in waiting)]), 3),
    )


def _tally(tally: Tally) -> TallyView:
    success = None if tally.success is None else round(tally.success, 6)
    return TallyView(tally.accepted, tally.failed, success, tally.p50_ms, tally.p95_ms)


def _oldest_s(services: Services) -> float:
    """How long the oldest has been on any lane that nobody has taken it from."""
    names = [intake_lane(priority, aside=aside) for aside in (False, True) for priority in Priority]
    names += [lane(channel, priority) for channel in services.channels() for priority in Priority]
    return max(services.bus.oldest_s(name) for name in (*names, INBOUND))
