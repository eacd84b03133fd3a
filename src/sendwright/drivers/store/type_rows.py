"""Types as rows: their bodies as JSON that is the same for what says the same, so that no version is made of nothing new."""

from __future__ import annotations

import msgspec

from sendwright.model.types import TypeBody, TypeVersion

_BODY = msgspec.json.Decoder(TypeBody)


def text_of(body: TypeBody) -> str:
    return msgspec.json.encode(body, order="sorted").decode()


def version_from(name: str, version: int, at: int, body: str) -> TypeVersion:
    return TypeVersion(name, version, at, _BODY.decode(body))
