"""What the sandbox was asked and what it made of that: noted before it is answered.

An entry goes to the file first (one write, no fsync: it survives `kill -9` of the process, not of the machine), then
to memory, which shows the newest and counts all. A line that can't be written is not taken: `note` raises `OSError`
and the caller answers accordingly. Sequence numbers go on where the file left off and are never used twice.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct

SHOWN_BYTES_MAX = 64 * 2**20
"""Most content kept in memory, in bytes; older requests give way."""

_TAIL = 8 * 2**20


class Entry(Struct, frozen=True, gc=False, omit_defaults=True, rename={"sender": "from"}):
    """One request for a message. `taken`: a real vendor would deliver it; `verdict` says what the caller met."""

    seq: int
    at: datetime
    kind: str
    account: str
    verdict: str
    """`taken`, `replayed`, `refused`, `dropped`, or the fault that was acted out."""
    taken: bool
    status: int | None
    """Of the answer; null where there was none."""
    channel: str = ""
    to: str = ""
    body: str = ""
    ref: str | None = None
    """The id that the caller was, or would have been, given."""
    reference: str | None = None
    """The caller's own id of the attempt."""
    idempotency_key: str | None = None
    sender: str | None = None
    title: str | None = None
    html: str | None = None
    url: str | None = None
    media: Sequence[str] = ()
    copies: Sequence[str] = ()
    unsubscribe_url: str | None = None

    def __repr__(self) -> str:
        return f"Entry({self.seq}, {self.verdict})"


class Reported(Struct, gc=False):
    """One receipt: what was reported, and the status that the callback answered with (null: none yet)."""

    state: str
    at: datetime
    answer: int | None = None
    note: str = ""


class Noted(Struct, gc=False):
    """An entry, and what has been reported of it since."""

    entry: Entry
    receipts: list[Reported]
    fate: tuple[str, ...] = ()
    """The states that it comes to, one after the other, whether or not somebody is told."""
    pace_s: float = 0.0
    """Time to the first of them, and between two, in seconds."""
    written: list[str] = []
    """What its recipient has written back."""

    def state(self, now: datetime) -> str:
        """The furthest that it has come by now; empty when it has just been taken."""
        elapsed_s = (now - self.entry.at).total_seconds()
        steps = len(self.fate) if self.pace_s <= 0 else int(elapsed_s / self.pace_s)
        return self.fate[min(steps, len(self.fate)) - 1] if steps >= 1 and self.fate else ""

    def line(self) -> bytes:
        """The entry as JSON with its `receipts`, and a line feed."""
        fields = msgspec.to_builtins(self.entry, builtin_types=(datetime,))
        return _ENCODER.encode({**fields, "receipts": self.receipts}) + b"\n"


class Stats(Struct, frozen=True):
    """The counters since the start or the last reset."""

    taken: int
    requests: int
    by_verdict: dict[str, int]
    in_flight: int
    most_in_flight: int
    first_seq: int
    """The oldest entry that is still shown; 0 when none is."""
    last_seq: int
    receipts: dict[str, int]


class _Counts(Struct):
    """What a reset sets to nothing."""

    taken: int = 0
    requests: int = 0
    by_verdict: dict[str, int] = {}
    receipts: dict[str, int] = {}
    in_flight: int = 0
    most_in_flight: int = 0
    bytes: int = 0


_ENCODER = msgspec.json.Encoder()


def _utc_now() -> datetime:
    return datetime.now(UTC)


