"""Slack: what is said to the Web API and to webhooks, what their answers mean. Payloads: tests/payloads/slack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sendwright.errors import SettingsError
from sendwright.model.content import SlackContent
from sendwright.providers.contract import (
    Accepted,
    Action,
    Hook,
    HttpRequest,
    Inbound,
    Later,
    Media,
    Misconfigured,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Rejected,
    Reply,
    Scope,
    TooLong,
    Unsure,
    Verdict,
)
from sendwright.providers.registry import make
from tests.conformance.kinds import SECRET_MARK, Samples, hook, json_reply, outgoing

PAYLOADS = Path(__file__).parent.parent / "payloads" / "slack"
WEBHOOK_PATH = "/services/T0000/B0000/abcdefgh0123456789"
RAW = {"kind": "slack", "bot_token": "xoxb-0123456789-token", "signing_secret": "signing-secret-0123456789"}
OUT = Outgoing("att_1", "msg_1", "slack", "C123ABC456", "Your code is 481216")
HOOKS = "https://notify.example.com/v1/hooks/slack-main"


def samples() -> Samples:
    """For the suite that every kind passes."""
    secrets = {name: f"{SECRET_MARK}-{name}-0123456789" for name in ("bot_token", "signing_secret")}
    return Samples(
        raw={"kind": "slack", **secrets},
        outgoing=outgoing(channel="slack", address="C123ABC456", media=()),
        accepted=reply("reply_posted"),
        refused_key=reply("reply_invalid_auth"),
        secrets=tuple(secrets.values()),
        reply=hook(HOOKS, json.dumps(payload("inbound_dm")["body"]).encode()),
        extra_replies=(
            json_reply(200, {"ok": True}),
            json_reply(200, {"ok": True, "ts": "now"}),
            json_reply(200, {"ok": 1, "ts": "1503435956.000247"}),
            json_reply(200, {"ok": False, "ts": "1503435956.000247"}),
            json_reply(200, {"ok": False, "error": None}),
        ),
    )


def account(**over: Any) -> Provider:
    return make("slack-main", {key: value for key, value in (RAW | over).items() if value is not None})


def webhook(**over: Any) -> Provider:
    return make("slack-hook", {"kind": "slack", "webhook_url": f"https://hooks.slack.com{WEBHOOK_PATH}"} | over)


def payload(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return found


def reply(name: str) -> Reply:
    found = payload(name)
    return json_reply(found["status"], found["body"])


def refusal(word: object, status: int = 200) -> Reply:
    return json_reply(status, {"ok": False, "error": word})


SLACK = account()
WEBHOOK = webhook()


def said(provider: Provider = SLACK, **over: Any) -> dict[str, Any]:
    request = provider.build(msgspec.structs.replace(OUT, **over))
    assert isinstance(request, HttpRequest)
    found: dict[str, Any] = json.loads(request.body)
    return found


# What is said


def test_a_text_is_posted_to_the_channel() -> None:
    request = SLACK.build(OUT)
    assert isinstance(request, HttpRequest)
    assert (request.method, request.url) == ("POST", "https://slack.com/api/chat.postMessage")
    assert dict(request.headers)["Authorization"] == "Bearer xoxb-0123456789-token"
    assert said() == {"channel": "C123ABC456", "text": "Your code is 481216"}


@pytest.mark.parametrize("address", ["C123ABC456", "U123ABC456", "D123ABC456", "#general", "ops-alerts", "büro_1", "a.b"])
def test_a_channel_is_an_id_or_a_name(address: str) -> None:
    assert said(address=address)["channel"] == address


def test_a_title_is_said_where_there_is_no_body() -> None:
    assert said(body="", title="Hello")["text"] == "Hello"
    assert said(title="Hello")["text"] == "Your code is 481216"


def test_a_text_can_not_call_everybody() -> None:
    assert said(body="<!channel> & <@U1> > 1")["text"] == "&lt;!channel&gt; &amp; &lt;@U1&gt; &gt; 1"


def test_blocks_go_as_they_are_with_the_text_beside_them() -> None:
    blocks: list[dict[str, object]] = [{"type": "section", "text": {"type": "mrkdwn", "text": "<!here> *Down*"}}]
    message = said(own=SlackContent(blocks=blocks), media=(Media("https://x.example/a.png"),), actions=(Action("a", "Go"),))
    assert message == {"channel": "C123ABC456", "text": "Your code is 481216", "blocks": blocks}
    assert said(own=SlackContent(blocks=blocks), body="")["blocks"] == blocks
    with pytest.raises(TooLong):
        said(own=SlackContent(blocks=blocks * 51))


def test_pictures_and_buttons_are_blocks_under_the_text() -> None:
    media = (Media("https://x.example/a.png", None, "Map"), Media("https://x.example/b.pdf"), Media("https://x.example/c.jpg"))
    actions = (
        Action("t", "Track it", "https://x.example/t?a=1&b=2"),
        Action("n", "Not now"),
        Action("c", "Call", "tel:+15005550009"),
    )
    message = said(body="On its way <3", media=media, actions=actions)
    assert message["blocks"] == [
        {
            "type": "section",
            "text": {"type": "mrkdwn", "text": "On its way &lt;3\nhttps://x.example/b.pdf\nCall: tel:+15005550009"},
        },
        {"type": "image", "image_url": "https://x.example/a.png", "alt_text": "Map"},
        {"type": "image", "image_url": "https://x.example/c.jpg", "alt_text": "image"},
        {
            "type": "actions",
            "elements": [
                {
                    "type": "button",
                    "text": {"type": "plain_text", "text": "Track it"},
                    "url": "https://x.example/t?a=1&b=2",
                    "action_id": "0:t",
                }
            ],
        },
    ]
    assert message["text"].startswith("On its way &lt;3\nhttps://x.example/a.png")
    assert "Track it: https://x.example/t?a=1&amp;b=2" in message["text"]


def test_a_picture_needs_no_text_and_a_long_text_has_it_as_a_line() -> None:
    picture = (Media("https://x.example/a.png"),)
    assert [block["type"] for block in said(body="", media=picture)["blocks"]] == ["image"]
    assert "blocks" not in said(body="x" * 3001, media=picture)
    assert "blocks" in said(body="x" * 3000, media=picture)


def test_a_label_that_is_too_long_for_a_button_is_a_line_and_so_is_the_26th() -> None:
    long = Action("a", "x" * 76, "https://x.example/")
    assert said(actions=(long,)) == {"channel": "C123ABC456", "text": f"Your code is 481216\n{'x' * 76}: https://x.example/"}
    many = tuple(Action("same", f"B{number}", f"https://x.example/{number}") for number in range(26))
    section, buttons = said(actions=many)["blocks"]
    assert section["text"]["text"].endswith("B25: https://x.example/25")
    assert len({button["action_id"] for button in buttons["elements"]}) == 25


@pytest.mark.parametrize(
    "over",
    [
        {"address": "C1 C2"},
        {"address": "C1\n"},
        {"address": "<!channel>"},
        {"address": ""},
        {"address": "x" * 81},
        {"channel": "teams"},
        {"body": ""},
        {"body": "\ud800"},
    ],
)
def test_what_slack_has_no_form_for_is_refused_before_it_is_sent(over: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        said(**over)


def test_a_text_that_is_too_long_as_it_is_written_is_refused_for_that() -> None:
    assert len(said(body="<" * 10_000)["text"]) == 40_000
    with pytest.raises(TooLong):
        said(body="<" * 10_001)


# A webhook


def test_a_webhook_posts_where_it_is_bound_to_whoever_is_addressed() -> None:
    request = WEBHOOK.build(msgspec.structs.replace(OUT, address="whoever it is"))
    assert isinstance(request, HttpRequest)
    assert request.url == f"https://hooks.slack.com{WEBHOOK_PATH}"
    assert "Authorization" not in dict(request.headers)
    assert said(WEBHOOK) == {"text": "Your code is 481216"}


def test_base_url_takes_the_place_of_the_webhooks_host() -> None:
    request = webhook(base_url="http://127.0.0.1:9000/slack/").build(OUT)
    assert isinstance(request, HttpRequest)
    assert request.url == f"http://127.0.0.1:9000/slack{WEBHOOK_PATH}"


def test_the_address_of_a_webhook_is_a_secret() -> None:
    request = WEBHOOK.build(OUT)
    quoted = Reply(400, (), f"invalid https://hooks.slack.com{WEBHOOK_PATH}".encode())
    shown = " ".join(f"{thing!r} {thing}" for thing in (WEBHOOK, WEBHOOK.settings, request, WEBHOOK.read(quoted)))
    assert "abcdefgh" not in shown


@pytest.mark.parametrize(
    ("status", "text", "outcome"),
    [
        (200, "ok", Accepted()),
        (200, "ok\n", Accepted()),
        (200, "<html>", Unsure("a success that does not say ok")),
        (200, "", Unsure("a success that does not say ok")),
        (400, "invalid_payload", Rejected(Reason.CONTENT, "invalid_payload", Scope.RECIPIENT)),
        (400, "no_text", Rejected(Reason.CONTENT, "no_text", Scope.RECIPIENT)),
        (400, "too_many_attachments", Rejected(Reason.CONTENT, "too_many_attachments", Scope.RECIPIENT)),
        (400, "Something else", Rejected(Reason.REJECTED, "HTTP 400", Scope.RECIPIENT)),
        (403, "action_prohibited", Misconfigured("HTTP 403: action_prohibited")),
        (403, "posting_to_general_channel_denied", Misconfigured("HTTP 403: posting_to_general_channel_denied")),
        (404, "no_service", Misconfigured("HTTP 404: no_service")),
        (404, "channel_not_found", Misconfigured("HTTP 404: channel_not_found")),
        (404, "<html>", Misconfigured("HTTP 404: ")),
        (410, "channel_is_archived", Misconfigured("HTTP 410: channel_is_archived")),
        (429, "rate_limited", Later("HTTP 429: rate_limited", None, Scope.ACCOUNT, ill=False)),
        (500, "rollup_error", Unsure("HTTP 500: rollup_error")),
        (503, "", Later("HTTP 503", None, Scope.ACCOUNT, ill=True)),
    ],
)
def test_a_webhook_answers_in_plain_text(status: int, text: str, outcome: Outcome) -> None:
    assert WEBHOOK.parse(Reply(status, (("content-type", "text/html"),), text.encode())) == outcome


@pytest.mark.parametrize("body", [b"\xff\xfe", b"\x00", b"ok" * 200, b"o" * 1_000_000])
def test_a_webhooks_junk_never_raises_and_never_counts_as_taken(body: bytes) -> None:
    for status in (200, 204, 302, 400, 403, 404, 418, 500, 999):
        assert not isinstance(WEBHOOK.parse(Reply(status, (), body)), Accepted)


# Settings


@pytest.mark.parametrize(
    ("over", "key"),
    [
        ({"bot_token": None, "signing_secret": None}, "bot_token"),
        ({"webhook_url": "https://hooks.slack.com/services/x"}, "bot_token"),
        ({"bot_token": None, "webhook_url": "https://hooks.slack.com/services/x"}, "signing_secret"),
        ({"bot_token": None, "signing_secret": None, "webhook_url": "http://hooks.slack.com/services/x"}, "webhook_url"),
        ({"bot_token": None, "signing_secret": None, "webhook_url": "https://hooks.slack.com/x?y"}, "webhook_url"),
        ({"bot_token": None, "signing_secret": None, "webhook_url": ""}, "webhook_url"),
        ({"bot_token": ""}, "bot_token"),
        ({"signing_secret": ""}, "signing_secret"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(over: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingsError) as refused:
        account(**over)
    assert [where for where, _ in refused.value.faults] == [f"providers.slack-main.{key}"]


# Answers of the Web API


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("reply_posted", Accepted("1503435956.000247")),
        ("reply_channel_not_found", Rejected(Reason.INVALID_ADDRESS, "channel_not_found", Scope.RECIPIENT)),
        ("reply_not_in_channel", Rejected(Reason.REJECTED, "not_in_channel", Scope.SENDER)),
        ("reply_is_archived", Rejected(Reason.UNREACHABLE, "is_archived", Scope.RECIPIENT)),
        ("reply_invalid_auth", Misconfigured("invalid_auth")),
        ("reply_ratelimited", Later("ratelimited", None, Scope.ACCOUNT, ill=False)),
        ("reply_internal_error", Unsure("internal_error")),
        (
            "reply_invalid_blocks",
            Rejected(
                Reason.CONTENT,
                "invalid_blocks [ERROR] must provide an object [json-pointer:/blocks/0/text]",
                Scope.RECIPIENT,
            ),
        ),
    ],
)
def test_a_documented_answer_has_its_meaning(name: str, outcome: Outcome) -> None:
    assert SLACK.parse(reply(name)) == outcome


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("msg_too_long", Rejected(Reason.TOO_LONG, "msg_too_long", Scope.RECIPIENT)),
        ("restricted_action", Rejected(Reason.REJECTED, "restricted_action", Scope.SENDER)),
        ("token_expired", Misconfigured("token_expired")),
        ("missing_scope", Misconfigured("missing_scope")),
        ("message_limit_exceeded", Later("message_limit_exceeded", None, Scope.ACCOUNT, ill=False)),
        ("service_unavailable", Later("service_unavailable", None, Scope.ACCOUNT, ill=True)),
        ("fatal_error", Unsure("fatal_error")),
        ("something_new", Rejected(Reason.REJECTED, "something_new", Scope.RECIPIENT)),
        ("Not a word, to +15005550009", Rejected(Reason.REJECTED, "", Scope.RECIPIENT)),
    ],
)
def test_a_word_says_what_became_of_it(word: str, outcome: Outcome) -> None:
    assert SLACK.parse(refusal(word)) == outcome


def test_a_wait_is_read_beside_the_word() -> None:
    outcome = SLACK.parse(Reply(200, (("retry-after", "30"),), b'{"ok": false, "error": "ratelimited"}'))
    assert outcome == Later("ratelimited", 30, Scope.ACCOUNT, ill=False)


def test_no_word_makes_a_500_certain_and_a_429_is_always_later() -> None:
    assert isinstance(SLACK.parse(refusal("channel_not_found", 500)), Unsure)
    assert isinstance(SLACK.parse(refusal("channel_not_found", 429)), Later)
    assert isinstance(SLACK.parse(refusal("channel_not_found", 400)), Rejected)
    assert isinstance(SLACK.parse(refusal("something_new", 404)), Misconfigured)


@pytest.mark.parametrize("more", [{"messages": []}, {"messages": "x"}, {"messages": [5]}, [], "x"])
def test_a_hint_of_another_shape_is_left_out(more: object) -> None:
    said = json_reply(200, {"ok": False, "error": "invalid_blocks", "response_metadata": more})
    assert SLACK.parse(said) == Rejected(Reason.CONTENT, "invalid_blocks", Scope.RECIPIENT)


# Signatures. The vector: github.com/slackapi/python-slack-sdk, tests/slack_sdk/signature/test_signature_verifier.py
# at ae87985e2c3811ead978f31ea5a1e4a7ca5c3515 (MIT).

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
AT = 1531420618
BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
SIGNED = account(signing_secret=SECRET)


def signed(body: bytes = BODY, signature: str = SIGNATURE, at: str = str(AT), now: float = AT) -> Hook:
    return hook(HOOKS, body, ("x-slack-signature", signature), ("x-slack-request-timestamp", at), now=now)


def test_the_vendors_own_signature_verifies_and_says_nothing_of_a_message() -> None:
    assert SIGNED.verify(signed()) is Verdict.GOOD
    assert SIGNED.events(signed()) == ()
    assert not SIGNED.capabilities.receipts


def test_one_bit_changed_anywhere_is_refused() -> None:
    bodies = [BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :] for at in range(len(BODY))]
    signatures = [SIGNATURE[:at] + chr(ord(SIGNATURE[at]) ^ 1) + SIGNATURE[at + 1 :] for at in range(len(SIGNATURE))]
    hooks = [*(signed(body=body) for body in bodies), *(signed(signature=signature) for signature in signatures)]
    assert {SIGNED.verify(bent) for bent in hooks} == {Verdict.BAD}


@pytest.mark.parametrize("away", [-301, 301, 86_400])
def test_a_stale_or_replayed_call_is_refused(away: int) -> None:
    assert SIGNED.verify(signed(now=AT + away)) is Verdict.BAD
    assert SIGNED.verify(signed(now=AT + 300)) is Verdict.GOOD
    assert SIGNED.verify(signed(at=str(AT + away), now=AT + away)) is Verdict.BAD


@pytest.mark.parametrize(
    "over", [{"at": ""}, {"at": "x"}, {"at": "-1"}, {"at": "1e9"}, {"signature": ""}, {"signature": SIGNATURE.upper()}]
)
def test_what_can_be_no_signature_is_refused(over: dict[str, str]) -> None:
    assert SIGNED.verify(signed(**over)) is Verdict.BAD  # type: ignore[arg-type]


def test_another_secret_or_none_verifies_nothing() -> None:
    assert SLACK.verify(signed()) is Verdict.BAD
    assert account(signing_secret=None).verify(signed()) is Verdict.BAD
    assert WEBHOOK.verify(signed()) is Verdict.BAD


# Events: https://docs.slack.dev/apis/events-api, https://docs.slack.dev/reference/events/message.im


def told(event: object = None, **over: Any) -> Hook:
    """The documented envelope around a message to the app, changed."""
    body = payload("inbound_dm")["body"]
    if isinstance(event, dict):
        body["event"] = {name: value for name, value in (body["event"] | event).items() if value is not None}
    elif event is not None:
        body["event"] = event
    return hook(HOOKS, json.dumps(body | over).encode())


def test_a_direct_message_is_a_reply_of_the_person_who_goes_by_two_addresses() -> None:
    wrote = Inbound("slack", "U2147483697", "Stop & wait", "Ev08MFMKH6", 1_790_000_000.000005, aliases=("D024BE91L",))
    assert SLACK.events(told()) == (wrote,)
    assert SLACK.events(told({"subtype": "file_share", "text": None})) == (msgspec.structs.replace(wrote, text=""),)


def test_what_no_person_says_to_the_app_is_no_reply() -> None:
    for event in (
        {"bot_id": "B1"},
        {"subtype": "bot_message"},
        {"subtype": "message_changed"},
        {"subtype": "message_deleted"},
        {"channel_type": "channel"},
        {"channel_type": "mpim"},
        {"type": "app_mention"},
        {"user": None},
        {"user": "USLACKBOT <x>"},
    ):
        assert SLACK.events(told(event)) == (), event
    for over in ({"event_id": None}, {"type": "url_verification"}, {"event": "message"}, {"event": {"subtype": []}}):
        assert SLACK.events(told(**over)) == (), over


def test_the_question_whether_events_are_expected_is_answered_and_nothing_else_is() -> None:
    asked = {"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmd", "type": "url_verification"}
    assert SLACK.response(hook(HOOKS, json.dumps(asked).encode())) == "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmd"
    for bent in (asked | {"challenge": "<script>"}, asked | {"challenge": 5}, asked | {"type": "event_callback"}):
        assert SLACK.response(hook(HOOKS, json.dumps(bent).encode())) is None
    assert SLACK.response(told()) is None
