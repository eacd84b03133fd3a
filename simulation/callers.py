"""Who uses the product: posts in bursts, repeats what got no answer, cancels, switches providers, and decides doubts by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from sendwright.errors import Unavailable
from sendwright.model.ids import message_id
from sendwright.model.notification import Payload
from sendwright.model.records import Cancelled, Switch, Taken
from sendwright.model.states import MessageState
from sendwright.policy.duration import rfc3339
from simulation.draw import HOUR_S, Draw, chance, pick
from simulation.loop import START_S
from simulation.process import true_ms
from simulation.vendors import KINDS

if TYPE_CHECKING:
    from simulation.process import Life
    from simulation.world import World

TENANT = "acme"
PATIENCE_S = 5.0
PRIORITIES = ("critical", "high", "normal", "normal", "normal", "bulk", "bulk")
TTLS = ("1s", "2s", "3s", "5s", "60s", "60s", "300s")
SOON_S = (0.0, 0.01, 0.05, 0.2, 1.0, 3.0, 30.0)
MESSAGES_PER_HOUR = 100
BURSTS_PER_HOUR = 6
BLASTS = 0.1
"""Share of posts that are for many at once."""


class Post(Struct):
    """One notification that somebody wants to send."""

    at_s: float
    body: bytes
    key: str | None
    recipients: int
    cancel_after_s: float | None = None
    id: str | None = None
    """Once a 202 was heard."""


def bursts(draw: Draw, days: float) -> list[float]:
    """Loop seconds at which work comes; all of it lies within the span."""
    rng, hours = draw.stream("bursts"), max(1, round(days * 24))
    return sorted(START_S + hour * HOUR_S + rng.uniform(30, HOUR_S - 120) for hour in range(hours) for _ in range(BURSTS_PER_HOUR))


class Callers:
    """Everybody outside."""

    def __init__(self, world: World, at_s: list[float]) -> None:
        self._world = world
        self._rng = rng = world.draw.stream("callers")
        self._switches = "switch" if chance(rng, 0.5) else ""
        self.posts: list[Post] = []
        per_burst = MESSAGES_PER_HOUR / BURSTS_PER_HOUR
        for burst_s in at_s:
            messages = 0
            while messages < per_burst:
                post = self._drawn(rng, burst_s + 0.05 * int(rng.random() ** 2 * 200), len(self.posts))
                self.posts.append(post)
                messages += post.recipients
        self.accepted: dict[str, Post] = {}

    def begin(self) -> None:
        for post in self.posts:
            self._world.at(post.at_s, self._start, self._post(post))
        for place, post in enumerate(self.posts):
            if self._switches and place % 15 == 7:
                self._world.at(post.at_s + self._rng.uniform(0, 5), self._start, self._switch())

    def canaries(self) -> list[Post]:
        """What is posted when all is well again: it must arrive."""
        posts = []
        for place, to in enumerate(({"phone": "+15550109999"}, {"email": "canary@example.org"})):
            body = {"to": to, "content": {"body": "Hello"}, "priority": "high", "ttl": "300s"}
            posts.append(Post(self._world.loop.time(), msgspec.json.encode(body), f"canary-{place}", 1))
        for post in posts:
            self._start(self._post(post))
        return posts

    async def look_at_doubts(self) -> None:
        """A person decides what is in doubt or has failed, now and then."""
        tables = self._world.store.tables
        for message in list(tables.messages.rows.values()):
            if message.state == MessageState.IN_DOUBT and chance(self._rng, 0.4):
                verdict = pick(self._rng, ("sent", "failed", "resend"))
                await self._ask(partial(_resolve, message.id, verdict))
            elif message.dead and chance(self._rng, 0.2):
                await self._ask(partial(_revive, message.id))

    def _start(self, coro: Coroutine[Any, Any, None]) -> None:
        self._world.spawn(coro)

    async def _post(self, post: Post) -> None:
        rng = self._rng
        payload = msgspec.json.decode(post.body, type=Payload)
        for _ in range(30):
            answer = await self._ask(lambda life: life.accepting.accept(TENANT, payload, post.body, post.key))
            if isinstance(answer, Taken):
                post.id = answer.id
                self.accepted[answer.id] = post
                self._world.line("caller", "replayed" if answer.replayed else "accepted", answer.id)
                break
            if post.key is None and chance(rng, 0.3):
                return  # gives up, and does not know
            await asyncio.sleep(pick(rng, (0.5, 1.0, 5.0)))
        else:
            return
        if post.cancel_after_s is not None:
            await asyncio.sleep(post.cancel_after_s)
            await self._cancel(post.id or "", post.recipients)

    async def _cancel(self, notification: str, recipients: int) -> None:
        target = notification if chance(self._rng, 0.6) else message_id(notification, int(self._rng.random() * recipients))
        answer = await self._ask(lambda life: life.ledger.cancel(TENANT, target, life.clock.now_ms()))
        if isinstance(answer, Cancelled):
            if answer.unplanned:
                self._world.oracle.never.add(notification)
            word = "unplanned" if answer.unplanned else "cancelled" if answer.cancelled else "too_late"
            self._world.note("caller", f"cancel_{word}", target)

    async def _switch(self) -> None:
        rng = self._rng
        kind = pick(rng, KINDS)
        switch = pick(
            rng,
            (
                Switch(kind.name, enabled=False),
                Switch(kind.name, enabled=True),
                Switch(kind.name, concurrency=2),
                Switch(kind.name, rate="1/s"),
                Switch(kind.name),
            ),
        )
        await self._ask(lambda life: self._switched(life, switch))
        await asyncio.sleep(pick(rng, (2.0, 10.0, 60.0)))
        await self._ask(lambda life: self._switched(life, Switch(kind.name)))

    async def _switched(self, life: Life, switch: Switch) -> bool:
        """As the API does it."""
        await life.board.set(switch)
        await life.fleet.reload()
        life.promoter.poke()
        self._world.note(life.label, "switched", switch.provider)
        return True

    async def _ask(self, request: Callable[[Life], Coroutine[Any, Any, Any]]) -> Any:
        """The answer of a process; None when there was none, or that it could not."""
        life = self._world.some_life(self._rng)
        if life is None:
            return None
        answer: asyncio.Future[Any] = self._world.loop.create_future()
        life.spawn(_serve(request(life), answer))
        limit = self._world.later(PATIENCE_S, _set, answer, None)
        try:
            return await answer
        finally:
            limit.cancel()

    def _drawn(self, rng: random.Random, at_s: float, place: int) -> Post:
        recipients = [self._recipient(rng, place, ordinal) for ordinal in range(pick(rng, (1, 1, 1, 2, 3)))]
        body: dict[str, Any] = {"to": recipients, "content": {"body": "Hello"}, "priority": pick(rng, PRIORITIES)}
        if chance(rng, BLASTS):  # what shares calls
            recipients = body["to"] = [_phone(place, ordinal) for ordinal in range(6)]
            body["priority"] = pick(rng, ("normal", "bulk"))
        if chance(rng, 0.5):
            body["ttl"] = pick(rng, TTLS)
        if chance(rng, 0.7):
            body["on_doubt"] = pick(rng, ("hold", "resend"))
        if chance(rng, 0.15):
            body["send_at"] = rfc3339(true_ms(at_s) + pick(rng, (500, 1000, 5000, 30_000, 120_000)))
        if chance(rng, 0.08):  # so little time that it may be up on the way
            body["send_at"] = rfc3339(true_ms(at_s) + 500)
            body["expires_at"] = rfc3339(true_ms(at_s) + 500 + pick(rng, (1, 10, 50, 100)))
        if chance(rng, 0.15):
            body["category"] = "marketing"
        key = f"key-{place}" if chance(rng, 0.6) else None
        cancel_after_s = pick(rng, SOON_S) if chance(rng, 0.15) else None
        return Post(at_s, msgspec.json.encode(body), key, len(recipients), cancel_after_s)

    def _recipient(self, rng: random.Random, place: int, ordinal: int) -> dict[str, str]:
        phone, email = _phone(place, ordinal), {"email": f"n{1000 * ordinal + place}@example.org"}
        return pick(rng, (phone, phone, email, email, phone | email))


def _phone(place: int, ordinal: int) -> dict[str, str]:
    return {"phone": f"+1555{1000 * ordinal + place:07d}"}


async def _resolve(message: str, verdict: str, life: Life) -> Any:
    return await life.ledger.resolve(TENANT, message, verdict, life.clock.now_ms())


async def _revive(message: str, life: Life) -> Any:
    return await life.ledger.revive(TENANT, message, life.clock.now_ms())


async def _serve(story: Coroutine[Any, Any, Any], answer: asyncio.Future[Any]) -> None:
    try:
        result = await story
    except Unavailable:
        result = None
    _set(answer, result)


def _set(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)
