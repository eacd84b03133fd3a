"""Every type of event that there is."""

from __future__ import annotations

from sendwright.model.happenings import Happening
from sendwright.model.notices import CLOSED, EXPIRING, MISCONFIGURED, OPENED
from sendwright.model.people import REPLIED
from sendwright.model.records import CONTRADICTED, UNCONFIRMED
from sendwright.model.states import MessageState

ACCEPTED = "notification.accepted"

EVENT_TYPES = (
    ACCEPTED,
    *(f"message.{state.label}" for state in MessageState if state not in {MessageState.ACCEPTED, MessageState.DIGESTING}),
    CONTRADICTED,
    *(happening.event for happening in Happening),
    UNCONFIRMED,
    OPENED,
    MISCONFIGURED,
    CLOSED,
    EXPIRING,
    REPLIED,
)
