"""Calls on the list of suppressions: put somebody on it, read, look up, lift. Addresses stand in bodies, never in paths or queries.

A suppression is answered when nothing is claimed against it any more, and no call that was claimed before can begin any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from sendwright.engine.deliver import BEGIN_S
from sendwright.model.people import EVERY, EVERYBODY, Suppression
from sendwright.policy.address import e164, is_email
from sendwright.policy.admission import expiry_faults
from sendwright.policy.duration import instant_ms, rfc3339
from sendwright.policy.payload_schema import Fault
from sendwright.policy.suppression import suppression
from sendwright.web.api import problems
from sendwright.web.api.auth import ADMIN_TENANT
from sendwright.web.api.notifications import opened, sealed
from sendwright.web.api.people_shapes import (
    SuppressionList,
    SuppressionsFound,
    SuppressionsQuery,
    SuppressionView,
)
from sendwright.web.api.problems import Refusal
from sendwright.web.api.services import Services
from sendwright.web.api.table import Answer, Ask

_PHONES = frozenset({"sms", "whatsapp"})


async def post_suppression(ask: Ask) -> SuppressionView:
    services, body = ask.services, ask.body
    now = services.clock.now_ms()
    if faults := wrong_with(services, ask.params, msgspec.to_builtins(body)):
        raise problems.of_faults(faults)
    address, _ = _address(services.rules.known, body.channel, body.address)
    expires_at = None if isinstance(body.expires_at, UnsetType) else instant_ms(body.expires_at)
    channel = EVERY if isinstance(body.channel, UnsetType) else body.channel
    row = suppression(
        services.marker, ask.caller.tenant, channel, address, body.reason, body.source, now, body.category, expires_at
    )
    row = await services.suppressions.add(row)
    await services.clock.sleep(BEGIN_S)
    return suppression_view(row)


async def list_suppressions(ask: Ask) -> SuppressionList:
    query: SuppressionsQuery = ask.query
    if query.shared and ask.caller.tenant != ADMIN_TENANT:
        raise Refusal(403, "forbidden", "What holds for every tenant is shown to the tenant `default` only.")
    rows = await ask.services.suppressions.page(
        EVERYBODY if query.shared else ask.caller.tenant,
        query.limit + 1,
        opened(ask, query),
        ask.services.clock.now_ms(),
        channel=None if isinstance(query.channel, UnsetType) else query.channel,
        reason=None if isinstance(query.reason, UnsetType) else query.reason,
        source=None if isinstance(query.source, UnsetType) else query.source,
    )
    shown = rows[: query.limit]
    return SuppressionList(
        [suppression_view(row) for row in shown], sealed(ask, query, shown[-1].id if len(rows) > query.limit else None)
    )


async def look_up_suppressions(ask: Ask) -> SuppressionsFound:
    services, body = ask.services, ask.body
    address, faults = _address(services.rules.known, body.channel, body.address)
    if faults:
        raise problems.of_faults(faults)
    tenants = (ask.caller.tenant, EVERYBODY)
    found = await services.suppressions.find(tenants, services.marker.addresses(address), services.clock.now_ms())
    return SuppressionsFound(
        [suppression_view(row) for row in found if body.channel is UNSET or row.channel in (EVERY, body.channel)]
    )


async def delete_suppression(ask: Ask) -> Answer:
    """What holds for every tenant is the tenant `default`'s to lift."""
    lift, tenant, id_ = ask.services.suppressions.lift, ask.caller.tenant, ask.params["id"]
    if not await lift(tenant, id_) and not (tenant == ADMIN_TENANT and await lift(EVERYBODY, id_)):
        raise problems.not_found()
    return Answer(204)


def wrong_with(services: Services, _params: Mapping[str, str], doc: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with who is to be put on the list, beside the shape."""
    channel, text, expires_at = doc.get("channel", UNSET), doc.get("address"), doc.get("expires_at")
    faults: list[Fault] = []
    if isinstance(text, str) and (channel is UNSET or isinstance(channel, str)):
        faults += _address(services.rules.known, channel, text)[1]
    if isinstance(expires_at, str):
        faults += expiry_faults(expires_at, services.clock.now_ms())
    return faults


def _address(known: Collection[str], channel: str | UnsetType, text: str) -> tuple[str, list[Fault]]:
    """The address in its one writing, and what is wrong with it or its channel."""
    if not isinstance(channel, UnsetType) and channel not in known:
        return text, [Fault("#/channel", "unknown_channel", f"must be one of {', '.join(sorted(known))}, or be left out")]
    if channel in _PHONES or (channel is UNSET and text.startswith("+")):
        number = e164(text)
        return number or text, [] if number else [Fault("#/address", "invalid_phone", "must be a possible number, as +14155552671")]
    if channel == "email" or (channel is UNSET and "@" in text and "://" not in text):
        return text, [] if is_email(text) else [Fault("#/address", "invalid_email", "must be one address, without a name")]
    blank = not text.strip() or any(c < " " or c == "\x7f" for c in text)
    return text, [Fault("#/address", "invalid_address", "must not be blank or hold control characters")] if blank else []


def suppression_view(row: Suppression) -> SuppressionView:
    return SuppressionView(
        id=row.id,
        channel=row.channel or None,
        address=row.masked,
        reason=row.reason,  # type: ignore[arg-type]  # the reasons of the list; a test holds them together
        source=row.source,
        category=row.category,
        shared=row.tenant == EVERYBODY,
        created_at=rfc3339(row.created_at),
        expires_at=None if row.expires_at is None else rfc3339(row.expires_at),
    )
