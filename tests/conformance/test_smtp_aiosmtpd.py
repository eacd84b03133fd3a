"""The kind `smtp` before a mail server that somebody else wrote (aiosmtpd), which says by the recipient what it is told to."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from sendwright.drivers.egress.gate import Gate, Route
from sendwright.errors import Unreachable
from sendwright.model.content import EmailContent
from sendwright.providers.contract import Accepted, Later, Misconfigured, Outcome, Outgoing, Reason, Rejected, Unsure
from sendwright.providers.registry import make
from tests.conformance.egress_clients import authority
from tests.conformance.egress_server import LIMIT_S

PASSWORD = "hunter2hunter2"


class Handler:
    """Takes what it is not told to refuse: `550-5.1.1@…` is refused so; a subject `content 451-4.3.0` refuses the content."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.signed_in: list[object] = []

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        code, dash, rest = address.partition("@")[0].partition("-")
        if dash and code.isdigit():
            return f"{code} {rest} as you wish"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        subject = str(email.message_from_bytes(envelope.content, policy=email.policy.SMTP)["Subject"])
        word, _, said = subject.partition(" ")
        if word == "content":
            code, _, enhanced = said.partition("-")
            return f"{code} {enhanced} as you wish"
        if word == "vanish":
            assert server.transport is not None
            server.transport.abort()
        self.taken.append(envelope)
        return "250 2.0.0 Ok: queued as Q1"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, said: Any) -> AuthResult:
        assert isinstance(said, LoginPassword)
        self.signed_in.append(mechanism)
        return AuthResult(success=(said.login, said.password) == (b"shop", PASSWORD.encode()), handled=False)


@asynccontextmanager
async def served(handler: Handler, **over: Any) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    settings = {"enable_SMTPUTF8": True, "hostname": "mail.example.com", "loop": loop, "ident": "test"} | over
    server = await loop.create_server(lambda: SMTP(handler, **settings), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.05)


async def sent(port: int, to: str = "ada", raw: dict[str, Any] | None = None, **over: Any) -> Outcome | Unreachable:
    account = {"kind": "smtp", "host": "127.0.0.1", "port": port, "tls": "none", "from": "shop@example.com"} | (raw or {})
    provider = make("post", account)
    said = {"channel": "email", "address": f"{to}@example.org", "body": "Hello", "title": "Hi", "now": 1_790_000_000.0}
    flow = provider.flow(Outgoing("att_1", "msg_1", **(said | over)))
    request = next(flow)
    gate = Gate({"post": Route()}, tls=authority().trusting())
    try:
        line = await gate.open("post", request, LIMIT_S)
        try:
            flow.send(await line.send(request, LIMIT_S))
        finally:
            line.release()
    except Unreachable as unreachable:
        return unreachable
    except StopIteration as done:
        outcome: Outcome = done.value
        return outcome
    finally:
        await gate.close()
    raise AssertionError("it asks for another call")


async def test_it_takes_a_mail_as_it_was_said() -> None:
    handler = Handler()
    async with served(handler) as port:
        own = EmailContent(cc=["bob@example.org"], bcc=["eve@example.org"])
        outcome = await sent(port, own=own, title="Grüße", body=".\n..\nSchöne Grüße")
    assert outcome == Accepted("Q1")
    envelope = handler.taken[0]
    assert (envelope.mail_from, envelope.rcpt_tos) == (
        "shop@example.com",
        [f"{name}@example.org" for name in ("ada", "bob", "eve")],
    )
    assert isinstance(envelope.content, bytes)
    mail = email.message_from_bytes(envelope.content, policy=email.policy.SMTP)
    assert (str(mail["Subject"]), str(mail["Message-ID"])) == ("Grüße", "<att_1@example.com>")
    assert mail.get_content().splitlines() == [".", "..", "Schöne Grüße"]


@pytest.mark.parametrize(
    ("to", "kind", "reason"),
    [
        ("450-4.2.1", Later, None),
        ("451-4.7.1", Later, None),
        ("452-4.2.2", Later, None),
        ("421-4.3.2", Later, None),
        ("550-5.1.1", Rejected, Reason.INVALID_ADDRESS),
        ("552-5.2.2", Rejected, Reason.UNREACHABLE),
        ("554-5.7.1", Rejected, Reason.BLOCKED),
        ("530-5.7.0", Misconfigured, None),
    ],
)
async def test_what_it_says_of_the_recipient_is_read(to: str, kind: type, reason: Reason | None) -> None:
    handler = Handler()
    async with served(handler) as port:
        outcome = await sent(port, to)
    assert isinstance(outcome, kind)
    assert getattr(outcome, "reason", None) == reason
    assert handler.taken == []


@pytest.mark.parametrize(
    ("said", "kind", "reason"),
    [
        ("451-4.3.0", Later, None),
        ("554-5.7.1", Rejected, Reason.BLOCKED),
        ("554-5.6.0", Rejected, Reason.CONTENT),
        ("552-5.3.4", Rejected, Reason.CONTENT),
    ],
)
async def test_what_it_says_of_the_content_is_read(said: str, kind: type, reason: Reason | None) -> None:
    async with served(Handler()) as port:
        outcome = await sent(port, title=f"content {said}")
    assert isinstance(outcome, kind)
    assert getattr(outcome, "reason", None) == reason


async def test_who_vanishes_after_the_dot_leaves_a_doubt() -> None:
    async with served(Handler()) as port:
        assert isinstance(await sent(port, title="vanish"), Unsure)


@pytest.mark.parametrize("excluded", [[], ["PLAIN"]], ids=["plain", "login"])
@pytest.mark.parametrize("password", [PASSWORD, "another-password"])
async def test_signing_in_over_starttls(excluded: list[str], password: str) -> None:
    handler = Handler()
    context: ssl.SSLContext = authority().serving()
    signing = {"tls_context": context, "require_starttls": True, "auth_required": True, "auth_exclude_mechanism": excluded}
    async with served(handler, authenticator=handler.authenticate, **signing) as port:
        outcome = await sent(port, raw={"tls": "starttls", "username": "shop", "password": password})
    assert isinstance(outcome, Accepted if password == PASSWORD else Misconfigured)
    assert handler.signed_in == ["LOGIN" if excluded else "PLAIN"]
    assert len(handler.taken) == (password == PASSWORD)


async def test_a_server_that_wants_somebody_to_sign_in_is_misconfigured_where_nobody_does() -> None:
    handler = Handler()
    context = authority().serving()
    async with served(handler, authenticator=handler.authenticate, auth_required=True, tls_context=context) as port:
        assert isinstance(await sent(port, raw={"tls": "starttls"}), Misconfigured)
    assert handler.taken == []


async def test_a_mail_that_is_too_large_and_letters_that_it_does_not_take() -> None:
    async with served(Handler(), data_size_limit=1000, enable_SMTPUTF8=False) as port:
        large = await sent(port, body="x" * 2000)
        other = await sent(port, "jürgen")
    assert isinstance(large, Rejected)
    assert large.reason == Reason.CONTENT
    assert isinstance(other, Rejected)
    assert other.reason == Reason.INVALID_ADDRESS
