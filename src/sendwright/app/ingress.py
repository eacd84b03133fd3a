"""The producers' queue of each broker, joined to the story that takes what comes from it."""

# ruff: noqa: PLC0415 -- engines are extras

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from sendwright.app.parts import Parts, rules_of
from sendwright.engine.ingest import Ingester
from sendwright.policy.admission import Refused
from sendwright.policy.ingress import Wanted, notification_in, wanted
from sendwright.settings.engines import RABBITMQ, SQS


def loop_of(parts: Parts) -> Callable[[], Awaitable[None]] | None:
    """Takes what producers publish, as long as it runs; None on an engine that nobody else can publish to."""
    rules, live = rules_of(parts), frozenset(parts.fleet.channels)

    tenant = parts.settings.bus.ingress_tenant

    async def judge(raw: bytes, message_id: str | None) -> Wanted | Refused:
        found = await parts.catalogue.found(tenant, notification_in(raw))
        return wanted(raw, message_id, rules, live, parts.clock.now_ms(), found)

    ingester = Ingester(parts.accept, parts.backend.quarantine, parts.clock, parts.tell, tenant, judge)
    by_engine = {RABBITMQ: _rabbitmq, SQS: _sqs}
    found = by_engine.get(parts.settings.bus.url.engine)
    return None if found is None else partial(found, parts, ingester)


async def _rabbitmq(parts: Parts, ingester: Ingester) -> None:
    bus: Any = parts.backend.bus
    ingress = bus.ingress()
    await ingester.run(ingress.take, ingress.ack, ingress.give_back, lambda posted: (posted.body, posted.message_id))


async def _sqs(parts: Parts, ingester: Ingester) -> None:
    from sendwright.drivers.bus.sqs.address import sqs_address
    from sendwright.drivers.bus.sqs.ingress import open_ingress

    async with open_ingress(sqs_address(parts.settings.bus.url), parts.tell) as ingress:
        await ingress.declare()
        await ingester.run(ingress.take, ingress.ack, ingress.reject, lambda posted: (posted.body, posted.id))
