"""Dies once at every crash point, restarts, and must lose nothing.

Every run goes through everything that can happen to a message: sends, refusals, lost answers, receipts, retries and
scheduled ones; a provider that can't be reached, one that is switched under way, two that have no slot; what expires in
a queue, in a lane and while it waits for a slot; what comes due when there is no room; a channel whose provider is gone; mails
that share calls, one of which is refused for one of them;
adapters with mistakes; parcels that nobody can read, and one that breaks its plan. So each point is reached, and one that
is not is a failure of the matrix.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
from tests.acceptance.crash_points import crash_points
from tests.acceptance.harness import Caller, House, Oracle, sms, twilio
from tests.acceptance.mail_stand import REFUSED, MailStand, mail, sendgrid
from tests.ports import free_port

from bench.verdict import Verdict, judge, settle
from sendwright.drivers.embedded import open_sqlite
from sendwright.model.ids import RANDOM_BYTES, IdMint
from sendwright.model.parcel import INBOUND
from sendwright.policy.duration import rfc3339

AT_ONCE = 6
"""Runs side by side."""
WAITING = 6
"""Threads of a run that may wait for its processes at the same time."""
DEATH_S = 60
DISTURBED_S = 0.7
PATIENCE_MS = 1500

ONCE = frozenset(
    {
        "plan.each",
        "plan.looking",
        "defer.clock_held",
        "defer.full_again",
        "defer.expired",
        "deliver.expiring",
        "defer.no_provider",
        "deliver.parking",
        "deliver.unsayable",
        "deliver.unfillable",
        "defer.fail",
        "defer.advance",
        "defer.suppressed",
        "defer.switched",
        "defer.reloaded",
        "defer.no_connection",
        "defer.no_time",
        "deliver.shelving",
        "observe.each",
        "sieve.unreadable",
        "sieve.keeping",
        "sieve.pausing",
        "sieve.broken",
        "sieve.suspecting",
        "sieve.counting",
        "sieve.asking",
        "sieve.handled",
        "sieve.clearing",
        "sieve.forgetting",
        "sieve.taking_apart",
        "sieve.deadly",
        "sieve.putting_aside",
        "worker.clearing",
        "worker.broken",
        "worker.giving_back",
        "worker.nothing",
        "worker.unreadable",
        "hands.no_place",
        "worker.putting_aside",
        "worker.shelving",
        "worker.stepping_aside",
        "worker.stopping",
        "worker.draining",
        "worker.drained",
        "schedule.ending_one",
        "schedule.putting_one_aside",
        "schedule.rebasing",
    }
)
"""Rare points: it dies there the first time."""
TIMES = {
    "plan.taken": 9,
    "plan.planning": 9,
    "plan.planned": 9,
    "plan.publishing": 5,
    "plan.published": 9,
    "plan.done": 9,
    "deliver.prepared": 10,
    "worker.took_bundle": 9,
    "worker.story": 9,
    "worker.delivering": 10,
    "worker.took_parcels": 5,
    "worker.done": 5,
    "worker.waiting_hand": 70,
    "worker.taking_parcels": 70,
    "worker.taking_bundle": 14,
    "schedule.turn": 12,
    "schedule.due": 12,
    "schedule.pulled": 12,
    "schedule.next_due": 8,
    "schedule.reading_due": 12,
    "schedule.promoting_due": 12,
    "schedule.looking": 12,
    "schedule.turned": 12,
    "schedule.resting": 8,
    "schedule.rested": 8,
}
"""Points that are passed before there is much work: it dies there later. Everywhere else the second time."""

DRAINING = frozenset({"worker.stopping", "worker.draining", "worker.drained"})
"""It is told to stop while there is work, and dies on the way."""
CLOCK_HELD = frozenset({"defer.clock_held"})
"""The wall clock jumps two hours ahead while there is work, and is right again after the death."""

AGAIN = frozenset(
    {
        *("sieve.suspecting", "sieve.counting", "sieve.asking", "sieve.handled", "sieve.clearing", "sieve.forgetting"),
        *("sieve.taking_apart", "sieve.next", "sieve.alone", "sieve.trying", "sieve.deadly", "sieve.harmless", "sieve.suspect"),
        *("sieve.tried", "sieve.apart", "worker.apart", "worker.handled_apart", "worker.until_handled", "worker.clearing"),
    }
)
"""Every bundle seems to have been taken twice before, and is taken apart."""
SHELVED = frozenset({"worker.putting_aside", "worker.shelving", "deliver.shelving"})
"""What breaks is put aside for half a minute: done only where that is the point."""

EXTRA = "[worker]\nconcurrency = 12\n[retry]\nbase_s = 0.8\ncap_s = 1.5\n[breaker]\nfailures = 3\nprobe_s = 0.3\n"
REFUSED_TWICE, LOST_ONCE, CLUMSY, POISON = "+15005551234", "+15005552234", "+15005553234", "+15005554234"
STOPPED = "+15005555234"
RULES = [
    {"match": {"channel": "telegram"}, "do": "latency", "latency_ms": 150},
    {"match": {"channel": "slack"}, "do": "latency", "latency_ms": 400},
    {"match": {"channel": "messenger"}, "do": "latency", "latency_ms": 1200},
    {"match": {"to_prefix": REFUSED_TWICE}, "do": "status", "status": 503, "count": 2},
    {"match": {"to_prefix": LOST_ONCE}, "do": "reset_after", "count": 1},
]


async def crash_matrix(folder: Path, points: Sequence[str] | None = None, at_once: int = AT_ONCE) -> list[Verdict]:
    """One verdict per point, in order."""
    room = asyncio.Semaphore(at_once)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(WAITING * at_once))

    async def one(point: str) -> Verdict:
        async with room:
            place = folder / point
            place.mkdir(parents=True)
            return await _Run(place, point).verdict()

    return list(await asyncio.gather(*(one(point) for point in points or crash_points())))


class _Run:
    """One crash: the scenario, the death, the restart and the judgement."""

    def __init__(self, folder: Path, point: str) -> None:
        self._point = point
        self._oracle = Oracle(folder, latency_ms=20)
        self._oracle.faults(RULES)
        self._stand = MailStand(0.05)
        bent: dict[str, Any] = {"patience_ms": PATIENCE_MS, "clumsy": CLUMSY, "broken_plan": 2, "poison": POISON}
        if point in SHELVED:
            bent["broken_open"] = 3
        if point in AGAIN:
            bent["again"] = POISON
        self._clock = folder / "clock"
        if point in CLOCK_HELD:
            bent["clock"] = str(self._clock)
        self._house = House(folder, _providers(self._oracle, self._stand), EXTRA, bent=bent)
        self._caller = Caller(self._house, folder / "ledger")
        self._planted: list[str] = []
        self._held: set[str] = set()
        self._excused: set[str] = set()
        self._brief: set[str] = set()

    async def verdict(self) -> Verdict:
        verdict = Verdict(self._point)
        house, times = self._house, 1 if self._point in ONCE else TIMES.get(self._point, 2)
        try:
            await self._plant()
            house.start({"SENDWRIGHT_CRASH": f"{self._point}:{times}"}, ready=False)
            posting = asyncio.create_task(self._post_all())
            if self._point in DRAINING | CLOCK_HELD:
                await asyncio.to_thread(self._disturb)
            verdict.reached = await asyncio.to_thread(_until_dead, house)
            self._clock.unlink(missing_ok=True)
            house.kill()  # where it was not reached, it may yet be: nobody would answer those who post
            verdict.kills = 1
            verdict.open_at_kill.append(await asyncio.to_thread(self._unsettled))
            verdict.recovery_s.append(await asyncio.to_thread(house.start))
            await posting
            await asyncio.to_thread(settle, house, 1)
            self._find_unheard()
            await asyncio.to_thread(self._judge, verdict)
        except AssertionError as error:
            verdict.wrong.append(f"{error}")
            with contextlib.suppress(OSError):
                verdict.audit = house.api("GET", "/v1/audit")[1]["violations"]
        finally:
            house.kill()
            self._oracle.stop()
            self._stand.stop()
        return verdict

    def _disturb(self) -> None:
        _until_listening(self._house)
        time.sleep(DISTURBED_S)
        if self._point in CLOCK_HELD:
            self._until_brief_are_accepted()
            self._clock.write_text("7200")
        elif self._house.process is not None:
            self._house.process.child.terminate()

    def _until_brief_are_accepted(self) -> None:
        """What has a second or two from when it was accepted would have two hours more by a clock that is ahead."""
        deadline = time.monotonic() + DEATH_S
        while not self._brief <= self._caller.accepted.keys() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _judge(self, verdict: Verdict) -> None:
        held = {self._caller.accepted[key] for key in self._held if key in self._caller.accepted}
        excused = {self._caller.accepted[key] for key in self._excused if key in self._caller.accepted}
        books = [self._stand.taken()]
        judge(verdict, self._house, self._oracle, self._caller, held=held, excused=excused, others=self._planted, books=books)

    def _unsettled(self) -> int:
        """Attempts that may come to a doubt or a double: those open now, in doubt now, and the answer that is lost on purpose."""
        with self._house.database() as db:
            return int(db.execute("select count(*) from attempts where state in (0, 1)").get) + 1

    def _find_unheard(self) -> None:
        """Posts whose 202 was lost, and that were past when they were repeated: the store knows whether they were taken."""
        with self._house.database() as db:
            for key in self._caller.maybe:
                id_ = db.execute("select id from notifications where key = ?", (key,)).get
                if id_ is not None:
                    self._caller.accepted[key] = id_

    async def _plant(self) -> None:
        """What an earlier life left in the lanes: what expired meanwhile, what has no provider any more, what nobody can read."""
        now = int(time.time() * 1000)
        past = rfc3339(now - 60_000)
        mint = IdMint(b"of an earlier life, long enough for a key")
        intakes = [
            {"to": {"phone": "+14155550001"}, "expires_at": past},
            {"to": {"id": "somebody", "phone": "+14155550002"}},
            {"to": {"phone": "nobody"}, "channels": ["sms"]},
            {"to": {"phone": "nobody", "email": "somebody@example.org"}, "channels": ["sms", "email"]},
            {"to": {"discord": "somebody"}, "channels": ["discord"]},
        ]
        self._house.data.mkdir()
        async with open_sqlite(self._house.data / "sendwright.db"):
            pass
        with self._house.database() as db:
            for payload in intakes:
                id_ = mint.notification("default", now - 90_000, os.urandom(RANDOM_BYTES))
                self._planted.append(id_)
                body = payload | {"content": {"body": "Hello"}}
                _put(db, "intake.normal", [{"id": id_, "tenant": "default", "at": now - 90_000, "body": body}])
            poison = mint.notification("default", now, os.urandom(RANDOM_BYTES))
            body = {"to": {"phone": POISON}, "content": {"body": "Hello"}}
            _put(db, "intake.normal", [{"id": poison, "tenant": "default", "at": now, "body": body}])
            _put(db, "intake.normal", [{"nobody": "can read this"}])
            _put(db, "sms.normal", [{"nor": "this"}])
            _put(db, INBOUND, [{"nor": "that"}])
            for lane in ("intake.bulk", "sms.bulk"):
                db.execute("insert into bundles (lane, count, at, body) values (?, 1, 1, ?)", (lane, b"no bundle at all"))

    async def _post_all(self) -> None:
        switching = asyncio.create_task(self._switch())
        bodies: list[tuple[dict[str, Any], bool]] = [
            (sms(number, on_doubt="hold" if number % 2 else "resend"), False) for number in range(8)
        ]
        bodies += [({**sms(0), "to": {"phone": phone}}, phone == CLUMSY) for phone in (REFUSED_TWICE, LOST_ONCE, CLUMSY)]
        bodies += [(_to("line", number, ttl="2s"), True) for number in range(5)]
        bodies += [(_to("slack", number), False) for number in range(4)]
        bodies += [(_to("messenger", number), False) for number in range(3)]
        bodies += [(_hasty(number), True) for number in range(6)]
        bodies += [(mail(f"guest{number}@example.com", on_doubt="hold" if number % 2 else "resend"), False) for number in range(8)]
        bodies += [(mail(f"guest{REFUSED}", on_doubt="hold"), True)]
        bodies += [({**sms(30), "content": {"body": "Hello {{ nobody }}"}, "data": {}}, True)]
        soon = rfc3339(int(time.time() * 1000) + 1500)
        bodies += [(sms(20 + number, send_at=soon), False) for number in range(2)]
        queued_up = rfc3339(int(time.time() * 1000) + 2500)  # it comes due while others wait for the one slot
        bodies += [(_to("slack", 60 + number, send_at=queued_up), False) for number in range(2)]
        await asyncio.gather(
            self._post_crowd(),
            self._post_urgent(),
            self._post_batch(),
            self._post_suppressed(),
            *(self._post(f"key-{number}", body, excused=excused) for number, (body, excused) in enumerate(bodies)),
        )
        await switching

    async def _post(self, key: str, body: dict[str, Any], *, excused: bool) -> None:
        if body.get("on_doubt") == "hold":
            self._held.add(key)
        if excused:
            self._excused.add(key)
        if "ttl" in body:
            self._brief.add(key)
        try:
            await self._caller.post(key, body)
        except AssertionError:  # it is past now, and nobody knows whether it was taken before
            self._caller.maybe.add(key)

    async def _post_batch(self) -> None:
        """Several at once, with their keys inside; repeated until it was answered."""
        batch = {"notifications": [sms(40 + number, idempotency_key=f"batch-{number}") for number in range(3)]}
        while True:
            await asyncio.sleep(0.2)
            with contextlib.suppress(OSError):
                status, answer = await asyncio.to_thread(self._house.api, "POST", "/v1/notifications/batch", batch)
                if status == 202:
                    break
        for number, result in enumerate(answer["results"]):
            self._caller.accepted[f"batch-{number}"] = result["id"]

    async def _post_suppressed(self) -> None:
        """To somebody who must not be sent to."""
        while True:
            await asyncio.sleep(0.2)
            with contextlib.suppress(OSError):
                status, _ = await asyncio.to_thread(self._house.api, "POST", "/v1/suppressions", {"address": STOPPED})
                if status == 200:
                    break
        await self._post("suppressed", {"to": {"phone": STOPPED}, "content": {"body": "Hello"}}, excused=True)

    async def _post_crowd(self) -> None:
        """One after the other to a provider with one slot, all past at the same moment: some of them while they wait for it.
        Beside them some that are critical and wait for a slot, too."""
        await asyncio.to_thread(_until_listening, self._house)
        now = int(time.time() * 1000)
        posts = []
        for number in range(30):
            body = _to("telegram", number, expires_at=rfc3339(now + 900))
            posts.append(asyncio.create_task(self._post(f"crowd-{number}", body, excused=True)))
            if number % 6 == 0:
                body = _to("slack", 50 + number, priority="critical")
                posts.append(asyncio.create_task(self._post(f"critical-{number}", body, excused=False)))
            await asyncio.sleep(0.03)
        await asyncio.gather(*posts)

    async def _post_urgent(self) -> None:
        """More that is critical, for one slot, than goes through it in the time that they have: somebody always stands in
        line for the next place, and is past when it comes."""
        await asyncio.to_thread(_until_listening, self._house)
        bodies = []
        for number in range(12):
            expires_at = rfc3339(int(time.time() * 1000) + 1000 + 150 * number)
            bodies.append(_to("slack", 80 + number, priority="critical", expires_at=expires_at))
        await asyncio.gather(*(self._post(f"urgent-{number}", body, excused=True) for number, body in enumerate(bodies)))

    async def _switch(self) -> None:
        """By the API, and behind the process's back, as another process would."""
        for turn in range(10):
            await asyncio.sleep(0.3)
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self._house.api, "PATCH", "/v1/providers/main", {"concurrency": 20 + turn})
            with contextlib.suppress(apsw.Error):
                await asyncio.to_thread(self._raise_epoch)

    def _raise_epoch(self) -> None:
        with self._house.database() as db:
            db.execute("update meta set value = value + 1 where name = 'epoch'")


