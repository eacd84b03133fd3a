"""A group of processes with a limit on their memory, at which the kernel kills one of them (cgroups, both versions).

Where there is no leave to make such a group, its part is played: a thread looks at what they have, and kills the largest."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

ROOT = Path("/sys/fs/cgroup")
ENTER = ("sh", "-c", 'echo $$ >> "$0/cgroup.procs" && exec "$@"')
"""Runs a command inside the group whose folder comes first."""


class Cell(Protocol):
    """One such group."""

    around: tuple[str, ...]
    """What puts a command into it."""

    def limit(self, size: int | None) -> None:
        """Bytes that all of them may have; None: as many as there are."""
        ...

    @property
    def usage(self) -> int:
        """Bytes that they have now."""
        ...

    @property
    def killed(self) -> int:
        """How many were killed for it."""
        ...


class KernelCell:
    """The kernel's own. What is cached of files counts as used."""

    def __init__(self, folder: Path, limit: str, usage: str, events: str) -> None:
        self.around = (*ENTER, str(folder))
        self.folder = folder
        self._limit, self._usage, self._events = folder / limit, folder / usage, folder / events

    def limit(self, size: int | None) -> None:
        unlimited = "max" if self._limit.name == "memory.max" else "-1"
        self._limit.write_text(unlimited if size is None else str(size))

    @property
    def usage(self) -> int:
        return int(self._usage.read_text())

    @property
    def killed(self) -> int:
        lines = dict(line.split() for line in self._events.read_text().splitlines())
        return int(lines["oom_kill"])


class PlayedCell:
    """What the kernel does, played by a thread."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.around = (*ENTER, str(folder))
        self.killed = 0
        self._entered = folder / "cgroup.procs"
        self._entered.touch()
        self._most: int | None = None
        threading.Thread(target=self._watch, daemon=True).start()

    def limit(self, size: int | None) -> None:
        self._most = size

    @property
    def usage(self) -> int:
        return sum(self._sizes().values())

    def _sizes(self) -> dict[int, int]:
        """Bytes by process id; who has ended has none."""
        sizes = {}
        for pid in map(int, self._entered.read_text().split()):
            with suppress(OSError):
                sizes[pid] = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return sizes

    def _watch(self) -> None:
        while self._entered.exists():
            sizes, most = self._sizes(), self._most
            if most is not None and sum(sizes.values()) > most:
                os.kill(max(sizes, key=sizes.__getitem__), signal.SIGKILL)
                self.killed, self._most = self.killed + 1, None
            time.sleep(0.002)


@contextmanager
def memory_cell(place: Path) -> Iterator[Cell]:
    """Its processes must have ended before it does. `place` is an empty folder."""
    cell = _of_kernel(f"sendwright-test-{os.getpid()}")
    if cell is None:
        yield PlayedCell(place / "cell")
        return
    try:
        yield cell
    finally:
        _remove(cell.folder)


def _of_kernel(name: str) -> KernelCell | None:
    """None where there is no leave to make one, or no kernel that counts the memory of groups."""
    old = ROOT / "memory"
    folder = (old if old.is_dir() else ROOT) / name
    with suppress(OSError):
        folder.mkdir()
        if old.is_dir():
            (folder / "memory.swappiness").write_text("0")
            return KernelCell(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control")
        if (folder / "memory.max").exists():
            (folder / "memory.swap.max").write_text("0")
            return KernelCell(folder, "memory.max", "memory.current", "memory.events")
    _remove(folder)
    return None


def _remove(folder: Path) -> None:
    """It is busy until the kernel has let go of the last process."""
    for _ in range(50 if folder.exists() else 0):
        with suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.1)
