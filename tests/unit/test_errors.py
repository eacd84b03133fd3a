"""errors: what is said of something that broke names the places, and nothing of what it was about."""

from __future__ import annotations

import json

import pytest

from sendwright.errors import FRAMES, where

SECRET = "+14155550100"


def _deep(levels: int) -> None:
    if levels == 0:
        raise KeyError(SECRET)
    _deep(levels - 1)


def test_what_broke_is_named_with_its_places_the_innermost_first_and_without_its_words() -> None:
    with pytest.raises(KeyError) as caught:
        _deep(0)
    said = where(caught.value)
    assert said.startswith("KeyError at test_errors.py:")
    inner, _, outer = said.removeprefix("KeyError at ").partition(" < ")
    assert int(inner.partition(":")[2]) < int(outer.partition(":")[2])
    assert SECRET not in said


def test_of_a_deep_one_a_few_places_are_named() -> None:
    with pytest.raises(KeyError) as caught:
        _deep(50)
    assert where(caught.value).count(" < ") == FRAMES - 1


def test_in_a_librarys_depth_whoever_called_it_is_named() -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(SECRET + "x")
    assert "decoder.py:" in where(caught.value)
    assert "test_errors.py:" in where(caught.value)
    assert SECRET not in where(caught.value)


def test_what_was_never_raised_has_no_place() -> None:
    assert where(ValueError(SECRET)) == "ValueError"
