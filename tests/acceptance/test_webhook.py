"""Webhooks through the running product: signed as receivers verify them, and never to an address that only we can reach."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port

from .faults import missing, need_strace
from .harness import House, wait_until
from .inner_addresses import SERVICES, urls
from .world import FAST, Row, first_message

pytestmark = pytest.mark.slow

KEY = b"signs what these tests have posted"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
OLDER = b"the key of receivers that are late"
PROVIDER = (
    '[providers.hooks]\nkind = "webhook"\n'
    f'secret = "{SECRET} whsec_{base64.b64encode(OLDER).decode()}"\nconcurrency = 50\ntimeout_s = 3\n'
)


class Receiver(ThreadingHTTPServer):
    """Somebody's endpoint: it keeps what it is sent and answers by the path, `/503,204` first so and then so."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.elsewhere = ""
        super().__init__(("127.0.0.1", 0), Endpoint)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def of(self, path: str) -> list[tuple[dict[str, str], bytes]]:
        return [(headers, body) for seen, headers, body in self.requests if seen == path]


class Endpoint(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        said = [int(status) for status in re.findall(r"[0-9]{3}", self.path)]
        turn = len(self.server.of(self.path))
        self.server.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(said[min(turn, len(said) - 1)])
        self.send_header("Location", self.server.elsewhere)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Its operator lets webhooks go to this machine."""
    made = House(tmp_path_factory.mktemp("hooks"), PROVIDER + 'allow_private = ["127.0.0.0/8"]\n', FAST)
    made.start()
    yield made
    made.kill()


def notification(url: str, **more: Any) -> Row:
    return {"to": {"webhook": url}, "channels": ["webhook"], "content": {"body": "Shipped."}, **more}


def post(house: House, url: str, **more: Any) -> str:
    status, answer = house.api("POST", "/v1/notifications", notification(url, **more))
    assert status == 202, answer
    return first_message(answer["id"])


def comes_to(house: House, message: str, *states: str, within_s: float = 15) -> Row:
    def there() -> Row | None:
        status, row = house.api("GET", f"/v1/messages/{message}")
        return row if status == 200 and row["state"] in states else None

    return dict(wait_until(there, within_s, f"{message} becomes {' or '.join(states)}"))


def signed(key: bytes, headers: dict[str, str], body: bytes) -> bool:
    """By the specification's own arithmetic, not the product's."""
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    good = "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    return good in headers["webhook-signature"].split(" ") and abs(time.time() - int(headers["webhook-timestamp"])) < 60


def test_an_event_is_posted_once_signed_by_every_secret(house: House, receiver: Receiver) -> None:
    content = {"webhook": {"type": "order.shipped", "data": {"order": 7}}}
    message = post(house, receiver.url + "/200/one?team=7", content=content)
    comes_to(house, message, "sent")
    [(headers, body)] = receiver.of("/200/one?team=7")
    said = json.loads(body)
    assert (said["type"], said["data"]) == ("order.shipped", {"order": 7})
    assert signed(KEY, headers, body)
    assert signed(OLDER, headers, body)
    assert not signed(b"somebody else's", headers, body)


def test_a_repeat_after_a_lost_answer_bears_the_same_id(house: House, receiver: Receiver) -> None:
    message = post(house, receiver.url + "/500,200")
    comes_to(house, message, "sent")
    (first, before), (second, after) = receiver.of("/500,200")
    assert (first["webhook-id"], before) == (second["webhook-id"], after)
    assert signed(KEY, second, after)


@pytest.mark.parametrize(("answer", "reason"), [("410", "unreachable"), ("401", "rejected"), ("404", "rejected")])
def test_an_endpoint_that_refuses_ends_its_message_and_no_other(house: House, receiver: Receiver, answer: str, reason: str) -> None:
    refused = comes_to(house, post(house, f"{receiver.url}/{answer}/r"), "failed")
    assert refused["reason"]["code"] == reason
    comes_to(house, post(house, f"{receiver.url}/200/after-{answer}"), "sent", within_s=5)


def test_no_redirect_is_followed(house: House, receiver: Receiver) -> None:
    receiver.elsewhere = receiver.url + "/200/inside"
    for status in (301, 302, 307, 308):
        row = comes_to(house, post(house, f"{receiver.url}/{status}/away"), "failed")
        assert row["reason"]["code"] == "rejected"
    assert receiver.of("/200/inside") == []


# What only we can reach


@contextlib.contextmanager
def listening() -> Iterator[tuple[int, list[object]]]:
    """A port at every address of this machine, and who connected to it."""
    port, seen = free_port(), list[object]()
    sockets = [socket.create_server(("0.0.0.0", port))]
    if socket.has_ipv6:
        with contextlib.suppress(OSError):
            sockets.append(socket.create_server(("::", port), family=socket.AF_INET6))

    def take(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, peer = server.accept()
                seen.append(peer)
                connection.close()

    for server in sockets:
        threading.Thread(target=take, args=(server,), daemon=True).start()
    try:
        yield port, seen
    finally:
        for server in sockets:
            server.shutdown(socket.SHUT_RDWR)
            server.close()


@contextlib.contextmanager
def traced(house: House, trace: Path) -> Iterator[None]:
    """While it lasts, every connect that the house asks its kernel for is written down."""
    need_strace()
    command = ["strace", "-f", "-p", str(house.pid), "-o", str(trace), "-e", "trace=connect"]
    tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if b"attached" not in said:
            missing(f"leave to trace processes ({said.decode().strip()})")
        time.sleep(0.2)  # every thread is attached in turn
        yield
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGTERM)
        tracer.wait(10)
        tracer.stderr.close()  # type: ignore[union-attr]


def test_no_spelling_of_an_inner_address_is_ever_connected_to(tmp_path: Path) -> None:
    house, trace = House(tmp_path, PROVIDER, FAST), tmp_path / "connects"
    house.start()
    try:
        with listening() as (port, seen):
            socket.create_connection(("127.0.0.1", port)).close()
            wait_until(lambda: len(seen) == 1, 5, "the listener hears of whoever connects")
            corpus = [*urls(port, socket.gethostname()), f"{house.url}/v1/notifications"]
            assert len(corpus) >= 500
            with traced(house, trace):
                taken = _refused_or_over(house, corpus)
            assert len(taken) > 100, "hardly any came as far as the connector"
            assert len(seen) == 1
    finally:
        house.kill()
    assert _ports_of(trace) & {port, house.port, 80, 443, *SERVICES} <= {53}, "53: the resolver's own"


def _refused_or_over(house: House, corpus: list[str]) -> list[str]:
    """Posts them; returns the messages that were let in, when each has come to its end."""
    bodies = [notification(url, ttl="20s") for url in corpus]
    results = []
    for start in range(0, len(bodies), 1000):
        status, answer = house.api("POST", "/v1/notifications/batch", {"notifications": bodies[start : start + 1000]})
        assert status == 202, answer
        results += answer["results"]
    taken = [first_message(result["id"]) for result in results if "id" in result]
    for message in taken:
        row = comes_to(house, message, "failed", "expired", within_s=90)
        assert row["attempts"] == [], row["address"]
        assert row["state"] == "expired" or row["reason"]["code"] in {"rejected", "content"}, row
    return taken


def _ports_of(trace: Path) -> set[int]:
    return {int(port) for port in re.findall(r"sin6?_port=htons\(([0-9]+)\)", trace.read_text())}
