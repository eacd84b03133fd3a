"""Email through the running product to a stand-in of SendGrid: calls that are shared, events that come back signed."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .harness import House
from .raw_http import ask
from .world import FAST, Row, World

pytestmark = pytest.mark.slow

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


class Stand(ThreadingHTTPServer):
    """Takes every call, but one that names an address at `refused.example`: that it refuses as a whole, as SendGrid does."""

    def __init__(self) -> None:
        self.calls: list[Row] = []
        super().__init__(("127.0.0.1", 0), Mail)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def of(self, subject: str) -> list[list[str]]:
        """Whom each call of that subject was for."""
        calls = [call for call in self.calls if call["subject"] == subject]
        return [[envelope["to"][0]["email"] for envelope in call["personalizations"]] for call in calls]


class Mail(BaseHTTPRequestHandler):
    server: Stand

    def do_POST(self) -> None:
        assert self.headers["Authorization"] == "Bearer SG.key-0123456789"
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.calls.append(call)
        addresses = [envelope["to"][0]["email"] for envelope in call["personalizations"]]
        bad = next((place for place, address in enumerate(addresses) if address.endswith("@refused.example")), None)
        error = {"message": "Does not contain a valid address.", "field": f"personalizations.{bad}.to.0.email", "help": None}
        body = b"" if bad is None else json.dumps({"errors": [error]}).encode()
        self.send_response(202 if bad is None else 400)
        self.send_header("X-Message-Id", f"call-{len(self.server.calls)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    made = Stand()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, stand: Stand) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("sendgrid")
    account = f'api_key = "SG.key-0123456789"\nfrom = "shop@example.com"\nwebhook_public_key = "{PUBLIC}"\n'
    provider = f'[providers.mails]\nkind = "sendgrid"\nbase_url = "http://127.0.0.1:{stand.server_port}"\n{account}'
    made = World(folder, House(folder, provider, FAST), stand)  # type: ignore[arg-type]
    made.house.start()
    yield made
    made.house.kill()


def mail(address: str, subject: str) -> Row:
    content = {"title": subject, "body": "We will be away on Sunday."}
    return {"to": {"email": address}, "channels": ["email"], "content": content, "priority": "bulk"}


def report(world: World, events: list[Row], **over: Any) -> int:
    """As SendGrid signs it; the status of the answer."""
    body, stamp = json.dumps(events).encode() + b"\r\n", str(int(time.time()))
    signature = base64.b64encode(KEY.sign(stamp.encode() + body, ec.ECDSA(SHA256()))).decode()
    headers = {"X-Twilio-Email-Event-Webhook-Timestamp": stamp, "X-Twilio-Email-Event-Webhook-Signature": signature}
    return ask(world.house.port, "POST", "/v1/hooks/mails", over.get("body", body), headers, key=None).status


def event(attempt: Row, word: str, **more: Any) -> Row:
    return {
        "event": word,
        "timestamp": int(time.time()),
        "sendwright_attempt": attempt["id"],
        "sg_message_id": f"{attempt['ref']}.0",
        **more,
    }


def test_a_blast_goes_in_few_calls_and_events_tell_its_messages_apart(world: World, stand: Stand) -> None:
    addresses = [f"guest{number}@example.com" for number in range(60)]
    messages = world.post_all([mail(address, "Maintenance") for address in addresses])
    world.all_come_to(messages, "sent")
    calls = stand.of("Maintenance")
    assert sorted(address for call in calls for address in call) == sorted(addresses)
    assert len(calls) < 20

    attempts = [world.message(message)["attempts"][0] for message in messages]
    good, bad = attempts[1:], attempts[0]
    bounce = event(bad, "bounce", type="bounce", status="5.1.1", reason="550 5.1.1 no such user")
    assert report(world, [bounce, *(event(attempt, "delivered") for attempt in good)]) == 204
    world.all_come_to(messages[1:], "delivered")
    assert world.comes_to(messages[0], "failed")["reason"]["code"] == "invalid_address"


def test_a_forged_array_of_events_changes_nothing(world: World) -> None:
    [message] = world.post_all([mail("forged@example.com", "Forged")])
    attempt = world.comes_to(message, "sent")["attempts"][0]
    assert report(world, [event(attempt, "delivered")], body=json.dumps([event(attempt, "open")]).encode()) == 401
    assert world.state(message) == "sent"


def test_one_address_that_is_refused_costs_the_others_nothing(world: World, stand: Stand) -> None:
    addresses = ["a@refused.example", *(f"reader{number}@example.com" for number in range(5))]
    messages = world.post_all([mail(address, "Letter") for address in addresses])
    world.all_come_to(messages[1:], "sent")
    assert world.comes_to(messages[0], "failed")["reason"]["code"] == "invalid_address"
    taken = [address for call in stand.of("Letter") for address in call if "a@refused.example" not in call]
    assert sorted(taken) == sorted(addresses[1:]), "each is taken once"
