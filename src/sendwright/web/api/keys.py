"""Calls on keys: making, listing and revoking them.

Whoever manages keys manages those of its own tenant, and gives no scope that it lacks. The admin key sees to everybody's, unless
it acts for one tenant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UnsetType

from sendwright.model.api_key import ApiKey, Place
from sendwright.policy.admission import expiry_faults
from sendwright.policy.duration import instant_ms, rfc3339
from sendwright.policy.payload_schema import Fault
from sendwright.web.api import problems
from sendwright.web.api.notifications import opened, sealed
from sendwright.web.api.problems import ProblemError, Refusal
from sendwright.web.api.services import Services
from sendwright.web.api.shapes import KeyList, KeysQuery, KeyView, KeyWish, MadeKey
from sendwright.web.api.table import Answer, Ask


async def make_key(ask: Ask) -> MadeKey:
    """The only answer that ever shows a key."""
    wish: KeyWish = ask.body
    tenant = ask.caller.tenant if isinstance(wish.tenant, UnsetType) else wish.tenant
    if lacking := list(_lacking(ask, wish, tenant)):
        raise Refusal(403, "forbidden", "A key gives no more than it has, and to its own tenant alone.", lacking)
    if faults := wrong_with(ask.services, ask.params, msgspec.to_builtins(wish)):
        raise problems.of_faults(faults)
    expires_at = instant_ms(wish.expires_at) if isinstance(wish.expires_at, str) else None
    rate = None if isinstance(wish.rate, UnsetType) else wish.rate
    key, text = await ask.services.warden.made(tenant, wish.name, wish.scopes, expires_at, rate, _by(ask))
    shown = _view(key)
    return MadeKey(**{name: getattr(shown, name) for name in shown.__struct_fields__}, key=text)


def _lacking(ask: Ask, wish: KeyWish, tenant: str) -> Iterator[ProblemError]:
    """What the caller may not give."""
    if _seen_by(ask) not in (None, tenant):
        yield ProblemError("forbidden", "is not the tenant of this key, or the one that it acts for", pointer="#/tenant")
    for place, scope in enumerate(wish.scopes):
        if scope not in ask.caller.scopes:
            yield ProblemError("forbidden", f"this key lacks the scope `{scope}`", pointer=f"#/scopes/{place}")


def wrong_with(services: Services, _params: Mapping[str, str], doc: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with a key that is asked for, beside the shape."""
    expires_at = doc.get("expires_at")
    return expiry_faults(expires_at, services.clock.now_ms()) if isinstance(expires_at, str) else []


async def list_keys(ask: Ask) -> KeyList:
    query: KeysQuery = ask.query
    place = opened(ask, query)
    rows = await ask.services.warden.page(_seen_by(ask), query.limit + 1, None if place is None else _place(place))
    shown = rows[: query.limit]
    more = f"{shown[-1].created_at} {shown[-1].id}" if len(rows) > len(shown) else None
    return KeyList([_view(key) for key in shown], sealed(ask, query, more))


def _place(text: str) -> Place:
    at, _, id_ = text.partition(" ")
    return int(at), id_


async def revoke_key(ask: Ask) -> Answer:
    if not await ask.services.warden.revoke(_seen_by(ask), ask.params["id"], _by(ask)):
        raise problems.not_found()
    return Answer(204)


def _seen_by(ask: Ask) -> str | None:
    """Whose keys this one sees; None for everybody's: the admin key, while it acts for nobody in particular."""
    return None if ask.caller.root and b"sendwright-tenant" not in ask.headers else ask.caller.tenant


def _by(ask: Ask) -> str | None:
    return None if ask.caller.key is None else ask.caller.key.id


def _view(key: ApiKey) -> KeyView:
    return KeyView(
        id=key.id,
        name=key.name,
        tenant=key.tenant,
        scopes=list(key.scopes),  # type: ignore[arg-type]  # only such are made
        rate=key.rate,
        created_at=rfc3339(key.created_at),
        expires_at=None if key.expires_at is None else rfc3339(key.expires_at),
        last_used_at=None if key.used_at is None else rfc3339(key.used_at),
    )
