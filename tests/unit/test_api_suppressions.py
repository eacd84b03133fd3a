"""The list of suppressions through the API: no address in a path, none in an answer, every fault named."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from sendwright.engine.deliver import BEGIN_S
from sendwright.model.people import EVERYBODY
from sendwright.policy.suppression import REASONS, suppression
from sendwright.web.api.people_shapes import SuppressionReason

from .api_world import NOW, World

PATH = "/v1/suppressions"
AT = "2026-11-18T11:06:40.000Z"


async def put(world: World, **members: Any) -> dict[str, Any]:
    answer = await world.client.post(PATH, json={"address": "+1 (415) 555-0123", **members})
    assert answer.status == 200, answer.body
    return dict(answer.json())


def test_the_reasons_of_the_list_are_those_of_the_policy() -> None:
    assert set(get_args(SuppressionReason)) == {reason.value for reason in REASONS}


async def test_who_is_put_on_the_list_is_shown_masked_and_kept_nowhere() -> None:
    world = World()
    row = await put(world)
    assert row == {
        "id": row["id"], "channel": None, "address": "+1•••0123", "reason": "opted_out", "source": "manual", "category": "all",
        "shared": False, "created_at": AT, "expires_at": None,
    }  # fmt: skip
    (kept,) = world.people.store.tables.suppressions.rows.values()
    assert b"5550123" not in msgspec.json.encode(kept)


async def test_it_is_answered_when_no_call_that_was_claimed_before_can_begin_any_more() -> None:
    world = World()
    await put(world)
    assert world.clock.ms - NOW >= BEGIN_S * 1000


async def test_however_an_address_is_written_it_is_found() -> None:
    world = World()
    phone = await put(world, channel="sms")
    mail = await put(world, address="Ada@Example.ORG", reason="invalid_address", source="bounce", category="marketing")
    for wanted, found in (
        ({"address": "+14155550123"}, [phone]),
        ({"address": "+1-415-555-0123", "channel": "sms"}, [phone]),
        ({"address": "+14155550123", "channel": "whatsapp"}, []),
        ({"address": "ada@example.org", "channel": "email"}, [mail]),
        ({"address": "ada@example.com"}, []),
    ):
        assert (await world.client.post(f"{PATH}/lookup", json=wanted)).json() == {"data": found}
    assert (await world.neighbour.post(f"{PATH}/lookup", json={"address": "+14155550123"})).json() == {"data": []}


async def test_lists_filter_and_go_on_by_cursor() -> None:
    world = World()
    rows = [await put(world, address=f"+1415555012{number}", channel="sms") for number in range(3)]
    mail = await put(world, address="ada@example.org", reason="blocked", expires_at="2026-11-18T12:00:00Z")
    first = (await world.client.get(f"{PATH}?limit=3")).json()
    second = (await world.client.get(f"{PATH}?limit=3&cursor={first['next_cursor']}")).json()
    assert [*first["data"], *second["data"]] == sorted([*rows, mail], key=lambda row: row["id"])
    assert (await world.client.get(f"{PATH}?channel=sms")).json()["data"] == sorted(rows, key=lambda row: row["id"])
    assert (await world.client.get(f"{PATH}?reason=blocked")).json()["data"] == [mail]
    assert (await world.client.get(f"{PATH}?reason=rejected")).status == 422
    assert (await world.client.get(f"{PATH}?reason=blocked&source=manual")).json()["data"] == [mail]
    assert (await world.client.get(f"{PATH}?source=bounce")).json()["data"] == []
    world.clock.ms += 3_600_000
    assert (await world.client.get(f"{PATH}?reason=blocked")).json()["data"] == []


async def test_who_is_lifted_is_off_the_list_and_strangers_lift_nobody() -> None:
    world = World()
    row = await put(world)
    assert (await world.neighbour.request("DELETE", f"{PATH}/{row['id']}")).status == 404
    assert (await world.client.request("DELETE", f"{PATH}/{row['id']}")).status == 204
    assert (await world.client.request("DELETE", f"{PATH}/{row['id']}")).status == 404
    assert (await world.client.get(PATH)).json()["data"] == []


async def test_what_holds_for_every_tenant_is_found_by_all_and_is_the_default_tenants_to_list_and_lift() -> None:
    world = World()
    marker = world.services.marker
    row = await world.people.suppressions.add(suppression(marker, EVERYBODY, "sms", "+14155550123", "opted_out", "stop", NOW))
    for caller in (world.client, world.neighbour):
        (found,) = (await caller.post(f"{PATH}/lookup", json={"address": "+14155550123"})).json()["data"]
        assert (found["id"], found["shared"], found["source"]) == (row.id, True, "stop")
        assert (await caller.get(PATH)).json()["data"] == []
    assert [each["id"] for each in (await world.client.get(f"{PATH}?shared=true")).json()["data"]] == [row.id]
    assert (await world.neighbour.get(f"{PATH}?shared=true")).status == 403
    assert (await world.neighbour.request("DELETE", f"{PATH}/{row.id}")).status == 404
    assert (await world.client.request("DELETE", f"{PATH}/{row.id}")).status == 204


@pytest.mark.parametrize(
    ("said", "faults"),
    [
        ({}, {("#/address", "required")}),
        ({"address": "+1415", "expires_at": "2020-01-01T00:00:00Z"}, {("#/address", "invalid_phone"), ("#/expires_at", "expired")}),
        ({"address": "5550123", "channel": "sms"}, {("#/address", "invalid_phone")}),
        ({"address": "+14155550123", "expires_at": "x"}, {("#/expires_at", "invalid_time")}),
        ({"address": "a@b", "channel": "email"}, {("#/address", "invalid_email")}),
        ({"address": "Ada <ada@example.org>"}, {("#/address", "invalid_email")}),
        ({"address": "x", "channel": "pigeon"}, {("#/channel", "unknown_channel")}),
        ({"address": "a\nb", "channel": "slack"}, {("#/address", "invalid_address")}),
        (
            {"address": "x", "channel": "pigeon", "reason": "whim", "expires_at": "2020-01-01T00:00:00Z"},
            {("#/channel", "unknown_channel"), ("#/reason", "invalid_value"), ("#/expires_at", "expired")},
        ),
        ({"address": 7, "channel": 8, "expires_at": 9}, {(f"#/{name}", "invalid_type") for name in ("address", "expires_at")}),
    ],
)  # fmt: skip
async def test_every_fault_is_named_and_nobody_is_listed(said: dict[str, Any], faults: set[tuple[str, str]]) -> None:
    world = World()
    answer = await world.client.post(PATH, json=said)
    assert (answer.status, answer.faults() & faults) == (422, faults)
    assert (await world.client.get(PATH)).json()["data"] == []
