"""Keys: who may call, for whom and until when; made, and revoked. A new one stands on the answer of its form and nowhere else."""

from __future__ import annotations

from typing import get_args

from sendwright.web.api import keys as api
from sendwright.web.api.problems import Refusal
from sendwright.web.api.shapes import KeysQuery, KeyWish, MadeKey, ScopeName
from sendwright.web.dashboard.forms import EMPTY, Form, body, form_of, zoned
from sendwright.web.dashboard.listing import listed
from sendwright.web.dashboard.visit import Away, Shown, Visit, place

_PATH = "/dashboard/keys"
_FIELDS = ("name", "tenant", "scopes", "expires_at", "rate")


async def list_keys(visit: Visit) -> Shown:
    return await _page(visit, EMPTY)


async def make(visit: Visit) -> Shown:
    wish = {name: visit.given(name) for name in _FIELDS} | {
        "scopes": [scope for scope in get_args(ScopeName) if scope in visit.form.get("scopes", ())],
        "expires_at": zoned(visit.given("expires_at")),
    }
    try:
        made = await api.make_key(visit.ask(body=body(KeyWish, wish)))
    except Refusal as refusal:
        if refusal.status not in (403, 422):
            raise
        return await _page(visit, form_of(visit, refusal, _FIELDS), refusal.status)
    return await _page(visit, EMPTY, 201, made)


async def revoke(visit: Visit) -> Away:
    await api.revoke_key(visit.ask(id=visit.given("id")))
    return Away(place(_PATH, note="revoked"))


async def _page(visit: Visit, form: Form, status: int = 200, made: MadeKey | None = None) -> Shown:
    page = await listed(visit, KeysQuery, api.list_keys, _PATH, first=made is not None or form.wrong)
    own = None if visit.by.caller.key is None else visit.by.caller.key.id
    everybody = visit.by.caller.root and visit.by.acts is None
    grants = [scope for scope in get_args(ScopeName) if scope in visit.by.caller.scopes]
    values = {"form": form, "made": made, "own": own, "everybody": everybody, "grants": grants, **page}
    return Shown("keys.html", values, status)
