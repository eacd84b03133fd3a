"""A small client of the HTTP API: asks, reads the answer, and says in plain words why there is none.

One connection per call, no redirects, no proxies, no retries: who calls decides that. The key is in a header and
nowhere else, so no error can show it.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from msgspec import Struct

from sendwright.errors import OperatorError, SendwrightError
from sendwright.providers.contract import Secret

ANSWER_S = 30.0
"""How long an answer may take, in seconds."""
QUIET_S = 60.0
"""How long an event stream may be silent: it says that it is still there every 15 s."""
COPY_S = 3600.0
"""How long it may take until a copy begins to come, and between two of its pieces."""
PAGE_MAX = 500

Query = Mapping[str, str | int | bool | None]


class NoAnswer(SendwrightError):
    """Nobody there, or the answer was lost. `maybe`: the request may have been taken all the same."""

    def __init__(self, detail: str, *, maybe: bool) -> None:
        self.maybe = maybe
        super().__init__(detail)


class Refused(SendwrightError):
    """An answer that is no success, with everything that it says is wrong."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code", ""))
        super().__init__(_told(status, problem))


class Told(Struct, frozen=True):
    """One event of the stream."""

    id: str
    type: str
    body: dict[str, Any]


class Api:
    """The API at `base` (scheme, host, perhaps a path), called with `key`."""

    def __init__(self, base: str, key: Secret | None) -> None:
        parts = urlsplit(base)
        self.base = base
        self._host, self._port, self._prefix = parts.hostname or "", parts.port, parts.path.rstrip("/")
        self._secure = parts.scheme == "https"
        self._headers = {"Accept": "application/json", "User-Agent": "sendwright-cli"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {_sendable(key)}"

    def __repr__(self) -> str:
        return f"Api({self.base})"

    def get(self, path: str, query: Query | None = None, *, within_s: float = ANSWER_S) -> Any:
        return self.ask("GET", path, query=query, within_s=within_s)

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        within_s: float = ANSWER_S,
    ) -> Any:
        """The answer's JSON. Raises `Refused` for any status but 2xx, and `NoAnswer`."""
        sent = None if body is None else json.dumps(body).encode()
        extra = {**(headers or {}), **({} if sent is None else {"Content-Type": "application/json"})}
        connection = self._connected(within_s)
        try:
            connection.request(method, self._target(path, query), sent, {**self._headers, **extra})
            reply = connection.getresponse()
            return _read(reply.status, reply.read())
        except (OSError, HTTPException) as error:
            raise NoAnswer(f"{self.base} gave no answer: {_why(error)}", maybe=True) from error
        finally:
            connection.close()

    def listed(self, path: str, query: Query, limit: int = sys.maxsize) -> dict[str, Any]:
        """A list's answer with up to `limit` entries, from as many pages as that takes."""
        whole: dict[str, Any] = {}
        cursor = None
        while True:
            wanted = limit - len(whole.get("data", ()))
            page = self.get(path, {**query, "limit": min(wanted, PAGE_MAX), "cursor": cursor})
            whole = page if not whole else {**whole, "data": whole["data"] + page["data"], "next_cursor": page["next_cursor"]}
            cursor = page["next_cursor"]
            if cursor is None or len(whole["data"]) >= limit:
                return whole

    def download(self, path: str, to: Path) -> int:
        """Writes an answer into a file, synced; its size in bytes. Raises `Refused` and `NoAnswer`."""
        connection = self._connected(COPY_S)
        try:
            connection.request("GET", self._target(path, None), None, self._headers)
            with closing(connection.getresponse()) as reply, to.open("wb") as file:
                if reply.status != 200:
                    _read(reply.status, reply.read())
                shutil.copyfileobj(reply, file, 1 << 20)
                file.flush()
                os.fsync(file.fileno())
                return file.tell()
        except HTTPException as error:
            raise NoAnswer(f"the copy from {self.base} broke off: {_why(error)}", maybe=True) from error
        except OSError as error:
            raise OperatorError(f"the copy could not be written: {_why(error)}") from error
        finally:
            connection.close()

    def events(self, types: str | None, after: str | None) -> Iterator[Told]:
        """Events as they happen, until the other side ends the stream. Raises `Refused` and `NoAnswer`."""
        extra = {"Accept": "text/event-stream", **({} if after is None else {"Last-Event-ID": after})}
        connection = self._connected(QUIET_S)
        try:
            connection.request("GET", self._target("/v1/events", {"types": types}), None, {**self._headers, **extra})
            with closing(connection.getresponse()) as reply:
                if reply.status != 200:
                    _read(reply.status, reply.read())
                yield from read_events(_lines(reply))
        except (OSError, HTTPException) as error:
            raise NoAnswer(f"the stream from {self.base} was lost: {_why(error)}", maybe=True) from error
        finally:
            connection.close()

    def _connected(self, within_s: float) -> HTTPConnection:
        connection: HTTPConnection
        if self._secure:
            context = ssl.create_default_context()
            connection = HTTPSConnection(self._host, self._port, timeout=within_s, context=context)
        else:
            connection = HTTPConnection(self._host, self._port, timeout=within_s)
        try:
            connection.connect()
        except OSError as error:
            hint = "is it running? (`make up`, or `sendwright up`; SENDWRIGHT_URL names another address)"
            raise NoAnswer(f"nothing answers at {self.base} ({_why(error)}): {hint}", maybe=False) from error
        return connection

    def _target(self, path: str, query: Query | None) -> str:
        given = {name: _word(value) for name, value in (query or {}).items() if value is not None}
        return f"{self._prefix}{path}{'?' if given else ''}{urlencode(given)}"


