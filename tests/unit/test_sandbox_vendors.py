"""The chats as the sandbox plays them: what is taken and refused, in the vendor's words, and what is reported. No socket."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from sendwright.providers.contract import HttpRequest, Life
from sendwright.providers.contract import Reply as Answered
from sendwright.providers.registry import make
from sendwright.sandbox.asked import Asked
from sendwright.sandbox.desk import Desk
from sendwright.sandbox.faults import FaultSheet, Match, ReceiptPlan, Rule
from sendwright.sandbox.graph import Instagram, Messenger, WhatsappCloud
from sendwright.sandbox.log import Entry, MessageLog, Noted
from sendwright.sandbox.options import SandboxOptions
from sendwright.sandbox.wire import Reply, Request

WHATSAPP = "/whatsapp_cloud/v25.0/106540352242922/messages"
TELEGRAM = "/telegram/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
SLACK = "/slack/chat.postMessage"
HOOK = "/slack/services/T0000/B0000/abcdefgh"
TEXT = {"messaging_product": "whatsapp", "to": "+15005550009", "type": "text", "text": {"body": "Hello"}}
CALLBACK = "http://127.0.0.1:9/v1/hooks/x"
SECRET = "app-secret"


@pytest.fixture
def desk() -> Desk:
    return Desk(SandboxOptions(receipts=False), MessageLog())


def post(desk: Desk, path: str, said: object, *, token: str = "Bearer t", content_type: str = "application/json") -> Reply:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    headers = {b"authorization": token.encode(), b"content-type": content_type.encode(), b"host": b"127.0.0.1"}
    turn = desk.handle(Request("POST", path, "", headers, body))
    desk.ended(turn)
    assert isinstance(turn.answer, Reply)
    return turn.answer


def said(reply: Reply) -> Any:
    return json.loads(reply.body)


def newest(desk: Desk) -> Entry:
    return next(iter(desk.log.newest(1))).entry


# What is taken


@pytest.mark.parametrize(
    ("path", "message", "channel", "to", "body"),
    [
        (WHATSAPP, TEXT, "whatsapp", "+15005550009", "Hello"),
        (WHATSAPP, TEXT | {"type": "template", "template": {"name": "t"}}, "whatsapp", "+15005550009", "t"),
        ("/messenger/v25.0/111/messages", {"recipient": {"id": "222"}, "message": {"text": "Hello"}}, "messenger", "222", "Hello"),
        ("/instagram/v25.0/111/messages", {"recipient": {"id": "222"}, "message": {"text": "Hello"}}, "instagram", "222", "Hello"),
        (f"{TELEGRAM}/sendMessage", {"chat_id": 7, "text": "Hello"}, "telegram", "7", "Hello"),
        (f"{TELEGRAM}/sendPhoto", {"chat_id": "@shop", "photo": "https://x.example/a.png"}, "telegram", "@shop", ""),
        (SLACK, {"channel": "C1", "text": "Hello"}, "slack", "C1", "Hello"),
        (HOOK, {"text": "Hello"}, "slack", "webhook", "Hello"),
    ],
)
def test_a_message_is_taken_and_written_down(desk: Desk, path: str, message: Any, channel: str, to: str, body: str) -> None:
    assert post(desk, path, message).status == 200
    entry = newest(desk)
    assert (entry.taken, entry.channel, entry.to, entry.body) == (True, channel, to, body)
    assert path.startswith(f"/{entry.kind}/")
    assert "AAHdqTcv" not in repr(entry)
    assert "abcdefgh" not in repr(entry)


def test_each_answers_as_its_vendor_does(desk: Desk) -> None:
    assert re.fullmatch(r"wamid\.[A-Za-z0-9+/=]+", said(post(desk, WHATSAPP, TEXT))["messages"][0]["id"])
    assert said(post(desk, "/messenger/v25.0/111/messages", {"recipient": {"id": "2"}, "message": {"text": "x"}}))["message_id"]
    told = said(post(desk, f"{TELEGRAM}/sendMessage", {"chat_id": 7, "text": "x"}))
    assert (told["ok"], type(told["result"]["message_id"])) == (True, int)
    assert re.fullmatch(r"\d+\.\d{6}", said(post(desk, SLACK, {"channel": "C1", "text": "x"}))["ts"])
    assert post(desk, HOOK, {"text": "x"}).body == b"ok"


# What is refused


@pytest.mark.parametrize(
    ("path", "message", "status", "words"),
    [
        (WHATSAPP, {**TEXT, "messaging_product": None}, 400, '"code":131009'),
        (WHATSAPP, {**TEXT, "to": "ada"}, 400, '"code":131009'),
        (WHATSAPP, {**TEXT, "text": {}}, 400, '"code":131008'),
        (WHATSAPP, {**TEXT, "type": "news"}, 400, '"code":131008'),
        (WHATSAPP, b"[]", 400, '"code":100'),
        (WHATSAPP, b"[" * 100_000, 400, '"code":100'),
        ("/messenger/v25.0/111/messages", {"message": {"text": "x"}}, 400, '"code":100'),
        ("/instagram/v25.0/111/messages", {"recipient": {"id": "2"}, "message": {}}, 400, '"code":100'),
        (f"{TELEGRAM}/sendMessage", {"text": "x"}, 400, "chat_id is empty"),
        (f"{TELEGRAM}/sendMessage", {"chat_id": 7}, 400, "message text is empty"),
        (f"{TELEGRAM}/sendMessage", {"chat_id": 7, "text": "x" * 4097}, 400, "message is too long"),
        (f"{TELEGRAM}/sendDice", {"chat_id": 7}, 404, "Not Found"),
        ("/telegram/botx/sendMessage", {"chat_id": 7, "text": "x"}, 404, "Not Found"),
        (SLACK, {"text": "x"}, 200, "channel_not_found"),
        (SLACK, {"channel": "C1"}, 200, "no_text"),
        (SLACK, {"channel": "C1", "text": "x", "blocks": [5]}, 200, "invalid_blocks"),
        (SLACK, {"channel": "C1", "text": "x" * 40_001}, 200, "msg_too_long"),
        (HOOK, b"x", 400, "invalid_payload"),
        (HOOK, {}, 400, "no_text"),
    ],
)
def test_what_the_vendor_refuses_is_refused_in_its_words(desk: Desk, path: str, message: Any, status: int, words: str) -> None:
    answer = post(desk, path, message)
    assert answer.status == status
    assert words in answer.body.decode()
    assert desk.log.stats().taken == 0


@pytest.mark.parametrize(("path", "message"), [(WHATSAPP, TEXT), (SLACK, {"channel": "C1", "text": "x"})])
def test_without_a_token_nobody_gets_in(desk: Desk, path: str, message: Any) -> None:
    answer = post(desk, path, message, token="")
    assert answer.status == 401 or said(answer)["error"] == "not_authed"
    assert desk.log.stats().taken == 0


def test_a_form_of_another_sites_page_is_no_message(desk: Desk) -> None:
    for path, message in ((f"{TELEGRAM}/sendMessage", {"chat_id": 7, "text": "x"}), (HOOK, {"text": "x"})):
        assert post(desk, path, message, content_type="text/plain").status == 400
    assert desk.log.stats().taken == 0


@pytest.mark.parametrize(
    "path", ["/whatsapp_cloud", "/whatsapp_cloud/v25.0/x/messages", "/slack/auth.test", "/nobody/v25.0/1/messages"]
)
def test_what_no_vendor_has_is_not_there(desk: Desk, path: str) -> None:
    assert post(desk, path, TEXT).status == 404


@pytest.mark.parametrize(
    ("path", "message", "rule", "status", "words"),
    [
        (WHATSAPP, TEXT, Rule("status", status=429), 429, '"code":130429'),
        (WHATSAPP, TEXT, Rule("status", status=400, code=131047), 400, "(#131047) Re-engagement message"),
        (WHATSAPP, TEXT, Rule("status", status=401), 401, '"code":190'),
        (
            f"{TELEGRAM}/sendMessage",
            {"chat_id": 7, "text": "x"},
            Rule("status", status=429, retry_after="35"),
            429,
            '"retry_after":35',
        ),
        (f"{TELEGRAM}/sendMessage", {"chat_id": 7, "text": "x"}, Rule("status", status=403), 403, "blocked by the user"),
        (SLACK, {"channel": "C1", "text": "x"}, Rule("status", status=200, code="is_archived"), 200, "is_archived"),
        (HOOK, {"text": "x"}, Rule("status", status=404), 404, "no_service"),
    ],
)
def test_a_fault_is_told_in_the_vendors_words(desk: Desk, path: str, message: Any, rule: Rule, status: int, words: str) -> None:
    desk.faults.put(FaultSheet((rule,)))
    answer = post(desk, path, message)
    assert answer.status == status
    assert words in answer.body.decode()
    assert desk.log.stats().taken == 0


def test_who_opted_out_is_refused_in_the_vendors_words(desk: Desk) -> None:
    desk.faults.put(FaultSheet((), opted_out=("+15005550009", "7", "C1", "222")))
    assert said(post(desk, WHATSAPP, TEXT))["error"]["code"] == 131050
    assert (
        said(post(desk, "/messenger/v25.0/1/messages", {"recipient": {"id": "222"}, "message": {"text": "x"}}))["error"]["code"]
        == 551
    )
    assert said(post(desk, f"{TELEGRAM}/sendMessage", {"chat_id": 7, "text": "x"}))["error_code"] == 403
    assert said(post(desk, SLACK, {"channel": "C1", "text": "x"}))["error"] == "is_archived"


def test_a_rule_meets_a_kind_by_its_name(desk: Desk) -> None:
    desk.faults.put(FaultSheet((Rule("status", match=Match(kind="telegram")),)))
    assert post(desk, WHATSAPP, TEXT).status == 200
    assert post(desk, f"{TELEGRAM}/sendMessage", {"chat_id": 7, "text": "x"}).status == 503


# What is reported


def subscribed(desk: Desk, kind: str, about: str, token: str = f"Bearer 123|{SECRET}", url: str = CALLBACK) -> Reply:
    form = {"object": about, "callback_url": url, "verify_token": "v", "fields": "messages"}
    path, kind_of_form = f"/{kind}/v25.0/123/subscriptions", "application/x-www-form-urlencoded"
    return post(desk, path, urlencode(form).encode(), token=token, content_type=kind_of_form)


def test_an_app_subscribes_as_it_does_at_meta(desk: Desk) -> None:
    assert said(subscribed(desk, "whatsapp_cloud", "whatsapp_business_account")) == {"success": True}
    assert subscribed(desk, "whatsapp_cloud", "whatsapp_business_account", token="Bearer 123").status == 401
    assert subscribed(desk, "whatsapp_cloud", "page").status == 400
    assert subscribed(desk, "messenger", "page", url="ftp://x").status == 400
    assert desk.log.stats().requests == 0


def test_a_token_is_asked_about_as_it_is_at_meta(desk: Desk) -> None:
    for ends_at, text in (
        (None, "EAAGm0PX4ZCps"),
        (1_900_000_000, "EAA-expires-1900000000"),
        (1_000_000_000, "expires-1000000000"),
    ):
        provider = make(
            "m", {"kind": "messenger", "page_id": "1055512345678", "access_token": text, "base_url": "http://x/messenger"}
        )
        asked = provider.life_request()
        assert isinstance(asked, HttpRequest)
        url = urlsplit(asked.url)
        headers = {name.lower().encode(): value.encode() for name, value in asked.headers}
        answer = desk.handle(Request("GET", url.path, url.query, headers, b"")).answer
        assert isinstance(answer, Reply)
        assert provider.life_of(Answered(answer.status, (), answer.body)) == Life(ends_at)
    assert desk.log.stats().requests == 0


async def test_what_was_taken_is_reported_where_the_app_subscribed_until_a_reset(desk: Desk) -> None:
    desk.faults.put(FaultSheet((), ReceiptPlan(delay_ms=60_000)))
    post(desk, WHATSAPP, TEXT)
    assert desk.receipts.queued == 0
    subscribed(desk, "whatsapp_cloud", "whatsapp_business_account")
    post(desk, WHATSAPP, TEXT)
    assert desk.receipts.queued == 2
    desk.reset()
    desk.faults.put(FaultSheet((), ReceiptPlan(delay_ms=60_000)))
    post(desk, WHATSAPP, TEXT)
    assert desk.receipts.queued == 0


def reported(dialect: Any, state: str, **asked: Any) -> dict[str, Any]:
    """The body of a receipt, after its signature has been recomputed here."""
    question = Asked(dialect.kind, "111", dialect.channel, "222", "Hello", reference="att_1", token=SECRET, **asked)
    entry = Entry(
        1,
        MessageLog().now(),
        dialect.kind,
        "111",
        "taken",
        taken=True,
        status=200,
        channel=dialect.channel,
        to="222",
        body="Hello",
        ref="ref_1",
    )
    headers, body = dialect.receipt(question, Noted(entry, []), state)
    assert (
        dict(headers)[b"x-hub-signature-256"] == b"sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest().encode()
    )
    found: dict[str, Any] = json.loads(body)
    return found


@pytest.mark.parametrize("state", ["sent", "delivered", "read", "failed"])
def test_whatsapp_reports_every_state_with_the_callers_own_id(state: str) -> None:
    told = reported(WhatsappCloud(), state)
    (status,) = told["entry"][0]["changes"][0]["value"]["statuses"]
    assert (told["object"], status["status"]) == ("whatsapp_business_account", state)
    assert (status["id"], status["biz_opaque_callback_data"], status["recipient_id"]) == ("ref_1", "att_1", "222")
    assert [error["code"] for error in status.get("errors", [])] == ([131026] if state == "failed" else [])


@pytest.mark.parametrize(
    ("dialect", "state", "event"),
    [
        (Messenger(), "sent", {"message": {"is_echo": True, "mid": "ref_1", "text": "Hello", "metadata": "att_1"}}),
        (Messenger(), "failed", None),
        (Instagram(), "sent", {"message": {"is_echo": True, "mid": "ref_1", "text": "Hello"}}),
        (Instagram(), "delivered", None),
        (Instagram(), "read", {"read": {"mid": "ref_1"}}),
    ],
)
def test_a_conversations_events_are_those_that_the_vendor_tells(dialect: Any, state: str, event: dict[str, Any] | None) -> None:
    told = reported(dialect, state)["entry"][0]["messaging"]
    if event is None:
        assert told == []
        return
    (happened,) = told
    assert {name: happened[name] for name in event} == event
    assert happened["sender"]["id"] == ("111" if "message" in event else "222")


def test_messenger_names_what_was_delivered_and_not_what_was_read() -> None:
    (delivered,) = reported(Messenger(), "delivered")["entry"][0]["messaging"]
    assert delivered["delivery"]["mids"] == ["ref_1"]
    (read,) = reported(Messenger(), "read")["entry"][0]["messaging"]
    assert set(read["read"]) == {"watermark"}


# What people write back


def written(desk: Desk, text: str = "STOP", seq: int | None = None, **more: Any) -> Reply:
    return post(desk, "/reply", {"seq": newest(desk).seq if seq is None else seq, "text": text, **more})


async def test_nobody_is_told_of_a_reply_before_the_vendor_knows_where(desk: Desk) -> None:
    sent: list[tuple[str, bytes]] = []
    desk.courier.send = lambda place, parcel: sent.append((place.target, parcel.payload))  # type: ignore[method-assign]
    event = {"recipient": {"id": "222"}, "message": {"text": "Hello"}}
    hook = {"url": CALLBACK, "secret_token": "a-token"}
    for path, message, tell in (
        (WHATSAPP, TEXT, lambda: subscribed(desk, "whatsapp_cloud", "whatsapp_business_account")),
        ("/messenger/v25.0/111/messages", event, lambda: subscribed(desk, "messenger", "page")),
        ("/instagram/v25.0/111/messages", event, lambda: subscribed(desk, "instagram", "instagram")),
        (f"{TELEGRAM}/sendMessage", {"chat_id": 7, "text": "Hello"}, lambda: post(desk, f"{TELEGRAM}/setWebhook", hook)),
        (SLACK, {"channel": "U1", "text": "Hello"}, lambda: put_events(desk)),
    ):
        post(desk, path, message)
        assert written(desk).status == 409, path
        assert tell().status == 200, path
        assert written(desk, "<STOP> & so on", repeat=3).status == 202, path
        assert [target for target, _ in sent] == ["/v1/hooks/x"] * 3, path
        assert len({payload for _, payload in sent}) == 1, path
        assert (
            "&lt;STOP&gt; &amp; so on"
            in desk.handle(Request("GET", "/fragment", "", {b"host": b"127.0.0.1"}, b"")).answer.body.decode()
        )  # type: ignore[union-attr]
        sent.clear()


def put_events(desk: Desk, url: str = CALLBACK) -> Reply:
    body = json.dumps({"request_url": url, "signing_secret": SECRET}).encode()
    turn = desk.handle(Request("PUT", "/slack/events", "", {b"content-type": b"application/json", b"host": b"127.0.0.1"}, body))
    assert isinstance(turn.answer, Reply)
    return turn.answer


async def test_what_can_not_be_written_back_is_refused(desk: Desk) -> None:
    post(desk, f"{TELEGRAM}/setWebhook", {"url": CALLBACK})
    assert post(desk, f"{TELEGRAM}/setWebhook", {"url": CALLBACK, "secret_token": "a b"}).status == 400
    assert said(put_events(desk, "ftp://x"))["ok"] is False
    put_events(desk)
    post(desk, f"{TELEGRAM}/sendMessage", {"chat_id": "@shop", "text": "x"})
    assert written(desk).status == 409
    post(desk, SLACK, {"channel": "C1", "text": "x"})
    assert written(desk).status == 409
    post(desk, HOOK, {"text": "x"})
    assert written(desk).status == 409
    assert written(desk, seq=99).status == 404
    assert written(desk, repeat=47).status == 422
    assert post(desk, "/reply", b"x").status == 400
    foreign = {b"host": b"127.0.0.1", b"origin": b"https://evil.example"}
    answer = desk.handle(Request("POST", "/reply", "", foreign, b"{}")).answer
    assert isinstance(answer, Reply)
    assert answer.status == 403
