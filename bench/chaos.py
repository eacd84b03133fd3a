"""Campaigns of sudden death on real processes, judged by an oracle.

    python -m bench.chaos                 the crash-point matrix, 80 random kills for each `on_doubt`, 10,000 cancels
    python -m bench.chaos --kills 20 --notifications 4000 --cancels 1000
    python -m bench.chaos --only matrix|resend|hold|cancel
    python -m bench.chaos --only matrix --points plan.planned deliver.claimed

Each campaign posts notifications with idempotency keys while `sendwright up` is killed (SIGKILL) again and again and
restarted over the same file, against providers that take 300 ms: SMS, WhatsApp, and bulk mail of which several share a call.
Afterwards three accounts are joined, for each channel by itself: what callers were answered 202, what the store says, what the
provider took. The exit code is 0 only when all of them agree.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from tests.acceptance.channels import subscribe
from tests.acceptance.harness import Caller, House, Oracle
from tests.acceptance.mail_stand import MailStand

from bench.cancel_race import cancel_race
from bench.channels import Channel, open_attempts, refused, tallies, three
from bench.crash_company import crash_company
from bench.crash_matrix import crash_matrix
from bench.verdict import ENOUGH, Verdict, judge, settle

LATENCY_MS = 300
CANCEL_KILLS = 10


async def random_kills(
    folder: Path, *, kills: int, notifications: int, on_doubt: str, seed: int, patience_ms: int | None = None
) -> Verdict:
    """Posts to three channels all the while, to one of them what shares calls, and kills at random moments at which enough
    attempts are open. With little `patience_ms` for receipts, more doubts become doubles."""
    rng = random.Random(seed)
    oracle, stand = Oracle(folder, latency_ms=LATENCY_MS), MailStand(LATENCY_MS / 1000)
    channels, providers = three(oracle, stand)
    house = House(folder, providers, bent={"patience_ms": patience_ms} if patience_ms is not None else None)
    caller = Caller(house, folder / "ledger")
    verdict = Verdict(f"{kills} kills, {notifications} notifications, on_doubt {on_doubt}, seed {seed}")
    open_: Counter[str] = Counter()
    house.start()
    await asyncio.to_thread(subscribe, house, oracle, "wa", "whatsapp_cloud", "whatsapp_business_account")
    posting = asyncio.create_task(_post_all(caller, channels, notifications, on_doubt, kills))
    try:
        for _ in range(kills):
            open_.update(await _kill_once(house, oracle, stand, verdict, rng))
        await posting
        await asyncio.to_thread(settle, house)
        held = caller.accepted.values() if on_doubt == "hold" else ()
        by_key = {f"key-{number}": channels[number % 3] for number in range(notifications)}
        excused = [caller.accepted[f"key-{number}"] for number in range(1, notifications, 3) if refused(number)]
        judge(verdict, house, oracle, caller, held=held, excused=excused, books=[stand.taken()])
        verdict.tallies += tallies(house, caller, by_key, open_, excused)
    finally:
        posting.cancel()
        house.kill()
        oracle.stop()
        stand.stop()
    return verdict


async def _post_all(caller: Caller, channels: Sequence[Channel], count: int, on_doubt: str, kills: int) -> None:
    """To each channel in turn, and spread over the campaign, so that there is work at every kill."""
    numbers = iter(range(count))
    started = time.monotonic()
    pace = count / max(1.0, kills * 1.5)

    async def one() -> None:
        for number in numbers:
            ahead = number / pace - (time.monotonic() - started)
            if ahead > 0:
                await asyncio.sleep(ahead)
            await caller.post(f"key-{number}", channels[number % 3].body(number, on_doubt=on_doubt))

    await asyncio.gather(*(one() for _ in range(32)))


async def _kill_once(house: House, oracle: Oracle, stand: MailStand, verdict: Verdict, rng: random.Random) -> dict[str, int]:
    """What was open then, by provider."""
    await asyncio.sleep(rng.uniform(0.05, 0.6))
    deadline = time.monotonic() + 10
    while await asyncio.to_thread(_in_flight, oracle, stand) < ENOUGH and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    house.kill()
    verdict.kills += 1
    open_ = await asyncio.to_thread(open_attempts, house)
    verdict.open_at_kill.append(sum(open_.values()))
    verdict.recovery_s.append(await asyncio.to_thread(house.start))
    return open_


def _in_flight(oracle: Oracle, stand: MailStand) -> int:
    return int(oracle.stats()["in_flight"]) + stand.in_flight


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=80)
    parser.add_argument("--notifications", type=int, default=16_000)
    parser.add_argument("--cancels", type=int, default=10_000, help="messages that are cancelled in a race with being sent")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--only", choices=("matrix", "resend", "hold", "cancel"))
    parser.add_argument("--points", nargs="*", default=[], help="only these points of the matrix")
    wish = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory(prefix="sendwright-chaos-") as place:
        if wish.only in {None, "matrix"}:
            good = _matrix(_folder(place, "matrix"), wish.points) and good
        both = [
            random_kills(
                _folder(place, on_doubt),
                kills=wish.kills,
                notifications=wish.notifications,
                on_doubt=on_doubt,
                seed=wish.seed,
            )
            for on_doubt in ("resend", "hold")
            if wish.only in {None, on_doubt}
        ]
        good = _judged(both) and good
        if wish.only in {None, "cancel"}:
            folder, kills = _folder(place, "cancel"), min(wish.kills, CANCEL_KILLS)
            good = _judged([cancel_race(folder, count=wish.cancels, kills=kills, seed=wish.seed)]) and good
    return 0 if good else 1


def _judged(campaigns: Sequence[Coroutine[Any, Any, Verdict]]) -> bool:
    """Runs them at the same time, for each waits more than it works, and prints what they came to; whether all were good."""

    async def run() -> list[Verdict]:
        return await asyncio.gather(*campaigns)

    verdicts = asyncio.run(run())
    for verdict in verdicts:
        print("\n".join(verdict.lines()), flush=True)
    return all(verdict.good for verdict in verdicts)


def _matrix(folder: Path, points: list[str]) -> bool:
    """Prints one line for all that went well, and all that is known of the rest. `points`: these alone, without the stages of a
    shared call."""
    began = time.monotonic()
    verdicts = asyncio.run(crash_matrix(folder, points or None))
    verdicts += [] if points else asyncio.run(crash_company(folder / "company"))
    bad = [verdict for verdict in verdicts if not verdict.good]
    unreached = [verdict.name for verdict in verdicts if not verdict.reached]
    took_s = time.monotonic() - began
    print(f"crash-point matrix: {len(verdicts)} deaths, {len(bad)} bad, {len(unreached)} not reached, in {took_s:.0f} s")
    for verdict in bad:
        print("\n".join(verdict.lines()))
    return not bad


def _folder(place: str, name: str) -> Path:
    folder = Path(place) / name
    folder.mkdir()
    return folder


if __name__ == "__main__":
    sys.exit(main())
