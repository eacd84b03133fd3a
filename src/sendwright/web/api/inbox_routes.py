"""The rows of the route table that are about the inbox of a person in the app, and the bell that shows it."""

from __future__ import annotations

from sendwright.web.api import (
    inbox,
    shapes,
)
from sendwright.web.api.table import INBOX, OPEN, Call
from sendwright.web.inbox import files

INBOXES = "Inbox"

INBOX_ROUTES: tuple[Call, ...] = (
    Call(
        method="POST",
        path="/v1/recipients/{id}/token",
        scope="send",
        tag=INBOXES,
        summary="Make a token that opens one recipient's inbox, for that person's own app",
        handler=inbox.make_token,
        body=shapes.TokenWish,
        optional=True,
        answer=shapes.MadeToken,
        status=201,
    ),
    Call(
        method="GET",
        path="/v1/inbox",
        scope=INBOX,
        tag=INBOXES,
        summary="A person's items, newest first; what is fetched counts as delivered",
        handler=inbox.list_inbox,
        query=shapes.InboxQuery,
        answer=shapes.InboxList,
        errors=(503,),
    ),
    Call(
        method="GET",
        path="/v1/inbox/count",
        scope=INBOX,
        tag=INBOXES,
        summary="How many there are, and how many are unread",
        handler=inbox.count_inbox,
        answer=shapes.InboxCount,
        errors=(503,),
    ),
    Call(
        method="POST",
        path="/v1/inbox/mark",
        scope=INBOX,
        tag=INBOXES,
        summary="Mark items as read, unread, archived, restored or snoozed",
        handler=inbox.mark_inbox,
        body=shapes.InboxMark,
        answer=shapes.InboxMarked,
        errors=(503,),
    ),
    Call(
        method="GET",
        path="/v1/inbox/stream",
        scope=INBOX,
        tag=INBOXES,
        summary="The counts whenever anything changes (server-sent events)",
        handler=inbox.stream_inbox,
        media_type="text/event-stream",
        errors=(503,),
    ),
    Call(
        method="GET",
        path="/inbox/sendwright-inbox.js",
        scope=OPEN,
        tag=INBOXES,
        summary="The element that shows an inbox in a web page of any origin",
        handler=files.inbox_element,
        media_type=files.SCRIPT_TYPE,
        errors=(304,),
        headers=("If-None-Match",),
    ),
    Call(
        method="GET",
        path="/inbox/demo",
        scope=OPEN,
        tag=INBOXES,
        summary="A page to try the element on",
        handler=files.inbox_demo,
        media_type=files.PAGE_TYPE,
    ),
    Call(
        method="GET",
        path="/inbox/demo.js",
        scope=OPEN,
        tag=INBOXES,
        summary="That page's script",
        handler=files.inbox_demo_script,
        media_type=files.SCRIPT_TYPE,
    ),
    Call(
        method="GET",
        path="/inbox/demo.css",
        scope=OPEN,
        tag=INBOXES,
        summary="That page's style",
        handler=files.inbox_demo_style,
        media_type=files.STYLE_TYPE,
    ),
)
