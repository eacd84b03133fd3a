"""CSS in its elements."""

from __future__ import annotations

import pytest

from sendwright.providers.styling import STYLED_MAX, inlined


def test_rules_go_into_the_elements_that_they_are_for() -> None:
    said = inlined(
        "<html><head><style>p{color:red} @media print{p{color:black}} a:hover{top:0}</style></head><body><p>Hi</p></body></html>"
    )
    assert '<p style="color: red;">Hi</p>' in said
    assert "@media print" in said
    assert "a:hover" in said


@pytest.mark.parametrize(
    "document", ["", "plain", "<p style='color:red'>x", "<link rel=stylesheet href='https://example.com/a.css'>"]
)
def test_without_a_style_sheet_it_stays_as_it_is(document: str) -> None:
    assert inlined(document) == document


def test_what_stands_elsewhere_is_not_loaded() -> None:
    link = '<link rel="stylesheet" href="http://127.0.0.1:1/a.css">'  # a call would fail
    said = inlined(f"<html><head>{link}<style>p{{color:red}}</style></head><body><p>x</p></body></html>")
    assert link in said
    assert 'style="color: red;"' in said


def test_a_very_long_one_is_left_as_it_is() -> None:
    long = "<style>p{color:red}</style>" + "<p>x</p>" * (STYLED_MAX // 8)
    assert inlined(long) == long


@pytest.mark.parametrize(
    "document", ["<style>p{", "<style>}}{{</style><p>", "<style>p{color:}</style><p>x", "<style", "<STYLE>*{a:b}</STYLE><p>é📦"]
)
def test_a_broken_one_raises_nothing(document: str) -> None:
    assert isinstance(inlined(document), str)


def test_half_a_character_is_refused_without_a_quote() -> None:
    with pytest.raises(ValueError, match="can't be read"):
        inlined("<style>p{a:b}</style>canary\ud800")
