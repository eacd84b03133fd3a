"""What README and docs name exists: make targets, commands, options, files, tests, settings, and bodies that are taken."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click
import msgspec
import pytest

from sendwright.cli.root import root
from sendwright.model.layouts import LayoutBody, LayoutVersion
from sendwright.model.types import Referred, TypeBody, TypeVersion
from sendwright.policy.admission import LINK_SCHEMES, Admitted, Rules, admit, ttl_ok
from sendwright.policy.layouts import layout_faults
from sendwright.policy.type_rules import body_faults
from sendwright.providers import registry
from sendwright.providers.contract import EVERY_CHANNEL
from sendwright.settings import load
from sendwright.web.api.reading import read_json
from sendwright.web.api.shapes import KeyWish
from tests.conformance.kinds import samples_of

HERE = Path(__file__).parents[2]
PAGES = sorted([*HERE.glob("*.md"), *HERE.glob("docs/**/*.md")])
NOW_MS = 1_790_000_000_000

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_MAKE = re.compile(r"\bmake ([a-z]+)\b")
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

page_of = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HERE)))


def _blocks(page: Path, *languages: str) -> list[str]:
    found = _FENCE.findall(page.read_text(encoding="utf-8"))
    return [body for language, body in found if not languages or language in languages]


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _said(page: Path) -> Iterator[str]:
    """Lines of shell, and what stands between backticks."""
    for block in _blocks(page, "sh", "console"):
        yield from re.sub(r"\\\n", " ", block).splitlines()
    yield from _INLINE.findall(_prose(page))


def _commands(page: Path) -> Iterator[list[str]]:
    """What follows `sendwright`, word by word, wherever it is called."""
    for line in _said(page):
        words = re.sub(r"^\$ ", "", line.strip()).removeprefix(".venv/bin/")
        if words.startswith("sendwright ") and not words.startswith("sendwright COMMAND"):
            yield shlex.split(words)[1:]


def _resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    command: click.Command = root
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        assert words[0] in command.commands, f"there is no command `{words[0]}`"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = _HEADING.findall(_prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@page_of
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (HERE / "Makefile").read_text(), re.MULTILINE))

    named = {target for said in _said(page) for target in _MAKE.findall(said)}

    assert named <= targets


@page_of
def test_every_command_and_option_that_is_named_exists(page: Path) -> None:
    for words in _commands(page):
        command, rest = _resolve(words)
        known = {flag for parameter in command.params for flag in parameter.opts} | {"--help"}
        unknown = {word for word in rest if word.startswith("--") and word.partition("=")[0] not in known}
        assert not unknown, f"sendwright {' '.join(words)}"


@page_of
def test_every_link_into_the_repository_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(_prose(page)):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        place = (page.parent / unquote(path)).resolve() if path else page
        assert place.exists(), target
        assert not anchor or anchor in _anchors(place), target


@page_of
def test_every_test_that_is_named_exists(page: Path) -> None:
    tests = "".join(file.read_text(encoding="utf-8") for file in HERE.glob("tests/**/test_*.py"))
    named = {name for said in _said(page) for name in re.findall(r"^test_\w+$", said)}

    assert {name for name in named if f"def {name}(" not in tests} == set()


@page_of
def test_the_settings_that_are_shown_load(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("s" * 32)
    for number, block in enumerate(_blocks(page, "toml")):
        if "[project" in block:
            continue  # a plugin's pyproject.toml
        text = re.sub(r"\$\{file:[^}]+\}", f"${{file:{secret}}}", block)
        env = {name: name.ljust(32, "e") for name in re.findall(r"\$\{([A-Z_]+)\}", text)}
        file = tmp_path / f"{number}.toml"
        file.write_text("\n".join(line.removeprefix("   ") for line in text.splitlines()))

        loaded = load(file, env)

        shown = tomllib.loads(block).get("providers", {})
        for name, table in loaded.settings.providers.items():
            assert registry.make(name, dict(table) | _secrets_for(shown[name])).name == name
        assert set(tomllib.loads(file.read_text()).get("providers", {})) == set(loaded.settings.providers)


def _secrets_for(shown: dict[str, Any]) -> dict[str, Any]:
    """The samples' own values for what comes from elsewhere and must have a form: a key, an account as JSON."""
    samples = samples_of(shown["kind"])
    taken = {key for key, value in shown.items() if isinstance(value, str) and value.startswith("${")}
    return {key: value for key, value in samples.raw.items() if key in taken} if samples is not None else {}


def _bodies() -> Iterator[tuple[str, Any]]:
    """What README and docs post, or put as types and layouts: the bodies of curl, and the dictionaries called `notification` in
    Python."""
    for page in PAGES:
        for block in _blocks(page, "sh", "console"):
            for body in re.findall(r"/v1/(?:notifications|types|layouts)[^']*-d '([^']*)'", block):
                yield page.name, json.loads(body)
        for block in _blocks(page, "python"):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "notification":
                    yield page.name, ast.literal_eval(node.value)


def test_every_notification_that_is_shown_is_taken() -> None:
    bodies = list(_bodies())

    assert {page for page, _ in bodies} >= {"README.md", "api.md"}
    put: TypeVersion | None = None
    around = LayoutVersion("brand", 1, NOW_MS, LayoutBody(html="{{ content }}"))
    for page, body in bodies:
        if not {"to", "content"} & set(body):
            assert layout_faults(body) == [], page
            continue
        if "to" not in body:  # a type, for what follows on its page
            assert body_faults(body, LINK_SCHEMES, EVERY_CHANNEL, ttl_ok) == [], page
            put = TypeVersion("put", 1, NOW_MS, msgspec.convert(body, TypeBody))
            continue
        named = Referred(put if "type" in body else None, {"brand": around})
        answer = admit(json.dumps(body).encode(), Rules(), EVERY_CHANNEL, NOW_MS, named)
        assert isinstance(answer, Admitted), f"{page}: {answer}"


def test_every_key_that_is_shown_can_be_made() -> None:
    bodies = [
        body for block in _blocks(HERE / "docs" / "keys.md", "sh") for body in re.findall(r"/v1/keys[^']*-d '([^']*)'", block)
    ]

    assert bodies
    for body in bodies:
        assert read_json(KeyWish, body.encode()).scopes


def test_what_readme_says_of_this_version_agrees_with_the_adapters() -> None:
    (row,) = (line for line in (HERE / "README.md").read_text().splitlines() if line.startswith("| channels and vendors |"))
    named = set(re.findall(r"`(\w+)`", row))

    assert named
    assert named <= set(registry.built_in())


def test_every_kind_has_its_page() -> None:
    assert [kind for kind in registry.built_in() if not (HERE / "docs" / "providers" / f"{kind}.md").is_file()] == []


def test_no_page_speaks_of_a_decision_that_has_no_page_and_none_is_left_out() -> None:
    pages = sorted(path.name for path in (HERE / "docs" / "adr").glob("*.md"))

    assert [name[:4] for name in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for name in pages:
        text = (HERE / "docs" / "adr" / name).read_text()
        assert text.startswith(f"# {int(name[:4])}. ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
