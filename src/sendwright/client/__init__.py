"""The Python client: `Sendwright` for ordinary code, `AsyncSendwright` for asyncio. Needs the extra `sendwright[client]`.

    from sendwright.client import Sendwright

    with Sendwright("http://127.0.0.1:8420", key) as client:
        taken = client.send({"phone": "+14155550123"}, content={"body": "Your order is on its way."})
        print(client.wait(taken.id).state)

Every answer is a struct; every refusal is an `ApiError` with all its faults. What may be repeated is repeated, by the client's own
idempotency key, so that a lost answer makes no second notification. Importing this loads nothing of the server.
"""

from __future__ import annotations

from sendwright.client.aio import AsyncSendwright
from sendwright.client.answers import (
    Attempt,
    Cancelled,
    DeadLetter,
    Event,
    Fault,
    Handled,
    Message,
    Notification,
    Provider,
    Reason,
    Refused,
    Taken,
    TimelineEntry,
    Waiting,
)
from sendwright.client.desk_answers import (
    Content,
    Delivery,
    Endpoint,
    EndpointTrial,
    Erased,
    Exported,
    Group,
    Key,
    MadeEndpoint,
    MadeKey,
    Point,
    Post,
    Preview,
    Recipient,
    RecipientToken,
    Replayed,
    Route,
    Stats,
    StoredType,
    Suppression,
    Tally,
    Written,
)
from sendwright.client.errors import ApiError, ClientError, NoAnswer, NotSettled
from sendwright.client.sync import Sendwright
from sendwright.client.webhooks import BadSignature, WebhookEvent, read_webhook

__all__ = [
    "ApiError",
    "AsyncSendwright",
    "Attempt",
    "BadSignature",
    "Cancelled",
    "ClientError",
    "Content",
    "DeadLetter",
    "Delivery",
    "Endpoint",
    "EndpointTrial",
    "Erased",
    "Event",
    "Exported",
    "Fault",
    "Group",
    "Handled",
    "Key",
    "MadeEndpoint",
    "MadeKey",
    "Message",
    "NoAnswer",
    "NotSettled",
    "Notification",
    "Point",
    "Post",
    "Preview",
    "Provider",
    "Reason",
    "Recipient",
    "RecipientToken",
    "Refused",
    "Replayed",
    "Route",
    "Sendwright",
    "Stats",
    "StoredType",
    "Suppression",
    "Taken",
    "Tally",
    "TimelineEntry",
    "Waiting",
    "WebhookEvent",
    "Written",
    "read_webhook",
]
