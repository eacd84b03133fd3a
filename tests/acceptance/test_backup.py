"""A copy while everything goes on, and a life after it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sendwright.model import ids

from .harness import ADMIN_KEY, House, Oracle, sms, twilio, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    made = Oracle(tmp_path_factory.mktemp("oracle"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, oracle: Oracle) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("house"), twilio(oracle))
    made.start()
    yield made
    made.stop()


def backed(house: House, *args: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"SENDWRIGHT_URL": house.url, "SENDWRIGHT_KEY": ADMIN_KEY}
    command = [sys.executable, "-m", "sendwright", "backup", *args]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_a_copy_taken_under_load_is_whole_and_another_lives_on_it(house: House, oracle: Oracle, tmp_path: Path) -> None:
    posted = [house.api("POST", "/v1/notifications", sms(n))[1]["id"] for n in range(20)]
    with ThreadPoolExecutor(2) as pool:
        more = [pool.submit(house.api, "POST", "/v1/notifications", sms(100 + n)) for n in range(60)]
        ran = backed(house, str(tmp_path / "copy.db"))
        assert {future.result()[0] for future in more} == {202}
    assert ran.returncode == 0, ran.stderr
    assert not list((house.folder / "data").glob(".backup-*")), "nothing of it is left in the data folder"
    # a second Sendwright over the copy, with the keys beside it
    (tmp_path / "other" / "data").mkdir(parents=True)
    other = House(tmp_path / "other", twilio(oracle))
    shutil.copy(tmp_path / "copy.db", tmp_path / "other" / "data" / "sendwright.db")
    for key in ("admin_key", "secret_key"):
        if (house.folder / "data" / key).exists():
            shutil.copy(house.folder / "data" / key, tmp_path / "other" / "data" / key)
    other.start()
    try:
        for id_ in posted:
            assert other.api("GET", f"/v1/notifications/{id_}")[0] == 200
        wait_until(lambda: other.api("GET", "/v1/audit")[1]["ok"], 20, "everything is accounted for")
        assert other.api("POST", "/v1/notifications", sms(999))[0] == 202
    finally:
        other.stop()


def restored(house: House, *args: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "sendwright",
        "restore",
        "--config",
        str(house.config),
        "--data",
        str(house.folder / "data"),
        *args,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("by_hand", [False, True], ids=["started as it is", "restored by the command"])
def test_a_restored_backup_sends_nothing_again_before_a_person_says_so(tmp_path: Path, oracle: Oracle, *, by_hand: bool) -> None:
    # given a backup in which five messages wait for a provider that is switched off, and one for its time
    (tmp_path / "first").mkdir()
    first = House(tmp_path / "first", twilio(oracle))
    first.start()
    [account] = [row["name"] for row in first.api("GET", "/v1/providers")[1]["data"] if row["kind"] == "twilio"]
    assert first.api("PATCH", f"/v1/providers/{account}", {"enabled": False})[0] == 200
    waiting = [first.api("POST", "/v1/notifications", sms(2_000 + n))[1]["id"] for n in range(5)]
    to_come = first.api(
        "POST", "/v1/notifications", sms(2_100, send_at=f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}")
    )[1]["id"]
    for id_ in waiting:
        wait_until(lambda id_=id_: state_of(first, id_) == "queued", 20, "it waits")
    assert backed(first, str(tmp_path / "copy.db")).returncode == 0
    # and which are sent after it was made
    assert first.api("PATCH", f"/v1/providers/{account}", {"enabled": True})[0] == 200
    for id_ in waiting:
        wait_until(lambda id_=id_: state_of(first, id_) in {"sent", "delivered"}, 30, "it is sent")
    first.stop()
    assert calls_for(oracle, waiting) == 5
    # when the backup takes its place
    (tmp_path / "second").mkdir()
    second = House(tmp_path / "second", twilio(oracle))
    (second.folder / "data").mkdir(parents=True, exist_ok=True)
    shutil.copy(first.folder / "data" / "secret_key", second.folder / "data" / "secret_key")
    if by_hand:
        ran = restored(second, str(tmp_path / "copy.db"))
        assert ran.returncode == 0, ran.stderr
        assert "5 messages" in ran.stderr
    else:
        shutil.copy(tmp_path / "copy.db", second.folder / "data" / "sendwright.db")
    second.start()
    try:
        # then none of them is sent again, and each is listed
        assert second.api("PATCH", f"/v1/providers/{account}", {"enabled": True})[0] == 200
        fresh = second.api("POST", "/v1/notifications", sms(2_200))[1]["id"]
        wait_until(lambda: state_of(second, fresh) in {"sent", "delivered"}, 30, "what is new goes its way")
        doubts = second.api("GET", "/v1/messages?state=in_doubt&limit=200")[1]["data"]
        assert {row["notification"] for row in doubts} == set(waiting)
        assert {row["provider"] for row in doubts} == {account}
        assert state_of(second, to_come) == "scheduled"
        assert calls_for(oracle, waiting) == 5
        assert second.api("GET", "/v1/audit")[1]["ok"]
        # when a person says of one that it was sent, and has the others sent again
        assert second.api("POST", f"/v1/messages/{doubts[0]['id']}/resolve", {"as": "sent"})[1]["state"] == "sent"
        env = os.environ | {"SENDWRIGHT_URL": second.url, "SENDWRIGHT_KEY": ADMIN_KEY}
        command = [sys.executable, "-m", "sendwright", "doubts", "resolve", "--all", "--as", "resend"]
        ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout) == (0, "resolved 4\n"), ran.stderr
        # then they are, and it is known that they may have been sent twice
        wait_until(lambda: calls_for(oracle, waiting) == 9, 30, "they are sent")
        wait_until(lambda: len(second.api("GET", "/v1/messages?doubled=true&limit=200")[1]["data"]) == 4, 30, "and listed")
    finally:
        second.stop()


def calls_for(oracle: Oracle, notifications: list[str]) -> int:
    taken = oracle.taken().by_message
    return sum(len(calls) for message, calls in taken.items() if ids.notification_of(message) in notifications)


def state_of(house: House, notification: str) -> str:
    return str(house.api("GET", f"/v1/notifications/{notification}")[1]["state"])


def test_a_file_that_is_there_stays_unless_it_is_said_otherwise(house: House, tmp_path: Path) -> None:
    place = tmp_path / "copy.db"
    place.write_text("mine")
    refused = backed(house, str(place))
    assert (refused.returncode, place.read_text()) == (1, "mine")
    assert "--force" in refused.stderr
    assert backed(house, "--force", str(place)).returncode == 0
    assert place.read_bytes().startswith(b"SQLite format 3")


def test_a_copy_that_cannot_be_written_leaves_nothing_behind(house: House, tmp_path: Path) -> None:
    ran = backed(house, str(tmp_path / "no" / "such" / "copy.db"))
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_who_may_not_see_everything_gets_no_copy(house: House, tmp_path: Path) -> None:
    key = house.api("POST", "/v1/keys", {"name": "theirs", "tenant": "acme", "scopes": ["admin"]})[1]["key"]
    env = os.environ | {"SENDWRIGHT_URL": house.url, "SENDWRIGHT_KEY": key}
    command = [sys.executable, "-m", "sendwright", "backup", str(tmp_path / "copy.db")]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert list(tmp_path.iterdir()) == []
