"""The element as a file: how it is served, how small it is, and what it must not do to the page that embeds it."""

from __future__ import annotations

import gzip
import re
from importlib.resources import files

import pytest

from .api_world import World
from .asgi_client import Client

ROOM = files("sendwright.web.inbox")
ELEMENT = "/inbox/sendwright-inbox.js"
SIZE_MAX = 15 << 10


def text(name: str) -> str:
    return ROOM.joinpath(name).read_text(encoding="utf-8")


def stranger() -> Client:
    return Client(World().app, {})


def test_the_element_is_small() -> None:
    assert len(gzip.compress(text("sendwright-inbox.js").encode(), 9)) < SIZE_MAX


@pytest.mark.parametrize("name", ["sendwright-inbox.js", "demo.js"])
def test_no_script_makes_markup_or_code_of_text_or_styles_in_line(name: str) -> None:
    said = text(name)
    for forbidden in (
        r"\w+HTML\b(?!Element)",
        r"document\.write",
        r"\beval\(",
        r"new Function",
        r"\.style\b",
        r'"style"',
        r"DOMParser",
    ):
        assert re.findall(forbidden, said) == [], forbidden


@pytest.mark.parametrize("name", ["sendwright-inbox.js", "demo.js", "demo.css", "demo.html"])
def test_nothing_comes_from_elsewhere(name: str) -> None:
    named = set(re.findall(r"https?://[\w./#-]+", text(name)))
    assert named <= {"http://www.w3.org/2000/svg", "https://html.spec.whatwg.org/#event-stream-interpretation"}


def test_the_page_has_nothing_in_line() -> None:
    page = text("demo.html")
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page) == []


def test_every_word_that_is_shown_can_be_another() -> None:
    said = text("sendwright-inbox.js")
    named = set(re.findall(r"^  (\w+): \"", said.split("const LABELS")[1].split("};")[0], re.MULTILINE))
    used = set(re.findall(r"(?:say|#labels)\.(\w+)", said)) | set(re.findall(r"#with\(\"(\w+)\"", said))
    views = {"all", "unread", "archived", "snoozed"}
    made = {f"empty{view.title()}{more}" for view in views for more in ("", "More")}
    assert used | views | made | {"snoozeHour", "snoozeTomorrow", "snoozeWeek"} == named


@pytest.mark.parametrize(
    ("path", "media"),
    [
        (ELEMENT, "text/javascript; charset=utf-8"),
        ("/inbox/demo", "text/html; charset=utf-8"),
        ("/inbox/demo.js", "text/javascript; charset=utf-8"),
        ("/inbox/demo.css", "text/css; charset=utf-8"),
    ],
)
async def test_everything_is_served_to_everybody_with_its_type(path: str, media: str) -> None:
    answer = await stranger().get(path)
    assert (answer.status, answer.headers["content-type"]) == (200, media)
    assert answer.body.decode() == text("demo.html" if path.endswith("demo") else path.rpartition("/")[2])
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_pages_of_all_origins_may_load_the_element_and_browsers_keep_it() -> None:
    answer = await stranger().get(ELEMENT)
    names = [name for name, _ in answer.header_list]
    assert len(names) == len(set(names)), "a header in the place of another comes once"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["cache-control"] == "public, max-age=300"
    demo = await stranger().get("/inbox/demo")
    assert "access-control-allow-origin" not in demo.headers
    assert (demo.headers["cache-control"], demo.headers["cross-origin-resource-policy"]) == ("no-store", "same-origin")


async def test_who_has_it_is_told_so() -> None:
    client = stranger()
    tag = (await client.get(ELEMENT)).headers["etag"]
    for given in (tag, f'W/{tag}, "other"', f'"other" , {tag}'):
        answer = await client.get(ELEMENT, headers={"if-none-match": given})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
        assert "content-length" not in answer.headers
    assert (await client.get(ELEMENT, headers={"if-none-match": '"other"'})).status == 200


@pytest.mark.parametrize(
    ("given", "packed"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("gzip;q=0", False), ("gzip; q=0.000", False), ("br", False), ("xgzip", False)],
)
async def test_it_is_compressed_for_those_who_take_it(given: str, packed: bool) -> None:
    client = stranger()
    plain = await client.get(ELEMENT)
    answer = await client.get(ELEMENT, headers={"accept-encoding": given})
    assert (answer.headers.get("content-encoding") == "gzip") is packed
    assert answer.headers["vary"] == "accept-encoding"
    assert (gzip.decompress(answer.body) if packed else answer.body) == plain.body
    assert (answer.headers["etag"] != plain.headers["etag"]) is packed


async def test_the_demo_lets_nothing_in_that_is_not_its_own() -> None:
    policy = dict(
        part.split(" ", 1) for part in (await stranger().get("/inbox/demo")).headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert (policy["require-trusted-types-for"], policy["trusted-types"]) == ("'script'", "'none'")
