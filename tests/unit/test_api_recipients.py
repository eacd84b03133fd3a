"""The directory of recipients through the API: written, merged, read, listed, erased, each fault named."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from sendwright.model.people import Change

from .api_world import NOW, World

ADA: dict[str, Any] = {"email": "ada@example.org", "phone": "+1 (415) 555-0123", "locale": "pt-BR", "timezone": "Europe/Lisbon"}
PATH = "/v1/recipients/ada"


def shown(**members: Any) -> dict[str, Any]:
    """A recipient as it is answered."""
    names = (
        "id", "email", "phone", "whatsapp", "instagram", "messenger", "telegram", "line", "slack", "discord", "teams", "push",
        "webpush", "webhook", "locale", "timezone",
    )  # fmt: skip
    at = "2026-11-18T11:06:40.000Z"
    return {**dict.fromkeys(names), "id": "ada", "created_at": at, "updated_at": at, **members}


async def test_what_is_put_is_got_with_numbers_in_one_writing() -> None:
    world = World()
    answer = await world.client.request("PUT", PATH, json=ADA)
    assert (answer.status, answer.json()) == (200, shown(**{**ADA, "phone": "+14155550123"}))
    assert (await world.client.get(PATH)).json() == answer.json()
    # and put again, what is not given is gone
    await world.client.request("PUT", PATH, json={"id": "ada", "email": "new@example.org", "phone": None})
    assert (await world.client.get(PATH)).json() == shown(email="new@example.org")


async def test_patch_keeps_what_it_does_not_name_and_takes_away_what_is_null() -> None:
    world = World()
    await world.client.request("PUT", PATH, json=ADA)
    answer = await world.client.request("PATCH", PATH, json={"phone": None, "push": [{"token": "t1"}], "telegram": "42"})
    assert answer.json() == shown(**{**ADA, "phone": None, "push": [{"token": "t1", "kind": "fcm"}], "telegram": "42"})


async def test_nobody_is_patched_or_got_whom_nobody_has_put() -> None:
    world = World()
    for method in ("GET", "PATCH"):
        assert (await world.client.request(method, PATH, json={} if method == "PATCH" else None)).status == 404
    await world.client.request("PUT", PATH, json=ADA)
    assert (await world.neighbour.get(PATH)).status == 404
    assert (await world.neighbour.request("PATCH", PATH, json={})).status == 404
    assert (await world.neighbour.get("/v1/recipients")).json() == {"data": [], "next_cursor": None}


async def test_faults_of_meaning_are_listed_together() -> None:
    world = World()
    faulty = {"id": "kim", "email": "no address", "timezone": "Mars/Base", "push": [{"token": " "}], "slack": "a\nb"}
    answer = await world.client.request("PUT", PATH, json=faulty)
    assert answer.faults() == {
        ("#/id", "conflict"),
        ("#/email", "invalid_email"),
        ("#/timezone", "invalid_zone"),
        ("#/push/0/token", "invalid_address"),
        ("#/slack", "invalid_address"),
    }
    assert (await world.client.get(PATH)).status == 404


async def test_unknown_members_and_wrong_types_are_refused_by_name() -> None:
    world = World()
    answer = await world.client.request("PUT", PATH, json={"mail": "x", "email": 7})
    assert {place for place, _ in answer.faults()} == {"#/mail", "#/email"}


async def test_faults_of_shape_and_of_meaning_are_listed_together() -> None:
    world = World()
    await world.client.request("PUT", PATH, json=ADA)
    faulty = {"id": "kim", "mail": "x", "email": 7, "phone": "1", "timezone": "Mars/Base"}
    for method in ("PUT", "PATCH"):
        answer = await world.client.request(method, PATH, json=faulty)
        assert answer.faults() == {
            ("#/id", "conflict"),
            ("#/mail", "unknown_field"),
            ("#/email", "invalid_type"),
            ("#/phone", "invalid_phone"),
            ("#/timezone", "invalid_zone"),
        }
    answer = await world.client.post("/v1/recipients/batch", json={"recipients": [{"mail": "x", "timezone": "Mars/Base"}]})
    (result,) = answer.json()["results"]
    assert {fault["pointer"] for fault in result["problem"]["errors"]} == {"#/id", "#/mail", "#/timezone"}


async def test_preferences_that_are_not_kept_yet_are_nobodys_id() -> None:
    world = World()
    for method in ("PUT", "PATCH", "GET", "DELETE"):
        body = {} if method in ("PUT", "PATCH") else None
        for path in (f"{PATH}/preferences", f"{PATH}/lovelace/preferences"):
            assert (await world.client.request(method, path, json=body)).status == 404
    assert (await world.client.get("/v1/recipients")).json()["data"] == []
    # an id that ends like this is written as ids with slashes are
    assert (await world.client.request("PUT", "/v1/recipients/ada%2Fpreferences", json={})).json()["id"] == "ada/preferences"


@pytest.mark.parametrize("id_", ["a/b", "a b", "日", "batch/x", "x" * 255])
async def test_any_id_that_a_notification_may_have_can_be_reached(id_: str) -> None:
    world = World()
    path = f"/v1/recipients/{quote(id_, safe='')}"
    assert (await world.client.request("PUT", path, json={"email": "a@example.org"})).json()["id"] == id_
    assert (await world.client.get(path)).json()["id"] == id_
    assert (await world.client.request("DELETE", path)).json() == {"id": id_, "messages": 0, "cancelled": 0}
    assert (await world.client.get(path)).status == 404


async def test_an_id_that_no_notification_may_have_is_refused() -> None:
    world = World()
    for id_ in ("x" * 256, "%20", "a%09b"):
        answer = await world.client.request("PUT", f"/v1/recipients/{id_}", json={})
        assert answer.faults() == {("#/id", "invalid_recipient")}


async def test_lists_go_on_by_cursor_and_mask_addresses() -> None:
    world = World()
    for name in ("kim", "ada", "bob"):
        await world.client.request("PUT", f"/v1/recipients/{name}", json={**ADA, "push": [{"token": "a-long-device-token"}]})
    first = (await world.client.get("/v1/recipients?limit=2")).json()
    second = (await world.client.get(f"/v1/recipients?limit=2&cursor={first['next_cursor']}")).json()
    assert [row["id"] for row in (*first["data"], *second["data"])] == ["ada", "bob", "kim"]
    assert second["next_cursor"] is None
    row = first["data"][0]
    assert (row["email"], row["phone"], row["push"]) == (
        "a•••@example.org",
        "+1•••0123",
        [{"token": "•••oken", "kind": "fcm"}],
    )


async def test_of_a_batch_each_is_judged_alone_and_merged() -> None:
    world = World()
    await world.client.request("PUT", PATH, json=ADA)
    items = [
        {"id": "ada", "phone": None},
        {"id": "kim", "email": "kim@example.org"},
        {"email": "x@example.org"},
        {"id": "bob", "phone": "1"},
        7,
    ]
    answer = await world.client.post("/v1/recipients/batch", json={"recipients": items})
    results = answer.json()["results"]
    assert answer.status == 200
    assert results[:2] == [{"id": "ada"}, {"id": "kim"}]
    assert [result["problem"]["status"] for result in results[2:]] == [422, 422, 422]
    assert [error["pointer"] for result in results[2:4] for error in result["problem"]["errors"]] == ["#/id", "#/phone"]
    assert (await world.client.get(PATH)).json()["phone"] is None
    assert (await world.client.get(PATH)).json()["email"] == "ada@example.org"
    assert (await world.client.get("/v1/recipients/bob")).status == 404


async def test_a_batch_of_none_or_of_more_than_a_thousand_is_refused() -> None:
    world = World()
    for items in ([], [{"id": "a"}] * 1001):
        answer = await world.client.post("/v1/recipients/batch", json={"recipients": items})
        assert {place for place, _ in answer.faults()} == {"#/recipients"}


async def test_what_a_notification_says_of_an_erased_person_is_not_kept() -> None:
    world = World()
    await world.client.request("PUT", PATH, json=ADA)
    assert (await world.client.request("DELETE", PATH)).status == 200
    mark = world.services.marker.person("default", "ada")
    change = Change("default", "ada", {"email": "ada@example.org"}, NOW, mark, guarded=True)
    assert await world.services.directory.write([change]) == [None]
