"""What users are given for their own tests, used as they would use it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest

from sendwright.client import Sendwright
from sendwright.client.answers import Message
from sendwright.errors import SettingsError
from sendwright.testing import FrozenClock, Server

from .harness import wait_until

pytestmark = pytest.mark.slow

START = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server({"retry": {"base_s": 0.05}}, clock=FrozenClock(START)) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.reset()
    return running


@pytest.fixture
def client(server: Server) -> Iterator[Sendwright]:
    with server.client() as client:
        yield client


def test_what_was_sent_is_there_to_look_at(server: Server, client: Sendwright) -> None:
    to = {"phone": "+14155550123", "email": "ada@example.org"}
    client.send(to, content={"title": "Away", "body": "We are away."}, channels=["email"])
    client.send(to, content={"body": "Hi"}, channels=["sms"])

    server.wait_for(2)
    (email,) = server.sent(channel="email")
    assert (email.to, email.title, email.body) == ("ada@example.org", "Away", "We are away.")
    assert [sent.body for sent in server.sent(to="+14155550123")] == ["Hi"]


def test_each_test_begins_with_nothing_sent(server: Server) -> None:
    assert server.sent() == []


def test_a_time_comes_when_the_clock_is_told_so_and_not_before(server: Server, client: Sendwright) -> None:
    assert server.clock is not None
    send_at = (server.clock.now() + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    taken = client.send({"phone": "+14155550124"}, content={"body": "Later"}, send_at=send_at)
    wait_until(lambda: client.notification(taken.id).state == "scheduled", 10, "it waits")
    with pytest.raises(TimeoutError):
        server.wait_for(1, within_s=0.7)
    assert client.notification(taken.id).state == "scheduled"

    server.clock.advance(hours=1)

    assert [sent.body for sent in server.wait_for(1)] == ["Later"]


def test_the_sandbox_misbehaves_on_request(server: Server, client: Sendwright) -> None:
    assert server.clock is not None
    server.faults({"do": "status", "status": 503, "count": 2})
    taken = client.send({"phone": "+14155550125"}, content={"body": "Hi"})

    def attempts() -> int:
        return sum(len(client.message(message.id).attempts) for message in client.notification(taken.id).messages)

    for tried in (1, 2):
        wait_until(lambda tried=tried: attempts() == tried, 10, f"{tried} attempts are over")
        server.clock.advance(minutes=1)  # a retry waits for its time, like everything else
    assert [sent.body for sent in server.wait_for(1)] == ["Hi"]
    assert attempts() == 3


def test_who_presses_the_link_of_a_marketing_mail_gets_no_more_of_it_and_all_else(server: Server, client: Sendwright) -> None:
    to = {"email": "grace@example.org"}
    sale = {"body": "Tea is cheap. No more of this: {{ unsubscribe_url }}"}

    def sent(**more: str) -> Message:
        taken = client.send(to, content=sale if "category" in more else {"body": "Your tea."}, data={}, channels=["email"], **more)
        (message,) = client.wait(taken.id, timeout_s=10).messages
        return client.message(message.id)

    # Given a marketing mail, and the link in it
    first = sent(category="marketing")
    (mail,) = server.wait_for(1, to=to["email"])
    link = mail.unsubscribe_url or ""
    assert link.startswith(f"{server.url}/u/")
    assert mail.body.endswith(f": {link}")
    # When it is looked at, nothing happens
    with urlopen(link) as page:
        assert b"g\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2@example.org" in page.read()
    assert sent(category="marketing").state != "suppressed"
    # When it is posted to as mail programs do
    with urlopen(link, b"List-Unsubscribe=One-Click") as page:
        assert (page.status, page.url) == (200, link)
    # Then
    again, receipt = sent(category="marketing"), sent()
    assert (again.state, again.reason and again.reason.code) == ("suppressed", "opted_out")
    assert receipt.state in {"sent", "delivered", "read"}
    told = [entry.event for entry in client.message(first.id).timeline]
    assert told.count("message.unsubscribed") == 1
    # And who comes back is written to
    with urlopen(link, b"subscribe=again") as page:
        assert b"You are subscribed again" in page.read()
    assert sent(category="marketing").state in {"sent", "delivered", "read"}


def test_settings_that_are_wrong_say_so_at_the_start() -> None:
    with pytest.raises(SettingsError, match="attempts_maxx"):
        Server({"retry": {"attempts_maxx": 1}}).start()


def test_it_serves_code_of_asyncio_too(server: Server) -> None:
    async def run() -> str:
        async with server.async_client() as client:
            taken = await client.send("nobody", content={"body": "Hi"})
            return (await client.wait(taken.id)).state

    assert asyncio.run(run()) == "failed"


def test_the_fixtures_come_with_the_installation(tmp_path: Path) -> None:
    """In a project of somebody's own."""
    (tmp_path / "test_shop.py").write_text(
        "def test_order(sendwright):\n"
        "    with sendwright.client() as client:\n"
        "        client.send({'phone': '+14155550123'}, content={'body': 'Your order is on its way.'})\n"
        "    (sent,) = sendwright.wait_for(1)\n"
        "    assert sent.body == 'Your order is on its way.'\n"
        "def test_another(sendwright):\n"
        "    assert sendwright.sent() == []\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr


def test_a_run_without_them_loads_nothing_of_the_product() -> None:
    said = "import sys; import sendwright.testing.plugin; print(*[m for m in sys.modules if m.startswith('sendwright')])"
    loaded = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True).stdout.split()
    assert "sendwright.app" not in loaded
    assert "sendwright.client" not in loaded


def test_what_its_page_shows_is_true() -> None:
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
    scripts = [code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "with Server(" in code]

    assert len(scripts) == 2
    for code in scripts:
        exec(code, {})
