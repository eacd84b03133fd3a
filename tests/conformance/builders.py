"""What the suites are told with: a clock that stands still, ids, plans, claims and outcomes with everything filled in."""

from __future__ import annotations

import itertools
from typing import Any, Protocol

from sendwright.engine.ports import Ledger
from sendwright.model.ids import IdMint, message_id
from sendwright.model.notification import OnDoubt, Priority
from sendwright.model.parcel import Parcel, Round, Sighting, Step
from sendwright.model.records import Birth, Claim, Claimed, Decision, Offer, Plan, Refused, Settlement, Wait
from sendwright.model.said import Said
from sendwright.model.states import AttemptState, MessageState
from sendwright.policy.suppression import Marker

NOW = 1_800_000_000_000
"""ms since 1970, when the tests take place."""
MINUTE = 60_000
TENANT = "acme"
SMS = Step("sms", "+15550100001")
EMAIL = Step("email", "someone@example.org")
MINT = IdMint(b"a secret for tests, 32 bytes long")
MARKER = Marker(b"a secret for tests, 32 bytes long")

_numbers = itertools.count(1)


class ManualClock:
    """Time stands still until it is moved."""

    def __init__(self, now_ms: int = NOW) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._now_ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._now_ms += round(seconds * 1000)


def new_id(tenant: str = TENANT, at: int = NOW) -> str:
    """Another notification's id; within one millisecond they rise."""
    return MINT.notification(tenant, at, next(_numbers).to_bytes(9, "big"))


def offer(key: str | None = None, fingerprint: bytes = b"same", **changed: Any) -> Offer:
    tenant = changed.pop("tenant", TENANT)
    at = changed.pop("at", NOW)
    priority = changed.pop("priority", Priority.NORMAL)
    body = changed.pop("body", b'{"to":"someone","content":{"body":"Hello"}}')
    return Offer(changed.pop("id", new_id(tenant, at)), tenant, at, priority, body, key, fingerprint, **changed)


def birth(notification: str, ordinal: int = 0, steps: tuple[Step, ...] = (SMS,), **changed: Any) -> Birth:
    return Birth(message_id(notification, ordinal), steps, changed.pop("state", MessageState.QUEUED), **changed)


def plan(*births: Birth, notification: str | None = None, steps: tuple[Step, ...] = (SMS,), **changed: Any) -> Plan:
    """One notification; without births it is planned into one queued message."""
    tenant = changed.pop("tenant", TENANT)
    at = changed.pop("at", NOW)
    ntf = notification or new_id(tenant, at)
    on_doubt: OnDoubt = changed.pop("on_doubt", "resend")
    priority = changed.pop("priority", Priority.NORMAL)
    content = changed.pop("content", Said(body="Hello"))
    return Plan(ntf, tenant, at, priority, "transactional", on_doubt, content, births or (birth(ntf, 0, steps),), **changed)


async def planned(ledger: Ledger, **changed: Any) -> Parcel:
    """The parcel of a notification that was planned into one queued message."""
    ((parcel,),) = await ledger.plan([plan(**changed)])
    return parcel


async def scheduled(ledger: Ledger, due_at: int, **changed: Any) -> str:
    """The id of a message that waits for its time."""
    ntf = new_id()
    wait = Wait("time", due_at, until=due_at)
    await ledger.plan([plan(birth(ntf, state=MessageState.SCHEDULED, wait=wait), notification=ntf, **changed)])
    return message_id(ntf, 0)


def claim(parcel: Parcel, token: str = "token-1", **changed: Any) -> Claim:
    provider = changed.pop("provider", "twilio-main")
    owner = changed.pop("owner", "worker-1")
    now = changed.pop("now", NOW)
    epoch = changed.pop("epoch", 1)
    return Claim(parcel, provider, token, owner, epoch, now, changed.pop("deadline_at", now + 10_000), **changed)


async def claimed(ledger: Ledger, parcel: Parcel, token: str = "token-1", **changed: Any) -> Claimed:
    """A claim that must be granted."""
    answer = await ledger.claim(claim(parcel, token, **changed))
    assert isinstance(answer, Claimed), answer
    return answer


