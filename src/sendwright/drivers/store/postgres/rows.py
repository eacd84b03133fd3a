"""Rows of the tables as our structs, and our structs as columns of bound arrays.

What a vendor or an operator wrote is free text, and PostgreSQL keeps no NUL and no half of a surrogate pair: `clean`
replaces those, so that no outcome is ever refused for the words it came with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from sendwright.model.ids import message_of as message_of_attempt
from sendwright.model.ids import subject_of, time_ms_of
from sendwright.model.notification import Priority
from sendwright.model.parcel import FRESH, Parcel, Round, Step
from sendwright.model.records import AttemptRecord, Event, MessageRecord, Wait, parcel_of
from sendwright.model.said import Said
from sendwright.model.states import AttemptState, MessageState

Row = Any
"""A record of asyncpg, or a part of one."""
DAY_MS = 86_400_000
MESSAGE_WIDTH = 25
"""How many columns `{message}` is."""

_STEPS = msgspec.json.Decoder(tuple[Step, ...])
_ROUND = msgspec.json.Decoder(Round)
_CONTENT = msgspec.json.Decoder(Said)
_encode = msgspec.json.encode
_decode = msgspec.json.decode


def text_of(value: Any) -> str:
    """As JSON."""
    return "[]" if value is FRESH else _encode(value).decode()


def clean(text: str | None) -> str | None:
    """As it can be stored."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows as the arrays of their columns, empty ones where there is no row."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def day_of(any_id: str) -> int:
    """Days since 1970 of the time inside an id. One that is none of ours belongs to the first day."""
    at = time_ms_of(any_id)
    return 0 if at is None else at // DAY_MS


def message_from(row: Row, wait: Wait | None = None) -> MessageRecord:
    """Out of the columns `{message}`."""
    return MessageRecord(
        row[0],
        row[1],
        MessageState(row[2]),
        row[3],
        row[4],
        _STEPS.decode(row[5]),
        Priority(row[6]),
        row[7],
        row[8],
        row[9],
        row[10],
        row[11],
        FRESH if row[12] == "[]" else _ROUND.decode(row[12]),
        row[13],
        row[14],
        row[15],
        row[16],
        row[17],
        row[18],
        row[19],
        row[20],
        row[21],
        row[22],
        row[23],
        None if row[24] is None else _decode(row[24]),
        wait,
    )


def attempt_from(row: Row) -> AttemptRecord:
    """Out of the columns `{attempt}`."""
    return AttemptRecord(row[0], message_of_attempt(row[0]), row[1], row[2], row[3], row[4], AttemptState(row[5]), *row[6:16])


def wait_from(row: Row) -> Wait | None:
    """Out of kind, due_at, key, name, until, serial; None where there is no row."""
    return None if row[0] is None else Wait(*row)


def content_from(text: str | None) -> Said:
    return Said() if text is None else _CONTENT.decode(text)


def parcel_from(row: Row) -> Parcel:
    """Out of `{message}`, content, trace, category and (where it waits) the columns of a wait."""
    content, trace, category, *wait = row[MESSAGE_WIDTH:]
    return parcel_of(message_from(row, wait_from(wait) if wait else None), content_from(content), trace, category)


def event_from(row: Row) -> Event:
    seq, at, tenant, type_, subject, detail = row
    message = subject if subject.startswith("msg_") else None
    return Event(seq, at, tenant, type_, subject_of(subject), message, detail)


def bounds(prefix: str, ids: Iterable[str]) -> tuple[list[str], list[str]]:
    """Below and above all ids that begin, after their prefix, as these do."""
    lows = [prefix + id_[4:] for id_ in ids]
    return lows, [low + "~" for low in lows]
