"""Instagram by Meta's Send API: texts and media from a professional account, one call per message, readings by webhook.

Read in November 2026:
  the call       https://developers.facebook.com/documentation/instagram-platform/instagram-api-with-instagram-login/messaging-api
  files          https://developers.facebook.com/documentation/business-messaging/instagram-messaging/features/send-message
  callbacks      https://developers.facebook.com/documentation/business-messaging/instagram-messaging/webhooks
  its codes      https://developers.facebook.com/docs/messenger-platform/reference/send-api/error-codes; 2534014 and 2534022 as they
                 were seen, for Meta's pages have no list of Instagram's own

What shapes this file:
  * An account writes to people who wrote to it, within 24 hours of what they last wrote. Meta keeps that window, and says 10 with
    2534022 (2018278 through a page) where it is closed. The tag HUMAN_AGENT reaches seven days, if the caller vouches for it.
  * There is no idempotency key, and nothing that is echoed: a lost answer stays lost. Echoes hold Instagram's own id alone, which
    the answer gave already.
  * A reading (`messaging_seen`) names its message. There are no deliveries.
  * An account that signs in by Instagram has its calls at graph.instagram.com; one behind a Facebook page at graph.facebook.com, by
    `base_url`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sendwright.providers.chat import content_type, sort_of
from sendwright.providers.contract import AttemptState, Capabilities, Hook, Inbound, Media, Reason, Receipt, Scope
from sendwright.providers.meta import Codes, MetaSettings, SendApi, id_fault, member, milliseconds
from sendwright.providers.redaction import vendor_id

BODY_MAX = 1000
"""Bytes of UTF-8."""

_ATTACHED = frozenset(
    {
        *("image/jpeg", "image/png", "video/mp4", "video/ogg", "video/quicktime", "video/webm", "video/x-msvideo"),
        *("audio/aac", "audio/mp4", "audio/x-m4a", "audio/wav", "audio/x-wav"),
    }
)

CODES = Codes(
    refused={
        100: (Reason.CONTENT, Scope.RECIPIENT),  # a parameter
        (100, 2018001): (Reason.INVALID_ADDRESS, Scope.RECIPIENT),  # no such person for this account
        (100, 2534014): (Reason.INVALID_ADDRESS, Scope.RECIPIENT),  # the same
        (10, 2018278): (Reason.WINDOW_CLOSED, Scope.SENDER),  # the window is this account's; another one may have its own
        (10, 2534022): (Reason.WINDOW_CLOSED, Scope.SENDER),
        551: (Reason.UNREACHABLE, Scope.RECIPIENT),  # not available
    },
    crowded=frozenset({4, 613}),
    ailing=frozenset({2, 1200}),
    puzzling=frozenset({1}),
    faults=frozenset({368}),
)
"""The rest of 10 and 200 is a permission that the token has not: the operator's to mend."""


class InstagramSettings(MetaSettings, frozen=True, kw_only=True):
    """A professional account, and the token that may write for it."""

    account_id: str

    @classmethod
    def contradictions(cls, given: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        return [*id_fault(given, "account_id"), *super().contradictions(given)]


class Instagram(SendApi):
    """One professional account."""

    kind = "instagram"
    settings_type = InstagramSettings
    codes = CODES
    host = "https://graph.instagram.com"
    channel = "instagram"
    about = "instagram"
    settings: InstagramSettings

    @property
    def account(self) -> str:
        return self.settings.account_id

    @property
    def capabilities(self) -> Capabilities:
        told = self.settings.app_secret is not None
        return Capabilities(channels=("instagram",), receipts=told, media=True, body_max=BODY_MAX, unit="bytes")

    def attached_as(self, item: Media) -> str | None:
        return sort_of(item).value if content_type(item) in _ATTACHED else None

    def events(self, hook: Hook) -> Sequence[Receipt | Inbound]:
        """A receipt per message that was seen, and what people write; nothing for echoes."""
        return tuple(found for event in self.happenings(hook) if (found := _seen(event) or self.reply(event)))


def _seen(event: Mapping[str, Any]) -> Receipt | None:
    ref = vendor_id(member(event, "read").get("mid"))
    return Receipt(AttemptState.READ, None, ref, detail="read", at=milliseconds(event.get("timestamp"))) if ref else None
