"""Refusals: each fault has a place, in the body, the query or the headers, and the description says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sendwright.web.api.problems import PLACES, ProblemError
from tests.unit.api_world import World

ORDER = {"to": {"phone": "+14155552671"}, "content": {"body": "hello"}}
KEYED = {"Idempotency-Key": "one"}
POST = "/v1/notifications"


async def fault_of(world: World, method: str, path: str, **more: Any) -> tuple[int, dict[str, str]]:
    """The status, and the one fault's place and code; the whole document fits the description."""
    answer = await world.client.request(method, path, **more)
    document = answer.json()
    described = json.loads((await world.client.get("/openapi.json")).body)
    schema = {"$ref": "#/components/schemas/Problem", "components": described["components"]}
    Draft202012Validator(schema).validate(document)
    (fault,) = document["errors"]
    return answer.status, {place: fault[place] for place in PLACES if place in fault} | {"code": fault["code"]}


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "place"),
    [
        ("POST", POST, {"body": b"{}", "headers": {"Content-Type": "text/plain"}}, 415, {"header": "Content-Type"}),
        ("POST", POST, {"json": ORDER, "headers": {"Content-Encoding": "gzip"}}, 415, {"header": "Content-Encoding"}),
        ("POST", POST, {"json": ORDER, "headers": {"Sendwright-Tenant": "A B"}}, 422, {"header": "Sendwright-Tenant"}),
        ("POST", POST, {"json": ORDER, "headers": {"Idempotency-Key": "k" * 300}}, 422, {"header": "Idempotency-Key"}),
        ("POST", POST, {"json": {**ORDER, "colour": "red"}}, 422, {"pointer": "#/colour"}),
        ("GET", "/v1/messages?colour=red", {}, 422, {"parameter": "colour"}),
        ("GET", "/v1/messages?cursor=x", {}, 422, {"parameter": "cursor"}),
        ("GET", "/v1/events", {"headers": {"Last-Event-ID": "x"}}, 422, {"header": "Last-Event-ID"}),
    ],
)
async def test_a_fault_is_told_with_its_place(
    method: str, path: str, more: dict[str, Any], status: int, place: dict[str, str]
) -> None:
    found, fault = await fault_of(World(), method, path, **more)
    fault.pop("code")
    assert (found, fault) == (status, place)


@pytest.mark.parametrize("inside", [False, True])
async def test_a_key_that_stands_for_something_else_is_told_where_it_was_given(*, inside: bool) -> None:
    world = World()
    order, headers = ({**ORDER, "idempotency_key": "one"}, {}) if inside else (ORDER, KEYED)
    assert (await world.client.post(POST, json=order, headers=headers)).status == 202
    other = {**order, "priority": "high"}
    place = {"pointer": "#/idempotency_key"} if inside else {"header": "Idempotency-Key"}
    assert await fault_of(world, "POST", POST, json=other, headers=headers) == (422, {**place, "code": "idempotency_mismatch"})


@pytest.mark.parametrize("places", [{}, {"pointer": "#", "header": "X"}, {"parameter": "a", "header": "X", "pointer": "#"}])
def test_no_fault_is_without_a_place_or_has_two(places: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="one place"):
        ProblemError("code", "detail", **places)


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/recipients/{}/token"), ("DELETE", "/v1/recipients/{}")])
async def test_nothing_has_an_id_with_a_nul_in_it_which_not_every_store_can_look_for(method: str, path: str) -> None:
    world = World()
    assert (await world.client.request(method, path.format("a"))).status < 300
    assert (await world.client.request(method, path.format("a%00"))).status == 404
