"""The command line on a real process: it comes up in an empty folder, sends, shows, recounts, and goes down in order."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_port

SENDWRIGHT = [sys.executable, "-m", "sendwright"]
WITHIN_S = 30.0

pytestmark = pytest.mark.slow


class Up:
    """`sendwright up` in a folder, on a free port."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("SENDWRIGHT_")}
        self._said = folder / f"{name}.log"
        command = [*SENDWRIGHT, "up", "--listen", f"127.0.0.1:{free_port()}"]
        with self._said.open("wb") as out:
            self.child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=out, env=self.env, cwd=folder)
        self.url = self._wait_for(r"listens on (http://127\.0\.0\.1:\d+)")
        self._wait_for(r"(?m)^  try +(.+)$")
        self.env["SENDWRIGHT_URL"] = self.url

    @property
    def said(self) -> str:
        return self._said.read_text()

    def _wait_for(self, pattern: str) -> str:
        deadline = time.monotonic() + WITHIN_S
        while (found := re.search(pattern, self.said)) is None:
            assert self.child.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)
        return found[1]

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*SENDWRIGHT, *args], capture_output=True, text=True, env=self.env, cwd=self.folder, timeout=60, check=False
        )

    def end(self) -> int:
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(WITHIN_S)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    started = Up(tmp_path, "up")
    yield started
    if started.child.poll() is None:
        started.child.kill()
        started.child.wait()


def test_from_nothing_to_a_delivered_notification_and_down_again(up: Up) -> None:
    # When one is sent
    sent = up.run("send", "--to", "+15005550009", "--body", "Hello", "--wait", "delivered", "--json")

    # Then it is delivered, and shown as such
    assert sent.returncode == 0, sent.stderr
    notification = json.loads(sent.stdout)
    assert [message["state"] for message in notification["messages"]] == ["delivered"]
    shown = up.run("show", notification["id"])
    assert shown.returncode == 0
    assert "attempt 1  sms by sandbox  delivered" in shown.stdout

    # And listed, and accounted for
    listed = json.loads(up.run("list", "--state", "delivered", "--channel", "sms", "--json").stdout)
    assert [message["notification"] for message in listed["data"]] == [notification["id"]]
    audited = up.run("audit")
    assert (audited.returncode, audited.stdout.splitlines()[-1]) == (0, "messages 1: 1 delivered")

    # And the process ends in order
    assert up.end() == 0


def test_the_admin_key_is_shown_by_the_start_that_makes_it_and_never_again(up: Up, tmp_path: Path) -> None:
    # Given
    key = (tmp_path / "data" / "admin_key").read_text().strip()
    assert key in up.said
    assert up.end() == 0

    # When
    again = Up(tmp_path, "again")

    # Then
    assert again.end() == 0
    assert key not in again.said
    assert str(tmp_path / "data" / "admin_key") in again.said


def test_the_running_process_is_seen_switched_and_watched(up: Up) -> None:
    checked = json.loads(up.run("check", "--json").stdout)
    assert checked["ok"]
    assert f"ready at {up.url}" in checked["checks"][0]["detail"]

    assert up.run("providers", "test", "sandbox", "--to", "+15005550009").returncode == 0
    assert up.run("providers", "disable", "sandbox").stdout == "sandbox is disabled\n"
    assert up.run("send", "--to", "+15005550009", "--body", "x", "--timeout", "2s").returncode == 1
    assert up.run("providers", "enable", "sandbox").stdout == "sandbox is enabled\n"


def test_a_second_process_on_the_same_data_is_refused(up: Up) -> None:
    second = up.run("up", "--listen", "127.0.0.1:0")

    assert second.returncode == 1
    assert "in use by another process" in second.stderr


def test_dead_letters_are_listed_and_dropped(up: Up) -> None:
    assert up.run("send", "--to", "nobody-known", "--channel", "sms", "--body", "x").returncode == 1

    dead = json.loads(up.run("dead", "--json").stdout)
    assert [letter["reason"]["code"] for letter in dead["data"]] == ["unknown_recipient"]

    assert up.run("dead", "drop", dead["data"][0]["id"]).stdout == "dropped 1, skipped 0\n"
    assert json.loads(up.run("dead", "--json").stdout)["data"] == []
    assert json.loads(up.run("doubts", "--json").stdout)["data"] == []


def test_tail_prints_what_happens(up: Up) -> None:
    # Given
    tail = subprocess.Popen(
        [*SENDWRIGHT, "tail", "--types", "message.delivered", "--json", "--limit", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=up.env, cwd=up.folder,
    )  # fmt: skip
    try:
        # When: an event stream begins with what happens next, so something is sent until it has seen one
        deadline = time.monotonic() + WITHIN_S
        while tail.poll() is None and time.monotonic() < deadline:
            up.run("send", "--to", "+15005550009", "--body", "x", "--wait", "delivered")
    finally:
        tail.terminate()
        out, err = tail.communicate()

    # Then
    assert tail.returncode == 0, err
    assert json.loads(out)["type"] == "message.delivered"


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_line_to_try_works_as_it_is_printed(up: Up) -> None:
    line = re.search(r"(?m)^  try +(.+)$", up.said)
    assert line is not None

    done = subprocess.run(["sh", "-c", line[1]], capture_output=True, text=True, cwd="/", timeout=30, check=True)

    assert json.loads(done.stdout)["state"] == "accepted"


def test_the_sandbox_runs_on_its_own_until_it_is_told_to_stop(tmp_path: Path) -> None:
    # Given
    command = [*SENDWRIGHT, "sandbox", "--listen", "127.0.0.1:0", "--log", "requests.jsonl", "--no-receipts"]
    said = tmp_path / "sandbox.log"
    with said.open("wb") as out:
        child = subprocess.Popen(command, stderr=out, cwd=tmp_path)
    try:
        deadline = time.monotonic() + WITHIN_S
        while "http://127.0.0.1:" not in said.read_text() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)

        # When
        child.send_signal(signal.SIGTERM)

        # Then
        assert child.wait(WITHIN_S) == 0, said.read_text()
        assert "http://127.0.0.1:" in said.read_text()
    finally:
        child.kill()
        child.wait()
