"""A small HTTP server that answers as the API would, for the command line's tests, and a runner of commands."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from click.testing import CliRunner, Result
from msgspec import Struct

from sendwright.cli.root import root

KEY = "cli-test-key-of-thirty-two-characters"
NOTIFICATION = "ntf_" + "0" * 32
MESSAGE = "msg_" + "0" * 34
AT = "2026-11-22T08:00:00.000Z"


class Asked(Struct, frozen=True):
    """One request, as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class Reply(Struct, frozen=True):
    """An answer; `body` is JSON unless it is bytes. `cut`: the connection ends without one."""

    body: Any = None
    status: int = 200
    cut: bool = False


Answer = Reply | Callable[[Asked], Reply]


class Server:
    """Answers by method and path: the first answers in their order, the last one for ever."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self._answers: dict[tuple[str, str], list[Answer]] = {}

    def answer(self, method: str, path: str, *answers: Answer) -> None:
        self._answers[method, path] = list(answers)

    def take(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        answers = self._answers.get((asked.method, asked.path))
        if not answers:
            return Reply({"title": "Not found", "status": 404, "code": "not_found", "detail": "nothing here", "errors": []}, 404)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer if isinstance(answer, Reply) else answer(asked)

    def bodies(self, method: str, path: str) -> list[Any]:
        return [asked.body for asked in self.asked if (asked.method, asked.path) == (method, path)]


@contextmanager
def serving() -> Iterator[Server]:
    """A server on a free port of 127.0.0.1."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    http.daemon_threads = True
    server = Server(f"http://127.0.0.1:{http.server_port}")
    http.answering = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


class _Handler(BaseHTTPRequestHandler):
    def _handle(self) -> None:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, json.loads(raw) if raw else None)
        reply = self.server.answering.take(asked)  # type: ignore[attr-defined]
        if reply.cut:
            self.close_connection = True
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def do_PATCH(self) -> None:
        self._handle()

    def log_message(self, *args: Any) -> None:
        """Tests keep quiet."""


def run(*args: str, server: Server | None = None, env: Mapping[str, str | None] | None = None, stdin: str | None = None) -> Result:
    """One command, in this process. Without a server the environment names none."""
    ours = {"SENDWRIGHT_URL": server.url if server else None, "SENDWRIGHT_KEY": KEY if server else None}
    return CliRunner().invoke(root, list(args), env={**ours, **(env or {})}, input=stdin, prog_name="sendwright")


def attempt(**changes: Any) -> dict[str, Any]:
    return {
        "id": "att_" + "0" * 37,
        "number": 1,
        "channel": "sms",
        "provider": "twilio-main",
        "state": "sent",
        "ref": "SM1",
        "started_at": "2026-11-22T08:00:00.100Z",
        "finished_at": "2026-11-22T08:00:00.200Z",
        "cost": None,
        "reason": None,
    } | changes


def message(state: str = "sent", **changes: Any) -> dict[str, Any]:
    return {
        "id": MESSAGE,
        "notification": NOTIFICATION,
        "recipient": None,
        "address": "+1•••0009",
        "state": state,
        "step": 0,
        "channel": "sms",
        "provider": "twilio-main",
        "reason": None,
        "waiting_for": None,
        "cost": None,
        "currency": None,
        "updated_at": AT,
        "attempts": [attempt()],
        "timeline": [{"at": AT, "event": "notification.accepted", "detail": ""}],
    } | changes


def notification(*messages: dict[str, Any], **changes: Any) -> dict[str, Any]:
    states = [one["state"] for one in messages]
    return {
        "id": NOTIFICATION,
        "type": None,
        "state": states[0] if states else "accepted",
        "counts": {state: states.count(state) for state in states},
        "priority": "normal",
        "category": "transactional",
        "metadata": {},
        "created_at": AT,
        "send_at": None,
        "expires_at": None,
        "messages": list(messages),
        "messages_cursor": None,
    } | changes


def problem(status: int, code: str, *errors: tuple[str, str, str]) -> Reply:
    """A problem document; errors are (pointer, code, detail)."""
    faults = [{"pointer": pointer, "code": fault, "detail": detail} for pointer, fault, detail in errors]
    body = {"type": f"urn:x:{code}", "title": f"Title of {code}", "status": status, "code": code, "detail": "Its detail."}
    return Reply({**body, "request_id": "req_1", "errors": faults}, status)
