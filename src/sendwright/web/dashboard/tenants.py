"""For whom one acts: the admin key's session is turned to another tenant, and every page is that tenant's until it is turned back.

Keys of one tenant never see this page.
"""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from sendwright.web.api import keys as api
from sendwright.web.api import problems
from sendwright.web.api.problems import Refusal
from sendwright.web.api.shapes import LIST_MAX, KeysQuery
from sendwright.web.dashboard.forms import EMPTY, Form, form_of
from sendwright.web.dashboard.signing_in import acting_for, cookie
from sendwright.web.dashboard.visit import Away, Shown, Visit, place


async def choose(visit: Visit) -> Shown:
    return await _page(visit, EMPTY)


async def turn(visit: Visit) -> Away | Shown:
    _require_root(visit)
    wanted, own = visit.given("tenant"), visit.by.session.tenant
    try:
        secret = await visit.sign_in.turned(visit.headers, visit.place, visit.by, "" if wanted == own else wanted)
    except Refusal as refusal:
        if refusal.status != 422:
            raise
        return await _page(visit, form_of(visit, refusal))
    note = "acting_no_more" if wanted in ("", own) else "acting"
    return Away(place("/dashboard", note=note), headers=((b"set-cookie", cookie(visit.place, secret)),))


async def _page(visit: Visit, form: Form) -> Shown:
    _require_root(visit)
    status = 422 if form.wrong else 200
    return Shown("tenant.html", {"form": form, "tenants": await _known(visit), "own": visit.by.session.tenant}, status)


async def _known(visit: Visit) -> list[str]:
    """The tenants that have keys, as far as the newest keys tell."""
    by = structs.replace(visit.by, acts=None)
    everybody = replace(visit, headers=acting_for(by, visit.headers))
    listed = await api.list_keys(everybody.ask(query=KeysQuery(limit=LIST_MAX)))
    return sorted({key.tenant for key in listed.data} | {visit.by.session.tenant, visit.tenant})


def _require_root(visit: Visit) -> None:
    if not visit.by.caller.root:
        raise problems.not_found()
