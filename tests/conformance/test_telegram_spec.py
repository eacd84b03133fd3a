"""Telegram held to a machine-readable copy of the Bot API's own page. See vendor_specs.py for where it lies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sendwright.providers.contract import Action, HttpRequest, Media, Outgoing
from sendwright.providers.registry import make
from tests.conformance.kinds import outgoing
from tests.conformance.vendor_specs import vendor_spec

SPEC = "telegram/api.json"
RAW = {"kind": "telegram", "bot_token": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"}
PLAIN = {"Integer": int, "String": str, "Boolean": bool, "True": bool, "Float": float}


def _out(**over: Any) -> Outgoing:
    return outgoing(**({"channel": "telegram", "address": "1111111", "media": ()} | over))


BUTTONS = (Action("a", "Track", "https://example.com/t"), Action("b", "Help", "https://example.com/h"))
MESSAGES_OUT = {
    "text": _out(),
    "long": _out(body="é" * 4096),
    "public channel": _out(address="@shop_news"),
    "group": _out(address="-1001234567890"),
    "buttons": _out(actions=BUTTONS),
    **{
        ending: _out(media=(Media(f"https://example.com/a.{ending}"),), actions=BUTTONS)
        for ending in ("png", "gif", "mp4", "mp3", "pdf", "docx")
    },
    "picture alone": _out(body="", title=None, media=(Media("https://example.com/a.png"),)),
}


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(vendor_spec(SPEC).read_bytes())
    return document


def faults(spec: dict[str, Any], fields: list[dict[str, Any]], said: dict[str, Any], where: str) -> list[str]:
    """What is wrong with an object, by the fields that it may have."""
    known = {field["name"]: field for field in fields}
    found = [f"{where}.{name} is unknown" for name in said if name not in known]
    found += [f"{where}.{name} is missing" for name, field in known.items() if field["required"] and name not in said]
    for name, value in said.items():
        if name in known and not any(fits(spec, kind, value) for kind in known[name]["types"]):
            found.append(f"{where}.{name} is none of {known[name]['types']}")
    return found


def fits(spec: dict[str, Any], kind: str, value: object) -> bool:
    if kind.startswith("Array of "):
        return isinstance(value, list) and all(fits(spec, kind.removeprefix("Array of "), item) for item in value)
    if kind in PLAIN:
        return type(value) is PLAIN[kind]
    return isinstance(value, dict) and not faults(spec, spec["types"].get(kind, {}).get("fields", []), value, kind)


def judged(spec: dict[str, Any], request: HttpRequest) -> list[str]:
    method = request.url.rpartition("/")[2]
    assert request.url == f"https://api.telegram.org/bot{RAW['bot_token']}/{method}"
    return faults(spec, spec["methods"][method]["fields"], json.loads(request.body), method)


@pytest.mark.parametrize("out", MESSAGES_OUT.values(), ids=MESSAGES_OUT)
def test_telegram_takes_our_request_by_its_own_page(spec: dict[str, Any], out: Outgoing) -> None:
    request = make("main", RAW).build(out)
    assert isinstance(request, HttpRequest)
    assert judged(spec, request) == []


@pytest.mark.parametrize(
    "over",
    [
        {"chat_id": None},
        {"text": None},
        {"text": 5},
        {"body": "x"},
        {"reply_markup": {"inline_keyboard": [{"text": "x"}]}},
        {"reply_markup": {"inline_keyboard": [[{"label": "x"}]]}},
    ],
)
def test_telegram_refuses_by_its_own_page_what_is_wrong(spec: dict[str, Any], over: dict[str, Any]) -> None:
    request = make("main", RAW).build(MESSAGES_OUT["text"])
    assert isinstance(request, HttpRequest)
    said = {key: value for key, value in (json.loads(request.body) | over).items() if value is not None}
    assert judged(spec, HttpRequest("POST", request.url, request.headers, json.dumps(said).encode()))


def test_the_limits_are_those_of_its_own_page(spec: dict[str, Any]) -> None:
    said = {
        name: next(field["description"] for field in spec["methods"][method]["fields"] if field["name"] == name)
        for method, name in (("sendMessage", "text"), ("sendPhoto", "caption"))
    }
    assert "1-4096 characters" in said["text"]
    assert "0-1024 characters" in said["caption"]


def test_what_a_refusal_may_name_is_what_we_read(spec: dict[str, Any]) -> None:
    names = {field["name"] for field in spec["types"]["ResponseParameters"]["fields"]}
    assert names == {"migrate_to_chat_id", "retry_after"}
