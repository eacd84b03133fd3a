"""What a person or program does by hand: cancel, resend, resolve, the dead letters, the providers and their callbacks."""

from __future__ import annotations

from typing import Any

import pytest

from sendwright.model.ids import attempt_id
from sendwright.model.parcel import INBOUND
from sendwright.model.states import AttemptState, MessageState
from sendwright.web.api import dead

from .api_world import NOW, World


async def test_cancelling_tells_what_was_stopped_and_what_was_too_late() -> None:
    world = World()
    name, (message,) = world.born()
    for target, path in ((name, f"/v1/notifications/{name}/cancel"), (message, f"/v1/messages/{message}/cancel")):
        assert (await world.client.post(path)).json() == {"cancelled": 1, "too_late": 2, "unplanned": 3}
        assert world.book.asked[-1] == ("cancel", "default", target)


async def test_what_is_not_planned_yet_can_be_cancelled() -> None:
    world = World()
    name = world.mint.notification("default", NOW, b"123456789")
    assert (await world.client.post(f"/v1/notifications/{name}/cancel")).status == 200
    assert world.book.asked == [("cancel", "default", name)]


async def test_sending_again_wakes_the_promoter() -> None:
    world = World()
    _, (name,) = world.born(state=MessageState.FAILED)
    answer = await world.client.post(f"/v1/messages/{name}/resend")
    assert (answer.status, answer.json(), world.pokes) == (202, {"id": name, "state": "queued"}, 1)


async def test_a_message_on_its_way_is_not_sent_again() -> None:
    world = World()
    _, (name,) = world.born(state=MessageState.SENDING)
    answer = await world.client.post(f"/v1/messages/{name}/resend")
    assert (answer.status, answer.json()["code"], world.pokes) == (409, "in_flight", 0)


async def test_a_doubt_is_settled_by_a_word() -> None:
    world = World()
    _, (doubtful,) = world.born(state=MessageState.IN_DOUBT)
    answer = await world.client.post(f"/v1/messages/{doubtful}/resolve", {"as": "sent"})
    assert (answer.status, answer.json()) == (200, {"id": doubtful, "state": "sent"})
    assert world.book.asked == [("resolve", "default", doubtful, "sent")]
    _, (settled,) = world.born(number=1)
    assert (await world.client.post(f"/v1/messages/{settled}/resolve", {"as": "failed"})).status == 409


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {("#/as", "required")}),
        ({"as": "lost"}, {("#/as", "invalid_value")}),
        ({"as": "sent", "by": "me"}, {("#/by", "unknown_field")}),
        (["sent"], {("#", "invalid_type")}),
    ],
)
async def test_a_word_that_is_none_is_refused(body: Any, expected: set[tuple[str, str]]) -> None:
    world = World()
    _, (name,) = world.born(state=MessageState.IN_DOUBT)
    answer = await world.client.post(f"/v1/messages/{name}/resolve", body)
    assert (answer.status, answer.faults(), world.book.asked) == (422, expected, [])


@pytest.mark.parametrize("raw", [b"", b"{", b'{"as":"sent","as":"failed"}', b"\xff", b'{"as":' + b"[" * 65 + b"]" * 65 + b"}"])
async def test_a_body_that_is_not_json_we_read_is_400(raw: bytes) -> None:
    world = World()
    _, (name,) = world.born(state=MessageState.IN_DOUBT)
    answer = await world.client.post(f"/v1/messages/{name}/resolve", body=raw, headers={"content-type": "application/json"})
    assert (answer.status, world.book.asked) == (400, [])


async def test_dead_letters_are_listed_with_their_causes() -> None:
    world = World()
    _, (name,) = world.born(state=MessageState.FAILED, dead=True, reason="rejected", detail="30007")
    world.born(number=1)
    shown = (await world.client.get("/v1/dead")).json()
    assert [(row["kind"], row["id"], row["address"], row["reason"]["code"]) for row in shown["data"]] == [
        ("message", name, "+1•••0123", "rejected")
    ]
    assert shown["causes"] == [{"channel": "sms", "reason": "rejected", "provider": "twilio-main", "count": 1}]


