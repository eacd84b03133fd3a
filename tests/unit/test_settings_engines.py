"""Addresses of engines: which is which, and that a password never shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from sendwright.settings import describe
from sendwright.settings.engines import POSTGRESQL, RABBITMQ, SQLITE, SQS, EngineUrl
from tests.unit.settings_of import loaded

KEY = '[secrets]\nkey = "0123456789abcdef0123456789abcdef"\n'
PASSWORDS = ["amqp://u:hunter2@h/v", "amqps://u:hun%40ter2@h:5671", "postgresql://u:hunter2@h:5432/d?sslmode=require"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("url", "engine"),
    [
        ("sqlite:///a.db", SQLITE),
        ("postgresql://h/d", POSTGRESQL),
        ("postgres://h/d", POSTGRESQL),
        ("amqp://h", RABBITMQ),
        ("AMQPS://h/v", RABBITMQ),
        ("sqs://?region=eu-central-1", SQS),
    ],
)
def test_a_scheme_names_an_engine(url: str, engine: str) -> None:
    assert EngineUrl(url).engine == engine


@pytest.mark.parametrize("url", PASSWORDS)
def test_a_password_is_neither_in_a_repr_nor_shown(url: str) -> None:
    shown = EngineUrl(url).shown
    assert "hun" not in shown + repr(EngineUrl(url))
    assert shown.replace(":***@", ":hunter2@").replace("hunter2", "") == url.replace("hunter2", "").replace("hun%40ter2", "")


def test_an_address_without_a_password_is_shown_as_it_is() -> None:
    assert EngineUrl("amqp://u@h/v?prefix=x.").shown == "amqp://u@h/v?prefix=x."
    assert repr(EngineUrl("sqlite:///a.db")) == "EngineUrl('sqlite:///a.db')"


def test_a_file_and_a_prefix_are_read_off_it() -> None:
    assert EngineUrl("sqlite:////srv/a.db").path == Path("/srv/a.db")
    assert EngineUrl("amqp://h/v?prefix=shop.").prefix == "shop."
    assert EngineUrl("amqp://h/v").prefix == ""


def test_settings_and_what_is_printed_of_them_hold_no_password() -> None:
    toml = f'{KEY}[bus]\nurl = "{PASSWORDS[0]}"\n[store]\nurl = "{PASSWORDS[2]}"'

    it = loaded(toml)

    assert not it.settings.embedded
    assert it.settings.store.url == PASSWORDS[2]
    assert "hunter2" not in repr(it)
    assert "hunter2" not in repr(describe(it))
    assert '"amqp://u:***@h/v"' in [row.value for row in describe(it)]
