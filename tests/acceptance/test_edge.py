"""Strangers at the door, byte by byte over real sockets: what they send is bounded, and so is how long they stay. And those
behind us: who stops reading what we say holds up nothing.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import ADMIN_KEY, House, Oracle, wait_until
from .raw_http import ask, exchange, parsed
from .world import FAST, World, text, twilio_account

pytestmark = pytest.mark.slow

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("edge")
    oracle = Oracle(folder)
    house = House(folder, twilio_account(oracle.url, "main"), FAST)
    house.start()
    made = World(folder, house, oracle)
    yield made
    made.stop()


def _swallowed(port: int, begun: bytes, endless: bytes, most: int) -> int:
    """How much was taken of what has no end until the connection was closed; `most` if it never was."""
    with socket.create_connection(("127.0.0.1", port), 15) as sock:
        sock.sendall(begun)
        sent = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while sent < most:
                sock.sendall(endless)
                sent += len(endless)
        return sent


@pytest.mark.parametrize("path", ["/healthz", "/v1/messages", "/v1/notifications"])
def test_trailers_without_an_end_are_not_kept(world: World, path: str) -> None:
    begun = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n".encode()
    most = 64 * MEGABYTE
    assert _swallowed(world.house.port, begun, b"X: y\r\n" * 10_000, most) < most
    assert ask(world.house.port, "GET", "/healthz", key=None).status == 200


def test_a_key_in_a_trailer_opens_nothing(world: World) -> None:
    raw = (
        "POST /v1/notifications HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Transfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\r\n"
    ).encode()
    assert parsed(exchange(world.house.port, raw)).status == 401


def test_callers_who_stay_take_no_descriptor_that_sending_needs(world: World) -> None:
    limits = resource.prlimit(world.house.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(world.house.pid, resource.RLIMIT_NOFILE, (200, limits[1]))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.prlimit, world.house.pid, resource.RLIMIT_NOFILE, limits)
        # given a message that waits, and as many callers as find room
        message = world.post(text(send_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))))
        callers = [stack.enter_context(socket.create_connection(("127.0.0.1", world.house.port), 15)) for _ in range(300)]
        # then the others are told so, and the message goes out
        said = callers[-1].recv(4096)
        assert (parsed(said).status, parsed(said).code) == (503, "crowded")
        oracle = world.oracle
        wait_until(lambda: message in oracle.taken().by_message, 20, "it is sent")
    world.comes_to(message, "delivered")


def _full_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"." * 4096)
    os.set_blocking(writer, True)
    return reader, writer


def test_a_stderr_that_nobody_reads_holds_up_neither_start_nor_sending_nor_end(tmp_path: Path) -> None:
    # given a pipe that is full before anything has been said
    reader, writer = _full_pipe()
    oracle = Oracle(tmp_path)
    house = House(tmp_path, twilio_account(oracle.url, "main"), FAST)
    try:
        # when everything is started with it
        house.start(stderr=writer)
        # then messages go out, and it ends in order
        world = World(tmp_path, house, oracle)
        world.comes_to(world.post(text()), "delivered")
        assert house.stop() == 0
    finally:
        house.kill()
        oracle.stop()
        os.close(writer)
        os.close(reader)


@pytest.mark.parametrize("drain_s", [25, 2])
def test_from_the_signal_on_nothing_new_is_taken_though_a_request_is_still_under_way(tmp_path: Path, drain_s: int) -> None:
    # given a provider that takes one message a second, a backlog for it, and a caller in the middle of a request
    oracle = Oracle(tmp_path, latency_ms=1000)
    house = House(tmp_path, twilio_account(oracle.url, "main", concurrency=1), f"{FAST}[worker]\ndrain_s = {drain_s}\n")
    try:
        house.start()
        world = World(tmp_path, house, oracle)
        world.post_all([text() for _ in range(30)])
        wait_until(lambda: oracle.taken().by_message, 15, "the first is taken")
        with socket.create_connection(("127.0.0.1", house.port), 15) as sock:
            sock.sendall(
                f"POST /v1/notifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n"
                "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
            )
            time.sleep(0.5)
            # when it is told to stop
            before = len(oracle.taken().by_message)
            assert house.stop() == 0
        # then it finishes what is in flight, and begins no more
        assert len(oracle.taken().by_message) - before <= 3
    finally:
        house.kill()
        oracle.stop()
