"""WhatsApp: what is said to the Cloud API, what its answers and statuses mean. Payloads: tests/payloads/whatsapp_cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sendwright.errors import SettingsError
from sendwright.model.content import MediaItem, WhatsappContent, WhatsappTemplate
from sendwright.providers.contract import (
    Accepted,
    Action,
    AttemptState,
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
    Receipt,
    Rejected,
    Reply,
    Scope,
    TooLong,
    Unsure,
    Verdict,
)
from sendwright.providers.meta import GRAPH_VERSION
from sendwright.providers.registry import make
from sendwright.providers.signing import hex_signature
from tests.conformance.kinds import ATTEMPT, NOW, SECRET_MARK, Samples, hook, json_reply, outgoing

PAYLOADS = Path(__file__).parent.parent / "payloads" / "whatsapp_cloud"
WAMID = "wamid.HBgLMTUwMDU1NTAwMDkVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"
NUMBER = "106540352242922"
RAW = {
    "kind": "whatsapp_cloud",
    "access_token": "EAAtoken0123456789",
    "phone_number_id": NUMBER,
    "app_secret": "appsecret0123456789",
    "verify_token": "verify-me-0123456789",
}
OUT = Outgoing("att_1", "msg_1", "whatsapp", "+15005550009", "Your code is 481216")
HOOKS = "https://notify.example.com/v1/hooks/wa-main"


def samples() -> Samples:
    """For the suite that every kind passes."""
    secrets = {name: f"{SECRET_MARK}-{name}-0123456789" for name in ("access_token", "app_secret", "verify_token")}
    body = json.dumps(payload("callback_delivered")["body"]).encode()
    signature = ("x-hub-signature-256", f"sha256={hex_signature(secrets['app_secret'], body)}")
    return Samples(
        raw={"kind": "whatsapp_cloud", "phone_number_id": NUMBER, **secrets},
        outgoing=outgoing(channel="whatsapp", media=()),
        accepted=reply("reply_accepted"),
        refused_key=reply("reply_190"),
        secrets=tuple(secrets.values()),
        callback=hook(HOOKS, body, signature),
        reply=hook(HOOKS, json.dumps(payload("inbound_text")["body"]).encode()),
        signature_headers=("x-hub-signature-256",),
        extra_replies=(
            json_reply(200, {"messages": []}),
            json_reply(200, {"messages": [{"id": None}]}),
            json_reply(200, {"messages": {"id": WAMID}}),
            json_reply(200, {"error": {"code": 131000}}),
        ),
    )


def story() -> tuple[Provider, list[Hook]]:
    """What its callbacks may say of one attempt, one after the other."""
    return WHATSAPP, [callback(f"callback_{name}") for name in ("sent", "delivered", "read", "failed")]


def account(**over: Any) -> Provider:
    return make("wa-main", {key: value for key, value in (RAW | over).items() if value is not None})


def payload(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return found


def reply(name: str) -> Reply:
    found = payload(name)
    return json_reply(found["status"], found["body"])


def refusal(code: object, status: int = 400, **more: object) -> Reply:
    return json_reply(status, {"error": {"message": "so it is", "code": code, **more}})


WHATSAPP = account()


def said(**over: Any) -> dict[str, Any]:
    request = WHATSAPP.build(msgspec.structs.replace(OUT, **over))
    assert isinstance(request, HttpRequest)
    found: dict[str, Any] = json.loads(request.body)
    return found


def callback(name: str) -> Hook:
    return hook(HOOKS, json.dumps(payload(name)["body"]).encode())


def about(status: dict[str, Any], **over: Any) -> Hook:
    change = {"field": "messages", "value": {"statuses": [status]}} | over
    return hook(HOOKS, json.dumps({"object": "whatsapp_business_account", "entry": [{"changes": [change]}]}).encode())


# What is said


def test_a_text_goes_to_the_messages_of_the_number() -> None:
    request = WHATSAPP.build(OUT)
    assert isinstance(request, HttpRequest)
    assert (request.method, request.url) == ("POST", f"https://graph.facebook.com/{GRAPH_VERSION}/{NUMBER}/messages")
    assert dict(request.headers)["Authorization"] == "Bearer EAAtoken0123456789"
    assert said() == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+15005550009",
        "type": "text",
        "text": {"body": "Your code is 481216", "preview_url": False},
        "biz_opaque_callback_data": "att_1",
    }


def test_a_text_with_a_link_asks_for_its_preview() -> None:
    assert said(body="See https://example.com/a")["text"]["preview_url"] is True


def test_a_template_is_sent_in_the_place_of_the_text_with_its_variables_in_order() -> None:
    own = WhatsappContent(template=WhatsappTemplate("order_shipped", "en_GB", ["Ada", "1234"]))
    message = said(own=own)
    assert message["type"] == "template"
    assert "text" not in message
    assert message["template"] == {
        "name": "order_shipped",
        "language": {"policy": "deterministic", "code": "en_GB"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "Ada"}, {"type": "text", "text": "1234"}]}],
    }


def test_a_template_takes_its_variables_by_name_or_none() -> None:
    named = said(own=WhatsappContent(template=WhatsappTemplate("t", "de", {"first_name": "Ada"})))["template"]
    assert named["components"][0]["parameters"] == [{"type": "text", "parameter_name": "first_name", "text": "Ada"}]
    assert "components" not in said(own=WhatsappContent(template=WhatsappTemplate("t", "de")))["template"]


def test_a_template_has_in_its_header_the_file_that_was_named_for_whatsapp_and_no_other() -> None:
    template = WhatsappTemplate("t", "de", ["x"])
    picture = Media("https://example.com/a.png")
    shown = said(own=WhatsappContent(template=template, media=[MediaItem(picture.url)]), media=(picture,))
    assert shown["template"]["components"][0] == {
        "type": "header",
        "parameters": [{"type": "image", "image": {"link": "https://example.com/a.png"}}],
    }
    assert [part["type"] for part in said(own=WhatsappContent(template=template), media=(picture,))["template"]["components"]] == [
        "body"
    ]


@pytest.mark.parametrize(
    ("item", "kind", "fields"),
    [
        (Media("https://x.example/a.png"), "image", {}),
        (Media("https://x.example/a", "image/jpeg; q=1"), "image", {}),
        (Media("https://x.example/a.gif"), "document", {}),
        (Media("https://x.example/a.mp4?x=1"), "video", {}),
        (Media("https://x.example/a.webm"), "document", {}),
        (Media("https://x.example/a.wav"), "document", {}),
        (Media("https://x.example/a", "application/pdf", "Bill.pdf"), "document", {"filename": "Bill.pdf"}),
        (Media("https://x.example/a"), "document", {}),
        (Media("https://x.example/a.png", "image/png", "a.png"), "image", {}),
    ],
)
def test_a_file_goes_by_its_content_type_with_the_text_as_its_caption(item: Media, kind: str, fields: dict[str, str]) -> None:
    message = said(media=(item,))
    assert message["type"] == kind
    assert message[kind] == {"link": item.url, "caption": "Your code is 481216", **fields}
    assert said(media=(item,), body="")[kind] == {"link": item.url, **fields}


def test_a_sound_has_no_caption_so_beside_a_text_it_stands_in_it() -> None:
    sound = Media("https://x.example/a.ogg")
    assert said(media=(sound,), body="")["audio"] == {"link": "https://x.example/a.ogg"}
    assert said(media=(sound,))["text"]["body"] == "Your code is 481216\nhttps://x.example/a.ogg"


def test_what_one_call_can_not_carry_stands_in_the_text() -> None:
    files = (Media("https://x.example/a.png"), Media("https://x.example/b.png"))
    assert said(media=files)["text"]["body"] == "Your code is 481216\nhttps://x.example/a.png\nhttps://x.example/b.png"
    assert said(media=files[:1], body="x" * 1025)["type"] == "text"
    assert said(media=files[:1], body="x" * 1024)["type"] == "image"


def test_a_button_is_a_line_with_its_address() -> None:
    actions = (Action("a", "Track it", "https://x.example/t"), Action("b", "Not now"))
    assert said(actions=actions)["text"]["body"] == "Your code is 481216\nTrack it: https://x.example/t"
    assert said(actions=actions, media=(Media("https://x.example/a.png"),))["image"]["caption"].endswith("https://x.example/t")


def test_a_title_is_said_where_there_is_no_body() -> None:
    assert said(body="", title="Hello")["text"]["body"] == "Hello"
    assert said(title="Hello")["text"]["body"] == "Your code is 481216"


def test_a_document_in_a_templates_header_has_its_name() -> None:
    def header(item: Media) -> dict[str, Any]:
        own = WhatsappContent(template=WhatsappTemplate("t", "de"), media=[MediaItem(item.url)])
        found: dict[str, Any] = said(own=own, media=(item,))["template"]["components"][0]["parameters"][0]
        return found

    pdf = "https://x.example/a.pdf"
    assert header(Media(pdf, None, "Bill.pdf")) == {"type": "document", "document": {"link": pdf, "filename": "Bill.pdf"}}
    assert header(Media(pdf)) == {"type": "document", "document": {"link": pdf}}
    assert header(Media("https://x.example/a.png", None, "a.png"))["image"] == {"link": "https://x.example/a.png"}


@pytest.mark.parametrize(
    "over",
    [
        {"address": "15005550009"},
        {"address": "+15005550009\n"},
        {"address": ""},
        {"channel": "sms"},
        {"body": ""},
        {"body": "\ud800"},
        {"own": WhatsappContent(template=WhatsappTemplate("t", "de"), media=[MediaItem("https://x.example/a.ogg")]),
         "media": (Media("https://x.example/a.ogg"),)},
        {"own": WhatsappContent(template=WhatsappTemplate("t", "de"), media=[MediaItem("https://x.example/a.png")]),
         "media": (Media("https://x.example/a.png"), Media("https://x.example/b.png"))},
    ],
)  # fmt: skip
def test_what_whatsapp_has_no_form_for_is_refused_before_it_is_sent(over: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        said(**over)


def test_a_text_that_is_too_long_is_refused_for_that() -> None:
    assert said(body="é" * 4096)["text"]["body"] == "é" * 4096
    with pytest.raises(TooLong):
        said(body="x" * 4097)
    with pytest.raises(TooLong):
        said(body="x" * 4090, media=(Media("https://x.example/a.png"),))


# Settings


@pytest.mark.parametrize(
    ("over", "key"),
    [
        ({"phone_number_id": None}, "phone_number_id"),
        ({"phone_number_id": "../x"}, "phone_number_id"),
        ({"business_account_id": "x"}, "business_account_id"),
        ({"access_token": None}, "access_token"),
        ({"access_token": ""}, "access_token"),
        ({"app_secret": None}, "app_secret"),
        ({"verify_token": None}, "app_secret"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(over: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        account(**over)
    assert [where for where, _ in refusal.value.faults] == [f"providers.wa-main.{key}"]


def test_without_the_apps_secret_there_are_no_receipts() -> None:
    bare = account(app_secret=None, verify_token=None)
    assert not bare.capabilities.receipts
    assert WHATSAPP.capabilities.receipts


# Answers


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("reply_accepted", Accepted(WAMID)),
        ("reply_held", Accepted(WAMID)),
        (
            "reply_131047",
            Rejected(
                Reason.WINDOW_CLOSED,
                "131047: Message failed to send because 24 hours have passed.",
                Scope.SENDER,
            ),
        ),
        ("reply_131026", Rejected(Reason.UNREACHABLE, "131026: Message to +1•••0009 could not be delivered.", Scope.RECIPIENT)),
        ("reply_131056", Later("131056: Too many messages to one person in a short time.", None, Scope.SENDER, ill=False)),
        ("reply_130429", Later("130429: Cloud API message throughput has been reached.", None, Scope.ACCOUNT, ill=False)),
        ("reply_131016", Unsure("HTTP 500: 131016: A service is temporarily unavailable.")),
        ("reply_190", Misconfigured("190: The session has expired on Saturday.")),
    ],
)
def test_a_documented_answer_has_its_meaning(name: str, outcome: Outcome) -> None:
    assert WHATSAPP.parse(reply(name)) == outcome


def test_a_number_that_the_token_may_not_use_is_the_operators_to_mend() -> None:
    assert isinstance(WHATSAPP.parse(reply("reply_unknown_number")), Misconfigured)
    other = account(phone_number_id="106540352249999")
    assert isinstance(other.parse(reply("reply_unknown_number")), Rejected)
    assert isinstance(WHATSAPP.parse(refusal(33)), Misconfigured)
    assert isinstance(WHATSAPP.parse(refusal(None, 404)), Misconfigured)


@pytest.mark.parametrize(
    ("code", "reason", "scope"),
    [
        (130472, Reason.REJECTED, Scope.RECIPIENT),
        (130497, Reason.REJECTED, Scope.SENDER),
        (131049, Reason.LIMIT, Scope.RECIPIENT),
        (131050, Reason.OPTED_OUT, Scope.RECIPIENT),
        (131051, Reason.CONTENT, Scope.RECIPIENT),
        (132001, Reason.CONTENT, Scope.SENDER),
        (132005, Reason.TOO_LONG, Scope.RECIPIENT),
        (132015, Reason.CONTENT, Scope.SENDER),
        (100, Reason.CONTENT, Scope.RECIPIENT),
    ],
)
def test_a_permanent_refusal_says_why_and_of_whom(code: int, reason: Reason, scope: Scope) -> None:
    assert WHATSAPP.parse(refusal(code)) == Rejected(reason, f"{code}: so it is", scope)
    assert isinstance(WHATSAPP.parse(refusal(code, 403)), Rejected)


@pytest.mark.parametrize("code", [4, 80007, 130429, 131064, 132069])
def test_too_fast_is_later_and_nobody_is_ill(code: int) -> None:
    for status in (400, 403, 429):
        assert WHATSAPP.parse(refusal(code, status)) == Later(f"{code}: so it is", None, Scope.ACCOUNT, ill=False)


@pytest.mark.parametrize("code", [0, 3, 10, 190, 200, 299, 368, 131005, 131031, 131042, 131048, 133010])
def test_what_is_wrong_with_the_account_is_the_operators_to_mend(code: int) -> None:
    assert WHATSAPP.parse(refusal(code)) == Misconfigured(f"{code}: so it is")


def test_an_ill_service_is_later_and_what_meta_does_not_know_is_unsure() -> None:
    for code in (2, 131016):
        assert WHATSAPP.parse(refusal(code)) == Later(f"{code}: so it is", None, Scope.ACCOUNT, ill=True)
    for code in (1, 131000):
        assert WHATSAPP.parse(refusal(code)) == Unsure(f"{code}: so it is")


@pytest.mark.parametrize("status", [500, 502, 504])
def test_no_code_makes_a_500_certain(status: int) -> None:
    for code in (131026, 130429, 190, 2):
        assert isinstance(WHATSAPP.parse(refusal(code, status)), Unsure)


def test_an_unknown_code_is_a_plain_refusal() -> None:
    assert WHATSAPP.parse(refusal(999999)) == Rejected(Reason.REJECTED, "HTTP 400: 999999: so it is")
    assert isinstance(WHATSAPP.parse(refusal(999999, 429)), Later)
    assert isinstance(WHATSAPP.parse(refusal(131026, 429)), Later)


@pytest.mark.parametrize(
    "error", [None, [], "x", {"code": "131026"}, {"code": True}, {"code": 10**400}, {"code": 1.5, "error_data": 5}]
)
def test_an_error_of_another_shape_falls_back_on_the_status(error: object) -> None:
    assert isinstance(WHATSAPP.parse(json_reply(400, {"error": error})), Rejected)


def test_metas_words_are_the_details_else_the_message() -> None:
    assert WHATSAPP.parse(refusal(131026, error_data={"details": "So and so."})).detail == "131026: So and so."
    for data in ({"details": ""}, {"details": 5}, "x", None):
        assert WHATSAPP.parse(refusal(131026, error_data=data)).detail == "131026: so it is"


# Statuses


@pytest.mark.parametrize(
    ("name", "receipt"),
    [
        ("sent", Receipt(AttemptState.SENT, ATTEMPT, WAMID, None, "sent", NOW)),
        ("delivered", Receipt(AttemptState.DELIVERED, ATTEMPT, WAMID, None, "delivered", NOW)),
        ("read", Receipt(AttemptState.READ, ATTEMPT, WAMID, None, "read", NOW)),
        ("played", Receipt(AttemptState.READ, ATTEMPT, WAMID, None, "played", NOW)),
        (
            "failed",
            Receipt(
                AttemptState.FAILED,
                ATTEMPT,
                WAMID,
                Reason.UNREACHABLE,
                "failed 131026 Message to +1•••0009 could not be delivered.",
                NOW,
            ),
        ),
    ],
)
def test_a_status_becomes_a_receipt(name: str, receipt: Receipt) -> None:
    assert WHATSAPP.events(callback(f"callback_{name}")) == (receipt,)


PERSON = "+15005550009"
MESSAGE = "wamid.HBgLMTUwMDU1NTAwMDkVAgASGBQ"
WROTE = Inbound("whatsapp", PERSON, "Yes please", MESSAGE, NOW)


def wrote(message: dict[str, Any], **value: Any) -> Hook:
    """The documented text message, changed. Other kinds after the pages beside that of its source (button, image …)."""
    body = payload("inbound_text")["body"]
    found = body["entry"][0]["changes"][0]["value"]
    found["messages"][0] = {k: v for k, v in (found["messages"][0] | message).items() if v is not None}
    found.update(value)
    return hook(HOOKS, json.dumps(body).encode())


def pressed(kind: str, **said: str) -> dict[str, Any]:
    return {"type": "interactive", "interactive": {"type": kind, kind: said}, "text": None}


def test_what_a_person_writes_or_presses_is_a_reply_with_the_number_as_we_write_it() -> None:
    assert WHATSAPP.verify(wrote({})) is Verdict.BAD  # nobody signed it
    cases: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({}, {"text": "Yes please"}),
        ({"type": "button", "button": {"text": "No more", "payload": "STOP"}}, {"text": "No more", "payload": "STOP"}),
        (pressed("button_reply", id="stop", title="No more"), {"text": "No more", "payload": "stop"}),
        (pressed("list_reply", id="help", title="Help", description="Words"), {"text": "Help", "payload": "help"}),
        (pressed("nfm_reply", name="flow", response_json="{}"), {}),
        ({"type": "image", "image": {"id": "1", "mime_type": "image/jpeg", "caption": "STOP"}}, {"text": "STOP"}),
        ({"type": "audio", "audio": {"id": "1", "voice": True}}, {}),
        ({"type": "location", "location": {"latitude": 1, "longitude": 2}}, {}),
        ({"type": "unsupported", "errors": [{"code": 131051}]}, {}),
        ({"type": "edit", "edit": {"message": {"type": "text", "text": {"body": "STOP"}}}}, {"text": "STOP"}),
    ]
    for message, words in cases:
        expected = msgspec.structs.replace(WROTE, **({"text": "", "payload": ""} | words))
        assert WHATSAPP.events(wrote(message)) == (expected,), message


def test_reactions_system_messages_and_echoes_are_no_replies() -> None:
    for message in (
        {"type": "reaction", "reaction": {"message_id": WAMID, "emoji": "x"}},
        {"type": "system", "system": {"body": "changed", "type": "user_changed_number"}},
        {"type": "revoke", "revoke": {"original_message_id": WAMID}},
        {"type": "request_welcome"},
        {"group_id": "120363"},
        {"from": "0"},
        {"from": 15005550009},
        {"from": None},
    ):
        assert WHATSAPP.events(wrote(message)) == (), message
    echoes = {"field": "smb_message_echoes", "value": {"message_echoes": [{"from": NUMBER, "to": "15005550009", "type": "text"}]}}
    assert WHATSAPP.events(about({}, **echoes)) == ()


def test_a_message_to_another_number_of_the_app_is_heard_and_is_not_for_this_one_to_answer() -> None:
    other = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "1"}}
    assert WHATSAPP.events(wrote({}, **other)) == (msgspec.structs.replace(WROTE, answered=True),)


def test_messages_statuses_and_switches_of_one_callback_are_all_read() -> None:
    status = {"id": WAMID, "status": "read"}
    found = WHATSAPP.events(wrote({}, statuses=[status, status], user_preferences=[{"wa_id": "x"}]))
    assert [type(event) for event in found] == [Receipt, Receipt, Inbound]


def test_a_switched_preference_is_a_stop_or_a_start_of_marketing() -> None:
    # https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/user_preferences
    switch = {"wa_id": "15005550009", "detail": "User requested it", "category": "marketing_messages", "timestamp": round(NOW)}
    for value, word in (("stop", "stop"), ("resume", "start"), ("signup", "start")):
        told = {"field": "user_preferences", "value": {"user_preferences": [switch | {"value": value}]}}
        (found,) = WHATSAPP.events(about({}, **told))
        assert found == Inbound("whatsapp", PERSON, "User requested it", None, NOW, word, how="preference")  # type: ignore[arg-type]
    for bent in ({"value": "maybe"}, {"value": "stop", "category": "utility"}, {"value": "stop", "wa_id": None}, {"value": []}):
        assert WHATSAPP.events(about({}, field="user_preferences", value={"user_preferences": [switch | bent]})) == ()


def test_the_other_writing_of_a_number_is_the_same_person() -> None:
    for one, other in (
        ("5215512345678", "525512345678"),
        ("5491112345678", "541112345678"),
        ("5511987654321", "551187654321"),
    ):
        for given, twin in ((one, other), (other, one)):
            (found,) = WHATSAPP.events(wrote({"from": given}))
            assert isinstance(found, Inbound)
            assert (found.address, found.aliases) == (f"+{given}", (f"+{twin}",))
    (found,) = WHATSAPP.events(wrote({"from": "+4915112345678"}))
    assert (found.address, found.aliases) == ("+4915112345678", ())  # type: ignore[union-attr]


def test_several_statuses_of_one_callback_are_all_read() -> None:
    body = payload("callback_sent")["body"]
    body["entry"] += payload("callback_read")["body"]["entry"]
    body["entry"][0]["changes"] += payload("callback_delivered")["body"]["entry"][0]["changes"]
    states = [receipt.state for receipt in WHATSAPP.events(hook(HOOKS, json.dumps(body).encode()))]
    assert states == [AttemptState.SENT, AttemptState.DELIVERED, AttemptState.READ]


def test_a_status_without_our_id_is_found_by_its_reference() -> None:
    (receipt,) = WHATSAPP.events(about({"id": WAMID, "status": "failed", "errors": [{"code": 131047}]}))
    assert receipt == Receipt(AttemptState.FAILED, None, WAMID, Reason.WINDOW_CLOSED, "failed 131047")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (131049, Reason.LIMIT),
        (131056, Reason.LIMIT),
        (130429, Reason.LIMIT),
        (131042, Reason.MISCONFIGURED),
        (190, Reason.MISCONFIGURED),
        (131000, Reason.UNKNOWN),
        (131053, Reason.CONTENT),
        (999999, Reason.UNKNOWN),
        (None, Reason.UNKNOWN),
        ("131049", Reason.UNKNOWN),
    ],
)
def test_a_failure_says_why(code: object, reason: Reason) -> None:
    (receipt,) = WHATSAPP.events(about({"id": WAMID, "status": "failed", "errors": [{"code": code}]}))
    assert receipt.reason is reason


@pytest.mark.parametrize(
    "hook_",
    [
        about({"id": WAMID, "status": "warning"}),
        about({"id": WAMID, "status": 5}),
        about({"id": "a b", "status": "sent"}),
        about({"id": WAMID, "status": "sent"}, field="account_update"),
        hook(HOOKS, json.dumps({"object": "page", "entry": payload("callback_sent")["body"]["entry"]}).encode()),
        hook(HOOKS, b'{"object": "whatsapp_business_account", "entry": [5, {"changes": {"field": "messages"}}]}'),
    ],
)
def test_what_is_no_status_of_a_message_is_no_receipt(hook_: Hook) -> None:
    assert WHATSAPP.events(hook_) == ()


@pytest.mark.parametrize("at", [None, 1790000000, "-1", "1e9", "9" * 12, "x"])
def test_a_time_that_can_not_be_read_is_none(at: object) -> None:
    (receipt,) = WHATSAPP.events(about({"id": WAMID, "status": "sent", "timestamp": at}))
    assert receipt.at is None
