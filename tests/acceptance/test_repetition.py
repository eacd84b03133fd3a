"""Answers that are lost where the vendor recognises a repetition, and where only its receipts tell: each is sent once.

The sandbox's own wire has keys; Twilio's has none, and reports what became of a message before, without or against its
answer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import House, Oracle, wait_until
from .raw_http import ScriptedVendor, ask
from .test_callbacks import box_receipt, receipt
from .test_receipts import SECRET
from .world import FAST, Row, World, first_message, message_of, sandbox_account, text, twilio_account

pytestmark = pytest.mark.slow

LOSES: dict[str, Row] = {
    "reset": {"do": "reset_after"},
    "hang": {"do": "hang", "taken": True},
    "half": {"do": "malformed"},
    "empty": {"do": "empty"},
    "login": {"do": "html"},
    "drip": {"do": "drip", "every_ms": 200},
    "flood": {"do": "oversize", "size_bytes": 2**20},
    "error": {"do": "status", "status": 500, "taken": True},
    "gateway": {"do": "status", "status": 502, "taken": True},
    "late": {"do": "status", "status": 504, "taken": True},
    "running": {"do": "status", "status": 409, "taken": True},
}
"""Misbehaviours that take a message and don't say so, by the beginning of the addresses that they meet."""


@pytest.fixture(scope="module")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An account of either kind; the sandbox's own reports nothing that is believed, for its secret is another one."""
    folder = tmp_path_factory.mktemp("repetition")
    oracle = Oracle(folder)
    accounts = twilio_account(oracle.url, "main", timeout_s=2) + box(oracle.url)
    made = World(folder, House(folder, accounts, FAST), oracle)
    made.house.start()
    yield made
    made.stop()


@pytest.fixture
def world(_world: World) -> World:
    _world.oracle.faults([], {"sequence": []})
    return _world


def box(url: str) -> str:
    return sandbox_account(url, "box", ["email"], timeout_s=1) + f'secret = "whsec_{SECRET}"\n'


def mail(name: str) -> Row:
    return {"to": {"email": f"{name}@example.com"}, "content": {"body": f"to {name}"}}


def events(row: Row) -> list[str]:
    return [entry["event"] for entry in row["timeline"]]


def listed(world: World) -> set[str]:
    return {row["id"] for row in world.house.pages("/v1/messages?doubled=true")}


# A vendor that recognises a repetition


def test_however_an_answer_is_lost_the_repetition_is_recognised(world: World) -> None:
    world.oracle.faults([{**rule, "match": {"to_prefix": name}, "count": 1} for name, rule in LOSES.items()])
    messages = {name: world.post(mail(name)) for name in LOSES}
    world.all_come_to(list(messages.values()), "sent", within_s=30)
    for name, message in messages.items():
        # then it was asked twice for the same, by the same key, and took it the first time
        first, second = world.asked(to=f"{name}@example.com")
        assert (first["taken"], second["taken"], second["verdict"]) == (True, False, "replayed"), name
        assert (first["idempotency_key"], first["ref"]) == (second["idempotency_key"], second["ref"]), name
        assert {message_of(first), message_of(second)} == {message}, name
        assert world.message(message)["attempts"][-1]["ref"] == first["ref"], name
    assert world.audit()["violations"] == []


def test_who_dies_with_the_answer_in_hand_asks_again_by_the_same_key(tmp_path: Path) -> None:
    # given a process that dies right after it has read the third answer
    oracle = Oracle(tmp_path, receipts=False)
    world = World(tmp_path, House(tmp_path, box(oracle.url), FAST), oracle)
    try:
        world.house.start({"SENDWRIGHT_CRASH": "deliver.answer:3"})
        names = [f"m{number}" for number in range(6)]
        messages = world.post_all([mail(name) for name in names])
        world.house.ended()
        # when it is started again
        world.house.start()
        world.all_come_to(messages, "sent")
        # then whatever was asked again was asked by its own key
        asked = [world.asked(to=f"{name}@example.com") for name in names]
        assert [sum(row["taken"] for row in rows) for rows in asked] == [1] * 6
        keys = [{row["idempotency_key"] for row in rows} for rows in asked]
        assert [len(of_one) for of_one in keys] == [1] * 6
        assert len(set.union(*keys)) == 6
        assert max(map(len, asked)) > 1
    finally:
        world.stop()


