"""People, through real processes: ids that are looked up, an opt-out in the middle of a campaign, a STOP by SMS, an erasure."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from .harness import House, Oracle, wait_until
from .raw_http import ask
from .test_callbacks import FORM
from .test_receipts import signature
from .world import FAST, Row, World, first_message, message_of, moment, sandbox_account, text, twilio_account

pytestmark = pytest.mark.slow

CANARY = "zanzibar-canary"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("people")
    oracle = Oracle(folder, latency_ms=20)
    providers = twilio_account(oracle.url, "main", concurrency=20) + sandbox_account(oracle.url, "box", ["email"])
    made = World(folder, House(folder, providers, FAST), oracle)
    made.house.start()
    yield made
    made.stop()


def put(world: World, id_: str, **members: Any) -> None:
    status, answer = world.house.api("PUT", f"/v1/recipients/{id_}", members)
    assert status == 200, answer


def said(world: World, text_: str, sender: str, sid: str) -> None:
    """What Twilio posts when somebody writes to our number."""
    fields = {"MessageSid": sid, "SmsStatus": "received", "From": sender, "To": "+15005550006", "Body": text_}
    signed = signature("token-of-a", f"{world.house.url}/v1/hooks/main", fields.items())
    headers = FORM | {"X-Twilio-Signature": signed}
    assert ask(world.house.port, "POST", "/v1/hooks/main", urlencode(fields).encode(), headers, key=None).status == 204


def test_a_thousand_known_ids_are_one_notification(world: World) -> None:
    people = [{"id": f"user-{number}", "phone": f"+14156{number:06d}"} for number in range(1000)]
    status, answer = world.house.api("POST", "/v1/recipients/batch", {"recipients": people})
    assert (status, [result for result in answer["results"] if "problem" in result]) == (200, [])
    status, answer = world.house.api("POST", "/v1/notifications", {**text(), "to": [each["id"] for each in people]})
    assert (status, answer["message_count"]) == (202, 1000)
    path = f"/v1/notifications/{answer['id']}"
    wait_until(lambda: world.house.api("GET", path)[1]["counts"] == {"delivered": 1000}, 30, "all are delivered", every_s=0.3)
    assert {row["to"] for row in world.asked(taken=True)} >= {each["phone"] for each in people}


def test_no_request_begins_once_an_opt_out_in_the_middle_of_a_campaign_is_answered(world: World) -> None:
    for turn in range(5):
        # given a campaign to one person, with others between
        phone = f"+1415777{turn}001"
        mine = [text(phone, priority="bulk") for _ in range(400)]
        others = [text(priority="bulk") for _ in range(400)]
        ids = world.post_all([body for pair in zip(mine, others, strict=True) for body in pair])
        wait_until(lambda phone=phone: len(world.asked(to=phone, taken=True)) > 20, 15, "it is under way", every_s=0.01)
        # when
        status, listed = world.house.api("POST", "/v1/suppressions", {"address": phone, "channel": "sms"})
        answered_at = time.time()
        assert status == 200
        # then
        world.all_come_to(ids, "delivered", "suppressed", within_s=60)
        states = world.states(ids[::2])
        sent = world.asked(to=phone, taken=True)
        late = [row for row in sent if moment(row) > answered_at]
        assert all(begun(world, row) <= answered_at for row in late)
        if not late:
            break  # what was written before the answer may be read after it, on a machine that stalled
    assert late == []
    assert (len(sent), len(sent) + states.count("suppressed")) == (states.count("delivered"), 400)
    assert states.count("suppressed") > 0
    assert set(world.states(ids[1::2])) == {"delivered"}
    assert world.message(ids[2 * states.index("suppressed")])["reason"]["code"] == "opted_out"
    assert world.house.api("DELETE", f"/v1/suppressions/{listed['id']}")[0] == 204
    world.comes_to(world.post(text(phone)), "delivered")


def begun(world: World, row: Row) -> float:
    """When the house began the attempt that this request of the oracle's is, in seconds since 1970."""
    (started,) = (
        attempt["started_at"] for attempt in world.message(message_of(row))["attempts"] if row["reference"].endswith(attempt["id"])
    )
    return datetime.fromisoformat(started).timestamp()


def test_a_stop_by_sms_holds_within_a_second_until_a_start(world: World) -> None:
    phone = "+14157770002"
    said(world, " Stop. ", phone, "SM" + "1" * 32)
    time.sleep(1)
    world.comes_to(world.post(text(phone)), "suppressed")
    assert world.house.api("POST", "/v1/suppressions/lookup", {"address": phone})[1]["data"][0]["source"] == "stop"
    said(world, "START", phone, "SM" + "2" * 32)
    time.sleep(1)
    world.comes_to(world.post(text(phone)), "delivered")


def test_of_an_erased_person_nothing_is_left_in_any_row_and_the_suppression_holds(world: World) -> None:
    # given a person of whom there is much: sent, scheduled, refused, and what they said
    phone, id_ = "+14157770003", CANARY
    put(world, id_, phone=phone, email=f"{CANARY}@example.org")
    to = {"to": id_}
    first = world.post({**text(), **to, "metadata": {"name": CANARY}})
    world.comes_to(first, "delivered")
    later = (datetime.now(UTC) + timedelta(days=300)).isoformat()
    waiting = world.post({**text(), **to, "send_at": later, "content": {"body": f"Dear {CANARY}"}})
    world.comes_to(waiting, "scheduled")
    world.house.api("POST", "/v1/suppressions", {"address": f"{CANARY}@example.org"})
    said(world, f"this is {CANARY}", phone, "SM" + "3" * 32)
    assert CANARY in rows(world)
    time.sleep(0.5)
    # when
    status, answer = world.house.api("DELETE", f"/v1/recipients/{id_}")
    # then
    assert (status, answer) == (200, {"id": id_, "messages": 2, "cancelled": 1})
    left = rows(world)
    assert CANARY not in left
    assert phone not in left
    assert (world.state(first), world.state(waiting)) == ("delivered", "cancelled")
    again = world.post({"to": {"email": f"{CANARY}@example.org"}, "content": {"body": "Hello"}})
    world.comes_to(again, "suppressed")
    status, answer = world.house.api("POST", "/v1/notifications", {**text(), **to})
    assert world.comes_to(first_message(answer["id"]), "failed")["reason"]["code"] == "unknown_recipient"


def rows(world: World) -> str:
    """All that stands in the store, but for what was posted a moment ago and lies on the lanes."""
    with world.house.database() as db:
        tables = [row[0] for row in db.execute("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'")]
        return "\n".join(repr(row) for table in tables for row in db.execute(f"select * from {table}"))
