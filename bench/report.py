"""Rows as tables: every run with the machine's load beside it, medians, ratios; and all of it as JSON.

A table shows the figures that its columns name; the JSON has all.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import apsw

from bench.measure import Row, medians

RESULTS = Path(__file__).resolve().parent / "results"
OURS = "ours"
NODE_PEER = "bullmq"

_Column = tuple[str, str, str]
"""Head, figure, format."""

_SPREAD: tuple[_Column, ...] = (
    ("count", "count", ",.0f"),
    ("/s", "rate", ",.0f"),
    ("CPU ms each", "cpu_ms", ".3f"),
    ("caller", "caller_cpu_ms", ".3f"),
    ("API", "api_cpu_ms", ".3f"),
    ("worker", "worker_cpu_ms", ".3f"),
    ("scheduler", "scheduler_cpu_ms", ".3f"),
    ("store, broker", "store_cpu_ms", ".3f"),
    ("database", "database_cpu_ms", ".3f"),
    ("broker", "broker_cpu_ms", ".3f"),
    ("most in flight", "most_in_flight", ".0f"),
    ("peak MB", "peak_mb", ".0f"),
)
"""Of ours, the caller is not in the sum: it only posts. A peer's is its enqueuer."""

COLUMNS: dict[str, tuple[str, tuple[_Column, ...]]] = {
    "accept": (
        "Accept: HTTP to durable, 64 connections, nothing else running",
        (
            ("server CPU µs each", "cpu_us", ".0f"),
            ("caller CPU µs", "caller_cpu_us", ".0f"),
            ("/s", "rate", ",.0f"),
            ("p50 ms", "p50_ms", ".1f"),
            ("p99 ms", "p99_ms", ".1f"),
            ("RSS MB", "rss_mb", ".0f"),
        ),
    ),
    "end": (
        "End to end: posted (peers: enqueued) to the recorded outcome (peers: the provider's request)",
        (
            ("count", "count", ",.0f"),
            ("/s", "rate", ",.0f"),
            ("CPU ms each", "cpu_ms", ".3f"),
            ("caller", "caller_cpu_ms", ".3f"),
            ("worker", "worker_cpu_ms", ".3f"),
            ("store, broker", "store_cpu_ms", ".3f"),
            ("most in flight", "most_in_flight", ".0f"),
            ("peak MB", "peak_mb", ".0f"),
        ),
    ),
    "spread": ("Distributed: API, worker and scheduler over PostgreSQL and RabbitMQ, end to end; peers as before", _SPREAD),
    "workers": ("Distributed, by workers", _SPREAD),
    "queued": ("Distributed, by messages that wait: the first of them, once the provider is switched on", _SPREAD),
    "stored": ("Distributed, by messages that are stored already", _SPREAD),
    "otp": (
        "One-time passwords (`critical`), ms to the provider",
        (
            ("passwords", "passwords", ",.0f"),
            ("accept p50", "accept_p50_ms", ".1f"),
            ("accept p99", "accept_p99_ms", ".1f"),
            ("post p50", "post_p50_ms", ".1f"),
            ("post p99", "post_p99_ms", ".1f"),
            ("post max", "post_max_ms", ".1f"),
        ),
    ),
    "bulk": (
        "The bulk beside them",
        (
            ("accepted /s", "bulk_accept_rate", ",.0f"),
            ("sent /s alone", "bulk_rate_alone", ",.0f"),
            ("sent /s with passwords", "bulk_rate_with_passwords", ",.0f"),
            ("waiting at their start", "bulk_waiting_at_start", ",.0f"),
            ("at their end", "bulk_waiting_at_end", ",.0f"),
        ),
    ),
    "memory": (
        "Memory of `sendwright up`",
        (
            ("queued", "queued", ",.0f"),
            ("RSS MB at rest", "rest_mb", ".0f"),
            ("with them queued", "queued_mb", ".0f"),
            ("most", "peak_mb", ".0f"),
            ("bytes each", "bytes_each", ",.0f"),
            ("file MB", "file_mb", ",.0f"),
            ("seconds until parked", "seconds", ".1f"),
        ),
    ),
    "pages": (
        "Pages of the dashboard, ms",
        (
            ("at first", "first_ms", ",.0f"),
            ("then, median", "warm_ms", ",.0f"),
            ("most", "most_ms", ",.0f"),
            ("CPU ms", "cpu_ms", ",.0f"),
        ),
    ),
    "looked at": (
        "Sending alone, and while somebody opens a page of the dashboard four times a second",
        (
            ("count", "count", ",.0f"),
            ("/s alone", "rate_alone", ",.0f"),
            ("/s looked at", "rate_looked_at", ",.0f"),
            ("CPU ms each alone", "cpu_ms_alone", ".3f"),
            ("looked at", "cpu_ms_looked_at", ".3f"),
            ("pages seen", "pages", ",.0f"),
            ("slowest page ms", "page_most_ms", ",.0f"),
        ),
    ),
}


