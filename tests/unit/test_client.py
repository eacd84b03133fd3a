"""The Python client: what it sends, reads and repeats. test_client_server.py has it call the real thing."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from sendwright.client import (
    ApiError,
    AsyncSendwright,
    BadSignature,
    NoAnswer,
    NotSettled,
    Refused,
    Sendwright,
    Taken,
    aio,
    calls,
    read_webhook,
    sync,
)
from sendwright.providers.signing import sign_webhook

KEY = "canary-key-that-no-repr-may-show"
TAKEN = {"id": "ntf_1", "state": "accepted", "message_count": 1}
BUSY = {"code": "limit", "detail": "Too many.", "title": "Too many"}

Answer = httpx2.Response | Exception


def reply(status: int = 200, body: object = None, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


class Other:
    """The other side: answers by a script, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.asked]

    @property
    def keys(self) -> list[str | None]:
        return [request.headers.get("idempotency-key") for request in self.asked]


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What it would have waited."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(sync.time, "sleep", found.append)
    monkeypatch.setattr(aio.asyncio, "sleep", sleep)
    return found


def client(other: Other, **more: Any) -> Sendwright:
    return Sendwright("http://sendwright.example/", KEY, transport=httpx2.MockTransport(other), **more)


def test_a_notification_is_posted_as_the_contract_says() -> None:
    other = Other(reply(202, TAKEN))
    with client(other, tenant="acme") as it:
        taken = it.send({"phone": "+15005550009"}, content={"body": "Hi"}, priority="critical", idempotency_key="key-1")
    assert taken == Taken(id="ntf_1", message_count=1)
    request = other.asked[0]
    assert (request.method, str(request.url)) == ("POST", "http://sendwright.example/v1/notifications")
    assert other.bodies == [{"to": {"phone": "+15005550009"}, "content": {"body": "Hi"}, "priority": "critical"}]
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["sendwright-tenant"] == "acme"
    assert request.headers["idempotency-key"] == "key-1"
    assert request.headers["content-type"] == "application/json"


def test_a_lost_answer_is_asked_for_again_under_the_same_key(slept: list[float]) -> None:
    other = Other(httpx2.ReadError("reset"), reply(503, BUSY), reply(202, TAKEN, idempotency_replayed="true"))
    with client(other) as it:
        taken = it.send("ada", content={"body": "Hi"})
    assert taken.replayed
    assert len(set(other.keys)) == 1
    assert other.keys[0]
    assert len(slept) == 2


def test_each_notification_of_its_own_has_another_key() -> None:
    other = Other(reply(202, TAKEN))
    with client(other) as it:
        it.send("ada", content={"body": "Hi"})
        it.send("ada", content={"body": "Hi"})
    assert len(set(other.keys)) == 2


def test_who_is_told_when_to_come_again_comes_then(slept: list[float]) -> None:
    other = Other(reply(429, BUSY, retry_after="7"), reply(202, TAKEN))
    with client(other) as it:
        it.send("ada", content={"body": "Hi"})
    assert slept == [7.0]


def test_who_is_told_to_come_in_an_hour_hears_of_it_at_once(slept: list[float]) -> None:
    other = Other(reply(429, BUSY, retry_after="3600"))
    with client(other) as it, pytest.raises(ApiError) as refusal:
        it.send("ada", content={"body": "Hi"})
    assert (refusal.value.status, refusal.value.retry_after_s, slept) == (429, 3600.0, [])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_will_not_change_is_not_repeated(status: int) -> None:
    other = Other(
        reply(status, {"code": "invalid_request", "detail": "Wrong.", "errors": [{"pointer": "#/to", "code": "required"}]})
    )
    with client(other) as it, pytest.raises(ApiError) as refusal:
        it.send("ada", content={"body": "canary"})
    assert len(other.asked) == 1
    assert (refusal.value.status, refusal.value.code) == (status, "invalid_request")
    assert [(fault.pointer, fault.code) for fault in refusal.value.errors] == [("#/to", "required")]
    assert "canary" not in str(refusal.value)


def test_it_gives_up_after_five_tries_and_says_whether_it_may_have_been_heard() -> None:
    nobody = Other(httpx2.ConnectError("refused"))
    with client(nobody) as it, pytest.raises(NoAnswer) as silence:
        it.send("ada", content={"body": "Hi"})
    assert (len(nobody.asked), silence.value.maybe) == (calls.TRIES, False)
    lost = Other(httpx2.ReadTimeout("slow"))
    with client(lost) as it, pytest.raises(NoAnswer) as silence:
        it.send("ada", content={"body": "Hi"})
    assert silence.value.maybe
    assert "sendwright.example" not in str(silence.value)


