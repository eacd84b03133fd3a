"""In-app: into the person's inbox, which is kept here and shown by the app (docs/inbox.md).

No vendor: the request puts an item into the store, under the message's id, so that a repeat changes nothing. It is `sent` once it
lies there, `delivered` when an app of the person's first fetches it, and `read` when the person reads it; the inbox reports both.
"""

from __future__ import annotations

import re

from sendwright.model.content import InappContent
from sendwright.providers.answers import by_status
from sendwright.providers.contract import (
    Accepted,
    Capabilities,
    CommonSettings,
    InboxItem,
    ItemContent,
    Outcome,
    Outgoing,
    Provider,
    Reply,
    Unsure,
)

_ID = re.compile(r"msg_[0-9a-z]{1,60}", re.ASCII)
TEXT_MAX = 10_000
"""Characters of a title and a body, together: an inbox is a list that is looked through."""
REMEMBERS_S = 30 * 86_400
"""How long an item is certain to be recognised, in seconds: as long as it lies there."""


class InappSettings(CommonSettings, frozen=True, kw_only=True):
    """None of its own."""


class Inapp(Provider):
    """The inbox of the app."""

    kind = "inapp"
    settings_type = InappSettings

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            channels=("inapp",),
            transport="inbox",
            receipts=True,
            echoes=True,
            idempotency_s=REMEMBERS_S,
            media=True,
            body_max=TEXT_MAX,
        )

    def counted(self, out: Outgoing) -> str:
        return f"{out.title or ''}{out.body}"

    def build(self, out: Outgoing) -> InboxItem:
        """The item. Raises `ValueError` where nothing is said."""
        own = out.own if isinstance(out.own, InappContent) else InappContent()
        if out.channel != "inapp":
            raise ValueError("an inbox takes no other channel")
        if not (out.title or out.body):
            raise ValueError("an item must have a title or a body")
        self.limited(self.counted(out))
        pictures = [media.url for media in out.media if (media.content_type or "image/").startswith("image/")]
        said = ItemContent(
            title=out.title,
            body=out.body,
            url=out.url,
            icon=own.icon or next(iter(pictures), None),
            actions=out.actions,
            data=own.data,
        )
        return InboxItem(out.message, out.tenant, out.address, out.attempt, said)

    def parse(self, reply: Reply) -> Outcome:
        """Put there, with its id."""
        if reply.status != 201:
            return by_status(reply)
        ref = reply.body.decode("ascii", "replace")
        return Accepted(ref) if _ID.fullmatch(ref) else Unsure("a success without an id")
