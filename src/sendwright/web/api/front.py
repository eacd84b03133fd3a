"""The front: uvicorn's HTTP protocol, with a short way through for the one call that a flood consists of.

A `POST /v1/notifications` that has arrived whole, is well formed and is answered 202 costs no task, no ASGI scope and one
write. Everything else, from a wrong key to a slow body, is handed over as if it had never been looked at, to the same
call as an ASGI function (hot.py), which is where refusals are worded. So there is one truth, and a quick way to say yes.

Order on a connection is kept by uvicorn's own means: while an answer is owed, `cycle` says so, and what is pipelined
behind it waits in `pipeline`.

A head that has no end, or never comes to one, is cut off here: uvicorn's parser would keep whatever is sent, from
anybody, for as long as they like. So is what goes on and on behind a head without being a body. Trailers are passed
over: they come after everything has been decided that a header may decide (RFC 9110, section 6.5.1).

Who has had an answer, and has not finished the request, is given a moment for it.

A head that asks for another protocol is read again without that wish, of which a server may take no notice (RFC 9110,
section 7.8). The parser would take what follows for that protocol, and lose the body: java.net.http asks for h2c in all
of its first requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sendwright.errors import Unavailable
from sendwright.model.records import Absent, Conflict, Running, Taken
from sendwright.web.api import problems
from sendwright.web.api.hot import Judged, PostNotification
from sendwright.web.api.problems import ProblemError, Refusal, retry_after
from sendwright.web.api.wire import request_id

_PATH = b"/v1/notifications"
_PROBED = frozenset({b"/healthz", b"/readyz", b"/metrics"})
PROBES_MAX = 16
"""So many connections beyond the limit are read, for those who only ask whether we live and how we are."""
_CLOSE = b"connection: close\r\n"

HEAD_MAX = 64 << 10
"""Bytes of a request's head, of its trailers and of whatever else is no body, and a little more: they are looked at as
often as something comes."""
HEAD_S = 30.0
"""How long a head may take to come, from a connection's beginning or its own first byte."""
GRACE_S = 10.0
"""How long the rest of a request may take to come that has been answered already: longer than a refusal is listened for."""

_ENDLESS = Refusal(
    431,
    "head_too_large",
    f"The head of a request, and what follows its body, have at most {HEAD_MAX} bytes each.",
    headers=((b"connection", b"close"),),
)
_SLOW = Refusal(408, "slow_head", f"The head of a request did not come within {HEAD_S:g} s.", headers=((b"connection", b"close"),))
_NOT_HTTP = Refusal(400, "not_http", "This is not HTTP/1.1 that can be read in one way only.", headers=((b"connection", b"close"),))
_HOSTLESS = Refusal(
    400,
    "not_http",
    "A request of HTTP/1.1 names its host once.",
    [ProblemError("required", "must be given once", header="Host")],
    headers=((b"connection", b"close"),),
)
_CROWDED = Refusal(
    503,
    "crowded",
    "As many are connected as there is room for. Try again.",
    headers=((b"connection", b"close"), *retry_after(1)),
    maybe=False,
)
_CODED = Refusal(
    501,
    "unknown_coding",
    "A body comes by its length or in chunks.",
    [ProblemError("unknown_coding", "may be chunked, and nothing else", header="Transfer-Encoding")],
    headers=((b"connection", b"close"),),
)


class _Fault(Exception):
    """Ends the parser's run; what is wrong has been noted."""


class _Event:
    """What uvicorn sets to wake an ASGI task. There is none to wake."""

    def set(self) -> None:
        return


class _Owed:
    """Stands in `cycle` while an answer is owed: the four things that uvicorn asks of a cycle."""

    __slots__ = ("body", "disconnected", "keep_alive", "message_event", "more_body", "response_complete")

    def __init__(self) -> None:
        self.response_complete = False
        self.disconnected = False
        self.keep_alive = True
        self.message_event = _Event()
        self.body = b""
        self.more_body = False


def front_of(post: PostNotification, connections_max: Callable[[], int]) -> type[HttpToolsProtocol]:
    """The protocol class for uvicorn's `http` setting. Who comes when so many are connected is told to come again."""

    class Front(_Front):
        call = post
        most = staticmethod(connections_max)

    return Front


