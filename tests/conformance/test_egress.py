"""What every client must do that carries calls out: above all, to say when it broke.

The invariant, asserted wherever something breaks: `NotSent` and `Unreachable` mean that the other side read nothing of
this request. `Lost` is right whenever that can't be known, and wrong where a complete answer was read.
"""

from __future__ import annotations

import asyncio
import threading

import pytest

from sendwright import __version__
from sendwright.drivers.egress.gate import Route
from sendwright.errors import Unreachable
from sendwright.providers.contract import Answer, HttpRequest, Lost, NotSent, Reply
from tests.conformance.egress_answers import ANNOUNCED, COMPLETE, LONG, MALFORMED, OVERSIZE, UNTIL_CLOSE
from tests.conformance.egress_breaks import BREAKS, STAGES, UNSAFE, after, in_turn
from tests.conformance.egress_clients import PROVIDER, Authority, Client, Serve, call, every_client, post, rested, until
from tests.conformance.egress_server import LIMIT_S, OK, Peer, Script, Server

SHORT_S = 0.2
"""A deadline that is meant to pass."""
FILLING = b"x" * (12 * 1024 * 1024)
"""A body that does not fit into the buffers between here and there."""


def told_truly(outcome: Answer | Unreachable, server: Server) -> None:
    """The invariant. The client is closed by now, so that all it wrote has arrived."""
    server.stop()
    if isinstance(outcome, (NotSent, Unreachable)):
        assert server.unanswered == 0


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept alive"])
@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("stage", STAGES)
@every_client
async def test_what_breaks_after_the_first_byte_is_lost(client: Client, serve: Serve, stage: str, how: str, kept: bool) -> None:
    reach, phase = STAGES[stage]
    server = serve(in_turn(*([Peer.answer] if kept else []), reach, BREAKS[how]))
    async with client() as egress:
        if kept:
            assert isinstance(await call(egress, post(server.url)), Reply)
        request = post(server.url, FILLING if phase == "write" else b"hi")
        outcome = await call(egress, request, SHORT_S if how == "hangs" else LIMIT_S)
    assert isinstance(outcome, Lost)
    assert outcome.phase == phase
    told_truly(outcome, server)
    assert server.connections == 1


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept alive"])
@pytest.mark.parametrize("how", [Peer.reset, Peer.close, Peer.half_close])
@every_client
async def test_who_hangs_up_before_the_write_is_sent_nothing(client: Client, serve: Serve, how: Script, kept: bool) -> None:
    connected = threading.Event()
    server = serve(in_turn(*([Peer.answer] if kept else []), lambda _: connected.wait(LIMIT_S), how))
    async with client() as egress:
        line = await egress.open(PROVIDER, post(server.url), LIMIT_S)
        if kept:
            await line.send(post(server.url), LIMIT_S)
        connected.set()
        await until(lambda: not line.open)
        outcome = await line.send(post(server.url), LIMIT_S)
        line.release()
    assert outcome == NotSent("late", outcome.detail)
    told_truly(outcome, server)


@every_client
async def test_a_line_that_is_hung_up_on_is_noticed_although_the_loop_had_no_time_to(client: Client, serve: Serve) -> None:
    server = serve(in_turn(Peer.answer, Peer.half_close))
    async with client() as egress:
        line = await egress.open(PROVIDER, post(server.url), LIMIT_S)
        first = await line.send(post(server.url), LIMIT_S)
        while not server.peers[0].gone():
            server.peers[0].pause(0.001)  # blocks the loop, on purpose
        outcome = await line.send(post(server.url), LIMIT_S)
        line.release()
    assert isinstance(first, Reply)
    assert isinstance(outcome, NotSent)
    told_truly(outcome, server)


@pytest.mark.parametrize("how", [Peer.reset, Peer.close])
@every_client
async def test_a_race_between_hanging_up_and_writing_is_told_truly(client: Client, serve: Serve, how: Script) -> None:
    server = serve(how)
    async with client() as egress:
        outcomes = [await call(egress, post(server.url)) for _ in range(20)]
    assert {type(outcome) for outcome in outcomes} <= {NotSent, Lost, Unreachable}
    server.stop()
    assert server.unanswered == 0 or any(isinstance(outcome, Lost) for outcome in outcomes)


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "after a call that went well"])
@every_client
async def test_a_refused_connection_is_unreachable(client: Client, serve: Serve, kept: bool) -> None:
    server = serve(in_turn(Peer.answer, Peer.close))
    async with client() as egress:
        if kept:
            assert isinstance(await call(egress, post(server.url)), Reply)
        server.stop()
        await rested()
        outcome = await call(egress, post(server.url))
    assert isinstance(outcome, Unreachable)
    assert (outcome.phase, outcome.detail) == ("connect", "ECONNREFUSED")
    told_truly(outcome, server)


