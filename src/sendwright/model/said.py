"""A content as it is kept and travels: with what its templates are filled in with, where it has any.

Nothing of this is posted as a member of the content; the plan puts it there. A content without variables is written byte for byte
as it was posted, so that whoever has no templates pays nothing for them.
"""

from __future__ import annotations

from typing import Any

from sendwright.model.content import Content

ANSWERS = "answers"
"""What `notification` has in it where this is the answer to a reply: the provider that brought the reply."""


class Said(Content, frozen=True):
    """What a notification says. With `data`, each of its texts is a template."""

    data: dict[str, Any] | None = None
    """The variables, at top level in a template."""
    notification: dict[str, Any] | None = None
    """What templates see as `notification`; of an answer to a reply, which has no templates, what it answers."""
    locales: dict[str, dict[str, Any]] | None = None
    """By language tag, what is said otherwise there: members of a content."""
    layouts: dict[str, dict[str, Any]] | None = None
    """What stands around its mail, by the names that it has for them."""

    def __repr__(self) -> str:
        return "Said(…)"

    @property
    def answers(self) -> str | None:
        """The provider that brought the reply to which this is the answer; None for all else."""
        found = None if self.data is not None or self.notification is None else self.notification.get(ANSWERS)
        return found if isinstance(found, str) else None


def is_filled_in(content: Content) -> bool:
    """Whether anything of it is to be filled in: its texts are templates, or a layout is to be put around its mail."""
    return isinstance(content, Said) and (content.data is not None or content.layouts is not None)
