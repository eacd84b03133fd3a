"""The providers, played. Each knows what it took and by whom it was asked: that is what the oracle judges by.

A vendor never lies on purpose: a 503, a 429 and a refusal took nothing; a 500, a lost answer and a malformed one may or may not
have. One of them knows a repeat by its idempotency key for some minutes, one reports by its own reference only, one
reports by ours, one never reports. The one that reports by ours takes several messages with one call: it has a word for each of
them, or refuses the call for one of them, or its answer is lost as a whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from sendwright.errors import Unreachable
from sendwright.model.outcomes import Accepted, Later, Outcome, Reason, Rejected, Scope, Unsure
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
REFUSALS = frozenset(
    {"says_503", "says_503_after", "says_429", "says_429_odd", "throttles_recipient", "says_401", "says_400", "refuses_one"}
)
ONE_OF_MANY = frozenset({"refuses_one", "forgets_one", "throttles_recipient"})
"""In a call for several they are of one of them."""
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
    batch_max: int = 1


KINDS = (
    Kind("alpha", ("sms",), receipts=True, echoes=True, batch_max=4),
    Kind("beta", ("sms", "email"), concurrency=4, rate="3/s", receipts=True),
    Kind("gamma", ("email",), idempotency_s=300, timeout_s=5),
    Kind("delta", ("email",), concurrency=3),
)
ROUTES = {"sms": ["alpha", "beta"], "email": ["gamma", "delta", "beta"]}
THROTTLED_S = 5
"""How long one of a call is asked to wait, in seconds."""
_SAID = msgspec.json.Decoder(Said | list[Said])
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
            channels=kind.channels,
            receipts=kind.receipts,
            echoes=kind.echoes,
            idempotency_s=kind.idempotency_s,
            batch_max=kind.batch_max,
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def build(self, out: Outgoing) -> HttpRequest:
        return HttpRequest("POST", "https://vendor.example/send", body=_ENCODER.encode(_said(out)))

    def build_all(self, outs: Sequence[Outgoing]) -> HttpRequest:
        return HttpRequest("POST", "https://vendor.example/send", body=_ENCODER.encode([_said(out) for out in outs]))

    def parse(self, reply: Reply) -> Outcome:
        if 200 <= reply.status < 300:
            ref = json_object(reply.body).get("id")
            return Accepted(ref) if isinstance(ref, str) else Unsure("a success without an id")
        if reply.status == 429 and reply.header("x-scope"):
            return later(reply, "throttled", scope=Scope.RECIPIENT)
        if reply.status == 400:
            return Rejected(Reason.INVALID_ADDRESS, "nobody there")
        return by_status(reply)

    def parse_all(self, reply: Reply, outs: Sequence[Outgoing]) -> Sequence[Outcome] | None:
        """207 has a word for each. 400 is for one of them, and the vendor does not say which."""
        if reply.status == 207:
            return [_word(each) for each in json_object(reply.body)["each"]]
        return None if reply.status == 400 else super().parse_all(reply, outs)


def _said(out: Outgoing) -> Said:
    return Said(out.attempt, out.message, out.address, out.idempotency_key, out.callback_url, out.ttl_s)


def _word(each: dict[str, Any]) -> Outcome:
    """What the answer to a call for several says of one."""
    match each:
        case {"id": str(ref)}:
            return Accepted(ref)
        case {"status": 400}:
            return Rejected(Reason.INVALID_ADDRESS, "nobody there")
        case {"status": 429}:
            return Later("throttled", after_s=THROTTLED_S, ill=False, scope=Scope.RECIPIENT)
        case _:
            return Unsure("not mentioned")


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
        if mood in REFUSALS and not self._knows(said):  # what it took it does not refuse when it is asked again
            return self._refusal(mood), self._latency_s(mood)
        lost = self._lost([said], mood, within_s)
        if lost is not None:
            return lost
        ref = self._take(said)
        if mood == "takes_twice":
            self._take_again(said, ref)
        return Reply(202, body=_ENCODER.encode({"id": ref})), self._latency_s(mood)

    def answer_to_all(self, said: Sequence[Said], mood: str, within_s: float) -> tuple[Answer, float, Sequence[Reply | None]]:
        """The same of a call for several, and what it comes to for each, where there is a word for it."""
        note, latency_s = self._world.note, self._latency_s(mood)
        if mood in ONE_OF_MANY:
            return self._but_one(said, mood, latency_s)
        if mood in REFUSALS:
            note(self.name, "shared_refused" if mood == "says_400" else "shared_put_off", len(said))
            refusal = self._refusal(mood)
            return refusal, latency_s, [refusal] * len(said)
        lost = self._lost(said, mood, within_s)
        if lost is not None:
            note(self.name, "shared_lost", len(said))
            return *lost, [None] * len(said)
        refs = [self._take(each) for each in said]
        if mood == "takes_twice":
            self._take_again(said[0], refs[0])
        return _each([{"id": ref} for ref in refs]), latency_s, [None] * len(said)

    def _but_one(self, said: Sequence[Said], mood: str, latency_s: float) -> tuple[Answer, float, Sequence[Reply | None]]:
        """All are taken but one, which is refused, throttled, or not mentioned (and may be taken)."""
        bad = int(self._rng.random() * len(said))
        each: list[dict[str, Any]] = [{} if place == bad else {"id": self._take(one)} for place, one in enumerate(said)]
        told: list[Reply | None] = [None] * len(said)
        self._world.note(self.name, "one_of_many", mood)
        if mood == "refuses_one":
            each[bad] = {"status": 400}
        elif mood == "throttles_recipient":
            each[bad] = {"status": 429}
            told[bad] = Reply(429, (("retry-after", str(THROTTLED_S)), ("x-scope", "recipient")))
        else:
            self._take_if(said[bad], taken=chance(self._rng, 0.5))
        return _each(each), latency_s, told

    def _lost(self, said: Sequence[Said], mood: str, within_s: float) -> tuple[Answer, float] | None:
        """No answer, or one that can't be read; None where all is well. What is lost may have been taken in part."""
        rng = self._rng
        answer: Answer
        match mood:
            case "says_500_taken" | "says_500_lost":
                answer, after_s = Reply(pick(rng, (500, 502, 504))), self._latency_s(mood)
            case "hangs_taken" | "hangs_lost":
                answer, after_s = Lost("wait", "no answer in time"), within_s
            case "reset_taken" | "reset_lost":
                answer, after_s = Lost("head", "reset"), self._latency_s(mood)
            case "malformed" | "forgets_one":
                body = pick(rng, (b"", b"<html>", b'{"status":"failed"}', b'{"id":7}'))
                answer, after_s = Reply(200, body=body), self._latency_s(mood)
            case _:
                return None
        for each in said:
            self._take_if(each, taken=mood.endswith("taken") or (not mood.endswith("lost") and chance(rng, 0.5)))
        return answer, after_s

    def _latency_s(self, mood: str) -> float:
        return pick(self._rng, SLOW_S if mood == "slow" else LATENCIES_S)

    def _take_again(self, said: Said, ref: str) -> None:
        self._world.oracle.took(self.name, said, own_double=True)
        self._report(said, f"{ref}-again", pick(self._rng, LATENCIES_S))

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
            case "says_400" | "refuses_one":
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
        all_ = said if isinstance(said, list) else [said]
        world.oracle.writing(life, vendor, all_)
        if life.pause_before_write_s:
            await life.pause_here()  # stopped between the last look and the first byte
        mood = world.weather.mood(vendor.name, world.loop.time())
        if mood != "well":
            world.note(vendor.name, mood, all_[0].attempt)
        if mood == "reset_before_write":
            return NotSent("connect", "reset before anything was written")
        flight = world.oracle.written(life, vendor, all_)
        answer, after_s, told = self._answer(said, mood, within_s)
        if after_s >= within_s:
            answer, after_s, told = Lost("wait", "no answer in time"), within_s, [None] * len(all_)
        world.oracle.answered(life, vendor, all_, answer, told, after_s)
        future: asyncio.Future[Answer] = world.loop.create_future()
        world.later(after_s, _set, future, answer)
        try:
            return await future
        finally:
            world.oracle.over(flight)

    def _answer(self, said: Said | list[Said], mood: str, within_s: float) -> tuple[Answer, float, Sequence[Reply | None]]:
        if isinstance(said, list):
            return self._vendor.answer_to_all(said, mood, within_s)
        answer, after_s = self._vendor.answer_to(said, mood, within_s)
        return answer, after_s, [answer if isinstance(answer, Reply) else None]

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


def _each(said: list[dict[str, Any]]) -> Reply:
    return Reply(207, body=_ENCODER.encode({"each": said}))


def _set(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)
