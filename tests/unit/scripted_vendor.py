"""The other end of the line: vendors that answer by a script and keep every call, and the adapter and egress to them."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from sendwright.errors import Denied, Unreachable
from sendwright.providers.answers import by_status, later
from sendwright.providers.contract import (
    Accepted,
    Answer,
    AttemptState,
    Capabilities,
    CommonSettings,
    HttpRequest,
    Lost,
    NotSent,
    Outcome,
    Outgoing,
    Provider,
    Reason,
    Receipt,
    Rejected,
    Reply,
    Request,
    Scope,
    Secret,
    Token,
    TooLong,
)

from .virtual_time import START_S

BODY_MAX = 5000
# Answers of vendors.
UNWELL = Reply(503)
THROTTLED = Reply(429)
REFUSED = Reply(400)
FORBIDDEN = Reply(401)
LOST = Lost("wait", "reset")
OK = Reply(202)
"""Taken, with a reference of its own for each call."""


class Call(Struct, frozen=True):
    """One request that was written. `at` in seconds since the test began."""

    at: float
    attempt: str
    message: str
    address: str
    body: str
    key: str
    in_flight: int
    """Calls in flight at this vendor, this one included."""
    ttl_s: int | None = None
    """How long the message was said to be good for."""
    token: str | None = None
    """The access token that it was made with."""


class Vendor:
    """The other end of one provider: what it is, how it answers, and every call that it was sent."""

    def __init__(
        self,
        name: str = "one",
        *,
        channels: tuple[str, ...] = ("sms",),
        receipts: bool = False,
        lookups: bool = False,
        idempotency_s: float = 0,
        guarded: bool = False,
        concurrency: int = 200,
        rate: str | None = None,
        timeout_s: float = 10,
        latency_s: float = 0.05,
        batch_max: int = 1,
        tokens: bool = False,
        segments_max: int | None = None,
    ) -> None:
        self.segments_max = segments_max
        self.name = name
        self.channels = channels
        self.receipts = receipts
        self.lookups = lookups
        self.became: dict[str, str] = {}
        """What it says became of a reference, when it is asked; `sent` of the others. None of them is in `calls`."""
        self.asked: list[str] = []
        """The references that it was asked about."""
        self.idempotency_s = idempotency_s
        self.batch_max = batch_max
        self.batches: list[list[str]] = []
        """The addresses of each call that could carry several."""
        self.refuses: set[str] = set()
        """Addresses that it refuses in a call for several, by a word of its own for each."""
        self.chokes_on: set[str] = set()
        """Addresses for which it refuses a whole call."""
        self.unwritable: set[str] = set()
        """Addresses with which a request can't be written."""
        self.guarded = guarded
        self.concurrency = concurrency
        self.rate = rate
        self.timeout_s = timeout_s
        self.latency_s = latency_s
        self.tokens = tokens
        self.token_script: deque[Answer] = deque()
        """What it says to those who ask for a token, before it gives them."""
        self.token_life_s = 3600.0
        self.tokens_asked: list[float] = []
        """When it was asked for a token, in seconds since the test began."""
        self.connect_s = 0.0
        self.unreachable: str | None = None
        """The phase in which connecting fails, `denied`, or None."""
        self.hangs = False
        """Takes the request and never answers."""
        self.answer: Answer | Callable[[Call], Answer] = OK
        """What it says when nothing else was scripted."""
        self.script: deque[Answer] = deque()
        self.calls: list[Call] = []
        self.taken: list[str] = []
        """The messages that it took, whoever heard of it."""
        self.dials = 0
        self.in_flight = 0
        self.lines_open = True
        self.on_open: Callable[[], None] | None = None

    def says(self, *answers: Answer) -> None:
        """These, one after the other, before it goes on as usual."""
        self.script.extend(answers)

    def always(self, answer: Answer | Callable[[Call], Answer]) -> None:
        self.answer = answer

    @property
    def times(self) -> list[float]:
        return [call.at for call in self.calls]

    @property
    def addresses(self) -> list[str]:
        return [call.address for call in self.calls]

    def reply_to(self, call: Call) -> Answer:
        said = self.script.popleft() if self.script else self.answer
        answer = said(call) if callable(said) else said
        return self.ok() if answer == OK else answer

    def ok(self) -> Reply:
        """Taken, with the next reference."""
        return Reply(202, body=json.dumps({"id": f"{self.name}-{len(self.calls)}"}).encode())


