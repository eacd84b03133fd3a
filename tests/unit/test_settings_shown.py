"""What is shown of the settings, and what never is: no secret, in no repr, no fault, no list."""

from __future__ import annotations

from pathlib import Path

import pytest

from sendwright.errors import SettingsError
from sendwright.providers.contract import Secret
from sendwright.settings import SETTINGS, describe
from tests.unit.settings_of import loaded


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


CANARY = "canary-0123456789-0123456789-0123"
SECRETS = f"""
    [api]
    admin_key = "{CANARY}-a"
    metrics_key = "{CANARY}-m"
    [secrets]
    key = "{CANARY}-k"
    previous = ["{CANARY}-p"]
    [providers.p]
    kind = "plugin"
    auth_token = "{CANARY}-t"
    any_other_name = "{CANARY}-o"
    nested = {{ deep = "{CANARY}-d" }}
    base_url = "http://127.0.0.1:9000"
    [routes.sms]
    providers = ["p"]
"""


def test_no_secret_shows_in_a_repr_or_in_what_check_prints() -> None:
    it = loaded(SECRETS)

    shown = [repr(it), repr(it.settings), str(it.settings), repr(it.settings.providers), repr(describe(it))]

    assert not any("canary" in text for text in shown)
    assert it.settings.providers["p"]["auth_token"] == f"{CANARY}-t"
    assert isinstance(it.settings.secrets.previous[0], Secret)


@pytest.mark.parametrize("value", ["canary", "${CANARY}", "amqp://canary:canary@canary", "https://canary@x", "canary canary"])
@pytest.mark.parametrize("name", [row.key for row in SETTINGS])
def test_no_fault_repeats_the_value_that_it_is_about(name: str, value: str) -> None:
    """Also where the setting is no secret: somebody's secret may have landed in it."""
    # Given a value in that place, and another fault so that there is one in any case
    section, _, key = name.partition(".")
    env = {"CANARY": "canary", "SENDWRIGHT_API__NOT_A_SETTING": "canary"}

    # When
    with pytest.raises(SettingsError) as refused:
        loaded(f'[{section}]\n{key} = "{value}"', env)

    # Then
    assert "canary" not in str(refused.value)
    assert "canary" not in repr(refused.value)


def test_a_file_that_is_not_toml_is_refused_without_its_text() -> None:
    with pytest.raises(SettingsError) as refused:
        loaded('[api]\nadmin_key = "canary\n')

    assert "line 2" in str(refused.value)
    assert "canary" not in str(refused.value)


def test_check_prints_every_setting_with_its_value_and_its_origin() -> None:
    rows = {
        row.name: row
        for row in describe(loaded(SECRETS, {"SENDWRIGHT_RETRY__TTL__HIGH": "90s", "SENDWRIGHT_WORKER__DRAIN_S": "2.5"}))
    }

    assert {row.key for row in SETTINGS} | {"data"} <= rows.keys()
    assert (rows["api.admin_key"].value, rows["api.admin_key"].source) == ("***", "given.toml")
    assert rows["secrets.previous"].value == "[***]"
    assert (rows["api.listen"].value, rows["api.listen"].source) == ('"127.0.0.1:8420"', "default")
    assert (rows["retry.ttl.high"].value, rows["retry.ttl.high"].source) == ('"90s"', "environment SENDWRIGHT_RETRY__TTL__HIGH")
    assert (rows["retry.ttl.bulk"].value, rows["api.public_url"].value) == ("", "")
    assert (rows["worker.drain_s"].value, rows["worker.drain_s"].unit) == ("2.5", "s")
    assert rows["retention.content"].value == '"30d"'
    assert (rows["providers.p.kind"].value, rows["providers.p.kind"].source) == ('"plugin"', "given.toml")
    assert (rows["providers.p.nested"].value, rows["providers.p.nested"].source) == ("***", "given.toml")
    assert rows["providers.p.base_url"].value == '"http://127.0.0.1:9000"'
    assert rows["routes.sms.providers"].value == '["p"]'
    assert rows["routes.sms.policy"].source == "default"
    assert rows["data"].value == '"data"'


def test_a_secret_that_is_not_set_is_not_shown_as_if_it_were() -> None:
    rows = {row.name: row.value for row in describe(loaded())}

    assert rows["api.admin_key"] == rows["secrets.key"] == rows["secrets.previous"] == ""
