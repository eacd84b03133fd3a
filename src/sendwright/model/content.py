"""What is said: one content for every channel, with overrides for some.

Shared by the payload, the parcel and the stored notification, so that nothing is translated on the way.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Overflow = Literal["refuse", "shorten"]
"""What is to be done with a text that is longer than its channel takes (policy/shortening.py)."""


class MediaItem(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file to go along, by its public address."""

    url: str
    content_type: str | None = None
    filename: str | None = None


class Action(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A button or link under the message."""

    id: str
    label: str
    url: str | None = None


class SmsContent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"sender": "from"}):
    """What differs when it goes by SMS."""

    sender: str | None = None
    body: str | None = None
    media: list[MediaItem] | None = None
    overflow: Overflow | None = None


class Attachment(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file that travels inside the message."""

    filename: str
    content: str
    """Base64 (RFC 4648, section 4), without line breaks."""
    content_type: str = "application/octet-stream"

    def __repr__(self) -> str:
        return "Attachment(…)"


class EmailContent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"sender": "from"}):
    """What differs when it goes by email. Addresses are bare (`a@example.org`) or with a name (`Ada <a@example.org>`)."""

    sender: str | None = None
    reply_to: str | None = None
    cc: list[str] = []
    bcc: list[str] = []
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    headers: dict[str, str] = {}
    """Further header fields: `X-…` ones, and those that name a thread or a list."""
    attachments: list[Attachment] = []
    layout: str | None = None
    """The layout that stands around it, by its name, or name and version as `brand@2`."""

    def __repr__(self) -> str:
        return "EmailContent(…)"


class WhatsappTemplate(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A message that Meta approved beforehand; the only kind that may open a conversation."""

    name: str
    language: str
    params: list[str] | dict[str, str] = []
    """The values of the body's variables: in order, or by name."""


class WhatsappContent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What differs when it goes by WhatsApp. With a template the text is not sent."""

    template: WhatsappTemplate | None = None
    body: str | None = None
    media: list[MediaItem] | None = None
    overflow: Overflow | None = None


class PushContent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What differs when it goes to an app, or to a browser by web push."""

    title: str | None = None
    body: str | None = None
    image: str | None = None
    """Address of a picture that is shown with it."""
    sound: str | None = None
    badge: int | None = None
    """The number on the app's icon."""
    collapse_key: str | None = None
    """A later message with the same key takes the place of one that was not shown yet."""
    data: dict[str, str] = {}
    """For the app itself; never shown."""
    overflow: Overflow | None = None


class ChatContent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What differs when it goes by a chat."""

    body: str | None = None
    media: list[MediaItem] | None = None
    overflow: Overflow | None = None


class MessengerContent(ChatContent, frozen=True):
    """What differs when it goes by Messenger."""

    tag: Literal["HUMAN_AGENT", "CONFIRMED_EVENT_UPDATE", "POST_PURCHASE_UPDATE", "ACCOUNT_UPDATE"] | None = None
    """For what it may go beyond 24 hours after the person last wrote: the caller vouches for that. `HUMAN_AGENT`, what a human
    being answers, holds seven days; the other three were retired in April 2026, as others report."""


class InstagramContent(ChatContent, frozen=True):
    """What differs when it goes by Instagram."""

    tag: Literal["HUMAN_AGENT"] | None = None
    """Lets what a human being answers go up to seven days after the person last wrote: the caller vouches for that."""


class SlackContent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What differs when it goes by Slack. With `blocks` (Block Kit) the body is what notifications and screen readers show."""

    body: str | None = None
    blocks: list[dict[str, object]] = []
    overflow: Overflow | None = None


class InappContent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What differs in the inbox of the app."""

    title: str | None = None
    body: str | None = None
    url: str | None = None
    icon: str | None = None
    """Address of a picture."""
    data: dict[str, object] = {}
    """For the app itself; never shown."""
    overflow: Overflow | None = None


class WebhookContent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What differs when it goes to a webhook. With `data`, that alone is the event's data."""

    type: str | None = None
    """The event's type; `notification` unless given."""
    data: dict[str, object] = {}


Own = (
    SmsContent
    | EmailContent
    | WhatsappContent
    | PushContent
    | ChatContent
    | MessengerContent
    | InstagramContent
    | SlackContent
    | InappContent
    | WebhookContent
)
"""What a content says for one channel alone."""


class Content(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The content of a notification. At least a title, a body, html or media, here or in a channel's override."""

    title: str | None = None
    body: str | None = None
    html: str | None = None
    url: str | None = None
    media: list[MediaItem] = []
    actions: list[Action] = []
    sms: SmsContent | None = None
    email: EmailContent | None = None
    whatsapp: WhatsappContent | None = None
    push: PushContent | None = None
    webpush: PushContent | None = None
    instagram: InstagramContent | None = None
    messenger: MessengerContent | None = None
    telegram: ChatContent | None = None
    slack: SlackContent | None = None
    inapp: InappContent | None = None
    webhook: WebhookContent | None = None
    overflow: Overflow | None = None
    """On every channel that says nothing else."""

    def __repr__(self) -> str:
        return "Content(…)"

    @property
    def empty(self) -> bool:
        """Whether nothing at all is said: as retention leaves it."""
        return not any(getattr(self, member) for member in self.__struct_fields__)

    def own(self, channel: str) -> Own | None:
        """What it says for that channel alone."""
        return getattr(self, channel, None) if channel in OWN else None


OWN = frozenset({"sms", "email", "whatsapp", "push", "webpush", "instagram", "messenger", "telegram", "slack", "inapp", "webhook"})
"""The channels that a content may say something else for."""
