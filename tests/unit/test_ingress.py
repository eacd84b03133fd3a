"""What producers publish to the bus: which of it is a notification, under which key, and what becomes of the rest."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from sendwright.engine.ingest import INGRESS, Ingester
from sendwright.engine.sieve import TRIES
from sendwright.engine.telling import Telling, Trouble
from sendwright.errors import BusDown, StoreDown
from sendwright.model.records import Absent, Conflict, Running, Taken
from sendwright.policy.admission import Refused, Rules
from sendwright.policy.ingress import BODY_MAX, TYPE, Wanted, wanted
from tests.conformance.builders import NOW, ManualClock

RULES = Rules(known=frozenset({"sms", "email"}))
PAYLOAD: dict[str, Any] = {"to": {"phone": "+14155550001"}, "content": {"body": "Hello"}}


def judged(document: object, message_id: str | None = None, *, raw: bytes | None = None) -> Wanted | Refused:
    return wanted(json.dumps(document).encode() if raw is None else raw, message_id, RULES, {"sms"}, NOW)


def event(**changed: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "type": TYPE, "source": "/shop", "id": "42", "data": PAYLOAD, **changed}


def test_a_payload_is_known_by_its_own_key_and_else_by_its_messages_id() -> None:
    for document, message_id, key in (
        ({**PAYLOAD, "idempotency_key": "own"}, "m1", "own"),
        (PAYLOAD, "m1", "m1"),
        ({**PAYLOAD, "idempotency_key": "own"}, None, "own"),
    ):
        found = judged(document, message_id)
        assert isinstance(found, Wanted)
        assert found.key == key
        assert found.again is None


def test_an_event_is_known_by_source_and_id_and_its_data_is_the_notification() -> None:
    found = judged(event(subject="anything", data={**PAYLOAD, "idempotency_key": "inner"}), "m1")

    assert isinstance(found, Wanted)
    assert found.key == "/shop#42"
    assert json.loads(found.admitted.raw) == {**PAYLOAD, "idempotency_key": "inner"}


@pytest.mark.parametrize(
    ("document", "message_id", "status", "code"),
    [
        (PAYLOAD, None, 422, "invalid_request"),
        (PAYLOAD, "m" * 256, 422, "invalid_request"),
        (PAYLOAD, "m\n", 422, "invalid_request"),
        ({"to": "x"}, "m1", 422, "invalid_request"),
        ([], "m1", 422, "invalid_request"),
        (event(type="order.created"), "m1", 422, "invalid_request"),
        (event(specversion="0.3"), "m1", 422, "invalid_request"),
        (event(source=""), "m1", 422, "invalid_request"),
        (event(data={"to": "x"}), "m1", 422, "invalid_request"),
        ({key: value for key, value in event().items() if key != "data"}, "m1", 422, "invalid_request"),
    ],
)
def test_what_is_no_notification_is_refused(document: object, message_id: str | None, status: int, code: str) -> None:
    found = judged(document, message_id)

    assert isinstance(found, Refused)
    assert (found.status, found.code) == (status, code)


@pytest.mark.parametrize("raw", [b"", b"\xff", b"{", b'{"to":1,"to":1}', b"[" * 70 + b"]" * 70])
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    found = judged(None, "m1", raw=raw)
    assert isinstance(found, Refused)
    assert found.status in {400, 422}


def test_a_body_that_is_too_large_is_refused() -> None:
    found = judged(None, "m1", raw=b" " * (BODY_MAX + 1))
    assert isinstance(found, Refused)
    assert found.status == 413


def test_what_was_right_once_is_only_looked_up_when_it_comes_again_too_late() -> None:
    found = judged({**PAYLOAD, "expires_at": "2001-01-01T00:00:00Z"}, "m1")

    assert isinstance(found, Wanted)
    assert found.again is not None


# The story


class _World:
    """Messages that come again until they are acknowledged; a desk that answers as it is told."""

    def __init__(self, answers: list[Any]) -> None:
        self.clock = ManualClock()
        self.answers = deque(answers)
        self.offered: list[tuple[str, str | None, bool]] = []
        self.kept: list[tuple[str, bytes, str]] = []
        self.acked: list[str] = []
        self.keeps_fail = 0
        self.told: list[Telling] = []
        self.ingester = Ingester(self, self, self.clock, self.told.append, "shop", judge_any)  # type: ignore[arg-type]

    async def accept(self, tenant: str, _payload: Any, _raw: bytes, key: str | None, *, repeat: bool) -> Any:
        self.offered.append((tenant, key, repeat))
        answer = self.answers.popleft() if self.answers else Absent() if repeat else Taken("ntf_1")
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def keep(self, lane: str, body: bytes, problem: str, _now: int) -> None:
        if self.keeps_fail:
            self.keeps_fail -= 1
            raise StoreDown("down")
        self.kept.append((lane, body, problem))


async def judge_any(raw: bytes, message_id: str | None) -> Wanted | Refused:
    return wanted(raw, message_id, RULES, {"sms"}, NOW)


GOOD = json.dumps(PAYLOAD).encode()


async def one(world: _World, raw: bytes) -> None:
    await world.ingester.one(raw, "m1")


async def test_a_good_one_is_accepted_for_the_queues_tenant_under_its_key() -> None:
    world = _World([])
    await one(world, GOOD)
    assert world.offered == [("shop", "m1", False)]
    assert world.kept == []


async def test_while_store_and_bus_are_down_it_is_tried_again_and_never_buried() -> None:
    world = _World([BusDown("down"), StoreDown("down"), BusDown("down", maybe=True), Running(), Taken("ntf_1")])
    await one(world, GOOD)
    assert len(world.offered) == 5
    assert world.kept == []


async def test_a_bad_one_is_kept_with_its_problem_document_however_long_that_takes() -> None:
    world = _World([])
    world.keeps_fail = 3

    await one(world, b'{"to":{"phone":"+1"},"content":{"body":"x"}}')

    ((lane, body, problem),) = world.kept
    assert (lane, body) == (INGRESS, b'{"to":{"phone":"+1"},"content":{"body":"x"}}')
    assert json.loads(problem)["errors"][0]["pointer"] == "#/to/phone"
    assert world.offered == [("shop", "m1", True)], "it is only looked up whether it was right once"


async def test_an_id_that_stands_for_something_else_is_buried() -> None:
    world = _World([Conflict()])
    await one(world, GOOD)
    assert json.loads(world.kept[0][2])["code"] == "idempotency_mismatch"  # as of a posted one


async def test_what_is_refused_now_and_was_never_taken_is_buried_and_what_was_taken_is_done() -> None:
    late = json.dumps({**PAYLOAD, "expires_at": "2001-01-01T00:00:00Z"}).encode()
    world = _World([Absent(), Taken("ntf_1", replayed=True)])

    await one(world, late)
    assert len(world.kept) == 1
    await one(world, late)
    assert len(world.kept) == 1
    assert world.offered == [("shop", "m1", True)] * 2


async def test_it_is_acknowledged_after_it_is_durable_and_not_when_it_is_cut_off() -> None:
    # Given: one that is taken at once, and one whose store is down
    world = _World([Taken("ntf_1"), StoreDown("down")])
    world.clock.sleep = lambda _: asyncio.sleep(3600)  # type: ignore[method-assign]
    queue: asyncio.Queue[str] = asyncio.Queue()
    for name in ("m1", "m2"):
        queue.put_nowait(name)

    async def ack(name: str) -> None:
        world.acked.append(name)

    # When
    running = asyncio.create_task(world.ingester.run(queue.get, ack, queue.put, lambda name: (GOOD, name)))
    for _ in range(50):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    # Then
    assert world.acked == ["m1"]
    assert [key for _, key, _ in world.offered][:2] == ["m1", "m2"]


# What nobody foresaw


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


async def test_one_that_breaks_its_story_is_tried_again_and_taken() -> None:
    world = _World([RuntimeError("nobody foresaw this"), Taken("ntf_1")])
    await one(world, GOOD)
    assert len(world.offered) == 2
    assert world.kept == []
    (trouble,) = world.told
    assert isinstance(trouble, Trouble)
    assert "RuntimeError" in trouble.what
    assert "foresaw" not in trouble.what


async def test_one_that_breaks_its_story_every_time_is_kept_with_the_dead_and_acknowledged_and_stops_nobody() -> None:
    # Given
    world = _World([RuntimeError("nobody foresaw this")] * TRIES)
    queue: asyncio.Queue[str] = asyncio.Queue()
    queue.put_nowait("m1")

    async def ack(name: str) -> None:
        world.acked.append(name)

    # When
    running = asyncio.create_task(world.ingester.run(queue.get, ack, queue.put, lambda name: (GOOD, name)))
    await until(lambda: world.acked == ["m1"])
    queue.put_nowait("m2")
    await until(lambda: world.acked == ["m1", "m2"])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    # Then
    assert world.kept == [(INGRESS, GOOD, "it broke its story: RuntimeError")]
    assert [key for _, key, _ in world.offered] == ["m1"] * TRIES + ["m2"]
    assert len(world.told) == TRIES


@pytest.mark.parametrize("breaks", ["keep", "ack", "body_of"])
async def test_what_can_neither_be_taken_nor_kept_is_told_of_and_given_back_after_a_rest(
    breaks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    world = _World([Conflict(), Conflict()])
    queue: asyncio.Queue[str] = asyncio.Queue()
    queue.put_nowait("m1")
    left, back = [breaks], list[tuple[str, float]]()
    keep, began = world.keep, world.clock.monotonic()

    def broken(what: str) -> None:
        if left == [what]:
            left.clear()
            raise RuntimeError("nobody foresaw this")

    async def keeping(lane: str, body: bytes, problem: str, now: int) -> None:
        broken("keep")
        await keep(lane, body, problem, now)

    async def ack(name: str) -> None:
        broken("ack")
        world.acked.append(name)

    async def give_back(name: str) -> None:
        back.append((name, world.clock.monotonic()))
        queue.put_nowait(name)

    def body_of(name: str) -> tuple[bytes, str]:
        broken("body_of")
        return GOOD, name

    monkeypatch.setattr(world, "keep", keeping)

    # When
    running = asyncio.create_task(world.ingester.run(queue.get, ack, give_back, body_of))
    await until(lambda: world.acked == ["m1"])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    # Then
    ((name, at),) = back
    assert name == "m1"
    assert at > began
    assert len(world.told) == 1
    assert {body for _, body, _ in world.kept} == {GOOD}


async def test_what_can_not_even_be_given_back_is_told_of_and_stops_nobody() -> None:
    world = _World([])
    queue: asyncio.Queue[str] = asyncio.Queue()
    queue.put_nowait("m1")

    async def breaks(_name: str) -> None:
        raise RuntimeError("nobody foresaw this")

    running = asyncio.create_task(world.ingester.run(queue.get, breaks, breaks, lambda name: (GOOD, name)))
    await until(lambda: len(world.told) == 2)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
