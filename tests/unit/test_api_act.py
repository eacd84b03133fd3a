"""What a person or program does by hand: cancel, resend, resolve, the dead letters, the providers and their callbacks."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from sendwright.engine.ingest import INGRESS, problem_of
from sendwright.model.ids import attempt_id, parcel_id
from sendwright.model.parcel import INBOUND, Intake, Parcel, Step, pack, read
from sendwright.model.people import Spoken
from sendwright.model.said import Said
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.admission import Refused
from sendwright.providers.contract import Inbound
from sendwright.web.api import dead, hooks

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


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"state": MessageState.FAILED, "steps": (), "reason": "unknown_recipient"}, "nothing_to_send"),
        ({"state": MessageState.FAILED, "steps": (), "reason": "no_address"}, "nothing_to_send"),
        ({"state": MessageState.DELIVERED}, "arrived"),
        ({"state": MessageState.READ}, "arrived"),
    ],
)
async def test_what_can_never_be_sent_again_is_told_why(members: dict[str, Any], code: str) -> None:
    world = World()
    _, (name,) = world.born(**members)
    answer = await world.client.post(f"/v1/messages/{name}/resend")
    assert (answer.status, answer.json()["code"], world.pokes) == (409, code, 0)
    assert "on its way" not in answer.json()["title"] + answer.json()["detail"]


async def test_what_it_said_is_forgotten_is_told_whoever_wants_it_sent_again() -> None:
    world = World()
    notification, (dead, doubtful) = world.born(2, state=MessageState.FAILED, dead=True)
    world.rows.messages[doubtful] = replace(world.rows.messages[doubtful], state=MessageState.IN_DOUBT, dead=False)
    world.rows.notifications[notification] = replace(world.rows.notifications[notification], content=Said())
    answers = [
        await world.client.post(f"/v1/messages/{dead}/resend"),
        await world.client.post(f"/v1/messages/{doubtful}/resend"),
        await world.client.post(f"/v1/messages/{doubtful}/resolve", {"as": "resend"}),
    ]
    assert [(answer.status, answer.json()["code"]) for answer in answers] == [(409, "content_gone")] * 3
    assert (await world.client.post(f"/v1/messages/{doubtful}/resolve", {"as": "sent"})).status == 200
    replay = await world.client.post("/v1/dead/replay", {"ids": [dead]})
    assert replay.json()["skipped_for"] == {"content_gone": 1}
    assert world.pokes == 2


async def test_what_is_past_its_deadline_is_not_sent_again_and_stays_where_it_is() -> None:
    world = World()
    _, (dead,) = world.born(state=MessageState.FAILED, dead=True, reason="unreachable", expires_at=NOW)
    _, (doubtful,) = world.born(number=1, state=MessageState.IN_DOUBT, expires_at=NOW - 1)
    _, (moving,) = world.born(number=2, state=MessageState.SENDING, expires_at=NOW - 1)
    before = world.rows.messages[dead]
    answers = [
        await world.client.post(f"/v1/messages/{dead}/resend"),
        await world.client.post(f"/v1/messages/{doubtful}/resend"),
        await world.client.post(f"/v1/messages/{doubtful}/resolve", {"as": "resend"}),
        await world.client.post(f"/v1/messages/{moving}/resend"),
    ]
    assert [(answer.status, answer.json()["code"]) for answer in answers] == [(409, "expired")] * 3 + [(409, "in_flight")]
    replay = await world.client.post("/v1/dead/replay", {"ids": [dead]})
    assert replay.json() == {"done": 0, "skipped": 1, "more": False, "skipped_for": {"expired": 1}}
    assert world.rows.messages[dead] == before


async def test_a_replay_counts_what_it_skipped_by_its_cause() -> None:
    world = World()
    _, (fine,) = world.born(state=MessageState.FAILED, dead=True)
    _, strangers = world.born(2, number=1, state=MessageState.FAILED, dead=True, steps=(), reason="unknown_recipient")
    answer = await world.client.post("/v1/dead/replay", {"filters": {}})
    assert answer.json() == {"done": 1, "skipped": 2, "more": False, "skipped_for": {"nothing_to_send": 2}}
    again = await world.client.post("/v1/dead/replay", {"ids": [fine, *strangers]})
    assert again.json()["skipped_for"] == {"not_dead": 1, "nothing_to_send": 2}


async def test_a_double_click_sends_once() -> None:
    world = World()
    _, (dead,) = world.born(state=MessageState.FAILED, dead=True)
    _, (failed,) = world.born(number=1, state=MessageState.FAILED, dead=True)
    replays = await asyncio.gather(*(world.client.post("/v1/dead/replay", {"ids": [dead]}) for _ in range(2)))
    assert sorted(str(answer.json()["skipped_for"]) for answer in replays) == ["{'not_dead': 1}", "{}"]
    resends = await asyncio.gather(*(world.client.post(f"/v1/messages/{failed}/resend") for _ in range(2)))
    assert sorted(answer.status for answer in resends) == [202, 409]


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
    assert [(row["kind"], row["id"], row["address"], row["reason"]["code"], row["metadata"]) for row in shown["data"]] == [
        ("message", name, "+1•••0123", "rejected", {"order": "1"})
    ]
    assert shown["causes"] == [{"channel": "sms", "reason": "rejected", "provider": "twilio-main", "count": 1}]


async def test_dead_letters_are_replayed_by_ids_and_the_living_are_left_alone() -> None:
    world = World()
    _, (corpse,) = world.born(state=MessageState.FAILED, dead=True)
    _, (living,) = world.born(number=1)
    unknown = "msg_" + "0" * 34
    answer = await world.client.post("/v1/dead/replay", {"ids": [corpse, living, unknown, corpse]})
    assert answer.json() == {"done": 1, "skipped": 2, "more": False, "skipped_for": {"not_dead": 1, "not_found": 1}}
    assert [asked for asked in world.book.asked if asked[0] == "revive"] == [("revive", "default", corpse)]
    assert world.pokes == 1


async def test_dead_letters_are_dropped_by_filters() -> None:
    world = World()
    for number in range(3):
        world.born(2, number=number, state=MessageState.FAILED, dead=True)
    world.born(number=9)
    answer = await world.client.post("/v1/dead/drop", {"filters": {"provider": "twilio-main", "since": "2026-01-01T00:00:00Z"}})
    assert answer.json() == {"done": 6, "skipped": 0, "more": False, "skipped_for": {}}
    assert not any(row.dead for row in world.rows.messages.values())


async def test_a_bulk_too_large_for_one_call_says_that_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead, "BULK_MAX", 4)
    monkeypatch.setattr(dead, "_CHUNK", 2)
    world = World()
    world.born(6, state=MessageState.FAILED, dead=True)
    done = [(await world.client.post("/v1/dead/drop", {"filters": {}})).json() for _ in range(2)]
    assert [(each["done"], each["skipped"], each["more"]) for each in done] == [(4, 0, True), (2, 0, False)]


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


async def test_all_that_is_wrong_with_a_selection_is_listed() -> None:
    filters = {"colour": "red", "since": "today", "until": "2026-11-18T11:06:40Z"}
    answer = await World().client.post("/v1/dead/drop", {"filters": filters})
    assert answer.faults() == {("#/filters/colour", "unknown_field"), ("#/filters/since", "invalid_time")}


async def test_another_tenants_dead_letters_are_out_of_reach() -> None:
    world = World()
    _, (name,) = world.born(state=MessageState.FAILED, dead=True)
    answers = [await world.neighbour.post("/v1/dead/replay", body) for body in ({"ids": [name]}, {"filters": {}})]
    assert [answer.json()["done"] for answer in answers] == [0, 0]
    assert world.rows.messages[name].dead


PHONE = "+14155550123"
WORDS = "Your code is 493021"


async def kept(world: World, raw: bytes = b'{"v":2}', lane: str = "sms.normal", problem: str = "Input data was truncated") -> str:
    """A dead parcel's id."""
    await world.dead.keep(lane, raw, problem, NOW)
    return parcel_id(lane, raw)


