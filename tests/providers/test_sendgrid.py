"""SendGrid: what is said to it, what its answers and events mean. The payloads lie in tests/payloads/sendgrid."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sendwright.errors import SettingsError
from sendwright.model.content import Action, Attachment, EmailContent
from sendwright.providers.contract import (
    Accepted,
    AttemptState,
    Happening,
    Hook,
    HttpRequest,
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
from sendwright.providers.letter import mark
from sendwright.providers.registry import make
from tests.conformance.kinds import ATTEMPT, BODY_MARK, NOW, SECRET_MARK, Samples, hook, json_reply, outgoing

PAYLOADS = Path(__file__).parent.parent / "payloads" / "sendgrid"
URL = "https://notify.example.com/v1/hooks/sendgrid"
ID = "LRzXl_NHStOGhQ4kofSm_A"
ADA = "ada@example.com"
RAW = {"kind": "sendgrid", "api_key": "SG.key-0123456789", "from": "shop@example.com"}
TAKEN = Reply(202, (("x-message-id", ID),))
OUT = Outgoing("att_1", "msg_1", "email", ADA, "Your order is on its way.", title="Order 7")

# The values of these vectors: github.com/sendgrid/sendgrid-python, test/unit/test_eventwebhook.py
# at 76788e70a76b11ce2990821f190e52f887ab9ed6 (MIT).
KEY = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
OTHER_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqTxd43gyp8IOEto2LdIfjRQrIbsd4SXZkLW6jDutdhXSJCWHw8REntlo7aNDthvj+y7GjUuFDb/R1NGe1OPzpA=="
)
SIGNATURE = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
OTHER_SIGNATURE = "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH3j/0="
STAMP = 1600112502
VECTOR = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
    b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
    b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
    b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
)


@cache
def signing_key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(0xC0FFEE, ec.SECP256R1())


def public_key() -> str:
    return base64.b64encode(signing_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def signed(body: bytes, at: float = NOW, now: float = NOW) -> Hook:
    """A callback as SendGrid signs it with the test's own key."""
    stamp = str(int(at))
    signature = base64.b64encode(signing_key().sign(stamp.encode() + body, ec.ECDSA(SHA256()))).decode()
    return given(body, stamp, signature, now)


def given(body: bytes, stamp: str, signature: str, now: float) -> Hook:
    names = ("x-twilio-email-event-webhook-timestamp", "x-twilio-email-event-webhook-signature")
    return hook(URL, body, *zip(names, (stamp, signature), strict=True), now=now)


def samples() -> Samples:
    """For the suite that every kind passes."""
    key = f"{SECRET_MARK}-0123456789"
    event = {"event": "delivered", "email": ADA, "sendwright_attempt": ATTEMPT, "timestamp": 1790000000, "sg_message_id": f"{ID}.x"}
    body = json.dumps([event]).encode() + b"\r\n"
    return Samples(
        raw={"kind": "sendgrid", "api_key": key, "from": "Shop <shop@example.com>", "webhook_public_key": public_key()},
        outgoing=outgoing(channel="email", address="grace@example.com", html=f"<p>{BODY_MARK}</p>"),
        accepted=TAKEN,
        refused_key=json_reply(401, {"errors": [{"message": "The provided authorization grant is invalid", "field": None}]}),
        secrets=(key,),
        callback=signed(body),
        stale=(signed(body, NOW - 2 * 86_400 - 1), signed(body, NOW + 301)),
        foreign={"webhook_public_key": OTHER_KEY},
        signature_headers=("x-twilio-email-event-webhook-timestamp", "x-twilio-email-event-webhook-signature"),
        extra_replies=(Reply(202), Reply(202, (("x-message-id", ""),)), Reply(202, (("x-message-id", "a b"),))),
    )


def story() -> tuple[Provider, list[Hook]]:
    """What its callbacks may say of one attempt, one after the other."""
    names = ("processed", "deferred", "delivered", "open", "bounce", "spamreport")
    return MAIN, [hook(URL, json.dumps(payload(f"callback_{name}")["body"]).encode()) for name in names]


def account(**over: Any) -> Provider:
    return make("sendgrid", RAW | over)


MAIN = account()