@pytest.mark.parametrize(
    "call", [lambda it: it.resend("msg_1"), lambda it: it.resolve("msg_1", "sent"), lambda it: it.replay(["msg_1"])]
)
def test_what_does_more_when_it_is_done_twice_is_never_repeated(call: Callable[[Sendwright], object]) -> None:
    lost = Other(httpx2.ReadError("reset"))
    with client(lost) as it, pytest.raises(NoAnswer):
        call(it)
    assert len(lost.asked) == 1


def test_an_answer_that_cannot_be_read_is_an_error_of_its_own() -> None:
    with client(Other(httpx2.Response(202, content=b"<html>"))) as it, pytest.raises(ApiError) as refusal:
        it.send("ada", content={"body": "Hi"})
    assert refusal.value.code == "unreadable"


def test_a_batch_is_answered_one_by_one_and_each_has_a_key() -> None:
    problem = {"status": 422, "code": "invalid_request", "detail": "Wrong.", "errors": []}
    other = Other(reply(202, {"results": [TAKEN, {"problem": problem}]}))
    with client(other) as it:
        first, second = it.send_batch([{"to": "ada", "idempotency_key": "mine"}, {"to": ""}])
    assert first == Taken(id="ntf_1", message_count=1)
    assert isinstance(second, Refused)
    assert (second.status, second.code) == (422, "invalid_request")
    keys = [item["idempotency_key"] for item in other.bodies[0]["notifications"]]
    assert keys[0] == "mine"
    assert keys[1]


def row(id_: str, state: str = "sent") -> dict[str, Any]:
    return {"id": id_, "notification": "ntf_1", "state": state, "something_new": 5}


def test_lists_go_on_to_the_last_page_by_themselves() -> None:
    other = Other(
        reply(200, {"data": [row("msg_1"), row("msg_2")], "next_cursor": "c1"}),
        reply(200, {"data": [row("msg_3")], "next_cursor": None}),
    )
    with client(other) as it:
        found = [message.id for message in it.messages(state="sent", doubled=True)]
    assert found == ["msg_1", "msg_2", "msg_3"]
    first, second = (dict(request.url.params) for request in other.asked)
    assert first == {"limit": "100", "state": "sent", "doubled": "true"}
    assert second == {**first, "cursor": "c1"}


def notification(*states: str) -> dict[str, Any]:
    counts = {state: states.count(state) for state in states}
    return {
        "id": "ntf_1",
        "state": states[0] if states else "accepted",
        "counts": counts,
        "messages": [row("msg_1", s) for s in states],
    }


@pytest.mark.parametrize(
    ("until", "seen", "looks"),
    [
        ("sent", [(), ("queued",), ("sending",), ("sent",)], 4),
        ("sent", [("sent", "queued"), ("sent", "failed")], 2),
        ("delivered", [("sent",), ("delivered",)], 2),
        ("delivered", [("sent", "failed"), ("read", "failed")], 2),
    ],
)
def test_waiting_ends_when_every_message_is_there(until: str, seen: list[tuple[str, ...]], looks: int) -> None:
    other = Other(*(reply(200, notification(*states)) for states in seen))
    with client(other) as it:
        assert it.wait("ntf_1", until=until).messages
    assert len(other.asked) == looks


def test_waiting_too_long_tells_how_it_stands() -> None:
    with client(Other(reply(200, notification("queued")))) as it, pytest.raises(NotSettled) as given_up:
        it.wait("ntf_1", timeout_s=0)
    assert given_up.value.notification.state == "queued"


def test_ids_cannot_leave_their_place_in_the_path() -> None:
    other = Other(reply(200, row("msg_1")))
    with client(other) as it:
        it.message("../keys?x=1")
    assert other.asked[0].url.raw_path == b"/v1/messages/..%2Fkeys%3Fx%3D1"


def frames(*numbers: int) -> httpx2.Response:
    text = "retry: 2000\n\n: still here\n\n" + "".join(f'id: {n}\nevent: message.sent\ndata: {{"n": {n}}}\n\n' for n in numbers)
    return httpx2.Response(200, text=text)


def test_a_stream_that_breaks_is_taken_up_where_it_was() -> None:
    other = Other(frames(1, 2), httpx2.ReadError("reset"), frames(3))
    with client(other) as it:
        events: Iterator[Any] = it.events(types=["message.sent"])
        found = [next(events) for _ in range(3)]
    assert [(event.id, event.type, event.body["n"]) for event in found] == [(str(n), "message.sent", n) for n in (1, 2, 3)]
    assert [request.headers.get("last-event-id") for request in other.asked] == [None, "2", "2"]
    assert dict(other.asked[0].url.params) == {"types": "message.sent"}


