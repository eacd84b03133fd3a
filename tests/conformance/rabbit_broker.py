"""A RabbitMQ of the tests' own, which they may stop, kill and alarm; and a proxy in front of it that cuts lines."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from tests.ports import free_port

CTL_S = 60


def server_scripts() -> Path | None:
    """Where the scripts lie that start as whoever calls them; those in the PATH may change the user first."""
    for folder in (os.environ.get("RABBITMQ_HOME_BIN"), "/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin"):
        if folder and (Path(folder) / "rabbitmq-server").exists():
            return Path(folder)
    found = shutil.which("rabbitmq-server")
    return Path(found).parent if found else None


class Broker:
    """One node in a folder of its own, on ports of its own, with a cookie of its own."""

    def __init__(self, scripts: Path, folder: Path) -> None:
        self._scripts = scripts
        self._folder = folder
        self.port = free_port()
        self._node = f"t{secrets.token_hex(4)}@localhost"
        self._cookie = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "plugins").write_text("[].\n")
        (folder / "rabbitmq.conf").write_text("loopback_users = none\ndisk_free_limit.absolute = 1MB\n")
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RABBITMQ")},
            "HOME": str(folder),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-setcookie {self._cookie} +S 1:1",
            "RABBITMQ_CTL_ERL_ARGS": f"-setcookie {self._cookie}",
        }

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        with (self._folder / "out").open("ab") as log:
            self._process = subprocess.Popen(
                [self._scripts / "rabbitmq-server"], env=self._env, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + CTL_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as line:
                line.settimeout(5)
                line.sendall(b"AMQP\x00\x00\x09\x01")
                if line.recv(1):  # it speaks, so it has started
                    return
            assert self._process.poll() is None, (self._folder / "out").read_text()
            assert time.monotonic() < deadline, "the broker does not start"
            time.sleep(0.1)

    def kill(self) -> None:
        """kill -9 to the node and whatever it started."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def ctl(self, *words: str) -> str:
        done = subprocess.run(
            [self._scripts / "rabbitmqctl", "-q", "-n", self._node, *words],
            env=self._env,
            capture_output=True,
            text=True,
            timeout=CTL_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    async def actl(self, *words: str) -> str:
        return await asyncio.to_thread(self.ctl, *words)

    async def restart(self) -> None:
        await asyncio.to_thread(self.kill)
        await asyncio.to_thread(self.start)


@contextmanager
def own_broker() -> Iterator[Broker]:
    scripts = server_scripts()
    if scripts is None:
        if "CI" in os.environ:
            pytest.fail("no rabbitmq-server in the PATH")
        pytest.skip("no rabbitmq-server in the PATH")
    with tempfile.TemporaryDirectory(prefix="rabbit", ignore_cleanup_errors=True) as folder:
        broker = Broker(scripts, Path(folder))
        broker.start()
        try:
            yield broker
        finally:
            broker.kill()


class Proxy:
    """Passes bytes on, until it is told to stop listening to one side or to cut every line."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._pairs: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.answers = asyncio.Event()
        """While it is clear, nothing that the broker says gets through."""
        self.answers.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.answers.set()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"amqp://guest:guest@127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"

    def cut(self) -> None:
        for writer in self._pairs:
            writer.transport.abort()
        self._pairs.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._pairs |= {writer, back}
        for source, sink, gate in ((reader, back, None), (there, writer, self.answers)):
            task = asyncio.create_task(self._pump(source, sink, gate))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, gate: asyncio.Event | None) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if gate is not None:
                    await gate.wait()
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
