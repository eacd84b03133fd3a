"""Making, changing and removing endpoints, their secrets, their deliveries, and which addresses they may have."""

from __future__ import annotations

import ipaddress
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from sendwright.client import read_webhook
from sendwright.model.endpoint import TYPES, Posting, Tried, Try, posting_id
from sendwright.providers.contract import Reply
from sendwright.web.api.endpoint_shapes import EventType
from tests.unit.api_world import NOW, World

URL = "https://example.org/hook"
NONE = "end_" + "0" * 32


async def made(world: World, **more: Any) -> dict[str, Any]:
    answer = await world.client.post("/v1/endpoints", {"url": URL, **more})
    assert answer.status == 201, answer.body
    found: dict[str, Any] = answer.json()
    return found


async def posted(world: World, id_: str, count: int) -> list[str]:
    """So many postings, the first of which failed and the second of which arrived."""
    rows = [
        Posting(posting_id(id_, seq), id_, seq, "message.sent", "msg_1", NOW + seq, "{}", due_at=NOW) for seq in range(1, count + 1)
    ]
    (endpoint,) = [each for each in await world.endpoints.live() if each.id == id_]
    assert await world.endpoints.spread(endpoint, count, rows)
    for row, state in zip(rows, ("failed", "delivered"), strict=False):
        over = replace(row, state=state, due_at=None, count=1, tries=(Try(NOW, 500, "no", 7),))
        await world.endpoints.tried(Tried(over, NOW, ok=state == "delivered"))
    return [row.id for row in rows]


def test_the_types_are_named_in_one_order_everywhere() -> None:
    assert get_args(EventType) == TYPES


async def test_a_secret_is_shown_when_it_is_made_and_never_again() -> None:
    world = World()
    shown = await made(world, types=["message.sent", "message.failed", "message.sent"], description="orders")
    secret = shown.pop("secret")
    assert secret.startswith("whsec_")
    assert shown == {
        "id": shown["id"],
        "url": URL,
        "description": "orders",
        "types": ["message.sent", "message.failed"],
        "enabled": True,
        "disabled_for": None,
        "failing_since": None,
        "created_at": "2026-11-18T11:06:40.000Z",
        "previous_secret_until": None,
    }
    one = await world.client.get(f"/v1/endpoints/{shown['id']}")
    listed = await world.client.get("/v1/endpoints")
    assert one.json() == shown
    assert listed.json() == {"data": [shown], "next_cursor": None}
    assert secret[6:].encode() not in one.body + listed.body


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"url": "http://example.org/hook"}, ("#/url", "link_scheme")),
        ({"url": "ftp://example.org/"}, ("#/url", "link_scheme")),
        ({"url": "https://"}, ("#/url", "invalid_url")),
        ({"url": "https://user:pw@example.org/"}, ("#/url", "invalid_url")),
        ({"url": "https://example.org/ /"}, ("#/url", "invalid_url")),
        ({"url": "https://10.0.0.1/"}, ("#/url", "private_address")),
        ({"url": "https://127.1/"}, ("#/url", "private_address")),
        ({"url": "https://0x7f000001/"}, ("#/url", "private_address")),
        ({"url": "https://169.254.169.254/latest"}, ("#/url", "private_address")),
        ({"url": "https://[::ffff:127.0.0.1]/"}, ("#/url", "private_address")),
        ({"url": ""}, ("#/url", "too_short")),
        ({"url": "https://example.org/" + "x" * 2048}, ("#/url", "too_long")),
        ({"types": ["message.queued"]}, ("#/types/0", "invalid_value")),
        ({"types": "message.sent"}, ("#/types", "invalid_type")),
        ({"description": "two\nlines"}, ("#/description", "invalid_value")),
        ({"enabled": "yes"}, ("#/enabled", "invalid_type")),
        ({"secret": "whsec_AAAA"}, ("#/secret", "unknown_field")),
        ({"tenant": "acme"}, ("#/tenant", "unknown_field")),
    ],
)
async def test_what_is_wrong_is_refused_with_its_place_made_or_changed(wrong: dict[str, Any], fault: tuple[str, str]) -> None:
    world = World()
    shown = await made(world)
    for answer in (
        await world.client.post("/v1/endpoints", {"url": URL, **wrong}),
        await world.client.request("PATCH", f"/v1/endpoints/{shown['id']}", json=wrong),
    ):
        assert answer.status == 422
        assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [fault]
    assert len((await world.client.get("/v1/endpoints")).json()["data"]) == 1


async def test_all_that_is_wrong_with_an_endpoint_is_listed() -> None:
    world = World()
    path = f"/v1/endpoints/{(await made(world))['id']}"
    wrong = {"url": "https://10.0.0.1/", "types": ["message.lost"], "colour": "red"}
    for answer in (await world.client.post("/v1/endpoints", wrong), await world.client.request("PATCH", path, json=wrong)):
        assert answer.faults() == {("#/url", "private_address"), ("#/types/0", "invalid_value"), ("#/colour", "unknown_field")}


async def test_networks_of_the_operators_own_and_plain_http_are_for_whoever_allows_them() -> None:
    world = World(endpoint_private=(ipaddress.ip_network("10.20.0.0/16"),))
    assert (await made(world, url="http://10.20.0.5:8080/hook"))["url"] == "http://10.20.0.5:8080/hook"
    refused = await world.client.post("/v1/endpoints", {"url": "http://10.21.0.5/hook"})
    assert [each["code"] for each in refused.json()["errors"]] == ["private_address"]


