"""What is said to whom in which language: a content's members, and those that a locale says otherwise.

`pt-BR` is said what is there for it, then what there is for `pt`, then what the content itself says; member by member, so that a
language says only what differs. Tags are compared as BCP 47 (RFC 5646, section 2.1.1) has it: by their letters, however written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any


def tag(locale: str) -> str:
    """A language tag as it is compared."""
    return locale.replace("_", "-").lower()


def only(locales: Mapping[str, dict[str, Any]], wanted: Collection[str | None]) -> dict[str, dict[str, Any]]:
    """Those that any of the wanted locales falls back on: the others need not travel."""
    used = {each for locale in wanted if locale for each in _chain(locale)}
    return {name: said for name, said in locales.items() if tag(name) in used}


def in_locale(content: dict[str, Any], locales: Mapping[str, dict[str, Any]], locale: str | None) -> dict[str, Any]:
    """The content as it is said there."""
    by_tag = {tag(name): said for name, said in locales.items()}
    for each in reversed([*_chain(locale)] if locale else []):
        content = _over(content, by_tag.get(each, {}))
    return content


def _chain(locale: str) -> Iterator[str]:
    """A tag, and what it falls back on: `zh-hant-tw`, `zh-hant`, `zh`."""
    parts = tag(locale).split("-")
    return ("-".join(parts[:length]) for length in range(len(parts), 0, -1))


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Objects are joined member by member; of all else the upper one counts."""
    joined = dict(below)
    for name, value in above.items():
        under = joined.get(name)
        joined[name] = _over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return joined
