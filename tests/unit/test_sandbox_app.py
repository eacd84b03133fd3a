"""The sandbox as an ASGI application: the same desk, with what ASGI can say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sendwright.sandbox.app import BrokenOff, SandboxApp, sandbox_app
from sendwright.sandbox.faults import FaultSheet, Rule
from sendwright.sandbox.log import MessageLog
from sendwright.sandbox.options import SandboxOptions

MESSAGE = json.dumps({"channel": "sms", "to": "x", "body": "b", "idempotency_key": "k", "reference": "r"}).encode()


@pytest.fixture
def app() -> SandboxApp:
    return sandbox_app(SandboxOptions(), MessageLog())


async def call(app: SandboxApp, method: str, path: str, body: bytes = b"", root: str = "") -> tuple[list[Any], bytes]:
    """What the application sends: its events, and the body as a whole."""
    sent: list[Any] = []
    parts = [{"type": "http.request", "body": body[:10], "more_body": True}, {"type": "http.request", "body": body[10:]}]
    headers = [(b"host", b"127.0.0.1"), (b"authorization", b"Bearer sandbox")]
    scope = {"type": "http", "method": method, "path": path, "root_path": root, "query_string": b"", "headers": headers}

    async def receive() -> Any:
        return parts.pop(0)

    async def send(event: Any) -> None:
        sent.append(event)

    try:
        await app(scope, receive, send)
    except BrokenOff:
        sent.append({"type": "broken"})
    return sent, b"".join(event.get("body", b"") for event in sent)


async def test_message_is_taken_under_a_prefix_and_at_the_root(app: SandboxApp) -> None:
    mounted, _ = await call(app, "POST", "/sandbox/v1/messages", MESSAGE, root="/sandbox")
    alone, body = await call(app, "POST", "/v1/messages", MESSAGE)

    assert (mounted[0]["status"], alone[0]["status"]) == (202, 202)
    assert json.loads(body)["id"].startswith("sbx_")
    assert app.desk.log.stats().by_verdict == {"taken": 1, "replayed": 1}
    assert app.desk.log.stats().in_flight == 0


@pytest.mark.parametrize("path", ["/sandbox", "/sandbox/"])
async def test_page_names_its_parts_with_the_prefix(app: SandboxApp, path: str) -> None:
    _, body = await call(app, "GET", path, root="/sandbox")

    assert b'src="/sandbox/page.js"' in body
    assert b'data-fragment="/sandbox/fragment"' in body


@pytest.mark.parametrize(("deed", "taken"), [("reset_before", 0), ("reset_after", 1)])
async def test_reset_breaks_the_answer_off(app: SandboxApp, deed: Any, taken: int) -> None:
    app.desk.faults.put(FaultSheet((Rule(deed),)))

    events, body = await call(app, "POST", "/v1/messages", MESSAGE)

    assert [event["type"] for event in events] == ["http.response.start", "broken"]
    assert body == b""
    assert (app.desk.log.stats().taken, app.desk.log.stats().in_flight) == (taken, 0)


async def test_drip_and_oversize_are_whole(app: SandboxApp) -> None:
    app.desk.faults.put(FaultSheet((Rule("drip", every_ms=1, count=1), Rule("oversize", size_bytes=100_000))))

    dripped, first = await call(app, "POST", "/v1/messages", MESSAGE)
    _, second = await call(app, "POST", "/v1/messages", MESSAGE)

    assert json.loads(first)["id"]
    assert len(dripped) == len(first) + 2
    assert len(second) == 100_000


async def test_body_over_the_limit_is_refused(app: SandboxApp) -> None:
    events, _ = await call(app, "POST", "/v1/messages", b"x" * 1_048_577)

    assert events[0]["status"] == 413
    assert app.desk.log.stats().requests == 0
