"""Twilio: what is said to it, what its answers and callbacks mean. The payloads lie in tests/payloads/twilio."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import pytest

from sendwright.errors import SettingsError
from sendwright.providers.contract import (
    Accepted,
    AttemptState,
    Hook,
    HttpRequest,
    Inbound,
    Later,
    Lost,
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
    Unsure,
    Verdict,
)
from sendwright.providers.registry import make
from sendwright.providers.signing import form_signature
from tests.conformance.kinds import ATTEMPT, PHONE, SECRET_MARK, Samples, hook, json_reply, outgoing

PAYLOADS = Path(__file__).parent.parent / "payloads" / "twilio"
SID = "SM" + "0123456789abcdef" * 2
RAW = {"kind": "twilio", "account_sid": "AC" + "0" * 32, "auth_token": "12345", "from": "+15005550006"}
TWILIO = make("twilio-main", RAW)
OUT = Outgoing(
    attempt="att_1",
    message="msg_1",
    channel="sms",
    address="+15005550009",
    body="Your code is 481216",
    callback_url="https://notify.example.com/v1/hooks/twilio-main?a=att_1",
)


def samples() -> Samples:
    """For the suite that every kind passes."""
    token = f"{SECRET_MARK}0123456789abcdef"
    sid = "SM" + "0123456789abcdef" * 2
    url = f"https://notify.example.com/v1/hooks/twilio-main?a={ATTEMPT}"
    form = [("AccountSid", "AC" + "0" * 32), ("To", PHONE), ("MessageSid", sid), ("MessageStatus", "delivered"), ("Blank", "")]
    form_type = ("content-type", "application/x-www-form-urlencoded")
    signature = ("x-twilio-signature", form_signature(token, url, form))
    return Samples(
        raw={"kind": "twilio", "account_sid": "AC" + "0" * 32, "auth_token": token, "from": "+15005550006"},
        outgoing=outgoing(),
        accepted=json_reply(201, {"sid": sid, "status": "queued", "error_code": None}),
        refused_key=json_reply(401, {"code": 20003, "message": "Authenticate", "status": 401}),
        secrets=(token, base64.b64encode(f"AC{'0' * 32}:{token}".encode()).decode()),
        callback=hook(url, urlencode(form).encode(), form_type, signature),
        signs_url=True,
        signature_headers=("x-twilio-signature",),
        extra_replies=(
            json_reply(201, {"sid": sid, "status": "failed", "error_code": 30006}),
            json_reply(200, {"sid": None}),
            json_reply(201, [sid]),
        ),
    )


def story() -> tuple[Provider, list[Hook]]:
    """What its callbacks may say of one attempt, one after the other."""
    states = ("queued", "sent", "delivered", "read", "undelivered")
    return TWILIO, [callback({"MessageSid": "SM" + "0" * 32, "MessageStatus": state}) for state in states]


def account(**over: Any) -> Provider:
    return make("twilio-main", {key: value for key, value in (RAW | over).items() if value is not None})


def said(provider: Provider = TWILIO, **over: Any) -> list[tuple[str, str]]:
    request = provider.build(msgspec.structs.replace(OUT, **over))
    assert isinstance(request, HttpRequest)
    return parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)


def payload(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return found


def reply(name: str) -> Reply:
    found = payload(name)
    return Reply(found["status"], (("content-type", "application/json"),), json.dumps(found["body"]).encode())


def refusal(code: object, status: int = 400, words: str = "so it is") -> Reply:
    return Reply(status, (), json.dumps({"code": code, "message": words, "status": status}).encode())


def callback(fields: dict[str, str], attempt: str | None = "att_1") -> Hook:
    url = "https://notify.example.com/v1/hooks/twilio-main" + (f"?a={attempt}" if attempt else "")
    query = tuple(parse_qsl(urlsplit(url).query))
    return Hook("POST", url, query, (("content-type", "application/x-www-form-urlencoded"),), urlencode(fields).encode(), 0.0)


# What is said


def test_a_text_goes_to_the_messages_of_the_account() -> None:
    request = TWILIO.build(OUT)
    assert isinstance(request, HttpRequest)
    assert (request.method, request.url) == ("POST", f"https://api.twilio.com/2010-04-01/Accounts/AC{'0' * 32}/Messages.json")
    assert dict(request.headers)["Content-Type"] == "application/x-www-form-urlencoded"
    assert said() == [
        ("To", "+15005550009"),
        ("From", "+15005550006"),
        ("Body", "Your code is 481216"),
        ("StatusCallback", "https://notify.example.com/v1/hooks/twilio-main?a=att_1"),
    ]


@pytest.mark.parametrize(
    ("over", "credentials"),
    [
        ({}, f"AC{'0' * 32}:12345"),
        ({"api_key_sid": "SK1", "api_key_secret": "s"}, "SK1:s"),
        ({"auth_token": None, "api_key_sid": "SK1", "api_key_secret": "s"}, "SK1:s"),
    ],
)
def test_the_key_pair_signs_in_where_there_is_one_else_the_auth_token(over: dict[str, str], credentials: str) -> None:
    request = account(**over).build(OUT)
    assert isinstance(request, HttpRequest)
    assert dict(request.headers)["Authorization"] == "Basic " + base64.b64encode(credentials.encode()).decode()


def test_media_are_named_one_by_one_and_need_no_body() -> None:
    form = said(body="", media=(Media("https://example.com/a.png"), Media("https://example.com/b.png")))
    assert [value for key, value in form if key == "MediaUrl"] == ["https://example.com/a.png", "https://example.com/b.png"]
    assert "Body" not in dict(form)


def test_a_messaging_service_chooses_the_sender_unless_the_message_names_one() -> None:
    service = account(**{"from": None, "messaging_service_sid": "MG1"})
    assert "From" not in dict(said(service))
    assert dict(said(service))["MessagingServiceSid"] == "MG1"
    assert dict(said(service, sender="Shop"))["From"] == "Shop"
    assert dict(said(service, sender="Shop"))["MessagingServiceSid"] == "MG1"
    assert dict(said(sender="Shop"))["From"] == "Shop"


@pytest.mark.parametrize(
    ("ttl_s", "period"), [(None, None), (36_001, None), (36_000, "36000"), (600, "600"), (1, "1"), (0, "1"), (-5, "1")]
)
def test_the_validity_period_is_the_time_that_is_left(ttl_s: int | None, period: str | None) -> None:
    assert dict(said(ttl_s=ttl_s)).get("ValidityPeriod") == period


def test_without_an_auth_token_no_callback_is_asked_for_since_none_could_be_verified() -> None:
    keyed = account(auth_token=None, api_key_sid="SK1", api_key_secret="s")
    assert "StatusCallback" not in dict(said(keyed))
    assert not keyed.capabilities.receipts
    assert TWILIO.capabilities.receipts


def test_a_title_is_said_where_there_is_no_body() -> None:
    assert dict(said(body="", title="Hello"))["Body"] == "Hello"


@pytest.mark.parametrize(
    "over",
    [
        {"address": "5005550009"},
        {"address": "+0500555000"},
        {"address": "+1500555000912345678"},
        {"address": "+1500555OOO9"},
        {"address": "+15005550009\n"},
        {"address": "+١٥٠٠٥٥٥٠٠٠٩"},
        {"address": ""},
        {"body": "x" * 1601},
        {"body": ""},
        {"media": (Media("https://example.com/a"),) * 11},
        {"channel": "whatsapp"},
        {"body": "\ud800"},
    ],
)
def test_what_twilio_has_no_words_for_is_refused_before_it_is_sent(over: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        said(**over)


def test_a_body_that_is_too_long_is_refused_for_that() -> None:
    with pytest.raises(TooLong):
        said(body="x" * 1601)


def test_the_longest_body_is_taken() -> None:
    assert dict(said(body="é" * 1600))["Body"] == "é" * 1600


# Settings


@pytest.mark.parametrize(
    ("over", "key"),
    [
        ({"from": None}, "from"),
        ({"messaging_service_sid": "MG1"}, "from"),
        ({"auth_token": None}, "auth_token"),
        ({"api_key_sid": "SK1"}, "api_key_sid"),
        ({"api_key_secret": "s"}, "api_key_sid"),
        ({"account_sid": "SK1"}, "account_sid"),
        ({"account_sid": "AC1/../x"}, "account_sid"),
        ({"account_sid": None}, "account_sid"),
        ({"auth_token": ""}, "auth_token"),
        ({"from": ""}, "from"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(over: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        account(**over)
    assert [where for where, _ in refusal.value.faults] == [f"providers.twilio-main.{key}"]


def test_all_contradictions_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as refusal:
        make("t", {"kind": "twilio", "account_sid": "x"})
    assert [where for where, _ in refusal.value.faults] == ["providers.t.account_sid", "providers.t.from", "providers.t.auth_token"]


# Answers


@pytest.mark.parametrize("status", ["queued", "accepted", "scheduled", "sending", "sent", "delivered", "something new", None])
def test_a_sid_is_acceptance_whatever_the_status_beside_it(status: str | None) -> None:
    for code in (200, 201):
        assert TWILIO.parse(Reply(code, (), json.dumps({"sid": SID, "status": status}).encode())) == Accepted(SID)


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("reply_queued", Accepted(SID)),
        ("reply_accepted", Accepted(SID)),
        ("reply_failed_at_once", Rejected(Reason.INVALID_ADDRESS, "30006: Landline or unreachable carrier", Scope.RECIPIENT)),
        ("reply_overflowed_at_once", Later("30001: Queue overflow", None, Scope.ACCOUNT, ill=False)),
        (
            "reply_21211",
            Rejected(Reason.INVALID_ADDRESS, "21211: The 'To' number +1•••0001 is not a valid phone number.", Scope.RECIPIENT),
        ),
        ("reply_21610", Rejected(Reason.OPTED_OUT, "21610: Attempt to send to unsubscribed recipient +1•••0009", Scope.RECIPIENT)),
        ("reply_21614", Rejected(Reason.INVALID_ADDRESS, "21614: 'To' number +1•••0009 is not a valid mobile number")),
        (
            "reply_21611",
            Later(
                "21611: This 'From' number +1•••0008 has exceeded the maximum number of queued messages",
                None,
                Scope.ACCOUNT,
                ill=False,
            ),
        ),
        ("reply_20003", Misconfigured("20003: Authenticate")),
        ("reply_20404", Misconfigured("20404: The requested resource was not found")),
        ("reply_20429", Later("20429: Too Many Requests", None, Scope.ACCOUNT, ill=False)),
        ("reply_20500", Unsure("HTTP 500: 20500 An internal server error has occurred")),
        ("reply_20503", Later("HTTP 503: 20503 Service unavailable", None, Scope.ACCOUNT, ill=True)),
    ],
)
def test_a_documented_answer_has_its_meaning(name: str, outcome: Outcome) -> None:
    assert TWILIO.parse(reply(name)) == outcome


def test_a_country_that_is_not_switched_on_is_this_senders_matter() -> None:
    outcome = TWILIO.parse(reply("reply_21408"))
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.scope) == (Reason.REJECTED, Scope.SENDER)


def test_a_full_queue_is_later_whatever_the_status_and_another_provider_may_have_room() -> None:
    for status in (400, 429):
        outcome = TWILIO.parse(refusal(21611, status))
        assert outcome == Later("21611: so it is", None, Scope.ACCOUNT, ill=False)


@pytest.mark.parametrize("status", [400, 429])
def test_too_fast_between_two_numbers_is_those_two_numbers_matter(status: int) -> None:
    assert TWILIO.parse(refusal(14107, status)) == Later("14107: so it is", None, Scope.SENDER, ill=False)


def test_429_is_later_even_with_a_code_that_says_otherwise() -> None:
    assert isinstance(TWILIO.parse(refusal(21211, 429)), Later)


def test_the_code_speaks_before_the_status() -> None:
    assert isinstance(TWILIO.parse(refusal(21610, 403)), Rejected)
    assert isinstance(TWILIO.parse(refusal(20003, 403)), Misconfigured)
    assert isinstance(TWILIO.parse(refusal(20429, 400)), Later)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_no_code_makes_a_500_certain(status: int) -> None:
    for code in (21610, 20429, 20003, 20503):
        assert isinstance(TWILIO.parse(refusal(code, status)), Unsure)


def test_an_unknown_code_is_a_plain_refusal() -> None:
    assert TWILIO.parse(refusal(29999)) == Rejected(Reason.REJECTED, "HTTP 400: 29999 so it is")
    assert TWILIO.parse(refusal(29999, 404)) == Misconfigured("HTTP 404: so it is")
    assert isinstance(TWILIO.parse(refusal(29999, 401)), Misconfigured)


def test_a_code_may_be_written_as_text() -> None:
    assert isinstance(TWILIO.parse(refusal("21610")), Rejected)
    assert TWILIO.parse(refusal("21610")) == TWILIO.parse(refusal(21610))


@pytest.mark.parametrize("body", [{}, {"sid": None}, {"sid": ""}, {"sid": 5}, {"sid": "a b"}, {"status": "queued"}])
def test_a_success_without_a_sid_is_unsure(body: dict[str, Any]) -> None:
    assert isinstance(TWILIO.parse(Reply(201, (), json.dumps(body).encode())), Unsure)


def test_failed_at_once_without_a_known_code_is_refused() -> None:
    for code in (None, 39999):
        body = json.dumps({"sid": SID, "status": "failed", "error_code": code}).encode()
        outcome = TWILIO.parse(Reply(201, (), body))
        assert isinstance(outcome, Rejected)
        assert outcome.reason is Reason.UNKNOWN


@pytest.mark.parametrize("status", [401, 400, 500])
def test_a_vendor_that_quotes_our_credentials_is_not_quoted(status: int) -> None:
    quoted = refusal(20003, status, "not by auth-token-0123456789, nor by Basic QUMwMDA6YXV0aC10b2tlbg==")
    outcome = account(auth_token="auth-token-0123456789").read(quoted)
    assert "not by ***, nor by Basic •••" in outcome.detail


def by_flow(out: Outgoing, answer: Reply | Lost) -> Outcome:
    flow = TWILIO.flow(out)
    assert next(flow) == TWILIO.build(out)
    with pytest.raises(StopIteration) as done:
        flow.send(answer)
    outcome: Outcome = done.value.value
    return outcome


def test_the_accounts_own_sender_refused_is_the_operators_to_mend() -> None:
    assert isinstance(by_flow(OUT, reply("reply_21606")), Misconfigured)


def test_a_sender_that_the_message_named_is_not_held_against_the_account() -> None:
    named = msgspec.structs.replace(OUT, sender="+15005550007")
    outcome = by_flow(named, reply("reply_21606"))
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.scope) == (Reason.REJECTED, Scope.SENDER)
    assert isinstance(by_flow(named, reply("reply_20003")), Misconfigured)
    assert isinstance(by_flow(named, Lost("wait")), Unsure)
    assert by_flow(named, reply("reply_queued")) == Accepted(SID)


# Callbacks


@pytest.mark.parametrize(
    ("name", "receipt"),
    [
        ("queued", Receipt(AttemptState.SENT, "att_1", SID, detail="queued")),
        ("sending", Receipt(AttemptState.SENT, "att_1", SID, detail="sending")),
        ("sent", Receipt(AttemptState.SENT, "att_1", SID, detail="sent")),
        ("delivered", Receipt(AttemptState.DELIVERED, "att_1", SID, detail="delivered")),
        ("read", Receipt(AttemptState.READ, "att_1", SID, detail="read")),
        ("undelivered", Receipt(AttemptState.FAILED, "att_1", SID, Reason.UNREACHABLE, "undelivered 30003")),
        ("failed", Receipt(AttemptState.FAILED, "att_1", SID, Reason.CONTENT, "failed 30007")),
        ("canceled", Receipt(AttemptState.FAILED, "att_1", SID, Reason.UNKNOWN, "canceled")),
    ],
)
def test_a_status_becomes_a_receipt(name: str, receipt: Receipt) -> None:
    assert TWILIO.events(callback(payload(f"callback_{name}")["form"])) == (receipt,)


def test_a_message_to_us_is_a_reply_and_no_receipt() -> None:
    assert TWILIO.events(callback(payload("inbound_received")["form"], None)) == (Inbound("sms", "+15005550009", "STOP", SID),)
    assert TWILIO.events(callback({"MessageSid": SID, "MessageStatus": "receiving"})) == ()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("30001", Reason.LIMIT),
        ("30002", Reason.MISCONFIGURED),
        ("30004", Reason.BLOCKED),
        ("30005", Reason.INVALID_ADDRESS),
        ("30006", Reason.INVALID_ADDRESS),
        ("30008", Reason.UNKNOWN),
        ("30034", Reason.MISCONFIGURED),
        ("30036", Reason.EXPIRED),
        ("21610", Reason.OPTED_OUT),
        ("39999", Reason.UNKNOWN),
        ("", Reason.UNKNOWN),
        ("x", Reason.UNKNOWN),
        ("9" * 5000, Reason.UNKNOWN),
    ],
)
def test_a_failure_says_why(code: str, reason: Reason) -> None:
    (receipt,) = TWILIO.events(callback({"MessageSid": SID, "MessageStatus": "failed", "ErrorCode": code}))
    assert receipt.reason is reason


def test_the_vendors_words_are_kept_without_the_address() -> None:
    form = {"MessageSid": SID, "MessageStatus": "failed", "ErrorCode": "30005", "ErrorMessage": "Unknown handset +15005550009"}
    assert TWILIO.events(callback(form))[0].detail == "failed 30005 Unknown handset +1•••0009"


def test_the_older_name_of_the_status_is_read_too() -> None:
    (receipt,) = TWILIO.events(callback({"SmsSid": SID, "SmsStatus": "delivered"}))
    assert (receipt.state, receipt.ref) == (AttemptState.DELIVERED, SID)


def test_an_attempt_is_found_without_a_reference_and_a_reference_without_an_attempt() -> None:
    assert TWILIO.events(callback({"MessageStatus": "sent"})) == (Receipt(AttemptState.SENT, "att_1", detail="sent"),)
    assert TWILIO.events(callback({"MessageStatus": "sent", "MessageSid": SID}, attempt=None))[0].ref == SID
    assert TWILIO.events(callback({"MessageStatus": "sent"}, attempt=None)) == ()


# Signatures. The values of the vectors: github.com/twilio/twilio-python, tests/unit/test_request_validator.py
# at 306691e793f417b6974640d1ef88785e9de03b2a (MIT).

HOST = "mycompany.com/myapp.php?foo=1&bar=2"
CALL = "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309"
DIGITS = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234"
BODY_HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
JSON = '{"property": "value", "boolean": true}'
VECTORS = [
    (f"https://{HOST}", CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
    (f"https://{HOST}", DIGITS, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
    (f"https://{HOST.replace('/', ':1234/', 1)}", CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
    (f"http://{HOST.replace('/', ':1234/', 1)}", CALL, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
    (f"https://{HOST}", CALL, "kvajT1Ptam85bY51eRf/AJRuM3w="),
    (f"http://{HOST}", CALL, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
    (f"https://{HOST}&bodySHA256={BODY_HASH}", JSON, "a9nBmqA0ju/hNViExpshrM61xv4="),
]


def signed(url: str, body: str, signature: str) -> Hook:
    query = tuple(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    return Hook("POST", url, query, (("x-twilio-signature", signature),), body.encode(), 0.0)


@pytest.mark.parametrize(("url", "body", "signature"), VECTORS, ids=range(len(VECTORS)))
def test_the_vendors_own_signatures_verify(url: str, body: str, signature: str) -> None:
    assert TWILIO.verify(signed(url, body, signature)) is Verdict.GOOD


@pytest.mark.parametrize(("url", "body", "signature"), VECTORS, ids=range(len(VECTORS)))
def test_one_byte_changed_anywhere_is_refused(url: str, body: str, signature: str) -> None:
    def bent(text: str, at: int) -> str:
        return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]

    port = range(url.find(":1234"), url.find(":1234") + 5) if url.startswith("https://mycompany.com:1234") else ()
    # the port is all that this vendor's signatures over https leave out
    hooks = [signed(bent(url, at), body, signature) for at in range(len(url)) if at not in port]
    hooks += [signed(url, bent(body, at), signature) for at in range(len(body))]
    hooks += [signed(url, body, bent(signature, at)) for at in range(len(signature))]
    assert {TWILIO.verify(hook) for hook in hooks} == {Verdict.BAD}


@pytest.mark.parametrize("forged", ["", "x", "A" * 28, "=" * 28, "A" * 27 + "=\n", "é" + "A" * 26 + "="])
def test_what_can_be_no_signature_is_refused_before_the_body_is_read(forged: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    monkeypatch.setattr("sendwright.providers.twilio._form_of", lambda body: read.append(body))
    assert TWILIO.verify(signed(f"https://{HOST}", CALL, forged)) is Verdict.BAD
    assert read == []


def test_a_signature_by_another_token_is_refused() -> None:
    assert account(auth_token="12346").verify(signed(*VECTORS[0])) is Verdict.BAD


def test_a_key_pair_alone_verifies_nothing() -> None:
    keyed = account(auth_token=None, api_key_sid="SK1", api_key_secret="12345")
    assert keyed.verify(signed(*VECTORS[0])) is Verdict.BAD


def test_beside_a_key_pair_the_auth_token_verifies() -> None:
    keyed = account(api_key_sid="SK1", api_key_secret="s")
    assert keyed.verify(signed(*VECTORS[0])) is Verdict.GOOD


def test_blank_parameters_are_part_of_what_is_signed() -> None:
    url = f"https://{HOST}"
    signature = form_signature("12345", url, [("MessageStatus", "sent"), ("Blank", "")])
    assert TWILIO.verify(signed(url, "MessageStatus=sent&Blank=", signature)) is Verdict.GOOD
    assert TWILIO.verify(signed(url, "MessageStatus=sent", signature)) is Verdict.BAD


def test_a_hash_of_the_body_does_not_sign_another_body() -> None:
    url, body, signature = VECTORS[-1]
    assert TWILIO.verify(signed(url, body + " ", signature)) is Verdict.BAD
    assert TWILIO.verify(signed(url, "", signature)) is Verdict.BAD


def fetched(**over: Any) -> Reply:
    message = {"sid": SID, "status": "delivered", "error_code": None, "error_message": None} | over
    return Reply(200, (("content-type", "application/json"),), json.dumps(message).encode())


def test_a_message_is_looked_up_by_its_sid_and_nothing_is_sent() -> None:
    request = account(base_url="http://127.0.0.1:1/t").lookup(SID)
    assert isinstance(request, HttpRequest)
    assert (request.method, request.body) == ("GET", b"")
    assert request.url == f"http://127.0.0.1:1/t/2010-04-01/Accounts/{RAW['account_sid']}/Messages/{SID}.json"
    assert dict(request.headers)["Authorization"] == dict(TWILIO.build(OUT).headers)["Authorization"]  # type: ignore[union-attr]


@pytest.mark.parametrize("ref", ["", "SM1/../../x", "SM1?x", "SM1 ", "SM1\r\n"])
def test_what_is_no_sid_is_not_looked_up(ref: str) -> None:
    with pytest.raises(ValueError, match="not a SID"):
        TWILIO.lookup(ref)


@pytest.mark.parametrize(
    ("answer", "receipt"),
    [
        (fetched(), Receipt(AttemptState.DELIVERED, ref=SID, detail="delivered")),
        (fetched(status="read"), Receipt(AttemptState.READ, ref=SID, detail="read")),
        (
            fetched(status="undelivered", error_code=30005, error_message="Unknown destination"),
            Receipt(AttemptState.FAILED, ref=SID, reason=Reason.INVALID_ADDRESS, detail="undelivered 30005 Unknown destination"),
        ),
        (fetched(status="failed"), Receipt(AttemptState.FAILED, ref=SID, reason=Reason.UNKNOWN, detail="failed")),
    ],
)
def test_a_message_that_was_looked_up_says_how_it_stands(answer: Reply, receipt: Receipt) -> None:
    assert TWILIO.told(answer) == receipt


@pytest.mark.parametrize("status", ["accepted", "scheduled", "queued", "sending", "sent", "received", "news", 7, None])
def test_a_message_on_its_way_says_nothing_new(status: object) -> None:
    assert TWILIO.told(fetched(status=status)) is None


@pytest.mark.parametrize("status", [201, 404, 429, 500])
def test_no_other_answer_says_anything_of_a_message(status: int) -> None:
    assert TWILIO.told(Reply(status, (), fetched().body)) is None


def inbound(**fields: str) -> Hook:
    form = {
        "MessageSid": SID,
        "SmsStatus": "received",
        "From": "+14155550123",
        "To": "+15005550006",
        "Body": "Stop",
        "NumMedia": "0",
    }
    return callback({**form, **fields}, None)


@pytest.mark.parametrize(("word", "meant"), [("STOP", "stop"), ("START", "start"), ("HELP", "help"), ("", None), ("OTHER", None)])
def test_what_twilio_took_a_reply_for_is_believed(word: str, meant: str | None) -> None:
    (reply,) = TWILIO.events(inbound(OptOutType=word, Body="arretez"))
    assert isinstance(reply, Inbound)
    assert (reply.word, reply.text) == (meant, "arretez")


@pytest.mark.parametrize("fields", [{"From": "whatsapp:+14155550123"}, {"From": "anonymous"}, {"MessageSid": ""}])
def test_a_message_from_nobody_who_could_be_known_is_nothing(fields: dict[str, str]) -> None:
    assert TWILIO.events(inbound(**fields)) == ()