async def test_parcels_are_listed_newest_first_and_so_many_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead, "PARCELS_MAX", 2)
    world = World()
    for at, raw in enumerate((b"1", b"20", b"300")):
        await world.dead.keep("sms.normal", raw, "Input data was truncated", NOW + at)
    shown = (await world.client.get("/v1/dead")).json()["parcels"]
    assert [row["size"] for row in shown] == [3, 2]
    assert shown[1] == {
        "kind": "parcel",
        "id": parcel_id("sms.normal", b"20"),
        "lane": "sms.normal",
        "at": "2026-11-18T11:06:40.001Z",
        "problem": "Input data was truncated",
        "size": 2,
    }


async def test_parcels_come_with_the_first_page_only() -> None:
    world = World()
    world.born(2, state=MessageState.FAILED, dead=True)
    name = await kept(world)
    first = (await world.client.get("/v1/dead?limit=1")).json()
    second = (await world.client.get(f"/v1/dead?limit=1&cursor={first['next_cursor']}")).json()
    assert ([row["id"] for row in first["parcels"]], second["parcels"]) == ([name], [])
    assert len(second["data"]) == 1


def _broken(kind: type, **members: Any) -> tuple[bytes, str]:
    """A parcel with something in the wrong place, and what the sieve is told of it."""
    step, content = Step("sms", PHONE), Said(body=WORDS)
    good = Parcel("msg_1", "t", (step,), content, 1) if kind is Parcel else Intake("ntf_1", "t", 1, msgspec.Raw(b"{}"))
    raw = json.dumps(json.loads(pack(good)) | members).encode()
    with pytest.raises((msgspec.MsgspecError, ValueError)) as raised:
        read(kind, raw)
    return raw, str(raised.value)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"on_doubt": WORDS}, "it holds what can't be read - at `$.on_doubt`"),
        ({"on_doubt": f"{WORDS} - at `$.a`"}, "it holds what can't be read - at `$.on_doubt`"),
        ({"priority": int(PHONE)}, "it holds what can't be read - at `$.priority`"),
        ({"v": int(PHONE)}, "it holds what can't be read"),
        ({"content": {PHONE: WORDS}}, "it holds what can't be read - at `$.content`"),
        ({"content": {"actions": [{WORDS: PHONE}]}}, "it holds what can't be read - at `$.content.actions[0]`"),
        ({"steps": PHONE}, "Expected `array`, got `str` - at `$.steps`"),
        ({"steps": [[WORDS]]}, "Expected `array` of at least length 2, got 1 - at `$.steps[0]`"),
        ({"content": {"body": 493021}}, "Expected `str | null`, got `int` - at `$.content.body`"),
        ({"v": 3}, "version 3 is not known here"),
    ],
)
async def test_what_is_wrong_with_a_parcel_shows_nothing_out_of_it(members: dict[str, Any], problem: str) -> None:
    world = World()
    raw, told = _broken(Parcel, **members)
    await kept(world, raw, problem=told)
    answer = await world.client.get("/v1/dead")
    assert [row["problem"] for row in answer.json()["parcels"]] == [problem]
    for secret in (PHONE, PHONE[1:], WORDS, "493021"):
        assert secret not in answer.body.decode()
        assert secret not in repr(await world.dead.newest(1))


