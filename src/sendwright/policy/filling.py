"""What a notification says to one recipient: the content in that one's language, its templates filled in, and judged.

What comes of it is held to all that is asked of a content that is posted as it stands: a variable may hold a line break where a
header would be, a link of a scheme that is not allowed, or nothing where something must be.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from sendwright.model.content import OWN, Content
from sendwright.model.said import Said
from sendwright.policy.content_faults import content_faults
from sendwright.policy.layouts import surrounded
from sendwright.policy.locales import in_locale
from sendwright.policy.payload_schema import Fault, shape_faults
from sendwright.policy.templates import fill_all, variables

_BESIDE = ("data", "notification", "locales", "layouts")
_NOTHING: Mapping[str, Any] = {}


class Unfillable(Struct, frozen=True):
    """What is wrong, by the pointers of the parts; at least one thing."""

    faults: tuple[Fault, ...]

    @property
    def detail(self) -> str:
        """In a line, without any value."""
        first, more = self.faults[0], len(self.faults) - 1
        return f"{first.pointer}: {first.detail}" + (f" (and {more} more)" if more else "")


def filled(
    content: Said,
    about: dict[str, Any] | None,
    channels: Collection[str],
    schemes: frozenset[str],
    beside: Mapping[str, Any] = _NOTHING,
) -> Said | Unfillable:
    """What is said on these channels to whom it is `about`, its layout around its mail. Of the other channels nothing is filled
    in, and nothing kept. `beside`: names that templates have from us, where no variable of the content has them."""
    doc: dict[str, Any] = msgspec.to_builtins(content)
    for name in _BESIDE:
        doc.pop(name, None)
    about = about or {}
    doc = in_locale(doc, content.locales or {}, about.get("locale"))
    doc = {name: part for name, part in doc.items() if name not in OWN or name in channels}
    given = variables({**beside, **(content.data or {}), "recipient": about, "notification": content.notification or {}})
    wrong: list[Fault] = []
    if content.data is not None:
        doc, wrong = fill_all(doc, given, ("content",))
    if not wrong and content.layouts is not None:
        doc, wrong = surrounded(doc, content.layouts, given, about.get("locale"))
    if not wrong:
        found = {fault.pointer: fault for fault in content_faults(doc, schemes)}
        for fault in shape_faults(Content, doc):
            pointer = f"#/content{fault.pointer[1:]}"
            found.setdefault(pointer, Fault(pointer, fault.code, fault.detail))
        wrong = list(found.values())
    return Unfillable(tuple(wrong)) if wrong else msgspec.convert(doc, Said)
