"""A group of processes with a limit on their memory, at which the kernel kills one of them (cgroups, both versions)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .faults import missing

ROOT = Path("/sys/fs/cgroup")
ENTER = ("sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"')
"""Runs a command inside the group whose folder comes first."""


class Cell:
    """One such group."""

    def __init__(self, folder: Path, limit: str, usage: str, events: str) -> None:
        self.around = (*ENTER, str(folder))
        """What puts a command into it."""
        self._limit, self._usage, self._events = folder / limit, folder / usage, folder / events

    def limit(self, size: int | None) -> None:
        """Bytes that all of them may have; None: as many as there are."""
        unlimited = "max" if self._limit.name == "memory.max" else "-1"
        self._limit.write_text(unlimited if size is None else str(size))

    @property
    def usage(self) -> int:
        """Bytes that they have now, what is cached of files included."""
        return int(self._usage.read_text())

    @property
    def killed(self) -> int:
        """How many the kernel has killed."""
        lines = dict(line.split() for line in self._events.read_text().splitlines())
        return int(lines["oom_kill"])


@contextmanager
def memory_cell() -> Iterator[Cell]:
    """Skips the test where there is no leave to make one. Its processes must have ended before it does."""
    old, name = ROOT / "memory", f"sendwright-test-{os.getpid()}"
    folder = (old if old.is_dir() else ROOT) / name
    try:
        folder.mkdir()
    except OSError:
        missing("leave to make groups of processes")
    try:
        if old.is_dir():
            (folder / "memory.swappiness").write_text("0")
            yield Cell(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control")
        elif (folder / "memory.max").exists():
            (folder / "memory.swap.max").write_text("0")
            yield Cell(folder, "memory.max", "memory.current", "memory.events")
        else:
            missing("a kernel that counts the memory of groups")
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """It is busy until the kernel has let go of the last process."""
    for _ in range(50):
        with suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.1)
