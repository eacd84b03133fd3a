"""`types`: kinds of notifications as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli_server import AT, Asked, Reply, Server, problem, run, serving

TYPES = "/v1/types"
LAYOUTS = "/v1/layouts"
TOML = """description = "An order has left"
priority = "high"
[content]
title = "Order {{ number }}"
email = { html = { file = "order.shipped.html" } }
[schema]
type = "object"
"""
BODY = {
    "description": "An order has left",
    "priority": "high",
    "content": {"title": "Order {{ number }}", "email": {"html": "<b>{{ number }}</b>\n"}},
    "schema": {"type": "object"},
}


def view(name: str, version: int = 1, **body: Any) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "created_at": AT,
        "description": "",
        "category": "transactional",
        "priority": "normal",
        "schema": None,
        "content": {"body": "Hello"},
        "plan": None,
        "ttl": None,
        **body,
    }


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "types"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


def listed(server: Server, *rows: dict[str, Any]) -> None:
    server.answer("GET", TYPES, Reply({"data": list(rows), "next_cursor": None}))
    server.answer("GET", LAYOUTS, Reply({"data": [], "next_cursor": None}))


def wrote(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "order.shipped.toml").write_text(TOML, "utf-8")
    (folder / "order.shipped.html").write_text("<b>{{ number }}</b>\n", "utf-8")


def test_types_alone_lists_them(server: Server) -> None:
    listed(server, view("order.shipped", 3, description="An order has left"))
    result = run("types", server=server)
    assert result.exit_code == 0
    assert "order.shipped" in result.stdout
    assert "An order has left" in result.stdout
    assert json.loads(run("types", "list", "--json", server=server).stdout)["data"][0]["version"] == 3


def test_what_is_new_or_says_something_else_is_put_and_the_rest_is_left_alone(server: Server, folder: Path) -> None:
    wrote(folder)
    (folder / "same.json").write_text(json.dumps({"content": {"body": "Hello", "actions": []}}), "utf-8")
    listed(server, view("same", 4), view("order.shipped", 1))
    server.answer("PUT", f"{TYPES}/order.shipped", Reply(view("order.shipped", 2)))
    result = run("types", "push", server=server)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == ["order.shipped version 2 put", "same version 4 unchanged"]
    assert server.bodies("PUT", f"{TYPES}/order.shipped") == [BODY]
    assert server.bodies("PUT", f"{TYPES}/same") == []


def test_a_refusal_is_told_with_all_its_faults_and_the_others_are_put(server: Server, folder: Path) -> None:
    wrote(folder)
    (folder / "broken.json").write_text("{", "utf-8")
    (folder / "bad.json").write_text(json.dumps({"content": {"body": "{{ 1"}}), "utf-8")
    listed(server)
    fault = ("#/content/body", "invalid_template", "line 1: a tag has no end")
    server.answer("PUT", f"{TYPES}/bad", problem(422, "invalid_request", fault))
    server.answer("PUT", f"{TYPES}/order.shipped", Reply(view("order.shipped")))
    result = run("types", "push", server=server)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["order.shipped version 1 put"]
    assert "line 1: a tag has no end" in result.stderr
    assert "broken.json" in result.stderr


@pytest.mark.parametrize("file", ["../secret", "/etc/passwd", "a/b.html"])
def test_a_text_comes_from_the_same_folder_alone(server: Server, folder: Path, file: str) -> None:
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps({"content": {"body": {"file": file}}}), "utf-8")
    (folder.parent / "secret").write_text("secret", "utf-8")
    listed(server)
    result = run("types", "push", server=server)
    assert result.exit_code == 1
    assert "must be a file of the same folder" in result.stderr


def test_what_is_pulled_is_what_would_be_pushed(server: Server, folder: Path) -> None:
    stored = view("order.shipped", 2, **BODY)
    listed(server, stored)
    result = run("types", "pull", server=server)
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in folder.iterdir()} == {"order.shipped.json", "order.shipped.email.html"}
    assert (folder / "order.shipped.email.html").read_text("utf-8") == "<b>{{ number }}</b>\n"
    assert run("types", "diff", server=server).exit_code == 0
    again = run("types", "pull", server=server)
    assert (again.exit_code, again.stdout) == (0, "")
    assert run("types", "pull", "nothing", server=server).exit_code == 2


def test_a_toml_file_is_not_doubled(server: Server, folder: Path) -> None:
    wrote(folder)
    listed(server, view("order.shipped", 2))
    result = run("types", "pull", server=server)
    assert result.exit_code == 1
    assert "order.shipped.toml" in result.stderr
    (folder / "order.shipped.json").write_text("{}", "utf-8")
    assert "as TOML and as JSON" in run("types", "push", server=server).stderr


def test_what_differs_is_told_by_its_places(server: Server, folder: Path) -> None:
    wrote(folder)
    (folder / "mine.json").write_text(json.dumps({"content": {"body": "Hello"}}), "utf-8")
    listed(server, view("order.shipped", 1, **{**BODY, "priority": "bulk", "content": {"title": "x"}}), view("theirs"))
    result = run("types", "diff", server=server)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["+ mine", "~ order.shipped #/content/email #/content/title #/priority", "- theirs"]
    assert len(json.loads(run("types", "diff", "--json", server=server).stdout)["data"]) == 3


def test_a_folder_that_is_not_there_is_an_error(server: Server) -> None:
    def none(_: Asked) -> Reply:
        return Reply({"data": [], "next_cursor": None})

    server.answer("GET", TYPES, none)
    server.answer("GET", LAYOUTS, none)
    assert "is no folder" in run("types", "push", server=server).stderr


def test_layouts_are_carried_with_the_types_that_name_them_and_are_put_before(server: Server, folder: Path) -> None:
    body = {
        "description": "Ours",
        "html": "<main>{{ content }}</main>\n",
        "text": "{{ content }}\n--\nWe",
        "locales": {"pt": {"text": "{{ content }}"}},
    }
    stored = {"name": "brand", "version": 3, "created_at": AT, **body}
    listed(server, view("order.shipped"))
    server.answer("GET", LAYOUTS, Reply({"data": [stored], "next_cursor": None}))
    assert run("types", "pull", server=server).exit_code == 0
    assert {path.name for path in (folder / "layouts").iterdir()} == {"brand.json", "brand.html", "brand.txt"}
    assert (folder / "layouts" / "brand.txt").read_text("utf-8") == body["text"]
    assert run("types", "diff", server=server).exit_code == 0
    assert run("types", "push", server=server).stdout.splitlines() == [
        "layouts/brand version 3 unchanged",
        "order.shipped version 1 unchanged",
    ]
    (folder / "layouts" / "brand.html").write_text("{{ content }}", "utf-8")
    assert run("types", "diff", server=server).stdout.splitlines() == ["~ layouts/brand #/html"]
    server.answer("PUT", f"{LAYOUTS}/brand", Reply({**stored, "version": 4}))
    assert run("types", "push", "layouts/brand", server=server).stdout == "layouts/brand version 4 put\n"
    assert server.bodies("PUT", f"{LAYOUTS}/brand") == [{**body, "html": "{{ content }}"}]
