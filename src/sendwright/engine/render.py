"""From a parcel to what a provider gets: the channel's words, the address, the deadline, the names. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from sendwright.engine.account import Account
from sendwright.model import ids
from sendwright.model.content import Content, EmailContent, MediaItem, Own
from sendwright.model.parcel import Parcel
from sendwright.model.said import is_filled_in
from sendwright.policy.filling import Unfillable, filled
from sendwright.policy.shortening import Cut, Wording, cut_between, overflow_of, too_long
from sendwright.policy.shortening import shortened as shorten
from sendwright.policy.unsubscribing import EMAIL, MARKETING, URL_NAME, Links, header_fields
from sendwright.providers.contract import Media, Outgoing, Provider, Secret, TooLong

LEAVES_WITHIN_MS = 250
"""A request is written within this time, else it is built anew (deliver.py): a vendor counts from when it has it, and must
not deliver after the message's expiry. Whole seconds are all that vendors take, and one is the least of them."""


def link_in(links: Links, parcel: Parcel) -> str | None:
    """By which the recipient of a marketing message unsubscribes, on the channel where it stands; None for any other message."""
    if parcel.category != MARKETING or not parcel.address:
        return None
    return links.made(parcel.tenant, parcel.channel, parcel.address, parcel.id)


def say(parcel: Parcel, schemes: frozenset[str], link: str | None = None) -> Parcel | Unfillable:
    """The parcel as its recipient gets it on any of its steps: templates filled in. One without variables says what it says.
    `link`: by which its recipient unsubscribes, on the step where it stands; None where it is not marketing.

    From what the parcel carries alone, so that every attempt, and every channel, says the same."""
    if not is_filled_in(parcel.content):
        return parcel
    beside = {} if link is None else {URL_NAME: link}
    content = filled(parcel.content, parcel.about, {step.channel for step in parcel.steps}, schemes, beside)
    return content if isinstance(content, Unfillable) else replace(parcel, content=content)


def render(
    parcel: Parcel, account: Account, now: int, entropy: bytes = b"", token: Secret | None = None, link: str | None = None
) -> Outgoing:
    """What goes out as the parcel's next attempt. The same arguments always say the same. `link`: as in `say`; a mail carries it in
    its header, whoever sends it."""
    content = parcel.content
    attempt = ids.attempt_id(parcel.id, parcel.number + 1)
    title, body, html, media = words_of(content, parcel.channel)
    own = content.own(parcel.channel)
    return Outgoing(
        attempt=attempt,
        message=parcel.id,
        channel=parcel.channel,
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
        own=own if link is None or parcel.channel != EMAIL else _linked(own, link),
        actions=tuple(content.actions),
        tenant=parcel.tenant,
        priority=parcel.priority.label,
        now=now / 1000,
        entropy=entropy,
        token=token,
        unsubscribe_url=link,
    )


def _linked(own: Own | None, link: str) -> EmailContent:
    """Callers can't set these fields (policy/content_faults.py): nothing of theirs is replaced."""
    mail = own if isinstance(own, EmailContent) else EmailContent()
    return replace(mail, headers={**mail.headers, **header_fields(link)})


def draft(content: Content, channel: str, message: str) -> Outgoing:
    """What of a message is the same whoever sends it, and to whichever address: enough to count how long it is."""
    own = content.own(channel)
    title, body, html, media = words_of(content, channel)
    return Outgoing(
        attempt="",
        message=message,
        channel=channel,
        address="",
        body=body,
        title=title,
        html=html,
        url=getattr(own, "url", None) or content.url,
        media=tuple(_media(item) for item in media),
        own=own,
        actions=tuple(content.actions),
    )


def within(out: Outgoing, provider: Provider) -> Provider:
    """The provider, where the message travels in no more parts than it has them; what else it counts, it sees to itself. Raises
    `TooLong`."""
    can = provider.capabilities
    if can.segments_max is not None and (reason := too_long(provider.counted(out), can)):
        raise TooLong(f"the text is {reason}")
    return provider


def shortened(out: Outgoing, content: Content, provider: Provider) -> tuple[Outgoing, Cut | None]:
    """The same as it fits its provider, and how much was left out. Raises `TooLong` where nothing may be, or that is not enough."""
    said, can = wording_of(content, out.channel), provider.capabilities
    reason = too_long(provider.counted(out), can)
    if reason is None:
        return out, None
    if overflow_of(content, out.channel) == "refuse":
        raise TooLong(f"the text is {reason}")
    sent = shorten(said, out.channel, can, lambda tried: provider.counted(replace(out, title=tried.title, body=tried.body)))
    if sent is None:
        raise TooLong(f"the text is {reason}, and can't be cut to fit")
    return replace(out, title=sent.title, body=sent.body), cut_between(said, sent)


def wording_of(content: Content, channel: str) -> Wording:
    """What a channel says, with what stands around its text apart."""
    title, body, _, _ = words_of(content, channel)
    if channel not in TEXT_ONLY or getattr(content.own(channel), "body", None):
        return Wording(title, body)
    text = content.body or content.title or ""
    before = f"{content.title}\n" if content.body and content.title else ""
    return Wording(title, text, before, f"\n{content.url}" if text and content.url else content.url or "")


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
