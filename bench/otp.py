"""One-time passwords during a blast: how long from accept to the provider, idle and while bulk flows.

    python -m bench.otp [--rounds 5] [--passwords 1000] [--per-s 20] [--bulk 100000] [--delay-ms 50] [--quick]

Each round starts Sendwright anew, posts its share of the passwords (`critical`) while nothing else goes on, then posts
the bulk, and while that flows posts as many passwords again. The schedule is open: a password is posted when its time
has come, however the ones before fare. `accept` counts from the caller's 202 to the provider's reading of the request,
`post` from the moment it was due to be posted; both ends are clocks of this machine. A latency from accept can be
slightly negative: the provider may be called before the caller has read its 202.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from tests.acceptance.harness import ADMIN_KEY, House, twilio

from bench import report
from bench.measure import Row, load_average, percentile, words
from bench.ours import CONCURRENCY, CONNECTIONS, caller, running
from bench.provider import MockProvider

WINDOW_S = 5.0
"""Over which the unloaded bulk rate is taken."""
STRAGGLERS_S = 10.0
REST_S = 2.0
"""How long a connection may rest and be used again."""
POST_S = 600


@dataclass
class Posted:
    """One password: when it was due, and when its 202 was read."""

    number: int
    due: float
    accepted: float = 0.0


@dataclass
class Campaign:
    """What is asked for."""

    rounds: int = 5
    passwords: int = 1000
    """In all rounds together, for each of idle and blast."""
    per_s: float = 20
    bulk: int = 100_000
    delay_ms: int = 50

    @property
    def each(self) -> int:
        return max(1, self.passwords // self.rounds)


QUICK = Campaign(rounds=2, passwords=80, bulk=20_000)


@dataclass
class _Seen:
    """Latencies in ms."""

    accept: list[float] = field(default_factory=list)
    post: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        return {
            "passwords": len(self.post),
            "accept_p50_ms": percentile(self.accept, 0.5),
            "accept_p99_ms": percentile(self.accept, 0.99),
            "post_p50_ms": percentile(self.post, 0.5),
            "post_p99_ms": percentile(self.post, 0.99),
            "post_max_ms": max(self.post),
        }


class Poster:
    """Posts passwords over kept-alive connections, as many as the schedule needs."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post_all(self, first: int, count: int, per_s: float) -> list[Posted]:
        """At `per_s`, whatever the answers; returns when all are answered."""
        loop = asyncio.get_running_loop()
        began, began_unix = loop.time() + 0.1, time.time() + 0.1
        posting = []
        for index in range(count):
            await asyncio.sleep(max(0.0, began + index / per_s - loop.time()))
            posting.append(asyncio.create_task(self._post(Posted(first + index, began_unix + index / per_s))))
        return await asyncio.gather(*posting)

    async def _post(self, posted: Posted) -> Posted:
        what = {"to": {"phone": "+14155550100"}, "content": {"body": f"Your code: otp-{posted.number}"}, "priority": "critical"}
        body = json.dumps(what).encode()
        head = (
            f"POST /v1/notifications HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {ADMIN_KEY}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        reader, writer = await self._connection()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        said = await reader.readexactly(length)
        posted.accepted = time.time()
        if not answer.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(f"a password was not accepted: {said[:200]!r}")
        self._idle.append((time.monotonic(), reader, writer))
        return posted

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The one used last, or a new one: the server closes those that rest for seconds."""
        while self._idle:
            used, reader, writer = self._idle.pop()
            if time.monotonic() - used < REST_S:
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._house.port)

    def close(self) -> None:
        for _, _, writer in self._idle:
            writer.close()


async def _passwords(house: House, provider: MockProvider, first: int, asked: Campaign) -> _Seen:
    """Posts a round's share, then joins it with what the provider saw."""
    poster = Poster(house)
    try:
        posted = await poster.post_all(first, asked.each, asked.per_s)
    finally:
        poster.close()
    deadline = time.monotonic() + STRAGGLERS_S
    while True:
        arrivals = await asyncio.to_thread(provider.get, "/arrivals")
        missing = [one for one in posted if str(one.number) not in arrivals]
        if not missing:
            break
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(missing)} of {len(posted)} passwords did not reach the provider in {STRAGGLERS_S:.0f} s")
        await asyncio.sleep(0.2)
    seen = _Seen()
    for one in posted:
        arrived = arrivals[str(one.number)]
        seen.accept.append((arrived - one.accepted) * 1000)
        seen.post.append((arrived - one.due) * 1000)
    return seen


