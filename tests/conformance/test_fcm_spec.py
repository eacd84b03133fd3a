"""FCM's requests, judged by Google's own description of its API. See vendor_specs.py for where that lies."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from sendwright.model.content import PushContent
from sendwright.providers.contract import Action, HttpRequest, Media, Outgoing
from sendwright.providers.registry import make
from tests.conformance.vendor_specs import vendor_spec
from tests.providers.test_fcm import FCM, RAW, out

OWN = PushContent(image="https://example.com/i.png", sound="ping", badge=3, collapse_key="k" * 80, data={"a": "1", "b": ""})
MESSAGES = {
    "text": out(),
    "bare": out(title=None, ttl_s=None),
    "data": out(title=None, body="", own=PushContent(data={"sync": "1"})),
    "picture": out(media=(Media("https://example.com/b.png", "image/png"),)),
    "everything": out(own=OWN, url="https://example.com/", actions=(Action("a", "A"),), priority="critical"),
    "bulk": out(own=OWN, url="app://x", priority="bulk"),
}


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vendor_spec("google/fcm.v1.json").read_bytes())
    return found


@pytest.fixture(scope="module")
def judge(spec: dict[str, Any]) -> jsonschema_rs.Validator:
    """The discovery document's schemas as JSON Schema; a member that they don't name is a fault."""
    schemas = {name: as_json_schema(schema) for name, schema in spec["schemas"].items()}
    return jsonschema_rs.validator_for({"$ref": "#/$defs/SendMessageRequest", "$defs": schemas})


def as_json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """One schema of a discovery document, which says `any` where JSON Schema says nothing, and has references of its own."""
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    made: dict[str, Any] = {} if schema.get("type") in (None, "any") else {"type": schema["type"]}
    if "enum" in schema:
        made["enum"] = schema["enum"]
    if "items" in schema:
        made["items"] = as_json_schema(schema["items"])
    if "properties" in schema:
        made["properties"] = {name: as_json_schema(inner) for name, inner in schema["properties"].items()}
        made["additionalProperties"] = False
    if "additionalProperties" in schema:
        made["additionalProperties"] = as_json_schema(schema["additionalProperties"])
    return made


def body_of(message: Outgoing) -> Any:
    request = FCM.build(message)
    assert isinstance(request, HttpRequest)
    return json.loads(request.body)


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_google_takes_our_message_by_its_own_description(judge: jsonschema_rs.Validator, message: Outgoing) -> None:
    assert [f"{error.instance_path} {error.message}" for error in judge.iter_errors(body_of(message))] == []


def test_google_refuses_by_its_own_description_what_is_wrong(judge: jsonschema_rs.Validator) -> None:
    good = body_of(MESSAGES["everything"])
    for bend in (
        {"data": {"a": 1}},
        {"android": {"collapse_key": "x"}},
        {"android": {"priority": "high"}},
        {"android": {"notification": {"notificationCount": "3"}}},
        {"apns": {"headers": {"apns-priority": 10}}},
        {"webpush": {"fcm_options": {}}},
    ):
        assert not judge.is_valid({"message": good["message"] | bend}), bend


def test_our_request_goes_where_google_says(spec: dict[str, Any]) -> None:
    method = spec["resources"]["projects"]["resources"]["messages"]["methods"]["send"]
    request = make("main", RAW).build(out())
    assert isinstance(request, HttpRequest)
    assert (request.method, method["flatPath"]) == (method["httpMethod"], "v1/projects/{projectsId}/messages:send")
    assert request.url == spec["rootUrl"] + method["flatPath"].replace("{projectsId}", "my-project-1234")
    assert "https://www.googleapis.com/auth/firebase.messaging" in method["scopes"]
