"""What every call of the interface demands of a key: written by hand, beside the route table, so that the two must agree.

Who adds a call adds a line here: the scope that it takes, a body that it understands, and what its path names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from sendwright.model.layouts import LayoutBody
from sendwright.model.people import Change
from sendwright.model.types import TypeBody
from sendwright.policy.suppression import suppression
from sendwright.web.api.table import INBOX, OPEN, WATCH

from .api_world import NOW, World

TYPE = {"content": {"body": "Hello {{ name }}"}}
LAYOUT = {"html": "<main>{{ content }}</main>"}
TEXT = {"to": {"phone": "+14155550123"}, "content": {"body": "hello"}}


class Entry(Struct, frozen=True):
    """One call."""

    scope: str
    """`send`, `read`, `admin`; `OPEN`: no key; `WATCH`: the operator's keys alone;
    `INBOX`: a recipient's token."""
    body: Any = None
    """One that the call understands."""
    names: str | None = None
    """What the path's parameter names, as `furnished` has it; `SHARED` where it is nobody's in particular."""
    of_all: bool = False
    """It takes a key of the tenant `default`."""
    shared: bool = False
    """A list that shows everybody the same."""
    chosen: bool = False
    """The callers choose such ids themselves: another tenant's is one's own, not there yet."""


SHARED = "provider"
CHANNEL = "channel"
EVERYBODYS = (SHARED, CHANNEL)
ENTRIES: Mapping[str, Entry] = {
    "POST /v1/notifications": Entry("send", TEXT),
    "GET /v1/notifications": Entry("read"),
    "POST /v1/notifications/batch": Entry("send", {"notifications": [TEXT]}),
    "GET /v1/notifications/{id}": Entry("read", names="notification"),
    "POST /v1/notifications/{id}/cancel": Entry("send", names="notification"),
    "GET /v1/messages": Entry("read"),
    "GET /v1/messages/{id}": Entry("read", names="message"),
    "GET /v1/messages/{id}/content": Entry("read", names="message"),
    "POST /v1/messages/{id}/cancel": Entry("send", names="message"),
    "POST /v1/messages/{id}/resend": Entry("send", names="message"),
    "POST /v1/messages/{id}/resolve": Entry("send", {"as": "sent"}, names="message"),
    "GET /v1/recipients": Entry("read"),
    "POST /v1/recipients/batch": Entry("send", {"recipients": [{"id": "kim"}]}),
    "PUT /v1/recipients/{id}": Entry("send", {"email": "ada@example.org"}, names="recipient", chosen=True),
    "PATCH /v1/recipients/{id}": Entry("send", {"locale": "de"}, names="recipient"),
    "GET /v1/recipients/{id}": Entry("read", names="recipient"),
    "GET /v1/recipients/{id}/export": Entry("admin", names="recipient"),
    "DELETE /v1/recipients/{id}": Entry("admin", names="recipient", chosen=True),
    "POST /v1/suppressions": Entry("send", {"address": "+14155550123"}),
    "GET /v1/suppressions": Entry("read"),
    "POST /v1/suppressions/lookup": Entry("read", {"address": "+14155550123"}),
    "DELETE /v1/suppressions/{id}": Entry("admin", names="suppression"),
    "GET /v1/dead": Entry("read"),
    "POST /v1/dead/replay": Entry("admin", {"filters": {}}),
    "POST /v1/dead/drop": Entry("admin", {"filters": {}}),
    "GET /v1/types": Entry("read"),
    "PUT /v1/types/{name}": Entry("admin", TYPE, names=SHARED),
    "GET /v1/types/{name}": Entry("read", names="type"),
    "DELETE /v1/types/{name}": Entry("admin", names="type"),
    "POST /v1/types/{name}/preview": Entry("read", {"data": {}}, names="type"),
    "GET /v1/layouts": Entry("read"),
    "PUT /v1/layouts/{name}": Entry("admin", LAYOUT, names=SHARED),
    "GET /v1/layouts/{name}": Entry("read", names="layout"),
    "DELETE /v1/layouts/{name}": Entry("admin", names="layout"),
    "GET /v1/providers": Entry("read", shared=True),
    "GET /v1/providers/{name}": Entry("read", names=SHARED),
    "PATCH /v1/providers/{name}": Entry("admin", {"enabled": True}, names=SHARED, of_all=True),
    "POST /v1/providers/{name}/test": Entry("admin", {"to": "+14155550123"}, names=SHARED, of_all=True),
    "GET /v1/routes": Entry("read", shared=True),
    "GET /v1/routes/{channel}": Entry("read", names=CHANNEL),
    "PUT /v1/routes/{channel}": Entry("admin", {"providers": ["twilio-main"]}, names=CHANNEL, of_all=True),
    "DELETE /v1/routes/{channel}": Entry("admin", names=CHANNEL, of_all=True),
    "POST /v1/hooks/{provider}": Entry(OPEN, names=SHARED),
    "GET /v1/hooks/{provider}": Entry(OPEN, names=SHARED),
    "POST /v1/keys": Entry("admin", {"name": "another", "scopes": ["admin"]}),
    "GET /v1/keys": Entry("admin"),
    "DELETE /v1/keys/{id}": Entry("admin", names="key"),
    "POST /v1/recipients/{id}/token": Entry("send", names=SHARED),
    "GET /v1/inbox": Entry(INBOX),
    "GET /v1/inbox/count": Entry(INBOX),
    "POST /v1/inbox/mark": Entry(INBOX, {"as": "read", "all": True}),
    "GET /v1/inbox/stream": Entry(INBOX),
    "GET /inbox/sendwright-inbox.js": Entry(OPEN),
    "GET /inbox/demo": Entry(OPEN),
    "GET /inbox/demo.js": Entry(OPEN),
    "GET /inbox/demo.css": Entry(OPEN),
    "GET /u/{token}": Entry(OPEN, names=SHARED),
    "POST /u/{token}": Entry(OPEN, names=SHARED),
    "POST /v1/endpoints": Entry("admin", {"url": "https://example.org/hook"}),
    "GET /v1/endpoints": Entry("read"),
    "GET /v1/endpoints/{id}": Entry("read", names="endpoint"),
    "PATCH /v1/endpoints/{id}": Entry("admin", {"enabled": False}, names="endpoint"),
    "DELETE /v1/endpoints/{id}": Entry("admin", names="endpoint"),
    "POST /v1/endpoints/{id}/rotate": Entry("admin", names="endpoint"),
    "POST /v1/endpoints/{id}/test": Entry("admin", names="endpoint"),
    "GET /v1/endpoints/{id}/deliveries": Entry("read", names="endpoint"),
    "POST /v1/endpoints/{id}/replay": Entry("admin", names="endpoint"),
    "GET /v1/events": Entry("read"),
    "GET /v1/stats": Entry("read"),
    "GET /v1/backup": Entry("admin", of_all=True),
    "GET /v1/audit": Entry("admin", of_all=True),
    "GET /v1/schema/notification.json": Entry("read"),
    "GET /healthz": Entry(OPEN),
    "GET /readyz": Entry(OPEN),
    "GET /metrics": Entry(WATCH),
    "GET /openapi.json": Entry(WATCH),
    "GET /docs": Entry(WATCH),
}


