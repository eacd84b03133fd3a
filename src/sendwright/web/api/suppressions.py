"""Calls on the list of suppressions: put somebody on it, read, look up, lift. Addresses stand in bodies, never in paths or queries.

A suppression is answered when nothing is claimed against it any more, and no call that was claimed before can begin any more.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from sendwright.engine.deliver import BEGIN_S
from sendwright.model.people import EVERY, EVERYBODY, Suppression
from sendwright.policy.address import e164, is_email
from sendwright.policy.admission import INVALID_TIME
from sendwright.policy.duration import instant_ms, rfc3339
from sendwright.policy.payload_schema import Fault
from sendwright.policy.suppression import suppression
from sendwright.web.api import problems
from sendwright.web.api.auth import ADMIN_TENANT
from sendwright.web.api.notifications import opened, sealed
from sendwright.web.api.people_shapes import (
    SuppressionBody,
    SuppressionList,
    SuppressionSearch,
    SuppressionsFound,
    SuppressionsQuery,
    SuppressionView,
)
from sendwright.web.api.problems import Refusal
from sendwright.web.api.table import Answer, Ask

_PHONES = frozenset({"sms", "whatsapp"})


async def post_suppression(ask: Ask) -> SuppressionView:
    services, body = ask.services, ask.body
    now = services.clock.now_ms()
    address, faults = _address(ask, body)
    expires_at, fault = _expires_at(body, now)
    if fault is not None or faults:
        raise problems.of_faults([*faults, *([fault] if fault else [])])
    channel = EVERY if isinstance(body.channel, UnsetType) else body.channel
    row = suppression(
        services.marker, ask.caller.tenant, channel, address, body.reason, body.source, now, body.category, expires_at
    )
    row = await services.suppressions.add(row)
    await services.clock.sleep(BEGIN_S)
    return _view(row)


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
    )
    shown = rows[: query.limit]
    return SuppressionList([_view(row) for row in shown], sealed(ask, query, shown[-1].id if len(rows) > query.limit else None))


async def look_up_suppressions(ask: Ask) -> SuppressionsFound:
    services, body = ask.services, ask.body
    address, faults = _address(ask, body)
    if faults:
        raise problems.of_faults(faults)
    tenants = (ask.caller.tenant, EVERYBODY)
    found = await services.suppressions.find(tenants, services.marker.addresses(address), services.clock.now_ms())
    return SuppressionsFound([_view(row) for row in found if body.channel is UNSET or row.channel in (EVERY, body.channel)])


async def delete_suppression(ask: Ask) -> Answer:
    """What holds for every tenant is the tenant `default`'s to lift."""
    lift, tenant, id_ = ask.services.suppressions.lift, ask.caller.tenant, ask.params["id"]
    if not await lift(tenant, id_) and not (tenant == ADMIN_TENANT and await lift(EVERYBODY, id_)):
        raise problems.not_found()
    return Answer(204)


def _address(ask: Ask, body: SuppressionBody | SuppressionSearch) -> tuple[str, list[Fault]]:
    """The address in its one writing, and what is wrong with it or its channel."""
    channel, text = body.channel, body.address
    known = ask.services.rules.known
    if not isinstance(channel, UnsetType) and channel not in known:
        return text, [Fault("#/channel", "unknown_channel", f"must be one of {', '.join(sorted(known))}, or be left out")]
    if channel in _PHONES or (channel is UNSET and text.startswith("+")):
        number = e164(text)
        return number or text, [] if number else [Fault("#/address", "invalid_phone", "must be a possible number, as +14155552671")]
    if channel == "email" or (channel is UNSET and "@" in text and "://" not in text):
        return text, [] if is_email(text) else [Fault("#/address", "invalid_email", "must be one address, without a name")]
    blank = not text.strip() or any(c < " " or c == "\x7f" for c in text)
    return text, [Fault("#/address", "invalid_address", "must not be blank or hold control characters")] if blank else []


def _expires_at(body: SuppressionBody, now: int) -> tuple[int | None, Fault | None]:
    if isinstance(body.expires_at, UnsetType):
        return None, None
    try:
        at = instant_ms(body.expires_at)
    except ValueError:
        return None, Fault("#/expires_at", "invalid_time", INVALID_TIME)
    return at, Fault("#/expires_at", "expired", "is past") if at <= now else None


def _view(row: Suppression) -> SuppressionView:
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