async def _round(provider: MockProvider, asked: Campaign) -> tuple[_Seen, _Seen, dict[str, float]]:
    settings = twilio(provider, concurrency=CONCURRENCY)  # type: ignore[arg-type]
    with running(House, settings) as house, caller(house, "bulk", CONNECTIONS) as posting:
        posting.ready()
        provider.reset(asked.delay_ms)
        await asyncio.to_thread(posting.ask, 200, 60)
        await _passwords(house, provider, 900_000, Campaign(rounds=1, passwords=5, per_s=asked.per_s))
        provider.reset(asked.delay_ms)
        idle = await _passwords(house, provider, 0, asked)
        provider.reset(asked.delay_ms)
        answer = await asyncio.to_thread(posting.ask, asked.bulk, POST_S)
        window_s = min(WINDOW_S, asked.each / asked.per_s)
        unloaded = await _bulk_rate(provider, asyncio.sleep(window_s))
        before = (await asyncio.to_thread(provider.get, "/stats"))["n"]
        collecting = asyncio.create_task(_passwords(house, provider, 100_000, asked))
        loaded = await _bulk_rate(provider, asyncio.sleep(asked.each / asked.per_s), passwords=asked.each)
        blast = await collecting
        done = (await asyncio.to_thread(provider.get, "/stats"))["n"]
        bulk = {
            "bulk_accept_rate": answer["rate"],
            "bulk_rate_alone": unloaded,
            "bulk_rate_with_passwords": loaded,
            "bulk_waiting_at_start": asked.bulk - before,
            "bulk_waiting_at_end": max(0, asked.bulk + asked.each - done),
        }
        if not bulk["bulk_waiting_at_end"]:
            del bulk["bulk_rate_with_passwords"]  # it ran out meanwhile
        return idle, blast, bulk


async def _bulk_rate(provider: MockProvider, meanwhile: Any, passwords: int = 0) -> float:
    began, before = time.monotonic(), (await asyncio.to_thread(provider.get, "/stats"))["n"]
    await meanwhile
    after = (await asyncio.to_thread(provider.get, "/stats"))["n"]
    return float((after - before - passwords) / (time.monotonic() - began))


def campaign(provider: MockProvider, asked: Campaign) -> list[Row]:
    """Three rows: idle and blast over all rounds' passwords, and the bulk by rounds."""
    rows = []
    idle, blast = _Seen(), _Seen()
    for number in range(1, asked.rounds + 1):
        load = load_average()
        try:
            quiet, loud, bulk = uvloop.run(_round(provider, asked))
        except Exception as error:
            rows.append(Row("bulk", "ours", asked.delay_ms, number, load, error=words(error)))
            continue
        for seen, found in ((idle, quiet), (blast, loud)):
            seen.accept += found.accept
            seen.post += found.post
        rows.append(Row("bulk", "ours", asked.delay_ms, number, load, bulk))
    for name, seen in (("idle", idle), ("blast", blast)):
        if seen.post:
            rows.append(Row("otp", name, asked.delay_ms, 0, load_average(), seen.figures()))
    return rows


def main() -> None:
    asking = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    usual = Campaign()
    asking.add_argument("--rounds", type=int, default=usual.rounds)
    asking.add_argument("--passwords", type=int, default=usual.passwords)
    asking.add_argument("--per-s", type=float, default=usual.per_s)
    asking.add_argument("--bulk", type=int, default=usual.bulk)
    asking.add_argument("--delay-ms", type=int, default=usual.delay_ms)
    asking.add_argument("--quick", action="store_true")
    given = asking.parse_args()
    asked = QUICK if given.quick else Campaign(given.rounds, given.passwords, given.per_s, given.bulk, given.delay_ms)
    with tempfile.TemporaryDirectory() as folder, MockProvider(Path(folder)) as provider:
        report.show(campaign(provider, asked))


if __name__ == "__main__":
    main()
