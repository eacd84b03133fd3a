"""`keys` on the command line: what it asks, what it prints where, and what it never passes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from sendwright.cli import words
from sendwright.model.api_key import written
from tests.unit.cli_server import AT, Reply, Server, problem, run, serving

KEY = written(bytes(range(25)))
ID = KEY[:12]
SHOWN = {
    "id": ID,
    "name": "orders\x1b[31m service",
    "tenant": "acme",
    "scopes": ["send", "read"],
    "rate": "100/s",
    "created_at": AT,
    "expires_at": None,
    "last_used_at": None,
}
MADE = Reply(SHOWN | {"key": KEY}, 201)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


def test_a_new_key_is_all_that_goes_to_stdout(server: Server) -> None:
    server.answer("POST", "/v1/keys", MADE)

    ended = run("keys", "create", "--name", "orders", "--scopes", "send, read", "--scopes", "send", server=server)

    assert (ended.exit_code, ended.stdout) == (0, KEY + "\n")
    assert f"{ID} is tenant acme's and may send, read" in ended.stderr
    assert server.bodies("POST", "/v1/keys") == [{"name": "orders", "scopes": ["send", "read"]}]


def test_everything_that_can_be_said_of_a_key_is_passed_on_and_json_is_the_answer(server: Server) -> None:
    server.answer("POST", "/v1/keys", MADE)
    args = ["--name", "x", "--scopes", "admin", "--tenant", "acme", "--rate", "5/min", "--expires-at", "2027-01-01T00:00:00Z"]

    ended = run("keys", "create", *args, "--json", server=server)

    assert json.loads(ended.stdout) == MADE.body
    asked = {"name": "x", "scopes": ["admin"], "tenant": "acme", "rate": "5/min", "expires_at": "2027-01-01T00:00:00Z"}
    assert server.bodies("POST", "/v1/keys") == [asked]


@pytest.mark.parametrize("line", ["keys", "keys list"])
def test_keys_are_listed_in_columns_that_steer_no_terminal(server: Server, line: str) -> None:
    server.answer("GET", "/v1/keys", Reply({"data": [SHOWN], "next_cursor": None}))

    ended = run(*line.split(), server=server)

    header, row = ended.stdout.splitlines()
    assert header.split() == ["KEY", "NAME", "TENANT", "SCOPES", "RATE", "CREATED", "EXPIRES", "LAST", "USED"]
    assert row.split() == [ID, "orders�[31m", "service", "acme", "send,read", "100/s", AT, "-", "-"]


def test_no_keys_are_no_output_and_json_is_the_whole_list(server: Server) -> None:
    server.answer("GET", "/v1/keys", Reply({"data": [], "next_cursor": None}))
    assert (run("keys", server=server).stdout, run("keys", server=server).stderr) == ("", "nothing\n")
    assert json.loads(run("keys", "--json", server=server).stdout) == {"data": [], "next_cursor": None}


@pytest.mark.parametrize("given", [ID, KEY])
def test_a_key_is_revoked_by_its_id_and_no_more_of_it_goes_into_an_address(server: Server, given: str) -> None:
    server.answer("DELETE", f"/v1/keys/{ID}", Reply(b"", 204))

    ended = run("keys", "revoke", given, server=server)

    assert (ended.exit_code, ended.stdout) == (0, f"{ID} is revoked\n")
    assert [asked.path for asked in server.asked] == [f"/v1/keys/{ID}"]
    assert json.loads(run("keys", "revoke", given, "--json", server=server).stdout) == {"id": ID, "revoked": True}


def test_several_are_revoked_in_turn_and_the_first_that_is_not_there_ends_it(server: Server) -> None:
    server.answer("DELETE", f"/v1/keys/{ID}", Reply(b"", 204))

    ended = run("keys", "revoke", ID, "swk_00000000", "swk_11111111", server=server)

    assert (ended.exit_code, ended.stdout) == (1, f"{ID} is revoked\n")
    assert len(server.asked) == 2


def test_a_refusal_is_exit_1_with_every_fault(server: Server) -> None:
    server.answer("POST", "/v1/keys", problem(403, "forbidden", ("#/tenant", "forbidden", "is not yours")))

    ended = run("keys", "create", "--name", "x", "--scopes", "read", server=server)

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "#/tenant: is not yours" in ended.stderr


@pytest.mark.parametrize(
    "line",
    [
        "create --name x",
        "create --scopes read",
        "create --name x --scopes write",
        "create --name x --scopes read,",
        "create --name x --scopes read --expires-at soon",
        "revoke",
        "rotate",
    ],
)
def test_wrong_usage_is_exit_2_and_asks_nothing(server: Server, line: str) -> None:
    assert run("keys", *line.split(), server=server).exit_code == 2
    assert server.asked == []


def test_how_long_a_key_lives_counts_from_now() -> None:
    read = datetime.fromisoformat(words.until("90d"))
    assert abs(read - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=1)
    assert words.until("2027-01-01T00:00:00+01:00") == "2027-01-01T00:00:00+01:00"


@pytest.mark.parametrize("text", ["", "90", "-1d", "2027-02-30T00:00:00Z", "999999999d"])
def test_what_is_no_time_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.BadParameter):
        words.until(text)


@pytest.mark.parametrize(("text", "read"), [("send", ["send"]), ("admin, send ,admin", ["admin", "send"])])
def test_scopes_are_words_with_commas_between(text: str, read: Any) -> None:
    assert words.scopes(text) == read
