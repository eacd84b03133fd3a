"""Receipts as vendors really send them: early, late, forty-six times, backwards, alone; and as forgers would like to.

Signatures are made by this file's own arithmetic, so that a mistake of the product can't hide in code that both use.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from .harness import House, Oracle, wait_until
from .raw_http import Answer, ask
from .world import FAST, World, account, sandbox_account, text, twilio_account

pytestmark = pytest.mark.slow

TOKEN_A, TOKEN_B = "token-of-a", "token-of-b"
SECRET = base64.b64encode(b"a secret of this test's own").decode()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two Twilio accounts, of which the first is used, and a sandbox account for emails; nothing is reported by itself."""
    folder = tmp_path_factory.mktemp("receipts")
    made = _world(folder)
    made.house.start()
    yield made
    made.stop()


def _world(folder: Path) -> World:
    oracle = Oracle(folder, receipts=False)
    accounts = twilio_account(oracle.url, "main", "a") + twilio_account(oracle.url, "other", "b")
    box = sandbox_account(oracle.url, "box", ["email"]) + f'secret = "whsec_{SECRET}"\n'
    return World(folder, House(folder, accounts + box, FAST), oracle)


@pytest.fixture(autouse=True)
def calm(world: World) -> None:
    """The oracle reports nothing unless a test tells it to."""
    world.oracle.faults([], {"sequence": []})


# What Twilio would post


def signature(token: str, url: str, fields: Iterable[tuple[str, str]]) -> str:
    said = url + "".join(name + value for name, value in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), said.encode(), hashlib.sha1).digest()).decode()


def callback(world: World, provider: str, attempt: str) -> str:
    return f"{world.house.url}/v1/hooks/{provider}?a={attempt}"


def form(ref: str, status: str, **more: str) -> dict[str, str]:
    return {"MessageSid": ref, "SmsSid": ref, "MessageStatus": status, "AccountSid": account("a"), "To": "+14155550000", **more}


def report(
    world: World, attempt: str, status: str, *, ref: str = "SM0", provider: str = "main", token: str = TOKEN_A, **more: str
) -> Answer:
    """A callback as Twilio signs it."""
    fields = form(ref, status, **more)
    url = callback(world, provider, attempt)
    return post(world, url, urlencode(fields).encode(), {"X-Twilio-Signature": signature(token, url, fields.items())})


def post(world: World, url: str, body: bytes, headers: dict[str, str]) -> Answer:
    path = url.removeprefix(world.house.url)
    named = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    return ask(world.house.port, "POST", path, body, named, key=None)


def sent(world: World, **more: Any) -> tuple[str, str, str]:
    """A message that a provider took and reported nothing of: its id, its attempt's, and the vendor's reference."""
    message = world.post(text(**more))
    attempt = world.comes_to(message, "sent")["attempts"][0]
    return message, attempt["id"], attempt["ref"]


def still(world: World, message: str, state: str) -> None:
    """What a receipt moves, it moves at once; a little patience shows that this one did not."""
    _, attempt, _ = marker = sent(world)
    assert report(world, attempt, "delivered").status == 204
    world.comes_to(marker[0], "delivered")  # receipts are taken in order: what came before this one has been judged
    assert world.state(message) == state


# Early, often, backwards, alone


@pytest.mark.parametrize(
    "plan",
    [
        {"early": True},
        {"duplicate": 46},
        {"out_of_order": True},
        {"sequence": ["sent", "delivered", "read"], "out_of_order": True, "duplicate": 3, "early": True},
        {"sequence": ["read"]},
        {"sequence": ["failed", "delivered"]},
        {"sequence": ["delivered", "failed"], "duplicate": 5},
    ],
    ids=["early", "46 times", "backwards", "all of it", "read alone", "taken back too early", "refuted too late"],
)
def test_however_receipts_come_the_best_that_was_reported_stays(world: World, plan: dict[str, Any]) -> None:
    world.oracle.faults([], plan)
    messages = world.post_all([text() for _ in range(10)])
    best = "read" if "read" in plan.get("sequence", ()) else "delivered"
    world.all_come_to(messages, best)
    wait_until(lambda: world.oracle.stats()["receipts"]["queued"] == 0, 10, "all receipts are posted")
    assert set(world.states(messages)) == {best}
    receipts = world.oracle.stats()["receipts"]
    assert "given_up" not in receipts
    for message in messages:
        events = [entry["event"] for entry in world.message(message)["timeline"]]
        assert len(events) == len(set(events)), events  # one change of state, one event, however often it was told
        calls = [attempt for attempt in world.message(message)["attempts"] if attempt["state"] != "failed"]
        assert len(calls) == 1  # one that is begun too late for its claim is not made, and is followed by another


