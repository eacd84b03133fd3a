"""Everything that is measured, ours and the peers', in turns: `make bench`.

    python -m bench.run                             three interleaved runs of all, then one-time passwords, rows, memory
    python -m bench.run --quick                     one small run of each: does it work?
    python -m bench.run --only ours                 no peers; or some of accept,end,spread,curves,otp,rows,memory,dashboard
    python -m bench.run --only distributed          spread and curves: over PostgreSQL and RabbitMQ (distributed.py)
    python -m bench.run --peers bullmq,taskiq --n 5000 --runs 5

Markdown on stdout, progress on stderr, everything as JSON in bench/results/. Peers are installed at their first run.
What does not install or run is a row with its error. The exit code is 1 when a row of ours is one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import dashboard, distributed, memory, otp, ours, report, rows
from bench.measure import Row, load_average, words
from bench.peers import race
from bench.peers.contenders import BY_NAME, Peer
from bench.peers.install import installed
from bench.provider import MockProvider
from bench.servers import servers

PARTS = ("accept", "end", "spread", "curves", "otp", "rows", "memory", "dashboard")
DISTRIBUTED = ("spread", "curves")
DELAYS_MS = (0, 50)
NOTIFICATIONS = 20_000
RUNS = 3
QUICK_NOTIFICATIONS = 2_000
QUICK_QUEUED = 10_000


def _note(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _row(table: str, contender: str, delay_ms: int, run: int, measured: Callable[[], dict[str, float]]) -> Row:
    """One measurement; whatever goes wrong is the row's error."""
    _note(f"{table} {contender} {delay_ms} ms, run {run}")
    row = Row(table, contender, delay_ms, run, load_average())
    try:
        row.figures = measured()
    except Exception as error:
        row.error = words(error)
        _note(f"  {row.error}")
    return row


def interleaved(provider: MockProvider, parts: Sequence[str], peers: Sequence[Peer], count: int, runs: int) -> list[Row]:
    """Ours and the peers, one after the other, as many times as there are runs."""
    found = []
    for run in range(1, runs + 1):
        if "accept" in parts:
            found.append(_row("accept", report.OURS, 0, run, lambda: ours.accept(provider, count)))
        for delay_ms in DELAYS_MS if "end" in parts else ():
            found.append(_row("end", report.OURS, delay_ms, run, lambda ms=delay_ms: ours.end_to_end(provider, count, ms)))  # type: ignore[misc]
            found += [
                _row("end", peer.name, delay_ms, run, lambda peer=peer, ms=delay_ms: race.end_to_end(peer, provider, count, ms))  # type: ignore[misc]
                for peer in peers
            ]
    return found


def over_servers(provider: MockProvider, given: argparse.Namespace) -> list[Row]:
    """The distributed set-up, its rounds interleaved like those of the rest; curves once."""
    beside = [peer for peer in given.racing if peer.name in distributed.PEERS]
    count = min(given.n, distributed.NOTIFICATIONS)
    found: list[Row] = []
    try:
        with servers() as there:
            for run in range(1, given.runs + 1):
                for delay_ms in DELAYS_MS if "spread" in given.parts else ():
                    found += distributed.spread(there, provider, beside, count, delay_ms, run, _row)
            if "curves" in given.parts:
                found += distributed.curves(there, provider, given.most, 1, _row)
    except (RuntimeError, AssertionError) as error:
        found.append(Row("spread", report.OURS, 0, 1, load_average(), error=words(error)))
    return found


def _ready(peers: Sequence[Peer]) -> None:
    """Installs what is missing, before anything is measured; a failure shows again in the peer's row."""
    for peer in peers:
        try:
            installed(peer)
        except RuntimeError as error:
            _note(f"{peer.name}: {error}")


def _asked() -> argparse.Namespace:
    asking = argparse.ArgumentParser(prog="python -m bench.run", description=(__doc__ or "").splitlines()[0])
    asking.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}; `ours` for all without the peers")
    asking.add_argument("--peers", default=",".join(BY_NAME), help=f"some of {', '.join(BY_NAME)}, or none")
    asking.add_argument("--n", type=int, help=f"notifications per run, {NOTIFICATIONS:,}; slow peers get fewer")
    asking.add_argument("--runs", type=int, help=f"{RUNS}")
    asking.add_argument("--queued", type=int, help=f"for the memory, {memory.QUEUED:,}")
    asking.add_argument("--stored", type=int, help=f"for the dashboard, {dashboard.STORED:,}")
    asking.add_argument("--most", type=int, help=f"the longest queue and the fullest store of the curves, {distributed.MOST:,}")
    asking.add_argument("--quick", action="store_true", help="one small run of each")
    given = asking.parse_args()
    only = set(given.only.split(","))
    if "distributed" in only:
        only = only - {"distributed"} | set(DISTRIBUTED)
    given.parts = [part for part in PARTS if part in only or only == {"ours"}]
    named = [] if "ours" in only or given.peers == "none" else given.peers.split(",")
    if unknown := [*(only - {*PARTS, "ours"}), *(name for name in named if name not in BY_NAME)]:
        asking.error(f"there is no {', '.join(unknown)}")
    given.racing = [BY_NAME[name] for name in named if {"end", "spread"} & set(given.parts)]
    given.n = given.n or (QUICK_NOTIFICATIONS if given.quick else NOTIFICATIONS)
    given.runs = given.runs or (1 if given.quick else RUNS)
    given.most = given.most or (QUICK_QUEUED if given.quick else distributed.MOST)
    given.queued = given.queued or (QUICK_QUEUED if given.quick else memory.QUEUED)
    given.stored = given.stored or (QUICK_QUEUED if given.quick else dashboard.STORED)
    return given


def main() -> int:
    given = _asked()
    _ready(given.racing)
    extra: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="sendwright-bench-") as folder, MockProvider(Path(folder)) as provider:
        found = interleaved(provider, given.parts, given.racing, given.n, given.runs)
        if set(DISTRIBUTED) & set(given.parts):
            found += over_servers(provider, given)
        if "otp" in given.parts:
            _note("one-time passwords")
            found += otp.campaign(provider, otp.QUICK if given.quick else otp.Campaign())
        if "memory" in given.parts:
            _note(f"memory with {given.queued:,} queued")
            found.append(memory.row(provider, given.queued))
        if "dashboard" in given.parts:
            _note(f"the dashboard with {given.stored:,} stored")
            found += dashboard.rows(provider, given.stored, given.n, given.runs)
    report.show(found)
    if "rows" in given.parts:
        counted = rows.counted(rows.MESSAGES)
        extra["row_writes"] = rows.as_json(counted, rows.MESSAGES)
        for line in rows.lines(counted, rows.MESSAGES):
            print(line)
    asked = {
        "parts": given.parts,
        "peers": [peer.name for peer in given.racing],
        "n": given.n,
        "runs": given.runs,
        "most": given.most,
    }
    place = report.save(found, asked, extra)
    print(f"\nAll figures: {place}", file=sys.stderr)
    return int(any(row.error for row in found if row.contender not in BY_NAME))


if __name__ == "__main__":
    sys.exit(main())
