"""Finding kinds, and making accounts from settings."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sendwright.errors import SettingsError
from sendwright.providers import registry
from sendwright.providers.console import Console, ConsoleSettings
from sendwright.providers.contract import Secret
from sendwright.providers.registry import GROUP, ROOM, SHARED, built_in, examine, find, kinds, make, survey

TWILIO = {"kind": "twilio", "account_sid": "AC1", "auth_token": "canarytoken", "from": "+15005550006"}


class Pager(Console):
    kind = "pager"


class Nameless(Console):
    kind = "somebody_else"


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> str:
    module = ModuleType("sendwright_pager")
    vars(module).update(Pager=Pager, Nameless=Nameless, NotOne=ConsoleSettings)
    monkeypatch.setitem(sys.modules, "sendwright_pager", module)
    return "sendwright_pager"


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def faults(name: str, raw: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SettingsError) as refusal:
        make(name, raw)
    return dict(refusal.value.faults)


def test_the_built_in_kinds_are_found_without_any_metadata() -> None:
    found = examine([])
    assert list(found.kinds) == sorted(built_in())
    assert set(found.kinds) >= {"console", "sandbox", "twilio"}
    assert found.broken == {}


def test_every_file_of_the_room_is_a_kind_or_known_to_be_none() -> None:
    files = {path.stem for path in Path(registry.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(built_in()) | SHARED


def test_an_account_loads_no_other_kind() -> None:
    said = "import sys; from sendwright.providers import registry as r; r.make('c', {'kind': 'console'}); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True).stdout.split()
    assert f"{ROOM}.console" in loaded
    assert not {f"{ROOM}.{name}" for name in built_in() if name != "console"} & set(loaded)


def test_what_is_no_kind_is_not_found() -> None:
    assert find("answers") is None
    assert find("nobody") is None


def test_a_plugin_is_found_beside_them(plugin: str) -> None:
    found = examine([point("pager", f"{plugin}:Pager")])
    assert found.kinds["pager"] is Pager
    assert "twilio" in found.kinds


def test_a_plugin_that_cannot_be_imported_is_named_and_hides_nobody(plugin: str) -> None:
    found = examine(
        [
            point("absent", "sendwright_no_such_module:X"),
            point("empty", f"{plugin}:Missing"),
            point("wrong", f"{plugin}:NotOne"),
            point("pager", f"{plugin}:Pager"),
            point("other", f"{plugin}:Nameless"),
        ]
    )
    assert set(found.broken) == {"absent", "empty", "wrong", "other"}
    assert "sendwright_no_such_module" in found.broken["absent"]
    assert set(found.kinds) == {*built_in(), "pager"}


def test_a_plugin_does_not_take_a_built_in_name(plugin: str) -> None:
    found = examine([point("twilio", f"{plugin}:Pager")])
    assert found.kinds["twilio"].__module__ == "sendwright.providers.twilio"
    assert found.broken == {f"twilio ({plugin}:Pager)": "another one has this name already"}


def test_the_same_entry_point_twice_is_one(plugin: str) -> None:
    found = examine([*[point("pager", f"{plugin}:Pager")] * 2, point("twilio", f"{ROOM}.twilio:Twilio")])
    assert found.broken == {}


def test_an_account_is_made_of_its_settings() -> None:
    account = make(
        "twilio-main", TWILIO | {"concurrency": "50", "timeout_s": "2.5", "rate": "100/s", "cost": {"default": "0.0079"}}
    )
    assert account.name == "twilio-main"
    assert account.settings.concurrency == 50
    assert account.settings.timeout_s == 2.5
    assert account.settings.sender == "+15005550006"
    assert isinstance(account.settings.auth_token, Secret)
    assert account.settings.auth_token.reveal() == "canarytoken"
    assert "canarytoken" not in repr(account.settings)


def test_every_fault_is_told_at_once_and_no_value_with_it() -> None:
    raw = {
        "kind": "twilio",
        "auth_tokem": "canarytoken",
        "api_key_sid": 5,
        "from": ["canaryfrom"],
        "messaging_service_sid": "MG1",
        "concurrency": 0,
        "timeout_s": "canaryfast",
        "rate": "canaryrate",
        "base_url": "canaryurl",
        "nonsense": 1,
    }
    told = faults("Twilio_Main", raw)
    assert set(told) == {
        "providers.Twilio_Main",
        *(
            f"providers.Twilio_Main.{key}"
            for key in (
                "auth_tokem",
                "account_sid",
                "api_key_sid",
                "from",
                "concurrency",
                "timeout_s",
                "rate",
                "base_url",
                "nonsense",
            )
        ),
    }
    assert told["providers.Twilio_Main.auth_tokem"] == "is not a setting; did you mean `auth_token`?"
    assert told["providers.Twilio_Main.account_sid"] == "is missing"
    assert told["providers.Twilio_Main.nonsense"] == "is not a setting"
    assert "canary" not in str(told)


@pytest.mark.parametrize(
    "secret",
    [5, True, None, ["canary"], {"canary": 1}],
)
def test_a_secret_of_the_wrong_type_is_a_fault_unless_it_may_be_absent(secret: object) -> None:
    raw = {"kind": "sandbox", "url": "http://x", "token": secret}
    assert faults("s", raw)["providers.s.token"].startswith("expected `str`")


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:9000", "https://proxy.example/twilio", "http://[::1]:80/"])
def test_a_base_url_may_be_any_address(base_url: str) -> None:
    assert make("t", TWILIO | {"base_url": base_url}).settings.base_url == base_url


@pytest.mark.parametrize(
    "base_url", ["", "127.0.0.1", "ftp://x", "http://", "http://x/?a", "http://x/#a", "http://x/\r\n", "http://x y", "http://u:p@x"]
)
def test_a_base_url_that_is_no_address_is_a_fault(base_url: str) -> None:
    assert "providers.t.base_url" in faults("t", TWILIO | {"base_url": base_url})


@pytest.mark.parametrize("rate", ["", "0/s", "-1/s", "1/", "100", "100/fortnight", "1.5/s"])
def test_a_rate_that_is_none_is_a_fault(rate: str) -> None:
    assert "providers.t.rate" in faults("t", TWILIO | {"rate": rate})


@pytest.mark.parametrize("name", ["", "-a", "1a", "A", "a_b", "a" * 64, "a\n"])
def test_a_name_has_its_shape(name: str) -> None:
    assert f"providers.{name}" in faults(name, TWILIO)


def test_an_unknown_kind_is_answered_with_those_that_exist() -> None:
    assert faults("x", {"kind": "twillio"}) == {"providers.x.kind": "no kind is called 'twillio'; there are " + ", ".join(kinds())}
    assert faults("x", {}) == {"providers.x.kind": "is missing"}
    assert faults("x", {"kind": 5})["providers.x.kind"].startswith("must be one of")


def test_a_kind_whose_plugin_is_broken_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    found = examine([point("absent", "sendwright_no_such_module:X")])
    monkeypatch.setattr(registry, "survey", lambda: found)
    assert "can't be loaded: ModuleNotFoundError" in faults("x", {"kind": "absent"})["providers.x.kind"]


def test_what_is_installed_is_looked_up_once() -> None:
    assert survey() is survey()
    kinds().clear()
    assert kinds()


# Who may know a kind. The names of kinds stand in no list: these go by the files.

ROOMS = Path(registry.__file__).parent.parent


def imported(path: Path) -> set[str]:
    """The modules that a file names in its imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("kind", sorted(built_in()))
def test_a_kind_leans_on_no_other(kind: str) -> None:
    others = {module for name, module in built_in().items() if name != kind}
    assert imported(ROOMS / "providers" / f"{kind}.py") & others == set()


def test_what_happens_is_told_without_any_kind() -> None:
    kinds_and_finder = {*built_in().values(), f"{ROOM}.registry"}
    files = [path for room in ("engine", "policy", "drivers", "model") for path in (ROOMS / room).rglob("*.py")]
    assert len(files) > 100
    assert {str(path): found for path in files if (found := imported(path) & kinds_and_finder)} == {}
