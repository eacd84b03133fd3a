"""The warden knows API keys: who calls, whether they still may, and how often.

A key that was found is known from memory for less than a second, and is looked for again before that is over, as long as somebody
uses it: one statement for all of them, three times a second. So a busy key costs its calls nothing, and whoever revokes one is
obeyed by every process within a second, though nobody tells them. A process whose store does not answer lets nobody in by a key
that it can't look for: a revocation may be what it does not hear of. (docs/adr/0028)

What a key says is compared as a digest, and in a time that tells nothing. Rates are counted in this process alone.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping, Sequence

from sendwright.engine.ports import Clock, KeyRing
from sendwright.engine.telling import KeyMoved, Tell, Trouble
from sendwright.errors import StoreDown, Unavailable
from sendwright.model.api_key import ID_LENGTH, RANDOM_BYTES, SCOPES, ApiKey, Place, api_key_id, digest_of, pepper_of, written
from sendwright.policy.limit import Rate, parse_rate
from sendwright.policy.quota import UNUSED, Quota, draw

FRESH_S = 0.9
"""So long is what the store said believed, counted from when it was asked."""
TURN_S = 0.3
"""How often keys in use are looked for again."""
ANSWER_S = 3.0
"""So long is the store waited for: who calls would rather come again."""
KEPT_S = 60.0
"""A key that nobody has used for so long is not looked for any more."""
KNOWN_MAX = 20_000
ASKED_MAX = 500
"""Keys in one question to the store."""
WAITING_MAX = 5_000
"""So many keys may wait for an answer: beyond that somebody is making them up."""
NOTED_MS = 60_000
"""How far behind the time of a key's last use may be."""


class _Known:
    """A key as the store had it."""

    __slots__ = ("asked_at", "key", "rate", "used_at", "wanted_at")

    wanted_at: float
    used_at: float | None

    def __init__(self, key: ApiKey, asked_at: float, before: _Known | None) -> None:
        self.key = key
        self.asked_at = asked_at
        self.wanted_at = asked_at if before is None else before.wanted_at
        self.used_at = None if before is None else before.used_at
        """When somebody called with it; whoever guesses at its secret does not use it."""
        self.rate: Rate | None = parse_rate(key.rate) if key.rate else None


