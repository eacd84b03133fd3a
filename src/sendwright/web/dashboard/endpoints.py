"""Endpoints: the operator's own services, how they stand, what was posted to them, and their switches. A secret stands on the
answer of the form that made it and nowhere else."""

from __future__ import annotations

from typing import Any, get_args

from sendwright.web.api import outbound as api
from sendwright.web.api.endpoint_shapes import (
    DeliveriesQuery,
    DeliveryState,
    EndpointPatch,
    EndpointsQuery,
    EndpointTrial,
    EndpointView,
    EndpointWish,
    EventType,
    ReplayWish,
)
from sendwright.web.api.problems import Refusal
from sendwright.web.dashboard.forms import EMPTY, Form, body, form_of
from sendwright.web.dashboard.listing import listed
from sendwright.web.dashboard.visit import Away, Shown, Visit, place

_PATH = "/dashboard/endpoints"
_FIELDS = ("url", "description", "types")


async def list_endpoints(visit: Visit) -> Shown:
    return await _page(visit, EMPTY)


async def make(visit: Visit) -> Shown:
    try:
        made = await api.make_endpoint(visit.ask(body=body(EndpointWish, _wish(visit))))
    except Refusal as refusal:
        if refusal.status != 422:
            raise
        return await _page(visit, form_of(visit, refusal, _FIELDS), 422)
    return await _page(visit, EMPTY, 201, made.secret)


async def one_endpoint(visit: Visit) -> Shown:
    return await _one(visit)


async def change(visit: Visit) -> Away | Shown:
    wish = {"description": "", "types": [], **_wish(visit)}
    try:
        await api.patch_endpoint(_of(visit, body=_patch(wish)))
    except Refusal as refusal:
        if refusal.status != 422:
            raise
        return await _one(visit, form=form_of(visit, refusal, _FIELDS), status=422)
    return _back(visit, "changed")


async def switch(visit: Visit) -> Away:
    wanted = {"on": True, "off": False}.get(visit.given("to"))
    if wanted is None:
        raise Refusal(400, "invalid_form", "An endpoint is switched on or off.")
    await api.patch_endpoint(_of(visit, body=EndpointPatch(enabled=wanted)))
    return _back(visit, "endpoint_on" if wanted else "endpoint_off")


async def rotate(visit: Visit) -> Shown:
    made = await api.rotate_endpoint(_of(visit))
    return await _one(visit, secret=made.secret)


async def test(visit: Visit) -> Shown:
    return await _one(visit, trial=await api.test_endpoint(_of(visit)))


async def replay(visit: Visit) -> Away:
    """What was ticked, else all that failed."""
    ids = list(dict.fromkeys(visit.form.get("id", ())))
    if not ids and not visit.given("failed"):
        return _back(visit, "nothing_chosen")
    done = await api.replay_deliveries(_of(visit, body=body(ReplayWish, {"ids": ids or None})))
    return _back(visit, "posted_again", len(done.ids))


async def delete(visit: Visit) -> Away:
    await api.delete_endpoint(_of(visit))
    return Away(place(_PATH, note="endpoint_deleted"))


def _of(visit: Visit, **more: Any) -> Any:
    return visit.ask(id=visit.params["endpoint"], **more)


def _wish(visit: Visit) -> dict[str, Any]:
    return {"url": visit.given("url"), "description": visit.given("description"), "types": visit.form.get("types", [])}


def _patch(wish: dict[str, Any]) -> EndpointPatch:
    judged: EndpointWish = body(EndpointWish, wish)
    return EndpointPatch(url=judged.url, description=judged.description, types=judged.types)


def _back(visit: Visit, note: str, done: int | None = None) -> Away:
    return Away(place(f"{_PATH}/{visit.params['endpoint']}", note=note, done=done))


async def _page(visit: Visit, form: Form, status: int = 200, secret: str | None = None) -> Shown:
    page = await listed(visit, EndpointsQuery, api.list_endpoints, _PATH, first=bool(form.values or secret))
    return Shown("endpoints.html", {"form": form, "secret": secret, "types": get_args(EventType), **page}, status)


async def _one(
    visit: Visit,
    *,
    form: Form | None = None,
    secret: str | None = None,
    trial: EndpointTrial | None = None,
    status: int = 200,
) -> Shown:
    id_ = visit.params["endpoint"]
    endpoint = await api.get_endpoint(_of(visit))
    page = await listed(visit, DeliveriesQuery, api.list_deliveries, f"{_PATH}/{id_}", ("state",), id=id_)
    values = {
        "endpoint": endpoint,
        "form": form or _form(endpoint),
        "secret": secret,
        "trial": trial,
        "types": get_args(EventType),
        "states": get_args(DeliveryState),
        **page,
    }
    return Shown("endpoint.html", values, status)


def _form(endpoint: EndpointView) -> Form:
    return Form({"url": endpoint.url, "description": endpoint.description}, {"types": endpoint.types})
