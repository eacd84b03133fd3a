"""Amazon SES: what is said to it, what its answers and events mean. The payloads lie in tests/payloads/ses."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sendwright.errors import SettingsError
from sendwright.model.content import Attachment, EmailContent
from sendwright.providers import sns
from sendwright.providers.contract import (
    Accepted,
    Answer,
    AttemptState,
    Happening,
    Hook,
    HttpRequest,
    Later,
    Lost,
    Misconfigured,
    NotSent,
    Outcome,
    Outgoing,
    OwnCredentials,
    Provider,
    Reason,
    Receipt,
    Rejected,
    Reply,
    Scope,
    Token,
    TooLong,
    Unsure,
    Verdict,
)
from sendwright.providers.letter import mark
from sendwright.providers.registry import make
from tests.conformance.kinds import ATTEMPT, BODY_MARK, NOW, SECRET_MARK, Samples, hook, json_reply, outgoing

PAYLOADS = Path(__file__).parent.parent / "payloads" / "ses"
URL = "https://notify.example.com/v1/hooks/ses"
ID = "010701936e0a0000-1f2e3d4c-5b6a-7988-9c0d-ab1c2d3e4f50-000000"
ADA = "ada@example.com"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:mails"
HOST = "https://sns.eu-central-1.amazonaws.com"
CERTIFICATE_URL = f"{HOST}/SimpleNotificationService-{'0123456789abcdef' * 2}.pem"
SUBSCRIBE_URL = f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37fb687f5d51e6e2425c464cefc942f6"
RAW = {
    "kind": "ses",
    "region": "eu-central-1",
    "access_key_id": "AKIDEXAMPLE0123456",
    "secret_access_key": "secret-key-0123456789",
    "from": "shop@example.com",
    "topic_arn": TOPIC,
}
TAKEN = json_reply(200, {"MessageId": ID})
OUT = Outgoing("att_1", "msg_1", "email", ADA, "Your order is on its way.", title="Order 7", now=1_795_338_000.0)


@cache
def signing_key(number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def certificate(days: int = 365, number: int = 0, at: float = NOW) -> bytes:
    """Good from a day before that moment, for so long."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    begins = datetime.fromtimestamp(at, UTC) - timedelta(days=1)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(signing_key(number).public_key())
    made = made.serial_number(7).not_valid_before(begins).not_valid_after(begins + timedelta(days=days))
    return made.sign(signing_key(number), SHA256()).public_bytes(Encoding.PEM)


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def message(event: object = None, *, version: str = "1", at: float = NOW, **over: Any) -> dict[str, Any]:
    """What SNS posts, signed by the test's own key. `over` is signed with it; None leaves a member out."""
    said = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Subject": "Amazon SES Email Event Notification",
        "Message": json.dumps(event),
        "Timestamp": moment(at),
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE_URL,
    } | over
    said = {name: value for name, value in said.items() if value is not None}
    digest = SHA1() if version == "1" else SHA256()
    signature = signing_key(0).sign(sns.signed_text(said).encode(), padding.PKCS1v15(), digest)
    return said | {"Signature": base64.b64encode(signature).decode()}


def subscription(**over: Any) -> dict[str, Any]:
    more = {"Type": "SubscriptionConfirmation", "Subject": None, "Token": "2336412f37fb687f", "SubscribeURL": SUBSCRIBE_URL}
    return message(**(more | {"Message": "You have chosen to subscribe."} | over))


RIGHT = Reply(200)
"""Stands for the answer with the certificate that the test's own key signs with."""


def posted(said: dict[str, Any], fetched: Answer | None = RIGHT, now: float = NOW) -> Hook:
    """A callback, and what came of the certificate."""
    found = Reply(200, (), certificate()) if fetched is RIGHT else fetched
    return msgspec.structs.replace(hook(URL, json.dumps(said).encode(), now=now), fetched=found)


