"""The Apprise library behind the egress: what its yes, its no and its silence come to, and how many threads it may have."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from sendwright.drivers.egress.apprise import Apprise
from sendwright.drivers.egress.gate import Gate, Route
from sendwright.engine.ports import Line
from sendwright.errors import Unreachable
from sendwright.providers.contract import AppriseRequest, ConsoleLine, Lost, NotSent, Reply, Secret
from tests.conformance.egress_server import LIMIT_S, Peer, Script, Server

PROVIDER = "apprise-main"
NO = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def serve() -> Iterator[Callable[[Script], Server]]:
    started: list[Server] = []

    def start(script: Script) -> Server:
        started.append(Server(script))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def request(server: Server, *, body: str = "On its way. é", title: str = "Order 12", read_s: float = 2) -> AppriseRequest:
    return AppriseRequest(Secret(f"json://127.0.0.1:{server.port}/canarypath?cto=1&rto={read_s}"), body, title)


def gate() -> Gate:
    return Gate({PROVIDER: Route()})


async def exchange(asked: AppriseRequest, within_s: float = LIMIT_S) -> object:
    line = await gate().open(PROVIDER, asked, within_s)
    try:
        return await line.send(asked, within_s)
    finally:
        line.release()


async def test_what_the_other_side_takes_is_answered_like_200(serve: Callable[[Script], Server]) -> None:
    server = serve(Peer.answer)
    assert await exchange(request(server)) == Reply(200)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /canarypath")
    said = json.loads(body)
    assert (said["title"], said["message"]) == ("Order 12", "On its way. é")


async def test_a_no_may_have_left_bytes_so_it_is_lost(serve: Callable[[Script], Server]) -> None:
    assert isinstance(await exchange(request(serve(lambda peer: peer.answer(NO)))), Lost)
    assert isinstance(await exchange(request(serve(Peer.reset))), Lost)


async def test_who_does_not_answer_in_time_is_lost(serve: Callable[[Script], Server]) -> None:
    server = serve(Peer.hang)
    began = asyncio.get_running_loop().time()
    assert await exchange(request(server, read_s=30), 0.3) == Lost("wait", "timed out")
    assert asyncio.get_running_loop().time() - began < 15


async def test_a_url_that_can_not_be_read_is_refused_before_anything_leaves() -> None:
    for url in ("nonsense", "canary://secret", ""):
        with pytest.raises(ValueError, match="can't read the URL") as refusal:
            await exchange(AppriseRequest(Secret(url), "x"))
        assert "canary" not in str(refusal.value)


async def test_other_requests_and_no_time_are_refused(serve: Callable[[Script], Server]) -> None:
    server = serve(Peer.answer)
    line = await gate().open(PROVIDER, request(server), LIMIT_S)
    with pytest.raises(ValueError):
        await line.send(ConsoleLine("x"), LIMIT_S)
    assert isinstance(await line.send(request(server), 0), NotSent)
    line.release()
    assert not line.open
    assert isinstance(await line.send(request(server), LIMIT_S), NotSent)
    assert server.requests == []


async def test_no_more_threads_run_than_there_are_places_and_a_late_one_keeps_its_own(serve: Callable[[Script], Server]) -> None:
    go_on = threading.Event()

    def late(peer: Peer) -> None:
        peer.request()
        go_on.wait(LIMIT_S)
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    server, threads = serve(late), Apprise(places=1)
    line: Line = await threads.lease(LIMIT_S)
    assert isinstance(await line.send(request(server), 0.2), Lost)
    line.release()
    with pytest.raises(Unreachable) as none:
        await threads.lease(0.2)
    assert none.value.phase == "pool"
    go_on.set()
    other = await threads.lease(LIMIT_S)
    other.release()
    (await threads.lease(LIMIT_S)).release()


async def test_a_line_that_was_given_back_unused_is_a_place_for_the_next() -> None:
    threads = Apprise(places=1)
    for _ in range(3):
        line = await threads.lease(0.2)
        line.release()
        line.release()
    first = await threads.lease(0.2)
    with pytest.raises(Unreachable):
        await threads.lease(0.1)
    first.release()


async def test_who_is_cancelled_leaves_the_place_to_the_thread(serve: Callable[[Script], Server]) -> None:
    server, threads = serve(lambda peer: (peer.pause(0.3), peer.answer())), Apprise(places=1)
    line = await threads.lease(LIMIT_S)
    task = asyncio.create_task(line.send(request(server), LIMIT_S))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    line.release()
    (await threads.lease(LIMIT_S)).release()


async def test_the_library_logs_nothing_of_what_it_is_given(
    serve: Callable[[Script], Server], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG, "sendwright"):
        await exchange(request(serve(lambda peer: peer.answer(NO)), body="canarybody"))
    seen = caplog.text + "".join(capfd.readouterr())
    assert "canary" not in seen
    assert "Order 12" not in seen
