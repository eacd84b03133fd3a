"""What a campaign came to: three accounts joined, those of the callers, of the store and of the provider."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.acceptance.harness import Caller, House, Taken, wait_until

from bench.channels import Tally
from sendwright.model import ids

OPEN_AT_KILL = 20
ENOUGH = 30
"""Calls in hand at which a campaign kills: some of them end while it looks."""
SETTLED = {"sent", "delivered", "read", "in_doubt", "failed", "expired", "cancelled", "suppressed"}
QUIET_S = 120


class Book(Protocol):
    """A provider's log."""

    def taken(self) -> Taken: ...


@dataclass
class Verdict:
    """`lost`, `unlisted`, `wrong` and `audit` must be empty, and every crash point that was asked for reached."""

    name: str
    accepted: int = 0
    kills: int = 0
    reached: bool = True
    open_at_kill: list[int] = field(default_factory=list)
    """Attempts that were unsettled when it died: only they may come to a doubt or a double."""
    recovery_s: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: dict[str, list[str]] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)
    in_doubt: list[str] = field(default_factory=list)
    listed: int = 0
    wrong: list[str] = field(default_factory=list)
    audit: list[Any] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)
    """Where it went over several channels, the account of each."""

    @property
    def faults(self) -> list[str]:
        """Everything on which the accounts don't agree."""
        named = {"lost": self.lost, "doubled, not listed": self.unlisted, "wrong": self.wrong, "audit": self.audit}
        own = [f"{name}: {row}" for name, rows in named.items() for row in rows]
        return own + [fault for tally in self.tallies for fault in tally.faults]

    @property
    def good(self) -> bool:
        bounded = len(self.doubled) + len(self.in_doubt) <= sum(self.open_at_kill)
        return self.reached and bounded and not self.faults

    def lines(self) -> Iterator[str]:
        yield f"{self.name}: {'good' if self.good else 'BAD' if self.reached else 'NOT REACHED'}"
        yield f"  accepted {self.accepted}, kills {self.kills}, lost {len(self.lost)}"
        yield f"  doubled {len(self.doubled)} (listed by doubled=true: {self.listed}), in doubt {len(self.in_doubt)}"
        for tally in self.tallies:
            yield f"    {tally.line()}"
        if self.open_at_kill:
            enough = sum(n >= OPEN_AT_KILL for n in self.open_at_kill)
            yield f"  attempts open at the kills {sum(self.open_at_kill)}, at least {OPEN_AT_KILL} at {enough} of {self.kills}"
        if self.recovery_s:
            ordered = sorted(self.recovery_s)
            yield f"  ready again after {ordered[len(ordered) // 2]:.2f} s (median), {ordered[-1]:.2f} s (most)"
        for message, attempts in list(self.doubled.items())[:5]:
            yield f"    doubled {message}: {' '.join(attempts)}"
        for fault in self.faults[:20]:
            yield f"    {fault}"


def settle(house: House, aside: int = 0) -> None:
    """Until nothing moves any more: doubts take their time for receipts. `aside`: accepted, and kept among the dead parcels."""

    counted: dict[str, Any] = {}

    def quiet() -> bool:
        counted.update(house.api("GET", "/v1/audit")[1])
        moving = any(counted["by_state"].get(state) for state in ("accepted", "queued", "sending", "scheduled"))
        return not moving and counted["waiting"] == aside

    try:
        wait_until(quiet, QUIET_S, "everything settled", every_s=0.5)
    except AssertionError as error:
        raise AssertionError(f"{error}: {counted['by_state']}, waiting {counted['waiting']}") from error


def judge(
    verdict: Verdict,
    house: House,
    oracle: Book,
    caller: Caller,
    *,
    held: Collection[str] = (),
    excused: Collection[str] = (),
    others: Collection[str] = (),
    books: Collection[Taken] = (),
) -> None:
    """Fills in the verdict. By notification: `held` must not be sent twice, `excused` need not have been sent at all (they
    expired or could not be), `others` were accepted by other ways than the caller's; `books`: what was taken beside the oracle."""
    taken = Taken.joined(oracle.taken(), *books)
    verdict.accepted = len(caller.accepted)
    verdict.doubled = taken.doubled
    listed = {row["id"] for row in house.pages("/v1/messages?doubled=true")}
    verdict.listed = len(listed)
    verdict.unlisted = [message for message in taken.doubled if message not in listed]
    verdict.in_doubt = [row["id"] for row in house.pages("/v1/messages?state=in_doubt")]
    doubts = set(verdict.in_doubt)
    known = {ids.message_id(id_, 0) for id_ in {*caller.accepted.values(), *others}}
    for id_ in caller.accepted.values():
        message = ids.message_id(id_, 0)
        if id_ not in excused and message not in taken.by_message and message not in doubts:
            verdict.lost.append(message)
    verdict.wrong += [f"{message} was sent and never accepted" for message in taken.by_message.keys() - known]
    holding = {ids.message_id(id_, 0) for id_ in held}
    verdict.wrong += [f"{message} was sent twice although held" for message in taken.doubled if message in holding]
    counts = house.counts()
    verdict.wrong += [f"{count} messages {state}" for state, count in counts.items() if state not in SETTLED and count]
    if sum(counts.values()) != len(known):
        verdict.wrong.append(f"{sum(counts.values())} messages stored, {len(known)} accepted")
    verdict.audit = house.api("GET", "/v1/audit")[1]["violations"]