@every_client
async def test_a_name_that_does_not_exist_is_unreachable_and_not_repeated_in_the_text(client: Client) -> None:
    async with client() as egress:
        outcome = await call(egress, post("http://no-such-host..invalid/"))
    assert isinstance(outcome, Unreachable)
    assert outcome.phase == "resolve"
    assert "no-such-host" not in str(outcome)


@every_client
async def test_a_name_with_several_addresses_is_reached_at_the_one_that_answers(client: Client, serve: Serve) -> None:
    server = serve(Peer.answer)  # on IPv4 alone
    async with client() as egress:
        assert isinstance(await call(egress, post(server.url.replace("127.0.0.1", "localhost"))), Reply)


@pytest.mark.parametrize("how", [Peer.reset, Peer.close, Peer.half_close, lambda peer: peer.say(b"HTTP/1.1 408 Timeout\r\n")])
@every_client
async def test_a_resting_line_is_not_handed_out_after_the_other_side_spoke_or_left(
    client: Client, serve: Serve, how: Script
) -> None:
    server = serve(in_turn(Peer.answer, how), Peer.answer)
    async with client() as egress:
        assert isinstance(await call(egress, post(server.url)), Reply)
        await until(lambda: server.peers[0].gone())
        await rested()
        assert isinstance(await call(egress, post(server.url)), Reply)
    assert server.connections == 2


@pytest.mark.parametrize("kind", COMPLETE)
@every_client
async def test_a_complete_answer_is_a_reply_and_its_line_is_used_again(client: Client, serve: Serve, kind: str) -> None:
    said, reply = COMPLETE[kind]
    server = serve(in_turn(lambda peer: peer.answer(said), Peer.answer))
    async with client() as egress:
        assert await call(egress, post(server.url)) == reply
        assert isinstance(await call(egress, post(server.url)), Reply)
    assert server.connections == 1


@pytest.mark.parametrize("kind", COMPLETE)
@every_client
async def test_an_answer_may_come_in_single_bytes(client: Client, serve: Serve, kind: str) -> None:
    said, reply = COMPLETE[kind]

    def dribble(peer: Peer) -> None:
        peer.request()
        for byte in said:
            peer.say(bytes([byte]))

    server = serve(dribble)
    async with client() as egress:
        assert await call(egress, post(server.url)) == reply


@every_client
async def test_the_deadline_is_for_the_whole_answer_and_not_for_each_byte(client: Client, serve: Serve) -> None:
    def drip(peer: Peer) -> None:
        peer.request()
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
            if not peer.gone() and not peer.pause(0.01):
                peer.say(bytes([byte]))

    server = serve(drip)
    async with client() as egress:
        outcome = await call(egress, post(server.url), SHORT_S)
    assert outcome == Lost("head", "timed out")


@pytest.mark.parametrize("kind", UNTIL_CLOSE)
@pytest.mark.parametrize("how", [Peer.close, Peer.reset, Peer.hang])
@every_client
async def test_a_body_without_a_length_is_complete_when_it_ends_properly_and_only_then(
    client: Client, serve: Serve, kind: str, how: Script
) -> None:
    server = serve(in_turn(after(UNTIL_CLOSE[kind]), how))
    async with client() as egress:
        outcome = await call(egress, post(server.url), SHORT_S if how is Peer.hang else LIMIT_S)
    if how is Peer.close:
        assert isinstance(outcome, Reply)
        assert (outcome.status, outcome.body) == (200, b"hello")
    else:
        assert isinstance(outcome, Lost)
        assert outcome.phase == "body"


@pytest.mark.parametrize("kind", MALFORMED)
@every_client
async def test_an_answer_that_can_be_read_in_two_ways_is_lost(client: Client, serve: Serve, kind: str) -> None:
    said, phase = MALFORMED[kind]
    server = serve(in_turn(after(said), Peer.close), Peer.answer)
    async with client() as egress:
        outcome = await call(egress, post(server.url))
        assert isinstance(outcome, Lost)
        assert outcome.phase == phase
        assert isinstance(await call(egress, post(server.url)), Reply)
    assert server.connections == 2


@pytest.mark.parametrize("kind", OVERSIZE)
@every_client
async def test_an_answer_beyond_the_caps_is_lost(client: Client, serve: Serve, kind: str) -> None:
    said, phase = OVERSIZE[kind]
    server = serve(in_turn(after(said), Peer.hang))
    async with client() as egress:
        assert await call(egress, post(server.url)) == Lost(phase, "too large")


