"""Prometheus metrics: a subscriber to what the engine tells, and a look at the parts when asked.

No ids and no addresses in labels, so the number of series is bounded by the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

import sendwright
from sendwright.app.parts import Parts
from sendwright.engine import telling
from sendwright.model.notification import Priority
from sendwright.model.parcel import INBOUND, intake_lane, lane

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
_BREAKER = {"closed": 0, "half_open": 1, "open": 2}


class Metrics:
    """`tell` subscribes; `render` gives the text."""

    def __init__(self, parts: Parts) -> None:
        registry = self._registry = CollectorRegistry()
        self._accepted = Counter("sendwright_notifications_accepted", "Notifications made durable", registry=registry)
        self._replayed = Counter(
            "sendwright_duplicates_suppressed", "Repeated posts and parcels that were not sent again", registry=registry
        )
        self._attempts = Counter("sendwright_attempts", "Calls of providers", ("channel", "provider", "outcome"), registry=registry)
        self._retries = Counter("sendwright_retries_scheduled", "Tries written to be made later", registry=registry)
        latency = Histogram(
            "sendwright_message_latency_seconds",
            "From accept to the first byte to a provider",
            ("priority",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._latency = {priority: latency.labels(priority.label) for priority in Priority}
        self._children: dict[tuple[str, str, str], Counter] = {}
        registry.register(_Standing(parts))

    def tell(self, told: telling.Telling) -> None:
        match told:
            case telling.Written():
                self._latency[told.priority].observe(told.latency_s)
            case telling.Attempted():
                self._attempt(told.channel, told.provider, told.outcome)
            case telling.Accepted():
                (self._replayed if told.replayed else self._accepted).inc()
            case telling.Duplicate():
                self._replayed.inc()
            case telling.Parked(retry=True):
                self._retries.inc()
            case _:
                pass

    def render(self) -> bytes:
        return generate_latest(self._registry)

    def _attempt(self, channel: str, provider: str, outcome: str) -> None:
        labels = (channel, provider, outcome)
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._attempts.labels(*labels)
        child.inc()


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
        figures = self._parts.figures
        yield GaugeMetricFamily("sendwright_dead_letters", "Messages that exhausted every step", value=figures.dead)
        yield GaugeMetricFamily("sendwright_in_doubt", "Messages held in doubt", value=figures.in_doubt)
        yield GaugeMetricFamily("sendwright_audit_violations", "What the last recount could not explain", value=figures.violations)

    def _lanes(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("sendwright_lane_depth", "Parcels that nobody has taken", labels=("lane",))
        oldest = GaugeMetricFamily("sendwright_lane_oldest_seconds", "Age of the oldest of them", labels=("lane",))
        bus = self._parts.backend.bus
        names = [intake_lane(priority) for priority in Priority]
        names += [lane(channel, priority) for channel in self._parts.fleet.channels for priority in Priority]
        for name in (*names, INBOUND):
            depth.add_metric((name,), bus.depth(name))
            oldest.add_metric((name,), bus.oldest_s(name))
        yield depth
        yield oldest