class _Front(HttpToolsProtocol):
    call: PostNotification
    most: Callable[[], int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._short = False
        self._body = b""
        self._in_head = True
        self._beside = 0
        """Bytes that were no body, since the last one that was."""
        self._patience: asyncio.TimerHandle | None = None
        self._hosts = 0
        self._crowded = False
        """It came when there was no room: until there is, only whether we live is told here."""
        self._fault = _NOT_HTTP

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        beyond = len(self.connections) - self.most()
        self._crowded = beyond > 0
        if beyond > PROBES_MAX:
            self._cut_off(_CROWDED)
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._beside += len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except HttpParserError:
            self._cut_off(self._fault)
        if self.transport is None or self.transport.is_closing():
            return
        if self._short:
            self._hand_over()  # the rest of the body is still on its way: time limits are the ordinary way's
        elif self._beside > HEAD_MAX:
            self._cut_off(_ENDLESS)
        elif self._in_head and self._patience is None:
            self._await_next()

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as stopped:
                if not self._stays():
                    return  # CONNECT: what follows is not for us
                data = data[stopped.args[0] :]
                head = self._head_without_upgrade()
                self.parser = HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
                self.parser.feed_data(head)
            else:
                return

    def _stays(self) -> bool:
        """Whether this head asks for another protocol, and is to be read again."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                options = [option for option in value.split(b",") if option.strip().lower() != b"upgrade"]
                lines.append(b"connection:" + b",".join(options))
            elif name != b"upgrade":
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join([*lines, b"", b""])

    def _await_next(self) -> None:
        if self._beside:
            self._await_head()
        elif self.cycle is not None and self.cycle.response_complete:  # the request ended after its answer
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _await_head(self) -> None:
        self._patience = asyncio.get_running_loop().call_later(HEAD_S, self._cut_off, _SLOW)

    def _answered(self) -> bool:
        """Whether the request that is being read has had its answer."""
        return not self._in_head and not self._short and self.cycle is not None and self.cycle.response_complete

    def _arrived(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _cut_off(self, refusal: Refusal) -> None:
        """Ends the connection with a word: after the answer that is still owed to a request that came whole, else now."""
        self._arrived()
        cycle = self.cycle
        owed = cycle is not None and not cycle.response_complete
        if owed and not cycle.more_body:
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        if self._answered():
            self.transport.close()
            return
        if not owed or not cycle.response_started:
            self.transport.write(self.call.refused(refusal, request_id({})))
        if owed:
            cycle.disconnected = True  # nothing may be written behind this
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self._cut_off(_NOT_HTTP)

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._hosts = 0
        self._short = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer
        super().on_header(name, value)
        name = self.headers[-1][0]
        if name == b"host":
            self._hosts += 1
        elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            self._fail(_CODED)  # the parser would call the chunks of what was compressed a body

    def _fail(self, fault: Refusal) -> None:
        self._fault = fault
        raise _Fault

    def _judge_head(self) -> None:
        """What the parser lets through, and RFC 9112 does not (sections 2.3, 3.2 and 6.1)."""
        version = self.parser.get_http_version()
        if version == "1.1":
            if self._hosts != 1:
                self._fail(_HOSTLESS)
        elif version != "1.0" or any(name == b"transfer-encoding" for name, _ in self.headers):
            self._fail(_NOT_HTTP)

    def on_headers_complete(self) -> None:
        if self._stays():
            return
        self._judge_head()
        if self._crowded:
            self._crowded = len(self.connections) > self.most()
            if self._crowded and self.url.partition(b"?")[0] not in _PROBED:
                self._fail(_CROWDED)
        self._in_head = False
        if self._patience is not None:
            self._arrived()
        free = self.cycle is None or self.cycle.response_complete
        plain = self.parser.get_method() == b"POST" and self.url == _PATH and not self.expect_100_continue
        self._short = plain and free and self.parser.should_keep_alive()
        self._body = b""
        if not self._short:
            self._hand_over()

    def on_body(self, body: bytes) -> None:
        self._beside = 0
        if self._short:
            self._body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._stays():
            return
        if self._answered():
            self._arrived()
        self._in_head, self._beside = True, 0
        if not self._short:
            super().on_message_complete()
            return
        try:
            judged = self.call.judge(self.headers, self._body)
            future = asyncio.ensure_future(judged.begun)
        except (Refusal, Unavailable):
            self._hand_over()
            super().on_message_complete()
            return
        self._short = False
        self.cycle = owed = _Owed()  # type: ignore[assignment]
        future.add_done_callback(lambda done: self._answer(owed, judged, done))

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._answered() and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._patience = asyncio.get_running_loop().call_later(GRACE_S, self.transport.close)

    def _hand_over(self) -> None:
        """Lets uvicorn begin this request the ordinary way, with what has come of it so far."""
        url, headers, expects, body = self.url, self.headers, self.expect_100_continue, self._body
        self._short = False
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()
        if body:
            self._body = b""
            super().on_body(body)

    def _answer(self, owed: _Owed, judged: Judged, done: asyncio.Future[Taken | Conflict | Running | Absent]) -> None:
        answer = self._said(judged, done)
        owed.response_complete = True
        if self.transport is None or self.transport.is_closing() or owed.disconnected:
            return
        if not owed.keep_alive:
            answer = answer.replace(b"\r\n\r\n", b"\r\n" + _CLOSE + b"\r\n", 1)
        self.transport.write(answer)
        self.on_response_complete()
        if not owed.keep_alive:
            self.transport.close()

    def _said(self, judged: Judged, done: asyncio.Future[Taken | Conflict | Running | Absent]) -> bytes:
        try:
            return self.call.over(judged, done.result())
        except Refusal as refusal:
            return self.call.refused(refusal, judged.request_id)
        except Unavailable as fault:
            return self.call.refused(problems.unavailable(fault), judged.request_id)
        except Exception:  # noqa: BLE001 — a future's callback has nobody above it who could answer
            return self.call.refused(problems.internal(), judged.request_id)