@every_client
async def test_a_route_may_raise_the_cap_of_the_body(client: Client, serve: Serve) -> None:
    server = serve(lambda peer: peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LONG + b"x" * LONG))
    async with client(Route(body_cap=LONG)) as egress:
        assert await call(egress, post(server.url)) == Reply(200, (("content-length", str(LONG)),), b"x" * LONG)


@every_client
async def test_an_answer_to_head_has_no_body_whatever_its_length_says(client: Client, serve: Serve) -> None:
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
    server = serve(in_turn(lambda peer: peer.answer(said), Peer.answer))
    async with client() as egress:
        assert await call(egress, HttpRequest("HEAD", server.url)) == Reply(200, (("content-length", "10"),))
        assert isinstance(await call(egress, post(server.url)), Reply)
    assert server.connections == 1
    assert b"content-length" not in server.requests[0].lower()


@pytest.mark.parametrize(
    "said", [OK + b"HTTP/1.1 200 OK\r\n", OK + OK, OK + b"junk", OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)]
)
@every_client
async def test_a_line_is_not_used_again_when_more_came_than_was_asked_for(client: Client, serve: Serve, said: bytes) -> None:
    server = serve(lambda peer: peer.answer(said))
    async with client() as egress:
        for _ in range(2):
            outcome = await call(egress, post(server.url))
            assert isinstance(outcome, Reply)
            assert outcome.body == b"ok"
    assert server.connections == 2


@pytest.mark.parametrize("kind", ANNOUNCED)
@every_client
async def test_a_line_is_not_used_again_when_a_body_was_announced_that_has_no_place(
    client: Client, serve: Serve, kind: str
) -> None:
    said, reply = ANNOUNCED[kind]
    server = serve(in_turn(lambda peer: peer.answer(said), Peer.answer))
    async with client() as egress:
        assert await call(egress, post(server.url)) == reply
        assert isinstance(await call(egress, post(server.url)), Reply)
    assert server.connections == 2


@every_client
async def test_an_answer_before_the_request_was_read_counts_but_ends_the_line(client: Client, serve: Serve) -> None:
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    server = serve(in_turn(lambda peer: peer.take(1000), lambda peer: peer.say(early), Peer.hang), Peer.answer)
    async with client() as egress:
        assert await call(egress, post(server.url, FILLING)) == Reply(413, (("content-length", "0"),))
        assert isinstance(await call(egress, post(server.url)), Reply)
    assert server.connections == 2


@every_client
async def test_the_request_is_on_the_wire_as_it_was_given(client: Client, serve: Serve) -> None:
    server = serve(in_turn(*[Peer.answer] * 3))
    host, agent = f"Host: 127.0.0.1:{server.port}", f"User-Agent: sendwright/{__version__}"
    async with client() as egress:
        await call(egress, post(f"http://127.0.0.1:{server.port}/a%20b?c=d#e", b"body", ("X-Key", "v\xe4lue")))
        await call(egress, HttpRequest("GET", f"http://127.0.0.1:{server.port}", (("host", "h"), ("user-agent", "u"))))
        await call(egress, HttpRequest("POST", f"http://127.0.0.1:{server.port}/\u00fc"))
    assert [request.decode("latin-1") for request in server.requests] == [
        f"POST /a%20b?c=d HTTP/1.1\r\n{host}\r\nX-Key: v\xe4lue\r\n{agent}\r\nContent-Length: 4\r\n\r\nbody",
        "GET / HTTP/1.1\r\nhost: h\r\nuser-agent: u\r\n\r\n",
        f"POST /%C3%BC HTTP/1.1\r\n{host}\r\n{agent}\r\nContent-Length: 0\r\n\r\n",
    ]


@pytest.mark.parametrize("kind", UNSAFE)
@every_client
async def test_a_request_that_can_be_read_in_two_ways_is_refused_before_connecting(client: Client, serve: Serve, kind: str) -> None:
    server = serve(Peer.answer)
    request = UNSAFE[kind]
    request = HttpRequest(request.method, request.url.replace("PORT", str(server.port)), request.headers, request.body)
    async with client() as egress:
        with pytest.raises(ValueError) as refusal:
            await call(egress, request)
        assert "Evil" not in str(refusal.value)
    server.stop()
    assert server.connections == 0


@every_client
async def test_a_call_without_time_left_is_not_sent(client: Client, serve: Serve) -> None:
    server = serve(Peer.answer)
    async with client() as egress:
        line = await egress.open(PROVIDER, post(server.url), LIMIT_S)
        outcome = await line.send(post(server.url), 0)
        line.release()
    assert outcome == NotSent("late", "no time left")
    told_truly(outcome, server)


