"""The recount is clean after any run, and names what somebody took out of the file behind its back."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sendwright.model import ids
from tests.acceptance.harness import House, Oracle, sms, twilio, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    oracle = Oracle(tmp_path)
    made = House(tmp_path, twilio(oracle))
    made.start()
    yield made
    made.kill()
    oracle.stop()


def post(house: House, body: dict[str, Any], **headers: str) -> str:
    status, answer = house.api("POST", "/v1/notifications", body, **headers)
    assert status == 202, answer
    return str(answer["id"])


def message_of(notification: str) -> str:
    return ids.message_id(notification, 0)


def violations(house: House) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = house.api("GET", "/v1/audit")[1]["violations"]
    return found


def cli_audit(house: House, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sendwright", "audit", "--config", str(house.config), "--data", str(house.data), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def die_with_unplanned(house: House, body: dict[str, Any], **headers: str) -> None:
    """It is durable, and the process dies before it is planned."""
    house.start({"SENDWRIGHT_CRASH": "plan.taken:1"})
    with contextlib.suppress(OSError):  # it may die before it can answer
        house.api("POST", "/v1/notifications", body, **headers)
    house.ended()


def test_each_row_that_is_taken_out_is_named(house: House) -> None:
    # given one of each kind, and a clean recount
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    sent = {kind: post(house, sms(number)) for number, kind in enumerate(("message", "notification", "attempt", "event", "whole"))}
    waiting = post(house, sms(7, send_at=tomorrow))
    wait_until(lambda: house.counts() == {"delivered": 5, "scheduled": 1}, 15, "five are delivered, one waits")
    clean = cli_audit(house)
    assert (clean.returncode, clean.stderr.strip()) == (0, "everything is accounted for")
    assert house.stop() == 0
    die_with_unplanned(house, sms(8), Idempotency_Key="unplanned")
    with house.database() as db:
        keyed = db.execute("select id from keys where key = 'unplanned'").get
        db.execute("delete from bundles where lane like 'intake.%'")
        known = {row[0] for row in db.execute("select process from processes")}
    die_with_unplanned(house, sms(9))

    # when
    with house.database() as db:
        (process,) = {row[0] for row in db.execute("select process from processes")} - known
        db.execute("delete from bundles where lane like 'intake.%'")
        db.execute("delete from messages where id = ?", (message_of(sent["message"]),))
        db.execute("delete from notifications where id = ?", (sent["notification"],))
        db.execute("delete from attempts where message = ?", (message_of(sent["attempt"]),))
        db.execute("delete from events where subject = ? and type = 'message.delivered'", (message_of(sent["event"]),))
        db.execute("delete from waits where message = ?", (message_of(waiting),))
    house.start()

    # then
    found = {(row["kind"], row["id"]) for row in violations(house)}
    expected = {
        ("lost", message_of(sent["message"])),
        ("lost", sent["notification"]),
        ("attempts", message_of(sent["attempt"])),
        ("event", message_of(sent["event"])),
        ("stranded", message_of(waiting)),
        ("lost", keyed),
        ("gap", process),
    }
    assert expected <= found
    named = {row["id"] for row in violations(house)}
    assert sent["whole"] not in named
    assert message_of(sent["whole"]) not in named
    assert any(row["id"] == process and "number 1" in row["detail"] for row in violations(house))

    # and the command says so, and fails
    told = cli_audit(house)
    assert told.returncode == 1
    assert all(id_ in told.stdout for _, id_ in expected)
    as_json = cli_audit(house, "--json")
    assert as_json.returncode == 1
    assert {(row["kind"], row["id"]) for row in json.loads(as_json.stdout)["violations"]} == found