class ScriptedSettings(CommonSettings, frozen=True, kw_only=True):
    """Nothing of its own."""


class Scripted(Provider):
    """An adapter of few words: JSON out, the status in, and every dialect of `Retry-After`."""

    kind = "scripted"
    settings_type = ScriptedSettings

    def __init__(self, vendor: Vendor) -> None:
        settings = ScriptedSettings(kind="scripted", rate=vendor.rate, concurrency=vendor.concurrency, timeout_s=vendor.timeout_s)
        super().__init__(vendor.name, settings)
        self._vendor = vendor

    @property
    def capabilities(self) -> Capabilities:
        vendor = self._vendor
        return Capabilities(
            channels=vendor.channels,
            receipts=vendor.receipts,
            lookups=vendor.lookups,
            idempotency_s=vendor.idempotency_s,
            batch_max=vendor.batch_max,
            guarded=vendor.guarded,
            tokens=vendor.tokens,
            body_max=BODY_MAX,
            segments_max=vendor.segments_max,
        )

    def build(self, out: Outgoing) -> HttpRequest:
        if out.body in {"unsayable", f"unsayable by {self.name}"}:
            raise ValueError("it can't be said in these words")
        if out.body is not None and len(out.body) > BODY_MAX:
            raise TooLong("the body is too long")
        said = {name: getattr(out, name) for name in ("attempt", "message", "address", "body", "ttl_s")}
        said["key"] = out.idempotency_key
        if out.token is not None:
            said["token"] = out.token.reveal()
        return HttpRequest("POST", "https://vendor.example/send", body=json.dumps(said).encode())

    def together(self, out: Outgoing) -> str | None:
        super().together(out)
        return None if out.body == "by itself" else out.body

    def build_all(self, outs: Sequence[Outgoing]) -> HttpRequest:
        bodies = [self.build(out).body for out in outs]
        return HttpRequest("POST", "https://vendor.example/send", body=b"[" + b",".join(bodies) + b"]")

    def parse_all(self, reply: Reply, outs: Sequence[Outgoing]) -> Sequence[Outcome] | None:
        if reply.status == 400:
            return None
        if reply.status != 207:
            return super().parse_all(reply, outs)
        return [Accepted(ref) if ref else Rejected(Reason.INVALID_ADDRESS, "refused") for ref in json.loads(reply.body)]

    def lookup(self, ref: str) -> HttpRequest:
        return HttpRequest("GET", f"https://vendor.example/sent/{ref}")

    def found(self, reply: Reply) -> Receipt | None:
        state = AttemptState[json.loads(reply.body)["state"].upper()] if reply.status == 200 else AttemptState.SENT
        return Receipt(state) if state > AttemptState.SENT else None

    def token_request(self, now: float) -> HttpRequest:
        return HttpRequest("POST", "https://vendor.example/token", body=f"{now}".encode())

    def token_of(self, answer: Answer, now: float) -> Token | Outcome:
        if not isinstance(answer, Reply) or answer.status != 200:
            return self.read(answer)
        given = json.loads(answer.body)
        return Token(Secret(given["token"]), now + given["life_s"])

    def parse(self, reply: Reply) -> Outcome:
        if 200 <= reply.status < 300:
            return Accepted(json.loads(reply.body)["id"])
        scope = reply.header("x-scope")
        if scope is None:
            return by_status(reply)
        return later(reply, "throttled", scope=Scope(scope)) if reply.status == 429 else Rejected(Reason.REJECTED, "", Scope(scope))