class MessageLog:
    """Counts everything, shows the newest, writes each line before it is answered."""

    def __init__(self, path: str | Path | None = None, shown_max: int = 10_000, now: Callable[[], datetime] = _utc_now) -> None:
        self.now = now
        self.run = os.urandom(4).hex()
        """Tells this log from one before a restart."""
        self.version = 0
        """Grows with whatever a reader could see."""
        self._shown: deque[Noted] = deque()
        self._shown_max = shown_max
        self._by_ref: dict[str, Noted] = {}
        self._counts = _Counts()
        self._seq = 0
        self._file: int | None = None
        if path is not None:
            self._file, self._seq = _open(Path(path))

    def __repr__(self) -> str:
        return f"MessageLog(last_seq={self._seq})"

    @property
    def next_seq(self) -> int:
        return self._seq + 1

    def note(self, entry: Entry) -> Noted:
        """Writes and counts an entry, whose `seq` is `next_seq`. Raises OSError where the file did not take it."""
        return self.note_all([entry])[0]

    def note_all(self, entries: Sequence[Entry]) -> list[Noted]:
        """The same for the messages of one call: by one write, so that all are there or the call was not taken."""
        if self._file is not None:
            _write(self._file, b"".join(_ENCODER.encode(entry) + b"\n" for entry in entries))
        return [self._count(entry) for entry in entries]

    def _count(self, entry: Entry) -> Noted:
        self._seq = entry.seq
        self.version += 1
        counts = self._counts
        counts.requests += 1
        counts.taken += entry.taken
        counts.by_verdict[entry.verdict] = counts.by_verdict.get(entry.verdict, 0) + 1
        noted = Noted(entry, [])
        self._shown.append(noted)
        counts.bytes += _weight(entry)
        if entry.taken and entry.ref is not None:
            self._by_ref[entry.ref] = noted
        while len(self._shown) > self._shown_max or (counts.bytes > SHOWN_BYTES_MAX and len(self._shown) > 1):
            self._forget(self._shown.popleft())
        return noted

    def reported(self, noted: Noted, state: str, note: str = "") -> Reported:
        """Notes a receipt as it is sent off."""
        receipt = Reported(state, self.now(), note=note)
        noted.receipts.append(receipt)
        self.version += 1
        return receipt

    def count_receipt(self, what: str) -> None:
        """`what`: `posted`, `answered`, `given_up`, `dropped` or `not_allowed`."""
        receipts = self._counts.receipts
        receipts[what] = receipts.get(what, 0) + 1
        self.version += 1

    def opened(self) -> None:
        """A message's request is there."""
        counts = self._counts
        counts.in_flight += 1
        counts.most_in_flight = max(counts.most_in_flight, counts.in_flight)

    def closed(self) -> None:
        """It has been answered, or its connection has ended."""
        self._counts.in_flight -= 1

    def find(self, ref: str) -> Noted | None:
        """The taken message that was given this id, while it is shown."""
        return self._by_ref.get(ref)

    def newest(self, limit: int) -> list[Noted]:
        """The last `limit` that are shown, oldest first."""
        return list(islice(reversed(self._shown), limit))[::-1]

    def after(self, seq: int, limit: int) -> list[Noted]:
        """Those with a greater number, oldest first."""
        if not self._shown:
            return []
        skip = max(0, seq - self._shown[0].entry.seq + 1)
        return list(islice(self._shown, skip, skip + limit))

    def stats(self) -> Stats:
        first = self._shown[0].entry.seq if self._shown else 0
        counts = self._counts
        return Stats(
            taken=counts.taken,
            requests=counts.requests,
            by_verdict=dict(counts.by_verdict),
            in_flight=counts.in_flight,
            most_in_flight=counts.most_in_flight,
            first_seq=first,
            last_seq=self._seq,
            receipts=dict(counts.receipts),
        )

    def reset(self) -> None:
        """Forgets what is shown and counted. What is in flight stays so; the file stays as it is."""
        in_flight = self._counts.in_flight
        self._shown.clear()
        self._by_ref.clear()
        self._counts = _Counts(in_flight=in_flight, most_in_flight=in_flight)
        self.version += 1

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _forget(self, noted: Noted) -> None:
        self._counts.bytes -= _weight(noted.entry)
        if noted.entry.ref is not None and self._by_ref.get(noted.entry.ref) is noted:
            del self._by_ref[noted.entry.ref]


def _weight(entry: Entry) -> int:
    return len(entry.body) + len(entry.html or "") + len(entry.title or "")


def _open(path: Path) -> tuple[int, int]:
    """The file, ready to append to, and the last sequence number in it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    size = os.fstat(file).st_size
    tail = os.pread(file, _TAIL, max(0, size - _TAIL))
    if tail and not tail.endswith(b"\n"):
        _write(file, b"\n")  # a line torn by a full disk must not swallow the next one
    return file, next((seq for seq in map(_seq_of, reversed(tail.splitlines())) if seq), 0)


class _Numbered(Struct):
    seq: int


def _seq_of(line: bytes) -> int:
    try:
        return msgspec.json.decode(line, type=_Numbered).seq
    except msgspec.MsgspecError:
        return 0


def _write(file: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(file, rest) :]