def part(text: str) -> str:
    """A word as one part of a path, whatever is in it."""
    return quote(text, safe="")


def read_events(lines: Iterable[bytes]) -> Iterator[Told]:
    """The events of a stream's lines (WHATWG HTML, server-sent events), without comments and keep-alives."""
    fields: dict[str, str] = {}
    for raw in lines:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields['data']}\n{value}" if name == "data" and "data" in fields else value
        elif "data" in fields:
            yield Told(fields.get("id", ""), fields.get("event", ""), _object(fields["data"]))
            fields = {}
        else:
            fields = {}


def _lines(reply: HTTPResponse) -> Iterator[bytes]:
    while line := reply.readline():
        yield line


def _read(status: int, raw: bytes) -> Any:
    try:
        value = json.loads(raw) if raw else None
    except ValueError:
        value = None
    if not 200 <= status < 300:
        raise Refused(status, value if isinstance(value, dict) else {})
    if value is None and raw:
        raise NoAnswer("the answer is not JSON: is SENDWRIGHT_URL the address of a Sendwright?", maybe=True)
    return value


def _told(status: int, problem: Mapping[str, Any]) -> str:
    """A problem document as text: what it is, every fault on a line of its own, and the request's id for the logs."""
    title = problem.get("title") or f"the answer was {status}"
    detail = problem.get("detail")
    lines = [f"{title} ({status}{', ' + str(problem['code']) if problem.get('code') else ''})"]
    faults = [fault for fault in problem.get("errors") or () if isinstance(fault, dict)]
    if detail and not faults:
        lines[0] += f": {detail}"
    for fault in faults:
        place = fault.get("pointer") or fault.get("parameter") or fault.get("header") or "#"
        lines.append(f"  {place}: {fault.get('detail', '')} ({fault.get('code', '')})")
    if status == 401:
        lines.append("  the key is SENDWRIGHT_KEY, else [api] admin_key, else the file admin_key in the data folder (--data)")
    if problem.get("request_id") and status >= 500:
        lines.append(f"  request {problem['request_id']}")
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _word(value: str | int | bool | None) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sendable(key: Secret) -> str:
    text = key.reveal()
    if not text or not all("!" <= c <= "~" for c in text):
        raise OperatorError("the key holds a space, or a character that no header can carry")
    return text


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__