def test_in_whichever_order_receipts_come_they_come_to_the_same_end(world: World) -> None:
    # given a message for each order in which four reports can arrive
    orders = list(itertools.permutations(["sent", "delivered", "read", "undelivered"]))
    orders += list(itertools.permutations(["queued", "sent", "delivered", "failed"]))
    orders += list(itertools.permutations(["queued", "sent", "failed"]))
    messages = world.post_all([text() for _ in orders])
    world.all_come_to(messages, "sent")

    def report_all(message: str, order: tuple[str, ...]) -> None:
        attempt = world.message(message)["attempts"][0]["id"]
        for status in order:
            assert report(world, attempt, status).status == 204

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(report_all, messages, orders))
    ends = ["read" if "read" in order else "delivered" if "delivered" in order else "failed" for order in orders]
    wait_until(lambda: world.states(messages) == ends, 10, "each comes to its end")


def test_a_receipt_alone_settles_a_message_whose_answer_was_lost(world: World) -> None:
    world.oracle.faults([{"do": "reset_after"}], {"sequence": []})
    message = world.post(text(on_doubt="hold"))
    attempt = world.comes_to(message, "in_doubt")["attempts"][0]["id"]
    assert report(world, attempt, "sent", ref="SM" + "5" * 32).status == 204
    row = world.comes_to(message, "sent")
    assert row["attempts"][0]["ref"] == "SM" + "5" * 32
    assert len(world.asked(reference=attempt)) == 1


def test_a_receipt_of_failure_moves_a_held_doubt_on_to_failure(world: World) -> None:
    world.oracle.faults([{"do": "reset_after"}], {"sequence": []})
    message = world.post(text(on_doubt="hold"))
    attempt = world.comes_to(message, "in_doubt")["attempts"][0]["id"]
    assert report(world, attempt, "undelivered", ErrorCode="30003").status == 204
    assert world.comes_to(message, "failed")["reason"]["code"] == "unreachable"


# Forged, flipped, foreign, stale


def test_a_receipt_that_is_not_the_vendors_moves_nothing(world: World) -> None:
    message, attempt, ref = sent(world)
    url, fields = callback(world, "main", attempt), form(ref, "delivered")
    body, good = urlencode(fields).encode(), signature(TOKEN_A, url, fields.items())
    _, other_attempt, _ = sent(world)
    forged = {
        "none": {},
        "empty": {"X-Twilio-Signature": ""},
        "another account's": {"X-Twilio-Signature": signature(TOKEN_B, url, fields.items())},
        "no token": {"X-Twilio-Signature": signature("", url, fields.items())},
        "of another address": {"X-Twilio-Signature": signature(TOKEN_A, callback(world, "main", other_attempt), fields.items())},
        "of the body alone": {"X-Twilio-Signature": signature(TOKEN_A, "", fields.items())},
        "truncated": {"X-Twilio-Signature": good[:-2]},
        "doubled": {"X-Twilio-Signature": f"{good}, {good}"},
        "other letters": {"X-Twilio-Signature": good.swapcase()},
        "not ascii": {"X-Twilio-Signature": good[:-1] + "é"},
        "another algorithm": {
            "X-Twilio-Signature": base64.b64encode(hmac.new(TOKEN_A.encode(), url.encode(), hashlib.sha256).digest()).decode()
        },
    }
    for name, headers in forged.items():
        answer = post(world, url, body, headers)
        assert (answer.status, answer.code) == (401, "unauthenticated"), name
    still(world, message, "sent")
    assert post(world, url, body, {"X-Twilio-Signature": good}).status == 204
    world.comes_to(message, "delivered")