@pytest.mark.parametrize(
    ("problem", "shown"),
    [
        ("it broke its story: KeyError", "it broke its story: KeyError"),
        ("JSON is malformed: expected ',' or ']' (byte 17)", "JSON is malformed: expected ',' or ']' (byte 17)"),
        ("Object missing required field `id`", "Object missing required field `id`"),
        (
            "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
            "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        (f"{WORDS!r} is no time", "it holds what can't be read"),
        (f"Input data was truncated: {WORDS}", "it holds what can't be read"),
        (f"{WORDS} - at `$[{PHONE}]`", "it holds what can't be read"),
    ],
)
async def test_a_problem_is_shown_in_words_that_are_known(problem: str, shown: str) -> None:
    world = World()
    await kept(world, problem=problem)
    assert [row["problem"] for row in (await world.client.get("/v1/dead")).json()["parcels"]] == [shown]


async def test_a_parcel_is_replayed_onto_its_lane_as_it_was_and_is_dead_no_more() -> None:
    world = World()
    _, (corpse,) = world.born(state=MessageState.FAILED, dead=True)
    name = await kept(world, b'{"v":2, "id":"ntf_1"}', "intake.high")
    answer = await world.client.post("/v1/dead/replay", {"ids": [corpse, name, name, "par_" + "0" * 32]})
    assert answer.json() == {"done": 2, "skipped": 1, "more": False, "skipped_for": {"not_found": 1}}
    assert world.bus.raw == [("intake.high", b'{"v":2, "id":"ntf_1"}')]
    assert await world.dead.newest(9) == []
    assert not world.rows.messages[corpse].dead


@pytest.mark.parametrize("raw", [b"", b"{", b"1,2", b'{"id":"\xff"}'])
async def test_a_parcel_that_is_no_json_is_not_replayed(raw: bytes) -> None:
    world = World()
    name = await kept(world, raw)
    answer = await world.client.post("/v1/dead/replay", {"ids": [name]})
    assert answer.json() == {"done": 0, "skipped": 1, "more": False, "skipped_for": {"unreadable": 1}}
    assert world.bus.raw == []
    assert [row.id for row in await world.dead.newest(9)] == [name]


async def test_a_replayed_parcel_that_is_kept_again_at_once_is_not_lost() -> None:
    world = World()
    name = await kept(world)

    async def worker(lane: str, raw: bytes) -> None:
        await world.dead.keep(lane, raw, "version 2 is not known here", NOW)

    world.bus.worker = worker
    answer = await world.client.post("/v1/dead/replay", {"ids": [name]})
    assert (answer.json()["done"], len(world.bus.raw)) == (1, 1)
    assert [(row.id, row.problem) for row in await world.dead.newest(9)] == [(name, "version 2 is not known here")]


async def test_what_a_producer_published_is_shown_with_a_whole_problem_document() -> None:
    world = World()
    refused = Refused(422, "idempotency_mismatch", "Its id stands for another notification.")
    await world.dead.keep(INGRESS, b"{}", problem_of(refused), NOW)
    await world.dead.keep(INGRESS, b"xyz", "it ended whoever took it", NOW + 1)
    ended, mismatch = (await world.client.get("/v1/dead")).json()["parcels"]
    assert (ended["kind"], ended["problem"]) == ("ingress", "it ended whoever took it")
    assert json.loads(mismatch["problem"]) == {
        "type": "urn:sendwright:problem:idempotency_mismatch",
        "title": "The idempotency key was used for another request",
        "status": 422,
        "code": "idempotency_mismatch",
        "detail": "Its id stands for another notification.",
        "errors": [],
    }


async def test_a_parcel_that_could_not_be_published_stays_dead() -> None:
    world = World()
    name = await kept(world)
    world.bus.down = True
    assert (await world.client.post("/v1/dead/replay", {"ids": [name]})).status == 503
    assert [row.id for row in await world.dead.newest(9)] == [name]


async def test_a_parcel_is_dropped_once_and_sent_to_nobody() -> None:
    world = World()
    name = await kept(world)
    done = [(await world.client.post("/v1/dead/drop", {"ids": [name]})).json()["done"] for _ in range(2)]
    assert (done, await world.dead.newest(9), world.bus.raw, world.book.asked) == ([1, 0], [], [], [])


@pytest.mark.parametrize("call", ["replay", "drop"])
async def test_filters_never_mean_parcels(call: str) -> None:
    world = World()
    name = await kept(world)
    answer = await world.client.post(f"/v1/dead/{call}", {"filters": {}})
    assert (answer.json()["done"], [row.id for row in await world.dead.newest(9)]) == (0, [name])


async def test_parcels_are_out_of_another_tenants_reach() -> None:
    world = World()
    name = await kept(world)
    assert (await world.neighbour.get("/v1/dead")).json()["parcels"] == []
    for call in ("replay", "drop"):
        answer = await world.neighbour.post(f"/v1/dead/{call}", {"ids": [name]})
        assert answer.json() == {"done": 0, "skipped": 1, "more": False, "skipped_for": {"not_found": 1}}
    assert ([row.id for row in await world.dead.newest(9)], world.bus.raw) == ([name], [])


@pytest.mark.parametrize("name", ["par_" + "0" * 31, "par_" + "g" * 32, "par_" + "A" * 32, "par_" + "0" * 34, "ntf_" + "0" * 32])
async def test_an_id_of_nothing_that_can_be_dead_is_refused(name: str) -> None:
    assert (await World().client.post("/v1/dead/drop", {"ids": [name]})).status == 422


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
            {("#/weight", "not_supported"), ("#/concurrency", "out_of_range"), ("#/rate", "invalid_rate")},
        ),
        ({"weight": 7}, {("#/weight", "not_supported")}),
        ({"weight": 7, "rate": "fast"}, {("#/weight", "not_supported"), ("#/rate", "invalid_rate")}),
        ({"concurrency": 1.5}, {("#/concurrency", "invalid_type")}),
        ({"base_url": "https://evil.example"}, {("#/base_url", "unknown_field")}),
    ],
)
async def test_a_switch_that_makes_no_sense_is_refused(patch: Any, expected: set[tuple[str, str]]) -> None:
    world = World()
    answer = await world.client.request("PATCH", "/v1/providers/twilio-main", json=patch)
    assert (answer.status, answer.faults(), world.crew.patches) == (422, expected, [])


