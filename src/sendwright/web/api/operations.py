"""Calls for whoever runs it: health, readiness, figures, the recount, and the interface's own description."""

from __future__ import annotations

import msgspec

from sendwright.model.notification import Payload
from sendwright.policy.payload_schema import document
from sendwright.web.api.shapes import Alive, AuditView, ViolationView
from sendwright.web.api.table import Answer, Ask

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SCHEMA_TYPE = "application/schema+json"


async def alive(_: Ask) -> Alive:
    return Alive("ok")


async def ready(ask: Ask) -> Answer:
    able, parts = await ask.services.ready()
    return Answer(200 if able else 503, msgspec.json.encode({**parts, "ready": able}))


async def metrics(ask: Ask) -> Answer:
    return Answer(body=ask.services.metrics(), media_type=METRICS_TYPE)


async def audit(ask: Ask) -> AuditView:
    counted = await ask.services.records.audit()
    return AuditView(
        ok=not counted.violations,
        accepted=counted.accepted,
        planned=counted.planned,
        waiting=counted.waiting,
        messages=counted.messages,
        by_state=counted.by_state,
        violations=[ViolationView(v.kind, v.id, v.detail) for v in counted.violations],
    )


async def notification_schema(_: Ask) -> Answer:
    return Answer(body=msgspec.json.encode(document(Payload)), media_type=SCHEMA_TYPE)
