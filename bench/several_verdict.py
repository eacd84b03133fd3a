"""What a campaign over several processes came to: the callers' ledger, the store and the provider's log, joined."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from tests.acceptance.harness import Oracle, wait_until
from tests.acceptance.several import Several

from bench.doors import Doors
from bench.takeover import LONG, takeovers
from bench.verdict import OPEN_AT_KILL
from bench.victims import Death
from sendwright.model import ids

QUIET_S = 180.0
TAKEOVER_S = 15.0
EMPTY_S = 60.0
OPEN = """
  select distinct substr(id, 5, 34) from attempts, unnest($1::bigint[], $2::bigint[]) as away (since, till)
  where started_at <= till and coalesce(finished_at, 9223372036854775807) >= since
"""
"""Messages that had an attempt open while any of those who were killed was away; times in ms since 1970."""
NUMBER = re.compile(r"message (\d+)")


@dataclass
class Account:
    """`faults` must be empty. Messages are named by id."""

    name: str
    deaths: list[Death] = field(default_factory=list)
    accepted: int = 0
    unanswered: int = 0
    """Posts without a key that were never answered, and of those, how many were taken."""
    unanswered_taken: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: dict[str, int] = field(default_factory=dict)
    in_doubt: list[str] = field(default_factory=list)
    takeover_s: list[float] = field(default_factory=list)
    slow_otherwise: int = 0
    first_share: float = 1.0
    soon_share: float = 1.0
    posts_meanwhile: int = 0
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def open(self) -> int:
        return sum(death.open for death in self.deaths)

    @property
    def good(self) -> bool:
        return not self.faults

    @property
    def truthful_share(self) -> float:
        return 1 - len([fault for fault in self.faults if fault.startswith(("lost", "unsettled"))]) / max(1, self.accepted)

    def lines(self) -> Iterator[str]:
        yield f"{self.name}: {'good' if self.good else 'BAD'}"
        yield f"  accepted {self.accepted}, lost {len(self.lost)}, truthful final state {self.truthful_share:.4%}"
        if self.unanswered:
            yield f"  posts without a key that were never answered {self.unanswered}, of which taken {self.unanswered_taken}"
        if self.deaths:
            yield from self._of_deaths()
        yield from (f"  {note}" for note in self.notes)
        for message, count in list(self.doubled.items())[:5]:
            yield f"    sent {count} times: {message}"
        for fault in self.faults[:20]:
            yield f"    {fault}"

    def _of_deaths(self) -> Iterator[str]:
        kinds = {kind: [d for d in self.deaths if d.what == kind] for kind in ("api", "worker", "scheduler", "broker", "store")}
        yield "  kills " + f"{len(self.deaths)}: " + ", ".join(f"{len(of)} {kind}" for kind, of in kinds.items() if of)
        enough = sum(d.open >= OPEN_AT_KILL for d in self.deaths)
        yield f"  attempts open at the kills {self.open}, at least {OPEN_AT_KILL} at {enough} of {len(self.deaths)}"
        yield f"  doubled {len(self.doubled)}, in doubt {len(self.in_doubt)}, each listed"
        if self.takeover_s:
            ordered = sorted(self.takeover_s)
            yield (
                f"  taken over {len(ordered)} attempts: {ordered[len(ordered) // 2]:.1f} s (median), {ordered[-1]:.1f} s (most);"
                f" slow for other reasons {self.slow_otherwise}"
            )
        yield (
            f"  posts while a node was away {self.posts_meanwhile}: {self.first_share:.2%} answered 202 at once,"
            f" {self.soon_share:.2%} there or at the next door"
        )


def settle_all(house: Several, doors: Doors, within_s: float = QUIET_S) -> None:
    """Until everything accepted is planned and nothing moves any more; or until nothing has become of anything for that long: the
    verdict names what is left."""

    def left() -> tuple[int, int]:
        planned = {row[0] for row in house.ask("select id from notifications where planned")}
        moving = house.ask("select count(*) from messages where state in (10, 11, 20, 21)")[0][0]
        return len(set(doors.accepted.values()) - planned), moving

    before, deadline = (-1, -1), time.monotonic() + within_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, asyncpg.PostgresError):  # the store may still be coming back
            now = left()
            if now == (0, 0):
                return
            if now != before:
                before, deadline = now, time.monotonic() + within_s
        time.sleep(0.5)


def account(
    name: str,
    house: Several,
    oracle: Oracle,
    doors: Doors,
    *,
    deaths: Collection[Death] = (),
    held: Collection[str] = (),
    excused: Collection[str] = (),
) -> Account:
    """Joins the three. By notification: `held` must not be sent twice, `excused` need not have been sent at all."""
    made = Account(name, list(deaths), accepted=len(doors.accepted), unanswered=len(doors.maybe))
    known = {ids.message_id(id_, 0): id_ for id_ in doors.accepted.values()}
    loose = _unanswered(house, doors)
    made.unanswered_taken = len(loose)
    taken, strangers = _taken(oracle, doors, loose)
    made.doubled = {message: count for message, count in taken.items() if count > 1}
    made.in_doubt = [row["id"] for row in house.pages("/v1/messages?state=in_doubt")]
    listed = {row["id"] for row in house.pages("/v1/messages?doubled=true")}
    states = dict(asyncio.run(house.asked("select id, state from messages")))
    doubts = set(made.in_doubt)
    made.lost = [m for m, id_ in known.items() if id_ not in excused and m not in taken and m not in doubts]
    holding = {ids.message_id(id_, 0) for id_ in held}
    made.faults += [*doors.wrong, *(f"lost: {message}" for message in made.lost)]
    made.faults += [f"sent and never accepted: number {number}" for number in strangers]
    made.faults += [f"doubled and not listed: {m}" for m in made.doubled if m not in listed | doubts]
    made.faults += [f"sent twice although held: {m}" for m in made.doubled if m in holding]
    waiting = dict(asyncio.run(house.asked("select message, concat_ws(' ', kind, key, name, due_at, serial) from waits")))
    made.faults += [f"unsettled: {m} is in state {states[m]}, waits: {waiting.get(m)}" for m in states if states[m] < 30]
    made.faults += [f"missing: {m}" for m in known if m not in states]
    if made.deaths and len(made.doubled) + len(made.in_doubt) > made.open:
        made.faults.append(f"{len(made.doubled) + len(made.in_doubt)} doubles and doubts, {made.open} were open")
    if made.deaths:
        spans = [(death.wall_ms, death.back_ms) for death in made.deaths]
        open_then = {f"msg_{row[0]}" for row in house.ask(OPEN, *map(list, zip(*spans, strict=True)))}
        made.faults += [
            f"doubted, and was not open at a kill: {m}" for m in sorted(doubts | made.doubled.keys()) if m not in open_then
        ]
    made.takeover_s, made.slow_otherwise = takeovers(house.ask(LONG), made.deaths)
    made.faults += [f"taken over after {s:.1f} s" for s in made.takeover_s if s > TAKEOVER_S]
    _meanwhile(made, doors)
    made.faults += [f"audit: {violation}" for violation in audited(house)]
    return made


def audited(house: Several) -> list[Any]:
    """The recount's violations, once the counts that are reported lazily have come."""
    try:
        wait_until(lambda: house.api("GET", "/v1/audit")[1]["ok"], 20, "the recount agrees", every_s=0.5)
    except AssertionError:
        return list(house.api("GET", "/v1/audit")[1]["violations"])
    return []


