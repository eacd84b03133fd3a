"""Web push held to the vector of RFC 8291. See vendor_specs.py for where that lies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sendwright.providers.jose import p256_key, un_b64url
from sendwright.providers.webpush import encrypted
from tests.conformance.vendor_specs import vendor_spec

KEYS = {"auth": "auth_secret", "salt": "salt"}


@pytest.fixture(scope="module")
def vector() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vendor_spec("webpush/rfc8291_vector.json").read_bytes())
    return found


def made(vector: dict[str, Any], **over: bytes) -> bytes:
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), un_b64url(vector["ua_public"]))
    given = {"text": vector["plaintext"].encode()} | {name: un_b64url(vector[key]) for name, key in KEYS.items()} | over
    return encrypted(given["text"], theirs, given["auth"], p256_key(vector["as_private"]), given["salt"])


@pytest.mark.parametrize("part", ["text", "auth", "salt"])
def test_every_part_of_it_counts(vector: dict[str, Any], part: str) -> None:
    assert made(vector, **{part: b"another one here"})[86:] != un_b64url(vector["message"])[86:]
