"""How providers and routes stand, for people; their switches; and a test call, which goes to an address that fits or to nobody."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from msgspec import UNSET
from msgspec.structs import replace

from sendwright.app.parts import Parts
from sendwright.engine.account import Account
from sendwright.engine.fleet import Fleet
from sendwright.errors import Denied, Unreachable
from sendwright.model.accord import Total
from sendwright.model.outcomes import Accepted, Outcome, Reason, Rejected
from sendwright.model.records import SWITCHED, Order, Switch
from sendwright.policy.address import e164, is_email
from sendwright.policy.duration import rfc3339
from sendwright.policy.notices import days_left
from sendwright.providers.contract import ENTROPY, EVERY_CHANNEL, Answer, NotSent, Outgoing, Secret
from sendwright.web.api.services import CredentialShown, ProviderPatch, ProviderStanding, RouteStanding, Trial, Unfit

TEST_TEXT = "This is a test by Sendwright."
REACH_NOBODY = frozenset({"console", "sandbox"})
"""The kinds behind which there are no people."""

_SAMPLES = {"sms": "+15005550006", "whatsapp": "+15005550006", "email": "test@example.com", "webhook": "https://example.com/"}
_NAMED = ("push", "inapp", "instagram", "messenger", "telegram", "line", "slack", "discord", "teams")
"""The channels whose addresses are ids and tokens, of any form."""


class Standings:
    """web.api.services.Fleet."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def standings(self) -> Sequence[ProviderStanding]:
        """Where several processes share the store, over all of them as they last said it."""
        accounts, concord = self._parts.fleet.accounts.values(), self._parts.concord
        standings = [replace(_standing(account), credential=self._credential(account)) for account in accounts]
        return standings if concord is None else [_over_all(each, concord.totals.get(each.name)) for each in standings]

    def _credential(self, account: Account) -> CredentialShown | None:
        ends_at = self._parts.reminder.ends_at(account)
        if ends_at is None:
            return None
        return CredentialShown(rfc3339(ends_at), days_left(ends_at, self._parts.clock.now_ms()))

    def route(self, channel: str) -> Sequence[str]:
        return [account.name for account in self._parts.fleet.route(channel)]

    async def switch(self, name: str, patch: ProviderPatch) -> None:
        """Stored with a new epoch, then read back: claims under the old one are refused from here on."""
        given = {member: getattr(patch, member) for member in SWITCHED}
        changed = {member: value for member, value in given.items() if value is not UNSET}
        await self._parts.backend.switchboard.set(Switch(name, **changed), tuple(changed))
        await self._parts.fleet.reload()
        self._parts.promoter.poke()

    async def routes(self) -> Sequence[RouteStanding]:
        fleet = self._parts.fleet
        return [_route(fleet, channel) for channel in fleet.channels]

    async def reorder(self, channel: str, providers: Sequence[str] | None) -> None:
        """As above; what is parked for the route is looked at, for somebody may take it now."""
        await self._parts.backend.switchboard.reorder(Order(channel, None if providers is None else tuple(providers)))
        await self._parts.fleet.reload()
        self._parts.promoter.poke()

    async def test(self, name: str, to: str | None) -> Trial | Unfit:
        account = self._parts.fleet.accounts[name]
        aimed = aim(account.provider.kind, account.capabilities.channels, to)
        if isinstance(aimed, Unfit):
            return aimed
        try:
            outcome = await self._call(account, _test_message(*aimed))
        except ValueError:
            return Unfit("invalid_address", "is not an address that this provider takes")
        kind = type(outcome).__name__.lower()
        if isinstance(outcome, Accepted):
            return Trial("accepted", ref=outcome.ref)
        return Trial(kind, detail=outcome.detail)  # type: ignore[arg-type]

    async def _call(self, account: Account, out: Outgoing) -> Outcome:
        """One call, as a message's; of a token that can't be had, what that comes to."""
        if not account.capabilities.tokens:
            return (await self._exchange(account, out))[0]
        token = await self._parts.tokens.of(account)
        if not isinstance(token, Secret):
            return token
        outcome, answer = await self._exchange(account, replace(out, token=token))
        return self._parts.tokens.heard(account, token, answer, outcome)

    async def _exchange(self, account: Account, out: Outgoing) -> tuple[Outcome, Answer]:
        """The outcome, and the answer that it was read from."""
        flow = account.provider.flow(out)
        request = next(flow)
        try:
            line = await self._parts.gate.open(account.name, request, account.timeout_s)
        except Denied as error:
            return Rejected(Reason.REJECTED, error.detail), NotSent(error.phase, error.detail)
        except Unreachable as error:
            not_sent = NotSent(error.phase, error.detail)
            return account.provider.read(not_sent), not_sent
        try:
            while True:
                answer = await line.send(request, account.timeout_s)
                try:
                    request = flow.send(answer)
                except StopIteration as over:
                    return over.value, answer
        finally:
            line.release()


