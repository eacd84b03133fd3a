"""How lines are kept and shared, whose addresses may be called, and what goes to the console: for every client."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import socket
from typing import Any, NoReturn

import pytest

from sendwright.drivers.egress.address import Endpoint
from sendwright.drivers.egress.dial import Dialer, first_connected, interleaved
from sendwright.drivers.egress.gate import Gate, Route, Usage
from sendwright.drivers.egress.http import Connection
from sendwright.drivers.egress.names import Names
from sendwright.drivers.egress.pool import Pool
from sendwright.errors import Denied, Unreachable
from sendwright.providers.contract import OURS, ConsoleLine, HttpRequest, Lost, NotSent, Reply
from tests.conformance.egress_breaks import in_turn
from tests.conformance.egress_clients import PROVIDER, Client, Serve, call, every_client, post, until
from tests.conformance.egress_server import LIMIT_S, Peer

SHORT_S = 0.2


def each_time(peer: Peer) -> None:
    while True:
        peer.answer()


@every_client
async def test_no_more_lines_are_open_than_the_route_allows(client: Client, serve: Serve) -> None:
    server = serve(each_time)
    async with client(Route(concurrency=3)) as egress:
        outcomes = await asyncio.gather(*(call(egress, post(server.url)) for _ in range(30)))
    assert all(isinstance(outcome, Reply) for outcome in outcomes)
    assert server.connections == 3


@every_client
async def test_who_gets_no_line_in_time_is_unreachable_and_takes_nobody_elses(client: Client, serve: Serve) -> None:
    server = serve(each_time)
    async with client(Route(concurrency=1)) as egress:
        held = await egress.open(PROVIDER, post(server.url), LIMIT_S)
        outcome = await call(egress, post(server.url), SHORT_S)
        held.release()
        assert isinstance(outcome, Unreachable)
        assert outcome.phase == "pool"
        assert isinstance(await call(egress, post(server.url)), Reply)


@every_client
async def test_who_gives_up_waiting_in_the_moment_of_the_turn_passes_it_on(client: Client, serve: Serve) -> None:
    server = serve(each_time)
    async with client(Route(concurrency=1)) as egress:
        held = await egress.open(PROVIDER, post(server.url), LIMIT_S)
        waiting = asyncio.create_task(egress.open(PROVIDER, post(server.url), LIMIT_S))
        await asyncio.sleep(0)
        held.release()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert isinstance(await call(egress, post(server.url)), Reply)


@every_client
async def test_a_call_has_one_time_limit_from_the_wish_for_a_line_on(client: Client, serve: Serve) -> None:
    server = serve(in_turn(Peer.hang))
    async with client() as egress:
        request = post(server.url)
        line = await egress.open(PROVIDER, request, SHORT_S)
        async with asyncio.timeout(LIMIT_S):
            assert await line.send(request, 10 * LIMIT_S) == Lost("wait", "timed out")
        line.release()


@every_client
async def test_with_little_time_left_nothing_is_written(client: Client, serve: Serve) -> None:
    server = serve(each_time)
    async with client() as egress:
        request = post(server.url)
        line = await egress.open(PROVIDER, request, SHORT_S)
        await asyncio.sleep(0.8 * SHORT_S)
        answer = await line.send(request, SHORT_S)
        line.release()
        assert isinstance(answer, NotSent)
        assert answer.phase in OURS
        assert isinstance(await call(egress, post(server.url)), Reply)
    assert len(server.requests) == 1


async def test_connecting_takes_no_more_than_its_share_of_a_calls_time() -> None:
    deadlines = []

    class Watching(Dialer):
        async def dial(self, *args: Any) -> Connection:
            deadlines.append(args[2])
            raise Unreachable("connect", "refused")

    began = asyncio.get_running_loop().time()
    with pytest.raises(Unreachable):
        await Pool(Route(), Watching()).lease(HttpRequest("POST", "http://127.0.0.1:9/"), 100)
    assert [round(deadline - began) for deadline in deadlines] == [70]


@every_client
async def test_who_waits_is_served_in_turn(client: Client, serve: Serve) -> None:
    server = serve(each_time)
    order: list[int] = []

    async def one(number: int) -> None:
        await call(egress, post(server.url))
        order.append(number)

    async with client(Route(concurrency=1)) as egress:
        await asyncio.gather(*(one(number) for number in range(8)))
    assert order == list(range(8))


@every_client
async def test_the_most_recently_used_line_is_taken_first(client: Client, serve: Serve) -> None:
    server = serve(each_time)
    async with client() as egress:
        lines = [await egress.open(PROVIDER, post(server.url), LIMIT_S) for _ in range(2)]
        for line in lines:
            await line.send(post(server.url), LIMIT_S)
        for line in lines:
            line.release()
        for _ in range(3):
            await call(egress, post(server.url))
    assert sorted(len(peer.requests) for peer in server.peers) == [1, 4]


@every_client
async def test_a_line_rests_no_longer_than_the_route_says(client: Client, serve: Serve) -> None:
    server = serve(each_time)
    async with client(Route(idle_s=0.1)) as egress:
        assert isinstance(await call(egress, post(server.url)), Reply)
        await until(lambda: server.peers[0].gone())  # without anybody asking for a line
        assert isinstance(await call(egress, post(server.url)), Reply)
    assert server.connections == 2


@every_client
async def test_a_line_that_rested_too_long_is_not_used_although_the_loop_had_no_time_to_close_it(
    client: Client, serve: Serve
) -> None:
    server = serve(each_time)
    async with client(Route(idle_s=0.1)) as egress:
        assert isinstance(await call(egress, post(server.url)), Reply)
        server.peers[0].pause(0.15)  # blocks the loop, on purpose
        assert isinstance(await call(egress, post(server.url)), Reply)
    assert server.connections == 2


@every_client
async def test_a_line_that_was_given_back_unused_is_kept(client: Client, serve: Serve) -> None:
    server = serve(each_time)
    async with client() as egress:
        for _ in range(3):
            (await egress.open(PROVIDER, post(server.url), LIMIT_S)).release()
        assert isinstance(await call(egress, post(server.url)), Reply)
    assert server.connections == 1


@every_client
async def test_lines_to_different_origins_share_the_limit(client: Client, serve: Serve) -> None:
    first, second = serve(each_time), serve(each_time)
    async with client(Route(concurrency=1)) as egress:
        for server in (first, second):
            assert isinstance(await call(egress, post(server.url)), Reply)
        await until(lambda: first.peers[0].gone())
        assert not second.peers[0].gone()


@every_client
async def test_what_runs_when_it_closes_is_lost_and_what_comes_later_unreachable(client: Client, serve: Serve) -> None:
    server = serve(in_turn(Peer.request, Peer.hang))
    async with client(Route(concurrency=1)) as egress:
        running = asyncio.create_task(call(egress, post(server.url)))
        await until(lambda: bool(server.requests))
        waiting = asyncio.create_task(call(egress, post(server.url)))
        await asyncio.sleep(0)
    assert isinstance(await running, Lost)
    assert isinstance(await waiting, Unreachable)
    assert isinstance(await call(egress, post(server.url)), Unreachable)
    assert server.connections == 1


@every_client
async def test_a_users_url_does_not_lead_into_the_private_network(client: Client, serve: Serve) -> None:
    server = serve(each_time)
    hosts = ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "017700000001", "①②⑦.0.0.1", "0.0.0.0", "[::1]"]
    hosts += ["[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"]
    async with client(Route(guarded=True)) as egress:
        for host in hosts:
            outcome = await call(egress, post(f"http://{host}:{server.port}/"))
            assert isinstance(outcome, Unreachable), host
            assert outcome.phase == "resolve"
            assert outcome.detail.startswith("denied"), host
    server.stop()
    assert server.connections == 0


@every_client
async def test_a_name_is_looked_up_once_for_a_connection_and_judged_anew_for_the_next(client: Client, serve: Serve) -> None:
    """Its owner may say something else each time: what was judged is what is connected to."""
    server = serve(each_time)
    said: list[str] = []

    def rebinding(host: str) -> list[Endpoint]:
        said.append("127.0.0.2" if said else "127.0.0.1")
        return [Endpoint(socket.AF_INET, (said[-1], 0))]

    pool = Pool(Route(guarded=True, allow_private=("127.0.0.1/32",)), Dialer(names=Names(rebinding)))
    request = post(server.url.replace("127.0.0.1", "rebinding.example"))
    held = await pool.lease(request, LIMIT_S)
    assert isinstance(await held.send(request, LIMIT_S), Reply)
    assert said == ["127.0.0.1"]
    with pytest.raises(Denied):
        await pool.lease(request, LIMIT_S)
    assert said == ["127.0.0.1", "127.0.0.2"]
    held.release()
    await pool.close()
    assert server.connections == 1


@every_client
async def test_a_users_url_reaches_the_networks_that_the_operator_allows(client: Client, serve: Serve) -> None:
    server = serve(each_time)
    async with client(Route(guarded=True, allow_private=("127.0.0.0/8",))) as egress:
        assert isinstance(await call(egress, post(server.url)), Reply)
        assert isinstance(await call(egress, post(server.url.replace("127.0.0.1", "localhost"))), Reply)


@every_client
async def test_a_line_that_was_opened_unguarded_serves_no_guarded_call(client: Client, serve: Serve) -> None:
    server = serve(each_time)
    async with client() as egress:
        assert isinstance(egress, Gate)
        held = await egress.open(PROVIDER, post(server.url), LIMIT_S)
        assert isinstance(await call(egress, post(server.url)), Reply)
        egress.configure(PROVIDER, Route(guarded=True))
        held.release()
        assert isinstance(await call(egress, post(server.url)), Unreachable)


@every_client
async def test_usage_counts_lines_in_hand_and_at_rest(client: Client, serve: Serve) -> None:
    server = serve(each_time)
    async with client() as egress:
        assert isinstance(egress, Gate)
        line = await egress.open(PROVIDER, post(server.url), LIMIT_S)
        assert egress.stats() == {PROVIDER: Usage(in_flight=1, idle=0)}
        line.release()
        line.release()
        assert egress.stats() == {PROVIDER: Usage(in_flight=0, idle=1)}
        with pytest.raises(ValueError):
            await call(egress, post("gopher://127.0.0.1/"))
        assert isinstance(await call(egress, post("http://127.0.0.1:1/")), Unreachable)
        assert egress.stats() == {PROVIDER: Usage(in_flight=0, idle=1)}
        await until(lambda: bool(server.peers))
        server.peers[0].half_close()
        await until(lambda: egress.stats() == {PROVIDER: Usage(in_flight=0, idle=0)})


@every_client
async def test_a_raised_limit_serves_who_waits_and_a_lowered_one_closes_what_rests(client: Client, serve: Serve) -> None:
    server = serve(each_time)
    async with client(Route(concurrency=1)) as egress:
        assert isinstance(egress, Gate)
        held = await egress.open(PROVIDER, post(server.url), LIMIT_S)
        waiting = asyncio.create_task(call(egress, post(server.url)))
        await asyncio.sleep(0)
        egress.configure(PROVIDER, Route(concurrency=2))
        assert isinstance(await waiting, Reply)
        egress.configure(PROVIDER, Route(concurrency=1))
        assert egress.stats() == {PROVIDER: Usage(in_flight=1, idle=0)}
        held.release()


async def test_a_provider_without_a_route_has_no_way_out() -> None:
    with pytest.raises(Unreachable):
        await Gate({}).open("unknown", ConsoleLine("hi"), LIMIT_S)


async def test_a_network_that_cant_be_read_is_refused_when_it_is_set() -> None:
    with pytest.raises(ValueError):
        Gate({PROVIDER: Route(guarded=True, allow_private=("10.0.0.300/8",))})


async def test_a_console_line_is_one_write_and_one_line_whatever_it_holds() -> None:
    console = io.StringIO()
    gate = Gate({PROVIDER: Route()}, console=console)
    line = await gate.open(PROVIDER, ConsoleLine("to"), LIMIT_S)
    texts = ["sms to +1555: h\u00fc \U0001f44d", "a\r\nfake: b\x1b[2J\x9b\u2028\u202e\ud800", "\ttab\x00\x7f"]
    for text in texts:
        assert await line.send(ConsoleLine(text), LIMIT_S) == Reply(200)
    line.release()
    assert console.getvalue().split("\n") == [
        "sms to +1555: h\u00fc \U0001f44d",
        "a\\r\\nfake: b\\x1b[2J\\x9b\\u2028\\u202e\\ud800",
        "\\ttab\\x00\\x7f",
        "",
    ]


async def test_a_console_that_lacks_a_letter_gets_its_number() -> None:
    raw = io.BytesIO()
    console = io.TextIOWrapper(raw, encoding="ascii")
    line = await Gate({PROVIDER: Route()}, console=console).open(PROVIDER, ConsoleLine("h\u00fc"), LIMIT_S)
    assert await line.send(ConsoleLine("h\u00fc"), LIMIT_S) == Reply(200)
    assert raw.getvalue() == b"h\\xfc\n"


async def test_a_closed_console_is_not_sent_and_a_broken_one_is_lost() -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    closed = io.StringIO()
    closed.close()
    for console, kind in ((closed, NotSent), (Broken(), Lost)):
        line = await Gate({PROVIDER: Route()}, console=console).open(PROVIDER, ConsoleLine("hi"), LIMIT_S)
        assert isinstance(await line.send(ConsoleLine("hi"), LIMIT_S), kind)


class Dialled:
    """Stands for a connection."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.closed = False

    def close(self) -> None:
        self.closed = True


