"""The stderr that holds nobody up, on real pipes: one that nobody reads, one that is read late, one without a reader."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator

import pytest

from sendwright.app.stderr import Stderr

LINE = "x" * 99 + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, Stderr]]:
    """Where to read what is written. The other end stays open: its number must not be somebody else's while it is written to."""
    reader, writer = os.pipe()
    stderr = Stderr(writer, kept_max=100_000)
    yield reader, stderr
    stderr.close()
    with contextlib.suppress(OSError):
        os.close(reader)


def written(stderr: Stderr, count: int) -> bool:
    """Whether so many lines can be written, by somebody who would wait with them for ever."""
    writer = threading.Thread(target=lambda: [stderr.write(LINE) for _ in range(count)], daemon=True)
    writer.start()
    writer.join(30)
    return not writer.is_alive()


def until_one_is_lost(stderr: Stderr) -> int:
    """Writes until the last line is one that was lost, however late the thread began; how many it took."""
    count, dropped = 0, stderr.dropped
    while stderr.dropped == dropped:
        stderr.write(LINE)
        count += 1
    return count


def read_all(end: int, stderr: Stderr) -> list[str]:
    heard = b""

    def read() -> None:
        nonlocal heard
        while not heard.endswith(b"\0"):
            heard += os.read(end, 65_536)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    assert stderr.end(30)
    os.write(stderr.fileno(), b"\0")
    reader.join(30)
    return heard[:-1].decode().splitlines()


def test_a_pipe_that_nobody_reads_holds_nobody_up_and_what_is_lost_is_counted(pipe: tuple[int, Stderr]) -> None:
    _, stderr = pipe
    assert written(stderr, 10_000)
    assert stderr.dropped > 0
    assert not stderr.end(0.01)


def test_when_lines_go_through_again_one_says_how_many_were_lost_at_that_place(pipe: tuple[int, Stderr]) -> None:
    _, stderr = pipe
    assert written(stderr, 10_000)
    count = 10_000 + until_one_is_lost(stderr)
    lost = stderr.dropped
    lines = read_all(*pipe)
    stderr.write("after that\n")
    lines += read_all(*pipe)
    said = [json.loads(line) for line in lines if line.startswith("{")]
    assert {each["event"] for each in said} == {"log_lines_dropped"}
    assert sum(each["lines"] for each in said) == lost
    assert len(lines) == count - lost + len(said) + 1
    assert lines[-1] == "after that"
    assert lines[-2].startswith("{")


def test_without_a_reader_lines_are_lost_and_nothing_breaks(pipe: tuple[int, Stderr]) -> None:
    reader, stderr = pipe
    os.close(reader)
    stderr.write(LINE)
    assert not stderr.end(0.05)
    assert stderr.dropped == 1


def test_a_line_is_passed_on_whole_though_it_is_written_in_pieces(pipe: tuple[int, Stderr]) -> None:
    _, stderr = pipe
    for piece in ("one ", "line\nand ", "half \ud800"):
        stderr.write(piece)
    assert read_all(*pipe) == ["one line", "and half \\ud800"]
