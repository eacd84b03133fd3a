"""Types over HTTP: put, shown, deleted, previewed; and notifications of a type."""

from __future__ import annotations

from typing import Any

import pytest

from sendwright.errors import StoreDown
from sendwright.model.notification import Payload

from .api_world import World

SHIPPED = {
    "description": "An order has left",
    "content": {
        "title": "Order {{ order.number }}",
        "body": "Hello {{ recipient.id }}, it comes {{ order.day }}.",
        "email": {"html": "<p>{{ order.day }}</p>"},
        "locales": {
            "pt": {"title": "Encomenda {{ order.number }}"},
            "pt-BR": {"body": "Oi {{ recipient.id }}, chega {{ order.day }}."},
        },
    },
    "schema": {
        "type": "object",
        "required": ["order"],
        "properties": {
            "order": {
                "type": "object",
                "required": ["number", "day"],
                "properties": {"number": {"type": "integer", "minimum": 1}, "day": {"type": "string"}},
                "additionalProperties": False,
            }
        },
    },
    "priority": "high",
    "ttl": "2h",
}
DATA = {"order": {"number": 7, "day": "<Monday>"}}
ADA = {"id": "ada", "phone": "+14155552671", "email": "ada@example.org"}


async def shipped(world: World, name: str = "order.shipped", **changed: Any) -> dict[str, Any]:
    answer = await world.client.request("PUT", f"/v1/types/{name}", json={**SHIPPED, **changed})
    assert answer.status == 200, answer.json()
    return answer.json()  # type: ignore[no-any-return]


def faults(answer: Any) -> set[tuple[str, str]]:
    assert answer.status == 422, answer.json()
    return {(error.get("pointer") or error.get("parameter"), error["code"]) for error in answer.json()["errors"]}


async def post(world: World, **members: Any) -> Any:
    return await world.client.post("/v1/notifications", {"to": ADA, "type": "order.shipped", "data": DATA, **members})


def taken(world: World) -> Payload:
    return world.desk.taken[-1][1]


async def test_what_is_put_is_shown_and_each_change_is_a_version() -> None:
    world = World()
    first = await shipped(world)
    assert (first["name"], first["version"], first["ttl"], first["plan"]) == ("order.shipped", 1, "2h", None)
    assert first["content"] == SHIPPED["content"]
    assert (await shipped(world))["version"] == 1
    assert (await shipped(world, ttl="3h"))["version"] == 2
    assert (await world.client.get("/v1/types/order.shipped")).json()["ttl"] == "3h"
    assert (await world.client.get("/v1/types/order.shipped?version=1")).json() == first
    assert (await world.client.get("/v1/types/order.shipped?version=3")).status == 404
    await shipped(world, "a")
    listed = (await world.client.get("/v1/types?limit=1")).json()
    assert [row["name"] for row in listed["data"]] == ["a"]
    rest = (await world.client.get(f"/v1/types?limit=1&cursor={listed['next_cursor']}")).json()
    assert ([row["version"] for row in rest["data"]], rest["next_cursor"]) == ([2], None)
    assert (await world.client.request("DELETE", "/v1/types/a")).status == 204
    assert (await world.client.request("DELETE", "/v1/types/a")).status == 404
    assert (await world.client.get("/v1/types/a")).status == 404


async def test_another_tenants_type_is_none() -> None:
    world = World()
    await shipped(world)
    assert (await world.neighbour.get("/v1/types/order.shipped")).status == 404
    assert (await world.neighbour.request("DELETE", "/v1/types/order.shipped")).status == 404
    assert (await world.neighbour.get("/v1/types")).json()["data"] == []
    assert (await world.neighbour.post("/v1/types/order.shipped/preview", {"data": DATA})).status == 404
    answer = await world.neighbour.post("/v1/notifications", {"to": ADA, "type": "order.shipped", "data": DATA})
    assert faults(answer) == {("#/type", "unknown_type")}


