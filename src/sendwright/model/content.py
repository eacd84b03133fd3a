"""What is said: one content for every channel, with overrides for some.

Shared by the payload, the parcel and the stored notification, so that nothing is translated on the way.
"""

from __future__ import annotations

from msgspec import Struct


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


class Content(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The content of a notification. At least a title, a body, html or media, here or in the channel's override."""

    title: str | None = None
    body: str | None = None
    html: str | None = None
    url: str | None = None
    media: list[MediaItem] = []
    actions: list[Action] = []
    sms: SmsContent | None = None

    def __repr__(self) -> str:
        return "Content(…)"

    @property
    def empty(self) -> bool:
        return not (self.title or self.body or self.html or self.media or (self.sms and (self.sms.body or self.sms.media)))
