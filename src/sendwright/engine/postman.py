"""The postman takes one event to one endpoint: signed by Standard Webhooks, through the egress gate, and says what came of it.

    POST <the endpoint's address>
    webhook-id: evt_…             the same for every try
    webhook-timestamp: 1795338000 seconds, of this try
    webhook-signature: v1,…       and a second one by the secret of before, for a day after a change
    {"type": "message.sent", "timestamp": "2026-11-22T09:00:00.000Z", "data": {…}}

2xx has taken it, and nothing else has. No redirect is followed. An answer that did not come whole within `WITHIN_S` is a failure,
although the event may have been taken: the next try bears the same id.
"""

from __future__ import annotations

from msgspec import Struct

from sendwright.engine.ports import Clock, Egress
from sendwright.engine.sealing import Sealer, Unopened
from sendwright.errors import Unreachable
from sendwright.model.endpoint import Endpoint, Try
from sendwright.policy.posting import excerpt
from sendwright.providers.contract import Answer, HttpRequest, Lost, NotSent, Reply
from sendwright.providers.signing import sign_webhook
from sendwright.providers.throttle import retry_after_s

ROUTE = "/endpoints"
"""Of the way out that these calls take. No provider has such a name."""
WITHIN_S = 20.0
"""Total time of a call, connecting included: the specification recommends 15 to 30 s."""
UNSEALED = "its secret can't be read: the secret key of the settings is another one"

_GONE = 410


class Posted(Struct, frozen=True):
    """What came of one try."""

    tried: Try
    ok: bool
    gone: bool = False
    asked_s: float | None = None
    """How long the answer asks us to stay away."""


def place_of(tenant: str, endpoint: str) -> tuple[str, str, str]:
    """What an endpoint's secret is bound to."""
    return (tenant, "endpoints", endpoint)


class Postman:
    """Has no memory: what is to be kept is its caller's to keep."""

    def __init__(self, egress: Egress, sealer: Sealer, clock: Clock) -> None:
        self._egress = egress
        self._sealer = sealer
        self._clock = clock

    async def post(self, endpoint: Endpoint, id_: str, body: bytes) -> Posted:
        at, began = self._clock.now_ms(), self._clock.monotonic()
        try:
            keys = self._keys(endpoint, at)
        except Unopened:
            return Posted(Try(at, None, UNSEALED, 0), ok=False)
        headers = (
            ("Content-Type", "application/json"),
            ("User-Agent", "Sendwright"),
            ("webhook-id", id_),
            ("webhook-timestamp", str(at // 1000)),
            ("webhook-signature", sign_webhook(keys, id_, at // 1000, body)),
        )
        answer = await self._call(HttpRequest("POST", endpoint.url, headers, body))
        ms = round((self._clock.monotonic() - began) * 1000)
        if not isinstance(answer, Reply):
            return Posted(Try(at, None, _failure(answer), ms), ok=False)
        ok = 200 <= answer.status < 300
        tried = Try(at, answer.status, excerpt(answer.body), ms)
        return Posted(tried, ok, answer.status == _GONE, None if ok else retry_after_s(answer))

    def _keys(self, endpoint: Endpoint, now: int) -> list[bytes]:
        sealed = [endpoint.secret]
        if endpoint.previous is not None and endpoint.previous_until is not None and now < endpoint.previous_until:
            sealed.append(endpoint.previous)
        return [self._sealer.open(each, *place_of(endpoint.tenant, endpoint.id)) for each in sealed]

    async def _call(self, request: HttpRequest) -> Answer:
        try:
            line = await self._egress.open(ROUTE, request, WITHIN_S)
        except Unreachable as error:
            return NotSent(error.phase, error.detail)
        except ValueError:
            return NotSent("connect", "no request can be sent to this address")
        try:
            return await line.send(request, WITHIN_S)
        finally:
            line.release()


def _failure(answer: Answer) -> str:
    """How it failed, in words that name neither host nor address."""
    match answer:
        case NotSent(phase, detail):
            return f"not sent ({phase}): {detail}"
        case Lost(phase, detail):
            return f"no whole answer ({phase}): {detail}"
        case _:
            return "no answer that can be read"
