"""From a parcel to what a provider gets: the channel's words, the address, the deadline, the names. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from sendwright.engine.fleet import Account
from sendwright.model import ids
from sendwright.model.content import Content, EmailContent, MediaItem, Own
from sendwright.model.parcel import Parcel
from sendwright.model.said import is_filled_in
from sendwright.policy.filling import Unfillable, filled
from sendwright.providers.contract import Media, Outgoing, Secret

LEAVES_WITHIN_MS = 250
"""A request is written within this time, else it is built anew (deliver.py): a vendor counts from when it has it, and must
not deliver after the message's expiry. Whole seconds are all that vendors take, and one is the least of them."""


def say(parcel: Parcel, schemes: frozenset[str]) -> Parcel | Unfillable:
    """The parcel as its recipient gets it on any of its steps: templates filled in. One without variables says what it says.

    From what the parcel carries alone, so that every attempt, and every channel, says the same."""
    if not is_filled_in(parcel.content):
        return parcel
    content = filled(parcel.content, parcel.about, {step.channel for step in parcel.steps}, schemes)
    return content if isinstance(content, Unfillable) else replace(parcel, content=content)


def render(parcel: Parcel, account: Account, now: int, entropy: bytes = b"", token: Secret | None = None) -> Outgoing:
    """What goes out as the parcel's next attempt. The same arguments always say the same."""
    content = parcel.content
    channel = parcel.channel
    own = content.own(channel)
    attempt = ids.attempt_id(parcel.id, parcel.number + 1)
    title, body, html, media = words_of(content, channel)
    return Outgoing(
        attempt=attempt,
        message=parcel.id,
        channel=channel,
        address=parcel.address,
        body=body,
        title=title,
        html=html,
        url=getattr(own, "url", None) or content.url,
        media=tuple(_media(item) for item in media),
        sender=getattr(own, "sender", None),
        callback_url=f"{account.callback_base}?a={attempt}" if account.callback_base is not None else None,
        idempotency_key=f"{parcel.id}.{parcel.step}.{account.name}" + (f".{parcel.since}" if parcel.since else ""),
        ttl_s=max(1, (parcel.expires_at - now - LEAVES_WITHIN_MS) // 1000) if parcel.expires_at is not None else None,
        own=own,
        actions=tuple(content.actions),
        tenant=parcel.tenant,
        priority=parcel.priority.label,
        now=now / 1000,
        entropy=entropy,
        token=token,
    )


Words = tuple[str | None, str, str | None, list[MediaItem]]
"""Title, body, html and media, as one channel says them."""


def words_of(content: Content, channel: str) -> Words:
    """What a channel says of a content."""
    own = content.own(channel)
    return _words(content, channel) if own is None else _own_words(content, channel, own)


def _words(content: Content, channel: str) -> Words:
    title = None if channel in TEXT_ONLY else content.title  # there it is in the text
    return title, text_of(content, channel), content.html, content.media


def _own_words(content: Content, channel: str, own: Own) -> Words:
    """The same, where the content says something else for this channel."""
    title, body, html, media = _words(content, channel)
    if isinstance(own, EmailContent):
        return own.subject or title, body if own.text is None else own.text, own.html or html, media
    said: str | None = getattr(own, "body", None)
    pictures: list[MediaItem] | None = getattr(own, "media", None)
    return getattr(own, "title", None) or title, said or body, html, media if pictures is None else pictures


TEXT_ONLY = frozenset({"sms", "whatsapp", "instagram", "messenger", "telegram", "line", "slack", "discord", "teams"})
"""Channels whose messages are one text: what has a title elsewhere begins with it there, and ends with the link."""


def text_of(content: Content, channel: str) -> str:
    """The text of a channel; one that knows only text has the title and the link in it."""
    if channel not in TEXT_ONLY:
        return content.body or content.title or ""
    parts = [content.title, content.body, content.url]
    return "\n".join(part for part in parts if part)


def _media(item: MediaItem) -> Media:
    return Media(item.url, item.content_type, item.filename)
