"""Text for the operator's terminal: one line and one write for each message.

Control characters are escaped, the ones that turn text around included: a message can't move the cursor, colour what
others wrote, or pass for two. Used while developing; a terminal that blocks holds up the process it belongs to.
"""

from __future__ import annotations

import re
import sys
from typing import TextIO

from sendwright.providers.contract import Answer, ConsoleLine, Lost, NotSent, Reply, Request

# C0, delete, C1, line and paragraph separators, marks and overrides of direction, halves of a pair.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def escaped(text: str) -> str:
    """The text on one line, each control character as Python would write it."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class Console:
    """`ports.Line` for `ConsoleLine` requests. `stream` is looked up at each write unless given."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    @property
    def open(self) -> bool:
        return not (self._stream or sys.stdout).closed

    async def send(self, request: Request, within_s: float) -> Answer:
        """Writes the text at once. A closed stream is `NotSent`, one that breaks is `Lost`. `ValueError` for other requests."""
        if not isinstance(request, ConsoleLine):
            raise ValueError("not a line for the console")  # noqa: TRY004 -- every refusal of a request is a ValueError
        if within_s <= 0 or not self.open:
            return NotSent("late", "no time left" if self.open else "the console is closed")
        stream = self._stream or sys.stdout
        encoding = getattr(stream, "encoding", None) or "utf-8"
        text = escaped(request.text).encode(encoding, "backslashreplace").decode(encoding)
        try:
            stream.write(f"{text}\n")
            stream.flush()
        except OSError:
            return Lost("write", "the console is gone")
        return Reply(200)

    def release(self) -> None:
        """Nothing to give back."""
