"""What the dashboard is made of is in the package, and nothing in it comes from elsewhere or goes out of a template unescaped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]
ROOM = HERE / "src" / "sendwright" / "web" / "dashboard"
TEMPLATES = sorted((ROOM / "templates").glob("*.html"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_lets_anything_through_as_it_is(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"\|\s*safe\b|autoescape|Markup", text)
    assert not re.search(r"\s[\w-]+=\s*\{\{", text), "a value in an attribute stands in quotes"
    assert not re.search(r"(href|src|action)=\"\{\{(?! (static|link\.path|href|here|action|to|sandbox_url) *[}(])", text)


def test_our_own_files_name_no_other_place() -> None:
    for file in (ROOM / "static").iterdir():
        if file.is_file():
            assert not re.search(r"(?<!xmlns=\")https?://", file.read_text()), file.name


def test_what_is_vendored_comes_with_its_licence() -> None:
    vendored = {path.name for path in (ROOM / "static" / "vendor").iterdir()}
    assert {name.partition(".")[0] for name in vendored if name.endswith((".js", ".css"))} == {
        name.partition(".")[0] for name in vendored if name.endswith(".LICENSE.txt")
    }
