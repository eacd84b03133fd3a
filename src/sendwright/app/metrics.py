"""Prometheus metrics: a subscriber to what the engine tells, and a look at the parts when asked.

No ids and no addresses in labels, so the number of series is bounded by the configuration.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

import sendwright
from sendwright.app.parts import Parts
from sendwright.app.stderr import Stderr
from sendwright.engine import telling
from sendwright.model.endpoint import FAILING, GONE, PAUSED
from sendwright.model.notification import Priority
from sendwright.model.parcel import INBOUND, intake_lane, lane
from sendwright.policy.notices import DAY_MS

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
_BREAKER = {"closed": 0, "half_open": 1, "open": 2}


class _Latency:
    """A histogram of seconds. Its own, as a library's takes its lock and walks its buckets for every message."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(_BUCKETS, seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, label: str) -> None:
        names = [str(float(bound)) for bound in _BUCKETS] + ["+Inf"]
        family.add_metric((label,), list(zip(names, accumulate(self._counts), strict=True)), self._sum)


class Metrics:
    """`tell` subscribes; `render` gives the text."""

    HEARD = (telling.Written, telling.Attempted, telling.Accepted, telling.Duplicate, telling.Parked, telling.EndpointPosted)
    """What it wants to hear of."""

    def __init__(self, parts: Parts, stderr: Stderr | None = None) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Told(self))
        self._registry.register(_Standing(parts))
        self.accepted = 0
        self.suppressed = 0
        self.retries = 0
        self.posts: Counter[str] = Counter()
        self.attempts: Counter[tuple[str, str, str]] = Counter()
        self.latency = {priority: _Latency() for priority in Priority}
        self.stderr = stderr

    def tell(self, told: telling.Telling) -> None:
        match told:
            case telling.Written():
                self.latency[told.priority].observe(told.latency_s)
            case telling.Attempted():
                self.attempts[told.channel, told.provider, told.outcome] += 1
            case telling.Accepted(replayed=False):
                self.accepted += 1
            case telling.Accepted() | telling.Duplicate():
                self.suppressed += 1
            case telling.Parked(retry=True):
                self.retries += 1
            case telling.EndpointPosted(outcome):
                self.posts[outcome] += 1
            case _:
                pass

    def render(self) -> bytes:
        return generate_latest(self._registry)


class _Told(Collector):
    """What was told so far."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        told = self._metrics
        yield CounterMetricFamily("sendwright_notifications_accepted", "Notifications made durable", told.accepted)
        suppressed = "Repeated posts and parcels that were not sent again"
        yield CounterMetricFamily("sendwright_duplicates_suppressed", suppressed, told.suppressed)
        attempts = CounterMetricFamily("sendwright_attempts", "Calls of providers", labels=("channel", "provider", "outcome"))
        for labels, count in told.attempts.items():
            attempts.add_metric(labels, count)
        yield attempts
        yield CounterMetricFamily("sendwright_retries_scheduled", "Tries written to be made later", told.retries)
        posts = CounterMetricFamily("sendwright_endpoint_posts", "Posts to the operator's services", labels=("outcome",))
        for outcome, count in told.posts.items():
            posts.add_metric((outcome,), count)
        yield posts
        what = "From accept to the first byte to a provider"
        latency = HistogramMetricFamily("sendwright_message_latency_seconds", what, labels=("priority",))
        for priority, seen in told.latency.items():
            seen.add_to(latency, priority.label)
        yield latency
        lost = 0 if told.stderr is None else told.stderr.dropped
        yield CounterMetricFamily("sendwright_log_lines_dropped", "Lines for a stderr that nobody read", lost)


class _Standing(Collector):
    """What can be read off the parts at this moment."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("sendwright_build", "This version", value={"version": sendwright.__version__})
        yield from self._lanes()
        breaker = GaugeMetricFamily("sendwright_breaker_state", "0 closed, 1 half open, 2 open", labels=("provider",))
        for account in self._parts.fleet.accounts.values():
            breaker.add_metric((account.name,), _BREAKER[account.breaker.state.value])
        yield breaker
        yield self._credentials()
        figures = self._parts.figures
        yield GaugeMetricFamily("sendwright_dead_letters", "Messages that exhausted every step", value=figures.dead)
        yield GaugeMetricFamily("sendwright_in_doubt", "Messages held in doubt", value=figures.in_doubt)
        yield GaugeMetricFamily("sendwright_audit_violations", "What the last recount could not explain", value=figures.violations)

        yield GaugeMetricFamily("sendwright_endpoint_pending", "Events on their way to endpoints", value=figures.endpoint_pending)
        disabled = GaugeMetricFamily("sendwright_endpoints_disabled", "Endpoints posted to no more", labels=("reason",))
        for reason in (PAUSED, GONE, FAILING):
            disabled.add_metric((reason,), figures.endpoints_disabled.get(reason, 0))
        yield disabled

    def _credentials(self) -> Metric:
        what = "Days until a provider's credential must be renewed, below 0 when it is over"
        found = GaugeMetricFamily("sendwright_credential_days_left", what, labels=("provider",))
        for account in self._parts.fleet.accounts.values():
            ends_at = self._parts.reminder.ends_at(account)
            if ends_at is not None:
                found.add_metric((account.name,), (ends_at - self._parts.clock.now_ms()) / DAY_MS)
        return found

    def _lanes(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("sendwright_lane_depth", "Parcels that nobody has taken", labels=("lane",))
        oldest = GaugeMetricFamily("sendwright_lane_oldest_seconds", "Age of the oldest of them", labels=("lane",))
        bus = self._parts.backend.bus
        names = [intake_lane(priority, aside=aside) for aside in (False, True) for priority in Priority]
        names += [lane(channel, priority) for channel in self._parts.fleet.channels for priority in Priority]
        for name in (*names, INBOUND):
            depth.add_metric((name,), bus.depth(name))
            oldest.add_metric((name,), bus.oldest_s(name))
        yield depth
        yield oldest