async def test_a_whole_number_may_be_written_with_a_point() -> None:
    world = World()
    answer = await world.client.request("PATCH", "/v1/providers/twilio-main", json={"concurrency": 5.0})
    assert (answer.status, world.crew.patches[0][1].concurrency) == (200, 5)


async def test_a_weight_is_not_known_yet_but_null_leaves_it_as_it_is() -> None:
    world = World()
    answer = await world.client.request("PATCH", "/v1/providers/twilio-main", json={"weight": None, "enabled": False})
    assert (answer.status, answer.json()["weight"], answer.json()["enabled"]) == (200, 1, False)


async def test_providers_are_a_list_with_limit_and_cursor() -> None:
    world = World()
    one = world.crew.rows["twilio-main"]
    world.crew.rows |= {name: msgspec.structs.replace(one, name=name) for name in ("vonage", "box", "aws")}
    seen: list[str] = []
    cursor = ""
    for _ in range(2):
        page = (await world.client.get(f"/v1/providers?limit=2{cursor}")).json()
        seen += [row["name"] for row in page["data"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert (seen, page["next_cursor"]) == (["twilio-main", "vonage", "box", "aws"], None)
    first = (await world.client.get("/v1/providers?limit=3")).json()
    del world.crew.rows["box"]
    lost = await world.client.get(f"/v1/providers?cursor={first['next_cursor']}")
    assert (lost.status, lost.json()["errors"][0]["code"]) == (422, "invalid_cursor")
    assert (await world.client.get("/v1/providers?limit=0")).json()["errors"][0]["parameter"] == "limit"


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


async def test_a_test_without_an_address_needs_no_body() -> None:
    world = World()
    path = "/v1/providers/twilio-main/test"
    bodies: list[dict[str, Any]] = [{}, {"json": {}}, {"body": b"", "headers": {"content-type": "application/json"}}]
    for body in bodies:
        answer = await world.client.post(path, **body)
        assert (answer.status, answer.faults()) == (422, {("#/to", "required")})
    assert (await world.client.post(path, body=b"{}", headers={"content-type": "text/plain"})).status == 415
    assert (await world.client.post(path, body=b"{", headers={"content-type": "application/json"})).status == 400


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
    world = World()
    assert (await world.stranger.post("/v1/hooks/nobody")).status == 404
    assert (await world.stranger.post("/v1/hooks/twilio-main", body=b"x" * (hooks.BODY_MAX + 1))).status == 413
    assert world.vendor.hooks == []
    assert (await world.stranger.post("/v1/hooks/twilio-main", body=b"x" * hooks.BODY_MAX)).status == 401


async def test_what_a_person_says_back_travels_on_cut_and_clean() -> None:
    world = World()
    world.vendor.events = lambda _: [Inbound("sms", "+14155550123", "sto\0p" + "x" * 3000, "SM1", word="stop")]  # type: ignore[method-assign]
    answer = await world.stranger.post("/v1/hooks/twilio-main", body=b"", headers={"signature": "good"})
    assert answer.status == 204
    ((lane, sighting),) = world.bus.published
    assert (lane, sighting.provider, sighting.ref, sighting.attempt) == (INBOUND, "twilio-main", "SM1", None)
    assert sighting.said == Spoken("sms", "+14155550123", ("stop" + "x" * 3000)[:1600], "stop")


async def test_a_button_other_addresses_and_how_it_was_said_travel_on_too() -> None:
    world = World()
    told = Inbound("slack", "U1", payload="STOP\0" + "x" * 2000, aliases=("D1",) * 20, how="blocked", answered=True)
    world.vendor.events = lambda _: [told]  # type: ignore[method-assign]
    await world.stranger.post("/v1/hooks/twilio-main", body=b"", headers={"signature": "good"})
    ((_, sighting),) = world.bus.published
    payload = ("STOP" + "x" * 2000)[:1000]
    assert sighting.said == Spoken("slack", "U1", payload=payload, aliases=("D1",) * 8, how="blocked", answered=True)


async def test_a_callback_that_must_be_answered_with_a_text_is_and_only_when_it_is_verified() -> None:
    world = World()
    world.vendor.response = lambda _: "challenge-1"  # type: ignore[method-assign]
    answer = await world.stranger.post("/v1/hooks/twilio-main", body=b"", headers={"signature": "good"})
    assert (answer.status, answer.body) == (200, b"challenge-1")
    assert (await world.stranger.post("/v1/hooks/twilio-main", body=b"", headers={"signature": "bad"})).status == 401