class Warden:
    """`secrets`: the secret key of the settings, and older ones. Run `run` beside the work."""

    def __init__(
        self, ring: KeyRing, clock: Clock, secrets: Sequence[bytes], randomness: Callable[[int], bytes], tell: Tell
    ) -> None:
        self._ring = ring
        self._clock = clock
        self._peppers = tuple(pepper_of(secret) for secret in secrets)
        self._randomness = randomness
        self._tell = tell
        self._known: dict[str, _Known] = {}
        self._tats: dict[str, float] = {}
        self._noted: dict[str, int] = {}
        """When a key's last use was written last, in ms."""
        self._gone: dict[str, float] = {}
        """When a key was revoked here: what was asked before that is not believed."""
        self._waiting: dict[str, asyncio.Future[_Known | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return "Warden()"

    def recalled(self, given: str) -> ApiKey | None:
        """Whose key this is, from memory. None says nothing: then `found` is to be asked."""
        known = self._known.get(given[:ID_LENGTH])
        now = self._clock.monotonic()
        if known is None or now - known.asked_at >= FRESH_S or not self._fits(known.key, given):
            return None
        known.used_at = known.wanted_at = now
        return known.key

    async def found(self, given: str) -> ApiKey | None:
        """Whose key this is; None where it is mistyped, made up, revoked or past its time. Raises `Unavailable`."""
        id_ = api_key_id(given)
        if id_ is None:
            return None
        if (key := self.recalled(given)) is not None:
            return key
        known = self._known.get(id_)
        if known is None or self._clock.monotonic() - known.asked_at >= FRESH_S:
            known = await self._asked(id_)
        if known is None or not self._fits(known.key, given):
            return None
        known.used_at = self._clock.monotonic()
        return known.key

    def drawn(self, key: ApiKey) -> tuple[Rate, Quota] | None:
        """Counts a call by this key against its rate; None where it has none."""
        if key.rate is None:
            return None
        known = self._known.get(key.id)
        rate = known.rate if known is not None and known.rate is not None else parse_rate(key.rate)
        quota = draw(self._tats.get(key.id, UNUSED), self._clock.monotonic(), rate)
        self._tats[key.id] = quota.tat
        return rate, quota

    async def made(
        self,
        tenant: str,
        name: str,
        scopes: Sequence[str],
        expires_at: int | None = None,
        rate: str | None = None,
        by: str | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key, and how it is written: nobody can say that ever again. `by`: the id of the key that asks for it."""
        while True:
            text = written(self._randomness(RANDOM_BYTES))
            key = ApiKey(
                id=text[:ID_LENGTH],
                tenant=tenant,
                name=name,
                scopes=tuple(scope for scope in SCOPES if scope in scopes),
                digest=digest_of(text.encode(), self._peppers[0]),
                created_at=self._clock.now_ms(),
                expires_at=expires_at,
                rate=rate,
            )
            if await self._ring.add(key):
                self._tell(KeyMoved(key.id, "made", by))
                return key, text

    async def page(self, tenant: str | None, limit: int, after: Place | None) -> Sequence[ApiKey]:
        """As ports.KeyRing."""
        return await self._ring.page(tenant, limit, after)

    async def revoke(self, tenant: str | None, id_: str, by: str | None = None) -> bool:
        """As ports.KeyRing. Here at once, elsewhere within a second."""
        gone = await self._ring.revoke(tenant, id_)
        if gone:
            self._gone[id_] = self._clock.monotonic()
            self._known.pop(id_, None)
            self._tell(KeyMoved(id_, "revoked", by))
        return gone

    async def run(self) -> None:
        while True:
            await self._clock.sleep(TURN_S)
            try:
                await self.turn()
            except Unavailable as error:
                self._tell(Trouble("keys", str(error)))

    async def turn(self) -> None:
        """Looks for all keys in use again, and notes that they are. Raises `Unavailable`."""
        now = self._clock.monotonic()
        self._forget(now)
        ids = list(self._known)
        for start in range(0, len(ids), ASKED_MAX):
            await self._ask(ids[start : start + ASKED_MAX])
        if used := self._to_note():
            await self._ring.used(used)
            self._noted |= used

    def _forget(self, now: float) -> None:
        """What is not used any more."""
        self._known = {id_: known for id_, known in self._known.items() if now - known.wanted_at < KEPT_S}
        self._tats = {id_: tat for id_, tat in self._tats.items() if tat > now}
        self._noted = {id_: at for id_, at in self._noted.items() if id_ in self._known}
        self._gone = {id_: at for id_, at in self._gone.items() if now - at < KEPT_S}

    def _to_note(self) -> Mapping[str, int]:
        """The keys that were used since their last use was written, once that is long ago."""
        now, passed = self._clock.monotonic(), self._clock.now_ms()
        found = {}
        for id_, known in self._known.items():
            if known.used_at is None:
                continue
            used = passed - round((now - known.used_at) * 1000)
            if used - max(known.key.used_at or 0, self._noted.get(id_, 0)) >= NOTED_MS:
                found[id_] = used
        return found

    def _fits(self, key: ApiKey, given: str) -> bool:
        raw = given.encode("utf-8", "replace")
        same = False
        for pepper in self._peppers:
            same |= hmac.compare_digest(digest_of(raw, pepper), key.digest)
        return same and key.lives(self._clock.now_ms())

    async def _asked(self, id_: str) -> _Known | None:
        """The key as the store has it now. Who comes while it is being asked goes with the next question."""
        waiting = self._waiting.get(id_)
        if waiting is None:
            if len(self._waiting) >= WAITING_MAX:
                raise StoreDown("too many keys that nobody knows")
            waiting = self._waiting[id_] = asyncio.get_running_loop().create_future()
            if self._asking is None:
                self._asking = asyncio.ensure_future(self._ask_all())
        return await asyncio.shield(waiting)

    async def _ask_all(self) -> None:
        while self._waiting:
            ids = list(self._waiting)[:ASKED_MAX]
            futures = [self._waiting.pop(id_) for id_ in ids]
            try:
                found = await self._ask(ids)
            except Exception as error:  # noqa: BLE001 — whoever waits must hear of it
                for future in futures:
                    future.set_exception(error)
                    future.exception()  # it may be that nobody waits any more
                continue
            for id_, future in zip(ids, futures, strict=True):
                future.set_result(found.get(id_))
        self._asking = None

    async def _ask(self, ids: Sequence[str]) -> dict[str, _Known]:
        """Asks the store for these, and believes it from the moment of asking on."""
        asked_at = self._clock.monotonic()
        try:
            async with asyncio.timeout(ANSWER_S):
                found = {key.id: key for key in await self._ring.find(ids)}
        except TimeoutError:
            raise StoreDown("the store took too long to say who has a key") from None
        fresh = {}
        for id_ in ids:
            key, known = found.get(id_), self._known.get(id_)
            if key is None or self._gone.get(id_, UNUSED) >= asked_at:
                self._known.pop(id_, None)
                continue
            fresh[id_] = _Known(key, asked_at, known)
        self._known |= fresh
        while len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
        return fresh
