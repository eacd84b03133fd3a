"""A content as it is kept and travels: with what its templates are filled in with, where it has any.

Nothing of this is posted as a member of the content; the plan puts it there. A content without variables is written byte for byte
as it was posted, so that whoever has no templates pays nothing for them.
"""

from __future__ import annotations

from typing import Any

from sendwright.model.content import Content


class Said(Content, frozen=True):
    """What a notification says. With `data`, each of its texts is a template."""

    data: dict[str, Any] | None = None
    """The variables, at top level in a template."""
    notification: dict[str, Any] | None = None
    """What templates see as `notification`."""
    locales: dict[str, dict[str, Any]] | None = None
    """By language tag, what is said otherwise there: members of a content."""

    def __repr__(self) -> str:
        return "Said(…)"


def is_filled_in(content: Content) -> bool:
    """Whether its texts are templates, with the variables beside them."""
    return isinstance(content, Said) and content.data is not None
