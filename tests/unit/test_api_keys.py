"""Making, listing and revoking keys; what a made key may do beside its scopes; and the hot call by one."""

from __future__ import annotations

from typing import Any

import pytest

from sendwright.errors import StoreDown
from sendwright.model.api_key import SCOPES, api_key_id
from tests.unit.api_world import World
from tests.unit.asgi_client import Client
from tests.unit.test_api_front import ORDER, Line

WISH = {"name": "orders service", "scopes": ["send"]}


def by(world: World, key: str, **headers: str) -> Client:
    return Client(world.app, {"authorization": f"Bearer {key}", **headers})


async def holder(world: World, *scopes: str, tenant: str = "acme", **more: Any) -> tuple[str, Client]:
    """A key's id, and who calls by it."""
    key, text = await world.warden.made(tenant, "holder", scopes or SCOPES, **more)
    return key.id, by(world, text)


async def test_a_key_is_shown_once_and_does_what_was_asked_for() -> None:
    world = World()
    asked = {**WISH, "tenant": "acme", "scopes": ["read", "send"], "rate": "100/s", "expires_at": "2026-12-24T18:00:00+01:00"}
    made = await world.client.post("/v1/keys", asked)
    assert made.status == 201
    shown = made.json()
    key = shown.pop("key")
    assert shown == {
        "id": api_key_id(key),
        "name": "orders service",
        "tenant": "acme",
        "scopes": ["send", "read"],
        "rate": "100/s",
        "created_at": "2026-11-18T11:06:40.000Z",
        "expires_at": "2026-12-24T17:00:00.000Z",
        "last_used_at": None,
    }
    listed = await world.client.get("/v1/keys")
    assert listed.json() == {"data": [shown], "next_cursor": None}
    assert key[12:].encode() not in listed.body
    assert (await by(world, key).post("/v1/notifications", ORDER)).status == 202
    assert [tenant for tenant, *_ in world.desk.taken] == ["acme"]


async def test_what_is_left_out_is_the_callers_tenant_no_rate_and_no_end() -> None:
    world = World()
    made = (await world.client.post("/v1/keys", {**WISH, "rate": None, "expires_at": None})).json()
    assert (made["tenant"], made["rate"], made["expires_at"]) == ("default", None, None)
    assert (await world.neighbour.post("/v1/keys", WISH)).json()["tenant"] == "acme"
    _, admin = await holder(world, tenant="beta")
    assert (await admin.post("/v1/keys", WISH)).json()["tenant"] == "beta"


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"name": ""}, ("#/name", "too_short")),
        ({"name": "x" * 101}, ("#/name", "too_long")),
        ({"name": "two\nlines"}, ("#/name", "invalid_value")),
        ({"name": 7}, ("#/name", "invalid_type")),
        ({"scopes": []}, ("#/scopes", "too_few")),
        ({"scopes": ["send", "everything"]}, ("#/scopes/1", "invalid_value")),
        ({"scopes": "send"}, ("#/scopes", "invalid_type")),
        ({"tenant": "Acme Inc."}, ("#/tenant", "invalid_value")),
        ({"tenant": None}, ("#/tenant", "invalid_type")),
        ({"rate": "0/s"}, ("#/rate", "invalid_rate")),
        ({"rate": "100 per second"}, ("#/rate", "invalid_rate")),
        ({"expires_at": "tomorrow"}, ("#/expires_at", "invalid_time")),
        ({"expires_at": "2026-02-30T00:00:00Z"}, ("#/expires_at", "invalid_time")),
        ({"expires_at": "2026-11-18T11:06:40Z"}, ("#/expires_at", "expired")),
        ({"key": "swk_mine"}, ("#/key", "unknown_field")),
        ({"id": "swk_00000000"}, ("#/id", "unknown_field")),
        ({"hash": ""}, ("#/hash", "unknown_field")),
    ],
    ids=str,
)
async def test_a_bad_wish_is_refused_with_its_fault_and_makes_nothing(wrong: dict[str, Any], fault: tuple[str, str]) -> None:
    world = World()
    answer = await world.client.post("/v1/keys", WISH | wrong)
    assert (answer.status, answer.faults()) == (422, {fault})
    assert list(await world.keyring.page(None, 10)) == []


async def test_every_fault_of_a_wish_is_listed() -> None:
    answer = await World().client.post("/v1/keys", {"name": "", "scopes": ["x"], "expires_at": "tomorrow", "rate": "1"})
    assert answer.faults() == {
        ("#/name", "too_short"),
        ("#/scopes/0", "invalid_value"),
        ("#/expires_at", "invalid_time"),
        ("#/rate", "invalid_rate"),
    }


