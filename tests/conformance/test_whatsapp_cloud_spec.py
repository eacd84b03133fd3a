"""WhatsApp held to Meta's own OpenAPI file of the Cloud API, and to payloads of its webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from openapi_core import Config, OpenAPI
from openapi_core.testing import MockRequest

from sendwright.model.content import MediaItem, WhatsappContent, WhatsappTemplate
from sendwright.providers.contract import Accepted, Action, AttemptState, HttpRequest, Inbound, Media, Outgoing, Receipt, Reply
from sendwright.providers.registry import make
from tests.conformance.kinds import hook, outgoing
from tests.conformance.vendor_specs import vendor_spec

SPEC = "whatsapp/business-messaging-api_v23.0.yaml"
UPDATES = "whatsapp/pywa_updates"
MESSAGES = "/{Version}/{Phone-Number-ID}/messages"
RAW = {
    "kind": "whatsapp_cloud",
    "access_token": "EAAtoken",
    "phone_number_id": "106540352242922",
    "app_secret": "s" * 32,
    "verify_token": "v" * 16,
}
ORDERED = WhatsappContent(template=WhatsappTemplate("order_shipped", "en_GB", ["Ada", "1234"]))
NAMED = WhatsappContent(template=WhatsappTemplate("order_shipped", "de", {"first_name": "Ada"}))
PICTURED = WhatsappContent(template=WhatsappTemplate("t", "de"), media=[MediaItem("https://example.com/a.png")])


def _out(**over: Any) -> Outgoing:
    return outgoing(**({"channel": "whatsapp", "media": ()} | over))


MESSAGES_OUT = {
    "text": _out(),
    "link": _out(body="See https://example.com/"),
    "long": _out(body="é" * 4096),
    "button": _out(actions=(Action("a", "Track", "https://example.com/t"),)),
    "image": _out(media=(Media("https://example.com/a.png"),)),
    "video": _out(media=(Media("https://example.com/a.mp4"),)),
    "sound": _out(body="", title=None, media=(Media("https://example.com/a.ogg"),)),
    "document": _out(media=(Media("https://example.com/a", "application/pdf", "a.pdf"),)),
    "two files": _out(media=(Media("https://example.com/a.png"), Media("https://example.com/b.png"))),
    "template": _out(own=ORDERED),
    "template by name": _out(own=NAMED),
    "template without variables": _out(own=WhatsappContent(template=WhatsappTemplate("t", "de"))),
    "template with a picture": _out(own=PICTURED, media=(Media("https://example.com/a.png"),)),
}


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(vendor_spec(SPEC).read_bytes(), yaml.CSafeLoader)
    return document


@pytest.fixture(scope="module")
def whatsapp(spec: dict[str, Any]) -> OpenAPI:
    """The one path that we use, of a file that is no valid OpenAPI as a whole: it has a section of its own invention, keys that are
    numbers, and branches of `allOf` that each forbid what the others add."""
    components = {name: part for name, part in spec["components"].items() if name != "parameterGroups"}
    document = _mended(spec | {"paths": {MESSAGES: spec["paths"][MESSAGES]}, "components": components})
    return OpenAPI.from_dict(document, config=Config(spec_validator_cls=None))


def _mended(node: Any, branch: bool = False) -> Any:
    if isinstance(node, list):
        return [_mended(item, branch) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        str(key): _mended(value, branch=key == "allOf")
        for key, value in node.items()
        if not (branch and key == "additionalProperties" and value is False)
    }


def as_seen(request: HttpRequest) -> MockRequest:
    headers = dict(request.headers)
    url = urlsplit(request.url)
    return MockRequest(
        f"{url.scheme}://{url.netloc}", "post", url.path, headers=headers, data=request.body, content_type=headers["Content-Type"]
    )


def built(out: Outgoing) -> HttpRequest:
    request = make("main", RAW).build(out)
    assert isinstance(request, HttpRequest)
    return request


@pytest.mark.parametrize("out", MESSAGES_OUT.values(), ids=MESSAGES_OUT)
def test_whatsapp_takes_our_request_by_its_own_spec(whatsapp: OpenAPI, out: Outgoing) -> None:
    whatsapp.validate_request(as_seen(built(out)))


@pytest.mark.parametrize(
    "over",
    [
        {"to": 5},
        {"type": "news"},
        {"recipient_type": "crowd"},
        {"messaging_product": None},
        {"text": "x"},
        {"type": "template", "template": {"name": "t", "language": {"code": "de"}}},
        {"type": "image", "image": {"href": "https://example.com/a.png"}},
    ],
)
def test_whatsapp_refuses_by_its_own_spec_what_is_wrong(whatsapp: OpenAPI, over: dict[str, Any]) -> None:
    request = built(MESSAGES_OUT["text"])
    said = {key: value for key, value in (json.loads(request.body) | over).items() if value is not None}
    with pytest.raises(Exception, match=r"(?i)error|not found"):
        whatsapp.validate_request(as_seen(HttpRequest("POST", request.url, request.headers, json.dumps(said).encode())))


def test_every_example_answer_of_whatsapp_is_acceptance(spec: dict[str, Any]) -> None:
    examples = spec["paths"][MESSAGES]["post"]["responses"]["200"]["content"]["application/json"]["examples"]
    sent = [example["value"] for example in examples.values() if "messages" in example["value"]]
    assert sent
    for value in sent:
        outcome = make("main", RAW).parse(Reply(200, (), json.dumps(value).encode()))
        assert outcome == Accepted(value["messages"][0]["id"])


def _updates() -> Iterator[tuple[str, dict[str, Any]]]:
    """All that were seen, but for one about a group, to which nothing is ever sent: it has no id but a word in its place."""
    for file in sorted(vendor_spec(f"{UPDATES}/message_status.json").parent.glob("*.json")):
        for name, update in json.loads(file.read_bytes()).items():
            if (file.stem, name) != ("message_status", "group"):
                yield f"{file.stem}/{name}", update


def _receipts(update: object) -> list[Receipt]:
    return list(make("main", RAW).receipts(hook("https://notify.example.com/", json.dumps(update).encode())))


def test_every_status_that_was_seen_is_read_and_nothing_else_is_one() -> None:
    known = {"sent": AttemptState.SENT, "delivered": AttemptState.DELIVERED, "read": AttemptState.READ, "played": AttemptState.READ}
    updates = dict(_updates())
    assert len(updates) > 50
    for name, update in updates.items():
        statuses = [s for e in update["entry"] for c in e.get("changes", ()) for s in c["value"].get("statuses", ())]
        expected = [known.get(s["status"], AttemptState.FAILED) for s in statuses if name.startswith("message_status/")]
        assert [receipt.state for receipt in _receipts(update)] == expected, name


def test_the_statuses_that_were_seen_name_their_message() -> None:
    for name, update in _updates():
        if name.startswith("message_status/"):
            assert [receipt.ref for receipt in _receipts(update)] == ["wamid.xyzxyz"], name


def test_every_message_that_was_seen_of_a_person_is_a_reply_and_every_switch_is_one() -> None:
    heard: dict[str, list[Inbound]] = {}
    for name, update in _updates():
        found = make("main", RAW).reports(hook("https://notify.example.com/", json.dumps(update).encode()))
        heard[name] = [event for event in found if isinstance(event, Inbound)]
    assert heard["message/text"][0].text == "Body Text"
    assert [(one.text, one.payload) for one in heard["callback_button/button"]] == [("title", "callback_data")]
    assert [(one.text, one.payload) for one in heard["callback_button/quick_reply"]] == [("title", "callback_data")]
    assert [(one.text, one.payload) for one in heard["callback_selection/callback"]] == [("title", "callback_data")]
    assert [one.word for one in heard["user_marketing_preferences/resume"]] == ["start"]
    for name, found in heard.items():
        silent = name.startswith(("message_status/", "system/", "call_connect", "template_", "account_", "outgoing_", "deleted_"))
        assert not (silent and found), name
        assert all(one.address.startswith("+") for one in found), name
