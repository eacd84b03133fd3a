"""Lists, page by page, as the API gives them: what was asked for, the rows, and where they go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlencode

from sendwright.web.api.problems import Refusal
from sendwright.web.api.reading import read_query
from sendwright.web.api.shapes import PageQuery
from sendwright.web.api.table import Ask
from sendwright.web.dashboard.visit import Visit, place

ROWS = 50


async def listed(
    visit: Visit,
    kind: type[PageQuery],
    handler: Callable[[Ask], Awaitable[Any]],
    path: str,
    filters: Collection[str] = (),
    *,
    first: bool = False,
    keep: Mapping[str, str] | None = None,
    **params: str,
) -> dict[str, Any]:
    """A template's values: `rows`, `next`, `given` (the filters), `filtered`, and `faults` of filters that can't be. `first`: the
    first page, whatever the address says; `keep`: what the address says beside."""
    given = {name: visit.query[name] for name in filters if visit.query.get(name)} if not first else {}
    cursor = "" if first else visit.query.get("cursor", "")
    values = {"given": {name: given.get(name, "") for name in filters}, "filtered": bool(given), "first": not cursor}
    asked = {**given, "limit": str(ROWS), **({"cursor": cursor} if cursor else {})}
    try:
        answer = await handler(visit.ask(query=read_query(kind, urlencode(asked).encode()), **params))
    except Refusal as refusal:
        if refusal.status != 422:
            raise
        return {**values, "rows": [], "next": None, "faults": refusal.faults}
    following = answer.next_cursor and place(path, **(keep or {}), **given, cursor=answer.next_cursor)
    return {**values, "rows": answer.data, "next": following, "faults": ()}
