"""One request of a signed-in browser, judged; and the kinds of answer that a page gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from msgspec import Struct

from sendwright.web.api.cursors import Cursors
from sendwright.web.api.passes import Passes
from sendwright.web.api.problems import Refusal
from sendwright.web.api.services import Services
from sendwright.web.api.table import Ask, Described
from sendwright.web.api.wire import Header
from sendwright.web.dashboard.place import Place
from sendwright.web.dashboard.signing_in import SignedIn, SignIn

FIELDS_MAX = 2_000
FORM = b"application/x-www-form-urlencoded"

_NOTHING = Described(b"", b"")


class Shown(Struct, frozen=True):
    """A page of this template. `frames`: there is room in it for a `Mail`."""

    template: str
    values: dict[str, Any]
    status: int = 200
    frames: bool = False
    headers: tuple[Header, ...] = ()


class Away(Struct, frozen=True):
    """On to another page of ours (303)."""

    to: str
    headers: tuple[Header, ...] = ()


class Mail(Struct, frozen=True):
    """What somebody else wrote as a page of its own, to be seen in a frame of ours: nothing in it runs, loads or leads anywhere."""

    html: str

    def __repr__(self) -> str:
        return "Mail(…)"


Answered = Shown | Away | Mail


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page is made from."""

    services: Services
    cursors: Cursors
    passes: Passes
    by: SignedIn
    sign_in: SignIn
    place: Place
    params: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    query: Mapping[str, str]
    raw_query: str
    form: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def tenant(self) -> str:
        return self.by.caller.tenant

    @property
    def part(self) -> bool:
        """Whether a script asks, for a part of the page."""
        return b"hx-request" in self.headers

    def ask(self, *, query: Any = None, body: Any = None, **params: str) -> Ask:
        """The same, as the API's handlers want it."""
        return Ask(
            services=self.services,
            cursors=self.cursors,
            passes=self.passes,
            described=_NOTHING,
            caller=self.by.caller,
            params={**self.params, **params},
            headers=self.headers,
            request_id="",
            query=query,
            body=body,
        )

    def given(self, name: str) -> str:
        """A field of the form; empty where it was left out."""
        return self.text(name).strip()

    def text(self, name: str) -> str:
        """The same as it was written; lines end as everywhere but in forms."""
        return self.form.get(name, [""])[0].replace("\r\n", "\n")


Handler = Callable[[Visit], Awaitable[Answered]]


def pairs(raw: bytes) -> list[tuple[str, str]]:
    """The fields of a form or a query. Raises `Refusal` (400), also for a NUL: no store has such a text."""
    try:
        found = parse_qsl(
            raw.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=FIELDS_MAX
        )
    except ValueError:
        raise _unreadable() from None
    if any("\0" in text for pair in found for text in pair):
        raise _unreadable()
    return found


def _unreadable() -> Refusal:
    return Refusal(400, "invalid_form", "The fields can't be read.")


def fields(raw: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs(raw):
        found.setdefault(name, []).append(value)
    return found


def place(path: str, /, **parameters: object) -> str:
    """An address of ours with these parameters, those left out that are None."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path
