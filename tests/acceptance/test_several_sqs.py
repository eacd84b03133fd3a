"""Several processes over PostgreSQL and the strict SQS fake, which duplicates, reorders, fails and throttles all the while."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.harness import Caller, Oracle, sms, twilio, wait_until
from tests.acceptance.several import Several, all_done, post_all, recounted, several
from tests.acceptance.sqs_process import FAULTS, Sqs, sqs_server

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]


@contextmanager
def over_sqs(folder: Path, oracle: Oracle, *, receipts: bool = True) -> Iterator[tuple[Several, Sqs]]:
    with sqs_server(folder, **FAULTS) as server:
        sqs = Sqs(server)
        with several(folder, twilio(oracle, receipts=receipts), broker=sqs) as house:
            yield house, sqs


def test_any_of_them_is_killed_under_load_and_nothing_is_lost(tmp_path: Path) -> None:
    # Given
    oracle = Oracle(tmp_path, latency_ms=300)
    try:
        with over_sqs(tmp_path, oracle, receipts=False) as (house, sqs):
            house.start_all()
            keyed, count, published = 150, 200, 20

            # When: some with a key, some without, some over the queue; while workers, an API and a scheduler are killed
            async def load_and_kill() -> tuple[Caller, Caller]:
                with_key = asyncio.create_task(post_all(house, tmp_path, range(keyed)))
                without = asyncio.create_task(post_all(house, tmp_path, range(keyed, count), keyed=False))
                producing = asyncio.create_task(asyncio.to_thread(_publish, house, range(count, count + published)))
                await asyncio.to_thread(_kills, house, oracle)
                await producing
                return await with_key, await without

            with_key, without = asyncio.run(load_and_kill())

            # Then: what was answered 202 or put on the queue is sent
            assert len(with_key.accepted) == keyed
            assert len(without.accepted) + len(without.maybe) == count - keyed
            known = {f"message {key[1:]}" for key in (*with_key.accepted, *without.accepted)}
            known |= {f"message {number}" for number in range(count, count + published)}
            wait_until(lambda: _taken(oracle).keys() >= known, 90, "everything is sent")
            wait_until(lambda: all_done(house, sum(house.counts().values())), 60, "everything is settled")
            twice, listed = oracle.taken().doubled, house.pages("/v1/messages?doubled=true")
            assert twice.keys() <= {message["id"] for message in listed}, "sent twice and not listed"
            assert listed, "nothing was in flight at the kills, which proves nothing"
            assert recounted(house)["violations"] == []
            # and: no bundle is left over, nor was one buried
            wait_until(lambda: sqs.left() == 0, 60, "the queues are empty")
            assert house.api("GET", "/v1/dead")[1]["parcels"] == []
            assert sqs.counts()["done_to"].keys() >= {"duplicate", "entry", "throttle"}, "faults that never came prove nothing"
    finally:
        oracle.stop()


def test_what_is_put_on_the_queue_is_taken_as_if_it_were_posted(tmp_path: Path) -> None:
    # Given
    oracle = Oracle(tmp_path)
    try:
        with over_sqs(tmp_path, oracle) as (house, sqs):
            house.start_all(workers=1)
            event = json.dumps(
                {"specversion": "1.0", "type": "sendwright.notification", "source": "/shop", "id": "42", "data": sms(1)}
            )

            # When: a payload, an event twice, and what is none
            id_ = sqs.send("intake", json.dumps(sms(2)))
            for body in (event, event, '{"to": {"phone": "+1"}, "content": {"body": "x"}}'):
                sqs.send("intake", body)

            # Then
            wait_until(lambda: all_done(house, 2), 40, "both are delivered")
            for key in (id_, "/shop%2342"):
                path = f"/v1/notifications?idempotency_key={key}"
                wait_until(lambda path=path: [row["state"] for row in house.pages(path)] == ["delivered"], 20, key)
            (dead,) = wait_until(lambda: house.api("GET", "/v1/dead")[1]["parcels"], 20, "the other is with the dead")
            assert dead["kind"] == "ingress"
            assert all(len(attempts) == 1 for attempts in oracle.taken().by_message.values())
            assert house.stop_all() == [0, 0, 0]
    finally:
        oracle.stop()


def _publish(house: Several, numbers: range) -> None:
    for number in numbers:
        house.publish(json.dumps(sms(number)).encode())


def _kills(house: Several, oracle: Oracle) -> None:
    """One worker, then everything else, each while a provider is answering; and then as many are started again."""
    for victims in (house.workers[:1], [*house.workers[1:], *house.schedulers, *house.apis]):
        size = oracle.log.stat().st_size if oracle.log.exists() else 0
        wait_until(lambda size=size: oracle.log.stat().st_size > size, 60, "something is on its way")
        for victim in victims:
            victim.kill()
    house.start_api(house.port)
    house.start_worker()
    house.start_worker()
    house.start_scheduler()


def _taken(oracle: Oracle) -> Counter[str]:
    """Bodies that the provider took, and how often."""
    return Counter(json.loads(line)["body"] for line in oracle.log.read_bytes().splitlines())