def test_one_flipped_byte_anywhere_is_found_out(world: World) -> None:
    message, attempt, ref = sent(world)
    url, fields = callback(world, "main", attempt), form(ref, "delivered")
    body, good = urlencode(fields).encode(), signature(TOKEN_A, url, fields.items())
    answers = []
    for at in range(len(body)):
        flipped = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        answers.append(post(world, url, flipped, {"X-Twilio-Signature": good}).status)
    for at in range(len(good) - 1):
        flipped_signature = good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :]
        if base64.b64decode(flipped_signature) != base64.b64decode(good):
            answers.append(post(world, url, body, {"X-Twilio-Signature": flipped_signature}).status)
    for at in range(len(attempt)):
        moved = callback(world, "main", attempt[:at] + ("0" if attempt[at] != "0" else "1") + attempt[at + 1 :])
        answers.append(post(world, moved, body, {"X-Twilio-Signature": good}).status)
    assert set(answers) == {401}
    assert len(answers) > 150
    still(world, message, "sent")


def test_the_host_header_is_no_part_of_what_is_verified(world: World) -> None:
    message, attempt, ref = sent(world)
    url, fields = callback(world, "main", attempt), form(ref, "delivered")
    body = urlencode(fields).encode()
    foreign = url.replace(f"127.0.0.1:{world.house.port}", "attacker.example")
    headers = {"Host": "attacker.example", "X-Forwarded-Host": "attacker.example", "Forwarded": "host=attacker.example"}
    bad = post(world, url, body, headers | {"X-Twilio-Signature": signature(TOKEN_A, foreign, fields.items())})
    assert bad.status == 401
    still(world, message, "sent")
    good = post(world, url, body, headers | {"X-Twilio-Signature": signature(TOKEN_A, url, fields.items())})
    assert good.status == 204
    world.comes_to(message, "delivered")


def test_a_receipt_for_another_providers_attempt_moves_nothing(world: World) -> None:
    message, attempt, ref = sent(world)
    answer = report(world, attempt, "failed", ref=ref, provider="other", token=TOKEN_B)
    assert answer.status == 204  # it is truly the other account's; it is only nobody's news
    still(world, message, "sent")
    # and neither does the sandbox's, by reference or by name
    assert sandbox_report(world, {"id": ref, "reference": attempt, "state": "failed"}).status == 204
    still(world, message, "sent")


def test_an_unknown_reference_is_answered_like_a_known_one(world: World) -> None:
    before = world.audit()
    unknown = "att_" + "0" * 37
    answers = [report(world, unknown, "delivered"), report(world, "", "delivered", ref="SM" + "9" * 32)]
    answers += [
        report(world, "x" * 200, "failed"),
        report(world, "../../etc/passwd", "failed"),
        report(world, "'%20or%201=1%20--", "read"),
    ]
    assert [(answer.status, answer.body) for answer in answers] == [(204, b"")] * 5
    after = world.audit()
    assert (after["messages"], after["violations"]) == (before["messages"], [])


def test_words_that_a_receipt_can_not_mean_are_taken_and_ignored(world: World) -> None:
    message, attempt, _ = sent(world)
    for word in ("received", "receiving", "exploded", "", "DELIVERED", "delivered\x00"):
        assert report(world, attempt, word).status == 204
    still(world, message, "sent")


def test_callbacks_for_providers_that_do_not_exist_are_404(world: World) -> None:
    for name in ("nobody", "box2", "MAIN", "main%00", "..%2fmain"):
        assert ask(world.house.port, "POST", f"/v1/hooks/{name}", b"x=y", key=None).status == 404


# Standard Webhooks: signatures that know the time


def sandbox_report(
    world: World, said: dict[str, Any], *, at: float | None = None, secret: str = SECRET, id_: str = "evt_1", **headers: str
) -> Answer:
    body = json.dumps(said).encode()
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(base64.b64decode(secret), f"{id_}.{stamp}.".encode() + body, hashlib.sha256).digest()
    named = {
        "Content-Type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        **headers,
    }
    return ask(world.house.port, "POST", "/v1/hooks/box", body, named, key=None)


def email_sent(world: World) -> tuple[str, str]:
    message = world.post({"to": {"email": "somebody@example.com"}, "content": {"body": "b"}})
    return message, world.comes_to(message, "sent")["attempts"][0]["id"]


def test_a_stale_receipt_or_one_from_the_future_moves_nothing(world: World) -> None:
    message, attempt = email_sent(world)
    said = {"id": "sbx_1", "reference": attempt, "state": "delivered"}
    now = time.time()
    assert {sandbox_report(world, said, at=now + skew).status for skew in (-310, 310, -86_400, 86_400, -now)} == {401}
    assert {sandbox_report(world, said, **{"webhook-timestamp": odd}).status for odd in ("", "now", "1e9", "-1", "١")} == {401}
    assert world.state(message) == "sent"
    assert sandbox_report(world, said, at=now - 280).status == 204
    world.comes_to(message, "delivered")


