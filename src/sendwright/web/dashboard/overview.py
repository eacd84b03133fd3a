"""The overview: how much, how well, how fast, and what waits. Its live part comes anew every few seconds."""

from __future__ import annotations

import json
from typing import Any

from sendwright.policy.duration import instant_ms
from sendwright.policy.stats import WINDOWS
from sendwright.web.api.stats import StatsView, WindowName, stats_of
from sendwright.web.dashboard.visit import Shown, Visit

_EVERY_S = {"15m": 5, "1h": 5, "24h": 15}
"""How often the page asks again."""


async def overview(visit: Visit) -> Shown:
    return Shown("overview.html", await _values(visit))


async def live(visit: Visit) -> Shown:
    """A page of the tenant that somebody has turned from meanwhile, in another window, is told to come anew whole."""
    if visit.query.get("tenant", visit.tenant) != visit.tenant:
        return Shown("signed_out.html", {}, headers=((b"hx-refresh", b"true"),))
    return Shown("_live.html", await _values(visit))


async def _values(visit: Visit) -> dict[str, Any]:
    window = _window(visit.query.get("window"))
    stats = await stats_of(visit.services, visit.by.caller.tenant, window)
    standings = {standing.name: standing for standing in await visit.services.fleet.standings()}
    seconds = (instant_ms(stats.until) - instant_ms(stats.since)) / 1000
    return {
        "stats": stats,
        "windows": tuple(WINDOWS),
        "every_s": _EVERY_S[window],
        "standings": standings,
        "pace": _pace(stats.total.accepted / max(seconds, 1)),
        "series": json.dumps(_series(stats)),
        "idle": [name for name in standings if name not in {group.name for group in stats.providers}],
    }


def _window(given: str | None) -> WindowName:
    return given if given in WINDOWS else "1h"  # type: ignore[return-value]  # the names are those


def _series(stats: StatsView) -> dict[str, list[Any]]:
    """Columns for the charts; times in s since 1970. A span without messages has no latency: a gap."""
    points = [(instant_ms(point.at) // 1000, point.figures) for point in stats.series]
    return {
        "at": [at for at, _ in points],
        "accepted": [tally.accepted for _, tally in points],
        "failed": [tally.failed for _, tally in points],
        "p50": [tally.p50_ms for _, tally in points],
        "p95": [tally.p95_ms for _, tally in points],
    }


def _pace(each_s: float) -> str:
    """Messages by the unit in which there is at least one."""
    for unit, seconds in (("s", 1), ("min", 60)):
        if each_s * seconds >= 1:
            return f"{each_s * seconds:,.1f} per {unit}"
    return f"{each_s * 3600:,.1f} per h"
