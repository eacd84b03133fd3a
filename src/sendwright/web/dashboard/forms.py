"""What stands in a form, and what is wrong with it beside its place. Pure.

A form's fields make the very JSON that a caller of the API would send, so that the API judges it and lists its faults; here they
are only brought back to the fields. Whatever was typed stays in the form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from sendwright.web.api.problems import PLACES, ProblemError, Refusal
from sendwright.web.api.reading import read_json
from sendwright.web.dashboard.visit import Visit

_AT_ALL = ""
"""The place of a fault that is no field's."""


class Form(Struct, frozen=True):
    """`values` as they were typed, `chosen` of boxes and lists; `faults` by field."""

    values: Mapping[str, str] = {}
    chosen: Mapping[str, Sequence[str]] = {}
    faults: Mapping[str, Sequence[str]] = {}

    @property
    def rest(self) -> Sequence[str]:
        """What is wrong with the whole."""
        return self.faults.get(_AT_ALL, ())

    @property
    def wrong(self) -> bool:
        return bool(self.faults)


EMPTY = Form()


def form_of(visit: Visit, refusal: Refusal | None = None, fields: Iterable[str] = ()) -> Form:
    """What was sent, with what was wrong. `fields`: those beside which a fault can stand."""
    values = {name: visit.text(name) for name in visit.form if name != "csrf"}
    return Form(values, dict(visit.form), {} if refusal is None else by_field(refusal, fields))


def by_field(refusal: Refusal, fields: Iterable[str]) -> dict[str, list[str]]:
    """Faults by the field whose name their pointer begins with."""
    known, found = set(fields), dict[str, list[str]]()
    for fault in refusal.faults:
        name = place_of(fault).removeprefix("#/").partition("/")[0]
        said = fault.detail if name in known else f"{name} {fault.detail}".strip()
        found.setdefault(name if name in known else _AT_ALL, []).append(said)
    return found or {_AT_ALL: [refusal.detail]}


def place_of(fault: ProblemError) -> str:
    """The pointer, parameter or header."""
    return next(place for name in PLACES if isinstance(place := getattr(fault, name), str))


def body(kind: type[Any], members: Mapping[str, object]) -> Any:
    """The API's own struct of what was typed; raises `Refusal` (422) as the API would. Empty fields are left out."""
    return read_json(kind, msgspec.json.encode({name: value for name, value in members.items() if value not in ("", None)}))


def zoned(text: str) -> str:
    """A time as a form's field gives it: without a zone, and meant in UTC as all times here."""
    if len(text) in (16, 19) and "T" in text:
        return f"{text}{':00' if len(text) == 16 else ''}Z"
    return text
