"""What the calls on types and layouts answer and are asked, as structs; by the rules of shapes.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from sendwright.model.layouts import LayoutParts
from sendwright.model.notification import Category, Recipient
from sendwright.model.types import TypeContent, TypePlan
from sendwright.policy.segments import Segments
from sendwright.policy.shortening import Cut
from sendwright.web.api.shapes import PageQuery, Time

Version = Annotated[int, Meta(ge=1, le=999_999_999)]


class TypeView(Struct, frozen=True):
    """One version of a type."""

    name: str
    version: int
    created_at: Time
    description: str
    category: Category
    priority: Literal["critical", "high", "normal", "bulk"]
    schema: dict[str, Any] | None
    content: TypeContent
    plan: TypePlan | None
    ttl: str | None


class TypeList(Struct, frozen=True):
    """The newest version of each, by name."""

    data: list[TypeView]
    next_cursor: str | None


class PreviewWish(Struct, frozen=True, forbid_unknown_fields=True):
    """What a type would say of this data, to this recipient."""

    data: dict[str, Any] = field(default_factory=dict)
    recipient: Recipient | UnsetType = UNSET
    version: Version | UnsetType = UNSET


class ChannelPreview(Struct, frozen=True):
    """What one channel would say; or why it can't be said."""

    channel: str
    title: str | None
    body: str | None
    html: str | None
    url: str | None
    own: dict[str, Any] | None
    """What is said for this channel alone."""
    errors: list[dict[str, str]]
    segments: Segments | None = None
    """In how many parts it travels, by SMS."""
    shortened: Cut | None = None
    """How much is left out, where the text is too long for the channel's first provider."""


class Preview(Struct, frozen=True):
    type: str
    channels: list[ChannelPreview]


class TypesQuery(PageQuery, frozen=True, kw_only=True):
    pass


class TypeQuery(Struct, frozen=True, kw_only=True):
    version: Version | UnsetType = UNSET


class LayoutView(Struct, frozen=True):
    """One version of a layout."""

    name: str
    version: int
    created_at: Time
    description: str
    html: str | None
    text: str | None
    locales: dict[str, LayoutParts]


class LayoutList(Struct, frozen=True):
    """The newest version of each, by name."""

    data: list[LayoutView]
    next_cursor: str | None


class LayoutsQuery(PageQuery, frozen=True, kw_only=True):
    pass


class LayoutQuery(Struct, frozen=True, kw_only=True):
    version: Version | UnsetType = UNSET
