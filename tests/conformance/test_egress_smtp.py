"""What lines to mail servers must do: above all, to say when a mail broke.

The invariant, asserted wherever something breaks: `NotSent` and `Unreachable` mean that no byte of the mail's content reached the
other side. `Lost` is right from the first byte of the content on, and wrong where the server answered it.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from sendwright.drivers.egress.gate import Gate, Route
from sendwright.drivers.egress.smtp import MESSAGES_MAX, REFUSALS_MAX, MailConnection
from sendwright.errors import Unreachable
from sendwright.providers.contract import OURS, ConsoleLine, Lost, MailReply, NotSent
from tests.conformance.egress_clients import PROVIDER, Authority, Client, Serve, call, every_client, until
from tests.conformance.egress_server import LIMIT_S, Peer
from tests.conformance.smtp_server import OFFERS, SHOP, Talk, conversation, mail

SHORT_S = 0.4
PLAIN = tuple(offer for offer in OFFERS if offer != "PIPELINING")
BREAKS = {"resets": Peer.reset, "closes": Peer.close, "hangs": Peer.hang}
FILLING = b"x" * 70 + b"\r\n"
OFFERED = {"one by one": PLAIN, "pipelined": OFFERS}


def within(how: str) -> float:
    return SHORT_S if how == "hangs" else LIMIT_S


# A mail that goes well


@pytest.mark.parametrize("offers", OFFERED)
@every_client
async def test_a_mail_is_said_and_taken(client: Client, serve: Serve, offers: str) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks, offers=OFFERED[offers]))
    async with client() as egress:
        answer = await call(
            egress, mail(server.port, "ada@example.org", "bob@example.org", envid="att_1", ret="HDRS", notify="NEVER")
        )
    server.stop()
    assert isinstance(answer, MailReply)
    assert (answer.phase, answer.code, answer.enhanced, answer.text) == ("content", 250, "2.0.0", "Ok: queued as A1")
    assert [(other.address, other.code) for other in answer.recipients] == [("ada@example.org", 250), ("bob@example.org", 250)]
    assert talks[0].heard[1:5] == [
        "MAIL FROM:<shop@example.com> SIZE=22 RET=HDRS ENVID=att_1",
        "RCPT TO:<ada@example.org> NOTIFY=NEVER",
        "RCPT TO:<bob@example.org> NOTIFY=NEVER",
        "DATA",
    ]
    assert talks[0].heard[0] == "EHLO [127.0.0.1]"
    assert talks[0].mails == [b"Subject: hi\r\n\r\nhello"]
    assert talks[0].heard[-1] == "QUIT"


@every_client
async def test_a_server_without_extensions_is_asked_for_none(client: Client, serve: Serve) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks, offers=()))
    async with client() as egress:
        assert isinstance(await call(egress, mail(server.port, envid="att_1", ret="HDRS", notify="NEVER")), MailReply)
    server.stop()
    assert talks[0].heard[1:3] == ["MAIL FROM:<shop@example.com>", "RCPT TO:<ada@example.org>"]


@every_client
async def test_lines_that_begin_with_a_dot_arrive_and_end_nothing(client: Client, serve: Serve) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks))
    said = b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\nb.\r\n.\r\nMAIL FROM:<evil@example.org>\r\n"
    async with client() as egress:
        assert isinstance(await call(egress, mail(server.port, message=said)), MailReply)
    server.stop()
    assert talks[0].mails[0] + b"\r\n" == said.replace(b"\r\n.", b"\r\n..")
    assert sum(line.startswith("MAIL") for line in talks[0].heard) == 1


@every_client
async def test_a_mail_that_does_not_fit_the_buffers_arrives_whole(client: Client, serve: Serve) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks))
    said = b"Subject: x\r\n\r\n" + FILLING * 100_000
    async with client() as egress:
        answer = await call(egress, mail(server.port, message=said), 6 * LIMIT_S)
    server.stop()
    assert isinstance(answer, MailReply)
    assert talks[0].mails == [said.removesuffix(b"\r\n")]


@every_client
async def test_mails_share_a_line_which_forgets_in_between(client: Client, serve: Serve) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks, answers={"RCPT": ["250 2.1.5 Ok", "550 5.1.1 nobody", "250 2.1.5 Ok"]}))
    async with client() as egress:
        for _ in range(3):
            assert isinstance(await call(egress, mail(server.port)), MailReply)
    server.stop()
    assert server.connections == 1
    assert [line.partition(" ")[0] for line in talks[0].heard] == [
        *("EHLO", "MAIL", "RCPT", "DATA"),
        *("RSET", "MAIL", "RCPT", "DATA"),
        *("RSET", "MAIL", "RCPT", "DATA", "QUIT"),
    ]


@every_client
async def test_two_mails_by_one_lease_are_apart(client: Client, serve: Serve) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks, answers={"RCPT": ["550 5.1.1 nobody", "250 2.1.5 Ok"]}))
    async with client() as egress:
        request = mail(server.port)
        line = await egress.open(PROVIDER, request, LIMIT_S)
        answers = [await line.send(mail(server.port), LIMIT_S) for _ in range(2)]
        line.release()
    server.stop()
    assert [answer.phase for answer in answers if isinstance(answer, MailReply)] == ["rcpt", "content"]
    assert [line.partition(" ")[0] for line in talks[0].heard][4:6] == ["RSET", "MAIL"]


@every_client
async def test_a_line_carries_so_many_mails_and_no_more(client: Client, serve: Serve) -> None:
    server = serve(conversation([]))
    async with client() as egress:
        for _ in range(MESSAGES_MAX + 1):
            assert isinstance(await call(egress, mail(server.port)), MailReply)
    assert server.connections == 2


@every_client
async def test_a_line_that_heard_many_refusals_in_a_row_is_not_used_again(client: Client, serve: Serve) -> None:
    def refusing(*said: str) -> Any:
        return conversation([], offers=PLAIN, answers={"RCPT": list(said)})

    no, yes = "550 5.1.1 nobody", "250 2.1.5 Ok"
    server = serve(refusing(*[no] * (REFUSALS_MAX - 1), yes, *[no] * REFUSALS_MAX), refusing(yes))
    async with client() as egress:
        for _ in range(2 * REFUSALS_MAX):
            assert isinstance(await call(egress, mail(server.port)), MailReply)
        assert server.connections == 1
        assert isinstance(await call(egress, mail(server.port)), MailReply)
    assert server.connections == 2


@every_client
async def test_lines_are_limited_and_shared(client: Client, serve: Serve) -> None:
    server = serve(conversation([]))
    async with client(Route(concurrency=3)) as egress:
        answers = await asyncio.gather(*(call(egress, mail(server.port)) for _ in range(20)))
    assert all(isinstance(answer, MailReply) for answer in answers)
    assert server.connections <= 3


@every_client
async def test_a_line_of_one_user_serves_no_other(client: Client, serve: Serve) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks, offers=(*OFFERS, "AUTH PLAIN")))
    async with client() as egress:
        for who in ({}, SHOP, SHOP | {"username": "other"}):
            assert isinstance(await call(egress, mail(server.port, **who)), MailReply)
    assert server.connections == 3


@every_client
async def test_a_resting_line_that_is_gone_is_replaced_before_anything_is_said(client: Client, serve: Serve) -> None:
    server = serve(conversation([], breaks={"RSET": Peer.close}), conversation([]))
    async with client() as egress:
        for _ in range(2):
            assert isinstance(await call(egress, mail(server.port)), MailReply)
        assert isinstance(egress, Gate)
        assert egress.stats()[PROVIDER].idle == 1
    assert server.connections == 2


@every_client
async def test_a_line_rests_no_longer_than_the_route_says(client: Client, serve: Serve) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks))
    async with client(Route(idle_s=0.1)) as egress:
        assert isinstance(await call(egress, mail(server.port)), MailReply)
        await until(lambda: server.peers[0].gone())
    server.stop()
    assert talks[0].heard[-1] == "QUIT"


# Refusals


@pytest.mark.parametrize("offers", OFFERED)
@pytest.mark.parametrize(
    ("word", "said", "phase"),
    [
        ("MAIL", "550 5.7.1 not you", "mail"),
        ("MAIL", "421 4.3.2 going down", "mail"),
        ("RCPT", "550 5.1.1 nobody", "rcpt"),
        ("RCPT", "450 4.2.1 later", "rcpt"),
        ("DATA", "554 5.5.1 no", "data"),
        ("CONTENT", "554 5.7.1 spam", "content"),
        ("CONTENT", "451 4.3.0 later", "content"),
        ("CONTENT", "421 4.3.0 going down", "content"),
    ],
)
@every_client
async def test_a_refusal_is_an_answer_and_the_line_goes_on(
    client: Client, serve: Serve, offers: str, word: str, said: str, phase: str
) -> None:
    talks: list[Talk] = []
    usual = {"MAIL": "250 2.1.0 Ok", "RCPT": "250 2.1.5 Ok", "DATA": "354 go on", "CONTENT": "250 2.0.0 Ok"}
    answers = {word: [said, usual[word]]}
    server = serve(conversation(talks, offers=OFFERED[offers], answers=answers), conversation(talks))
    async with client() as egress:
        answer = await call(egress, mail(server.port))
        again = await call(egress, mail(server.port))
    server.stop()
    assert isinstance(answer, MailReply)
    code, enhanced, text = said.split(" ", 2)
    assert (answer.phase, answer.code, answer.enhanced, answer.text) == (phase, int(code), enhanced, text)
    assert isinstance(again, MailReply)
    assert (again.phase, again.code) == ("content", 250)
    assert server.connections == (2 if code == "421" else 1)
    first = 1 if word == "CONTENT" else 0
    assert [len(talk.mails) for talk in talks] == ([first, 1] if code == "421" else [first + 1])


@pytest.mark.parametrize("offers", OFFERED)
@every_client
async def test_a_copy_that_is_refused_is_told_and_the_mail_goes_out(client: Client, serve: Serve, offers: str) -> None:
    talks: list[Talk] = []
    answers = {"RCPT": ["250 2.1.5 Ok", "550-5.1.1 nobody\r\n550 5.1.1 here", "250 2.1.5 Ok"]}
    server = serve(conversation(talks, offers=OFFERED[offers], answers=answers))
    async with client() as egress:
        answer = await call(egress, mail(server.port, "ada@example.org", "bob@example.org", "eve@example.org"))
    assert isinstance(answer, MailReply)
    assert answer.phase == "content"
    assert [(other.code, other.enhanced) for other in answer.recipients] == [(250, "2.1.5"), (550, "5.1.1"), (250, "2.1.5")]
    assert answer.recipients[1].text == "nobody here"


@pytest.mark.parametrize("offers", OFFERED)
@every_client
async def test_copies_get_nothing_when_the_one_whom_it_is_for_is_refused(client: Client, serve: Serve, offers: str) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks, offers=OFFERED[offers], answers={"RCPT": ["550 5.1.1 nobody", "250 2.1.5 Ok"]}))
    async with client() as egress:
        answer = await call(egress, mail(server.port, "ada@example.org", "bob@example.org"))
    server.stop()
    assert isinstance(answer, MailReply)
    assert (answer.phase, answer.code) == ("rcpt", 550)
    assert talks[0].mails == []
    assert "DATA" not in talks[0].heard


@every_client
async def test_a_server_that_wants_a_content_for_nobody_gets_none(client: Client, serve: Serve) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks, answers={"RCPT": ["550 5.1.1 nobody"], "DATA": ["354 go on"]}))
    async with client() as egress:
        answer = await call(egress, mail(server.port))
    server.stop()
    assert isinstance(answer, MailReply)
    assert (answer.phase, answer.code) == ("rcpt", 550)
    assert talks[0].mails == []
    assert talks[0].peer._buffer == b""


@pytest.mark.parametrize("how", BREAKS)
@every_client
async def test_a_refusal_stands_however_the_connection_ends_behind_it(client: Client, serve: Serve, how: str) -> None:
    server = serve(conversation([], answers={"RCPT": ["550 5.1.1 nobody"]}, breaks={"DATA": BREAKS[how]}))
    async with client() as egress:
        answer = await call(egress, mail(server.port), within(how))
    assert isinstance(answer, (MailReply, NotSent))
    if how != "resets":  # a reset may take what was said before it along
        assert isinstance(answer, MailReply)
        assert answer.code == 550


# Breaks


@pytest.mark.parametrize("offers", OFFERED)
@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("word", ["MAIL", "RCPT", "DATA"])
@every_client
async def test_what_breaks_before_the_content_is_not_sent(client: Client, serve: Serve, word: str, how: str, offers: str) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks, offers=OFFERED[offers], breaks={word: BREAKS[how]}))
    async with client() as egress:
        answer = await call(egress, mail(server.port), within(how))
    server.stop()
    assert isinstance(answer, NotSent)
    assert answer.phase in {"mail", "rcpt", "data"}
    assert answer.phase not in OURS
    assert b"hello" not in talks[0].peer._buffer
    assert talks[0].mails == []


@pytest.mark.parametrize("tls", [False, True], ids=["in clear", "over TLS"])
@pytest.mark.parametrize("how", BREAKS)
@every_client
async def test_what_breaks_after_the_dot_is_lost(client: Client, serve: Serve, authority: Authority, how: str, tls: bool) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks, breaks={"CONTENT": BREAKS[how]}), tls=authority.serving() if tls else None)
    async with client(Route(), authority.trusting()) as egress:
        answer = await call(egress, mail(server.port, tls="tls" if tls else "none"), within(how))
    server.stop()
    assert isinstance(answer, Lost)
    assert answer.phase == "wait"
    assert len(talks[0].mails) == 1


@pytest.mark.parametrize("said", ["250", "250 2.0.0 Ok: que", "250-2.0.0 more", "2"])
@every_client
async def test_half_an_answer_to_the_content_is_none(client: Client, serve: Serve, said: str) -> None:
    def half(peer: Peer) -> None:
        peer.say(said.encode())
        peer.close()

    server = serve(conversation([], breaks={"CONTENT": half}))
    async with client() as egress:
        answer = await call(egress, mail(server.port))
    assert isinstance(answer, Lost)
    assert answer.phase == "head"


@pytest.mark.parametrize("how", BREAKS)
@every_client
async def test_what_breaks_while_the_content_is_written_is_lost(client: Client, serve: Serve, how: str) -> None:
    def midway(peer: Peer) -> None:
        peer.say(b"354 go on\r\n")
        peer.take(1000)
        BREAKS[how](peer)

    server = serve(conversation([], breaks={"DATA": midway}))
    async with client() as egress:
        answer = await call(egress, mail(server.port, message=b"Subject: x\r\n\r\n" + FILLING * 140_000), within(how))
    assert isinstance(answer, Lost)
    assert answer.phase == "write"


@every_client
async def test_a_refusal_of_what_was_read_so_far_counts_and_ends_the_line(client: Client, serve: Serve) -> None:
    def early(peer: Peer) -> None:
        peer.say(b"354 go on\r\n")
        peer.take(1000)
        peer.say(b"552 5.3.4 too large\r\n")
        peer.hang()

    server = serve(conversation([], breaks={"DATA": early}), conversation([]))
    async with client() as egress:
        answer = await call(egress, mail(server.port, message=b"Subject: x\r\n\r\n" + FILLING * 140_000))
        assert isinstance(await call(egress, mail(server.port)), MailReply)
    assert isinstance(answer, MailReply)
    assert (answer.phase, answer.code) == ("content", 552)
    assert server.connections == 2


@every_client
async def test_a_success_before_the_mail_was_read_is_no_success(client: Client, serve: Serve) -> None:
    def early(peer: Peer) -> None:
        peer.say(b"354 go on\r\n")
        peer.take(1000)
        peer.say(b"250 2.0.0 Ok\r\n")
        peer.hang()

    server = serve(conversation([], breaks={"DATA": early}))
    async with client() as egress:
        answer = await call(egress, mail(server.port, message=b"Subject: x\r\n\r\n" + FILLING * 140_000))
    assert answer == Lost("write", "it was answered before it was read")


@pytest.mark.parametrize(
    "said", [b"hello\r\n", b"25 Ok\r\n", b"250Ok\r\n", b"250-a\r\n251 b\r\n", b"\xff\xff\r\n", b"650 x\r\n", b"250 " + b"x" * 5000]
)
@every_client
async def test_an_answer_that_can_not_be_read_is_none(client: Client, serve: Serve, said: bytes) -> None:
    def junk(peer: Peer) -> None:
        peer.say(said)
        peer.hang()

    for word, kind in (("MAIL", NotSent), ("CONTENT", Lost)):
        server = serve(conversation([], breaks={word: junk}))
        async with client() as egress:
            assert isinstance(await call(egress, mail(server.port)), kind)


@every_client
async def test_with_half_of_the_time_gone_the_content_is_not_begun(client: Client, serve: Serve) -> None:
    def slow(peer: Peer) -> None:
        peer.pause(0.7 * SHORT_S)
        peer.say(b"354 go on\r\n")
        peer.drain()

    talks: list[Talk] = []
    server = serve(conversation(talks, breaks={"DATA": slow}))
    async with client() as egress:
        answer = await call(egress, mail(server.port), SHORT_S)
    server.stop()
    assert answer == NotSent("data", "too little time left")


@every_client
async def test_who_says_goodbye_right_after_354_is_sent_nothing(client: Client, serve: Serve) -> None:
    def closing(peer: Peer) -> None:
        peer.say(b"354 go on\r\n421 4.3.2 after all not\r\n")
        peer.drain()

    server = serve(conversation([], breaks={"DATA": closing}))
    async with client() as egress:
        answer = await call(egress, mail(server.port))
    assert isinstance(answer, NotSent)


@every_client
async def test_who_hung_up_although_the_loop_had_no_time_to_see_it_is_sent_nothing(client: Client, serve: Serve) -> None:
    def leaving(peer: Peer) -> None:
        peer.say(b"354 go on\r\n")
        peer.half_close()
        peer.drain()

    server = serve(conversation([], breaks={"DATA": leaving}))
    clock = MailConnection.now

    def blocked(line: MailConnection) -> float:
        while line._phase == "data" and not server.peers[0].gone():
            server.peers[0].pause(0.001)  # blocks the loop, on purpose
        return clock(line)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(MailConnection, "now", blocked)
        async with client() as egress:
            answer = await call(egress, mail(server.port))
    server.stop()
    assert answer == NotSent("data", "closed")
    assert b"hello" not in server.peers[0]._buffer


@every_client
async def test_a_cancelled_mail_closes_its_line(client: Client, serve: Serve) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks, breaks={"CONTENT": Peer.hang}), conversation([]))
    async with client(Route(concurrency=1)) as egress:
        task = asyncio.create_task(call(egress, mail(server.port)))
        await until(lambda: bool(talks and talks[0].mails))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert isinstance(await call(egress, mail(server.port)), MailReply)
    assert server.connections == 2


@every_client
async def test_what_runs_when_it_closes_is_lost_and_what_comes_later_unreachable(client: Client, serve: Serve) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks, breaks={"CONTENT": Peer.hang}))
    async with client() as egress:
        running = asyncio.create_task(call(egress, mail(server.port)))
        await until(lambda: bool(talks and talks[0].mails))
    assert isinstance(await running, Lost)
    assert isinstance(await call(egress, mail(server.port)), Unreachable)


# Getting a line


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("word", ["GREETING", "EHLO", "AUTH", "STARTTLS"])
@every_client
async def test_a_line_that_does_not_come_about_is_unreachable(client: Client, serve: Serve, word: str, how: str) -> None:
    server = serve(conversation([], offers=(*OFFERS, "AUTH PLAIN", "STARTTLS"), breaks={word: BREAKS[how]}))
    tls = "starttls" if word == "STARTTLS" else "none"
    async with client() as egress:
        answer = await call(egress, mail(server.port, tls=tls, **SHOP), within(how))
    assert isinstance(answer, Unreachable)
    assert answer.phase == "connect"


@pytest.mark.parametrize("said", ["554 5.3.2 no service", "421 4.3.2 too busy"])
@every_client
async def test_a_server_that_greets_with_a_refusal_is_unreachable(client: Client, serve: Serve, said: str) -> None:
    server = serve(conversation([], greeting=said))
    async with client() as egress:
        answer = await call(egress, mail(server.port))
    assert isinstance(answer, Unreachable)
    assert (answer.phase, answer.detail) == ("connect", f"connecting was answered {said[:3]}")


@every_client
async def test_a_refused_connection_and_a_silent_name_are_unreachable(client: Client, serve: Serve) -> None:
    server = serve(conversation([]))
    server.stop()
    async with client() as egress:
        refused = await call(egress, mail(server.port))
        unknown = await call(egress, mail(25).__class__(**{**_fields(mail(25)), "host": "no-such-host..invalid"}))
    assert isinstance(refused, Unreachable)
    assert (refused.phase, refused.detail) == ("connect", "ECONNREFUSED")
    assert isinstance(unknown, Unreachable)
    assert unknown.phase == "resolve"


def _fields(request: Any) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.__struct_fields__}


@pytest.mark.parametrize("tls", ["starttls", "tls"])
@every_client
async def test_an_encrypted_line_says_nothing_before_it_is(client: Client, serve: Serve, authority: Authority, tls: str) -> None:
    talks: list[Talk] = []
    context = authority.serving()
    script = conversation(talks, offers=(*OFFERS, "AUTH PLAIN", "STARTTLS"), context=context)
    server = serve(script, tls=context if tls == "tls" else None)
    async with client(Route(), authority.trusting()) as egress:
        for _ in range(2):
            assert isinstance(await call(egress, mail(server.port, tls=tls, **SHOP)), MailReply)
    server.stop()
    assert server.connections == 1
    first = ["EHLO [127.0.0.1]", "STARTTLS"] if tls == "starttls" else []
    plain = base64.b64encode(b"\0shop\0hunter2hunter2").decode()
    assert talks[0].heard[: len(first) + 2] == [*first, "EHLO [127.0.0.1]", f"AUTH PLAIN {plain}"]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
@every_client
async def test_a_certificate_that_proves_nothing_gets_no_password(
    client: Client, serve: Serve, authority: Authority, tls: str
) -> None:
    talks: list[Talk] = []
    context = authority.serving("mail.example.com")
    server = serve(conversation(talks, offers=("STARTTLS", "AUTH PLAIN"), context=context), tls=context if tls == "tls" else None)
    async with client(Route(), authority.trusting()) as egress:
        answer = await call(egress, mail(server.port, tls=tls, **SHOP))
    server.stop()
    assert isinstance(answer, Unreachable)
    assert (answer.phase, answer.detail) == ("tls", "the certificate is for another host")
    assert not any("AUTH" in line for talk in talks for line in talk.heard)


@every_client
async def test_a_server_that_does_not_offer_to_encrypt_is_told_nothing(client: Client, serve: Serve) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks, offers=("AUTH PLAIN",)))
    async with client() as egress:
        answer = await call(egress, mail(server.port, tls="starttls", **SHOP))
        await until(lambda: server.peers[0].gone())
    server.stop()
    assert isinstance(answer, Unreachable)
    assert answer.phase == "tls"
    assert talks[0].heard in (["EHLO [127.0.0.1]"], ["EHLO [127.0.0.1]", "QUIT"])


@every_client
async def test_what_is_said_between_starttls_and_the_handshake_is_not_believed(
    client: Client, serve: Serve, authority: Authority
) -> None:
    context = authority.serving()
    script = conversation([], offers=("STARTTLS",), context=context, answers={"STARTTLS": ["220 2.0.0 Ready\r\n250 AUTH PLAIN"]})
    server = serve(script)
    async with client(Route(), authority.trusting()) as egress:
        answer = await call(egress, mail(server.port, tls="starttls"))
    assert isinstance(answer, Unreachable)


@every_client
async def test_half_a_line_between_starttls_and_the_handshake_is_not_believed(
    client: Client, serve: Serve, authority: Authority
) -> None:
    server = serve(conversation([], offers=("STARTTLS",), breaks={"STARTTLS": lambda peer: peer.say(b"220 Ready\r\n250-AUTH")}))
    async with client(Route(), authority.trusting()) as egress:
        answer = await call(egress, mail(server.port, tls="starttls"))
        await until(lambda: server.peers[0].gone())
    assert isinstance(answer, Unreachable)
    assert (answer.phase, answer.detail) == ("tls", "the server spoke before it was encrypted")


@pytest.mark.parametrize("offer", ["AUTH LOGIN", "AUTH LOGIN PLAIN", "AUTH CRAM-MD5 LOGIN"])
@every_client
async def test_signing_in_takes_plain_before_login(client: Client, serve: Serve, offer: str) -> None:
    talks: list[Talk] = []
    user, password = (base64.b64encode(text).decode() for text in (b"shop", b"hunter2hunter2"))
    answers = {"AUTH": ["334 VXNlcm5hbWU6"], user.upper(): ["334 UGFzc3dvcmQ6"], password.upper(): ["235 2.7.0 Ok"]}
    server = serve(conversation(talks, offers=(*OFFERS, offer), answers=answers if "PLAIN" not in offer else {}))
    async with client() as egress:
        assert isinstance(await call(egress, mail(server.port, **SHOP)), MailReply)
    server.stop()
    login = ["AUTH LOGIN", user, password]
    plain = ["AUTH PLAIN " + base64.b64encode(b"\0shop\0hunter2hunter2").decode()]
    assert talks[0].heard[1 : 1 + len(login)][: len(plain if "PLAIN" in offer else login)] == (plain if "PLAIN" in offer else login)


@pytest.mark.parametrize(("said", "code"), [("535 5.7.8 who are you", 535), ("534 5.7.9 not like that", 534), (None, 0)])
@every_client
async def test_who_is_not_signed_in_hears_that_as_the_answer(client: Client, serve: Serve, said: str | None, code: int) -> None:
    talks: list[Talk] = []
    offers = (*OFFERS, "AUTH PLAIN") if said else OFFERS
    server = serve(conversation(talks, offers=offers, answers={"AUTH": [said]} if said else {}))
    async with client() as egress:
        for _ in range(2):
            answer = await call(egress, mail(server.port, **SHOP))
            assert isinstance(answer, MailReply)
            assert (answer.phase, answer.code) == ("auth", code)
    server.stop()
    assert server.connections == 2
    assert not any(line.startswith("MAIL") for talk in talks for line in talk.heard)


@every_client
async def test_a_refusal_to_sign_in_for_now_is_unreachable(client: Client, serve: Serve) -> None:
    server = serve(conversation([], offers=("AUTH PLAIN",), answers={"AUTH": ["454 4.7.0 later"]}))
    async with client() as egress:
        answer = await call(egress, mail(server.port, **SHOP))
    assert isinstance(answer, Unreachable)
    assert "454" in answer.detail


# What the server must be able to


@pytest.mark.parametrize(
    ("offers", "over", "enhanced"),
    [
        ((), {"utf8": True}, "5.6.7"),
        (("SMTPUTF8",), {"utf8": True}, "5.6.7"),
        ((), {"eight_bit": True}, "5.6.3"),
        (("SIZE 10",), {}, "5.3.4"),
    ],
)
@every_client
async def test_what_the_server_can_not_take_is_not_said(
    client: Client, serve: Serve, offers: tuple[str, ...], over: dict[str, Any], enhanced: str
) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks, offers=offers))
    async with client() as egress:
        answer = await call(egress, mail(server.port, **over))
    server.stop()
    assert isinstance(answer, MailReply)
    assert (answer.phase, answer.code, answer.enhanced) == ("offer", 0, enhanced)
    assert talks[0].heard == ["EHLO [127.0.0.1]", "QUIT"]


@every_client
async def test_other_letters_in_an_address_go_where_they_are_taken(client: Client, serve: Serve) -> None:
    talks: list[Talk] = []
    server = serve(conversation(talks))
    async with client() as egress:
        request = mail(server.port, "jürgen@example.org", utf8=True, message="To: jürgen@example.org\r\n\r\nx\r\n".encode())
        assert isinstance(await call(egress, request), MailReply)
    server.stop()
    assert talks[0].heard[1:3] == [
        "MAIL FROM:<shop@example.com> SIZE=30 BODY=8BITMIME SMTPUTF8",
        "RCPT TO:<jürgen@example.org>",
    ]


UNSAFE: dict[str, dict[str, Any]] = {
    "a line end in the sender": {"sender": "a@b.c>\r\nRCPT TO:<x@y.z"},
    "a bracket in a recipient": {"recipients": ("a@b.c> NOTIFY=NEVER",)},
    "a blank in a recipient": {"recipients": ("a b@c.d",)},
    "no recipient": {"recipients": ()},
    "a recipient that is none": {"recipients": ("ada",)},
    "letters that need SMTPUTF8": {"recipients": ("jürgen@example.org",)},
    "half a character": {"recipients": ("\ud800@example.org",), "utf8": True},
    "a bare line feed": {"message": b"a: b\r\n\r\nx\n.\nMAIL FROM:<evil@example.org>\r\n"},
    "a bare carriage return": {"message": b"a: b\r\n\r\nx\r.\rMAIL"},
    "a NUL": {"message": b"a: b\r\n\r\n\0\r\n"},
    "a byte outside ASCII": {"message": b"a: b\r\n\r\n\xff\r\n"},
    "a line that is too long": {"message": b"x" * 999},
    "another encryption": {"tls": "ssl3"},
    "a host that is none": {"host": "mail\r\nexample"},
    "port zero": {"port": 0},
    "other reports": {"notify": "NEVER\r\nX"},
    "another return": {"ret": "ALL"},
}


@pytest.mark.parametrize("kind", UNSAFE)
@every_client
async def test_a_mail_that_can_be_read_in_two_ways_is_refused_before_connecting(client: Client, serve: Serve, kind: str) -> None:
    server = serve(conversation([]))
    request = mail(server.port).__class__(**(_fields(mail(server.port)) | UNSAFE[kind]))
    async with client() as egress:
        with pytest.raises(ValueError) as refusal:
            await call(egress, request)
    assert "evil" not in str(refusal.value)
    server.stop()
    assert server.connections == 0


@every_client
async def test_a_line_to_a_mail_server_takes_mails_alone(client: Client, serve: Serve) -> None:
    server = serve(conversation([]))
    async with client() as egress:
        line = await egress.open(PROVIDER, mail(server.port), LIMIT_S)
        for other in (ConsoleLine("x"), mail(server.port + 1), mail(server.port, **SHOP)):
            with pytest.raises(ValueError):
                await line.send(other, LIMIT_S)
        line.release()


def test_no_repr_shows_who_writes_to_whom() -> None:
    request = mail(25, "ada@example.org", **SHOP)
    for text in (repr(request), repr(MailReply("rcpt", 550, "5.1.1", "ada@example.org"))):
        assert "ada" not in text
        assert "hunter2" not in text
