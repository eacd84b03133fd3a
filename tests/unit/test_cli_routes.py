"""`route` on the command line: what it asks, and what it prints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli_server import Reply, Server, problem, run, serving

ROUTE = {
    "channel": "sms",
    "policy": "order",
    "providers": ["vonage-eu", "twilio-main"],
    "left_out": ["box"],
    "source": "run_time",
}
SHOWN = ["sms", "order", "vonage-eu,twilio-main", "box", "run", "time"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


def test_routes_are_shown_one_or_all(server: Server) -> None:
    server.answer("GET", "/v1/routes/sms", Reply(ROUTE))
    server.answer("GET", "/v1/routes", Reply({"data": [ROUTE | {"source": "settings", "left_out": []}], "next_cursor": None}))
    assert run("route", "sms", server=server).stdout.splitlines()[1].split() == SHOWN
    assert run("route", server=server).stdout.splitlines()[1].split() == [*SHOWN[:3], "-", "settings"]
    assert json.loads(run("route", "sms", "--json", server=server).stdout) == ROUTE
    server.answer("GET", "/v1/routes", Reply({"data": [], "next_cursor": None}))
    assert (run("route", server=server).stdout, run("route", server=server).stderr) == ("", "nothing\n")


def test_an_order_is_put_and_a_reset_deletes_it(server: Server) -> None:
    server.answer("PUT", "/v1/routes/sms", Reply(ROUTE))
    server.answer("DELETE", "/v1/routes/sms", Reply(b"", 204))
    server.answer("GET", "/v1/routes/sms", Reply(ROUTE))
    assert run("route", "sms", "--order", "vonage-eu, twilio-main", server=server).stdout.splitlines()[1].split() == SHOWN
    assert server.bodies("PUT", "/v1/routes/sms") == [{"providers": ["vonage-eu", "twilio-main"]}]
    assert run("route", "sms", "--reset", server=server).exit_code == 0
    assert [asked.method for asked in server.asked] == ["PUT", "DELETE", "GET"]


def test_what_is_refused_is_told_and_wrong_usage_asks_nobody(server: Server) -> None:
    server.answer(
        "PUT", "/v1/routes/sms", problem(422, "invalid_request", ("#/providers", "too_few", "must have at least 1 entries"))
    )
    ended = run("route", "sms", "--order", "", server=server)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "#/providers: must have at least 1 entries" in ended.stderr
    asked = len(server.asked)
    for line in (["sms", "--order", "a", "--reset"], ["--order", "a"], ["--reset"]):
        assert run("route", *line, server=server).exit_code == 2
    assert len(server.asked) == asked
