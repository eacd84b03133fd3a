"""What an installation of a given size can carry, in virtual time.

    python -m simulation.capacity --per-day 100000000 --workers 40 --outage-at-h 11 --outage-min 30

A fluid model, not the engine: notifications flow through tanks, second by second, over a day or more.

    posts ─▶ api ─▶ [intake] ─▶ plan ─▶ [queue] ─▶ deliver ─▶ provider
                                  └────── PostgreSQL, RabbitMQ ──────┘

Every stage takes CPU per notification out of a pool that has so many cores; deliver may also be held by the providers' rate, and
by an outage. What a stage can't take stays in the tank before it. The costs are those that `python -m bench.capacity` has
measured; docs/scaling.md says on what.

Pure: no clock, no chance, no I/O but the printing at the end. Rates are per second, times seconds, costs seconds of CPU.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

DAY_S = 86_400
STEP_S = 30
BUSY = 0.75
"""How much of a core is planned with: beyond it, waiting grows faster than work."""


class Costs(Struct, frozen=True):
    """Seconds of CPU per notification of one message, on a core like the one that was measured, which was a slow one."""

    api: float = 0.00034
    worker: float = 0.00096
    postgres: float = 0.00051
    rabbitmq: float = 0.00026
    plan_share: float = 0.35
    """Of the worker's and the database's cost, what planning takes; delivering and settling take the rest."""


MEASURED = Costs()


class Size(Struct, frozen=True):
    """What there is. A process is one core; a database or a broker has many."""

    apis: int = 2
    workers: int = 4
    postgres_cores: float = 4
    rabbitmq_cores: float = 2
    provider_rate: float = math.inf
    """What all providers together take, per second."""
    concurrency: int = 1000
    """Messages in the works of one worker."""
    answer_s: float = 0.3
    """How long a provider takes to answer."""
    speed: float = 1.0
    """Of a core, against the one that was measured."""


class Load(Struct, frozen=True):
    """What comes."""

    per_day: float
    peak: float = 5.0
    """The highest rate of the day, over the mean."""
    peak_at_s: int = 12 * 3600
    outage_at_s: int = 0
    outage_s: int = 0
    """When all providers are down, and for how long."""

    def rate(self, at_s: float) -> float:
        """Per second, at this time: a floor and a hump around the peak, whose mean is that of the day."""
        return self.per_day / DAY_S * shape(at_s - self.peak_at_s, self.peak)

    def down(self, at_s: float) -> bool:
        return self.outage_at_s <= at_s < self.outage_at_s + self.outage_s


class Minute(Struct, frozen=True):
    """How things stand at a time."""

    at_s: float
    came: float
    left: float
    intake: float
    queue: float
    wait_s: float
    """How long who comes now waits until he is sent, behind those who are there."""
    busy: dict[str, float]
    """Of each pool, the share of its cores that works."""


class Day(Struct, frozen=True):
    """What came of it."""

    minutes: tuple[Minute, ...]
    accepted: float
    sent: float
    refused: float
    """Posts that the APIs had no CPU for: their callers were kept waiting, or answered 503."""

    @property
    def deepest(self) -> Minute:
        return max(self.minutes, key=lambda minute: minute.intake + minute.queue)

    @property
    def slowest(self) -> Minute:
        return max(self.minutes, key=lambda minute: minute.wait_s)

    @property
    def bottleneck(self) -> tuple[str, float]:
        """The pool that came nearest to its end, and how near."""
        worst: dict[str, float] = {}
        for minute in self.minutes:
            for name, busy in minute.busy.items():
                worst[name] = max(worst.get(name, 0.0), busy)
        return max(worst.items(), key=lambda item: item[1])

    def drained_s(self, since_s: float) -> float | None:
        """How long after this time everything that waited was gone; None: not within the day."""
        for minute in self.minutes:
            if minute.at_s >= since_s and minute.wait_s < STEP_S:
                return minute.at_s - since_s
        return None


def shape(off_s: float, peak: float) -> float:
    """A day's curve with mean 1 and this peak: a Gaussian hump over a floor, or flat for a peak of 1."""
    if peak <= 1:
        return 1.0
    floor = min(0.4, 1 / peak)
    width_s = (1 - floor) / (peak - floor) * DAY_S / math.sqrt(2 * math.pi)
    nearest = (off_s + DAY_S / 2) % DAY_S - DAY_S / 2
    return floor + (peak - floor) * math.exp(-(nearest**2) / (2 * width_s**2))


