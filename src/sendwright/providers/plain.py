"""The text of an HTML document, for those who read no HTML. Pure, and linear in the document's length: it may be anybody's.

No layout: blocks are lines, items have a dash, links show where they lead, pictures what they stand for. What nobody sees (head,
style, script) is left out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_TAG = re.compile(r"(/?)([a-zA-Z][a-zA-Z0-9]{0,20})")
_VALUE = r"\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))"
_HREF = re.compile(rf"\shref{_VALUE}", re.IGNORECASE)
_ALT = re.compile(rf"\salt{_VALUE}", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\r\n\f\x1d\x1e]+")
_LINE, _PARAGRAPH = "\x1e", "\x1d"
"""Where a new line begins, and where an empty one stands before it: however many such places follow one another."""
_MARKS = re.compile("([\n\x1d\x1e])")
_TAG_MAX = 4096
"""Longest tag whose attributes are read."""

_UNSEEN = frozenset({"head", "style", "script", "title", "template", "noscript"})
_UNTIL_BODY = frozenset({"head", "title"})
"""Hidden until the body begins, where they were never closed."""
_SCHEMES = ("http://", "https://", "mailto:", "tel:")
_LINES = frozenset({"div", "tr", "li", "dt", "dd", "section", "article", "header", "footer", "address", "form"})
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre", "hr"})


def text_of_html(document: str) -> str:
    """What the document says. Never raises."""
    reader = _Reader()
    for text, tag in _pieces(document):
        reader.take(text, tag)
    return _tidy("".join(reader.said))


class _Reader:
    """What was said so far, and what is open."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._hidden = ""
        self._link: tuple[int, str] | None = None
        """Where the text of the link begins that is open, and where it leads. Links have none inside them."""

    def take(self, text: str, tag: str) -> None:
        if text and not self._hidden:
            self.said.append(_BLANKS.sub(" ", html.unescape(text)))
        found = _TAG.match(tag)
        if found is None:
            return
        closing, name = bool(found[1]), found[2].lower()
        if self._hidden:
            ended = (closing and name == self._hidden) or (name == "body" and self._hidden in _UNTIL_BODY)
            self._hidden = "" if ended else self._hidden
        elif name in _UNSEEN:
            self._hidden = "" if closing else name
        elif name == "a":
            self._close_link()
            self._link = None if closing else (len(self.said), _attribute(_HREF, tag))
        else:
            self.said.append(_mark(name, tag, closing=closing))

    def _close_link(self) -> None:
        begins, target = self._link or (0, "")
        if target.startswith(_SCHEMES):
            shown = "".join(self.said[begins:]).strip()
            if shown != target:
                self.said.append(f" ({target})" if shown else target)


def _pieces(document: str) -> Iterator[tuple[str, str]]:
    """Text and the tag behind it, in turn. Every search goes on from where the last one ended."""
    at = 0
    while (begins := document.find("<", at)) >= 0:
        comment = document.startswith("<!--", begins)
        ends = document.find("-->" if comment else ">", begins)
        if ends < 0:
            yield document[at:begins], ""
            return
        yield document[at:begins], "" if comment else document[begins + 1 : ends]
        at = ends + (3 if comment else 1)
    yield document[at:], ""


def _mark(name: str, tag: str, *, closing: bool) -> str:
    if name == "img":
        return _attribute(_ALT, tag)
    if name in _PARAGRAPHS:
        return _PARAGRAPH
    if name == "br":
        return "\n"
    if name in ("td", "th"):
        return "" if closing else " "
    if name in _LINES:
        return f"{_LINE}- " if name == "li" and not closing else _LINE
    return ""


def _attribute(pattern: re.Pattern[str], tag: str) -> str:
    found = pattern.search(tag) if len(tag) <= _TAG_MAX else None
    return "" if found is None else html.unescape(found[1] or found[2] or found[3] or "").strip()


def _tidy(text: str) -> str:
    """The lines, with no more than one empty one between them."""
    lines = [""]
    for piece in _MARKS.split(text):
        if piece == "\n" or (piece in (_LINE, _PARAGRAPH) and lines[-1].strip()):
            lines.append("")
        if piece == _PARAGRAPH:
            lines.append("")
        elif piece not in ("\n", _LINE):
            lines[-1] += piece
    tidy: list[str] = []
    for line in (_BLANKS.sub(" ", line).strip() for line in lines):
        if line or (tidy and tidy[-1]):
            tidy.append(line)
    return "\n".join(tidy).strip()
