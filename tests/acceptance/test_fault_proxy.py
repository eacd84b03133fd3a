"""The faulty line does what its name says, and no more: whatever is proven with it rests on that."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.acceptance.fault_proxy import HOLE, Fault, FaultProxy
from tests.acceptance.harness import wait_until

pytestmark = pytest.mark.slow

SOON_S = 0.3
LATE_S = 10.0


class Echo:
    """Says back what it hears, and keeps it."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.ends: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=(self._socket.accept()[0],), daemon=True).start()

    def _answer(self, line: socket.socket) -> None:
        try:
            while data := line.recv(65_536):
                self.heard += data
                line.sendall(data)
            self.ends.append("closed")
        except OSError:
            self.ends.append("reset")
        line.close()

    def stop(self) -> None:
        self._socket.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.stop()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[FaultProxy]:
    with FaultProxy(echo.port) as made:
        yield made


@contextlib.contextmanager
def line(proxy: FaultProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), LATE_S) as made:
        made.settimeout(LATE_S)
        yield made


def read(made: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count and (data := made.recv(count - len(got))):
        got += data
    return got


def answered(proxy: FaultProxy) -> bool:
    with contextlib.suppress(ConnectionError), line(proxy) as made:
        made.sendall(b"x")
        return made.recv(1) == b"x"
    return False


def read_to_end(made: socket.socket) -> bytes:
    with contextlib.suppress(ConnectionError):
        return made.recv(1)
    return b""


def silent(made: socket.socket) -> bool:
    """Nothing comes, and it does not end either."""
    made.settimeout(SOON_S)
    try:
        return made.recv(1) == b"?"
    except TimeoutError:
        return True
    finally:
        made.settimeout(LATE_S)


def test_a_line_that_is_well_carries_everything_in_order_and_its_end(proxy: FaultProxy, echo: Echo) -> None:
    sent = bytes(range(256)) * 4000
    with line(proxy) as made:
        threading.Thread(target=made.sendall, args=(sent,)).start()
        assert read(made, len(sent)) == sent
        made.shutdown(socket.SHUT_WR)
        assert made.recv(1) == b""
    assert echo.ends == ["closed"]
    assert proxy.carried == {"up": len(sent), "down": len(sent)}
    wait_until(lambda: proxy.lines_open == 0, LATE_S, "nothing is left open")


def test_what_is_late_comes_late_and_whole(proxy: FaultProxy) -> None:
    with line(proxy) as made, proxy.failing(up=Fault(late_s=0.2), down=Fault(late_s=0.2)):
        began = time.monotonic()
        made.sendall(b"one two")
        assert read(made, 7) == b"one two"
        assert time.monotonic() - began >= 0.4


def test_a_black_hole_says_nothing_and_loses_nothing(proxy: FaultProxy, echo: Echo) -> None:
    with line(proxy) as made:
        proxy.hole()
        made.sendall(b"held")
        assert silent(made)
        assert echo.heard == b""
        with line(proxy) as later:
            later.sendall(b", and after")
            assert silent(later)
            proxy.mend()
            assert read(made, 4) == b"held"
            assert read(later, 11) == b", and after"


def test_a_line_may_be_deaf_in_one_direction(proxy: FaultProxy, echo: Echo) -> None:
    with line(proxy) as made, proxy.failing(down=HOLE):
        made.sendall(b"heard")
        wait_until(lambda: echo.heard == b"heard", LATE_S, "it gets there")
        assert silent(made)


def test_a_reset_is_a_reset_at_both_ends_and_new_lines_are_well(proxy: FaultProxy, echo: Echo) -> None:
    with line(proxy) as made:
        made.sendall(b"x")
        assert read(made, 1) == b"x"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            made.recv(1)
    wait_until(lambda: echo.ends == ["reset"], LATE_S, "the far end hears it")
    with line(proxy) as again:
        again.sendall(b"y")
        assert read(again, 1) == b"y"


def test_one_that_refuses_takes_nobody_until_it_is_mended(proxy: FaultProxy) -> None:
    proxy.refuse()
    assert not answered(proxy)
    proxy.mend()
    assert answered(proxy)
    with line(proxy) as made:
        proxy.refuse()
        assert not read_to_end(made)
    proxy.mend()
    with line(proxy) as made:
        made.sendall(b"x")
        assert read(made, 1) == b"x"


def test_a_slow_line_carries_so_much_a_second(proxy: FaultProxy) -> None:
    with line(proxy) as made, proxy.failing(down=Fault(bytes_s=10_000)):
        began = time.monotonic()
        made.sendall(b"z" * 5000)
        assert read(made, 5000) == b"z" * 5000
        assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize("after", [0, 1, 1000])
def test_a_stream_is_cut_after_exactly_so_many_bytes(proxy: FaultProxy, echo: Echo, after: int) -> None:
    with line(proxy) as made:
        made.sendall(b"before")
        assert read(made, 6) == b"before"
        proxy.fail(up=Fault(cut_after=after))
        with contextlib.suppress(ConnectionError):
            made.sendall(b"w" * 5000)
        wait_until(lambda: echo.ends == ["reset"], LATE_S, "it is cut")
    assert len(echo.heard) == 6 + after


def test_each_line_is_counted_by_itself(proxy: FaultProxy, echo: Echo) -> None:
    proxy.fail(up=Fault(cut_after=10))
    for _ in range(2):
        with line(proxy) as made, contextlib.suppress(ConnectionError):
            made.sendall(b"v" * 10)
            made.recv(1)
    wait_until(lambda: echo.ends == ["reset"] * 2, LATE_S, "both are cut")
    assert len(echo.heard) == 20


def test_an_address_goes_by_way_of_it(proxy: FaultProxy) -> None:
    assert proxy.before("amqp://guest:guest@127.0.0.1:5672/?prefix=x.") == f"amqp://guest:guest@127.0.0.1:{proxy.port}/?prefix=x."
    assert proxy.before("http://127.0.0.1:80/a") == f"http://127.0.0.1:{proxy.port}/a"
