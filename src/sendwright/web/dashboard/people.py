"""People: the directory of recipients, one of them with what was sent to them, and erasing a person.

Addresses are masked on every page, as the API's list has them. A person is named by a parameter, since ids are the callers' own and
may hold anything.
"""

from __future__ import annotations

from sendwright.web.api import problems
from sendwright.web.api import recipients as api
from sendwright.web.api.people_shapes import RecipientsQuery, RecipientView
from sendwright.web.api.problems import Refusal
from sendwright.web.dashboard.listing import listed
from sendwright.web.dashboard.messages import rows_of
from sendwright.web.dashboard.visit import Away, Shown, Visit, place

_PATH = "/dashboard/people"
_ELSE = ("locale", "timezone")


async def list_people(visit: Visit) -> Shown:
    page = await listed(visit, RecipientsQuery, api.list_recipients, _PATH)
    shown = [(row, _places(row)) for row in page.pop("rows")]
    return Shown("people.html", {"rows": shown, **page})


async def one_person(visit: Visit) -> Shown:
    """Also for an id that the directory does not know: messages may have been sent to it."""
    return await _page(visit, visit.query.get("id", ""))


async def erase(visit: Visit) -> Away | Shown:
    """The id must be typed in once more."""
    id_ = visit.text("id")
    if visit.text("typed").strip() != id_.strip() or not id_:
        return await _page(visit, id_, wrong="does not match: type the id as it stands above", status=422)
    done = await api.delete_recipient(visit.ask(id=id_))
    return Away(place(_PATH, note="erased", done=done.messages, skipped=done.cancelled))


async def _page(visit: Visit, id_: str, *, wrong: str | None = None, status: int = 200) -> Shown:
    known = await _masked(visit, id_)
    rows, following = await rows_of(visit, {"recipient": id_, "cursor": visit.query.get("cursor", "")}) if id_ else ([], None)
    if known is None and not rows and following is None and "cursor" not in visit.query:
        raise problems.not_found()
    values = {
        "id": id_,
        "known": known,
        "places": [] if known is None else _places(known),
        "rows": rows,
        "next": following and place(f"{_PATH}/one", id=id_, cursor=following),
        "wrong": wrong,
    }
    return Shown("person.html", values, status)


async def _masked(visit: Visit, id_: str) -> RecipientView | None:
    try:
        return api.masked_view(await api.get_recipient(visit.ask(id=id_)))
    except Refusal as refusal:
        if refusal.status != 404:
            raise
        return None


def _places(row: RecipientView) -> list[tuple[str, str]]:
    """The addresses, channel by channel, and what else is known."""
    found = [(name, text) for name in (*api.ADDRESSES, *_ELSE) if isinstance(text := getattr(row, name), str)]
    found += [("push", f"{device.kind} {device.token}") for device in row.push or ()]
    return found + [("webpush", str(device.get("endpoint", ""))) for device in row.webpush or ()]