def samples() -> Samples:
    """For the suite that every kind passes."""
    secret, token = f"{SECRET_MARK}-key-0123456789", f"{SECRET_MARK}-token-0123456789"
    event = {"eventType": "Delivery", "mail": {"messageId": "0107-1", "tags": {"sendwright_attempt": [ATTEMPT]}}}
    return Samples(
        raw=RAW | {"secret_access_key": secret, "session_token": token, "configuration_set": "mails"},
        outgoing=outgoing(channel="email", address="grace@example.com", html=f"<p>{BODY_MARK}</p>", now=NOW),
        accepted=TAKEN,
        refused_key=json_reply(403, {"message": "The security token included in the request is invalid."}),
        secrets=(secret, token),
        callback=posted(message(event)),
        stale=(posted(message(event, at=NOW - 3601)), posted(message(event, at=NOW + 301))),
        foreign={"topic_arn": TOPIC + "-of-others"},
        signs_words=True,
        extra_replies=(json_reply(200, {"MessageId": ""}), json_reply(200, {"MessageId": 7}), json_reply(200, [ID]), Reply(200)),
    )


def story() -> tuple[Provider, list[Hook]]:
    """What its callbacks may say of one attempt, one after the other."""
    mail = {"messageId": ID, "tags": {"sendwright_attempt": ["att_1"]}}
    events = ({"eventType": kind, "mail": mail} for kind in ("Send", "Delivery", "Open", "Bounce"))
    return MAIN, [hook(URL, json.dumps(message(event)).encode()) for event in events]


def account(**over: Any) -> Provider:
    return make("ses", {key: value for key, value in (RAW | over).items() if value is not None})


MAIN = account()


def built(provider: Provider = MAIN, **over: Any) -> HttpRequest:
    request = provider.build(msgspec.structs.replace(OUT, **over))
    assert isinstance(request, HttpRequest)
    return request


