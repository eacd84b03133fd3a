"""What a message said: its content as its recipient got it, templates filled in."""

from __future__ import annotations

import msgspec
import structlog

from sendwright.engine.render import words_of
from sendwright.model import ids
from sendwright.model.content import Attachment, Content, EmailContent
from sendwright.model.records import MessageRecord
from sendwright.model.said import is_filled_in
from sendwright.policy.filling import Unfillable, filled
from sendwright.web.api.messages import row_of
from sendwright.web.api.problems import Refusal
from sendwright.web.api.services import Services
from sendwright.web.api.shapes import ContentView, FileView
from sendwright.web.api.table import Ask

_LOG = structlog.get_logger("sendwright.api")


async def get_content(ask: Ask) -> ContentView:
    """On its channel, or on the first of its plan. Who looked at what is a line of the log, without what it said."""
    row = await row_of(ask)
    content = await content_of(ask.services, ask.caller.tenant, row)
    if content is None:
        raise Refusal(410, "content_gone", "What it said is forgotten.")
    _LOG.info("content_shown", message=row.id, tenant=ask.caller.tenant, request_id=ask.request_id)
    channel = row.channel or (row.steps[0].channel if row.steps else None)
    return _view(content, channel)


async def content_of(services: Services, tenant: str, row: MessageRecord) -> Content | None:
    """None where retention, or an erasure, has forgotten it. What can't be filled in is shown as it was written."""
    notification = await services.records.notification(tenant, ids.notification_of(row.id))
    content = None if notification is None else notification.content
    if content is None or content.empty:
        return None
    if not is_filled_in(content):
        return content
    said = filled(content, row.about, {step.channel for step in row.steps}, services.rules.schemes)
    return content if isinstance(said, Unfillable) else said


def _view(content: Content, channel: str | None) -> ContentView:
    title, body, html, media = words_of(content, channel or "")
    own = None if channel is None else content.own(channel)
    files = own.attachments if isinstance(own, EmailContent) else []
    more = None if own is None else msgspec.to_builtins(own)
    if more is not None:
        more.pop("attachments", None)
    return ContentView(
        channel=channel,
        title=title,
        body=body,
        html=html,
        url=content.url,
        media=[item.url for item in media],
        files=[_file(file) for file in files],
        own=more,
    )


def _file(file: Attachment) -> FileView:
    return FileView(file.filename, file.content_type, len(file.content) * 3 // 4)
