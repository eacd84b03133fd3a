"""What is planted in the engine or in its store, some seed of a small number finds: else a clean seed would say nothing.

Each mutant is one piece of source text replaced in one function; the others of the same row are the lines of defence
behind it, without which nobody could see it.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from simulation.world import simulate

from sendwright.drivers.store import memory_ledger
from sendwright.engine import account, coach, deliver, plan, repair, schedule, settle, shortcut, store_time
from sendwright.model.parcel import Parcel
from sendwright.policy import fold
from sendwright.policy.reaction import Next


class Edit(NamedTuple):
    """In this function, this text becomes that."""

    where: Any
    name: str
    old: str
    new: str


class Mutant(NamedTuple):
    name: str
    edits: Sequence[Edit]
    invariants: str
    """Those that may find it first, separated by spaces."""


D, S, P, C = deliver.Deliverer, settle.Settler, schedule.Promoter, coach.Coach
MUTANTS = [
    Mutant(
        "acknowledged before the claim",
        [
            Edit(
                D,
                "deliver",
                "        ready = await self._prepare(self._as_answer(said))",
                "        handled()\n        ready = await self._prepare(self._as_answer(said))",
            )
        ],
        "I1",
    ),
    Mutant(
        "a held doubt is sent again",
        [Edit(fold, "doubt", 'of.on_doubt == "hold" or calls', "calls")],
        "I2",
    ),
    Mutant(
        "expiry by < where <= is meant",
        [
            Edit(D, "_prepare", "expires_at <= now", "expires_at < now"),
            Edit(D, "_too_late", "expires_at <= self", "expires_at < self"),
            Edit(memory_ledger, "_over_time", "expires_at <= now", "expires_at < now"),
            Edit(schedule, "_end_of", "expires_at <= now", "expires_at < now"),
        ],
        "I3 I8",
    ),
    Mutant(
        "expiry not looked at after the claim",
        [Edit(D, "_too_late", "expires_at is not None and", "False and")],
        "I3",
    ),
    Mutant(
        "repair asks nobody whether they live",
        [Edit(repair.Repairer, "turn", "alive = self._alive if judges else _anybody", "alive = lambda _owner: False")],
        "I2",
    ),
    Mutant(
        "published before the plan is committed",
        [
            Edit(
                plan.Planner,
                "_planned",
                '        stored = await persist(lambda: self._ledger.plan(plans), self._clock, self._tell, "plan")',
                "        await self._publish({\n"
                "            lane(b.steps[0].channel, p.priority): [Parcel(b.id, p.tenant, b.steps, p.content, p.at, p.priority,\n"
                "                   on_doubt=p.on_doubt, expires_at=p.expires_at)]\n"
                "            for p in plans for b in p.births if b.state.label == 'queued'\n"
                "        })\n"
                '        await persist(lambda: self._ledger.plan(plans), self._clock, self._tell, "plan")\n'
                "        stored = []",
            )
        ],
        "I1 I5 I9",
    ),
    Mutant(
        "a bundle done as soon as its parcels go past their lanes",
        [
            Edit(
                shortcut.Shortcut,
                "take",
                "        self._bundles += 1\n",
                "        self._bundles += 1\n        self._done(delivery)\n",
            )
        ],
        "I1",
    ),
    Mutant(
        "the intake acknowledged before it is planned",
        [
            Edit(
                plan.Planner,
                "plan",
                "        drafts = None if delivery.redelivered else self._read(delivery.body)",
                "        await self._bus.done(delivery)\n"
                "        drafts = None if delivery.redelivered else self._read(delivery.body)",
            )
        ],
        "I1",
    ),
    Mutant(
        "waits deleted before they are published",
        [
            Edit(
                P,
                "_promote",
                "        lanes: dict[str, list[bytes]] = defaultdict(list)",
                "        await self._waiting.promoted(parcels, self._clock.now_ms())\n"
                "        lanes: dict[str, list[bytes]] = defaultdict(list)",
            )
        ],
        "I1",
    ),
    Mutant(
        "the number of a parcel not compared",
        [Edit(memory_ledger, "_refusal", "_moment(message) != _moment(claim.parcel)", "False")],
        "I2 I3 I4 I5",
    ),
    Mutant(
        "the state of a message not compared",
        [Edit(memory_ledger, "_refusal", "not _loose(message)", "False")],
        "I2 I3 I4",
    ),
    Mutant(
        "a decision without its claim",
        [
            Edit(
                memory_ledger.MemoryLedger, "settle", "s.decision if may_decide(message, s.token, s.number) else None", "s.decision"
            )
        ],
        "I2 I3 I4 I5",
    ),
    Mutant(
        "a lost answer taken for a refusal that waits",
        [
            Edit(
                S, "decide", "following = react(", 'following = Next.RETRY_LATER if reason_of(outcome) == "lost_answer" else react('
            )
        ],
        "I2 I4",
    ),
    Mutant(
        "what was taken and cancelled, cancelled all the same",
        [
            Edit(fold, "stopped", "any(a.state == AttemptState.IN_DOUBT for a in attempts)", "False"),
            Edit(fold, "fold", "decision.state in _NEVER_SENT and doubted", 'decision.reason == "expired" and doubted'),
        ],
        "I3 I4",
    ),
    Mutant(
        "doubled never said",
        [Edit(fold, "doubled", "return twice or sum(", "return twice or 99 < sum(")],
        "I2",
    ),
    Mutant(
        "places kept for nobody",
        [Edit(account.Account, "_ceiling", "[1][priority]", "[1][Priority.CRITICAL]")],
        "I6",
    ),
    Mutant(
        "retry without waiting",
        [Edit(S, "retry_later", "due = now + int(delay_s * 1000)", "due = now")],
        "I8",
    ),
    Mutant(
        "each process goes by its own machine's clock",
        [Edit(store_time.StoreTime, "now_ms", "int(self._store.there(self.monotonic()) * 1000)", "self._clock.now_ms()")],
        "I1 I2 I3 I4 I9",
    ),
    Mutant(
        "a throttled provider called again at once",
        [Edit(account.Account, "permit", "or now < self.paused_until", "")],
        "I8",
    ),
    Mutant(
        "no last look when a shared call goes",
        [Edit(C, "_fit", "if not rider.heard.done() and rider.seat.fit():", "if True:")],
        "I3 I8",
    ),
    Mutant(
        "a call carries those that are not claimed yet",
        [
            Edit(
                C,
                "_answers",
                "request = self._account.provider.build_all(outs)",
                "request = self._account.provider.build_all(list(self._seats.values()))",
            )
        ],
        "I2 I3 I4",
    ),
    Mutant(
        "the answer to one of a call taken for that of all",
        [Edit(C, "_answers", "[Part(outcome) for outcome in outcomes]", "[Part(outcomes[0])] * len(outs)")],
        "I2 I4",
    ),
    Mutant(
        "what is held travels with what would be sent again",
        [Edit(coach.Coaches, "board", "parcel.on_doubt, wish", '"", wish')],
        "I2",
    ),
]
SEEDS = 60


def plant(monkeypatch: pytest.MonkeyPatch, edit: Edit) -> None:
    """Replaces the text in the function's source, and the function wherever the product has it by its name."""
    function = inspect.getattr_static(edit.where, edit.name)
    source = inspect.getsource(function)
    assert source.count(edit.old) == 1, f"{edit.old!r} stands {source.count(edit.old)} times in {edit.name}"
    source = textwrap.dedent(source.replace(edit.old, edit.new))
    names: dict[str, Any] = {"Parcel": Parcel, "Next": Next} | vars(sys.modules[function.__module__])
    exec(compile(source, f"<mutant of {edit.name}>", "exec"), names)
    if inspect.isclass(edit.where):
        monkeypatch.setattr(edit.where, edit.name, names[edit.name])
        return
    for module in list(sys.modules.values()):
        if module.__name__.startswith("sendwright") and getattr(module, edit.name, None) is function:
            monkeypatch.setattr(module, edit.name, names[edit.name])


def found_in(seeds: range) -> tuple[int, str, str] | None:
    for seed in seeds:
        broken = simulate(seed).broken
        if broken:
            return seed, broken[0].invariant, broken[0].what
    return None


@pytest.mark.campaign
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_is_planted_is_found(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    for edit in mutant.edits:
        plant(monkeypatch, edit)
    found = found_in(range(1, 1 + SEEDS))
    assert found is not None, f"{SEEDS} seeds are clean"
    assert found[1] in mutant.invariants.split(), found
