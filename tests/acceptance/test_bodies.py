"""Bodies that are packed, and bodies that never come to an end: refused before they cost memory, or anybody else's time."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import socket
import threading
import time
import zlib
from collections.abc import Iterator

import psutil
import pytest

from tests.ports import free_port

from .harness import ADMIN_KEY, House
from .raw_http import ask, exchange, parsed
from .world import text, twilio_account

pytestmark = pytest.mark.slow

MEGABYTE = 1 << 20
SLOW_S = 1.0
TURN_S = 0.05
"""A timer of the event loop counts from the beginning of the turn in which it is set."""
ONE, BATCH = "/v1/notifications", "/v1/notifications/batch"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Gives the head of a request, and its body, a second each; its provider is not there."""
    folder = tmp_path_factory.mktemp("bodies")
    made = House(folder, twilio_account(f"http://127.0.0.1:{free_port()}", "main"), bent={"slow_s": SLOW_S})
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A notification whose text is 64 MB of spaces, in a sixteenth of one."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file:
        file.write(b'{"to":{"phone":"+14155550000"},"content":{"body":"')
        for _ in range(64):
            file.write(b" " * MEGABYTE)
        file.write(b'"}}')
    return packed.getvalue()


def memory(house: House) -> int:
    return int(psutil.Process(house.pid).memory_info().rss)


def head(path: str, *lines: str) -> bytes:
    common = (f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {ADMIN_KEY}", "Content-Type: application/json")
    return "\r\n".join((*common, *lines, "", "")).encode()


def chunks(body: bytes) -> bytes:
    """The body as one chunk, and the end."""
    return b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


def planned(house: House) -> int:
    return len(house.pages("/v1/messages"))


@pytest.mark.parametrize("path", [ONE, BATCH])
def test_a_bomb_is_refused_packed(house: House, bomb: bytes, path: str) -> None:
    assert len(bomb) < 0.9 * MEGABYTE  # so that it is the packing, not the size, that it is refused for
    before = memory(house)
    chunked = head(path, "Content-Encoding: gzip", "Transfer-Encoding: chunked", "Connection: close") + chunks(bomb)
    answers = [ask(house.port, "POST", path, bomb, {"Content-Encoding": "gzip"}), parsed(exchange(house.port, chunked))]
    for answer in answers:
        assert (answer.status, answer.code, answer.headers["accept-encoding"]) == (415, "unsupported_media_type", "identity")
    assert memory(house) - before < 30 * MEGABYTE
    assert planned(house) == 0


@pytest.mark.parametrize(
    "encoding", ["GZIP", "x-gzip", "deflate", "br", "zstd", "identity, gzip", "gzip, identity", "gzip, gzip", "x"]
)
def test_no_packing_is_undone_whatever_it_is_called(house: House, encoding: str) -> None:
    body = json.dumps(text()).encode()
    for packed in (gzip.compress(body), zlib.compress(body), body):
        assert ask(house.port, "POST", ONE, packed, {"Content-Encoding": encoding}).status == 415
    # and what is packed and does not say so is no JSON
    assert ask(house.port, "POST", ONE, gzip.compress(body)).status == 400
    assert planned(house) == 0


def test_a_transfer_that_is_packed_is_refused(house: House) -> None:
    """Packing by the hop: nothing here undoes it, so it must not be taken for a body."""
    packed = gzip.compress(json.dumps(text()).encode())
    for encodings in ("gzip, chunked", "gzip"):
        raw = exchange(house.port, head(ONE, f"Transfer-Encoding: {encodings}", "Connection: close") + chunks(packed), 10)
        assert not raw or 400 <= parsed(raw).status < 600
    assert planned(house) == 0


def drip(house: House, first: bytes, drop: bytes) -> tuple[bytes, float]:
    """Says a drop every tenth of a second until it is answered: the answer, to its end, and how many seconds that took."""
    began, over = time.monotonic(), threading.Event()
    with socket.create_connection(("127.0.0.1", house.port), 20) as sock:
        sock.sendall(first)

        def fall() -> None:
            with contextlib.suppress(OSError):
                while not over.wait(0.1):
                    sock.sendall(drop)

        thread = threading.Thread(target=fall)
        thread.start()
        heard = b""
        try:
            with contextlib.suppress(ConnectionResetError):
                while said := sock.recv(65_536):
                    heard += said
        finally:
            over.set()
            thread.join()
    return heard, time.monotonic() - began


SLOW_BODIES = {
    "counted": (head(ONE, "Content-Length: 1000") + b"{", b" "),
    "chunked": (head(ONE, "Transfer-Encoding: chunked"), b"1\r\n \r\n"),
    "one chunk": (head(ONE, "Transfer-Encoding: chunked") + b"fff\r\n{", b" "),
    "of a batch": (head(BATCH, "Content-Length: 1000") + b"{", b" "),
    "of a receipt": (head("/v1/hooks/main?a=b", "Content-Length: 1000") + b"{", b" "),
    "asked to go on": (head(ONE, "Content-Length: 1000", "Expect: 100-continue"), b" "),
    "silent": (head(ONE, "Content-Length: 1000") + b"{", b""),
}


def test_a_body_that_drips_is_cut_off_when_its_time_is_over(house: House) -> None:
    outcomes: dict[str, tuple[bytes, float]] = {}

    def one(name: str) -> None:
        outcomes[name] = drip(house, *SLOW_BODIES[name])

    threads = [threading.Thread(target=one, args=(name,)) for name in SLOW_BODIES]
    for thread in threads:
        thread.start()
    # others are served meanwhile
    assert ask(house.port, "GET", "/v1/messages").status == 200
    for thread in threads:
        thread.join()
    for name in SLOW_BODIES:
        heard, took_s = outcomes[name]
        answer = parsed(heard.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n"))
        assert (answer.status, answer.code, answer.headers["connection"]) == (408, "slow_body", "close"), name
        assert SLOW_S - TURN_S <= took_s < 15, name  # and then the connection was closed, though it went on dripping
    assert planned(house) == 0


@pytest.mark.parametrize("beginning", [b"", b"POST /v1/notifications HTTP/1.1\r\nX: "], ids=["not begun", "begun"])
def test_a_head_that_drips_is_cut_off_when_its_time_is_over(house: House, beginning: bytes) -> None:
    heard, took_s = drip(house, beginning, b"x" if beginning else b"")
    assert SLOW_S - TURN_S <= took_s < 15
    assert parsed(heard).status == 408
