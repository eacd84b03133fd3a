"""Calls on endpoints: the operator's own services, to which events are posted.

An address is judged when it is written, as far as its text shows; what its host resolves to is judged at every connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import msgspec
from msgspec import UnsetType
from msgspec.structs import replace

from sendwright.engine.receivers import switched
from sendwright.model.endpoint import Endpoint, Place, Posting
from sendwright.policy.address import target_fault
from sendwright.policy.content_faults import LINK_DETAILS
from sendwright.policy.duration import rfc3339
from sendwright.policy.payload_schema import Fault
from sendwright.web.api import problems
from sendwright.web.api.cursors import foreign
from sendwright.web.api.endpoint_shapes import (
    REPLAY_MAX,
    DeliveriesQuery,
    DeliveryList,
    DeliveryState,
    DeliveryView,
    EndpointList,
    EndpointPatch,
    EndpointsQuery,
    EndpointTrial,
    EndpointView,
    EndpointWish,
    MadeEndpoint,
    Replayed,
    ReplayWish,
    TryView,
)
from sendwright.web.api.notifications import opened, sealed
from sendwright.web.api.services import Services
from sendwright.web.api.table import Answer, Ask


async def make_endpoint(ask: Ask) -> MadeEndpoint:
    """This answer, and that of a rotation, are the only ones that show a secret."""
    wish: EndpointWish = ask.body
    _judge(ask, wish)
    made, secret = await ask.services.receivers.made(
        ask.caller.tenant, wish.url, wish.description, wish.types, enabled=wish.enabled
    )
    return _with_secret(ask, made, secret)


async def list_endpoints(ask: Ask) -> EndpointList:
    query: EndpointsQuery = ask.query
    place = opened(ask, query)
    rows = await ask.services.endpoints.page(ask.caller.tenant, query.limit + 1, None if place is None else _place(place))
    shown = rows[: query.limit]
    more = f"{shown[-1].created_at} {shown[-1].id}" if len(rows) > len(shown) else None
    return EndpointList([_view(ask, endpoint) for endpoint in shown], sealed(ask, query, more))


async def get_endpoint(ask: Ask) -> EndpointView:
    return _view(ask, await _named(ask))


async def patch_endpoint(ask: Ask) -> EndpointView:
    patch: EndpointPatch = ask.body
    _judge(ask, patch)
    after = await ask.services.receivers.changed(ask.caller.tenant, ask.params["id"], lambda endpoint: _patched(endpoint, patch))
    if after is None:
        raise problems.not_found()
    return _view(ask, after)


async def delete_endpoint(ask: Ask) -> Answer:
    if not await ask.services.receivers.removed(ask.caller.tenant, ask.params["id"]):
        raise problems.not_found()
    return Answer(204)


async def rotate_endpoint(ask: Ask) -> MadeEndpoint:
    found = await ask.services.receivers.rotated(ask.caller.tenant, ask.params["id"])
    if found is None:
        raise problems.not_found()
    return _with_secret(ask, *found)


async def test_endpoint(ask: Ask) -> EndpointTrial:
    posted = await ask.services.receivers.tested(await _named(ask))
    return EndpointTrial(posted.ok, posted.tried.status, posted.tried.said, posted.tried.ms)


async def list_deliveries(ask: Ask) -> DeliveryList:
    """The newest event first."""
    query: DeliveriesQuery = ask.query
    place = _opened_of(ask, query)
    endpoint = await _named(ask)
    state = None if isinstance(query.state, UnsetType) else query.state
    rows = await ask.services.endpoints.postings(endpoint.id, state, query.limit + 1, place)
    shown = rows[: query.limit]
    more = f"{endpoint.id} {shown[-1].seq}" if len(rows) > len(shown) else None
    return DeliveryList([_delivery(posting) for posting in shown], sealed(ask, query, more))


async def replay_deliveries(ask: Ask) -> Replayed:
    wish: ReplayWish = ask.body
    endpoint = await _named(ask)
    ids = None if isinstance(wish.ids, UnsetType) else wish.ids
    done = await ask.services.endpoints.replay(endpoint.id, ids, ask.services.clock.now_ms(), REPLAY_MAX)
    return Replayed(sorted(done), ids is None and len(done) == REPLAY_MAX)


async def _named(ask: Ask) -> Endpoint:
    found = await ask.services.endpoints.find(ask.caller.tenant, ask.params["id"])
    if found is None:
        raise problems.not_found()
    return found


def _judge(ask: Ask, said: EndpointWish | EndpointPatch) -> None:
    if faults := wrong_with(ask.services, ask.params, msgspec.to_builtins(said)):
        raise problems.of_faults(faults)


def wrong_with(services: Services, _params: Mapping[str, str], doc: Mapping[str, Any]) -> list[Fault]:
    """An address that could not be posted to. Without private networks of the operator's there is https alone."""
    schemes = frozenset({"https", "http"} if services.endpoint_private else {"https"})
    code = target_fault(doc["url"], schemes, services.endpoint_private) if isinstance(doc.get("url"), str) else None
    if code is None:
        return []
    detail = LINK_DETAILS.get(code, f"must begin with {' or '.join(f'{scheme}://' for scheme in sorted(schemes))}")
    return [Fault("#/url", code, detail)]


def _place(text: str) -> Place:
    at, _, id_ = text.partition(" ")
    return int(at), id_


def _opened_of(ask: Ask, query: DeliveriesQuery) -> int | None:
    """Where the page begins. A cursor of another endpoint's list leads nowhere."""
    place = opened(ask, query)
    if place is None:
        return None
    id_, _, seq = place.partition(" ")
    if id_ != ask.params["id"]:
        raise foreign()
    return int(seq)


def _patched(endpoint: Endpoint, patch: EndpointPatch) -> Endpoint:
    if not isinstance(patch.url, UnsetType):
        endpoint = replace(endpoint, url=patch.url)
    if not isinstance(patch.description, UnsetType):
        endpoint = replace(endpoint, description=patch.description)
    if not isinstance(patch.types, UnsetType):
        endpoint = replace(endpoint, types=tuple(dict.fromkeys(patch.types)))
    return endpoint if isinstance(patch.enabled, UnsetType) else switched(endpoint, enabled=patch.enabled)


def _with_secret(ask: Ask, endpoint: Endpoint, secret: str) -> MadeEndpoint:
    shown = _view(ask, endpoint)
    return MadeEndpoint(**{name: getattr(shown, name) for name in shown.__struct_fields__}, secret=secret)


def _view(ask: Ask, endpoint: Endpoint) -> EndpointView:
    until = endpoint.previous_until
    overlaps = until is not None and ask.services.clock.now_ms() < until
    return EndpointView(
        id=endpoint.id,
        url=endpoint.url,
        description=endpoint.description,
        types=list(endpoint.types),
        enabled=endpoint.disabled_for is None,
        disabled_for=cast("Literal['paused', 'gone', 'failing'] | None", endpoint.disabled_for),
        failing_since=_time(endpoint.failing_since),
        created_at=rfc3339(endpoint.created_at),
        previous_secret_until=_time(until) if overlaps else None,
    )


def _delivery(posting: Posting) -> DeliveryView:
    return DeliveryView(
        id=posting.id,
        type=posting.type,
        timestamp=rfc3339(posting.at),
        state=cast("DeliveryState", posting.state),
        next_try_at=_time(posting.due_at),
        try_count=posting.count,
        tries=[TryView(rfc3339(each.at), each.status, each.said, each.ms) for each in posting.tries],
    )


def _time(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
