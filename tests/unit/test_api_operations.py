"""Health, figures, events, the description, and what holds for every call of the table."""

from __future__ import annotations

import json
from typing import Any, get_args

import jsonschema_rs
import pytest

from sendwright.model.records import Event, Violation
from sendwright.model.states import AttemptState, MessageState
from sendwright.providers.contract import Secret
from sendwright.web.api import events, shapes
from sendwright.web.api.openapi import describe, statuses
from sendwright.web.api.routes import CALLS
from sendwright.web.api.table import OPEN, WATCH, Call

from .api_world import NOW, World

KEYED = [call for call in CALLS if call.scope not in (OPEN, WATCH)]
NAMES = [f"{call.method} {call.path}" for call in KEYED]


def concrete(call: Call) -> str:
    return call.path.replace("{id}", "ntf_" + "0" * 32).replace("{name}", "twilio-main").replace("{provider}", "twilio-main")


@pytest.mark.parametrize("call", KEYED, ids=NAMES)
async def test_every_keyed_call_is_closed_without_a_key(call: Call) -> None:
    world = World()
    answer = await world.stranger.request(call.method, concrete(call), json={} if call.body else None)
    assert (answer.status, answer.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("path", sorted({call.path for call in CALLS}))
async def test_a_method_that_a_path_lacks_is_405_with_those_it_has(path: str) -> None:
    world = World()
    methods = {call.method for call in CALLS if call.path == path}
    for method in {"DELETE", "PUT", "TRACE", "OPTIONS", "PATCH", "GET"} - methods:
        answer = await world.client.request(
            method, path.replace("{id}", "x").replace("{name}", "x").replace("{channel}", "x").replace("{provider}", "x")
        )
        assert answer.status == 405
        assert set(answer.headers["allow"].split(", ")) - {"HEAD"} == methods


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/notifications/", "/v2/notifications", "/v1/notifications//cancel", "/docs/x"]
)
async def test_what_is_not_in_the_table_is_404(path: str) -> None:
    answer = await World().client.get(path)
    assert (answer.status, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/healthz", "/v1/messages", "/v1/nope", "/docs", "/v1/audit?x=1"])
async def test_every_answer_has_the_same_guards(path: str) -> None:
    answer = await World(docs_open=True).client.get(path)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["request-id"]


async def test_strict_transport_is_only_promised_where_there_is_any() -> None:
    answer = await World(public_url="http://127.0.0.1:8420").client.get("/healthz")
    assert "strict-transport-security" not in answer.headers


async def test_health_and_readiness_need_no_key() -> None:
    world = World()
    assert (await world.stranger.get("/healthz")).json() == {"status": "ok"}
    assert (await world.stranger.get("/readyz")).json() == {"bus": "up", "ready": True}
    world.able = False
    answer = await world.stranger.get("/readyz")
    assert (answer.status, answer.json()) == (503, {"bus": "down", "ready": False})


@pytest.mark.parametrize("path", ["/metrics", "/docs", "/openapi.json"])
async def test_figures_and_docs_are_open_only_where_the_operator_says(path: str) -> None:
    closed = World(metrics_key=Secret("m" * 32))
    assert (await closed.stranger.get(path)).status == 401
    assert (await closed.stranger.get(path, headers={"authorization": "Bearer " + "x" * 32})).status == 401
    assert (await closed.stranger.get(path, headers={"authorization": "Bearer " + "m" * 32})).status == 200
    assert (await closed.client.get(path)).status == 200
    assert (await World(docs_open=True).stranger.get(path)).status == 200


async def test_the_metrics_key_opens_nothing_else() -> None:
    world = World(metrics_key=Secret("m" * 32))
    assert (await world.stranger.get("/v1/messages", headers={"authorization": "Bearer " + "m" * 32})).status == 401


async def test_the_recount_names_what_it_can_not_explain() -> None:
    world = World()
    assert (await world.client.get("/v1/audit")).json()["ok"] is True
    world.rows.violations = (Violation("gap", "api-1:7", "no trace of this 202"),)
    shown = (await world.client.get("/v1/audit")).json()
    assert (shown["ok"], shown["violations"]) == (False, [{"kind": "gap", "id": "api-1:7", "detail": "no trace of this 202"}])


def test_the_shapes_name_every_state_and_no_other() -> None:
    assert get_args(shapes.StateName) == tuple(state.label for state in MessageState)
    assert get_args(shapes.AttemptStateName) == tuple(state.label for state in AttemptState)


def told(seq: int, kind: str = "message.sent", tenant: str = "default") -> Event:
    return Event(seq, NOW, tenant, kind, "ntf_1", f"msg_{seq}", "by\nthe way")


async def test_a_stream_begins_with_what_happens_next() -> None:
    world = World()
    world.rows.event_rows += [told(3), told(700)]
    notification, _ = world.born()
    world.rows.notifications["ntf_1"] = world.rows.notifications[notification]
    async with world.client.stream("/v1/events") as stream:
        await stream.until(b"retry:")
        world.rows.event_rows.append(told(701))
        body = await stream.until(b"msg_701")
    assert b"id: 700" not in body
    frame = body.split(b"\n\n")[1].split(b"\n")
    assert frame[:2] == [b"id: 701", b"event: message.sent"]
    data = json.loads(frame[2].removeprefix(b"data: "))
    assert data == {
        "type": "message.sent",
        "timestamp": "2026-11-18T11:06:40.000Z",
        "data": {"notification": "ntf_1", "message": "msg_701", "detail": "by\nthe way", "metadata": {"order": "1"}},
    }


async def test_a_reader_that_comes_back_misses_nothing_and_sees_only_its_own() -> None:
    world = World()
    world.rows.event_rows += [told(1), told(2), told(3, tenant="acme"), told(4, "message.failed"), told(5)]
    async with world.client.stream("/v1/events?types=message.sent,message.read", {"last-event-id": "1"}) as stream:
        body = await stream.until(b"id: 5")
    assert [line for line in body.split(b"\n") if line.startswith(b"id:")] == [b"id: 2", b"id: 5"]


async def test_what_a_person_said_back_is_told_in_the_stream() -> None:
    world = World()
    said = {"provider": "twilio-main", "channel": "sms", "address": "+1•••0123", "text": "STOP", "word": "stop", "review": False}
    async with world.client.stream("/v1/events?types=reply.received") as stream:
        await stream.until(b"retry:")
        world.rows.event_rows += [told(1), Event(2, NOW, "default", "reply.received", "rep_1", None, json.dumps(said))]
        body = await stream.until(b"rep_1")
    frame = body.split(b"\n\n")[1].split(b"\n")
    since = {"payload": "", "how": "said", "said_at": ""}  # what it says, since there are other replies than Twilio's
    assert json.loads(frame[2].removeprefix(b"data: "))["data"] == {**said, **since, "id": "rep_1"}


async def test_what_happens_to_providers_is_told_in_the_stream() -> None:
    world = World()
    named = {"provider": "wa-main", "kind": "whatsapp_cloud", "channels": ["whatsapp"]}
    ended = {**named, "setting": "access_token", "expires_at": "2027-01-31T00:00:00.000Z", "days_left": 7}
    said = {
        "provider.opened": {**named, "reason": "unreachable"},
        "provider.closed": {**named, "reason": None},
        "token.expiring": ended,
    }
    async with world.client.stream(f"/v1/events?types={','.join(said)}") as stream:
        await stream.until(b"retry:")
        for seq, (type_, detail) in enumerate(said.items(), 1):
            world.rows.event_rows.append(Event(seq, NOW, "default", type_, f"prv_{seq}", None, json.dumps(detail)))
        body = await stream.until(b"prv_3")
    found = [json.loads(line.removeprefix(b"data: ")) for line in body.split(b"\n") if line.startswith(b"data: ")]
    assert {each["type"]: each["data"] for each in found} == {
        type_: {**detail, "id": f"prv_{seq}"} for seq, (type_, detail) in enumerate(said.items(), 1)
    }


async def test_a_quiet_stream_is_kept_alive() -> None:
    world = World()
    async with world.client.stream("/v1/events") as stream:
        await stream.until(b": still here\n\n: still here\n\n")
    assert world.clock.slept >= 2 * 15 / 0.25 - 2


async def test_a_stream_ends_when_the_process_drains() -> None:
    world = World()
    async with world.client.stream("/v1/events") as stream:
        await stream.until(b"retry:")
        world.draining.set()
        while not stream.ended:
            stream.moved.clear()
            await stream.moved.wait()


@pytest.mark.parametrize("header", ["x", "-1", "9" * 20, "1.5"])
async def test_a_place_that_is_none_is_refused(header: str) -> None:
    answer = await World().client.get("/v1/events", headers={"last-event-id": header})
    assert (answer.status, answer.json()["errors"][0]["header"]) == (422, "Last-Event-ID")


async def test_a_place_that_is_none_and_types_that_are_none_are_refused_together() -> None:
    answer = await World().client.get("/v1/events?types=!", headers={"last-event-id": "x"})
    assert (answer.status, answer.faults()) == (422, {("Last-Event-ID", "invalid_value"), ("types", "invalid_parameter")})


async def test_a_type_that_no_event_has_is_refused_instead_of_being_waited_for() -> None:
    answer = await World().client.get("/v1/events?types=message.sent,message.deliverd")
    assert (answer.status, answer.faults()) == (422, {("types", "invalid_parameter")})


@pytest.mark.parametrize("seqs", [[], [1], [2], [1, 2, 3], [5, 900], list(range(1, 70)), [2**40]])
async def test_the_newest_event_is_found_by_halving(seqs: list[int]) -> None:
    world = World()
    world.rows.event_rows += [told(seq) for seq in seqs]
    assert await events.newest(world.rows, "default") == max(seqs, default=0)


async def test_the_schema_that_is_shown_is_the_one_that_refuses() -> None:
    world = World()
    answer = await world.client.get("/v1/schema/notification.json")
    assert answer.headers["content-type"] == "application/schema+json"
    validator = jsonschema_rs.validator_for(answer.json())
    for doc in (
        {"to": "u", "content": {"body": "x"}},
        {"to": "u"},
        {"to": [], "content": {}},
        {"to": "u", "content": {"body": "x"}, "x": 1},
    ):
        taken = (await world.client.post("/v1/notifications", doc)).status == 202
        assert validator.is_valid(doc) == taken


async def test_the_description_is_what_the_table_says() -> None:
    document = (await World(docs_open=True).stranger.get("/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    shown = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert shown == {(call.method, call.path) for call in CALLS}
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(references(inner) for inner in value.values()))
    return set().union(*(references(inner) for inner in value)) if isinstance(value, list) else set()


def test_everything_that_the_description_refers_to_is_in_it() -> None:
    document = describe(CALLS, "https://notify.example.com")
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) <= known
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_the_description_shows_dead_parcels() -> None:
    schemas = describe(CALLS, "https://notify.example.com")["components"]["schemas"]
    assert schemas["DeadList"]["properties"]["parcels"] == {"type": "array", "items": {"$ref": "#/components/schemas/ParcelRow"}}
    assert "parcels" in schemas["DeadList"]["required"]
    assert schemas["ParcelRow"]["properties"].keys() == {"kind", "id", "lane", "at", "problem", "size"}
    ids = jsonschema_rs.validator_for(schemas["DeadSelection"]["properties"]["ids"])
    assert ids.is_valid(["msg_" + "0" * 34, "par_" + "0" * 32])
    assert not ids.is_valid(["ntf_" + "0" * 32])


def test_a_call_documents_the_refusals_that_its_row_brings() -> None:
    by_name = {(call.method, call.path): set(statuses(call)) for call in CALLS}
    assert by_name["POST", "/v1/notifications"] == {400, 401, 403, 408, 409, 413, 415, 422, 429, 503}
    assert by_name["GET", "/v1/messages/{id}"] == {401, 403, 404, 422, 429, 503}
    assert by_name["POST", "/v1/hooks/{provider}"] == {401, 403, 404, 408, 413, 503}


async def test_the_docs_are_one_page_without_scripts_or_foreign_parts() -> None:
    answer = await World(docs_open=True).stranger.get("/docs")
    page = answer.body.decode()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert all(f"{call.path}</code>" in page for call in CALLS)
    assert "<script" not in page
    assert "src=" not in page
    assert "style-src 'sha256-" in answer.headers["content-security-policy"]


async def test_the_server_is_told_that_there_is_nothing_to_wait_for() -> None:
    world = World()
    asked = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    said: list[Any] = []

    async def receive() -> Any:
        return asked.pop(0)

    async def send(message: Any) -> None:
        said.append(message["type"])

    await world.app({"type": "lifespan"}, receive, send)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_web_socket_is_turned_away() -> None:
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message["type"])

    await World().app({"type": "websocket", "path": "/v1/events"}, send, send)
    assert said == ["websocket.close"]


def test_nothing_secret_shows_in_the_services() -> None:
    assert "an-admin-key" not in repr(World().services)
    assert "kkkk" not in repr(World().services)
