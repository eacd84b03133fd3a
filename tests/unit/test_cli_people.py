"""`recipients`, `suppressions` and `endpoints` on the command line: what they ask, what they print where, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli_server import AT, Reply, Server, problem, run, serving

GONE = Reply(b"", 204)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


def page(*rows: Any, cursor: str | None = None) -> Reply:
    return Reply({"data": list(rows), "next_cursor": cursor})


def columns(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()[1:]]


@pytest.mark.parametrize("name", ["recipients", "suppressions", "endpoints"])
def test_an_empty_list_is_no_output_alone_or_by_its_name(server: Server, name: str) -> None:
    server.answer("GET", f"/v1/{name}", page())
    for line in ([name], [name, "list"]):
        ended = run(*line, server=server)
        assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", "nothing\n")
    assert json.loads(run(name, "--json", server=server).stdout) == {"data": [], "next_cursor": None}


# recipients

ADA = {
    "id": "ada",
    "email": "a•••@example.org",
    "phone": None,
    "push": [{"token": "t•••", "kind": "fcm"}],
    "locale": "pt",
    "timezone": None,
    "created_at": AT,
    "updated_at": AT,
}


def test_recipients_are_listed_with_their_addresses_and_shown_by_members(server: Server) -> None:
    server.answer("GET", "/v1/recipients", page(ADA))
    server.answer("GET", "/v1/recipients/a%2Fb", Reply(ADA | {"email": "ada@example.org\x1b[2J"}))
    assert columns(run("recipients", server=server).stdout) == [["ada", "email:a•••@example.org", "push:1", "pt", "-", AT]]
    shown = run("recipients", "show", "a/b", server=server).stdout
    assert "email ada@example.org�[2J" in shown
    assert "phone" not in shown


def test_a_recipient_is_written_whole_or_merged_from_options_and_a_file(server: Server, folder: Path) -> None:
    server.answer("PUT", "/v1/recipients/ada", Reply(ADA))
    server.answer("PATCH", "/v1/recipients/ada", Reply(ADA))
    (folder / "ada.json").write_text('{"email": "old@example.org", "telegram": "42"}')
    assert run("recipients", "put", "ada", "--email", "ada@example.org", "--locale", "pt", server=server).exit_code == 0
    assert run("recipients", "put", "ada", "--file", "ada.json", "--email", "new@example.org", server=server).exit_code == 0
    assert run("recipients", "put", "ada", "--merge", "--file", "-", server=server, stdin='{"phone": null}').exit_code == 0
    assert [(asked.method, asked.body) for asked in server.asked] == [
        ("PUT", {"email": "ada@example.org", "locale": "pt"}),
        ("PUT", {"email": "new@example.org", "telegram": "42"}),
        ("PATCH", {"phone": None}),
    ]


def test_a_person_is_erased_when_it_was_meant(server: Server) -> None:
    server.answer("DELETE", "/v1/recipients/ada", Reply({"id": "ada", "messages": 3, "cancelled": 1}))
    assert run("recipients", "erase", "ada", server=server).exit_code == 2
    assert server.asked == []
    assert run("recipients", "erase", "ada", "--yes", server=server).stdout == "ada is erased: 3 messages, 1 cancelled\n"


def test_a_person_is_exported_page_after_page_a_line_each_or_as_one_list(server: Server) -> None:
    entries = [{"kind": "recipient", "recipient": ADA}, {"kind": "reply", "reply": {"id": "rep_1"}}]
    for flags in ([], ["--json"]):
        server.asked.clear()
        server.answer("GET", "/v1/recipients/ada/export", page(entries[0], cursor="c1"), page(cursor="c2"), page(entries[1]))
        told = run("recipients", "export", "ada", *flags, server=server).stdout
        assert (json.loads(told) if flags else [json.loads(line) for line in told.splitlines()]) == entries
        assert [asked.query for asked in server.asked] == [
            {"limit": "100", **more} for more in ({}, {"cursor": "c1"}, {"cursor": "c2"})
        ]
    server.answer("GET", "/v1/recipients/eve/export", problem(404, "not_found"))
    assert run("recipients", "export", "eve", server=server).exit_code == 1


# suppressions

LISTED = {
    "id": "sup_1",
    "channel": None,
    "address": "+1•••0123",
    "reason": "opted_out",
    "source": "manual",
    "category": "all",
    "shared": False,
    "created_at": AT,
    "expires_at": None,
}


def test_suppressions_are_listed_looked_up_added_and_lifted(server: Server) -> None:
    server.answer("GET", "/v1/suppressions", page(LISTED))
    server.answer("POST", "/v1/suppressions", Reply(LISTED))
    server.answer("POST", "/v1/suppressions/lookup", Reply({"data": [LISTED]}))
    server.answer("DELETE", "/v1/suppressions/sup_1", GONE)
    row = ["sup_1", "every", "one", "+1•••0123", "opted_out", "manual", "all", "no", AT, "-"]
    listed = run("suppressions", "list", "--channel", "sms", "--reason", "blocked", "--shared", "--limit", "3", server=server)
    assert columns(listed.stdout) == [row]
    assert server.asked[0].query == {"channel": "sms", "reason": "blocked", "shared": "true", "limit": "3"}
    assert columns(run("suppressions", "lookup", "+14155550123", "--channel", "sms", server=server).stdout) == [row]
    more = ["--channel", "sms", "--reason", "blocked", "--category", "marketing", "--expires-at", "2027-01-01T00:00:00Z"]
    added = run("suppressions", "add", "-", *more, server=server, stdin="+14155550123\n")
    assert added.stdout == "sup_1 +1•••0123 every channel opted_out (all)\n"
    assert run("suppressions", "lift", "sup_1", server=server).stdout == "sup_1 is lifted\n"
    asked = {"address": "+14155550123", "channel": "sms"}
    assert server.bodies("POST", "/v1/suppressions/lookup") == [asked]
    wish = {"reason": "blocked", "category": "marketing", "expires_at": "2027-01-01T00:00:00Z"}
    assert server.bodies("POST", "/v1/suppressions") == [asked | wish]
    assert run("suppressions", "lift", "sup_2", server=server).exit_code == 1


# endpoints

HOOK = {
    "id": "end_1",
    "url": "https://orders.example.com/",
    "description": "",
    "types": [],
    "enabled": False,
    "disabled_for": "gone",
    "failing_since": None,
    "created_at": AT,
    "previous_secret_until": None,
}
MADE = HOOK | {"secret": "whsec_0123", "enabled": True, "disabled_for": None}


def test_endpoints_are_listed_changed_and_deleted(server: Server) -> None:
    server.answer("GET", "/v1/endpoints", page(HOOK))
    server.answer("PATCH", "/v1/endpoints/end_1", Reply(HOOK))
    server.answer("DELETE", "/v1/endpoints/end_1", GONE)
    assert columns(run("endpoints", server=server).stdout) == [["end_1", HOOK["url"], "every", "one", "no", "gone", "-", "-"]]
    for args in (["--enable"], ["--disable", "--types", "a.b, c.d", "--types", "a.b"], ["--types", "all", "--url", "https://x/"]):
        assert run("endpoints", "update", "end_1", *args, server=server).stdout == f"end_1 {HOOK['url']} is disabled (gone)\n"
    assert server.bodies("PATCH", "/v1/endpoints/end_1") == [
        {"enabled": True},
        {"enabled": False, "types": ["a.b", "c.d"]},
        {"types": [], "url": "https://x/"},
    ]
    assert run("endpoints", "update", "end_1", server=server).exit_code == 2
    assert run("endpoints", "delete", "end_1", server=server).stdout == "end_1 is deleted\n"


def test_of_a_new_or_rotated_endpoint_the_secret_alone_goes_to_stdout(server: Server) -> None:
    server.answer("POST", "/v1/endpoints", Reply(MADE, 201))
    server.answer("POST", "/v1/endpoints/end_1/rotate", Reply(MADE))
    create = ["create", "--url", HOOK["url"], "--types", "message.failed", "--description", "x", "--disabled"]
    for line in (create, ["rotate", "end_1"]):
        ended = run("endpoints", *[str(word) for word in line], server=server)
        assert ended.stdout == "whsec_0123\n"
        assert "end_1 is posted to https://orders.example.com/." in ended.stderr
    wish = {"url": HOOK["url"], "types": ["message.failed"], "description": "x", "enabled": False}
    assert server.bodies("POST", "/v1/endpoints") == [wish]


@pytest.mark.parametrize(("ok", "said"), [(True, "taken status 204"), (False, "not taken status -")])
def test_a_test_event_ends_with_0_only_when_it_was_taken(server: Server, ok: bool, said: str) -> None:
    trial = {"ok": ok, "status": 204 if ok else None, "detail": "", "ms": 12}
    server.answer("POST", "/v1/endpoints/end_1/test", Reply(trial))
    ended = run("endpoints", "test", "end_1", server=server)
    assert (ended.exit_code, ended.stdout) == (0 if ok else 1, f"end_1 {said} in 12 ms\n")


def test_deliveries_are_shown_with_their_last_try_and_replayed_until_none_is_left(server: Server) -> None:
    tries = [{"at": AT, "status": 500, "detail": "no", "ms": 3}, {"at": AT, "status": None, "detail": "reset\x07", "ms": 3}]
    row = {"id": "evt_1", "type": "message.sent", "timestamp": AT, "state": "failed", "next_try_at": None, "try_count": 2}
    server.answer("GET", "/v1/endpoints/end_1/deliveries", page(row | {"tries": tries}, row | {"tries": []}))
    shown = run("endpoints", "deliveries", "end_1", "--state", "failed", "--limit", "7", server=server)
    assert [line[-2:] for line in columns(shown.stdout)] == [["-", "reset�"], ["-", "-"]]
    assert server.asked[0].query == {"state": "failed", "limit": "7"}
    replay = "/v1/endpoints/end_1/replay"
    server.answer("POST", replay, Reply({"ids": ["evt_1", "evt_2"], "more": True}), Reply({"ids": ["evt_3"], "more": False}))
    assert run("endpoints", "replay", "end_1", "--all", server=server).stdout == "3 posted again\n"
    assert run("endpoints", "replay", "end_1", "evt_3", server=server).stdout == "1 posted again\n"
    assert server.bodies("POST", replay) == [{}, {}, {"ids": ["evt_3"]}]
    for wrong in ([], ["evt_1", "--all"]):
        assert run("endpoints", "replay", "end_1", *wrong, server=server).exit_code == 2