def said(provider: Provider = MAIN, **over: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(built(provider, **over).body)
    return found


def payload(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return found


def reply(name: str) -> Reply:
    found = payload(name)
    return Reply(found["status"], tuple(found["headers"].items()), json.dumps(found["body"]).encode())


def events(event: object) -> tuple[Receipt, ...]:
    return tuple(MAIN.events(hook(URL, json.dumps(message(event)).encode())))


# What is said


def test_a_text_is_one_mail_that_echoes_its_attempt() -> None:
    request = built()
    assert (request.method, request.url) == ("POST", "https://email.eu-central-1.amazonaws.com/v2/email/outbound-emails")
    assert said() == {
        "FromEmailAddress": "shop@example.com",
        "Destination": {"ToAddresses": [ADA]},
        "Content": {
            "Simple": {
                "Subject": {"Data": "Order 7", "Charset": "UTF-8"},
                "Body": {"Text": {"Data": "Your order is on its way.", "Charset": "UTF-8"}},
            }
        },
        "EmailTags": [{"Name": "sendwright_attempt", "Value": "att_1"}],
    }


def test_everything_that_an_email_can_say_is_passed_on() -> None:
    own = EmailContent(
        reply_to="Support <help@example.com>",
        cc=["bob@example.com"],
        bcc=["Zoë <archive@example.com>"],
        headers={"X-Order": "7", "X-Name": "Zoë"},
        attachments=[Attachment("a.pdf", "JVBERi0=", "application/pdf")],
    )
    mail = said(account(configuration_set="mails"), own=own, html="<p>é</p>", sender="Orders <orders@example.com>")
    assert mail["FromEmailAddress"] == "Orders <orders@example.com>"
    assert mail["ReplyToAddresses"] == ["Support <help@example.com>"]
    assert mail["Destination"] == {
        "ToAddresses": [ADA],
        "CcAddresses": ["bob@example.com"],
        "BccAddresses": ["=?utf-8?q?Zo=C3=AB?= <archive@example.com>"],
    }
    assert mail["ConfigurationSetName"] == "mails"
    assert mail["EmailTags"][1] == {"Name": "sendwright_for", "Value": mark("att_1", ADA)}
    simple = mail["Content"]["Simple"]
    assert simple["Body"]["Html"] == {"Data": "<p>é</p>", "Charset": "UTF-8"}
    assert simple["Headers"] == [{"Name": "X-Order", "Value": "7"}, {"Name": "X-Name", "Value": "=?utf-8?q?Zo=C3=AB?="}]
    assert simple["Attachments"] == [
        {
            "FileName": "a.pdf",
            "ContentType": "application/pdf",
            "ContentDisposition": "ATTACHMENT",
            "ContentTransferEncoding": "BASE64",
            "RawContent": "JVBERi0=",
        }
    ]


def test_the_call_is_signed_for_the_moment_in_which_it_is_made() -> None:
    first = dict(built().headers)
    assert first["Host"] == "email.eu-central-1.amazonaws.com"
    assert first["X-Amz-Date"] == "20261122T090000Z"
    scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE0123456/20261122/eu-central-1/ses/aws4_request, "
    assert first["Authorization"].startswith(scope + "SignedHeaders=accept;content-type;host;x-amz-date, Signature=")
    assert "X-Amz-Security-Token" not in first
    later_one = dict(built(now=OUT.now + 1).headers)
    assert later_one["X-Amz-Date"] == "20261122T090001Z"
    assert later_one["Authorization"] != first["Authorization"]


def test_temporary_keys_sign_with_their_token() -> None:
    headers = dict(built(account(session_token="token-0123456789")).headers)
    assert headers["X-Amz-Security-Token"] == "token-0123456789"
    assert "SignedHeaders=accept;content-type;host;x-amz-date;x-amz-security-token," in headers["Authorization"]


@pytest.mark.parametrize(
    ("over", "url"),
    [
        ({"region": "cn-north-1"}, "https://email.cn-north-1.amazonaws.com.cn/v2/email/outbound-emails"),
        ({"base_url": "http://127.0.0.1:5055/"}, "http://127.0.0.1:5055/v2/email/outbound-emails"),
    ],
)
def test_the_host_is_the_regions_unless_the_operator_named_another(over: dict[str, str], url: str) -> None:
    request = built(account(**over))
    assert request.url == url
    assert dict(request.headers)["Host"] == url.split("/")[2]


@pytest.mark.parametrize(
    "over",
    [
        {"address": "+15005550009"},
        {"address": "ada@example.com\r\nBcc: bob@example.com"},
        {"body": "", "html": None},
        {"channel": "sms"},
        {"body": "\ud800"},
        {"attempt": "att 1"},
        {"own": EmailContent(cc=["bob@example.com"] * 50)},
        {"own": EmailContent(headers={f"X-{number}": "x" for number in range(16)})},
        {"own": EmailContent(headers={"X-Long": "x" * 996})},
        {"own": EmailContent(headers={"X-Empty": ""})},
    ],
)
def test_what_ses_has_no_words_for_is_refused_before_it_is_sent(over: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        said(**over)


def test_a_mail_of_more_than_40_megabytes_is_too_long() -> None:
    with pytest.raises(TooLong):
        said(body="x" * 40_000_000)


# Settings


@pytest.mark.parametrize(
    ("over", "key"),
    [
        ({"region": "canary"}, "region"),
        ({"region": "eu-central-1.evil.example/"}, "region"),
        ({"access_key_id": "canary"}, "access_key_id"),
        ({"secret_access_key": ""}, "secret_access_key"),
        ({"session_token": "canary\r\nX: y"}, "session_token"),
        ({"from": "canary"}, "from"),
        ({"configuration_set": "canary set"}, "configuration_set"),
        ({"topic_arn": "canary"}, "topic_arn"),
        ({"sns_base_url": "canary"}, "sns_base_url"),
        ({"topic_arn": "arn:aws:sns:canary:123456789012:mails"}, "topic_arn"),
        ({"secret_access_key": None}, "secret_access_key"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_without_being_quoted(over: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        account(**over)
    assert [where for where, _ in refusal.value.faults] == [f"providers.ses.{key}"]
    assert "canary" not in str(refusal.value)


# Answers


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("reply_too_fast", Later("HTTP 429: TooManyRequestsException: Maximum sending rate exceeded.", ill=False)),
        ("reply_quota", Later("LimitExceededException: Daily message quota exceeded.", 600, ill=False)),
        ("reply_throttled", Later("ThrottlingException: Rate exceeded", ill=False)),
        ("reply_suspended", Misconfigured("AccountSuspendedException: The account has been suspended.")),
        ("reply_paused", Misconfigured("SendingPausedException: Sending is paused for this account.")),
        ("reply_mail_from", Misconfigured("MailFromDomainNotVerifiedException: The sending domain is not verified.")),
        ("reply_no_set", Misconfigured("NotFoundException: Configuration set <mails> does not exist.")),
        ("reply_content", Rejected(Reason.CONTENT, "MessageRejected: The message contains invalid content.")),
        ("reply_bad_address", Rejected(Reason.INVALID_ADDRESS, "BadRequestException: Illegal address")),
        ("reply_bad_request", Rejected(Reason.REJECTED, "HTTP 400: BadRequestException: 1 validation error detected")),
        ("reply_bad_key", Misconfigured("UnrecognizedClientException: The security token included in the request is invalid.")),
        ("reply_denied", Misconfigured("AccessDeniedException: User is not authorized to perform: ses:SendEmail")),
        ("reply_broken", Unsure("HTTP 500: InternalServiceErrorException")),
        ("reply_unavailable", Later("HTTP 503: ServiceUnavailable: Service is unavailable.", ill=True)),
    ],
)
def test_a_documented_answer_has_its_meaning(name: str, outcome: Outcome) -> None:
    assert MAIN.parse(reply(name)) == outcome


def test_a_clock_that_is_wrong_is_told_by_name() -> None:
    outcome = MAIN.parse(reply("reply_skewed"))
    assert isinstance(outcome, Misconfigured)
    assert "Signature expired" in outcome.detail


def test_a_quota_that_is_used_up_rests_for_ten_minutes_unless_it_says_how_long() -> None:
    body = b'{"message": "Daily message quota exceeded."}'
    named = ("x-amzn-errortype", "ThrottlingException")
    for status in (400, 429):
        outcome = MAIN.parse(Reply(status, (named,), body))
        assert isinstance(outcome, Later)
        assert (outcome.after_s, outcome.ill) == (600, False)
    told = MAIN.parse(Reply(429, (named, ("retry-after", "30")), body))
    assert isinstance(told, Later)
    assert told.after_s == 30


@pytest.mark.parametrize(
    "where",
    [
        {"headers": (("x-amzn-errortype", "com.amazon.coral#ThrottlingException:http://x/"),)},
        {"body": b'{"__type": "ThrottlingException"}'},
        {"body": b'{"__type": "com.amazonaws.ses#ThrottlingException", "message": "x"}'},
        {"body": b'{"code": "ThrottlingException", "Message": "x"}'},
    ],
)
def test_an_errors_name_is_read_wherever_aws_writes_it(where: dict[str, Any]) -> None:
    assert isinstance(MAIN.parse(Reply(400, **where)), Later)


def test_an_unverified_sender_is_the_operators_matter_and_a_recipient_that_of_the_sandbox() -> None:
    assert isinstance(MAIN.parse(reply("reply_sender_unverified")), Misconfigured)
    outcome = MAIN.parse(reply("reply_recipient_unverified"))
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.scope) == (Reason.REJECTED, Scope.SENDER)
    assert ADA not in outcome.detail


def by_flow(out: Outgoing, answer: Reply | Lost) -> Outcome:
    flow = MAIN.flow(out)
    next(flow)
    with pytest.raises(StopIteration) as done:
        flow.send(answer)
    outcome: Outcome = done.value.value
    return outcome


def test_a_sender_that_the_message_named_is_not_held_against_the_account() -> None:
    named = msgspec.structs.replace(OUT, sender="orders@example.com")
    for name in ("reply_sender_unverified", "reply_mail_from"):
        outcome = by_flow(named, reply(name))
        assert isinstance(outcome, Rejected)
        assert (outcome.reason, outcome.scope) == (Reason.REJECTED, Scope.SENDER)
        assert isinstance(by_flow(OUT, reply(name)), Misconfigured)
    assert isinstance(by_flow(named, reply("reply_suspended")), Misconfigured)
    assert isinstance(by_flow(named, Lost("wait")), Unsure)
    assert by_flow(named, TAKEN) == Accepted(ID)


# Events

AT, MAILED = 1795338005.0, 1795338000.0
FAILED, DELIVERED = AttemptState.FAILED, AttemptState.DELIVERED


@pytest.mark.parametrize(
    ("name", "receipt"),
    [
        ("send", Receipt(AttemptState.SENT, "att_1", ID, None, "Send", MAILED)),
        ("delay", Receipt(AttemptState.SENT, "att_1", ID, None, "DeliveryDelay, MailboxFull, smtp; 452 4.2.2 mailbox full", AT)),
        ("delivery", Receipt(DELIVERED, "att_1", ID, None, "Delivery, 250 2.6.0 Message received", AT)),
        ("complaint", Receipt(DELIVERED, "att_1", ID, Reason.OPTED_OUT, "Complaint, abuse", AT, Happening.COMPLAINED, "abuse")),
        ("subscription", Receipt(DELIVERED, "att_1", ID, Reason.OPTED_OUT, "Subscription", AT, Happening.UNSUBSCRIBED)),
        ("open", Receipt(AttemptState.READ, "att_1", ID, None, "Open", AT)),
        ("click", Receipt(AttemptState.READ, "att_1", ID, None, "Click", AT, Happening.CLICKED)),
        ("reject", Receipt(AttemptState.REJECTED, "att_1", ID, Reason.CONTENT, "Reject, Bad content", MAILED)),
        (
            "rendering_failure",
            Receipt(FAILED, "att_1", ID, Reason.CONTENT, "Rendering Failure, Attribute is not present", MAILED),
        ),
        (
            "bounce_full",
            Receipt(
                *(FAILED, "att_1", ID, Reason.UNREACHABLE, "Bounce, Transient, MailboxFull, smtp; 552 5.2.2 mailbox full", AT),
                *(Happening.BOUNCED, "soft"),
            ),
        ),
    ],
)
def test_an_event_becomes_a_receipt(name: str, receipt: Receipt) -> None:
    assert events(payload(f"callback_{name}")["body"]) == (receipt,)


def test_who_takes_a_complaint_back_or_leaves_one_topic_has_not_unsubscribed() -> None:
    for name, part, more in (
        ("complaint", "complaint", {"complaintFeedbackType": "not-spam"}),
        ("subscription", "subscription", {"newTopicPreferences": {"unsubscribeAll": False, "topicSubscriptionStatus": []}}),
        ("subscription", "subscription", {"newTopicPreferences": ["unsubscribeAll"]}),
    ):
        event = payload(f"callback_{name}")["body"]
        event[part] |= more
        ((told),) = events(event)
        assert (told.state, told.reason) == (DELIVERED, None)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bounce_no_email", Reason.INVALID_ADDRESS),
        ("bounce_general", Reason.INVALID_ADDRESS),
        ("bounce_suppressed", Reason.BLOCKED),
        ("bounce_too_large", Reason.TOO_LONG),
        ("bounce_content", Reason.CONTENT),
        ("bounce_undetermined", Reason.UNREACHABLE),
        ("complaint_suppressed", Reason.OPTED_OUT),
    ],
)
def test_what_did_not_arrive_says_why(name: str, reason: Reason) -> None:
    [receipt] = events(payload(f"callback_{name}")["body"])
    assert (receipt.state, receipt.reason) == (FAILED, reason)


def test_what_happened_is_told_beside_the_state() -> None:
    def told(name: str, **over: object) -> tuple[Happening | None, str]:
        event = payload(f"callback_{name}")["body"]
        changed = {key: event[key] | value if isinstance(value, dict) else value for key, value in over.items()}
        [receipt] = events(event | changed)
        return receipt.happened, receipt.more

    assert told("bounce_no_email") == (Happening.BOUNCED, "hard")
    assert told("bounce_undetermined") == (Happening.BOUNCED, "soft")
    assert told("complaint_suppressed") == (None, ""), "it was kept back for an older one"
    assert told("complaint", complaint={"complaintFeedbackType": "Ada <ada@example.com>"}) == (Happening.COMPLAINED, "")
    assert told("delivery") == told("reject") == told("open") == (None, "")
    stays = {"unsubscribeAll": False, "topicSubscriptionStatus": [{"topicName": "news", "subscriptionStatus": "OptIn"}]}
    leaves = {
        "unsubscribeAll": False,
        "topicSubscriptionStatus": [*stays["topicSubscriptionStatus"], {"subscriptionStatus": "OptOut"}],
    }  # type: ignore[misc]
    assert told("subscription", subscription={"newTopicPreferences": stays}) == (None, "")
    for chosen in (leaves, {"unsubscribeAll": True}, stays | {"unsubscribeAll": True}, {}, 7):
        assert told("subscription", subscription={"newTopicPreferences": chosen}) == (Happening.UNSUBSCRIBED, "")


def test_what_befell_a_copy_says_nothing_of_the_message() -> None:
    def copied(name: str, address: str) -> dict[str, Any]:
        event: dict[str, Any] = payload(f"callback_{name}")["body"]
        event["mail"]["tags"]["sendwright_for"] = [mark("att_1", ADA)]
        return json.loads(json.dumps(event).replace(f'"emailAddress": "{ADA}"', f'"emailAddress": "{address}"'))  # type: ignore[no-any-return]

    assert events(copied("bounce_no_email", "bob@example.com")) == ()
    assert events(copied("complaint", "bob@example.com")) == ()
    assert [receipt.state for receipt in events(copied("bounce_no_email", "Ada@Example.com"))] == [FAILED]
    assert [receipt.state for receipt in events(copied("delivery", ""))] == [DELIVERED]
    assert [receipt.state for receipt in events(copied("send", ""))] == [AttemptState.SENT]
    assert events(copied("open", "")) == events(copied("click", "")) == (), "nobody says who opened it"


def test_news_that_is_not_of_a_message_of_ours_is_no_receipt() -> None:
    event = payload("callback_delivery")["body"]
    older = {"notificationType": "Delivery"} | {name: value for name, value in event.items() if name != "eventType"}
    untagged = event | {"mail": event["mail"] | {"tags": {}}}
    for odd in (older, untagged, event | {"eventType": "Something New"}, {}, [], None, 5, {"eventType": "Delivery", "mail": 7}):
        assert events(odd) == ()


# SNS


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", ["Amazon SES Email Event Notification", None])
def test_a_message_that_sns_signed_is_taken(version: str, subject: str | None) -> None:
    good = message({}, version=version, Subject=subject)
    assert MAIN.verify(posted(good)) is Verdict.GOOD
    for name in sns._OF_NOTIFICATION:
        if name in good:
            assert MAIN.verify(posted(good | {name: good[name] + "x"})) is Verdict.BAD, name
    other = {"1": "2", "2": "1"}[version]
    assert MAIN.verify(posted(good | {"SignatureVersion": other})) is Verdict.BAD


def test_the_text_that_is_signed_is_that_of_the_documentation() -> None:
    assert sns.signed_text({"Type": "Notification", "Message": "m", "MessageId": "i", "Timestamp": "t", "TopicArn": "a"}) == (
        "Message\nm\nMessageId\ni\nTimestamp\nt\nTopicArn\na\nType\nNotification\n"
    )
    said = {
        "Type": "SubscriptionConfirmation",
        "Message": "m",
        "MessageId": "i",
        "SubscribeURL": "u",
        "Timestamp": "t",
        "Token": "k",
    }
    assert sns.signed_text(said | {"TopicArn": "a", "Subject": "never"}) == (
        "Message\nm\nMessageId\ni\nSubscribeURL\nu\nTimestamp\nt\nToken\nk\nTopicArn\na\nType\nSubscriptionConfirmation\n"
    )


def test_the_certificate_is_asked_for_where_the_message_says_it_lies() -> None:
    assert MAIN.wants(posted(message({}))) == HttpRequest("GET", CERTIFICATE_URL)
    assert account(base_url="https://vpce.example.com").wants(posted(message({}))) == HttpRequest("GET", CERTIFICATE_URL)
    moved = account(sns_base_url="http://127.0.0.1:5055")
    assert moved.wants(posted(message({}))) == HttpRequest("GET", CERTIFICATE_URL.replace(HOST, "http://127.0.0.1:5055"))


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE_URL.replace("https", "http"),
        CERTIFICATE_URL.replace("amazonaws.com", "amazonaws.com.evil.example"),
        CERTIFICATE_URL.replace("sns.", "evil."),
        CERTIFICATE_URL.replace("sns.eu-central-1", "sns.us-east-1"),
        CERTIFICATE_URL.replace("https://", "https://evil.example@"),
        CERTIFICATE_URL.replace("https://", "https://evil.example/"),
        CERTIFICATE_URL.replace(".com/", ".com:8443/"),
        CERTIFICATE_URL.replace(".com/", ".com\\@evil.example/"),
        CERTIFICATE_URL.replace(".com/", ".com/../"),
        CERTIFICATE_URL.replace(".pem", ".pem.txt"),
        CERTIFICATE_URL.replace(".pem", ".pem?x"),
        CERTIFICATE_URL + "#x",
        CERTIFICATE_URL + "\r\n",
        HOST + "/bucket/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://169.254.169.254/latest/meta-data/",
        "",
        "file:///etc/passwd",
    ],
)
def test_a_certificate_from_anywhere_else_is_not_even_asked_for(url: str) -> None:
    bad = posted(message({}, SigningCertURL=url))
    assert MAIN.wants(bad) is None
    assert MAIN.verify(bad) is Verdict.BAD


