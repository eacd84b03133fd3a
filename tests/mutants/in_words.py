"""Mistakes about what messages say: what stands around a mail, and what gives where a text is too long."""

from __future__ import annotations

from tests.mutants.planting import Edit, Mutant

LAYOUTS = "unit/test_layouts.py::test_"
DOOR = "unit/test_api_layouts.py::test_"
LENGTHS = "unit/test_shortening.py::test_"


def _planted(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, [Edit(file, old, new)], tests)


MUTANTS = [
    _planted(
        "a mail's HTML is escaped a second time in its layout",
        "policy/layouts.py",
        'return f"{before}{part}{after}"',
        'return f"{before}{html.escape(part) if escaped else part}{after}"',
        LAYOUTS + "a_layout_stands_around_text_and_html_and_escapes_nothing_a_second_time",
    ),
    _planted(
        "a layout's words do not travel with a type's notification",
        "policy/admission.py",
        "return replace(admitted, payload=surrounding(payload, found.layouts))",
        "return replace(admitted, payload=payload)",
        DOOR + "its_words_are_fixed_when_a_notification_is_accepted",
    ),
    _planted(
        "a layout is deleted that types name",
        "web/api/layouts.py",
        "    if types:\n",
        "    if False:\n",
        DOOR + "a_layout_stays_while_a_type_names_it",
    ),
    _planted(
        "a link is cut",
        "policy/shortening.py",
        "if _LINK.search(run[0]):",
        "if False:",
        LENGTHS + "no_link_is_cut_it_is_there_or_not",
    ),
    _planted(
        "a flag is torn in two",
        "policy/graphemes.py",
        "if _is_flag(char) and flags % 2:",
        "if False:",
        LENGTHS + "a_character_as_a_reader_takes_it_has_no_boundary_inside",
    ),
    _planted(
        "an ellipsis makes an SMS of the long alphabet",
        "policy/shortening.py",
        'return "..." if plain and',
        'return "..." if False and',
        LENGTHS + "an_sms_has_no_more_parts_than_it_may_and_its_ellipsis_keeps_the_alphabet",
    ),
    _planted(
        "an SMS is shortened that does not say so",
        "policy/shortening.py",
        'SHORTENED = frozenset({"push", "webpush", "inapp"})',
        'SHORTENED = frozenset({"push", "webpush", "inapp", "sms"})',
        LENGTHS + "a_text_that_is_refused_goes_to_the_next_step_and_one_that_may_be_is_shortened",
    ),
]
