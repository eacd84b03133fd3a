"""The sandbox's wire, from the adapter's side."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from sendwright.errors import SettingsError
from sendwright.providers import signing
from sendwright.providers.contract import (
    EVERY_CHANNEL,
    Accepted,
    AttemptState,
    Hook,
    HttpRequest,
    Later,
    Media,
    Outgoing,
    Provider,
    Reason,
    Receipt,
    Rejected,
    Reply,
    Unsure,
    Verdict,
)
from sendwright.providers.registry import make
from sendwright.providers.sandbox import SANDBOX_SECRET
from sendwright.sandbox import keys
from tests.conformance.kinds import ATTEMPT, NOW, SECRET_MARK, Samples, json_reply, outgoing, standard_webhook

SANDBOX = make("sandbox-sms", {"kind": "sandbox", "url": "http://127.0.0.1:8425/"})
OUT = Outgoing(
    attempt="att_1",
    message="msg_1",
    channel="sms",
    address="+15550000123",
    body="Your code is 1234",
    idempotency_key="key-1",
)


def samples() -> Samples:
    """For the suite that every kind passes."""
    key = f"{SECRET_MARK}-signs-callbacks".encode()
    secret = "whsec_" + base64.b64encode(key).decode()
    body = json.dumps({"id": "sbx_1", "reference": ATTEMPT, "state": "delivered", "at": "2026-09-21T14:13:20Z"}).encode()
    return Samples(
        raw={"kind": "sandbox", "url": "http://127.0.0.1:8425", "token": f"{SECRET_MARK}-token", "secret": secret},
        outgoing=outgoing(sender="+15005550006"),
        accepted=json_reply(202, {"id": "sbx_1"}),
        refused_key=json_reply(401, {"code": "unauthorized", "detail": "A bearer token is needed."}),
        secrets=(f"{SECRET_MARK}-token", secret, secret.removeprefix("whsec_")),
        callback=standard_webhook(key, body, at=NOW),
        stale=(standard_webhook(key, body, at=NOW - 301), standard_webhook(key, body, at=NOW + 301)),
        signature_headers=("webhook-id", "webhook-timestamp", "webhook-signature"),
        extra_replies=(json_reply(202, {"id": ""}), json_reply(202, {"id": 7}), json_reply(202, {"code": "opted_out"})),
    )


def story() -> tuple[Provider, list[Hook]]:
    """What its callbacks may say of one attempt, one after the other."""
    return SANDBOX, [callback(state=state) for state in ("sent", "delivered", "read", "failed")]


def sent(out: Outgoing = OUT) -> HttpRequest:
    request = SANDBOX.build(out)
    assert isinstance(request, HttpRequest)
    return request


def callback(**said: Any) -> Hook:
    body = json.dumps({"id": "sbx_1", "reference": "att_1", "state": "sent", "at": "2026-11-22T09:00:00Z"} | said).encode()
    return Hook("POST", "https://notify.example.com/v1/hooks/sandbox-sms", (), (), body, 0.0)


def problem(status: int, code: object, *headers: tuple[str, str]) -> Reply:
    return Reply(status, headers, json.dumps({"code": code, "detail": "so it was told"}).encode())


def test_a_plain_message_is_said_in_few_words() -> None:
    request = sent()
    assert (request.method, request.url) == ("POST", "http://127.0.0.1:8425/v1/messages")
    assert dict(request.headers)["Authorization"] == "Bearer sandbox"
    assert json.loads(request.body) == {
        "channel": "sms",
        "to": "+15550000123",
        "body": "Your code is 1234",
        "idempotency_key": "key-1",
        "reference": "att_1",
    }


def test_everything_that_a_message_can_hold_is_passed_on() -> None:
    request = sent(
        Outgoing(
            attempt="att_1",
            message="msg_1",
            channel="email",
            address="ada@example.com",
            body="b",
            title="t",
            html="<p>b</p>",
            url="https://example.com/",
            media=(Media("https://example.com/a.png", "image/png"), Media("https://example.com/b")),
            sender="shop@example.com",
            callback_url="https://notify.example.com/v1/hooks/s?a=att_1",
            idempotency_key="k",
            ttl_s=60,
        )
    )
    assert json.loads(request.body) == {
        "channel": "email",
        "to": "ada@example.com",
        "body": "b",
        "title": "t",
        "html": "<p>b</p>",
        "url": "https://example.com/",
        "media": [{"url": "https://example.com/a.png", "content_type": "image/png"}, {"url": "https://example.com/b"}],
        "from": "shop@example.com",
        "callback_url": "https://notify.example.com/v1/hooks/s?a=att_1",
        "idempotency_key": "k",
        "reference": "att_1",
        "ttl_s": 60,
    }


def test_the_key_is_the_same_for_every_attempt_that_shares_it() -> None:
    second = sent(Outgoing("att_2", "msg_1", "sms", "+15550000123", "Your code is 1234", idempotency_key="key-1"))
    assert json.loads(second.body)["idempotency_key"] == json.loads(sent().body)["idempotency_key"]
    assert SANDBOX.capabilities.idempotency_s == 86_400


def test_without_a_key_the_attempt_stands_for_itself() -> None:
    bare = sent(Outgoing("att_2", "msg_1", "sms", "+15550000123", "x"))
    assert json.loads(bare.body)["idempotency_key"] == "att_2"


def test_it_takes_every_channel_unless_some_are_named() -> None:
    assert SANDBOX.capabilities.channels == EVERY_CHANNEL
    assert make("s", {"kind": "sandbox", "url": "http://x", "channels": ["push"]}).capabilities.channels == ("push",)


def test_taken_with_an_id_is_accepted() -> None:
    assert SANDBOX.parse(Reply(202, body=b'{"id": "sbx_9"}')) == Accepted("sbx_9")


@pytest.mark.parametrize("reason", ["invalid_address", "opted_out", "unreachable", "blocked", "content", "too_long"])
def test_a_problem_with_one_of_our_reasons_is_refused_for_that(reason: str) -> None:
    assert SANDBOX.parse(problem(422, reason)) == Rejected(Reason(reason), "HTTP 422: so it was told")


def test_a_problem_with_another_word_is_refused_all_the_same() -> None:
    for code in ("fault", 7, None, ["opted_out"]):
        assert SANDBOX.parse(problem(422, code)) == Rejected(Reason.REJECTED, "HTTP 422: so it was told")


def test_a_reason_does_not_turn_another_class_into_a_refusal() -> None:
    assert isinstance(SANDBOX.parse(problem(503, "opted_out")), Later)
    assert isinstance(SANDBOX.parse(problem(500, "opted_out")), Unsure)
    assert SANDBOX.parse(problem(429, "limit", ("retry-after", "3"))) == Later("HTTP 429: so it was told", 3, ill=False)


def test_the_same_key_while_the_first_call_runs_is_unsure() -> None:
    assert isinstance(SANDBOX.parse(problem(409, "running")), Unsure)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("sent", AttemptState.SENT),
        ("delivered", AttemptState.DELIVERED),
        ("read", AttemptState.READ),
    ],
)
def test_a_report_becomes_a_receipt(word: str, state: AttemptState) -> None:
    assert SANDBOX.events(callback(state=word)) == (Receipt(state, "att_1", "sbx_1", at=1795338000.0),)


def test_a_report_of_failure_says_why() -> None:
    hook = callback(state="failed", reason="unreachable", detail="no answer from +15550000123")
    assert SANDBOX.events(hook) == (
        Receipt(AttemptState.FAILED, "att_1", "sbx_1", Reason.UNREACHABLE, "no answer from +1•••0123", 1795338000.0),
    )
    assert SANDBOX.events(callback(state="failed", reason="tired"))[0].reason is Reason.UNKNOWN
    assert SANDBOX.events(callback(state="failed"))[0].reason is Reason.UNKNOWN


@pytest.mark.parametrize("at", [None, 5, "soon", "2026-11-22T09:00:00", "2026-13-01T00:00:00Z", []])
def test_a_time_that_cannot_be_read_is_left_out(at: object) -> None:
    assert SANDBOX.events(callback(at=at))[0].at is None


def test_an_unknown_state_and_a_report_of_nobody_are_no_receipts() -> None:
    assert SANDBOX.events(callback(state="lost")) == ()
    assert SANDBOX.events(callback(state=["sent"])) == ()
    assert SANDBOX.events(callback(id=None, reference=None)) == ()


def test_the_attempt_is_the_signed_one_not_the_one_in_the_address() -> None:
    hook = callback(reference=None)
    elsewhere = Hook("POST", hook.url + "?a=att_9", (("a", "att_9"),), (), hook.body, 0.0)
    assert SANDBOX.events(elsewhere)[0].attempt is None


@pytest.mark.parametrize("drift_s", [-300, 0, 300])
def test_a_callback_of_the_server_verifies_to_the_boundary(drift_s: int) -> None:
    # given
    body, at = callback().body, 1_790_000_000
    headers = (
        ("webhook-id", "evt_1"),
        ("webhook-timestamp", str(at)),
        ("webhook-signature", keys.webhook_signature(keys.SANDBOX_SECRET, "evt_1", at, body)),
    )
    # then
    assert SANDBOX.verify(Hook("POST", "https://x/", (), headers, body, at + drift_s)) is Verdict.GOOD
    past = drift_s + (0.5 if drift_s >= 0 else -0.5)
    expected = Verdict.BAD if abs(drift_s) == 300 else Verdict.GOOD
    assert SANDBOX.verify(Hook("POST", "https://x/", (), headers, body, at + past)) is expected


def test_adapter_and_server_hold_the_same_secret_by_default() -> None:
    assert SANDBOX_SECRET.reveal() == keys.SANDBOX_SECRET
    assert signing.webhook_key(SANDBOX_SECRET.reveal())


def test_every_fault_of_its_settings_is_told_without_the_secret() -> None:
    bad = {"kind": "sandbox", "url": "ftp://x", "token": "a\r\nb", "secret": "whsec_canary!", "channels": ["fax"]}
    with pytest.raises(SettingsError) as refusal:
        make("s", bad)
    assert {where for where, _ in refusal.value.faults} == {f"providers.s.{key}" for key in ("url", "token", "secret", "channels")}
    assert "canary" not in str(refusal.value)


def test_a_secret_of_ones_own_replaces_the_public_one() -> None:
    own = make("s", {"kind": "sandbox", "url": "http://x", "secret": "whsec_" + base64.b64encode(b"mine").decode()})
    body, at = callback().body, 1_790_000_000
    headers = (
        ("webhook-id", "evt_1"),
        ("webhook-timestamp", str(at)),
        ("webhook-signature", signing.sign_webhook([b"mine"], "evt_1", at, body)),
    )
    hook = Hook("POST", "https://x/", (), headers, body, at)
    assert own.verify(hook) is Verdict.GOOD
    assert SANDBOX.verify(hook) is Verdict.BAD
