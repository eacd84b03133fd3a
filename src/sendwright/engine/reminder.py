"""reminder: says in time which credentials a person must renew.

When one ends is said by a setting, or by the vendor, who is asked once a day. Of several processes that look, the one that takes
the asking asks; if it dies over that, another one does, `LEASE_MS` later. So many days before the end as policy/notices.py names,
and at the end, the operator is told, once each: what has been told is kept in the transaction that tells it.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from sendwright.engine.account import Account
from sendwright.engine.drift import Held, never
from sendwright.engine.fleet import Fleet
from sendwright.engine.ports import Clock, Credentials, Egress
from sendwright.engine.telling import Tell, Trouble
from sendwright.errors import Unavailable, Unreachable, where
from sendwright.model.notices import Credential
from sendwright.policy.duration import END_S
from sendwright.policy.notices import due, of_credential
from sendwright.providers.contract import Life, Reply

EVERY_S = 600.0
LOOK_S = 60.0
ASKED_EVERY_MS = 24 * 3_600_000
AGAIN_MS = 3_600_000
"""Until a vendor is asked again who gave no answer."""
LEASE_MS = 600_000


class Reminder:
    """Run `run` where it is scheduled; `look_on` where people are only shown what is known."""

    def __init__(
        self, credentials: Credentials, fleet: Fleet, egress: Egress, clock: Clock, tell: Tell, held: Held = never
    ) -> None:
        self._credentials = credentials
        self._fleet = fleet
        self._egress = egress
        self._clock = clock
        self._tell = tell
        self._held = held
        self._known: Mapping[str, Credential] = {}

    def ends_at(self, account: Account) -> int | None:
        """When its credential ends, in ms since 1970, as far as is known."""
        named = _named(account)
        if named is not None or not account.capabilities.expires:
            return named
        known = self._known.get(account.name)
        return None if known is None else known.ends_at

    async def run(self) -> None:
        while True:
            await self.turn()
            await self._clock.sleep(EVERY_S)

    async def look_on(self) -> None:
        while True:
            await self._look()
            await self._clock.sleep(LOOK_S)

    async def _look(self) -> bool:
        """Reads what is known. False where that can't be had."""
        try:
            self._known = await self._credentials.known()
        except Unavailable as error:
            self._tell(Trouble("credentials", str(error)))
            return False
        return True

    async def turn(self) -> None:
        """Asks and tells what is due; nothing right after a step of the wall clock (drift.py)."""
        if not await self._look() or self._held():
            return
        for account in self._fleet.accounts.values():
            try:
                await self._mind(account)
            except Unavailable as error:
                self._tell(Trouble("credentials", str(error)))

    async def _mind(self, account: Account) -> None:
        named, now = _named(account), self._clock.now_ms()
        known = self._known.get(account.name, Credential(account.name))
        if named is not None:
            await self._keep(account, known, _ending(known, named))
        elif account.capabilities.expires and now < known.ask_at:
            await self._keep(account, known, known)
        elif account.capabilities.expires:
            taken = replace(known, ask_at=now + LEASE_MS)
            if await self._credentials.put(taken):  # otherwise somebody else asks
                await self._learn(account, replace(taken, version=taken.version + 1))

    async def _learn(self, account: Account, taken: Credential) -> None:
        """Asks, and keeps what was learnt."""
        life, now = await self._ask(account), self._clock.now_ms()
        if life is None:
            await self._keep(account, taken, replace(taken, ask_at=now + AGAIN_MS))
            return
        ends_at = None if life.ends_at is None else int(life.ends_at * 1000)
        await self._keep(account, taken, replace(_ending(taken, ends_at), ask_at=now + ASKED_EVERY_MS))

    async def _keep(self, account: Account, before: Credential, after: Credential) -> None:
        """Tells what is due, and keeps it with that."""
        days, notices = due(after, self._clock.now_ms()), []
        if days is not None and after.ends_at is not None:
            notices = [of_credential(account.about, account.provider.credential, after.ends_at, days, self._clock.now_ms())]
            after = replace(after, told=days)
        if after != before and await self._credentials.put(after, notices):
            self._known = {**self._known, account.name: replace(after, version=after.version + 1)}

    async def _ask(self, account: Account) -> Life | None:
        """What the vendor says; None where it says nothing, or can't be asked now."""
        try:
            request = account.provider.life_request()
            line = await self._egress.open(account.name, request, account.timeout_s)
            try:
                answer = await line.send(request, account.timeout_s)
            finally:
                line.release()
            life = account.provider.life_of(answer) if isinstance(answer, Reply) else None
            return life if life is not None and _can_be_shown(life.ends_at) else None
        except (ValueError, Unreachable):
            return None
        except Exception as error:  # noqa: BLE001 — a plugin's mistake must cost its own reminder, not all of them
            self._tell(Trouble("credentials", f"{account.provider!r} could not be asked: {where(error)}"))
            return None


def _ending(credential: Credential, ends_at: int | None) -> Credential:
    """With this end; of another one than before nobody has been told yet."""
    return credential if credential.ends_at == ends_at else replace(credential, ends_at=ends_at, told=None)


def _can_be_shown(ends_at: float | None) -> bool:
    """A vendor may name an end that no calendar has."""
    return ends_at is None or 0 <= ends_at < END_S


def _named(account: Account) -> int | None:
    """The end that the settings name, in ms since 1970."""
    end = account.provider.lives_until
    return None if end is None else int(end * 1000)
