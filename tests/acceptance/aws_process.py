"""Amazon SES and SNS, played by moto in a process of its own, behind one address; SNS signs what it delivers for real.

The front signs what asks for a certificate, for by that alone moto can tell which service is meant.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.ports import free_port

from .harness import Process, call, wait_until

REGION = "eu-central-1"
_KEYS = "AWS4-HMAC-SHA256 Credential=test/20261122/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"


class Aws:
    """`base_url` of the provider, and a hand on the topic."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]
        self._moto = Process(command, folder / "moto.out")
        self.url = f"http://127.0.0.1:{self._port}"
        wait_until(lambda: call("GET", f"{self.url}/moto-api/")[0] == 200, 60, "moto is up")
        self._front = Front(self._port)
        self.base_url = f"http://127.0.0.1:{self._front.server_port}"
        self.asked = self._front.asked
        self.own = self._front.own

    def verify(self, address: str) -> None:
        """Makes it an identity that mails may be from."""
        self._call("ses", "POST", "/v2/email/identities", json.dumps({"EmailIdentity": address}).encode())

    def sent(self) -> list[dict[str, Any]]:
        """What SES took."""
        found: list[dict[str, Any]] = call("GET", f"{self.url}/moto-api/data.json")[1]["ses"].get("Message", [])
        return found

    def topic(self, name: str) -> str:
        said = self._sns(Action="CreateTopic", Name=name)
        return re.findall(r"<TopicArn>(.*?)</TopicArn>", said)[0]

    def subscribe(self, topic: str, endpoint: str) -> None:
        self._sns(Action="Subscribe", TopicArn=topic, Protocol="http", Endpoint=endpoint)

    def publish(self, topic: str, event: object) -> None:
        """SNS delivers it before this returns."""
        self._sns(Action="Publish", TopicArn=topic, Message=json.dumps(event))

    def stop(self) -> None:
        self._front.shutdown()
        self._front.server_close()
        self._moto.kill()

    def _sns(self, **said: str) -> str:
        return self._call("sns", "POST", "/", urlencode(said | {"Version": "2010-03-31"}).encode())

    def _call(self, service: str, method: str, path: str, body: bytes) -> str:
        kind = "application/json" if path != "/" else "application/x-www-form-urlencoded"
        headers = {"Authorization": _KEYS.format(region=REGION, service=service), "Content-Type": kind}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, body, headers, method=method), timeout=30) as reply:
            answer: str = reply.read().decode()
            return answer


class Front(ThreadingHTTPServer):
    def __init__(self, port: int) -> None:
        self.behind = port
        self.asked: list[str] = []
        """What was asked for by GET, each time: certificates, and confirmations."""
        self.own: dict[str, bytes] = {}
        """What is answered by a test itself, by path."""
        super().__init__(("127.0.0.1", 0), Forwarding)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Forwarding(BaseHTTPRequestHandler):
    server: Front

    def do_POST(self) -> None:
        self._forward(self.rfile.read(int(self.headers["Content-Length"])), dict(self.headers.items()))

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if (body := self.server.own.get(self.path)) is not None:
            self._answer(200, body)
        else:
            self._forward(None, {"Authorization": _KEYS.format(region=REGION, service="sns")})

    def _forward(self, body: bytes | None, headers: dict[str, str]) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.server.behind}{self.path}", body, headers, method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                status, answer = reply.status, reply.read()
        except urllib.error.HTTPError as error:
            status, answer = error.code, error.read()
        self._answer(status, answer)

    def _answer(self, status: int, answer: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""