async def test_what_is_left_out_of_a_change_stays() -> None:
    world = World()
    shown = await made(world, types=["message.sent"], description="orders")
    path = f"/v1/endpoints/{shown['id']}"
    changed = (await world.client.request("PATCH", path, json={"url": "https://example.com/"})).json()
    assert (changed["url"], changed["types"], changed["description"]) == ("https://example.com/", ["message.sent"], "orders")
    paused = (await world.client.request("PATCH", path, json={"enabled": False, "types": []})).json()
    assert (paused["enabled"], paused["disabled_for"], paused["types"]) == (False, "paused", [])
    again = (await world.client.request("PATCH", path, json={"enabled": True})).json()
    assert (again["enabled"], again["disabled_for"]) == (True, None)
    assert (await world.client.request("PATCH", path, json={})).json() == again


async def test_a_rotation_shows_a_new_secret_and_both_sign_for_a_day() -> None:
    world = World()
    shown = await made(world)
    rotated = (await world.client.post(f"/v1/endpoints/{shown['id']}/rotate")).json()
    assert rotated["secret"] != shown["secret"]
    assert rotated["previous_secret_until"] == "2026-11-19T11:06:40.000Z"
    assert (await world.client.post(f"/v1/endpoints/{shown['id']}/test")).json()["ok"]
    (post,) = world.out.posts
    for secret in (shown["secret"], rotated["secret"]):
        assert read_webhook(secret, dict(post.headers), post.body, now=NOW / 1000).type == "endpoint.test"
    world.clock.ms += 86_400_000
    assert (await world.client.get(f"/v1/endpoints/{shown['id']}")).json()["previous_secret_until"] is None


async def test_a_test_says_what_came_of_it() -> None:
    world = World()
    shown = await made(world)
    world.out.answer = Reply(500, (), b"ada@example.org broke it")
    answer = (await world.client.post(f"/v1/endpoints/{shown['id']}/test")).json()
    assert answer == {"ok": False, "status": 500, "detail": "••• broke it", "ms": 0}


async def test_deliveries_are_listed_newest_first_in_pages_and_by_state() -> None:
    world = World()
    id_, other = (await made(world))["id"], (await made(world))["id"]
    ids = await posted(world, id_, 5)
    path = f"/v1/endpoints/{id_}/deliveries"
    first = (await world.client.get(f"{path}?limit=3")).json()
    rest = (await world.client.get(f"{path}?limit=3&cursor={first['next_cursor']}")).json()
    assert [each["id"] for each in (*first["data"], *rest["data"])] == ids[::-1]
    assert rest["next_cursor"] is None
    (failed,) = (await world.client.get(f"{path}?state=failed")).json()["data"]
    assert failed == {
        "id": ids[0],
        "type": "message.sent",
        "timestamp": "2026-11-18T11:06:40.001Z",
        "state": "failed",
        "next_try_at": None,
        "try_count": 1,
        "tries": [{"at": "2026-11-18T11:06:40.000Z", "status": 500, "detail": "no", "ms": 7}],
    }
    elsewhere = await world.client.get(f"/v1/endpoints/{other}/deliveries?limit=3&cursor={first['next_cursor']}")
    assert (elsewhere.status, elsewhere.json()["errors"][0]["code"]) == (422, "invalid_cursor")
    assert (await world.client.get(f"{path}?state=lost")).status == 422


async def test_what_is_over_is_replayed_by_ids_or_all_that_failed() -> None:
    world = World()
    id_ = (await made(world))["id"]
    ids = await posted(world, id_, 3)
    path = f"/v1/endpoints/{id_}/replay"
    assert (await world.client.post(path)).json() == {"ids": [ids[0]], "more": False}
    assert (await world.client.post(path)).json() == {"ids": [], "more": False}
    assert (await world.client.post(path, {"ids": ids})).json() == {"ids": [ids[1]], "more": False}
    assert (await world.client.post(path, {"ids": ["evt_1"]})).status == 422


async def test_what_is_removed_is_gone_with_its_deliveries() -> None:
    world = World()
    id_ = (await made(world))["id"]
    await posted(world, id_, 3)
    assert (await world.client.request("DELETE", f"/v1/endpoints/{id_}")).status == 204
    assert (await world.client.get(f"/v1/endpoints/{id_}")).status == 404
    assert list(await world.endpoints.postings(id_, None, 10)) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/rotate"),
        ("POST", "/test"),
        ("GET", "/deliveries"),
        ("POST", "/replay"),
    ],
)
async def test_another_tenants_endpoint_is_as_if_it_were_not(method: str, path: str) -> None:
    world = World()
    id_ = (await made(world))["id"]
    body = {} if method in ("POST", "PATCH") else None
    theirs = await world.neighbour.request(method, f"/v1/endpoints/{id_}{path}", json=body)
    nobodys = await world.neighbour.request(method, f"/v1/endpoints/{NONE}{path}", json=body)
    assert theirs.status == nobodys.status == 404
    assert (await world.neighbour.get("/v1/endpoints")).json()["data"] == []
    assert (await world.client.get(f"/v1/endpoints/{id_}")).status == 200
    assert world.out.posts == []
