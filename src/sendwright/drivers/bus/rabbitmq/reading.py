"""What a message's headers say. They came over a network: nothing in them is believed to have a type."""

from __future__ import annotations

import time
from typing import Any

from aiormq.abc import DeliveredMessage

from sendwright.drivers.bus.rabbitmq.gauge import Seen
from sendwright.drivers.bus.rabbitmq.publisher import AT, COUNT
from sendwright.model.parcel import split


def headers_of(message: DeliveredMessage) -> dict[str, Any]:
    headers = message.header.properties.headers
    return dict(headers) if headers else {}


def seen_of(message: DeliveredMessage) -> Seen:
    """Parcels and time of a bundle; counted, and as of now, where it was not us who published it."""
    headers = headers_of(message)
    count, at = headers.get(COUNT), headers.get(AT)
    if not isinstance(count, int) or count < 1:
        count = len(split(message.body))
    return Seen(count, at if isinstance(at, int) else int(time.time() * 1000))
