"""Following a notification: it is asked for again and again, and every message's new state is told, until all have
come where they should, one has ended elsewhere, or the time is up.

A process that is restarted meanwhile loses nothing, so an answer that does not come is no reason to stop asking.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from sendwright.cli.api import Api, NoAnswer, Refused, part
from sendwright.cli.shown import clean, reason_text

FIRST_S = 0.05
LONGEST_S = 1.0
"""Between two looks, in seconds: growing from the first to the longest."""

REACHED = {"sent": {"sent", "delivered", "read"}, "delivered": {"delivered", "read"}}
ENDED = {"failed", "expired", "cancelled", "suppressed"}

Verdict = Literal["waiting", "reached", "ended"]


def verdict(states: Sequence[str], expected: int, wait: str, notification: str = "") -> Verdict:
    """How it stands. `ended`: every message is at its end or where it should be, and not all are where they should be.

    What is in doubt may still be cleared up by a receipt, so it is waited for."""
    if not states and notification in ENDED:
        return "ended"
    if len(states) < expected or any(state not in REACHED[wait] | ENDED for state in states):
        return "waiting"
    return "reached" if all(state in REACHED[wait] for state in states) else "ended"


class Follow:
    """One notification, followed for `timeout_s` seconds at most. `tell` gets a line for each change."""

    def __init__(
        self,
        api: Api,
        notification: str,
        expected: int,
        wait: str,
        timeout_s: float,
        tell: Callable[[str], None],
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.reached = False
        self._api = api
        self._id = notification
        self._expected = expected
        self._wait = wait
        self._timeout_s = timeout_s
        self._tell = tell
        self._now = now
        self._sleep = sleep or time.sleep
        self._known: dict[str, str] = {}

    def run(self) -> dict[str, Any]:
        """The notification with all its messages, as it was last seen. Raises `NoAnswer` when it never was."""
        deadline = self._now() + self._timeout_s
        pause_s = FIRST_S
        view: dict[str, Any] | None = None
        lost: NoAnswer | None = None
        while True:
            try:
                view = self._look(deadline)
                lost = None
            except NoAnswer as error:
                if lost is None:
                    self._tell(f"{str(error).splitlines()[0]}; asking again")
                lost = error
            if view is not None and lost is None and self._judge(view) != "waiting":
                return view
            left_s = deadline - self._now()
            if left_s <= 0:
                return self._late(view, lost)
            self._sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, LONGEST_S)

    def _look(self, deadline: float) -> dict[str, Any]:
        """The notification; `messages` are all of them, from as many pages as it takes."""
        path = f"/v1/notifications/{part(self._id)}"
        within_s = max(1.0, min(10.0, deadline - self._now()))
        try:
            view: dict[str, Any] = self._api.get(path, within_s=within_s)
            cursor = view["messages_cursor"]
            while cursor is not None:
                page = self._api.get(path, {"cursor": cursor}, within_s=within_s)
                view["messages"] += page["messages"]
                cursor = page["messages_cursor"]
        except Refused as error:
            if error.status in (429, 503):
                raise NoAnswer(str(error), maybe=True) from error
            raise
        return {**view, "messages_cursor": None}

    def _judge(self, view: dict[str, Any]) -> Verdict:
        for message in view["messages"]:
            if self._known.get(message["id"]) != message["state"]:
                self._known[message["id"]] = message["state"]
                self._tell(_change(message))
        judged = verdict([message["state"] for message in view["messages"]], self._expected, self._wait, view["state"])
        self.reached = judged == "reached"
        return judged

    def _late(self, view: dict[str, Any] | None, lost: NoAnswer | None) -> dict[str, Any]:
        if view is None:
            raise lost or NoAnswer(f"{self._id} was not looked at in time", maybe=True)
        self._tell(f"not {self._wait} within {self._timeout_s:g} s; it goes on without being followed")
        return view


def _change(message: dict[str, Any]) -> str:
    why = reason_text(message["reason"])
    waits = message["waiting_for"]
    via = f" by {message['provider']}" if message["provider"] else ""
    wait = f", waits for {waits['kind']} {waits['name'] or ''}".rstrip() if waits else ""
    return clean(f"{message['id']} {message['state']}{via}{wait}{f', {why}' if why else ''}")
