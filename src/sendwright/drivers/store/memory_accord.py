"""What workers agree on, in memory: one object stands for the store that several simulated processes share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from sendwright.engine.ports import Clock
from sendwright.model.accord import Bar, Block, Change, Picture, Standing, Total
from sendwright.model.notices import Notice
from sendwright.policy.limit import again_at, cut


class MemoryAccord:
    """ports.Accord, and ports.Registry, by whose beats it knows who lives."""

    def __init__(
        self,
        clock: Clock,
        epoch: Callable[[], int] = lambda: 1,
        keep: Callable[[Sequence[Notice]], None] = lambda _notices: None,
    ) -> None:
        """`keep` makes events of notices."""
        self._clock = clock
        self._epoch = epoch
        self._keep = keep
        self._rates: dict[str, tuple[float, float]] = {}
        self._bars: dict[str, Bar] = {}
        self._standings: dict[tuple[str, str], Standing] = {}
        self._beaten_at: dict[str, float] = {}

    async def lease(self, provider: str, want: int, cell_s: float, reach_s: float, *, urgent: bool) -> Block:
        now = self._clock.monotonic()
        tat, kept_until = self._rates.get(provider, (0.0, 0.0))
        found = cut(tat, kept_until, now, want, cell_s, reach_s, urgent=urgent)
        self._rates[provider] = (found.tat, found.kept_until)
        return Block(now, found.first, found.count, 0.0 if found.count else again_at(found.first, kept_until, urgent=urgent))

    async def move(
        self, provider: str, version: int, change: Change, *, when_due: bool = False, notices: Sequence[Notice] = ()
    ) -> Bar | None:
        now, bar = self._clock.monotonic(), self._bars.get(provider)
        if bar is not None and (bar.version != version or (when_due and bar.probe_at > now)):
            return None
        c, following = change, 1 if bar is None else bar.version + 1
        probe_at, probe_until = now + c.probe_in_s, now + c.probing_s
        bar = Bar(provider, following, c.shut, c.why, c.misconfigured, c.interval_s, probe_at, probe_until)
        self._bars[provider] = bar
        self._keep(notices)
        return bar

    async def exchange(self, process: str, news: Sequence[Standing], lease_s: float) -> Picture:
        for standing in news:
            self._standings[process, standing.provider] = standing
        rates = tuple((provider, tat) for provider, (tat, _) in self._rates.items())
        return Picture(self._clock.monotonic(), self._epoch(), tuple(self._bars.values()), rates, self._totals(lease_s))

    async def beat(self, process: str, lease_s: float) -> frozenset[str]:
        self._beaten_at[process] = self._clock.monotonic()
        return self._living(lease_s)

    async def leave(self, process: str) -> None:
        self._beaten_at.pop(process, None)
        self._standings = {key: standing for key, standing in self._standings.items() if key[0] != process}

    def _living(self, lease_s: float) -> frozenset[str]:
        now = self._clock.monotonic()
        return frozenset(process for process, at in self._beaten_at.items() if now - at < lease_s)

    def _totals(self, lease_s: float) -> tuple[Total, ...]:
        living, by_provider = self._living(lease_s), defaultdict[str, list[Standing]](list)
        for (process, provider), standing in self._standings.items():
            if process in living:
                by_provider[provider].append(standing)
        return tuple(_total(provider, said) for provider, said in by_provider.items())


def _total(provider: str, said: Sequence[Standing]) -> Total:
    calls = sum(s.calls for s in said)
    latency_ms = sum(s.latency_ms * s.calls for s in said) / calls if calls else 0.0
    in_flight, waiting, good = sum(s.in_flight for s in said), sum(s.waiting for s in said), sum(s.good for s in said)
    return Total(provider, len(said), sum(s.waiting > 0 for s in said), in_flight, waiting, calls, good, latency_ms)