@pytest.mark.parametrize(
    "over",
    [
        {"TopicArn": TOPIC + "2"},
        {"TopicArn": None},
        {"Type": None},
        {"SignatureVersion": "3"},
        {"SignatureVersion": None},
        {"Timestamp": moment(NOW - 3601)},
        {"Timestamp": moment(NOW + 301)},
        {"Timestamp": "2026-11-22"},
        {"Timestamp": "9999-99-99T99:99:99.999Z"},
        {"Message": None},
        {"Signature": "AAAA"},
        {"Signature": "A" * 345},
        {"Signature": 5},
    ],
)
def test_what_is_not_of_this_topic_and_hour_is_refused_unasked(over: dict[str, Any]) -> None:
    said = {name: value for name, value in (message({}) | over).items() if value is not None}
    bad = posted(said)
    assert MAIN.verify(bad) is Verdict.BAD
    assert MAIN.wants(bad) is None or over == {"Signature": "A" * 345}


@pytest.mark.parametrize(
    ("fetched", "verdict"),
    [
        (None, Verdict.LATER),
        (NotSent("connect"), Verdict.LATER),
        (Lost("wait"), Verdict.LATER),
        (Reply(503), Verdict.LATER),
        (Reply(429), Verdict.LATER),
        (Reply(404), Verdict.BAD),
        (Reply(200, (), b"<html>"), Verdict.BAD),
        (Reply(302, (("location", "https://evil.example/"),)), Verdict.BAD),
    ],
)
def test_without_a_certificate_there_is_no_verdict_yet_and_with_a_wrong_one_a_bad_one(fetched: Answer, verdict: Verdict) -> None:
    assert MAIN.verify(posted(message({}), fetched)) is verdict


