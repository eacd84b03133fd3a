"""The sandbox as a mail server, over real sockets: what it offers, takes and refuses, and how it misbehaves at each stage.

The client is the standard library's, and a bare socket where that is too polite.
"""

from __future__ import annotations

import asyncio
import re
import smtplib
from collections.abc import AsyncIterator, Callable
from email.message import EmailMessage
from typing import Any

import pytest

from sendwright.sandbox.faults import FaultSheet, Match, Rule
from sendwright.sandbox.log import Entry
from sendwright.sandbox.options import SandboxOptions
from sendwright.sandbox.server import SandboxServer
from sendwright.testing import Server

pytestmark = pytest.mark.slow

ADA, BEA, SHOP = "ada@example.com", "bea@example.com", "shop@example.com"


class Post:
    """A sandbox, and how it is written to."""

    def __init__(self, server: SandboxServer, port: int) -> None:
        self.server = server
        self.port = port

    def faults(self, *rules: Rule, **more: Any) -> None:
        self.server.desk.faults.put(FaultSheet(rules, **more))

    def entries(self) -> list[Entry]:
        return [noted.entry for noted in self.server.log.newest(100)]

    async def with_smtplib(self, work: Callable[[smtplib.SMTP], Any]) -> Any:
        def connected() -> Any:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=10) as client:
                return work(client)

        return await asyncio.to_thread(connected)

    async def said(self, *lines: str) -> bytes:
        """All that is answered to these lines, until the other side closes; sent at once."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write("".join(f"{line}\r\n" for line in lines).encode())
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()

    async def codes(self, *lines: str) -> list[int]:
        answers = (await self.said(*lines)).decode().split("\r\n")
        return [int(line[:3]) for line in answers if line[3:4] == " "]


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    server = SandboxServer(SandboxOptions())
    made = Post(server, await server.start_smtp())
    yield made
    await server.stop()


def mail() -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = f"Käthe <{SHOP}>", ADA, "Größe 7"
    made["Message-ID"] = "<att_1@example.com>"
    made.set_content("Shipped.\n.hidden\n")
    made.add_alternative("<p>Shipped.</p>", subtype="html")
    made.add_attachment(b"x" * 300, maintype="application", subtype="pdf", filename="bill.pdf")
    return made


ENVELOPE = ("EHLO x", f"MAIL FROM:<{SHOP}>", f"RCPT TO:<{ADA}>", "DATA")
WHOLE = (*ENVELOPE, "Subject: Hi", "", "Hello", ".", "QUIT")


async def test_a_mail_is_taken_and_written_down_as_a_mailbox_shows_it(post: Post) -> None:
    def work(client: smtplib.SMTP) -> Any:
        client.login("someone", "secret-canary")
        return client.send_message(mail(), to_addrs=[ADA, BEA])

    assert await post.with_smtplib(work) == {}
    (entry,) = post.entries()
    assert (entry.kind, entry.account, entry.channel, entry.to, list(entry.copies)) == ("smtp", "someone", "email", ADA, [BEA])
    assert (entry.title, entry.sender, entry.html) == ("Größe 7", f"Käthe <{SHOP}>", "<p>Shipped.</p>\n")
    assert (entry.body, list(entry.media), entry.reference) == ("Shipped.\n.hidden\n", ["bill.pdf (300 bytes)"], "att_1")
    assert entry.ref
    assert entry.taken
    assert post.server.log.stats().in_flight == 0


async def test_it_offers_what_it_keeps(post: Post) -> None:
    def work(client: smtplib.SMTP) -> Any:
        client.ehlo()
        return dict(client.esmtp_features)

    offered = await post.with_smtplib(work)
    assert set(offered) == {"pipelining", "size", "8bitmime", "smtputf8", "dsn", "enhancedstatuscodes", "auth"}
    assert "starttls" not in offered

    dsn = (f"MAIL FROM:<{SHOP}> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=att_7", f"RCPT TO:<{ADA}> NOTIFY=FAILURE ORCPT=rfc822;{ADA}")
    assert await post.codes("EHLO x", *dsn, "DATA", "Subject: ü", "", "Hi", ".", "QUIT") == [220, 250, 250, 250, 354, 250, 221]
    utf8 = (f"MAIL FROM:<{SHOP}> SMTPUTF8", "RCPT TO:<käthe@example.com>")
    assert await post.codes("EHLO x", *utf8, "DATA", "", ".", "QUIT") == [220, 250, 250, 250, 354, 250, 221]
    assert [(entry.to, entry.reference) for entry in post.entries()] == [(ADA, "att_7"), ("käthe@example.com", None)]


async def test_what_is_no_mail_is_refused(post: Post) -> None:
    cases = [
        ((f"RCPT TO:<{ADA}>",), [503]),
        ((f"MAIL FROM:<{SHOP}>", "DATA"), [250, 503]),
        ((f"MAIL FROM:<{SHOP}>", f"MAIL FROM:<{SHOP}>"), [250, 503]),
        ((f"MAIL FROM:<{SHOP}> SIZE=30000001",), [552]),
        ((f"MAIL FROM:<{SHOP}> NEW=1",), [555]),
        (("MAIL FROM: nobody",), [501]),
        (("MAIL FROM:<>", "RCPT TO:<ada>"), [250, 553]),
        (("MAIL FROM:<>", "RCPT TO:<käthe@example.com>"), [250, 553]),
        (("AUTH PLAIN AGEA", "AUTH CRAM-MD5", "AUTH LOGIN", "YQ==", "%"), [535, 504, 334, 334, 535]),
        (("STARTTLS", "NOOP", "RSET"), [502, 250, 250]),
    ]
    for lines, codes in cases:
        assert await post.codes("EHLO x", *lines, "QUIT") == [220, 250, *codes, 221], lines
    everybody = [f"RCPT TO:<p{n}@example.com>" for n in range(101)]
    assert (await post.codes("EHLO x", "MAIL FROM:<>", *everybody, "QUIT"))[-3:] == [250, 452, 221]
    assert post.server.log.stats().taken == 0


async def test_a_page_can_not_write_mails_by_what_it_posts(post: Post) -> None:
    answers = await post.said("POST / HTTP/1.1", "Host: 127.0.0.1", "", *WHOLE)
    assert answers.count(b"\r\n") == 1, "the greeting alone"
    assert post.entries() == []


async def test_who_opted_out_is_nobody_and_the_others_get_the_mail(post: Post) -> None:
    post.faults(opted_out=(ADA,))
    lines = (*ENVELOPE[:3], f"RCPT TO:<{BEA}>", "DATA", "", "Hi", ".", "QUIT")
    assert await post.codes(*lines) == [220, 250, 250, 550, 250, 354, 250, 221]
    assert [(entry.to, entry.verdict, entry.taken) for entry in post.entries()] == [(ADA, "refused", False), (BEA, "taken", True)]


async def test_every_stage_can_be_refused_for_now_and_for_good(post: Post) -> None:
    before = {"connect": [], "ehlo": [220], "mail": [220, 250], "rcpt": [220, 250, 250], "data": [220, 250, 250, 250]}
    after = {"connect": [250, 250, 250, 354, 250], "ehlo": [250, 250, 354, 250], "mail": [503, 503], "rcpt": [503], "data": []}
    for stage, first in before.items():
        for status in (451, 550):
            post.faults(Rule("status", status=status, stage=stage, code="5.7.1 No"))  # type: ignore[arg-type]
            short = stage in {"mail", "rcpt", "data"}
            lines = (*ENVELOPE, "QUIT") if short else WHOLE
            assert await post.codes(*lines) == [*first, status, *after[stage], 221], stage
    post.faults(Rule("status", status=535, stage="auth"))
    assert await post.codes("EHLO x", "AUTH PLAIN AGEAYg==", "QUIT") == [220, 250, 535, 221]
    for status, code in ((451, 451), (554, 554), (429, 450)):
        post.faults(Rule("status", status=status))
        assert await post.codes(*WHOLE) == [220, 250, 250, 250, 354, code, 221]
    post.faults(Rule("status", status=503))
    assert (await post.codes(*WHOLE))[-1] == 421
    verdicts = post.server.log.stats().by_verdict
    assert verdicts == {"refused": 6 + 4, "taken": 4}, "what was refused before a mail began is no mail"


async def test_a_rule_meets_one_recipient_as_often_as_it_says(post: Post) -> None:
    post.faults(Rule("status", status=450, stage="rcpt", match=Match(kind="smtp", to_prefix="ada"), count=1))
    lines = (*ENVELOPE[:3], f"RCPT TO:<{BEA}>", f"RCPT TO:<{ADA}>", "QUIT")
    assert await post.codes(*lines) == [220, 250, 250, 450, 250, 250, 221]


async def test_a_cut_after_the_dot_may_have_taken_the_mail_or_not(post: Post) -> None:
    for deed, taken in (("reset_before", False), ("reset_after", True)):
        post.faults(Rule(deed))  # type: ignore[arg-type]
        with pytest.raises(ConnectionResetError):
            await post.said(*WHOLE)
        assert (post.entries()[-1].verdict, post.entries()[-1].taken) == (deed, taken)


async def test_answers_that_are_none_end_the_conversation_and_the_mail_counts(post: Post) -> None:
    cases: list[tuple[Rule, bytes]] = [
        (Rule("empty"), b""),
        (Rule("malformed"), b"250 2.0.0 Ok: que"),
        (Rule("html"), b"<!doctype html>"),
        (Rule("oversize", size_bytes=1000), b'"xxx'),
        (Rule("drip", every_ms=0), b"250 2.0.0 Ok: queued as"),
    ]
    for rule, begins in cases:
        post.faults(rule)
        after = (await post.said(*WHOLE)).partition(b"354 End data with <CR><LF>.<CR><LF>\r\n")[2]
        assert after.startswith(begins), rule.do
        assert post.entries()[-1].taken
        assert bool(after) is (rule.do != "empty")


async def test_a_mail_that_is_too_large_is_read_to_its_end_and_refused(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sendwright.sandbox.smtp.SIZE_MAX", 1000)
    lines = (*ENVELOPE, *(["x" * 100] * 20), ".", "NOOP", "QUIT")
    assert await post.codes(*lines) == [220, 250, 250, 250, 354, 552, 250, 221]
    assert post.server.log.stats().taken == 0


async def test_a_mail_that_can_hardly_be_read_is_taken_as_it_is(post: Post) -> None:
    broken = ("Content-Type: text/plain; charset=none-such", "Subject: =?utf-8?q?=FF?=", "From: <", "", "h\u00e9", ".", "QUIT")
    assert await post.codes(*ENVELOPE, *broken) == [220, 250, 250, 250, 354, 250, 221]
    assert post.entries()[-1].body.strip() == "h\u00e9"


async def test_it_ends_with_the_sandbox_whatever_is_said(post: Post) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", post.port)
    await reader.readline()
    await post.server.stop()
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", post.port)


def test_up_takes_mails_where_its_settings_say_and_shows_where() -> None:
    with Server({"sandbox": {"listen": "127.0.0.1:0", "smtp_listen": "127.0.0.1:0"}}) as server:
        page = server._ask("GET", "/")
        text = page.decode() if isinstance(page, bytes) else page
        found = re.search(r"SMTP on <code>127\.0\.0\.1:(\d+)</code>", text)
        assert found is not None
        with smtplib.SMTP("127.0.0.1", int(found[1]), timeout=10) as client:
            client.send_message(mail())
        (sent,) = server.sent(channel="email")
    assert (sent.to, sent.title) == (ADA, "Größe 7")
