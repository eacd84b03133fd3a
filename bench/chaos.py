"""Campaigns of sudden death on real processes, judged by an oracle.

    python -m bench.chaos                 the crash-point matrix, then 100 random kills for each `on_doubt`
    python -m bench.chaos --kills 20 --notifications 4000
    python -m bench.chaos --only matrix|resend|hold

Each campaign posts notifications with idempotency keys while `sendwright up` is killed (SIGKILL) again and again and
restarted over the same file, against a provider that takes 300 ms. Afterwards three accounts are joined: what callers
were answered 202, what the store says, what the provider took. The exit code is 0 only when all of them agree.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sendwright.model import ids
from tests.acceptance.crash_points import crash_points
from tests.acceptance.harness import Caller, House, Oracle, sms, twilio, wait_until

LATENCY_MS = 300
OPEN_AT_KILL = 20
SETTLED = {"sent", "delivered", "read", "in_doubt", "failed", "expired", "cancelled", "suppressed"}
QUIET_S = 120


@dataclass
class Verdict:
    """What a campaign came to. `lost` and `unexplained` must be empty."""

    name: str
    accepted: int = 0
    kills: int = 0
    open_at_kill: list[int] = field(default_factory=list)
    recovery_s: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: dict[str, list[str]] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)
    in_doubt: list[str] = field(default_factory=list)
    listed: int = 0
    wrong: list[str] = field(default_factory=list)
    audit: list[Any] = field(default_factory=list)

    @property
    def good(self) -> bool:
        bounded = len(self.doubled) + len(self.in_doubt) <= sum(self.open_at_kill)
        return bounded and not (self.lost or self.unlisted or self.wrong or self.audit)

    def lines(self) -> Iterator[str]:
        yield f"{self.name}: {'good' if self.good else 'BAD'}"
        yield f"  accepted {self.accepted}, kills {self.kills}, lost {len(self.lost)}"
        yield f"  doubled {len(self.doubled)} (listed by doubled=true: {self.listed}), in doubt {len(self.in_doubt)}"
        if self.open_at_kill:
            enough = sum(n >= OPEN_AT_KILL for n in self.open_at_kill)
            yield f"  attempts open at the kills {sum(self.open_at_kill)}, at least {OPEN_AT_KILL} at {enough} of {self.kills}"
        if self.recovery_s:
            ordered = sorted(self.recovery_s)
            yield f"  ready again after {ordered[len(ordered) // 2]:.2f} s (median), {ordered[-1]:.2f} s (most)"
        for message, attempts in list(self.doubled.items())[:5]:
            yield f"    doubled {message}: {' '.join(attempts)}"
        for name in ("lost", "unlisted", "wrong", "audit"):
            for row in getattr(self, name)[:10]:
                yield f"    {name}: {row}"


async def random_kills(folder: Path, *, kills: int, notifications: int, on_doubt: str, seed: int) -> Verdict:
    """Posts all the while and kills at random moments at which enough attempts are open."""
    rng = random.Random(seed)
    oracle = Oracle(folder, latency_ms=LATENCY_MS)
    house = House(folder, twilio(oracle, concurrency=200))
    caller = Caller(house, folder / "ledger")
    verdict = Verdict(f"{kills} kills, {notifications} notifications, on_doubt {on_doubt}, seed {seed}")
    house.start()
    posting = asyncio.create_task(_post_all(caller, notifications, on_doubt, kills))
    try:
        for _ in range(kills):
            await _kill_once(house, oracle, verdict, rng)
        await posting
        await asyncio.to_thread(_settle, house)
        _judge(verdict, house, oracle, caller, on_doubt)
    finally:
        posting.cancel()
        house.kill()
        oracle.stop()
    return verdict


async def _post_all(caller: Caller, count: int, on_doubt: str, kills: int) -> None:
    """Spread over the campaign, so that there is work at every kill."""
    numbers = iter(range(count))
    started = time.monotonic()
    pace = count / max(1.0, kills * 1.5)

    async def one() -> None:
        for number in numbers:
            ahead = number / pace - (time.monotonic() - started)
            if ahead > 0:
                await asyncio.sleep(ahead)
            await caller.post(f"key-{number}", sms(number, on_doubt=on_doubt))

    await asyncio.gather(*(one() for _ in range(32)))


async def _kill_once(house: House, oracle: Oracle, verdict: Verdict, rng: random.Random) -> None:
    await asyncio.sleep(rng.uniform(0.05, 0.6))
    deadline = time.monotonic() + 10
    while (in_flight := (await asyncio.to_thread(oracle.stats))["in_flight"]) < OPEN_AT_KILL and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    house.kill()
    verdict.kills += 1
    verdict.open_at_kill.append(in_flight)
    verdict.recovery_s.append(await asyncio.to_thread(house.start))


def _settle(house: House) -> None:
    """Until nothing moves any more: doubts take their time for receipts."""

    def quiet() -> bool:
        counts = house.counts()
        return not any(counts.get(state) for state in ("accepted", "queued", "sending", "scheduled"))

    wait_until(quiet, QUIET_S, "everything settled", every_s=0.5)


def _judge(verdict: Verdict, house: House, oracle: Oracle, caller: Caller, on_doubt: str) -> None:
    taken = oracle.taken()
    verdict.accepted = len(caller.accepted)
    verdict.doubled = taken.doubled
    listed = {row["id"] for row in house.pages("/v1/messages?doubled=true")}
    verdict.listed = len(listed)
    verdict.unlisted = [message for message in taken.doubled if message not in listed]
    verdict.in_doubt = [row["id"] for row in house.pages("/v1/messages?state=in_doubt")]
    doubts = set(verdict.in_doubt)
    for id_ in caller.accepted.values():
        message = ids.message_id(id_, 0)
        if message not in taken.by_message and message not in doubts:
            verdict.lost.append(message)
    known = {ids.message_id(id_, 0) for id_ in caller.accepted.values()}
    verdict.wrong += [f"{message} was sent and never accepted" for message in taken.by_message.keys() - known]
    if on_doubt == "hold":
        verdict.wrong += [f"{message} was sent twice although held" for message in taken.doubled]
    counts = house.counts()
    verdict.wrong += [f"{count} messages {state}" for state, count in counts.items() if state not in SETTLED and count]
    if sum(counts.values()) != len(known):
        verdict.wrong.append(f"{sum(counts.values())} messages stored, {len(known)} accepted")
    verdict.audit = house.api("GET", "/v1/audit")[1]["violations"]


async def crash_matrix(folder: Path, *, on_doubt: str, points: list[str] | None = None) -> list[Verdict]:
    """Dies once at every crash point between accept and settle, restarts, and must lose nothing."""
    verdicts = []
    for point in points or crash_points():
        place = folder / f"{on_doubt}-{point}"
        place.mkdir()
        verdicts.append(await _crash_at(place, point, on_doubt))
    return verdicts


async def _crash_at(folder: Path, point: str, on_doubt: str) -> Verdict:
    """Everything that can happen happens around the crash: sends, a refusal, a retry, receipts, a scheduled one."""
    oracle = Oracle(folder, latency_ms=20)
    oracle.faults(
        [
            {"match": {"to_prefix": "+15005551"}, "share": 1.0, "do": "status", "status": 503, "count": 3},
            {"match": {"to_prefix": "+15005552"}, "share": 1.0, "do": "reset_after", "count": 1},
        ]
    )
    house = House(folder, twilio(oracle), extra="[retry]\nbase_s = 0.2\ncap_s = 1\n[breaker]\nfailures = 100\n")
    caller = Caller(house, folder / "ledger")
    verdict = Verdict(f"{point} ({on_doubt})")
    try:
        house.start({"SENDWRIGHT_CRASH": f"{point}:2"}, ready=False)
        posting = asyncio.create_task(_post_mixed(caller, on_doubt))
        await asyncio.to_thread(_until_dead, house)
        died = house.process is not None and house.process.child.poll() is not None
        if died:
            verdict.kills = 1
            verdict.recovery_s.append(await asyncio.to_thread(house.start))
        await posting
        await asyncio.to_thread(_settle, house)
        verdict.open_at_kill.append(12)
        _judge(verdict, house, oracle, caller, on_doubt)
    finally:
        house.kill()
        oracle.stop()
    return verdict


def _until_dead(house: House) -> None:
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        if house.process is not None and house.process.child.poll() is not None:
            return
        time.sleep(0.02)


async def _post_mixed(caller: Caller, on_doubt: str) -> None:
    bodies = [sms(number, on_doubt=on_doubt) for number in range(8)]
    bodies += [{**sms(0, on_doubt=on_doubt), "to": {"phone": f"+1500555{kind}234"}} for kind in (1, 2)]
    await asyncio.gather(*(caller.post(f"key-{number}", body) for number, body in enumerate(bodies)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--notifications", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--only", choices=("matrix", "resend", "hold"))
    wish = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory(prefix="sendwright-chaos-") as place:
        if wish.only in {None, "matrix"}:
            verdicts = asyncio.run(crash_matrix(_folder(place, "matrix"), on_doubt="resend"))
            reached = sum(verdict.kills for verdict in verdicts)
            bad = [verdict for verdict in verdicts if not verdict.good]
            print(f"crash-point matrix: {len(verdicts)} points, {reached} died there, {len(bad)} bad")
            for verdict in bad:
                print("\n".join(verdict.lines()))
            good = good and not bad
        for on_doubt in ("resend", "hold"):
            if wish.only in {None, on_doubt}:
                campaign = random_kills(
                    _folder(place, on_doubt),
                    kills=wish.kills,
                    notifications=wish.notifications,
                    on_doubt=on_doubt,
                    seed=wish.seed,
                )
                verdict = asyncio.run(campaign)
                print("\n".join(verdict.lines()), flush=True)
                good = good and verdict.good
    return 0 if good else 1


def _folder(place: str, name: str) -> Path:
    folder = Path(place) / name
    folder.mkdir()
    return folder


if __name__ == "__main__":
    sys.exit(main())
