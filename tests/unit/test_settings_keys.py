"""The installation's keys: made once, whole, and for their owner's eyes only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sendwright.errors import OperatorError
from sendwright.settings import Settings, api_key_id, data_keys, kept_admin_key, load, make_api_key
from sendwright.settings import keys as keys_module


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return load(None, {}).settings


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_start_makes_both_keys_and_the_second_finds_them(data: Path, settings: Settings) -> None:
    # When
    first = data_keys(data, settings)
    second = data_keys(data, settings)

    # Then
    assert (first.created, second.created) == (True, False)
    assert first.admin_key == second.admin_key == (data / "admin_key").read_text().strip()
    assert first.secret_key == second.secret_key == (data / "secret_key").read_text().strip()
    assert first.admin_key != first.secret_key
    assert len(first.secret_key) >= 32
    assert first.notes == second.notes == ()


def test_made_keys_are_readable_by_their_owner_alone_whatever_the_umask(data: Path, settings: Settings) -> None:
    before = os.umask(0)
    try:
        data_keys(data, settings)
    finally:
        os.umask(before)

    assert (mode(data), mode(data / "admin_key"), mode(data / "secret_key")) == (0o700, 0o600, 0o600)
    assert sorted(path.name for path in data.iterdir()) == ["admin_key", "secret_key"]


def test_keys_of_the_settings_are_taken_as_they_are_and_no_file_is_made(data: Path, settings: Settings) -> None:
    env = {"SENDWRIGHT_API__ADMIN_KEY": "a" * 32, "SENDWRIGHT_SECRETS__KEY": "s" * 32}

    keys = data_keys(data, load(None, env).settings)

    assert (keys.admin_key.reveal(), keys.secret_key.reveal(), keys.created) == ("a" * 32, "s" * 32, False)
    assert list(data.iterdir()) == []


def test_a_given_admin_key_leaves_the_secret_key_to_be_made(data: Path, settings: Settings) -> None:
    keys = data_keys(data, load(None, {"SENDWRIGHT_API__ADMIN_KEY": "a" * 32}).settings)

    assert not keys.created
    assert [path.name for path in data.iterdir()] == ["secret_key"]


def test_no_key_shows_in_a_repr(data: Path, settings: Settings) -> None:
    keys = data_keys(data, settings)

    assert keys.admin_key.reveal() not in repr(keys)
    assert keys.secret_key.reveal() not in repr(keys)


@pytest.mark.parametrize(("name", "wide", "right"), [("admin_key", 0o640, "600"), ("secret_key", 0o604, "600"), ("", 0o755, "700")])
def test_what_is_open_to_others_is_noted_and_not_changed(data: Path, settings: Settings, name: str, wide: int, right: str) -> None:
    data_keys(data, settings)
    (data / name).chmod(wide)

    keys = data_keys(data, settings)

    assert keys.notes == (f"{data / name} is open to others: chmod {right} {data / name}",)
    assert mode(data / name) == wide


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 40, b"swk_" + b"0" * 48])
def test_a_file_that_holds_no_whole_key_stops_the_start_and_is_left_as_it_is(
    data: Path, settings: Settings, content: bytes
) -> None:
    data.mkdir()
    (data / "admin_key").write_bytes(content)

    with pytest.raises(OperatorError, match="holds no whole key"):
        data_keys(data, settings)

    assert (data / "admin_key").read_bytes() == content


def test_a_key_of_the_operators_own_making_may_lie_in_the_file(data: Path, settings: Settings) -> None:
    data.mkdir(mode=0o700)
    (data / "admin_key").write_text("own " * 8 + "own!\n")

    assert data_keys(data, settings).admin_key.reveal() == "own " * 8 + "own!"


def test_of_two_first_starts_at_the_same_time_both_hold_the_same_key(
    data: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a rival that puts its key there just before ours is placed
    def rival() -> str:
        (data / "admin_key").write_text("r" * 40)
        return make_api_key()

    monkeypatch.setattr(keys_module, "make_api_key", rival)

    # When
    keys = data_keys(data, settings)

    # Then
    assert (keys.admin_key.reveal(), keys.created) == ("r" * 40, False)
    assert (data / "admin_key").read_text() == "r" * 40


def test_a_file_system_without_hard_links_will_do(data: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)

    keys = data_keys(data, settings)

    assert keys.created
    assert (data / "admin_key").read_text().strip() == keys.admin_key
    assert sorted(path.name for path in data.iterdir()) == ["admin_key", "secret_key"]


def test_a_failed_write_leaves_nothing_behind(data: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OperatorError, match="No space left"):
        data_keys(data, settings)

    assert list(data.iterdir()) == []


def test_a_data_folder_that_is_a_file_is_the_operators_fault(data: Path, settings: Settings) -> None:
    data.write_text("")

    with pytest.raises(OperatorError, match="can't be used"):
        data_keys(data, settings)


def test_a_command_finds_the_admin_key_and_never_makes_one(data: Path, settings: Settings) -> None:
    assert kept_admin_key(data, settings) is None
    assert not data.exists()
    made = data_keys(data, settings)
    assert kept_admin_key(data, settings) == made.admin_key
    given = load(None, {"SENDWRIGHT_API__ADMIN_KEY": "a" * 32}).settings
    assert kept_admin_key(data, given) == "a" * 32


def test_an_admin_key_that_may_not_be_read_is_the_operators_fault(data: Path, settings: Settings) -> None:
    (data / "admin_key").mkdir(parents=True)

    with pytest.raises(OperatorError, match="can't be read"):
        kept_admin_key(data, settings)


def test_an_api_key_names_itself_and_shows_every_single_typing_error() -> None:
    key = make_api_key()

    assert key != make_api_key()
    assert len(key) == 52
    assert api_key_id(key) == key[:12]
    for place in range(4, len(key)):
        for other in "0z":
            mistyped = key[:place] + other + key[place + 1 :]
            assert (api_key_id(mistyped) is None) == (mistyped != key)
    assert api_key_id(key + "0") is api_key_id(key[:-1]) is api_key_id("x" + key[1:]) is api_key_id(key[:-1] + "ä") is None
