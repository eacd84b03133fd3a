"""How many parts an SMS has. The figures are those of 3GPP TS 23.038 and 23.040, counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendwright.policy.segments import Segments, segments_of


@pytest.mark.parametrize(
    ("text", "encoding", "count", "units"),
    [
        ("", "gsm7", 0, 0),
        ("a", "gsm7", 1, 1),
        ("a" * 160, "gsm7", 1, 160),
        ("a" * 161, "gsm7", 2, 161),
        ("a" * 306, "gsm7", 2, 306),
        ("a" * 307, "gsm7", 3, 307),
        ("@£$¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà\n\r", "gsm7", 1, 43),
        ("€" * 80, "gsm7", 1, 160),
        ("€" * 81, "gsm7", 2, 162),
        # 153 is odd: a character of two septets is not torn, so each part holds 76 of them
        ("€" * 152, "gsm7", 2, 304),
        ("€" * 153, "gsm7", 3, 306),
        ("a" * 152 + "€" + "a" * 152, "gsm7", 3, 306),
        ("ç", "ucs2", 1, 1),  # only the capital is in the alphabet
        ("ç" * 70, "ucs2", 1, 70),
        ("ç" * 71, "ucs2", 2, 71),
        ("ç" * 134, "ucs2", 2, 134),
        ("ç" * 135, "ucs2", 3, 135),
        ("🎉" * 35, "ucs2", 1, 70),
        ("🎉" * 36, "ucs2", 2, 72),
        # 67 is odd: a pair is not torn, so each part holds 33 of them
        ("🎉" * 66, "ucs2", 2, 132),
        ("🎉" * 67, "ucs2", 3, 134),
        ("a" * 69 + "’", "ucs2", 1, 70),
        ("a" * 159 + "`", "ucs2", 3, 160),
    ],
)
def test_a_text_has_so_many_parts(text: str, encoding: str, count: int, units: int) -> None:
    found = segments_of(text)
    assert (found.encoding, found.count, found.units) == (encoding, count, units)


def test_what_keeps_a_text_from_the_short_alphabet_is_named_once() -> None:
    assert segments_of("“Hello” – hello – “hello”").beyond == "“”–"
    assert segments_of("Hello").beyond == ""


@given(st.text(max_size=400))
def test_parts_hold_the_text_and_no_part_could_be_left_out(text: str) -> None:
    found: Segments = segments_of(text)
    alone, each = (160, 153) if found.encoding == "gsm7" else (70, 67)
    if found.units <= alone:
        assert found.count == (1 if text else 0)
    else:
        assert (found.count - 1) * (each - 1) < found.units <= found.count * each
