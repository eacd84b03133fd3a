"""What happens to a message beside the states that it passes through: a receipt says so, and its timeline has it as an event.

Each is told once of a message, however often it is reported; a bounce once of each attempt, for the next step may bounce too.
"""

from __future__ import annotations

from enum import StrEnum


class Happening(StrEnum):
    """What a receipt reports, beside the state that it brings."""

    BOUNCED = "bounced"
    """It came back; `hard`, for good, or `soft`."""
    COMPLAINED = "complained"
    """The person called it spam."""
    CLICKED = "clicked"
    """The person followed a link of it; the first time."""
    UNSUBSCRIBED = "unsubscribed"
    """The person wants no more of its kind."""
    OPENED_BY_MACHINE = "opened_by_machine"
    """Some program opened it, or followed its links, for the person: it has arrived, and nobody is known to have read it."""

    @property
    def event(self) -> str:
        """The type of its event."""
        return f"message.{self}"


HARD, SOFT = "hard", "soft"
"""How a message bounced."""

ONCE = frozenset(happening.event for happening in Happening if happening is not Happening.BOUNCED)
"""The events that a message has once at most."""
TOLD = frozenset(happening.event for happening in Happening)
