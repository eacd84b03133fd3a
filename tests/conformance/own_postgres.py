"""A PostgreSQL server of the tests' own, on a free port in a folder of its own, which they may stop, kill and freeze."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.conformance.rabbit_broker import free_port

BIN = next((path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)
DIES_S = 10.0
NOBODY = "postgres"
"""Who the server runs as: it refuses to be root."""


class Server:
    """`options`: more of the server's settings, `name=value`. Without fsync: it outlives its processes, not the machine."""

    def __init__(self, folder: Path, options: tuple[str, ...] = ()) -> None:
        self._data = folder / "data"
        self._out = folder / "out"
        self._options = ("listen_addresses=127.0.0.1", "fsync=off", *options)
        self.port = free_port()
        self._user = NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "postgres", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -k {self._data} " + " ".join(f"-c {option}" for option in self._options)
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._data / "log"), "-o", options, "-w", "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")

    def kill(self) -> None:
        """kill -9 to the server and each of its processes, which are children of it in sessions of their own."""
        dying = self._signal(signal.SIGKILL)
        deadline = time.monotonic() + DIES_S
        while any(_alive(pid) for pid in dying) and time.monotonic() < deadline:
            time.sleep(0.02)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """While it lasts the server stands still, and its lines stay open."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> list[int]:
        first = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        everybody = [first, *_children(first)]
        for pid in everybody:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return everybody

    def _run(self, command: str, *arguments: str) -> None:
        assert BIN is not None
        with self._out.open("ab") as out:
            subprocess.run([BIN / command, *arguments], check=True, user=self._user, cwd="/", stdout=out, stderr=out, timeout=60)


def _alive(pid: int) -> bool:
    """One that has ended and that nobody has asked about is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def _children(of: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            if int(status.read_text().rpartition(")")[2].split()[1]) == of:
                found.append(int(status.parent.name))
    return found
