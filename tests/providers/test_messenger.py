"""Messenger: what is said to the Send API, what its answers, echoes and deliveries mean. Payloads: tests/payloads/messenger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sendwright.errors import SettingsError
from sendwright.model.content import MessengerContent
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
)
from sendwright.providers.meta import GRAPH_VERSION
from sendwright.providers.registry import make
from sendwright.providers.signing import hex_signature
from tests.conformance.kinds import ATTEMPT, NOW, SECRET_MARK, Samples, hook, json_reply, outgoing

PAYLOADS = Path(__file__).parent.parent / "payloads" / "messenger"
PAGE = "682498302938465"
PERSON = "1254477777772919"
MID = "m_AG5Hz2Uq7tuwNEhXfYYKj8mJEM_QPpz5jdCK48PnKAjSdjfipqxqMvK8ma6AC8fplwlqLP_5cgXIbu7I3rBN0P"
RAW = {
    "kind": "messenger",
    "access_token": "EAAtoken0123456789",
    "page_id": PAGE,
    "app_secret": "appsecret0123456789",
    "verify_token": "verify-me-0123456789",
}
OUT = Outgoing("att_1", "msg_1", "messenger", PERSON, "Your code is 481216")
HOOKS = "https://notify.example.com/v1/hooks/page-main"


def samples() -> Samples:
    """For the suite that every kind passes."""
    secrets = {name: f"{SECRET_MARK}-{name}-0123456789" for name in ("access_token", "app_secret", "verify_token")}
    body = json.dumps(payload("callback_echo")["body"]).encode()
    signature = ("x-hub-signature-256", f"sha256={hex_signature(secrets['app_secret'], body)}")
    return Samples(
        raw={"kind": "messenger", "page_id": PAGE, **secrets},
        outgoing=outgoing(channel="messenger", address=PERSON, media=()),
        accepted=reply("reply_accepted"),
        refused_key=reply("reply_190"),
        secrets=tuple(secrets.values()),
        callback=hook(HOOKS, body, signature),
        reply=hook(HOOKS, json.dumps(payload("inbound_text")["body"]).encode()),
        signature_headers=("x-hub-signature-256",),
        extra_replies=(json_reply(200, {"recipient_id": PERSON}), json_reply(200, {"message_id": None})),
    )


def story() -> tuple[Provider, list[Hook]]:
    """What its callbacks may say of one attempt, one after the other."""
    return MESSENGER, [callback(f"callback_{name}") for name in ("echo", "delivery")]


def account(**over: Any) -> Provider:
    return make("page-main", {key: value for key, value in (RAW | over).items() if value is not None})


def payload(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return found


def reply(name: str) -> Reply:
    found = payload(name)
    return json_reply(found["status"], found["body"])


def refusal(code: object, subcode: object = None, status: int = 400) -> Reply:
    error = {"message": "so it is", "code": code, "error_subcode": subcode}
    return json_reply(status, {"error": {key: value for key, value in error.items() if value is not None}})


MESSENGER = account()


def said(**over: Any) -> dict[str, Any]:
    request = MESSENGER.build(msgspec.structs.replace(OUT, **over))
    assert isinstance(request, HttpRequest)
    found: dict[str, Any] = json.loads(request.body)
    return found


def callback(name: str) -> Hook:
    return hook(HOOKS, json.dumps(payload(name)["body"]).encode())


def about(*events: object, among: str = "messaging", told: str = "page") -> Hook:
    return hook(HOOKS, json.dumps({"object": told, "entry": [{"id": PAGE, among: events}]}).encode())


# What is said


def test_a_text_goes_to_the_messages_of_the_page_as_an_update_with_our_id() -> None:
    request = MESSENGER.build(OUT)
    assert isinstance(request, HttpRequest)
    assert (request.method, request.url) == ("POST", f"https://graph.facebook.com/{GRAPH_VERSION}/{PAGE}/messages")
    assert dict(request.headers)["Authorization"] == "Bearer EAAtoken0123456789"
    assert said() == {
        "recipient": {"id": PERSON},
        "messaging_type": "UPDATE",
        "message": {"text": "Your code is 481216", "metadata": "att_1"},
    }


@pytest.mark.parametrize(
    ("item", "sort"),
    [
        (Media("https://x.example/a.png"), "image"),
        (Media("https://x.example/a", "image/gif"), "image"),
        (Media("https://x.example/a.mp4"), "video"),
        (Media("https://x.example/a.mp3"), "audio"),
        (Media("https://x.example/a.pdf"), "file"),
        (Media("https://x.example/a"), "file"),
        (Media("http://[::1"), "file"),
    ],
)
def test_a_file_alone_is_attached_by_its_content_type(item: Media, sort: str) -> None:
    attachment = {"type": sort, "payload": {"url": item.url, "is_reusable": False}}
    assert said(body="", media=(item,))["message"] == {"attachment": attachment, "metadata": "att_1"}


def test_files_beside_a_text_stand_in_it_so_that_nothing_is_half_sent() -> None:
    files = (Media("https://x.example/a.png"), Media("https://x.example/b.png"))
    assert said(media=files[:1])["message"]["text"] == "Your code is 481216\nhttps://x.example/a.png"
    assert said(media=files, body="")["message"]["text"] == "https://x.example/a.png\nhttps://x.example/b.png"


def test_a_title_is_said_where_there_is_no_body() -> None:
    assert said(body="", title="Hello")["message"]["text"] == "Hello"
    assert said(title="Hello")["message"]["text"] == "Your code is 481216"


def test_a_button_is_a_line_with_its_address() -> None:
    actions = (Action("a", "Track it", "https://x.example/t"), Action("b", "Not now"))
    assert said(actions=actions)["message"]["text"] == "Your code is 481216\nTrack it: https://x.example/t"


@pytest.mark.parametrize(
    "over",
    [
        {"address": "+15005550009"},
        {"address": PERSON + "\n"},
        {"address": "١٢٣"},
        {"channel": "instagram"},
        {"body": ""},
        {"body": "\ud800"},
    ],
)
def test_what_the_send_api_has_no_form_for_is_refused_before_it_is_sent(over: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        said(**over)


def test_a_text_that_is_too_long_is_refused_for_that() -> None:
    assert said(body="é" * 2000)["message"]["text"] == "é" * 2000
    with pytest.raises(TooLong):
        said(body="x" * 2001)


@pytest.mark.parametrize(
    ("over", "key"),
    [
        ({"page_id": None}, "page_id"),
        ({"page_id": "me/../x"}, "page_id"),
        ({"access_token": ""}, "access_token"),
        ({"verify_token": None}, "app_secret"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(over: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingsError) as refused:
        account(**over)
    assert [where for where, _ in refused.value.faults] == [f"providers.page-main.{key}"]


# Answers


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("reply_accepted", Accepted(MID)),
        (
            "reply_window",
            Rejected(Reason.WINDOW_CLOSED, "10: (#10) This message is sent outside of allowed window.", Scope.SENDER),
        ),
        ("reply_551", Rejected(Reason.UNREACHABLE, "551: (#551) This person isn't available right now.", Scope.RECIPIENT)),
        ("reply_613", Later("613: (#613) Calls to this API have exceeded the rate limit.", None, Scope.ACCOUNT, ill=False)),
        ("reply_no_user", Rejected(Reason.INVALID_ADDRESS, "100: (#100) No matching user found", Scope.RECIPIENT)),
        (
            "reply_1200",
            Later("1200: (#1200) Temporary send message failure. Please try again later.", None, Scope.ACCOUNT, ill=True),
        ),
        ("reply_190", Misconfigured("190: (#190) Invalid OAuth access token.")),
    ],
)
def test_a_documented_answer_has_its_meaning(name: str, outcome: Outcome) -> None:
    assert MESSENGER.parse(reply(name)) == outcome


@pytest.mark.parametrize(
    ("code", "subcode", "reason", "scope"),
    [
        (10, 2018065, Reason.WINDOW_CLOSED, Scope.SENDER),
        (10, 2018108, Reason.UNREACHABLE, Scope.RECIPIENT),
        (200, 1545041, Reason.UNREACHABLE, Scope.RECIPIENT),
        (551, None, Reason.UNREACHABLE, Scope.RECIPIENT),
        (100, 2018109, Reason.CONTENT, Scope.RECIPIENT),
        (100, None, Reason.CONTENT, Scope.RECIPIENT),
    ],
)
def test_the_subcode_is_read_before_the_code(code: int, subcode: int | None, reason: Reason, scope: Scope) -> None:
    for status in (400, 403):
        assert MESSENGER.parse(refusal(code, subcode, status)) == Rejected(reason, f"{code}: so it is", scope)


@pytest.mark.parametrize(("code", "subcode"), [(10, None), (10, 1893063), (200, 2018028), (230, None), (190, 463), (368, None)])
def test_what_the_token_may_not_do_is_the_operators_to_mend(code: int, subcode: int | None) -> None:
    assert MESSENGER.parse(refusal(code, subcode)) == Misconfigured(f"{code}: so it is")


def test_no_code_makes_a_500_certain_and_a_429_is_always_later() -> None:
    assert isinstance(MESSENGER.parse(refusal(551, None, 500)), Unsure)
    assert isinstance(MESSENGER.parse(refusal(551, None, 429)), Later)
    assert isinstance(MESSENGER.parse(refusal(1, 99)), Unsure)


# Callbacks


@pytest.mark.parametrize(
    ("name", "receipts"),
    [
        ("callback_echo", (Receipt(AttemptState.SENT, ATTEMPT, MID, detail="echo", at=NOW),)),
        ("callback_delivery", (Receipt(AttemptState.DELIVERED, None, MID, detail="delivered", at=NOW),)),
        ("callback_read", ()),
        ("inbound_text", (Inbound("messenger", PERSON, "Yes please", "m_9", 1_790_000_000),)),
    ],
)
def test_a_callback_says_of_messages_what_it_names(name: str, receipts: tuple[Receipt | Inbound, ...]) -> None:
    assert MESSENGER.events(callback(name)) == receipts


def wrote(event: dict[str, Any], **over: Any) -> Hook:
    """By the person, to the page. Kinds of events after the pages beside that of messages (message-echoes, postbacks …)."""
    return about({"sender": {"id": PERSON}, "recipient": {"id": PAGE}, "timestamp": 1_790_000_000_000} | event, **over)


def test_what_a_person_writes_or_presses_is_a_reply() -> None:
    cases: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"message": {"mid": "m_1", "text": "Stop"}}, {"text": "Stop"}),
        (
            {"message": {"mid": "m_1", "text": "No more", "quick_reply": {"payload": "STOP"}}},
            {"text": "No more", "payload": "STOP"},
        ),
        ({"message": {"mid": "m_1", "attachments": [{"type": "image", "payload": {"url": "https://x"}}]}}, {}),
        ({"postback": {"mid": "m_1", "title": "No more", "payload": "STOP"}}, {"text": "No more", "payload": "STOP"}),
        ({"postback": {"mid": "m_1", "title": 5, "payload": {}}}, {}),
    ]
    for event, words in cases:
        assert MESSENGER.events(wrote(event)) == (Inbound("messenger", PERSON, ref="m_1", at=1_790_000_000, **words),), event  # type: ignore[arg-type]


def test_what_is_no_word_of_a_person_is_no_reply() -> None:
    for event in (
        {"reaction": {"mid": MID, "action": "react"}},
        {"read": {"watermark": 1}},
        {"message": {"mid": "m_1", "text": "Hi", "is_echo": True}},
        {"message": {"mid": "m_1", "text": "Hi"}, "sender": {"id": PAGE}},
        {"message": {"mid": "m_1", "text": "Hi"}, "sender": {"id": "a b"}},
        {"message": {}},
        {"message": "Hi"},
    ):
        assert MESSENGER.events(wrote(event)) == (), event


def test_what_is_said_to_another_page_or_while_another_app_leads_is_heard_and_not_for_us_to_answer() -> None:
    message = {"message": {"mid": "m_1", "text": "STOP"}}
    for there in (wrote(message, among="standby"), wrote(message | {"recipient": {"id": "999999"}})):
        (found,) = MESSENGER.events(there)
        assert isinstance(found, Inbound)
        assert (found.text, found.answered) == ("STOP", True)


def test_a_tag_that_the_content_names_goes_along_and_no_other() -> None:
    assert said()["messaging_type"] == "UPDATE"
    assert "tag" not in said(own=MessengerContent(body="Hi"))
    tagged = said(own=MessengerContent(tag="HUMAN_AGENT"))
    assert (tagged["messaging_type"], tagged["tag"]) == ("MESSAGE_TAG", "HUMAN_AGENT")


def test_an_echo_of_what_somebody_else_wrote_for_the_page_is_no_receipt() -> None:
    assert MESSENGER.events(about({"message": {"is_echo": True, "mid": MID}})) == ()
    assert MESSENGER.events(about({"message": {"is_echo": True, "mid": MID, "metadata": "campaign-7"}})) == ()
    assert MESSENGER.events(about({"message": {"mid": MID, "metadata": ATTEMPT}})) == ()


def test_an_echo_is_read_where_another_app_leads_the_conversation() -> None:
    echo = payload("callback_echo")["body"]["entry"][0]["messaging"][0]
    assert [receipt.attempt for receipt in MESSENGER.events(about(echo, among="standby"))] == [ATTEMPT]
    assert MESSENGER.events(about(echo, told="instagram")) == ()


def test_a_delivery_without_names_says_nothing_that_could_be_joined() -> None:
    assert MESSENGER.events(about({"delivery": {"watermark": 1789999999000}})) == ()
    several = MESSENGER.events(about({"delivery": {"mids": ["m_1", "a b", 5, "m_2"]}}))
    assert [receipt.ref for receipt in several] == ["m_1", "m_2"]


@pytest.mark.parametrize("at", [None, True, "1790000000000", -1, 1e300, 10**400])
def test_a_time_that_can_not_be_read_is_none(at: object) -> None:
    (receipt,) = MESSENGER.events(about({"timestamp": at, "delivery": {"mids": ["m_1"]}}))
    assert receipt.at is None
