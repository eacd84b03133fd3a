"""Dead letters: why they ended, grouped; and sending them again or dropping them, one by one, by what was chosen or by cause."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlencode

from sendwright.model.records import Page
from sendwright.web.api import dead as api
from sendwright.web.api.reading import read_query
from sendwright.web.api.shapes import DeadId, DeadQuery, DeadSelection, Handled
from sendwright.web.api.table import Ask
from sendwright.web.dashboard.visit import Away, Shown, Visit, place

_ROWS = 50
_CHUNK = 500
_FILTERS = ("reason", "channel", "provider")

Handle = Callable[[Ask], Awaitable[Handled]]


async def list_dead(visit: Visit) -> Shown:
    given = {name: visit.query[name] for name in _FILTERS if visit.query.get(name)}
    asked = {**given, "limit": str(_ROWS)} | ({"cursor": visit.query["cursor"]} if visit.query.get("cursor") else {})
    query = read_query(DeadQuery, urlencode(asked).encode())
    listed = await api.list_dead(visit.ask(query=query))
    values = {
        "causes": listed.causes,
        "rows": listed.data,
        "parcels": listed.parcels,
        "given": given,
        "next": listed.next_cursor and place("/dashboard/dead", **given, cursor=listed.next_cursor),
    }
    return Shown("dead.html", values)


async def replay(visit: Visit) -> Away:
    return await _handled(visit, api.replay_dead, "replayed")


async def drop(visit: Visit) -> Away:
    return await _handled(visit, api.drop_dead, "dropped")


async def _handled(visit: Visit, handle: Handle, note: str) -> Away:
    """By the boxes that were ticked, else by the cause that the form names."""
    by_cause = "reason" in visit.form
    chosen = _of_cause(visit) if by_cause else _ticked(visit)
    done = skipped = late = 0
    async for ids in chosen:
        handled = await handle(visit.ask(body=DeadSelection(ids=ids)))
        done, skipped = done + handled.done, skipped + handled.skipped
        late += handled.skipped_for.get("expired", 0)
    if not done + skipped and not by_cause:
        return Away(place("/dashboard/dead", note="nothing_chosen"))
    if late:
        return Away(place("/dashboard/dead", note=f"{note}_late", done=done, skipped=skipped, late=late))
    return Away(place("/dashboard/dead", note=note, done=done, skipped=skipped))


async def _ticked(visit: Visit) -> AsyncIterator[list[DeadId]]:
    ids = list(dict.fromkeys(visit.form.get("id", ())))
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]


async def _of_cause(visit: Visit) -> AsyncIterator[list[DeadId]]:
    """Ids of the dead letters that ended alike, from new to old, as many as the API handles in one call. A cause without a channel
    or a provider means those that have none."""
    wanted = {name: visit.given(name) or None for name in _FILTERS}
    before, found = None, 0
    while found < api.BULK_MAX:
        page = Page(visit.by.caller.tenant, _CHUNK, before, dead=True, **wanted)  # type: ignore[arg-type]
        listed = await visit.services.records.list_messages(page)
        ids = [row.id for row in listed.rows if (row.channel, row.provider) == (wanted["channel"], wanted["provider"])]
        found += len(ids)
        if ids:
            yield ids
        if listed.next is None:
            return
        before = listed.next
