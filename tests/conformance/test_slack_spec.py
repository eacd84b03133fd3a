"""Slack held to its own OpenAPI file of the Web API. See vendor_specs.py for where it lies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft4Validator

from sendwright.model.content import SlackContent
from sendwright.providers.contract import Accepted, Action, HttpRequest, Later, Media, Misconfigured, Outgoing, Rejected, Reply
from sendwright.providers.registry import make
from tests.conformance.kinds import outgoing
from tests.conformance.vendor_specs import vendor_spec

SPEC = "slack/slack_web_openapi_v2_without_examples.json"
POST = "/chat.postMessage"
RAW = {"kind": "slack", "bot_token": "xoxb-0123456789"}
PLAIN = {"string": str, "boolean": bool}


def _out(**over: Any) -> Outgoing:
    return outgoing(**({"channel": "slack", "address": "C123ABC456", "media": ()} | over))


MESSAGES_OUT = {
    "text": _out(),
    "long": _out(body="é" * 40_000),
    "blocks": _out(own=SlackContent(blocks=[{"type": "divider"}])),
    "picture": _out(media=(Media("https://example.com/a.png"),)),
    "button": _out(actions=(Action("a", "Track", "https://example.com/t"),)),
}


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(vendor_spec(SPEC).read_bytes())
    return document


def schema(spec: dict[str, Any], status: str) -> dict[str, Any]:
    found: dict[str, Any] = spec["paths"][POST]["post"]["responses"][status]["schema"]
    return found | {"definitions": spec["definitions"]}


def faults(spec: dict[str, Any], said: dict[str, Any]) -> list[str]:
    """What is wrong with a request. The file describes a form, where what is more than a text is JSON in a text; in a body
    of JSON, which the file names beside it, that is the thing itself."""
    known = {field["name"]: field for field in spec["paths"][POST]["post"]["parameters"] if field["in"] == "formData"}
    found = [f"{name} is unknown" for name in said if name not in known]
    found += [f"{name} is missing" for name, field in known.items() if field.get("required") and name not in said]
    for name, value in said.items():
        inner = isinstance(value, list) and "JSON" in known.get(name, {}).get("description", "")
        if name in known and not inner and type(value) is not PLAIN[known[name]["type"]]:
            found.append(f"{name} is no {known[name]['type']}")
    return found


@pytest.mark.parametrize("out", MESSAGES_OUT.values(), ids=MESSAGES_OUT)
def test_slack_takes_our_request_by_its_own_spec(spec: dict[str, Any], out: Outgoing) -> None:
    request = make("main", RAW).build(out)
    assert isinstance(request, HttpRequest)
    said = json.loads(request.body)
    content_type = dict(request.headers)["Content-Type"].partition(";")[0]
    assert request.url == f"https://{spec['host']}{spec['basePath']}{POST}"
    assert content_type in spec["paths"][POST]["post"]["consumes"]
    assert faults(spec, said) == []
    Draft4Validator(spec["definitions"]["blocks"]).validate(said.get("blocks", []))
    Draft4Validator(spec["definitions"]["defs_channel"]).validate(said["channel"])


@pytest.mark.parametrize("over", [{"channel": None}, {"text": 5}, {"body": "x"}, {"text": ["x"]}])
def test_slack_refuses_by_its_own_spec_what_is_wrong(spec: dict[str, Any], over: dict[str, Any]) -> None:
    request = make("main", RAW).build(MESSAGES_OUT["text"])
    assert isinstance(request, HttpRequest)
    assert faults(spec, {key: value for key, value in (json.loads(request.body) | over).items() if value is not None})


def test_an_answer_that_its_own_spec_takes_is_acceptance(spec: dict[str, Any]) -> None:
    message = {"type": "message", "text": "x", "ts": "1503435956.000247", "user": "U123ABC456", "team": "T123ABC456"}
    answer = {"ok": True, "channel": "C123ABC456", "ts": "1503435956.000247", "message": message}
    Draft4Validator(schema(spec, "200")).validate(answer)
    assert make("main", RAW).parse(Reply(200, (), json.dumps(answer).encode())) == Accepted("1503435956.000247")


def test_every_error_of_its_own_spec_is_decided(spec: dict[str, Any]) -> None:
    words = schema(spec, "default")["properties"]["error"]["enum"]
    assert len(words) > 10
    provider = make("main", RAW)
    for word in words:
        answer = {"ok": False, "error": word}
        Draft4Validator(schema(spec, "default")).validate(answer)
        outcome = provider.parse(Reply(200, (), json.dumps(answer).encode()))
        assert isinstance(outcome, Rejected | Later | Misconfigured)
        assert outcome.detail == word
        # in the tables, and not by the fallback alone: that would not change with the status
        assert isinstance(provider.parse(Reply(404, (), json.dumps(answer).encode())), type(outcome)), word