async def test_everything_that_is_wrong_with_a_type_is_told_at_once() -> None:
    world = World()
    body = {
        "content": {
            "title": "{{ a|safe }}",
            "body": "fine {{ a }}",
            "url": "javascript:alert(1)",
            "email": {"subject": "{% include 'x' %}", "reply_to": "nobody"},
            "locales": {"p": {"url": "data:,x"}, "de": {"title": "{{ 1", "colour": "red"}},
        },
        "schema": {"type": "nonsense"},
        "plan": {"steps": [], "channels": ["fax"]},
        "digest": {"key": "a", "window": "1h"},
        "ttl": "0s",
        "category": "spam",
        "colour": 1,
    }
    assert faults(await world.client.request("PUT", "/v1/types/Bad%20Name", json=body)) == {
        ("name", "invalid_name"),
        ("#/content/title", "invalid_template"),
        ("#/content/url", "link_scheme"),
        ("#/content/email/subject", "invalid_template"),
        ("#/content/email/reply_to", "invalid_email"),
        ("#/content/locales/p", "invalid_locale"),
        ("#/content/locales/p/url", "link_scheme"),
        ("#/content/locales/de/title", "invalid_template"),
        ("#/content/locales/de/colour", "unknown_field"),
        ("#/content/locales", "invalid_name"),
        ("#/schema", "invalid_schema"),
        ("#/plan/steps", "not_supported"),
        ("#/plan/channels/0", "unknown_channel"),
        ("#/digest", "not_supported"),
        ("#/ttl", "invalid_duration"),
        ("#/category", "invalid_value"),
        ("#/colour", "unknown_field"),
    }
    assert (await world.client.request("PUT", "/v1/types/a", body=b"{", headers={"content-type": "application/json"})).status == 400
    assert faults(await world.client.request("PUT", "/v1/types/a", json=[])) == {("#", "invalid_type")}


async def test_a_number_without_a_fraction_is_whole_however_it_is_written() -> None:
    world = World()
    put = await shipped(world, content={"push": {"title": "a", "badge": 3.0}})
    assert put["content"]["push"]["badge"] == 3


@pytest.mark.parametrize("reference", ["https://example.org/schema.json", "file:///etc/passwd", "#/$defs/none"])
async def test_a_schema_refers_to_nothing_outside_of_itself(reference: str) -> None:
    answer = await World().client.request(
        "PUT", "/v1/types/a", json={**SHIPPED, "schema": {"properties": {"a": {"$ref": reference}}}}
    )
    assert faults(answer) == {("#/schema", "invalid_schema")}


async def test_a_notification_of_a_type_is_accepted_with_what_the_type_says_now() -> None:
    world = World()
    await shipped(world)
    answer = await post(world)
    assert answer.status == 202, answer.json()
    payload = taken(world)
    assert (payload.type, payload.priority, payload.ttl, payload.category) == ("order.shipped@1", "high", "2h", "transactional")
    assert payload.content.title == SHIPPED["content"]["title"]  # type: ignore[union-attr,index]
    assert payload.data == DATA
    # what the request says itself counts
    assert (await post(world, priority="critical", ttl="1m", category="marketing")).status == 202
    payload = taken(world)
    assert (payload.priority, payload.ttl, payload.category) == ("critical", "1m", "marketing")
    assert (await post(world, expires_at="2099-01-01T00:00:00Z")).status == 202
    assert not taken(world).ttl


async def test_a_version_can_be_pinned() -> None:
    world = World()
    await shipped(world)
    await shipped(world, ttl="9h")
    assert (await post(world, type="order.shipped@1")).status == 202
    assert (taken(world).type, taken(world).ttl) == ("order.shipped@1", "2h")
    assert (await post(world)).status == 202
    assert taken(world).type == "order.shipped@2"
    assert faults(await post(world, type="order.shipped@3")) == {("#/type", "unknown_type")}
    assert faults(await post(world, type="Order Shipped!")) == {("#/type", "unknown_type")}


async def test_a_category_becomes_only_stricter() -> None:
    world = World()
    await shipped(world, category="marketing")
    assert (await post(world)).status == 202
    assert taken(world).category == "marketing"
    assert faults(await post(world, category="transactional")) == {("#/category", "conflict")}


async def test_the_plan_of_a_type_is_its_channels_unless_the_request_names_some() -> None:
    world = World()
    await shipped(world, plan={"channels": ["email", "sms"]})
    assert (await post(world)).status == 202
    assert taken(world).channels == ["email", "sms"]
    assert (await post(world, channels=["sms"])).status == 202
    assert taken(world).channels == ["sms"]
    await shipped(world, "none", plan={"channels": ["telegram"]})
    assert faults(await post(world, type="none")) == {("#/type", "no_provider")}


async def test_every_fault_of_the_data_is_listed_beside_the_others_and_no_value_is_shown() -> None:
    world = World()
    await shipped(world)
    answer = await post(world, data={"order": {"number": "hunter2", "colour": "hunter2"}}, priority="urgent")
    assert faults(answer) == {
        ("#/data/order/number", "invalid_type"),
        ("#/data/order/day", "required"),
        ("#/data/order/colour", "unknown_field"),
        ("#/priority", "unknown_priority"),
    }
    assert "hunter2" not in answer.body.decode()
    assert faults(await world.client.post("/v1/notifications", {"to": ADA, "type": "order.shipped"})) == {
        ("#/data/order", "required")
    }
    assert faults(await post(world, data={"recipient": 1, **DATA})) == {("#/data/recipient", "reserved")}
    assert faults(await post(world, content={"body": "x"})) == {("#/content", "conflict")}