def said(provider: Provider = MAIN, **over: Any) -> dict[str, Any]:
    request = provider.build(msgspec.structs.replace(OUT, **over))
    assert isinstance(request, HttpRequest)
    found: dict[str, Any] = json.loads(request.body)
    return found


def payload(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return found


def reply(name: str) -> Reply:
    found = payload(name)
    return Reply(found["status"], (("content-type", "application/json"),), json.dumps(found["body"]).encode())


def events(*found: object) -> tuple[Receipt, ...]:
    return tuple(MAIN.events(hook(URL, json.dumps(found).encode())))


# What is said


def test_a_text_is_one_mail_to_one_recipient_that_echoes_its_attempt() -> None:
    request = MAIN.build(OUT)
    assert isinstance(request, HttpRequest)
    assert (request.method, request.url) == ("POST", "https://api.sendgrid.com/v3/mail/send")
    assert dict(request.headers)["Authorization"] == "Bearer SG.key-0123456789"
    assert said() == {
        "personalizations": [{"to": [{"email": ADA}], "custom_args": {"sendwright_attempt": "att_1"}}],
        "from": {"email": "shop@example.com"},
        "subject": "Order 7",
        "content": [{"type": "text/plain", "value": "Your order is on its way."}],
    }


def test_text_comes_before_html_as_sendgrid_asks() -> None:
    assert said(html="<p>é</p>")["content"] == [
        {"type": "text/plain", "value": "Your order is on its way."},
        {"type": "text/html", "value": "<p>é</p>"},
    ]
    assert said(body="", html="<p>é</p>")["content"] == [{"type": "text/html", "value": "<p>é</p>"}]


def test_everything_that_an_email_can_say_is_passed_on() -> None:
    own = EmailContent(
        sender="Orders <orders@example.com>",
        reply_to="Support <help@example.com>",
        cc=["bob@example.com"],
        bcc=["Archive; all, of it <archive@example.com>"],
        headers={"X-Order": "7", "References": "<1@example.com>"},
        attachments=[Attachment("a.pdf", "JVBERi0=", "application/pdf")],
    )
    mail = said(own=own, sender=own.sender)
    assert mail["from"] == {"email": "orders@example.com", "name": "Orders"}
    assert mail["reply_to"] == {"email": "help@example.com", "name": "Support"}
    assert mail["headers"] == {"X-Order": "7", "References": "<1@example.com>"}
    assert mail["attachments"] == [
        {"content": "JVBERi0=", "filename": "a.pdf", "type": "application/pdf", "disposition": "attachment"}
    ]
    [envelope] = mail["personalizations"]
    assert envelope["cc"] == [{"email": "bob@example.com"}]
    assert envelope["bcc"] == [{"email": "archive@example.com", "name": "Archive all of it"}]


def test_links_actions_and_media_end_the_text() -> None:
    mail = said(
        url="https://example.com/7",
        actions=(Action("t", "Track it", "https://example.com/t"), Action("x", "Dismiss")),
        media=(Media("https://example.com/a.png"),),
    )
    assert mail["content"][0]["value"] == (
        "Your order is on its way.\n\nhttps://example.com/7\nTrack it: https://example.com/t\nhttps://example.com/a.png"
    )


def test_a_mail_without_a_subject_has_the_first_line_of_its_text() -> None:
    assert said(title=None, body="Your code is 481216.\nDon't share it.")["subject"] == "Your code is 481216."
    assert said(title=None, body="x" * 101)["subject"] == "x" * 99 + "…"
    assert said(title="two\r\nX-Evil: yes")["subject"] == "two X-Evil: yes"


@pytest.mark.parametrize(
    ("own", "name"), [({"from_name": "The Shop"}, "The Shop"), ({"from": "Shop <shop@example.com>"}, "Shop"), ({}, None)]
)
def test_the_sender_has_the_accounts_name_unless_the_message_names_another(own: dict[str, str], name: str | None) -> None:
    mail = said(account(**own))
    assert mail["from"] == ({"email": "shop@example.com", "name": name} if name else {"email": "shop@example.com"})
    assert said(account(**own), sender="bob@example.com")["from"] == {"email": "bob@example.com"}


def test_a_domain_in_other_letters_is_written_as_mail_servers_read_it() -> None:
    assert said(address="ada@bücher.example")["personalizations"][0]["to"] == [{"email": "ada@xn--bcher-kva.example"}]


@pytest.mark.parametrize(
    "over",
    [
        {"address": "+15005550009"},
        {"address": "Ada"},
        {"address": "ada@example.com, bob@example.com"},
        {"address": "ada@example.com\r\nBcc: bob@example.com"},
        {"address": "ådå@example.com"},
        {"address": ""},
        {"body": "", "html": None},
        {"body": "", "html": "<p></p>", "title": None},
        {"channel": "sms"},
        {"body": "\ud800"},
        {"own": EmailContent(cc=["nobody"])},
        {"own": EmailContent(cc=["bob@example.com"] * 1000)},
    ],
)
def test_what_sendgrid_has_no_words_for_is_refused_before_it_is_sent(over: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        said(**over)


def test_a_mail_of_more_than_30_megabytes_is_too_long() -> None:
    with pytest.raises(TooLong):
        said(body="x" * 30_000_000)


# Settings


@pytest.mark.parametrize(
    ("over", "key"),
    [
        ({"api_key": ""}, "api_key"),
        ({"api_key": "canary\n"}, "api_key"),
        ({"from": "canary"}, "from"),
        ({"webhook_public_key": "canary"}, "webhook_public_key"),
        ({"webhook_public_key": KEY[:-4]}, "webhook_public_key"),
        ({"webhook_public_key": KEY.replace("83T4", "83T5")}, "webhook_public_key"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_without_being_quoted(over: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        account(**over)
    assert [where for where, _ in refusal.value.faults] == [f"providers.sendgrid.{key}"]
    assert "canary" not in str(refusal.value)


def test_a_key_and_a_sender_are_required() -> None:
    with pytest.raises(SettingsError) as refusal:
        make("s", {"kind": "sendgrid"})
    assert [where for where, _ in refusal.value.faults] == ["providers.s.api_key", "providers.s.from"]


# Answers


def test_a_success_with_an_id_is_acceptance_and_without_one_unsure() -> None:
    assert MAIN.parse(TAKEN) == Accepted(ID)
    assert isinstance(MAIN.parse(Reply(202)), Unsure)
    assert isinstance(MAIN.parse(Reply(200, (), b"{}")), Unsure)


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("reply_bad_recipient", Rejected(Reason.INVALID_ADDRESS, "HTTP 400: Does not contain a valid address.")),
        ("reply_bad_sender", Misconfigured("HTTP 400: The from email does not contain a valid address.")),
        (
            "reply_bad_content",
            Rejected(
                Reason.REJECTED,
                "HTTP 400: The content value must be a string at least one character in length.; The subject is required.",
            ),
        ),
        (
            "reply_unverified_sender",
            Misconfigured("HTTP 403: The from address does not match a verified Sender Identity."),
        ),
        ("reply_bad_key", Misconfigured("HTTP 401: The provided authorization grant is invalid, expired, or revoked")),
        ("reply_credits", Misconfigured("HTTP 401: Maximum credits exceeded")),
        ("reply_too_large", Rejected(Reason.TOO_LONG, "HTTP 413: The JSON payload is too large.")),
        ("reply_busy", Later("HTTP 429: too many requests", None, Scope.ACCOUNT, ill=False)),
        ("reply_broken", Unsure("HTTP 500: internal server error")),
    ],
)
def test_a_documented_answer_has_its_meaning(name: str, outcome: Outcome) -> None:
    assert MAIN.parse(reply(name)) == outcome


def test_a_full_rate_waits_for_its_window_by_sendgrids_clock() -> None:
    headers = (
        ("date", "Sun, 22 Nov 2026 09:00:00 GMT"),
        ("x-ratelimit-limit", "600"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1795338030"),
    )
    assert MAIN.parse(Reply(429, headers)) == Later("HTTP 429", 30, Scope.ACCOUNT, ill=False)


def test_an_address_that_is_not_there_is_the_operators_to_mend() -> None:
    assert MAIN.parse(Reply(404)) == Misconfigured("HTTP 404")


def by_flow(out: Outgoing, answer: Reply | Lost) -> Outcome:
    flow = MAIN.flow(out)
    next(flow)
    with pytest.raises(StopIteration) as done:
        flow.send(answer)
    outcome: Outcome = done.value.value
    return outcome


@pytest.mark.parametrize("name", ["reply_unverified_sender", "reply_bad_sender"])
def test_a_sender_that_the_message_named_is_not_held_against_the_account(name: str) -> None:
    named = msgspec.structs.replace(OUT, sender="orders@example.com")
    outcome = by_flow(named, reply(name))
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.scope) == (Reason.REJECTED, Scope.SENDER)
    assert isinstance(by_flow(OUT, reply(name)), Misconfigured)
    assert isinstance(by_flow(named, reply("reply_bad_key")), Misconfigured)
    assert isinstance(by_flow(named, Lost("wait")), Unsure)


# Messages that share a call


def guests(count: int, **over: Any) -> list[Outgoing]:
    given = {"attempt": "att_{}", "address": "guest{}@example.com"}
    named = [{name: text.format(number) for name, text in given.items()} for number in range(count)]
    return [msgspec.structs.replace(OUT, **each, **over) for each in named]


def test_messages_of_one_content_go_with_one_call_and_each_echoes_its_own_attempt() -> None:
    outs = guests(1000)
    assert MAIN.capabilities.batch_max == 1000
    assert len({MAIN.together(out) for out in outs}) == 1
    request = MAIN.build_all(outs)
    assert isinstance(request, HttpRequest)
    mail = json.loads(request.body)
    assert mail["personalizations"] == [
        {"to": [{"email": f"guest{number}@example.com"}], "custom_args": {"sendwright_attempt": f"att_{number}"}}
        for number in range(1000)
    ]
    assert (mail["subject"], mail["content"][0]["value"]) == ("Order 7", "Your order is on its way.")
    assert MAIN.parse_all(TAKEN, outs) == [Accepted(ID)] * 1000


@pytest.mark.parametrize(
    "over",
    [
        {"body": "Something else."},
        {"title": "Order 8"},
        {"html": "<p>x</p>"},
        {"sender": "orders@example.com"},
        {"url": "https://example.com/8"},
        {"own": EmailContent(headers={"X-Order": "8"})},
        {"own": EmailContent(attachments=[Attachment("a.txt", "YQ==")])},
    ],
)
def test_what_is_said_otherwise_goes_with_another_call(over: dict[str, Any]) -> None:
    first, second = guests(2)
    assert MAIN.together(msgspec.structs.replace(second, **over)) not in {MAIN.together(first), None}


@pytest.mark.parametrize(
    "over",
    [
        {"own": EmailContent(cc=["bob@example.com"])},
        {"own": EmailContent(bcc=["bob@example.com"])},
        {"own": EmailContent(attachments=[Attachment("a.bin", "A" * 1_000_000)])},
    ],
)
def test_copies_and_large_files_go_alone(over: dict[str, Any]) -> None:
    assert MAIN.together(msgspec.structs.replace(OUT, **over)) is None


def test_what_cannot_be_said_is_refused_before_it_finds_company() -> None:
    with pytest.raises(ValueError):
        MAIN.together(msgspec.structs.replace(OUT, address="nobody"))


def test_a_call_that_is_refused_for_one_of_its_messages_is_nobodys_refusal() -> None:
    outs = guests(3)
    assert MAIN.read_all(reply("reply_bad_recipient"), outs) is None
    assert MAIN.read_all(reply("reply_too_large"), outs) is None
    assert [type(each) for each in MAIN.read_all(reply("reply_bad_recipient"), outs[:1]) or ()] == [Rejected]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("reply_busy", Later), ("reply_bad_key", Misconfigured), ("reply_broken", Unsure), ("reply_bad_content", Rejected)],
)
def test_every_other_answer_is_that_of_each(name: str, kind: type) -> None:
    assert [type(each) for each in MAIN.read_all(reply(name), guests(3)) or ()] == [kind] * 3


def test_a_sender_that_all_of_them_named_is_not_held_against_the_account() -> None:
    outcomes = MAIN.read_all(reply("reply_unverified_sender"), guests(2, sender="orders@example.com")) or ()
    assert [(each.reason, each.scope) for each in outcomes if isinstance(each, Rejected)] == [(Reason.REJECTED, Scope.SENDER)] * 2


# Events

AT = 1795338000.0
HARDLY, SOFTLY = (Happening.BOUNCED, "hard"), (Happening.BOUNCED, "soft")


@pytest.mark.parametrize(
    ("name", "receipt"),
    [
        ("processed", Receipt(AttemptState.SENT, "att_1", ID, detail="processed", at=AT)),
        ("deferred", Receipt(AttemptState.SENT, "att_1", ID, None, "deferred, 450 4.2.1 too many messages, try again later", AT)),
        ("delivered", Receipt(AttemptState.DELIVERED, "att_1", ID, detail="delivered, 250 2.0.0 OK", at=AT)),
        ("open", Receipt(AttemptState.READ, "att_1", ID, detail="open", at=AT)),
        ("click", Receipt(AttemptState.READ, "att_1", ID, detail="click", at=AT, happened=Happening.CLICKED)),
        ("spamreport", Receipt(AttemptState.DELIVERED, "att_1", ID, Reason.OPTED_OUT, "spamreport", AT, Happening.COMPLAINED)),
        ("unsubscribe", Receipt(AttemptState.DELIVERED, "att_1", ID, Reason.OPTED_OUT, "unsubscribe", AT, Happening.UNSUBSCRIBED)),
        (
            "group_unsubscribe",
            Receipt(AttemptState.DELIVERED, "att_1", ID, Reason.OPTED_OUT, "group_unsubscribe", AT, Happening.UNSUBSCRIBED),
        ),
        ("open_by_a_machine", Receipt(AttemptState.DELIVERED, "att_1", ID, None, "open", AT, Happening.OPENED_BY_MACHINE, "open")),
        (
            "bounce_full",
            Receipt(AttemptState.FAILED, "att_1", ID, Reason.UNREACHABLE, "bounce, bounce, 552 5.2.2 mailbox full", AT, *HARDLY),
        ),
        (
            "bounce_blocked",
            Receipt(
                AttemptState.FAILED, "att_1", ID, Reason.BLOCKED, "bounce, blocked, 550 5.7.1 listed by a blocklist", AT, *SOFTLY
            ),
        ),
        (
            "bounce_without_status",
            Receipt(AttemptState.FAILED, "att_1", ID, Reason.BLOCKED, "bounce, blocked, unable to get mx info", AT, *SOFTLY),
        ),
        (
            "dropped_bounced",
            Receipt(AttemptState.REJECTED, "att_1", ID, Reason.UNREACHABLE, "dropped, Bounced Address", AT),
        ),
        (
            "dropped_unsubscribed",
            Receipt(AttemptState.REJECTED, "att_1", ID, Reason.OPTED_OUT, "dropped, Unsubscribed Address", AT),
        ),
        ("dropped_invalid", Receipt(AttemptState.REJECTED, "att_1", ID, Reason.INVALID_ADDRESS, "dropped, Invalid", AT)),
        ("dropped_spam_content", Receipt(AttemptState.REJECTED, "att_1", ID, Reason.CONTENT, "dropped, Spam Content", AT)),
        ("dropped_otherwise", Receipt(AttemptState.REJECTED, "att_1", ID, Reason.REJECTED, "dropped, Something New", AT)),
    ],
)
def test_an_event_becomes_a_receipt(name: str, receipt: Receipt) -> None:
    assert events(*payload(f"callback_{name}")["body"]) == (receipt,)


def test_a_bounce_quotes_no_address() -> None:
    [receipt] = events(*payload("callback_bounce")["body"])
    assert (receipt.state, receipt.reason) == (AttemptState.FAILED, Reason.INVALID_ADDRESS)
    assert "550 5.1.1 <a•••@example.com>: no such user" in receipt.detail


def test_what_no_message_is_about_is_no_receipt() -> None:
    assert events(*payload("callback_group_resubscribe")["body"]) == ()


def test_what_befell_a_copy_says_nothing_of_the_message() -> None:
    own = EmailContent(cc=["bob@example.com"])
    [envelope] = said(own=own)["personalizations"]
    echoed = {"sg_message_id": f"{ID}.0", "timestamp": 1795338000} | envelope["custom_args"]
    assert echoed["sendwright_for"] == mark("att_1", ADA)
    assert ADA not in json.dumps(echoed)
    bob = {"event": "bounce", "type": "bounce", "email": "bob@example.com"} | echoed
    ada = {"event": "delivered", "email": "Ada@Example.com"} | echoed
    assert events(bob, ada) == (Receipt(AttemptState.DELIVERED, "att_1", ID, detail="delivered", at=AT),)


def test_one_event_that_cannot_be_read_costs_none_of_the_others() -> None:
    good = payload("callback_delivered")["body"][0]
    junk: list[object] = [None, 5, "x", [], {}, {"event": 5}, {"event": "delivered"}, good | {"sendwright_attempt": "a b"}]
    odd = [good | {"timestamp": at} for at in (None, True, "soon", -1, 10**400, [])]
    assert len(events(*junk, good)) == 1
    assert [receipt.at for receipt in events(*odd)] == [None] * 6


def test_a_megabyte_of_events_is_a_receipt_each() -> None:
    good = payload("callback_delivered")["body"][0]
    body = json.dumps([good | {"sendwright_attempt": f"att_{number}"} for number in range(3000)]).encode()
    assert len(body) > 1_000_000
    assert [receipt.attempt for receipt in MAIN.events(hook(URL, body))] == [f"att_{number}" for number in range(3000)]


# Signatures

VERIFYING = account(webhook_public_key=KEY)


def test_sendgrids_own_vectors_have_their_verdicts() -> None:
    good = given(VECTOR, str(STAMP), SIGNATURE, STAMP + 1.0)
    assert VERIFYING.verify(good) is Verdict.GOOD
    assert account(webhook_public_key=OTHER_KEY).verify(good) is Verdict.BAD
    assert VERIFYING.verify(given(VECTOR, str(STAMP), OTHER_SIGNATURE, STAMP + 1.0)) is Verdict.BAD
    assert VERIFYING.verify(given(VECTOR.rstrip(), str(STAMP), SIGNATURE, STAMP + 1.0)) is Verdict.BAD
    assert VERIFYING.verify(given(VECTOR, str(STAMP + 1), SIGNATURE, STAMP + 1.0)) is Verdict.BAD


@pytest.mark.parametrize(("age_s", "verdict"), [(0, "good"), (86_400, "good"), (172_800, "good"), (172_801, "bad"), (-301, "bad")])
def test_a_callback_of_yesterday_may_be_a_repeat_and_an_older_one_is_refused(age_s: int, verdict: str) -> None:
    assert VERIFYING.verify(given(VECTOR, str(STAMP), SIGNATURE, STAMP + age_s)) == Verdict(verdict)


def test_a_repeated_callback_says_the_same_again() -> None:
    repeated = samples().callback
    assert repeated is not None
    provider = make("main", samples().raw)
    assert provider.verify(repeated) is provider.verify(repeated) is Verdict.GOOD
    assert provider.events(repeated) == provider.events(repeated)


def test_without_a_key_there_are_no_receipts_and_no_callback_is_taken() -> None:
    assert not MAIN.capabilities.receipts
    assert VERIFYING.capabilities.receipts
    assert MAIN.verify(given(VECTOR, str(STAMP), SIGNATURE, STAMP + 1.0)) is Verdict.BAD


@pytest.mark.parametrize("signature", ["", "AAAA", "A" * 96, SIGNATURE[:-1], SIGNATURE + "=", SIGNATURE + "\n", "é" * 96])
def test_what_is_no_signature_is_refused_before_the_body_is_read(signature: str) -> None:
    assert VERIFYING.verify(given(VECTOR, str(STAMP), signature, STAMP + 1.0)) is Verdict.BAD


def test_an_account_costs_the_library_of_signatures_only_when_the_first_callback_comes() -> None:
    program = "import json, sys; from sendwright.providers.registry import make; make('s', json.loads(sys.argv[1]))"
    command = [
        sys.executable,
        "-c",
        program + "; print('cryptography' in sys.modules)",
        json.dumps(RAW | {"webhook_public_key": KEY}),
    ]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"