def test_a_stream_that_is_refused_says_why() -> None:
    with client(Other(reply(401, {"code": "unauthenticated", "detail": "Who?"}))) as it, pytest.raises(ApiError):
        next(iter(it.events()))


# The other client


def test_both_clients_can_do_the_same() -> None:
    def said(kind: type) -> dict[str, tuple[list[str], str | None]]:
        methods = {name: m for name, m in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
        return {
            name.removeprefix("a") if name == "aclose" else name: (list(inspect.signature(m).parameters), m.__doc__)
            for name, m in methods.items()
        }

    assert said(Sendwright) == said(AsyncSendwright)
    assert {"send", "suppress", "deliveries"} <= said(Sendwright).keys()


def test_the_asynchronous_one_repeats_pages_and_streams_too(slept: list[float]) -> None:
    other = Other(
        httpx2.ReadError("reset"),
        reply(202, TAKEN),
        reply(200, {"data": [row("msg_1")], "next_cursor": "c1"}),
        reply(200, {"data": [row("msg_2")], "next_cursor": None}),
        frames(1),
        frames(2),
    )

    async def run() -> tuple[Taken, list[str], list[str]]:
        async with AsyncSendwright("http://sendwright.example", KEY, transport=httpx2.MockTransport(other)) as it:
            taken = await it.send("ada", content={"body": "Hi"})
            found = [message.id async for message in it.messages()]
            seen: list[str] = []
            async for event in it.events():
                seen.append(event.id)
                if len(seen) == 2:
                    break
            return taken, found, seen

    taken, found, seen = asyncio.run(run())
    assert (taken.id, found, seen) == ("ntf_1", ["msg_1", "msg_2"], ["1", "2"])
    assert other.keys[0] == other.keys[1]
    assert slept


# Secrets and weight


def test_nothing_that_can_be_printed_holds_the_key_or_an_address() -> None:
    other = Other(reply(200, {**row("msg_1"), "address": "+15005550009"}))
    with client(other) as it:
        printed = repr(it) + repr(it.message("msg_1")) + repr(calls.send("+15005550009", None, {"content": {"body": "canary"}}))
    assert KEY not in printed
    assert "+1500" not in printed
    assert "canary" not in printed


def test_importing_the_client_loads_nothing_of_the_server() -> None:
    said = "import sys; import sendwright.client; print(*[m for m in sys.modules if m.startswith('sendwright')])"
    loaded = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True).stdout.split()
    others = {m for m in loaded if not m.startswith("sendwright.client")}
    assert others == {"sendwright", "sendwright.providers", "sendwright.providers.signing"}


# Webhooks

SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cw=="
EVENT = b'{"type":"message.delivered","timestamp":"2026-11-28T12:00:00Z","data":{"message":"msg_1"}}'


def signed(body: bytes = EVENT, at: int = 1000) -> dict[str, str]:
    signature = sign_webhook([b"secret-of-the-tests"], "evt_1", at, body)
    return {"Webhook-Id": "evt_1", "webhook-timestamp": str(at), "Webhook-Signature": signature}


def test_a_webhook_of_ours_is_read() -> None:
    event = read_webhook([f"whsec_{'YW5vdGhlci1zZWNyZXQ='}", SECRET], signed(), EVENT, now=1299)
    assert (event.id, event.type, event.data) == ("evt_1", "message.delivered", {"message": "msg_1"})


@pytest.mark.parametrize(
    ("headers", "body", "now"),
    [
        (signed(), EVENT + b" ", 1000.0),
        (signed(), EVENT, 1301.0),
        (signed(), EVENT, 699.0),
        ({}, EVENT, 1000.0),
        ({**signed(), "Webhook-Id": "evt_2"}, EVENT, 1000.0),
        (signed(b"[]"), b"[]", 1000.0),
    ],
    ids=["changed", "old", "of the future", "unsigned", "another id", "no event"],
)
def test_a_webhook_of_anybody_else_is_refused(headers: dict[str, str], body: bytes, now: float) -> None:
    with pytest.raises(BadSignature):
        read_webhook(SECRET, headers, body, now=now)


def test_a_secret_that_is_none_is_said_to_be_and_not_shown() -> None:
    with pytest.raises(ValueError, match="base64") as refusal:
        read_webhook("whsec_canary!", signed(), EVENT)
    assert "canary" not in str(refusal.value)
