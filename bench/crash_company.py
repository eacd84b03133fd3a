"""Dies with one shared call in each of its stages, and judges every message of it alone.

Six mails of one content go with one call. It dies when nobody is claimed, when half of them are, when all are and nothing is
written, with the call on the wire, answered and nothing settled, and settled by half. What the store and the provider know at
that moment is compared with what is meant: a slow machine may have made another stage of it, and then it is tried again. What each
of the six may come to afterwards follows from what it was, whatever the stage:

  not claimed                  sent once
  open, to be held             in doubt, and never written again
  open, to be sent again       sent, and taken once more than before; listed as doubled where that makes two
  settled                      as it is
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.acceptance.harness import Caller, House, wait_until
from tests.acceptance.mail_stand import MailStand, mail, sendgrid

from bench.verdict import Verdict, judge, settle
from sendwright.model import ids
from sendwright.model.states import AttemptState

MAILS = 6
LATE = "late"
"""Three of them have an address that begins so: their claims, or their settlements, come after the others'."""
DEATH_S = 15.0
TRIES = 3
LATENCY_S = 0.4


class Known(NamedTuple):
    """How many of the messages are claimed and settled, and in how many calls the provider has them."""

    claimed: int
    settled: int
    calls: int


class Stage(NamedTuple):
    """Where it dies, and what is known then. Without a point it is killed as soon as the provider has the call."""

    name: str
    point: str | None
    known: Known
    late: str = ""
    """What of half of the mails is late: `claim` or `settle`."""


STAGES = {
    stage.name: stage
    for stage in (
        Stage("nobody claimed", "coach.line:1", Known(0, 0, 0)),
        Stage("some claimed", "coach.claimed:3", Known(3, 0, 0), "claim"),
        Stage("all claimed, none written", "coach.going:1", Known(6, 0, 0)),
        Stage("on the wire", None, Known(6, 0, 1)),
        Stage("answered, none settled", "coach.answered:1", Known(6, 0, 1)),
        Stage("some settled", "settle.settled:3", Known(6, 3, 1), "settle"),
    )
}


@dataclass
class _Was:
    """One message at the moment of death."""

    open: bool
    taken: int


async def crash_company(folder: Path, stages: Sequence[str] | None = None, at_once: int = 6) -> list[Verdict]:
    """Two verdicts for each stage: of mails to be sent again, and to be held."""
    room = asyncio.Semaphore(at_once)

    async def one(stage: Stage, on_doubt: str) -> Verdict:
        async with room:
            for number in range(TRIES):
                place = folder / f"{stage.name.replace(' ', '-').replace(',', '')}-{on_doubt}-{number}"
                place.mkdir(parents=True)
                verdict = await asyncio.to_thread(_Run(place, stage, on_doubt).verdict)
                if verdict.reached:
                    break
            return verdict

    wished = [STAGES[name] for name in stages or STAGES]
    return list(await asyncio.gather(*(one(stage, on_doubt) for stage in wished for on_doubt in ("resend", "hold"))))


class _Run:
    """One call, its death, the restart and the judgement."""

    def __init__(self, folder: Path, stage: Stage, on_doubt: str) -> None:
        self._stage = stage
        self._on_doubt = on_doubt
        self._stand = MailStand(LATENCY_S)
        self._house = House(folder, sendgrid(self._stand), bent={"late": [LATE, stage.late]} if stage.late else None)
        self._caller = Caller(self._house, folder / "ledger")

    def verdict(self) -> Verdict:
        verdict, house = Verdict(f"a shared call, {self._stage.name}, {self._on_doubt}"), self._house
        try:
            house.start({"SENDWRIGHT_CRASH": self._stage.point} if self._stage.point else None)
            messages = self._post()
            self._die()
            verdict.kills = 1
            was = self._look(messages)
            known = Known(sum(it.open for it in was.values()) + self._settled(), self._settled(), len(self._stand.calls))
            verdict.reached = known == self._stage.known
            verdict.open_at_kill.append(sum(it.open for it in was.values()))
            verdict.recovery_s.append(house.start())
            settle(house)
            held = self._caller.accepted.values() if self._on_doubt == "hold" else ()
            judge(verdict, house, self._stand, self._caller, held=held)
            verdict.wrong += [fault for message in messages for fault in self._alone(message, was[message])]
        except AssertionError as error:
            verdict.wrong.append(f"{error}")
        finally:
            house.kill()
            self._stand.stop()
        return verdict

    def _post(self) -> list[str]:
        """All six with one request, half of them late ones. The ids of their messages."""
        names = [f"{LATE if number % 2 else 'guest'}{number}" for number in range(MAILS)]
        mails = [mail(f"{name}@example.com", on_doubt=self._on_doubt) for name in names]
        status, answer = self._house.api("POST", "/v1/notifications/batch", {"notifications": mails})
        assert status == 202, answer
        self._caller.accepted = {name: result["id"] for name, result in zip(names, answer["results"], strict=True)}
        return [ids.message_id(id_, 0) for id_ in self._caller.accepted.values()]

    def _die(self) -> None:
        if self._stage.point is None:
            wait_until(lambda: self._stand.in_flight == MAILS, DEATH_S, "the call is on the wire", every_s=0.005)
            self._house.kill()
        wait_until(lambda: self._house.dead, DEATH_S, f"it dies, {self._stage.name}")

    def _look(self, messages: Sequence[str]) -> Mapping[str, _Was]:
        taken = self._stand.taken().by_message
        with self._house.database() as db:
            open_ = {row[0] for row in db.execute("select message from attempts where state = ?", (int(AttemptState.SENDING),))}
        return {message: _Was(message in open_, len(taken.get(message, ()))) for message in messages}

    def _settled(self) -> int:
        with self._house.database() as db:
            return int(db.execute("select count(*) from attempts where state = ?", (int(AttemptState.SENT),)).get)

    def _alone(self, message: str, was: _Was) -> list[str]:
        """What is wrong with one message, whatever became of the others."""
        row = self._house.api("GET", f"/v1/messages/{message}")[1]
        taken = len(self._stand.taken().by_message.get(message, ()))
        held = was.open and self._on_doubt == "hold"
        wanted: tuple[Any, ...] = ("in_doubt" if held else "sent", was.taken if held else was.taken + was.open if was.open else 1)
        found = (row["state"], taken)
        return [] if found == wanted else [f"{message}, {was}, is {found}, not {wanted}"]