def test_another_key_and_a_certificate_that_is_over_are_refused() -> None:
    good = message({})
    assert MAIN.verify(posted(good, Reply(200, (), certificate(number=1)))) is Verdict.BAD
    week = Reply(200, (), certificate(days=7))
    assert MAIN.verify(posted(good, week)) is Verdict.GOOD
    late = NOW + 10 * 86_400
    assert MAIN.verify(posted(message({}, at=late), week, now=late)) is Verdict.BAD


def test_a_subscription_is_confirmed_where_it_says_once_it_is_verified() -> None:
    confirming = posted(subscription())
    assert MAIN.verify(confirming) is Verdict.GOOD
    assert MAIN.follows(confirming) == HttpRequest("GET", SUBSCRIBE_URL)
    assert MAIN.events(confirming) == ()
    assert MAIN.verify(posted(subscription() | {"SubscribeURL": SUBSCRIBE_URL + "x"})) is Verdict.BAD
    assert MAIN.verify(posted(subscription() | {"Token": "x"})) is Verdict.BAD
    moved = account(sns_base_url="http://127.0.0.1:5055")
    assert moved.follows(confirming) == HttpRequest("GET", SUBSCRIBE_URL.replace(HOST, "http://127.0.0.1:5055"))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "https://evil.example/", SUBSCRIBE_URL.replace("eu-central-1", "us-east-1"), "", None]
)
def test_a_subscription_that_leads_elsewhere_is_refused_even_if_it_is_signed(url: str | None) -> None:
    bad = posted(subscription(SubscribeURL=url))
    assert MAIN.verify(bad) is Verdict.BAD
    assert MAIN.follows(bad) is None


