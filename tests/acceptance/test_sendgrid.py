"""Email through the running product to a stand-in of SendGrid: calls that are shared, events that come back signed."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .harness import House
from .mail_stand import MailStand, mail, sendgrid
from .raw_http import ask
from .world import FAST, Row, World

pytestmark = pytest.mark.slow

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@pytest.fixture(scope="module")
def stand() -> Iterator[MailStand]:
    made = MailStand()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, stand: MailStand) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("sendgrid")
    provider = sendgrid(stand, name="mails", extra=f'webhook_public_key = "{PUBLIC}"')
    made = World(folder, House(folder, provider, FAST), stand)  # type: ignore[arg-type]
    made.house.start()
    yield made
    made.house.kill()


def letter(address: str, subject: str) -> Row:
    return mail(address, content={"title": subject, "body": "We will be away on Sunday."})


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


def test_a_blast_goes_in_few_calls_and_events_tell_its_messages_apart(world: World, stand: MailStand) -> None:
    addresses = [f"guest{number}@example.com" for number in range(60)]
    messages = world.post_all([letter(address, "Maintenance") for address in addresses])
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
    [message] = world.post_all([letter("forged@example.com", "Forged")])
    attempt = world.comes_to(message, "sent")["attempts"][0]
    assert report(world, [event(attempt, "delivered")], body=json.dumps([event(attempt, "open")]).encode()) == 401
    assert world.state(message) == "sent"


def test_one_address_that_is_refused_costs_the_others_nothing(world: World, stand: MailStand) -> None:
    addresses = ["a@refused.example", *(f"reader{number}@example.com" for number in range(5))]
    messages = world.post_all([letter(address, "Letter") for address in addresses])
    world.all_come_to(messages[1:], "sent")
    assert world.comes_to(messages[0], "failed")["reason"]["code"] == "invalid_address"
    taken = [address for call in stand.of("Letter") for address in call if "a@refused.example" not in call]
    assert sorted(taken) == sorted(addresses[1:]), "each is taken once"
