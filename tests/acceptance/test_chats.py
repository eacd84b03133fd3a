"""The chats through the running product, against the sandbox that speaks their vendors' wire: sent, reported, refused, in doubt."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from .channels import APP_SECRET, META_ACCOUNT, VERIFY_TOKEN, subscribe
from .harness import House, Oracle
from .world import FAST, World

pytestmark = pytest.mark.slow

BOT_TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
META = {"wa": ("whatsapp_cloud", "whatsapp_business_account"), "page": ("messenger", "page"), "ig": ("instagram", "instagram")}
TO = {
    "whatsapp": "+15005550009",
    "messenger": "1254477777772919",
    "instagram": "1535148674817116",
    "telegram": "7",
    "slack": "C123ABC456",
}


def accounts(url: str) -> str:
    tables = {
        "wa": f'kind = "whatsapp_cloud"\nphone_number_id = "106540352242922"\n{META_ACCOUNT}',
        "page": f'kind = "messenger"\npage_id = "682498302938465"\n{META_ACCOUNT}',
        "ig": f'kind = "instagram"\naccount_id = "17841400008460056"\n{META_ACCOUNT}',
        "bot": f'kind = "telegram"\nbot_token = "{BOT_TOKEN}"\n',
        "slack": 'kind = "slack"\nbot_token = "xoxb-0123456789"\n',
        "alarms": 'kind = "slack"\nwebhook_url = "https://hooks.slack.com/services/T0000/B0000/abcdefgh0123"\n',
    }
    return "".join(f'[providers.{name}]\n{table}base_url = "{url}/{table.split(chr(34))[1]}"\n' for name, table in tables.items())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("chats")
    oracle = Oracle(folder)
    made = World(folder, House(folder, accounts(oracle.url), FAST), oracle)
    made.house.start()
    for provider, (kind, about) in META.items():
        subscribe(made.house, oracle, provider, kind, about)
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def calm(world: World) -> None:
    world.oracle.faults([], {"sequence": ["sent", "delivered", "read"], "delay_ms": 50})


def to(channel: str, body: str, **more: Any) -> dict[str, Any]:
    return {"to": {channel: TO[channel]}, "content": {"body": body}, **more}


@pytest.mark.parametrize(
    ("channel", "provider", "state"),
    [
        ("whatsapp", "wa", "read"),
        ("messenger", "page", "delivered"),
        ("instagram", "ig", "read"),
        ("telegram", "bot", "sent"),
        ("slack", "slack", "sent"),
    ],
)
def test_a_message_comes_as_far_as_its_vendor_reports(world: World, channel: str, provider: str, state: str) -> None:
    body = f"as far as {channel} goes"
    message = world.post(to(channel, body))
    row = world.comes_to(message, state)
    assert (row["channel"], row["provider"], len(row["attempts"])) == (channel, provider, 1)
    (asked,) = world.asked(body=body)
    assert (asked["taken"], asked["to"], asked["ref"]) == (True, TO[channel], row["attempts"][0]["ref"])


def test_a_lost_answer_of_whatsapp_is_settled_by_the_echo_of_our_id(world: World) -> None:
    world.oracle.faults(
        [{"do": "reset_after", "match": {"kind": "whatsapp_cloud"}, "count": 1}], {"sequence": ["sent", "delivered"]}
    )
    message = world.post(to("whatsapp", "lost on the way back", on_doubt="hold"))
    row = world.comes_to(message, "delivered", within_s=40)
    assert len(row["attempts"]) == 1
    assert len(world.asked(body="lost on the way back", taken=True)) == 1


def test_a_closed_window_goes_on_to_the_next_step(world: World) -> None:
    world.oracle.faults([{"do": "status", "status": 400, "code": 131047, "match": {"kind": "whatsapp_cloud"}}])
    both = {"whatsapp": TO["whatsapp"], "telegram": TO["telegram"]}
    message = world.post({"to": both, "content": {"body": "by another way"}, "channels": ["whatsapp", "telegram"]})
    row = world.comes_to(message, "sent")
    first, second = row["attempts"]
    assert (first["channel"], first["reason"]["code"]) == ("whatsapp", "window_closed")
    assert (second["channel"], second["provider"]) == ("telegram", "bot")


def test_a_flood_limit_of_telegram_is_waited_for(world: World) -> None:
    world.oracle.faults([{"do": "status", "status": 429, "retry_after": "1", "match": {"kind": "telegram"}, "count": 1}])
    message = world.post(to("telegram", "not so fast"))
    world.comes_to(message, "sent")
    assert [row["taken"] for row in world.asked(body="not so fast")] == [False, True]


def test_a_workspace_that_is_away_leaves_it_to_the_webhook(world: World) -> None:
    world.oracle.faults([{"do": "status", "status": 503, "match": {"kind": "slack", "account": "bot"}}])
    message = world.post(to("slack", "to whoever listens"))
    row = world.comes_to(message, "sent")
    assert [attempt["provider"] for attempt in row["attempts"]] == ["slack", "alarms"]
    (asked,) = world.asked(body="to whoever listens", taken=True)
    assert asked["to"] == "webhook"


def test_metas_question_is_answered_to_whoever_knows_the_token(world: World) -> None:
    def answer(token: str) -> tuple[int, bytes, str]:
        query = urlencode({"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "1158201444"})
        try:
            with urllib.request.urlopen(f"{world.house.url}/v1/hooks/wa?{query}", timeout=10) as reply:
                return reply.status, reply.read(), reply.headers["Content-Type"]
        except urllib.error.HTTPError as error:
            return error.code, b"", ""

    assert answer(VERIFY_TOKEN) == (200, b"1158201444", "text/plain; charset=utf-8")
    assert answer("verify-token-0123456788")[0] == 401


def test_no_secret_of_a_chat_is_printed_or_kept(world: World) -> None:
    told = world.house.output() + str(world.house.api("GET", "/v1/providers")) + str(world.house.pages("/v1/messages"))
    for secret in (BOT_TOKEN.partition(":")[2], APP_SECRET, VERIFY_TOKEN, "EAAtoken", "xoxb-0123456789", "abcdefgh0123"):
        assert secret not in told