def aim(kind: str, channels: Sequence[str], to: str | None) -> tuple[str, str] | Unfit:
    """Channel and address of a test."""
    if to is None:
        if kind not in REACH_NOBODY:
            return Unfit("required", "is missing: this provider reaches people, so name whom a test may go to")
        return channels[0], sample(channels[0])
    address = e164(to) or to
    of_plugins = [channel for channel in channels if channel not in EVERY_CHANNEL]
    fitting = [channel for channel in (*_channels_of(address), *of_plugins) if channel in channels]
    if not fitting:
        return Unfit("invalid_address", f"fits none of this provider's channels ({', '.join(channels)})")
    return fitting[0], address


def sample(channel: str) -> str:
    """An address on that channel that is nobody's."""
    return _SAMPLES.get(channel, "test")


def _channels_of(address: str) -> Sequence[str]:
    """The channels that such an address may be on, the likeliest first."""
    if address.startswith("+"):
        return ("sms", "whatsapp") if e164(address) else ()
    if is_email(address):
        return ("email",)
    if address.startswith(("http://", "https://")):
        return ("webhook", "slack", "discord", "teams")
    return ("webpush",) if address.startswith("{") else _NAMED


def _test_message(channel: str, to: str) -> Outgoing:
    name = f"test-{secrets.token_hex(8)}"
    return Outgoing(name, name, channel, to, TEST_TEXT, idempotency_key=name, now=time.time(), entropy=secrets.token_bytes(ENTROPY))


def _route(fleet: Fleet, channel: str) -> RouteStanding:
    on_it = tuple(account.name for account in fleet.route(channel))
    left_out = tuple(account.name for account in fleet.candidates(channel) if account.name not in on_it)
    return RouteStanding(channel, "order", on_it, left_out, "run_time" if channel in fleet.reordered else "settings")


def _over_all(standing: ProviderStanding, total: Total | None) -> ProviderStanding:
    if total is None:
        return replace(standing, in_flight=0, success_rate=None, latency_ms=None)
    return replace(
        standing,
        in_flight=total.in_flight,
        success_rate=total.good / total.calls if total.calls else None,
        latency_ms=round(total.latency_ms, 1) if total.latency_ms else None,
    )


def _standing(account: Account) -> ProviderStanding:
    rate = account.rate
    recent = account.recent
    return ProviderStanding(
        name=account.name,
        kind=account.provider.kind,
        channels=account.capabilities.channels,
        enabled=account.enabled,
        weight=account.weight,
        breaker=account.breaker.state.value,
        in_flight=account.in_flight,
        success_rate=sum(recent) / len(recent) if recent else None,
        latency_ms=round(account.latency_ms, 1) if account.latency_ms else None,
        rate=None if rate is None else account.rate_text,
        concurrency=account.concurrency,
        reason=account.breaker.why or None if account.breaker.state.value != "closed" else None,
    )
