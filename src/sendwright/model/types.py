"""Types: stored, versioned kinds of notifications (`order.shipped`). Shapes and names are the contract's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field

from sendwright.model.content import Content
from sendwright.model.layouts import LayoutVersion
from sendwright.model.notification import Category


class TypeContent(Content, frozen=True):
    """What a type says: its texts are templates."""

    locales: dict[str, Content] = field(default_factory=dict)
    """By language tag, the members that are said otherwise there."""


class TypePlan(Struct, frozen=True, forbid_unknown_fields=True):
    """In the shorthand: the fallback order."""

    channels: list[str]


class TypeBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of `PUT /v1/types/{name}`."""

    content: TypeContent
    description: str = ""
    category: Category = "transactional"
    priority: Literal["critical", "high", "normal", "bulk"] = "normal"
    schema: dict[str, Any] | UnsetType = UNSET
    """JSON Schema (2020-12) of the data."""
    plan: TypePlan | UnsetType = UNSET
    ttl: str | UnsetType = UNSET

    def __repr__(self) -> str:
        return "TypeBody(…)"


class TypeVersion(Struct, frozen=True):
    """One version of a type, as it is stored. Versions count from 1, and none is ever given twice."""

    name: str
    version: int
    at: int
    """When it was put, in ms since 1970."""
    body: TypeBody

    @property
    def pinned(self) -> str:
        return f"{self.name}@{self.version}"

    def __repr__(self) -> str:
        return f"TypeVersion({self.pinned})"


class Referred(Struct, frozen=True):
    """What a notification names, as it stands when it is accepted; what is not there is none."""

    type: TypeVersion | None = None
    layouts: Mapping[str, LayoutVersion] = {}
    """By the names that its content, or its type's, has for them."""


NOTHING = Referred()
