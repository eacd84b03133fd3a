"""FCM and a push service as the sandbox plays them: who gets in, what is taken, what is refused. No socket.

What a browser decrypts is encrypted by a library of somebody else's here, and by the product's adapter.
"""

from __future__ import annotations

import base64
import json
import os
import time
from typing import Any
from urllib.parse import urlsplit

import http_ece
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from msgspec.structs import replace

from sendwright.providers.contract import Accepted, HttpRequest, Misconfigured, Outgoing, Reason, Rejected, Token
from sendwright.providers.contract import Reply as Answered
from sendwright.providers.registry import make
from sendwright.sandbox.desk import Desk
from sendwright.sandbox.faults import FaultSheet, Rule
from sendwright.sandbox.fcm import EMAIL, GRANT, PERMISSION, PROJECT
from sendwright.sandbox.log import Entry, MessageLog
from sendwright.sandbox.options import SandboxOptions
from sendwright.sandbox.webpush import ORIGIN
from sendwright.sandbox.wire import Reply, Request

HERE = "http://127.0.0.1:8425"
SEND = f"/fcm/v1/projects/{PROJECT}/messages:send"
VAPID = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
MESSAGE = {"token": "device-1", "notification": {"title": "Order 7", "body": "Shipped."}, "data": {"url": "https://x.example"}}


