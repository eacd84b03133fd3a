"""The rows of the route table that are about providers, and the one that they call."""

from __future__ import annotations

from sendwright.web.api import (
    hooks,
    providers,
    shapes,
)
from sendwright.web.api.services import ProviderPatch, ProviderStanding, Trial
from sendwright.web.api.table import OPEN, Call

PROVIDERS = "Providers"

PROVIDER_ROUTES: tuple[Call, ...] = (
    Call(
        method="GET",
        path="/v1/providers",
        scope="read",
        tag=PROVIDERS,
        summary="List providers and how they stand",
        handler=providers.list_providers,
        query=shapes.ProvidersQuery,
        answer=shapes.ProviderList,
        errors=(503,),
    ),
    Call(
        method="GET",
        path="/v1/providers/{name}",
        scope="read",
        tag=PROVIDERS,
        summary="One provider and how it stands",
        handler=providers.get_provider,
        answer=ProviderStanding,
        errors=(503,),
    ),
    Call(
        method="PATCH",
        path="/v1/providers/{name}",
        scope="admin",
        tag=PROVIDERS,
        summary="Switch a provider, everywhere within a second; null goes back to the settings file",
        handler=providers.patch_provider,
        of_all=True,
        body=ProviderPatch,
        answer=ProviderStanding,
        errors=(503,),
    ),
    Call(
        method="POST",
        path="/v1/providers/{name}/test",
        scope="admin",
        tag=PROVIDERS,
        summary="Send one real test message through this provider alone",
        handler=providers.test_provider,
        of_all=True,
        body=shapes.TrialWish,
        optional=True,
        answer=Trial,
        errors=(503,),
    ),
    *(
        Call(
            method=method,
            path="/v1/hooks/{provider}",
            scope=OPEN,
            tag=PROVIDERS,
            summary="A provider's callback, verified by its signature",
            handler=hooks.take_hook,
            body=bytes,
            body_max=hooks.BODY_MAX,
            status=204,
            errors=(401, 403, 503),
        )
        for method in ("POST", "GET")
    ),
)
