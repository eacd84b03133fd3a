"""A stand-in of SendGrid that takes calls for several messages, and notes each call before it answers.

It runs in the test's own process, so that its book outlives whatever is killed. A call that names an address at `refused.example`
is refused as a whole, as SendGrid does it, and nothing of it is taken.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sendwright.model import ids

from .harness import Taken

API_KEY = "SG.key-0123456789"
REFUSED = "@refused.example"


class MailStand(ThreadingHTTPServer):
    """Every call that came, in `calls`; those that were taken, by message, in `taken()`."""

    request_queue_size = 256

    def __init__(self, latency_s: float = 0.0) -> None:
        self.latency_s = latency_s
        self.calls: list[dict[str, Any]] = []
        self.parties: list[int] = []
        """How many messages each call carried that was taken."""
        self.in_flight = 0
        """Messages of calls that are not answered yet."""
        self._lock = threading.Lock()
        self._attempts: list[str] = []
        super().__init__(("127.0.0.1", 0), _Call)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def of(self, subject: str) -> list[list[str]]:
        """Whom each call of that subject was for."""
        calls = [call for call in self.calls if call["subject"] == subject]
        return [[envelope["to"][0]["email"] for envelope in call["personalizations"]] for call in calls]

    def taken(self) -> Taken:
        taken = Taken()
        for attempt in list(self._attempts):
            taken.by_message[ids.message_of(attempt)].append(attempt)
        return taken

    def noted(self, call: dict[str, Any]) -> tuple[int, int | None]:
        """The call's number, and the place of an envelope that it is refused for."""
        envelopes = call["personalizations"]
        bad = next((place for place, envelope in enumerate(envelopes) if envelope["to"][0]["email"].endswith(REFUSED)), None)
        with self._lock:
            self.in_flight += len(envelopes)
            self.calls.append(call)
            if bad is None:
                self.parties.append(len(envelopes))
                self._attempts += [envelope["custom_args"]["sendwright_attempt"] for envelope in envelopes]
            return len(self.calls), bad

    def over(self, call: dict[str, Any]) -> None:
        with self._lock:
            self.in_flight -= len(call["personalizations"])

    def handle_error(self, *_: object) -> None:
        """Whoever called may be dead by now."""

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Call(BaseHTTPRequestHandler):
    server: MailStand

    def do_POST(self) -> None:
        right = self.headers["Authorization"] == f"Bearer {API_KEY}"
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not right or not self.path.endswith("/v3/mail/send"):
            self._answer(401, 0, {"errors": [{"message": "The provided authorization grant is invalid", "field": None}]})
            return
        number, bad = self.server.noted(call)
        try:
            time.sleep(self.server.latency_s)
            error = {"message": "Does not contain a valid address.", "field": f"personalizations.{bad}.to.0.email", "help": None}
            self._answer(202 if bad is None else 400, number, None if bad is None else {"errors": [error]})
        finally:
            self.server.over(call)

    def _answer(self, status: int, number: int, said: object) -> None:
        body = b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("X-Message-Id", f"call-{number}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def sendgrid(stand: MailStand, *, name: str = "letters", extra: str = "") -> str:
    """A provider's table."""
    account = f'api_key = "{API_KEY}"\nfrom = "shop@example.com"\n'
    return f'[providers.{name}]\nkind = "sendgrid"\nbase_url = "{stand.url}"\n{account}{extra}\n'


def mail(address: str, **more: Any) -> dict[str, Any]:
    """All of them say the same, so that they may share calls."""
    content = {"title": "Maintenance", "body": "We will be away on Sunday."}
    return {"to": {"email": address}, "channels": ["email"], "content": content, "priority": "bulk", **more}


def shared(parties: Sequence[int]) -> list[int]:
    """Of the calls, those that carried several."""
    return [party for party in parties if party > 1]
