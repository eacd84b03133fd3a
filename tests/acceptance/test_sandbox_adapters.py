"""Every adapter against the sandbox that plays its vendor, as docs/sandbox.md says it is done: its settings, its commands.

Each sends a message over the wire, and where its vendor reports, the report is believed and brings the message on.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sendwright.providers import registry
from tests.ports import free_port

from .faults import missing
from .harness import House, Oracle, call, wait_until
from .world import FAST, Row, World

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Adapters against it\n")[2].partition("\n## ")[0]
SHELL = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
CONSOLE = [re.sub(r"^\$ ", "", block, flags=re.MULTILINE) for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)]
TOML = "\n".join(re.findall(r"```toml\n(.*?)```", SECTION, re.DOTALL))
TO: dict[str, tuple[str, Any]] = {
    "twilio-main": ("sms", "+14155550123"),
    "whatsapp-main": ("whatsapp", "+15005550009"),
    "messenger-main": ("messenger", "1254477777772919"),
    "instagram-main": ("instagram", "1535148674817116"),
    "telegram-main": ("telegram", "7"),
    "slack-main": ("slack", "C123ABC456"),
    "sendgrid-main": ("email", "ada@example.com"),
    "ses-main": ("email", "bea@example.com"),
    "smtp-main": ("email", "cleo@example.com"),
    "fcm-main": ("push", [{"token": "device-1", "kind": "fcm"}]),
    "webpush-main": ("webpush", None),
}
COMES_TO = {
    "twilio-main": "read", "whatsapp-main": "read", "messenger-main": "delivered", "instagram-main": "read",
    "telegram-main": "sent", "slack-main": "sent", "sendgrid-main": "read", "ses-main": "read", "smtp-main": "sent",
    "fcm-main": "sent", "webpush-main": "sent",
}  # fmt: skip


class Everybody(World):
    """A house with every adapter, and the sandbox that plays all of their vendors."""

    def __init__(self, folder: Path) -> None:
        mails = free_port()
        oracle = Oracle(folder, more=("--smtp", f"127.0.0.1:{mails}", "--keys", str(folder / "keys.json")))
        self._here = {
            "127.0.0.1:8425": f"127.0.0.1:{oracle.port}",
            "port = 8426": f"port = {mails}",
            "${file:": f"${{file:{folder}/",
        }
        super().__init__(folder, House(folder, "", FAST), oracle)
        self.run(SHELL[1])
        self.house = House(folder, self.moved(TOML), FAST)
        self._here["127.0.0.1:8420"] = f"127.0.0.1:{self.house.port}"
        self.house.start()
        self.run(SHELL[2])

    def moved(self, text: str) -> str:
        for there, here in self._here.items():
            text = text.replace(there, here)
        return text

    def run(self, commands: str) -> None:
        subprocess.run(["bash", "-ec", self.moved(commands)], cwd=self.folder, check=True, capture_output=True, timeout=30)

    def send(self, provider: str, body: str) -> str:
        channel, address = TO[provider]
        if channel == "webpush":
            address = [json.loads((self.folder / "subscription.json").read_text())]
        name = "phone" if channel == "sms" else channel
        content = {"title": "Order 7", "body": body} if channel in {"email", "push", "webpush"} else {"body": body}
        return self.post({"to": {name: address}, "channels": [channel], "content": content})

    def only(self, provider: str) -> None:
        """Of those that take mails, the others rest."""
        for name in ("sendgrid-main", "ses-main", "smtp-main"):
            status, answer = self.house.api("PATCH", f"/v1/providers/{name}", {"enabled": name == provider})
            assert status == 200, answer


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everybody]:
    for name in ("bash", "curl", "openssl"):
        if shutil.which(name) is None:
            missing(name)
    made = Everybody(tmp_path_factory.mktemp("everybody"))
    yield made
    made.stop()


def test_the_page_has_kinds_that_there_are() -> None:
    shown = set(re.findall(r'^kind = "(\w+)"$', TOML, re.MULTILINE))
    assert shown <= set(registry.kinds())
    assert len(shown) == len(TO)
    assert re.findall(r"^\[providers\.([\w-]+)\]$", TOML, re.MULTILINE) == list(TO)


def test_every_adapter_sends_by_its_own_wire_and_hears_what_its_vendor_reports(everybody: Everybody) -> None:
    everybody.oracle.faults([], {"sequence": ["sent", "delivered", "read"], "delay_ms": 20})
    sent: dict[str, str] = {}
    for provider in TO:
        if provider in {"sendgrid-main", "ses-main", "smtp-main"}:
            everybody.only(provider)
            sent[provider] = everybody.send(provider, f"by {provider}")
            everybody.comes_to(sent[provider], "sent", "delivered", "read")
        else:
            sent[provider] = everybody.send(provider, f"by {provider}")
    for provider, message in sent.items():
        row: Row = everybody.comes_to(message, COMES_TO[provider])
        assert [attempt["provider"] for attempt in row["attempts"]] == [provider]
        (asked,) = everybody.asked(ref=row["attempts"][0]["ref"])
        assert (asked["taken"], asked["body"].strip()) == (True, f"by {provider}")
        assert asked["kind"] == re.search(rf'\[providers\.{provider}\]\nkind = "(\w+)"', TOML)[1]  # type: ignore[index]
    told = everybody.house.output() + everybody.oracle.log.read_text()
    assert "BEGIN PRIVATE KEY" not in told
    assert "the-app-secret" not in told


def test_events_that_come_backwards_and_three_times_bring_a_mail_as_far(everybody: Everybody) -> None:
    everybody.oracle.faults([], {"sequence": ["sent", "delivered", "read"], "delay_ms": 5, "duplicate": 3, "out_of_order": True})
    for provider in ("sendgrid-main", "ses-main"):
        everybody.only(provider)
        message = everybody.send(provider, f"backwards by {provider}")
        everybody.comes_to(message, "read")
        wait_until(lambda: everybody.oracle.stats()["receipts"]["queued"] == 0, 10, "all is reported")
        assert everybody.state(message) == "read"
    assert everybody.oracle.stats()["receipts"].get("given_up", 0) == 0, "every one of them was believed"


def test_a_lost_answer_of_a_mail_api_is_settled_by_its_event(everybody: Everybody) -> None:
    for provider, kind in (("sendgrid-main", "sendgrid"), ("ses-main", "ses")):
        everybody.only(provider)
        everybody.oracle.faults([{"do": "reset_after", "match": {"kind": kind}, "count": 1}], {"sequence": ["sent", "delivered"]})
        row = everybody.comes_to(everybody.send(provider, f"lost by {kind}"), "delivered")
        assert len(row["attempts"]) == 1
        assert len([asked for asked in everybody.asked(kind=kind) if asked["body"].strip() == f"lost by {kind}"]) == 1


def test_people_write_back_once_the_vendors_were_told_as_the_page_says(everybody: Everybody) -> None:
    everybody.oracle.faults([], {"sequence": []})
    for commands in CONSOLE:
        everybody.run(commands)
    for channel, address in (("whatsapp", "+15005550019"), ("telegram", "8"), ("slack", "D123ABC456")):
        message = everybody.post({"to": {channel: address}, "channels": [channel], "content": {"body": "Hello"}})
        (asked,) = everybody.asked(ref=everybody.comes_to(message, "sent")["attempts"][0]["ref"])
        assert call("POST", f"{everybody.oracle.url}/reply", {"seq": asked["seq"], "text": "STOP"})[0] == 202
        listed = f"/v1/suppressions?shared=true&channel={channel}"
        wait_until(lambda listed=listed: everybody.house.api("GET", listed)[1]["data"], 10, f"the stop by {channel}")  # type: ignore[misc]
