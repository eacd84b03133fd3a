"""What happened, in order: the trace that a seed is replayed and compared by, and the counts of what occurred at all."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator

from simulation.loop import START_S


class Trace:
    """Lines of (seconds, who, what). Cheap: it is formatted only for people and for its hash."""

    def __init__(self) -> None:
        self._lines: list[tuple[float, str, str, tuple[object, ...]]] = []
        self.seen: Counter[str] = Counter()
        """How often each kind of fault, and each branch of the engine, occurred."""

    def add(self, at_s: float, who: str, what: str, *about: object) -> None:
        self._lines.append((at_s, who, what, about))

    def note(self, at_s: float, who: str, what: str, *about: object) -> None:
        """A line that is counted as well."""
        self.seen[what] += 1
        self._lines.append((at_s, who, what, about))

    def lines(self, last: int | None = None) -> Iterator[str]:
        for at_s, who, what, about in self._lines[-last:] if last else self._lines:
            yield f"{at_s - START_S:12.6f}  {who:<10} {what:<22} {' '.join(str(word) for word in about)}".rstrip()

    def hash(self) -> str:
        return hashlib.sha256("\n".join(self.lines()).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._lines)
