"""A process whose machine's clock is wrong, from its start: beside others it goes by the store's."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness import Oracle, call, sms, twilio, wait_until
from tests.acceptance.several import READY_S, Several, several

pytestmark = pytest.mark.slow

WRONG = """
import time

_ns, _s = time.time_ns, time.time
time.time_ns = lambda: _ns() + {wrong_s} * 1_000_000_000
time.time = lambda: _s() + {wrong_s}
"""


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    started = Oracle(tmp_path)
    yield started
    started.stop()


@pytest.fixture
def house(tmp_path: Path, oracle: Oracle) -> Iterator[Several]:
    with several(tmp_path, twilio(oracle)) as started:
        yield started


@pytest.mark.parametrize("wrong_s", [3600, -3600], ids=["ahead", "behind"])
def test_workers_and_schedulers_an_hour_off_send_what_is_due_when_it_is_due_and_expire_nothing(
    house: Several, oracle: Oracle, tmp_path: Path, wrong_s: int
) -> None:
    # given: an API that is right, and all else wrong
    house.start_api()
    (tmp_path / "sitecustomize.py").write_text(WRONG.format(wrong_s=wrong_s))
    house.env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    house.start_worker()
    house.start_scheduler()
    wait_until(lambda: call("GET", house.url + "/readyz")[0] == 200, READY_S, "the API is ready")
    # when
    now = house.api("POST", "/v1/notifications", {**sms(1), "ttl": "60s"})[1]["id"]
    in_two_s = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    soon = house.api("POST", "/v1/notifications", {**sms(2), "send_at": in_two_s, "ttl": "60s"})[1]["id"]
    in_half_an_hour = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1800))
    later = house.api("POST", "/v1/notifications", {**sms(3), "send_at": in_half_an_hour})[1]["id"]
    # then
    for sent in (now, soon):
        wait_until(
            lambda sent=sent: house.api("GET", f"/v1/notifications/{sent}")[1]["state"] == "delivered", 40, "it is delivered"
        )
    assert house.api("GET", f"/v1/notifications/{later}")[1]["state"] == "scheduled"
    assert "s from the store's, which is used instead" in (house.folder / "house.out").read_text()
    assert "the wall clock moved" not in (house.folder / "house.out").read_text()
