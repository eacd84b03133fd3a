"""What the pages show can be typed as it stands: calls that the API describes, code that runs, JSON, lines that any shell takes."""

from __future__ import annotations

import ast
import base64
import hashlib
import hmac
import json
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema_rs
import msgspec
import pytest

from sendwright.client import AsyncSendwright, Sendwright
from sendwright.policy.template_grammar import FILTERS, TESTS
from sendwright.providers import registry
from sendwright.providers.contract import CommonSettings
from sendwright.settings import SETTINGS
from sendwright.testing import Server
from sendwright.web.api.openapi import describe
from sendwright.web.api.routes import CALLS
from tests.unit.test_readme import HERE, PAGES, _blocks, _said, page_of

DOCUMENT = describe(CALLS, "http://127.0.0.1:8420")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SECRET = "whsec_" + base64.b64encode(b"r" * 32).decode()


def _curls(page: Path) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
    """Method, address and body of every curl to the API, however many stand in a block."""
    for block in _blocks(page, "sh", "console"):
        for words in re.findall(r"\bcurl ((?:'[^']*'|\"[^\"]*\"|[^'\"\n|])*)", block.replace("\\\n", " ")):
            given = iter(shlex.split(words))
            method, url, body = "", "", None
            for word in given:
                if word == "-X":
                    method = next(given)
                elif word == "-d":
                    body = next(given)
                elif word in ("-H", "-o", "--user", "--aws-sigv4"):
                    next(given)
                elif not word.startswith("-"):
                    url = url or word
            if urlsplit(url).netloc == "127.0.0.1:8420":
                yield method or ("GET" if body is None else "POST"), url, None if body is None else json.loads(body)


def _called(method: str, path: str) -> dict[str, Any] | None:
    """What the API's description says of this call."""
    parts = path.strip("/").split("/")
    found: list[tuple[int, dict[str, Any]]] = []
    for template, calls in DOCUMENT["paths"].items():
        names = template.strip("/").split("/")
        if len(names) == len(parts) and all(name == part or "{" in name for name, part in zip(names, parts, strict=True)):
            found += [(template.count("{"), calls[method.lower()])] if method.lower() in calls else []
    return min(found, key=lambda one: one[0])[1] if found else None


ALL_CURLS = [(page, *call) for page in PAGES for call in _curls(page)]


@pytest.mark.parametrize(
    ("page", "method", "url", "body"),
    ALL_CURLS,
    ids=[f"{page.name}-{call[0]}-{urlsplit(call[1]).path}" for page, *call in ALL_CURLS],
)
def test_every_curl_is_a_call_that_the_api_describes(page: Path, method: str, url: str, body: dict[str, Any] | None) -> None:
    asked = urlsplit(url)
    call = _called(method, asked.path)

    assert call is not None
    named = {parameter["name"] for parameter in call.get("parameters", ()) if parameter["in"] == "query"}
    assert {name for name, _ in parse_qsl(asked.query)} <= named
    if body is not None:
        schema = call["requestBody"]["content"]["application/json"]["schema"]
        schema = {**schema, "components": DOCUMENT["components"]}
        assert [error.message for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(body)] == []


def test_calls_are_found_on_the_pages_that_show_them() -> None:
    assert {page.name for page, *_ in ALL_CURLS} >= {
        "README.md", "api.md", "keys.md", "recipients.md", "suppressions.md", "endpoints.md", "types.md", "inbox.md", "webhook.md",
    }  # fmt: skip


@page_of
def test_every_call_that_is_named_exists(page: Path) -> None:
    for said in _said(page):
        for method, path in re.findall(rf"\b({'|'.join(METHODS)}) (/v1/[\w/{{}}.-]+)", said):
            if page.name == "sandbox.md" and path == "/v1/messages":
                continue  # the sandbox's own protocol
            assert _called(method, path.rstrip("/.")), f"{method} {path}"


@page_of
def test_every_module_that_is_run_exists_and_its_python_is_that_of_the_checkout(page: Path) -> None:
    for said in _said(page):
        for python, module in re.findall(r"(\S*python3?) -m ((?:bench|simulation|pytest)[\w.]*)", said):
            assert python.endswith(".venv/bin/python"), said
            path = HERE / module.replace(".", "/")
            assert module == "pytest" or path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), said


@page_of
def test_what_has_a_question_mark_or_an_ampersand_is_quoted_for_the_shell(page: Path) -> None:
    """Some shells take it for a pattern, and say that nothing matches."""
    for block in _blocks(page, "sh"):
        bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", block)
        assert re.findall(r"https?://\S*[?&*]\S*", bare) == []


