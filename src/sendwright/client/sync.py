"""`Sendwright`: the client for code that waits."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from sendwright import __version__
from sendwright.client import calls
from sendwright.client.answers import (
    Cancelled,
    DeadLetter,
    Event,
    Handled,
    Message,
    Moved,
    Notification,
    Page,
    Provider,
    Refused,
    Taken,
)
from sendwright.client.calls import Call, Query
from sendwright.client.desk_sync import Desk
from sendwright.client.errors import ApiError, NoAnswer, NotSettled

T = TypeVar("T")

TIMEOUT_S = 10.0
"""How long a call may take, in seconds, each time that it is tried."""
QUIET_S = 60.0
"""How long an event stream may be silent: it says that it is still there every 15 s."""
LOOK_S = 0.2
"""How often `wait` looks."""
SETTLED = frozenset({"sent", "failed", "expired", "cancelled", "suppressed", "delivered", "read", "in_doubt"})
"""Of these nothing follows unless a receipt or a person says so."""
REACHED = frozenset({"delivered", "read"})
ENDED = frozenset({"failed", "expired", "cancelled", "suppressed", "in_doubt"})


class Sendwright(Desk):
    """The API at `base_url`, called with `key`. Thread-safe where httpx2 is; close it, or use it in a `with`.

    Every call raises `ApiError` for a refusal and `NoAnswer` where there is none. What may be repeated is tried five times in all,
    at growing and random intervals or when the answer says so."""

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        tenant: str | None = None,
        timeout_s: float = TIMEOUT_S,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """`tenant`: whom the settings' admin key acts for. `transport` replaces the network, for tests."""
        headers = {"Authorization": f"Bearer {key}", "User-Agent": f"sendwright-python/{__version__}"}
        if tenant is not None:
            headers["Sendwright-Tenant"] = tenant
        self._base_url = base_url.rstrip("/")
        self._http = httpx2.Client(headers=headers, timeout=timeout_s, transport=transport, follow_redirects=False)

    def __repr__(self) -> str:
        return f"Sendwright({self._base_url})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()

    # Notifications

    def send(
        self,
        to: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]],
        *,
        content: Mapping[str, Any] | None = None,
        type: str | None = None,  # noqa: A002 -- the contract's word
        data: Mapping[str, Any] | None = None,
        channels: Sequence[str] | None = None,
        plan: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        priority: str | None = None,
        category: str | None = None,
        send_at: str | None = None,
        expires_at: str | None = None,
        ttl: str | None = None,
        digest: Mapping[str, str] | None = None,
        on_doubt: str | None = None,
        idempotency_key: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Taken:
        """Has a notification accepted: durable when this returns. The fields are those of `POST /v1/notifications`.

        Without `idempotency_key` the client makes one of its own, so that its repeats are known; give yours where your own code
        may call this twice for one thing."""
        fields = {
            "content": content, "type": type, "data": data, "channels": channels, "plan": plan, "priority": priority,
            "category": category, "send_at": send_at, "expires_at": expires_at, "ttl": ttl, "digest": digest,
            "on_doubt": on_doubt, "metadata": metadata,
        }  # fmt: skip
        return self._do(calls.send(to, idempotency_key, fields))

    def send_batch(self, notifications: Sequence[Mapping[str, Any]]) -> list[Taken | Refused]:
        """Up to 1,000 at once, each judged alone, answered in order. Each is given a key of its own where it has none."""
        answer = self._do(calls.batch(notifications))
        return [result.told for result in answer.results]

    def notification(self, id_: str) -> Notification:
        """One, with its first hundred messages."""
        return self._do(calls.notification(id_))

    def find(self, idempotency_key: str) -> Notification | None:
        """The one that a key stands for."""
        page = self._do(calls.notifications({"idempotency_key": idempotency_key}))
        return page.data[0] if page.data else None

    def notifications(
        self,
        *,
        state: str | None = None,
        type: str | None = None,  # noqa: A002 -- the contract's word
        since: str | None = None,
        until: str | None = None,
    ) -> Iterator[Notification]:
        """All that match, newest first, page after page."""
        return self._pages(calls.notifications({"state": state, "type": type, "since": since, "until": until}))

    def cancel(self, id_: str) -> Cancelled:
        """Stops what was not sent yet, of a notification's id or a message's."""
        return self._do(calls.cancel(id_))

    def wait(self, id_: str, *, until: str = "sent", timeout_s: float = 30.0) -> Notification:
        """The notification, once all of its messages are `sent` (or more), or `delivered`, or can't be any more.

        Raises `NotSettled`, with how it stands, when that takes longer."""
        if until not in {"sent", "delivered"}:
            raise ValueError("wait for `sent` or for `delivered`")
        give_up = time.monotonic() + timeout_s
        wanted = SETTLED if until == "sent" else REACHED | ENDED
        while True:
            found = self.notification(id_)
            if found.messages and found.counts.keys() <= wanted:
                return found
            if time.monotonic() >= give_up:
                raise NotSettled(found)
            time.sleep(LOOK_S)

    # Messages

    def message(self, id_: str) -> Message:
        """One, with its address, its attempts and its timeline."""
        return self._do(calls.message(id_))

    def messages(
        self,
        *,
        notification: str | None = None,
        state: str | None = None,
        channel: str | None = None,
        provider: str | None = None,
        recipient: str | None = None,
        since: str | None = None,
        until: str | None = None,
        doubled: bool | None = None,
    ) -> Iterator[Message]:
        """All that match, newest first, page after page. `doubled`: may have been sent twice."""
        query: Query = {
            "notification": notification, "state": state, "channel": channel, "provider": provider, "recipient": recipient,
            "since": since, "until": until, "doubled": doubled,
        }  # fmt: skip
        return self._pages(calls.messages(query))

    def resend(self, message: str) -> Moved:
        """Sends it again, from its first step. Not repeated by itself: each call is another."""
        return self._do(calls.resend(message))

    def resolve(self, message: str, verdict: str) -> Moved:
        """A person's word on a message in doubt: `sent`, `failed` or `resend`."""
        return self._do(calls.resolve(message, verdict))

    # Operations

    def providers(self) -> list[Provider]:
        """All, in the order of the settings."""
        return (self._do(calls.providers())).data

    def switch(
        self, provider: str, *, enabled: bool | None = None, rate: str | None = None, concurrency: int | None = None
    ) -> Provider:
        """Switches a provider; what is None stays as it is. In force everywhere within a second."""
        given = {"enabled": enabled, "rate": rate, "concurrency": concurrency}
        return self._do(calls.switch(provider, {name: value for name, value in given.items() if value is not None}))

    def dead(self, *, channel: str | None = None, provider: str | None = None, since: str | None = None) -> Iterator[DeadLetter]:
        """The messages that exhausted every step, newest first, page after page."""
        return self._pages(calls.dead({"channel": channel, "provider": provider, "since": since}))

    def replay(self, ids: Sequence[str] | None = None, *, filters: Mapping[str, str] | None = None) -> Handled:
        """Sends dead letters again, by ids or by filters."""
        return self._do(calls.handle("replay", ids, filters))

    def drop(self, ids: Sequence[str] | None = None, *, filters: Mapping[str, str] | None = None) -> Handled:
        """Takes dead letters off the list, by ids or by filters."""
        return self._do(calls.handle("drop", ids, filters))

    def events(self, *, types: Sequence[str] = (), after: str | None = None) -> Iterator[Event]:
        """Events as they happen, for ever, taken up again where a connection broke. `after`: the id of the last that was seen."""
        stream = calls.Stream()
        stream.last = after
        query = {"types": ",".join(types)} if types else {}
        tried = 0
        while True:
            seen = {"Accept": "text/event-stream"} if stream.last is None else {"Last-Event-ID": stream.last}
            call: Call[Event] = Call("GET", "/v1/events", Event, query=query, headers=seen)
            try:
                with self._http.stream(
                    "GET", self._base_url + call.path, params=call.params, headers=seen, timeout=QUIET_S
                ) as reply:
                    if reply.status_code != 200:
                        raise calls.problem(reply.status_code, reply.headers, reply.read())
                    tried = 0
                    for line in reply.iter_lines():
                        event = stream.line(line)
                        if event is not None:
                            yield event
                tried += 1
                waits = calls.after_silence(call, tried)
            except ApiError as error:
                tried += 1
                waits = calls.after(call, tried, error)
                if waits is None:
                    raise
            except httpx2.TransportError as error:
                tried += 1
                waits = calls.after_silence(call, tried)
                if waits is None:
                    raise NoAnswer(_why(error), maybe=False) from None
            time.sleep(waits or 0.0)

    # How

    def _do(self, call: Call[T]) -> T:
        tried, maybe = 0, False
        while True:
            tried += 1
            try:
                reply = self._http.request(
                    call.method, self._base_url + call.path, params=call.params, content=call.content, headers=_headers(call)
                )
            except httpx2.TransportError as error:
                maybe |= not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
                waits = calls.after_silence(call, tried)
                if waits is None:
                    raise NoAnswer(_why(error), maybe=maybe) from None
            else:
                try:
                    return calls.read(call, reply.status_code, reply.headers, reply.content)
                except ApiError as error:
                    waits = calls.after(call, tried, error)
                    if waits is None:
                        raise
            time.sleep(waits)

    def _pages(self, call: Call[Page[T]]) -> Iterator[T]:
        cursor: str | None = None
        while True:
            page = self._do(call.at(cursor))
            yield from page.data
            cursor = page.next_cursor
            if cursor is None:
                return


def _headers(call: Call[Any]) -> dict[str, str]:
    return {**call.headers, "Content-Type": "application/json"} if call.body is not None else dict(call.headers)


def _why(error: httpx2.TransportError) -> str:
    """What broke, in a word: the error's own text may hold the address."""
    return f"no answer: {type(error).__name__}"
