"""What is measured, and with what: CPU and memory of groups of processes, children that wait for the word, medians.

CPU is the kernel's count of user and system time, in steps of 10 ms. What a process has spent that ends meanwhile (a
database's connections) is in the count of its parent, which has waited for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

SAMPLE_S = 0.5
MB = 1_000_000

Group = Callable[[], Iterable[psutil.Process]]


@dataclass
class Row:
    """One measurement of one contender. `figures` by name, units last; `error` where there are none."""

    table: str
    contender: str
    delay_ms: int
    run: int
    load: float
    """The machine's load average over the minute before."""
    figures: dict[str, float] = field(default_factory=dict)
    error: str = ""


def tree(pid: int) -> Group:
    """A process and all that it started."""

    def now() -> list[psutil.Process]:
        try:
            root = psutil.Process(pid)
            return [root, *root.children(recursive=True)]
        except psutil.Error:
            return []

    return now


def named(name: str) -> Group:
    """All processes of that name: a server that was running before."""

    def now() -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.name() == name:
                    yield process

    return now


class Meter:
    """CPU seconds and peak memory per group, between start and `stop`."""

    def __init__(self, groups: Mapping[str, Group], weighed: str) -> None:
        self._groups = groups
        self._weighed = weighed
        self._over = threading.Event()
        self.peak_mb = 0.0
        self._first = {group: _spent(processes()) for group, processes in groups.items()}
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> dict[str, float]:
        """CPU seconds by group."""
        self._over.set()
        self._thread.join()
        self._weigh()
        return {group: _spent(processes()) - self._first[group] for group, processes in self._groups.items()}

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self._weigh()

    def _weigh(self) -> None:
        held = 0.0
        for process in self._groups[self._weighed]():
            with contextlib.suppress(psutil.Error):
                held += process.memory_full_info().pss
        self.peak_mb = max(self.peak_mb, held / MB)


def _spent(processes: Iterable[psutil.Process]) -> float:
    """Seconds of these and of all that they have started and seen end."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


class Child:
    """A process in a session of its own, so that all it starts can be ended with it. Its output goes to a file."""

    def __init__(self, command: Sequence[str | Path], log: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None):
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if self.TALKS else out,
                stderr=out,
                env=os.environ | dict(env or {}),
                cwd=cwd,
                start_new_session=True,
                text=True,
            )
        self.log = log

    TALKS = False

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()

    def end(self, within_s: float = 5) -> None:
        """SIGTERM to it, then SIGKILL to whatever is left of its session."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(within_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def check(self) -> None:
        """Raises with the last words of a process that has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"ended with {self.process.returncode}: {last_words(self.log)}")


class Talker(Child):
    """A child that says `ready`, then answers each line with one line of JSON."""

    TALKS = True

    def ready(self, within_s: float = 60) -> None:
        if self.hear(within_s).strip() != "ready":
            raise RuntimeError(f"not ready: {last_words(self.log)}")

    def ask(self, line: object, within_s: float) -> dict[str, Any]:
        """Its answer to one line."""
        self.say(line)
        answer: dict[str, Any] = json.loads(self.hear(within_s))
        return answer

    def say(self, line: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def hear(self, within_s: float) -> str:
        assert self.process.stdout is not None
        alarm = threading.Timer(within_s, self.process.kill)
        alarm.start()
        try:
            line = self.process.stdout.readline()
        finally:
            alarm.cancel()
        if not line:
            raise RuntimeError(f"said nothing within {within_s:.0f} s: {last_words(self.log)}")
        return line


def last_words(log: Path) -> str:
    """The last line that speaks of an error, else the last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if "error" in line.lower()] or lines
    return told[-1][:200] if told else "no output"


def words(error: Exception) -> str:
    """An error in one line: its kind, and the last line of what it says."""
    said = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {said[-1][:200]}"


def until(check: Callable[[], bool], within_s: float, what: str, every_s: float = 0.1) -> None:
    """Raises `TimeoutError` when `check` is not true in time."""
    deadline = time.monotonic() + within_s
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within_s:.0f} s")
        time.sleep(every_s)


def load_average() -> float:
    return os.getloadavg()[0]


def medians(rows: Sequence[Row]) -> dict[str, float]:
    """Of each figure, over the runs that have it."""
    names = dict.fromkeys(name for row in rows for name in row.figures)
    return {name: statistics.median(row.figures[name] for row in rows if name in row.figures) for name in names}


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
