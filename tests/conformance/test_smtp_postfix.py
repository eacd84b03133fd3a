"""The kind `smtp` and its egress before a real Postfix: what it takes arrives as it was said, what it refuses is read aright."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import pytest

from sendwright.drivers.egress.gate import Gate, Route
from sendwright.errors import Unreachable
from sendwright.model.content import Attachment, EmailContent
from sendwright.providers.contract import Accepted, Later, Outcome, Outgoing, Provider, Reason, Rejected, Scope
from sendwright.providers.registry import make
from tests.conformance.egress_clients import authority
from tests.conformance.egress_server import LIMIT_S
from tests.conformance.postfix import DOMAIN, Postfix, own_postfix

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    with own_postfix(authority().pem()) as server:
        yield server


class Shop:
    """An account, the gate that it goes through, and attempts by number."""

    def __init__(self, server: Postfix, gate: Gate, **over: Any) -> None:
        tls = over.get("tls", "starttls")
        port = server.tls_port if tls == "tls" else server.port
        raw = {"kind": "smtp", "host": "127.0.0.1", "port": port, "from": "Shop <shop@example.com>"}
        self.provider: Provider = make("post", raw | over)
        self._gate = gate

    async def send(self, attempt: str, to: str = "ada", **over: Any) -> Outcome:
        """What becomes of one mail."""
        said = {"channel": "email", "address": f"{to}@{DOMAIN}", "body": "Hello", "title": "Hi", "now": 1_790_000_000.0}
        flow = self.provider.flow(Outgoing(attempt, "msg_1", **(said | over)))
        request = next(flow)
        line = await self._gate.open("post", request, LIMIT_S)
        try:
            flow.send(await line.send(request, LIMIT_S))
        except StopIteration as done:
            outcome: Outcome = done.value
            return outcome
        finally:
            line.release()
        raise AssertionError("it asks for another call")


def gate() -> Gate:
    return Gate({"post": Route(concurrency=4)}, tls=authority().trusting())


def message_id(attempt: str) -> str:
    return f"<{attempt}@example.com>"


@pytest.mark.parametrize("tls", ["starttls", "tls", "none"])
async def test_a_mail_arrives_as_it_was_said(postfix: Postfix, tls: str) -> None:
    own = EmailContent(
        cc=[f"bob@{DOMAIN}"],
        bcc=[f"eve@{DOMAIN}"],
        reply_to="Help <help@example.com>",
        headers={"X-Order": "4711"},
        attachments=[Attachment("Rechnung März.pdf", base64.b64encode(b"\x00\r\n.\r\n").decode(), "application/pdf")],
    )
    gate_ = gate()
    outcome = await Shop(postfix, gate_, tls=tls).send(
        f"whole-{tls}", own=own, title="Paket für Zoë 📦", body="Grüße\n.\n..\nFrom us", html="<p>Grüße</p>"
    )
    await gate_.close()
    assert isinstance(outcome, Accepted)
    assert outcome.ref is not None
    assert outcome.ref in postfix.log()
    for name in ("ada", "bob", "eve"):
        mail = await asyncio.to_thread(postfix.arrived, name, message_id(f"whole-{tls}"))
        assert (str(mail["Subject"]), str(mail["Cc"]), mail["Bcc"], mail["X-Order"]) == (
            "Paket für Zoë 📦",
            f"bob@{DOMAIN}",
            None,
            "4711",
        )
        text, html = mail.get_body(("plain",)), mail.get_body(("html",))
        assert text is not None
        assert html is not None
        assert text.get_content().split() == ["Grüße", ".", "..", "From", "us"]
        assert html.get_content().strip() == "<p>Grüße</p>"
        assert [(part.get_filename(), part.get_content()) for part in mail.iter_attachments()] == [
            ("Rechnung März.pdf", b"\x00\r\n.\r\n")
        ]


@pytest.mark.parametrize(
    ("to", "outcome"),
    [
        ("busy", Later("", scope=Scope.RECIPIENT, ill=False)),
        ("grey", Later("", scope=Scope.RECIPIENT, ill=False)),
        ("full", Later("", scope=Scope.RECIPIENT, ill=False)),
        ("nobody", Rejected(Reason.INVALID_ADDRESS, "", Scope.RECIPIENT)),
        ("gone", Rejected(Reason.INVALID_ADDRESS, "", Scope.RECIPIENT)),
        ("policy", Rejected(Reason.BLOCKED, "", Scope.SENDER)),
    ],
)
async def test_what_it_refuses_is_read_by_its_codes(postfix: Postfix, to: str, outcome: Later | Rejected) -> None:
    gate_ = gate()
    shop = Shop(postfix, gate_)
    told = await shop.send(f"refused-{to}", to)
    again = await shop.send(f"taken-after-{to}")
    usage = gate_.stats()["post"]
    await gate_.close()
    assert isinstance(told, type(outcome))
    assert {name: getattr(told, name) for name in outcome.__struct_fields__ if name != "detail"} == {
        name: getattr(outcome, name) for name in outcome.__struct_fields__ if name != "detail"
    }
    assert isinstance(again, Accepted)
    assert (usage.in_flight, usage.idle) == (0, 1)  # by the same line


async def test_a_mail_elsewhere_is_refused_for_who_sends_and_not_for_the_person(postfix: Postfix) -> None:
    gate_ = gate()
    told = await Shop(postfix, gate_).send("relay", address="ada@elsewhere.example")
    await gate_.close()
    assert isinstance(told, Rejected)
    assert (told.reason, told.scope) == (Reason.BLOCKED, Scope.SENDER)
    assert "Relay access denied" in told.detail
    assert "ada@" not in told.detail


async def test_a_copy_that_is_refused_does_not_hold_up_the_mail(postfix: Postfix) -> None:
    gate_ = gate()
    told = await Shop(postfix, gate_).send("copies", own=EmailContent(cc=[f"nobody@{DOMAIN}", f"bob@{DOMAIN}"]))
    await gate_.close()
    assert isinstance(told, Accepted)
    assert "n•••@example.org (550" in told.left_out
    for name in ("ada", "bob"):
        await asyncio.to_thread(postfix.arrived, name, message_id("copies"))


async def test_a_mail_that_is_too_large_is_not_begun(postfix: Postfix) -> None:
    gate_ = gate()
    told = await Shop(postfix, gate_).send("large", body="x" * Postfix.SIZE_MAX)
    await gate_.close()
    assert isinstance(told, Rejected)
    assert (told.reason, told.scope) == (Reason.CONTENT, Scope.SENDER)


async def test_other_letters_before_the_at_arrive(postfix: Postfix) -> None:
    gate_ = gate()
    assert isinstance(await Shop(postfix, gate_).send("smtputf8", "jürgen"), Accepted)
    await gate_.close()
    await asyncio.to_thread(postfix.arrived, "jürgen", message_id("smtputf8"))


async def test_a_certificate_for_another_host_gets_nothing(postfix: Postfix) -> None:
    gate_ = gate()
    with pytest.raises(Unreachable) as refused:
        await Shop(postfix, gate_, host="localhost").send("elsewhere")
    await gate_.close()
    assert (refused.value.phase, refused.value.detail) == ("tls", "the certificate is for another host")


async def test_many_mails_share_few_lines_and_each_arrives_once(postfix: Postfix) -> None:
    gate_ = gate()
    shop = Shop(postfix, gate_)
    outcomes = await asyncio.gather(*(shop.send(f"many-{number}") for number in range(40)))
    usage = gate_.stats()["post"]
    await gate_.close()
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert usage.idle <= 4
    for number in range(40):
        await asyncio.to_thread(postfix.arrived, "ada", message_id(f"many-{number}"))
    ids = [str(mail["Message-ID"]) for mail in postfix.box("ada")]
    assert len(ids) == len(set(ids))
