"""What replies ask for: the words of the lists, however they are written, and nothing that merely holds one."""

from __future__ import annotations

import pytest

from sendwright.policy.keywords import HELP, START, STOP, may_mean_stop, word_of

ODD = [
    "ＳＴＯＰ",
    "STOP ALL",
    "arrêt",
    "ARRE\u0302T",
    "opt-out",
    "Opt_Out",
    "s\u200btop",
    "STOP\N{VARIATION SELECTOR-16}",
    "ＱＵＩＴ",
]
VAGUE = ["please stop", "STOP sending me these", "I want to unsubscribe", "stop it " + "x" * 1600, "\N{OCTAGONAL SIGN}"]


@pytest.mark.parametrize("word", sorted(STOP))
def test_every_word_of_the_list_stops_in_any_writing(word: str) -> None:
    for text in (
        word,
        word.upper(),
        f" {word.title()}. ",
        f"{word}!!!",
        f"{word} \N{OCTAGONAL SIGN}",
        f"\u201c{word}\u201d",
        f"\n{word}\r\n",
    ):
        assert word_of(text) == "stop", text


@pytest.mark.parametrize("text", ODD)
def test_odd_writings_of_a_stop_are_one(text: str) -> None:
    assert word_of(text) == "stop"


def test_starts_and_helps_are_known() -> None:
    assert {word_of(word.upper() + " ") for word in START} == {"start"}
    assert {word_of(word.title() + "?") for word in HELP} == {"help"}


@pytest.mark.parametrize("text", [*VAGUE, "opting out now", "can you remove me"])
def test_what_sounds_like_a_stop_is_for_a_person_to_look_at(text: str) -> None:
    assert word_of(text) is None
    assert may_mean_stop(text)


@pytest.mark.parametrize("text", ["", " ", "Hello", "see you at the bus end", "yes please", "weekend", "x" * 1600])
def test_other_talk_is_neither(text: str) -> None:
    assert word_of(text) is None
    assert not may_mean_stop(text)


def test_a_keyword_is_not_for_looking_at() -> None:
    assert not may_mean_stop("STOP")