@every_client
async def test_a_cancelled_call_closes_its_line(client: Client, serve: Serve) -> None:
    server = serve(in_turn(Peer.request, Peer.hang), Peer.answer)
    async with client(Route(concurrency=1)) as egress:
        task = asyncio.create_task(call(egress, post(server.url)))
        await until(lambda: bool(server.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert isinstance(await call(egress, post(server.url)), Reply)
    assert server.connections == 2


@every_client
async def test_a_line_carries_one_request_at_a_time_and_none_after_it_was_given_back(client: Client, serve: Serve) -> None:
    server = serve(in_turn(Peer.request, Peer.hang))
    async with client() as egress:
        line = await egress.open(PROVIDER, post(server.url), LIMIT_S)
        running = asyncio.create_task(line.send(post(server.url), LIMIT_S))
        await until(lambda: bool(server.requests))
        assert isinstance(await line.send(post(server.url), LIMIT_S), NotSent)
        line.release()
        line.release()
        assert isinstance(await running, Lost)
        assert not line.open
        assert isinstance(await line.send(post(server.url), LIMIT_S), NotSent)
    assert len(server.requests) == 1


HANDSHAKES = {
    "a wrong host": ("the certificate is for another host", "example.com", 1, True),
    "an unknown authority": ("the certificate is not trusted", "127.0.0.1", 1, False),
    "an expired certificate": ("the certificate has expired", "127.0.0.1", -1, True),
}


@pytest.mark.parametrize("kind", HANDSHAKES)
@every_client
async def test_a_certificate_that_proves_nothing_is_unreachable(
    client: Client, serve: Serve, authority: Authority, kind: str
) -> None:
    detail, host, valid_days, trusted = HANDSHAKES[kind]
    server = serve(Peer.answer, tls=authority.serving(host, valid_days=valid_days))
    async with client(Route(), authority.trusting() if trusted else None) as egress:
        outcome = await call(egress, post(server.url))
    assert isinstance(outcome, Unreachable)
    assert (outcome.phase, outcome.detail) == ("tls", detail)
    told_truly(outcome, server)


@pytest.mark.parametrize("how", [Peer.hang, Peer.close, Peer.reset, lambda peer: peer.say(b"HTTP/1.1 400 Bad\r\n\r\n")])
@every_client
async def test_a_handshake_that_does_not_come_about_is_unreachable(client: Client, serve: Serve, how: Script) -> None:
    server = serve(how)
    async with client() as egress:
        outcome = await call(egress, post(server.url.replace("http:", "https:")), SHORT_S if how is Peer.hang else LIMIT_S)
    assert isinstance(outcome, Unreachable)
    assert outcome.phase in ({"connect", "tls"} if how is Peer.reset else {"tls"})  # a reset may come before we are connected


@every_client
async def test_calls_over_tls_share_a_line(client: Client, serve: Serve, authority: Authority) -> None:
    server = serve(in_turn(*[Peer.answer] * 3), tls=authority.serving())
    async with client(Route(), authority.trusting()) as egress:
        for _ in range(3):
            assert isinstance(await call(egress, post(server.url)), Reply)
    assert server.connections == 1


@pytest.mark.parametrize("polite", [True, False], ids=["with a goodbye", "without"])
@every_client
async def test_a_body_without_a_length_needs_the_goodbye_of_tls(
    client: Client, serve: Serve, authority: Authority, polite: bool
) -> None:
    server = serve(
        in_turn(after(UNTIL_CLOSE["http 1.1"]), *([Peer.goodbye] if polite else []), Peer.close), tls=authority.serving()
    )
    async with client(Route(), authority.trusting()) as egress:
        outcome = await call(egress, post(server.url))
    assert isinstance(outcome, Reply if polite else Lost)


@pytest.mark.parametrize("how", [Peer.close, Peer.goodbye, Peer.reset])
@every_client
async def test_a_tls_line_that_was_hung_up_on_is_sent_nothing(
    client: Client, serve: Serve, authority: Authority, how: Script
) -> None:
    server = serve(in_turn(Peer.answer, how), tls=authority.serving())
    async with client(Route(), authority.trusting()) as egress:
        line = await egress.open(PROVIDER, post(server.url), LIMIT_S)
        assert isinstance(await line.send(post(server.url), LIMIT_S), Reply)
        await until(lambda: not line.open)
        outcome = await line.send(post(server.url), LIMIT_S)
        line.release()
    assert isinstance(outcome, NotSent)


@pytest.mark.parametrize("how", BREAKS)
@every_client
async def test_what_breaks_over_tls_after_the_write_is_lost(client: Client, serve: Serve, authority: Authority, how: str) -> None:
    server = serve(in_turn(Peer.request, BREAKS[how]), tls=authority.serving())
    async with client(Route(), authority.trusting()) as egress:
        outcome = await call(egress, post(server.url), SHORT_S if how == "hangs" else LIMIT_S)
    assert isinstance(outcome, Lost)
    assert outcome.phase == "wait"
