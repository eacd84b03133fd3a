"""Several processes over PostgreSQL and RabbitMQ: what one accepts another sends, and any of them may die."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness import Caller, Oracle, sms, twilio, wait_until
from tests.acceptance.several import Several, all_done, post_all, recounted, several

pytestmark = pytest.mark.slow


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    started = Oracle(tmp_path)
    yield started
    started.stop()


@pytest.fixture
def house(tmp_path: Path, oracle: Oracle) -> Iterator[Several]:
    with several(tmp_path, twilio(oracle)) as started:
        yield started


def test_what_one_process_accepts_others_plan_send_and_settle(house: Several, oracle: Oracle) -> None:
    house.start_all()

    status, answer = house.api("POST", "/v1/notifications", sms(1))

    assert status == 202
    path = f"/v1/notifications/{answer['id']}"
    assert house.api("GET", path)[0] == 200
    wait_until(lambda: house.api("GET", path)[1]["state"] == "delivered", 20, "it is delivered")
    assert len(oracle.taken().by_message) == 1
    wait_until(lambda: recounted(house)["accepted"] == 1, 10, "the count is reported")
    assert house.stop_all() == [0, 0, 0, 0]


def test_a_retry_waits_in_the_store_and_a_scheduler_brings_it_back(house: Several, oracle: Oracle) -> None:
    house.start_all()
    oracle.faults([{"do": "status", "status": 503, "count": 1}])

    answer = house.api("POST", "/v1/notifications", sms(1))[1]

    path = f"/v1/notifications/{answer['id']}"
    wait_until(lambda: house.api("GET", path)[1]["state"] == "delivered", 30, "it is delivered after its retry")


def test_a_hundred_posts_with_one_key_at_two_doors_make_one(house: Several, oracle: Oracle) -> None:
    house.start_all(apis=2, workers=1)

    async def posts() -> list[tuple[int, object]]:
        return await asyncio.gather(
            *(
                asyncio.to_thread(house.api_at, number % 2, "POST", "/v1/notifications", sms(1), idempotency_key="one")
                for number in range(100)
            )
        )

    answers = asyncio.run(posts())

    taken = {answer["id"] for status, answer in answers if status == 202}  # type: ignore[index]
    assert len(taken) == 1
    assert {status for status, _ in answers} <= {202, 409}
    assert house.api_at(1, "POST", "/v1/notifications", sms(2), idempotency_key="one")[0] == 422
    wait_until(lambda: all_done(house, 1), 20, "it is delivered")
    assert [len(attempts) for attempts in oracle.taken().by_message.values()] == [1]


def test_a_switch_at_one_door_holds_for_every_worker(house: Several, oracle: Oracle) -> None:
    house.start_all()
    assert house.api("PATCH", "/v1/providers/twilio-main", {"enabled": False})[0] == 200
    time.sleep(1)

    for number in range(20):
        house.api("POST", "/v1/notifications", sms(number))

    wait_until(lambda: house.counts().get("queued", 0) == 20, 20, "all wait")
    assert oracle.taken().by_message == {}
    assert house.api("PATCH", "/v1/providers/twilio-main", {"enabled": True})[0] == 200
    wait_until(lambda: all_done(house, 20), 30, "they go when it is switched on again")
    assert all(len(attempts) == 1 for attempts in oracle.taken().by_message.values())


@pytest.mark.long
def test_workers_api_and_scheduler_are_killed_under_load_and_nothing_is_lost(tmp_path: Path) -> None:
    oracle = Oracle(tmp_path, latency_ms=300)
    try:
        with several(tmp_path, twilio(oracle, receipts=False)) as house:
            house.start_all(apis=2, workers=2, schedulers=2)
            count = 1500

            async def load_and_kill() -> Caller:
                posting = asyncio.create_task(post_all(house, tmp_path, range(count)))
                for turn in range(6):
                    await asyncio.sleep(1.2)
                    await asyncio.to_thread(house.workers[0].kill)
                    house.workers.pop(0)
                    await asyncio.to_thread(house.start_worker)
                    if turn == 2:
                        await asyncio.to_thread(house.schedulers[0].kill)
                        await asyncio.to_thread(house.apis[0].kill)
                        await asyncio.to_thread(house.start_api, house.port)
                return await posting

            caller = asyncio.run(load_and_kill())

            assert len(caller.accepted) == count
            wait_until(lambda: all_done(house, count), 120, "everything is sent")
            taken = Counter(json.loads(line)["body"] for line in oracle.log.read_bytes().splitlines())
            assert taken.keys() >= {f"message {number}" for number in range(count)}, "lost"
            listed = house.pages("/v1/messages?doubled=true")
            twice = sum(1 for times in taken.values() if times > 1)
            assert 0 < twice <= len(listed), (
                "sent twice and not listed; or nothing was in flight at the kills, which proves nothing"
            )
            assert recounted(house)["violations"] == []
    finally:
        oracle.stop()


def test_what_is_published_to_the_bus_is_taken_as_if_it_were_posted(house: Several, oracle: Oracle) -> None:
    # Given
    house.start_all()
    event = {"specversion": "1.0", "type": "sendwright.notification", "source": "/shop", "id": "42", "data": sms(1)}

    # When: a payload under its message's id, an event, both of them twice, and what is none
    for _ in range(2):
        house.publish(json.dumps(sms(2)).encode(), message_id="m-1")
        house.publish(json.dumps(event).encode())
    house.publish(b'{"to": {"phone": "+1"}, "content": {"body": "x"}}', message_id="m-2")

    # Then
    wait_until(lambda: all_done(house, 2), 30, "both are delivered")
    for key in ("m-1", "/shop%2342"):
        path = f"/v1/notifications?idempotency_key={key}"
        wait_until(lambda path=path: [row["state"] for row in house.pages(path)] == ["delivered"], 20, key)
    (dead,) = wait_until(lambda: house.api("GET", "/v1/dead")[1]["parcels"], 10, "the third is with the dead")
    assert dead["kind"] == "ingress"
    assert json.loads(dead["problem"])["errors"][0]["pointer"] == "#/to/phone"
    assert all(len(attempts) == 1 for attempts in oracle.taken().by_message.values())
