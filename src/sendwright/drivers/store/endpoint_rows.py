"""Endpoints and postings as rows of a database, and back: what both dialects have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import astuple

from sendwright.model.endpoint import Endpoint, Posting, Try

_TRIES = msgspec.json.Decoder(tuple[Try, ...])


def endpoint_row(endpoint: Endpoint) -> tuple[Any, ...]:
    id_, tenant, url, description, types, *rest = astuple(endpoint)
    return (id_, tenant, url, description, " ".join(types), *rest)


def saved_row(endpoint: Endpoint) -> tuple[Any, ...]:
    """What may change of it, behind its id."""
    row = zip(Endpoint.__struct_fields__, endpoint_row(endpoint), strict=True)
    return tuple(value for name, value in row if name not in ("tenant", "created_at", "seen"))


def endpoint_from(row: Sequence[Any]) -> Endpoint:
    id_, tenant, url, description, types, *rest = row
    return Endpoint(id_, tenant, url, description, tuple(types.split()), *rest)


def posting_row(posting: Posting) -> tuple[Any, ...]:
    *rest, tries = astuple(posting)
    return (*rest, msgspec.json.encode(tries).decode())


def tried_row(posting: Posting) -> tuple[Any, ...]:
    """What a try changes of it, behind its id."""
    return (posting.id, posting.state, posting.due_at, posting.count, posting_row(posting)[-1])


def posting_from(row: Sequence[Any]) -> Posting:
    *rest, tries = row
    return Posting(*(*rest, _TRIES.decode(tries)))