class ScriptedLine:
    """ports.Line to a vendor."""

    def __init__(self, vendor: Vendor, egress: ScriptedEgress) -> None:
        self._vendor = vendor
        self._egress = egress
        self._released = False

    @property
    def open(self) -> bool:
        return self._vendor.lines_open

    async def send(self, request: Request, within_s: float) -> Answer:
        vendor = self._vendor
        if within_s <= 0:
            return NotSent("late", "no time left")
        if not vendor.lines_open:
            return NotSent("late", "the other side has hung up")
        assert isinstance(request, HttpRequest)
        assert not self._released, "a line was used after it was given back"
        if request.url.endswith("/token"):
            return await self._give_token()
        if request.method == "GET":
            return await self._look_up(request.url.rpartition("/")[2])
        loop = asyncio.get_running_loop()
        said = json.loads(request.body)
        if any(each["address"] in vendor.unwritable for each in (said if isinstance(said, list) else [said])):
            raise ValueError("a line break in a header")
        if isinstance(said, list):
            return await self._send_all(said, within_s)
        vendor.in_flight += 1
        call = Call(loop.time() - START_S, **said, in_flight=vendor.in_flight)
        vendor.calls.append(call)
        try:
            if vendor.hangs or vendor.latency_s >= within_s:
                await asyncio.sleep(within_s)
                return Lost("wait", "no answer in time")
            answer = vendor.reply_to(call)
            if isinstance(answer, Reply) and answer.status == 202:
                vendor.taken.append(call.message)
            await asyncio.sleep(vendor.latency_s)
            return answer
        finally:
            vendor.in_flight -= 1

    async def _send_all(self, said: list[dict[str, Any]], within_s: float) -> Answer:
        vendor, loop = self._vendor, asyncio.get_running_loop()
        vendor.in_flight += 1
        calls = [Call(loop.time() - START_S, **each, in_flight=vendor.in_flight) for each in said]
        vendor.calls += calls
        vendor.batches.append([call.address for call in calls])
        try:
            await asyncio.sleep(min(vendor.latency_s, within_s))
            if vendor.hangs or vendor.latency_s >= within_s:
                return Lost("wait", "no answer in time")
            answer = vendor.script.popleft() if vendor.script else vendor.answer
            if answer != OK:
                assert not callable(answer)
                return answer
            if any(call.address in vendor.chokes_on for call in calls):
                return REFUSED
            good = [call for call in calls if call.address not in vendor.refuses]
            vendor.taken += [call.message for call in good]
            refs = [f"{vendor.name}-{call.message}" if call in good else None for call in calls]
            return Reply(207, body=json.dumps(refs).encode())
        finally:
            vendor.in_flight -= 1

    async def _give_token(self) -> Answer:
        vendor = self._vendor
        vendor.tokens_asked.append(asyncio.get_running_loop().time() - START_S)
        await asyncio.sleep(vendor.latency_s)
        if vendor.token_script:
            return vendor.token_script.popleft()
        given = {"token": f"token-{len(vendor.tokens_asked)}", "life_s": vendor.token_life_s}
        return Reply(200, body=json.dumps(given).encode())

    async def _look_up(self, ref: str) -> Answer:
        vendor = self._vendor
        vendor.asked.append(ref)
        await asyncio.sleep(vendor.latency_s)
        if vendor.script:
            answer = vendor.script.popleft()
            assert not callable(answer)
            return answer
        return Reply(200, body=json.dumps({"state": vendor.became.get(ref, "sent")}).encode())

    def release(self) -> None:
        if not self._released:
            self._released = True
            self._egress.leased -= 1


class ScriptedEgress:
    """ports.Egress to the vendors."""

    def __init__(self, vendors: Iterable[Vendor]) -> None:
        self._vendors = {vendor.name: vendor for vendor in vendors}
        self.leased = 0

    async def open(self, provider: str, request: Request, within_s: float) -> ScriptedLine:
        vendor = self._vendors[provider]
        vendor.dials += 1
        if vendor.connect_s:
            await asyncio.sleep(min(vendor.connect_s, within_s))
        if vendor.unreachable == "denied":
            raise Denied("this address may not be called")
        if vendor.unreachable is not None or vendor.connect_s > within_s:
            raise Unreachable(vendor.unreachable or "connect", "refused")
        if vendor.on_open is not None:
            vendor.on_open()
        self.leased += 1
        return ScriptedLine(vendor, self)


def throttled(seconds: float) -> Reply:
    return Reply(429, headers=(("retry-after", f"{seconds:g}"),))