@page_of
def test_where_a_key_comes_from_is_said_on_the_page_that_uses_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if any("$SENDWRIGHT_KEY" in block for block in _blocks(page, "sh")):
        assert re.search(r"export (\w+=\S+ )?SENDWRIGHT_KEY=", text)


@page_of
def test_json_and_python_are_well_formed(page: Path) -> None:
    for block in _blocks(page, "json"):
        json.loads(block)
    for block in _blocks(page, "python"):
        ast.parse(block)


def test_what_is_sent_by_twilio_goes_to_no_number_that_twilio_refuses() -> None:
    said = [line for line in _said(HERE / "docs" / "providers" / "twilio.md") if " --to " in line]

    assert said
    assert [line for line in said if "+1500555" in line] == []


# Names


def _first_column(page: str, heading: str) -> str:
    """What stands at the beginning of the rows of its tables, below that heading."""
    text = (HERE / "docs" / page).read_text(encoding="utf-8").partition(heading)[2].partition("\n## ")[0]
    return "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))


@page_of
def test_every_setting_that_is_named_exists(page: Path) -> None:
    known = {f"[{setting.section}] {setting.name}" for setting in SETTINGS}
    named = {said for said in _said(page) if re.fullmatch(r"\[[\w.]+\] [\w.]+", said)}

    assert named <= known


@pytest.mark.parametrize("kind", registry.built_in())
def test_the_settings_of_a_kind_are_those_on_its_page(kind: str) -> None:
    common = {field.encode_name for field in msgspec.structs.fields(CommonSettings)}
    own = {field.encode_name for field in msgspec.structs.fields(registry.kinds()[kind].settings_type)} - common

    assert set(re.findall(r"`(\w+)`", _first_column(f"providers/{kind}.md", "## Settings"))) == own


def test_the_calls_that_concern_all_tenants_are_those_on_the_page_of_keys() -> None:
    (said,) = re.findall(r"Some calls concern all tenants: (.*?)\. They", (HERE / "docs" / "keys.md").read_text(), re.DOTALL)

    assert set(re.findall(r"`([A-Z]+ [^`]+)`", said)) == {f"{call.method} {call.path}" for call in CALLS if call.of_all}


def test_the_filters_and_tests_of_templates_are_those_on_their_page() -> None:
    page = (HERE / "docs" / "types.md").read_text(encoding="utf-8")

    assert set(re.findall(r"\w+", re.findall(r"^\* filters: `([^`]+)`", page, re.MULTILINE)[0])) == FILTERS
    assert set(re.findall(r"\w+", re.findall(r"^\* tests: `([^`]+)`", page, re.MULTILINE)[0])) == TESTS


@pytest.mark.parametrize("client", [Sendwright, AsyncSendwright])
def test_every_call_of_the_client_is_on_its_page_and_no_other(client: type) -> None:
    calls = {name for name in dir(client) if not name.startswith("_") and callable(getattr(client, name))}

    assert set(re.findall(r"`(\w+)\(", _first_column("client.md", "# The Python client"))) == calls - {"close", "aclose"}


def test_what_is_said_of_a_server_for_tests_it_has() -> None:
    named = set(re.findall(r"`(\w+)\(", _first_column("testing.md", "# Testing code that sends")))

    assert {"sent", "wait_for"} <= named
    assert {name for name in named if not hasattr(Server, name)} == set()


# Code


def _signed(body: bytes, event: str) -> dict[str, str]:
    now = str(int(time.time()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    mac = hmac.new(key, f"{event}.{now}.".encode() + body, hashlib.sha256).digest()
    return {"webhook-id": event, "webhook-timestamp": now, "webhook-signature": "v1," + base64.b64encode(mac).decode()}


def test_the_receiver_that_is_shown_takes_every_event_once(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = (block for block in _blocks(HERE / "docs" / "endpoints.md", "python") if "Flask" in block)
    shown: dict[str, Any] = {"__name__": "receiver"}
    exec(code.replace("whsec_…", SECRET), shown)
    caller = shown["app"].test_client()

    def post(said: str, event: str, data: dict[str, str]) -> int:
        body = json.dumps({"type": said, "timestamp": "2026-11-22T09:00:00.000Z", "data": data}).encode()
        status: int = caller.post("/sendwright", data=body, headers=_signed(body, event)).status_code
        return status

    assert post("endpoint.test", "evt_1", {"endpoint": "end_1"}) == 204
    assert [post("message.sent", "evt_2", {"message": "msg_1"}) for _ in range(2)] == [204, 204]
    assert post("notification.accepted", "evt_3", {"notification": "ntf_1"}) == 204
    assert caller.post("/sendwright", data=b"{}", headers=_signed(b"[]", "evt_4")).status_code == 401
    assert capsys.readouterr().out.splitlines() == ["endpoint.test None", "message.sent msg_1", "notification.accepted None"]
