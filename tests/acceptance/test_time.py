"""A wall clock that is set while it runs: nothing is sent early, nothing expires in masses, nothing is locked out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sendwright.model import ids
from tests.acceptance.harness import House, Oracle, sms, twilio, wait_until
from tests.ports import free_port

pytestmark = pytest.mark.slow

HOUR_S = 3600
TEN_YEARS_S = 10 * 365 * 86_400


class WallClock:
    """The house's wall clock, which a person sets."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set(0)

    def set(self, ahead_s: int) -> None:
        aside = self.file.with_suffix(".new")
        aside.write_text(str(ahead_s))
        aside.replace(self.file)
        time.sleep(0.1)  # it is read every 50 ms


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    return WallClock(tmp_path / "clock")


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    made = Oracle(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def house(tmp_path: Path, oracle: Oracle, clock: WallClock) -> Iterator[House]:
    """SMS go to the oracle; emails find nobody there, so they wait."""
    refused = f"http://127.0.0.1:{free_port()}"
    mail = f'[providers.mail]\nkind = "sandbox"\nurl = "{refused}"\nchannels = ["email"]\n'
    made = House(tmp_path, twilio(oracle) + mail, "[breaker]\nfailures = 2\n", bent={"clock": str(clock.file)})
    made.start()
    yield made
    made.kill()


def post(house: House, body: dict[str, Any], **headers: str) -> str:
    status, answer = house.api("POST", "/v1/notifications", body, **headers)
    assert status == 202, answer
    return ids.message_id(answer["id"], 0)


def states(house: House, messages: list[str]) -> set[str]:
    return {house.api("GET", f"/v1/messages/{message}")[1]["state"] for message in messages}


def in_ten_minutes() -> str:
    return (datetime.now(UTC) + timedelta(minutes=10)).isoformat().replace("+00:00", "Z")


def is_sent(house: House, message: str) -> bool:
    status, row = house.api("GET", f"/v1/messages/{message}")
    return status == 200 and row["state"] in {"sent", "delivered"}


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S], ids=["ahead", "back"])
def test_a_step_of_an_hour_sends_nothing_early_and_expires_nothing(
    house: House, oracle: Oracle, clock: WallClock, ahead_s: int
) -> None:
    # given messages for later, and one-time passwords that wait for a provider and are worth ten minutes
    later = [post(house, sms(number, send_at=in_ten_minutes())) for number in range(5)]
    codes = [
        post(house, {"to": {"email": f"{n}@example.org"}, "content": {"body": "code"}, "priority": "critical"}) for n in range(5)
    ]
    before = post(house, sms(10), Idempotency_Key="before")
    wait_until(lambda: is_sent(house, before), 10, "the first is sent")
    wait_until(lambda: house.counts().get("scheduled") == 5 and house.counts().get("queued") == 5, 10, "the others wait")

    # when
    clock.set(ahead_s)
    time.sleep(3)

    # then
    assert states(house, later) == {"scheduled"}
    assert states(house, codes) == {"queued"}
    assert set(oracle.taken().by_message) == {before}
    assert "the wall clock moved" in house.output()

    # and what comes now is sent as ever, and keys hold
    now = post(house, sms(11))
    wait_until(lambda: is_sent(house, now), 10, "a message is sent by the stepped clock")
    assert post(house, sms(10), Idempotency_Key="before") == before

    # and so they do when it is set right
    clock.set(0)
    assert post(house, sms(10), Idempotency_Key="before") == before
    again = post(house, sms(12))
    wait_until(lambda: is_sent(house, again), 10, "a message is sent by the right clock")
    assert states(house, later) == {"scheduled"}
    assert states(house, codes) == {"queued"}
    assert not oracle.taken().doubled
    assert house.api("GET", "/v1/audit")[1]["violations"] == []


def test_ten_years_ahead_and_back_lock_nothing_up(house: House, oracle: Oracle, clock: WallClock) -> None:
    # given
    before = post(house, sms(1), Idempotency_Key="before")
    wait_until(lambda: is_sent(house, before), 10, "the first is sent")

    # when
    clock.set(TEN_YEARS_S)
    ahead = post(house, sms(2), Idempotency_Key="ahead")
    wait_until(lambda: is_sent(house, ahead), 10, "a message is sent ten years on")
    assert post(house, sms(1), Idempotency_Key="before") == before
    clock.set(0)

    # then everything goes on, also after a restart
    for _ in range(2):
        message = post(house, sms(3))
        wait_until(lambda message=message: is_sent(house, message), 10, "a message is sent by the right clock")
        assert post(house, sms(1), Idempotency_Key="before") == before
        assert post(house, sms(2), Idempotency_Key="ahead") == ahead
        house.kill()
        house.start()
    assert is_sent(house, before)
    assert not oracle.taken().doubled
    assert house.api("GET", "/v1/audit")[1]["violations"] == []
