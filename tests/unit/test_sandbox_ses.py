"""Amazon SES and SNS as the sandbox plays them: what is signed rightly and taken, what is refused, what is reported. No socket.

The calls are signed by the product, which passes AWS's own suite; what SNS signs is judged by this file's arithmetic first.
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.x509 import load_pem_x509_certificate
from msgspec.structs import replace

from sendwright.model.content import Attachment, EmailContent
from sendwright.providers.contract import Accepted, Hook, HttpRequest, Outgoing, Provider, Secret, Verdict
from sendwright.providers.contract import Reply as Answered
from sendwright.providers.registry import make
from sendwright.providers.sigv4 import Credentials, Scope, signed
from sendwright.sandbox.desk import Desk
from sendwright.sandbox.faults import FaultSheet, ReceiptPlan, Rule
from sendwright.sandbox.log import Entry, MessageLog
from sendwright.sandbox.options import SandboxOptions
from sendwright.sandbox.receipts import Receipts
from sendwright.sandbox.sigv4 import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from sendwright.sandbox.wire import Headers, Reply, Request

BASE = "http://127.0.0.1:8425/ses"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:mails"
CALLBACK = "http://127.0.0.1:9/v1/hooks/mails"
ADA, BEA = "ada@example.com", "bea@example.com"
RAW = {
    "kind": "ses",
    "region": "eu-central-1",
    "access_key_id": ACCESS_KEY_ID,
    "secret_access_key": SECRET_ACCESS_KEY,
    "from": "Shop <shop@example.com>",
    "topic_arn": TOPIC,
    "base_url": BASE,
    "sns_base_url": BASE,
}
ELSEWHERE = Scope("eu-central-1", "sns", time.time())
KEYS = Credentials(ACCESS_KEY_ID, Secret(SECRET_ACCESS_KEY))


@pytest.fixture(scope="module")
def keys_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a key that takes a moment to make is kept for all of these tests."""
    return str(tmp_path_factory.mktemp("keys") / "keys.json")


@pytest.fixture
def desk(keys_path: str) -> Desk:
    return Desk(SandboxOptions(keys_path=keys_path), MessageLog())


@pytest.fixture
def posted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Headers, bytes]]:
    """What would be posted."""
    posts: list[tuple[Headers, bytes]] = []

    def begin(self: Receipts, dialect: Any, asked: Any, noted: Any, fate: Any = None) -> None:
        states = fate or self._fate(self.faults.receipts)
        posts.extend(dialect.receipt(asked, noted, state) for state in states if asked.callback_url)

    monkeypatch.setattr(Receipts, "begin", begin)
    ses: Any = desk._vendors._by_kind["ses"][0]
    monkeypatch.setattr(
        ses._sns, "_announce", lambda url, headers, body: posts.append((headers, body)) if url == CALLBACK else None
    )
    return posts


def adapter(**changed: Any) -> Provider:
    return make("mails", RAW | changed)


def out(**changed: Any) -> Outgoing:
    return replace(Outgoing("att_1", "msg_1", "email", ADA, "Shipped.", title="Order 7", now=time.time()), **changed)


def ask(desk: Desk, request: HttpRequest) -> Reply:
    parts = urlsplit(request.url)
    headers = {name.lower().encode(): value.encode() for name, value in request.headers}
    turn = desk.handle(Request(request.method, parts.path, parts.query, headers, request.body))
    desk.ended(turn)
    assert isinstance(turn.answer, Reply)
    return turn.answer


def send(desk: Desk, provider: Provider | None = None, **changed: Any) -> Reply:
    request = (provider or adapter()).build(out(**changed))
    assert isinstance(request, HttpRequest)
    return ask(desk, request)


def call(desk: Desk, said: object, at: float | None = None) -> Reply:
    headers = (("Content-Type", "application/json"),)
    request = HttpRequest("POST", f"{BASE}/v2/email/outbound-emails", headers, json.dumps(said).encode())
    return ask(desk, signed(request, KEYS, Scope("eu-central-1", "ses", at or time.time())))


def name_of(reply: Reply) -> str:
    assert set(json.loads(reply.body)) == {"message"}
    return next(value.decode() for name, value in reply.headers if name == b"x-amzn-errortype")


def newest(desk: Desk) -> Entry:
    return desk.log.newest(1)[0].entry


def as_hook(headers: Headers, body: bytes, provider: Provider, desk: Desk) -> Hook:
    """The callback, with what the adapter wants fetched for it, from this sandbox."""
    hook = Hook("POST", CALLBACK, (), tuple((k.decode(), v.decode()) for k, v in headers), body, time.time())
    wanted = provider.wants(hook)
    assert isinstance(wanted, HttpRequest)
    answer = ask(desk, wanted)
    return replace(hook, fetched=Answered(answer.status, (), answer.body))