async def test_dead_letters_are_replayed_by_ids_and_the_living_are_left_alone() -> None:
    world = World()
    _, (corpse,) = world.born(state=MessageState.FAILED, dead=True)
    _, (living,) = world.born(number=1)
    unknown = "msg_" + "0" * 34
    answer = await world.client.post("/v1/dead/replay", {"ids": [corpse, living, unknown, corpse]})
    assert answer.json() == {"done": 1, "skipped": 2, "more": False}
    assert [asked for asked in world.book.asked if asked[0] == "revive"] == [("revive", "default", corpse)]
    assert world.pokes == 1


async def test_dead_letters_are_dropped_by_filters() -> None:
    world = World()
    for number in range(3):
        world.born(2, number=number, state=MessageState.FAILED, dead=True)
    world.born(number=9)
    answer = await world.client.post("/v1/dead/drop", {"filters": {"provider": "twilio-main", "since": "2026-01-01T00:00:00Z"}})
    assert answer.json() == {"done": 6, "skipped": 0, "more": False}
    assert not any(row.dead for row in world.rows.messages.values())


async def test_a_bulk_too_large_for_one_call_says_that_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead, "BULK_MAX", 4)
    monkeypatch.setattr(dead, "_CHUNK", 2)
    world = World()
    world.born(6, state=MessageState.FAILED, dead=True)
    done = [(await world.client.post("/v1/dead/drop", {"filters": {}})).json() for _ in range(2)]
    assert done == [{"done": 4, "skipped": 0, "more": True}, {"done": 2, "skipped": 0, "more": False}]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ids": []},
        {"ids": ["x"]},
        {"filters": {"colour": "red"}},
        {"filters": {"since": "today"}},
        {"filters": {}, "ids": ["msg_" + "0" * 34]},
    ],
)
async def test_a_selection_that_is_unclear_touches_nothing(body: Any) -> None:
    world = World()
    world.born(state=MessageState.FAILED, dead=True)
    for call in ("replay", "drop"):
        answer = await world.client.post(f"/v1/dead/{call}", body)
        assert (answer.status, world.book.asked) == (422, [])
        assert answer.json()["errors"]


async def test_another_tenants_dead_letters_are_out_of_reach() -> None:
    world = World()
    _, (name,) = world.born(state=MessageState.FAILED, dead=True)
    answers = [await world.neighbour.post("/v1/dead/replay", body) for body in ({"ids": [name]}, {"filters": {}})]
    assert [answer.json()["done"] for answer in answers] == [0, 0]
    assert world.rows.messages[name].dead


async def test_a_provider_is_switched_and_shown_as_it_stands_then() -> None:
    world = World()
    path = "/v1/providers/twilio-main"
    assert (await world.client.get(path)).json()["enabled"] is True
    answer = await world.client.request("PATCH", path, json={"enabled": False, "rate": None})
    assert (answer.status, answer.json()["enabled"]) == (200, False)
    ((name, patch),) = world.crew.patches
    assert (name, patch.enabled, patch.rate) == ("twilio-main", False, None)
    assert (await world.client.request("PATCH", path, json={})).status == 200
    assert len(world.crew.patches) == 1


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"enabled": "no"}, {("#/enabled", "invalid_type")}),
        (
            {"weight": -1, "concurrency": 0, "rate": "fast"},
            {("#/weight", "out_of_range"), ("#/concurrency", "out_of_range"), ("#/rate", "invalid_rate")},
        ),
        ({"weight": 1.5}, {("#/weight", "invalid_type")}),
        ({"base_url": "https://evil.example"}, {("#/base_url", "unknown_field")}),
    ],
)
async def test_a_switch_that_makes_no_sense_is_refused(patch: Any, expected: set[tuple[str, str]]) -> None:
    world = World()
    answer = await world.client.request("PATCH", "/v1/providers/twilio-main", json=patch)
    assert (answer.status, answer.faults(), world.crew.patches) == (422, expected, [])


