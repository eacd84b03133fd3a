"""Providers: how they stand, their switch, and a test call."""

from __future__ import annotations

from sendwright.web.api import providers as api
from sendwright.web.api.problems import Refusal
from sendwright.web.api.services import ProviderPatch, Trial
from sendwright.web.api.shapes import TrialWish
from sendwright.web.dashboard.visit import Away, Shown, Visit, place


async def list_providers(visit: Visit) -> Shown:
    return Shown("providers.html", {"standings": await visit.services.fleet.standings()})


async def one_provider(visit: Visit) -> Shown:
    return await _shown(visit)


async def switch(visit: Visit) -> Away:
    wanted = {"on": True, "off": False}.get(visit.given("to"))
    if wanted is None:
        raise Refusal(400, "invalid_form", "A provider is switched on or off.")
    await api.patch_provider(visit.ask(body=ProviderPatch(enabled=wanted)))
    back = f"/dashboard/providers/{visit.params['name']}" if visit.given("back") == "one" else "/dashboard/providers"
    return Away(place(back, note="switched_on" if wanted else "switched_off"))


async def test(visit: Visit) -> Shown:
    to = visit.given("to")
    try:
        trial = await api.test_provider(visit.ask(body=TrialWish(to[:2048]) if to else TrialWish()))
    except Refusal as refusal:
        if refusal.status != 422:
            raise
        return await _shown(visit, fault=refusal.faults[0].detail, status=422)
    return await _shown(visit, trial=trial)


async def _shown(visit: Visit, *, trial: Trial | None = None, fault: str | None = None, status: int = 200) -> Shown:
    """The page of one, with what came of a test. The address that was tried is not repeated."""
    return Shown("provider.html", {"standing": await api.get_provider(visit.ask()), "trial": trial, "fault": fault}, status)
