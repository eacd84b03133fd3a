"""The front: uvicorn's HTTP protocol, with a short way through for the one call that a flood consists of.

A `POST /v1/notifications` that has arrived whole, is well formed and is answered 202 costs no task, no ASGI scope and one
write. Everything else, from a wrong key to a slow body, is handed over as if it had never been looked at, to the same
call as an ASGI function (hot.py), which is where refusals are worded. So there is one truth, and a quick way to say yes.

Order on a connection is kept by uvicorn's own means: while an answer is owed, `cycle` says so, and what is pipelined
behind it waits in `pipeline`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sendwright.errors import Unavailable
from sendwright.model.records import Conflict, Running, Taken
from sendwright.web.api import problems
from sendwright.web.api.hot import Judged, PostNotification
from sendwright.web.api.problems import Refusal

_PATH = b"/v1/notifications"
_CLOSE = b"connection: close\r\n"


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


def front_of(post: PostNotification) -> type[HttpToolsProtocol]:
    """The protocol class for uvicorn's `http` setting."""

    class Front(_Front):
        call = post

    return Front


class _Front(HttpToolsProtocol):
    call: PostNotification

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._short = False
        self._body = b""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._short and not self.transport.is_closing():
            self._hand_over()  # the rest of the body is still on its way: time limits are the ordinary way's

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._short = False

    def on_headers_complete(self) -> None:
        free = self.cycle is None or self.cycle.response_complete
        plain = self.parser.get_method() == b"POST" and self.url == _PATH and not self.expect_100_continue
        self._short = plain and free and self.parser.should_keep_alive() and not self.parser.should_upgrade()
        self._body = b""
        if not self._short:
            self._hand_over()

    def on_body(self, body: bytes) -> None:
        if self._short:
            self._body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
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

    def _answer(self, owed: _Owed, judged: Judged, done: asyncio.Future[Taken | Conflict | Running]) -> None:
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

    def _said(self, judged: Judged, done: asyncio.Future[Taken | Conflict | Running]) -> bytes:
        try:
            return self.call.over(judged, done.result())
        except Refusal as refusal:
            return self.call.refused(refusal, judged)
        except Unavailable as fault:
            return self.call.refused(problems.unavailable(fault), judged)
        except Exception:  # noqa: BLE001 — a future's callback has nobody above it who could answer
            return self.call.refused(problems.internal(), judged)
