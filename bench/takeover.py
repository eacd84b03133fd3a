"""How long what a dead worker had open stayed open: by the store's own account, counted from when the store answers.

An attempt that was open when a worker died, and for much longer than the provider takes, was that worker's. Whoever found it
wrote down when.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bench.victims import Death

LONG_MS = 3_000
"""Calls that took longer than this were not ended by their answer."""
LONG = f"""
  select started_at, coalesce(finished_at, 0) from attempts
  where coalesce(finished_at, 9223372036854775807) - started_at > {LONG_MS}
"""


def takeovers(attempts: Iterable[Sequence[Any]], deaths: Sequence[Death]) -> tuple[list[float], int]:
    """In seconds, one for each attempt that a worker's death left; and how many took long for another reason, such as a store that
    was away. `attempts`: when they began and when they were settled, in ms since 1970; 0 for never."""
    took: list[float] = []
    others = 0
    for started, finished in attempts:
        died = [death for death in deaths if death.what == "worker" and started <= death.wall_ms <= (finished or 1 << 62)]
        if not died:
            others += 1
            continue
        from_ms = died[0].wall_ms
        for away in deaths:
            if away.what == "store" and away.wall_ms <= (finished or 1 << 62) and away.back_ms >= from_ms:
                from_ms = max(from_ms, away.back_ms)
        took.append(float("inf") if not finished else max(0, finished - from_ms) / 1000)
    return took, others