async def test_an_end_that_is_past_is_listed_beside_a_wrong_shape() -> None:
    answer = await World().client.post("/v1/keys", {**WISH, "name": "", "expires_at": "2020-01-01T00:00:00Z"})
    assert answer.faults() == {("#/name", "too_short"), ("#/expires_at", "expired")}


async def test_a_wish_without_scopes_or_name_makes_no_key_that_may_everything() -> None:
    answer = await World().client.post("/v1/keys", {})
    assert answer.faults() == {("#/name", "required"), ("#/scopes", "required")}


async def test_a_key_gives_no_scope_that_it_lacks_and_no_tenant_but_its_own_and_hears_of_both() -> None:
    world = World()
    _, admin = await holder(world, "admin", "read")
    answer = await admin.post("/v1/keys", {"name": "more", "scopes": ["read", "send"], "tenant": "default"})
    assert (answer.status, answer.json()["code"]) == (403, "forbidden")
    assert answer.faults() == {("#/scopes/1", "forbidden"), ("#/tenant", "forbidden")}
    assert (await admin.post("/v1/keys", {"name": "same", "scopes": ["admin", "read"], "tenant": "acme"})).status == 201


async def test_a_key_of_the_operators_tenant_is_no_admin_key() -> None:
    world = World()
    theirs, _ = await holder(world)
    _, admin = await holder(world, tenant="default")
    assert (await admin.post("/v1/keys", {**WISH, "tenant": "acme"})).status == 403
    assert theirs not in (await admin.get("/v1/keys")).body.decode()
    assert (await admin.request("DELETE", f"/v1/keys/{theirs}")).status == 404


async def test_a_tenants_admin_sees_and_revokes_its_tenants_keys_alone() -> None:
    world = World()
    own, admin = await holder(world)
    other, _ = await holder(world, "send")
    theirs, _ = await holder(world, tenant="beta")
    assert {row["id"] for row in (await admin.get("/v1/keys")).json()["data"]} == {own, other}
    for foreign in (theirs, "swk_00000000", "swk_", "..%2Fkeys", "x"):
        answer = await admin.request("DELETE", f"/v1/keys/{foreign}")
        assert (answer.status, answer.json()["code"]) == (404, "not_found")
    assert (await admin.request("DELETE", f"/v1/keys/{other}")).status == 204
    assert (await admin.request("DELETE", f"/v1/keys/{other}")).status == 404
    assert (await admin.request("DELETE", f"/v1/keys/{own}")).status == 204  # itself: nothing speaks against it
    assert (await admin.get("/v1/keys")).status == 401


async def test_the_admin_key_sees_to_everybodys_keys_unless_it_acts_for_one_tenant() -> None:
    world = World()
    ours, _ = await holder(world, tenant="default")
    theirs, _ = await holder(world, tenant="acme")
    others, _ = await holder(world, tenant="beta")
    assert {row["id"] for row in (await world.client.get("/v1/keys")).json()["data"]} == {ours, theirs, others}
    assert [row["id"] for row in (await world.neighbour.get("/v1/keys")).json()["data"]] == [theirs]
    as_default = await world.client.get("/v1/keys", headers={"sendwright-tenant": "default"})
    assert [row["id"] for row in as_default.json()["data"]] == [ours]
    assert (await world.neighbour.request("DELETE", f"/v1/keys/{others}")).status == 404
    assert (await world.neighbour.post("/v1/keys", {**WISH, "tenant": "beta"})).status == 403
    assert (await world.client.request("DELETE", f"/v1/keys/{others}")).status == 204


async def test_the_list_goes_on_by_a_cursor_that_is_good_for_its_own_reader_alone() -> None:
    world = World()
    made = [await holder(world) for _ in range(5)]
    pages, cursor = [], ""
    while True:
        page = (await made[0][1].get(f"/v1/keys?limit=2{cursor}")).json()
        pages.append([row["id"] for row in page["data"]])
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert [len(page) for page in pages] == [2, 2, 1]
    assert {id_ for page in pages for id_ in page} == {id_ for id_, _ in made}
    _, stranger = await holder(world, tenant="beta")
    assert (await stranger.get(f"/v1/keys?limit=2{cursor}")).status == 422


async def test_the_last_use_is_shown() -> None:
    world = World()
    id_, admin = await holder(world)
    assert (await admin.get("/v1/keys")).json()["data"][0]["last_used_at"] is None
    await world.warden.turn()
    (shown,) = (await admin.get("/v1/keys")).json()["data"]
    assert (shown["id"], shown["last_used_at"]) == (id_, "2026-11-18T11:06:40.000Z")