class _Pools:
    """Cores that work off what they are given, in one step."""

    def __init__(self, cores: dict[str, float], step_s: float) -> None:
        self._all = {name: amount * step_s for name, amount in cores.items()}
        self._left = dict(self._all)

    def take(self, wanted: float, costs: dict[str, float]) -> float:
        """How many of these each pool can do; their CPU is gone then."""
        most = min([wanted, *(self._left[name] / cost for name, cost in costs.items() if cost > 0)])
        done = max(0.0, most)
        for name, cost in costs.items():
            self._left[name] -= done * cost
        return done

    def busy(self) -> dict[str, float]:
        return {name: 1 - self._left[name] / amount if amount else 1.0 for name, amount in self._all.items()}


def simulate(load: Load, size: Size, costs: Costs = MEASURED, days: float = 1.0, step_s: float = STEP_S) -> Day:
    """The flow of so many days. Deterministic."""
    cores = {
        "api": size.apis * size.speed,
        "worker": size.workers * size.speed,
        "postgres": size.postgres_cores * size.speed,
        "rabbitmq": size.rabbitmq_cores * size.speed,
    }
    ours = {"worker": costs.worker, "postgres": costs.postgres}
    accepting = {"api": costs.api, "rabbitmq": costs.rabbitmq * 0.5}
    planning = {name: cost * costs.plan_share for name, cost in ours.items()} | {"rabbitmq": costs.rabbitmq * 0.25}
    sending = {name: cost * (1 - costs.plan_share) for name, cost in ours.items()} | {"rabbitmq": costs.rabbitmq * 0.25}
    both = {name: planning[name] + sending[name] for name in planning}
    open_rate = min(size.provider_rate, size.workers * size.concurrency / size.answer_s)
    intake = queue = accepted = sent = refused = 0.0
    minutes = []
    for number in range(round(days * DAY_S / step_s)):
        at_s = number * step_s
        pools = _Pools(cores, step_s)
        came = load.rate(at_s) * step_s
        took = pools.take(came, accepting)
        accepted, refused, intake = accepted + took, refused + came - took, intake + took
        room = 0.0 if load.down(at_s) else open_rate * step_s
        old = pools.take(min(queue, room), sending)  # what is older first
        through = pools.take(min(intake, room - old), both)  # planned, and sent at once
        kept = pools.take(intake - through, planning)
        intake, queue, out = intake - through - kept, queue - old + kept, old + through
        sent += out
        pace = out / step_s
        wait_s = (intake + queue) / pace if pace else (math.inf if intake + queue > 0 else 0.0)
        minutes.append(Minute(at_s, came / step_s, pace, intake, queue, wait_s, pools.busy()))
    return Day(tuple(minutes), accepted, sent, refused)


def needed(load: Load, costs: Costs = MEASURED, speed: float = 1.0, busy: float = BUSY, answer_s: float = 0.3) -> Size:
    """The smallest installation that carries the peak with so much of each core at work; two of each for one to fail."""
    peak = load.per_day / DAY_S * max(1.0, load.peak)

    def cores(cost: float) -> float:
        return peak * cost / speed / busy

    size = Size(answer_s=answer_s, speed=speed)
    open_workers = peak * answer_s / size.concurrency
    return replace(
        size,
        apis=max(2, math.ceil(cores(costs.api))),
        workers=max(2, math.ceil(max(cores(costs.worker), open_workers))),
        postgres_cores=max(1.0, float(math.ceil(cores(costs.postgres)))),
        rabbitmq_cores=max(1.0, float(math.ceil(cores(costs.rabbitmq)))),
    )


