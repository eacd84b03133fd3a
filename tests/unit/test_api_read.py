"""What the API shows: notifications, messages, lists and their cursors."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from sendwright.errors import StoreDown
from sendwright.model.ids import attempt_id, message_id
from sendwright.model.parcel import Step
from sendwright.model.records import AttemptRecord, Event, Wait
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.masking import masked

from .api_world import NOW, World

DAY_MS = 86_400_000


async def test_an_id_that_was_answered_with_202_is_never_404() -> None:
    world = World()
    name = (await world.client.post("/v1/notifications", {"to": "u", "content": {"body": "x"}})).json()["id"]
    shown = (await world.client.get(f"/v1/notifications/{name}")).json()
    assert (shown["id"], shown["state"], shown["messages"], shown["created_at"]) == (
        name,
        "accepted",
        [],
        "2026-11-18T11:06:40.000Z",
    )


async def test_ids_of_others_and_of_nobody_are_404_alike() -> None:
    world = World()
    mine, (message,) = world.born()
    for path in (f"/v1/notifications/{mine}", f"/v1/messages/{message}"):
        assert (await world.client.get(path)).status == 200
        assert (await world.neighbour.get(path)).status == 404
        assert (await world.neighbour.post(f"{path}/cancel")).status == 404
    for name in ("ntf_" + "0" * 32, "ntf_1", "1", "msg_x", "..%2f", mine[:-1] + "~"):
        assert (await world.client.get(f"/v1/notifications/{name}")).status == 404
        assert (await world.client.get(f"/v1/messages/{name}")).status == 404
    assert world.book.asked == []


async def test_an_id_older_than_the_bus_keeps_anything_is_404_when_the_store_has_none() -> None:
    world = World()
    name = world.mint.notification("default", NOW - 15 * DAY_MS, b"123456789")
    assert (await world.client.get(f"/v1/notifications/{name}")).status == 404
    assert (await world.client.post(f"/v1/notifications/{name}/cancel")).status == 404


async def test_a_notification_shows_its_messages_with_masked_addresses() -> None:
    world = World()
    name, messages = world.born(2)
    shown = (await world.client.get(f"/v1/notifications/{name}")).json()
    assert (shown["state"], shown["counts"], shown["priority"], shown["metadata"]) == ("sent", {"sent": 2}, "high", {"order": "1"})
    assert [message["id"] for message in shown["messages"]] == messages
    assert {message["address"] for message in shown["messages"]} == {"+1•••0123"}
    assert shown["messages_cursor"] is None


async def test_a_message_echoes_its_notifications_metadata_and_a_list_asks_for_all_of_it_at_once() -> None:
    world = World()
    name, (message, _) = world.born(2)
    bare, (other,) = world.born(number=1)
    world.rows.notifications[bare] = msgspec.structs.replace(world.rows.notifications[bare], metadata={})
    expected = {name: {"order": "1"}, bare: {}}
    assert (await world.client.get(f"/v1/messages/{message}")).json()["metadata"] == {"order": "1"}
    assert (await world.client.get(f"/v1/messages/{other}")).json()["metadata"] == {}
    world.rows.asked_for_metadata = 0
    rows = (await world.client.get("/v1/messages")).json()["data"]
    assert (len(rows), world.rows.asked_for_metadata) == (3, 1)
    rows += (await world.client.get(f"/v1/notifications/{name}")).json()["messages"]
    rows += [row for each in (await world.client.get("/v1/notifications")).json()["data"] for row in each["messages"]]
    assert (len(rows), world.rows.asked_for_metadata) == (8, 1)
    assert all(row["metadata"] == expected[row["notification"]] for row in rows)


async def test_more_than_a_hundred_messages_come_by_cursor() -> None:
    world = World()
    name, messages = world.born(150)
    first = (await world.client.get(f"/v1/notifications/{name}")).json()
    assert len(first["messages"]) == 100
    rest = (await world.client.get(f"/v1/notifications/{name}?cursor={first['messages_cursor']}")).json()
    assert [m["id"] for m in first["messages"] + rest["messages"]] == messages
    assert rest["messages_cursor"] is None


async def test_a_notification_cancelled_before_it_was_planned_is_cancelled() -> None:
    world = World()
    name, _ = world.born(0)
    row = world.rows.notifications[name]
    world.rows.notifications[name] = type(row)(
        **{**{f: getattr(row, f) for f in row.__struct_fields__}, "cancelled_at": NOW, "counts": {}}
    )
    assert (await world.client.get(f"/v1/notifications/{name}")).json()["state"] == "cancelled"


async def test_what_has_arrived_shows_no_failure_that_was_said_of_it() -> None:
    world = World()
    _, (name,) = world.born(state=MessageState.DELIVERED)
    states = [AttemptState.DELIVERED, AttemptState.READ, AttemptState.FAILED, AttemptState.DELIVERED]
    reasons = ["unreachable", "unreachable", "unreachable", "opted_out"]
    world.rows.attempt_rows += [
        AttemptRecord(attempt_id(name, n), name, n, 0, "sms", "twilio-main", state, NOW, NOW, reason=reason, detail="30003")
        for n, (state, reason) in enumerate(zip(states, reasons, strict=True), 1)
    ]
    shown = (await world.client.get(f"/v1/messages/{name}")).json()["attempts"]
    codes = [each["reason"] and each["reason"]["code"] for each in shown]
    assert codes == [None, None, "unreachable", "opted_out"]


async def test_a_message_asked_for_by_its_id_shows_everything() -> None:
    world = World()
    _, (name,) = world.born(
        state=MessageState.QUEUED, reason="lost_answer", detail="reset", wait=Wait("provider", None, key="p", name="twilio-main")
    )
    attempt = AttemptRecord(
        attempt_id(name, 1), name, 1, 0, "sms", "twilio-main", AttemptState.FAILED, NOW, NOW + 10, ref="SM1", reason="rejected"
    )
    world.rows.attempt_rows += [attempt, replace(attempt, id=attempt_id(name, 2), number=2, call="call_1-7")]
    world.rows.event_rows.append(Event(1, NOW, "default", "message.queued", name, name, "again"))
    shown = (await world.client.get(f"/v1/messages/{name}")).json()
    assert (shown["address"], shown["channel"], shown["reason"]) == (
        "+14155550123",
        "sms",
        {"code": "lost_answer", "detail": "reset"},
    )
    assert shown["waiting_for"] == {"kind": "provider", "name": "twilio-main", "until": None}
    assert (shown["attempts"][0]["state"], shown["attempts"][0]["ref"], shown["attempts"][0]["finished_at"]) == (
        "failed",
        "SM1",
        None,
    )
    assert [each["call_id"] for each in shown["attempts"]] == [None, "call_1-7"]
    assert shown["timeline"] == [{"at": "2026-11-18T11:06:40.000Z", "event": "message.queued", "detail": "again"}]


async def test_a_message_that_waits_for_a_time_says_until_when() -> None:
    world = World()
    _, (name,) = world.born(state=MessageState.SCHEDULED, wait=Wait("time", NOW + 1000))
    assert (await world.client.get(f"/v1/messages/{name}")).json()["waiting_for"]["until"] == "2026-11-18T11:06:41.000Z"
    _, (other,) = world.born(number=1, state=MessageState.SENT, wait=Wait("time", NOW))
    assert (await world.client.get(f"/v1/messages/{other}")).json()["waiting_for"] is None


async def test_a_list_goes_on_where_it_ended() -> None:
    world = World()
    for number in range(5):
        world.born(number=number)
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = (await world.client.get(f"/v1/messages?limit=2{cursor}")).json()
        seen += [message["id"] for message in page["data"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert (seen, page["next_cursor"]) == (sorted(world.rows.messages, reverse=True), None)


async def test_a_cursor_is_good_for_its_list_its_filters_and_its_tenant_only() -> None:
    world = World()
    for number in range(3):
        world.born(number=number)
    cursor = (await world.client.get("/v1/messages?limit=1")).json()["next_cursor"]
    assert (await world.client.get(f"/v1/messages?limit=2&cursor={cursor}")).status == 200
    forged = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
    for client, path in (
        (world.client, f"/v1/messages?cursor={forged}"),
        (world.client, f"/v1/messages?state=sent&cursor={cursor}"),
        (world.client, f"/v1/notifications?cursor={cursor}"),
        (world.client, "/v1/messages?cursor=%E2%82%AC"),
        (world.neighbour, f"/v1/messages?cursor={cursor}"),
    ):
        answer = await client.get(path)
        assert (answer.status, answer.json()["errors"][0]["code"]) == (422, "invalid_cursor")


async def test_filters_reach_the_store_as_they_were_meant() -> None:
    world = World()
    await world.client.get(
        "/v1/messages?state=in_doubt&channel=sms&provider=p&recipient=u%201&doubled=true&since=2026-11-18T11:06:40Z&until=2026-11-18T13:06:40+02:00"
    )
    page = world.rows.pages[0]
    assert (page.state, page.channel, page.provider, page.recipient, page.doubled) == (
        MessageState.IN_DOUBT,
        "sms",
        "p",
        "u 1",
        True,
    )
    assert (page.since, page.until, page.limit, page.tenant) == (NOW, NOW, 50, "default")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("limit=0", {"limit"}),
        ("limit=501", {"limit"}),
        ("limit=1e2", {"limit"}),
        ("limit=" + "9" * 30, {"limit"}),
        ("state=lost&doubled=yes&since=today", {"state", "doubled", "since"}),
        ("stat=sent", {"stat"}),
        ("state=sent&state=failed", {"state"}),
        ("channel=", {"channel"}),
        ("provider=a%00b", {"provider"}),
    ],
)
async def test_a_query_with_faults_lists_them_all(query: str, names: set[str]) -> None:
    answer = await World().client.get(f"/v1/messages?{query}")
    assert (answer.status, {error["parameter"] for error in answer.json()["errors"]}) == (422, names)


async def test_a_query_that_is_no_text_is_422() -> None:
    for query, expected in (
        ("channel=%FF", {("channel", "invalid_encoding")}),
        ("%ff=1", {("?", "invalid_encoding")}),
        ("a%ed%a0%80=1&limit=0", {("a???", "invalid_encoding"), ("limit", "invalid_parameter")}),
    ):
        answer = await World().client.get(f"/v1/messages?{query}")
        assert (answer.status, answer.faults()) == (422, expected)


async def test_a_query_with_more_parameters_than_there_are_names_the_one_too_many() -> None:
    answer = await World().client.get("/v1/messages?limit=0&" + "&".join(f"a{n}=1" for n in range(60)))
    assert answer.status == 422
    assert {("a49", "too_many"), ("limit", "invalid_parameter"), ("a48", "unknown_parameter")} <= answer.faults()
    assert len(answer.faults()) == 51


async def test_a_notification_is_found_by_its_key_even_before_it_is_planned() -> None:
    world = World()
    name = (await world.client.post("/v1/notifications", {"to": "u", "content": {"body": "x"}, "idempotency_key": "k1"})).json()[
        "id"
    ]
    found = (await world.client.get("/v1/notifications?idempotency_key=k1")).json()["data"]
    assert [(row["id"], row["state"]) for row in found] == [(name, "accepted")]
    assert (await world.client.get("/v1/notifications?idempotency_key=k2")).json()["data"] == []
    assert (await world.neighbour.get("/v1/notifications?idempotency_key=k1")).json()["data"] == []


async def test_notifications_are_asked_for_by_their_type() -> None:
    world = World()
    world.born()
    await world.client.get("/v1/notifications?type=order.shipped%402")
    await world.client.get("/v1/notifications")
    assert [page.type for page in world.rows.pages] == ["order.shipped@2", None]


async def test_a_store_that_is_down_is_503_without_its_own_words() -> None:
    world = World()
    name, _ = world.born()
    world.rows.fault = StoreDown("postgresql://user:pw@host")
    answer = await world.client.get(f"/v1/notifications/{name}")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert b"pw" not in answer.body


async def test_an_unexpected_fault_tells_the_caller_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    name, _ = world.born()
    world.rows.fault = RuntimeError("canary +14155550123")
    answer = await world.client.get(f"/v1/notifications/{name}")
    assert (answer.status, answer.json()["code"]) == (500, "internal")
    logged = capsys.readouterr().out
    assert answer.json()["request_id"] in logged
    assert "canary" not in logged + answer.body.decode()


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("+14155550123", "+1•••0123"),
        ("+4915112345678", "+49•••5678"),
        ("+6834000", "+683•••"),
        ("ada@example.org", "a•••@example.org"),
        ("https://hooks.example.org/secret?token=1", "https://hooks.example.org/•••"),
        ("https://[broken", "•••"),
        ("0123456789abcdef", "•••cdef"),
        ("U123", "•••"),
    ],
)
def test_a_masked_address_is_recognised_but_of_no_use(address: str, shown: str) -> None:
    assert masked(address) == shown


async def test_the_address_of_a_waiting_message_is_that_of_its_step() -> None:
    world = World()
    _, (name,) = world.born(state=MessageState.QUEUED, steps=(Step("email", "ada@example.org"),))
    assert (await world.client.get(f"/v1/messages/{name}")).json()["address"] == "ada@example.org"
    listed = (await world.client.get("/v1/messages")).json()["data"][0]
    assert (listed["address"], listed["channel"]) == ("a•••@example.org", "email")


async def test_a_message_without_an_address_shows_none() -> None:
    world = World()
    _, (name,) = world.born(state=MessageState.FAILED, steps=(), reason="unknown_recipient", detail="")
    shown = (await world.client.get(f"/v1/messages/{name}")).json()
    assert (shown["address"], shown["channel"], shown["reason"]["code"]) == (None, None, "unknown_recipient")


async def test_a_message_that_was_never_planned_is_404() -> None:
    world = World()
    name = world.mint.notification("default", NOW, b"123456789")
    assert (await world.client.get(f"/v1/messages/{message_id(name, 0)}")).status == 404
