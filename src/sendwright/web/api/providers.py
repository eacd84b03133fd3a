"""Calls on the providers: how they stand, switching them, trying one."""

from __future__ import annotations

from msgspec import UnsetType

from sendwright.policy.payload_schema import Fault
from sendwright.web.api import problems
from sendwright.web.api.cursors import foreign
from sendwright.web.api.notifications import opened, sealed
from sendwright.web.api.services import ProviderPatch, ProviderStanding, Trial, Unfit
from sendwright.web.api.shapes import ProviderList, ProvidersQuery
from sendwright.web.api.table import Ask


async def list_providers(ask: Ask) -> ProviderList:
    """In the order of the settings file; a cursor stands behind the last one that was shown."""
    query: ProvidersQuery = ask.query
    standings = list(await ask.services.fleet.standings())
    names = [standing.name for standing in standings]
    after = opened(ask, query)
    if after is not None and after not in names:
        raise foreign()  # the settings have lost that provider since: nobody can say where its list goes on
    first = 0 if after is None else names.index(after) + 1
    end = first + query.limit
    return ProviderList(standings[first:end], sealed(ask, query, names[end - 1] if end < len(names) else None))


async def get_provider(ask: Ask) -> ProviderStanding:
    name = ask.params["name"]
    for standing in await ask.services.fleet.standings():
        if standing.name == name:
            return standing
    raise problems.not_found()


async def patch_provider(ask: Ask) -> ProviderStanding:
    patch: ProviderPatch = ask.body
    standing = await get_provider(ask)
    if patch == ProviderPatch():
        return standing
    await ask.services.fleet.switch(standing.name, patch)
    return await get_provider(ask)


async def test_provider(ask: Ask) -> Trial:
    standing, to = await get_provider(ask), ask.body.to
    trial = await ask.services.fleet.test(standing.name, None if isinstance(to, UnsetType) else to)
    if isinstance(trial, Unfit):
        raise problems.of_faults([Fault("#/to", trial.code, trial.detail)])
    return trial
