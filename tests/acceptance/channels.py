"""Providers and messages of other channels than SMS, as tests and campaigns of several channels need them."""

from __future__ import annotations

import urllib.request
from typing import Any
from urllib.parse import urlencode

from .harness import House, Oracle

APP_SECRET, VERIFY_TOKEN = "app-secret-0123456789", "verify-token-0123456789"
META_ACCOUNT = f'access_token = "EAAtoken"\napp_secret = "{APP_SECRET}"\nverify_token = "{VERIFY_TOKEN}"\n'


def whatsapp(oracle: Oracle, *, name: str = "wa") -> str:
    """A provider's table. Its receipts come once it is subscribed."""
    account = f'phone_number_id = "106540352242922"\n{META_ACCOUNT}'
    return f'[providers.{name}]\nkind = "whatsapp_cloud"\nbase_url = "{oracle.url}/whatsapp_cloud"\n{account}\n'


def subscribe(house: House, oracle: Oracle, provider: str, kind: str, about: str) -> None:
    """As an operator does it in Meta's dashboard, or by this call."""
    said = {"object": about, "callback_url": f"{house.url}/v1/hooks/{provider}", "verify_token": VERIFY_TOKEN}
    request = urllib.request.Request(f"{oracle.url}/{kind}/v25.0/123/subscriptions", urlencode(said).encode())
    request.add_header("Authorization", f"Bearer 123|{APP_SECRET}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def chat(number: int, **more: Any) -> dict[str, Any]:
    phone = f"+1415{6000000 + number % 1_000_000:07d}"
    return {"to": {"whatsapp": phone}, "channels": ["whatsapp"], "content": {"body": f"chat {number}"}, **more}