V4, V6 = (Endpoint(2, ("192.0.2.1", 443)), Endpoint(2, ("192.0.2.2", 443))), (Endpoint(10, ("2001:db8::1", 443)),)


def test_the_families_of_addresses_take_turns() -> None:
    assert interleaved([*V6, *V4]) == [V6[0], V4[0], V4[1]]
    assert interleaved([*V4, *V6]) == [V4[0], V6[0], V4[1]]


async def test_an_address_that_hangs_holds_up_nobody() -> None:
    tried = []

    async def connect(endpoint: Endpoint) -> Dialled:
        tried.append(endpoint)
        if endpoint != V4[1]:
            await asyncio.get_running_loop().create_future()
        return Dialled(endpoint)

    winner = await first_connected([*V6, *V4], connect, stagger_s=0)
    assert winner.endpoint == V4[1]
    assert tried == [V6[0], V4[0], V4[1]]


async def test_an_address_that_refuses_is_followed_by_the_next_at_once() -> None:
    async def connect(endpoint: Endpoint) -> Dialled:
        if endpoint == V6[0]:
            raise ConnectionRefusedError
        return Dialled(endpoint)

    assert (await first_connected([*V6, *V4], connect, stagger_s=LIMIT_S * 100)).endpoint == V4[0]


async def test_of_two_addresses_that_answer_at_once_one_is_closed() -> None:
    answers: list[Dialled] = []
    both = asyncio.Event()

    async def connect(endpoint: Endpoint) -> Dialled:
        answers.append(Dialled(endpoint))
        if len(answers) == 2:
            both.set()
        await both.wait()
        return answers[-1] if endpoint == V4[1] else answers[0]

    winner = await first_connected(V4, connect, stagger_s=0)
    assert sorted(answer.closed for answer in answers) == [False, True]
    assert not winner.closed