async def test_a_dead_letter_of_another_tenants_is_not_found_by_its_id() -> None:
    world = World()
    _, (message,) = world.born(dead=True)
    _, stranger = await holder(world)
    for what in ("replay", "drop"):
        answer = await stranger.post(f"/v1/dead/{what}", {"ids": [message]})
        assert (answer.status, answer.json()["done"]) == (200, 0)
    assert world.rows.messages[message].dead


async def test_who_keeps_a_rate_of_its_own_is_told_what_is_left_on_every_answer_and_bad_calls_count() -> None:
    world = World()
    _, caller = await holder(world, rate="4/min")
    taken = await caller.post("/v1/notifications", ORDER)
    assert (taken.status, taken.headers["ratelimit"]) == (202, '"key";r=3;t=15')
    assert (await caller.post("/v1/notifications", {})).headers["ratelimit"] == '"key";r=2;t=15'
    assert (await caller.get("/v1/messages?x=1")).headers["ratelimit"] == '"key";r=1;t=15'
    assert (await caller.post("/v1/notifications", headers={"content-type": "text/plain"})).headers["ratelimit"] == '"key";r=0;t=15'
    refused = await caller.post("/v1/notifications", ORDER)
    assert (refused.status, refused.headers["retry-after"]) == (429, "15")
    assert len(world.desk.taken) == 1


async def test_a_store_that_does_not_answer_shuts_out_made_keys_and_nobody_else() -> None:
    world = World()
    _, caller = await holder(world)

    async def down(ids: Any) -> Any:
        raise StoreDown("down")

    world.keyring.find = down  # type: ignore[method-assign]
    for path in ("/v1/notifications", "/v1/keys"):
        answer = await caller.post(path, ORDER)
        assert (answer.status, answer.json()["code"], answer.json()["may_be_accepted"]) == (503, "unavailable", False)
        assert answer.headers["retry-after"]
    assert world.desk.taken == []
    assert (await world.client.post("/v1/notifications", ORDER)).status == 202


def order(key: str, **body: Any) -> bytes:
    import json

    raw = json.dumps(ORDER | body).encode()
    head = f"POST /v1/notifications HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    return head.encode() + f"content-length: {len(raw)}\r\n\r\n".encode() + raw


async def test_a_busy_key_goes_the_short_way_and_asks_the_store_nothing() -> None:
    world = World()
    _, text = await world.warden.made("acme", "busy", ["send"])
    asked = 0
    find = world.keyring.find

    async def counted(ids: Any) -> Any:
        nonlocal asked
        asked += 1
        return await find(ids)

    world.keyring.find = counted  # type: ignore[method-assign]
    line = Line(world)
    for _ in range(5):
        assert b" 202 " in await line.say(order(text))
    assert asked == 1
    assert line.wire.writes >= 5
    assert len(world.desk.taken) == 5


async def test_the_short_way_counts_a_call_once_and_shows_what_is_left() -> None:
    world = World()
    _, text = await world.warden.made("acme", "busy", ["send"], rate="3/min")
    line = Line(world)
    left = [b'"key";r=2;t=20', b'"key";r=1;t=20', b'"key";r=0;t=20']
    for rest in left:
        answer = await line.say(order(text))
        assert b" 202 " in answer
        assert b"ratelimit: " + rest + b"\r\n" in answer
    refused = await line.say(order(text))
    assert b" 429 " in refused
    assert b"retry-after: 20\r\n" in refused
    # and what the short way hands over, because it is wrong, is counted once as well
    world.clock.ms += 60_000
    assert b'ratelimit: "key";r=2;' in await line.say(order(text, colour="red"))
    assert b'ratelimit: "key";r=1;' in await line.say(order(text))


async def test_the_short_way_closes_with_the_key() -> None:
    world = World()
    key, text = await world.warden.made("acme", "busy", ["send"])
    line = Line(world)
    assert b" 202 " in await line.say(order(text))
    await world.warden.revoke("acme", key.id)
    assert b" 401 " in await line.say(order(text))
    assert len(world.desk.taken) == 1


async def test_no_key_reaches_a_problem_a_list_or_a_repr() -> None:
    world = World()
    id_, caller = await holder(world, "send")
    key = caller.headers["authorization"].removeprefix("Bearer ")
    answers = [
        await caller.get("/v1/keys"),
        await by(world, key + "x").get("/v1/keys"),
        await by(world, key, **{"sendwright-tenant": "x"}).get("/v1/messages"),
        await world.client.get("/v1/keys"),
        await world.client.request("DELETE", f"/v1/keys/{key}"),
    ]
    assert {answer.status for answer in answers} == {403, 401, 200, 404}
    assert not [answer for answer in answers if key[len(id_) :].encode() in answer.body]
    assert key[len(id_) :] not in repr((world.services, world.warden, world.keyring))
