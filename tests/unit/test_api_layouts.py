"""Layouts over HTTP: put, shown, deleted; named by types and by contents, and fixed when a notification is accepted."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from sendwright.model.layouts import LayoutBody, LayoutVersion
from sendwright.model.notification import Payload
from sendwright.model.parcel import WITH_DATA, Intake
from sendwright.model.said import Said
from sendwright.model.states import MessageState
from sendwright.model.types import Referred
from sendwright.policy.admission import Admitted, Rules, admit

from .api_world import World
from .engine_world import EMAIL, REFUSED, Vendor, in_virtual_time
from .engine_world import World as Engine

BRAND = {"html": "<main>{{ content }}</main>", "text": "{{ content }}\n-- Us", "description": "Ours"}
TYPE = {"content": {"title": "T", "body": "Hi {{ name }}", "email": {"layout": "brand", "html": "<p>{{ name }}</p>"}}}
MAIL = {"to": {"email": "ada@example.org"}, "content": {"title": "T", "body": "Hi", "email": {"layout": "brand"}}}


async def put(world: World, path: str, body: Any) -> Any:
    answer = await world.client.request("PUT", path, json=body)
    assert answer.status == 200, answer.json()
    return answer.json()


def faults(answer: Any) -> dict[str, str]:
    assert answer.status == 422, answer.json()
    return {error.get("pointer") or error.get("parameter"): error["code"] for error in answer.json()["errors"]}


def taken(world: World) -> Payload:
    return world.desk.taken[-1][1]


async def test_what_is_put_is_shown_and_each_change_is_a_version() -> None:
    world = World()
    first = await put(world, "/v1/layouts/brand", BRAND)
    assert first == {"name": "brand", "version": 1, "created_at": first["created_at"], "locales": {}, **BRAND}
    assert await put(world, "/v1/layouts/brand", BRAND) == first
    assert (await put(world, "/v1/layouts/brand", {"text": "{{ content }}"}))["version"] == 2
    assert (await world.client.get("/v1/layouts/brand?version=1")).json() == first
    assert (await world.client.get("/v1/layouts/brand")).json()["html"] is None
    await put(world, "/v1/layouts/alone", BRAND)
    page = (await world.client.get("/v1/layouts?limit=1")).json()
    rest = (await world.client.get(f"/v1/layouts?limit=1&cursor={page['next_cursor']}")).json()
    assert [row["name"] for row in page["data"] + rest["data"]] == ["alone", "brand"]
    assert (await world.neighbour.get("/v1/layouts/brand")).status == 404
    assert (await world.client.request("DELETE", "/v1/layouts/alone")).status == 204
    assert (await world.client.request("DELETE", "/v1/layouts/alone")).status == 404
    answer = await world.client.request("PUT", "/v1/layouts/Bad%20Name", json={"html": "no place", "colour": 1})
    assert faults(answer) == {"name": "invalid_name", "#/html": "invalid_template", "#/colour": "unknown_field"}


async def test_a_layout_that_is_none_is_told_wherever_it_is_named() -> None:
    world = World()
    body = {"content": {"body": "x", "email": {"layout": "a"}, "locales": {"pt": {"email": {"layout": "{{ b }}"}}}}, "ttl": "0s"}
    assert faults(await world.client.request("PUT", "/v1/types/order", json=body)) == {
        "#/content/email/layout": "unknown_layout",
        "#/content/locales/pt/email/layout": "unknown_layout",
        "#/ttl": "invalid_duration",
    }
    assert faults(await world.client.post("/v1/notifications", {**MAIL, "priority": "x"})) == {
        "#/content/email/layout": "unknown_layout",
        "#/priority": "unknown_priority",
    }
    await put(world, "/v1/layouts/brand", BRAND)
    world.clock.ms += 1000
    assert (await world.client.post("/v1/notifications", MAIL)).status == 202
    pinned = {**MAIL, "content": {"body": "x", "email": {"layout": "brand@2"}}}
    batch = await world.client.post("/v1/notifications/batch", {"notifications": [MAIL, pinned]})
    first, second = batch.json()["results"]
    assert first["state"] == "accepted"
    assert second["problem"]["errors"][0]["code"] == "unknown_layout"
    assert (await world.neighbour.post("/v1/notifications", MAIL)).status == 422


async def test_its_words_are_fixed_when_a_notification_is_accepted() -> None:
    world = World()
    await put(world, "/v1/layouts/brand", BRAND)
    await put(world, "/v1/types/order", TYPE)
    asked = {"to": MAIL["to"], "type": "order", "data": {"name": "Ada"}}
    for body in (MAIL, asked, {**MAIL, "data": {}}):
        assert (await world.client.post("/v1/notifications", body)).status == 202
        content = taken(world).content
        assert isinstance(content, Said)
        assert content.layouts == {"brand": {"html": BRAND["html"], "text": BRAND["text"]}}
    await put(world, "/v1/layouts/brand", {"text": "new {{ content }}"})
    world.clock.ms += 1000
    assert (await world.client.post("/v1/notifications", asked)).status == 202
    content = taken(world).content
    assert isinstance(content, Said)
    assert content.layouts == {"brand": {"text": "new {{ content }}"}}


async def test_a_layout_stays_while_a_type_names_it() -> None:
    world = World()
    await put(world, "/v1/layouts/brand", BRAND)
    locale = {"content": {"body": "x", "locales": {"pt": {"email": {"layout": "brand@1"}}}}}
    for name, body in (("order", TYPE), ("other", {"content": {"body": "x"}}), ("parcel", locale)):
        await put(world, f"/v1/types/{name}", body)
    answer = await world.client.request("DELETE", "/v1/layouts/brand")
    assert (answer.status, answer.json()["code"]) == (409, "in_use")
    assert "order, parcel." in answer.json()["detail"]
    await put(world, "/v1/types/order", {"content": {"body": "x"}})
    await world.client.request("DELETE", "/v1/types/parcel")
    assert (await world.client.request("DELETE", "/v1/layouts/brand")).status == 204
    old = {"to": MAIL["to"], "type": "order@1", "data": {"name": "Ada"}}
    assert faults(await world.client.post("/v1/notifications", old)) == {"#/type": "unknown_layout"}
    new = await world.client.post("/v1/notifications", {"to": MAIL["to"], "type": "order"})
    assert new.status == 202


async def test_a_preview_shows_the_whole_mail_and_no_other_channel_in_it() -> None:
    world = World()
    await put(world, "/v1/layouts/brand", BRAND)
    await put(world, "/v1/types/order", TYPE)
    shown = await world.client.post("/v1/types/order/preview", {"data": {"name": "<Ada>"}})
    by_channel = {one["channel"]: one for one in shown.json()["channels"]}
    assert by_channel["email"]["body"] == "Hi <Ada>\n-- Us"
    assert by_channel["email"]["html"] == "<main><p>&lt;Ada&gt;</p></main>"
    assert by_channel["sms"]["body"] == "T\nHi <Ada>"


async def test_the_door_asks_for_a_layout_about_once_a_second_and_for_none_that_is_not_named() -> None:
    world = World()
    await put(world, "/v1/layouts/brand", BRAND)
    await put(world, "/v1/types/order", TYPE)
    asked, get = [], world.layouts.get

    async def counted(tenant: str, name: str, version: int | None = None) -> Any:
        asked.append(name)
        return await get(tenant, name, version)

    world.layouts.get = counted  # type: ignore[method-assign]
    for _ in range(20):
        assert (await world.client.post("/v1/notifications", MAIL)).status == 202
        assert (await world.client.post("/v1/notifications", {"to": MAIL["to"], "type": "order"})).status == 202
        assert (await world.client.post("/v1/notifications", {"to": MAIL["to"], "content": {"body": "layout"}})).status == 202
    assert asked == ["brand"]


@in_virtual_time
async def test_a_mail_that_waits_is_sent_in_the_layout_of_when_it_was_accepted_and_the_next_step_has_none() -> None:
    mail, sms = Vendor("mail", channels=("email",)), Vendor("sms")
    mail.says(REFUSED)
    async with Engine(mail, sms) as world:
        body = {
            "to": {"id": "ada", "email": EMAIL, "phone": "+14155550123"},
            "channels": ["email", "sms"],
            "content": {"body": "Hi", "email": {"layout": "brand"}},
            "send_at": world.instant(30),
        }
        layout = LayoutVersion("brand", 1, 0, LayoutBody(text="{{ content }}\n-- {{ recipient.id }}", html="<b>{{ content }}</b>"))
        raw = json.dumps(body).encode()
        found = admit(raw, Rules(), {"email", "sms"}, world.clock.now_ms(), Referred(None, {"brand": layout}))
        assert isinstance(found, Admitted)
        answer = await world.accepting.accept("acme", found.payload, found.raw, None)
        await world.settled(answer.id, MessageState.SENT)  # type: ignore[union-attr]
        assert [call.body for call in mail.calls] == ["Hi\n-- ada"]
        assert [call.body for call in sms.calls] == ["Hi"]


def test_what_was_accepted_with_a_layout_is_read_back_as_it_was() -> None:
    layout = LayoutVersion("brand", 1, 0, LayoutBody(html="{{ content }}"))
    found = admit(json.dumps(MAIL).encode(), Rules(), {"email"}, 0, Referred(None, {"brand": layout}))
    assert isinstance(found, Admitted)
    raw = msgspec.json.encode(Intake("ntf_1", "acme", 0, msgspec.Raw(msgspec.json.encode(found.payload)), v=WITH_DATA))
    assert b'"layouts":{"brand":{"html":"{{ content }}"}}' in raw
    assert found.raw == json.dumps(MAIL).encode()
