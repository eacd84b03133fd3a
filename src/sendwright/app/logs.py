"""Logs: JSON lines on stderr, from what the engine tells. No address, no content and no secret ever gets here.

A blocked or broken stderr never stops sending: what can't be written is counted and dropped (stderr.py).
"""

from __future__ import annotations

import logging
import sys

import structlog

from sendwright.app.stderr import Stderr, taken_over
from sendwright.engine import telling


def set_up() -> Stderr | None:
    """Structured lines to stderr, which from now on holds nobody up; None where it is no file. Uvicorn's warnings are what
    strangers make it say, so they are left out."""
    stderr = taken_over()
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    return stderr


class Logs:
    """A subscriber. The same trouble at the same place is said once per hundred."""

    HEARD = (telling.Trouble, telling.BreakerMoved, telling.KeyMoved)
    """What it wants to hear of."""

    def __init__(self) -> None:
        self._log = structlog.get_logger()
        self._said: dict[tuple[str, str], int] = {}

    def tell(self, told: telling.Telling) -> None:
        match told:
            case telling.Trouble(where, what):
                count = self._said[where, what] = self._said.get((where, what), 0) + 1
                if count % 100 == 1:
                    self._log.warning("trouble", where=where, what=what, count=count)
                if len(self._said) > 1000:
                    self._said.clear()
            case telling.BreakerMoved(provider, state, why):
                say = self._log.info if state == "closed" else self._log.warning
                say("breaker", provider=provider, state=state, why=why)
            case telling.KeyMoved(key, what, by):
                self._log.info("key", key=key, what=what, by=by or "the admin key")
            case _:
                pass
