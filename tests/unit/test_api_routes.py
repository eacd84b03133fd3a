"""Routes over HTTP: shown, set, reset, and everything that is wrong with an order at once."""

from __future__ import annotations

from typing import Any

import pytest

from sendwright.web.api.services import RouteStanding

from .api_world import World

SMS = "/v1/routes/sms"


def world_of_two() -> World:
    """Two providers of SMS, and one of email."""
    world = World()
    vendors = world.services.providers
    assert isinstance(vendors, dict)
    vendors |= {"vonage-eu": vendors["twilio-main"], "ses": vendors["twilio-main"]}
    world.crew.lanes = {
        "sms": RouteStanding("sms", "order", ("twilio-main", "vonage-eu"), (), "settings"),
        "email": RouteStanding("email", "order", ("ses",), (), "settings"),
    }
    return world


async def test_a_route_is_set_shown_and_reset() -> None:
    world = world_of_two()
    before = (await world.client.get(SMS)).json()
    assert before == {
        "channel": "sms", "policy": "order", "providers": ["twilio-main", "vonage-eu"], "left_out": [], "source": "settings",
    }  # fmt: skip
    answer = await world.client.request("PUT", SMS, json={"policy": "order", "providers": ["vonage-eu"]})
    assert answer.status == 200
    assert answer.json() == before | {"providers": ["vonage-eu"], "left_out": ["twilio-main"], "source": "run_time"}
    assert (await world.client.request("DELETE", SMS)).status == 204
    assert (await world.client.request("DELETE", SMS)).status == 204
    assert (await world.client.get(SMS)).json() == before
    assert world.crew.orders == [("sms", ["vonage-eu"]), ("sms", None), ("sms", None)]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({}, {("#/providers", "required")}),
        ({"providers": None}, {("#/providers", "invalid_type")}),
        ({"providers": []}, {("#/providers", "too_few")}),
        ({"providers": [], "policy": "weighted"}, {("#/providers", "too_few"), ("#/policy", "not_supported")}),
        ({"providers": ["vonage-eu"], "policy": "cheapest"}, {("#/policy", "not_supported")}),
        ({"providers": ["vonage-eu"], "policy": "random"}, {("#/policy", "invalid_value")}),
        ({"providers": ["vonage-eu"], "weight": 1}, {("#/weight", "unknown_field")}),
        ({"providers": [1], "wait": 1}, {("#/providers/0", "invalid_type"), ("#/wait", "unknown_field")}),
        (
            {"providers": ["nobody", "ses", "vonage-eu", "vonage-eu"], "policy": "fastest"},
            {
                ("#/policy", "not_supported"),
                ("#/providers/0", "unknown_provider"),
                ("#/providers/1", "unknown_provider"),
                ("#/providers/3", "duplicate"),
            },
        ),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused_with_every_fault(wish: Any, expected: set[tuple[str, str]]) -> None:
    world = world_of_two()
    answer = await world.client.request("PUT", SMS, json=wish)
    assert (answer.status, answer.faults(), world.crew.orders) == (422, expected, [])


async def test_a_channel_that_nobody_serves_has_no_route() -> None:
    world = world_of_two()
    for method, body in (("GET", None), ("PUT", {"providers": ["ses"]}), ("DELETE", None)):
        assert (await world.client.request(method, "/v1/routes/push", json=body)).status == 404
    assert world.crew.orders == []


async def test_routes_are_a_list_with_limit_and_cursor() -> None:
    world = world_of_two()
    first = (await world.client.get("/v1/routes?limit=1")).json()
    assert [route["channel"] for route in first["data"]] == ["sms"]
    second = (await world.client.get(f"/v1/routes?limit=1&cursor={first['next_cursor']}")).json()
    assert ([route["channel"] for route in second["data"]], second["next_cursor"]) == (["email"], None)
    del world.crew.lanes["sms"]
    assert (await world.client.get(f"/v1/routes?limit=1&cursor={first['next_cursor']}")).status == 422