async def furnished(world: World) -> dict[str, str]:
    """Something of each kind that a path can name, of the tenant `default`."""
    notification, (message,) = world.born()
    key, _ = await world.warden.made("default", "named in a path", ["read"])
    await world.people.directory.write([Change("default", "ada-of-default", {"email": "ada@example.org"}, NOW, "")])
    stopped = suppression(world.services.marker, "default", "sms", "+14155550123", "opted_out", "manual", NOW)
    await world.people.suppressions.add(stopped)
    await world.types.put("default", "order.shipped", msgspec.convert(TYPE, TypeBody), world.clock.ms)
    await world.layouts.put("default", "brand", msgspec.convert(LAYOUT, LayoutBody), world.clock.ms)
    people = {"type": "order.shipped", "layout": "brand", "recipient": "ada-of-default", "suppression": stopped.id}
    endpoint, _ = await world.receivers.made("default", "https://example.org/hook", "named in a path", [], enabled=True)
    things = {"notification": notification, "message": message, "key": key.id, "endpoint": endpoint.id}
    return {**things, SHARED: "twilio-main", CHANNEL: "sms", **people}


NOBODYS = {
    "notification": "ntf_" + "0" * 32,
    "message": "msg_" + "0" * 34,
    "key": "swk_00000000",
    "type": "order.returned",
    "layout": "plain",
    "recipient": "nobody",
    "suppression": "sup_" + "0" * 32,
    "endpoint": "end_" + "0" * 32,
}
"""Ids of what never was."""
