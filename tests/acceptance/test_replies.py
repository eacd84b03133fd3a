"""What people write back, over the sandbox: each vendor tells of it as it does, and stops, helps and starts take effect."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from sendwright.testing import Server
from tests.ports import free_port

from .browser import Window, open_browser

pytestmark = pytest.mark.slow

HELP, STOPPED, STARTED = "Write to help@example.com.", "You get no more messages.", "You get messages again."
META = {"access_token": "EAAtoken0123456789", "app_secret": "appsecret0123456789", "verify_token": "verify-me-0123456789"}
BOT = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
ACCOUNTS: dict[str, dict[str, Any]] = {
    "whatsapp_cloud": META | {"phone_number_id": "106540352242922"},
    "messenger": META | {"page_id": "682498302938465"},
    "instagram": META | {"account_id": "17841400008460056"},
    "telegram": {"bot_token": BOT, "secret_token": "header-secret-0123456789"},
    "slack": {"bot_token": "xoxb-0123456789-token", "signing_secret": "signing-secret-0123456789"},
}
PEOPLE = {
    "whatsapp": "+15005550009", "messenger": "1254477777772919", "instagram": "1535148674817116", "telegram": "1111111",
    "slack": "U2147483697",
}  # fmt: skip
CHANNELS = {"whatsapp_cloud": "whatsapp"}


class Phones:
    """The sandbox beside a server: where people read, and write back."""

    def __init__(self, server: Server, at: str) -> None:
        self.server = server
        self.at = at

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "application/json", token: str = "") -> bytes:
        headers = {"Content-Type": kind, "Authorization": f"Bearer {token}"}
        asked = urllib.request.Request(f"{self.at}{path}", data=body or None, method=method, headers=headers)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            found: bytes = answer.read()
            return found

    def subscribe(self) -> None:
        """As each vendor is told where to report what people write."""
        hooks = f"{self.server.url}/v1/hooks"
        for kind, about in (("whatsapp_cloud", "whatsapp_business_account"), ("messenger", "page"), ("instagram", "instagram")):
            form = f"object={about}&callback_url={hooks}/{kind.replace('_', '-')}&verify_token=v".encode()
            path, coded = f"/{kind}/v25.0/1/subscriptions", "application/x-www-form-urlencoded"
            self.ask("POST", path, form, coded, f"1|{META['app_secret']}")
        hook = {"url": f"{hooks}/telegram", "secret_token": ACCOUNTS["telegram"]["secret_token"]}
        self.ask("POST", f"/telegram/bot{BOT}/setWebhook", json.dumps(hook).encode())
        events = {"request_url": f"{hooks}/slack", "signing_secret": ACCOUNTS["slack"]["signing_secret"]}
        self.ask("PUT", "/slack/events", json.dumps(events).encode())

    def lines(self, channel: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.ask("GET", "/log?limit=1000").splitlines()]
        return [line for line in found if line["channel"] == channel and line["taken"]]

    def said(self, channel: str, count: int) -> list[str]:
        """What has arrived there, once it is so much."""
        give_up = time.monotonic() + 10
        while len(found := self.lines(channel)) < count and time.monotonic() < give_up:
            time.sleep(0.02)
        return [line["body"] for line in found]

    def write(self, channel: str, text: str, repeat: int = 1) -> None:
        words = {"seq": self.lines(channel)[-1]["seq"], "text": text, "repeat": repeat}
        self.ask("POST", "/reply", json.dumps(words).encode())


@pytest.fixture(scope="module")
def phones() -> Iterator[Phones]:
    at = f"127.0.0.1:{free_port()}"
    providers = {kind.replace("_", "-"): {"kind": kind, "base_url": f"http://{at}/{kind}", **own} for kind, own in ACCOUNTS.items()}
    replies = {channel: {"help": HELP, "stop": STOPPED, "start": STARTED} for channel in PEOPLE}
    settings = {"sandbox": {"channels": ["sms"], "listen": at}, "providers": providers, "replies": replies}
    with Server(settings) as server:
        found = Phones(server, f"http://{at}")
        found.subscribe()
        yield found


def test_on_every_chat_a_stop_is_confirmed_and_holds_until_a_start(phones: Phones) -> None:
    with phones.server.client() as client:
        for channel, person in PEOPLE.items():
            client.send({channel: person}, content={"body": "Hello"})
            assert phones.said(channel, 1) == ["Hello"], channel
            phones.write(channel, "ＳＴＯＰ!", repeat=5)
            assert phones.said(channel, 2) == ["Hello", STOPPED], channel
        held = {
            channel: client.send({channel: person}, content={"body": "Are you there?"}).id for channel, person in PEOPLE.items()
        }
        for channel, id_ in held.items():
            assert client.wait(id_).state == "suppressed", channel
        for channel in PEOPLE:
            phones.write(channel, "help" if channel != "telegram" else "/help")
        for channel in PEOPLE:
            assert phones.said(channel, 3)[2:] == [HELP], channel
            phones.write(channel, "Start")
            assert phones.said(channel, 4)[3:] == [STARTED], channel
        for channel, person in PEOPLE.items():
            client.send({channel: person}, content={"body": "Welcome back"})
            assert phones.said(channel, 5)[4:] == ["Welcome back"], channel


def test_who_can_not_be_told_is_told_so(phones: Phones) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        phones.ask("POST", "/reply", b'{"seq": 999999, "text": "Hi"}')
    assert refused.value.code == 404
    refused.value.close()


def test_on_the_sandboxs_page_a_person_writes_back(phones: Phones) -> None:
    with phones.server.client() as client, open_browser() as browser:
        client.send({"telegram": "2222222"}, content={"body": "Hello, you"})
        window = Window(browser, phones.at)
        page = window.go("/")
        form = page.locator("form.back[data-to='2222222']")
        form.locator("input").fill("Where is my <b>parcel</b>?")
        client.send({"telegram": "3333333"}, content={"body": "Somebody else"})
        page.get_by_text("Somebody else").wait_for()  # the page was made anew, and what was being written stayed
        form.locator("button").click()
        page.get_by_text("Where is my <b>parcel</b>?").wait_for()
        assert form.locator("input").input_value() == ""
        form.locator("input").fill("/stop")
        form.locator("input").press("Enter")
        page.locator("article").filter(has=form).get_by_text(STOPPED).wait_for()
        late = client.send({"telegram": "2222222"}, content={"body": "Are you there?"})
        assert client.wait(late.id).state == "suppressed"
        assert window.checked() == []
        window.picture("sandbox-replies")
        window.close()