async def test_when_no_address_answers_the_first_failure_is_told() -> None:
    async def connect(endpoint: Endpoint) -> Dialled:
        raise ConnectionRefusedError if endpoint == V6[0] else PermissionError

    with pytest.raises(ConnectionRefusedError):
        await first_connected([*V6, *V4], connect, stagger_s=0)


async def test_a_shortage_here_is_not_told_where_another_address_tells_of_the_other_side() -> None:
    async def connect(endpoint: Endpoint) -> Dialled:
        raise OSError(errno.EADDRNOTAVAIL, "no such address here") if endpoint == V6[0] else ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        await first_connected([*V6, *V4], connect, stagger_s=0)


SHORT = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL"]


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("step", ["create_connection", "getaddrinfo"])
async def test_a_shortage_of_our_own_is_ours(name: str, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object, **__: object) -> NoReturn:
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    monkeypatch.setattr(socket if step == "getaddrinfo" else asyncio.get_running_loop(), step, short)
    gate = Gate({"one": Route()})
    host = "localhost" if step == "getaddrinfo" else "127.0.0.1"
    try:
        with pytest.raises(Unreachable) as caught:
            await gate.open("one", HttpRequest("POST", f"http://{host}:9/"), 5)
        assert (caught.value.phase, caught.value.detail) == ("pool", name)
        assert caught.value.phase in OURS
    finally:
        await gate.close()
