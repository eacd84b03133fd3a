"""The providers' callbacks: verified on their raw bytes, durable on the bus before they are answered, then forgotten.

A vendor repeats what was not answered with 2xx, so a repeat is good news already known: `observe` joins it again.
Nothing is looked up here; whether anybody knows the reference is not the vendor's concern. Some kinds take a call of ours
to judge a callback, or to answer one (`wants` and `follows` of the contract).
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from msgspec.structs import replace

from sendwright.engine.hear import TEXT_MAX
from sendwright.model import ids
from sendwright.model.parcel import INBOUND, Sighting, pack
from sendwright.model.people import Spoken
from sendwright.providers.contract import Answer as Fetched
from sendwright.providers.contract import AttemptState, Hook, Inbound, NotSent, Receipt, Reply, Request, Verdict
from sendwright.web.api import problems
from sendwright.web.api.problems import Refusal
from sendwright.web.api.services import Services
from sendwright.web.api.table import Answer, Ask

BODY_MAX = 1 << 20
"""Bytes of a callback: it is looked at before it is known who sent it. Most are of a few hundred, and some vendors send what
happened to a thousand messages at once (SendGrid: 768 KB at the most)."""
REF_MAX = 255
DETAIL_MAX = 500
MORE_MAX = 64
ADDRESS_MAX = 4096
PARAMETERS_MAX = 100
PAYLOAD_MAX = 1000
"""Characters of what stands behind a button (Messenger's are the longest)."""
ALIASES_MAX = 8


async def take_hook(ask: Ask) -> Answer:
    services = ask.services
    provider = services.providers.get(ask.params["provider"])
    if provider is None:
        raise problems.not_found()
    now_ms = services.clock.now_ms()
    hook = hook_of(ask, now_ms / 1000)
    if ask.method == "GET" and (said := provider.handshake(hook)) is not None:
        return Answer(body=said.encode(), media_type="text/plain; charset=utf-8")
    if (wanted := provider.wants(hook)) is not None:
        hook = replace(hook, fetched=await _fetched(services, provider.name, wanted))
    match provider.verify(hook):
        case Verdict.BAD:
            raise Refusal(401, "unauthenticated", "The callback's signature is bad, stale or missing.")
        case Verdict.FOREIGN:
            raise Refusal(403, "forbidden", "This source may not call here.")
        case Verdict.LATER:
            raise _later()
    sightings = [pack(sighting_of(provider.name, event, now_ms)) for event in provider.reports(hook)]
    if sightings:
        await services.bus.publish(INBOUND, sightings)
    if (following := provider.follows(hook)) is not None and not await _done(services, provider.name, following):
        raise _later()
    if (response := provider.response(hook)) is not None:
        return Answer(body=response.encode(), media_type="text/plain; charset=utf-8")
    return Answer(204)


def _later() -> Refusal:
    return Refusal(503, "unavailable", "What this callback takes can't be had now.")


async def _fetched(services: Services, provider: str, request: Request) -> Fetched:
    return await services.fetching.get(provider, request) if services.fetching is not None else NotSent("pool")


async def _done(services: Services, provider: str, request: Request) -> bool:
    answer = await services.fetching.call(provider, request) if services.fetching is not None else NotSent("pool")
    return isinstance(answer, Reply) and 200 <= answer.status < 300


def hook_of(ask: Ask, now: float) -> Hook:
    """The callback as the vendor signed it: under our public address, whatever Host it came by."""
    query = f"?{ask.raw_query}" if ask.raw_query else ""
    try:
        pairs = parse_qsl(ask.raw_query, keep_blank_values=True, max_num_fields=PARAMETERS_MAX)
    except ValueError:
        pairs = []
    return Hook(
        method=ask.method,
        url=f"{ask.services.public_url}{ask.raw_path}{query}",
        query=tuple(pairs),
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in ask.headers.items()),
        body=ask.body or b"",
        now=now,
    )


def sighting_of(provider: str, receipt: Receipt | Inbound, now_ms: int) -> Sighting:
    """What travels on. The vendor's words, and people's, are cut and cleaned: they end in rows, timelines and pages."""
    if isinstance(receipt, Inbound):
        return _reply(provider, receipt, now_ms)
    attempt = receipt.attempt if receipt.attempt and ids.looks_like(ids.ATTEMPT, receipt.attempt) else None
    return Sighting(
        provider=provider,
        state=int(receipt.state),
        attempt=attempt,
        ref=_clean(receipt.ref, REF_MAX) if receipt.ref else None,
        reason=receipt.reason.value if receipt.reason else None,
        detail=_clean(receipt.detail, DETAIL_MAX),
        at=now_ms if receipt.at is None else round(receipt.at * 1000),
        happened="" if receipt.happened is None else receipt.happened.value,
        more=_clean(receipt.more, MORE_MAX),
    )


def _reply(provider: str, inbound: Inbound, now_ms: int) -> Sighting:
    said = Spoken(
        _clean(inbound.channel, REF_MAX),
        _clean(inbound.address, ADDRESS_MAX),
        _clean(inbound.text, TEXT_MAX),
        inbound.word,
        _clean(inbound.payload, PAYLOAD_MAX),
        tuple(_clean(alias, ADDRESS_MAX) for alias in inbound.aliases[:ALIASES_MAX]),
        inbound.how,
        inbound.answered,
    )
    ref = _clean(inbound.ref, REF_MAX) if inbound.ref else None
    return Sighting(
        provider, int(AttemptState.SENDING), ref=ref, at=now_ms if inbound.at is None else round(inbound.at * 1000), said=said
    )


def _clean(text: str, at_most: int) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:at_most]
