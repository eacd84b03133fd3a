"""The route table: every call, who may make it, what it takes and answers. The description is made from it.

A new call is a row here and a handler; a row without a scope can't be written. What each demands of a key stands a second time
in tests/unit/key_matrix.py, and the two must agree.
"""

from __future__ import annotations

from sendwright.web.api import (
    backup,
    events,
    keys,
    operations,
    shapes,
    stats,
)
from sendwright.web.api.docs_page import docs_page, openapi_document
from sendwright.web.api.endpoint_routes import ENDPOINTS
from sendwright.web.api.inbox_routes import INBOX_ROUTES
from sendwright.web.api.message_routes import MESSAGE_ROUTES
from sendwright.web.api.ordering import ROUTES
from sendwright.web.api.people_routes import PEOPLE
from sendwright.web.api.provider_routes import PROVIDER_ROUTES
from sendwright.web.api.table import OPEN, WATCH, Call
from sendwright.web.api.type_routes import TYPE_ROUTES
from sendwright.web.unsubscribe import calls as unsubscribe
from sendwright.web.unsubscribe import page as unsubscribe_page

NOTIFICATIONS = "Notifications"
KEYS = "Keys"
OPERATIONS = "Operations"
UNSUBSCRIBING = "Unsubscribing"

CALLS: tuple[Call, ...] = (
    *MESSAGE_ROUTES,
    *TYPE_ROUTES,
    *PROVIDER_ROUTES,
    *INBOX_ROUTES,
    *PEOPLE,
    *ROUTES,
    Call(
        method="POST",
        path="/v1/keys",
        scope="admin",
        tag=KEYS,
        summary="Make a key; it is shown this once",
        handler=keys.make_key,
        body=shapes.KeyWish,
        meant=keys.wrong_with,
        answer=shapes.MadeKey,
        status=201,
    ),
    Call(
        method="GET",
        path="/v1/keys",
        scope="admin",
        tag=KEYS,
        summary="List keys, newest first",
        handler=keys.list_keys,
        query=shapes.KeysQuery,
        answer=shapes.KeyList,
    ),
    Call(
        method="DELETE",
        path="/v1/keys/{id}",
        scope="admin",
        tag=KEYS,
        summary="Revoke a key, everywhere within a second",
        handler=keys.revoke_key,
        status=204,
    ),
    *(
        Call(
            method=method,
            path="/u/{token}",
            scope=OPEN,
            tag=UNSUBSCRIBING,
            summary=summary,
            handler=handler,
            body=bytes,
            body_max=unsubscribe.BODY_MAX,
            media_type=unsubscribe_page.TYPE,
            errors=errors,
        )
        for method, summary, handler, errors in (
            ("GET", "The page behind a link by which a person unsubscribes; changes nothing", unsubscribe.look, (503,)),
            ("POST", "Unsubscribes by one click (RFC 8058), or by the page's form", unsubscribe.press, (400, 503)),
        )
    ),
    *ENDPOINTS,
    Call(
        method="GET",
        path="/v1/events",
        scope="read",
        tag=OPERATIONS,
        summary="Events as they happen (server-sent events), resumable by Last-Event-ID",
        handler=events.stream_events,
        query=shapes.EventsQuery,
        media_type="text/event-stream",
        errors=(503,),
        headers=("Last-Event-ID",),
        head=events.last_seen,
    ),
    Call(
        method="GET",
        path="/v1/stats",
        scope="read",
        tag=OPERATIONS,
        summary="How much was accepted of late, how it ended and how long it took; and what waits",
        handler=stats.get_stats,
        query=stats.StatsQuery,
        answer=stats.StatsView,
        errors=(503,),
    ),
    Call(
        method="GET",
        path="/v1/backup",
        scope="admin",
        of_all=True,
        tag=OPERATIONS,
        summary="A copy of the embedded store as it is now, a SQLite file",
        handler=backup.get_backup,
        media_type="application/vnd.sqlite3",
        errors=(409, 503),
    ),
    Call(
        method="GET",
        path="/v1/audit",
        scope="admin",
        tag=OPERATIONS,
        summary="Recount everything by two independent ways",
        handler=operations.audit,
        of_all=True,
        answer=shapes.AuditView,
        errors=(503,),
    ),
    Call(
        method="GET",
        path="/v1/schema/notification.json",
        scope="read",
        tag=NOTIFICATIONS,
        summary="The JSON Schema of a notification's payload, as it is enforced",
        handler=operations.notification_schema,
        answer=shapes.JsonObject,
        media_type=operations.SCHEMA_TYPE,
    ),
    Call(
        method="GET",
        path="/healthz",
        scope=OPEN,
        tag=OPERATIONS,
        summary="200 while the process lives",
        handler=operations.alive,
        answer=shapes.Alive,
    ),
    Call(
        method="GET",
        path="/readyz",
        scope=OPEN,
        tag=OPERATIONS,
        summary="200 when this process's roles can work, 503 when they can't",
        handler=operations.ready,
        answer=shapes.JsonObject,
        errors=(503,),
    ),
    Call(
        method="GET",
        path="/metrics",
        scope=WATCH,
        tag=OPERATIONS,
        summary="Figures in Prometheus' text format",
        handler=operations.metrics,
        media_type=operations.METRICS_TYPE,
    ),
    Call(
        method="GET",
        path="/openapi.json",
        scope=WATCH,
        tag=OPERATIONS,
        summary="This interface, as OpenAPI 3.1",
        handler=openapi_document,
        answer=shapes.JsonObject,
    ),
    Call(
        method="GET",
        path="/docs",
        scope=WATCH,
        tag=OPERATIONS,
        summary="This interface, to read",
        handler=docs_page,
        media_type="text/html; charset=utf-8",
    ),
)