async def test_a_whole_number_may_be_written_with_a_point() -> None:
    world = World()
    answer = await world.client.request("PATCH", "/v1/providers/twilio-main", json={"weight": 5.0})
    assert (answer.status, world.crew.patches[0][1].weight) == (200, 5)


async def test_providers_that_do_not_exist_are_404() -> None:
    world = World()
    assert (await world.client.get("/v1/providers/nobody")).status == 404
    assert (await world.client.request("PATCH", "/v1/providers/nobody", json={"enabled": True})).status == 404
    assert (await world.client.post("/v1/providers/nobody/test", {"to": "+14155550123"})).status == 404


async def test_one_test_message_shows_what_came_of_it() -> None:
    world = World()
    path = "/v1/providers/twilio-main/test"
    assert (await world.client.post(path, {"to": "+14155550123"})).json() == {"outcome": "accepted", "ref": "SM1", "detail": ""}
    assert (await world.client.post(path, {"to": "nobody"})).faults() == {("#/to", "invalid_address")}


async def test_a_verified_callback_is_durable_before_it_is_answered() -> None:
    world = World()
    attempt = attempt_id("msg_" + "0" * 34, 1)
    path = f"/v1/hooks/twilio-main?a={attempt}&ref=SM%2B1"
    answer = await world.stranger.post(path, body=b"raw\0bytes", headers={"signature": "good", "host": "evil.example"})
    assert (answer.status, answer.body) == (204, b"")
    ((lane, sighting),) = world.bus.published
    assert (lane, sighting.provider, sighting.attempt, sighting.ref) == (INBOUND, "twilio-main", attempt, "SM+1")
    assert (sighting.state, sighting.detail, sighting.at) == (AttemptState.DELIVERED, "rawbytes", NOW)
    (hook,) = world.vendor.hooks
    assert hook.url == f"https://notify.example.com{path}"
    assert (hook.method, hook.body, hook.param("ref"), hook.now) == ("POST", b"raw\0bytes", "SM+1", NOW / 1000)


async def test_a_repeat_and_a_callback_about_nothing_are_good_too() -> None:
    world = World()
    for _ in range(2):
        assert (await world.stranger.post("/v1/hooks/twilio-main?ref=1", headers={"signature": "good"})).status == 204
    assert (await world.stranger.get("/v1/hooks/twilio-main", headers={"signature": "good"})).status == 204
    assert len(world.bus.published) == 2


@pytest.mark.parametrize(("signature", "status"), [("bad", 401), ("foreign", 403), (None, 401)])
async def test_a_callback_that_is_not_the_vendors_changes_nothing(signature: str | None, status: int) -> None:
    world = World()
    headers = {} if signature is None else {"signature": signature}
    answer = await world.stranger.post("/v1/hooks/twilio-main?ref=1", headers=headers)
    assert (answer.status, world.bus.published) == (status, [])


async def test_a_made_up_attempt_is_left_out_of_the_sighting() -> None:
    world = World()
    await world.stranger.post("/v1/hooks/twilio-main?ref=1&a=att_'--", headers={"signature": "good"})
    assert world.bus.published[0][1].attempt is None


async def test_a_callback_that_could_not_be_kept_is_asked_for_again() -> None:
    world = World()
    world.bus.down = True
    assert (await world.stranger.post("/v1/hooks/twilio-main?ref=1", headers={"signature": "good"})).status == 503


async def test_callbacks_of_nobody_and_without_measure_are_refused() -> None:
    world = World(body_max=100)
    assert (await world.stranger.post("/v1/hooks/nobody")).status == 404
    assert (await world.stranger.post("/v1/hooks/twilio-main", body=b"x" * 101)).status == 413
    assert world.vendor.hooks == []