def refused(answer: Claimed | Refused) -> str:
    """Why a claim was refused."""
    assert isinstance(answer, Refused), answer
    return answer.why


def accepted(parcel: Parcel, held: Claimed, token: str = "token-1", **changed: Any) -> Settlement:
    """The provider took it."""
    decision = Decision(MessageState.SENT, parcel.step, calls=parcel.calls + 1)
    return outcome(parcel, held, AttemptState.SENT, decision, token, **changed)


def later(parcel: Parcel, held: Claimed, token: str = "token-1", due_at: int = NOW + MINUTE, **changed: Any) -> Settlement:
    """Provably not taken: wait, and try again."""
    wait = Wait("time", due_at, until=due_at)
    decision = Decision(
        MessageState.QUEUED, parcel.step, calls=parcel.calls + 1, backoff_s=1.5, round=Round(("twilio-main",)), wait=wait
    )
    return outcome(parcel, held, AttemptState.FAILED, decision, token, **changed)


def rejected(parcel: Parcel, held: Claimed, token: str = "token-1", **changed: Any) -> Settlement:
    """A permanent refusal: the next step, where there is one."""
    more = parcel.step + 1 < len(parcel.steps)
    decision = Decision(
        MessageState.QUEUED if more else MessageState.FAILED,
        parcel.step + 1 if more else parcel.step,
        wait=Wait("time", NOW) if more else None,
        reason="blocked",
    )
    return outcome(parcel, held, AttemptState.REJECTED, decision, token, reason="blocked", **changed)


def lost(parcel: Parcel, held: Claimed, token: str = "token-1", **changed: Any) -> Settlement:
    """The answer was lost: held, or sent again in 30 seconds."""
    if parcel.on_doubt == "hold":
        decision = Decision(MessageState.IN_DOUBT, parcel.step, calls=parcel.calls + 1, reason="lost_answer")
    else:
        wait = Wait("time", NOW + 30_000, until=NOW + 30_000)
        decision = Decision(MessageState.SENDING, parcel.step, calls=parcel.calls + 1, wait=wait, reason="lost_answer")
    return outcome(parcel, held, AttemptState.IN_DOUBT, decision, token, **changed)


def outcome(
    parcel: Parcel, held: Claimed, state: AttemptState, decision: Decision, token: str = "token-1", **changed: Any
) -> Settlement:
    at = changed.pop("at", NOW)
    return Settlement(held.attempt, parcel.id, held.number, token, state, decision, at, **changed)


def receipt(state: AttemptState, attempt: str | None = None, ref: str | None = None, **changed: Any) -> Sighting:
    return Sighting(changed.pop("provider", "twilio-main"), int(state), attempt, ref, **changed)


async def sent(ledger: Ledger, ref: str | None = None, **changed: Any) -> tuple[Parcel, Claimed]:
    """A message that a provider took."""
    parcel = await planned(ledger, **changed)
    held = await claimed(ledger, parcel)
    assert await ledger.settle(accepted(parcel, held, ref=ref)) == MessageState.SENT
    return parcel, held


async def in_doubt(ledger: Ledger, **changed: Any) -> tuple[Parcel, Claimed]:
    """A message that is held in doubt."""
    parcel = await planned(ledger, on_doubt="hold", **changed)
    held = await claimed(ledger, parcel)
    assert await ledger.settle(lost(parcel, held)) == MessageState.IN_DOUBT
    return parcel, held


class _Reading(Protocol):
    records: Any


async def message_of(backend: _Reading, parcel: Parcel | str, tenant: str = TENANT) -> Any:
    """The message's row, which must be there."""
    row = await backend.records.message(tenant, parcel if isinstance(parcel, str) else parcel.id)
    assert row is not None
    return row


async def state_of(backend: _Reading, parcel: Parcel | str) -> MessageState:
    row = await message_of(backend, parcel)
    state: MessageState = row.state
    return state


async def kinds_of(backend: _Reading, parcel: Parcel | str) -> list[str]:
    """The types of the message's own events, in order."""
    message = parcel if isinstance(parcel, str) else parcel.id
    return [event.type for event in await backend.records.timeline(message) if event.message == message]
