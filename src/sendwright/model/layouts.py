"""Layouts: what stands around every mail that names one (`brand`): header, logo, footer. Stored and versioned as types are."""

from __future__ import annotations

from msgspec import Struct, field


class LayoutParts(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Templates, each with one place for what they stand around."""

    html: str | None = None
    text: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class LayoutBody(LayoutParts, frozen=True):
    """The body of `PUT /v1/layouts/{name}`."""

    description: str = ""
    locales: dict[str, LayoutParts] = field(default_factory=dict)
    """By language tag, the parts that are otherwise there."""


class LayoutVersion(Struct, frozen=True):
    """One version of a layout, as it is stored. Versions count from 1, and none is ever given twice."""

    name: str
    version: int
    at: int
    """When it was put, in ms since 1970."""
    body: LayoutBody

    @property
    def pinned(self) -> str:
        return f"{self.name}@{self.version}"

    def __repr__(self) -> str:
        return f"LayoutVersion({self.pinned})"
