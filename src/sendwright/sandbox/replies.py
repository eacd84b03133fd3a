"""What a person writes back: the phone answers a message that it was shown, and the vendor tells its account, signed as it signs.

`POST /reply` with `{"seq", "text", "repeat"}`: the person whom that message went to writes to the account that it came from. The
vendor must know where to tell of it first, which each is told in its own way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated, Protocol, runtime_checkable

import msgspec
from msgspec import Meta, Struct

from sendwright.sandbox.courier import Courier, Post
from sendwright.sandbox.log import Entry, MessageLog
from sendwright.sandbox.places import place_of
from sendwright.sandbox.wire import Headers, Reply, Request, json_reply, problem


class Told(Struct, frozen=True):
    """One callback that tells of a reply."""

    url: str
    headers: Headers
    body: bytes

    def __repr__(self) -> str:
        return f"Told({len(self.body)} bytes)"


@runtime_checkable
class Speaker(Protocol):
    """A vendor whose people can write back."""

    kind: str

    def reply(self, entry: Entry, text: str) -> Told | None:
        """What tells the account of this message that its recipient has written that; None where nobody asked to be told, or where
        that recipient can't write."""
        ...


class Words(Struct, frozen=True, forbid_unknown_fields=True):
    """What is written back, and how often the vendor says so at once: the same bytes."""

    seq: Annotated[int, Meta(ge=1)]
    text: Annotated[str, Meta(max_length=4096)]
    repeat: Annotated[int, Meta(ge=1, le=46)] = 1


class Replies:
    """Tells accounts what people write. `speaker_of` finds the vendor of a kind."""

    def __init__(
        self, log: MessageLog, speaker_of: Callable[[str], Speaker | None], courier: Courier, callback_hosts: Collection[str]
    ) -> None:
        self._log = log
        self._speaker_of = speaker_of
        self._courier = courier
        self._hosts = frozenset(callback_hosts)

    def __repr__(self) -> str:
        return "Replies()"

    def handle(self, request: Request) -> Reply:
        try:
            words = msgspec.json.decode(request.body, type=Words)
        except msgspec.ValidationError as fault:
            return problem(422, "invalid", str(fault))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return problem(400, "not_json", "The body is not JSON in UTF-8.")
        noted = next((each for each in self._log.after(words.seq - 1, 1) if each.entry.seq == words.seq), None)
        if noted is None or not noted.entry.taken:
            return problem(404, "not_found", "No message of that number has arrived, or it is shown no more.")
        speaker = self._speaker_of(noted.entry.kind)
        told = speaker.reply(noted.entry, words.text) if speaker is not None else None
        place = place_of(told.url) if told is not None else None
        if told is None or place is None or not place.allowed(self._hosts):
            return problem(409, "untold", "The vendor was not told where to report what people write, or can't.")
        noted.written.append(words.text)
        self._log.version += 1
        for _ in range(words.repeat):
            self._courier.send(place, Post(place, told.headers, told.body, lambda _: None))
        return json_reply(202, {"told": words.repeat})
