"""What chats have in common: what kind of file a medium is, and how a text tells of what can't travel beside it.

A chat message is one call, so that nothing is ever half sent: what does not fit into the call of its text (a second file, a
button that the vendor has no words for) stands in the text, as its address on a line of its own. Pure, knows no vendor; provider
files use it in `build`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from urllib.parse import urlsplit

from sendwright.providers.contract import Action, Media


class Sort(StrEnum):
    """What a file is shown as."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"


_BY_ENDING = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "3gp": "video/3gpp",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "aac": "audio/aac",
    "amr": "audio/amr",
    "ogg": "audio/ogg",
    "wav": "audio/wav",
    "pdf": "application/pdf",
}


def content_type(item: Media) -> str:
    """What the message says it is, in lower case and without parameters; else what its address's ending says; else empty."""
    if item.content_type:
        return item.content_type.partition(";")[0].strip().lower()
    try:
        path = urlsplit(item.url).path
    except ValueError:
        return ""
    return _BY_ENDING.get(path.rpartition(".")[2].lower(), "")


def sort_of(item: Media) -> Sort:
    """By the first half of its content type; what is none of the three is a document."""
    major = content_type(item).partition("/")[0]
    return Sort(major) if major in {Sort.IMAGE, Sort.VIDEO, Sort.AUDIO} else Sort.DOCUMENT


def spelled(text: str, media: Iterable[Media] = (), actions: Iterable[Action] = ()) -> str:
    """The text, and under it an address a line: of the media, then of the actions, with their labels. An action without an
    address is for an app to act on, and is nothing in a text."""
    lines = [text, *(item.url for item in media), *(f"{action.label}: {action.url}" for action in actions if action.url)]
    return "\n".join(line for line in lines if line)
