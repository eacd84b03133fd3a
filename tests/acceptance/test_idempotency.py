"""One key, one notification: at the same moment, with another body, and across a sudden death."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sendwright.model import ids
from tests.acceptance.harness import ADMIN_KEY, Caller, House, Oracle, sms, twilio, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    made = Oracle(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def house(tmp_path: Path, oracle: Oracle) -> Iterator[House]:
    made = House(tmp_path, twilio(oracle))
    made.start()
    yield made
    made.kill()


def post(house: House, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any], bool]:
    """Status, answer, and whether it is marked as a replay."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json", "Idempotency-Key": key}
    request = urllib.request.Request(f"{house.url}/v1/notifications", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, json.load(reply), reply.headers["Idempotency-Replayed"] == "true"
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), error.headers["Idempotency-Replayed"] == "true"


def test_a_hundred_posts_at_once_with_one_key_make_one_message(house: House, oracle: Oracle) -> None:
    # when
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: post(house, "one", sms(1)), range(100)))

    # then
    assert {status for status, _, _ in answers} == {202}
    assert len({answer["id"] for _, answer, _ in answers}) == 1
    assert [replayed for _, _, replayed in answers].count(False) == 1
    wait_until(lambda: house.counts().get("delivered") == 1, 10, "it is delivered")
    assert house.api("GET", "/v1/audit")[1]["messages"] == 1
    assert [len(attempts) for attempts in oracle.taken().by_message.values()] == [1]


def test_another_body_under_the_same_key_is_refused_and_changes_nothing(house: House, oracle: Oracle) -> None:
    # given
    _, first, _ = post(house, "one", sms(1))

    # when
    status, problem, _ = post(house, "one", sms(2))

    # then
    assert (status, problem["code"]) == (422, "idempotency_mismatch")
    assert post(house, "one", sms(1))[1]["id"] == first["id"]
    wait_until(lambda: house.counts().get("delivered") == 1, 10, "it is delivered")
    assert len(oracle.taken().by_message) == 1


async def test_keys_hold_across_sudden_death(tmp_path: Path, house: House, oracle: Oracle) -> None:
    # given posts of which some were answered when it died
    caller = Caller(house, tmp_path / "ledger")
    posting = [asyncio.create_task(caller.post(f"key-{number}", sms(number, on_doubt="hold"))) for number in range(60)]
    await asyncio.to_thread(wait_until, lambda: len(caller.accepted) >= 5, 10, "some are answered", 0.001)
    house.kill()
    before = dict(caller.accepted)
    await asyncio.to_thread(house.start)

    # when they are repeated until each is answered, and then once more
    await asyncio.gather(*posting)
    again = [await asyncio.to_thread(post, house, f"key-{number}", sms(number, on_doubt="hold")) for number in range(60)]
    others = [await asyncio.to_thread(post, house, key, sms(99)) for key in list(before)[:5]]

    # then
    assert {key: caller.accepted[key] for key in before} == before
    assert [(status, replayed) for status, _, replayed in again] == [(202, True)] * 60
    assert [answer["id"] for _, answer, _ in again] == [caller.accepted[f"key-{number}"] for number in range(60)]
    assert {(status, problem["code"]) for status, problem, _ in others} == {(422, "idempotency_mismatch")}
    await asyncio.to_thread(wait_until, lambda: house.api("GET", "/v1/audit")[1]["messages"] == 60, 10, "all are planned")
    assert set(oracle.taken().by_message) <= {ids.message_id(id_, 0) for id_ in caller.accepted.values()}
    assert not oracle.taken().doubled


async def test_a_key_is_free_again_once_it_was_kept_for_its_time(tmp_path: Path, oracle: Oracle) -> None:
    house = House(tmp_path, twilio(oracle))
    house.start({"SENDWRIGHT_API__IDEMPOTENCY_KEEP": "2s"})
    try:
        # given
        _, first, _ = post(house, "one", sms(1))
        assert post(house, "one", sms(1)) == (202, first, True)

        # when
        def again() -> tuple[int, dict[str, Any], bool] | None:
            answer = post(house, "one", sms(2))
            return answer if answer[0] == 202 else None

        _, second, replayed = wait_until(again, 10, "the key is free")

        # then
        assert not replayed
        assert second["id"] != first["id"]
        wait_until(lambda: house.counts().get("delivered") == 2, 10, "both are delivered")
        assert house.api("GET", "/v1/audit")[1]["ok"]
    finally:
        house.kill()


def test_a_key_answered_before_sudden_death_replays_after_it(house: House) -> None:
    # given
    _, first, replayed = post(house, "one", sms(1))
    assert not replayed

    # when
    house.kill()
    house.start()

    # then
    assert post(house, "one", sms(1)) == (202, first, True)
    assert post(house, "one", sms(2))[0] == 422