def test_a_vendor_that_forgot_its_key_is_listed_as_having_sent_twice(tmp_path: Path) -> None:
    # given a vendor whose first answer is lost, and who answers the repetition with another id
    answers = iter((b"", b'{"id":"sbx_second"}'))

    def answer(_: bytes) -> bytes:
        body = next(answers)
        return b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n" % len(body) + body if body else b""

    vendor = ScriptedVendor(answer)
    house = House(tmp_path, box(vendor.url), FAST)
    try:
        house.start()
        message = first_message(house.api("POST", "/v1/notifications", mail("forgotten"))[1]["id"])

        def row() -> Row:
            return dict(house.api("GET", f"/v1/messages/{message}")[1])

        wait_until(lambda: row().get("state") == "sent", 10, "it is sent")
        keys = [json.loads(request.partition(b"\r\n\r\n")[2])["idempotency_key"] for request in vendor.requests]
        assert keys == [keys[0]] * 2
        # when it reports the first as delivered
        assert ask(house.port, *box_receipt(row()["attempts"][0]["id"], "delivered", "sbx_first"), key=None).status == 204
        # then both stand there, and the message among the doubled
        wait_until(lambda: row()["state"] == "delivered", 10, "it is delivered")
        assert [attempt["ref"] for attempt in row()["attempts"]] == ["sbx_first", "sbx_second"]
        assert {one["id"] for one in house.pages("/v1/messages?doubled=true")} == {message}
    finally:
        house.kill()
        vendor.stop()


# A vendor that has no keys, and reports


def test_receipts_that_come_before_an_answer_that_never_does_settle_it(world: World) -> None:
    """What is resent in doubt is known not to be in doubt, and what is held is not held."""
    early = {"sequence": ["sent", "delivered", "read"], "early": True, "duplicate": 3, "delay_ms": 1}
    lost = ("reset", "hang", "gateway", "half", "late")
    world.oracle.faults([{**LOSES[name], "match": {"to_prefix": f"+1415990{n}"}} for n, name in enumerate(lost)], early)
    ways = [(f"+1415990{n}{m:03d}", on_doubt) for n in range(len(lost)) for m, on_doubt in enumerate(("hold", "resend"))]
    messages = world.post_all([text(to, on_doubt=on_doubt) for to, on_doubt in ways])
    world.all_come_to(messages, "read")
    wait_until(lambda: world.provider("main")["in_flight"] == 0, 10, "every call is over")
    # then nothing takes back what was reported: not the call's own end, either
    assert set(world.states(messages)) == {"read"}
    assert [len(world.asked(to=to)) for to, _ in ways] == [1] * len(ways)
    assert listed(world).isdisjoint(messages)
    for message in messages:
        said = events(world.message(message))
        assert len(said) == len(set(said)), said


def test_a_report_of_failure_before_the_answer_is_the_end_of_it(world: World) -> None:
    world.oracle.faults([], {"sequence": ["failed"], "early": True})
    bodies = [text() for _ in range(5)]
    messages = world.post_all(bodies)
    world.all_come_to(messages, "failed")
    wait_until(lambda: world.provider("main")["in_flight"] == 0, 10, "every call is over")
    assert set(world.states(messages)) == {"failed"}
    assert [len(world.asked(to=body["to"]["phone"])) for body in bodies] == [1] * 5


def test_a_lost_answer_whose_receipts_are_lost_too_stays_in_doubt_where_it_is_held(world: World) -> None:
    world.oracle.faults([{"do": "reset_after"}], {"drop_share": 1.0})
    bodies = [text(on_doubt="hold") for _ in range(5)]
    messages = world.post_all(bodies)
    world.all_come_to(messages, "in_doubt")
    time.sleep(1.5)  # longer than a doubt rests that is sent again
    assert set(world.states(messages)) == {"in_doubt"}
    assert [len(world.asked(to=body["to"]["phone"])) for body in bodies] == [1] * 5


def test_two_references_for_one_call_are_listed_as_two_messages(world: World) -> None:
    """A vendor that took one call twice betrays it by a receipt under another reference."""
    once, twice = world.post_all([text(), text()])
    world.all_come_to([once, twice], "sent")
    for message, ref in ((once, world.message(once)["attempts"][0]["ref"]), (twice, "SM" + "7" * 32)):
        attempt = world.message(message)["attempts"][0]["id"]
        assert ask(world.house.port, *receipt(world, attempt, "delivered", ref=ref), key=None).status == 204
    world.all_come_to([once, twice], "delivered")
    assert listed(world) & {once, twice} == {twice}


def test_a_pair_that_is_throttled_waits_alone(world: World) -> None:
    """Too fast towards one number (Twilio's 14107): nobody else waits, and the account is well."""
    slow, quick = text("+14157770000"), [text() for _ in range(10)]
    pair = {"do": "status", "status": 429, "code": 14107, "retry_after": "4", "match": {"to_prefix": "+1415777"}, "count": 1}
    world.oracle.faults([pair], {})
    message = world.post(slow)
    wait_until(lambda: len(world.asked(to="+14157770000")) == 1, 10, "it is turned away")
    others = world.post_all(quick)
    world.all_come_to(others, "delivered")
    assert world.provider("main")["breaker"] == "closed"
    world.comes_to(message, "delivered")
    first, second = (row["seq"] for row in world.asked(to="+14157770000"))
    assert first < min(row["seq"] for body in quick for row in world.asked(to=body["to"]["phone"]))
    assert second > max(row["seq"] for body in quick for row in world.asked(to=body["to"]["phone"]))
