"""What erasing a person makes of the messages that were for them, whatever the store. Pure: works on a `Folio`."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from sendwright.drivers.store.folio import Folio
from sendwright.drivers.store.moves import never_left, waits
from sendwright.model.outcomes import Reason
from sendwright.model.parcel import Step
from sendwright.model.records import Decision, MessageRecord
from sendwright.model.states import MessageState

SLICE = 200
"""Most messages of one transaction."""


def stopped(folio: Folio, messages: Iterable[str], now: int) -> int:
    """Sees to it that nothing more is sent: what waits is cancelled, or, where some of it may have left, ends as what is known of
    it. Who holds a claim may still finish that call. Returns how many will now never be sent."""
    count = 0
    for id_ in messages:
        row = folio.messages[id_]
        if not waits(row):
            continue
        over = Decision(MessageState.CANCELLED, row.step, calls=row.calls)
        if never_left(folio, id_):
            count += 1
        else:
            over = replace(over, state=MessageState.FAILED, reason=Reason.UNKNOWN_RECIPIENT.value)
        folio.refold(id_, now, over)
    return count


def blanked(message: MessageRecord) -> tuple[Step, ...]:
    """Its steps, without addresses: nothing can be sent by them."""
    return tuple(Step(step.channel, "") for step in message.steps)