# What is taken, and what is refused


def test_a_signed_mail_is_taken_with_an_id_and_written_down_as_a_mailbox_shows_it(desk: Desk) -> None:
    own = EmailContent(cc=(BEA,), attachments=(Attachment("bill.pdf", base64.b64encode(b"x" * 300).decode(), "application/pdf"),))
    answer = send(desk, html="<p>Shipped.</p>", own=own)
    assert answer.status == 200
    entry = newest(desk)
    assert (entry.to, entry.sender, entry.title, entry.body) == (ADA, "Shop <shop@example.com>", "Order 7", "Shipped.")
    assert (entry.html, list(entry.copies), list(entry.media)) == ("<p>Shipped.</p>", [BEA], ["bill.pdf (300 bytes)"])
    assert (entry.reference, entry.ref, entry.account) == ("att_1", json.loads(answer.body)["MessageId"], ACCESS_KEY_ID)


def test_a_raw_mail_is_opened(desk: Desk) -> None:
    raw = "From: Shop <shop@example.com>\r\nTo: ada@example.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello\r\n"
    said = {"Destination": {"ToAddresses": [ADA]}, "Content": {"Raw": {"Data": base64.b64encode(raw.encode()).decode()}}}
    assert call(desk, said).status == 200
    assert (newest(desk).title, newest(desk).body.strip(), newest(desk).sender) == ("Grüße", "Hello", "Shop <shop@example.com>")


def test_a_call_that_is_not_signed_as_aws_asks_is_refused_by_name(desk: Desk) -> None:
    good = adapter().build(out())
    assert isinstance(good, HttpRequest)
    headers = dict(good.headers)
    cases = [
        (replace(good, headers=()), "MissingAuthenticationTokenException"),
        (replace(good, headers=(*good.headers, ("Authorization", "Bearer x"))), "IncompleteSignatureException"),
        (replace(good, body=good.body + b" "), "InvalidSignatureException"),
        (replace(good, headers=tuple({**headers, "Host": "other"}.items())), "InvalidSignatureException"),
        (adapter(secret_access_key="another").build(out()), "InvalidSignatureException"),
        (adapter(access_key_id="AKIA0000000000000000").build(out()), "UnrecognizedClientException"),
        (adapter().build(out(now=time.time() - 400)), "InvalidSignatureException"),
        (
            signed(replace(good, headers=good.headers[:2]), KEYS, Scope("eu-central-1", "sns", time.time())),
            "InvalidSignatureException",
        ),
    ]
    for request, name in cases:
        assert isinstance(request, HttpRequest)
        answer = ask(desk, request)
        assert (answer.status, name_of(answer)) == (403, name)
    assert desk.log.stats().by_verdict == {"refused": len(cases)}


def test_what_ses_refuses_is_refused_in_its_words(desk: Desk) -> None:
    text = {"Subject": {"Data": "x"}, "Body": {"Text": {"Data": "y"}}}
    whom = {"ToAddresses": [ADA]}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"FromEmailAddress": "a@b.c", "Destination": whom}, "1 validation error"),
        ({"FromEmailAddress": "a@b.c", "Destination": {"ToAddresses": ["ada"]}, "Content": {"Simple": text}}, "Illegal address"),
        ({"FromEmailAddress": "a@b.c", "Content": {"Simple": text}}, "Illegal address"),
        ({"Destination": whom, "Content": {"Simple": text}}, "Missing required header"),
        ({"FromEmailAddress": "a@b.c", "Destination": {"ToAddresses": [ADA] * 51}, "Content": {"Simple": text}}, "Recipient count"),
        ({"Destination": whom, "Content": {"Raw": {"Data": "%"}}}, "1 validation error"),
    ]
    for said, words in cases:
        answer = call(desk, said)
        assert (answer.status, name_of(answer)) == (400, "BadRequestException")
        assert words in json.loads(answer.body)["message"]
    assert desk.log.stats().taken == 0
    assert desk.body_max("/ses/v2/email/outbound-emails") > 40_000_000, "larger ones are read, and refused in SES's words"


