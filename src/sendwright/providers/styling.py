"""CSS written into the elements that it is for, since many mail programs read no style sheet. Pure, and an extra (css-inline).

Nothing is loaded: style sheets elsewhere stay links. What can't be written into an element (media queries, `:hover`) stays a style
sheet.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

STYLED_MAX = 200_000
"""Characters from which on a document is left as it is: the work grows with rules times elements, and may be anybody's."""


def available() -> bool:
    """Whether the extra is installed: `pip install 'sendwright[email]'`."""
    return find_spec("css_inline") is not None


def inlined(document: str) -> str:
    """The document with its style sheets in its elements; as it is where it has none, or is too long. Raises `ValueError`, which
    never quotes it, for one that can't be read."""
    if len(document) > STYLED_MAX or "<style" not in document.lower():
        return document
    try:
        styled: str = _inliner().inline(document)
    except ValueError:
        raise ValueError("the HTML's style sheets can't be read") from None
    return styled


@cache
def _inliner() -> Any:
    return import_module("css_inline").CSSInliner(
        keep_style_tags=True, keep_link_tags=True, keep_at_rules=True, load_remote_stylesheets=False
    )
