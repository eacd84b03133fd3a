"""POST /v1/notifications and its batch, through the whole application."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sendwright.errors import BusDown
from sendwright.model.notification import PRIORITIES, Payload
from sendwright.policy.duration import rfc3339

from .api_world import KEY, World

ORDER: dict[str, Any] = {"to": {"phone": "+14155552671"}, "content": {"body": "Your order is on its way."}}
PATH = "/v1/notifications"


async def test_an_accepted_notification_says_where_it_is() -> None:
    world = World()
    answer = await world.client.post(PATH, ORDER)
    assert answer.status == 202
    body = answer.json()
    assert body == {"id": body["id"], "state": "accepted", "message_count": 1}
    assert answer.headers["location"] == f"{PATH}/{body['id']}"
    assert answer.headers["content-type"] == "application/json"
    assert world.mint.minted_for("default", body["id"])


async def test_equal_recipients_are_one_message() -> None:
    world = World()
    answer = await world.client.post(
        PATH, {**ORDER, "to": ["a", "b", "a", {"phone": "+14155552671"}, {"phone": "+1 415 555 2671"}]}
    )
    assert answer.json()["message_count"] == 3


async def test_the_trace_and_the_raw_body_go_along() -> None:
    world = World()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    raw = b' {"to":"u", "content":{"body":"x"}}'
    await world.client.post(PATH, body=raw, headers={"content-type": "application/json; charset=utf-8", "traceparent": trace})
    await world.client.post(PATH, ORDER, headers={"traceparent": "00-" + "0" * 32 + "-00f067aa0ba902b7-01"})
    assert [(taken[2], taken[4]) for taken in world.desk.taken] == [(raw, trace), (json.dumps(ORDER).encode(), None)]


async def test_a_sane_request_id_comes_back_and_another_is_replaced() -> None:
    world = World()
    assert (await world.client.post(PATH, ORDER, headers={"request-id": "job-7.retry:2"})).headers["request-id"] == "job-7.retry:2"
    for odd in ("a b", "é", "x" * 129, ""):
        given = (await world.client.post(PATH, ORDER, headers={"request-id": odd})).headers["request-id"]
        assert given.startswith("req_")


async def test_the_same_key_answers_the_first_answer() -> None:
    world = World()
    first = await world.client.post(PATH, ORDER, headers={"idempotency-key": "k1"})
    again = await world.client.post(PATH, ORDER, headers={"idempotency-key": '"k1"'})
    assert "idempotency-replayed" not in first.headers
    assert (again.status, again.body, again.headers["idempotency-replayed"]) == (202, first.body, "true")
    assert again.headers["location"] == first.headers["location"]


async def test_the_same_key_with_another_body_is_422() -> None:
    world = World()
    await world.client.post(PATH, ORDER, headers={"idempotency-key": "k1"})
    answer = await world.client.post(PATH, {**ORDER, "priority": "high"}, headers={"idempotency-key": "k1"})
    assert (answer.status, answer.json()["code"]) == (422, "idempotency_mismatch")


async def test_a_repeat_is_answered_as_the_first_was_though_its_time_is_past() -> None:
    world = World()
    order = {**ORDER, "expires_at": rfc3339(world.clock.ms + 60_000)}
    first = await world.client.post(PATH, order, headers={"idempotency-key": "k1"})
    world.clock.ms += 120_000
    again = await world.client.post(PATH, order, headers={"idempotency-key": "k1"})
    assert (again.status, again.body, again.headers["idempotency-replayed"]) == (202, first.body, "true")
    other = await world.client.post(PATH, {**order, "priority": "high"}, headers={"idempotency-key": "k1"})
    assert (other.status, other.json()["code"]) == (422, "idempotency_mismatch")
    for headers in ({"idempotency-key": "k2"}, {}):
        fresh = await world.client.post(PATH, order, headers=headers)
        assert (fresh.status, fresh.json()["errors"][0]["code"]) == (422, "expired")
    assert len(world.desk.taken) == 1


async def test_a_repeat_in_a_batch_is_answered_as_the_first_was_though_its_time_is_past() -> None:
    world = World()
    order = {**ORDER, "idempotency_key": "k1", "expires_at": rfc3339(world.clock.ms + 60_000)}
    first = await world.client.post(PATH, order)
    world.clock.ms += 120_000
    fresh = {**order, "idempotency_key": "k2"}
    answer = await world.client.post("/v1/notifications/batch", {"notifications": [order, fresh]})
    again, refused = answer.json()["results"]
    assert (again["id"], again["replayed"]) == (first.json()["id"], True)
    assert refused["problem"]["errors"][0]["code"] == "expired"


async def test_keys_belong_to_a_tenant() -> None:
    world = World()
    mine = await world.client.post(PATH, ORDER, headers={"idempotency-key": "k1"})
    theirs = await world.neighbour.post(PATH, {**ORDER, "priority": "bulk"}, headers={"idempotency-key": "k1"})
    assert theirs.status == 202
    assert theirs.json()["id"] != mine.json()["id"]


async def test_while_the_first_is_running_the_second_is_told_to_wait() -> None:
    world = World()
    world.desk.running = True
    answer = await world.client.post(PATH, ORDER, headers={"idempotency-key": "k1"})
    assert (answer.status, answer.headers["retry-after"], answer.json()["code"]) == (409, "1", "in_progress")


async def test_a_key_in_the_body_counts_as_one_in_the_header() -> None:
    world = World()
    order = {**ORDER, "idempotency_key": "k1"}
    await world.client.post(PATH, order)
    assert world.desk.taken[0][3] == "k1"
    assert (await world.client.post(PATH, order, headers={"idempotency-key": "k1"})).headers["idempotency-replayed"] == "true"
    answer = await world.client.post(PATH, order, headers={"idempotency-key": "k2"})
    assert (answer.status, answer.json()["errors"][0]["header"]) == (422, "Idempotency-Key")


async def test_a_request_is_the_same_when_its_key_moves_between_header_body_and_batch() -> None:
    world = World()
    inside, headers = {"idempotency_key": "k1", **ORDER}, {"idempotency-key": "k1"}
    first = await world.client.post(PATH, ORDER, headers=headers)
    for body, given in ((inside, {}), (inside, headers), (ORDER, headers)):
        again = await world.client.post(PATH, body, headers=given)
        assert (again.status, again.body, again.headers["idempotency-replayed"]) == (202, first.body, "true")
    (batched,) = (await world.client.post(PATH + "/batch", {"notifications": [inside]})).json()["results"]
    assert (batched["id"], batched["replayed"]) == (first.json()["id"], True)


BAD = {"to": {"phone": "1"}, "content": {}}
LONG = {"idempotency-key": "k" * 300}
BAD_FAULTS = {("#/to/phone", "invalid_phone"), ("#/content", "empty")}
KEY_FAULT, TENANT_FAULT = ("Idempotency-Key", "invalid_idempotency_key"), ("Sendwright-Tenant", "invalid_tenant")
QUERY_FAULT = ("dry_run", "unknown_parameter")


@pytest.mark.parametrize(
    ("path", "body", "headers", "expected"),
    [
        (PATH, BAD, LONG, {*BAD_FAULTS, KEY_FAULT}),
        (PATH + "?dry_run=1", BAD, LONG, {*BAD_FAULTS, KEY_FAULT, QUERY_FAULT}),
        (PATH + "?dry_run=1", ORDER, {**LONG, "sendwright-tenant": "A B"}, {KEY_FAULT, QUERY_FAULT, TENANT_FAULT}),
        (PATH, BAD, {"sendwright-tenant": "A B"}, {*BAD_FAULTS, TENANT_FAULT}),
        (
            PATH,
            {**BAD, "idempotency_key": "a"},
            {"idempotency-key": "b"},
            {*BAD_FAULTS, ("Idempotency-Key", "conflict")},
        ),
        (
            PATH + "/batch?dry_run=1",
            {"notifications": []},
            {"idempotency-key": "k", "sendwright-tenant": "A B"},
            {("#/notifications", "too_few"), ("Idempotency-Key", "not_supported"), QUERY_FAULT, TENANT_FAULT},
        ),
        ("/v1/dead/drop?dry_run=1", {"ids": []}, {"sendwright-tenant": "A B"}, {("#/ids", "too_few"), QUERY_FAULT, TENANT_FAULT}),
    ],
)
async def test_the_faults_of_headers_query_and_body_are_listed_together(
    path: str, body: Any, headers: dict[str, str], expected: set[tuple[str, str]]
) -> None:
    world = World()
    answer = await world.client.post(path, body, headers=headers)
    assert (answer.status, answer.faults(), world.desk.taken) == (422, expected, [])
    assert answer.json()["detail"] == f"The request has {len(expected)} faults."


async def test_beside_a_body_that_is_no_json_the_other_faults_are_listed_too() -> None:
    headers = {**LONG, "content-type": "application/json"}
    answer = await World().client.post(PATH + "?dry_run=1", body=b"{", headers=headers)
    assert (answer.status, answer.json()["code"], answer.faults()) == (400, "invalid_json", {KEY_FAULT, QUERY_FAULT})


@pytest.mark.parametrize("path", [PATH, PATH + "/batch"])
async def test_a_stranger_is_told_of_no_fault(path: str) -> None:
    answer = await World().stranger.post(path + "?dry_run=1", BAD, headers={**LONG, "sendwright-tenant": "A B"})
    assert (answer.status, answer.json()["errors"]) == (401, [])


@pytest.mark.parametrize("other", [b"k2", b"k1"])
async def test_two_keys_are_refused_and_taken_for_no_third_one(other: bytes) -> None:
    world = World()
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": json.dumps(ORDER).encode(), "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer " + KEY.encode()), (b"content-type", b"application/json")]
    headers += [(b"idempotency-key", b"k1"), (b"idempotency-key", other)]
    await world.app({"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": headers}, receive, send)
    (error,) = json.loads(sent[1]["body"])["errors"]
    assert (sent[0]["status"], error["header"], error["code"], world.desk.taken) == (422, "Idempotency-Key", "duplicate", [])


async def test_a_key_may_hold_a_comma() -> None:
    world = World()
    await world.client.post(PATH, ORDER, headers={"idempotency-key": "k1, k2"})
    assert world.desk.taken[0][3] == "k1, k2"


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "a\tb", "é"])
async def test_a_key_that_is_none_is_refused(key: str) -> None:
    world = World()
    answer = await world.client.post(PATH, ORDER, headers={"idempotency-key": key})
    assert (answer.status, world.desk.taken) == (422, [])


@pytest.mark.parametrize("maybe", [True, False])
async def test_what_could_not_be_made_durable_is_never_a_202(maybe: bool) -> None:
    world = World()
    world.desk.fault = BusDown("amqp://user:secret@host is down", maybe=maybe)
    answer = await world.client.post(PATH, ORDER)
    assert (answer.status, answer.headers["retry-after"], answer.json()["may_be_accepted"]) == (503, "1", maybe)
    assert b"secret" not in answer.body


async def test_a_problem_document_names_every_fault() -> None:
    world = World()
    answer = await world.client.post(PATH, {"to": {"phone": "1"}, "content": {}, "nonsense": 1})
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.faults() == {("#/to/phone", "invalid_phone"), ("#/content", "empty"), ("#/nonsense", "unknown_field")}
    problem = answer.json()
    assert problem["request_id"] == answer.headers["request-id"]
    assert set(problem) == {"type", "title", "status", "code", "detail", "request_id", "errors"}
    assert set(problem["errors"][0]) == {"pointer", "code", "detail"}


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        f"Basic {KEY}",
        KEY,
        f"Bearer {KEY}, Bearer {KEY}",
    ],
)
async def test_nobody_without_the_key_gets_in(authorization: str | None) -> None:
    world = World()
    headers = {} if authorization is None else {"authorization": authorization}
    answer = await world.stranger.post(PATH, ORDER, headers=headers)
    assert (answer.status, answer.headers["www-authenticate"], world.desk.taken) == (401, "Bearer", [])


async def test_the_scheme_of_a_key_is_written_in_any_case() -> None:
    world = World()
    assert (await world.stranger.post(PATH, ORDER, headers={"authorization": f"bearer {KEY}"})).status == 202


@pytest.mark.parametrize("tenant", ["", "ACME", "a b", "-a", "a" * 64, "ä"])
async def test_a_tenant_without_a_proper_name_is_422(tenant: str) -> None:
    answer = await World().client.post(PATH, ORDER, headers={"sendwright-tenant": tenant})
    assert (answer.status, answer.json()["errors"][0]["code"]) == (422, "invalid_tenant")


async def test_the_admin_key_acts_for_a_tenant() -> None:
    world = World()
    await world.neighbour.post(PATH, ORDER)
    assert world.desk.taken[0][0] == "acme"


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": ""},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/jsonp"},
        {"content-type": 'application/json; foo="a; b"; charset=utf-16'},
        {"content-type": "application/json; charset=utf-8; charset=latin-1"},
        {"content-type": "application/json; foo=bar, text/plain"},
        {"content-type": "application/json; foo"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_only_plain_json_is_read(headers: dict[str, str]) -> None:
    world = World()
    assert (await world.client.post(PATH, body=b"{}", headers=headers)).status == 415
    assert (await world.client.post(PATH + "/batch", body=b"{}", headers=headers)).status == 415


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json; foo=bar",
        "Application/JSON;foo=bar;CHARSET=UTF-8",
        'application/json ; charset="utf-8" ; profile="https://example.org/;charset=latin-1"',
        'application/json; note="a \\" b"',
        "application/json;",
        "application/json; ; charset=utf-8;",
    ],
)
async def test_parameters_of_the_media_type_are_ignored_but_for_the_charset(media_type: str) -> None:
    body = json.dumps(ORDER).encode()
    assert (await World().client.post(PATH, body=body, headers={"content-type": media_type})).status == 202


async def test_a_body_that_is_declared_too_large_is_refused_unread() -> None:
    world = World()
    headers = {"content-type": "application/json", "content-length": str(2**20 + 1)}
    answer = await world.client.post(PATH, chunks=[b"{", b"}"], headers=headers)
    assert (answer.status, answer.json()["code"]) == (413, "too_large")


async def test_a_body_of_unknown_length_is_refused_as_soon_as_it_is_too_large() -> None:
    world = World(body_max=100)
    exchange_chunks = [b'{"to":"'] + [b"x" * 60] * 50
    answer = await world.client.post(PATH, chunks=exchange_chunks, headers={"content-type": "application/json"})
    assert answer.status == 413
    assert answer.headers["connection"] == "close"


async def test_a_body_in_pieces_is_one_body() -> None:
    world = World()
    raw = json.dumps(ORDER).encode()
    answer = await world.client.post(PATH, chunks=[raw[:5], b"", raw[5:]], headers={"content-type": "application/json"})
    assert answer.status == 202


async def test_a_body_that_does_not_end_in_time_is_408() -> None:
    world = World(body_within_s=0.01)
    for path in (PATH, PATH + "/batch"):
        answer = await world.client.post(path, body=b"{", headers={"content-type": "application/json"}, stalls=True)
        assert (answer.status, answer.headers["connection"]) == (408, "close")


async def test_a_body_that_does_not_even_begin_in_time_is_408() -> None:
    world = World(body_within_s=0.01)
    answer = await world.client.post(PATH, chunks=[], headers={"content-type": "application/json"})
    assert answer.status == 408


async def test_a_body_that_begins_after_its_headers_is_read_all_the_same() -> None:
    world = World()
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": json.dumps(ORDER).encode(), "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer " + KEY.encode()), (b"content-type", b"application/json")]
    await world.app({"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": headers}, receive, send)
    assert sent[0]["status"] == 202


async def test_a_caller_who_hangs_up_gets_nothing_and_costs_nothing() -> None:
    world = World()
    sent: list[Any] = []
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        await asyncio.sleep(0)
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer " + KEY.encode()), (b"content-type", b"application/json")]
    await world.app({"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": headers}, receive, send)
    assert (sent, world.desk.taken) == ([], [])


async def test_parameters_that_mean_nothing_are_refused() -> None:
    answer = await World().client.post(PATH + "?dry_run=true", ORDER)
    assert (answer.status, answer.json()["errors"][0]["parameter"]) == (422, "dry_run")


async def test_a_batch_answers_each_item_in_order() -> None:
    world = World()
    items = [ORDER, {"to": "u"}, {**ORDER, "idempotency_key": "k1"}, {**ORDER, "idempotency_key": "k1", "priority": "bulk"}]
    answer = await world.client.post(PATH + "/batch", {"notifications": items})
    assert answer.status == 202
    first, second, third, fourth = answer.json()["results"]
    assert (first["state"], first["message_count"], third["state"]) == ("accepted", 1, "accepted")
    assert (second["problem"]["status"], second["problem"]["errors"][0]["pointer"]) == (422, "#/content")
    assert fourth["problem"]["code"] == "idempotency_mismatch"
    assert first["id"] != third["id"]


async def test_a_batch_tells_what_was_replayed() -> None:
    world = World()
    item = {**ORDER, "idempotency_key": "k1"}
    results = (await world.client.post(PATH + "/batch", {"notifications": [item, item]})).json()["results"]
    assert results[1] == {**results[0], "replayed": True}


async def test_of_items_with_one_key_the_earlier_one_is_taken_whatever_their_priorities(monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    world = World()
    at_once = world.desk.accept

    async def by_priority(tenant: str, payload: Payload, *rest: Any, **more: Any) -> Any:
        for _ in range(10 * PRIORITIES[payload.priority]):
            await asyncio.sleep(0)
        return await at_once(tenant, payload, *rest, **more)

    monkeypatch.setattr(world.desk, "accept", by_priority)
    items = [{**ORDER, "idempotency_key": "k1", "priority": priority} for priority in ("bulk", "critical", "bulk", "high")]
    # when
    answer = await world.client.post(PATH + "/batch", {"notifications": [*items, {**ORDER, "priority": "critical"}]})
    # then
    first, second, third, fourth, other = answer.json()["results"]
    assert (first["state"], third["id"], third["replayed"]) == ("accepted", first["id"], True)
    assert [one["problem"]["code"] for one in (second, fourth)] == ["idempotency_mismatch"] * 2
    assert [taken[1].priority for taken in world.desk.taken] == ["critical", "bulk"]
    assert other["state"] == "accepted"


async def test_an_item_that_is_no_json_we_read_spoils_only_itself() -> None:
    world = World()
    raw = b'{"notifications":[{"to":"a","to":"b","content":{"body":"x"}},{"to":"a","content":{"body":"x"}}]}'
    answer = await world.client.post(PATH + "/batch", body=raw, headers={"content-type": "application/json"})
    bad, good = answer.json()["results"]
    assert (bad["problem"]["status"], good["state"]) == (400, "accepted")


async def test_items_that_could_not_be_made_durable_say_so_one_by_one() -> None:
    world = World()
    world.desk.fault, world.desk.faulty_from = BusDown("down", maybe=True), 1
    answer = await world.client.post(PATH + "/batch", {"notifications": [ORDER, ORDER]})
    assert answer.status == 202
    assert answer.json()["results"][1]["problem"]["may_be_accepted"] is True


async def test_a_batch_of_which_nothing_could_be_made_durable_is_503() -> None:
    world = World()
    world.desk.fault = BusDown("down", maybe=True)
    answer = await world.client.post(PATH + "/batch", {"notifications": [ORDER, ORDER]})
    assert (answer.status, answer.json()["may_be_accepted"]) == (503, True)


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ({}, {("#/notifications", "required")}),
        ([], {("#", "invalid_type")}),
        ({"notifications": 5}, {("#/notifications", "invalid_type")}),
        ({"notifications": []}, {("#/notifications", "too_few")}),
        ({"notifications": [1] * 1001}, {("#/notifications", "too_many")}),
        ({"notifications": [ORDER], "x": 1}, {("#/x", "unknown_field")}),
        ({"notifications": [{**ORDER, "to": [f"u{n}" for n in range(1000)]}] * 11}, {("#/notifications", "too_many")}),
    ],
)
async def test_a_list_that_is_not_well_formed_is_422_as_a_whole(doc: Any, expected: set[tuple[str, str]]) -> None:
    world = World()
    answer = await world.client.post(PATH + "/batch", doc)
    assert (answer.status, answer.faults(), world.desk.taken) == (422, expected, [])


ONE = json.dumps(ORDER).encode()


def nested(depth: int) -> bytes:
    """An item that is so deep."""
    return b'{"to":"u","content":{"body":"b"},"metadata":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'{"notifications":[%b],"notifications":[%b]}' % (ONE, ONE), "duplicate_key"),
        (b'{"notifications":[],"notifications":[%b]}' % ONE, "duplicate_key"),
        (b'{"notifications":[%b],"n\\u006ftifications":[%b]}' % (ONE, ONE), "duplicate_key"),
        (b'{"x":1,"notifications":[%b],"x":1}' % ONE, "duplicate_key"),
        (b'{"x":1,"x":12}', "duplicate_key"),
        (b'{"notifications":[%b]}' % nested(63), "too_deep"),
        (b'{"notifications":[%b,%b]}' % (ONE, nested(64)), "too_deep"),
        (b'{"notifications":[%b],"x":%b}' % (ONE, nested(64)), "too_deep"),
        (b"[" * 65 + b"]" * 65, "too_deep"),
        (b'{"notifications":[%b]}' % nested(100_000), "invalid_json"),
        (b'{"notifications":[%b]' % ONE, "invalid_json"),
    ],
)
async def test_a_batch_is_one_document_that_is_read_in_one_way_only(raw: bytes, code: str) -> None:
    world = World()
    answer = await world.client.post(PATH + "/batch", body=raw, headers={"content-type": "application/json"})
    assert (answer.status, answer.json()["code"], world.desk.taken) == (400, code, [])


@pytest.mark.parametrize(
    "raw",
    [
        b' { "notifications" : [ %b , %b ] } ' % (ONE, nested(62)),
        b'\n{"notif\\u0069cations":\t[%b,%b]}\r\n' % (ONE, ONE),
    ],
)
async def test_a_batch_is_written_in_any_way_that_json_has(raw: bytes) -> None:
    world = World()
    answer = await world.client.post(PATH + "/batch", body=raw, headers={"content-type": "application/json"})
    assert (answer.status, len(answer.json()["results"])) == (202, 2)


async def test_a_batch_has_no_key_of_its_own() -> None:
    answer = await World().client.post(PATH + "/batch", {"notifications": [ORDER]}, headers={"idempotency-key": "k"})
    assert (answer.status, answer.json()["errors"][0]["header"]) == (422, "Idempotency-Key")


async def test_one_item_may_not_be_larger_than_one_notification() -> None:
    world = World(body_max=200, batch_body_max=10_000)
    big = {**ORDER, "content": {"body": "x" * 300}}
    results = (await world.client.post(PATH + "/batch", {"notifications": [big, ORDER]})).json()["results"]
    assert (results[0]["problem"]["status"], results[1]["state"]) == (413, "accepted")
