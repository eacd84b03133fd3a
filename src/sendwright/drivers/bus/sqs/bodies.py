"""Bundles as the bodies of SQS messages.

    sw1 <id> <lane> <count> <form>\n<text>

`id` is the bundle's own: two messages with the same id are one bundle that was sent twice, its first answer being lost.
`lane` is spelled as in the queue's name, so that a bundle from the dead queue knows where it comes from. `form` says how
the bundle stands in `text`: `plain` as it is, `base64`, or `check`, when `text` is a key of the checkroom.

All of it is printable ASCII. SQS takes the characters that XML knows and refuses a message with any other, and whether
what lies between takes the rest as it should is nothing to find out with somebody's password.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from msgspec import Struct

from sendwright.drivers.bus.sqs.address import spelled, unspelled
from sendwright.model.parcel import PARCELS_MAX, bundle, split

_MAGIC = "sw1"
_SAFE = bytes((9, 10, 13, *range(0x20, 0x7F)))
HEAD_MAX = 128
"""More bytes than any header has: id 32, lane 80 at most, and what stands between."""
ITEMS_MAX = PARCELS_MAX


class Letter(Struct, frozen=True):
    """The body of a message, read. `id` is empty where somebody else wrote it; then `body` is what they wrote."""

    id: str
    lane: str
    count: int
    body: bytes = b""
    check: str | None = None
    """The key under which the body is kept."""


def plain(raw: bytes) -> bool:
    """Whether every byte may travel as it is."""
    return not raw.translate(None, _SAFE)


def weight(size: int, *, is_plain: bool) -> int:
    """Bytes of a message's body for a bundle of this size."""
    return HEAD_MAX + (size if is_plain else (size + 2) // 3 * 4)


def packed(parcels: Sequence[bytes], size_max: int) -> list[list[bytes]]:
    """Cuts parcels, in order, into bundles of at most `PARCELS_MAX` whose messages weigh at most `size_max`. One that is
    too heavy alone is a bundle of its own."""
    bundles: list[list[bytes]] = []
    size, clean = 0, True
    for parcel in parcels:
        its_clean = plain(parcel)
        grown = size + 1 + len(parcel)
        fits = bundles and len(bundles[-1]) < ITEMS_MAX and weight(grown, is_plain=clean and its_clean) <= size_max
        if fits:
            bundles[-1].append(parcel)
            size, clean = grown, clean and its_clean
        else:
            bundles.append([parcel])
            size, clean = 2 + len(parcel), its_clean
    return bundles


def written(id_: str, lane: str, parcels: Sequence[bytes]) -> str:
    """The body of the message that carries these parcels."""
    body = bundle(parcels)
    if plain(body):
        return f"{_head(id_, lane, len(parcels))} plain\n{body.decode('ascii')}"
    return f"{_head(id_, lane, len(parcels))} base64\n{base64.b64encode(body).decode('ascii')}"


def checked(id_: str, lane: str, count: int, key: str) -> str:
    """The body of the message that carries the key of a bundle."""
    return f"{_head(id_, lane, count)} check\n{key}"


def _head(id_: str, lane: str, count: int) -> str:
    return f"{_MAGIC} {id_} {spelled(lane)} {count}"


def read_letter(text: str, lane: str) -> Letter:
    """What a message's body says. Whatever is not ours is handed on as it is, so that it ends where unreadable parcels
    end, and is not lost; it is taken to be of the lane that it lay in."""
    head, newline, rest = text.partition("\n")
    try:
        magic, id_, name, count, form = head.split(" ")
        if magic == _MAGIC and newline and form == "check":
            return Letter(id_, unspelled(name), int(count), check=rest)
        if magic == _MAGIC and newline and form in {"plain", "base64"}:
            body = rest.encode("ascii") if form == "plain" else base64.b64decode(rest, validate=True)
            return Letter(id_, unspelled(name), int(count), body)
    except (ValueError, binascii.Error):
        pass
    foreign = text.encode("utf-8", "surrogatepass")
    return Letter("", lane, len(split(foreign)), foreign)