def lines(day: Day, load: Load, size: Size) -> Iterator[str]:
    """What is printed: the installation, the day by hours, and what it comes to."""
    cores = f"PostgreSQL {size.postgres_cores:g} cores, RabbitMQ {size.rabbitmq_cores:g}"
    yield f"{size.apis} APIs, {size.workers} workers, {cores}"
    yield f"{load.per_day:,.0f} a day, {load.per_day / DAY_S:,.0f}/s, peak x{load.peak:g}"
    yield ""
    yield "| hour | come /s | sent /s | queued | wait | api | worker | PostgreSQL | RabbitMQ |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for minute in day.minutes[:: round(3600 / (day.minutes[1].at_s - day.minutes[0].at_s))]:
        busy = " | ".join(f"{minute.busy[name]:.0%}" for name in ("api", "worker", "postgres", "rabbitmq"))
        figures = f"{minute.came:,.0f} | {minute.left:,.0f} | {minute.intake + minute.queue:,.0f} | {span(minute.wait_s)}"
        yield f"| {minute.at_s / 3600:.0f} | {figures} | {busy} |"
    yield ""
    deepest, slowest, (name, near) = day.deepest, day.slowest, day.bottleneck
    yield f"accepted {day.accepted:,.0f}, sent {day.sent:,.0f}, not let in {day.refused:,.0f}"
    yield f"deepest queue {deepest.intake + deepest.queue:,.0f} at {clock(deepest.at_s)}; longest wait {span(slowest.wait_s)}"
    yield f"nearest to its end: {name}, {near:.0%} at most"
    if load.outage_s:
        drained = day.drained_s(load.outage_at_s + load.outage_s)
        shown = "not within the day" if drained is None else span(drained)
        yield f"after the outage of {span(load.outage_s)}: drained {shown}"


def span(seconds: float) -> str:
    """A duration to read: whatever passes within one step of the model counts as none."""
    if math.isinf(seconds):
        return "stands"
    if seconds < STEP_S:
        return f"< {STEP_S} s"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def clock(at_s: float) -> str:
    return f"{int(at_s // 3600):02}:{int(at_s % 3600 // 60):02}"


def asked(arguments: Sequence[str]) -> tuple[Load, Size, Costs, float]:
    """What the command line asks for. Where no workers are named, as much of everything as is needed."""
    parser = argparse.ArgumentParser(
        prog="python -m simulation.capacity", description="An installation under a day's load, in virtual time."
    )
    parser.add_argument("--per-day", type=float, default=1e8, help="notifications a day")
    parser.add_argument("--peak", type=float, default=5.0, help="the highest rate of the day, over the mean")
    parser.add_argument("--apis", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--postgres-cores", type=float)
    parser.add_argument("--rabbitmq-cores", type=float)
    parser.add_argument("--provider-rate", type=float, default=math.inf, help="what all providers take, per second")
    parser.add_argument("--answer-s", type=float, default=0.3, help="how long a provider takes to answer")
    parser.add_argument("--speed", type=float, default=1.0, help="of a core, against the measured one")
    parser.add_argument("--outage-at-h", type=float, default=0.0, help="when all providers go down")
    parser.add_argument("--outage-min", type=float, default=0.0, help="for how many minutes")
    parser.add_argument("--days", type=float, default=1.0)
    given = parser.parse_args(arguments)
    load = Load(given.per_day, given.peak, outage_at_s=round(given.outage_at_h * 3600), outage_s=round(given.outage_min * 60))
    size = replace(needed(load, speed=given.speed, answer_s=given.answer_s), provider_rate=given.provider_rate)
    named = {name: getattr(given, name) for name in ("apis", "workers", "postgres_cores", "rabbitmq_cores")}
    chosen = {name: value for name, value in named.items() if value is not None}
    return load, replace(size, **chosen), MEASURED, given.days


def main(arguments: Iterable[str] | None = None) -> None:
    load, size, costs, days = asked(list(sys.argv[1:] if arguments is None else arguments))
    for line in lines(simulate(load, size, costs, days), load, size):
        print(line)


if __name__ == "__main__":
    main()
