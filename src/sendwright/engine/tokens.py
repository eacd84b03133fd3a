"""Access tokens: fetched beforehand, kept in memory alone, followed by the next before they end.

A token is fetched through the egress when the first message of an account needs one, by one call however many wait for it, and
never after a claim: a message whose token can't be had is no attempt. While the account is used the next one is fetched in the
background, `AHEAD_S` before the end and a little earlier, so that processes don't all come at once. An account that sent nothing
for a whole token's life lets it end.

Nothing is stored: each process has tokens of its own, and a new one fetches anew. Times are monotonic: a wall clock that is set
neither ends a token nor prolongs it.

A token that can't be had keeps the account shut until the next try, which is what messages then wait for. One that the vendor
refuses is dropped; that is `Later` once, since it may have been withdrawn before its time, and the account's fault if the next
is refused too.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from sendwright.engine.account import Account
from sendwright.engine.fleet import Fleet
from sendwright.engine.ports import Clock, Egress
from sendwright.engine.settle import why_of
from sendwright.engine.telling import Tell, Trouble
from sendwright.errors import Unreachable, where
from sendwright.model.outcomes import Later, Misconfigured, Outcome, Rejected, Unsure
from sendwright.policy.reaction import health
from sendwright.policy.retry import believed_s, decorrelated
from sendwright.providers.contract import Answer, NotSent, Provider, Reply, Request, Secret, Token

AHEAD_S = 300.0
"""So long before its end a token is followed by the next; of a short-lived one, half of its life."""
JITTER = 0.2
"""Up to so much of that earlier still."""
LEAST_S = 30.0
"""A token with less time left is as good as none: connecting takes its time, and the vendor's clock may be ahead. Of a short-lived
one it is half of its life."""
FIRST_S = 1.0
LONGEST_S = 60.0
"""From one try to the next, where a token can't be had."""

_CHANCE = random.SystemRandom()

Fault = Later | Misconfigured


class _Kept:
    """What is known of one account's token."""

    __slots__ = ("backoff_s", "fault", "fetching", "good_until", "keeping", "refused", "renew_at", "token", "used")

    def __init__(self) -> None:
        self.token: Secret | None = None
        self.good_until = 0.0
        self.renew_at = 0.0
        """When the next fetch is due: ahead of the end, or after one that failed."""
        self.used = False
        """Whether anybody needed one since it was fetched."""
        self.refused = False
        """The vendor has refused the one before, and taken none since."""
        self.fault: Fault | None = None
        """Why the last fetch brought none."""
        self.backoff_s = 0.0
        self.fetching: asyncio.Task[Secret | Fault] | None = None
        self.keeping: asyncio.Task[None] | None = None


