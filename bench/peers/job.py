"""What every peer in Python carries and sends, and how its enqueuer is told when to begin.

Imported by the peers' own environments, so nothing but the standard library.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable

PROVIDER = os.environ.get("BENCH_PROVIDER", "")
AMQP = os.environ.get("BENCH_AMQP", "amqp://guest:guest@127.0.0.1:5672/%2F")
REDIS = os.environ.get("BENCH_REDIS", "")
POSTGRES = os.environ.get("BENCH_POSTGRES", "")
DATABASE = os.environ.get("BENCH_DATABASE", "")
QUEUE = os.environ.get("BENCH_QUEUE", "sendwright-bench")

AT_ONCE = 200
"""Calls in flight that a worker with an event loop may have."""
ENQUEUERS = 64
ATTEMPTS = 5
HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer " + "0" * 32}
_TEXT = "Hello {name}, your order {order} of {items} items for {total} {currency} has shipped. Thank you for shopping with us!"


def notification(number: int) -> dict:
    """About 300 bytes of JSON."""
    return {
        "id": f"{number:032x}",
        "channel": "sms",
        "template": "order-shipped",
        "to": {"id": f"cust-{number % 100_000:010d}", "phone": f"+1415555{number % 10_000:04d}"},
        "data": {"name": "Magdalena", "order": f"ORD-2026-{number:06d}", "items": 3, "total": "1299.50", "currency": "CZK"},
    }


def provider_body(job: dict) -> bytes:
    """The provider's request: the text is filled in by the worker."""
    said = {"to": job["to"]["phone"], "from": "+15005550006", "text": _TEXT.format(**job["data"]), "reference": job["id"]}
    return json.dumps(said).encode()


def enqueue_when_told(enqueue: Callable[[int], None]) -> None:
    """Says `ready`, then enqueues as many as each line of the input says."""
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.time()
        enqueue(int(line))
        print(json.dumps({"seconds": time.time() - began}), flush=True)


async def enqueue_when_told_async(enqueue: Callable[[int], Awaitable[object]]) -> None:
    """The same, with as many at once as our own callers have connections."""
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        began = time.time()
        numbers = iter(range(int(line)))

        async def some(numbers=numbers) -> None:
            for number in numbers:
                await enqueue(number)

        await asyncio.gather(*(some() for _ in range(ENQUEUERS)))
        print(json.dumps({"seconds": time.time() - began}), flush=True)
