"""Campaigns on the real engines: several processes over a PostgreSQL and a bus of their own, judged by an oracle.

    python -m bench.chaos_long                      300 kills -9: 240 of our processes, 30 of the broker, 30 of the database
    python -m bench.chaos_long --kills 1000 --seed 7
    python -m bench.chaos_long --kills 60 --hold    every message is held in doubt: nothing may be sent twice
    python -m bench.chaos_long --cancels 10000 --keys 10000x100 --purge --rolling 50 --outage 60 --parked 100000 --poison
    python -m bench.chaos_long --engine sqs --kills 100     any of these over the strict SQS fake, which misbehaves all along

Without a flag that names another campaign it is the kills; with some, it is those. Afterwards three accounts are joined: what
callers were answered 202, what the store says, what the provider took. The exit code is 0 only when all of them agree.
docs/chaos.md says what each figure means.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.cancel_several import cancel_several
from bench.key_storm import key_storm
from bench.kill_campaign import kill_campaign
from bench.outage import store_outage
from bench.own_bus import BUSES, RABBITMQ
from bench.own_engines import Engines, own_engines
from bench.parked import provider_down
from bench.poison import poison
from bench.purges import purge_channel_lane, purge_intake_lane
from bench.rolling import rolling_restart
from bench.several_verdict import Account

KILLS = 300
Campaign = Callable[[Engines, Path], Coroutine[Any, Any, Account]]


def campaigns(wish: argparse.Namespace) -> Iterator[tuple[str, Campaign]]:
    """What was asked for, in order."""
    others = (wish.cancels, wish.keys, wish.purge, wish.rolling, wish.outage, wish.parked, wish.poison)
    kills = KILLS if wish.kills is None and not any(others) else wish.kills
    seed, rate = wish.seed, wish.rate
    if kills:
        yield "kills", lambda e, f: kill_campaign(e, f, kills=kills, rate=rate, seed=seed, hold=wish.hold, tell=True)
    if wish.cancels:
        yield "cancels", lambda e, f: cancel_several(e, f, count=wish.cancels, kills=min(20, wish.cancels // 500), seed=seed)
    if wish.keys:
        keys, callers = (int(part) for part in wish.keys.split("x"))
        yield "keys", lambda e, f: key_storm(e, f, keys=keys, callers=callers, kills=max(2, min(30, keys // 50)), seed=seed)
    if wish.poison:
        yield "poison", lambda e, f: poison(e, f, count=400)
    if wish.purge:
        yield "lane", lambda e, f: purge_channel_lane(e, f, count=2000)
        yield "intake", lambda e, f: purge_intake_lane(e, f, count=400)
    if wish.rolling:
        yield "rolling", lambda e, f: rolling_restart(e, f, restarts=wish.rolling, rate=rate)
    if wish.outage:
        yield "outage", lambda e, f: store_outage(e, f, away_s=wish.outage, rate=rate)
    if wish.parked:
        yield (
            "parked",
            lambda e, f: provider_down(e, f, count=wish.parked, rate=max(50, wish.parked // 200), samples=200, idle_s=15),
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=[*BUSES], default=RABBITMQ, help=f"the bus; {RABBITMQ} unless told otherwise")
    parser.add_argument("--kills", type=int, help=f"kill -9 as often; {KILLS} where nothing is named")
    parser.add_argument("--rate", type=float, default=120, help="posts a second")
    parser.add_argument("--hold", action="store_true", help="with --kills: every message is held in doubt")
    parser.add_argument("--cancels", type=int, help="messages that are cancelled in a race with being sent")
    parser.add_argument("--keys", metavar="NxM", help="N keys, each used by M callers")
    parser.add_argument("--poison", action="store_true", help="a poisonous parcel in every bundle")
    parser.add_argument("--purge", action="store_true", help="a channel's lane, and the intake")
    parser.add_argument("--rolling", type=int, help="restarts by SIGTERM")
    parser.add_argument("--outage", type=float, help="seconds for which the store is away")
    parser.add_argument("--parked", type=int, help="messages of a provider that is down")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--keep", type=Path, help="a folder for what the processes say, kept afterwards")
    wish = parser.parse_args()
    good = True
    with _place(wish.keep) as place, own_engines(bus=wish.engine, seed=wish.seed) as engines:
        for name, campaign in campaigns(wish):
            began = time.monotonic()
            (place / name).mkdir()
            made = asyncio.run(campaign(engines, place / name))
            made.notes += engines.bus.said()
            print("\n".join(made.lines()))
            print(f"  took {time.monotonic() - began:.0f} s", flush=True)
            good = good and made.good
    return 0 if good else 1


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
