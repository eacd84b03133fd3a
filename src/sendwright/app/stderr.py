"""A stderr that holds nobody up: what is written is kept, up to a bound, and a thread passes it on.

Whoever reads our stderr may stop reading. A pipe that is full blocks the writer, and a writer in the event loop is
everything. So lines that don't fit are dropped and counted, and when lines go through again, one says how many were lost
at that place. All that writes to `sys.stderr` is covered: logs, what libraries warn of, tracebacks, words for a person.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import select
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import TextIO

KEPT_MAX = 1 << 20
"""Bytes that wait to be written, at most."""
END_S = 2.0
"""How long an orderly end waits for what was kept to be written."""
_AGAIN_S = 1.0


class Stderr(io.TextIOBase):
    """Text for a file descriptor, by whole lines. `write` never waits and never raises."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, fd: int, kept_max: int = KEPT_MAX) -> None:
        self._fd = fd
        self._kept_max = kept_max
        self._kept: deque[tuple[int, bytes]] = deque()
        self._size = 0
        self._begun = ""
        self._lost = 0
        """Lines lost since the last that was kept."""
        self._busy = False
        self._state = threading.Condition(threading.RLock())
        self.dropped = 0
        """Lines lost since the start."""
        threading.Thread(target=self._pass_on, name="stderr", daemon=True).start()

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._state:
            whole, newline, self._begun = (self._begun + text).rpartition("\n")
            if newline:
                self._keep(whole + newline)
            elif len(self._begun) > self._kept_max:
                self._begin_line()
        return len(text)

    def flush(self) -> None:
        """What was begun goes out without its end. Waits for nothing."""
        with self._state:
            self._begin_line()

    def end(self, within_s: float = END_S) -> bool:
        """Waits until all that was kept is written; True when it was in time."""
        self.flush()
        with self._state:
            return self._state.wait_for(lambda: not (self._size or self._lost or self._busy), within_s)

    def close(self) -> None:
        """Ends the thread, with whatever it still has. The file descriptor is its owner's to close."""
        with self._state:
            super().close()
            self._state.notify_all()

    def _begin_line(self) -> None:
        if self._begun:
            self._keep(self._begun)
            self._begun = ""

    def _keep(self, text: str) -> None:
        data = text.encode(self.encoding, self.errors)
        most = self._kept_max // 2 if self._lost else self._kept_max  # once something is lost, room is made before more is kept
        if self._size + len(data) > most:
            self._lost += _lines(data)
            self.dropped += _lines(data)
        else:
            self._kept.append((self._lost, data))
            self._size += len(data)
            self._lost = 0
        self._state.notify_all()

    def _pass_on(self) -> None:
        """The thread: the only one that may be held up."""
        while not self.closed:
            lost, data = self._next()
            written = self._written((_said(lost) if lost else b"") + data)
            with self._state:
                self._busy = False
                self._size -= len(data)
                if not written:
                    self._lost += lost + _lines(data)
                    self.dropped += _lines(data)
                self._state.notify_all()
            if not written and not self.closed:
                time.sleep(_AGAIN_S)  # nobody is there: what is lost is said when somebody is

    def _next(self) -> tuple[int, bytes]:
        """How many lines were lost before these, and these; none, when all that is left is to say so."""
        with self._state:
            self._state.wait_for(lambda: self._kept or self._lost or self.closed)
            self._busy = True
            if self._kept:
                return self._kept.popleft()
            lost, self._lost = self._lost, 0
            return lost, b""

    def _written(self, data: bytes) -> bool:
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:  # whoever gave it to us made it so
                select.select((), (self._fd,), (), _AGAIN_S)
            except OSError:
                return False
        return True


def _lines(data: bytes) -> int:
    return data.count(b"\n") or bool(data)


def _said(lost: int) -> bytes:
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return json.dumps({"lines": lost, "event": "log_lines_dropped", "level": "warning", "timestamp": at}).encode() + b"\n"


def taken_over() -> Stderr | None:
    """Puts a `Stderr` in the place of `sys.stderr` until the process exits, which then waits for what was kept, but not for
    ever. None, and nothing is changed, where it is no file."""
    before = sys.stderr
    try:
        stderr = Stderr(before.fileno())
    except (AttributeError, OSError, ValueError):
        return None
    sys.stderr = stderr
    atexit.register(_given_back, stderr, before)
    return stderr


def _given_back(stderr: Stderr, before: TextIO) -> None:
    stderr.end()
    sys.stderr = before  # the interpreter flushes it when the thread, which may hold the lock, runs no more
