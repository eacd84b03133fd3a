"""Providers whose TLS is wrong: nothing of a request reaches them, nothing is lost, and nobody hammers at their door."""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.conformance.egress_clients import Authority

from .harness import House, Oracle, wait_until
from .world import FAST, World, text, twilio_account

pytestmark = pytest.mark.slow

CREATED = b'{"sid":"SM0123456789abcdef0123456789abcdef","status":"queued"}'
HANDSHAKE = b"\x16\x03"
"""What every TLS connection begins with: a handshake record of version 3."""
TIMEOUT_S = 1.0
IN_FLIGHT = 4

AUTHORITY = Authority()
"""The house trusts it, and nobody else."""


class Vendor:
    """Listens on a free port, and takes Twilio's calls over the TLS that it is given; without any, it stalls."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.tls = tls
        self.connections: list[float] = []
        self.beginnings: list[bytes] = []
        """The first bytes of each connection."""
        self.requests: list[bytes] = []
        """What was read of requests, whole or not."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(time.monotonic())
            threading.Thread(target=self._greet, args=(sock, self.tls), daemon=True).start()

    def _greet(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        sock.settimeout(10)
        with sock, contextlib.suppress(OSError):
            self.beginnings.append(sock.recv(2, socket.MSG_PEEK | socket.MSG_WAITALL))
            if tls is None:
                while data := sock.recv(65_536):
                    if not data.startswith(HANDSHAKE):
                        self.requests.append(data)
                return
            with tls.wrap_socket(sock, server_side=True) as line:
                while data := line.recv(65_536):
                    self.requests.append(data)
                    line.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(CREATED) + CREATED)


def expired() -> ssl.SSLContext:
    return AUTHORITY.serving(valid_days=-1)


def of_another_host() -> ssl.SSLContext:
    return AUTHORITY.serving("sms.example.com")


def of_a_stranger() -> ssl.SSLContext:
    return Authority().serving()


def self_signed() -> ssl.SSLContext:
    own = Authority()
    certificate = own._issue(own._name, own._key.public_key(), own._name, valid_days=1, host="127.0.0.1")
    key = own._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(key + certificate.public_bytes(serialization.Encoding.PEM))
        file.flush()
        context.load_cert_chain(file.name)
    return context


