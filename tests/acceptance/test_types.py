"""Types over real processes: what is put at one door is said by all, and what was accepted keeps the words of then."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.harness import House, Oracle, sms, twilio, wait_until
from tests.acceptance.several import Several, several

pytestmark = pytest.mark.slow

TYPE = "/v1/types/order.shipped"
DATA = {"number": 7}
TO = {"to": {"phone": "+14155550123", "locale": "de-AT"}}


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    started = Oracle(tmp_path)
    yield started
    started.stop()


@pytest.fixture
def house(tmp_path: Path, oracle: Oracle) -> Iterator[Several]:
    with several(tmp_path, twilio(oracle)) as started:
        yield started


def kind(text: str) -> dict[str, Any]:
    return {"content": {"body": text, "locales": {"de": {"body": f"{text} (de)"}}}, "schema": {"required": ["number"]}}


def texts(oracle: Oracle) -> list[str]:
    lines = oracle.log.read_text().splitlines() if oracle.log.exists() else []
    return [entry["body"] for entry in map(json.loads, lines) if entry["taken"] and entry.get("reference")]


def test_a_type_is_put_and_said_through_a_retry_and_a_restart(tmp_path: Path, oracle: Oracle) -> None:
    # Given: one process, and a provider that says later once
    house = House(tmp_path, twilio(oracle))
    house.start()
    assert house.api("PUT", TYPE, kind("Order {{ number }}"))[0] == 200
    oracle.faults([{"do": "status", "status": 503, "count": 1}])

    # When: one is accepted now, one is to go later; then the type says something else, and the process is killed
    now = house.api("POST", "/v1/notifications", {**TO, "type": "order.shipped", "data": DATA})
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6))
    later = house.api("POST", "/v1/notifications", {**TO, "type": "order.shipped", "data": DATA, "send_at": at})
    assert (now[0], later[0]) == (202, 202), (now, later)
    wait_until(lambda: house.api("GET", f"/v1/notifications/{later[1]['id']}")[1]["state"] == "scheduled", 10, "it is planned")
    assert house.api("PUT", TYPE, kind("Changed {{ number }}"))[1]["version"] == 2
    house.kill()
    house.start()

    # Then: both say what the type said when they were accepted
    for _, answer in (now, later):
        path = f"/v1/notifications/{answer['id']}"
        wait_until(lambda path=path: house.api("GET", path)[1]["state"] == "delivered", 40, "it is delivered")
        assert house.api("GET", path)[1]["type"] == "order.shipped@1"
    assert set(texts(oracle)) == {"Order 7 (de)"}
    assert len(house.pages("/v1/notifications?type=order.shipped")) == 2
    assert len(house.pages("/v1/notifications?type=order.shipped%401")) == 2
    assert house.pages("/v1/notifications?type=order") == []
    assert house.stop() == 0


def test_what_is_put_at_one_door_is_known_at_the_other_within_a_second(house: Several, oracle: Oracle) -> None:
    house.start_all(apis=2, workers=1)
    body = {**sms(1), "type": "order.shipped", "data": DATA}
    del body["content"]
    assert house.api_at(1, "POST", "/v1/notifications", body)[0] == 422
    for version in (1, 2, 3):
        assert house.api_at(0, "PUT", TYPE, kind(f"Version {version} {{{{ number }}}}"))[0] == 200
        time.sleep(1)
        answer = house.api_at(1, "POST", "/v1/notifications", body)
        assert answer[0] == 202, answer
        path = f"/v1/notifications/{answer[1]['id']}"
        wait_until(lambda path=path: house.api_at(0, "GET", path)[1]["state"] == "delivered", 20, "it is delivered")
        assert house.api_at(0, "GET", path)[1]["type"] == f"order.shipped@{version}"
    assert texts(oracle) == ["Version 1 7", "Version 2 7", "Version 3 7"]
    assert house.api_at(0, "DELETE", TYPE)[0] == 204
    time.sleep(1)
    assert house.api_at(1, "POST", "/v1/notifications", body)[0] == 422


def test_a_producer_on_the_bus_may_name_a_type(house: Several, oracle: Oracle) -> None:
    house.start_all()
    assert house.api("PUT", TYPE, kind("Order {{ number }}"))[0] == 200
    good = {"to": {"phone": "+14155550123"}, "type": "order.shipped", "data": DATA}
    house.publish(json.dumps(good).encode(), message_id="m-1")
    house.publish(json.dumps({**good, "data": {}}).encode(), message_id="m-2")
    house.publish(json.dumps({**good, "type": "nothing"}).encode(), message_id="m-3")
    path = "/v1/notifications?idempotency_key=m-1"
    wait_until(lambda: [row["state"] for row in house.pages(path)] == ["delivered"], 20, "it is delivered")
    dead = wait_until(lambda: (rows := house.api("GET", "/v1/dead")[1]["parcels"]) and len(rows) == 2 and rows, 10, "two are dead")
    assert {row["kind"] for row in dead} == {"ingress"}
    assert texts(oracle) == ["Order 7"]