def test_faults_are_told_by_sess_names(desk: Desk) -> None:
    cases = [
        (Rule("status", status=429), "TooManyRequestsException", "Maximum sending rate exceeded."),
        (Rule("status", status=400, code="MessageRejected"), "MessageRejected", "The message contains invalid content."),
        (Rule("status", status=400, code="MailFromDomainNotVerifiedException"), "MailFromDomainNotVerifiedException", "domain"),
        (Rule("status", status=400, code="AccountSuspendedException"), "AccountSuspendedException", "suspended"),
        (Rule("status", status=400, code="LimitExceededException"), "LimitExceededException", "quota"),
        (Rule("status", status=503), "ServiceUnavailable", "unavailable"),
        (Rule("status", status=500), "InternalServiceErrorException", ""),
    ]
    for rule, name, words in cases:
        desk.faults.put(FaultSheet((rule,)))
        answer = send(desk)
        assert (answer.status, name_of(answer)) == (rule.status, name)
        assert words in json.loads(answer.body)["message"]
    assert desk.log.stats().taken == 0


# What is reported


def subscribed(desk: Desk, endpoint: str = CALLBACK, topic: str = TOPIC, keys: Credentials = KEYS) -> Reply:
    form = urlencode({"Action": "Subscribe", "TopicArn": topic, "Protocol": "http", "Endpoint": endpoint}).encode()
    headers = (("Content-Type", "application/x-www-form-urlencoded"),)
    return ask(desk, signed(HttpRequest("POST", f"{BASE}/", headers, form), keys, Scope("eu-central-1", "sns", time.time())))


def judged(desk: Desk, body: bytes) -> dict[str, Any]:
    """What SNS said, once its signature has been found good by the certificate that it names."""
    said: dict[str, Any] = json.loads(body)
    url = urlsplit(said["SigningCertURL"])
    assert (url.scheme, url.hostname) == ("https", "sns.eu-central-1.amazonaws.com")
    certificate = load_pem_x509_certificate(ask(desk, HttpRequest("GET", BASE + url.path)).body)
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{said[name]}\n" for name in names if name in said)
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(base64.b64decode(said["Signature"]), text.encode(), padding.PKCS1v15(), SHA1())
    return said


def test_a_subscription_counts_once_it_is_confirmed_and_events_come_signed(desk: Desk, posted: list[tuple[Headers, bytes]]) -> None:
    provider = adapter()
    assert b"pending confirmation" in subscribed(desk).body
    send(desk)
    (wish,) = posted
    assert judged(desk, wish[1])["Type"] == "SubscriptionConfirmation"

    hook = as_hook(*wish, provider, desk)
    assert provider.verify(hook) is Verdict.GOOD
    follow = provider.follows(hook)
    assert isinstance(follow, HttpRequest)
    assert ask(desk, HttpRequest("GET", follow.url[:-1] + "x")).status == 400
    assert ask(desk, follow).status == 200

    desk.faults.put(FaultSheet((), ReceiptPlan(("sent", "delivered", "read", "failed"))))
    answer = send(desk, own=EmailContent(cc=(BEA,)))
    events = [json.loads(judged(desk, body)["Message"]) for _, body in posted[1:]]
    assert [event["eventType"] for event in events] == ["Send", "Delivery", "Open", "Bounce"]
    ref = json.loads(answer.body)["MessageId"]
    assert {(event["mail"]["messageId"], *event["mail"]["tags"]["sendwright_attempt"]) for event in events} == {(ref, "att_1")}
    receipts = [provider.events(hook) for hook in (as_hook(*each, provider, desk) for each in posted[1:]) if provider.verify(hook)]
    assert [[receipt.state.name for receipt in found] for found in receipts] == [["SENT"], ["DELIVERED"], [], ["FAILED"]], (
        "with copies nobody knows whose an opening is"
    )


def test_a_foreign_or_wrong_subscription_is_refused(desk: Desk, posted: list[tuple[Headers, bytes]]) -> None:
    assert subscribed(desk, keys=Credentials(ACCESS_KEY_ID, Secret("x"))).status == 403
    assert subscribed(desk, endpoint="ftp://x").status == 400
    assert subscribed(desk, topic="mails").status == 400
    assert posted == []


def test_who_opted_out_is_taken_and_reported_as_suppressed(desk: Desk, posted: list[tuple[Headers, bytes]]) -> None:
    subscribed(desk)
    confirm = dict(parse_qsl(urlsplit(json.loads(posted.pop()[1])["SubscribeURL"]).query))
    assert ask(desk, HttpRequest("GET", f"{BASE}/?{urlencode(confirm)}")).status == 200
    desk.faults.put(FaultSheet((), opted_out=(ADA,)))
    assert send(desk).status == 200
    assert (newest(desk).verdict, newest(desk).taken) == ("dropped", False)
    (told,) = posted
    assert json.loads(json.loads(told[1])["Message"])["bounce"]["bounceSubType"] == "OnAccountSuppressionList"


def test_the_adapter_reads_its_answer(desk: Desk) -> None:
    answer = send(desk)
    assert isinstance(adapter().parse(Answered(answer.status, (), answer.body)), Accepted)
