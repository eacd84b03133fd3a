"""A resolver that says nothing about some names: who needs them waits for them, and nobody else does."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .faults import missing
from .harness import House, Oracle, wait_until
from .world import World, sandbox_account, text, twilio_account

pytestmark = pytest.mark.slow

SILENT_S = 40
"""How long the system's resolver waits for an answer that never comes, in seconds: longer than this test may take."""
IN_ITS_PLACE = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"')
"""Runs a command that sees another file of resolvers."""


class NameServer:
    """Takes questions and answers none. On an address of this machine of its own, since the port is given."""

    def __init__(self) -> None:
        self.host = f"127.77.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF}"
        self.asked = b""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((self.host, 53))
        except OSError:
            self._socket.close()
            missing("leave to listen where resolvers do")
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.asked += self._socket.recvfrom(512)[0]

    def stop(self) -> None:
        self._socket.close()


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[tuple[NameServer, tuple[str, ...]]]:
    """A name server that is silent, and what puts a command under it."""
    settings = tmp_path / "resolv.conf"
    server = NameServer()
    settings.write_text(f"nameserver {server.host}\noptions timeout:{SILENT_S} attempts:1\n")
    around = (*IN_ITS_PLACE, str(settings))
    try:
        if subprocess.run([*around, "true"], check=False, capture_output=True).returncode != 0:
            missing("leave to have a file of resolvers of its own")
        yield server, around
    finally:
        server.stop()


def test_a_critical_message_leaves_while_nothing_is_said_about_other_accounts_names(
    tmp_path: Path, silent: tuple[NameServer, tuple[str, ...]]
) -> None:
    server, around = silent
    oracle = Oracle(tmp_path)
    mute = "".join(
        sandbox_account(f"http://{name}.example.com:{oracle.port}", name, [channel], timeout_s=20)
        for name, channel in (("one", "email"), ("two", "telegram"), ("three", "line"))
    )
    named = oracle.url.replace("127.0.0.1", "localhost")
    world = World(tmp_path, House(tmp_path, mute + twilio_account(named, "main"), around=around), oracle)
    world.house.start()
    try:
        # given look-ups that will take longer than this test
        ways = ("email", "a@example.com"), ("telegram", "1234"), ("line", "1234")
        stuck = world.post_all([{"to": {way: to}, "content": {"body": "b"}} for way, to in ways for _ in range(10)])
        wait_until(lambda: all(name in server.asked for name in (b"one", b"two", b"three")), 10, "all names are asked for")
        # when
        message = world.post(text(priority="critical"))
        # then
        world.comes_to(message, "delivered", within_s=15)
        assert set(world.states(stuck)) <= {"accepted", "queued"}
        assert len(world.asked()) == 1
        # and it is no reason to stay when it is told to go
        assert world.house.stop() == 0
    finally:
        world.stop()
