"""python -m simulation: many seeds, or one with its trace."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from simulation.draw import FAULTS
from simulation.world import TAIL, Verdict, simulate

BRANCHES = (
    "doubt_held", "resend", "repeat", "repeat_known", "failover", "retry", "next_step", "doubt_settled", "repaired", "doubled",
    "redelivered", "zombie", "zombie_write", "refused_state", "refused_number", "refused_epoch", "refused_expired",
    "breaker_open", "breaker_closed", "cancelled", "expired", "failed", "sent", "delivered", "read",
    "cancel_too_late", "cancel_unplanned", "by_hand_resolve", "by_hand_revive", "switched", "outcome_accepted",
    "outcome_rejected", "outcome_later", "outcome_unsure", "outcome_misconfigured",
    "shared", "shared_lost", "shared_refused", "shared_put_off", "one_of_many",
)  # fmt: skip
"""What the engine may come to, as the traces name it. With draw.FAULTS: what must occur, or nothing was shown."""
HOUR = 1 / 24


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m simulation", description="The real engine, in virtual time, under faults.")
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--start", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--trace", action="store_true", help="with --seed: everything that happens")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--days", type=float, default=HOUR, help="the span that each simulates; an hour unless given")
    parser.add_argument("--keep-going", action="store_true", help="past a broken seed")
    asked = parser.parse_args(words)
    if asked.seed is not None:
        return _one(asked.seed, asked.days, trace=asked.trace)
    return _many(range(asked.start, asked.start + asked.seeds), asked.days, asked.jobs, on=asked.keep_going)


def _one(seed: int, days: float, *, trace: bool) -> int:
    verdict = simulate(seed, days, tail=None if trace else TAIL)
    if trace and not verdict.broken:
        print("\n".join(verdict.tail))
    _say(verdict, days)
    return 1 if verdict.broken else 0


def _many(seeds: range, days: float, jobs: int, *, on: bool) -> int:
    began, cpu_s, clean, messages = time.monotonic(), 0.0, 0, 0
    seen: Counter[str] = Counter()
    broken = 0
    for verdict in _verdicts(seeds, days, jobs):
        cpu_s += verdict.cpu_s
        messages += verdict.messages
        seen.update(set(verdict.seen))
        if verdict.broken:
            broken += 1
            _say(verdict, days)
            if not on:
                break
        else:
            clean += 1
    _table(seen, clean + broken)
    ran = clean + broken
    print(
        f"{ran} seeds, {clean} clean, {broken} broken; {messages} messages; "
        f"{cpu_s / max(1, ran):.3f} s of CPU a seed, {time.monotonic() - began:.0f} s in all"
    )
    return 1 if broken else 0


def _verdicts(seeds: range, days: float, jobs: int) -> Iterator[Verdict]:
    if jobs == 1:
        yield from (simulate(seed, days) for seed in seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        try:
            yield from pool.map(partial(simulate, days=days), seeds, chunksize=8)
        except GeneratorExit:
            pool.shutdown(cancel_futures=True)
            raise


def _say(verdict: Verdict, days: float) -> None:
    if not verdict.broken:
        print(f"seed {verdict.seed}: clean; {verdict.messages} messages, {verdict.cpu_s:.3f} s of CPU, trace {verdict.hash[:16]}")
        return
    for line in verdict.tail:
        print(line)
    for broken in verdict.broken[:5]:
        print(f"seed {verdict.seed}: {broken.invariant} is broken: {broken.what}")
    span = "" if days == HOUR else f" --days {days:g}"
    print(f"replay it: python -m simulation --seed {verdict.seed} --trace{span}")


def _table(seen: Counter[str], ran: int) -> None:
    """In how many seeds each kind of fault, and each branch of the engine, occurred: an idle simulation proves nothing."""
    points = sum(1 for name in seen if name.startswith("at:"))
    print(f"\nIn how many of {ran} seeds it occurred (deaths at {points} different crash points):")
    for title, names in (("faults", FAULTS), ("branches", BRANCHES)):
        print(f"  {title}")
        for row in _rows(names, 3):
            print("    " + "  ".join(f"{name:<22}{seen[name]:>6}" for name in row))


def _rows(names: Iterable[str], wide: int) -> Iterator[tuple[str, ...]]:
    names = iter(names)
    while row := tuple(itertools.islice(names, wide)):
        yield row


if __name__ == "__main__":
    sys.exit(main())