class Tokens:
    """The access tokens of those accounts whose kind has any."""

    def __init__(
        self,
        fleet: Fleet,
        egress: Egress,
        clock: Clock,
        tell: Tell,
        draw: Callable[[], float] = _CHANCE.random,
    ) -> None:
        """`draw` gives numbers from 0 to 1."""
        self._fleet = fleet
        self._egress = egress
        self._clock = clock
        self._tell = tell
        self._draw = draw
        self._kept: dict[str, _Kept] = {}

    async def of(self, account: Account) -> Secret | Fault:
        """A token that is good for a while, or why there is none: `Later`, without a call, or `Misconfigured`. Then nobody may call
        the account until the next try."""
        kept, now = self._kept.setdefault(account.name, _Kept()), self._clock.monotonic()
        kept.used = True
        if kept.token is not None and now < kept.good_until:
            return kept.token
        if kept.fault is not None and now < kept.renew_at:
            account.paused_until = max(account.paused_until, kept.renew_at)
            return kept.fault
        found = await asyncio.shield(self._fetched(account, kept))
        kept.used = True
        return found

    def heard(self, account: Account, token: Secret, answer: Answer, outcome: Outcome) -> Outcome:
        """The outcome of a call that was made with this token, where the answer may be a refusal of it."""
        kept = self._kept.setdefault(account.name, _Kept())
        if not isinstance(answer, Reply):
            return outcome
        current = token == kept.token
        if not (isinstance(outcome, Misconfigured) and account.provider.token_refused(answer)):
            kept.refused = kept.refused and not current
            return outcome
        if not current:
            return Later(outcome.detail, ill=False)  # another call heard it first
        before, kept.refused, kept.token = kept.refused, True, None
        return outcome if before else Later(outcome.detail, ill=False)

    async def close(self) -> None:
        """Ends what goes on in the background."""
        tasks = [task for kept in self._kept.values() for task in (kept.keeping, kept.fetching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _fetched(self, account: Account, kept: _Kept) -> asyncio.Task[Secret | Fault]:
        """The one fetch that is under way."""
        if kept.fetching is None or kept.fetching.done():
            kept.fetching = asyncio.create_task(self._fetch(account, kept))
        return kept.fetching

    async def _fetch(self, account: Account, kept: _Kept) -> Secret | Fault:
        began, began_at = self._clock.monotonic(), self._clock.now_ms() / 1000
        found = await self._ask(account, began_at)
        if isinstance(found, Token):
            self._keep(account, kept, found.value, began, found.expires_at - began_at)
            return found.value
        asked_s = believed_s(found.after_s) if isinstance(found, Later) else 0.0
        kept.backoff_s = decorrelated(kept.backoff_s, FIRST_S, LONGEST_S, self._draw())
        kept.fault, kept.renew_at = found, self._clock.monotonic() + max(kept.backoff_s, asked_s)
        self._tell(Trouble("tokens", f"no access token for {account.name}: {type(found).__name__.lower()}"))
        if kept.token is None or self._clock.monotonic() >= kept.good_until:
            kept.token = None
            account.paused_until = max(account.paused_until, kept.renew_at)
            self._fleet.note(account, health(found), self._clock.monotonic(), why=why_of(found))
        return found

    def _keep(self, account: Account, kept: _Kept, token: Secret, began: float, life_s: float) -> None:
        """From here on it is the account's token."""
        kept.token, kept.fault, kept.used, kept.backoff_s = token, None, False, 0.0
        kept.good_until = began + life_s - min(LEAST_S, life_s / 2)
        ahead_s = min(AHEAD_S, life_s / 2)
        kept.renew_at = began + life_s - ahead_s * (1 + JITTER * self._draw())
        if kept.keeping is None or kept.keeping.done():
            kept.keeping = asyncio.create_task(self._follow(account, kept))

    async def _follow(self, account: Account, kept: _Kept) -> None:
        """Has each token followed by the next, as long as there is one and somebody needs it."""
        while True:
            now = self._clock.monotonic()
            if now < kept.renew_at:
                await self._clock.sleep(kept.renew_at - now)
            elif kept.used and kept.token is not None and now < kept.good_until:
                await self._fetched(account, kept)
            else:
                return

    async def _ask(self, account: Account, now: float) -> Token | Fault:
        """One call of whoever gives tokens; nothing of a message is in it, so that losing its answer loses nothing."""
        provider = account.provider
        try:
            answer = await self._call(account, provider.token_request(now))
        except ValueError as error:
            return Misconfigured(f"no access token: {error}")
        except Exception as error:  # noqa: BLE001 — a plugin's mistake must cost its own account, not the worker
            return self._broken(provider, "ask for", error)
        try:
            found = provider.token_of(answer, now)
        except Exception as error:  # noqa: BLE001 — as above
            return self._broken(provider, "read", error)
        match found:
            case Token(expires_at=end):
                return found if end > now else Later("no access token: one that has ended already", called=False)
            case Misconfigured(detail) | Rejected(detail=detail):
                return Misconfigured(f"no access token: {detail}")
            case Later(detail, after_s):
                return Later(f"no access token: {detail}", after_s, ill=found.ill, called=False)
            case Unsure(detail):
                return Later(f"no access token: {detail}", called=False)
            case _:
                return Later("no access token", called=False)

    def _broken(self, provider: Provider, doing: str, error: Exception) -> Later:
        self._tell(Trouble("tokens", f"{provider!r} could not {doing} a token: {where(error)}"))
        return Later("no access token: the provider's adapter failed", called=False)

    async def _call(self, account: Account, request: Request) -> Answer:
        try:
            line = await self._egress.open(account.name, request, account.timeout_s)
        except Unreachable as error:
            return NotSent(error.phase, error.detail)
        try:
            return await line.send(request, account.timeout_s)
        finally:
            line.release()
