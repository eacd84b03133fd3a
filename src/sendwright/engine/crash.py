"""Crash points: named places where a test may have the process die, so that every gap is tried.

`crashpoint("deliver.claimed")` does nothing unless the environment asks: `SENDWRIGHT_CRASH=deliver.claimed:3` kills the
process (SIGKILL, no clean-up of any kind) when that place is reached the third time.
"""

from __future__ import annotations

import os
import signal

_WISH = os.environ.get("SENDWRIGHT_CRASH", "")
_NAME, _, _COUNT = _WISH.partition(":")
_left = int(_COUNT or 1) if _NAME else 0


if _NAME:

    def crashpoint(name: str) -> None:
        """Dies here, when this is the place and the time that was asked for."""
        global _left  # noqa: PLW0603 — one wish per process
        if name == _NAME:
            _left -= 1
            if _left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

else:

    def crashpoint(name: str) -> None:
        """Nothing was asked for."""