def test_a_replay_within_its_time_changes_nothing_more(world: World) -> None:
    message, attempt = email_sent(world)
    said = {"id": "sbx_2", "reference": attempt, "state": "delivered"}
    at = time.time()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: sandbox_report(world, said, at=at).status, range(46)))
    assert answers == [204] * 46
    row = world.comes_to(message, "delivered")
    assert [entry["event"] for entry in row["timeline"]].count("message.delivered") == 1


def test_a_signature_of_another_secret_version_or_body_is_refused(world: World) -> None:
    message, attempt = email_sent(world)
    said = {"id": "sbx_3", "reference": attempt, "state": "delivered"}
    other = base64.b64encode(b"somebody else's").decode()
    good = sandbox_report(world, {"id": "sbx_3", "reference": attempt, "state": "sent"})
    assert good.status == 204
    answers = [
        sandbox_report(world, said, secret=other),
        sandbox_report(world, said, **{"webhook-signature": "v1a,AAAA"}),
        sandbox_report(world, said, **{"webhook-signature": "v1,"}),
        sandbox_report(world, said, **{"webhook-signature": "v1," + "é" * 44}),
        sandbox_report(world, said, **{"webhook-id": ""}),
        sandbox_report(world, said, **{"webhook-id": "evt_2"}),
    ]
    assert [answer.status for answer in answers] == [401] * 6
    assert world.state(message) == "sent"


# What receipts say ends on pages


EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'=cmd|' /C calc'!A0"


def test_what_a_bounce_says_comes_back_as_json_text_and_as_nothing_else(world: World) -> None:
    message, attempt, ref = sent(world)
    assert report(world, attempt, "undelivered", ref=ref, ErrorCode="30003", ErrorMessage=EVIL).status == 204
    world.comes_to(message, "failed")
    notification = "ntf_" + message[4:36]
    for path in (f"/v1/messages/{message}", f"/v1/notifications/{notification}", "/v1/messages?limit=5", "/v1/dead?limit=5"):
        answer = ask(world.house.port, "GET", path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert EVIL[:30] in ask(world.house.port, "GET", f"/v1/messages/{message}").json()["reason"]["detail"]


def test_content_and_addresses_show_as_text_on_the_sandboxs_page(world: World) -> None:
    body = text()
    body["content"]["body"] = EVIL
    world.comes_to(world.post(body), "sent")
    for path in ("/", "/fragment"):
        page = ask(world.oracle.port, "GET", path, key=None)
        shown = page.body.decode()
        assert "&lt;script&gt;alert(1)" in shown
        assert "<script>alert" not in shown
        assert "<img" not in shown
        assert "script-src 'self'" in page.headers["content-security-policy"]


# Death


def test_a_receipt_that_was_answered_survives_the_death_of_the_process(tmp_path: Path) -> None:
    world = _world(tmp_path)
    world.house.start()
    try:
        world.oracle.faults([], {"sequence": []})
        messages = world.post_all([text() for _ in range(20)])
        world.all_come_to(messages, "sent")
        attempts = [world.message(message)["attempts"][0]["id"] for message in messages]
        for attempt in attempts:
            assert report(world, attempt, "delivered").status == 204
        world.house.kill()
        world.house.start()
        world.all_come_to(messages, "delivered", within_s=10)
        assert world.audit()["violations"] == []
    finally:
        world.stop()


# Never


def test_what_is_never_reported_is_asked_about(tmp_path: Path) -> None:
    oracle = Oracle(tmp_path)
    oracle.faults([], {"drop_share": 1.0})
    house = House(tmp_path, twilio_account(oracle.url, "main", "a"), bent={"look_ms": 300})
    house.start()
    world = World(tmp_path, house, oracle)
    try:
        message = world.post(text())
        seen = world.comes_to(message, "delivered")
        assert [entry["event"] for entry in seen["timeline"]][-2:] == ["message.unconfirmed", "message.delivered"]
        assert len(seen["attempts"]) == 1
        assert oracle.stats()["taken"] == 1
    finally:
        world.stop()
