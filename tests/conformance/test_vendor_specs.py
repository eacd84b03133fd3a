"""Adapters held to what the vendors publish in a form that machines read. See vendor_specs.py for where that lies."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest

from sendwright.providers.contract import Accepted, Hook, HttpRequest, Media, Outgoing, Reply
from sendwright.providers.registry import make
from tests.conformance.kinds import ATTEMPT, outgoing
from tests.conformance.vendor_specs import vendor_spec

TWILIO_SPEC = "twilio/twilio_api_v2010.json"
MESSAGES = "/2010-04-01/Accounts/{AccountSid}/Messages.json"
MESSAGE = "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json"
RAW = {"kind": "twilio", "account_sid": "AC" + "0" * 32, "auth_token": "t" * 32, "from": "+15005550006"}
SERVICE = {"kind": "twilio", "account_sid": "AC" + "0" * 32, "auth_token": "t", "messaging_service_sid": "MG" + "0" * 32}
KEYED = RAW | {"api_key_sid": "SK" + "0" * 32, "api_key_secret": "s"}

MESSAGES_OUT = {
    "text": outgoing(media=()),
    "media": outgoing(body="", title=None, media=(Media("https://example.com/a.png"), Media("https://example.com/b.png"))),
    "bare": Outgoing(ATTEMPT, "msg_1", "sms", "+15005550009", "x"),
    "long": outgoing(body="é" * 1600, media=()),
    "brief": outgoing(ttl_s=1),
    "named": outgoing(sender="Shop"),
}


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(vendor_spec(TWILIO_SPEC).read_bytes())
    return document


@pytest.fixture(scope="module")
def twilio(spec: dict[str, Any]) -> OpenAPI:
    """The paths that we use: judging the whole file takes seconds."""
    return OpenAPI.from_dict(spec | {"paths": {path: spec["paths"][path] for path in (MESSAGES, MESSAGE)}})


def as_seen(request: HttpRequest) -> MockRequest:
    headers = dict(request.headers)
    url = urlsplit(request.url)
    return MockRequest(
        f"{url.scheme}://{url.netloc}",
        request.method.lower(),
        url.path,
        headers=headers,
        data=request.body,
        content_type=headers.get("Content-Type", ""),
    )


@pytest.mark.parametrize("raw", [RAW, SERVICE, KEYED], ids=["from", "service", "key pair"])
@pytest.mark.parametrize("out", MESSAGES_OUT.values(), ids=MESSAGES_OUT)
def test_twilio_takes_our_request_by_its_own_spec(twilio: OpenAPI, raw: dict[str, Any], out: Outgoing) -> None:
    request = make("main", raw).build(out)
    assert isinstance(request, HttpRequest)
    twilio.validate_request(as_seen(request))


@pytest.mark.parametrize("raw", [RAW, KEYED], ids=["from", "key pair"])
def test_twilio_takes_our_look_up_by_its_own_spec(twilio: OpenAPI, raw: dict[str, Any]) -> None:
    request = make("main", raw).lookup("SM" + "0" * 32)
    assert isinstance(request, HttpRequest)
    twilio.validate_request(as_seen(request))


def test_every_example_of_twilio_that_is_looked_up_is_read(spec: dict[str, Any]) -> None:
    examples = spec["paths"][MESSAGE]["get"]["responses"]["200"]["content"]["application/json"]["examples"]
    assert examples
    provider = make("main", RAW)
    for example in examples.values():
        receipt = provider.told(Reply(200, (), json.dumps(example["value"]).encode()))
        assert (receipt is not None) == (example["value"]["status"] in {"delivered", "undelivered", "failed", "read", "canceled"})


def test_twilio_refuses_by_its_own_spec_what_is_wrong(twilio: OpenAPI) -> None:
    request = make("main", RAW).build(outgoing())
    assert isinstance(request, HttpRequest)
    for body, url in (
        (b"Body=x", request.url),
        (b"To=%2B1500&ValidityPeriod=soon", request.url),
        (request.body, request.url[:-7] + "x"),
    ):
        with pytest.raises(Exception, match=r"(?i)error|not found"):
            twilio.validate_request(as_seen(HttpRequest("POST", url, request.headers, body)))


def test_we_send_no_parameter_that_twilio_does_not_know(spec: dict[str, Any]) -> None:
    form = spec["paths"][MESSAGES]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    for raw in (RAW, SERVICE):
        for out in MESSAGES_OUT.values():
            request = make("main", raw).build(out)
            assert isinstance(request, HttpRequest)
            names = {pair.split("=")[0] for pair in request.body.decode().split("&")}
            assert names <= set(form["properties"])


def test_every_example_answer_of_twilio_is_acceptance(spec: dict[str, Any]) -> None:
    examples = spec["paths"][MESSAGES]["post"]["responses"]["201"]["content"]["application/json"]["examples"]
    assert examples
    provider = make("main", RAW)
    for example in examples.values():
        outcome = provider.parse(Reply(201, (), json.dumps(example["value"]).encode()))
        assert outcome == Accepted(example["value"]["sid"])


def test_every_status_of_twilio_is_decided(spec: dict[str, Any]) -> None:
    inbound = {"receiving", "received"}
    provider = make("main", RAW)
    for status in spec["components"]["schemas"]["message_enum_status"]["enum"]:
        body = f"MessageSid=SM1&MessageStatus={status}".encode()
        receipts = provider.events(Hook("POST", "https://x/", (), (), body, 0.0))
        assert (receipts == ()) == (status in inbound), status
