"""AWS's own suite of signed requests. See vendor_specs.py for where it lies."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sendwright.providers.contract import Secret
from sendwright.providers.sigv4 import Credentials, Scope, authorization, canonical, to_sign
from tests.conformance.vendor_specs import vendor_spec

SUITE = "aws/sigv4/v4"
FOLDER = Path(os.environ.get("VENDOR_SPECS", "")) / SUITE
CASES = sorted(path.name for path in FOLDER.iterdir()) if os.environ.get("VENDOR_SPECS") and FOLDER.is_dir() else []


class Case:
    """One request as text, and what must come of it."""

    def __init__(self, name: str) -> None:
        folder = vendor_spec(f"{SUITE}/{name}/context.json").parent
        self.context: dict[str, Any] = json.loads((folder / "context.json").read_text())
        self.canonical, self.to_sign, self.signature = (
            (folder / f"header-{part}.txt").read_text() for part in ("canonical-request", "string-to-sign", "signature")
        )
        head, _, body = (folder / "request.txt").read_bytes().decode().partition("\n\n")
        line, *fields = head.rstrip("\n").split("\n")
        self.method, _, target = line.removesuffix(" HTTP/1.1").partition(" ")
        self.path, _, self.query = target.partition("?")
        self.body = body.encode()
        self.headers: list[tuple[str, str]] = []
        for field in fields:
            name_, _, value = field.partition(":")
            if field.startswith(" "):  # a value on several lines, as it was once allowed
                name_, value = self.headers.pop()
                value += field
            self.headers.append((name_, value))

    def credentials(self) -> Credentials:
        said = self.context["credentials"]
        token = said.get("token")
        return Credentials(said["access_key_id"], Secret(said["secret_access_key"]), Secret(token) if token else None)

    def scope(self) -> Scope:
        at = datetime.fromisoformat(self.context["timestamp"]).timestamp()
        return Scope(self.context["region"], self.context["service"], at)


def test_the_whole_suite_is_here() -> None:
    vendor_spec(f"{SUITE}/get-vanilla/context.json")
    assert len(CASES) == 38


@pytest.mark.parametrize("name", CASES)
def test_a_request_of_the_suite_is_signed_as_aws_signs_it(name: str) -> None:
    case = Case(name)
    credentials, scope = case.credentials(), case.scope()
    headers = [*case.headers, ("X-Amz-Date", scope.moment)]
    if credentials.token is not None and not case.context.get("omit_session_token"):
        headers.append(("X-Amz-Security-Token", credentials.token.reveal()))
    if case.context["sign_body"]:
        headers.append(("x-amz-content-sha256", case.canonical.rpartition("\n")[2]))
    written = canonical(case.method, case.path, case.query, headers, case.body, normalize=case.context["normalize"])
    assert written == case.canonical
    assert to_sign(written, scope) == case.to_sign
    assert authorization(written, headers, credentials, scope).endswith(f"Signature={case.signature}")
