"""Whatever a caller sends, the sandbox answers it as a vendor would, writes it down and can show it."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sendwright.providers.contract import HttpRequest, Secret
from sendwright.providers.sigv4 import Credentials, Scope, signed
from sendwright.sandbox import page
from sendwright.sandbox.desk import Desk
from sendwright.sandbox.fcm import PROJECT, Fcm
from sendwright.sandbox.letters import opened
from sendwright.sandbox.log import MessageLog
from sendwright.sandbox.options import SandboxOptions
from sendwright.sandbox.sigv4 import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from sendwright.sandbox.wire import Reply, Request

KEYS = Credentials(ACCESS_KEY_ID, Secret(SECRET_ACCESS_KEY))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "x", "a@b.example", "Ünï <a@b.example>", "\x00", "<b>"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["email", "Data", "Name", "title", "x"]), inner),
    max_leaves=6,
)
MAIL = {
    "personalizations": [{"to": [{"email": "a@b.example"}]}],
    "from": {"email": "c@d.example"},
    "subject": "s",
    "content": [{"type": "text/plain", "value": "v"}],
}
SIMPLE = {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}
MEMBERS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "sendgrid": (MAIL, ["personalizations", "from", "subject", "content", "attachments", "custom_args", "template_id"]),
    "ses": (
        {"FromEmailAddress": "c@d.example", "Destination": {"ToAddresses": ["a@b.example"]}, "Content": {"Simple": SIMPLE}},
        ["FromEmailAddress", "Destination", "Content", "EmailTags", "ConfigurationSetName"],
    ),
    "fcm": ({"token": "t", "notification": {"title": "x"}}, ["token", "notification", "data", "android"]),
}


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(SandboxOptions(receipts=False), MessageLog())


def request_of(desk: Desk, kind: str, said: dict[str, Any]) -> Request:
    """A call that the vendor lets in, whatever it says."""
    headers, url = {"Content-Type": "application/json"}, "http://127.0.0.1/sendgrid/v3/mail/send"
    if kind == "sendgrid":
        headers["Authorization"] = "Bearer k"
    elif kind == "fcm":
        said, url = {"message": said}, f"http://127.0.0.1/fcm/v1/projects/{PROJECT}/messages:send"
        headers["Authorization"] = f"Bearer {Fcm(desk.keyring)._token(int(time.time()) + 60)}"
    body = json.dumps(said).encode()
    if kind == "ses":
        url = "http://127.0.0.1/ses/v2/email/outbound-emails"
        bare = HttpRequest("POST", url, tuple(headers.items()), body)
        headers = dict(signed(bare, KEYS, Scope("eu-central-1", "ses", time.time())).headers)
    return Request("POST", urlsplit(url).path, "", {k.lower().encode(): v.encode() for k, v in headers.items()}, body)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(kind=st.sampled_from(sorted(MEMBERS)), data=st.data())
def test_a_call_that_says_anything_is_answered_and_can_be_shown(desk: Desk, kind: str, data: st.DataObject) -> None:
    desk.log.reset()
    good, names = MEMBERS[kind]
    changed = data.draw(st.dictionaries(st.sampled_from(names), ANYTHING, min_size=1, max_size=2))
    turn = desk.handle(request_of(desk, kind, good | changed))
    desk.ended(turn)
    assert isinstance(turn.answer, Reply)
    assert turn.answer.status < 500
    shown = desk.log.newest(1)
    assert shown[0].line()
    assert page.fragment(page.Seen(desk.log, desk.faults, "", None))


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.sampled_from([
        b"From: \xff <a@b.example>", b"To: x, , <", b"Subject: =?utf-8?b?//8=?=", b"Subject: \xfc\xff", b"Message-ID: <\xff@x>",
        b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: text/html; charset=\xff",
        b"Content-Transfer-Encoding: base64",
        b'Content-Disposition: attachment; filename="\xff"', b"--b", b"--b--", b"", b"\xff\x00", b"Date: never", b":",
    ]), max_size=12)
)  # fmt: skip
def test_a_mail_of_any_bytes_is_opened_and_can_be_written_down(lines: list[bytes]) -> None:
    assert msgspec.json.encode(opened(b"\r\n".join(lines)))
