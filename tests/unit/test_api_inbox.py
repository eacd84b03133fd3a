"""The inbox through the API: by whose token, what is reported of it, and what is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sendwright.model.content import Action
from sendwright.model.inbox import Item, ItemContent
from sendwright.model.parcel import INBOUND
from sendwright.model.states import AttemptState
from sendwright.policy.duration import rfc3339

from .api_world import World
from .asgi_client import Client

ORIGIN = "https://app.example.com"


async def token(world: World, recipient: str = "ada", **body: Any) -> str:
    answer = await world.client.post(f"/v1/recipients/{recipient}/token", json=body or None)
    assert answer.status == 201, answer.body
    made: str = answer.json()["token"]
    return made


def app(world: World, given: str) -> Client:
    """The person's own app."""
    return Client(world.app, {"authorization": f"Bearer {given}"})


async def put(world: World, number: int, recipient: str = "ada", tenant: str = "default") -> str:
    said = ItemContent("Shipped", f"Order {number}", "https://example.org/", None, (Action("ok", "OK"),), {"order": number})
    item = Item(f"msg_{number:034}", tenant, recipient, world.clock.ms + number, "inbox-main", f"att_{number}", said)
    await world.inbox.add(item)
    return item.id


def reported(world: World) -> list[tuple[str | None, int]]:
    return [(sighting.attempt, sighting.state) for lane, sighting in world.bus.published if lane == INBOUND]


async def test_a_person_sees_their_own_items_and_what_is_fetched_is_delivered_once() -> None:
    world = World()
    mine = await put(world, 1)
    await put(world, 2, recipient="eve")
    await put(world, 3, tenant="acme")
    ada = app(world, await token(world))

    answer = (await ada.get("/v1/inbox")).json()

    (item,) = answer["data"]
    assert (item["id"], item["title"], item["body"], item["data"]) == (mine, "Shipped", "Order 1", {"order": 1})
    assert item["actions"] == [{"id": "ok", "label": "OK", "url": None}]
    assert (item["read_at"], answer["unread"]) == (None, 1)
    await ada.get("/v1/inbox")
    assert reported(world) == [("att_1", AttemptState.DELIVERED)]


async def test_what_is_read_is_reported_as_read_and_counted() -> None:
    world = World()
    first, second = await put(world, 1), await put(world, 2)
    ada = app(world, await token(world))
    assert (await ada.get("/v1/inbox/count")).json() == {"unread": 2, "total": 2}

    answer = await ada.post("/v1/inbox/mark", json={"as": "read", "ids": [first, "msg_nobody"]})

    assert answer.json() == {"ids": [first], "unread": 1}
    assert reported(world) == [("att_1", AttemptState.READ)]
    assert (await ada.post("/v1/inbox/mark", json={"as": "read", "all": True})).json() == {"ids": [second], "unread": 0}
    assert [item["id"] for item in (await ada.get("/v1/inbox?view=unread")).json()["data"]] == []


async def test_an_inbox_works_without_the_bus_and_what_was_read_meanwhile_is_reported_when_it_is_back() -> None:
    world = World()
    one = await put(world, 1)
    ada = app(world, await token(world))
    world.bus.down = True
    assert (await ada.get("/v1/inbox")).status == 200
    assert (await ada.post("/v1/inbox/mark", json={"as": "read", "ids": [one]})).json() == {"ids": [one], "unread": 0}
    await world.services.reporter.turn()
    assert reported(world) == []
    world.bus.down = False
    await world.services.reporter.turn()
    await world.services.reporter.turn()
    assert reported(world) == [("att_1", AttemptState.READ)]


async def test_archiving_snoozing_and_back() -> None:
    world = World()
    one = await put(world, 1)
    ada = app(world, await token(world))
    until = "2099-01-01T00:00:00Z"
    assert (await ada.post("/v1/inbox/mark", json={"as": "snoozed", "ids": [one], "until": until})).status == 422
    soon = rfc3339(world.clock.ms + 1000)
    for mark, view in (
        ({"as": "archived"}, "archived"),
        ({"as": "snoozed", "until": soon}, "snoozed"),
        ({"as": "restored"}, "all"),
    ):
        assert (await ada.post("/v1/inbox/mark", json={**mark, "ids": [one]})).json()["ids"] == [one]
        assert [item["id"] for item in (await ada.get(f"/v1/inbox?view={view}")).json()["data"]] == [one]


async def test_nobody_touches_what_is_anothers() -> None:
    world = World()
    mine = await put(world, 1)
    eve = app(world, await token(world, "eve"))
    assert (await eve.post("/v1/inbox/mark", json={"as": "read", "ids": [mine]})).json()["ids"] == []
    assert (await eve.get("/v1/inbox")).json()["data"] == []
    assert reported(world) == []


async def test_a_list_goes_on_by_its_cursor() -> None:
    world = World()
    for number in range(5):
        await put(world, number)
    ada = app(world, await token(world))
    first = (await ada.get("/v1/inbox?limit=3")).json()
    second = (await ada.get(f"/v1/inbox?limit=3&cursor={first['next_cursor']}")).json()
    assert [item["body"] for item in (*first["data"], *second["data"])] == [f"Order {n}" for n in (4, 3, 2, 1, 0)]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:-2] + ("AA" if text[-2:] != "AA" else "BB"),
        lambda text: text[:10] + ("A" if text[10] != "A" else "B") + text[11:],
        lambda text: text.replace("swr_", "swk_"),
        lambda text: "swr_" + "A" * 80,
        lambda text: "swr_!",
        lambda text: text + "=",
    ],
)
async def test_a_token_that_is_none_opens_nothing(change: Any) -> None:
    world = World()
    await put(world, 1)
    answer = await app(world, change(await token(world))).get("/v1/inbox")
    assert (answer.status, answer.json()["code"]) == (401, "unauthenticated")


