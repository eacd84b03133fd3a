"""`check`: what it prints of the settings, and what it finds out without changing or sending anything."""

from __future__ import annotations

import asyncio
import fcntl
import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sendwright.cli import findings
from sendwright.drivers.embedded import open_sqlite
from sendwright.model.notices import Credential
from sendwright.model.records import Order, Switch
from sendwright.providers import registry
from tests.unit.cli_server import Reply, Server, run, serving

CANARY = "canary-0123456789-0123456789-0123"
TWILIO = f"""
[providers.twilio-main]
kind = "twilio"
account_sid = "AC{"0" * 32}"
auth_token = "{CANARY}"
from = "+15005550006"
"""
SMTP = """
[providers.mail]
kind = "smtp"
host = "mail.example.org"
from = "shop@example.org"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Every host is reachable, and none is called: the addresses that would have been."""
    called: list[tuple[str, int]] = []

    def create_connection(target: tuple[str, int], timeout: float) -> socket.socket:
        called.append(target)
        return socket.socket()

    monkeypatch.setattr(findings, "create_connection", create_connection)
    return called


def _check(toml: str = "", *args: str, server: Server | None = None, code: int = 0) -> dict[str, Any]:
    Path("given.toml").write_text(toml, encoding="utf-8")
    ended = run("check", "--config", "given.toml", "--json", *args, server=server)
    assert ended.exit_code == code, ended.output
    assert "canary" not in ended.output
    found: dict[str, Any] = json.loads(ended.stdout)
    assert found["ok"] is (code == 0)
    return found


def _tried(found: dict[str, Any], name: str) -> tuple[bool, str]:
    return next((tried["ok"], tried["detail"]) for tried in found["checks"] if tried["name"] == name)


def test_it_prints_every_setting_with_its_origin_and_makes_nothing(folder: Path) -> None:
    found = _check("[worker]\nconcurrency = 5\n")

    rows = {row["name"]: (row["value"], row["source"]) for row in found["settings"]}
    assert rows["worker.concurrency"] == ("5", "given.toml")
    assert rows["api.listen"] == ('"127.0.0.1:8420"', "default")
    assert [path.name for path in folder.iterdir()] == ["given.toml"]


def test_the_plain_form_says_the_same_in_lines() -> None:
    Path("given.toml").write_text(f'[api]\nadmin_key = "{CANARY}"\n')

    ended = run("check", "--config", "given.toml")

    assert ended.exit_code == 0
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert ["api.admin_key", "***", "given.toml"] in lines
    assert any(line[:2] == ["ok", "store:"] for line in lines)
    assert any(line[:1] == ["warning"] for line in lines)
    assert "canary" not in ended.output


# The store


def test_a_store_that_is_not_there_yet_is_no_failure() -> None:
    ok, detail = _tried(_check(), "store")

    assert ok
    assert "the first start makes it" in detail


def test_a_store_that_can_not_be_made_is_a_failure(folder: Path) -> None:
    (folder / "file").write_text("")
    url = "sqlite:///file/x.db"

    ok, detail = _tried(_check(f'[store]\nurl = "{url}"\n[bus]\nurl = "{url}"\n', code=1), "store")

    assert not ok
    assert "can't be made" in detail


def test_a_store_that_nobody_uses_is_opened_and_what_was_switched_at_run_time_is_shown(
    folder: Path, offline: list[tuple[str, int]]
) -> None:
    # Given a store in which a provider was switched off
    async def switched_off() -> None:
        async with open_sqlite(folder / "data" / "sendwright.db") as backend:
            await backend.switchboard.set(Switch("twilio-main", enabled=False, rate="5/s"))
            await backend.switchboard.reorder(Order("sms", ("twilio-main",)))

    asyncio.run(switched_off())

    # When
    found = _check(TWILIO)

    # Then
    assert _tried(found, "store") == (True, "data/sendwright.db opens, and no process uses it")
    switched = {row["name"]: row["value"] for row in found["settings"] if row["source"] == "run time"}
    assert switched == {
        "providers.twilio-main.enabled": "false",
        "providers.twilio-main.rate": "5/s",
        "routes.sms.providers": '["twilio-main"]',
    }


def test_a_damaged_store_is_a_failure(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "sendwright.db").write_bytes(b"no database" * 1000)

    ok, _ = _tried(_check(code=1), "store")

    assert not ok