@pytest.mark.parametrize("kind", ["Notification", "UnsubscribeConfirmation"])
def test_nothing_else_is_followed(kind: str) -> None:
    other = posted(subscription(Type=kind))
    assert MAIN.verify(other) is Verdict.GOOD
    assert MAIN.follows(other) is None


def test_without_a_topic_there_are_no_receipts_and_no_callback_is_taken() -> None:
    alone = account(topic_arn=None)
    assert not alone.capabilities.receipts
    assert not alone.capabilities.fetches
    assert alone.wants(posted(message({}))) is None
    assert alone.verify(posted(message({}))) is Verdict.BAD


# The machine's own credentials

OWN = account(access_key_id=None, secret_access_key=None, session_token=None)
KEYS = {
    "access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "secret_access_key": f"{SECRET_MARK}-own-key",
    "session_token": f"{SECRET_MARK}-own-token",
}


def test_without_keys_the_machines_own_sign_as_keys_of_the_settings_do() -> None:
    assert (OWN.capabilities.tokens, MAIN.capabilities.tokens) == (True, False)
    assert OWN.token_request(NOW) == OwnCredentials("aws")
    token = OWN.token_of(json_reply(200, KEYS), NOW)
    assert isinstance(token, Token)
    assert token.expires_at == NOW + 300
    assert built(OWN, token=token.value, now=NOW) == built(account(**KEYS), now=NOW)
    without_session = OWN.token_of(json_reply(200, KEYS | {"session_token": None}), NOW)
    assert isinstance(without_session, Token)
    assert built(OWN, token=without_session.value, now=NOW) == built(account(**KEYS | {"session_token": None}), now=NOW)


