"""Loading the settings: where they are found, what wins, what references bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sendwright.errors import SettingsError
from sendwright.policy.replying import Texts
from sendwright.providers.contract import EVERY_CHANNEL
from sendwright.settings import describe, duration_s, load, per_second
from sendwright.settings.kinds import Bad
from tests.unit.settings_of import KEY, faults, loaded


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Defaults and where files are found


def test_without_a_file_and_an_environment_everything_has_its_default() -> None:
    # When
    it = load(None, {})

    # Then
    settings = it.settings
    assert settings.api.listen == "127.0.0.1:8420"
    assert settings.listens_on() == ("127.0.0.1", 8420)
    assert settings.api.admin_key is None
    assert settings.api.idempotency_keep_s == 7 * 86_400
    assert settings.api.link_schemes == settings.api.trusted_proxies == settings.secrets.previous == ()
    assert settings.bus.url == settings.store.url == "sqlite:///data/sendwright.db"
    assert (settings.worker.concurrency, settings.worker.drain_s) == (1000, 25)
    assert settings.worker.reserve == {"critical": 0.2, "high": 0.1, "normal": 0}
    assert settings.worker.listen is settings.scheduler.listen is None
    assert (settings.retry.attempts_max, settings.retry.base_s, settings.retry.cap_s) == (8, 1, 3600)
    assert settings.retry.ttl_s == {"default": 72 * 3600, "critical": 600}
    assert (settings.breaker.failures, settings.breaker.share) == (5, 0.5)
    assert (settings.breaker.window_s, settings.breaker.probe_s) == (10, 1)
    assert (settings.retention.content_s, settings.retention.events_s) == (30 * 86_400, 90 * 86_400)
    assert it.file is None
    assert set(it.sources.values()) == {"default"}


def test_a_priority_without_a_time_to_live_of_its_own_has_the_default_one() -> None:
    retry = loaded('[retry]\nttl = { default = "2d", high = "1h" }').settings.retry

    assert [retry.ttl_for(priority) for priority in ("critical", "high", "normal", "bulk")] == [600, 3600, 172_800, 172_800]


def test_sendwright_toml_in_the_working_directory_holds_when_no_file_is_named() -> None:
    Path("sendwright.toml").write_text('[api]\nlisten = "127.0.0.1:1"')

    it = load(None, {})

    assert it.settings.api.listen == "127.0.0.1:1"
    assert it.sources["api.listen"] == "sendwright.toml"


def test_a_named_file_holds_instead_of_the_one_in_the_working_directory() -> None:
    Path("sendwright.toml").write_text('[api]\nlisten = "127.0.0.1:1"')

    assert loaded('[api]\nlisten = "127.0.0.1:2"').settings.api.listen == "127.0.0.1:2"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "no such file"),
        (b"[api", "is not TOML"),
        (b"[worker]\nconcurrency = " + b"9" * 5000, "can be read"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_a_file_that_can_not_be_read_is_a_fault_with_its_name(content: bytes | None, what: str) -> None:
    if content is not None:
        Path("my.toml").write_bytes(content)

    with pytest.raises(SettingsError) as refused:
        load(Path("my.toml"), {})

    [(where, said)] = refused.value.faults
    assert where == "my.toml"
    assert what in said


def test_a_directory_in_place_of_the_file_is_a_fault(folder: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read"):
        load(folder, {})


# Who wins


def test_the_environment_wins_over_the_file_and_the_command_line_over_both() -> None:
    toml = '[api]\nlisten = "127.0.0.1:1"'
    env = {"SENDWRIGHT_API__LISTEN": "127.0.0.1:2"}

    assert loaded(toml).settings.api.listen == "127.0.0.1:1"
    by_env = loaded(toml, env)
    assert (by_env.settings.api.listen, by_env.sources["api.listen"]) == ("127.0.0.1:2", "environment SENDWRIGHT_API__LISTEN")
    by_option = loaded(toml, env, listen="127.0.0.1:3")
    assert (by_option.settings.api.listen, by_option.sources["api.listen"]) == ("127.0.0.1:3", "command line --listen")


def test_a_value_that_is_overridden_on_the_command_line_need_not_resolve() -> None:
    assert loaded('[api]\nlisten = "${NOWHERE}"', listen="127.0.0.1:3").settings.api.listen == "127.0.0.1:3"


@pytest.mark.parametrize(
    ("data", "url"),
    [
        ("there", "sqlite:///there/sendwright.db"),
        ("./there", "sqlite:///there/sendwright.db"),
        ("/var/x", "sqlite:////var/x/sendwright.db"),
    ],
)
def test_addresses_that_are_not_set_lie_in_the_data_folder(data: str, url: str) -> None:
    it = loaded(data=Path(data))

    assert it.settings.bus.url == it.settings.store.url == url
    assert it.settings.bus.url.path == it.settings.store.url.path == Path(data) / "sendwright.db"
    assert it.sources["data"] == "command line --data"


def test_three_slashes_are_relative_and_four_are_absolute(folder: Path) -> None:
    both = '[bus]\nurl = "sqlite:///{0}/a.db"\n[store]\nurl = "sqlite:///{0}/a.db"'

    assert loaded(both.format("x")).settings.bus.url.path == Path("x/a.db")
    assert loaded(both.format("/x")).settings.bus.url.path == Path("/x/a.db")


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("SENDWRIGHT_WORKER__CONCURRENCY", "7", lambda s: s.worker.concurrency == 7),
        ("SENDWRIGHT_WORKER__DRAIN_S", "1.5", lambda s: s.worker.drain_s == 1.5),
        ("SENDWRIGHT_RETRY__TTL__CRITICAL", "5m", lambda s: s.retry.ttl_s == {"default": 259_200, "critical": 300}),
        (
            "SENDWRIGHT_RETRY__TTL",
            '{ bulk = "5d" }',
            lambda s: s.retry.ttl_s == {"default": 259_200, "critical": 600, "bulk": 432_000},
        ),
        ("SENDWRIGHT_WORKER__RESERVE", '{"high": 0.3}', lambda s: s.worker.reserve["high"] == 0.3),
        ("SENDWRIGHT_API__LINK_SCHEMES", "myapp, other", lambda s: s.api.link_schemes == ("myapp", "other")),
        ("SENDWRIGHT_API__LINK_SCHEMES", '["myapp"]', lambda s: s.api.link_schemes == ("myapp",)),
        ("SENDWRIGHT_API__LINK_SCHEMES", "['myapp']", lambda s: s.api.link_schemes == ("myapp",)),
        ("SENDWRIGHT_API__LINK_SCHEMES", "", lambda s: s.api.link_schemes == ()),
        ("SENDWRIGHT_API__TRUSTED_PROXIES", "10.0.0.0/8,::1", lambda s: s.api.trusted_proxies == ("10.0.0.0/8", "::1/128")),
        ("SENDWRIGHT_API__ADMIN_KEY", "1" * 40, lambda s: s.api.admin_key.reveal() == "1" * 40),
        ("SENDWRIGHT_API__ADMIN_KEY", "", lambda s: s.api.admin_key is None),
        ("SENDWRIGHT_API__PUBLIC_URL", "https://n.example/base/", lambda s: s.api.public_url == "https://n.example/base"),
        ("SENDWRIGHT_SANDBOX__CHANNELS", "sms", lambda s: s.sandbox.channels == ("sms",)),
    ],
)
def test_a_variable_is_read_as_what_its_setting_is(name: str, text: str, read: Any) -> None:
    assert read(loaded(env={name: text}).settings)


def test_names_without_two_underscores_are_left_alone() -> None:
    env = {"SENDWRIGHT_KEY": "x", "SENDWRIGHT_URL": "x", "SENDWRIGHT_API_LISTEN": "x", "OTHER__THING": "x"}

    assert set(loaded(env=env).sources.values()) == {"default"}


def test_providers_and_routes_keep_the_order_of_the_file_and_those_of_the_environment_follow() -> None:
    toml = '[providers.z]\nkind = "console"\n[providers.b]\nkind = "console"\n[routes.sms]\nproviders = ["b", "z"]'

    settings = loaded(toml, {"SENDWRIGHT_PROVIDERS__A__KIND": "console"}).settings

    assert list(settings.providers) == ["z", "b", "a"]
    assert settings.routes["sms"].providers == ("b", "z")
    assert settings.routes["sms"].policy == "order"


def test_answers_go_by_a_providers_name_or_a_channels() -> None:
    toml = '[providers.bot-main]\nkind = "telegram"\n[replies.telegram]\nhelp = "Write to us."\n[replies.bot-main]\nstop = "Done."'

    it = loaded(toml, {"SENDWRIGHT_REPLIES__BOT_MAIN__START": "Hello again."})

    assert it.settings.replies == {"telegram": Texts(help="Write to us."), "bot-main": Texts(stop="Done.", start="Hello again.")}
    shown = {row.name: row.value for row in describe(it) if row.name.startswith("replies.")}
    assert shown == {
        "replies.telegram.help": '"Write to us."',
        "replies.bot-main.stop": '"Done."',
        "replies.bot-main.start": '"Hello again."',
    }
    assert it.sources["replies.bot-main.start"] == "environment SENDWRIGHT_REPLIES__BOT_MAIN__START"
    assert loaded().settings.replies == {}


@pytest.mark.parametrize("name", ["twilio-main", "twilio--main", "t-", "t"])
def test_a_variable_finds_the_provider_of_the_file_whose_dashes_it_writes_as_underscores(name: str) -> None:
    variable = f"SENDWRIGHT_PROVIDERS__{name.replace('-', '_').upper()}__AUTH_TOKEN"

    settings = loaded(f'[providers.{name}]\nkind = "twilio"\nauth_token = "of the file"', {variable: "of the environment"}).settings

    assert settings.providers == {name: {"kind": "twilio", "auth_token": "of the environment"}}


def test_a_provider_can_be_made_of_variables_alone() -> None:
    env = {
        "SENDWRIGHT_PROVIDERS__TWILIO_MAIN__KIND": "twilio",
        "SENDWRIGHT_PROVIDERS__TWILIO_MAIN__FROM": "+15005550006",
        "SENDWRIGHT_PROVIDERS__TWILIO_MAIN__ACCOUNT_SID": "123456",
        "SENDWRIGHT_PROVIDERS__TWILIO_MAIN__CONCURRENCY": "5",
        "SENDWRIGHT_PROVIDERS__TWILIO_MAIN__TIMEOUT_S": "2.5",
        "SENDWRIGHT_PROVIDERS__TWILIO_MAIN__CHANNELS": "sms,email",
        "SENDWRIGHT_PROVIDERS__MAIL": '{ kind = "smtp", port = 25 }',
    }

    assert loaded(env=env).settings.providers == {
        "mail": {"kind": "smtp", "port": 25},
        "twilio-main": {
            "account_sid": "123456",
            "channels": ["sms", "email"],
            "concurrency": 5,
            "from": "+15005550006",
            "kind": "twilio",
            "timeout_s": 2.5,
        },
    }


# References


def test_references_take_variables_and_files(folder: Path) -> None:
    (folder / "key").write_text(KEY + "\n")
    toml = f"""
        [api]
        admin_key = "${{file:{folder}/key}}"
        link_schemes = ["${{SCHEME}}"]
        [worker]
        concurrency = "${{MANY}}"
        [providers.p]
        kind = "twilio"
        auth_token = "a-${{TOKEN}}-$${{TOKEN}}"
        concurrency = "${{MANY}}"
        nested = {{ list = ["${{TOKEN}}"] }}
    """

    settings = loaded(toml, {"SCHEME": "myapp", "MANY": "12", "TOKEN": "${MANY}"}).settings

    assert settings.api.admin_key is not None
    assert settings.api.admin_key.reveal() == KEY
    assert settings.api.link_schemes == ("myapp",)
    assert settings.worker.concurrency == 12
    assert settings.providers["p"] == {
        "kind": "twilio",
        "auth_token": "a-${MANY}-${TOKEN}",
        "concurrency": 12,
        "nested": {"list": ["${MANY}"]},
    }


def test_a_variable_may_refer_to_a_file(folder: Path) -> None:
    (folder / "key").write_text(KEY + "\r\n")

    settings = loaded(env={"SENDWRIGHT_SECRETS__KEY": f"${{file:{folder}/key}}"}).settings

    assert settings.secrets.key is not None
    assert settings.secrets.key.reveal() == KEY


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        ("${NOWHERE}", "NOWHERE is not set"),
        ("${file:/no/such/file}", "/no/such/file can't be read"),
        ("${file:given.toml/x}", "can't be read"),
        ("${}", "neither"),
        ("${two words}", "neither"),
        ("${OPEN", "neither"),
    ],
)
def test_a_reference_that_leads_nowhere_is_a_fault(reference: str, what: str) -> None:
    said = faults(f'[api]\nadmin_key = "{reference}"\n[providers.p]\nkind = "twilio"\nauth_token = "{reference}"')

    assert said.keys() == {"api.admin_key", "providers.p.auth_token"}
    assert all(what in text for text in said.values())


def test_a_file_of_bytes_that_are_no_text_is_a_fault(folder: Path) -> None:
    (folder / "key").write_bytes(b"\xff")

    assert "UTF-8" in faults(f'[secrets]\nkey = "${{file:{folder}/key}}"')["secrets.key"]


@pytest.mark.parametrize(
    ("toml", "channels"),
    [
        ("", EVERY_CHANNEL),
        ('[sandbox]\nchannels = ["sms"]', ("sms",)),
        ("[providers.p]", ()),
        ('[providers.p]\n[sandbox]\nchannels = ["sms"]', ("sms",)),
    ],
)
def test_sandbox_providers_serve_what_is_named_or_all_when_there_is_no_other(toml: str, channels: tuple[str, ...]) -> None:
    assert loaded(toml).settings.sandbox_channels() == channels


# The units


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("36h", 129_600), ("7d", 604_800), ("0s", 0)])
def test_a_duration_is_a_whole_number_and_a_unit(text: str, seconds: int) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "1.5h", "-1s", "1w", "1 h", "1h30m", "1H", "٣s", "1s\n"])
def test_nothing_else_is_a_duration(text: str) -> None:
    with pytest.raises(Bad):
        duration_s(text)


@pytest.mark.parametrize(("text", "rate"), [("100/s", 100), ("30/min", 0.5), ("7200/h", 2), ("86400/day", 1)])
def test_a_rate_is_calls_per_time(text: str, rate: float) -> None:
    assert per_second(text) == rate


@pytest.mark.parametrize("text", ["", "100", "100/m", "1.5/s", "0/s", "-1/s", "1/s\n", "1 / s"])
def test_nothing_else_is_a_rate(text: str) -> None:
    with pytest.raises(Bad):
        per_second(text)
