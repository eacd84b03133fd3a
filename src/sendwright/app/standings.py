"""How the providers stand, for people; their switch; and a test call."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from msgspec import UNSET
from msgspec.structs import replace

from sendwright.app.parts import Parts
from sendwright.engine.fleet import Account
from sendwright.errors import Unreachable
from sendwright.model.outcomes import Accepted, Outcome
from sendwright.model.records import Switch
from sendwright.providers.contract import NotSent, Outgoing
from sendwright.web.api.services import ProviderPatch, ProviderStanding, Trial

TEST_TEXT = "This is a test by Sendwright."


class Standings:
    """web.api.services.Fleet."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def standings(self) -> Sequence[ProviderStanding]:
        return [_standing(account) for account in self._parts.fleet.accounts.values()]

    async def switch(self, name: str, patch: ProviderPatch) -> None:
        """Stored with a new epoch, then read back: claims under the old one are refused from here on."""
        board = self._parts.backend.switchboard
        _, switches = await board.read()
        current = next((s for s in switches if s.provider == name), Switch(name))
        changes = {field: getattr(patch, field) for field in ProviderPatch.__struct_fields__}
        await board.set(replace(current, **{field: value for field, value in changes.items() if value is not UNSET}))
        await self._parts.fleet.reload()
        account = self._parts.fleet.accounts[name]
        settings = account.provider.settings
        if account.concurrency != settings.concurrency:
            self._parts.gate.configure(name, replace(self._parts.egress_route(name), concurrency=account.concurrency))
        self._parts.promoter.poke()

    async def test(self, name: str, to: str) -> Trial:
        account = self._parts.fleet.accounts[name]
        outcome = await self._call(account, _test_message(account, to))
        kind = type(outcome).__name__.lower()
        if isinstance(outcome, Accepted):
            return Trial("accepted", ref=outcome.ref)
        return Trial(kind, detail=outcome.detail)  # type: ignore[arg-type]

    async def _call(self, account: Account, out: Outgoing) -> Outcome:
        flow = account.provider.flow(out)
        request = next(flow)
        try:
            line = await self._parts.gate.open(account.name, request, account.timeout_s)
        except Unreachable as error:
            return account.provider.read(NotSent(error.phase, error.detail))
        try:
            while True:
                answer = await line.send(request, account.timeout_s)
                try:
                    request = flow.send(answer)
                except StopIteration as over:
                    outcome: Outcome = over.value
                    return outcome
        finally:
            line.release()


def _test_message(account: Account, to: str) -> Outgoing:
    name = f"test-{secrets.token_hex(8)}"
    channel = account.capabilities.channels[0]
    return Outgoing(name, name, channel, to, TEST_TEXT, idempotency_key=name)


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
