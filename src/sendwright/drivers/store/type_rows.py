"""Types and layouts as rows: their bodies as JSON that is the same for what says the same, so that no version is made of nothing
new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from sendwright.model.layouts import LayoutBody, LayoutVersion
from sendwright.model.types import TypeBody, TypeVersion

V = TypeVar("V")


class Kind(Generic[V]):
    """Of what there are versions: `word` begins the names of its statements."""

    def __init__(self, word: str, body: type[Struct], version: Callable[[str, int, int, Any], V]) -> None:
        self.word = word
        self._decoder = msgspec.json.Decoder(body)
        self._version = version

    def version_from(self, name: str, version: int, at: int, body: str) -> V:
        return self._version(name, version, at, self._decoder.decode(body))


TYPES = Kind("type", TypeBody, TypeVersion)
LAYOUTS = Kind("layout", LayoutBody, LayoutVersion)


def text_of(body: Struct) -> str:
    return msgspec.json.encode(body, order="sorted").decode()
