"""SendGrid's adapter held to SendGrid's own OpenAPI. See vendor_specs.py for where that lies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import structs
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest

from sendwright.model.content import Attachment, EmailContent
from sendwright.providers.contract import HttpRequest, Outgoing, Rejected, Reply
from sendwright.providers.registry import make
from tests.conformance.kinds import ATTEMPT, outgoing
from tests.conformance.vendor_specs import vendor_spec

MAIL_SPEC = "sendgrid/tsg_mail_v3.json"
SEND = "/v3/mail/send"
RAW = {"kind": "sendgrid", "api_key": "SG.key-0123456789", "from": "Shop <shop@example.com>"}
EVERYTHING = EmailContent(
    reply_to="Support <help@example.com>",
    cc=["Bob <bob@example.com>"],
    bcc=["archive@example.com"],
    headers={"X-Order": "7"},
    attachments=[Attachment("a.pdf", "JVBERi0=", "application/pdf")],
)
MAILS = {
    "bare": Outgoing(ATTEMPT, "msg_1", "email", "ada@example.com", "x"),
    "html": outgoing(channel="email", address="ada@example.com", html="<p>é</p>"),
    "html alone": Outgoing(ATTEMPT, "msg_1", "email", "ada@example.com", "", title="t", html="<p>é</p>"),
    "everything": outgoing(channel="email", address="ada@example.com", own=EVERYTHING, sender="Orders <orders@example.com>"),
}


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(vendor_spec(MAIL_SPEC).read_bytes())
    return document


@pytest.fixture(scope="module")
def sendgrid(spec: dict[str, Any]) -> OpenAPI:
    return OpenAPI.from_dict(spec | {"paths": {SEND: spec["paths"][SEND]}})


def as_seen(request: HttpRequest, body: bytes | None = None) -> MockRequest:
    headers = dict(request.headers)
    data = request.body if body is None else body
    return MockRequest(
        "https://api.sendgrid.com", request.method.lower(), SEND, headers=headers, data=data, content_type=headers["Content-Type"]
    )


def built(out: Outgoing) -> HttpRequest:
    request = make("main", RAW).build(out)
    assert isinstance(request, HttpRequest)
    assert request.url == "https://api.sendgrid.com" + SEND
    return request


@pytest.mark.parametrize("out", MAILS.values(), ids=MAILS)
def test_sendgrid_takes_our_request_by_its_own_spec(sendgrid: OpenAPI, out: Outgoing) -> None:
    sendgrid.validate_request(as_seen(built(out)))


def test_sendgrid_takes_a_call_for_a_thousand_messages(sendgrid: OpenAPI) -> None:
    outs = [structs.replace(MAILS["html"], attempt=f"att_{number}", address=f"guest{number}@example.com") for number in range(1000)]
    request = make("main", RAW).build_all(outs)
    assert isinstance(request, HttpRequest)
    sendgrid.validate_request(as_seen(request))


@pytest.mark.parametrize("out", MAILS.values(), ids=MAILS)
def test_we_send_no_member_that_sendgrid_does_not_know(spec: dict[str, Any], out: Outgoing) -> None:
    schema = spec["components"]["requestBodies"]["PostMailSend"]["content"]["application/json"]["schema"]
    said = json.loads(built(out).body)
    assert set(said) <= set(schema["properties"])
    for envelope in said["personalizations"]:
        assert set(envelope) <= set(schema["properties"]["personalizations"]["items"]["properties"])
    for file in said.get("attachments", []):
        assert set(file) <= set(schema["properties"]["attachments"]["items"]["properties"])


@pytest.mark.parametrize(
    "body", [b"{}", b'{"personalizations": []}', b'{"from": {"email": "a@example.com"}, "personalizations": [{"cc": []}]}']
)
def test_sendgrid_refuses_by_its_own_spec_what_is_wrong(sendgrid: OpenAPI, body: bytes) -> None:
    with pytest.raises(Exception, match=r"(?i)error|not valid"):
        sendgrid.validate_request(as_seen(built(MAILS["bare"]), body))


def test_every_status_that_sendgrid_names_is_decided(spec: dict[str, Any]) -> None:
    provider = make("main", RAW)
    meanings = {status: provider.parse(Reply(int(status))) for status in spec["paths"][SEND]["post"]["responses"]}
    assert {status for status, outcome in meanings.items() if isinstance(outcome, Rejected)} == {"400", "413"}
