"""Push through the running product: FCM with its access tokens, web push to a browser's keys, Apprise; to servers of this test.

The browser decrypts by another implementation than ours, and Google's side verifies the assertion by itself.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import http_ece
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from .harness import House, wait_until

pytestmark = pytest.mark.slow

SERVICE = rsa.generate_private_key(65537, 2048)
VAPID = ec.generate_private_key(ec.SECP256R1())
BROWSER = ec.generate_private_key(ec.SECP256R1())
AUTH = b"sixteen bytes ok"
FAST = "[retry]\nbase_s = 0.2\ncap_s = 1\n[breaker]\nprobe_s = 0.3\n"


def pem(key: Any) -> str:
    text: str = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return text


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Vendors(BaseHTTPRequestHandler):
    """Google's tokens and messages, a push service, and somebody who takes JSON."""

    world: World

    def do_POST(self) -> None:
        body, world = self.rfile.read(int(self.headers["Content-Length"])), self.world
        if self.path == "/token":
            self._token(parse_qs(body.decode()))
        elif self.path == "/v1/projects/my-project/messages:send":
            self._message(json.loads(body)["message"])
        elif self.path == "/wpush/v2/abc":
            text = http_ece.decrypt(body, private_key=BROWSER, auth_secret=AUTH, version="aes128gcm")
            world.browser.append(json.loads(text))
            self._answer(201, None, ("Location", "/m/1"))
        else:
            world.json.append(json.loads(body))
            self._answer(200 if world.json_works else 500, {})

    def _token(self, form: dict[str, list[str]]) -> None:
        said, _, signature = form["assertion"][0].rpartition(".")
        SERVICE.public_key().verify(base64.urlsafe_b64decode(signature + "=="), said.encode(), padding.PKCS1v15(), hashes.SHA256())
        self.world.tokens += 1
        if self.world.token_refusals:
            self.world.token_refusals -= 1
            self._answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        else:
            self._answer(200, {"access_token": f"canary-{self.world.tokens}", "expires_in": 3599, "token_type": "Bearer"})

    def _message(self, message: dict[str, Any]) -> None:
        token = self.headers["Authorization"].removeprefix("Bearer ")
        if token in self.world.withdrawn:
            self._answer(401, {"error": {"code": 401, "message": "invalid credentials", "status": "UNAUTHENTICATED"}})
            return
        self.world.app.append(message)
        self._answer(200, {"name": f"projects/my-project/messages/{len(self.world.app)}"})

    def _answer(self, status: int, value: object, *headers: tuple[str, str]) -> None:
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        for name, text in (("Content-Length", str(len(body))), *headers):
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name is the base class's
        """Says nothing."""


class World:
    """The vendors, what they got, and the product."""

    def __init__(self, folder: Path) -> None:
        self.app: list[dict[str, Any]] = []
        self.browser: list[dict[str, Any]] = []
        self.json: list[dict[str, Any]] = []
        self.tokens = 0
        self.token_refusals = 0
        self.withdrawn: set[str] = set()
        self.json_works = True
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Listening", (Vendors,), {"world": self}))
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        port = self.server.server_port
        (folder / "service.json").write_text(
            json.dumps(
                {
                    "project_id": "my-project",
                    "client_email": "sender@my-project.example",
                    "private_key": pem(SERVICE),
                    "token_uri": f"http://127.0.0.1:{port}/token",
                }
            )
        )
        (folder / "vapid.pem").write_text(pem(VAPID))
        base = f'base_url = "http://127.0.0.1:{port}"\n'
        self.house = House(
            folder,
            f'[providers.app]\nkind = "fcm"\nservice_account = "${{file:{folder}/service.json}}"\n{base}'
            f'[providers.web]\nkind = "webpush"\nvapid_private_key = "${{file:{folder}/vapid.pem}}"\n'
            f'subject = "mailto:ops@example.com"\n{base}'
            f'[providers.team]\nkind = "apprise"\nchannel = "teams"\nurl = "json://127.0.0.1:{port}/team"\n',
            FAST,
        )
        self.house.start()

    def stop(self) -> None:
        if not self.house.dead:
            self.house.kill()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def send(self, to: dict[str, Any], *states: str, **fields: Any) -> dict[str, Any]:
        """The notification, once it is in one of these states."""
        body = {"to": to, "content": {"title": "Order 12", "body": "On its way."}} | fields
        status, answer = self.house.api("POST", "/v1/notifications", body)
        assert status == 202, answer

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = self.house.api("GET", f"/v1/notifications/{answer['id']}")[1]
            return found if found["state"] in states else None

        reached: dict[str, Any] = wait_until(ended, 30, f"it is {states}")
        return reached

    def attempts(self, notification: dict[str, Any]) -> list[dict[str, Any]]:
        (message,) = notification["messages"]
        found: list[dict[str, Any]] = self.house.api("GET", f"/v1/messages/{message['id']}")[1]["attempts"]
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.stop()


PHONE = {"push": [{"token": "registration-token", "kind": "fcm"}]}
POINT = BROWSER.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
TAB = {
    "webpush": [
        {"endpoint": "https://updates.push.services.mozilla.com/wpush/v2/abc", "keys": {"p256dh": b64(POINT), "auth": b64(AUTH)}}
    ]
}


def test_an_app_a_browser_and_a_team_are_reached(world: World) -> None:
    for _ in range(3):
        world.send(PHONE, "sent")
    world.send(TAB, "sent")
    world.send({"teams": "anybody"}, "sent")
    assert world.tokens == 1
    assert [message["token"] for message in world.app] == ["registration-token"] * 3
    assert [(shown["title"], shown["body"]) for shown in world.browser] == [("Order 12", "On its way.")]
    assert [said["message"] for said in world.json] == ["Order 12\nOn its way."]
    for name, to in (("app", "registration-token"), ("web", json.dumps(TAB["webpush"][0])), ("team", "anybody")):
        assert world.house.api("POST", f"/v1/providers/{name}/test", {"to": to})[1]["outcome"] == "accepted", name
    assert world.tokens == 1
    assert world.house.stop() == 0
    assert "canary" not in world.house.output()


def test_a_token_that_google_withdrew_is_followed_by_another(world: World) -> None:
    world.withdrawn.add("canary-1")
    sent = world.send(PHONE, "sent")
    assert world.tokens == 2
    assert [attempt["state"] for attempt in world.attempts(sent)] == ["failed", "sent"]
    assert len(world.app) == 1


def test_an_account_that_google_refuses_opens_its_breaker_and_goes_on_when_it_is_mended(world: World) -> None:
    world.token_refusals = 2
    sent = world.send(PHONE, "sent")
    assert world.tokens == 3
    assert [attempt["state"] for attempt in world.attempts(sent)] == ["sent"], "a message without a token is no attempt"


def test_a_no_of_apprise_is_a_doubt_that_a_message_may_be_held_in(world: World) -> None:
    world.json_works = False
    held = world.send({"teams": "anybody"}, "in_doubt", on_doubt="hold")
    assert [attempt["state"] for attempt in world.attempts(held)] == ["in_doubt"]
    assert len(world.json) == 1