async def test_a_token_ends_when_it_was_said_to() -> None:
    world = World()
    ada = app(world, await token(world, ttl="10m"))
    world.clock.ms += 599_999
    assert (await ada.get("/v1/inbox")).status == 200
    world.clock.ms += 1
    assert (await ada.get("/v1/inbox")).status == 401


@pytest.mark.parametrize("ttl", ["25h", "0s", "soon"])
async def test_a_token_is_good_for_a_day_at_the_most(ttl: str) -> None:
    answer = await World().client.post("/v1/recipients/ada/token", json={"ttl": ttl})
    assert [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == [("#/ttl", "invalid_duration")]


async def test_a_token_opens_the_inbox_and_nothing_else_and_a_key_does_not_open_it() -> None:
    world = World()
    ada = app(world, await token(world))
    for path in ("/v1/messages", "/v1/providers", "/v1/events"):
        assert (await ada.get(path)).status == 401
    assert (await world.client.get("/v1/inbox")).status == 401


async def test_tokens_of_two_tenants_are_two_peoples() -> None:
    world = World()
    await put(world, 1, tenant="acme")
    answer = await world.client.post("/v1/recipients/ada/token", headers={"sendwright-tenant": "acme"})
    assert len((await app(world, answer.json()["token"]).get("/v1/inbox")).json()["data"]) == 1
    assert (await app(world, await token(world)).get("/v1/inbox")).json()["data"] == []


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"as": "read"}, "#/ids"),
        ({"as": "read", "ids": ["msg_1"], "all": True}, "#/ids"),
        ({"as": "snoozed", "ids": ["msg_1"]}, "#/until"),
        ({"as": "read", "ids": ["msg_1"], "until": "2027-01-01T00:00:00Z"}, "#/until"),
        ({"as": "snoozed", "ids": ["msg_1"], "until": "2020-01-01T00:00:00Z"}, "#/until"),
        ({"as": "delivered", "ids": ["msg_1"]}, "#/as"),
    ],
)
async def test_a_mark_that_makes_no_sense_is_refused(body: dict[str, Any], where: str) -> None:
    world = World()
    answer = await app(world, await token(world)).post("/v1/inbox/mark", json=body)
    assert answer.status == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [where]


async def test_the_stream_tells_the_counts_at_once_and_whenever_they_change() -> None:
    world = World(events_every_s=0.01)
    await put(world, 1)
    ada = app(world, await token(world))
    async with ada.stream("/v1/inbox/stream") as stream:
        await stream.until(b'{"unread":1,"total":1}')
        second = await put(world, 2)
        await stream.until(b'{"unread":2,"total":2}')
        await ada.post("/v1/inbox/mark", json={"as": "archived", "ids": [second]})
        while stream.body.count(b"event: inbox") < 3:
            await asyncio.sleep(0.01)
        assert stream.body.rstrip().endswith(b'{"unread":1,"total":1}')


async def test_the_stream_ends_with_its_token() -> None:
    world = World(events_every_s=0.01)
    ada = app(world, await token(world, ttl="10m"))
    async with ada.stream("/v1/inbox/stream") as stream:
        await stream.until(b"event: inbox")
        world.clock.ms += 600_000
        async with asyncio.timeout(5):
            while not stream.ended:
                await asyncio.sleep(0.01)


async def test_pages_of_the_origins_in_the_settings_may_call_it_and_no_others() -> None:
    world = World(inbox_origins=frozenset({ORIGIN}))
    ada = app(world, await token(world))
    answer = await ada.get("/v1/inbox", headers={"origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "origin" in answer.headers["vary"]
    asked = await Client(world.app, {}).request(
        "OPTIONS", "/v1/inbox/mark", headers={"origin": ORIGIN, "access-control-request-method": "POST"}
    )
    assert (asked.status, asked.headers["access-control-allow-headers"]) == (204, "authorization, content-type, last-event-id")
    assert "access-control-allow-credentials" not in asked.headers
    for origin in ("https://evil.example", "null", ORIGIN + ".evil.example"):
        other = await ada.get("/v1/inbox", headers={"origin": origin})
        assert "access-control-allow-origin" not in other.headers
        assert (await Client(world.app, {}).request("OPTIONS", "/v1/inbox/mark", headers={"origin": origin})).status == 405
    elsewhere = await world.client.get("/v1/messages", headers={"origin": ORIGIN})
    assert "access-control-allow-origin" not in elsewhere.headers


async def test_a_refusal_can_be_read_by_those_pages_too() -> None:
    world = World(inbox_origins=frozenset({ORIGIN}))
    answer = await Client(world.app, {}).request("GET", "/v1/inbox", headers={"origin": ORIGIN})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (401, ORIGIN)


def test_nothing_of_a_token_is_printed() -> None:
    world = World()
    text = asyncio.run(token(world))
    assert "ada" not in json.dumps(text)
