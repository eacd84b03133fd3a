"""Web push: what the browser can read, what the push service is told, what its answers mean."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from typing import Any

import http_ece
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sendwright.errors import SettingsError
from sendwright.model.content import PushContent
from sendwright.providers.contract import (
    ENTROPY,
    Accepted,
    Action,
    HttpRequest,
    Later,
    Media,
    Misconfigured,
    NotSent,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Rejected,
    Reply,
    Scope,
    Secret,
    TooLong,
    Unsure,
)
from sendwright.providers.jose import b64url, un_b64url
from sendwright.providers.registry import make
from tests.conformance.kinds import NOW, Samples, outgoing
from tests.conformance.test_every_provider import read_by_flow

# The browser of RFC 8291, appendix A.
PRIVATE = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
BROWSER = ec.derive_private_key(int.from_bytes(un_b64url(PRIVATE)), ec.SECP256R1())

VAPID = b64url(hashlib.sha256(b"a key for tests").digest())
RAW = {"kind": "webpush", "vapid_private_key": VAPID, "subject": "mailto:ops@example.com"}
ENDPOINT = "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABq"
CHANCE = random.Random(8291).randbytes(ENTROPY)
WEBPUSH = make("push", RAW)
TAKEN = Reply(201, (("location", "https://updates.push.services.mozilla.com/m/gAAAAABr"), ("ttl", "600")))


def address(endpoint: str = ENDPOINT, **keys: str) -> str:
    return json.dumps({"endpoint": endpoint, "expirationTime": None, "keys": {"p256dh": POINT, "auth": AUTH} | keys})


def out(**over: Any) -> Outgoing:
    return outgoing(**({"channel": "webpush", "address": address(), "now": NOW, "entropy": CHANCE, "media": ()} | over))


def samples() -> Samples:
    """For the suite that every kind passes."""
    return Samples(
        raw=RAW,
        outgoing=out(media=(Media("https://example.com/canarymedia.png"),)),
        accepted=TAKEN,
        refused_key=Reply(403, (), b'{"reason": "BadJwtToken"}'),
        secrets=(VAPID, POINT, AUTH),
        encrypts=True,
        extra_replies=(Reply(200), Reply(202, TAKEN.headers), Reply(201, (), b"<html>a proxy's page</html>")),
    )


def sent(message: Outgoing | None = None, provider: Provider = WEBPUSH) -> HttpRequest:
    request = provider.build(message or out())
    assert isinstance(request, HttpRequest)
    return request


def header(request: HttpRequest, name: str) -> str | None:
    return dict(request.headers).get(name)


def read(request: HttpRequest) -> Any:
    """As the browser reads it: by another implementation of RFC 8291."""
    text = http_ece.decrypt(request.body, private_key=BROWSER, auth_secret=un_b64url(AUTH), version="aes128gcm")
    return json.loads(text)


def claims(request: HttpRequest) -> dict[str, Any]:
    """Those of a token whose signature holds under the key that is sent beside it."""
    scheme, _, rest = (header(request, "Authorization") or "").partition(" ")
    told = dict(part.strip().split("=", 1) for part in rest.split(","))
    assert scheme == "vapid"
    head, body, signature = told["t"].split(".")
    raw = un_b64url(signature)
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), un_b64url(told["k"]))
    der = utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    key.verify(der, f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
    assert json.loads(un_b64url(head)) == {"typ": "JWT", "alg": "ES256"}
    found: dict[str, Any] = json.loads(un_b64url(body))
    return found


# What the browser gets


def test_the_browser_reads_a_plain_message() -> None:
    assert read(sent(out(title="Order 12", body="It is on its way. é 🎉"))) == {
        "id": "msg_" + "0" * 34,
        "title": "Order 12",
        "body": "It is on its way. é 🎉",
    }


def test_the_browser_reads_everything_that_a_message_can_hold() -> None:
    own = PushContent(image="https://example.com/i.png", sound="ping", badge=3, collapse_key="order-12", data={"order": "12"})
    actions = (Action("track", "Track it", "https://example.com/t"), Action("mute", "Mute"))

    said = read(sent(out(own=own, actions=actions, url="https://example.com/o/12", title="T", body="B")))

    assert said == {
        "id": "msg_" + "0" * 34,
        "title": "T",
        "body": "B",
        "url": "https://example.com/o/12",
        "image": "https://example.com/i.png",
        "sound": "ping",
        "badge": 3,
        "tag": "order-12",
        "actions": [{"action": "track", "title": "Track it", "url": "https://example.com/t"}, {"action": "mute", "title": "Mute"}],
        "data": {"order": "12"},
    }


def test_the_first_picture_among_the_media_is_the_image() -> None:
    media = (Media("https://example.com/a.pdf", "application/pdf"), Media("https://example.com/b.png", "image/png"))
    assert read(sent(out(media=media)))["image"] == "https://example.com/b.png"


def test_a_title_alone_is_not_said_twice() -> None:
    assert "body" not in read(sent(out(title="Hello", body="Hello")))


def test_key_and_salt_are_those_of_the_chance_that_was_given() -> None:
    first, other = sent(), sent(out(entropy=bytes(reversed(CHANCE))))
    assert first.body == sent().body
    assert first.body[:16] == CHANCE[-16:]
    assert first.body[21:86] != other.body[21:86]
    assert read(other) == read(first)


@pytest.mark.parametrize("chance", [bytes(ENTROPY), b"\xff" * ENTROPY], ids=["zeros", "ones"])
def test_any_chance_makes_a_key(chance: bytes) -> None:
    assert read(sent(out(entropy=chance, title="T")))["title"] == "T"


@pytest.mark.parametrize("chance", [b"", b"x" * (ENTROPY - 1)])
def test_without_chance_nothing_is_encrypted(chance: bytes) -> None:
    with pytest.raises(ValueError, match="chance"):
        WEBPUSH.build(out(entropy=chance))


def test_what_fits_into_4096_bytes_is_sent_and_a_byte_more_is_too_long() -> None:
    room = 3993 - len(json.dumps({"id": "msg_" + "0" * 34, "title": "T", "body": ""}, separators=(",", ":")))
    assert len(sent(out(title="T", body="x" * room)).body) == 4096
    with pytest.raises(TooLong):
        WEBPUSH.build(out(title="T", body="x" * (room + 1)))


# What the push service is told


def test_a_message_says_how_long_it_may_wait_and_how_urgent_it_is() -> None:
    request = sent(out(ttl_s=600, priority="bulk"))
    assert (request.method, request.url) == ("POST", ENDPOINT)
    assert (header(request, "TTL"), header(request, "Urgency")) == ("600", "low")
    assert header(request, "Content-Encoding") == "aes128gcm"
    assert header(request, "Topic") is None


@pytest.mark.parametrize(("priority", "urgency"), [("critical", "high"), ("high", "high"), ("normal", "normal"), ("bulk", "low")])
def test_every_priority_is_an_urgency(priority: str, urgency: str) -> None:
    assert header(sent(out(priority=priority)), "Urgency") == urgency


def test_what_does_not_expire_may_wait_for_four_weeks() -> None:
    assert header(sent(out(ttl_s=None)), "TTL") == "2419200"


@pytest.mark.parametrize("key", ["order-12", "ü" * 500, "a/b c"])
def test_a_collapse_key_is_a_topic_that_a_push_service_takes(key: str) -> None:
    given = header(sent(out(own=PushContent(collapse_key=key))), "Topic") or ""
    assert len(given) == 32
    assert set(given) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert given != header(sent(out(own=PushContent(collapse_key=key + "!"))), "Topic")


def test_the_token_is_for_the_push_service_and_for_less_than_a_day() -> None:
    told = claims(sent(out(now=NOW)))
    assert (told["aud"], told["sub"]) == ("https://updates.push.services.mozilla.com", "mailto:ops@example.com")
    assert 12 * 3600 <= told["exp"] - NOW <= 24 * 3600


def test_the_token_of_an_hour_is_one_and_the_next_hour_has_another() -> None:
    hour = NOW // 3600 * 3600
    first, last, next_ = (header(sent(out(now=at)), "Authorization") for at in (hour, hour + 3599.9, hour + 3600))
    assert first == last != next_
    assert header(sent(out(now=hour), make("again", RAW)), "Authorization") == first


def test_with_a_base_url_the_token_stays_that_of_the_endpoint() -> None:
    moved = make("moved", RAW | {"base_url": "http://127.0.0.1:9000/front/"})
    request = sent(out(), moved)
    assert request.url == "http://127.0.0.1:9000/front/wpush/v2/gAAAAABq"
    assert claims(request)["aud"] == "https://updates.push.services.mozilla.com"
    assert (moved.capabilities.guarded, WEBPUSH.capabilities.guarded) == (False, True)


def test_an_endpoint_without_a_path_is_one_all_the_same() -> None:
    request = sent(out(address=address("https://push.example.net:8443")))
    assert request.url == "https://push.example.net:8443/"
    assert claims(request)["aud"] == "https://push.example.net:8443"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "[]",
        "+15005550009",
        address("http://push.example.net/x"),
        address("https://user@push.example.net/x"),
        address("https://push.example.net/x#y"),
        address("https://push.example.net/x y"),
        address("https://push.example.net/x\r\nTTL: 0"),
        address("https:///x"),
        address(p256dh=POINT[:-2]),
        address(p256dh="!" + POINT),
        address(p256dh=b64url(b"\x04" + bytes(64))),
        address(p256dh=b64url(b"\x02" + un_b64url(POINT)[1:])),
        address(auth=AUTH + "AA"),
        json.dumps({"endpoint": ENDPOINT}),
        json.dumps({"endpoint": ENDPOINT, "keys": {"p256dh": POINT}}),
        "[" * 100_000,
    ],
)
def test_what_is_no_subscription_is_refused_and_not_quoted(bad: str) -> None:
    with pytest.raises(ValueError) as refusal:
        WEBPUSH.build(out(address=bad))
    assert not isinstance(refusal.value, TooLong)
    assert "example" not in str(refusal.value)
    assert POINT not in str(refusal.value)


def test_keys_in_the_other_alphabet_with_padding_are_the_same_keys() -> None:
    other = address(p256dh=base64.b64encode(un_b64url(POINT)).decode(), auth=base64.b64encode(un_b64url(AUTH)).decode())
    assert sent(out(address=other)).body == sent().body


# Answers


def test_201_is_acceptance_under_the_name_that_the_push_service_gave() -> None:
    assert WEBPUSH.parse(TAKEN) == Accepted("gAAAAABr")
    assert WEBPUSH.parse(Reply(201)) == Accepted(None)
    assert WEBPUSH.parse(Reply(201, (("location", "/m/a~b"),))) == Accepted(None)


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_has_ended_is_an_address_that_does_not_exist(status: int) -> None:
    reply = Reply(status, (), b"push subscription has unsubscribed or expired.\n")
    assert WEBPUSH.parse(reply) == Rejected(
        Reason.INVALID_ADDRESS, f"HTTP {status}: push subscription has unsubscribed or expired.", Scope.RECIPIENT
    )


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(413, (), b"<html>no</html>"), Rejected(Reason.TOO_LONG, "HTTP 413")),
        (Reply(429, (("retry-after", "30"),)), Later("HTTP 429", 30, ill=False)),
        (Reply(503), Later("HTTP 503")),
        (Reply(400, (), b'{"reason": "BadTtl"}'), Rejected(Reason.REJECTED, "HTTP 400: BadTtl")),
        (Reply(400, (), b'{"errno": 109, "message": "Invalid VAPID header"}'), Misconfigured("HTTP 400: Invalid VAPID header")),
        (Reply(400, (), b"UnauthorizedRegistration"), Misconfigured("HTTP 400: UnauthorizedRegistration")),
        (Reply(403, (), b'{"reason": "BadJwtToken"}'), Misconfigured("HTTP 403: BadJwtToken")),
        (Reply(401, (), b'{"message": "Request did not validate"}'), Misconfigured("HTTP 401: Request did not validate")),
        (Reply(500), Unsure("HTTP 500")),
        (Reply(202), Unsure("HTTP 202: no push service answers like that")),
    ],
)
def test_what_the_answers_mean(reply: Reply, outcome: Outcome) -> None:
    assert WEBPUSH.parse(reply) == outcome


def test_the_endpoint_that_an_answer_quotes_is_not_kept() -> None:
    found = WEBPUSH.parse(Reply(410, (), f"{ENDPOINT} is gone".encode()))
    assert isinstance(found, Rejected)
    assert "gAAAAABq" not in found.detail


FOREIGN = out(address=address("https://push.example.net/x"))


def test_a_made_up_push_service_can_not_shut_the_channel() -> None:
    assert read_by_flow(WEBPUSH, FOREIGN, Reply(401)) == Rejected(Reason.REJECTED, "HTTP 401")
    for status in (429, 503):
        told = read_by_flow(WEBPUSH, FOREIGN, Reply(status, (("retry-after", "86400"),)))
        assert isinstance(told, Later)
        assert (told.scope, told.ill) == (Scope.RECIPIENT, False)
    assert isinstance(read_by_flow(WEBPUSH, FOREIGN, NotSent("connect")), Later)
    assert isinstance(read_by_flow(WEBPUSH, FOREIGN, Reply(500)), Unsure)


def test_a_browsers_own_push_service_is_believed() -> None:
    hosts = ("fcm.googleapis.com", "updates.push.services.mozilla.com", "web.push.apple.com", "wns2-par02p.notify.windows.com")
    for host in hosts:
        message = out(address=address(f"https://{host}/x"))
        assert isinstance(read_by_flow(WEBPUSH, message, Reply(401)), Misconfigured), host
        assert read_by_flow(WEBPUSH, message, Reply(429)) == Later("HTTP 429", scope=Scope.ACCOUNT, ill=False)
    imposter = out(address=address("https://fcm.googleapis.com.example.net/x"))
    assert isinstance(read_by_flow(WEBPUSH, imposter, Reply(401)), Rejected)


# Settings


def test_a_key_in_pem_is_the_same_key() -> None:
    key = ec.derive_private_key(int.from_bytes(un_b64url(VAPID)), ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    request = sent(out(), make("pem", RAW | {"vapid_private_key": pem}))
    assert header(request, "Authorization") == header(sent(), "Authorization")
    assert (header(request, "Authorization") or "").endswith("k=" + b64url(point))


@pytest.mark.parametrize("key", ["", "short", b64url(bytes(32)), b64url(b"\xff" * 32), POINT, "-----BEGIN nothing-----"])
def test_what_is_no_key_is_a_fault_that_does_not_show_it(key: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        make("main", RAW | {"vapid_private_key": key, "subject": "ops@example.com"})
    faults = dict(refusal.value.faults)
    assert set(faults) == {"providers.main.vapid_private_key", "providers.main.subject"}
    assert not key or key not in str(faults)


def test_the_key_never_shows() -> None:
    assert isinstance(WEBPUSH.settings.vapid_private_key, Secret)
    assert VAPID not in repr((WEBPUSH.settings, sent()))
