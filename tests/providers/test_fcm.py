"""FCM: what is said to it and to whoever gives its tokens, what its answers mean. The payloads lie in tests/payloads/fcm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sendwright.errors import SettingsError
from sendwright.model.content import PushContent
from sendwright.providers.contract import (
    Accepted,
    Action,
    HttpRequest,
    Later,
    Lost,
    Media,
    Misconfigured,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Rejected,
    Reply,
    Scope,
    Secret,
    Token,
    TooLong,
    Unsure,
)
from sendwright.providers.jose import un_b64url
from sendwright.providers.registry import make
from tests.conformance.kinds import NOW, SECRET_MARK, Samples, json_reply, outgoing

PAYLOADS = Path(__file__).parent.parent / "payloads" / "fcm"
KEY = rsa.generate_private_key(65537, 2048)


def pem(key: Any = KEY) -> str:
    text: str = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return text


ACCOUNT = {
    "type": "service_account",
    "project_id": "my-project-1234",
    "private_key_id": "0123abcd",
    "private_key": pem(),
    "client_email": "sender@my-project-1234.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}
RAW = {"kind": "fcm", "service_account": json.dumps(ACCOUNT)}
FCM = make("fcm-main", RAW)
ADDRESS = "dGhpcyBpcyBhIHRva2Vu:APA91bHPRgkF3JUikC4ENAHEeMrd41Zxv3hVZjC9KtT8OvPVGJ"
BEARER = Secret(f"ya29.{SECRET_MARK}")
NAME = "projects/my-project-1234/messages/0:1500415314455276%31bd1c9631bd1c96"


def out(**over: Any) -> Outgoing:
    return outgoing(**({"channel": "push", "address": ADDRESS, "token": BEARER, "now": NOW, "media": ()} | over))


def samples() -> Samples:
    """For the suite that every kind passes."""
    return Samples(
        raw=RAW,
        outgoing=out(media=(Media("https://example.com/canarymedia.png"),)),
        accepted=json_reply(200, {"name": NAME}),
        refused_key=reply("unauthenticated"),
        secrets=(RAW["service_account"], ACCOUNT["private_key"], BEARER.reveal(), ADDRESS),
        extra_replies=(json_reply(200, {"name": ""}), json_reply(200, {"name": 7}), json_reply(200, {"name": "projects/x"})),
    )


def reply(name: str, *headers: tuple[str, str]) -> Reply:
    told = json.loads((PAYLOADS / f"{name}.json").read_bytes())
    return Reply(told["status"], headers, json.dumps(told["body"]).encode())


def account(**over: Any) -> Provider:
    return make("fcm-main", {key: value for key, value in (RAW | over).items() if value is not None})


def with_account(**over: Any) -> str:
    return json.dumps({key: value for key, value in (ACCOUNT | over).items() if value is not None})


def sent(message: Outgoing | None = None, provider: Provider = FCM) -> HttpRequest:
    request = provider.build(message or out())
    assert isinstance(request, HttpRequest)
    return request


def said(**over: Any) -> Any:
    return json.loads(sent(out(**over)).body)["message"]


# Messages


def test_a_plain_message_is_said_in_few_words() -> None:
    request = sent(out(title="Order 12", body="It is on its way. é 🎉", ttl_s=None))
    assert (request.method, request.url) == ("POST", "https://fcm.googleapis.com/v1/projects/my-project-1234/messages:send")
    assert dict(request.headers)["Authorization"] == f"Bearer {BEARER.reveal()}"
    assert json.loads(request.body) == {
        "message": {"token": ADDRESS, "notification": {"title": "Order 12", "body": "It is on its way. é 🎉"}}
    }


def test_everything_that_a_message_can_hold_is_passed_on_where_it_belongs() -> None:
    own = PushContent(image="https://example.com/i.png", sound="ping.caf", badge=0, collapse_key="order-12", data={"order": "12"})
    actions = (Action("track", "Track it", "https://example.com/t"), Action("mute", "Mute"))
    assert said(title="T", body="B", url="https://example.com/o/12", ttl_s=600, own=own, actions=actions, priority="critical") == {
        "token": ADDRESS,
        "notification": {"title": "T", "body": "B", "image": "https://example.com/i.png"},
        "data": {
            "order": "12",
            "url": "https://example.com/o/12",
            "actions": '[{"id":"track","label":"Track it","url":"https://example.com/t"},{"id":"mute","label":"Mute","url":null}]',
        },
        "android": {
            "collapseKey": "order-12",
            "priority": "HIGH",
            "ttl": "600s",
            "notification": {"sound": "ping.caf", "notificationCount": 0},
        },
        "apns": {
            "headers": {"apns-expiration": str(int(NOW) + 600), "apns-priority": "10", "apns-collapse-id": "order-12"},
            "payload": {"aps": {"sound": "ping.caf", "badge": 0, "mutable-content": 1}},
        },
        "webpush": {"headers": {"TTL": "600"}, "fcmOptions": {"link": "https://example.com/o/12"}},
    }


def test_what_the_app_has_under_a_name_stands_before_ours() -> None:
    assert said(url="https://example.com/a", own=PushContent(data={"url": "app://b"}))["data"] == {"url": "app://b"}


def test_a_message_of_data_alone_shows_nothing() -> None:
    assert said(title=None, body="", ttl_s=None, own=PushContent(data={"sync": "1"})) == {"token": ADDRESS, "data": {"sync": "1"}}


def test_a_title_alone_is_not_said_twice() -> None:
    assert said(title="Hello", body="Hello")["notification"] == {"title": "Hello"}


@pytest.mark.parametrize(
    ("priority", "android", "apns"),
    [("critical", "HIGH", "10"), ("high", "HIGH", "10"), ("normal", None, None), ("bulk", "NORMAL", "5")],
)
def test_every_priority_is_told_to_both(priority: str, android: str | None, apns: str | None) -> None:
    message = said(priority=priority)
    assert (message["android"].get("priority"), message["apns"]["headers"].get("apns-priority")) == (android, apns)


def test_nothing_is_kept_for_longer_than_four_weeks() -> None:
    message = said(ttl_s=10_000_000)
    assert message["android"]["ttl"] == "2419200s"
    assert message["apns"]["headers"]["apns-expiration"] == str(int(NOW) + 2_419_200)


def test_a_long_collapse_key_is_short_for_apple() -> None:
    first, other = (said(own=PushContent(collapse_key="k" * 65 + end))["apns"]["headers"]["apns-collapse-id"] for end in "ab")
    assert len(first) == 64
    assert first != other


def test_the_first_picture_among_the_media_is_the_image_and_a_link_of_another_scheme_stays_in_the_data() -> None:
    media = (Media("https://example.com/a.pdf", "application/pdf"), Media("https://example.com/b.png", "image/png"))
    message = said(media=media, url="app://orders/12", ttl_s=None)
    assert message["notification"]["image"] == "https://example.com/b.png"
    assert message["data"] == {"url": "app://orders/12"}
    assert "webpush" not in message


@pytest.mark.parametrize("name", ["from", "message_type", "gcm", "gcm.notification.x", "google.x", "googled"])
def test_a_name_that_fcm_keeps_for_itself_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="keeps for itself"):
        FCM.build(out(own=PushContent(data={name: "x"})))


def test_4096_bytes_are_sent_and_one_more_is_too_long() -> None:
    FCM.build(out(title="T", body="x" * 1000, own=PushContent(data={"k": "v" * (4096 - 1011)})))
    with pytest.raises(TooLong):
        FCM.build(out(title="T", body="x" * 1000, own=PushContent(data={"k": "v" * (4096 - 1010)})))


@pytest.mark.parametrize("bad", ["", "a b", "a\n", "ü", "x" * 4097])
def test_what_is_no_registration_token_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="not a registration token"):
        FCM.build(out(address=bad))


def test_a_message_that_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing is said"):
        FCM.build(out(title=None, body=""))


# Answers


def test_a_name_is_acceptance() -> None:
    assert FCM.parse(json_reply(200, {"name": NAME})) == Accepted("0:1500415314455276")


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("unregistered", Rejected(Reason.INVALID_ADDRESS, "UNREGISTERED: Requested entity was not found.")),
        (
            "sender_id_mismatch",
            Rejected(Reason.INVALID_ADDRESS, "SENDER_ID_MISMATCH: SenderId mismatch", Scope.SENDER),
        ),
        (
            "invalid_token",
            Rejected(Reason.INVALID_ADDRESS, "INVALID_ARGUMENT: The registration token is not a valid FCM registration token"),
        ),
        (
            "invalid_token_field",
            Rejected(Reason.INVALID_ADDRESS, "INVALID_ARGUMENT: Request contains an invalid argument."),
        ),
        (
            "invalid_value",
            Rejected(Reason.CONTENT, "HTTP 400: Invalid value at 'message.data[0].value' (TYPE_STRING), 12"),
        ),
        ("too_big", Rejected(Reason.TOO_LONG, "INVALID_ARGUMENT: Message is too big")),
        ("third_party_auth_error", Misconfigured("THIRD_PARTY_AUTH_ERROR: Auth error from APNS or Web Push Service")),
        ("unauthenticated", Misconfigured("HTTP 401: Request had invalid authentication credentials.")),
        ("permission_denied", Misconfigured("HTTP 403: Permission denied on resource project other.")),
        ("quota_exceeded", Later("QUOTA_EXCEEDED: Quota exceeded for quota metric 'Messages'", 60, ill=False)),
        (
            "device_rate_exceeded",
            Later("QUOTA_EXCEEDED: Device message rate exceeded", 60, scope=Scope.SENDER, ill=False),
        ),
        ("unavailable", Later("HTTP 503: UNAVAILABLE The service is currently unavailable.")),
        ("internal", Unsure("HTTP 500: INTERNAL Internal error encountered.")),
    ],
)
def test_every_code_of_fcm_is_decided(name: str, outcome: Outcome) -> None:
    assert FCM.parse(reply(name)) == outcome


def test_a_429_that_names_a_time_is_believed() -> None:
    found = FCM.parse(reply("quota_exceeded", ("retry-after", "7")))
    assert isinstance(found, Later)
    assert found.after_s == 7


def test_a_project_that_is_not_found_is_the_accounts_fault() -> None:
    assert isinstance(FCM.parse(Reply(404, (), b"<html>Not Found</html>")), Misconfigured)


def test_only_a_word_about_our_token_costs_it() -> None:
    assert FCM.token_refused(reply("unauthenticated"))
    assert FCM.token_refused(Reply(401))
    assert not FCM.token_refused(reply("third_party_auth_error"))
    assert not FCM.token_refused(reply("permission_denied"))


# Access tokens


def test_a_token_is_asked_for_by_an_assertion_that_its_key_has_signed() -> None:
    request = FCM.token_request(NOW + 0.7)
    assert isinstance(request, HttpRequest)
    assert (request.method, request.url) == ("POST", "https://oauth2.googleapis.com/token")
    form = parse_qs(request.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    head, claims, signature = form["assertion"][0].split(".")
    KEY.public_key().verify(un_b64url(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    assert json.loads(un_b64url(head)) == {"typ": "JWT", "alg": "RS256", "kid": "0123abcd"}
    assert json.loads(un_b64url(claims)) == {
        "iss": "sender@my-project-1234.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
    }


def test_the_accounts_own_token_endpoint_is_asked_whatever_the_base_url() -> None:
    moved = account(base_url="http://127.0.0.1:9000", service_account=with_account(token_uri="http://127.0.0.1:9001/token"))
    request = moved.token_request(NOW)
    assert isinstance(request, HttpRequest)
    assert request.url == "http://127.0.0.1:9001/token"
    assert sent(out(), moved).url == "http://127.0.0.1:9000/v1/projects/my-project-1234/messages:send"


def test_a_token_is_good_for_as_long_as_it_is_said_to_be() -> None:
    given = FCM.token_of(json_reply(200, {"access_token": "ya29.a0", "expires_in": 3599, "token_type": "Bearer"}), NOW)
    assert given == Token(Secret("ya29.a0"), NOW + 3599)
    assert "ya29" not in repr(given)


@pytest.mark.parametrize(
    "over", [{"access_token": ""}, {"access_token": "a b"}, {"access_token": 7}, {"expires_in": "x"}, {"expires_in": 0}]
)
def test_what_is_no_token_is_none(over: dict[str, object]) -> None:
    found = FCM.token_of(json_reply(200, {"access_token": "ya29.a0", "expires_in": 3599} | over), NOW)
    assert isinstance(found, Later)
    assert not found.called


def test_an_account_that_is_refused_is_misconfigured_and_says_why() -> None:
    refused = json_reply(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
    assert FCM.token_of(refused, NOW) == Misconfigured("HTTP 400: invalid_grant Invalid JWT Signature.")
    assert FCM.token_of(json_reply(401, {"error": "invalid_client"}), NOW) == Misconfigured("HTTP 401: invalid_client")
    assert isinstance(FCM.token_of(Lost("wait"), NOW), Unsure)


# Settings


def test_a_project_that_is_named_stands_before_the_accounts_own() -> None:
    assert "/projects/other-1/" in sent(out(), account(project_id="other-1")).url


def faults(**over: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as refusal:
        account(**over)
    return {key.rpartition(".")[2]: what for key, what in refusal.value.faults}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/run/secrets/account.json",
        "[]",
        "[" * 50_000,
        with_account(private_key=None),
        with_account(client_email=7),
        with_account(private_key="-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n"),
        with_account(private_key=pem(ec.generate_private_key(ec.SECP256R1()))),
        with_account(private_key=pem(rsa.generate_private_key(65537, 1024))),
        with_account(token_uri="file:///etc/passwd"),
    ],
    ids=range(10),
)
def test_what_is_no_service_account_is_a_fault_that_shows_nothing_of_it(text: str) -> None:
    found = faults(service_account=text)
    assert set(found) == {"service_account"}
    assert not any(part in found["service_account"] for part in ("canary", "gserviceaccount", "passwd", "BEGIN"))


def test_a_project_must_be_named_somewhere() -> None:
    assert set(faults(service_account=with_account(project_id=None))) == {"project_id"}
    assert set(faults(project_id="a/b")) == {"project_id"}
    assert set(faults(project_id="")) == {"project_id"}
