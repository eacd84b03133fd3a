"""Calls on the routes: in which order a channel's providers are asked, setting it at run time, going back to the settings.

A route that was set holds for every tenant, in every process, within a second. Providers that it leaves out get nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sendwright.policy.payload_schema import Fault
from sendwright.web.api import problems
from sendwright.web.api.cursors import foreign
from sendwright.web.api.notifications import opened, sealed
from sendwright.web.api.services import RouteStanding
from sendwright.web.api.shapes import PageQuery
from sendwright.web.api.table import Answer, Ask, Call

TAG = "Routes"
NAMES_MAX = 1000


class RouteWish(Struct, frozen=True, forbid_unknown_fields=True):
    """The order that a route is to have: at least one provider of the channel, none of them twice."""

    providers: Annotated[list[str], Meta(max_length=NAMES_MAX, extra_json_schema={"minItems": 1, "uniqueItems": True})]
    policy: Literal["order", "weighted", "cheapest", "fastest"] = "order"
    """This version knows `order` alone: the others are refused as `not_supported`."""


class RouteList(Struct, frozen=True):
    data: list[RouteStanding]
    next_cursor: str | None


class RoutesQuery(PageQuery, frozen=True, kw_only=True):
    pass


async def list_routes(ask: Ask) -> RouteList:
    """In the settings' order; a cursor stands behind the last one that was shown."""
    query: RoutesQuery = ask.query
    routes = list(await ask.services.fleet.routes())
    names = [route.channel for route in routes]
    after = opened(ask, query)
    if after is not None and after not in names:
        raise foreign()  # nobody serves that channel any more
    first = 0 if after is None else names.index(after) + 1
    end = first + query.limit
    return RouteList(routes[first:end], sealed(ask, query, names[end - 1] if end < len(names) else None))


async def get_route(ask: Ask) -> RouteStanding:
    """404 for a channel that no provider serves, as for one that there is not."""
    for route in await ask.services.fleet.routes():
        if route.channel == ask.params["channel"]:
            return route
    raise problems.not_found()


async def put_route(ask: Ask) -> RouteStanding:
    route, wish = await get_route(ask), ask.body
    if faults := list(_faults(ask, route, wish)):
        raise problems.of_faults(faults)
    await ask.services.fleet.reorder(route.channel, wish.providers)
    return await get_route(ask)


async def reset_route(ask: Ask) -> Answer:
    """Harmless where nothing was set."""
    route = await get_route(ask)
    await ask.services.fleet.reorder(route.channel, None)
    return Answer(204)


def _faults(ask: Ask, route: RouteStanding, wish: RouteWish) -> Iterator[Fault]:
    if wish.policy != "order":
        yield Fault("#/policy", "not_supported", "is not supported by this version")
    if not wish.providers:
        yield Fault("#/providers", "too_few", "must have at least 1 entries")
    fitting = {*route.providers, *route.left_out}
    for place, name in enumerate(wish.providers):
        pointer = f"#/providers/{place}"
        if name in wish.providers[:place]:
            yield Fault(pointer, "duplicate", "is named above already")
        elif name not in ask.services.providers:
            yield Fault(pointer, "unknown_provider", "is no provider of the settings")
        elif name not in fitting:
            yield Fault(pointer, "unknown_provider", f"does not serve {route.channel}")


ROUTES: tuple[Call, ...] = (
    Call(
        method="GET",
        path="/v1/routes",
        scope="read",
        tag=TAG,
        summary="List the routes of the channels that have a provider",
        handler=list_routes,
        query=RoutesQuery,
        answer=RouteList,
        errors=(503,),
    ),
    Call(
        method="GET",
        path="/v1/routes/{channel}",
        scope="read",
        tag=TAG,
        summary="In which order a channel's providers are asked, and where that is said",
        handler=get_route,
        answer=RouteStanding,
        errors=(503,),
    ),
    Call(
        method="PUT",
        path="/v1/routes/{channel}",
        scope="admin",
        tag=TAG,
        summary="Set a route's order, everywhere within a second; who is left out gets nothing",
        handler=put_route,
        of_all=True,
        body=RouteWish,
        answer=RouteStanding,
        errors=(503,),
    ),
    Call(
        method="DELETE",
        path="/v1/routes/{channel}",
        scope="admin",
        tag=TAG,
        summary="Go back to the settings' order",
        handler=reset_route,
        of_all=True,
        status=204,
        errors=(503,),
    ),
)
