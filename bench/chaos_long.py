"""Campaigns on the real engines: several processes over a PostgreSQL and a RabbitMQ of their own, judged by an oracle.

    python -m bench.chaos_long                      300 kills -9: 240 of our processes, 30 of the broker, 30 of the database
    python -m bench.chaos_long --kills 1000 --seed 7
    python -m bench.chaos_long --hold               the same, every message held in doubt: nothing may be sent twice

Afterwards three accounts are joined: what callers were answered 202, what the store says, what the provider took. The exit code is
0 only when all of them agree. docs/chaos.md says what each figure means.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.kill_campaign import kill_campaign
from bench.own_engines import own_engines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--rate", type=float, default=120, help="posts a second")
    parser.add_argument("--hold", action="store_true", help="every message is held in doubt")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--keep", type=Path, help="a folder for what the processes say, kept afterwards")
    wish = parser.parse_args()
    began = time.monotonic()
    with _place(wish.keep) as place, own_engines() as engines:
        made = asyncio.run(
            kill_campaign(engines, place, kills=wish.kills, rate=wish.rate, seed=wish.seed, hold=wish.hold, tell=True)
        )
    print("\n".join(made.lines()))
    print(f"  took {time.monotonic() - began:.0f} s", flush=True)
    return 0 if made.good else 1


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="sendwright-chaos-") as place:
        yield Path(place)


if __name__ == "__main__":
    sys.exit(main())
