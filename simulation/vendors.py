"""The providers, played. Each knows what it took and by whom it was asked: that is what the oracle judges by.

A vendor never lies on purpose: a 503, a 429 and a refusal took nothing; a 500, a lost answer and a malformed one may or may not
have. One of them knows a repeat by its idempotency key for some minutes, one reports by its own reference only, one
reports by ours, one never reports.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from sendwright.errors import Unreachable
from sendwright.model.outcomes import Accepted, Outcome, Reason, Rejected, Scope, Unsure
from sendwright.providers.answers import by_status, json_object, later
from sendwright.providers.contract import (
    Answer,
    Capabilities,
    CommonSettings,
    HttpRequest,
    Lost,
    NotSent,
    Outgoing,
    Provider,
    Reply,
    Request,
)
from simulation.draw import chance, pick

if TYPE_CHECKING:
    from simulation.process import Life
    from simulation.world import World

LATENCIES_S = (0.0, 0.05, 0.1, 0.3, 1.0)
SLOW_S = (2.0, 6.0, 9.5)
REFUSALS = frozenset({"says_503", "says_503_after", "says_429", "says_429_odd", "throttles_recipient", "says_401", "says_400"})
ODD_WAITS = ("-1", "1e9", "abc", "120.6", "Fri, 01 Jan 2100 00:00:00 GMT")


class Said(Struct, frozen=True):
    """The body of a request."""

    attempt: str
    message: str
    address: str
    key: str
    callback_url: str | None = None
    ttl_s: int | None = None


class SimSettings(CommonSettings, frozen=True, kw_only=True):
    """Nothing of its own."""


class Kind(Struct, frozen=True):
    """What a vendor is like."""

    name: str
    channels: tuple[str, ...]
    concurrency: int = 6
    rate: str | None = None
    timeout_s: float = 10
    receipts: bool = False
    echoes: bool = False
    idempotency_s: float = 0


KINDS = (
    Kind("alpha", ("sms",), receipts=True, echoes=True),
    Kind("beta", ("sms", "email"), concurrency=4, rate="3/s", receipts=True),
    Kind("gamma", ("email",), idempotency_s=300, timeout_s=5),
    Kind("delta", ("email",), concurrency=3),
)
ROUTES = {"sms": ["alpha", "beta"], "email": ["gamma", "delta", "beta"]}
_SAID = msgspec.json.Decoder(Said)
_ENCODER = msgspec.json.Encoder()


class SimAdapter(Provider):
    """An adapter of few words: JSON out; the product's own reading of statuses in."""

    kind = "simulated"
    settings_type = SimSettings

    def __init__(self, kind: Kind) -> None:
        super().__init__(
            kind.name, SimSettings(kind="simulated", rate=kind.rate, concurrency=kind.concurrency, timeout_s=kind.timeout_s)
        )
        self._capabilities = Capabilities(
            channels=kind.channels, receipts=kind.receipts, echoes=kind.echoes, idempotency_s=kind.idempotency_s
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def build(self, out: Outgoing) -> HttpRequest:
        said = Said(out.attempt, out.message, out.address, out.idempotency_key, out.callback_url, out.ttl_s)
        return HttpRequest("POST", "https://vendor.example/send", body=_ENCODER.encode(said))

    def parse(self, reply: Reply) -> Outcome:
        if 200 <= reply.status < 300:
            ref = json_object(reply.body).get("id")
            return Accepted(ref) if isinstance(ref, str) else Unsure("a success without an id")
        if reply.status == 429 and reply.header("x-scope"):
            return later(reply, "throttled", scope=Scope.RECIPIENT)
        if reply.status == 400:
            return Rejected(Reason.INVALID_ADDRESS, "nobody there")
        return by_status(reply)


class SimVendor:
    """One provider: what it took, and how it answers today."""

    def __init__(self, world: World, kind: Kind) -> None:
        self.kind = kind
        self.name = kind.name
        self._world = world
        self._rng = world.draw.stream(f"vendor:{kind.name}")
        self._keys: dict[str, tuple[str, float]] = {}
        self._count = 0

    def answer_to(self, said: Said, mood: str, within_s: float) -> tuple[Answer, float]:
        """Takes it or not, and says in how many seconds which answer is there."""
        rng = self._rng
        latency_s = pick(rng, SLOW_S) if mood == "slow" else pick(rng, LATENCIES_S)
        if mood in REFUSALS and not self._knows(said):  # what it took it does not refuse when it is asked again
            return self._refusal(mood), latency_s
        match mood:
            case "says_500_taken" | "says_500_lost":
                self._take_if(said, taken=mood.endswith("taken"))
                return Reply(pick(rng, (500, 502, 504))), latency_s
            case "hangs_taken" | "hangs_lost":
                self._take_if(said, taken=mood.endswith("taken"))
                return Lost("wait", "no answer in time"), within_s
            case "reset_taken" | "reset_lost":
                self._take_if(said, taken=mood.endswith("taken"))
                return Lost("head", "reset"), latency_s
            case "malformed":
                self._take_if(said, taken=chance(rng, 0.5))
                return Reply(200, body=pick(rng, (b"", b"<html>", b'{"status":"failed"}', b'{"id":7}'))), latency_s
            case "takes_twice":
                ref = self._take(said)
                self._world.oracle.took(self.name, said, own_double=True)
                self._report(said, f"{ref}-again", latency_s)
                return Reply(202, body=_ENCODER.encode({"id": ref})), latency_s
            case _:
                ref = self._take(said)
                return Reply(202, body=_ENCODER.encode({"id": ref})), latency_s

    def _refusal(self, mood: str) -> Reply:
        """Nothing was taken."""
        rng = self._rng
        wait = ("retry-after", str(pick(rng, (1, 5, 30))))
        match mood:
            case "says_503_after":
                return Reply(503, (wait,))
            case "says_429":
                return Reply(429, (wait,))
            case "says_429_odd":
                return Reply(429, (("retry-after", pick(rng, ODD_WAITS)),))
            case "throttles_recipient":
                return Reply(429, (wait, ("x-scope", "recipient")))
            case "says_401":
                return Reply(pick(rng, (401, 403)))
            case "says_400":
                return Reply(400)
            case _:
                return Reply(503)

    def _knows(self, said: Said) -> bool:
        known = self._keys.get(said.key)
        return known is not None and self._world.loop.time() - known[1] < self.kind.idempotency_s

    def _take_if(self, said: Said, *, taken: bool) -> None:
        if taken:
            self._take(said)

    def _take(self, said: Said) -> str:
        """The reference under which it has it; a repeat that it knows by its key is not another message."""
        now_s = self._world.loop.time()
        if self._knows(said):
            self._world.note(self.name, "repeat_known", said.attempt)
            return self._keys[said.key][0]
        self._count += 1
        ref = f"{self.name}-{self._count}"
        if self.kind.idempotency_s:
            self._keys[said.key] = (ref, now_s)
        self._world.oracle.took(self.name, said)
        self._report(said, ref, pick(self._rng, (0.2, 1.0, 5.0)))
        return ref

    def _report(self, said: Said, ref: str, delay_s: float) -> None:
        if self.kind.receipts and said.callback_url is not None:
            for after_s, sighting in self._world.receipts.of(self, said.attempt, ref, delay_s):
                self._world.later(after_s, self._world.receipts.arrive, sighting, 0)


class SimLine:
    """ports.Line: one request, written at once."""

    open = True

    def __init__(self, life: Life, vendor: SimVendor) -> None:
        self._life = life
        self._vendor = vendor
        self._used = False

    async def send(self, request: Request, within_s: float) -> Answer:
        world, vendor, life = self._life.world, self._vendor, self._life
        if within_s <= 0:
            return NotSent("late", "no time left")
        if self._used or not isinstance(request, HttpRequest):
            raise AssertionError("a line takes one call, and HTTP")
        self._used = True
        said = _SAID.decode(request.body)
        world.oracle.writing(life, vendor, said)
        if life.pause_before_write_s:
            await life.pause_here()  # stopped between the last look and the first byte
        mood = world.weather.mood(vendor.name, world.loop.time())
        if mood != "well":
            world.note(vendor.name, mood, said.attempt)
        if mood == "reset_before_write":
            return NotSent("connect", "reset before anything was written")
        flight = world.oracle.written(life, vendor, said)
        answer, after_s = vendor.answer_to(said, mood, within_s)
        if after_s >= within_s:
            answer, after_s = Lost("wait", "no answer in time"), within_s
        if isinstance(answer, Reply):
            world.oracle.answered(life, vendor, said, answer, after_s)
        future: asyncio.Future[Answer] = world.loop.create_future()
        world.later(after_s, _set, future, answer)
        try:
            return await future
        finally:
            world.oracle.over(flight)

    def release(self) -> None:
        """There is nothing to give back."""


class SimEgress:
    """ports.Egress of one life."""

    def __init__(self, life: Life, vendors: dict[str, SimVendor]) -> None:
        self._life = life
        self._vendors = vendors

    async def open(self, provider: str, request: Request, within_s: float) -> SimLine:
        world = self._life.world
        if world.weather.mood(provider, world.loop.time()) == "refuses_connection":
            world.note(provider, "refuses_connection")
            raise Unreachable("connect", "refused")
        return SimLine(self._life, self._vendors[provider])


def _set(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)
