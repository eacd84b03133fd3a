"""What `move` refuses before it connects to anything, and how it says so."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sendwright.app import moving
from sendwright.drivers.embedded import open_sqlite
from sendwright.drivers.move.source import open_source
from sendwright.model.ids import IdMint
from sendwright.settings import load
from sendwright.settings.keys import make_api_key
from tests.conformance.builders import offer
from tests.unit.cli_server import run

RIGHT, WRONG = "r" * 40, "w" * 40
AT = 1_790_000_000_000


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose file holds one accepted notification, with an id that `RIGHT` has signed."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data" / "sendwright.db"

    async def make() -> None:
        async with open_sqlite(path) as house:
            id_ = IdMint(RIGHT.encode()).notification("acme", AT, bytes(9))
            await house.desk.offer(offer(id=id_, tenant="acme", at=AT))

    asyncio.run(make())
    return path


def settings(key: str = RIGHT, admin: str | None = None) -> None:
    """Nobody listens on port 1."""
    api = f'[api]\nadmin_key = "{admin}"\n' if admin else ""
    Path("sendwright.toml").write_text(
        f'{api}[store]\nurl = "postgresql://u:secret-word@127.0.0.1:1/x"\n[bus]\nurl = "amqp://u:secret-word@127.0.0.1:1/"\n'
        f'[secrets]\nkey = "{key}"\n'
    )


def test_settings_that_name_no_other_engines_are_refused_with_the_two_that_are_to_be_set(file: Path) -> None:
    ended = run("move")

    assert ended.exit_code == 1
    assert "[store] url to postgresql://" in ended.stderr
    assert "[bus] url to amqp://" in ended.stderr


def test_ids_that_another_key_has_signed_are_refused_and_the_file_that_has_it_is_named(file: Path) -> None:
    settings(WRONG)
    (file.parent / "secret_key").write_text(RIGHT)

    ended = run("move")

    assert ended.exit_code == 1
    assert "signed with another key: set [secrets] key to the one in data/secret_key" in ended.stderr
    assert RIGHT not in ended.output
    assert WRONG not in ended.output


def test_without_such_a_file_the_key_is_asked_for(file: Path) -> None:
    settings(WRONG)

    assert "set [secrets] key to the [secrets] key that it ran with" in run("move").stderr


def test_a_file_that_a_process_holds_is_refused(file: Path) -> None:
    settings()

    with open_source(file):
        ended = run("move", "--dry-run")

    assert ended.exit_code == 1
    assert "is in use by another process" in ended.stderr
    assert "Stop it first" in ended.stderr


def test_an_engine_that_is_down_loses_nothing_and_shows_no_password(file: Path) -> None:
    settings()

    ended = run("move")

    assert ended.exit_code == 1
    assert "PostgreSQL can't be reached" in ended.stderr
    assert "start `move` again" in ended.stderr
    assert "secret-word" not in ended.output
    with open_source(file) as source:
        assert source.number is None, "the file may still be used: nothing has begun"


def test_a_move_that_has_begun_can_be_given_up_by_the_command(file: Path) -> None:
    with open_source(file) as source:
        source.begin()

    ended = run("move", "--abandon")

    assert ended.exit_code == 0
    assert "may be used again" in ended.stderr
    assert run("move", "--abandon").exit_code == 1


@pytest.mark.parametrize(("given", "kept"), [("g" * 40, None), ("g" * 40, "another"), (None, "another"), ("same", "same")])
def test_an_admin_key_that_stays_behind_is_mentioned(file: Path, given: str | None, kept: str | None) -> None:
    key = make_api_key()
    words = {"same": key, "another": make_api_key()}
    settings(admin=words.get(given, given) if given else None)
    if kept:
        (file.parent / "admin_key").write_text(words[kept] + "\n")

    notes = moving._notes(load(Path("sendwright.toml"), {}).settings, file.parent)

    assert bool(notes) == (given is None or (kept is not None and kept != given))
    assert all(word not in note for note in notes for word in words.values())