def show(rows: Sequence[Row], say: Callable[[str], None] = print) -> None:
    """Markdown."""
    for table, (title, columns) in COLUMNS.items():
        mine = [row for row in rows if row.table == table]
        if mine:
            say(f"\n### {title}\n")
            for line in _table(mine, columns):
                say(line)
    for table, of in (("end", "server"), ("spread", "worker")):
        for line in ratios(rows, table, of):
            say(line)


def _table(rows: Sequence[Row], columns: Sequence[_Column]) -> Iterable[str]:
    heads = ["contender", "provider ms", "run", *(head for head, _, _ in columns), "load"]
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for (contender, delay_ms), group in _grouped(rows).items():
        for row in group:
            cells = [row.error.replace("|", "/")] if row.error else _cells(row.figures, columns)
            yield f"| {contender} | {delay_ms} | {row.run or 'all'} | {' | '.join(cells)} | {row.load:.2f} |"
        good = [row for row in group if not row.error]
        if len(good) > 1:
            cells = [f"**{cell}**" if cell else "" for cell in _cells(medians(good), columns)]
            yield f"| **{contender}** | **{delay_ms}** | **median** | {' | '.join(cells)} | |"


def _cells(figures: dict[str, float], columns: Sequence[_Column]) -> list[str]:
    return [format(figures[name], spec) if name in figures else "" for _, name, spec in columns]


def _grouped(rows: Iterable[Row]) -> dict[tuple[str, int], list[Row]]:
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.contender, row.delay_ms), []).append(row)
    return dict(sorted(groups.items(), key=lambda item: item[0][1]))


def ratios(rows: Sequence[Row], table: str = "end", of: str = "server") -> Iterable[str]:
    """Ours against BullMQ and against the peer in Python that spends least, by medians. `of`: what our `worker` is called."""
    end = [row for row in rows if row.table == table and not row.error]
    found = {key: medians(group) for key, group in _grouped(end).items()}
    head_said = False
    for delay_ms in sorted({key[1] for key in found}):
        ours = found.get((OURS, delay_ms))
        peers = {name: figures for (name, delay), figures in found.items() if delay == delay_ms and name != OURS}
        if ours is None or not peers:
            continue
        if not head_said:
            yield f"\n### Ours against the peers{', distributed' if table == 'spread' else ''}, by medians\n"
            yield f"| provider ms | against | their CPU to ours, all processes | to our {of}'s alone | our rate to theirs |"
            yield "|---|---|---|---|---|"
            head_said = True
        python = {name: figures for name, figures in peers.items() if name != NODE_PEER}
        rivals = [NODE_PEER] if NODE_PEER in peers else []
        rivals += [min(python, key=lambda name: python[name]["cpu_ms"])] if python else []
        for name in rivals:
            theirs = peers[name]
            yield (
                f"| {delay_ms} | {name} | {theirs['cpu_ms'] / ours['cpu_ms']:.2f}× "
                f"| {theirs['cpu_ms'] / ours['worker_cpu_ms']:.2f}× | {ours['rate'] / theirs['rate']:.2f}× |"
            )


def save(rows: Sequence[Row], asked: dict[str, object], extra: dict[str, object]) -> Path:
    """Everything, in bench/results/; returns the file."""
    RESULTS.mkdir(exist_ok=True)
    place = RESULTS / time.strftime("%Y%m%dT%H%M%SZ.json", time.gmtime())
    written = {"asked": asked, "machine": machine(), "rows": [dataclasses.asdict(row) for row in rows], **extra}
    place.write_text(json.dumps(written, indent=1) + "\n")
    return place


def machine() -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "sqlite": apsw.sqlite_lib_version(),
        "revision": _revision(),
    }


def _revision() -> str:
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True, cwd=RESULTS.parent
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said.stdout.strip()
