"""A copy while everything goes on, and a life after it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

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