def left_over(house: Several) -> list[str]:
    """Where everything is settled, nothing is left on the bus, nor was any of it given up."""
    faults = [f"dead: {row[0]} of {row[1]}: {row[2]}" for row in house.ask("select id, lane, problem from dead_parcels limit 20")]
    try:
        wait_until(lambda: house.broker.left() == 0, EMPTY_S, "the queues are empty", every_s=1)
    except AssertionError:
        faults.append(f"{house.broker.left()} messages are left in the queues")
    return faults


def _taken(oracle: Oracle, doors: Doors, loose: dict[int, str]) -> tuple[Counter[str], set[int]]:
    """How often the provider took each message, by what it says; and numbers that were never asked for."""
    messages = loose | {number_of(key): ids.message_id(id_, 0) for key, id_ in doors.accepted.items()}
    taken, strangers = Counter[str](), set[int]()
    for line in oracle.log.read_bytes().splitlines():
        entry = json.loads(line)
        if entry["taken"]:
            number = int(NUMBER.fullmatch(entry["body"])[1])  # type: ignore[index]
            if number in messages:
                taken[messages[number]] += 1
            else:
                strangers.add(number)
    return taken, strangers


def number_of(key: str) -> int:
    return int(key.rpartition("-")[2])


def _unanswered(house: Several, doors: Doors) -> dict[int, str]:
    """Messages of posts that nobody was told of, by number: one at most of each."""
    told, by_number = set(doors.accepted.values()), dict[int, str]()
    for id_, content in house.ask("select id, content from notifications where planned"):
        number = NUMBER.search(content or "")
        if id_ not in told and number and int(number[1]) in doors.maybe:
            by_number[int(number[1])] = ids.message_id(id_, 0)
    return by_number


def _meanwhile(made: Account, doors: Doors) -> None:
    posts = [post for post in doors.posts if any(death.at - 0.02 <= post.at <= death.back for death in made.deaths)]
    made.posts_meanwhile = len(posts)
    if posts:
        made.first_share = sum(post.first for post in posts) / len(posts)
        made.soon_share = sum(post.soon for post in posts) / len(posts)
