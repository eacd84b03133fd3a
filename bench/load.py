"""A caller that costs little: posts notifications over kept-alive connections, and knows when each was answered.

Run as a process of its own (`python -m bench.load URL KEY COUNT CONNECTIONS [PRIORITY] [RATE]`), so that its work is not
counted with the server's. Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

import uvloop

TEXT = "Hello Magdalena, your order ORD-2026-{number:06d} of 3 items for 1299.5 CZK has shipped. Thank you for shopping with us!"


def body(number: int, priority: str) -> bytes:
    notification = {
        "to": {"id": f"cust-{number % 100_000:010d}", "phone": f"+1415555{number % 10_000:04d}"},
        "content": {"body": TEXT.format(number=number)},
        "priority": priority,
        "metadata": {"order": f"ORD-2026-{number:06d}"},
    }
    return json.dumps(notification).encode()


class _Caller(asyncio.Protocol):
    """One connection: writes a request, counts the answer, writes the next."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.buffer = b""
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.next()

    def next(self) -> None:
        number = self.run.take()
        if number is None:
            self.transport.close()
            return
        raw = body(number, self.run.priority)
        self.sent_at = time.perf_counter()
        self.transport.write(self.run.head + str(len(raw)).encode() + b"\r\n\r\n" + raw)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if len(rest) < length:
            return
        self.buffer = b""
        self.run.answered(int(head[9:12]), time.perf_counter() - self.sent_at)
        self.next()


class Run:
    def __init__(self, url: str, key: str, count: int, priority: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname, parts.port
        self.head = (
            f"POST /v1/notifications HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self.priority = priority
        self.left = iter(range(count))
        self.count = count
        self.took: list[float] = []
        self.refused = 0
        self.over = asyncio.Event()

    def take(self) -> int | None:
        return next(self.left, None)

    def answered(self, status: int, seconds: float) -> None:
        self.took.append(seconds)
        self.refused += status != 202
        if len(self.took) == self.count:
            self.over.set()


async def blast(url: str, key: str, count: int, connections: int, priority: str) -> dict[str, float]:
    run = Run(url, key, count, priority)
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: _Caller(run), run.host, run.port)
    await run.over.wait()
    seconds = time.perf_counter() - began
    ordered = sorted(run.took)
    return {
        "count": count,
        "refused": run.refused,
        "seconds": seconds,
        "rate": count / seconds,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
    }


if __name__ == "__main__":
    url, key, count, connections = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    priority = sys.argv[5] if len(sys.argv) > 5 else "normal"
    print(json.dumps(uvloop.run(blast(url, key, count, connections, priority))))
