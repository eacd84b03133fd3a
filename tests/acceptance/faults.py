"""Faults of a machine, made on purpose: full disks, failing and slow system calls, stopped processes, a foreign writer.

What needs root or a tool is skipped by name where it is missing; with `CI=true` that is a failure.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tests.acceptance.harness import House


def missing(what: str) -> None:
    """Ends the test: skipped here, failed where everything is supposed to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing")
    pytest.skip(f"needs {what}")


def need_strace() -> None:
    if shutil.which("strace") is None:
        missing("strace")


@contextlib.contextmanager
def small_disk(place: Path, size_mb: int) -> Iterator[Path]:
    """A file system of its own that holds no more than that."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        missing("root, to mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


def fill(place: Path) -> Path:
    """Takes all the room that is left; returns the file that holds it."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size) == size:
                    pass
    return filler


@contextlib.contextmanager
def injected(house: House, place: Path, calls: str, fault: str) -> Iterator[None]:
    """While it lasts, these system calls of the house meet the fault: `error=EIO:when=1`, `delay_exit=200ms`."""
    need_strace()
    trace = place / "strace.out"
    command = ["strace", "-f", "-p", str(house.pid), "-o", str(trace), "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}"]
    tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if b"attached" not in said:
            missing(f"leave to trace processes ({said.decode().strip()})")
        time.sleep(0.1)  # every thread is attached in turn
        yield
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGTERM)
        tracer.wait(10)
        tracer.stderr.close()  # type: ignore[union-attr]


@contextlib.contextmanager
def stopped(house: House) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end."""
    os.kill(house.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(house.pid, signal.SIGCONT)


@contextlib.contextmanager
def starved(house: House, share: float, turn_s: float) -> Iterator[None]:
    """While it lasts, the house runs for this share of each turn and stands still for the rest, as under a processor quota."""
    over = threading.Event()

    def starve() -> None:
        while not over.wait(turn_s * share):
            with stopped(house):
                time.sleep(turn_s * (1 - share))

    thread = threading.Thread(target=starve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def is_stopped(house: House) -> bool:
    """Whether it stands still, by its own doing or ours."""
    status = Path(f"/proc/{house.pid}/stat").read_text().rpartition(")")[2].split()
    return status[0] in {"T", "t"}


@contextlib.contextmanager
def foreign_writer(house: House) -> Iterator[apsw.Connection]:
    """Another program that holds the write lock of the file."""
    with house.database() as db:
        db.execute("begin immediate")
        yield db
        db.execute("rollback")
