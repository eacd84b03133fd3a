"""API keys, over PostgreSQL. They are found on a writer's connection: whoever is to be let in never queues behind long lists."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec.structs import astuple

from sendwright.drivers.store.postgres.connections import Connections
from sendwright.drivers.store.postgres.sql import SQL
from sendwright.errors import StoreDown
from sendwright.model.api_key import ApiKey, Place


class PostgresKeyRing:
    """ports.KeyRing."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def add(self, key: ApiKey) -> bool:
        return bool(await self._connections.statement("add", "api_key_add", *astuple(key)))

    async def find(self, ids: Collection[str]) -> Sequence[ApiKey]:
        try:
            return _keys(await self._connections.writing(lambda db: db.fetch(SQL["api_keys_found"], list(ids))))
        except StoreDown as error:
            raise StoreDown(str(error)) from error  # it only reads: nothing may have been done

    async def page(self, tenant: str | None, limit: int, after: Place | None = None) -> Sequence[ApiKey]:
        return _keys(await self._connections.read("api_keys_page", tenant, *(after or (None, None)), limit))

    async def revoke(self, tenant: str | None, id_: str) -> bool:
        return bool(await self._connections.statement("revoke", "api_key_revoke", tenant, id_))

    async def used(self, at: Mapping[str, int]) -> None:
        await self._connections.statement("used", "api_keys_used", list(at), list(at.values()))


def _keys(rows: Sequence[Any]) -> list[ApiKey]:
    return [ApiKey(id_, tenant, name, tuple(scopes), *rest) for id_, tenant, name, scopes, *rest in rows]