@pytest.fixture(scope="module")
def keys_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a key that takes a moment to make is kept for all of these tests."""
    return str(tmp_path_factory.mktemp("keys") / "keys.json")


@pytest.fixture
def desk(keys_path: str) -> Desk:
    return Desk(SandboxOptions(keys_path=keys_path), MessageLog())


def ask(desk: Desk, method: str, path: str, body: bytes = b"", query: str = "", **headers: str) -> Reply:
    named = {name.replace("_", "-").encode(): value.encode() for name, value in {"host": "127.0.0.1:8425", **headers}.items()}
    turn = desk.handle(Request(method, path, query, named, body))
    desk.ended(turn)
    assert isinstance(turn.answer, Reply)
    return turn.answer


def build(desk: Desk, request: Any) -> Reply:
    """What an adapter has built, as the sandbox answers it."""
    assert isinstance(request, HttpRequest)
    parts = urlsplit(request.url)
    headers = {name.lower().replace("-", "_"): value for name, value in request.headers}
    return ask(desk, request.method, parts.path, request.body, parts.query, **headers)


def answered(reply: Reply) -> Answered:
    return Answered(reply.status, tuple((k.decode(), v.decode()) for k, v in reply.headers), reply.body)


def newest(desk: Desk) -> Entry:
    return desk.log.newest(1)[0].entry


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def header(reply: Reply, name: bytes) -> str:
    return next((value.decode() for key, value in reply.headers if key == name), "")


# FCM


def service_account(desk: Desk) -> str:
    return ask(desk, "GET", "/fcm/service-account.json").body.decode()


def assertion(desk: Desk, *, key: rsa.RSAPrivateKey | None = None, **changed: Any) -> str:
    own = load_pem_private_key(json.loads(service_account(desk))["private_key"].encode(), None)
    assert isinstance(own, rsa.RSAPrivateKey)
    now = int(time.time())
    claims = {"iss": EMAIL, "scope": PERMISSION, "aud": f"{HERE}/fcm/token", "iat": now, "exp": now + 3600} | changed
    said = f"{b64(json.dumps({'alg': 'RS256'}).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{said}.{b64((key or own).sign(said.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def granted(desk: Desk, token: str, grant: str = GRANT) -> Reply:
    return ask(desk, "POST", "/fcm/token", f"grant_type={grant}&assertion={token}".encode())


def access(desk: Desk) -> str:
    return str(json.loads(granted(desk, assertion(desk)).body)["access_token"])


def push(desk: Desk, message: Any, *, token: str | None = None, path: str = SEND) -> Reply:
    body = json.dumps({"message": message}).encode()
    return ask(desk, "POST", path, body, content_type="application/json", authorization=f"Bearer {token or access(desk)}")


def code_of(reply: Reply) -> str:
    error = json.loads(reply.body)["error"]
    assert error["code"] == reply.status
    return next((detail["errorCode"] for detail in error.get("details", []) if "errorCode" in detail), error["status"])


def test_an_assertion_of_the_account_is_worth_a_token_and_nothing_else_is(desk: Desk) -> None:
    now = int(time.time())
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    good = granted(desk, assertion(desk))
    assert (good.status, json.loads(good.body)["token_type"]) == (200, "Bearer")
    cases = [
        (granted(desk, assertion(desk, key=other)), "invalid_grant", "Signature"),
        (granted(desk, assertion(desk, iss="x@y.z")), "invalid_grant", "account not found"),
        (granted(desk, assertion(desk, aud="https://oauth2.googleapis.com/token")), "invalid_grant", "audience"),
        (granted(desk, assertion(desk, exp=now + 3700)), "invalid_grant", "short-lived"),
        (granted(desk, assertion(desk, iat=now - 4000, exp=now - 400)), "invalid_grant", "short-lived"),
        (granted(desk, assertion(desk, iat=now + 900, exp=now + 1000)), "invalid_grant", "short-lived"),
        (granted(desk, assertion(desk, scope="email")), "invalid_scope", "scope"),
        (granted(desk, "x.y"), "invalid_grant", "parse"),
        (granted(desk, assertion(desk).rpartition(".")[0] + "."), "invalid_grant", "Signature"),
        (granted(desk, assertion(desk), "password"), "unsupported_grant_type", "grant_type"),
    ]
    for answer, error, words in cases:
        said = json.loads(answer.body)
        assert (answer.status, said["error"]) == (400, error)
        assert words in said["error_description"]


def test_a_push_is_taken_with_a_name_and_written_down_as_a_phone_shows_it(desk: Desk) -> None:
    answer = push(desk, MESSAGE)
    name = json.loads(answer.body)["name"]
    assert name.startswith(f"projects/{PROJECT}/messages/0:")
    entry = newest(desk)
    assert (entry.channel, entry.to, entry.title, entry.body, entry.url) == (
        "push", "device-1", "Order 7", "Shipped.", "https://x.example"
    )  # fmt: skip
    assert name.rpartition("/")[2].partition("%")[0] == entry.ref


def test_what_fcm_refuses_is_refused_by_its_codes(desk: Desk) -> None:
    token = access(desk)
    foreign = SEND.replace(PROJECT, "other")
    cases = [
        (push(desk, MESSAGE, token="ya29.9999999999." + "0" * 64), 401, "UNAUTHENTICATED"),
        (push(desk, MESSAGE, token=token + "0"), 401, "UNAUTHENTICATED"),
        (push(desk, MESSAGE, token=token, path=foreign), 403, "PERMISSION_DENIED"),
        (push(desk, MESSAGE | {"token": ""}, token=token), 400, "INVALID_ARGUMENT"),
        (push(desk, MESSAGE | {"data": {"n": 12}}, token=token), 400, "INVALID_ARGUMENT"),
        (push(desk, {"token": "x"}, token=token), 400, "INVALID_ARGUMENT"),
        (push(desk, MESSAGE | {"data": {"n": "x" * 4096}}, token=token), 400, "INVALID_ARGUMENT"),
        (push(desk, 5, token=token), 400, "INVALID_ARGUMENT"),
    ]
    for answer, status, code in cases:
        assert (answer.status, code_of(answer)) == (status, code)
    assert desk.log.stats().taken == 0


def test_faults_of_fcm_have_its_codes_and_who_opted_out_is_unregistered(desk: Desk) -> None:
    token = access(desk)
    cases = [
        (Rule("status", status=404), "UNREGISTERED"),
        (Rule("status", status=400), "INVALID_ARGUMENT"),
        (Rule("status", status=429, retry_after="30"), "QUOTA_EXCEEDED"),
        (Rule("status", status=403, code="SENDER_ID_MISMATCH"), "SENDER_ID_MISMATCH"),
        (Rule("status", status=503), "UNAVAILABLE"),
        (Rule("status", status=500), "INTERNAL"),
        (Rule("status", status=401, code="THIRD_PARTY_AUTH_ERROR"), "THIRD_PARTY_AUTH_ERROR"),
    ]
    for rule, code in cases:
        desk.faults.put(FaultSheet((rule,)))
        answer = push(desk, MESSAGE, token=token)
        assert (answer.status, code_of(answer), header(answer, b"retry-after")) == (rule.status, code, rule.retry_after or "")
    desk.faults.put(FaultSheet((), opted_out=("device-1",)))
    assert code_of(push(desk, MESSAGE, token=token)) == "UNREGISTERED"


def test_the_adapter_of_fcm_gets_a_token_and_sends(desk: Desk) -> None:
    adapter = make("apps", {"kind": "fcm", "service_account": service_account(desk), "base_url": f"{HERE}/fcm"})
    now = time.time()
    token = adapter.token_of(answered(build(desk, adapter.token_request(now))), now)
    assert isinstance(token, Token)
    out = Outgoing("att_1", "msg_1", "push", "device-1", "Shipped.", title="Order 7", now=now, token=token.value)
    assert isinstance(adapter.parse(answered(build(desk, adapter.build(out)))), Accepted)
    desk.reset()
    assert isinstance(adapter.parse(answered(build(desk, adapter.build(out)))), Accepted), "a token outlives a reset"


# Web push


def public(key: ec.EllipticCurvePrivateKey = VAPID) -> str:
    return b64(key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def subscription(desk: Desk, name: str = "ada", key: str | None = None) -> dict[str, Any]:
    answer = ask(desk, "GET", "/webpush/subscription.json", query=f"name={name}&key={key or public()}")
    assert answer.status == 200
    return dict(json.loads(answer.body))


def vapid(key: ec.EllipticCurvePrivateKey = VAPID, shown: str | None = None, **changed: Any) -> str:
    claims = {"aud": ORIGIN, "exp": int(time.time()) + 3600, "sub": "mailto:ops@example.com"} | changed
    said = f"{b64(json.dumps({'typ': 'JWT', 'alg': 'ES256'}).encode())}.{b64(json.dumps(claims).encode())}"
    r, s = utils.decode_dss_signature(key.sign(said.encode(), ec.ECDSA(hashes.SHA256())))
    return f"vapid t={said}.{b64(r.to_bytes(32) + s.to_bytes(32))}, k={shown or public(key)}"


def sealed(to: dict[str, Any], text: bytes) -> bytes:
    keys = {name: base64.urlsafe_b64decode(value + "==") for name, value in to["keys"].items()}
    ours = ec.generate_private_key(ec.SECP256R1())
    made = http_ece.encrypt(text, private_key=ours, dh=keys["p256dh"], auth_secret=keys["auth"], version="aes128gcm")
    assert isinstance(made, bytes)
    return made


def pushed(desk: Desk, to: dict[str, Any], body: bytes, **changed: str) -> Reply:
    headers = {"ttl": "60", "content_encoding": "aes128gcm", "authorization": vapid()} | changed
    return ask(desk, "POST", "/webpush" + urlsplit(to["endpoint"]).path, body, **headers)


def test_a_browser_decrypts_what_another_library_has_encrypted_for_it(desk: Desk) -> None:
    to = subscription(desk)
    answer = pushed(desk, to, sealed(to, json.dumps({"title": "Order 7", "body": "Shipped.", "url": "https://x.example"}).encode()))
    assert (answer.status, answer.body) == (201, b"")
    entry = newest(desk)
    assert (entry.to, entry.title, entry.body, entry.url) == ("ada", "Order 7", "Shipped.", "https://x.example")
    assert header(answer, b"location") == f"{ORIGIN}/m/{entry.ref}"


def test_what_the_browser_can_not_read_is_answered_201_and_taken_for_nothing(desk: Desk) -> None:
    to = subscription(desk)
    good = sealed(to, b"{}")
    for body in (good[:-1] + bytes([good[-1] ^ 1]), good[:40], os.urandom(200), b"x"):
        assert pushed(desk, to, body).status == 201
        assert (newest(desk).verdict, newest(desk).taken, newest(desk).body) == ("dropped", False, "")
    assert pushed(desk, to, good).status == 201
    assert newest(desk).taken


def test_what_a_push_service_refuses_is_refused(desk: Desk) -> None:
    to, other = subscription(desk), ec.derive_private_key(7, ec.SECP256R1())
    body, now = sealed(to, b"{}"), int(time.time())
    cases = [
        (pushed(desk, to, body, ttl=""), 400),
        (pushed(desk, to, body, content_encoding="aesgcm"), 400),
        (pushed(desk, to, body, topic="x" * 33), 400),
        (pushed(desk, to, body, urgency="now"), 400),
        (pushed(desk, to, b"x" * 4097), 413),
        (pushed(desk, to, body, authorization=""), 401),
        (pushed(desk, to, body, authorization="Bearer x"), 401),
        (pushed(desk, to, body, authorization="vapid t=x, k=y"), 401),
        (pushed(desk, to, body, authorization=vapid(other)), 403),
        (pushed(desk, to, body, authorization=vapid(other, public())), 403),
        (pushed(desk, to, body, authorization=vapid(aud="https://elsewhere.example")), 403),
        (pushed(desk, to, body, authorization=vapid(exp=now - 1)), 403),
        (pushed(desk, to, body, authorization=vapid(exp=now + 90_000)), 403),
        (pushed(desk, to, body, authorization=vapid(sub="ops")), 403),
        (ask(desk, "POST", "/webpush/push/ada", body), 404),
        (ask(desk, "GET", "/webpush/subscription.json", query="name=../x"), 400),
        (ask(desk, "GET", "/webpush/subscription.json", query="key=x"), 400),
    ]
    for number, (answer, status) in enumerate(cases):
        assert answer.status == status, number
        assert json.loads(answer.body)["code"] == status
    assert desk.log.stats().taken == 0


def test_a_push_service_forgets_throttles_and_is_away_as_told(desk: Desk) -> None:
    to = subscription(desk)
    body = sealed(to, b"{}")
    for status, wait in ((410, None), (404, None), (429, "30"), (503, None)):
        desk.faults.put(FaultSheet((Rule("status", status=status, retry_after=wait),)))
        answer = pushed(desk, to, body)
        assert (answer.status, header(answer, b"retry-after")) == (status, wait or "")
    desk.faults.put(FaultSheet((), opted_out=("ada",)))
    assert pushed(desk, to, body).status == 410


def test_the_adapter_of_web_push_is_let_in_with_its_own_key_alone(desk: Desk) -> None:
    number = b64(VAPID.private_numbers().private_value.to_bytes(32))
    raw = {"kind": "webpush", "vapid_private_key": number, "subject": "mailto:ops@example.com", "base_url": f"{HERE}/webpush"}
    adapter = make("browsers", raw)
    out = Outgoing("att_1", "msg_1", "webpush", json.dumps(subscription(desk)), "Shipped.", title="Order 7", now=time.time())
    out = replace(out, entropy=os.urandom(64))
    assert isinstance(adapter.parse(answered(build(desk, adapter.build(out)))), Accepted)
    assert (newest(desk).title, newest(desk).body) == ("Order 7", "Shipped.")

    stranger = make("browsers", raw | {"vapid_private_key": b64(bytes(31) + b"\x07")})
    assert isinstance(stranger.parse(answered(build(desk, stranger.build(out)))), Misconfigured)
    desk.faults.put(FaultSheet((), opted_out=("ada",)))
    gone = adapter.parse(answered(build(desk, adapter.build(out))))
    assert isinstance(gone, Rejected)
    assert gone.reason is Reason.INVALID_ADDRESS
