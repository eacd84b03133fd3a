"""What the settings refuse: every fault at once, each with its place, none with a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sendwright.errors import SettingsError
from sendwright.settings import SETTINGS, describe, load, route_faults
from tests.unit.settings_of import KEY, faults, loaded

_KEYED = '[secrets]\nkey = "0123456789abcdef0123456789abcdef"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("toml", "where", "what"),
    [
        ("[api]\nlistn = 1", "api.listn", "did you mean listen?"),
        ("[api]\nzzz = 1", "api.zzz", "unknown key"),
        ("[apis]\nlisten = 1", "apis", "unknown section; did you mean api?"),
        ("concurrency = 1", "concurrency", "belongs to [worker]"),
        ("[api]\nconcurrency = 1", "api.concurrency", "belongs to [worker]"),
        ("api = 1", "api", "expected a table"),
        ("[api]\nlisten = { host = 1 }", "api.listen.host", "not a table"),
        ("[retry]\nttl = 1", "retry.ttl", "expected a table"),
        ('[retry]\nttl = { bulky = "1h" }', "retry.ttl.bulky", "did you mean ttl.bulk?"),
        ("providers = 1", "providers", "expected a table"),
        ("[providers]\np = 1", "providers.p", "expected a table"),
        ("[[providers.p]]\nkind = 1", "providers.p", "expected a table"),
        ("[routes]\nsms = 1", "routes.sms", "expected a table"),
        ("[api]\nlisten = 8420", "api.listen", "expected an address to listen on"),
        ('[api]\nlisten = ""', "api.listen", "expected an address to listen on"),
        ('[api]\nlisten = ":80"', "api.listen", "expected an address to listen on"),
        ('[api]\nlisten = "localhost"', "api.listen", "expected an address to listen on"),
        ('[api]\nlisten = "localhost:65536"', "api.listen", "expected an address to listen on"),
        ('[api]\nlisten = "localhost:٣"', "api.listen", "expected an address to listen on"),
        ('[api]\nlisten = "[::x]:80"', "api.listen", "expected an address to listen on"),
        ('[api]\nlisten = "::1:80"', "api.listen", "expected an address to listen on"),
        ('[api]\nadmin_key = "short"', "api.admin_key", "shorter than 32"),
        (f'[api]\nadmin_key = "{"a b" * 20}"', "api.admin_key", "no header can carry"),
        (f'[api]\nadmin_key = "{"ä" * 40}"', "api.admin_key", "no header can carry"),
        ('[api]\nmetrics_key = "a b"', "api.metrics_key", "no header can carry"),
        ('[api]\npublic_url = "notify.example.com"', "api.public_url", "expected an address such as"),
        ('[api]\npublic_url = "ftp://x"', "api.public_url", "expected an address such as"),
        ('[api]\npublic_url = "https://"', "api.public_url", "expected an address such as"),
        ('[api]\npublic_url = "https://x:99999"', "api.public_url", "expected an address such as"),
        ('[api]\npublic_url = "https://x/?q=1"', "api.public_url", "expected an address such as"),
        ('[api]\npublic_url = "https://user:pw@x"', "api.public_url", "without user or password"),
        ('[api]\nidempotency_keep = "7 days"', "api.idempotency_keep", "expected a duration"),
        ('[api]\nidempotency_keep = "0s"', "api.idempotency_keep", "above zero"),
        ('[api]\nidempotency_keep = "9999d"', "api.idempotency_keep", "ten years"),
        ("[api]\nidempotency_keep = 7", "api.idempotency_keep", "expected a duration"),
        ('[api]\nlink_schemes = "myapp"', "api.link_schemes", "expected a list"),
        ("[api]\nlink_schemes = [1]", "api.link_schemes", "expected a list"),
        ('[api]\nlink_schemes = ["my app"]', "api.link_schemes", "names of link schemes"),
        ('[api]\nlink_schemes = ["JavaScript"]', "api.link_schemes", "runs code"),
        ('[api]\ntrusted_proxies = ["10.0.0.1/8"]', "api.trusted_proxies", "expected a list of addresses"),
        ('[bus]\nurl = "amqp://u:pw@h/v"', "store.url", "the same SQLite file, or neither"),
        ('[bus]\nurl = "amqp://"', "bus.url", "names no host"),
        ('[bus]\nurl = "amqp://u:p/w@h/v"', "bus.url", "can't be read as an address"),
        ('[bus]\nurl = "amqp://h/a/b"', "bus.url", "written with %2F"),
        ('[bus]\nurl = "amqp://h/v?prefix=a b"', "bus.url", "can't be read as an address"),
        ('[bus]\nurl = "amqp://h/v?prefix=a,b"', "bus.url", "expected a prefix"),
        ('[bus]\nurl = "amqp://h/v?prefiks=a"', "bus.url", "takes these options"),
        ('[bus]\nurl = "sqs://eu-central-1"', "bus.url", "expected sqs://?region="),
        ('[bus]\nurl = "sqs://?region=x&prefix=a.b"', "bus.url", "prefix: letters"),
        ('[bus]\nurl = "sqs://?region=x&endpoint=ftp://h"', "bus.url", "endpoint: expected"),
        ('[bus]\nurl = "redis://h"', "bus.url", "expected an address that begins with sqlite://, amqp://, amqps://, sqs://"),
        (f'{_KEYED}[bus]\nurl = "amqp://h"', "store.url", "the same SQLite file, or neither"),
        (f'{_KEYED}[store]\nurl = "postgresql://h/d"', "store.url", "the same SQLite file, or neither"),
        ('[bus]\nurl = "amqp://h"\n[store]\nurl = "postgresql://h/d"', "secrets.key", "where processes share a store"),
        ('[store]\nurl = "postgresql://u:pw@h"', "store.url", "host:port/database"),
        ('[store]\nurl = "mysql://u:pw@h/d"', "store.url", "expected an address that begins with sqlite://, postgresql://"),
        ('[store]\nurl = "sqlite://x.db"', "store.url", "three slashes"),
        ('[store]\nurl = "sqlite:///"', "store.url", "path of a file"),
        ('[store]\nurl = "sqlite:///:memory:"', "store.url", "path of a file"),
        ('[store]\nurl = "sqlite:///x.db?mode=ro"', "store.url", "no options"),
        ('[bus]\ningress_tenant = "a b"', "bus.ingress_tenant", "without spaces"),
        ("[worker]\nconcurrency = 0", "worker.concurrency", "at least 1"),
        ("[worker]\nconcurrency = 1.5", "worker.concurrency", "expected a whole number"),
        ("[worker]\nconcurrency = true", "worker.concurrency", "expected a whole number"),
        ('[worker]\nconcurrency = "12"', "worker.concurrency", "expected a whole number"),
        ("[worker]\ndrain_s = nan", "worker.drain_s", "expected a number"),
        ("[worker]\ndrain_s = -1", "worker.drain_s", "at least 0"),
        ("[worker]\nreserve = { critical = 1 }", "worker.reserve.critical", "below 1"),
        ("[retry]\nattempts_max = 0", "retry.attempts_max", "at least 1"),
        ("[retry]\nbase_s = 0", "retry.base_s", "above 0"),
        ("[breaker]\nshare = 0", "breaker.share", "above 0"),
        ("[breaker]\nprobe_s = 31", "breaker.probe_s", "at most 30"),
        ('[secrets]\nkey = "short"', "secrets.key", "shorter than 32"),
        ('[secrets]\nprevious = ["short"]', "secrets.previous", "shorter than 32"),
        (f'[secrets]\nprevious = ["{KEY}", "{KEY}"]', "secrets.previous", "the same key twice"),
        ('[sandbox]\nchannels = ["smss"]', "sandbox.channels", "did you mean sms?"),
        ('[sandbox]\nchannels = ["sms", "sms"]', "sandbox.channels", "names sms twice"),
        ('[costs]\ncurrency = "USD"', "costs", "not supported yet by this version"),
        ('[providers.p]\nkind = "twilio"\ncost = { US = "1" }', "providers.p.cost", "not supported yet by this version"),
        ('[providers.P]\nkind = "twilio"', "providers.P", "a small letter"),
        (f'[providers.{"p" * 64}]\nkind = "twilio"', f"providers.{'p' * 64}", "63 in all"),
        ('[providers.p]\nrate = "100"', "providers.p.rate", "expected a rate such as"),
        ('[providers.p]\nrate = "0/s"', "providers.p.rate", "expected a rate such as"),
        ('[providers.p]\nbase_url = "x"', "providers.p.base_url", "expected an address such as"),
        ("[providers.p]\nconcurrency = 0", "providers.p.concurrency", "at least 1"),
        ("[providers.p]\ntimeout_s = 0", "providers.p.timeout_s", "above 0"),
        ('[routes.sms]\npolicy = "order"', "routes.sms", "names no providers"),
        ("[routes.sms]\nproviders = []", "routes.sms.providers", "names no provider;"),
        ('[routes.sms]\nproviders = ["a", "a"]\n[providers.a]', "routes.sms.providers", "names a twice"),
        ('[routes.sms]\nproviders = ["twilio-mian"]\n[providers.twilio-main]', "routes.sms.providers", "did you mean twilio-main?"),
        ('[routes.smss]\nproviders = ["a"]\n[providers.a]', "routes.smss", "did you mean sms?"),
        ('[routes.sms]\nproviders = ["a"]\npolicies = 1\n[providers.a]', "routes.sms.policies", "unknown key"),
        (
            '[routes.sms]\nproviders = ["a"]\npolicy = "fastest"\n[providers.a]',
            "routes.sms.policy",
            '"fastest" is not supported yet',
        ),
        ('[routes.sms]\nproviders = ["a"]\npolicy = "best"\n[providers.a]', "routes.sms.policy", 'expected "order"'),
        ('[replies.telegrm]\nhelp = "Hi"', "replies.telegrm", "did you mean telegram?"),
        ('[replies.telegram]\nhlep = "Hi"', "replies.telegram.hlep", "did you mean help?"),
        ("[replies.telegram]\nhelp = 5", "replies.telegram.help", "expected a text"),
        ('[replies]\nhelp = "Hi"', "replies.help", "such as [replies.telegram]"),
        (f'[replies.telegram]\nstart = "{"x" * 1001}"', "replies.telegram.start", "longer than 1000 characters"),
        ('[replies.telegram]\nstop = "Stop!"', "replies.telegram.stop", "is a keyword itself"),
    ],
)
def test_a_fault_says_where_and_what(toml: str, where: str, what: str) -> None:
    said = faults(toml)

    assert list(said) == [where]
    assert what in said[where]


@pytest.mark.parametrize(
    ("toml", "where", "what"),
    [
        ('[store]\nurl = "sqlite:///other.db"', "store.url", "another file than bus.url"),
        ("[worker]\nreserve = { critical = 0.5, high = 0.3, normal = 0.2 }", "worker.reserve", "add up to 1"),
        ("[retry]\nbase_s = 10\ncap_s = 5", "retry.cap_s", "below retry.base_s"),
        ('[retention]\ncontent = "91d"', "retention.content", "longer than retention.events"),
        ('[retention]\nevents = "6d"\ncontent = "1d"', "api.idempotency_keep", "longer than retention.events"),
        (f'[secrets]\nkey = "{KEY}"\nprevious = ["{KEY}"]', "secrets.previous", "names the current key"),
        (f'[api]\nadmin_key = "{KEY}"\nmetrics_key = "{KEY}"', "api.admin_key", "something else too"),
        (f'[api]\nadmin_key = "{KEY}"\n[secrets]\nkey = "{KEY}"', "api.admin_key", "something else too"),
        ('[sandbox]\nlisten = "127.0.0.1:8420"', "sandbox.listen", "same address as api.listen"),
        ('[sandbox]\nsmtp_listen = "127.0.0.1:8421"', "sandbox.smtp_listen", "same address as api.listen or sandbox.listen"),
    ],
)
def test_values_that_contradict_are_a_fault(toml: str, where: str, what: str) -> None:
    said = faults(toml)

    assert list(said) == [where]
    assert what in said[where]


def test_one_file_by_two_names_is_one_file(folder: Path) -> None:
    toml = f'[bus]\nurl = "sqlite:///x/../a.db"\n[store]\nurl = "sqlite:///{folder}/a.db"'

    assert loaded(toml).settings.bus.url.path == Path("x/../a.db")


def test_any_free_port_twice_is_no_contradiction() -> None:
    assert loaded('[api]\nlisten = "127.0.0.1:0"\n[sandbox]\nlisten = "127.0.0.1:0"').settings.sandbox.listen == "127.0.0.1:0"


def test_every_fault_is_listed_at_once_and_none_twice() -> None:
    toml = """
        [api]
        listen = "nowhere"
        admin_key = "short"
        [costs]
        currency = "USD"
        more = 1
        [retry]
        base_s = 10
        cap_s = 1
        [providers.p]
        kind = "twilio"
        auth_token = "${NOWHERE}"
        [routes.sms]
        providers = ["q"]
    """
    env = {"SENDWRIGHT_WORKER__CONCURRENCY": "many", "SENDWRIGHT_API__LISTN": "x", "SENDWRIGHT_RETRY__TTL": "soon"}

    with pytest.raises(SettingsError) as refused:
        loaded(toml, env)

    assert sorted(where for where, _ in refused.value.faults) == [
        "SENDWRIGHT_API__LISTN",
        "SENDWRIGHT_RETRY__TTL",
        "SENDWRIGHT_WORKER__CONCURRENCY",
        "api.admin_key",
        "api.listen",
        "costs",
        "providers.p.auth_token",
        "retry.cap_s",
        "routes.sms.providers",
    ]


def test_a_fault_of_the_command_line_names_the_option() -> None:
    assert faults(listen="nowhere").keys() == {"--listen"}


def test_what_could_not_be_read_contradicts_nothing() -> None:
    toml = '[bus]\nurl = "amqp://"\n[store]\nurl = "postgresql://h"\n[retry]\nbase_s = -1\ncap_s = 0.5'

    assert faults(toml).keys() == {"bus.url", "store.url", "retry.base_s"}


def test_a_channel_of_a_plugin_may_have_a_route_and_a_sandbox() -> None:
    toml = '[sandbox]\nchannels = ["pager"]\n[providers.p]\n[routes.pager]\nproviders = ["p"]'

    assert loaded(toml, channels=("sms", "pager")).settings.sandbox_channels() == ("pager",)


# Providers, as their adapters judge them


def test_an_adapter_gets_the_table_and_its_faults_join_the_others() -> None:
    seen: dict[str, dict[str, Any]] = {}

    def check(name: str, table: dict[str, Any]) -> list[tuple[str, str]]:
        seen[name] = table
        return [("auth_token", "is missing"), (f"providers.{name}.from", "is no number"), ("", "is not complete")]

    said = faults('[api]\nlisten = ""\n[providers.p]\nkind = "twilio"\nrate = "5/min"', check_provider=check)

    assert seen == {"p": {"kind": "twilio", "rate": "5/min"}}
    assert said.keys() == {"api.listen", "providers.p.auth_token", "providers.p.from", "providers.p"}


def test_an_adapter_does_not_call_missing_what_could_not_be_read() -> None:
    def check(name: str, table: dict[str, Any]) -> list[tuple[str, str]]:
        wanted = [(key, "is missing") for key in ("auth_token", "from") if key not in table]
        return [*wanted, ("auth_token", "is no token"), ("rate", "is odd")]

    toml = '[providers.p]\nkind = "twilio"\nauth_token = "${NOWHERE}"\nrate = "x"\ncost = 1'

    said = faults(toml, check_provider=check)

    assert said.keys() == {"providers.p.auth_token", "providers.p.rate", "providers.p.cost", "providers.p.from"}
    assert "NOWHERE" in said["providers.p.auth_token"]
    assert "expected a rate" in said["providers.p.rate"]


def test_a_route_may_not_name_a_provider_that_does_not_serve_its_channel() -> None:
    settings = loaded('[providers.a]\n[providers.b]\n[routes.sms]\nproviders = ["a", "b"]').settings

    assert route_faults(settings, {"a": ("sms",), "b": ("email",)}.__getitem__) == [
        ("routes.sms.providers", "b does not serve sms")
    ]


VARIABLES = [f"SENDWRIGHT_{row.section}__{row.name.replace('.', '__')}".upper() for row in SETTINGS]
VARIABLES += ["SENDWRIGHT_API__", "SENDWRIGHT____", "SENDWRIGHT_RETRY__TTL", "SENDWRIGHT_PROVIDERS____X", "SENDWRIGHT_PROVIDERS__P"]
VARIABLES += ["SENDWRIGHT_ROUTES__SMS", "SENDWRIGHT_ROUTES__SMS__PROVIDERS"]
ODD = [
    "${",
    "${X}",
    "${file:\0}",
    "{a=1}",
    "{}",
    "[]",
    '{"":1}',
    "[1,[2]]",
    "nan",
    "1e999",
    "sqlite:///\0",
    "https://[",
    "1d",
    "0.5",
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(env=st.dictionaries(st.sampled_from(VARIABLES), st.text(max_size=12) | st.sampled_from(ODD), max_size=4))
def test_whatever_stands_in_the_environment_is_loaded_or_refused_and_nothing_else_is_raised(env: dict[str, str]) -> None:
    try:
        it = load(None, env)
    except SettingsError as refused:
        listed = refused.faults
    else:
        listed = tuple((row.name, row.value) for row in describe(it))

    assert listed
