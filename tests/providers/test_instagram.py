"""Instagram: what is said to the Send API, what its answers and readings mean. Payloads: tests/payloads/instagram."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sendwright.errors import SettingsError
from sendwright.model.content import InstagramContent
from sendwright.providers.contract import (
    Accepted,
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
)
from sendwright.providers.meta import GRAPH_VERSION
from sendwright.providers.registry import make
from sendwright.providers.signing import hex_signature
from tests.conformance.kinds import NOW, SECRET_MARK, Samples, hook, json_reply, outgoing

PAYLOADS = Path(__file__).parent.parent / "payloads" / "instagram"
ACCOUNT = "17841400008460056"
PERSON = "1535148674817116"
RAW = {
    "kind": "instagram",
    "access_token": "IGAAtoken0123456789",
    "account_id": ACCOUNT,
    "app_secret": "appsecret0123456789",
    "verify_token": "verify-me-0123456789",
}
OUT = Outgoing("att_1", "msg_1", "instagram", PERSON, "Your code is 481216")
HOOKS = "https://notify.example.com/v1/hooks/ig-main"


def payload(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return found


MID: str = payload("reply_accepted")["body"]["message_id"]


def samples() -> Samples:
    """For the suite that every kind passes."""
    secrets = {name: f"{SECRET_MARK}-{name}-0123456789" for name in ("access_token", "app_secret", "verify_token")}
    body = json.dumps(payload("callback_seen")["body"]).encode()
    signature = ("x-hub-signature-256", f"sha256={hex_signature(secrets['app_secret'], body)}")
    return Samples(
        raw={"kind": "instagram", "account_id": ACCOUNT, **secrets},
        outgoing=outgoing(channel="instagram", address=PERSON, media=()),
        accepted=reply("reply_accepted"),
        refused_key=reply("reply_190"),
        secrets=tuple(secrets.values()),
        callback=hook(HOOKS, body, signature),
        reply=hook(HOOKS, json.dumps(payload("inbound_text")["body"]).encode()),
        reports=MID,
        signature_headers=("x-hub-signature-256",),
        extra_replies=(json_reply(200, {"recipient_id": PERSON}), json_reply(200, {"message_id": ""})),
    )


def story() -> tuple[Provider, list[Hook]]:
    """What its callbacks may say of one attempt, one after the other."""
    return INSTAGRAM, [callback(f"callback_{name}") for name in ("echo", "seen")]


def account(**over: Any) -> Provider:
    return make("ig-main", {key: value for key, value in (RAW | over).items() if value is not None})


def reply(name: str) -> Reply:
    found = payload(name)
    return json_reply(found["status"], found["body"])


def refusal(code: object, subcode: object = None, status: int = 400) -> Reply:
    error = {"message": "so it is", "code": code, "error_subcode": subcode}
    return json_reply(status, {"error": {key: value for key, value in error.items() if value is not None}})


INSTAGRAM = account()


def said(**over: Any) -> dict[str, Any]:
    request = INSTAGRAM.build(msgspec.structs.replace(OUT, **over))
    assert isinstance(request, HttpRequest)
    found: dict[str, Any] = json.loads(request.body)
    return found


def callback(name: str) -> Hook:
    return hook(HOOKS, json.dumps(payload(name)["body"]).encode())


def test_a_text_goes_to_the_messages_of_the_account() -> None:
    request = INSTAGRAM.build(OUT)
    assert isinstance(request, HttpRequest)
    assert (request.method, request.url) == ("POST", f"https://graph.instagram.com/{GRAPH_VERSION}/{ACCOUNT}/messages")
    assert said() == {"recipient": {"id": PERSON}, "message": {"text": "Your code is 481216"}}


def test_an_account_behind_a_page_is_called_where_pages_are() -> None:
    request = account(base_url="https://graph.facebook.com").build(OUT)
    assert isinstance(request, HttpRequest)
    assert request.url == f"https://graph.facebook.com/{GRAPH_VERSION}/{ACCOUNT}/messages"


@pytest.mark.parametrize(("ending", "sort"), [("png", "image"), ("mp4", "video"), ("m4a", "audio")])
def test_a_file_alone_is_attached_by_its_content_type(ending: str, sort: str) -> None:
    item = Media(f"https://x.example/a.{ending}")
    attachment = {"type": sort, "payload": {"url": item.url, "is_reusable": False}}
    assert said(body="", media=(item,))["message"] == {"attachment": attachment}


def test_a_document_and_what_stands_beside_a_text_is_an_address_in_it() -> None:
    for ending in ("pdf", "gif", "mp3"):
        assert said(body="", media=(Media(f"https://x.example/a.{ending}"),))["message"] == {
            "text": f"https://x.example/a.{ending}"
        }
    assert said(media=(Media("https://x.example/a.png"),))["message"] == {"text": "Your code is 481216\nhttps://x.example/a.png"}


@pytest.mark.parametrize(
    "over", [{"address": "@ada"}, {"address": "1 2"}, {"channel": "messenger"}, {"body": ""}, {"body": "\ud800"}]
)
def test_what_the_send_api_has_no_form_for_is_refused_before_it_is_sent(over: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        said(**over)


def test_a_text_has_a_thousand_bytes_at_the_most() -> None:
    assert said(body="é" * 500)["message"]["text"] == "é" * 500
    for body in ("x" * 1001, "é" * 501, "🎉" * 251):
        with pytest.raises(TooLong):
            said(body=body)


@pytest.mark.parametrize(("over", "key"), [({"account_id": None}, "account_id"), ({"account_id": "me"}, "account_id")])
def test_settings_that_contradict_themselves_are_refused(over: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingsError) as refused:
        account(**over)
    assert [where for where, _ in refused.value.faults] == [f"providers.ig-main.{key}"]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (reply("reply_accepted"), Accepted(MID)),
        (
            reply("reply_window"),
            Rejected(Reason.WINDOW_CLOSED, "10: This message is sent outside of allowed window.", Scope.SENDER),
        ),
        (refusal(10, 2018278), Rejected(Reason.WINDOW_CLOSED, "10: so it is", Scope.SENDER)),
        (refusal(100, 2534014), Rejected(Reason.INVALID_ADDRESS, "100: so it is", Scope.RECIPIENT)),
        (refusal(551), Rejected(Reason.UNREACHABLE, "551: so it is", Scope.RECIPIENT)),
        (refusal(613), Later("613: so it is", None, Scope.ACCOUNT, ill=False)),
        (refusal(1200), Later("1200: so it is", None, Scope.ACCOUNT, ill=True)),
        (refusal(10, None, 403), Misconfigured("10: so it is")),
        (reply("reply_190"), Misconfigured("190: (#190) Invalid OAuth access token.")),
    ],
)
def test_an_answer_has_its_meaning(answer: Reply, outcome: Outcome) -> None:
    assert INSTAGRAM.parse(answer) == outcome


@pytest.mark.parametrize(
    ("name", "receipts"),
    [
        ("callback_seen", (Receipt(AttemptState.READ, None, MID, detail="read", at=NOW),)),
        ("callback_echo", ()),
        ("inbound_text", (Inbound("instagram", PERSON, "Yes please", "aWdf", 1_790_000_000),)),
    ],
)
def test_a_reading_names_its_message_and_nothing_else_does(name: str, receipts: tuple[Receipt | Inbound, ...]) -> None:
    assert INSTAGRAM.events(callback(name)) == receipts


def test_pictures_postbacks_and_quick_replies_are_replies_and_what_was_taken_back_is_none() -> None:
    body = payload("inbound_text")["body"]
    event = body["entry"][0]["messaging"][0]
    for said, words in (
        ({"message": {"mid": "m", "attachments": [{"type": "image"}]}}, ("", "")),
        ({"message": {"mid": "m", "text": "No", "quick_reply": {"payload": "STOP"}}}, ("No", "STOP")),
        ({"postback": {"mid": "m", "title": "Help", "payload": "HELP"}}, ("Help", "HELP")),
        ({"message": {"mid": "m", "is_deleted": True}}, None),
        ({"message": {"mid": "m", "text": "Hi", "is_echo": True}}, None),
        ({"message": {"mid": "m", "text": "Hi", "is_self": True}}, None),
        ({"reaction": {"mid": "m"}}, None),
    ):
        body["entry"][0]["messaging"] = [{k: v for k, v in event.items() if k != "message"} | said]
        found = [(each.text, each.payload) for each in INSTAGRAM.events(hook(HOOKS, json.dumps(body).encode()))]  # type: ignore[union-attr]
        assert found == ([] if words is None else [words]), said


def test_the_tag_for_human_agents_goes_along_where_the_content_names_it() -> None:
    assert "messaging_type" not in said()
    tagged = said(own=InstagramContent(tag="HUMAN_AGENT"))
    assert (tagged["messaging_type"], tagged["tag"]) == ("MESSAGE_TAG", "HUMAN_AGENT")


def test_a_page_is_not_this_account() -> None:
    body = payload("callback_seen")["body"] | {"object": "page"}
    assert INSTAGRAM.events(hook(HOOKS, json.dumps(body).encode())) == ()
