"""From a parcel to what a provider gets: the channel's words, the address, the deadline, the names. Pure."""

from __future__ import annotations

from sendwright.engine.fleet import Account
from sendwright.model import ids
from sendwright.model.content import Content, MediaItem
from sendwright.model.parcel import Parcel
from sendwright.providers.contract import Media, Outgoing

LEAVES_WITHIN_MS = 250
"""A request is written within this time, else it is built anew (deliver.py): a vendor counts from when it has it, and must
not deliver after the message's expiry. Whole seconds are all that vendors take, and one is the least of them."""


def render(parcel: Parcel, account: Account, now: int) -> Outgoing:
    """What goes out as the parcel's next attempt. The same parcel and account always say the same."""
    content = parcel.content
    channel = parcel.channel
    sms = content.sms if channel == "sms" else None
    attempt = ids.attempt_id(parcel.id, parcel.number + 1)
    media = sms.media if sms is not None and sms.media is not None else content.media
    return Outgoing(
        attempt=attempt,
        message=parcel.id,
        channel=channel,
        address=parcel.address,
        body=(sms.body if sms is not None and sms.body is not None else None) or text_of(content, channel),
        title=None if channel == "sms" else content.title,  # there it is in the text
        html=content.html,
        url=content.url,
        media=tuple(_media(item) for item in media),
        sender=sms.sender if sms is not None else None,
        callback_url=f"{account.callback_base}?a={attempt}" if account.callback_base is not None else None,
        idempotency_key=f"{parcel.id}.{parcel.step}.{account.name}" + (f".{parcel.since}" if parcel.since else ""),
        ttl_s=max(1, (parcel.expires_at - now - LEAVES_WITHIN_MS) // 1000) if parcel.expires_at is not None else None,
    )


def text_of(content: Content, channel: str) -> str:
    """The text of a channel that knows only text: the title joins it there, and the link follows."""
    if channel != "sms":
        return content.body or content.title or ""
    parts = [content.title, content.body, content.url]
    return "\n".join(part for part in parts if part)


def _media(item: MediaItem) -> Media:
    return Media(item.url, item.content_type, item.filename)
