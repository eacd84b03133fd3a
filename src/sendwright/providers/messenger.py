"""Messenger by Meta's Send API: texts and media from a Facebook page, one call per message, receipts by webhook.

Read in November 2026:
  the call       https://developers.facebook.com/docs/messenger-platform/reference/send-api
  tags           https://developers.facebook.com/docs/messenger-platform/send-messages/message-tags/
  its codes      https://developers.facebook.com/docs/messenger-platform/reference/send-api/error-codes
  echoes         https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events/message-echoes
  deliveries     https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events/message-deliveries

What shapes this file:
  * A page writes to people who wrote to it, within 24 hours of what they last wrote. Meta keeps that window, and says 10 with
    2018278 or 2018065 where it is closed. A message tag reaches beyond it, for a purpose that the caller vouches for: none is set
    unless the content names it. All but HUMAN_AGENT were retired on 2026-04-27 and are refused with 100, as others saw
    (https://github.com/erxes/erxes/pull/9177).
  * There is no idempotency key. `metadata` carries the attempt's id, and the echo that Meta sends of every message of the page
    brings it back, so an echo settles a lost answer.
  * A delivery names its messages (`mids`), sometimes. Its watermark, and all that a reading has, says "everything to this person
    before that moment": which of our messages that are can't be known from it alone, so nothing is claimed of any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sendwright.model import ids
from sendwright.providers.chat import Sort, sort_of
from sendwright.providers.contract import AttemptState, Capabilities, Hook, Inbound, Media, Outgoing, Reason, Receipt, Scope
from sendwright.providers.meta import Codes, MetaSettings, SendApi, id_fault, member, milliseconds
from sendwright.providers.redaction import vendor_id

BODY_MAX = 2000

CODES = Codes(
    refused={
        100: (Reason.CONTENT, Scope.RECIPIENT),  # a parameter
        (100, 2018001): (Reason.INVALID_ADDRESS, Scope.RECIPIENT),  # no such person for this page
        (10, 2018065): (Reason.WINDOW_CLOSED, Scope.SENDER),
        (10, 2018278): (Reason.WINDOW_CLOSED, Scope.SENDER),  # the window is this page's; another one may have its own
        (10, 2018108): (Reason.UNREACHABLE, Scope.RECIPIENT),  # receives nothing from this page right now
        (200, 1545041): (Reason.UNREACHABLE, Scope.RECIPIENT),  # the same
        551: (Reason.UNREACHABLE, Scope.RECIPIENT),  # not available
    },
    crowded=frozenset({4, 613}),
    ailing=frozenset({2, 1200}),
    puzzling=frozenset({1}),
    faults=frozenset({368}),
)
"""The rest of 10 and 200 is a permission that the token has not: the operator's to mend."""


class MessengerSettings(MetaSettings, frozen=True, kw_only=True):
    """A Facebook page, and the token that may write for it."""

    page_id: str

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        return [*id_fault(given, "page_id"), *super().contradictions(given)]


class Messenger(SendApi):
    """One Facebook page."""

    kind = "messenger"
    settings_type = MessengerSettings
    codes = CODES
    channel = "messenger"
    about = "page"
    settings: MessengerSettings

    @property
    def account(self) -> str:
        return self.settings.page_id

    @property
    def capabilities(self) -> Capabilities:
        told = self.settings.app_secret is not None
        return Capabilities(channels=("messenger",), receipts=told, media=True, body_max=BODY_MAX, expires=True)

    def kind_of(self, out: Outgoing) -> dict[str, object]:
        return super().kind_of(out) or {"messaging_type": "UPDATE"}  # inside the window, and of our own accord

    def message(self, out: Outgoing) -> dict[str, object]:
        return super().message(out) | {"metadata": out.attempt}

    def attached_as(self, item: Media) -> str | None:
        sort = sort_of(item)
        return "file" if sort is Sort.DOCUMENT else sort.value

    def is_to(self, event: Mapping[str, Any]) -> bool:
        return member(event, "recipient").get("id") == self.account

    def events(self, hook: Hook) -> Sequence[Receipt | Inbound]:
        """What echoes and deliveries say of a message by name, and what people write; nothing for readings."""
        return tuple(found for event in self.happenings(hook) for found in (*_receipts(event), self.reply(event)) if found)


def _receipts(event: Mapping[str, Any]) -> Iterator[Receipt]:
    message, delivery = member(event, "message"), member(event, "delivery")
    at = milliseconds(event.get("timestamp"))
    attempt = vendor_id(message.get("metadata"))
    if message.get("is_echo") is True and attempt and ids.looks_like(ids.ATTEMPT, attempt):  # others write for the page too
        yield Receipt(AttemptState.SENT, attempt, vendor_id(message.get("mid")), detail="echo", at=at)
    mids = delivery.get("mids")
    for mid in mids if isinstance(mids, list) else ():
        if ref := vendor_id(mid):
            yield Receipt(AttemptState.DELIVERED, None, ref, detail="delivered", at=at)
