"""Amazon SES's adapter held to AWS's own model of the service, by botocore and without a network. See vendor_specs.py."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.model import ServiceModel
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator

from sendwright.model.content import Attachment, EmailContent
from sendwright.providers.contract import HttpRequest, Later, Misconfigured, Outgoing, Rejected, Reply
from sendwright.providers.registry import make
from tests.conformance.kinds import ATTEMPT, NOW, outgoing
from tests.conformance.vendor_specs import vendor_spec

MODEL = "aws/sesv2-2019-09-27.service-2.json"
KEYS = {"access_key_id": "AKIDEXAMPLE0123456", "secret_access_key": "secret-key-0123456789"}
RAW = {"kind": "ses", "region": "eu-central-1", "from": "Shop <shop@example.com>", "configuration_set": "mails"} | KEYS
EVERYTHING = EmailContent(
    reply_to="Support <help@example.com>",
    cc=["Zoë <bob@example.com>"],
    bcc=["archive@example.com"],
    headers={"X-Order": "7", "X-Name": "Zoë " * 40},
    attachments=[Attachment("a.pdf", "JVBERi0=", "application/pdf")],
)
MAILS = {
    "bare": Outgoing(ATTEMPT, "msg_1", "email", "ada@example.com", "x", now=NOW),
    "html": outgoing(channel="email", address="ada@example.com", html="<p>é</p>", now=NOW),
    "html alone": Outgoing(ATTEMPT, "msg_1", "email", "ada@example.com", "", title="t", html="<p>é</p>", now=NOW),
    "everything": outgoing(channel="email", address="ada@example.com", own=EVERYTHING, sender="orders@example.com", now=NOW),
}

mails = pytest.mark.parametrize("out", MAILS.values(), ids=MAILS)


@pytest.fixture(scope="module")
def model() -> ServiceModel:
    return ServiceModel(json.loads(vendor_spec(MODEL).read_bytes()), "sesv2")


def built(out: Outgoing, **over: Any) -> HttpRequest:
    request = make("main", RAW | over).build(out)
    assert isinstance(request, HttpRequest)
    return request


@mails
def test_ses_takes_our_request_by_its_own_model(model: ServiceModel, out: Outgoing) -> None:
    report = ParamValidator().validate(json.loads(built(out).body), model.operation_model("SendEmail").input_shape)
    assert not report.has_errors(), report.generate_report()


@mails
def test_our_request_is_the_one_that_botocore_writes(model: ServiceModel, out: Outgoing) -> None:
    request = built(out)
    said = json.loads(request.body)
    files = said["Content"]["Simple"].get("Attachments", [])
    params = json.loads(request.body)
    for file in params["Content"]["Simple"].get("Attachments", []):
        file["RawContent"] = base64.b64decode(file["RawContent"])
    theirs = create_serializer("rest-json").serialize_to_request(params, model.operation_model("SendEmail"))
    assert (theirs["method"], theirs["url_path"]) == (request.method, urlsplit(request.url).path)
    assert json.loads(theirs["body"]) == said
    assert len(files) == len(out.own.attachments if isinstance(out.own, EmailContent) else [])


@mails
@pytest.mark.parametrize("token", [None, "token-0123456789"])
def test_our_signature_is_the_one_that_botocore_makes(monkeypatch: pytest.MonkeyPatch, out: Outgoing, token: str | None) -> None:
    request = built(out, **({"session_token": token} if token else {}))
    ours = dict(request.headers)
    added = {"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "Host"}
    theirs = AWSRequest("POST", request.url, {name: value for name, value in ours.items() if name not in added}, request.body)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None))
    SigV4Auth(Credentials(KEYS["access_key_id"], KEYS["secret_access_key"], token), "ses", "eu-central-1").add_auth(theirs)
    assert theirs.headers["Authorization"] == ours["Authorization"]


def test_the_model_refuses_what_is_wrong(model: ServiceModel) -> None:
    for wrong in ({}, {"Content": {"Simple": {}}}, {"Content": {}, "EmailTags": [{"Name": "x"}]}, {"Content": {}, "Unknown": 1}):
        assert ParamValidator().validate(wrong, model.operation_model("SendEmail").input_shape).has_errors()


def test_we_send_no_member_that_ses_does_not_know(model: ServiceModel) -> None:
    def known(shape: Any, said: Any) -> None:
        if shape.type_name == "structure":
            assert set(said) <= set(shape.members)
            for name, value in said.items():
                known(shape.members[name], value)
        elif shape.type_name == "list":
            for value in said:
                known(shape.member, value)

    for out in MAILS.values():
        known(model.operation_model("SendEmail").input_shape, json.loads(built(out).body))


def test_every_error_that_ses_names_is_decided(model: ServiceModel) -> None:
    provider = make("main", RAW)
    meanings = {}
    for error in model.operation_model("SendEmail").error_shapes:
        status = error.metadata["error"]["httpStatusCode"]
        meanings[error.name] = type(provider.parse(Reply(status, (("x-amzn-errortype", error.name),), b"{}")))
    assert meanings == {
        "TooManyRequestsException": Later,
        "LimitExceededException": Later,
        "AccountSuspendedException": Misconfigured,
        "SendingPausedException": Misconfigured,
        "MailFromDomainNotVerifiedException": Misconfigured,
        "NotFoundException": Misconfigured,
        "MessageRejected": Rejected,
        "BadRequestException": Rejected,
    }
