"""What a message said: its content as its recipient got it, templates filled in."""

from __future__ import annotations

import msgspec
import structlog

from sendwright.engine.render import draft, shortened, words_of
from sendwright.model import ids
from sendwright.model.content import Attachment, Content, EmailContent
from sendwright.model.records import MessageRecord
from sendwright.model.said import is_filled_in
from sendwright.policy.filling import Unfillable, filled
from sendwright.policy.shortening import Cut
from sendwright.policy.unsubscribing import MARKETING, URL_NAME
from sendwright.providers.contract import Outgoing, Provider, TooLong
from sendwright.web.api import problems
from sendwright.web.api.messages import row_of
from sendwright.web.api.problems import Refusal
from sendwright.web.api.services import Services
from sendwright.web.api.shapes import ContentView, FileView
from sendwright.web.api.table import Ask

_LOG = structlog.get_logger("sendwright.api")


async def get_content(ask: Ask) -> ContentView:
    """On its channel, or on the first of its plan. Who looked at what is a line of the log, without what it said."""
    row = await row_of(ask)
    services = ask.services
    content = await content_of(services, ask.caller.tenant, row)
    if content is None:
        raise Refusal(410, "content_gone", "What it said is forgotten.")
    if isinstance(content, Unfillable):
        detail = "It says nothing, for its templates can't be filled in."
        raise Refusal(409, "unfillable", detail, map(problems.of_fault, content.faults))
    _LOG.info("content_shown", message=row.id, tenant=ask.caller.tenant, request_id=ask.request_id)
    return content_view(services, content, row)


def spoken_on(row: MessageRecord) -> str | None:
    """The channel that a message goes by, or the first of its plan."""
    return row.channel or (row.steps[0].channel if row.steps else None)


async def content_of(services: Services, tenant: str, row: MessageRecord) -> Content | Unfillable | None:
    """None where retention, or an erasure, has forgotten it; or whom it was for, where that is part of it."""
    notification = await services.records.notification(tenant, ids.notification_of(row.id))
    content = None if notification is None else notification.content
    if content is None or content.empty:
        return None
    if not is_filled_in(content):
        return content
    beside = {URL_NAME: services.links.shown} if notification is not None and notification.category == MARKETING else {}
    said = filled(content, row.about, {step.channel for step in row.steps}, services.rules.schemes, beside)
    erased = bool(row.steps) and not row.addressed
    return None if erased and isinstance(said, Unfillable) else said


def provider_of(services: Services, channel: str, name: str | None = None) -> Provider | None:
    """The one of this name, or who would be asked first where none was yet."""
    asked = services.fleet.route(channel) if name is None else (name,)
    return services.providers.get(asked[0]) if asked else None


def fitted(content: Content, channel: str, provider: Provider | None, message: str) -> tuple[Outgoing, Cut | None, str | None]:
    """What is said there, as it fits this provider; how much was left out; and why it is refused, where it is too long."""
    out = draft(content, channel, message)
    if provider is None:
        return out, None, None
    try:
        return *shortened(out, content, provider), None
    except TooLong as error:
        return out, None, str(error)
    except ValueError:
        return out, None, None  # it can't be said in its words, which is another matter than its length


def content_view(services: Services, content: Content, row: MessageRecord) -> ContentView:
    """As its channel says it."""
    channel = spoken_on(row)
    provider = None if channel is None else provider_of(services, channel, row.provider)
    _, _, html, media = words_of(content, channel or "")
    out, cut, _ = fitted(content, channel or "", provider, row.id)
    own = None if channel is None else content.own(channel)
    files = own.attachments if isinstance(own, EmailContent) else []
    more = None if own is None else msgspec.to_builtins(own)
    if more is not None:
        more.pop("attachments", None)
    return ContentView(
        channel=channel,
        title=out.title,
        body=out.body,
        html=html,
        url=content.url,
        media=[item.url for item in media],
        files=[_file(file) for file in files],
        own=more,
        shortened=cut,
    )


def _file(file: Attachment) -> FileView:
    return FileView(file.filename, file.content_type, len(file.content) * 3 // 4)