def _providers(oracle: Oracle, stand: MailStand) -> str:
    """`dark` comes first and can't be reached, nor can `nobody` and `nowhere`, which are alone, and `gone`, which comes after
    `busy`. `slow`, `busy` and `crawl` have one slot each."""
    refused = f"http://127.0.0.1:{free_port()}"
    return "\n".join(
        [
            twilio(oracle, name="dark").replace(oracle.url, refused),
            twilio(oracle, name="main"),
            sendgrid(stand),
            _sandbox("slow", oracle.url, "telegram", "concurrency = 1"),
            _sandbox("busy", oracle.url, "messenger", "concurrency = 1"),
            _sandbox("gone", refused, "messenger"),
            _sandbox("crawl", oracle.url, "slack", "concurrency = 1"),
            _sandbox("nobody", refused, "line"),
            _sandbox("nowhere", refused, "teams"),
        ]
    )


def _sandbox(name: str, url: str, channel: str, extra: str = "") -> str:
    return f'[providers.{name}]\nkind = "sandbox"\nurl = "{url}"\nchannels = ["{channel}"]\n{extra}\n'


def _to(channel: str, number: int, **more: Any) -> dict[str, Any]:
    return {"to": {channel: f"somebody-{number}"}, "channels": [channel], "content": {"body": "Hello"}, **more}


def _hasty(number: int) -> dict[str, Any]:
    """Its first step finds nobody, and it is past before that could be tried again."""
    to = {"teams": "somebody", "email": f"{number}@example.org"}
    return {"to": to, "channels": list(to), "content": {"body": "Hello"}, "ttl": "1s"}


def _put(db: apsw.Connection, lane: str, parcels: list[dict[str, Any]]) -> None:
    body = json.dumps(parcels).encode()
    db.execute("insert into bundles (lane, count, at, body) values (?, ?, 1, ?)", (lane, len(parcels), body))


def _until_listening(house: House) -> None:
    with contextlib.suppress(AssertionError):  # it died before
        house.wait_ready()


def _until_dead(house: House) -> bool:
    """Whether it died at its point; one that was told to stop may also just have stopped."""
    deadline = time.monotonic() + DEATH_S
    while not house.dead and time.monotonic() < deadline:
        time.sleep(0.02)
    return house.process is not None and house.process.child.returncode == -signal.SIGKILL
