"""Calls on the providers: how they stand, switching them, trying one."""

from __future__ import annotations

from sendwright.policy.payload_schema import Fault
from sendwright.web.api import problems
from sendwright.web.api.services import ProviderPatch, ProviderStanding, Trial
from sendwright.web.api.shapes import ProviderList
from sendwright.web.api.table import Ask


async def list_providers(ask: Ask) -> ProviderList:
    return ProviderList(list(await ask.services.fleet.standings()), None)


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
    standing = await get_provider(ask)
    try:
        return await ask.services.fleet.test(standing.name, ask.body.to)
    except ValueError:
        raise problems.of_faults([Fault("#/to", "invalid_address", "is not an address that this provider takes")]) from None
