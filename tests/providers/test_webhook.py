"""Webhook: what is posted, how it is signed, what an endpoint's answer means."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import msgspec
import pytest

from sendwright.errors import SettingsError
from sendwright.model.content import Action, WebhookContent
from sendwright.model.ids import IdMint, message_id
from sendwright.providers.contract import (
    Accepted,
    HttpRequest,
    Later,
    Media,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Rejected,
    Reply,
    Scope,
    Unsure,
)
from sendwright.providers.registry import make
from sendwright.providers.signing import sign_webhook, webhook_key, webhook_signed
from tests.conformance.kinds import NOW, SECRET_MARK, Samples, outgoing

ADDRESS = "https://hooks.example.com/events?team=7"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLDER = "whsec_" + base64.b64encode(b"an older one, of thirty-two bytes").decode()
MESSAGE = message_id(IdMint(b"a secret for tests, 32 bytes long").notification("default", 1_795_338_000_500, bytes(9)), 0)
OUT = Outgoing(
    "att_1", MESSAGE, "webhook", ADDRESS, "Your order is on its way.", idempotency_key="msg_1.0.hooks", now=1_795_338_060.9
)


def account(**over: Any) -> Provider:
    return make("hooks", {"kind": "webhook", "secret": SECRET} | over)


HOOKS = account()


def samples() -> Samples:
    """For the suite that every kind passes."""
    secret = "whsec_" + base64.b64encode(f"{SECRET_MARK}-signs-what-is-posted".encode()).decode()
    return Samples(
        raw={"kind": "webhook", "secret": secret, "allow_private": ["10.20.0.0/16"]},
        outgoing=outgoing(channel="webhook", address=ADDRESS, now=NOW),
        accepted=Reply(204),
        refused_key=None,
        bare=True,
        secrets=(secret, secret.removeprefix("whsec_")),
    )


def posted(provider: Provider = HOOKS, **over: Any) -> HttpRequest:
    request = provider.build(msgspec.structs.replace(OUT, **over))
    assert isinstance(request, HttpRequest)
    return request


def event(**over: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(posted(**over).body)
    return found


# What is posted


def test_a_message_is_an_event_at_the_recipients_own_address() -> None:
    request = posted()
    assert (request.method, request.url) == ("POST", ADDRESS)
    assert dict(request.headers)["Content-Type"] == "application/json"
    assert json.loads(request.body) == {
        "type": "notification",
        "timestamp": "2026-11-22T09:00:00.500Z",
        "data": {"id": MESSAGE, "body": "Your order is on its way."},
    }


def test_all_that_a_content_can_say_is_in_its_data() -> None:
    said = event(
        title="Order",
        html="<p>On its way.</p>",
        url="https://example.com/orders/1",
        media=(Media("https://example.com/a.png", "image/png"),),
        actions=(Action("track", "Track it", "https://example.com/t"),),
    )
    assert said["data"] == {
        "id": MESSAGE,
        "title": "Order",
        "body": "Your order is on its way.",
        "html": "<p>On its way.</p>",
        "url": "https://example.com/orders/1",
        "media": [{"url": "https://example.com/a.png", "content_type": "image/png"}],
        "actions": [{"id": "track", "label": "Track it", "url": "https://example.com/t"}],
    }


def test_the_content_may_name_the_type_and_then_its_data_alone_is_said() -> None:
    assert event(own=WebhookContent(type="order.shipped"))["type"] == "order.shipped"
    own = WebhookContent("order.shipped", {"order": 7, "lines": [{"sku": "é"}]})
    said = event(own=own, title="Order")
    assert (said["type"], said["data"]) == ("order.shipped", {"order": 7, "lines": [{"sku": "é"}]})


def test_a_message_whose_id_tells_no_time_has_that_of_the_attempt() -> None:
    assert event(message="test-1")["timestamp"] == "2026-11-22T09:01:00.900Z"


@pytest.mark.parametrize(
    "address",
    [
        "", "hooks.example.com", "ftp://example.com/", "https://", "https:///x", "https://a b/", "https://example.com/a b",
        "https://u:p@example.com/", "https://example.com/\r\nX: y", "https://example.com\\@10.0.0.1/", "file:///etc/passwd",
        "https://example.com/#part", "https://example.com/\x85", "gopher://example.com/", "unix:///run/docker.sock",
    ],
)  # fmt: skip
def test_an_address_that_no_request_can_be_sent_to_is_refused(address: str) -> None:
    with pytest.raises(ValueError) as refusal:
        posted(address=address)
    assert not address or address not in str(refusal.value)


def test_addresses_are_guarded_unless_the_operator_named_the_only_one() -> None:
    assert HOOKS.capabilities.guarded
    moved = account(base_url="http://127.0.0.1:9000/front")
    assert not moved.capabilities.guarded
    assert posted(moved).url == "http://127.0.0.1:9000/front/events?team=7"
    assert posted(moved, address="https://hooks.example.com").url == "http://127.0.0.1:9000/front/"
    assert posted(moved, address="https://10.0.0.1/x").url == "http://127.0.0.1:9000/front/x"


# Signatures


def test_the_signature_is_that_of_the_specification() -> None:
    # the reference libraries' vector: libraries/python/tests/test_webhooks.py of standard-webhooks
    signed = sign_webhook([webhook_key(SECRET)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_posted_verifies_by_hand_and_by_the_reader_of_callbacks() -> None:
    request = posted()
    headers = dict(request.headers)
    name, stamp, signature = (headers[f"webhook-{part}"] for part in ("id", "timestamp", "signature"))
    assert stamp == "1795338060"
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    text = f"{name}.{stamp}.".encode() + request.body
    assert signature == "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    assert webhook_signed([key], name, stamp, signature, request.body, now=OUT.now)
    assert not webhook_signed([key], name, stamp, signature, request.body + b" ", now=OUT.now)


def test_two_secrets_sign_side_by_side_so_that_receivers_may_change_when_they_like() -> None:
    request = posted(account(secret=f"{SECRET} {OLDER}"))
    headers = dict(request.headers)
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (SECRET, OLDER):
        given = (headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"])
        assert webhook_signed([webhook_key(secret)], *given, request.body, now=OUT.now)


def test_a_repeat_bears_the_same_id_and_body_and_a_time_of_its_own() -> None:
    first, again = posted(), posted(attempt="att_2", now=OUT.now + 3600)
    assert first.body == again.body
    assert dict(first.headers)["webhook-id"] == dict(again.headers)["webhook-id"]
    assert dict(first.headers)["webhook-timestamp"] != dict(again.headers)["webhook-timestamp"]
    assert dict(posted(idempotency_key="msg_2.0.hooks").headers)["webhook-id"] != dict(first.headers)["webhook-id"]


@pytest.mark.parametrize("key", ["msg_1.0.hooks", "", "a.b.c"])
def test_an_id_holds_no_dot_which_would_make_the_signed_text_ambiguous(key: str) -> None:
    name = dict(posted(idempotency_key=key).headers)["webhook-id"]
    assert name.startswith("msg_")
    assert "." not in name


# Settings


@pytest.mark.parametrize(
    ("over", "key"),
    [
        ({"secret": ""}, "secret"),
        ({"secret": "canary"}, "secret"),
        ({"secret": "whsec_"}, "secret"),
        ({"secret": "whsec_c2hvcnQ="}, "secret"),
        ({"secret": "whsec_" + "A" * 88}, "secret"),
        ({"secret": f"{SECRET} canary"}, "secret"),
        ({"allow_private": ["10.20.0.0/16", "canary"]}, "allow_private"),
        ({"allow_private": ["10.20.1.0/8"]}, "allow_private"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_without_being_quoted(over: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        account(**over)
    assert [where for where, _ in refusal.value.faults] == [f"providers.hooks.{key}"]
    assert "canary" not in str(refusal.value)


def test_a_secret_is_required() -> None:
    with pytest.raises(SettingsError) as refusal:
        make("hooks", {"kind": "webhook"})
    assert refusal.value.faults == (("providers.hooks.secret", "is missing"),)


# Answers


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_acceptance_whatever_it_says(status: int) -> None:
    for body in (b"", b"<html>", b'{"ok": false}'):
        assert HOOKS.parse(Reply(status, (), body)) == Accepted()


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (410, Rejected(Reason.UNREACHABLE, "HTTP 410: the endpoint is gone")),
        (400, Rejected(Reason.REJECTED, "HTTP 400")),
        (401, Rejected(Reason.REJECTED, "HTTP 401")),
        (403, Rejected(Reason.REJECTED, "HTTP 403")),
        (404, Rejected(Reason.REJECTED, "HTTP 404")),
        (413, Rejected(Reason.TOO_LONG, "HTTP 413")),
        (422, Rejected(Reason.REJECTED, "HTTP 422")),
        (302, Rejected(Reason.REJECTED, "HTTP 302: redirects are not followed")),
        (308, Rejected(Reason.REJECTED, "HTTP 308: redirects are not followed")),
        (408, Unsure("HTTP 408")),
        (409, Unsure("HTTP 409")),
        (500, Unsure("HTTP 500")),
        (502, Unsure("HTTP 502")),
        (504, Unsure("HTTP 504")),
    ],
)
def test_what_an_endpoint_refuses_is_its_own_matter(status: int, outcome: Outcome) -> None:
    assert HOOKS.parse(Reply(status)) == outcome


def test_an_endpoint_that_asks_for_patience_makes_nobody_else_wait() -> None:
    asked = (("retry-after", "90"),)
    assert HOOKS.parse(Reply(429, asked)) == Later("HTTP 429", 90, Scope.RECIPIENT, ill=False)
    assert HOOKS.parse(Reply(503, asked)) == Later("HTTP 503", 90, Scope.RECIPIENT, ill=True)


def test_an_endpoints_words_are_not_kept() -> None:
    outcome = HOOKS.read(Reply(400, (), b'{"detail": "canary"}'))
    assert "canary" not in repr(outcome)