def test_no_credentials_anywhere_is_the_accounts_fault_and_what_can_not_be_read_is_tried_again() -> None:
    for status, word in ((404, "no source"), (501, "extra `ses`")):
        found = OWN.token_of(Reply(status), NOW)
        assert isinstance(found, Misconfigured)
        assert word in found.detail
    for answer in (
        Reply(200),
        json_reply(200, KEYS | {"access_key_id": "no key"}),
        json_reply(200, [KEYS]),
        Lost("wait"),
        NotSent("late"),
    ):
        assert isinstance(OWN.token_of(answer, NOW), Later | Unsure)
    with pytest.raises(ValueError, match="missing"):
        OWN.build(OUT)


def test_keys_that_ended_are_dropped_and_a_missing_permission_is_not_theirs() -> None:
    assert OWN.token_refused(json_reply(403, {"__type": "ExpiredTokenException"}))
    assert OWN.token_refused(json_reply(403, {"__type": "UnrecognizedClientException"}))
    assert not OWN.token_refused(json_reply(403, {"__type": "AccessDeniedException"}))


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"secret_access_key": None, "session_token": None}, "secret_access_key"),
        ({"access_key_id": None, "session_token": None}, "access_key_id"),
        ({"access_key_id": None, "secret_access_key": None, "session_token": "t"}, "session_token"),
    ],
)
def test_half_of_a_pair_of_keys_is_refused(given: dict[str, Any], pointer: str) -> None:
    with pytest.raises(SettingsError) as caught:
        account(**given)
    assert pointer in str(caught.value)
