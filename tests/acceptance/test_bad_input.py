"""What callers send by mistake or on purpose: refused with every fault named, or taken and kept to the letter.

Never a 5xx, never half of it, never something else than was said. One house serves the whole file.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
import re
import socket
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest

from .harness import ADMIN_KEY, House, Oracle, wait_until
from .raw_http import Answer, ask, exchange, parsed
from .world import FAST, World, sandbox_account, text, twilio_account

pytestmark = pytest.mark.slow

MEGABYTE = 1 << 20
POST = "/v1/notifications"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("bad-input")
    oracle = Oracle(folder, receipts=False)
    house = House(folder, twilio_account(oracle.url, "main") + sandbox_account(oracle.url, "box", ["email"]), FAST)
    house.start()
    made = World(folder, house, oracle)
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def unharmed(world: World) -> Iterator[None]:
    """Whatever was sent: the process lives, and has logged no failure of its own."""
    before = len(world.house.output())
    yield
    assert ask(world.house.port, "GET", "/healthz", key=None).status == 200
    said = world.house.output()[before:]
    assert "request_failed" not in said
    assert "Traceback" not in said


def post(world: World, body: bytes | object, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(world.house.port, "POST", POST, body, named)


def email(address: str) -> dict[str, Any]:
    return {"to": {"email": address}, "content": {"title": "t", "body": "b"}}


# Idempotency keys


def test_one_key_a_hundred_times_at_once_is_one_notification(world: World) -> None:
    body = text()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: post(world, body, Idempotency_Key="a hundred times"), range(100)))
    taken = [answer for answer in answers if answer.status == 202]
    assert {answer.status for answer in answers} <= {202, 409}
    assert len({answer.body for answer in taken}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in taken) == 1
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status == 409)
    world.comes_to(f"msg_{taken[0].json()['id'][4:]}00", "sent")
    assert world.taken(body) == 1


def test_a_retry_after_a_lost_answer_finds_what_the_first_made(world: World) -> None:
    body = text()
    raw = json.dumps(body).encode()
    head = f"POST {POST} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\nContent-Type: application/json\r\n"
    request = f"{head}Idempotency-Key: lost\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw
    with socket.create_connection(("127.0.0.1", world.house.port)) as sock:
        sock.sendall(request)  # and hangs up without listening
    again = wait_until(lambda: (a := post(world, body, Idempotency_Key="lost")).status == 202 and a, 5, "it is answered")
    found = world.house.api("GET", "/v1/notifications?idempotency_key=lost")[1]["data"]
    assert [row["id"] for row in found] == [again.json()["id"]]
    wait_until(lambda: world.taken(body) == 1, 5, "it is sent")


def test_a_key_stands_for_one_meaning_of_one_tenant(world: World) -> None:
    body = text()
    first = post(world, body, Idempotency_Key="meaning")
    # the same request in other letters is the same request
    other_spelling = json.dumps(body, indent=4, sort_keys=True).encode()
    assert post(world, other_spelling, Idempotency_Key='"meaning"').body == first.body
    other = post(world, text(), Idempotency_Key="meaning")
    assert (other.status, other.code) == (422, "idempotency_mismatch")
    elsewhere = post(world, text(), Idempotency_Key="meaning", Sendwright_Tenant="elsewhere")
    assert elsewhere.status == 202
    assert elsewhere.json()["id"] != first.json()["id"]
    assert "idempotency-replayed" not in elsewhere.headers


@pytest.mark.parametrize(
    ("key", "status"),
    [
        ("k", 202),
        ("k" * 255, 202),
        ('"' + "q" * 255 + '"', 202),
        ("with spaces, and: punctuation!", 202),
        ("k" * 256, 422),
        ("k" * 1000, 422),
        ('""', 422),
        (" ", 422),
        ("tab\tinside", 422),
        ("ümlaut", 422),
        ("\x7f", 422),
        ("\x1b[31m", 422),
    ],
)
def test_keys_have_one_to_255_printable_characters(world: World, key: str, status: int) -> None:
    answer = post(world, text(), Idempotency_Key=key)
    if answer.status == 400 and not key.isprintable():
        assert answer.code == "not_http"  # no control characters in a header at all
        return
    assert answer.status == status, answer.body
    if status == 422:
        assert answer.faults() == {"Idempotency-Key": "invalid_idempotency_key"}


def test_a_key_in_header_and_body_must_agree(world: World) -> None:
    answer = post(world, {**text(), "idempotency_key": "one"}, Idempotency_Key="two")
    assert (answer.status, answer.faults()) == (422, {"Idempotency-Key": "conflict"})
    assert post(world, {**text(), "idempotency_key": ""}).status == 422
    assert post(world, {**text(), "idempotency_key": "k" * 256}).status == 422
    assert post(world, {**text(), "idempotency_key": "line\nbreak"}).status == 422


# Sizes


@pytest.mark.parametrize(("count", "status"), [(0, 422), (1, 202), (1000, 202), (1001, 422)])
def test_a_notification_has_one_to_a_thousand_recipients(world: World, count: int, status: int) -> None:
    to = [email(f"r{n}@example.com")["to"] for n in range(count)]
    answer = post(world, {"to": to, "content": {"body": "b"}, "send_at": soon(3600)})
    assert answer.status == status
    if status == 202:
        assert answer.json()["message_count"] == count
        notification = answer.json()["id"]
        wait_until(lambda: _counts(world, notification) == {"scheduled": count}, 10, "all are planned")
        assert len(world.house.pages(f"/v1/messages?notification={notification}")) == count
        assert world.house.api("POST", f"{POST}/{notification}/cancel")[1]["cancelled"] == count
    else:
        assert set(answer.faults()) == {"#/to"}


def _counts(world: World, notification: str) -> Any:
    return world.house.api("GET", f"{POST}/{notification}")[1]["counts"]


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_the_same_recipient_many_times_is_one_message(world: World) -> None:
    same = {"id": "ann", "email": "ann@example.com"}
    spelled = [{"phone": "+1 (415) 555-0177"}, {"phone": "+14155550177"}]
    answer = post(world, {"to": [same] * 500 + spelled * 10, "content": {"body": "once"}})
    assert (answer.status, answer.json()["message_count"]) == (202, 2)
    wait_until(lambda: len(world.asked(body="once")) >= 2, 5, "both are sent")
    assert Counter(row["to"] for row in world.asked(body="once")) == {"ann@example.com": 1, "+14155550177": 1}


@pytest.mark.parametrize(("size", "status"), [(MEGABYTE - 1, 202), (MEGABYTE, 202), (MEGABYTE + 1, 413)])
def test_a_body_has_at_most_a_megabyte(world: World, size: int, status: int) -> None:
    raw = json.dumps({**email("big@example.com"), "send_at": soon(3600)}).encode()
    assert post(world, raw + b" " * (size - len(raw))).status == status


def test_a_body_that_is_far_too_large_is_refused_before_it_has_come(world: World) -> None:
    memory = psutil.Process(world.house.process.child.pid)  # type: ignore[union-attr]
    before = memory.memory_info().rss
    head = f"POST {POST} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\nContent-Type: application/json\r\n"
    declared = parsed(exchange(world.house.port, f"{head}Content-Length: 52428800\r\nConnection: close\r\n\r\n{{".encode(), 10))
    assert (declared.status, declared.code) == (413, "too_large")
    chunk = b"100000\r\n" + b" " * MEGABYTE + b"\r\n"
    endless = parsed(exchange(world.house.port, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 8, 10))
    assert (endless.status, endless.code) == (413, "too_large")
    assert memory.memory_info().rss - before < 30 * MEGABYTE


def test_a_batch_holds_a_thousand_notifications_and_ten_thousand_messages(world: World) -> None:
    later = {"send_at": soon(3600)}
    full = ask(world.house.port, "POST", f"{POST}/batch", {"notifications": [{**text(), **later} for _ in range(1000)]})
    assert full.status == 202
    assert len({result["id"] for result in full.json()["results"]}) == 1000
    assert ask(world.house.port, "POST", f"{POST}/batch", {"notifications": [text()] * 1001}).faults() == {
        "#/notifications": "too_many"
    }
    assert ask(world.house.port, "POST", f"{POST}/batch", {"notifications": []}).status == 422
    many = {"to": [email(f"m{n}@example.com")["to"] for n in range(1000)], "content": {"body": "b"}, **later}
    eleven = ask(world.house.port, "POST", f"{POST}/batch", {"notifications": [many] * 11})
    assert (eleven.status, eleven.faults()) == (422, {"#/notifications": "too_many"})


def test_each_of_a_batch_is_judged_alone_and_in_order(world: World) -> None:
    items = [text(), {"to": {}, "content": {"body": "b"}}, "no object", {**text(), "idempotency_key": "of a batch"}, None]
    items.append({**text(), "idempotency_key": "of a batch"})
    answer = ask(world.house.port, "POST", f"{POST}/batch", {"notifications": items})
    results = answer.json()["results"]
    assert answer.status == 202
    assert ["problem" in result for result in results] == [False, True, True, False, True, True]
    assert results[5]["problem"]["code"] in {"idempotency_mismatch", "in_progress"}
    refused = ask(world.house.port, "POST", f"{POST}/batch", {"notifications": [text()]}, {"Idempotency-Key": "x"})
    assert refused.faults() == {"Idempotency-Key": "not_supported"}


# Framing


def _framed(world: World, lines: str, body: bytes) -> Answer | None:
    head = f"POST {POST} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\nContent-Type: application/json\r\n"
    raw = exchange(world.house.port, f"{head}{lines}\r\n".encode() + body, 5)
    return parsed(raw) if raw else None


def test_a_content_length_that_lies_creates_nothing(world: World) -> None:
    body = text()
    raw = json.dumps(body).encode()
    # shorter than what comes: half of it is no JSON, and the rest is no request
    short = _framed(world, f"Content-Length: {len(raw) // 2}\r\nConnection: close\r\n", raw)
    assert short is not None
    assert short.status == 400
    # longer than what comes, then the end
    with socket.create_connection(("127.0.0.1", world.house.port)) as sock:
        head = f"POST {POST} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\nContent-Type: application/json\r\n"
        sock.sendall(f"{head}Content-Length: {len(raw) + 1}\r\n\r\n".encode() + raw)
    for lines in ("Content-Length: -1", "Content-Length: abc", f"Content-Length: {len(raw)}\r\nContent-Length: {len(raw) + 1}"):
        answer = _framed(world, f"{lines}\r\nConnection: close\r\n", raw)
        assert answer is None or 400 <= answer.status < 500, lines
    both = _framed(world, f"Content-Length: {len(raw)}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n", raw)
    assert both is None or 400 <= both.status < 500
    time.sleep(0.3)
    assert world.taken(body) == 0


def test_a_head_without_an_end_is_cut_off_before_it_fills_the_memory(world: World) -> None:
    memory = psutil.Process(world.house.process.child.pid)  # type: ignore[union-attr]
    before = memory.memory_info().rss
    for shape in (b"X: y\r\n" * 20_000, b"y" * 100_000):
        with socket.create_connection(("127.0.0.1", world.house.port), 10) as sock:
            with contextlib.suppress(OSError):
                sock.sendall(b"GET / HTTP/1.1\r\nX: ")
                for _ in range(500):
                    sock.sendall(shape)
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(12) in {b"HTTP/1.1 431", b""}
    assert memory.memory_info().rss - before < 30 * MEGABYTE


PIPELINED = ["POST", "GET", "POST", "bad POST", "POST", "unknown"]


def test_what_is_asked_in_one_breath_is_answered_in_its_order(world: World) -> None:
    """The short way of the one hot call must not overtake, or be overtaken."""
    bodies = [text() for _ in PIPELINED]
    head = f"Host: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n"
    said = b""
    for kind, body in zip(PIPELINED, bodies, strict=True):
        raw = json.dumps(body if kind == "POST" else {}).encode()
        if "POST" in kind:
            said += (
                f"POST {POST} HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw
            )
        else:
            said += f"GET /{'healthz' if kind == 'GET' else 'nope'} HTTP/1.1\r\n{head}\r\n".encode()
    last = f"GET /healthz HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", world.house.port), 10) as sock:
        sock.sendall(said + last)
        heard = b"".join(iter(lambda: sock.recv(65_536), b""))
    statuses = [int(status) for status in re.findall(rb"HTTP/1.1 (\d{3}) ", heard)]
    assert statuses == [202, 200, 202, 422, 202, 404, 200]
    posted = [body for kind, body in zip(PIPELINED, bodies, strict=True) if kind == "POST"]
    wait_until(lambda: [world.taken(body) for body in posted] == [1, 1, 1], 5, "each is sent once")


def test_a_chunked_body_is_as_good_as_another(world: World) -> None:
    body = text()
    raw = json.dumps(body).encode()
    chunks = b"".join(b"%x\r\n%c\r\n" % (1, byte) for byte in raw) + b"0\r\n\r\n"
    answer = _framed(world, "Transfer-Encoding: chunked\r\nConnection: close\r\n", chunks)
    assert answer is not None
    assert answer.status == 202
    wait_until(lambda: world.taken(body) == 1, 5, "it is sent")


def test_bodies_that_come_slowly_hinder_nobody(world: World) -> None:
    head = f"POST {POST} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\nContent-Type: application/json\r\n"
    slow = [socket.create_connection(("127.0.0.1", world.house.port)) for _ in range(100)]
    try:
        for sock in slow:
            sock.sendall(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
        body = text()
        assert post(world, body).status == 202
        wait_until(lambda: world.taken(body) == 1, 5, "others are served")
    finally:
        for sock in slow:
            sock.close()


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 202),
        ("application/json; charset=utf-8", 202),
        ("Application/JSON;charset=UTF-8", 202),
        ("", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json; charset=utf-16", 415),
        ("application/json, text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
    ],
)
def test_only_json_in_utf_8_is_read(world: World, kind: str, status: int) -> None:
    assert post(world, text(), Content_Type=kind).status == status


def test_a_compressed_body_is_not_unpacked(world: World) -> None:
    answer = post(world, b"\x1f\x8b" + b"\0" * 100, Content_Encoding="gzip")
    assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")


# JSON


def nested(depth: int) -> bytes:
    return b'{"to":{"id":"x"},"content":{"body":"b"},"metadata":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


SLOPPY = {
    "empty": b"",
    "spaces": b"   ",
    "half": b'{"to": {"phone": "+14155550100"',
    "two documents": b"{}{}",
    "bom": b"\xef\xbb\xbf" + json.dumps(text()).encode(),
    "utf-16": json.dumps(text()).encode("utf-16"),
    "latin-1": b'{"to":{"phone":"+14155550100"},"content":{"body":"\xe9"}}',
    "overlong utf-8": b'{"to":{"phone":"+14155550100"},"content":{"body":"\xc0\x80"}}',
    "surrogate in utf-8": b'{"to":{"phone":"+14155550100"},"content":{"body":"\xed\xa0\x80"}}',
    "lone surrogate": b'{"to":{"phone":"+14155550100"},"content":{"body":"\\ud800"}}',
    "swapped surrogates": b'{"to":{"phone":"+14155550100"},"content":{"body":"\\udc00\\ud800"}}',
    "lone surrogate in a name": b'{"to":{"phone":"+14155550100"},"content":{"body":"b"},"metadata":{"\\udfff":"x"}}',
    "nan": b'{"to":{"phone":"+14155550100"},"content":{"body":NaN}}',
    "infinity": b'{"to":{"phone":"+14155550100"},"content":{"body":-Infinity}}',
    "comment": b'{"to":{"phone":"+14155550100"}, /* hello */ "content":{"body":"b"}}',
    "single quotes": b"{'to':{'phone':'+14155550100'},'content':{'body':'b'}}",
    "trailing comma": b'{"to":{"phone":"+14155550100"},"content":{"body":"b"},}',
    "control character": b'{"to":{"phone":"+14155550100"},"content":{"body":"a\nb"}}',
    "depth 65": nested(65),
    "depth 100,000": nested(100_000),
    "only brackets": b"[" * 500_000,
    "same member twice": b'{"to":{"phone":"+14155550100"},"content":{"body":"a","body":"b"}}',
    "same member twice, escaped": b'{"to":{"phone":"+14155550100"},"content":{"body":"a","b\\u006fdy":"b"}}',
    "same member twice, at the top": b'{"to":{"phone":"+14155550100"},"to":{"phone":"+14155550101"},"content":{"body":"a"}}',
}


@pytest.mark.parametrize("name", SLOPPY)
def test_what_two_readers_could_read_in_two_ways_is_400(world: World, name: str) -> None:
    answer = post(world, SLOPPY[name] or b"", Content_Type="application/json")
    assert answer.status == 400, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.code in {"invalid_json", "too_deep", "duplicate_key"}


def test_nobody_was_sent_any_of_that(world: World) -> None:
    assert post(world, json.dumps(text("+14155550190")).encode(), Content_Type="application/json").status == 202
    wait_until(lambda: world.asked(to="+14155550190") != [], 20, "what came after it is sent")
    assert world.asked(to="+14155550100") == world.asked(to="+14155550101") == []


SHAPES: dict[str, tuple[object, dict[str, str]]] = {
    "no object": ([], {"#": "invalid_type"}),
    "null": (None, {"#": "invalid_type"}),
    "number": (1e308, {"#": "invalid_type"}),
    "nothing": ({}, {"#/to": "required", "#/content": "required"}),
    "depth 64 is read": (json.loads(nested(64)), {"#/metadata": "invalid_type"}),
    "unknown fields, all of them": (
        {**text(), "__proto__": {}, "tenant_id": "x", "cost": "0", "state": "sent"},
        {"#/__proto__": "unknown_field", "#/tenant_id": "unknown_field", "#/cost": "unknown_field", "#/state": "unknown_field"},
    ),
    "every fault at once": (
        {
            "to": {"phone": "x", "email": "y", "locale": "?", "timezone": "Mars/Base"},
            "content": {"url": "javascript:1"},
            "priority": 3,
        },
        {
            "#/to/phone": "invalid_phone",
            "#/to/email": "invalid_email",
            "#/to/locale": "invalid_locale",
            "#/to/timezone": "invalid_zone",
            "#/content": "empty",
            "#/content/url": "link_scheme",
            "#/priority": "unknown_priority",
        },
    ),
    "a pointer with odd names": ({**text(), "a/b~c é": 1}, {"#/a~1b~0c%20%C3%A9": "unknown_field"}),
    "a huge number": ({**text(), "ttl": 10**400}, {"#/ttl": "invalid_type"}),
    "NUL": ({**text(), "content": {"body": "a\0b"}}, {"#/content/body": "invalid_character"}),
    "NUL in a name": ({**text(), "metadata": {"a\0": "b"}}, {"#/metadata": "invalid_character"}),
    "metadata": ({**text(), "metadata": {str(n): "x" for n in range(51)}}, {"#/metadata": "too_many"}),
    "metadata's value": ({**text(), "metadata": {"a": 1}}, {"#/metadata/a": "invalid_type"}),
    "an unknown channel": ({**text(), "channels": ["carrier-pigeon"]}, {"#/channels/0": "unknown_channel"}),
    "a channel without a provider": ({**text(), "channels": ["telegram"]}, {"#/channels/0": "no_provider"}),
    "no default channel": ({"to": {"telegram": "1"}, "content": {"body": "b"}}, {"#/to": "no_provider"}),
    "a priority": ({**text(), "priority": "now"}, {"#/priority": "unknown_priority"}),
    "past": ({**text(), "expires_at": "2020-01-01T00:00:00Z"}, {"#/expires_at": "expired"}),
    "before it is sent": (
        {**text(), "send_at": "2099-01-01T00:00:00Z", "expires_at": "2098-01-01T00:00:00Z"},
        {"#/send_at": "too_far", "#/expires_at": "expires_before_sent"},
    ),
    "no such day": ({**text(), "send_at": "2027-02-29T00:00:00Z"}, {"#/send_at": "invalid_time"}),
    "no zone": ({**text(), "send_at": "2027-02-28T00:00:00"}, {"#/send_at": "invalid_time"}),
    "ttl 0": ({**text(), "ttl": "0s"}, {"#/ttl": "invalid_duration"}),
    "ttl -1": ({**text(), "ttl": "-1s"}, {"#/ttl": "invalid_duration"}),
    "both": ({**text(), "ttl": "1m", "expires_at": "2098-01-01T00:00:00Z"}, {"#/ttl": "conflict"}),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_fault_is_named_with_its_place(world: World, name: str) -> None:
    body, faults = SHAPES[name]
    answer = post(world, json.dumps(body).encode())
    assert (answer.status, answer.faults()) == (422, faults)


# Text


TEXTS = {
    "zalgo": "".join(f"{letter}{chr(0x300 + n % 0x70) * 40}" for n, letter in enumerate("He comes to the wall")),
    "family": "👨‍👩‍👧‍👦 🏳️‍🌈 👩🏽‍🚀",
    "right to left": "\u202emoc.elpmaxe\u202c שלום עולם مرحبا",
    "composed and not": "é " + unicodedata.normalize("NFD", "é") + " ﬁ ①",
    "separators": "a\u2028b\u2029c\u0085d\u00a0e\u200bf\ufefff",
    "line breaks": "a\r\nb\nc\rd\te",
    "astral": "𝕳𝖊𝖑𝖑𝖔 \U0010ffff",
    "controls": "bell \x07 escape \x1b[31m delete \x7f",
    "template": "{{ 7*7 }} {% for x in y %} ${HOME} %s %(x)s {0}",
    "markup": "<b>&amp;</b> <script>alert(1)</script>",
    "sql": "Robert'); DROP TABLE messages;-- \\' \" ` $$",
    "one": "x",
    "spaces": "  kept  ",
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_arrives_letter_for_letter(world: World, name: str) -> None:
    said = TEXTS[name]
    body = {**text(), "content": {"body": said}, "metadata": {"note": said}}
    answer = post(world, body)
    assert answer.status == 202, answer.body
    wait_until(lambda: world.taken(body) == 1, 5, "it is sent")
    (asked,) = world.asked(to=body["to"]["phone"])
    assert asked["body"] == said
    assert world.house.api("GET", f"{POST}/{answer.json()['id']}")[1]["metadata"] == {"note": said}


def test_any_text_at_all_comes_back_as_it_was_said(world: World) -> None:
    rng = random.Random(4711)
    for _ in range(30):
        letters = [rng.choice([rng.randrange(1, 0xD800), rng.randrange(0xE000, 0x110000)]) for _ in range(rng.randrange(1, 400))]
        said = "".join(map(chr, letters)).strip("\0")
        body = {**text(), "content": {"body": said}}
        assert post(world, json.dumps(body, ensure_ascii=rng.random() < 0.5).encode()).status == 202
        wait_until(lambda to=body["to"]["phone"]: world.asked(to=to), 5, "it is sent", every_s=0.01)
        assert world.asked(to=body["to"]["phone"])[0]["body"] == said


# Addresses


PHONES = {
    "+14155550142": "+14155550142",
    "+1 415 555 0143": "+14155550143",
    "+1 (415) 555-0144": "+14155550144",
    "+1.415.555.0145": "+14155550145",
    "+49 1512 3456789": "+4915123456789",
    "4155550142": None,
    "0049 1512 3456789": None,
    "+1415555014": None,
    "+141555501422": None,
    "+0123456789": None,
    "+999123456789": None,
    "+1415555014x": None,
    "+1 415 555 0142 ext. 5": None,
    "+14155550142;ext=5": None,
    "tel:+14155550142": None,
    "+1415555０142": None,
    "+١٤١٥٥٥٥٠١٤٢": None,
    "+14155550142\r\nX: y": None,
    "+14155550142,+14155550143": None,
    "72345": None,
    "+": None,
    "": None,
    "++14155550142": None,
    "+1415555014200000": None,
    " +14155550142": None,
    "whatsapp:+14155550142": None,
}


@pytest.mark.parametrize("written", PHONES)
def test_a_phone_number_is_e164_or_refused(world: World, written: str) -> None:
    marker = f"to {written!r}"
    answer = post(world, {"to": {"phone": written}, "content": {"body": marker}})
    meant = PHONES[written]
    if meant is None:
        assert answer.status == 422
        assert answer.faults()["#/to/phone"] == "invalid_phone"
    else:
        assert answer.status == 202
        wait_until(lambda: world.asked(body=marker), 5, "it is sent")
        assert [row["to"] for row in world.asked(body=marker)] == [meant]


EMAILS = {
    "ann@example.com": True,
    "a.b+tag@example.co.uk": True,
    "o'brien@example.com": True,
    "x@xn--bcher-kva.example": True,
    "jörg@bücher.example": True,
    "用户@例子.公司": True,
    "a" * 64 + "@example.com": True,
    "a" * 65 + "@example.com": False,
    "a@" + "b" * 63 + "." + "c" * 63 + "." + "d" * 63 + "." + "e" * 61 + ".com": False,
    "a@b": False,
    "@example.com": False,
    "ann@": False,
    "ann": False,
    "ann@example.com.": False,
    "ann@.example.com": False,
    "ann@exa..mple.com": False,
    ".ann@example.com": False,
    "ann.@example.com": False,
    "a..b@example.com": False,
    '"quoted local"@example.com': False,
    "ann(comment)@example.com": False,
    "ann@[127.0.0.1]": False,
    "ann@127.0.0.1": False,
    "ann@-example.com": False,
    "Ann <ann@example.com>": False,
    "ann@example.com,bob@example.com": False,
    "ann@example.com;bob@example.com": False,
    "ann@example.com bob@example.com": False,
    "ann@example.com\r\nBcc: bob@example.com": False,
    "ann@example.com\n": False,
    "ann\0@example.com": False,
    "ann@exam\u200bple.com": False,
    "ann@exam ple.com": False,
    "%0d%0aBcc:x@example.com": False,
    " ann@example.com": False,
}


@pytest.mark.parametrize("written", EMAILS)
def test_an_email_address_is_one_address_or_refused(world: World, written: str) -> None:
    answer = post(world, email(written))
    if EMAILS[written]:
        assert answer.status == 202
        wait_until(lambda: world.asked(to=written), 5, "it is sent")
    else:
        assert answer.status == 422
        assert answer.faults()["#/to/email"] in {"invalid_email", "invalid_character", "too_long"}


HEADERS = ["Acme\r\nBcc: eve@example.com", "Acme\nX", "Acme\rX", "Acme\0", "\r\n.\r\n"]


@pytest.mark.parametrize("value", HEADERS)
def test_nothing_that_becomes_a_header_may_break_a_line(world: World, value: str) -> None:
    sender = post(world, {**text(), "content": {"body": "b", "sms": {"from": value}}})
    title = post(world, {**email("ann@example.com"), "content": {"title": value, "body": "b"}})
    name = post(world, {**text(), "content": {"body": "b", "media": [{"url": "https://example.com/a", "filename": value}]}})
    assert sender.faults() == {"#/content/sms/from": "header_injection"}
    assert title.faults() == {"#/content/title": "header_injection"}
    assert name.faults() == {"#/content/media/0/filename": "header_injection"}


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//example.com",
        "https://",
        "https://exa mple.com",
        "https://example.com/\r\nX: y",
        " https://example.com",
        "\x01javascript:alert(1)",
        "java\tscript:alert(1)",
    ],
)
def test_a_link_has_a_scheme_that_is_allowed(world: World, link: str) -> None:
    for body in (
        {**text(), "content": {"body": "b", "url": link}},
        {**text(), "content": {"body": "b", "actions": [{"id": "a", "label": "l", "url": link}]}},
    ):
        answer = post(world, body)
        assert answer.status == 422
        assert set(answer.faults().values()) <= {"link_scheme", "invalid_url", "invalid_character"}


# Ids, lists, cursors


@pytest.mark.parametrize(
    "wrong",
    [
        "x", "-1", "0", "ntf_", "ntf_" + "0" * 32, "NTF_" + "0" * 32, "msg_" + "0" * 34, "550e8400-e29b-11d4-a716-446655440000",
        "..%2f..%2fetc%2fpasswd", "%00", "1%20or%201=1", "$ne", "%E2%80%AE", "a" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_id_is_404_without_an_oracle(world: World, wrong: str) -> None:
    for path in (f"{POST}/{wrong}", f"/v1/messages/{wrong}"):
        answer = ask(world.house.port, "GET", path)
        assert (answer.status, answer.code) == (404, "not_found"), path
    for path in (f"{POST}/{wrong}/cancel", f"/v1/messages/{wrong}/cancel", f"/v1/messages/{wrong}/resend"):
        assert ask(world.house.port, "POST", path).status == 404, path


def test_a_cursor_is_good_for_its_list_and_its_tenant_alone(world: World) -> None:
    for _ in range(3):
        post(world, text())
        post(world, text(), Sendwright_Tenant="neighbour")
    page = ask(world.house.port, "GET", "/v1/notifications?limit=1").json()
    cursor = page["next_cursor"]
    assert ask(world.house.port, "GET", f"/v1/notifications?limit=1&cursor={cursor}").status == 200
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    tampered = []
    for at in range(len(raw)):
        raw[at] ^= 1
        tampered.append(base64.urlsafe_b64encode(raw).rstrip(b"=").decode())
        raw[at] ^= 1
    tampered += ["x", "%00", "AAAA", cursor[:-2], cursor + "AA", cursor * 2, "..%2f", "%C3%A9"]
    for wrong in tampered:
        answer = ask(world.house.port, "GET", f"/v1/notifications?limit=1&cursor={wrong}")
        assert (answer.status, answer.faults()) in [(422, {"cursor": "invalid_cursor"}), (422, {"cursor": "invalid_parameter"})], (
            wrong
        )
    moved = [
        ("/v1/messages", {}),
        ("/v1/dead", {}),
        ("/v1/notifications?state=sent", {}),
        ("/v1/notifications", {"Sendwright-Tenant": "neighbour"}),
    ]
    for path, headers in moved:
        joint = "&" if "?" in path else "?"
        assert ask(world.house.port, "GET", f"{path}{joint}cursor={cursor}", headers=headers).status == 422, path


@pytest.mark.parametrize("limit", ["0", "-1", "501", "1000000000", "99999999999999999999", "1.5", "1e2", "x", "", "%00", "0x10"])
def test_a_list_has_a_limit(world: World, limit: str) -> None:
    for path in ("/v1/notifications", "/v1/messages", "/v1/dead"):
        answer = ask(world.house.port, "GET", f"{path}?limit={limit}")
        assert (answer.status, answer.faults()) == (422, {"limit": "invalid_parameter"})


def test_pages_show_everything_once_while_more_is_added(world: World) -> None:
    tenant = {"Sendwright-Tenant": "pages"}
    ids = [post(world, text(), Sendwright_Tenant="pages").json()["id"] for _ in range(23)]
    wait_until(
        lambda: len(ask(world.house.port, "GET", "/v1/notifications?limit=500", headers=tenant).json()["data"]) == 23, 5, "planned"
    )
    seen: list[str] = []
    cursor = ""
    while True:
        page = ask(world.house.port, "GET", f"/v1/notifications?limit=5{cursor}", headers=tenant).json()
        seen += [row["id"] for row in page["data"]]
        post(world, text(), Sendwright_Tenant="pages")
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(seen) == sorted(ids)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("stat=sent", {"stat": "unknown_parameter"}),
        ("state=gone", {"state": "invalid_parameter"}),
        ("state=sent&state=sent", {"state": "duplicate"}),
        ("since=yesterday", {"since": "invalid_parameter"}),
        (
            "since=2026-13-01T00:00:00Z&until=x&nope=1",
            {"since": "invalid_parameter", "until": "invalid_parameter", "nope": "unknown_parameter"},
        ),
    ],
)
def test_a_mistyped_filter_is_no_filter(world: World, query: str, fault: dict[str, str]) -> None:
    answer = ask(world.house.port, "GET", f"/v1/notifications?{query}")
    assert (answer.status, answer.faults()) == (422, fault)


def test_so_many_parameters_are_refused(world: World) -> None:
    query = "&".join(f"a{n}=1" for n in range(1000))
    assert ask(world.house.port, "GET", f"/v1/messages?{query}").status == 422


def test_the_books_agree_after_all_of_this(world: World) -> None:
    def quiet() -> bool:
        return world.audit()["violations"] == [] and world.audit()["ok"]

    wait_until(quiet, 10, "the recount finds nothing")