@pytest.fixture
def held(folder: Path) -> Iterator[None]:
    """The store's lock is in another's hand."""
    (folder / "data").mkdir(mode=0o700)
    with (folder / "data" / "sendwright.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _standing(**changes: Any) -> dict[str, Any]:
    return {"name": "twilio-main", "enabled": True, "rate": None, "concurrency": 200} | changes


@pytest.mark.usefixtures("held")
def test_a_store_that_a_running_process_holds_is_asked_for_there(server: Server, offline: list[tuple[str, int]]) -> None:
    # Given
    server.answer("GET", "/readyz", Reply({"store": "sqlite", "bus": "sqlite", "ready": True}))
    standings = [_standing(enabled=False, concurrency=7), _standing(name="sandbox", enabled=False)]
    server.answer("GET", "/v1/providers", Reply({"data": standings, "next_cursor": None}))
    sms = {"channel": "sms", "policy": "order", "providers": ["b", "a"], "left_out": [], "source": "run_time"}
    routes = [sms, sms | {"channel": "email", "source": "settings"}]
    server.answer("GET", "/v1/routes", Reply({"data": routes, "next_cursor": None}))

    # When
    found = _check(TWILIO, server=server)

    # Then
    ok, detail = _tried(found, "store")
    assert ok
    assert f"ready at {server.url}" in detail
    switched = {row["name"]: row["value"] for row in found["settings"] if row["source"] == "run time"}
    assert switched == {
        "providers.twilio-main.enabled": "false",
        "providers.twilio-main.concurrency": "7",
        "providers.sandbox.enabled": "false",
        "routes.sms.providers": '["b", "a"]',
    }


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("answer", [Reply({"ready": False}, 503), Reply(cut=True)])
def test_a_running_process_that_is_not_ready_is_a_failure(server: Server, answer: Reply) -> None:
    server.answer("GET", "/readyz", answer)

    ok, detail = _tried(_check(server=server, code=1), "store")

    assert not ok
    assert "held by a running process" in detail


# Providers and their callbacks


def test_a_provider_is_tried_by_a_connection_and_sent_nothing(server: Server) -> None:
    found = _check(f'{TWILIO}base_url = "{server.url}"\nrate = "10/s"\n')

    ok, detail = _tried(found, "provider twilio-main")
    assert ok
    assert server.url.removeprefix("http://") in detail
    assert server.asked == []
    assert found["warnings"] == []
    assert _tried(found, "callbacks twilio-main") == (True, "come to http://127.0.0.1:8420/v1/hooks/twilio-main")


def test_a_provider_that_takes_no_connection_is_a_failure() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # taken, and nobody listens

        found = _check(f'{TWILIO}base_url = "http://127.0.0.1:{bound.getsockname()[1]}"\n', code=1)

    ok, detail = _tried(found, "provider twilio-main")
    assert not ok
    assert "no connection to 127.0.0.1:" in detail


def test_without_a_base_url_the_vendors_own_host_is_tried_and_its_callbacks_are_said_not_to_arrive(
    offline: list[tuple[str, int]],
) -> None:
    found = _check(TWILIO)

    assert offline == [("api.twilio.com", 443)]
    assert _tried(found, "callbacks twilio-main")[1].startswith("can't arrive")
    assert any("public_url" in warning for warning in found["warnings"])
    assert any("without a limit" in warning for warning in found["warnings"])


@pytest.mark.parametrize(
    ("toml", "warns"),
    [
        (SMTP, True),
        (f'[api]\npublic_url = "http://notify.example.com"\n{SMTP}', True),
        (f'[api]\npublic_url = "https://notify.example.com"\n{SMTP}', False),
        (f'{SMTP}[routes.email]\nproviders = ["box"]\n[providers.box]\nkind = "console"\n', False),
        ("", False),
        (TWILIO, False),
    ],
    ids=["unset", "http", "https", "nobody's route", "sandbox", "no mail"],
)
def test_marketing_mail_wants_a_public_url_that_is_https(toml: str, warns: bool, offline: list[tuple[str, int]]) -> None:
    assert any("marketing" in warning for warning in _check(toml)["warnings"]) == warns


def test_with_a_public_url_callbacks_come_there(offline: list[tuple[str, int]]) -> None:
    found = _check(f'[api]\npublic_url = "https://notify.example.com"\n{TWILIO}rate = "10/s"\n')

    assert _tried(found, "callbacks twilio-main") == (True, "come to https://notify.example.com/v1/hooks/twilio-main")
    assert found["warnings"] == []


def test_the_console_needs_no_connection(offline: list[tuple[str, int]]) -> None:
    found = _check('[providers.out]\nkind = "console"\n')

    assert _tried(found, "provider out") == (True, "console: needs no connection")
    assert offline == []
    assert found["warnings"] == []


def test_the_inbox_needs_no_connection_and_no_callbacks(offline: list[tuple[str, int]]) -> None:
    found = _check('[providers.inbox]\nkind = "inapp"\n')

    assert _tried(found, "provider inbox") == (True, "inapp: needs no connection")
    assert not any(tried["name"].startswith("callbacks") for tried in found["checks"])
    assert found["warnings"] == []


WEBHOOK = '[providers.hooks]\nkind = "webhook"\nsecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"\n'


def test_where_each_message_names_a_host_nobody_is_connected_to(offline: list[tuple[str, int]]) -> None:
    found = _check(WEBHOOK)

    assert _tried(found, "provider hooks") == (True, "webhook: its host depends on the message; not tried")
    assert offline == []


def test_where_every_message_goes_to_the_base_url_that_is_tried(offline: list[tuple[str, int]]) -> None:
    assert _tried(_check(f'{WEBHOOK}base_url = "https://hooks.example.com"\n'), "provider hooks")[0]
    assert offline == [("hooks.example.com", 443)]


@pytest.mark.parametrize(
    ("url", "target"),
    [("http://127.0.0.1:8425", ("127.0.0.1", 8425)), ("https://sandbox.example", ("sandbox.example", 443))],
)
def test_the_host_is_that_of_the_first_request(url: str, target: tuple[str, int]) -> None:
    assert findings.target_of(registry.make("s", {"kind": "sandbox", "url": url})) == target


def test_the_host_of_a_mail_server_is_that_of_its_settings() -> None:
    raw = {"kind": "smtp", "host": "mail.example.com", "from": "shop@example.com"}
    assert findings.target_of(registry.make("post", raw)) == ("mail.example.com", 587)


# Warnings


def test_the_sandbox_in_use_is_a_warning() -> None:
    assert any("sandbox" in warning for warning in _check()["warnings"])


WHATSAPP = '[providers.wa-main]\nkind = "whatsapp_cloud"\naccess_token = "t-canary-0123"\nphone_number_id = "1055512345678"\n'
DAY_MS = 86_400_000


def _ending(found: dict[str, Any]) -> list[str]:
    return [warning for warning in found["warnings"] if "renew it" in warning]


def _named(days: float) -> str:
    end = datetime.fromtimestamp(time.time() + days * 86_400, UTC).isoformat(timespec="seconds")
    return WHATSAPP + f'access_token_expires = "{end}"\n'


def test_a_credential_that_ends_soon_by_its_setting_is_a_warning(offline: list[tuple[str, int]]) -> None:
    assert _ending(_check(_named(31.5))) == _ending(_check(WHATSAPP)) == []
    assert _ending(_check(_named(2.5))) == ["wa-main: its access_token ends in 3 days: renew it"]
    assert _ending(_check(_named(0.5))) == ["wa-main: its access_token ends in 1 day: renew it"]
    assert _ending(_check(_named(-1))) == ["wa-main: its access_token is over: renew it"]


def test_what_the_vendor_last_said_of_a_credential_is_known_from_the_store(folder: Path, offline: list[tuple[str, int]]) -> None:
    async def asked() -> None:
        async with open_sqlite(folder / "data" / "sendwright.db") as backend:
            await backend.credentials.put(Credential("wa-main", ends_at=int(time.time() * 1000) + 6 * DAY_MS))

    asyncio.run(asked())
    assert _ending(_check(WHATSAPP)) == ["wa-main: its access_token ends in 6 days: renew it"]
    assert _ending(_check(_named(60))) == [], "the setting counts"


@pytest.mark.usefixtures("held")
def test_what_the_vendor_last_said_of_a_credential_is_known_to_the_running_process(
    server: Server, offline: list[tuple[str, int]]
) -> None:
    server.answer("GET", "/readyz", Reply({"store": "sqlite", "bus": "sqlite", "ready": True}))
    end = datetime.fromtimestamp(time.time() + 6.5 * 86_400, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    standing = _standing(name="wa-main", credential={"expires_at": end, "days_left": 7})
    server.answer("GET", "/v1/providers", Reply({"data": [standing], "next_cursor": None}))

    assert _ending(_check(WHATSAPP, server=server)) == ["wa-main: its access_token ends in 7 days: renew it"]


def test_keys_that_others_can_read_are_a_warning(folder: Path) -> None:
    # Given
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / "admin_key").write_text("k" * 40)
    (folder / "data" / "admin_key").chmod(0o644)
    (folder / "data" / "secret_key").write_text("s" * 40)
    (folder / "data" / "secret_key").chmod(0o600)

    # When
    warnings = [warning for warning in _check()["warnings"] if "open to others" in warning]

    # Then
    assert warnings == ["data/admin_key is open to others: chmod 600 data/admin_key"]