async def test_a_content_with_data_is_templates_and_without_it_is_not() -> None:
    world = World()
    bad = {
        "title": "{{ a|safe }}",
        "url": "{{ link }}",
        "email": {"subject": "{{ 1 }}\n{{ b", "reply_to": "{{ c }}"},
        "sms": {"from": "a\nb"},
    }
    assert faults(await world.client.post("/v1/notifications", {"to": ADA, "content": bad, "data": {}})) == {
        ("#/content/title", "invalid_template"),
        ("#/content/email/subject", "invalid_template"),
        ("#/content/sms/from", "header_injection"),
    }
    plain = {"title": "{{ a|safe }}", "body": "{% x"}
    assert (await world.client.post("/v1/notifications", {"to": ADA, "content": plain})).status == 202
    assert faults(await world.client.post("/v1/notifications", {"to": ADA, "content": plain, "data": 5})) >= {
        ("#/data", "invalid_type")
    }


async def test_a_batch_knows_types_too() -> None:
    world = World()
    await shipped(world)
    items = [
        {"to": ADA, "type": "order.shipped", "data": DATA},
        {"to": ADA, "type": "nothing"},
        {"to": ADA, "type": "order.shipped"},
    ]
    answer = await world.client.post("/v1/notifications/batch", {"notifications": items})
    results = answer.json()["results"]
    assert results[0]["state"] == "accepted"
    assert results[1]["problem"]["errors"][0]["code"] == "unknown_type"
    assert results[2]["problem"]["errors"][0]["pointer"] == "#/data/order"


async def test_a_repeat_is_answered_as_the_first_was_whatever_became_of_the_type() -> None:
    world = World()
    await shipped(world)
    first = await post(world, idempotency_key="order-7")
    await shipped(world, ttl="9h", schema={"type": "object", "required": ["more"]})
    world.clock.ms += 2000
    again = await post(world, idempotency_key="order-7")
    assert (again.status, again.json()) == (202, first.json())
    await world.client.request("DELETE", "/v1/types/order.shipped")
    world.clock.ms += 2000
    again = await post(world, idempotency_key="order-7")
    assert (again.status, again.json()) == (202, first.json())
    assert faults(await post(world)) == {("#/type", "unknown_type")}


async def test_the_door_asks_the_store_about_once_a_second_and_sees_what_is_new_within_it() -> None:
    world = World()
    await shipped(world)
    asked, get = [], world.types.get

    async def counted(tenant: str, name: str, version: int | None = None) -> Any:
        asked.append(name)
        return await get(tenant, name, version)

    world.types.get = counted  # type: ignore[method-assign]
    for _ in range(50):
        assert (await post(world)).status == 202
    assert len(asked) == 1
    await shipped(world, ttl="9h")
    world.clock.ms += 1000
    assert (await post(world)).status == 202
    assert (taken(world).type, len(asked)) == ("order.shipped@2", 2)


async def test_while_the_store_is_away_what_it_said_last_counts() -> None:
    world = World()
    await shipped(world)
    assert (await post(world)).status == 202

    async def down(*_: Any) -> Any:
        raise StoreDown("down")

    world.types.get = down  # type: ignore[method-assign]
    world.clock.ms += 60_000
    assert (await post(world)).status == 202
    refused = await post(world, type="order.shipped@1")
    assert (refused.status, refused.json()["may_be_accepted"]) == (503, False)
    assert (await world.client.get("/v1/types/order.shipped")).status == 503


async def test_a_preview_says_every_channel_and_sends_nothing() -> None:
    world = World()
    await shipped(world)
    wish = {"data": DATA, "recipient": {**ADA, "locale": "pt-br"}}
    answer = await world.client.post("/v1/types/order.shipped/preview", wish)
    assert answer.status == 200, answer.json()
    shown = {one["channel"]: one for one in answer.json()["channels"]}
    assert answer.json()["type"] == "order.shipped@1"
    assert shown["sms"]["body"] == "Encomenda 7\nOi ada, chega <Monday>."
    assert shown["sms"]["segments"] == {"encoding": "gsm7", "count": 1, "units": 35, "beyond": ""}
    assert shown["email"]["segments"] is None
    assert (shown["email"]["title"], shown["email"]["html"]) == ("Encomenda 7", "<p>&lt;Monday&gt;</p>")
    assert (shown["push"]["title"], shown["push"]["errors"]) == ("Encomenda 7", [])
    assert world.desk.taken == []
    unknown = (await world.client.post("/v1/types/order.shipped/preview", {"data": DATA})).json()["channels"]
    assert {error["pointer"] for one in unknown for error in one["errors"]} == {"#/content/body"}
    assert faults(await world.client.post("/v1/types/order.shipped/preview", {"data": {}})) == {("#/data/order", "required")}
    assert (await world.client.post("/v1/types/order.shipped/preview", {"data": DATA, "version": 2})).status == 404
