"""How many files a process may have open, and how many of them the API's callers may take.

Every connection is a descriptor, and so is every line to a provider and every file of the store. Callers must not take
what those need: an API that answers 503 recovers by itself, a worker that can't connect holds up what was accepted.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable

OTHERS = 64
"""For the store, the event loop, the log and whatever else is open."""
UNLIMITED = 1 << 30


def raise_limit() -> None:
    """To the most that the system lets us have without asking."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(OSError, ValueError):  # the kernel's own limit may be lower
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def for_callers(lines: int) -> Callable[[], int]:
    """How many connections may be open to the API beside so many lines; asked for each, as the limit may change. A quarter of
    the limit is theirs in any case."""

    def most() -> int:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return UNLIMITED if limit == resource.RLIM_INFINITY else max(limit - lines - OTHERS, limit // 4, 1)

    return most
