"""HTTP by hand: a client that says exactly what it is told, and a vendor that answers with exactly the bytes it is given.

Both work on plain sockets, so that a request may lie about itself, and so may an answer.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .harness import ADMIN_KEY

WITHIN_S = 15.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json()["code"])

    def faults(self) -> dict[str, str]:
        """Codes by pointer, parameter or header."""
        places = ("pointer", "parameter", "header")
        return {next(e[p] for p in places if p in e): e["code"] for e in self.json().get("errors", ())}


def exchange(port: int, raw: bytes, within_s: float = WITHIN_S) -> bytes:
    """Writes these bytes, and reads until the other side closes or has answered whole."""
    with socket.create_connection(("127.0.0.1", port), within_s) as sock:
        sock.settimeout(within_s)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has answered already: that is what we want
            sock.sendall(raw)
        return _read(sock)


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | object = b"",
    headers: Mapping[str, str] | None = None,
    *,
    key: str | None = ADMIN_KEY,
) -> Answer:
    """One request with Content-Length and, unless told otherwise, a key; a header given as "" is left out."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"Host": f"127.0.0.1:{port}", "Connection": "close", "Content-Length": str(len(raw))}
    named |= {"Content-Type": "application/json"} if raw else {}
    named |= {} if key is None else {"Authorization": f"Bearer {key}"}
    named |= headers or {}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value != "")
    return parsed(exchange(port, f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + raw))


def parsed(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split()[1]), headers, body)


def _read(sock: socket.socket) -> bytes:
    raw = b""
    while True:
        head, found, body = raw.partition(b"\r\n\r\n")
        if found:
            lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if lengths and len(body) >= int(lengths[0]):
                return raw
        try:
            chunk = sock.recv(65_536)
        except ConnectionResetError:
            return raw
        if not chunk:
            return raw
        raw += chunk


class ScriptedVendor:
    """Answers every request with what `script` makes of it, and closes. Keeps what it was asked."""

    def __init__(self, script: Callable[[bytes], bytes]) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            # who waits to accept is woken: its number may be another's soon
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(sock,), daemon=True).start()

    def _answer(self, sock: socket.socket) -> None:
        with sock:
            sock.settimeout(WITHIN_S)
            request = _read(sock)
            if not request:
                return
            self.requests.append(request)
            try:
                sock.sendall(self.script(request))
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65_536):
                    pass
            except OSError:
                return


def until(moment: float) -> None:
    """Waits for a moment of the wall clock."""
    time.sleep(max(0.0, moment - time.time()))