def old(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = AUTHORITY.serving()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = context.maximum_version = version
    return context


FAULTS: dict[str, tuple[Callable[[], ssl.SSLContext | None], str]] = {
    "expired": (expired, "tls: the certificate has expired"),
    "another-host": (of_another_host, "tls: the certificate is for another host"),
    "stranger": (of_a_stranger, "tls: the certificate is not trusted"),
    "self-signed": (self_signed, "tls: the certificate is not trusted"),
    "tls-1-0": (lambda: old(ssl.TLSVersion.TLSv1), "tls: handshake failed"),
    "tls-1-1": (lambda: old(ssl.TLSVersion.TLSv1_1), "tls: handshake failed"),
    "stalled": (lambda: None, "tls: timed out"),
}
"""What is wrong with a vendor, by the name of its account: how it is made, and what a person is told."""

Start = Callable[..., World]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an oracle, and a house that trusts the authority, over the accounts that `providers` makes of the oracle's address."""
    worlds: list[World] = []
    bundle = tmp_path / "authority.pem"
    bundle.write_bytes(AUTHORITY._certificate.public_bytes(serialization.Encoding.PEM))

    def started(providers: Callable[[str], str], extra: str = "") -> World:
        oracle = Oracle(tmp_path)
        worlds.append(World(tmp_path, House(tmp_path, providers(oracle.url), extra), oracle))
        worlds[-1].house.start({"SSL_CERT_FILE": str(bundle), "SSL_CERT_DIR": str(tmp_path / "nowhere")})
        return worlds[-1]

    yield started
    for world in worlds:
        world.stop()


@pytest.fixture
def vendors() -> Iterator[dict[str, Vendor]]:
    """One of each fault."""
    made = {name: Vendor(tls()) for name, (tls, _) in FAULTS.items()}
    yield made
    for vendor in made.values():
        vendor.stop()


def accounts(vendors: dict[str, Vendor], concurrency: int = IN_FLIGHT) -> str:
    return "".join(twilio_account(v.url, name, concurrency=concurrency, timeout_s=TIMEOUT_S) for name, v in vendors.items())


def nothing_left(vendor: Vendor) -> None:
    """It was called, by handshakes alone: no byte of a request came, in clear or enciphered."""
    assert vendor.requests == []
    assert set(vendor.beginnings) == {HANDSHAKE}


def test_whatever_is_wrong_nothing_leaves_nothing_is_lost_and_nobody_is_stormed(start: Start, vendors: dict[str, Vendor]) -> None:
    # given one account of each fault, none without, and breakers as they are set by default
    world = start(lambda _: accounts(vendors))
    messages = world.post_all([text() for _ in range(20)])
    wait_until(
        lambda: (
            any(vendor.requests for vendor in vendors.values())
            or all(world.provider(name)["breaker"] != "closed" for name in vendors)
        ),
        10,
        "every breaker opens",
    )
    assert {name: vendor.requests for name, vendor in vendors.items() if vendor.requests} == {}
    opened = {name: len(vendor.connections) for name, vendor in vendors.items()}
    time.sleep(2.5)
    # then each was called by those in flight at the fifth failure, and then by a few probes
    assert {name: count for name, count in opened.items() if not 5 <= count <= 5 + IN_FLIGHT} == {}
    assert {name: len(v.connections) - opened[name] for name, v in vendors.items() if len(v.connections) > opened[name] + 3} == {}
    # and the messages wait, as if nobody had been called
    rows = [world.message(id_) for id_ in messages]
    assert {(row["state"], len(row["attempts"])) for row in rows} == {("queued", 0)}
    assert {row["waiting_for"]["kind"] for row in rows if row["waiting_for"]} <= {"provider", "time"}
    # and the operator sees which accounts are ill, and why
    for standing in world.house.api("GET", "/v1/providers")[1]["data"]:
        what = FAULTS[standing["name"]][1]
        assert (standing["breaker"] != "closed", standing["success_rate"]) == (True, 0), standing
        assert standing["reason"].startswith(f"unreachable: {what}"), standing
        trial = world.house.api("POST", f"/v1/providers/{standing['name']}/test", {"to": "+14155550000"})[1]
        assert (trial["outcome"], trial["detail"][: len(what)]) == ("later", what)
    for vendor in vendors.values():
        nothing_left(vendor)
    assert world.audit()["violations"] == []


def test_a_certificate_that_is_renewed_lets_each_message_go_once(start: Start, vendors: dict[str, Vendor]) -> None:
    vendor = vendors["expired"]
    world = start(lambda _: accounts({"expired": vendor}))
    bodies = [text() for _ in range(20)]
    messages = world.post_all(bodies)
    wait_until(lambda: world.provider("expired")["breaker"] == "open", 30, "the breaker opens")
    assert set(world.states(messages)) <= {"accepted", "queued"}
    nothing_left(vendor)
    # when
    vendor.tls = AUTHORITY.serving()
    world.all_come_to(messages, "sent", within_s=30)
    # then
    said = b"".join(vendor.requests)
    assert [said.count(f"To=%2B{body['to']['phone'][1:]}&".encode()) for body in bodies] == [1] * 20
    assert {len(world.message(id_)["attempts"]) for id_ in messages} == {1}
    assert world.provider("expired")["breaker"] == "closed"


def test_messages_leave_at_once_by_the_one_account_whose_tls_is_well(start: Start, vendors: dict[str, Vendor]) -> None:
    # given an account of each fault, and one without as the last of the route
    world = start(lambda url: accounts(vendors, 200) + twilio_account(url, "well", "b"), FAST)
    for _ in range(5):
        for vendor in vendors.values():
            vendor.connections.clear()
        bodies = [text() for _ in range(10)]
        began = time.monotonic()
        messages = world.post_all(bodies)
        world.all_come_to(messages, "delivered", within_s=40)
        took_s = time.monotonic() - began
        knocks = {len(vendor.connections) for vendor in vendors.values()}
        assert max(knocks) <= 10
        if took_s < TIMEOUT_S + 8 and knocks == {10}:
            break  # on a machine that stalled a call may be over before it has knocked
    # then each message knocked at each door once, and waited for nothing but the one that stalls
    assert took_s < TIMEOUT_S + 8
    assert knocks == {10}
    for vendor in vendors.values():
        nothing_left(vendor)
    assert [world.taken(body) for body in bodies] == [1] * 10
    assert {len(world.message(id_)["attempts"]) for id_ in messages} == {1}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_vendors_of_these_tests_do_answer_who_accepts_their_tls(version: ssl.TLSVersion) -> None:
    """A client without scruples gets an answer from a vendor of any version: what fails above, fails at our side."""
    vendor = Vendor(old(version))
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    careless.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        careless.minimum_version = ssl.TLSVersion.TLSv1
    port = int(vendor.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 5) as sock, careless.wrap_socket(sock) as line:
        line.sendall(b"POST / HTTP/1.1\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 201")
    vendor.stop()
    assert len(vendor.requests) == 1


def test_a_full_account_that_stalls_holds_nobody_back_from_the_next(start: Start, vendors: dict[str, Vendor]) -> None:
    """An account whose few places are all taken by stalled handshakes: the others wait for it, though the next one has room."""
    stalled, bad = vendors["stalled"], vendors["expired"]
    both = twilio_account(bad.url, "expired", timeout_s=1) + twilio_account(stalled.url, "stalled", concurrency=4, timeout_s=5)
    quiet = "[breaker]\nfailures = 100\n"
    world = start(lambda url: both + twilio_account(url, "well", "b"), quiet)
    messages = world.post_all([text() for _ in range(10)])
    wait_until(lambda: len(stalled.connections) >= 2, 20, "the places that such messages may have are taken")
    wait_until(lambda: world.states(messages).count("delivered") >= 6, 20, "those without a place leave by the next")
    assert len(bad.connections) <= 10
